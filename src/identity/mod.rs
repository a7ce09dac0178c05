//! Identity: sign-in, tokens, limits, tickets, the audit trail. It depends on the stores' ports and on its own port of
//! sign-in providers, and knows nothing of HTTP or of Plone.
//!
//! - [`service`]: [`Identity`], which issues, verifies and ends tokens; [`accounts`]: management of local accounts
//! - [`sign_in`]: sign-in by the providers in their order; [`provider`]: their port; `local`: the first one, local
//!   accounts
//! - `members`: users whom a provider signed in, and who are followed from then on; `recheck`: whether the provider
//!   still knows them in the same role; `password_queue`: hashes of passwords that a provider accepted, for its outages
//! - [`token`]: signed access tokens; [`secret`]: the key that signs them; [`ticket`]: tickets for WebSockets
//! - [`password`]: argon2id on threads of its own; [`limits`]: rate of requests, failed sign-ins
//! - [`audit`]: the audit trail; [`people`]: when users were last seen

pub mod accounts;
pub mod audit;
pub mod limits;
mod local;
mod members;
pub mod password;
mod password_queue;
pub mod people;
pub mod provider;
mod recheck;
pub mod secret;
pub mod service;
pub mod sign_in;
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
/// Paths that a token of a sandbox may be used for; their handlers confine it to the sandbox.
const SANDBOX_PATHS: [&str; 4] =
    ["/api/v1/seats", "/api/v1/me/registrations", "/api/v1/imports", "/api/v1/admin/demo/sandboxes"];

/// What a sign-in is based on. A new provider adds a variant, which its tokens carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The hub itself: a local account, or a minted token.
    #[default]
    Hub,
    /// Plone: the sign-in ends when Plone does not know its user in this role any more.
    Plone,
}

/// The sender of a request, as its token identifies it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// User name.
    pub user: UserName,
    /// Display name; the user name when there is no other.
    pub name: Arc<str>,
    /// Role that the token grants.
    pub role: Role,
    /// What the sign-in is based on.
    pub source: Source,
    /// Id of the token.
    pub token_id: Uuid,
    /// When the token was issued, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// Terms that the token opens.
    pub realm: Realm,
}

impl Caller {
    /// Returns true when the token may be used for this path: for every path, unless it is confined to a sandbox.
    #[must_use]
    pub fn may_request(&self, path: &str) -> bool {
        let below =
            |begin: &&str| path.strip_prefix(*begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.realm.is_sandbox() || SANDBOX_PATHS.iter().any(below)
    }
}
