//! The caller's own account: the password, the second factor, the sign-ins.

use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use qrcode::{Color, QrCode};
use secrecy::SecretString;
use serde::Serialize;
use std::fmt::Write as _;
use utoipa::{OpenApi, ToSchema};
use uuid::Uuid;

use crate::domain::audit_detail::AuditDetail;
use crate::http::auth::SignedIn;
use crate::http::body::{Fields, RequestBody, read_body, read_body_or_nothing};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::responses::{BadBody, BadPath, BadRole, BadToken, FactorExists, NotFound, StoreFailed};
use crate::http::problem::ProblemCode;
use crate::http::query::path_param;
use crate::http::request_id::PRIVATE;
use crate::http::sign_in::{client_of, device_cookie};
use crate::http::users::weak_password;
use crate::identity::own_account::{PasswordChange, Proof};
use crate::identity::password_rules::PASSWORD_BYTES_MAX;
use crate::identity::second_factor::{FactorError, NewFactor};
use crate::identity::sign_in_list::Device;
use crate::identity::{Audit, Caller, Identity};
use crate::store::accounts::Account;

/// The longest code that is read, in characters: more than a recovery code with its hyphens and some spaces.
pub(super) const CODE_CHARS_MAX: usize = 40;
/// The width of the empty margin that a QR code needs on each side, in modules (ISO/IEC 18004).
const QR_MARGIN: usize = 4;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(change_password, factor, set_up_factor, remove_factor, sign_ins, end_sign_in))]
pub(super) struct Api;

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/me/password")
            .route(web::post().to(change_password))
            .default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/me/totp")
            .route(get().to(factor))
            .route(web::post().to(set_up_factor))
            .route(web::delete().to(remove_factor))
            .default_service(method_not_allowed("GET, HEAD, POST, DELETE")),
    )
    .service(
        web::resource("/api/v1/me/sign-ins").route(get().to(sign_ins)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/me/sign-ins/{id}")
            .route(web::delete().to(end_sign_in))
            .default_service(method_not_allowed("DELETE")),
    );
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Exists => {
                Self::new(ProblemCode::SecondFactorExists, "Two-step verification is already on. Turn it off first.")
            }
            FactorError::Absent => Self::not_found("Two-step verification is off, or setting it up took too long."),
            FactorError::Wrong => {
                Self::invalid("code", "The code is not correct. Enter the newest code from your app.")
            }
            FactorError::Overloaded => Self::overloaded(),
            FactorError::Failed => Self::internal(error),
            FactorError::Store(error) => error.into(),
        }
    }
}

/// Returns the client's description of itself.
pub(super) fn device(req: &HttpRequest) -> Device {
    let agent = req.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Device { agent: agent.unwrap_or_default() }
}

/// Returns the local account with which the caller signed in.
async fn own_account(identity: &Identity, caller: &Caller) -> Result<Account, Problem> {
    identity.own_account(caller).await?.map_err(|reason| Problem::forbidden(reason.to_string()))
}

/// A change of the caller's own password.
#[derive(ToSchema)]
#[schema(as = PasswordChange)]
#[serde(deny_unknown_fields)]
struct PasswordRequest {
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1_024)]
    current: SecretString,
    /// At least 12 characters and at most 1,024 bytes; not a common password, the username or the name of the college.
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1_024)]
    new: SecretString,
}

impl RequestBody for PasswordRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            current: fields.string("current", 1..=PASSWORD_BYTES_MAX)?.into(),
            new: fields.string("new", 1..=PASSWORD_BYTES_MAX)?.into(),
        })
    }
}

/// Changes the password of the caller's own local account.
///
/// All other sign-ins and tokens of the user end; the sign-in that sent the request stays valid. A wrong current
/// password counts as a failed sign-in. The response is `forbidden` for a user without a local account and for a minted
/// token. `reason` says why a new password is refused.
#[utoipa::path(
    post,
    path = "/api/v1/me/password",
    operation_id = "changePassword",
    tag = "identity",
    request_body = PasswordRequest,
    responses((status = 204, description = "Changed."), BadRole, BadBody, StoreFailed)
)]
pub async fn change_password(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let PasswordRequest { current, new } = read_body(&req, payload).await?;
    let account = own_account(&identity, &caller).await?;
    let user = Some(caller.user.as_str());
    let cookie = device_cookie(&req);
    let from = client_of(&req, cookie.as_ref());
    match identity.change_own_password(&caller, account, current, new, from).await? {
        PasswordChange::Changed => {}
        PasswordChange::WrongPassword => {
            audit.record(&req, Some(&caller), "password.failed", user, None, AuditDetail::WrongCurrentPassword).await;
            return Err(Problem::invalid("current", "The current password is not correct. Nothing was changed."));
        }
        PasswordChange::Weak(weak) => return Err(weak_password("new", weak)),
        PasswordChange::Unchanged => {
            return Err(Problem::invalid("new", "The new password is the same as the current one."));
        }
    }
    audit.record(&req, Some(&caller), "password.change", user, None, AuditDetail::OtherSignInsEnded).await;
    Ok(HttpResponse::NoContent().finish())
}

/// The second factor of the caller's account.
#[derive(Serialize, ToSchema)]
struct Factor {
    /// Whether the caller signed in with a local account, which can have a second factor.
    local: bool,
    /// Whether sign-ins need a code.
    enabled: bool,
}

/// Returns whether the caller's own account has a second factor.
#[utoipa::path(
    get,
    path = "/api/v1/me/totp",
    operation_id = "secondFactor",
    tag = "identity",
    responses((status = 200, description = "The second factor.", body = Factor), BadToken, StoreFailed)
)]
pub async fn factor(SignedIn(caller): SignedIn, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let local = identity.own_account(&caller).await?.is_ok();
    let enabled = local && identity.has_factor(&caller.user).await?;
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(Factor { local, enabled }))
}

/// A step of the set-up of a second factor.
#[derive(ToSchema)]
#[schema(as = FactorStep)]
#[serde(deny_unknown_fields)]
struct FactorRequest {
    /// The current password, which is required for a new secret.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1_024)]
    password: Option<SecretString>,
    /// The code that the app shows for the new secret. Without one, a new secret is created.
    #[schema(min_length = 1, max_length = 40)]
    code: Option<String>,
}

impl RequestBody for FactorRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            password: fields.maybe_string("password", 1..=PASSWORD_BYTES_MAX)?.map(SecretString::from),
            code: fields.maybe_string("code", 1..=CODE_CHARS_MAX)?,
        })
    }
}

/// A new secret, or after its confirmation the recovery codes. Neither can be read again.
#[derive(Default, Serialize, ToSchema)]
struct FactorSetUp {
    /// The secret in base 32, to be typed into an authenticator app.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
    /// The `otpauth:` URI of the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    uri: Option<String>,
    /// The URI as a QR code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    qr: Option<Qr>,
    /// The recovery codes. Each replaces the code of the app once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    recovery_codes: Option<Vec<String>>,
}

/// A QR code: the dark modules as the data of an SVG path.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QrCode)]
struct Qr {
    /// The width and height in modules, with the margin.
    size: usize,
    path: String,
}

fn qr(text: &str) -> Option<Qr> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (at, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        // Writing to a string cannot fail.
        let _ = write!(path, "M{} {}h1v1h-1z", at % width + QR_MARGIN, at / width + QR_MARGIN);
    }
    Some(Qr { size: width + 2 * QR_MARGIN, path })
}

/// Sets up a second factor (TOTP, RFC 6238) for the caller's own local account.
///
/// With the current `password`, the response has a new secret, valid for 15 minutes; sign-ins do not need a code yet.
/// With the `code` that the app shows for it, the second factor takes effect, and the response has the recovery codes.
/// A wrong password counts as a failed sign-in. The response is `forbidden` for a user without a local account and for
/// a minted token.
#[utoipa::path(
    post,
    path = "/api/v1/me/totp",
    operation_id = "setUpSecondFactor",
    tag = "identity",
    request_body(content = FactorRequest),
    responses(
        (status = 200, description = "A new secret, or the recovery codes.", body = FactorSetUp),
        BadRole, BadBody, NotFound, FactorExists, StoreFailed,
    )
)]
pub async fn set_up_factor(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let FactorRequest { password, code } = read_body_or_nothing(&req, payload).await?;
    let account = own_account(&identity, &caller).await?;
    let response = match code {
        None => {
            let new = begin_factor(&req, &caller, &account, password, &identity, &audit).await?;
            FactorSetUp { qr: qr(&new.uri), secret: Some(new.secret), uri: Some(new.uri), ..FactorSetUp::default() }
        }
        Some(code) => {
            let codes = identity.confirm_factor(&account.username, &code).await?;
            audit.record(&req, Some(&caller), "totp.add", Some(caller.user.as_str()), None, "").await;
            FactorSetUp { recovery_codes: Some(codes), ..FactorSetUp::default() }
        }
    };
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(response))
}

/// Creates a new secret for an account. The password proves that the caller owns the account.
async fn begin_factor(
    req: &HttpRequest,
    caller: &Caller,
    account: &Account,
    password: Option<SecretString>,
    identity: &Identity,
    audit: &Audit,
) -> Result<NewFactor, Problem> {
    let (cookie, is_absent) = (device_cookie(req), password.is_none());
    match identity.begin_own_factor(account, password, client_of(req, cookie.as_ref())).await? {
        Err(FactorError::Wrong) if is_absent => Err(Problem::invalid("password", "Enter your current password.")),
        Err(FactorError::Wrong) => {
            let user = Some(caller.user.as_str());
            audit.record(req, Some(caller), "totp.failed", user, None, AuditDetail::WrongPassword).await;
            Err(Problem::invalid("password", "The password is not correct. Nothing was changed."))
        }
        new => Ok(new?),
    }
}

/// The removal of a second factor: the password or a code.
#[derive(ToSchema)]
#[schema(as = FactorRemoval)]
#[serde(deny_unknown_fields)]
struct RemovalRequest {
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1_024)]
    password: Option<SecretString>,
    /// A code from the app, or a recovery code.
    #[schema(min_length = 1, max_length = 40)]
    code: Option<String>,
}

impl RequestBody for RemovalRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            password: fields.maybe_string("password", 1..=PASSWORD_BYTES_MAX)?.map(SecretString::from),
            code: fields.maybe_string("code", 1..=CODE_CHARS_MAX)?,
        })
    }
}

/// Removes the second factor of the caller's own account. This requires the password or a code.
#[utoipa::path(
    delete,
    path = "/api/v1/me/totp",
    operation_id = "removeSecondFactor",
    tag = "identity",
    request_body(content = RemovalRequest),
    responses((status = 204, description = "Removed."), BadRole, BadBody, NotFound, StoreFailed)
)]
pub async fn remove_factor(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let RemovalRequest { password, code } = read_body_or_nothing(&req, payload).await?;
    let (proof, field, wrong) = match (password, code) {
        (_, Some(code)) => (Proof::Code(code), "code", AuditDetail::WrongFactor),
        (Some(password), None) => (Proof::Password(password), "password", AuditDetail::WrongPassword),
        (None, None) => return Err(Problem::invalid("password", "Enter your password or a code.")),
    };
    let account = own_account(&identity, &caller).await?;
    let user = Some(caller.user.as_str());
    let cookie = device_cookie(&req);
    let from = client_of(&req, cookie.as_ref());
    match identity.remove_own_factor(&account, &proof, from).await? {
        Ok(()) => {}
        Err(FactorError::Wrong) => {
            audit.record(&req, Some(&caller), "totp.failed", user, None, wrong).await;
            return Err(Problem::invalid(field, format!("The {field} is not correct. Nothing was changed.")));
        }
        Err(error) => return Err(error.into()),
    }
    audit.record(&req, Some(&caller), "totp.remove", user, None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// A sign-in of the caller's user.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnSignIn)]
struct SignInItem {
    id: Uuid,
    /// The `User-Agent` of the client; empty if it sent none.
    device: String,
    /// The address of the client at the sign-in.
    address: String,
    since: Timestamp,
    /// Accurate to ten minutes.
    last_seen: Timestamp,
    /// Whether this request belongs to the sign-in.
    current: bool,
}

/// Sign-ins, most recently used first.
#[derive(Serialize, ToSchema)]
struct OwnSignIns {
    items: Vec<SignInItem>,
}

/// Lists the caller's own sign-ins.
///
/// The list has the newest 50 that have not ended. Minted tokens are not sign-ins.
#[utoipa::path(
    get,
    path = "/api/v1/me/sign-ins",
    operation_id = "listSignIns",
    tag = "identity",
    responses((status = 200, description = "The sign-ins.", body = OwnSignIns), BadToken, StoreFailed)
)]
pub async fn sign_ins(SignedIn(caller): SignedIn, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    identity.learn_sign_ins(&caller.user).await?;
    let own = identity.own_sign_ins(&caller).into_iter();
    let items = own.map(|one| SignInItem {
        id: one.id,
        device: one.device,
        address: one.address,
        since: one.since,
        last_seen: one.last_seen,
        current: one.id == caller.token_id,
    });
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(OwnSignIns { items: items.collect() }))
}

/// Ends one of the caller's own sign-ins. Its live sessions are closed with 4003.
#[utoipa::path(
    delete,
    path = "/api/v1/me/sign-ins/{id}",
    operation_id = "endSignIn",
    tag = "identity",
    params(("id" = Uuid, Path, description = "The sign-in.")),
    responses((status = 204, description = "Ended."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn end_sign_in(
    req: HttpRequest,
    SignedIn(caller): SignedIn,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("This sign-in does not exist or has ended.");
    let id = Uuid::parse_str(&path_param(&req, "id")?).map_err(|_| not_found())?;
    if !identity.end_own_sign_in(&caller, id).await? {
        return Err(not_found());
    }
    audit.record(&req, Some(&caller), "sign_in.end", Some(caller.user.as_str()), None, id.to_string()).await;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn readers_and_schemas_of_the_requests_agree() {
        assert_reader_matches_schema::<PasswordRequest>(&[]);
        assert_reader_matches_schema::<FactorRequest>(&[]);
        assert_reader_matches_schema::<RemovalRequest>(&[]);
    }

    #[test]
    fn a_qr_code_has_its_finder_patterns_and_a_margin() {
        let qr = qr("otpauth://totp/Riverside:ann?secret=ABC").unwrap();
        // The corners of the three finder patterns are dark, the modules beside them are not.
        let far = qr.size - 1 - QR_MARGIN;
        for (x, y) in [(4, 4), (far, 4), (4, far), (10, 10)] {
            assert!(qr.path.contains(&format!("M{x} {y}h1")), "{x} {y}");
        }
        for (x, y) in [(3, 3), (5, 5), (11, 4)] {
            assert!(!qr.path.contains(&format!("M{x} {y}h1")), "{x} {y}");
        }
    }
}
