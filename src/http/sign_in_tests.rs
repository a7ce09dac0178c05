//! Tests of sign-in, sign-out, the roles that extractors require, and the audit trail.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::test::{self, TestRequest};
use actix_web::{App, Error, middleware};
use serde_json::{Value, json};

use super::*;
use crate::bus::{Bus, Event};
use crate::clock::SystemClock;
use crate::http::auth::{Admin, Staff, Student, Visitor, identify};
use crate::http::error::{header_of, not_found};
use crate::http::openapi::request_tests::assert_reader_matches_schema;
use crate::http::request_id::request_id;
use crate::http::users;
use crate::identity::accounts::{AccountChange, LimitChange};
use crate::identity::{IdentityDeps, Settings};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

#[test]
fn reader_and_schema_of_a_sign_in_agree() {
    assert_reader_matches_schema::<SignInRequest>(&[]);
}

const OWN_ORIGIN: &str = "http://localhost:8000";

struct SilentBus;
impl Bus for SilentBus {
    fn publish(&self, _: Event) {}
    fn may_be_connected(&self, _: &UserName) -> bool {
        false
    }
}

/// The identity service and the audit trail, with the accounts ann (student), sam (staff) and ada (admin).
struct Hub {
    _folder: tempfile::TempDir,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
}

impl Hub {
    async fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { path: folder.path().join("hub.db"), outbox: None };
        let store = SqliteStore::open(options).unwrap();
        let secret = SecretString::from("a secret of more than thirty-two bytes");
        let store = Arc::new(store);
        let audit = Audit::start(store.clone(), Arc::new(crate::clock::SystemClock));
        let deps = IdentityDeps {
            accounts: store.clone(),
            members: store.clone(),
            provider_sign_ins: store,
            audit: audit.clone(),
            bus: Arc::new(SilentBus),
            clock: Arc::new(SystemClock),
        };
        let identity = Identity::start(settings, &secret, deps, Vec::new()).await.unwrap();
        for (name, role) in [("ann", Role::Student), ("sam", Role::Staff), ("ada", Role::Admin)] {
            let (username, password) = (UserName::parse(name).unwrap(), Some(SecretString::from("correct horse")));
            identity
                .put_account(AccountChange { username, role, limit: LimitChange::Keep, name: None, password })
                .await
                .unwrap();
        }
        Self { _folder: folder, identity: web::Data::from(identity), audit: web::Data::new(audit) }
    }

    async fn app(
        &self,
    ) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
        self.app_at(None).await
    }

    async fn app_at(
        &self,
        public_url: Option<&'static str>,
    ) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
        let resource = |path: &str| web::resource(path.to_owned());
        test::init_service(
            App::new()
                .app_data(self.identity.clone())
                .app_data(self.audit.clone())
                .app_data(web::Data::new(Site::new(public_url, 8000).unwrap()))
                .configure(routes)
                .configure(users::routes)
                .service(resource("/visitor").to(async |_: Visitor| "ok"))
                .service(resource("/student").to(async |_: Student| "ok"))
                .service(resource("/staff").to(async |_: Staff| "ok"))
                .service(resource("/admin").to(async |_: Admin| "ok"))
                .default_service(web::to(not_found))
                .wrap(middleware::from_fn(identify))
                .wrap(middleware::from_fn(request_id)),
        )
        .await
    }

    async fn token(&self, name: &str) -> String {
        let login = self.identity.sign_in(name, SecretString::from("correct horse"), [192, 0, 2, 1].into());
        login.await.unwrap().token
    }
}

fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")))
}
fn cookie(request: TestRequest, token: &str) -> TestRequest {
    request.cookie(Cookie::new(SESSION_COOKIE, token.to_owned()))
}

/// Sends a request and returns the status and the body as JSON; null if the body is not JSON.
async fn send(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error>,
    request: TestRequest,
) -> (u16, Value) {
    let response = test::call_service(app, request.to_request()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&test::read_body(response).await).unwrap_or(Value::Null))
}

/// Returns the values of `Set-Cookie`.
fn set_cookies(headers: &header::HeaderMap) -> Vec<String> {
    headers.get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn login_request(password: &str) -> TestRequest {
    TestRequest::post().uri("/api/v1/login").set_json(json!({"username": "ann", "password": password}))
}

#[actix_web::test]
async fn sign_in_returns_a_token_and_a_cookie_that_both_identify_the_user() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let response = test::call_service(&app, login_request("correct horse").to_request()).await;
    assert_eq!(response.status(), 200);
    let set_cookie = set_cookies(response.headers())[0].clone();
    for part in ["eduhub_session=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(set_cookie.contains(part), "{part} in {set_cookie}");
    }
    assert!(!set_cookie.contains("Secure"));
    let body: Value = test::read_body_json(response).await;
    assert_eq!(body["user"], json!({"username": "ann", "name": "ann", "role": "student"}));
    assert!(body["expires_at"].as_str().unwrap().ends_with('Z'));
    let token = body["token"].as_str().unwrap();
    let me = || TestRequest::with_uri("/api/v1/me");
    assert_eq!(send(&app, bearer(me(), token)).await, (200, body["user"].clone()));
    assert_eq!(send(&app, cookie(me(), token)).await, (200, body["user"].clone()));
}

#[actix_web::test]
async fn invalid_sign_in_requests_are_rejected_with_their_code() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let post = || TestRequest::post().uri("/api/v1/login");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let table = [
        (login_request("wrong"), 401, "bad_credentials"),
        (login_request("correct horse").insert_header((header::ORIGIN, "https://evil.example")), 403, "forbidden"),
        (login_request("correct horse").insert_header((header::ORIGIN, "null")), 403, "forbidden"),
        (post().insert_header(form).set_payload("username=ann&password=x"), 415, "unsupported_media_type"),
        (post().set_json(json!({"username": "ann"})), 422, "invalid"),
        (post().set_json(json!({"username": 1, "password": "x"})), 400, "bad_request"),
        (post().set_json(json!({"username": "ann", "password": "x", "role": "admin"})), 422, "invalid"),
        (TestRequest::with_uri("/api/v1/login"), 405, "method_not_allowed"),
    ];
    for (i, (request, status, code)) in table.into_iter().enumerate() {
        let (actual, body) = send(&app, request).await;
        assert_eq!((actual, &body["code"]), (status, &json!(code)), "case {i}");
    }
    let from_own_page = login_request("correct horse").insert_header((header::ORIGIN, OWN_ORIGIN));
    assert_eq!(send(&app, from_own_page).await.0, 200);
}

#[actix_web::test]
async fn repeated_failed_sign_ins_are_rate_limited() {
    let hub = Hub::start(Settings { login_per_minute: 2, ..Settings::default() }).await;
    let app = hub.app().await;
    assert_eq!(send(&app, login_request("wrong")).await.0, 401);
    assert_eq!(send(&app, login_request("wrong")).await.0, 401);
    let response = test::call_service(&app, login_request("correct horse").to_request()).await;
    assert_eq!(response.status(), 429);
    assert!(header_of(response.headers(), header::RETRY_AFTER).parse::<u32>().unwrap() > 0);
}

#[actix_web::test]
async fn sign_out_revokes_the_token_and_clears_the_cookie() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("ann").await;
    let logout = cookie(TestRequest::post().uri("/api/v1/logout"), &token).insert_header((header::ORIGIN, OWN_ORIGIN));
    let response = test::call_service(&app, logout.to_request()).await;
    assert_eq!(response.status(), 204);
    assert!(header_of(response.headers(), header::SET_COOKIE).contains("Max-Age=0"));
    let (status, body) = send(&app, bearer(TestRequest::with_uri("/api/v1/me"), &token)).await;
    assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")));
}

#[actix_web::test]
async fn the_session_has_the_user_or_null_for_a_visitor() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("sam").await;
    let session = || TestRequest::with_uri("/api/v1/session");
    let sam = json!({"user": {"username": "sam", "name": "sam", "role": "staff"}});
    assert_eq!(send(&app, session()).await, (200, json!({"user": null})));
    assert_eq!(send(&app, cookie(session(), &token)).await, (200, sam.clone()));
    assert_eq!(send(&app, bearer(session(), &token)).await, (200, sam));
    assert_eq!(send(&app, bearer(session(), "made.up.token")).await.0, 401);
}

#[actix_web::test]
async fn the_session_clears_only_cookies_that_are_no_longer_valid() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("sam").await;
    let session = || TestRequest::with_uri("/api/v1/session");
    for request in [session(), cookie(session(), &token)] {
        let response = test::call_service(&app, request.to_request()).await;
        assert!(!response.headers().contains_key(header::SET_COOKIE));
    }
    let caller = hub.identity.verify(&token).unwrap();
    hub.identity.logout(&caller).await.unwrap();
    let response = test::call_service(&app, cookie(session(), &token).to_request()).await;
    assert_eq!(response.status(), 200);
    let set_cookie = header_of(response.headers(), header::SET_COOKIE).to_owned();
    assert!(set_cookie.starts_with("eduhub_session=;") && set_cookie.contains("Max-Age=0"), "{set_cookie}");
    let body: Value = test::read_body_json(response).await;
    assert_eq!(body, json!({"user": null}));
}

#[actix_web::test]
async fn extractors_accept_only_callers_with_their_role() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let tokens = [hub.token("ann").await, hub.token("sam").await, hub.token("ada").await];
    let table = [
        ("/visitor", 200, [200, 200, 200]),
        ("/student", 401, [200, 403, 403]),
        ("/staff", 401, [403, 200, 200]),
        ("/admin", 401, [403, 403, 200]),
        ("/api/v1/admin/audit", 401, [403, 403, 200]),
    ];
    for (path, visitor, by_role) in table {
        assert_eq!(send(&app, TestRequest::with_uri(path)).await.0, visitor, "{path}");
        for (token, status) in tokens.iter().zip(by_role) {
            assert_eq!(send(&app, bearer(TestRequest::with_uri(path), token)).await.0, status, "{path}");
        }
    }
    let response = test::call_service(&app, TestRequest::with_uri("/staff").to_request()).await;
    assert_eq!(header_of(response.headers(), header::WWW_AUTHENTICATE), "Bearer");
}

#[actix_web::test]
async fn an_invalid_bearer_token_is_rejected_even_with_a_valid_cookie() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("sam").await;
    for path in ["/visitor", "/staff"] {
        assert_eq!(send(&app, bearer(TestRequest::with_uri(path), "made.up.token")).await.0, 401, "{path}");
        assert_eq!(send(&app, cookie(bearer(TestRequest::with_uri(path), ""), &token)).await.0, 401, "{path}");
    }
    // A page must still load for a user whose cookie has expired.
    assert_eq!(send(&app, cookie(TestRequest::with_uri("/visitor"), "made.up.token")).await.0, 200);
    assert_eq!(send(&app, cookie(TestRequest::with_uri("/staff"), "made.up.token")).await.0, 401);
    // Other schemes are ignored.
    let basic = TestRequest::with_uri("/staff").insert_header((header::AUTHORIZATION, "Basic YTpi"));
    assert_eq!(send(&app, cookie(basic, &token)).await.0, 200);
}

#[actix_web::test]
async fn changes_authenticated_by_cookie_require_the_hubs_origin() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("sam").await;
    let changing = || TestRequest::with_uri("/staff").method(Method::PUT);
    let from = |request: TestRequest, origin: &'static str| request.insert_header((header::ORIGIN, origin));
    let table = [
        (cookie(changing(), &token), 403),
        (from(cookie(changing(), &token), "null"), 403),
        (from(cookie(changing(), &token), "https://evil.example"), 403),
        (from(cookie(changing(), &token), OWN_ORIGIN), 200),
        (bearer(changing(), &token), 200),
        (from(bearer(changing(), &token), "https://evil.example"), 200),
        (cookie(TestRequest::with_uri("/staff"), &token), 200),
    ];
    for (i, (request, status)) in table.into_iter().enumerate() {
        assert_eq!(send(&app, request).await.0, status, "case {i}");
    }
}

#[actix_web::test]
async fn request_limits_apply_to_each_user_separately() {
    let hub = Hub::start(Settings { requests_per_second: 1, ..Settings::default() }).await;
    let app = hub.app().await;
    let (ann, sam) = (hub.token("ann").await, hub.token("sam").await);
    let me = |token: &str| bearer(TestRequest::with_uri("/api/v1/me"), token);
    assert_eq!(send(&app, me(&ann)).await.0, 200);
    assert_eq!(send(&app, me(&ann)).await.0, 200);
    let response = test::call_service(&app, me(&ann).to_request()).await;
    assert_eq!((response.status().as_u16(), header_of(response.headers(), header::RETRY_AFTER)), (429, "1"));
    assert!(response.headers().contains_key(crate::http::request_id::X_REQUEST_ID));
    assert_eq!(send(&app, me(&sam)).await.0, 200);
}

#[actix_web::test]
async fn a_ticket_can_be_redeemed_once() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let token = hub.token("ann").await;
    let (status, body) = send(&app, bearer(TestRequest::post().uri("/api/v1/ws-ticket"), &token)).await;
    assert_eq!(status, 200);
    let ticket = body["ticket"].as_str().unwrap();
    assert_eq!(hub.identity.redeem_ticket(ticket).await.unwrap().unwrap().user.as_str(), "ann");
    assert!(hub.identity.redeem_ticket(ticket).await.unwrap().is_none());
    assert_eq!(send(&app, TestRequest::post().uri("/api/v1/ws-ticket")).await.0, 401);
}

#[actix_web::test]
async fn account_changes_by_an_admin_are_audited() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let ada = hub.token("ada").await;
    let put = |name: &str, body: Value| {
        bearer(TestRequest::put().uri(&format!("/api/v1/admin/users/{name}")), &ada).set_json(body)
    };
    let table = [
        (put("bob", json!({"role": "student"})), 422, json!("password")),
        (put("bob", json!({"role": "student", "password": "short"})), 422, json!("password")),
        (put("bob", json!({"role": "dean", "password": "long enough to use"})), 422, json!("role")),
        (put("bob", json!({"role": "student", "password": "Password2026!"})), 422, json!("password")),
        (put("b%E2%80%8Bb", json!({"role": "student", "password": "long enough to use"})), 422, json!("name")),
        (put("b%E2%80%AEb", json!({"role": "student", "password": "long enough to use"})), 422, json!("name")),
        (put("b%20b", json!({"role": "student", "password": "long enough to use"})), 422, json!("name")),
        (put("bob", json!({"role": "student", "password": "long enough to use", "name": "Bob"})), 201, Value::Null),
        (put("%EF%BD%82ob", json!({"role": "student", "name": "Bob"})), 200, Value::Null),
        (put("bob", json!({"role": "staff"})), 200, Value::Null),
    ];
    for (i, (request, status, field)) in table.into_iter().enumerate() {
        let (actual, body) = send(&app, request).await;
        assert_eq!((actual, &body["field"]), (status, &field), "case {i}");
    }
    let delete = || bearer(TestRequest::delete().uri("/api/v1/admin/users/bob"), &ada);
    assert_eq!(send(&app, delete()).await.0, 204);
    assert_eq!(send(&app, delete()).await.0, 404);
    assert_eq!(send(&app, login_request("wrong")).await.0, 401);

    hub.audit.flush().await;
    let trail = |query: &str| bearer(TestRequest::with_uri(&format!("/api/v1/admin/audit{query}")), &ada);
    let (_, bobs) = send(&app, trail("?user=bob")).await;
    let actions: Vec<_> = bobs["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["user.remove", "user.change", "user.change", "user.add"]);
    assert_eq!(bobs["items"][0]["user"], "ada");
    assert!(bobs["items"][0]["request_id"].as_str().unwrap().len() == 36);
    assert!(!bobs.to_string().contains("long enough to use"));

    let (_, first) = send(&app, trail("?limit=3&since=2020-01-01T00:00:00Z")).await;
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    // The previous reading of the trail is recorded as a disclosure.
    let newest = [0, 1].map(|at| first["items"][at]["action"].as_str().unwrap());
    assert_eq!(newest, ["audit.read", "login.failed"]);
    let (_, second) = send(&app, trail(&format!("?limit=3&cursor={}", first["next"].as_str().unwrap()))).await;
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (3, &Value::Null));
    let (_, none) = send(&app, trail("?since=2100-01-01T00:00:00Z")).await;
    assert_eq!(none["items"], json!([]));
    assert_eq!(send(&app, trail("?since=yesterday")).await.0, 422);
}

#[actix_web::test]
async fn a_password_typed_as_the_username_is_not_stored() {
    let hub = Hub::start(Settings::default()).await;
    let app = hub.app().await;
    let ada = hub.token("ada").await;
    for name in ["correct horse battery", "CorrectHorseBattery", "ada", "ADA"] {
        let body = json!({"username": name, "password": "wrong password"});
        let request = TestRequest::post().uri("/api/v1/login").set_json(body);
        assert_eq!(send(&app, request).await.0, 401, "{name}");
    }
    hub.audit.flush().await;
    let request = bearer(TestRequest::with_uri("/api/v1/admin/audit?action=login.failed"), &ada);
    let (_, trail) = send(&app, request).await;
    let subjects: Vec<_> = trail["items"].as_array().unwrap().iter().map(|entry| entry["subject"].clone()).collect();
    assert_eq!(subjects, ["ada", "ada", "unknown user", "unknown user"]);
    assert!(!trail.to_string().to_lowercase().contains("horse"));
}
#[path = "cookie_tests.rs"]
mod cookies;
