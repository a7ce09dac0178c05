//! Ports for local accounts, known users and revoked tokens, and for the audit trail.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::domain::audit_detail::Detail;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;

use crate::store::StoreFuture;
use crate::store::sign_ins::{SecondFactorStore, SignInStore};

/// A local account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name to sign in with.
    pub username: UserName,
    /// The display name.
    pub name: String,
    /// The role, and for staff the subjects to which they are limited.
    pub rights: Rights,
    /// The password's hash, a PHC string (argon2id).
    pub password_hash: String,
}

/// A user who sent a request with a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The username.
    pub username: UserName,
    /// The display name.
    pub name: String,
    /// The role in the token.
    pub role: Role,
    /// The provider through which the user signed in; `None` for a local account or a minted token.
    pub source: Option<UserSource>,
    /// When the user was last seen.
    pub last_seen: Timestamp,
}

/// How a user became known to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSource {
    /// A local account, or one that existed when the user was last seen.
    Local,
    /// A sign-in through Plone.
    Plone,
    /// A token that was minted for the user.
    Token,
    /// A sign-in through the OpenID Connect provider of this name.
    Oidc(String),
    /// A sign-in through the college's web server.
    Proxy,
}

/// Text before the name of an OpenID Connect provider.
const OIDC: &str = "oidc:";

impl UserSource {
    /// Parses the text in the store and in JSON; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "local" => Some(Self::Local),
            "plone" => Some(Self::Plone),
            "token" => Some(Self::Token),
            "proxy" => Some(Self::Proxy),
            _ => text.strip_prefix(OIDC).filter(|name| !name.is_empty()).map(|name| Self::Oidc(name.to_owned())),
        }
    }
}

impl fmt::Display for UserSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Plone => f.write_str("plone"),
            Self::Token => f.write_str("token"),
            Self::Oidc(name) => write!(f, "{OIDC}{name}"),
            Self::Proxy => f.write_str("proxy"),
        }
    }
}

impl Serialize for UserSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for UserSource {
    fn schema() -> RefOr<Schema> {
        let about = "`local`, `plone`, `token`, `proxy`, or `oidc:` and the name of the provider.";
        ObjectBuilder::new().schema_type(Type::String).description(Some(about)).into()
    }
}

impl ToSchema for UserSource {}

/// A user who has a local account or has used the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The username.
    pub username: UserName,
    /// The display name.
    pub name: String,
    /// The role of the account, or of the last sign-in through a provider; otherwise the role of the last token.
    pub role: Role,
    /// The subjects to which the account or the last sign-in through a provider is limited; `None` without a limit.
    pub subjects: Option<Subjects>,
    /// How the user became known to the hub.
    pub source: UserSource,
    /// When the user was last seen, accurate to a few minutes; `None` for an account that was never used.
    pub last_seen: Option<Timestamp>,
}

/// A filter of users, for one page.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Text that the username or the display name contains, ignoring case.
    pub text: Option<String>,
    /// Only users after this username, the last one of the previous page.
    pub after: Option<String>,
    /// Maximum number of users.
    pub limit: usize,
}

/// A page of users, ordered by username.
#[derive(Debug, Clone, Default)]
pub struct UserPage {
    /// The users.
    pub items: Vec<User>,
    /// [`UserFilter::after`] of the next page; `None` on the last page.
    pub next: Option<String>,
    /// Number of users that match the filter, on all pages.
    pub total: u64,
}

/// The end of a user's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTokens {
    /// The user.
    pub user: UserName,
    /// Tokens that were issued up to this time have ended.
    pub up_to: Timestamp,
    /// The one token that has not ended: the one with which the user changed the password.
    pub spared: Option<Uuid>,
}

/// A store of local accounts, known users and revoked tokens, with their sign-ins and second factors.
pub trait AccountStore: SignInStore + SecondFactorStore {
    /// Returns the account of a user.
    fn account(&self, username: &UserName) -> StoreFuture<Option<Account>>;
    /// Returns all accounts, ordered by username.
    fn accounts(&self) -> StoreFuture<Vec<Account>>;
    /// Inserts or replaces an account. With `valid_from`, revokes the user's tokens as [`Self::revoke_tokens`] does.
    /// When limited staff get a different role, the store keeps the limit; see [`Self::former_limit`].
    fn put_account(&self, account: Account, valid_from: Option<Timestamp>) -> StoreFuture<()>;
    /// Returns the subjects to which an account was limited when it last was staff, if it is not staff now.
    fn former_limit(&self, username: &UserName) -> StoreFuture<Option<Subjects>>;
    /// Changes the password of an account that has the hash `old`, and revokes the tokens of its user that were issued
    /// up to `now`, except `spared`. Returns false when the account has a different hash or does not exist.
    fn change_password(&self, new: Account, old: String, now: Timestamp, spared: Uuid) -> StoreFuture<bool>;
    /// Removes an account, its second factor and its user's links to the schedule, and revokes the user's tokens as
    /// [`Self::revoke_tokens`] does. Returns false when there is no such account.
    fn remove_account(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<bool>;
    /// Returns a page of the users who have an account or were seen.
    fn users(&self, filter: UserFilter) -> StoreFuture<UserPage>;
    /// Returns the usernames and display names of all users above students, by account, sign-in or token. A user may
    /// occur several times, with different display names.
    fn names_above_students(&self) -> StoreFuture<Vec<(UserName, String)>>;
    /// Returns, each once, the usernames of accounts, members and users who were seen, and the names with which members
    /// sign in to Plone, if they contain characters beyond visible ASCII or are `.` or `..`: among these are the names
    /// that earlier versions did not normalize.
    fn unusual_names(&self) -> StoreFuture<Vec<UserName>>;
    /// Records users who were seen.
    fn record_people(&self, people: Vec<Person>) -> StoreFuture<()>;
    /// Revokes one token. The revocation is stored until the token expires.
    fn revoke_token(&self, id: Uuid, expires_at: Timestamp) -> StoreFuture<()>;
    /// Revokes all tokens of a user that were issued up to `valid_from`.
    fn revoke_tokens(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<()>;
    /// Returns the ids of the tokens that were revoked and expire after `now`, with the time at which they expire.
    fn revoked_tokens(&self, now: Timestamp) -> StoreFuture<Vec<(Uuid, Timestamp)>>;
    /// Returns the users whose tokens up to a time were revoked, each with the latest such time and the token that was
    /// spared.
    fn ended_tokens(&self) -> StoreFuture<Vec<EndedTokens>>;
    /// Deletes the revocations of tokens that have expired by `now`.
    fn delete_expired_revocations(&self, now: Timestamp) -> StoreFuture<()>;
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// The user who did it; `None` for a visitor.
    pub user: Option<UserName>,
    /// The user's role.
    pub role: Option<Role>,
    /// The client's address.
    pub ip: Option<String>,
    /// What was done, such as `login` or `user.remove`.
    pub action: String,
    /// The user or resource that it concerns.
    pub subject: Option<String>,
    /// The section that it concerns.
    pub section: Option<SectionId>,
    /// A description for people.
    pub detail: Detail,
    /// The request's id, which the log also contains.
    pub request_id: Option<String>,
}

/// The characters besides spaces that separate the words of an audit entry.
pub const AUDIT_SEPARATORS: [char; 11] = ['.', '-', '_', '@', ':', '/', ',', '"', '{', '(', '='];
/// Maximum number of words in a search of the audit trail. Each is compared with every entry that the other filters
/// leave.
pub const AUDIT_WORDS_MAX: usize = 8;

/// A filter of entries of the audit trail, for one page.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only entries with this user or this subject.
    pub user: Option<String>,
    /// Only entries by or about this person. An entry about a term or an import that has the same name does not match.
    pub person: Option<UserName>,
    /// Only entries with this action, or with one of several that are separated by commas.
    pub action: Option<String>,
    /// Only entries in which each of these words begins a word of the user, subject, section, action or detail. At most
    /// [`AUDIT_WORDS_MAX`] words.
    pub words: Vec<String>,
    /// Only entries of this time or later.
    pub since: Option<Timestamp>,
    /// Only entries before the one with this number, the last one of the previous page.
    pub before: Option<u64>,
    /// Maximum number of entries.
    pub limit: u32,
}

/// A page of the audit trail, newest entry first.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// The entries.
    pub items: Vec<AuditEntry>,
    /// [`AuditFilter::before`] of the next page; `None` on the last page.
    pub next: Option<u64>,
}

/// An entry of the audit trail that says that data about a person was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisclosureEntry {
    /// The entry's number.
    pub number: u64,
    /// When the data was first read.
    pub at: Timestamp,
    /// The reader's display name; `None` if the hub knows none besides the username.
    pub name: Option<String>,
    /// The reader's role.
    pub role: Option<Role>,
    /// What was read, such as `roster.read`.
    pub action: String,
    /// The section that it concerns.
    pub section: Option<SectionId>,
}

/// A store of the audit trail. Entries are only added; an erasure replaces names in them, and those older than the
/// retention period are deleted.
pub trait AuditStore: Send + Sync {
    /// Appends entries, in order.
    fn append(&self, entries: Vec<AuditEntry>) -> StoreFuture<()>;
    /// Appends an entry that says that data about `people` was read. Returns its number.
    fn disclose(&self, entry: AuditEntry, people: Vec<UserName>) -> StoreFuture<u64>;
    /// Adds people to the entry with this number. A person is added only once.
    fn add_people(&self, number: u64, people: Vec<UserName>) -> StoreFuture<()>;
    /// Returns at most `limit` entries that say that data about `user` was read, before the entry with the number
    /// `before`, newest first.
    fn disclosures_of(&self, user: &UserName, before: Option<u64>, limit: u32) -> StoreFuture<Vec<DisclosureEntry>>;
    /// Returns a page of the entries that match the filter.
    fn page(&self, filter: AuditFilter) -> StoreFuture<AuditPage>;
    /// Deletes at most `limit` entries from before `cutoff`, oldest first, with the people whom they name. Returns the
    /// number of entries.
    fn delete_entries_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize>;
}
