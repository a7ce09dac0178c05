//! Where the college's Plone is, how much may be asked of it, and what this college calls things.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::Uri;
use secrecy::SecretString;

use crate::domain::fields::SectionField;

/// What the client is built from.
#[derive(Debug, Clone)]
pub struct PloneOptions {
    /// The address of the site, such as `http://127.0.0.1:8080/Plone`.
    pub url: String,
    /// The hub's own user.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// The folder of the sections, from the site's root, with a slash before it and none behind.
    pub sections_path: String,
    /// The portal type of a section.
    pub section_type: String,
    /// The workflow transition that makes a new section visible; none: it stays as Plone makes it.
    pub publish: Option<String>,
    /// Connections at once.
    pub pool_size: usize,
    /// Calls that may wait for one.
    pub queue_max: usize,
    /// How long one call may take, its waiting included.
    pub timeout: Duration,
    /// What this college's section type calls a field, where it is not the hub's own name.
    pub fields: BTreeMap<SectionField, String>,
}

/// The address of a site that cannot be used, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[plone] url: {0}")]
pub struct BadPloneUrl(pub String);

impl PloneOptions {
    /// The address, without a slash at its end, once it is known that it can be used.
    pub(super) fn checked_url(&self) -> Result<String, BadPloneUrl> {
        let url = self.url.trim_end_matches('/');
        if url.starts_with("https://") {
            let words = "is https, which the hub does not speak to Plone: name Plone's own address, which is http";
            return Err(BadPloneUrl(words.to_owned()));
        }
        let uri: Option<Uri> = url.parse().ok();
        let is_good = uri.is_some_and(|uri| {
            uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
        });
        if is_good { Ok(url.to_owned()) } else { Err(BadPloneUrl(format!("{url:?} is not the address of a site"))) }
    }

    /// What this college's section type calls a field.
    #[must_use]
    pub fn field_name(&self, field: SectionField) -> &str {
        self.fields.get(&field).map_or(field.as_str(), String::as_str)
    }
}

#[cfg(test)]
impl PloneOptions {
    /// A site, for tests.
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
