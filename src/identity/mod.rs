//! Identity: sign-in, tokens, limits, tickets, the audit trail. It depends on the ports of the store and on its own
//! port for sign-in providers, but not on HTTP or Plone.
//!
//! - [`service`]: [`Identity`], which issues, verifies and ends tokens; [`accounts`]: management of local accounts
//! - [`sign_in`]: sign-in with the first provider that has the user; [`provider`]: the port for providers; `local`: the
//!   provider of local accounts, which comes first
//! - `members`: users who signed in through another provider; `recheck`: regular checks that they still exist there
//!   with the same role; `password_queue`: hashes of accepted passwords, for outages of the provider;
//!   `sealed_tokens`: encrypts the provider's tokens in the store
//! - [`own_account`]: what users change of their own account; [`second_factor`]: one-time codes; [`sign_in_list`]: the
//!   sign-ins of each user
//! - `names`: usernames as people type them
//! - [`token`]: signed access tokens; [`secret`]: the key that signs them; [`ticket`]: tickets for WebSockets
//! - [`password`]: argon2id on dedicated threads; [`password_rules`]: which new passwords are accepted; [`limits`]:
//!   limits on requests; [`attempts`]: limits on failed sign-ins; [`device`]: cookies of browsers that have signed in
//!   before
//! - [`audit`]: the audit trail; [`disclosures`]: reads of data about other people, in the audit trail; [`people`]: when
//!   users were last seen

pub mod accounts;
pub mod attempts;
pub mod audit;
pub mod device;
pub mod disclosures;
pub mod limits;
mod local;
mod members;
mod names;
pub mod own_account;
pub mod password;
mod password_queue;
pub mod password_rules;
pub mod people;
pub mod provider;
mod recheck;
mod sealed_tokens;
pub mod second_factor;
pub mod secret;
pub mod service;
pub mod sign_in;
pub mod sign_in_list;
pub mod ticket;
pub mod token;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The hub itself: a local account, or a minted token.
    #[default]
    Hub,
    /// Plone: the sign-in ends when Plone no longer has the user with this role.
    Plone,
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
    /// Source of the sign-in.
    pub source: Source,
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
    /// Returns the display name; `None` if the caller has none of its own, only the username.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        Some(self.name.trim()).filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(self.user.as_str()))
    }

    /// Returns true if the token may be used for `path`. A token of a sandbox may be used for a few paths only.
    #[must_use]
    pub fn may_request(&self, path: &str) -> bool {
        let below =
            |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.realm.is_sandbox() || SANDBOX_PATHS.iter().any(below)
    }
}
