//! Identity: sign-in, tokens, limits, tickets, the audit trail. It depends on the ports of the store and on its own
//! port for sign-in providers, but not on HTTP or Plone.
//!
//! - [`service`]: [`Identity`], which issues, verifies and ends tokens; [`accounts`]: management of local accounts
//! - [`sign_in`]: sign-in with the first provider that has the user; [`provider`]: the port for providers; `local`: the
//!   provider of local accounts, which comes first
//! - `members`: users who signed in through another provider; `recheck`: regular checks that they still exist there
//!   with the same role; `password_queue`: hashes of accepted passwords, for outages of the provider;
//!   `sealed_tokens`, `sealed_id_tokens`: encrypt the providers' tokens in the store; `sealing`: the encryption itself
//! - [`own_account`]: what users can change in their own accounts; [`second_factor`]: one-time codes; [`sign_in_list`]:
//!   the sign-ins of each user
//! - `names`: usernames as people type them; `name_locks`: locks under which they are claimed
//! - [`token`]: signed access tokens; [`secret`]: the key that signs them; [`ticket`]: tickets for live sessions;
//!   `sealed_tickets`: those that every hub on a shared store accepts
//! - [`password`]: argon2id on dedicated threads; [`password_rules`]: which new passwords are accepted; [`limits`]:
//!   limits on requests; [`attempts`]: limits on failed sign-ins; [`device`]: cookies of browsers that have signed in
//!   before
//! - [`guardian_links`]: links with which a parent or guardian reads one student's schedule; [`schedule_feeds`]: feeds
//!   from which calendar programs read it
//! - [`external`]: sign-ins by single sign-on, which checks no password in the hub; `following`: tokens that other hubs
//!   have ended
//! - [`audit`]: the audit trail; [`disclosures`]: reads of data about other people, in the audit trail; [`people`]:
//!   when users were last seen

pub mod accounts;
pub mod attempts;
pub mod audit;
pub mod device;
pub mod disclosures;
pub mod external;
mod following;
pub mod guardian_links;
pub mod limits;
mod local;
mod members;
mod name_locks;
mod names;
pub mod own_account;
pub mod password;
mod password_queue;
pub mod password_rules;
pub mod people;
pub mod provider;
mod recheck;
pub mod schedule_feeds;
mod sealed_id_tokens;
mod sealed_tickets;
mod sealed_tokens;
mod sealing;
pub mod second_factor;
pub mod secret;
pub mod service;
pub mod sign_in;
pub mod sign_in_list;
pub mod ticket;
pub mod token;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::rights::{self, OutOfScope, Scope, Subjects};
use crate::domain::role::Role;

pub use audit::Audit;
pub use service::{Identity, IdentityDeps, Settings};

/// Name of the cookie that carries a sign-in.
pub const SESSION_COOKIE: &str = "eduhub_session";
/// Prefix of the names of the hub's cookies under https.
pub const HOST_PREFIX: &str = "__Host-";
/// Paths that accept a token of a sandbox. Their handlers confine it to the sandbox.
const SANDBOX_PATHS: [&str; 4] =
    ["/api/v1/seats", "/api/v1/me/registrations", "/api/v1/imports", "/api/v1/admin/demo/sandboxes"];

/// The source of a sign-in, which is part of the token. Each provider has a variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Source {
    /// The hub itself: a local account, or a minted token.
    #[default]
    Hub,
    /// Plone: the sign-in ends when Plone no longer has the user with this role.
    Plone,
    /// The OpenID Connect provider of this name: the sign-in lasts until it expires or one side signs out.
    Oidc(Arc<str>),
    /// The college's web server, which has signed the user in.
    Proxy,
}

/// Text before the name of an OpenID Connect provider.
const OIDC: &str = "oidc:";

impl Source {
    /// Returns true for a source of single sign-on, in which the hub checks no password.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        matches!(self, Self::Oidc(_) | Self::Proxy)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "hub" => Some(Self::Hub),
            "plone" => Some(Self::Plone),
            "proxy" => Some(Self::Proxy),
            _ => text.strip_prefix(OIDC).map(|name| Self::Oidc(name.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("hub"),
            Self::Plone => f.write_str("plone"),
            Self::Oidc(name) => write!(f, "{OIDC}{name}"),
            Self::Proxy => f.write_str("proxy"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a source of sign-ins"))
    }
}

/// The origin of a sign-in, which is part of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInOrigin {
    /// Source of the sign-in.
    pub source: Source,
    /// The user of Plone that single sign-on states for the person, besides the username; `None` if it states none.
    pub plone_user: Option<UserName>,
}

impl From<Source> for SignInOrigin {
    fn from(source: Source) -> Self {
        Self { source, plone_user: None }
    }
}

/// The sender of a request, as its token identifies it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Username.
    pub user: UserName,
    /// Display name; the username if there is none.
    pub name: Arc<str>,
    /// Role that the token grants.
    pub role: Role,
    /// Subjects to which the token limits staff; `None` without a limit.
    pub subjects: Option<Subjects>,
    /// Source of the sign-in.
    pub source: Source,
    /// See [`SignInOrigin::plone_user`].
    pub plone_user: Option<UserName>,
    /// Id of the token.
    pub token_id: Uuid,
    /// When the token was issued, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// Terms to which the token gives access.
    pub realm: Realm,
}

impl Caller {
    /// Returns the display name; `None` if the caller has only a username.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        Some(self.name.trim()).filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(self.user.as_str()))
    }

    /// Decides whether this member of staff may do what concerns `scope`.
    ///
    /// # Errors
    /// When the scope is not within the subjects to which the caller is limited.
    pub fn check(&self, scope: &Scope<'_>) -> Result<(), OutOfScope> {
        rights::check(self.subjects.as_ref(), scope)
    }

    /// Returns true if the token may be used for `path`. A token of a sandbox may be used for a few paths only.
    #[must_use]
    pub fn may_request(&self, path: &str) -> bool {
        let below =
            |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.realm.is_sandbox() || SANDBOX_PATHS.iter().any(below)
    }
}
