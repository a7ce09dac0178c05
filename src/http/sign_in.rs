//! Sign-in, sign-out, the caller's own account, and tickets for the WebSocket.

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::{USER_CHARS_MAX, UserName};
use crate::domain::rights::Subjects;
use crate::domain::role::Role;
use crate::http::auth::{Carrier, Credentials, SESSION_COOKIE, SignedIn, Visitor, client_ip, foreign_origin};
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{
    BadBody, BadCredentials, BadOrigin, BadRole, BadToken, PloneUnavailable, StoreFailed,
};
use crate::http::own_account::{CODE_CHARS_MAX, device};
use crate::http::problem::ProblemCode;
use crate::http::site::{OriginVerdict, Site};
use crate::http::sso;
use crate::identity::device::{DEVICE_COOKIE, DEVICE_LIFETIME};
use crate::identity::password_rules::PASSWORD_BYTES_MAX;
use crate::identity::provider::ProviderError;
use crate::identity::sign_in::{Client, SignInError};
use crate::identity::{Audit, Caller, Identity};

/// `Retry-After` while Plone does not respond, in seconds: about as long as Plone takes to start.
const PLONE_RETRY_S: u32 = 5;

/// The subject of a failed sign-in whose name the hub does not know. Usernames have no spaces.
pub(super) const UNKNOWN_USER: &str = "unknown user";

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
                Self::rate_limited("Too many failed sign-ins. Wait before you try again.", retry_after_s)
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
            SignInError::CodeRequired => {
                Self::new(ProblemCode::SecondFactorRequired, "Enter the code that your authenticator app shows.")
            }
            SignInError::WrongCode => Self::new(
                ProblemCode::SecondFactorRequired,
                "The code is not correct or was used before. Enter the newest code from your app.",
            )
            .field("code"),
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
    /// The subjects to which staff are limited; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, nullable = false)]
    pub(super) subjects: Option<Subjects>,
}

impl From<&Caller> for UserResponse {
    fn from(caller: &Caller) -> Self {
        Self {
            username: caller.user.clone(),
            name: caller.name.clone(),
            role: caller.role,
            subjects: caller.subjects.clone(),
        }
    }
}

/// A user's name and password.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    #[schema(min_length = 1, max_length = 120)]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1_024)]
    password: SecretString,
    /// For an account with a second factor: the code of the authenticator app, or a recovery code.
    #[schema(min_length = 1, max_length = 40)]
    code: Option<String>,
}

impl RequestBody for SignInRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            username: fields.string("username", 1..=USER_CHARS_MAX)?,
            password: SecretString::from(fields.string("password", 1..=PASSWORD_BYTES_MAX)?),
            code: fields.maybe_string("code", 1..=CODE_CHARS_MAX)?,
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

/// Returns the detail of a refused sign-in for the audit trail; `None` if the trail does not record it, because the
/// credentials were not checked or only the code is missing.
fn failed_attempt(error: &SignInError) -> Option<AuditDetail> {
    Some(match error {
        SignInError::BadCredentials => AuditDetail::WrongCredentials,
        SignInError::WrongCode => AuditDetail::WrongCode,
        SignInError::NotAdmitted { provider, reason } => {
            AuditDetail::NotAdmitted { provider: (*provider).to_owned(), reason: reason.clone() }
        }
        SignInError::Locked { provider, reason } => {
            AuditDetail::Locked { provider: (*provider).to_owned(), reason: reason.clone() }
        }
        SignInError::RateLimited { .. }
        | SignInError::Overloaded
        | SignInError::Store(_)
        | SignInError::Provider(_)
        | SignInError::CodeRequired
        | SignInError::Failed => return None,
    })
}

/// Returns the sender of a request with a password or a code; `cookie` is its [`device_cookie`].
pub(super) fn client_of<'c>(req: &HttpRequest, cookie: Option<&'c Cookie<'static>>) -> Client<'c> {
    Client { address: client_ip(req), device: cookie.map(Cookie::value) }
}

/// Returns the cookie that shows that this browser has signed in before.
pub(super) fn device_cookie(req: &HttpRequest) -> Option<Cookie<'static>> {
    let site = req.app_data::<web::Data<Site>>()?;
    req.cookie(&site.cookie_name(DEVICE_COOKIE))
}

/// Signs a user in.
///
/// If the request has an `Origin`, it must be the hub's.
///
/// The hub checks the password of a local account itself. If there is no local account with the name and Plone is
/// configured, Plone checks the password. While Plone does not respond, the hub compares the password with the one that
/// Plone accepted last; without one, the response is `plone_unavailable`. The response is `forbidden` when Plone
/// accepts the password but the user has no role in the hub or has the name of a local account, or when Plone has
/// locked the account; `detail` gives the reason.
#[utoipa::path(
    post,
    path = "/api/v1/login",
    operation_id = "login",
    tag = "identity",
    security(()),
    request_body = SignInRequest,
    responses(
        (status = 200, description = "Signed in.", body = SignInResponse, headers(
            ("Set-Cookie" = String, description = "`eduhub_session`: HttpOnly, SameSite=Lax. When the hub's `public_url` \
                is https, it is Secure and its name is `__Host-eduhub_session`. `eduhub_device`, with the same \
                attributes, proves that this browser has signed in to the account before, so that failed sign-ins of \
                other clients do not limit its next sign-ins."),
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
    let SignInRequest { username, password, code } = read_body(&req, payload).await?;

    let cookie = device_cookie(&req);
    let from = client_of(&req, cookie.as_ref());
    let outcome = identity.sign_in_with(&username, password, code.as_deref(), from, &device(&req)).await;
    let signed_in = match outcome {
        Ok(signed_in) => signed_in,
        Err(error) => {
            if let Some(detail) = failed_attempt(&error) {
                let name = identity.recorded_name(&username, &error).await;
                let subject = name.as_deref().unwrap_or(UNKNOWN_USER);
                audit.record(&req, None, "login.failed", Some(subject), None, detail).await;
            }
            return Err(error.into());
        }
    };
    audit.record(&req, Some(&signed_in.caller), "login", Some(&username), None, signed_in.check).await;

    let mut response = HttpResponse::Ok();
    response.cookie(signed_in_cookie(&site, &identity, signed_in.token.clone()));
    if let Some(device) = identity.issue_device(&username) {
        response.cookie(hub_cookie(&site, DEVICE_COOKIE, device, DEVICE_LIFETIME));
    }
    let user = UserResponse::from(&signed_in.caller);
    let body = SignInResponse { token: signed_in.token, expires_at: signed_in.caller.expires_at, user };
    Ok(response.json(body))
}

/// Returns the cookie that carries a new sign-in.
pub(super) fn signed_in_cookie(site: &Site, identity: &Identity, token: String) -> Cookie<'static> {
    hub_cookie(site, SESSION_COOKIE, token, identity.session_ttl())
}

/// Returns a cookie of the hub. Its name states its prefix under https; see [`Site::cookie_name`].
fn hub_cookie(site: &Site, name: &str, value: String, lifetime: Duration) -> Cookie<'static> {
    let lifetime = CookieDuration::seconds(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    let cookie = Cookie::build(site.cookie_name(name).into_owned(), value).path("/").max_age(lifetime);
    cookie.http_only(true).same_site(SameSite::Lax).secure(site.is_https()).finish()
}

/// Returns an expired cookie, which makes a browser delete its sign-in. The device cookie stays.
pub(super) fn cleared_cookie(site: &Site) -> Cookie<'static> {
    hub_cookie(site, SESSION_COOKIE, String::new(), Duration::ZERO)
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
    // This comes before `sign_out_url`, which forgets the sign-in: the provider could not end a forgotten sign-in whose
    // token is still valid.
    identity.logout(&caller).await?;
    let end_session = sso::sign_out_url(&req, &caller, &identity, &site).await?.filter(|_| is_browser);
    audit.record(&req, Some(&caller), "logout", None, None, "").await;
    let mut response = if end_session.is_some() { HttpResponse::Ok() } else { HttpResponse::NoContent() };
    // Also after a sign-out by `Authorization`: a browser may have a cookie, too.
    response.cookie(cleared_cookie(&site));
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
