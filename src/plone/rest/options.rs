//! Options of the client: address of the site, bounds on calls, and names of the section type and its fields.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::Uri;
use secrecy::SecretString;

use crate::domain::fields::SectionField;

/// Options of the client.
#[derive(Debug, Clone)]
pub struct PloneOptions {
    /// Address of the site, such as `http://127.0.0.1:8080/Plone`.
    pub url: String,
    /// Name of the hub's own user.
    pub username: String,
    /// Password of the hub's own user.
    pub password: SecretString,
    /// Path of the folder of the sections, from the site's root, with a leading slash and no trailing one.
    pub sections_path: String,
    /// Portal type of a section.
    pub section_type: String,
    /// Workflow transition that publishes a new section; `None` leaves it in its initial state.
    pub publish: Option<String>,
    /// Maximum number of calls in flight.
    pub pool_size: usize,
    /// Maximum number of waiting calls.
    pub queue_max: usize,
    /// Maximum duration of one call, including waiting.
    pub timeout: Duration,
    /// Names of fields in the college's section type that differ from the hub's names.
    pub fields: BTreeMap<SectionField, String>,
}

/// A `[plone] url` that cannot be used. The message is for the operator who configured it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[plone] url: {0}")]
pub struct BadPloneUrl(pub String);

impl PloneOptions {
    /// Checks the address and returns it without a trailing slash.
    pub(super) fn checked_url(&self) -> Result<String, BadPloneUrl> {
        let url = self.url.trim_end_matches('/');
        if url.starts_with("https://") {
            let reason = "https is not supported; use the http address of Plone itself";
            return Err(BadPloneUrl(reason.to_owned()));
        }
        let uri: Option<Uri> = url.parse().ok();
        let is_good = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
        });
        if is_good { Ok(url.to_owned()) } else { Err(BadPloneUrl(format!("{url:?} is not the http URL of a site"))) }
    }

    /// Returns the name of a field in the college's section type.
    #[must_use]
    pub fn field_name(&self, field: SectionField) -> &str {
        self.fields.get(&field).map_or(field.as_str(), String::as_str)
    }
}

#[cfg(test)]
impl PloneOptions {
    /// Options for tests.
    pub(super) fn fixture() -> Self {
        Self {
            url: "http://127.0.0.1:8080/Plone".to_owned(),
            username: String::new(),
            password: String::new().into(),
            sections_path: "/courses".to_owned(),
            section_type: "course_section".to_owned(),
            publish: None,
            pool_size: 1,
            queue_max: 1,
            timeout: Duration::from_secs(1),
            fields: BTreeMap::new(),
        }
    }
}
