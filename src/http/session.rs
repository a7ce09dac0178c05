//! Sign-in and sign-out, the caller's own account, and tickets for the WebSocket.

use std::sync::Arc;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use crate::domain::ids::{USER_LEN_MAX, UserName};
use crate::domain::role::Role;
use crate::http::auth::{Carrier, Credentials, SESSION_COOKIE, SignedIn, client_ip, foreign_origin};
use crate::http::body::{Fields, read_json};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::problem::ProblemCode;
use crate::http::site::{OriginVerdict, Site};
use crate::identity::gate::{LoginError, SignedInBy};
use crate::identity::{Audit, Caller, Identity};
use crate::plone::port::PloneError;

/// The longest password that a sign-in accepts, in characters.
const PASSWORD_CHARS_MAX: usize = 1_000;
/// `Retry-After` while Plone does not answer, in seconds: about as long as Plone takes to start.
const PLONE_RETRY_S: u32 = 5;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let post = |path: &str| web::resource(path.to_owned()).default_service(method_not_allowed("POST"));
    cfg.service(post("/api/v1/login").route(web::post().to(login)))
        .service(post("/api/v1/logout").route(web::post().to(logout)))
        .service(post("/api/v1/ws-ticket").route(web::post().to(ws_ticket)))
        .service(web::resource("/api/v1/me").route(get().to(me)).default_service(method_not_allowed("GET, HEAD")));
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::BadCredentials => {
                Self::new(ProblemCode::BadCredentials, "The user name or the password is wrong.")
            }
            LoginError::RateLimited { retry_after_s } => {
                Self::rate_limited("Too many sign-ins have failed. Please wait before you try again.", retry_after_s)
            }
            LoginError::Overloaded => Self::overloaded(),
            LoginError::Store(error) => error.into(),
            LoginError::NotHere(why) => Self::forbidden(why),
            LoginError::Locked(reason) => Self::forbidden(format!("Plone has locked this account: {reason}")),
            LoginError::Plone(PloneError::Busy) => Self::overloaded(),
            LoginError::Plone(error) => Self::new(
                ProblemCode::PloneUnavailable,
                "The college's Plone, which checks passwords, does not answer just now. Nobody was signed in and nothing \
                 was changed; it is safe to try again.",
            )
            .retry_after(PLONE_RETRY_S)
            .caused_by(error),
            LoginError::Failed => Self::internal(error),
        }
    }
}

/// A user who can sign in.
#[derive(Debug, Serialize)]
pub(super) struct UserBody {
    pub(super) username: UserName,
    /// The display name.
    pub(super) name: Arc<str>,
    pub(super) role: Role,
}

impl From<&Caller> for UserBody {
    fn from(caller: &Caller) -> Self {
        Self { username: caller.user.clone(), name: caller.name.clone(), role: caller.role }
    }
}

/// A user's name and password.
struct SignInRequest {
    username: String,
    password: SecretString,
}

impl SignInRequest {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let username = fields.string("username", 1..=USER_LEN_MAX)?;
        let password = SecretString::from(fields.string("password", 1..=PASSWORD_CHARS_MAX)?);
        fields.finish()?;
        Ok(Self { username, password })
    }
}

/// A sign-in that succeeded.
#[derive(Serialize)]
struct SignInBody {
    /// An access token for `Authorization: Bearer`.
    token: String,
    expires_at: Timestamp,
    user: UserBody,
}

/// A ticket for the WebSocket.
#[derive(Serialize)]
struct TicketBody {
    ticket: String,
}

/// Returns whether the audit trail records the failure: the credentials were rejected, rather than not checked.
fn is_failed_attempt(error: &LoginError) -> bool {
    matches!(error, LoginError::BadCredentials | LoginError::NotHere(_) | LoginError::Locked(_))
}

/// Handles `POST /api/v1/login`.
pub async fn login(
    req: HttpRequest,
    payload: web::Payload,
    identity: web::Data<Identity>,
    site: web::Data<Site>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    // A page of another site must not sign its visitors in under a name that it chooses.
    if site.origin_verdict(&req) == OriginVerdict::Foreign {
        return Err(foreign_origin());
    }
    let SignInRequest { username, password } = SignInRequest::read(read_json(&req, payload).await?)?;

    let outcome = identity.login(&username, password, client_ip(&req)).await;
    let signed_in = match outcome {
        Ok(signed_in) => signed_in,
        Err(error) => {
            if is_failed_attempt(&error) {
                audit.record(&req, None, "login.failed", Some(&username), None, &error.to_string());
            }
            return Err(error.into());
        }
    };
    let detail = match signed_in.by {
        SignedInBy::LocalAccount => "local account",
        SignedInBy::Plone => "Plone",
        SignedInBy::KnownPassword => "Plone did not answer: known password",
    };
    audit.record(&req, Some(&signed_in.caller), "login", Some(&username), None, detail);

    let ttl = CookieDuration::seconds(i64::try_from(identity.session_ttl().as_secs()).unwrap_or(i64::MAX));
    let cookie = session_cookie(&site, signed_in.token.clone()).max_age(ttl).finish();
    let user = UserBody::from(&signed_in.caller);
    let body = SignInBody { token: signed_in.token, expires_at: signed_in.caller.expires_at, user };
    Ok(HttpResponse::Ok().cookie(cookie).json(body))
}

fn session_cookie(site: &Site, value: String) -> actix_web::cookie::CookieBuilder<'static> {
    Cookie::build(SESSION_COOKIE, value).path("/").http_only(true).same_site(SameSite::Lax).secure(site.is_https())
}

/// Handles `POST /api/v1/logout`: revokes the token on every hub.
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
        response.cookie(session_cookie(&site, String::new()).max_age(CookieDuration::ZERO).finish());
    }
    Ok(response.finish())
}

/// Handles `GET /api/v1/me`.
pub async fn me(SignedIn(caller): SignedIn) -> HttpResponse {
    HttpResponse::Ok().json(UserBody::from(&caller))
}

/// Handles `POST /api/v1/ws-ticket`: issues a ticket that opens one WebSocket within 30 seconds.
pub async fn ws_ticket(SignedIn(caller): SignedIn, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let ticket = identity.issue_ticket(&caller).ok_or_else(Problem::overloaded)?;
    Ok(HttpResponse::Ok().json(TicketBody { ticket }))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
