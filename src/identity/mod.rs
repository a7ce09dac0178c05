//! Who is who: tokens, passwords, limits on guessing, tickets, the audit trail. Between the ports and HTTP: it knows
//! the stores by their traits, and nothing of actix.
//!
//! - [`gate`]: [`Identity`], the service that handlers, sessions and the command line ask
//! - [`plone`]: sign-in by the college's Plone; [`members`]: who came by it and is here; [`recheck`]: whether they are
//!   still there, in the same role; [`hashes`]: the queue of passwords that Plone has just accepted
//! - [`token`]: signed access tokens; [`secret`]: the key that signs them
//! - [`password`]: argon2id, on threads of its own
//! - [`limits`]: how often somebody may ask, and may fail
//! - [`ticket`]: single-use tickets for WebSockets
//! - [`audit`]: the queue before the audit trail; [`people`]: the queue of who was seen

pub mod audit;
pub mod gate;
mod hashes;
pub mod limits;
pub mod members;
pub mod password;
pub mod people;
pub mod plone;
#[cfg(test)]
mod plone_fixture_tests;
mod recheck;
pub mod secret;
pub mod ticket;
pub mod token;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::role::Role;

pub use audit::Audit;
pub use gate::{Identity, Settings};
pub use plone::PloneSignIn;

/// What a token of a sandbox is good for; the handlers of these see to it that nothing but the sandbox is looked at.
const SANDBOX_PATHS: [&str; 4] =
    ["/api/v1/seats", "/api/v1/me/registrations", "/api/v1/imports", "/api/v1/admin/demo/sandboxes"];

/// By what somebody has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The hub: a local account, or a token that was minted.
    #[default]
    Hub,
    /// Plone: it ends when Plone does not know its user in this role any more.
    Plone,
}

/// Somebody who came with a good token. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user name.
    pub user: UserName,
    /// The name that people read; the user name when there is no other.
    pub name: Arc<str>,
    /// What the token allows.
    pub role: Role,
    /// By what it was given.
    pub source: Source,
    /// The token's id.
    pub token_id: Uuid,
    /// When the token was made, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// When the rights of this token end.
    pub expires_at: Timestamp,
    /// The terms that the token opens.
    pub realm: Realm,
}

impl Caller {
    /// Whether a path is among those that the token is for: all, unless it is confined to a sandbox.
    #[must_use]
    pub fn may_ask(&self, path: &str) -> bool {
        let below =
            |begin: &&str| path.strip_prefix(*begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.realm.is_sandbox() || SANDBOX_PATHS.iter().any(below)
    }
}
