//! Who is who: tokens, passwords, limits on guessing, tickets, the audit trail. Between the ports and HTTP: it knows
//! the stores by their traits, and nothing of actix.
//!
//! - [`gate`]: [`Identity`], the service that handlers, sessions and the command line ask
//! - [`token`]: signed access tokens; [`secret`]: the key that signs them
//! - [`password`]: argon2id, on threads of its own
//! - [`limits`]: how often somebody may ask, and may fail
//! - [`ticket`]: single-use tickets for WebSockets
//! - [`audit`]: the queue before the audit trail; [`people`]: the queue of who was seen

pub mod audit;
pub mod gate;
pub mod limits;
pub mod password;
pub mod people;
pub mod secret;
pub mod ticket;
pub mod token;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::role::Role;

pub use audit::Audit;
pub use gate::{Identity, Settings};

/// Somebody who came with a good token. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user name.
    pub user: UserName,
    /// The name that people read; the user name when there is no other.
    pub name: Arc<str>,
    /// What the token allows.
    pub role: Role,
    /// The token's id.
    pub token_id: Uuid,
    /// When the token was made, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// When the rights of this token end.
    pub expires_at: Timestamp,
}
