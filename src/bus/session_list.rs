//! The lists of live sessions that hubs send each other, as the API shows them.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::EnumString;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::bus::metrics_reading::Connections;
use crate::domain::ids::UserName;
use crate::domain::role::Role;

/// Maximum size of the sessions that a hub sends to another one, in bytes: half of the longest message between hubs.
pub const SENT_BYTES_MAX: usize = 256 * 1024;
/// The size of a session without its texts, in bytes: the names of its fields, numbers and times.
const ROW_BYTES: usize = 340;

/// A role to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RoleFilter {
    /// Students.
    Student,
    /// Instructors.
    Instructor,
    /// Staff.
    Staff,
    /// Admins.
    Admin,
    /// Visitors, who are not signed in.
    Visitor,
}

/// The conditions for the sessions of a list, and their maximum number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFilter {
    /// Only sessions of callers with this role.
    pub role: Option<RoleFilter>,
    /// Text in lower case that the username, the address, the user agent or the id contains.
    pub q: Option<String>,
    /// The maximum number of sessions.
    pub limit: usize,
}

/// The transport of a live session: how its frames reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionTransport {
    /// A WebSocket.
    WebSocket,
    /// Server-Sent Events.
    Sse,
}

/// A live session: one WebSocket or stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionRow {
    /// The id. Later sessions of a hub have greater ids.
    pub id: Uuid,
    /// The hub that has the session, as in `hubs`.
    pub hub: Uuid,
    /// The caller; null for a visitor.
    #[schema(required)]
    pub user: Option<UserName>,
    /// The caller's role; null for a visitor.
    #[schema(required)]
    pub role: Option<Role>,
    /// The client's address.
    #[schema(value_type = String)]
    pub ip: IpAddr,
    /// The client's user agent.
    pub user_agent: String,
    /// How frames reach the client.
    pub transport: SessionTransport,
    /// When it connected.
    pub connected_at: Timestamp,
    /// The names of the subscribed channels.
    pub channels: Vec<String>,
    /// The number of frames in its queue.
    pub queued: u32,
    /// The number of frames sent.
    pub sent: u64,
    /// The round-trip time of the last ping in milliseconds; null before the first pong.
    #[schema(required)]
    pub rtt_ms: Option<u32>,
}

impl SessionRow {
    /// Returns the approximate size of the session in a message, in bytes.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let channels: usize = self.channels.iter().map(|channel| channel.len() + 3).sum();
        // User agents may consist of characters that JSON escapes.
        ROW_BYTES + self.user.as_ref().map_or(0, |user| user.as_str().len()) + 2 * self.user_agent.len() + channels
    }
}

/// The sessions of one hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPage {
    /// The first sessions that match the filter, longest connected first.
    pub items: Vec<SessionRow>,
    /// The number of sessions that match.
    pub total: usize,
    /// All sessions of the hub by role.
    pub connections: Connections,
}
