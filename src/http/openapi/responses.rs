//! Responses that many operations share: problem documents by status, and `304`.
//!
//! Each type here names one response, or a group that goes together; an operation lists them beside its own responses:
//! `responses((status = 200, body = Term), JsonBody, RoleNeeded)`.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use crate::http::error::PROBLEM_JSON;

/// A header that a shared response carries.
#[derive(Clone, Copy)]
enum Carries {
    Nothing,
    RetryAfter,
    Challenge,
}

impl Carries {
    fn header(self) -> Option<(&'static str, Header)> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        match self {
            Self::Nothing => None,
            Self::RetryAfter => {
                let schema = ObjectBuilder::new().schema_type(Type::Integer);
                Some((
                    "Retry-After",
                    HeaderBuilder::new().schema(Some(schema)).description(Some("Seconds to wait.")).build(),
                ))
            }
            Self::Challenge => {
                let header = HeaderBuilder::new().schema(Some(text.enum_values(Some(["Bearer"]))));
                Some(("WWW-Authenticate", header.build()))
            }
        }
    }
}

fn problem(description: &str, carries: Carries) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content);
    match carries.header() {
        Some((name, header)) => response.header(name, header).build(),
        None => response.build(),
    }
}

fn not_modified() -> Response {
    let etag = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
    ResponseBuilder::new().description("The ETag in `If-None-Match` is still current.").header("ETag", etag).build()
}

/// The responses that the document keeps under `components`, by name.
pub(super) fn components() -> BTreeMap<String, RefOr<Response>> {
    use Carries::{Challenge, Nothing, RetryAfter};
    let problems = [
        ("BadRequest", "`bad_request`: the request cannot be parsed, or `field` has the wrong type.", Nothing),
        ("Unauthenticated", "`unauthenticated`: not signed in, or the token is invalid or expired.", Challenge),
        ("BadCredentials", "`bad_credentials`: incorrect username or password.", Challenge),
        (
            "Forbidden",
            "`forbidden`: the caller's role does not allow it, or a request that changes something was authenticated by \
             cookie and its `Origin` is not the hub's.",
            Nothing,
        ),
        ("NotFound", "`not_found`: the resource does not exist.", Nothing),
        (
            "Refused",
            "A rule of registration refuses the request. Of several that apply, the first in this order is returned: \
             `registration_closed`, `section_cancelled`, `section_closed`, `already_in_course`, `time_conflict`, \
             `credit_limit`, `section_full`, `waitlist_full`.",
            Nothing,
        ),
        ("TooLarge", "`too_large`: the body has more than `bytes_max` bytes.", Nothing),
        (
            "UnsupportedMediaType",
            "`unsupported_media_type`: this operation does not accept the body's format or compression.",
            Nothing,
        ),
        ("Invalid", "`invalid`: `field` is out of range, unknown or missing.", Nothing),
        ("RateLimited", "`rate_limited`: too many requests, or too many failed sign-ins.", RetryAfter),
        (
            "Unavailable",
            "`overloaded`: nothing was done, retry after `Retry-After`; or `outcome_unknown`: read the current state \
             before you retry.",
            RetryAfter,
        ),
        (
            "PloneUnavailable",
            "`plone_unavailable`: the college's Plone does not answer (502), or not in time (504).",
            RetryAfter,
        ),
        ("Other", "Any other problem, such as 405 `method_not_allowed` with `Allow`, or 500 `internal`.", Nothing),
    ];
    let problems = problems.into_iter().map(|(name, description, carries)| (name, problem(description, carries)));
    problems
        .chain([("NotModified", not_modified())])
        .map(|(name, response)| (name.to_owned(), response.into()))
        .collect()
}

/// Defines types that stand for shared responses, as pairs of a status and the component's name.
macro_rules! shared {
    ($($(#[$doc:meta])* $group:ident { $($status:literal $component:literal),+ })+) => {$(
        $(#[$doc])*
        pub(in crate::http) struct $group;

        impl IntoResponses for $group {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let all = [$(($status, $component)),+];
                all.into_iter().map(|(status, name)| (status.to_owned(), Ref::from_response_name(name).into())).collect()
            }
        }
    )+};
}

shared! {
    /// `304` of a response that has an ETag.
    NotModified { "304" "NotModified" }
    /// `400` of an operation that reads only its path.
    BadPath { "400" "BadRequest" }
    /// `400` and `422` of an operation that reads its query.
    BadQuery { "400" "BadRequest", "422" "Invalid" }
    /// What may be wrong with a JSON body.
    BadBody { "400" "BadRequest", "413" "TooLarge", "415" "UnsupportedMediaType", "422" "Invalid" }
    /// `401` of an operation that needs a valid token, or takes one when it is sent.
    BadToken { "401" "Unauthenticated" }
    /// `401` and `403` of an operation that needs a role, or that a foreign origin may not call.
    BadRole { "401" "Unauthenticated", "403" "Forbidden" }
    /// `401` of a sign-in.
    BadCredentials { "401" "BadCredentials" }
    /// `403` of an operation that anyone may call from the hub's own origin.
    BadOrigin { "403" "Forbidden" }
    /// `404` of an operation on one resource.
    NotFound { "404" "NotFound" }
    /// `409` of a registration.
    Refused { "409" "Refused" }
    /// `502` and `504` of an operation that calls Plone.
    PloneFailed { "502" "PloneUnavailable", "504" "PloneUnavailable" }
    /// `502` of an operation that asks Plone and does not wait for it.
    PloneUnavailable { "502" "PloneUnavailable" }
    /// `503` of an operation that uses the store.
    StoreFailed { "503" "Unavailable" }
    /// `429`, from the limits that are checked before any handler runs.
    RateLimited { "429" "RateLimited" }
    /// Every other status.
    Other { "default" "Other" }
}
