//! Users, local accounts and the audit trail, for admins and for commands that use a running hub.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::audit_detail::{AuditDetail, Detail, coded};
use crate::domain::ids::{SectionId, USER_CHARS_MAX, UserName};
use crate::domain::rights::{SUBJECT_BYTES_MAX, SUBJECTS_MAX, Subjects};
use crate::domain::role::Role;
use crate::http::auth::Admin;
use crate::http::body::{Fields, RequestBody, read_body};
use crate::http::error::{Problem, get, method_not_allowed};
use crate::http::openapi::params::Limit;
use crate::http::openapi::responses::{BadBody, BadPath, BadQuery, BadRole, NotFound, StoreFailed};
use crate::http::query::{LIST_LEN_DEFAULT, LIST_LEN_MAX, Query, path_param};
use crate::http::request_id::PRIVATE;
use crate::http::sign_in::UserResponse;
use crate::http::text_code::TextCode;
use crate::identity::accounts::{AccountChange, AccountOutcome, LimitChange, Removal};
use crate::identity::disclosures::Disclosure;
use crate::identity::password_rules::{PASSWORD_BYTES_MAX, WeakPassword};
use crate::identity::{Audit, Identity};
use crate::store::accounts::{
    AUDIT_SEPARATORS, AUDIT_WORDS_MAX, Account, AuditEntry, AuditFilter, User, UserFilter, UserSource,
};

/// The longest display name, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The longest search text, in characters.
const QUERY_CHARS_MAX: usize = 120;
/// The longest `user` filter, and the longest search, of the audit trail, in characters.
const AUDIT_USER_CHARS_MAX: usize = 200;
/// The longest `action` filter of the audit trail, in characters: all actions, separated by commas.
const AUDIT_ACTION_CHARS_MAX: usize = 1_000;

/// The operations of this file.
#[derive(OpenApi)]
#[openapi(paths(list, put_user, delete_user, reset_factor, sign_out, audit_trail))]
pub(super) struct Api;

/// A user who has a local account or has used the hub.
#[derive(Serialize, ToSchema)]
struct KnownUser {
    username: UserName,
    /// The display name.
    name: String,
    role: Role,
    /// The subjects to which staff are limited, by the local account or by the last sign-in through Plone or a
    /// provider; absent without a limit. With an empty list, the user has no subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false, nullable = false)]
    subjects: Option<Subjects>,
    source: UserSource,
    /// When the user last sent a request, accurate to ten minutes; null for an account that was never used.
    #[schema(required)]
    last_seen: Option<Timestamp>,
}

impl From<User> for KnownUser {
    fn from(User { username, name, role, subjects, source, last_seen }: User) -> Self {
        Self { username, name, role, subjects, source, last_seen }
    }
}

/// A page of users, by username.
#[derive(Serialize, ToSchema)]
struct UserList {
    items: Vec<KnownUser>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// The number of users on all pages.
    total: u64,
}

/// A new or changed local account. Absent and null members of an existing account do not change.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountRequest {
    role: Role,
    /// The subjects to which staff are limited, such as `MATH`; an empty list removes the limit.
    #[schema(max_items = 40)]
    subjects: Option<Vec<String>>,
    /// The display name.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Required for a new account: at least 12 characters, and not a common password.
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 1_024)]
    password: Option<SecretString>,
}

impl RequestBody for AccountRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            role: fields.parsed("role", "student, instructor, staff or admin", Role::parse)?,
            subjects: fields.maybe_strings("subjects", SUBJECTS_MAX, 1..=SUBJECT_BYTES_MAX)?,
            name: fields.maybe_string("name", 1..=NAME_CHARS_MAX)?,
            password: fields.maybe_string("password", 1..=PASSWORD_BYTES_MAX)?.map(SecretString::from),
        })
    }
}

/// An entry of the audit trail.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditLine {
    at: Timestamp,
    /// The user who performed the action; null for a visitor.
    #[schema(required)]
    user: Option<UserName>,
    /// The role of that user at the time.
    #[schema(required)]
    role: Option<Role>,
    /// The address of the client.
    #[schema(required)]
    ip: Option<String>,
    /// The action, such as `login` or `user.remove`.
    action: String,
    /// The user or resource that the action concerns.
    #[schema(required)]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    section: Option<SectionId>,
    /// Details: an English text, a name, an id, or JSON.
    detail: String,
    #[serde(flatten)]
    coded: TextCode,
    /// The `X-Request-Id` of the request.
    #[schema(required)]
    request_id: Option<String>,
}

impl From<AuditEntry> for AuditLine {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { at, user, role, ip, action, subject, section, detail, request_id } = entry;
        let Detail { text: detail, coded: stored } = detail;
        let coded = stored.or_else(|| coded(&action, &detail)).into();
        Self { at, user, role, ip, action, subject, section, detail, coded, request_id }
    }
}

/// A page of the audit trail, newest first.
#[derive(Serialize, ToSchema)]
struct AuditTrail {
    items: Vec<AuditLine>,
    /// The `cursor` of the next page; null at the end.
    #[schema(required)]
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
        web::resource("/api/v1/admin/users/{name}/totp")
            .route(web::delete().to(reset_factor))
            .default_service(method_not_allowed("DELETE")),
    )
    .service(
        web::resource("/api/v1/admin/users/{name}/sign-out")
            .route(web::post().to(sign_out))
            .default_service(method_not_allowed("POST")),
    )
    .service(
        web::resource("/api/v1/admin/audit")
            .route(get().to(audit_trail))
            .default_service(method_not_allowed("GET, HEAD")),
    );
}

/// Lists the users who have a local account or have used the hub (admins).
#[utoipa::path(
    get,
    path = "/api/v1/admin/users",
    operation_id = "listUsers",
    tag = "administration",
    params(
        ("q" = Option<String>, Query, description = "Part of the username or display name, without regard to case.",
            max_length = 120),
        Limit,
        ("cursor" = Option<String>, Query, description = "The `next` of an earlier page.", max_length = 120),
    ),
    responses((status = 200, description = "By username.", body = UserList), BadRole, BadQuery, StoreFailed)
)]
pub async fn list(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let filter = UserFilter {
        text: query.string("q", 1..=QUERY_CHARS_MAX)?.map(str::to_owned),
        after: query.string("cursor", 1..=USER_CHARS_MAX)?.map(str::to_owned),
        limit: query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT) as usize,
    };
    let page = identity.users(filter).await?;
    let people = page.items.iter().map(|user| user.username.clone()).collect();
    audit.record_disclosure(&req, &admin, Disclosure::UsersList, None, None, people).await?;
    let items = page.items.into_iter().map(KnownUser::from).collect();
    Ok(HttpResponse::Ok().insert_header(PRIVATE).json(UserList { items, next: page.next, total: page.total }))
}

/// Creates or changes a local account (admins).
///
/// A new password, a different role or other subjects sign the user out everywhere.
#[utoipa::path(
    put,
    path = "/api/v1/admin/users/{name}",
    operation_id = "putUser",
    tag = "administration",
    params(("name" = UserName, Path, description = "The account.")),
    request_body = AccountRequest,
    responses(
        (status = 200, description = "Changed.", body = UserResponse),
        (status = 201, description = "Created.", body = UserResponse),
        BadRole, BadBody, StoreFailed,
    )
)]
pub async fn put_user(
    req: HttpRequest,
    Admin(admin): Admin,
    payload: web::Payload,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let username = username(&req, &identity)?;
    let AccountRequest { role, subjects, name, password } = read_body(&req, payload).await?;
    let limit = limit_of(role, subjects)?;

    let has_new_password = password.is_some();
    let change = AccountChange { username: username.clone(), role, limit, name, password };
    let (action, account, mut response) = match identity.put_account(change).await? {
        AccountOutcome::WeakPassword(weak) => return Err(weak_password("password", weak)),
        AccountOutcome::PasswordNeeded => {
            return Err(Problem::invalid("password", "A new account needs a password."));
        }
        AccountOutcome::LastAdmin => return Err(last_admin("role")),
        AccountOutcome::Created(account) => ("user.add", account, HttpResponse::Created()),
        AccountOutcome::Changed(account) => ("user.change", account, HttpResponse::Ok()),
    };
    let Account { username, name, rights, .. } = account;
    let detail = AuditDetail::of_account(&rights, has_new_password);
    audit.record(&req, Some(&admin), action, Some(username.as_str()), None, detail).await;
    let (role, subjects) = (rights.role(), rights.subjects().cloned());
    Ok(response.json(UserResponse { username, name: name.into(), role, subjects }))
}

/// Returns the change to the limit that a request states.
fn limit_of(role: Role, subjects: Option<Vec<String>>) -> Result<LimitChange, Problem> {
    let Some(subjects) = subjects else { return Ok(LimitChange::Keep) };
    if subjects.is_empty() {
        return Ok(LimitChange::Remove);
    }
    if role != Role::Staff {
        return Err(Problem::invalid("subjects", "Only staff can be limited to subjects."));
    }
    let parsed = Subjects::parse(&subjects);
    let parsed = parsed.map_err(|error| Problem::invalid("subjects", format!("subjects {error}.")))?;
    Ok(LimitChange::Set(parsed))
}

/// Removes a local account (admins), or releases the username of a person who signs in by single sign-on.
///
/// A released username belongs to the next person who signs in with it, and so do the registrations under this name.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{name}",
    operation_id = "removeUser",
    tag = "administration",
    params(("name" = UserName, Path, description = "The account.")),
    responses(
        (status = 204, description = "Removed. The user is signed out everywhere. The last local admin cannot be removed."),
        BadRole, BadPath, NotFound, StoreFailed,
    )
)]
pub async fn delete_user(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("There is no local account and no user of single sign-on with this name.");
    let username = identity.resolve(&path_param(&req, "name")?).map_err(|_| not_found())?;
    let action = match identity.remove_account(&username).await? {
        Removal::Removed => "user.remove",
        Removal::Absent if identity.release_name(&username).await? => "user.release",
        Removal::Absent => return Err(not_found()),
        Removal::LastAdmin => return Err(last_admin("name")),
    };
    audit.record(&req, Some(&admin), action, Some(username.as_str()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// Removes the second factor of a local account, for a user who has lost the device and the recovery codes (admins).
#[utoipa::path(
    delete,
    path = "/api/v1/admin/users/{name}/totp",
    operation_id = "resetSecondFactor",
    tag = "administration",
    params(("name" = UserName, Path, description = "The account.")),
    responses((status = 204, description = "Removed. The user signs in without a code."), BadRole, BadPath, NotFound, StoreFailed)
)]
pub async fn reset_factor(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::not_found("There is no local account with this name that has a second factor.");
    let username = identity.resolve(&path_param(&req, "name")?).map_err(|_| not_found())?;
    if !identity.reset_factor(&username).await? {
        return Err(not_found());
    }
    audit.record(&req, Some(&admin), "totp.reset", Some(username.as_str()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sign-ins, tokens and live sessions of a user (admins).
///
/// The user need not be known: a token may have been minted for someone who has not used it yet.
#[utoipa::path(
    post,
    path = "/api/v1/admin/users/{name}/sign-out",
    operation_id = "signOutUser",
    tag = "administration",
    params(("name" = UserName, Path, description = "The user.")),
    responses(
        (status = 204, description = "Signed out everywhere. Live sessions are closed with code 4003."),
        BadRole, BadPath, StoreFailed,
    )
)]
pub async fn sign_out(
    req: HttpRequest,
    Admin(admin): Admin,
    identity: web::Data<Identity>,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let username = username(&req, &identity)?;
    identity.sign_out_everywhere(&username).await?;
    audit.record(&req, Some(&admin), "user.sign_out", Some(username.as_str()), None, "").await;
    Ok(HttpResponse::NoContent().finish())
}

/// Returns the problem for a new password that is refused.
pub(super) fn weak_password(field: &'static str, weak: WeakPassword) -> Problem {
    Problem::invalid(field, weak.to_string()).reason(weak.into())
}

pub(super) fn last_admin(field: &'static str) -> Problem {
    Problem::invalid(field, "This is the last local administrator. Create another one first.").reason("last_admin")
}

/// Returns the problem of a text that is not a username.
pub(super) fn not_a_username(field: &'static str) -> Problem {
    let detail = "A username has 1 to 120 characters, without spaces or invisible characters.";
    Problem::invalid(field, detail).reason("username")
}

/// Reads the username in the path.
fn username(req: &HttpRequest, identity: &Identity) -> Result<UserName, Problem> {
    identity.resolve(&path_param(req, "name")?).map_err(|_| not_a_username("name"))
}

/// Lists the audit trail, newest first (admins).
#[utoipa::path(
    get,
    path = "/api/v1/admin/audit",
    operation_id = "audit",
    tag = "administration",
    params(
        ("user" = Option<String>, Query, description = "Only actions of this user, and actions that concern this user.",
            max_length = 200),
        ("action" = Option<String>, Query, description = "Only this action, such as `login` or `section.change`; or \
            several, separated by commas.", max_length = 1000),
        ("q" = Option<String>, Query, description = "Only entries that contain each of these words, or words that begin \
            with them, in the user, subject, section, action or detail. At most eight words.", max_length = 200),
        ("since" = Option<Timestamp>, Query, description = "Only entries from this time on."),
        Limit,
        ("cursor" = Option<u64>, Query, description = "The `next` of an earlier page."),
    ),
    responses((status = 200, description = "A page of entries.", body = AuditTrail), BadRole, BadQuery, StoreFailed)
)]
pub async fn audit_trail(
    req: HttpRequest,
    Admin(admin): Admin,
    audit: web::Data<Audit>,
) -> Result<HttpResponse, Problem> {
    let query = Query::of(&req)?;
    let since = query.parsed("since", "a time such as 2026-01-12T08:00:00Z", |text| text.parse().ok())?;
    let filter = AuditFilter {
        user: query.string("user", 1..=AUDIT_USER_CHARS_MAX)?.map(str::to_owned),
        action: query.string("action", 1..=AUDIT_ACTION_CHARS_MAX)?.map(str::to_owned),
        words: query.string("q", 1..=AUDIT_USER_CHARS_MAX)?.map(words).unwrap_or_default(),
        since,
        before: query.u64("cursor", 0..=i64::MAX as u64)?,
        limit: query.u32("limit", 1..=LIST_LEN_MAX)?.unwrap_or(LIST_LEN_DEFAULT),
        ..AuditFilter::default()
    };
    let page = audit.page(filter).await?;
    let people = page.items.iter().filter_map(|entry| entry.user.clone()).collect();
    audit.record_disclosure(&req, &admin, Disclosure::AuditRead, None, None, people).await?;
    let items = page.items.into_iter().map(AuditLine::from).collect();
    Ok(HttpResponse::Ok().json(AuditTrail { items, next: page.next.map(|id| id.to_string()) }))
}

/// Splits the words of a search as the store splits those of an entry.
fn words(text: &str) -> Vec<String> {
    let words =
        text.split(|c: char| c.is_whitespace() || AUDIT_SEPARATORS.contains(&c)).filter(|word| !word.is_empty());
    words.take(AUDIT_WORDS_MAX).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::request_tests::assert_reader_matches_schema;

    #[test]
    fn reader_and_schema_of_the_request_agree() {
        assert_reader_matches_schema::<AccountRequest>(&[]);
    }

    #[test]
    fn a_code_is_stored_or_recognized_in_entries_of_earlier_versions() {
        let line = |detail: Detail| {
            let (at, action) = (Timestamp::UNIX_EPOCH, "student.registration".to_owned());
            let (user, role, ip, subject, section, request_id) = (None, None, None, None, None, None);
            let entry = AuditEntry { at, user, role, ip, action, subject, section, detail, request_id };
            let mut line = serde_json::to_value(AuditLine::from(entry)).unwrap();
            ["detail", "code", "args"].map(|name| line[name].take())
        };
        let reason = "override: hold";
        let text = json!("drop; override: hold");
        let args = json!({"what": {"code": "drop"}, "reason": reason});
        assert_eq!(line(AuditDetail::Drop.because(reason).into()), [text.clone(), json!("with_reason"), args]);
        let args = json!({"what": {"code": "drop"}, "codes": ["hold"]});
        assert_eq!(line("drop; override: hold".into()), [text, json!("override"), args]);
        assert_eq!(line("a free text".into()), [json!("a free text"), json!(null), json!(null)]);
    }
}
