//! Sign-in, sign-out, the caller's own account, and tickets for the WebSocket.

use std::sync::Arc;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::ids::{USER_LEN_MAX, UserName};
use crate::domain::role::Role;
use crate::http::auth::{Carrier, Credentials, SESSION_COOKIE, SignedIn, Visitor, client_ip, foreign_origin};
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{
    BadBody, BadCredentials, BadOrigin, BadRole, BadToken, PloneUnavailable, StoreFailed,
};
use crate::http::problem::ProblemCode;
use crate::http::site::{OriginVerdict, Site};
use crate::http::sso;
use crate::identity::provider::ProviderError;
use crate::identity::sign_in::SignInError;
use crate::identity::{Audit, Caller, Identity};

/// The longest password that a sign-in accepts, in characters.
const PASSWORD_CHARS_MAX: usize = 1_000;
/// `Retry-After` while Plone does not respond, in seconds: about as long as Plone takes to start.
const PLONE_RETRY_S: u32 = 5;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(login, logout, me, browser_session, ws_ticket))]
pub(super) struct Api;

/// Registers the resources of this file.
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
                Self::new(ProblemCode::BadCredentials, "Incorrect username or password. Check both and try again.")
            }
            SignInError::RateLimited { retry_after_s } => {
                Self::rate_limited("Too many failed sign-ins. Please wait before you try again.", retry_after_s)
            }
            SignInError::Overloaded => Self::overloaded(),
            SignInError::Store(error) => error.into(),
            SignInError::NotAdmitted { reason, .. } => Self::forbidden(reason),
            SignInError::Locked { provider, reason } => {
                Self::forbidden(format!("{provider} has locked this account: {reason}"))
            }
            SignInError::Provider(ProviderError::Busy | ProviderError::Hanging) => Self::overloaded(),
            SignInError::Provider(error) => Self::new(
                ProblemCode::PloneUnavailable,
                "The college website (Plone), which checks passwords, is not responding. You were not signed in; try \
                 again in a few seconds.",
            )
            .retry_after(PLONE_RETRY_S)
            .caused_by(error),
            SignInError::Failed => Self::internal(error),
        }
    }
}

/// A user who can sign in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserResponse {
    pub(super) username: UserName,
    /// The display name.
    #[schema(value_type = String)]
    pub(super) name: Arc<str>,
    pub(super) role: Role,
}

impl From<&Caller> for UserResponse {
    fn from(caller: &Caller) -> Self {
        Self { username: caller.user.clone(), name: caller.name.clone(), role: caller.role }
    }
}

/// A user's name and password.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    #[schema(min_length = 1, max_length = 120)]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1_000)]
    password: SecretString,
}

impl RequestBody for SignInRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            username: fields.string("username", 1..=USER_LEN_MAX)?,
            password: SecretString::from(fields.string("password", 1..=PASSWORD_CHARS_MAX)?),
        })
    }
}

/// A successful sign-in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignIn)]
struct SignInResponse {
    /// An access token for `Authorization: Bearer`.
    token: String,
    expires_at: Timestamp,
    user: UserResponse,
}

/// The user of a browser.
#[derive(Serialize, ToSchema)]
struct BrowserSession {
    /// The signed-in user; null for a visitor.
    #[schema(required)]
    user: Option<UserResponse>,
}

/// Where a browser goes to be signed out by the provider, too.
#[derive(Serialize, ToSchema)]
struct ProviderSignOut {
    end_session: String,
}

/// A ticket for the WebSocket.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
struct TicketResponse {
    ticket: String,
}

/// Returns whether the credentials were rejected. The audit trail does not record sign-ins that were never checked.
fn is_failed_attempt(error: &SignInError) -> bool {
    matches!(error, SignInError::BadCredentials | SignInError::NotAdmitted { .. } | SignInError::Locked { .. })
}

/// Signs a user in.
///
/// If the request has an `Origin`, it must be the hub's.
///
/// The hub checks the password of a local account itself. If there is no local account with the name and Plone is
/// configured, Plone checks the password. While Plone does not respond, the hub compares the password with the one
/// that Plone accepted last; without one, the response is `plone_unavailable`. The response is `forbidden` when Plone
/// accepts the password but its user has no role in the hub or the name of a local account, or when Plone has locked
/// the account; `detail` gives the reason.
#[utoipa::path(
    post,
    path = "/api/v1/login",
    operation_id = "login",
    tag = "identity",
    security(()),
    request_body = SignInRequest,
    responses(
        (status = 200, description = "Signed in.", body = SignInResponse, headers(
            ("Set-Cookie" = String, description = "`eduhub_session`: HttpOnly, SameSite=Lax, Secure when the hub's \
                `public_url` is https."),
        )),
        BadCredentials, BadOrigin, BadBody, PloneUnavailable, StoreFailed,
    )
)]
pub async fn login(
    req: HttpRequest,
    payload: web::Payload,
    identity: web::Data<Identity>,
    site: web::Data<Site>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    // A page of another site must not sign its visitors in to an account that it chooses.
    if site.origin_verdict(&req) == OriginVerdict::Foreign {
        return Err(foreign_origin());
    }
    let SignInRequest { username, password } = read_body(&req, payload).await?;

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

    let cookie = signed_in_cookie(&site, &identity, signed_in.token.clone());
    let user = UserResponse::from(&signed_in.caller);
    let body = SignInResponse { token: signed_in.token, expires_at: signed_in.caller.expires_at, user };
    Ok(HttpResponse::Ok().cookie(cookie).json(body))
}

/// Returns the cookie that carries a new sign-in.
pub(super) fn signed_in_cookie(site: &Site, identity: &Identity, token: String) -> Cookie<'static> {
    let ttl = CookieDuration::seconds(i64::try_from(identity.session_ttl().as_secs()).unwrap_or(i64::MAX));
    session_cookie(site, token).max_age(ttl).finish()
}

fn session_cookie(site: &Site, value: String) -> actix_web::cookie::CookieBuilder<'static> {
    Cookie::build(SESSION_COOKIE, value).path("/").http_only(true).same_site(SameSite::Lax).secure(site.is_https())
}

/// Returns an expired cookie, which makes a browser delete its sign-in.
fn cleared_cookie(site: &Site) -> Cookie<'static> {
    session_cookie(site, String::new()).max_age(CookieDuration::ZERO).finish()
}

/// Signs the caller out. The token becomes invalid everywhere.
///
/// A user of single sign-on is still signed in at the provider. If the request is authenticated by cookie, and the
/// provider can sign the user out, the response is 200 with the address to which the browser should go next.
#[utoipa::path(
    post,
    path = "/api/v1/logout",
    operation_id = "logout",
    tag = "identity",
    responses(
        (status = 200, description = "Signed out here, but not yet at the provider.", body = ProviderSignOut),
        (status = 204, description = "Signed out."),
        BadRole, StoreFailed,
    )
)]
pub async fn logout(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    identity: web::Data<Identity>,
    site: web::Data<Site>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let is_browser = matches!(Credentials::of(&req), Credentials::Valid(_, Carrier::Cookie));
    let end_session = sso::sign_out_url(&req, &caller, &identity, &site).await?.filter(|_| is_browser);
    identity.logout(&caller).await?;
    audit.record(&req, Some(&caller), "logout", None, None, "");
    let mut response = if end_session.is_some() { HttpResponse::Ok() } else { HttpResponse::NoContent() };
    if is_browser {
        response.cookie(cleared_cookie(&site));
    }
    Ok(match end_session {
        Some(end_session) => response.json(ProviderSignOut { end_session }),
        None => response.finish(),
    })
}

/// Returns the caller's own account.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    operation_id = "me",
    tag = "identity",
    responses((status = 200, description = "The caller.", body = UserResponse), BadToken)
)]
pub async fn me(SignedIn(caller): SignedIn) -> HttpResponse {
    HttpResponse::Ok().json(UserResponse::from(&caller))
}

/// Returns the user who is signed in to this browser.
///
/// The status is 200 for a visitor, too, because pages call this first. A cookie that is no longer valid is cleared. An
/// invalid `Authorization` header gets 401.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "session",
    tag = "identity",
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (
            status = 200,
            description = "The user; null for a visitor.",
            body = BrowserSession,
            headers(("Set-Cookie" = String, description = "Clears `eduhub_session` when its token is not valid.")),
        ),
        BadToken,
    )
)]
pub async fn browser_session(req: HttpRequest, Visitor(caller): Visitor, site: web::Data<Site>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    // Otherwise the invalid cookie would prevent a visitor from opening the WebSocket. Visitors get 200, because
    // browsers log a 401 as a failed request.
    if matches!(Credentials::of(&req), Credentials::Invalid(_, Carrier::Cookie)) {
        response.cookie(cleared_cookie(&site));
    }
    response.json(BrowserSession { user: caller.as_ref().map(UserResponse::from) })
}

/// Issues a ticket for the WebSocket.
#[utoipa::path(
    post,
    path = "/api/v1/ws-ticket",
    operation_id = "issueTicket",
    tag = "identity",
    responses(
        (
            status = 200,
            description = "For `/alerts/ws?ticket=`: valid once, for 30 seconds.",
            body = TicketResponse,
        ),
        BadRole, StoreFailed,
    )
)]
pub async fn ws_ticket(SignedIn(caller): SignedIn, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let ticket = identity.issue_ticket(&caller).ok_or_else(Problem::overloaded)?;
    Ok(HttpResponse::Ok().json(TicketResponse { ticket }))
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
