//! Reads the alerts that staff send and correct.

use actix_web::HttpRequest;
use actix_web::web;
use jiff::Timestamp;
use utoipa::ToSchema;

use crate::domain::alert::{AlertContent, Category, MESSAGE_LEN_MAX, Priority, TITLE_LEN_MAX};
use crate::domain::audience::{AUDIENCE_LEN_MAX, Audience, SectionRef, UserRef};
use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;
use crate::identity::{Caller, Identity};
use crate::live::context::Live;
use crate::registration::readmodel::ReadModel;

use crate::http::alert_scope::may_send;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::Problem;

/// The description of a valid entry of `audience.sections`.
const SECTION_EXPECTED: &str = "the id of a section";
/// The longest name of a course, in characters.
const COURSE_CHARS_MAX: usize = 40;

/// An alert to send.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertRequest {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    #[schema(min_length = 1, max_length = 2_000)]
    message: String,
    #[schema(inline, default = "medium")]
    priority: Option<Priority>,
    #[schema(inline, default = "system")]
    category: Option<Category>,
    audience: Audience,
    /// When to send it. Absent, null or in the past: immediately.
    starts_at: Option<Timestamp>,
    /// When it expires, which must be after it is sent.
    expires_at: Option<Timestamp>,
    #[schema(default = false)]
    requires_ack: Option<bool>,
}

impl RequestBody for AlertRequest {
    const SET_BY_HUB: &'static [&'static str] = &["id", "seq", "source", "sender", "created_at", "cap"];

    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let title = fields.string("title", 1..=TITLE_LEN_MAX)?;
        let message = fields.string("message", 1..=MESSAGE_LEN_MAX)?;
        for (name, text) in [("title", &title), ("message", &message)] {
            if text.trim().is_empty() {
                return Err(Problem::invalid(name, format!("{name} must not be blank.")));
            }
        }
        let categories = "system, workflow, schedule, content, security or emergency";
        Ok(Self {
            title,
            message,
            priority: fields.maybe_parsed("priority", "low, medium, high or critical", Priority::parse)?,
            category: fields.maybe_parsed("category", categories, Category::parse)?,
            audience: read_audience(fields.object("audience")?)?,
            starts_at: fields.maybe_timestamp("starts_at")?,
            expires_at: fields.maybe_timestamp("expires_at")?,
            requires_ack: fields.maybe_bool("requires_ack")?,
        })
    }
}

fn read_audience(mut fields: Fields) -> Result<Audience, Problem> {
    let all = fields.maybe_bool("all")?.unwrap_or(false);
    let roles =
        fields.maybe_parsed_list("roles", Role::NAMED.len(), "student, instructor, staff or admin", Role::parse)?;
    let section = |text: &str| SectionId::parse(text).ok().map(SectionRef);
    let sections = fields.maybe_parsed_list("sections", AUDIENCE_LEN_MAX, SECTION_EXPECTED, section)?;
    let courses = fields.maybe_strings("courses", AUDIENCE_LEN_MAX, 1..=COURSE_CHARS_MAX)?;
    let user = |text: &str| UserName::parse(text).ok().map(UserRef);
    let users = fields.maybe_parsed_list("users", AUDIENCE_LEN_MAX, "a username", user)?;
    fields.finish()?;
    let audience = Audience {
        all,
        roles: roles.unwrap_or_default(),
        sections: sections.unwrap_or_default(),
        courses: courses.unwrap_or_default(),
        users: users.unwrap_or_default(),
    };
    if audience.is_empty() {
        let detail = "audience must name recipients: all, roles, sections, courses or users.";
        return Err(Problem::invalid("audience", detail));
    }
    Ok(audience)
}

impl AlertRequest {
    /// Validates the sections and the expiry, and sets the defaults.
    fn into_content(self, model: &ReadModel, now: Timestamp) -> Result<AlertContent, Problem> {
        let unknown = self.audience.sections.iter().position(|section| model.section(&section.0).is_none());
        if let Some(at) = unknown {
            let field = format!("audience.sections[{at}]");
            let detail = format!("{field} must be {SECTION_EXPECTED}.");
            return Err(Problem::invalid(field, detail));
        }
        if self.expires_at.is_some_and(|end| end <= self.starts_at.unwrap_or(now).max(now)) {
            return Err(Problem::invalid("expires_at", "expires_at must be after the alert is sent."));
        }
        Ok(AlertContent {
            title: self.title,
            message: self.message,
            priority: self.priority.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            // `all` already includes everyone else in the audience.
            audience: if self.audience.all { Audience::everyone() } else { self.audience },
            starts_at: self.starts_at,
            expires_at: self.expires_at,
            requires_ack: self.requires_ack.unwrap_or(false),
            notice: None,
            cap: None,
        })
    }
}

/// Reads an alert that the caller may send.
pub(super) async fn read_content(
    request: &HttpRequest,
    payload: web::Payload,
    caller: &Caller,
    live: &Live,
    identity: &Identity,
) -> Result<AlertContent, Problem> {
    let body = read_body::<AlertRequest>(request, payload).await?;
    let mut content = body.into_content(&live.model, live.clock.now())?;
    for UserRef(user) in &mut content.audience.users {
        *user = identity.resolve(user.as_str()).unwrap_or_else(|_| user.clone());
    }
    may_send(caller, &content.audience, &live.model)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<AlertRequest>(&[("audience", json!({ "all": true }))]);
    }
}
