//! The outermost middleware: adds a request id and security headers to every response, logs it, and replaces error
//! responses of actix with problem documents, and problem documents with pages where a person opened the address.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::http::auth::client_ip;
use crate::http::error::{PROBLEM_JSON, Problem, problem_for_status};
use crate::http::error_page;
use crate::http::schedule_calendar::feeds_path;
use crate::http::security_headers::{self, Place};
use crate::http::site::Site;
use crate::http::slow_refusals;
use crate::observe::metrics::Metrics;

/// The header that carries a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `Cache-Control` of personal responses.
pub const PRIVATE: (&str, &str) = ("Cache-Control", "private, no-store");
/// `Cache-Control` of responses for which no handler set it: they may be personal.
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// `Cache-Control` of responses with an ETag for which no handler set it.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// A request's id (UUID, version 7), in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

impl RequestId {
    fn new() -> Self {
        let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_millis() as u64);
        // The thread's own generator: no lock, no system call. These ids need not be secret.
        Self(uuid::Builder::from_unix_timestamp_millis(now_ms, &rand::random()).into_uuid())
    }

    /// Returns the id of a request; `None` when the request did not pass [`request_id`].
    #[must_use]
    pub fn of(req: &impl HttpMessage) -> Option<Uuid> {
        req.extensions().get::<Self>().map(|id| id.0)
    }

    /// Returns the id of a request as text; empty when the request did not pass [`request_id`].
    #[must_use]
    pub fn text_of(req: &impl HttpMessage) -> String {
        req.extensions().get::<Self>().map(|id| id.0.to_string()).unwrap_or_default()
    }
}

/// The user in the log line. [`crate::http::auth::identify`] stores it in the request's extensions.
#[derive(Debug, Clone)]
pub struct LoggedUser(pub UserName);

/// The mark of a request to Plone's own origin, in its extensions. The response keeps Plone's
/// `Content-Security-Policy`.
#[derive(Debug, Clone, Copy)]
pub struct PloneOrigin;

/// Middleware that wraps all others: `App::new().wrap(middleware::from_fn(request_id))`.
///
/// # Errors
/// Those of the inner services.
pub async fn request_id<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let started = Instant::now();
    let id = RequestId::new();
    req.extensions_mut().insert(id);
    let response = next.call(req).await?;

    let is_framework_error = response.response().error().is_some() && !is_problem(response.headers());
    let status = response.status();
    let cause = response.response().error().and_then(|error| error.as_error::<Problem>()?.cause().map(str::to_owned));
    let mut response = if is_framework_error && (status.is_client_error() || status.is_server_error()) {
        let error = response.response().error().map(ToString::to_string);
        log::debug!(target: "eduhub::http", "actix rejected request {}: {error:?}", id.0);
        response.into_response(problem_for_status(status).error_response()).map_into_right_body()
    } else {
        response.map_into_left_body()
    };

    let place = place_of(response.request());
    if place == Place::Hub && is_problem(response.headers()) && error_page::is_opened(response.request()) {
        let page = error_page::respond(response.request(), response.status(), response.headers());
        response = response.into_response(page).map_into_right_body();
    }

    let mut buffer = Uuid::encode_buffer();
    let id_text: &str = id.0.hyphenated().encode_lower(&mut buffer);
    if let Ok(value) = HeaderValue::from_str(id_text) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let is_https = response.request().app_data::<Data<Site>>().is_some_and(|site| site.is_https());
    security_headers::add(response.headers_mut(), place, is_https);
    add_caching_headers(response.headers_mut());
    if let Some(cause) = cause {
        log::error!(target: "eduhub::http", "{cause} id={id_text}");
    }
    if let Some(metrics) = response.request().app_data::<Data<Metrics>>() {
        metrics.count_request(response.status().as_u16(), started.elapsed());
    }
    log_request(&response, started, id_text);
    slow_refusals::delay(response.request()).await;
    Ok(response)
}

/// Returns where the response to a request belongs.
fn place_of(req: &HttpRequest) -> Place {
    if req.extensions().contains::<PloneOrigin>() {
        Place::PloneOrigin
    } else if is_under_plone(req.path()) {
        // Also for responses of the hub itself, such as a request that was rejected before it reached Plone.
        Place::BelowPlone
    } else {
        Place::Hub
    }
}

fn is_under_plone(path: &str) -> bool {
    path.strip_prefix("/plone").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON)
}

/// Adds `Cache-Control`, unless a handler has set it.
fn add_caching_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CACHE_CONTROL) {
        let value = if headers.contains_key(header::ETAG) { REVALIDATE } else { NO_STORE };
        headers.insert(header::CACHE_CONTROL, value);
    }
}

/// Returns a path without the secret of a feed.
fn logged_path(path: &str) -> &str {
    if path.starts_with(feeds_path()) { feeds_path() } else { path }
}

/// Writes the log line of a request, without the query string, which may contain a ticket.
fn log_request<B>(response: &ServiceResponse<B>, started: Instant, id: &str) {
    if !log::log_enabled!(target: "eduhub::http", log::Level::Info) {
        return;
    }
    let req = response.request();
    let extensions = req.extensions();
    let user = extensions.get::<LoggedUser>().map_or("-", |user| user.0.as_str());
    let ip = client_ip(req);
    log::info!(
        target: "eduhub::http",
        "{} {} {} {:.1}ms ip={ip} user={user} id={id}",
        req.method(),
        logged_path(req.uri().path()),
        response.status().as_u16(),
        started.elapsed().as_secs_f64() * 1e3,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::{header_of, method_not_allowed, not_found};
    use actix_web::{App, HttpResponse, middleware, test, web};

    #[test]
    async fn only_paths_below_plone_are_under_plone() {
        for path in ["/plone", "/plone/", "/plone/news"] {
            assert!(is_under_plone(path), "{path}");
        }
        for path in ["/", "/plonex", "/api/v1/admin/plone"] {
            assert!(!is_under_plone(path), "{path}");
        }
    }

    async fn page() -> HttpResponse {
        HttpResponse::Ok().content_type("text/html; charset=utf-8").body("<p>hello")
    }
    async fn framework_error() -> Result<HttpResponse, Error> {
        Err(actix_web::error::ErrorInternalServerError("table people, row 7"))
    }
    async fn echo_request_id(req: actix_web::HttpRequest) -> String {
        RequestId::text_of(&req)
    }

    #[test]
    async fn log_lines_have_no_secrets_of_feeds() {
        assert_eq!(logged_path("/api/v1/schedule-feeds/0123.ics"), "/api/v1/schedule-feeds/");
        assert_eq!(logged_path("/api/v1/me"), "/api/v1/me");
    }

    #[actix_web::test]
    async fn responses_carry_the_request_id_that_the_handler_sees() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(echo_request_id));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::get().to_request()).await;
        let id = header_of(response.headers(), X_REQUEST_ID).to_owned();
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert_eq!(test::read_body(response).await, id.as_bytes());
        let missing = test::call_service(&app, test::TestRequest::with_uri("/none").to_request()).await;
        assert!(missing.headers().contains_key(X_REQUEST_ID));
    }

    #[actix_web::test]
    async fn addresses_that_a_browser_opens_are_answered_with_a_page() {
        let app = App::new()
            .wrap(middleware::from_fn(request_id))
            .service(web::resource("/form").route(web::post().to(page)).default_service(method_not_allowed("POST")))
            .default_service(web::to(not_found));
        let app = test::init_service(app).await;
        for (path, status, heading) in [("/none", 404, "No se encontró la página"), ("/form", 405, "no es una página")]
        {
            let request = test::TestRequest::with_uri(path)
                .insert_header((header::ACCEPT, "text/html,*/*;q=0.8"))
                .insert_header((header::ACCEPT_LANGUAGE, "es-MX,es;q=0.9"));
            let response = test::call_service(&app, request.to_request()).await;
            let content_type = header_of(response.headers(), header::CONTENT_TYPE).to_owned();
            assert_eq!((response.status().as_u16(), content_type.as_str()), (status, "text/html; charset=utf-8"));
            assert!(header_of(response.headers(), header::CONTENT_SECURITY_POLICY).contains("style-src 'self'"));
            assert_eq!(header_of(response.headers(), header::ALLOW), if status == 405 { "POST" } else { "" });
            let body = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
            assert!(body.contains(heading) && body.contains("<html lang=\"es\">"), "{body}");
        }
        let program = test::TestRequest::with_uri("/none").insert_header((header::ACCEPT, "application/json"));
        let response = test::call_service(&app, program.to_request()).await;
        assert_eq!(header_of(response.headers(), header::CONTENT_TYPE), PROBLEM_JSON);
    }

    #[actix_web::test]
    async fn pages_get_a_strict_policy_and_private_caching_by_default() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(page));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::get().to_request()).await;
        let policy = header_of(response.headers(), header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header_of(response.headers(), header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header_of(response.headers(), header::CACHE_CONTROL), "private, no-store");
    }

    #[actix_web::test]
    async fn framework_errors_become_problem_documents_without_details() {
        let app = App::new().wrap(middleware::from_fn(request_id)).route("/", web::get().to(framework_error));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::get().to_request()).await;
        let content_type = header_of(response.headers(), header::CONTENT_TYPE);
        assert_eq!((response.status().as_u16(), content_type), (500, PROBLEM_JSON));
        let body = test::read_body(response).await;
        assert!(!String::from_utf8_lossy(&body).contains("row 7"));
    }
}
