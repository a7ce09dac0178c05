//! Local accounts, the people the hub has seen, tokens that are dead before their time; and the audit trail.

use jiff::Timestamp;
use serde::Serialize;
use strum::EnumString;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;

use crate::store::StoreFuture;

/// A local account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name that signs in.
    pub username: UserName,
    /// The name that people read.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// The password's hash, a PHC string (argon2id).
    pub password_hash: String,
}

/// Somebody who came with a good token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user name.
    pub username: UserName,
    /// The name that people read.
    pub name: String,
    /// The role of that token.
    pub role: Role,
    /// Whether Plone signed them in; otherwise it is a local account, or a token that was minted for somebody.
    pub by_plone: bool,
    /// When.
    pub last_seen: Timestamp,
}

/// How the hub knows a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumString, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum UserSource {
    /// A local account, or one that existed when the user was last here.
    Local,
    /// A sign-in by Plone.
    Plone,
    /// A token that was minted for the user.
    Token,
}

/// Somebody who may use the hub, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user name.
    pub username: UserName,
    /// The name that people read.
    pub name: String,
    /// The account's role; without an account, that of the last token.
    pub role: Role,
    /// How they come to be known.
    pub source: UserSource,
    /// When they were here last, to some minutes; none for an account that was never used.
    pub last_seen: Option<Timestamp>,
}

/// Which users are wanted.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Part of the user name or of the name, whatever its case.
    pub text: Option<String>,
    /// After this user name: where the page before ended.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of users, by user name.
#[derive(Debug, Clone, Default)]
pub struct UserPage {
    /// The users.
    pub items: Vec<User>,
    /// [`UserFilter::after`] of the next page; none when this is the last.
    pub next: Option<String>,
    /// How many the filter finds, on all pages.
    pub total: u64,
}

/// Keeps accounts, people and dead tokens.
pub trait AccountStore: Send + Sync {
    /// The account of this name.
    fn account(&self, username: &UserName) -> StoreFuture<Option<Account>>;
    /// All accounts, by name.
    fn accounts(&self) -> StoreFuture<Vec<Account>>;
    /// Makes or replaces an account; with `valid_from`, the user's tokens up to that time are dead.
    fn put_account(&self, account: Account, valid_from: Option<Timestamp>) -> StoreFuture<()>;
    /// Removes an account and ends its tokens up to `valid_from`; false when there is none.
    fn remove_account(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<bool>;
    /// Everyone with an account and everyone who was seen.
    fn users(&self, filter: UserFilter) -> StoreFuture<UserPage>;
    /// Notes who was seen.
    fn note_people(&self, people: Vec<Person>) -> StoreFuture<()>;
    /// Ends one token; it is remembered until `expires_at`.
    fn bury_token(&self, id: Uuid, expires_at: Timestamp) -> StoreFuture<()>;
    /// Ends all tokens of a user up to `valid_from`.
    fn end_tokens(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<()>;
    /// Tokens that are dead and would not have expired by `now`.
    fn dead_tokens(&self, now: Timestamp) -> StoreFuture<Vec<(Uuid, Timestamp)>>;
    /// Users whose tokens up to a time are dead.
    fn tokens_valid_from(&self) -> StoreFuture<Vec<(UserName, Timestamp)>>;
    /// Forgets dead tokens that have expired by `now`.
    fn forget_expired(&self, now: Timestamp) -> StoreFuture<()>;
}

/// A line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who did it; none for a visitor.
    pub user: Option<UserName>,
    /// In which role.
    pub role: Option<Role>,
    /// From which address.
    pub ip: Option<String>,
    /// What was done, such as `login` or `user.remove`.
    pub action: String,
    /// To whom or what.
    pub subject: Option<String>,
    /// In which section.
    pub section: Option<SectionId>,
    /// In words.
    pub detail: String,
    /// The request's id, which the log has too.
    pub request_id: Option<String>,
}

/// Which lines of the trail are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Done by this user, or to this subject.
    pub user: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Older than the line with this number: where the page before ended.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// A page of the trail, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// The lines.
    pub items: Vec<AuditEntry>,
    /// [`AuditFilter::before`] of the next page; none when this is the last.
    pub next: Option<u64>,
}

/// Keeps the audit trail. Nothing ever changes or removes a line.
pub trait AuditStore: Send + Sync {
    /// Appends lines, in order.
    fn append(&self, entries: Vec<AuditEntry>) -> StoreFuture<()>;
    /// Reads a page.
    fn page(&self, filter: AuditFilter) -> StoreFuture<AuditPage>;
}
