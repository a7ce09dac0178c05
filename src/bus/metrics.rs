//! The metrics that the administration page charts: one reading a second.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of the hub at one moment, and its rates and latencies over the seconds before it. `GET
/// /api/v1/admin/metrics` and the channel `admin` return the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Metrics)]
pub struct MetricsReading {
    /// When it was read.
    pub at: Timestamp,
    /// The length in seconds of the window that rates and latencies cover.
    #[schema(minimum = 1)]
    pub window_s: usize,
    /// HTTP requests a second.
    #[schema(minimum = 0)]
    pub requests_per_s: f64,
    /// Seats and waitlist positions given a second.
    #[schema(minimum = 0)]
    pub registrations_per_s: f64,
    /// Registrations refused a second.
    #[schema(minimum = 0)]
    pub refusals_per_s: f64,
    /// Latencies in milliseconds.
    pub latency_ms: Latencies,
    /// Connected WebSockets.
    pub connections: Connections,
    /// Lengths of queues.
    pub queues: Queues,
    /// Resident memory of the process; none where the operating system does not report it.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
    /// The state of Plone.
    pub plone: PloneState,
    /// Whether a demonstration runs. The requests of its students are counted, their registrations are not.
    pub demonstration: bool,
}

/// Latencies in milliseconds, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Latencies {
    /// From an HTTP request to the head of its response.
    pub request: Percentiles,
    /// From an accepted registration command to its durable reply.
    pub registration: Percentiles,
    /// Of a commit of the store.
    pub commit: Percentiles,
    /// From the broker to the queues of all subscribed sessions of one worker thread.
    pub fanout: Percentiles,
}

/// Percentiles of a latency in milliseconds, at most a sixteenth too high; none when nothing was measured.
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

/// Connected WebSockets by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Connections {
    /// Without a sign-in.
    pub visitor: usize,
    /// Students.
    pub student: usize,
    /// Staff.
    pub staff: usize,
    /// Admins.
    pub admin: usize,
}

/// Lengths of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Queues {
    /// Commands that were accepted and have no reply yet.
    pub registrar: usize,
    /// Jobs of the store's writer.
    pub journal: usize,
    /// Messages that relays have not delivered to their sessions yet.
    pub relay: usize,
    /// Sections whose newest state is not in Plone yet.
    pub outbox: u64,
}

/// The state of Plone; both fields are none in a hub without Plone.
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
    /// Calls are made.
    Closed,
    /// Calls fail at once.
    Open,
    /// One call at a time tests whether Plone responds again.
    HalfOpen,
}
