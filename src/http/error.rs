//! The error type of handlers: a problem document (RFC 9457) with its headers.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError, Route, guard, web};

use crate::domain::attempt::Receipt;
use crate::domain::ids::SectionId;
use crate::domain::refusal::Refusal;
use crate::http::hot::BuildError;
use crate::http::problem::{ProblemCode, ProblemDocument};
use crate::http::refusal_text;
use crate::live::ws;
use crate::plone::cache::ReadError;
use crate::plone::port::PloneError;
use crate::plone::problem::PullFailure;
use crate::registration::registrar::SubmitError;
use crate::store::StoreError;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// `Retry-After` while the hub is busy, in seconds: short, because a batch takes milliseconds.
const BUSY_RETRY_S: u32 = 1;
/// `Retry-After` while the store recovers, in seconds.
const RECOVERY_RETRY_S: u32 = 2;
/// `Retry-After` while Plone does not respond, in seconds: about the interval at which the hub itself retries.
const PLONE_RETRY_S: u32 = 5;

/// A problem document with its headers. Handlers return it as their error.
#[derive(Debug)]
pub struct Problem {
    // Boxed, so that every `Result<_, Problem>` stays small.
    document: Box<ProblemDocument>,
    allow: Option<&'static str>,
    // For the log only; the caller never sees it.
    cause: Option<String>,
}

impl Problem {
    /// Creates a problem. `detail` explains it to the person who sent the request.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut document = Box::new(ProblemDocument::new(code, detail.into()));
        document.retry_after = matches!(code, ProblemCode::Overloaded).then_some(BUSY_RETRY_S);
        Self { document, allow: None, cause: None }
    }
    /// Returns a problem with status 400: the request cannot be parsed.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::BadRequest, detail)
    }
    /// Returns a problem with status 422: the value of `field` is out of range, unknown or missing.
    pub fn invalid(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::Invalid, detail).field(field)
    }
    /// Returns a problem with status 404: the resource does not exist.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::NotFound, detail)
    }
    /// Returns a problem with status 403: the caller may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::Forbidden, detail)
    }
    /// Returns a problem with status 503: the hub is busy; the request was not processed.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(ProblemCode::Overloaded, "The system is busy and nothing was changed. Try again in a moment.")
    }
    /// Returns a problem with status 503: a commit failed, and it is unknown whether the change is durable.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        let detail = "We could not confirm whether your change was saved. Check before you try again.";
        Self::new(ProblemCode::OutcomeUnknown, detail).retry_after(RECOVERY_RETRY_S)
    }
    /// Returns a problem with status 500: the hub failed. `cause` is written to the log with the request id and is
    /// never sent to the caller.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let detail =
            "Something went wrong in EduHub. If it happens again, report it with its request ID (X-Request-Id).";
        Self::new(ProblemCode::Internal, detail).caused_by(cause)
    }
    /// Returns a problem with status 507: the disk is full. `cause` is written to the log with the request id and is
    /// never sent to the caller.
    pub fn disk_full(cause: impl fmt::Display) -> Self {
        let detail = "The hub's disk is full and nothing was changed. An administrator must free some space.";
        Self::new(ProblemCode::DiskFull, detail).caused_by(cause)
    }
    /// Returns a problem with status 429: the caller may retry after `retry_after_s` seconds.
    pub fn rate_limited(detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self::new(ProblemCode::RateLimited, detail).retry_after(retry_after_s)
    }
    /// Returns a problem with status 413: the body has more than `bytes_max` bytes.
    pub fn too_large(detail: impl Into<Cow<'static, str>>, bytes_max: usize) -> Self {
        let mut problem = Self::new(ProblemCode::TooLarge, detail);
        problem.document.bytes_max = Some(bytes_max as u64);
        problem
    }

    /// Replaces the text that explains the problem.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.document.detail = detail.into();
        self
    }
    /// Names the field that is wrong.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.document.field = Some(name.into());
        self
    }
    /// Names the section to which a refusal applies, if it is not the requested one.
    #[must_use]
    pub fn in_section(mut self, id: SectionId) -> Self {
        self.document.detail = format!("{id}: {}", self.document.detail).into();
        self.document.section = Some(id);
        self
    }
    /// Sets the machine-readable reason why a value is invalid.
    #[must_use]
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.document.reason = Some(reason);
        self
    }
    /// Sets the seconds to wait, in `Retry-After` and in the document.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.document.retry_after = Some(seconds);
        self
    }
    /// Sets the `Allow` header.
    #[must_use]
    pub const fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }
    /// Sets the cause that is written to the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Sets the receipt of the attempt that was refused.
    #[must_use]
    pub fn receipt(mut self, receipt: Option<Receipt>) -> Self {
        self.document.receipt = receipt.map(Into::into);
        self
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        self.document.code
    }
    /// Returns the cause that is written to the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
    /// Returns the document that is sent to the caller.
    #[must_use]
    pub fn document(&self) -> &ProblemDocument {
        &self.document
    }
    /// Returns the document alone, for a response that contains it.
    #[must_use]
    pub fn into_document(self) -> Box<ProblemDocument> {
        self.document
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.document.code.as_str(), self.document.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        if self.document.status == 401 {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if self.document.status == 426 {
            // RFC 9110, section 15.5.22, and RFC 6455, section 4.4.
            response.insert_header((header::UPGRADE, HeaderValue::from_static("websocket")));
            response.insert_header((header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(ws::VERSION)));
        }
        if let Some(seconds) = self.document.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        // Serializing strings, numbers and lists cannot fail.
        response.body(serde_json::to_vec(&self.document).unwrap_or_default())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::overloaded(),
            StoreError::Unavailable(_) => Self::overloaded().retry_after(RECOVERY_RETRY_S).caused_by(error),
            StoreError::Superseded(_) => Self::overloaded().caused_by(error),
            StoreError::CommitFailed(_) => Self::outcome_unknown().caused_by(error),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

/// Returns a text about a failure of Plone for the caller, without any part of Plone's own response.
#[must_use]
pub fn plone_error_text(error: &PloneError) -> String {
    PullFailure::from(error).to_string()
}

impl From<PloneError> for Problem {
    fn from(error: PloneError) -> Self {
        let problem = Self::new(ProblemCode::PloneUnavailable, plone_error_text(&error)).retry_after(PLONE_RETRY_S);
        // The Plone client logs an outage once; logging it for each request would flood the log.
        if error.is_transient() { problem } else { problem.caused_by(error) }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(error) => error.into(),
            ReadError::Timeout => {
                let detail = "The college website (Plone) did not respond in time.";
                Self::new(ProblemCode::PloneLate, detail).retry_after(PLONE_RETRY_S)
            }
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Overloaded => Self::overloaded(),
            SubmitError::OutcomeUnknown => Self::outcome_unknown(),
            SubmitError::Failed => Self::internal(error),
        }
    }
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Self {
        Self::internal(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = ProblemCode::Refused(refusal.code());
        let mut problem = Self::new(code, refusal_text::of(&refusal));
        let document = &mut problem.document;
        match refusal {
            Refusal::SectionCancelled | Refusal::SectionClosed => {}
            Refusal::RegistrationClosed { opens_at, closes_at, now, what: _ } => {
                document.opens_at = Some(opens_at);
                document.closes_at = Some(closes_at);
                document.now = Some(now);
            }
            Refusal::Hold { holds } => document.holds = Some(holds.into_iter().map(Into::into).collect()),
            Refusal::Prerequisite { unmet } => document.unmet = Some(unmet),
            Refusal::AlreadyInCourse { conflicts_with, .. } => document.conflicts_with = Some(vec![conflicts_with]),
            Refusal::TimeConflict { conflicts_with } => document.conflicts_with = Some(conflicts_with),
            Refusal::CreditLimit { credits, total, limit } => {
                document.credits = Some(credits);
                document.credits_wanted = Some(total);
                document.credit_limit = Some(limit);
            }
            Refusal::RepeatLimit { taken, limit } => {
                document.taken = Some(taken);
                document.repeat_limit = Some(limit);
            }
            Refusal::LinkedSectionRequired { choices } => document.choices = Some(choices),
            Refusal::Restricted { restrictions } => document.restrictions = Some(restrictions),
            Refusal::SectionFull { reserved, waitlist_open, waitlisted } => {
                document.reserved = reserved;
                document.waitlist_open = Some(waitlist_open);
                document.waitlisted = Some(waitlisted);
            }
            Refusal::WaitlistFull { waitlisted } => document.waitlisted = Some(waitlisted),
        }
        problem
    }
}

/// Responds with 404. This is the default service of the application.
pub async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("There is nothing at this address."))
}

/// Returns the default service of a resource, which responds with 405:
/// `web::resource(…).route(…).default_service(method_not_allowed("GET, HEAD, PUT"))`.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Route {
    web::to(move || async move {
        let detail = format!("This address supports only {allow}.");
        Err::<HttpResponse, Problem>(Problem::new(ProblemCode::MethodNotAllowed, detail).allow(allow))
    })
}

/// Returns a route for GET and HEAD. The hub supports HEAD wherever it supports GET (RFC 9110, 9.3.2); actix omits the
/// body.
#[must_use]
pub fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Returns the problem that replaces an error response that actix created.
#[must_use]
pub fn problem_for_status(status: StatusCode) -> Problem {
    match status.as_u16() {
        401 => Problem::new(ProblemCode::Unauthenticated, "Sign in to continue."),
        403 => Problem::forbidden("You are not allowed to do this."),
        404 => Problem::not_found("There is nothing at this address."),
        405 => Problem::new(ProblemCode::MethodNotAllowed, "This address does not support the method."),
        413 => Problem::new(ProblemCode::TooLarge, "The request is too large."),
        415 => Problem::new(ProblemCode::UnsupportedMediaType, "This format is not accepted here."),
        422 => Problem::new(ProblemCode::Invalid, "A value is invalid."),
        429 => Problem::rate_limited("Too many requests. Wait a moment, then try again.", BUSY_RETRY_S),
        503 => Problem::overloaded(),
        400..500 => Problem::bad_request("The request could not be read."),
        _ => Problem::internal(format_args!("a response of status {status}")),
    }
}

/// Returns a response header as text; empty when it is absent.
#[cfg(test)]
pub(crate) fn header_of(headers: &header::HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refusal::ClosedAction;
    use serde_json::{Value, json};

    /// Returns the document as JSON, as it is sent to the caller.
    fn written(problem: &Problem) -> Value {
        serde_json::to_value(problem.document()).unwrap()
    }

    use actix_web::{App, test};

    #[test]
    async fn problem_documents_have_the_members_of_rfc_9457() {
        let problem = Problem::invalid("title", "Too long.");
        assert_eq!(
            written(&problem),
            json!({"type": "/docs/problems#invalid", "title": "A value is invalid", "status": 422,
                   "code": "invalid", "detail": "Too long.", "field": "title"})
        );
        assert_eq!(header_of(problem.error_response().headers(), header::CONTENT_TYPE), PROBLEM_JSON);
    }

    #[test]
    async fn codes_set_their_headers() {
        let busy = Problem::overloaded().error_response();
        assert_eq!((busy.status().as_u16(), header_of(busy.headers(), header::RETRY_AFTER)), (503, "1"));
        let limited = Problem::rate_limited("Wait.", 7);
        assert_eq!(written(&limited)["retry_after"], 7);
        assert_eq!(header_of(limited.error_response().headers(), header::RETRY_AFTER), "7");
        let visitor = Problem::new(ProblemCode::Unauthenticated, "Sign in.").error_response();
        assert_eq!(header_of(visitor.headers(), header::WWW_AUTHENTICATE), "Bearer");
    }

    #[test]
    async fn the_cause_of_an_internal_error_is_only_logged() {
        let problem = Problem::from(StoreError::Corrupt("table people, row 7".to_owned()));
        assert!(problem.cause().unwrap().contains("row 7"));
        assert!(!written(&problem).to_string().contains("row 7"));
    }

    #[test]
    async fn responses_of_plone_are_only_logged() {
        let cases = [
            (Problem::from(PloneError::Failed("Traceback: KeyError at 10.0.0.7".to_owned())), 502),
            (Problem::from(ReadError::Failed(PloneError::Unavailable("10.0.0.7:8080".to_owned()))), 502),
            (Problem::from(ReadError::Timeout), 504),
        ];
        for (problem, status) in cases {
            let document = written(&problem);
            assert_eq!((&document["status"], &document["code"]), (&json!(status), &json!("plone_unavailable")));
            assert!(!document.to_string().contains("10.0.0.7"), "{document}");
        }
    }

    #[test]
    async fn refusals_include_the_members_of_their_code() {
        let other = SectionId::parse("202209-10002").unwrap();
        let table: [(Refusal, &str, Value); 4] = [
            (Refusal::TimeConflict { conflicts_with: vec![other.clone()] }, "conflicts_with", json!(["202209-10002"])),
            (
                Refusal::AlreadyInCourse { conflicts_with: other, course: "MATH 151".into() },
                "conflicts_with",
                json!(["202209-10002"]),
            ),
            (
                Refusal::SectionFull { reserved: false, waitlist_open: true, waitlisted: 3 },
                "waitlist_open",
                json!(true),
            ),
            (
                Refusal::RegistrationClosed {
                    opens_at: Some("2022-09-07T15:00:00Z".parse().unwrap()),
                    closes_at: None,
                    now: "2022-09-07T14:59:00Z".parse().unwrap(),
                    what: ClosedAction::Register,
                },
                "opens_at",
                json!("2022-09-07T15:00:00Z"),
            ),
        ];
        for (refusal, member, value) in table {
            let code = refusal.code().as_str();
            let document = written(&Problem::from(refusal));
            assert_eq!((&document["status"], &document["code"]), (&json!(409), &json!(code)));
            assert_eq!(document[member], value, "{code}");
        }
    }

    #[test]
    async fn closed_registration_detail_depends_on_the_decision_time() {
        let at = |text: &str| Some(format!("2022-09-{text}T15:00:00Z").parse::<jiff::Timestamp>().unwrap());
        let table = [
            (None, None, "06", "not been announced"),
            (None, at("08"), "06", "not been announced"),
            (at("07"), None, "06", "not opened yet"),
            (at("07"), at("08"), "06", "not opened yet"),
            (at("07"), at("08"), "08", "has ended"),
            (at("07"), at("08"), "09", "has ended"),
        ];
        for (opens_at, closes_at, day, words) in table {
            let refusal = Refusal::RegistrationClosed {
                opens_at,
                closes_at,
                now: at(day).unwrap(),
                what: ClosedAction::Register,
            };
            let document = Problem::from(refusal).into_document();
            assert_eq!(document.now, at(day));
            assert!(document.detail.contains(words), "{words}: {}", document.detail);
        }
    }

    #[actix_web::test]
    async fn unknown_paths_and_wrong_methods_get_problem_documents() {
        let thing = || {
            web::resource("/thing").route(get().to(HttpResponse::Ok)).default_service(method_not_allowed("GET, HEAD"))
        };
        let app = test::init_service(App::new().service(thing()).default_service(web::to(not_found))).await;
        let response = test::call_service(&app, test::TestRequest::get().uri("/nothing").to_request()).await;
        assert_eq!(response.status(), 404);
        let response = test::call_service(&app, test::TestRequest::delete().uri("/thing").to_request()).await;
        assert_eq!((response.status().as_u16(), header_of(response.headers(), header::ALLOW)), (405, "GET, HEAD"));
        let document: Value = test::read_body_json(response).await;
        assert_eq!(document["code"], "method_not_allowed");
        let response = test::call_service(
            &app,
            test::TestRequest::with_uri("/thing").method(actix_web::http::Method::HEAD).to_request(),
        )
        .await;
        assert_eq!(response.status(), 200);
    }
}
