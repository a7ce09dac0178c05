//! The report of a demonstration, as `/api/v1/admin/demo/{task}` and `eduhub rush --json` return it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};
use utoipa::ToSchema;

use crate::histogram::{Counts, Histogram};

/// Which targets a demonstration loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, ToSchema)]
#[schema(as = DemoTarget)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Target {
    /// The hub alone.
    Hub,
    /// Plone alone.
    Plone,
    /// The hub, then Plone.
    Both,
}

impl Target {
    /// Returns whether the hub is loaded.
    #[must_use]
    pub fn has_hub(self) -> bool {
        self != Self::Plone
    }

    /// Returns whether Plone is loaded.
    #[must_use]
    pub fn has_plone(self) -> bool {
        self != Self::Hub
    }
}

/// Whether a demonstration is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoState)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way.
    Running,
    /// Completed.
    Done,
    /// Ended before it was complete; `message` says why.
    Failed,
}

/// What a demonstration is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, ToSchema)]
#[schema(as = DemoPhase)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Creating the sandbox and connecting the students.
    Preparing,
    /// Loading the hub.
    Hub,
    /// Loading Plone.
    Plone,
    /// Nothing any more.
    Finished,
}

impl Phase {
    /// Returns the server that this phase loads.
    #[must_use]
    pub fn server(self) -> Option<Server> {
        match self {
            Self::Hub => Some(Server::Hub),
            Self::Plone => Some(Server::Plone),
            Self::Preparing | Self::Finished => None,
        }
    }
}

/// A server that a demonstration loads. The order is that of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display, ToSchema)]
#[schema(as = DemoServer)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Server {
    /// The hub.
    Hub,
    /// Plone.
    Plone,
}

/// A demonstration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoTask)]
pub struct Task {
    /// Its id.
    pub task: String,
    /// Whether it is under way.
    pub state: State,
    /// What it is doing.
    pub phase: Phase,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// The number of simulated students.
    pub users: u32,
    /// How long each target is loaded, in seconds.
    pub seconds: u32,
    /// Which targets it loads.
    pub target: Target,
    /// A row for each target, as soon as there is something to report.
    pub results: Vec<Row>,
    /// Whether an import slowed the students; null without the hub as a target.
    #[schema(required)]
    pub background: Option<Background>,
}

/// The results of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoRow)]
pub struct Row {
    /// The server that was loaded.
    pub target: Server,
    /// When and where the row was measured; null for what this run measures.
    #[schema(required)]
    pub recorded: Option<String>,
    /// The number of students that loaded it.
    pub users: u32,
    /// Requests that were answered or failed.
    pub requests: u64,
    /// Requests a second.
    pub per_s: f64,
    /// Response times.
    pub latency_ms: Percentiles,
    /// Requests without a response, or with an unexpected one. A refusal, such as of a full section, is no error.
    pub errors: u64,
    /// Seats that students were told they have.
    pub told: u64,
    /// Seats that the server says are taken; null before it was asked.
    #[schema(required)]
    pub held: Option<u64>,
    /// Seats told or held above the capacity.
    #[schema(required)]
    pub oversold: Option<u64>,
    /// Seats that a student was told of and does not hold.
    #[schema(required)]
    pub lost: Option<u64>,
}

/// Percentiles in milliseconds; null without responses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoPercentiles)]
pub struct Percentiles {
    /// The median.
    #[schema(required)]
    pub p50: Option<f64>,
    /// The 95th percentile.
    #[schema(required)]
    pub p95: Option<f64>,
    /// The 99th percentile.
    #[schema(required)]
    pub p99: Option<f64>,
}

impl From<&Histogram> for Percentiles {
    fn from(latencies: &Histogram) -> Self {
        let counts = latencies.counts();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile_ms(&counts, percent));
        Self { p50, p95, p99 }
    }
}

/// Returns a percentile in milliseconds; `None` when nothing was counted.
pub(super) fn percentile_ms(counts: &Counts, percent: u64) -> Option<f64> {
    counts.percentile(percent).map(|within| (within.as_secs_f64() * 10_000.0).round() / 10.0)
}

/// The work that runs beside the students half of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoBackgroundKind)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundKind {
    /// Imports of a schedule.
    Import,
}

/// The students' 99th percentile without and with work beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoBackground)]
pub struct Background {
    /// What ran beside them.
    pub kind: BackgroundKind,
    /// In milliseconds, while no import ran; null before the first response.
    #[schema(required)]
    pub p99_without_ms: Option<f64>,
    /// In milliseconds, while an import ran; null when none ran.
    #[schema(required)]
    pub p99_with_ms: Option<f64>,
    /// Imports that completed.
    pub imports: u32,
}

impl Row {
    /// Creates a row without results.
    #[must_use]
    pub fn new(target: Server, users: u32) -> Self {
        Self {
            target,
            recorded: None,
            users,
            requests: 0,
            per_s: 0.0,
            latency_ms: Percentiles::default(),
            errors: 0,
            told: 0,
            held: None,
            oversold: None,
            lost: None,
        }
    }

    /// Returns whether a seat was lost or oversold in this run.
    #[must_use]
    pub fn has_harm(&self) -> bool {
        self.oversold.unwrap_or(0) > 0 || self.lost.unwrap_or(0) > 0
    }
}

impl Task {
    /// Creates a demonstration that has just begun.
    #[must_use]
    pub fn new(task: String, users: u32, seconds: u32, target: Target) -> Self {
        let background = target.has_hub().then_some(Background {
            kind: BackgroundKind::Import,
            p99_without_ms: None,
            p99_with_ms: None,
            imports: 0,
        });
        Self {
            task,
            state: State::Running,
            phase: Phase::Preparing,
            message: None,
            users,
            seconds,
            target,
            results: Vec::new(),
            background,
        }
    }

    /// Replaces the row of a server, or adds it in order.
    pub fn put(&mut self, row: Row) {
        match self.results.binary_search_by_key(&row.target, |known| known.target) {
            Ok(at) => self.results[at] = row,
            Err(at) => self.results.insert(at, row),
        }
    }

    /// Returns the row of a server.
    #[must_use]
    pub fn row(&self, server: Server) -> Option<&Row> {
        self.results.iter().find(|row| row.target == server)
    }

    /// Ends the demonstration.
    pub fn end(&mut self, outcome: Result<(), String>) {
        self.phase = Phase::Finished;
        self.state = if outcome.is_ok() { State::Done } else { State::Failed };
        self.message = outcome.err();
    }
}

/// A request for a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxRequest {
    /// The number of simulated students.
    #[schema(required = false, minimum = 1, maximum = 10_000, default = 200)]
    pub users: u32,
    /// How long they load the hub, in seconds.
    #[schema(required = false, minimum = 1, maximum = 60, default = 10)]
    pub seconds: u32,
}

/// A section that students of a sandbox compete for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SandboxSection)]
pub struct HotSection {
    /// The section's id.
    pub id: String,
    /// Its seats.
    pub capacity: u32,
}

/// A sandbox that is open, as the hub returns it to a load generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sandbox)]
pub struct SandboxReport {
    /// The id of its term, which begins with `_sandbox-`.
    pub term: String,
    /// When it is removed at the latest.
    pub removes_at: Timestamp,
    /// The sections that students compete for.
    pub sections: Vec<HotSection>,
}
