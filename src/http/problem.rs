//! Problem documents (RFC 9457) and their codes. Clients depend on the codes, so they never change.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use strum::{EnumIter, IntoEnumIterator, VariantArray};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::ids::SectionId;
use crate::domain::prerequisite::Unmet;
use crate::domain::refusal::RefusalCode;
use crate::domain::restriction::Restriction;
use crate::domain::section::Credits;
use crate::http::attempts::ReceiptResponse;
use crate::http::students::HoldResponse;

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter)]
pub enum ProblemCode {
    /// The request cannot be parsed, or a field has the wrong type.
    BadRequest,
    /// The body arrived too slowly.
    #[strum(disabled)] // shares its name with `BadRequest`
    BodyLate,
    /// The request needs a signed-in user, or its token is invalid.
    Unauthenticated,
    /// The username or the password is wrong.
    BadCredentials,
    /// The password is correct, but the account also needs a code, or the code is wrong.
    SecondFactorRequired,
    /// The account already has a second factor.
    SecondFactorExists,
    /// The caller may not do this.
    Forbidden,
    /// The resource does not exist.
    NotFound,
    /// The resource does not support this method.
    MethodNotAllowed,
    /// The body has more bytes than are accepted.
    TooLarge,
    /// The body has a format that is not accepted here.
    UnsupportedMediaType,
    /// The request asks for a version of the WebSocket protocol that is not supported.
    UpgradeRequired,
    /// A value is well-formed, but out of range or unknown, or a required value is missing.
    Invalid,
    /// Too many requests, or too many failed sign-ins.
    RateLimited,
    /// The hub failed.
    Internal,
    /// The disk is full.
    #[strum(disabled)] // shares its name with `Internal`
    DiskFull,
    /// The hub has more work than it accepts; the request was not processed.
    Overloaded,
    /// A commit failed, and it is unknown whether the change is durable.
    OutcomeUnknown,
    /// Plone fails or does not respond, and the hub has no copy of the requested content.
    PloneUnavailable,
    /// Plone did not respond in time.
    #[strum(disabled)] // shares its name with `PloneUnavailable`
    PloneLate,
    /// The import profile is built-in, so it cannot be changed.
    ProfileBuiltIn,
    /// A person cannot be erased, because the person is registered in a term that has not ended.
    StillRegistered,
    /// Another part of the swap could not be completed, so nothing was changed.
    SwapRefused,
    /// A plan has fewer credits than the student must take. Only in the check of a plan.
    CreditMin,
    /// A registration rule refuses the request.
    #[strum(disabled)] // `all` adds each refusal code
    Refused(RefusalCode),
}

impl ProblemCode {
    /// Returns all codes in the order in which `/docs/problems` explains them, each name once.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter().chain(RefusalCode::VARIANTS.iter().map(|code| Self::Refused(*code)))
    }

    /// Returns the name of the code: the member `code` of a problem document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest | Self::BodyLate => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::BadCredentials => "bad_credentials",
            Self::SecondFactorRequired => "second_factor_required",
            Self::SecondFactorExists => "second_factor_exists",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UpgradeRequired => "upgrade_required",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate_limited",
            Self::Internal | Self::DiskFull => "internal",
            Self::Overloaded => "overloaded",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::PloneUnavailable | Self::PloneLate => "plone_unavailable",
            Self::ProfileBuiltIn => "profile_built_in",
            Self::StillRegistered => "still_registered",
            Self::SwapRefused => "swap_refused",
            Self::CreditMin => "credit_min",
            Self::Refused(code) => code.as_str(),
        }
    }

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::BodyLate => 408,
            Self::Unauthenticated | Self::BadCredentials | Self::SecondFactorRequired => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::SecondFactorExists
            | Self::ProfileBuiltIn
            | Self::StillRegistered
            | Self::SwapRefused
            | Self::CreditMin
            | Self::Refused(_) => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::UpgradeRequired => 426,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::PloneUnavailable => 502,
            Self::Overloaded | Self::OutcomeUnknown => 503,
            Self::PloneLate => 504,
            Self::DiskFull => 507,
        }
    }

    /// Returns the title, which is the same for every problem with this code.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest | Self::BodyLate => "The request could not be read",
            Self::Unauthenticated => "Sign-in required",
            Self::BadCredentials => "Incorrect username or password",
            Self::SecondFactorRequired => "A one-time code is required",
            Self::SecondFactorExists => "The account already has a second factor",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::TooLarge => "Too large",
            Self::UnsupportedMediaType => "Unsupported format",
            Self::UpgradeRequired => "Unsupported WebSocket version",
            Self::Invalid => "A value is invalid",
            Self::RateLimited => "Too many requests",
            Self::Internal | Self::DiskFull => "Something went wrong",
            Self::Overloaded => "The system is busy",
            Self::OutcomeUnknown => "The outcome is unknown",
            Self::PloneUnavailable | Self::PloneLate => "The college website is not responding",
            Self::ProfileBuiltIn => "The profile is built in",
            Self::StillRegistered => "The person is still registered",
            Self::SwapRefused => "The swap was not made",
            Self::CreditMin => "Too few credits",
            Self::Refused(RefusalCode::RegistrationClosed) => "Registration is not open",
            Self::Refused(RefusalCode::Hold) => "There is a hold on your account",
            Self::Refused(RefusalCode::SectionCancelled) => "The section is cancelled",
            Self::Refused(RefusalCode::SectionClosed) => "The section is closed",
            Self::Refused(RefusalCode::AlreadyInCourse) => "You are already in this course",
            Self::Refused(RefusalCode::RepeatLimit) => "You have reached the limit for repeating this course",
            Self::Refused(RefusalCode::LinkedSectionRequired) => "Another section must be taken with this one",
            Self::Refused(RefusalCode::Restricted) => "The section is not open to you",
            Self::Refused(RefusalCode::Prerequisite) => "A prerequisite is not met",
            Self::Refused(RefusalCode::TimeConflict) => "The section overlaps another one",
            Self::Refused(RefusalCode::CreditLimit) => "Credit limit exceeded",
            Self::Refused(RefusalCode::SectionFull) => "The section is full",
            Self::Refused(RefusalCode::WaitlistFull) => "The waitlist is full",
        }
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        let names = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::all().map(Self::as_str)));
        RefOr::T(names.description(Some("Stable; more may be added.")).into())
    }
}

impl ToSchema for ProblemCode {}

/// A problem document (RFC 9457). `/docs/problems` explains each code.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// The address of the code's explanation: `/docs/problems#CODE`.
    #[serde(rename = "type")]
    pub about: String,
    /// The title, which is the same for every problem with this code.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The kind of the problem.
    pub code: ProblemCode,
    /// What went wrong and what to do next, for the person who sent the request.
    pub detail: Cow<'static, str>,
    /// The parameter or member that is wrong (`bad_request`, `invalid`), such as `audience.roles[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<String>,
    /// The section among the waitlist choices that is refused, if it is not the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub section: Option<SectionId>,
    /// `invalid`, for some values: why. For a new password `too_short`, `too_long`, `characters`, `common` or `name`;
    /// for other values `term_code`, `closes_before_opening`, `username` or `last_admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<&'static str>,
    /// Seconds to wait, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_after: Option<u32>,
    /// `too_large`: the largest accepted size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bytes_max: Option<u64>,
    /// `registration_closed`: when registration opens, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    pub opens_at: Option<Option<Timestamp>>,
    /// `registration_closed`: when registration closes or closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    pub closes_at: Option<Option<Timestamp>>,
    /// `registration_closed`: the time of the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub now: Option<Timestamp>,
    /// `hold`: the holds that block the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub holds: Option<Vec<HoldResponse>>,
    /// `prerequisite`: what the student lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unmet: Option<Unmet>,
    /// `linked_section_required`: the linked sections in which the student can get a seat now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub choices: Option<Vec<SectionId>>,
    /// `restricted`: the conditions that the student does not meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub restrictions: Option<Vec<Restriction>>,
    /// `repeat_limit`: how many times the student took the course.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub taken: Option<u32>,
    /// `repeat_limit`: how many times it may be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repeat_limit: Option<u32>,
    /// `already_in_course`, `time_conflict`: the sections that conflict with the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub conflicts_with: Option<Vec<SectionId>>,
    /// `credit_limit`: the credits in which the student is enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub credits: Option<Credits>,
    /// `credit_limit`, `credit_min`: the credits that the request would have led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub credits_wanted: Option<Credits>,
    /// `credit_limit`: the maximum number of credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub credit_limit: Option<Credits>,
    /// `credit_min`: the number of credits that are required.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub credit_min: Option<Credits>,
    /// `section_full`: whether the seats that are left are reserved for other groups of students.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub reserved: bool,
    /// `section_full`: whether `waitlist=true` would be accepted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub waitlist_open: Option<bool>,
    /// `section_full`, `waitlist_full`: the number of students on the waitlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub waitlisted: Option<u32>,
    /// The receipt of the decision about a registration or drop: in every refusal, in `swap_refused`, and, if the term
    /// exists, in `not_found` and in `invalid` for a section among the waitlist choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub receipt: Option<ReceiptResponse>,
}

impl ProblemDocument {
    /// Creates a document that has no members beyond those of every problem.
    pub(super) fn new(code: ProblemCode, detail: Cow<'static, str>) -> Self {
        Self {
            about: format!("/docs/problems#{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            code,
            detail,
            field: None,
            section: None,
            reason: None,
            retry_after: None,
            bytes_max: None,
            opens_at: None,
            closes_at: None,
            now: None,
            holds: None,
            unmet: None,
            choices: None,
            restrictions: None,
            taken: None,
            repeat_limit: None,
            reserved: false,
            conflicts_with: None,
            credits: None,
            credits_wanted: None,
            credit_limit: None,
            credit_min: None,
            waitlist_open: None,
            waitlisted: None,
            receipt: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_lists_each_code_once_including_refusals() {
        let names: Vec<_> = ProblemCode::all().map(ProblemCode::as_str).collect();
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        assert_eq!((names.first(), names.last()), (Some(&"bad_request"), Some(&"waitlist_full")));
        assert!(RefusalCode::VARIANTS.iter().all(|code| names.contains(&code.as_str())), "{names:?}");
        assert!(names.contains(&ProblemCode::PloneLate.as_str()), "{names:?}");
    }
}
