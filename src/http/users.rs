//! Users, local accounts and the audit trail, for admins and for the command line beside a running server.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use crate::domain::ids::{SectionId, USER_LEN_MAX, UserName};
use crate::domain::role::Role;
use crate::http::auth::Admin;
use crate::http::body::{Fields, read_json};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::session::UserBody;
use crate::identity::gate::{AccountChange, AccountOutcome};
use crate::identity::password::PASSWORD_CHARS;
use crate::identity::{Audit, Identity};
use crate::store::accounts::{Account, AuditEntry, AuditFilter, User, UserFilter, UserSource};

/// The longest display name, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The longest search text, in characters.
const QUERY_CHARS_MAX: usize = 120;
/// The longest user, and the longest action, that the audit trail is filtered by, in characters.
const AUDIT_USER_CHARS_MAX: usize = 200;
const AUDIT_ACTION_CHARS_MAX: usize = 100;
/// The default and the greatest length of a page of users or of the audit trail.
const PAGE_LEN: u32 = 100;
const PAGE_LEN_MAX: u32 = 5_000;

/// A user who has a local account, or has used the hub.
#[derive(Serialize)]
struct KnownUser {
    username: UserName,
    /// The display name.
    name: String,
    role: Role,
    source: UserSource,
    last_seen: Option<Timestamp>,
}

impl From<User> for KnownUser {
    fn from(User { username, name, role, source, last_seen }: User) -> Self {
        Self { username, name, role, source, last_seen }
    }
}

/// A page of users, by user name.
#[derive(Serialize)]
struct UserList {
    items: Vec<KnownUser>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
    /// The number of users on all pages.
    total: u64,
}

/// A change of a local account.
struct AccountRequest {
    role: Role,
    name: Option<String>,
    password: Option<SecretString>,
}

impl AccountRequest {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let role = fields.parsed("role", "student, staff or admin", Role::parse)?;
        let name = fields.maybe_string("name", 1..=NAME_CHARS_MAX)?;
        let password = fields.maybe_string("password", PASSWORD_CHARS)?.map(SecretString::from);
        fields.finish()?;
        Ok(Self { role, name, password })
    }
}

/// An entry of the audit trail.
#[derive(Serialize)]
struct AuditLine {
    at: Timestamp,
    user: Option<UserName>,
    role: Option<Role>,
    ip: Option<String>,
    action: String,
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<SectionId>,
    detail: String,
    request_id: Option<String>,
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { at, user, role, ip, action, subject, section, detail, request_id } = entry;
        Self { at, user, role, ip, action, subject, section, detail, request_id }
    }
}

/// A page of the audit trail, newest first.
#[derive(Serialize)]
struct AuditTrail {
    items: Vec<AuditLine>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// Registers the resources of this file.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/api/v1/admin/users").route(get().to(list)).default_service(method_not_allowed("GET, HEAD")),
    )
    .service(
        web::resource("/api/v1/admin/users/{name}")
            .route(web::put().to(put_user))
            .route(web::delete().to(delete_user))
            .default_service(method_not_allowed("PUT, DELETE")),
    )
    .service(
        web::resource("/api/v1/admin/audit")
            .route(get().to(audit_trail))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Handles `GET /api/v1/admin/users?q=&limit=&cursor=`: lists the users who have a local account or have used the hub,
/// by user name.
pub async fn list(req: HttpRequest, _: Admin, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let filter = UserFilter {
        text: query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_owned),
        after: query.string("cursor", 1..=USER_LEN_MAX)?.map(str::to_owned),
        limit: query.u32("limit", 1..=PAGE_LEN_MAX)?.unwrap_or(PAGE_LEN) as usize,
    };
    let page = identity.users(filter).await?;
    let items = page.items.into_iter().map(KnownUser::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(UserList { items, next: page.next, total: page.total }))
}

/// Handles `PUT /api/v1/admin/users/{name}`: creates or changes a local account. A new password or another role signs
/// the user out everywhere.
pub async fn put_user(
    req: HttpRequest,
    Admin(admin): Admin,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let username = UserName::parse(&path_param(&req, "name")?)
        .map_err(|_| Problem::invalid("name", "A user name has 1 to 120 bytes and no spaces."))?;
    let AccountRequest { role, name, password } = AccountRequest::read(read_json(&req, payload).await?)?;

    let with_password = if password.is_some() { ", with a new password" } else { "" };
    let change = AccountChange { username: username.clone(), role, name, password };
    let (action, account, mut response) = match identity.put_account(change).await? {
        AccountOutcome::PasswordNeeded => {
            return Err(Problem::invalid("password", "A new account needs a password."));
        }
        AccountOutcome::Created(account) => ("user.add", account, HttpResponse::Created()),
        AccountOutcome::Changed(account) => ("user.change", account, HttpResponse::Ok()),
    };
    let detail = format!("{role}{with_password}");
    audit.record(&req, Some(&admin), action, Some(username.as_str()), None, &detail);
    let Account { username, name, role, .. } = account;
    Ok(response.json(UserBody { username, name: name.into(), role }))
}

/// Handles `DELETE /api/v1/admin/users/{name}`: removes a local account and signs its user out everywhere.
pub async fn delete_user(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("There is no local account of this name.");
    let username = UserName::parse(&path_param(&req, "name")?).map_err(|_| not_found())?;
    if !identity.remove_account(&username).await? {
        return Err(not_found());
    }
    audit.record(&req, Some(&admin), "user.remove", Some(username.as_str()), None, "");
    Ok(HttpResponse::NoContent().finish())
}

/// Handles `GET /api/v1/admin/audit?user=&action=&since=&limit=&cursor=`: lists the audit trail, newest first. `user`
/// finds what a user did and what was done to that user.
pub async fn audit_trail(req: HttpRequest, _: Admin, audit: web::Data<Audit>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let since = query.parsed("since", "a time such as 2026-01-12T08:00:00Z", |text| text.parse().ok())?;
    let filter = AuditFilter {
        user: query.string("user", 1..=AUDIT_USER_CHARS_MAX)?.map(str::to_owned),
        action: query.string("action", 1..=AUDIT_ACTION_CHARS_MAX)?.map(str::to_owned),
        since,
        before: query.u64("cursor", 0..=i64::MAX as u64)?,
        limit: query.u32("limit", 1..=PAGE_LEN_MAX)?.unwrap_or(PAGE_LEN),
    };
    let page = audit.page(filter).await?;
    let items = page.items.into_iter().map(AuditLine::from).collect();
    Ok(HttpResponse::Ok().json(AuditTrail { items, next: page.next.map(|id| id.to_string()) }))
}
