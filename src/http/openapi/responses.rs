//! Responses that many operations share: problem documents by status, and `304`.
//!
//! Each type stands for one response or for a group of responses. An operation lists them after its own responses:
//! `responses((status = 200, body = Term), BadBody, BadRole)`.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use crate::http::error::PROBLEM_JSON;

/// A header of a shared response.
#[derive(Clone, Copy)]
enum ExtraHeader {
    Nothing,
    RetryAfter,
    Challenge,
}

impl ExtraHeader {
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

fn problem(description: &str, carries: ExtraHeader) -> Response {
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

/// Returns the responses for the document's `components`, by name.
pub(super) fn components() -> BTreeMap<String, RefOr<Response>> {
    use ExtraHeader::{Challenge, Nothing, RetryAfter};
    let problems = [
        ("BadRequest", "`bad_request`: the request cannot be parsed, or `field` has the wrong type.", Nothing),
        ("Unauthenticated", "`unauthenticated`: not signed in, or the token is invalid or expired.", Challenge),
        (
            "BadCredentials",
            "`bad_credentials`: incorrect username or password; `second_factor_required`: the password is correct, and \
             `code` is missing, wrong or already used.",
            Challenge,
        ),
        ("FactorExists", "`second_factor_exists`: the account already has a second factor.", Nothing),
        (
            "Forbidden",
            "`forbidden`: the caller's role does not allow the operation, or the request is authenticated by cookie, \
             changes something, and its `Origin` is not the hub's.",
            Nothing,
        ),
        ("NotFound", "`not_found`: the resource does not exist.", Nothing),
        (
            "Refused",
            "A registration rule refuses the request. If several apply, the first one in this order is returned: \
             `registration_closed`, `hold`, `section_cancelled`, `section_closed`, `already_in_course`, \
             `repeat_limit`, `prerequisite`, `linked_section_required`, `time_conflict`, `credit_limit`, `restricted`, \
             `section_full`, `waitlist_full`.",
            Nothing,
        ),
        ("TooLarge", "`too_large`: the body has more than `bytes_max` bytes.", Nothing),
        (
            "UnsupportedMediaType",
            "`unsupported_media_type`: this operation does not accept the body's format or compression.",
            Nothing,
        ),
        (
            "UpgradeRequired",
            "`upgrade_required`: the hub supports only the WebSocket version in `Sec-WebSocket-Version`.",
            Nothing,
        ),
        ("Invalid", "`invalid`: `field` is out of range, unknown or missing.", Nothing),
        ("RateLimited", "`rate_limited`: too many requests, or too many failed sign-ins.", RetryAfter),
        (
            "Unavailable",
            "`overloaded`: nothing was changed, and you can retry after the seconds in `Retry-After`; or \
             `outcome_unknown`: check the current state before you retry.",
            RetryAfter,
        ),
        (
            "PloneUnavailable",
            "`plone_unavailable`: Plone is unavailable or fails (502), or the hub has stopped waiting for it (504).",
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

/// Defines a type for a group of shared responses, given as pairs of a status and a component name.
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
    /// `400` of an operation that reads its path but no other input.
    BadPath { "400" "BadRequest" }
    /// `426` of the WebSocket.
    UnsupportedVersion { "426" "UpgradeRequired" }
    /// `400` and `422` of an operation that reads its query.
    BadQuery { "400" "BadRequest", "422" "Invalid" }
    /// `400`, `413`, `415` and `422` of an operation that reads a JSON body.
    BadBody { "400" "BadRequest", "413" "TooLarge", "415" "UnsupportedMediaType", "422" "Invalid" }
    /// `401` of an operation that requires a token, or accepts one.
    BadToken { "401" "Unauthenticated" }
    /// `401` and `403` of an operation that requires a role, or that pages of other sites must not call.
    BadRole { "401" "Unauthenticated", "403" "Forbidden" }
    /// `401` of a sign-in.
    BadCredentials { "401" "BadCredentials" }
    /// `403` of an operation that requires no role, but must not be called by pages of other sites.
    BadOrigin { "403" "Forbidden" }
    /// `404` of an operation on a single resource.
    NotFound { "404" "NotFound" }
    /// `409` of the set-up of a second factor.
    FactorExists { "409" "FactorExists" }
    /// `409` of a registration.
    Refused { "409" "Refused" }
    /// `502` and `504` of an operation that calls Plone.
    PloneFailed { "502" "PloneUnavailable", "504" "PloneUnavailable" }
    /// `502` of an operation that needs Plone and never responds with `504`.
    PloneUnavailable { "502" "PloneUnavailable" }
    /// `503` of an operation that uses the store.
    StoreFailed { "503" "Unavailable" }
    /// `429` from the rate limits, which are checked before any handler runs.
    RateLimited { "429" "RateLimited" }
    /// Every other status.
    Other { "default" "Other" }
}
