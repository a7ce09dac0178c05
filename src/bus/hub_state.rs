//! What each hub publishes about itself for the administration pages of all hubs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The state of a hub at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HubState {
    /// The id, which is new at each start of the hub.
    pub id: Uuid,
    /// The name of its machine, and its port.
    #[schema(max_length = 100)]
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// When the hub started.
    pub started_at: Timestamp,
    /// Whether its `/readyz` responds with 200.
    pub ready: bool,
    /// Whether it is connected to the other hubs.
    pub bus: bool,
    /// Whether it pulls the catalogue of Plone and writes to Plone; null without Plone.
    #[schema(required)]
    pub leader: Option<bool>,
    /// The number of live sessions.
    pub sessions: usize,
    /// Seats and waitlist positions granted per second.
    #[schema(minimum = 0)]
    pub registrations_per_s: f64,
    /// The 99th percentile of the latency of registrations in milliseconds; null if there were none.
    #[schema(required, minimum = 0)]
    pub registration_p99_ms: Option<f64>,
}
