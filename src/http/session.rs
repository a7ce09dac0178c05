//! Sign-in and sign-out, the caller's identity, and tickets for the WebSocket.

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::domain::ids::USER_LEN_MAX;
use crate::http::auth::{Carrier, Credentials, SESSION_COOKIE, SignedIn, Visitor, client_ip, foreign_origin};
use crate::http::body::read_json;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::problem::ProblemCode;
use crate::http::site::{OriginVerdict, Site};
use crate::identity::provider::ProviderError;
use crate::identity::sign_in::SignInError;
use crate::identity::{Audit, Caller, Identity};

/// The longest password that is looked at, in characters.
const PASSWORD_CHARS_MAX: usize = 1_000;
/// When to try again while Plone does not answer: about as long as it takes to start.
const PLONE_RETRY_S: u32 = 5;

/// The resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let post = |path: &str| web::resource(path.to_owned()).default_service(method_not_allowed("POST"));
    cfg.service(post("/api/v1/login").route(web::post().to(login)))
        .service(post("/api/v1/logout").route(web::post().to(logout)))
        .service(post("/api/v1/ws-ticket").route(web::post().to(ws_ticket)))
        .service(web::resource("/api/v1/me").route(get().to(me)).default_service(method_not_allowed("GET, HEAD")))
        .service(
            web::resource("/api/v1/session")
                .route(get().to(browser_session))
                .default_service(method_not_allowed("GET, HEAD")),
        );
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => {
                Self::new(ProblemCode::BadCredentials, "The user name or the password is wrong.")
            }
            SignInError::RateLimited { retry_after_s } => {
                Self::rate_limited("Too many sign-ins have failed. Please wait before you try again.", retry_after_s)
            }
            SignInError::Overloaded => Self::overloaded(),
            SignInError::Store(error) => error.into(),
            SignInError::NotAdmitted { reason, .. } => Self::forbidden(reason),
            SignInError::Locked { provider, reason } => {
                Self::forbidden(format!("{provider} has locked this account: {reason}"))
            },
            SignInError::Provider(ProviderError::Busy | ProviderError::Hanging) => Self::overloaded(),
            SignInError::Provider(error) => Self::new(
                ProblemCode::PloneUnavailable,
                "The college's Plone, which checks passwords, does not answer just now. Nobody was signed in and nothing \
                 was changed; it is safe to try again.",
            )
            .retry_after(PLONE_RETRY_S)
            .caused_by(error),
            SignInError::Failed => Self::internal(error),
        }
    }
}

/// Returns the caller's identity as `GET /api/v1/me` answers it.
pub(super) fn user_json(caller: &Caller) -> Value {
    json!({"username": caller.user, "name": &*caller.name, "role": caller.role})
}

/// Whether the trail tells of it: who tried was refused, and not for want of time or room.
fn is_failed_attempt(error: &SignInError) -> bool {
    matches!(error, SignInError::BadCredentials | SignInError::NotAdmitted { .. } | SignInError::Locked { .. })
}

/// `POST /api/v1/login`.
pub async fn login(
    req: HttpRequest,
    payload: web::Payload,
    identity: web::Data<Identity>,
    site: web::Data<Site>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    // A page elsewhere must not sign its visitors in under a name of its choosing.
    if site.origin_verdict(&req) == OriginVerdict::Foreign {
        return Err(foreign_origin());
    }
    let mut fields = read_json(&req, payload).await?;
    let username = fields.string("username", 1..=USER_LEN_MAX)?;
    let password = SecretString::from(fields.string("password", 1..=PASSWORD_CHARS_MAX)?);
    fields.finish()?;

    let outcome = identity.sign_in(&username, password, client_ip(&req)).await;
    let signed_in = match outcome {
        Ok(signed_in) => signed_in,
        Err(error) => {
            if is_failed_attempt(&error) {
                audit.record(&req, None, "login.failed", Some(&username), None, &error.to_string());
            }
            return Err(error.into());
        }
    };
    let check = signed_in.check.to_string();
    audit.record(&req, Some(&signed_in.caller), "login", Some(&username), None, &check);

    let ttl = CookieDuration::seconds(i64::try_from(identity.session_ttl().as_secs()).unwrap_or(i64::MAX));
    let cookie = session_cookie(&site, signed_in.token.clone()).max_age(ttl).finish();
    Ok(HttpResponse::Ok().cookie(cookie).json(json!({
        "token": signed_in.token,
        "expires_at": signed_in.caller.expires_at.to_string(),
        "user": user_json(&signed_in.caller),
    })))
}

fn session_cookie(site: &Site, value: String) -> actix_web::cookie::CookieBuilder<'static> {
    Cookie::build(SESSION_COOKIE, value).path("/").http_only(true).same_site(SameSite::Lax).secure(site.is_https())
}

/// Returns the cookie that makes a browser delete its sign-in.
fn cleared_cookie(site: &Site) -> Cookie<'static> {
    session_cookie(site, String::new()).max_age(CookieDuration::ZERO).finish()
}

/// `POST /api/v1/logout`: the token is dead from then on, everywhere.
pub async fn logout(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    identity: web::Data<Identity>,
    site: web::Data<Site>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    identity.logout(&caller).await?;
    audit.record(&req, Some(&caller), "logout", None, None, "");
    let mut response = HttpResponse::NoContent();
    if matches!(Credentials::of(&req), Credentials::Good(_, Carrier::Cookie)) {
        response.cookie(cleared_cookie(&site));
    }
    Ok(response.finish())
}

/// `GET /api/v1/me`.
pub async fn me(SignedIn(caller): SignedIn) -> HttpResponse {
    HttpResponse::Ok().json(user_json(&caller))
}

/// `GET /api/v1/session`: the user that this browser is signed in as, or `{"user": null}` for a visitor.
///
/// Pages ask this first. Being a visitor is ordinary, and [`me`] answers a visitor with 401, which browsers log as a
/// failed request. A cookie that is no longer valid is cleared: it would keep a visitor from opening the WebSocket.
pub async fn browser_session(req: HttpRequest, Visitor(caller): Visitor, site: web::Data<Site>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if matches!(Credentials::of(&req), Credentials::Bad(_, Carrier::Cookie)) {
        response.cookie(cleared_cookie(&site));
    }
    response.json(json!({"user": caller.as_ref().map(user_json)}))
}

/// `POST /api/v1/ws-ticket`: what a browser shows the WebSocket, once, within half a minute.
pub async fn ws_ticket(SignedIn(caller): SignedIn, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let ticket = identity.issue_ticket(&caller).ok_or_else(Problem::overloaded)?;
    Ok(HttpResponse::Ok().json(json!({"ticket": ticket})))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
