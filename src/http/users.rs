//! Who uses the hub, local accounts, and the audit trail: for admins, and for the command line beside a running server.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::domain::ids::{USER_LEN_MAX, UserName};
use crate::domain::role::Role;
use crate::http::auth::Admin;
use crate::http::body::read_json;
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::query::{Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::identity::accounts::{AccountChange, AccountOutcome};
use crate::identity::password::PASSWORD_CHARS;
use crate::identity::{Audit, Identity};
use crate::store::accounts::{AuditEntry, AuditFilter, User, UserFilter};

/// The longest name that people read, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The longest text to search for, in characters.
const QUERY_CHARS_MAX: usize = 120;
/// Users, or lines of the audit trail, of a page, unless it is asked for otherwise, and at most.
const PAGE_LEN: u32 = 100;
const PAGE_LEN_MAX: u32 = 5_000;

/// The resources of this file.
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

/// `GET /api/v1/admin/users?q=&limit=&cursor=`: everyone with a local account and everyone who was ever here, by user
/// name; `next` is the `cursor` of the page after.
pub async fn list(req: HttpRequest, _: Admin, identity: web::Data<Identity>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let filter = UserFilter {
        text: query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_owned),
        after: query.string("cursor", 1..=USER_LEN_MAX)?.map(str::to_owned),
        limit: query.u32("limit", 1..=PAGE_LEN_MAX)?.unwrap_or(PAGE_LEN) as usize,
    };
    let page = identity.users(filter).await?;
    let items: Vec<_> = page.items.iter().map(user_json).collect();
    let answer = json!({"items": items, "next": page.next, "total": page.total});
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(answer))
}

fn user_json(user: &User) -> Value {
    json!({
        "username": user.username,
        "name": user.name,
        "role": user.role,
        "source": user.source.as_str(),
        "last_seen": user.last_seen,
    })
}

/// `PUT /api/v1/admin/users/{name}`: makes or changes a local account. A new password or another role signs the user
/// out everywhere.
pub async fn put_user(
    req: HttpRequest,
    Admin(admin): Admin,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let username = UserName::parse(&path_param(&req, "name")?)
        .map_err(|_| Problem::invalid("name", "A user name has 1 to 120 bytes and no spaces."))?;
    let mut fields = read_json(&req, payload).await?;
    let role = fields.parsed("role", "student, staff or admin", Role::parse)?;
    let name = fields.maybe_string("name", 1..=NAME_CHARS_MAX)?;
    let password = fields.maybe_string("password", PASSWORD_CHARS)?.map(SecretString::from);
    fields.finish()?;

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
    Ok(response.json(json!({"username": account.username, "name": account.name, "role": account.role})))
}

/// `DELETE /api/v1/admin/users/{name}`: removes a local account; its user is signed out everywhere.
pub async fn delete_user(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let nobody = || Problem::not_found("There is no local account of this name.");
    let username = UserName::parse(&path_param(&req, "name")?).map_err(|_| nobody())?;
    if !identity.remove_account(&username).await? {
        return Err(nobody());
    }
    audit.record(&req, Some(&admin), "user.remove", Some(username.as_str()), None, "");
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /api/v1/admin/audit?user=&action=&since=&limit=&cursor=`: newest first; `next` is the `cursor` of the page
/// after. `user` finds what somebody did, and what was done to them.
pub async fn audit_trail(req: HttpRequest, _: Admin, audit: web::Data<Audit>) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let since = query.parsed("since", "a time such as 2026-01-12T08:00:00Z", |text| text.parse().ok())?;
    let filter = AuditFilter {
        user: query.string("user", 1..=200)?.map(str::to_owned),
        action: query.string("action", 1..=100)?.map(str::to_owned),
        since,
        before: query.u64("cursor", 0..=i64::MAX as u64)?,
        limit: query.u32("limit", 1..=PAGE_LEN_MAX)?.unwrap_or(PAGE_LEN),
    };
    let page = audit.page(filter).await?;
    let items: Vec<_> = page.items.iter().map(entry_json).collect();
    let next = page.next.map(|id| id.to_string());
    Ok(HttpResponse::Ok().json(json!({"items": items, "next": next})))
}

fn entry_json(entry: &AuditEntry) -> Value {
    let mut line = json!({
        "at": entry.at.to_string(),
        "user": entry.user,
        "role": entry.role,
        "ip": entry.ip,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "request_id": entry.request_id,
    });
    if let Some(section) = &entry.section {
        line["section"] = json!(section);
    }
    line
}
