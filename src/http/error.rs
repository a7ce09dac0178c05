//! Problem documents (RFC 9457): the body of every error response.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError, Route, guard, web};

use crate::domain::refusal::Refusal;
use crate::http::hot::NotBuilt;
use crate::http::problem::{ProblemCode, ProblemDocument};
use crate::plone::cache::ReadError;
use crate::plone::port::PloneError;
use crate::registration::registrar::SubmitError;
use crate::store::StoreError;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds until a caller may retry when the hub is busy: short, since a batch takes milliseconds.
const BUSY_RETRY_S: u32 = 1;
/// Seconds until a caller may retry while the store recovers.
const RECOVERY_RETRY_S: u32 = 2;
/// Seconds until a caller may retry while Plone does not answer: about as often as the hub itself retries.
const PLONE_RETRY_S: u32 = 5;

/// A problem document with its headers. Handlers return it as their error.
#[derive(Debug)]
pub struct Problem {
    // Boxed, so that every `Result<_, Problem>` stays small.
    document: Box<ProblemDocument>,
    allow: Option<&'static str>,
    // For the log, never for the caller.
    cause: Option<String>,
}

impl Problem {
    /// Creates a problem of this code; `detail` is for the person who sent the request, in plain words.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut document = Box::new(ProblemDocument::new(code, detail.into()));
        document.retry_after = matches!(code, ProblemCode::Overloaded).then_some(BUSY_RETRY_S);
        Self { document, allow: None, cause: None }
    }
    /// 400: the request cannot be parsed.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::BadRequest, detail)
    }
    /// 422: this field's value is not possible.
    pub fn invalid(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::Invalid, detail).field(field)
    }
    /// 404: the resource does not exist.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::NotFound, detail)
    }
    /// 403: the caller may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::Forbidden, detail)
    }
    /// 503: busy; nothing was tried.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::new(ProblemCode::Overloaded, "The hub is busy, and nothing was done. Please try again.")
    }
    /// 503: a commit failed, and whether the change is durable is not known.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        let detail = "It is not known whether this was done. Please check the current state before you try again.";
        Self::new(ProblemCode::OutcomeUnknown, detail).retry_after(RECOVERY_RETRY_S)
    }
    /// 500: `cause` goes to the log, with the request's id, and never to the caller.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let detail = "The hub failed; your request is not at fault. Its X-Request-Id finds the cause in the hub's log.";
        Self::new(ProblemCode::Internal, detail).caused_by(cause)
    }
    /// 429: retry after this many seconds.
    pub fn rate_limited(detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self::new(ProblemCode::RateLimited, detail).retry_after(retry_after_s)
    }
    /// 413: the body has more than `bytes_max` bytes.
    pub fn too_large(detail: impl Into<Cow<'static, str>>, bytes_max: usize) -> Self {
        let mut problem = Self::new(ProblemCode::TooLarge, detail);
        problem.document.bytes_max = Some(bytes_max as u64);
        problem
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.document.field = Some(name.into());
        self
    }
    /// Sets when the caller may retry, in the header and in the document.
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
    /// Keeps a cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        self.document.code
    }
    /// What the log records beside the code.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
    /// The document that the caller reads.
    #[must_use]
    pub fn document(&self) -> &ProblemDocument {
        &self.document
    }
    /// The document alone, for a response that has it as a part.
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
        if let Some(seconds) = self.document.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        // The document is made of strings, numbers and lists: it serializes without fail.
        response.body(serde_json::to_vec(&self.document).unwrap_or_default())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::overloaded(),
            StoreError::Unavailable(_) => Self::overloaded().retry_after(RECOVERY_RETRY_S).caused_by(error),
            StoreError::CommitFailed(_) => Self::outcome_unknown().caused_by(error),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

/// Describes a failure of Plone for the caller, without anything of Plone's own response.
#[must_use]
pub const fn plone_words(error: &PloneError) -> &'static str {
    match error {
        PloneError::Busy => "The hub has too many requests to the college's Plone at present.",
        PloneError::Open => "The college's Plone does not answer at present.",
        PloneError::Unavailable(_) => "The college's Plone did not answer.",
        PloneError::Failed(_) => "The college's Plone has failed.",
        PloneError::Occupied(_) => "Another user is changing this in the college's Plone at present.",
        PloneError::Unauthenticated | PloneError::Forbidden | PloneError::Locked(_) => {
            "The college's Plone does not allow the hub to do this."
        }
        PloneError::NotFound | PloneError::Refused(_) => "The college's Plone refuses this.",
    }
}

impl From<PloneError> for Problem {
    fn from(error: PloneError) -> Self {
        let problem = Self::new(ProblemCode::PloneUnavailable, plone_words(&error)).retry_after(PLONE_RETRY_S);
        // An outage is logged once, where it is noticed, not with each request that meets it.
        if error.is_passing() { problem } else { problem.caused_by(error) }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(error) => error.into(),
            ReadError::Late => {
                let detail = "The college's Plone did not answer in time.";
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

impl From<NotBuilt> for Problem {
    fn from(error: NotBuilt) -> Self {
        Self::internal(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = ProblemCode::Refused(refusal.code());
        let mut problem = Self::new(code, detail_of(&refusal));
        let document = &mut problem.document;
        match refusal {
            Refusal::SectionCancelled | Refusal::SectionClosed => {}
            Refusal::RegistrationClosed { opens_at, closes_at, now } => {
                document.opens_at = Some(opens_at);
                document.closes_at = Some(closes_at);
                document.now = Some(now);
            }
            Refusal::AlreadyInCourse { conflicts_with, .. } => document.conflicts_with = Some(vec![conflicts_with]),
            Refusal::TimeConflict { conflicts_with } => document.conflicts_with = Some(conflicts_with),
            Refusal::CreditLimit { credits, wanted, limit } => {
                document.credits = Some(credits);
                document.credits_wanted = Some(wanted);
                document.credit_limit = Some(limit);
            }
            Refusal::SectionFull { waitlist_open, waitlisted } => {
                document.waitlist_open = Some(waitlist_open);
                document.waitlisted = Some(waitlisted);
            }
            Refusal::WaitlistFull { waitlisted } => document.waitlisted = Some(waitlisted),
        }
        problem
    }
}

/// Describes to the student why a request was refused.
fn detail_of(refusal: &Refusal) -> Cow<'static, str> {
    match refusal {
        Refusal::RegistrationClosed { opens_at, closes_at, now } => match (opens_at, closes_at) {
            (None, _) => "Registration for this term has not been announced yet.",
            (_, Some(closes_at)) if closes_at <= now => "Registration for this term is over.",
            _ => "Registration for this term has not opened yet.",
        }
        .into(),
        Refusal::SectionCancelled => "This section will not be taught.".into(),
        Refusal::SectionClosed => "This section does not accept new students.".into(),
        Refusal::AlreadyInCourse { conflicts_with, course } => {
            format!("You already have a section of {course} of this kind: {conflicts_with}.").into()
        }
        Refusal::TimeConflict { conflicts_with } => {
            let names: Vec<_> = conflicts_with.iter().map(ToString::to_string).collect();
            format!("It meets at the same time as {}.", names.join(", ")).into()
        }
        Refusal::CreditLimit { wanted, limit, .. } => {
            format!("You would have {} credits, and {} are allowed.", wanted.as_f64(), limit.as_f64()).into()
        }
        Refusal::SectionFull { waitlist_open: true, .. } => {
            "This section has no open seat. You can join its waitlist.".into()
        }
        Refusal::SectionFull { waitlist_open: false, .. } => {
            "This section has no open seat, and its waitlist is full.".into()
        }
        Refusal::WaitlistFull { .. } => "This section has no open seat, and its waitlist is full.".into(),
    }
}

/// Responds 404: the default service of the application.
pub async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("There is nothing at this address."))
}

/// Returns a resource's default service, which responds 405:
/// `web::resource(…).route(…).default_service(method_not_allowed("GET, HEAD, PUT"))`.
#[must_use]
pub fn method_not_allowed(allow: &'static str) -> Route {
    web::to(move || async move {
        let mut problem = Problem::new(ProblemCode::MethodNotAllowed, format!("Only {allow} can be used here."));
        problem.allow = Some(allow);
        Err::<HttpResponse, Problem>(problem)
    })
}

/// Returns a route for GET and for HEAD, which is supported wherever GET is (RFC 9110, 9.3.2); actix omits the body.
#[must_use]
pub fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Returns the problem that replaces an error response of actix itself.
#[must_use]
pub fn of_status(status: StatusCode) -> Problem {
    match status.as_u16() {
        401 => Problem::new(ProblemCode::Unauthenticated, "Please sign in."),
        403 => Problem::forbidden("This is not allowed."),
        404 => Problem::not_found("There is nothing at this address."),
        405 => Problem::new(ProblemCode::MethodNotAllowed, "This method cannot be used here."),
        413 => Problem::new(ProblemCode::TooLarge, "The request is larger than this resource accepts."),
        415 => Problem::new(ProblemCode::UnsupportedMediaType, "A body in this format is not accepted here."),
        422 => Problem::new(ProblemCode::Invalid, "A value is invalid."),
        429 => Problem::rate_limited("Please wait a moment.", BUSY_RETRY_S),
        503 => Problem::overloaded(),
        400..500 => Problem::bad_request("The request cannot be understood."),
        _ => Problem::internal(format_args!("a response of status {status}")),
    }
}

/// Returns a header of a response as text, for tests.
#[cfg(test)]
pub(crate) fn header_of(headers: &header::HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The document as the caller reads it.
    fn written(problem: &Problem) -> Value {
        serde_json::to_value(problem.document()).unwrap()
    }

    use crate::domain::ids::SectionId;
    use actix_web::{App, test};

    #[test]
    async fn problem_documents_have_the_members_of_the_contract() {
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
        let stranger = Problem::new(ProblemCode::Unauthenticated, "Who?").error_response();
        assert_eq!(header_of(stranger.headers(), header::WWW_AUTHENTICATE), "Bearer");
    }

    #[test]
    async fn the_cause_of_a_fault_is_only_logged() {
        let problem = Problem::from(StoreError::Corrupt("table people, row 7".to_owned()));
        assert!(problem.cause().unwrap().contains("row 7"));
        assert!(!written(&problem).to_string().contains("row 7"));
    }

    #[test]
    async fn responses_of_plone_are_only_logged() {
        let cases = [
            (Problem::from(PloneError::Failed("Traceback: KeyError at 10.0.0.7".to_owned())), 502),
            (Problem::from(ReadError::Failed(PloneError::Unavailable("10.0.0.7:8080".to_owned()))), 502),
            (Problem::from(ReadError::Late), 504),
        ];
        for (problem, status) in cases {
            let document = written(&problem);
            assert_eq!((&document["status"], &document["code"]), (&json!(status), &json!("plone_unavailable")));
            assert!(!document.to_string().contains("10.0.0.7"), "{document}");
        }
    }

    #[test]
    async fn refusals_carry_what_their_reader_needs() {
        let other = SectionId::parse("202209-10002").unwrap();
        let table: [(Refusal, &str, Value); 4] = [
            (Refusal::TimeConflict { conflicts_with: vec![other.clone()] }, "conflicts_with", json!(["202209-10002"])),
            (
                Refusal::AlreadyInCourse { conflicts_with: other, course: "MATH 151".into() },
                "conflicts_with",
                json!(["202209-10002"]),
            ),
            (Refusal::SectionFull { waitlist_open: true, waitlisted: 3 }, "waitlist_open", json!(true)),
            (
                Refusal::RegistrationClosed {
                    opens_at: Some("2022-09-07T15:00:00Z".parse().unwrap()),
                    closes_at: None,
                    now: "2022-09-07T14:59:00Z".parse().unwrap(),
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
    async fn a_closed_window_is_worded_by_the_time_of_the_decision() {
        let at = |text: &str| Some(format!("2022-09-{text}T15:00:00Z").parse::<jiff::Timestamp>().unwrap());
        let table = [
            (None, None, "06", "not been announced"),
            (None, at("08"), "06", "not been announced"),
            (at("07"), None, "06", "not opened yet"),
            (at("07"), at("08"), "06", "not opened yet"),
            (at("07"), at("08"), "08", "is over"),
            (at("07"), at("08"), "09", "is over"),
        ];
        for (opens_at, closes_at, day, words) in table {
            let refusal = Refusal::RegistrationClosed { opens_at, closes_at, now: at(day).unwrap() };
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
        let answer = test::call_service(&app, test::TestRequest::get().uri("/nothing").to_request()).await;
        assert_eq!(answer.status(), 404);
        let answer = test::call_service(&app, test::TestRequest::delete().uri("/thing").to_request()).await;
        assert_eq!((answer.status().as_u16(), header_of(answer.headers(), header::ALLOW)), (405, "GET, HEAD"));
        let document: Value = test::read_body_json(answer).await;
        assert_eq!(document["code"], "method_not_allowed");
        let answer = test::call_service(
            &app,
            test::TestRequest::with_uri("/thing").method(actix_web::http::Method::HEAD).to_request(),
        )
        .await;
        assert_eq!(answer.status(), 200);
    }
}
