//! A provider on this machine that signs any claims, and the hub's checks of its tokens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;

use super::super::SingleSignOn;
use super::*;
use crate::clock::SystemClock;
use crate::config::Auth;
use crate::domain::role::Role;

const CLIENT: &str = "eduhub";

/// A signing key with its id.
struct Key {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { kid, pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap() }
    }

    fn public(&self) -> Value {
        // An uncompressed point: a byte 4, and two coordinates of 32 bytes.
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": x, "y": y})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// The documents and tokens that the provider publishes and returns.
#[derive(Default)]
struct Published {
    keys: Mutex<Vec<Value>>,
    id_token: Mutex<String>,
    user_info: Mutex<Value>,
    key_reads: AtomicUsize,
    issuer: Mutex<String>,
    /// Whether the token endpoint never responds.
    hangs: AtomicBool,
    /// Requests to the token endpoint.
    token_requests: AtomicUsize,
}

/// A provider, and the hub's side of it.
struct Fixture {
    published: web::Data<Published>,
    issuer: String,
    server: actix_web::dev::ServerHandle,
    provider: Arc<Provider>,
}

async fn metadata(published: web::Data<Published>) -> HttpResponse {
    let issuer = published.issuer.lock().clone();
    HttpResponse::Ok().json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/me"), "end_session_endpoint": format!("{issuer}/end"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(published: web::Data<Published>) -> HttpResponse {
    published.key_reads.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok().json(json!({"keys": *published.keys.lock()}))
}

async fn token(published: web::Data<Published>) -> HttpResponse {
    published.token_requests.fetch_add(1, Ordering::SeqCst);
    if published.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let id_token = published.id_token.lock().clone();
    HttpResponse::Ok().json(json!({"access_token": "opaque", "token_type": "Bearer", "id_token": id_token}))
}

async fn user_info(published: web::Data<Published>) -> HttpResponse {
    HttpResponse::Ok().json(&*published.user_info.lock())
}

impl Fixture {
    async fn start(key: &Key) -> Self {
        let published = web::Data::new(Published::default());
        let data = published.clone();
        let app = move || {
            App::new()
                .app_data(data.clone())
                .route("/.well-known/openid-configuration", web::get().to(metadata))
                .route("/keys", web::get().to(keys))
                .route("/token", web::post().to(token))
                .route("/me", web::get().to(user_info))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let issuer = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        *published.issuer.lock() = issuer.clone();
        *published.user_info.lock() = json!({"sub": "1001"});
        *published.keys.lock() = vec![key.public()];
        let provider = Arc::new(Self::provider(&issuer));
        Self { published, issuer, server: handle, provider }
    }

    fn provider(issuer: &str) -> Provider {
        let settings = Oidc {
            issuer: issuer.to_owned(),
            client_id: CLIENT.to_owned(),
            plone_user_claim: "email".to_owned(),
            ..Oidc::default()
        };
        let roles =
            RoleMap { student: vec!["*".to_owned()], staff: vec!["group:desk".to_owned()], ..RoleMap::default() };
        let http = HttpClient::start().unwrap();
        Provider::new("idp", &settings, Arc::new(roles), http, Arc::new(SystemClock)).unwrap()
    }

    /// Returns the claims of a good token for `flow`.
    fn claims(&self, flow: &Flow) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "1001", "nonce": flow.nonce, "iat": now, "exp": now + 300,
            "preferred_username": "ann", "name": "Ann", "groups": ["desk"], "sid": "s1",
        })
    }

    async fn complete(&self, flow: &Flow, id_token: String) -> Result<Person, SsoError> {
        *self.published.id_token.lock() = id_token;
        self.provider.complete(flow, "a code".to_owned()).await
    }

    fn key_reads(&self) -> usize {
        self.published.key_reads.load(Ordering::SeqCst)
    }
}

fn flow() -> Flow {
    Flow::begin("idp", None, "http://localhost:8000".to_owned(), Timestamp::now())
}

fn header(kid: &str) -> Value {
    json!({"alg": "ES256", "kid": kid, "typ": "JWT"})
}

/// Returns `claims` with other values; null removes a claim.
fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    let Value::Object(changes) = changes else { panic!("changes are an object: {changes}") };
    for (name, value) in changes {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(&name),
            value => claims.as_object_mut().unwrap().insert(name, value),
        };
    }
    claims
}

#[actix_web::test]
async fn a_valid_token_identifies_its_user() {
    let key = Key::new("k1");
    let hub = Fixture::start(&key).await;
    let flow = flow();
    let url = hub.provider.sign_in_url(&flow).await.unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
    assert_eq!((&query["state"], &query["nonce"]), (&flow.state, &flow.nonce));
    assert_eq!(query["redirect_uri"], "http://localhost:8000/auth/idp/callback");
    assert_eq!(query["scope"], "openid profile");
    assert!(!url.as_str().contains(&flow.verifier));

    let person = hub.complete(&flow, key.sign(&header("k1"), &hub.claims(&flow))).await.unwrap();
    assert_eq!((person.subject.as_str(), person.username.as_str(), person.name.as_str()), ("1001", "ann", "Ann"));
    assert_eq!((person.rights.role(), person.sid.as_deref()), (Role::Staff, Some("s1")));
    let url = hub.provider.sign_out_url(person.id_token.as_ref(), "http://localhost:8000/").unwrap();
    assert!(url.starts_with(&format!("{}/end?id_token_hint=ey", hub.issuer)), "{url}");
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn forged_foreign_and_expired_tokens_are_refused() {
    let (key, other) = (Key::new("k1"), Key::new("k1"));
    let hub = Fixture::start(&key).await;
    let flow = flow();
    let good = hub.claims(&flow);
    let now = Timestamp::now().as_second();
    let signed = |changes: Value| key.sign(&header("k1"), &with(&good, changes));
    let none = format!("{}.", unsigned(&json!({"alg": "none"}), &good));
    let shared_key = {
        let signed = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &good);
        // The attack on verifiers that accept a symmetric algorithm with a public value as the secret.
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, hub.issuer.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&secret, signed.as_bytes())))
    };
    let whole = key.sign(&header("k1"), &good);
    let (head, signature) = whole.rsplit_once('.').unwrap();
    let changed =
        format!("{}.{signature}", unsigned(&header("k1"), &with(&good, json!({"preferred_username": "ada"}))));
    let table = [
        ("another key with the same id", other.sign(&header("k1"), &good)),
        ("an unknown key", other.sign(&header("k2"), &good)),
        ("algorithm none", none),
        ("a shared key", shared_key),
        ("changed claims", changed),
        ("no signature", head.to_owned()),
        ("another issuer", signed(json!({"iss": "https://evil.example"}))),
        ("no issuer", signed(json!({"iss": null}))),
        ("another audience", signed(json!({"aud": "another client"}))),
        ("no audience", signed(json!({"aud": null}))),
        ("a second audience", signed(json!({"aud": [CLIENT, "another client"]}))),
        ("another authorized party", signed(json!({"aud": [CLIENT, "another client"], "azp": "another client"}))),
        ("another nonce", signed(json!({"nonce": "that of another sign-in"}))),
        ("no nonce", signed(json!({"nonce": null}))),
        ("expired", signed(json!({"iat": now - 600, "exp": now - 1}))),
        ("no expiry", signed(json!({"exp": null}))),
        ("issued in the future", signed(json!({"iat": now + 3_600, "exp": now + 7_200}))),
        ("no subject", signed(json!({"sub": null}))),
        ("an empty subject", signed(json!({"sub": ""}))),
        ("another kind of token", key.sign(&json!({"alg": "ES256", "kid": "k1", "typ": "logout+jwt"}), &good)),
        ("an unknown critical header", key.sign(&json!({"alg": "ES256", "kid": "k1", "crit": ["x"], "x": 1}), &good)),
    ];
    for (what, token) in table {
        let outcome = hub.complete(&flow, token).await;
        assert!(matches!(outcome, Err(SsoError::InvalidToken(_))), "{what}: {outcome:?}");
    }
    assert!(hub.complete(&flow, whole).await.is_ok(), "a good token is accepted after all of them");
    assert!(hub.key_reads() <= 2, "forged tokens made the hub read the keys {} times", hub.key_reads());
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn a_new_key_is_read_when_a_token_names_it() {
    let (key, next, third) = (Key::new("k1"), Key::new("k2"), Key::new("k3"));
    let hub = Fixture::start(&key).await;
    let flow = flow();
    assert!(hub.complete(&flow, key.sign(&header("k1"), &hub.claims(&flow))).await.is_ok());
    *hub.published.keys.lock() = vec![next.public(), third.public()];
    assert!(hub.complete(&flow, next.sign(&header("k2"), &hub.claims(&flow))).await.is_ok());
    assert!(hub.complete(&flow, third.sign(&header("k3"), &hub.claims(&flow))).await.is_ok());
    let withdrawn = hub.complete(&flow, key.sign(&header("k1"), &hub.claims(&flow))).await;
    assert!(matches!(withdrawn, Err(SsoError::InvalidToken(_))), "{withdrawn:?}");
    assert_eq!(hub.key_reads(), 2);
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn missing_claims_come_from_the_user_info_of_the_same_user() {
    let key = Key::new("k1");
    let hub = Fixture::start(&key).await;
    let flow = flow();
    let short = with(&hub.claims(&flow), json!({"preferred_username": null, "name": null, "groups": null}));
    let token = key.sign(&header("k1"), &short);
    *hub.published.user_info.lock() = json!({"sub": "1001", "preferred_username": "ann", "groups": ["desk"]});
    let person = hub.complete(&flow, token.clone()).await.unwrap();
    assert_eq!((person.username.as_str(), person.name.as_str(), person.rights.role()), ("ann", "ann", Role::Staff));
    *hub.published.user_info.lock() = json!({"sub": "1002", "preferred_username": "ada"});
    assert!(matches!(hub.complete(&flow, token.clone()).await, Err(SsoError::InvalidToken(_))));
    *hub.published.user_info.lock() = json!({"sub": "1001", "preferred_username": "a b"});
    assert!(matches!(hub.complete(&flow, token).await, Err(SsoError::NoUsername(_))));
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn a_claim_states_the_user_of_plone_unless_it_is_invalid() {
    let key = Key::new("k1");
    let hub = Fixture::start(&key).await;
    let flow = flow();
    let table = [
        (json!({"email": "ann@college.edu", "email_verified": true}), Some("ann@college.edu")),
        (json!({"email": "ann@college.edu"}), None),
        (json!({"email": "ann@college.edu", "email_verified": false}), None),
        (json!({"email_verified": true}), None),
        (json!({"email": "", "email_verified": true}), None),
        (json!({"email": "an n", "email_verified": true}), None),
        (json!({"email": "..", "email_verified": true}), None),
        (json!({"email": "\u{ff41}nn", "email_verified": true}), None),
        (json!({"email": "a".repeat(1_000), "email_verified": true}), None),
    ];
    for (claims, expected) in table {
        let token = key.sign(&header("k1"), &with(&hub.claims(&flow), claims.clone()));
        let person = hub.complete(&flow, token).await.unwrap();
        assert_eq!(person.plone_user.as_ref().map(UserName::as_str), expected, "{claims}");
        assert_eq!(person.username.as_str(), "ann");
    }
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn logout_tokens_are_verified_and_accepted_once() {
    let (key, other) = (Key::new("k1"), Key::new("k1"));
    let hub = Fixture::start(&key).await;
    let now = Timestamp::now().as_second();
    let good = json!({
        "iss": hub.issuer, "aud": [CLIENT], "iat": now, "exp": now + 120, "jti": "j1", "sub": "1001", "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let head = json!({"alg": "ES256", "kid": "k1", "typ": "logout+jwt"});
    let signed = |changes: Value| key.sign(&head, &with(&good, changes));
    let table = [
        ("another key", other.sign(&head, &good)),
        ("algorithm none", format!("{}.", unsigned(&json!({"alg": "none"}), &good))),
        ("another kind of token", key.sign(&json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}), &good)),
        ("another issuer", signed(json!({"iss": "https://evil.example"}))),
        ("another audience", signed(json!({"aud": "another client"}))),
        ("no audience", signed(json!({"aud": null}))),
        ("no time of issue", signed(json!({"iat": null}))),
        ("old", signed(json!({"iat": now - 3_600, "exp": null}))),
        ("issued in the future", signed(json!({"iat": now + 3_600}))),
        ("expired", signed(json!({"exp": now - 120}))),
        ("no id", signed(json!({"jti": null}))),
        ("no events", signed(json!({"events": null}))),
        ("another event", signed(json!({"events": {"http://schemas.openid.net/event/other": {}}}))),
        ("a nonce", signed(json!({"nonce": "n"}))),
        ("neither person nor session", signed(json!({"sub": null, "sid": null}))),
        ("an ID token", key.sign(&header("k1"), &hub.claims(&flow()))),
        ("no token", "no token".to_owned()),
        ("an empty token", String::new()),
        ("a long token", "x".repeat(super::super::logout_token::LOGOUT_TOKEN_LEN_MAX + 1)),
    ];
    for (what, token) in table {
        let outcome = hub.provider.verify_logout(&token).await;
        assert!(matches!(outcome, Err(SsoError::InvalidToken(_))), "{what}: {outcome:?}");
    }
    let logout = hub.provider.verify_logout(&signed(json!({}))).await.unwrap();
    assert_eq!((logout.of.subject.as_deref(), logout.of.sid.as_deref()), (Some("1001"), Some("s1")));
    let replayed = hub.provider.verify_logout(&signed(json!({}))).await;
    assert!(matches!(replayed, Err(SsoError::InvalidToken(_))), "{replayed:?}");
    assert!(hub.provider.verify_logout(&signed(json!({"jti": "j2", "sub": null, "aud": CLIENT}))).await.is_ok());
    hub.server.stop(false).await;
}

#[actix_web::test]
async fn a_provider_that_hangs_does_not_delay_another() {
    let key = Key::new("k1");
    let (slow, quick) = (Fixture::start(&key).await, Fixture::start(&key).await);
    let settings = |hub: &Fixture| Oidc { issuer: hub.issuer.clone(), client_id: CLIENT.to_owned(), ..Oidc::default() };
    let oidc = BTreeMap::from([("slow".to_owned(), settings(&slow)), ("quick".to_owned(), settings(&quick))]);
    let roles = RoleMap { student: vec!["*".to_owned()], ..RoleMap::default() };
    let auth = Auth { oidc, roles, ..Auth::default() };
    let sso = SingleSignOn::start(&auth, &SecretString::from("a secret of the hub"), Arc::new(SystemClock)).unwrap();

    slow.published.hangs.store(true, Ordering::SeqCst);
    let ended = Arc::new(AtomicUsize::new(0));
    for _ in 0..EXCHANGES_MAX {
        let (provider, ended) = (sso.provider("slow").unwrap().clone(), ended.clone());
        actix_rt::spawn(async move {
            let _ = provider.complete(&flow(), "a code".to_owned()).await;
            ended.fetch_add(1, Ordering::SeqCst);
        });
    }
    while slow.published.token_requests.load(Ordering::SeqCst) < EXCHANGES_MAX {
        tokio::task::yield_now().await;
    }
    let flow = flow();
    *quick.published.id_token.lock() = key.sign(&header("k1"), &quick.claims(&flow));
    let person = sso.provider("quick").unwrap().complete(&flow, "a code".to_owned()).await.unwrap();
    assert_eq!(person.username.as_str(), "ann");
    assert_eq!(ended.load(Ordering::SeqCst), 0, "the sign-ins at the other provider still wait");
    slow.server.stop(false).await;
    quick.server.stop(false).await;
}

#[actix_web::test]
async fn a_provider_that_is_down_or_has_another_issuer_is_reported() {
    let key = Key::new("k1");
    let hub = Fixture::start(&key).await;
    *hub.published.issuer.lock() = "https://evil.example".to_owned();
    let outcome = hub.provider.sign_in_url(&flow()).await;
    assert!(matches!(outcome, Err(SsoError::Misconfigured(_))), "{outcome:?}");
    // A port on which nothing listens anymore.
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let issuer = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let outcome = Fixture::provider(&issuer).sign_in_url(&flow()).await;
    assert!(matches!(outcome, Err(SsoError::Unavailable(_))), "{outcome:?}");
    hub.server.stop(false).await;
}
