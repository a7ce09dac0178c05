//! What every answer gets, in one place: its id, its line in the log, its safety headers; and an error that some part
//! of actix wrote becomes a problem document.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::http::error::{PROBLEM_JSON, Problem, of_status};
use crate::observe::metrics::Metrics;

/// The header that carries a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a page of ours may load and do: what comes from this origin, nothing inline, in nobody's frame.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);
/// What a page of Plone may do under the hub's origin: be looked at. Without scripts, forms and an origin it cannot act
/// as the hub's user.
pub const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");
/// What a handler says of an answer that is personal.
pub const PRIVATE: (&str, &str) = ("Cache-Control", "private, no-store");
/// For an answer that says nothing of caching: it may be personal.
const KEEP_NOWHERE: HeaderValue = HeaderValue::from_static("private, no-store");
/// For an answer with an ETag that says nothing else: ask each time.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// A request's id (UUID, version 7), in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

impl RequestId {
    fn new() -> Self {
        let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis() as u64);
        // The thread's own generator: no lock, no system call. These ids need not be secret.
        Self(uuid::Builder::from_unix_timestamp_millis(now_ms, &rand::random()).into_uuid())
    }

    /// The id of a request, as text; empty for a request that did not come through [`request_id`].
    #[must_use]
    pub fn text_of(req: &impl HttpMessage) -> String {
        req.extensions().get::<Self>().map(|id| id.0.to_string()).unwrap_or_default()
    }
}

/// Who asks, for the log line; put into the request's extensions by whoever finds out.
#[derive(Debug, Clone)]
pub struct LoggedUser(pub UserName);

/// In the extensions of a request whose answer says itself what a page may do: it is none of the hub's.
#[derive(Debug, Clone, Copy)]
pub struct OwnPolicy;

/// The outermost middleware: `App::new().wrap(middleware::from_fn(request_id))`.
pub async fn request_id<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let started = Instant::now();
    let id = RequestId::new();
    req.extensions_mut().insert(id);
    let answer = next.call(req).await?;

    let foreign = answer.response().error().is_some() && !is_problem(answer.headers());
    let status = answer.status();
    let cause = answer.response().error().and_then(|error| error.as_error::<Problem>()?.cause().map(str::to_owned));
    let mut answer = if foreign && (status.is_client_error() || status.is_server_error()) {
        let said = answer.response().error().map(ToString::to_string);
        log::debug!(target: "eduhub::http", "{} was refused by the framework: {said:?}", id.0);
        answer.into_response(of_status(status).error_response()).map_into_right_body()
    } else {
        answer.map_into_left_body()
    };

    let mut buffer = Uuid::encode_buffer();
    let id_text: &str = id.0.hyphenated().encode_lower(&mut buffer);
    if let Ok(value) = HeaderValue::from_str(id_text) {
        answer.headers_mut().insert(X_REQUEST_ID, value);
    }
    let is_ours = !answer.request().extensions().contains::<OwnPolicy>();
    if is_ours && is_under_plone(answer.request().path()) {
        // Whoever answers: what is refused on the way there has no say either.
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    }
    protect(answer.headers_mut(), is_ours);
    if let Some(cause) = cause {
        log::error!(target: "eduhub::http", "{cause} id={id_text}");
    }
    if let Some(metrics) = answer.request().app_data::<Data<Metrics>>() {
        metrics.count_request(answer.status().as_u16(), started.elapsed());
    }
    write_line(&answer, started, id_text);
    Ok(answer)
}

fn is_under_plone(path: &str) -> bool {
    path.strip_prefix("/plone").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON)
}

/// The safety headers; what a handler has set stays.
fn protect(headers: &mut HeaderMap, is_ours: bool) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        let value = if headers.contains_key(header::ETAG) { ASK_EACH_TIME } else { KEEP_NOWHERE };
        headers.insert(header::CACHE_CONTROL, value);
    }
    let is_page =
        is_ours && headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_page {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
        }
    }
}

/// The log line. The path goes without its query, which may hold a ticket.
fn write_line<B>(answer: &ServiceResponse<B>, started: Instant, id: &str) {
    if !log::log_enabled!(target: "eduhub::http", log::Level::Info) {
        return;
    }
    let req = answer.request();
    let extensions = req.extensions();
    let user = extensions.get::<LoggedUser>().map_or("-", |user| user.0.as_str());
    log::info!(
        target: "eduhub::http",
        "{} {} {} {:.1}ms user={user} id={id}",
        req.method(),
        req.uri().path(),
        answer.status().as_u16(),
        started.elapsed().as_secs_f64() * 1e3,
    );
}

#[cfg(test)]
mod tests {
    #[test]
    async fn only_what_is_under_plone_is_plones() {
        for path in ["/plone", "/plone/", "/plone/news"] {
            assert!(super::is_under_plone(path), "{path}");
        }
        for path in ["/", "/plonex", "/api/v1/admin/plone"] {
            assert!(!super::is_under_plone(path), "{path}");
        }
    }

    use super::*;
    use crate::http::error::header_of;
    use actix_web::{App, HttpResponse, middleware, test, web};

    async fn page() -> HttpResponse {
        HttpResponse::Ok().content_type("text/html; charset=utf-8").body("<p>hello")
    }
    async fn framework_error() -> Result<HttpResponse, Error> {
        Err(actix_web::error::ErrorInternalServerError("table people, row 7"))
    }
    async fn named(req: actix_web::HttpRequest) -> String {
        RequestId::text_of(&req)
    }

    #[actix_web::test]
    async fn every_answer_has_an_id_which_the_handler_knows_too() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(named));
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, test::TestRequest::get().to_request()).await;
        let id = header_of(answer.headers(), X_REQUEST_ID).to_owned();
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert_eq!(test::read_body(answer).await, id.as_bytes());
        let missing = test::call_service(&app, test::TestRequest::with_uri("/none").to_request()).await;
        assert!(missing.headers().contains_key(X_REQUEST_ID));
    }

    #[actix_web::test]
    async fn pages_get_a_strict_policy_and_everything_is_private_unless_it_says_otherwise() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(page));
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, test::TestRequest::get().to_request()).await;
        let policy = header_of(answer.headers(), header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header_of(answer.headers(), header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header_of(answer.headers(), header::CACHE_CONTROL), "private, no-store");
    }

    #[actix_web::test]
    async fn an_error_of_the_framework_becomes_a_problem_document_and_leaks_nothing() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(framework_error));
        let app = test::init_service(app).await;
        let answer = test::call_service(&app, test::TestRequest::get().to_request()).await;
        assert_eq!((answer.status().as_u16(), header_of(answer.headers(), header::CONTENT_TYPE)), (500, PROBLEM_JSON));
        let body = test::read_body(answer).await;
        assert!(!String::from_utf8_lossy(&body).contains("row 7"));
    }
}
