//! The metrics that the administration page charts, read once per second.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A reading of the hub's metrics: gauges at one moment, and rates and latencies over the window before it.
///
/// `GET /api/v1/admin/metrics` and the channel `admin` return the same reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Metrics)]
pub struct MetricsReading {
    /// The time of the reading.
    pub at: Timestamp,
    /// When the hub started, as the time of its first reading. Charts mark a restart where it changes.
    #[serde(default)]
    pub started_at: Timestamp,
    /// The length of the window of rates and latencies, in seconds.
    #[schema(minimum = 1)]
    pub window_s: usize,
    /// HTTP requests per second.
    #[schema(minimum = 0)]
    pub requests_per_s: f64,
    /// Seats and waitlist positions granted per second.
    #[schema(minimum = 0)]
    pub registrations_per_s: f64,
    /// Registrations refused per second.
    #[schema(minimum = 0)]
    pub refusals_per_s: f64,
    /// Latencies in milliseconds.
    pub latency_ms: Latencies,
    /// Live sessions by role.
    pub connections: Connections,
    /// Lengths of queues.
    pub queues: Queues,
    /// Resident memory of the process in bytes; null if the operating system does not report it.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// The state of Plone.
    pub plone: PloneState,
    /// Whether a demonstration is running. The requests of its students are counted, but not their registrations.
    pub demonstration: bool,
}

/// Latencies in milliseconds, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Latencies {
    /// From receiving an HTTP request to sending the head of its response.
    pub request: Percentiles,
    /// From accepting a registration command to its reply after the commit.
    pub registration: Percentiles,
    /// The duration of a commit of the store.
    pub commit: Percentiles,
    /// From the broker to the queues of all subscribed live sessions of one worker thread.
    pub fanout: Percentiles,
}

/// Percentiles of a latency in milliseconds, overestimated by at most 1/16; null if nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Percentiles {
    /// The median.
    #[schema(required, minimum = 0)]
    pub p50: Option<f64>,
    /// The 95th percentile.
    #[schema(required, minimum = 0)]
    pub p95: Option<f64>,
    /// The 99th percentile.
    #[schema(required, minimum = 0)]
    pub p99: Option<f64>,
}

/// Live sessions by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Connections {
    /// Visitors, who are not signed in.
    pub visitor: usize,
    /// Students.
    pub student: usize,
    /// Instructors.
    #[serde(default)]
    pub instructor: usize,
    /// Staff.
    pub staff: usize,
    /// Admins.
    pub admin: usize,
}

impl Connections {
    /// Returns the number of all connections.
    #[must_use]
    pub const fn all(&self) -> usize {
        self.visitor + self.student + self.instructor + self.staff + self.admin
    }
}

/// Lengths of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Queues {
    /// Commands that were accepted and have no reply yet.
    pub registrar: usize,
    /// Jobs queued for the store's writer thread.
    #[serde(rename = "journal")]
    pub writer: usize,
    /// Messages that relays have not delivered to their live sessions yet.
    pub relay: usize,
    /// Sections whose current state has not been written to Plone yet.
    pub outbox: u64,
}

/// The state of Plone; both fields are null if the hub has no Plone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PloneHealth)]
pub struct PloneState {
    /// Whether Plone responds.
    #[schema(required)]
    pub ok: Option<bool>,
    /// The state of the circuit breaker.
    #[schema(required)]
    pub circuit: Option<CircuitState>,
}

/// The state of the circuit breaker in front of Plone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BreakerState)]
pub enum CircuitState {
    /// Calls are sent to Plone.
    Closed,
    /// Calls fail without being sent.
    Open,
    /// One call at a time is sent, to test whether Plone responds again.
    HalfOpen,
}
