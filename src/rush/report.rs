//! The report of a demonstration, as `/api/v1/admin/demo/{task}` and `eduhub rush --json` return it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};
use utoipa::ToSchema;

use crate::domain::coded_text::CodedText;
use crate::histogram::{Counts, Histogram};
use crate::rush::failure::RunFailure;

/// The targets that a demonstration puts under load.
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
    /// Returns whether the hub is put under load.
    #[must_use]
    pub fn includes_hub(self) -> bool {
        self != Self::Plone
    }

    /// Returns whether Plone is put under load.
    #[must_use]
    pub fn includes_plone(self) -> bool {
        self != Self::Hub
    }
}

/// Whether a demonstration is running, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoState)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Running.
    Running,
    /// Completed.
    Done,
    /// Ended before it was complete; `message` says why.
    Failed,
}

/// The current step of a demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, ToSchema)]
#[schema(as = DemoPhase)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Creating the sandbox and connecting the students.
    Preparing,
    /// Sending load to the hub.
    Hub,
    /// Sending load to Plone.
    Plone,
    /// Ended.
    Finished,
}

impl Phase {
    /// Returns the server that is under load in this phase.
    #[must_use]
    pub fn server(self) -> Option<Server> {
        match self {
            Self::Hub => Some(Server::Hub),
            Self::Plone => Some(Server::Plone),
            Self::Preparing | Self::Finished => None,
        }
    }
}

/// A server that a demonstration puts under load. The results are in this order.
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

/// A demonstration: its state and its results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoTask)]
pub struct Task {
    /// The id.
    pub task: String,
    /// Whether it is running, and how it ended.
    pub state: State,
    /// The current step.
    pub phase: Phase,
    /// Why it failed; absent unless it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// The code of `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub reason: Option<CodedText>,
    /// The number of simulated students.
    pub users: u32,
    /// How long each target is under load, in seconds.
    pub seconds: u32,
    /// The targets that it puts under load.
    pub target: Target,
    /// One row for each server, as soon as there is something to report.
    pub results: Vec<Row>,
    /// Whether imports slowed the students; null if the hub is not a target.
    #[schema(required)]
    pub background: Option<Background>,
}

/// The results for one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoRow)]
pub struct Row {
    /// The server that was under load.
    pub target: Server,
    /// When and where the row was recorded, if it is from an earlier run; null for a row of this run.
    #[schema(required)]
    pub recorded: Option<String>,
    /// The code of `recorded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    pub measured: Option<CodedText>,
    /// The number of students who sent requests to the server.
    pub users: u32,
    /// Requests that were sent, with or without a response.
    pub requests: u64,
    /// Requests per second.
    pub per_s: f64,
    /// Response times in milliseconds.
    pub latency_ms: Percentiles,
    /// Requests without a response or with an unexpected status. A refusal, such as for a full section, is not an
    /// error.
    pub errors: u64,
    /// Seats that the server confirmed to students.
    #[serde(rename = "told")]
    pub confirmed: u64,
    /// Seats that the server has stored at the end; null before that.
    #[serde(rename = "held")]
    #[schema(required)]
    pub stored: Option<u64>,
    /// Confirmed or stored seats in excess of the capacity; null before the end.
    #[schema(required)]
    pub oversold: Option<u64>,
    /// Seats that were confirmed to a student but are not stored; null before the end.
    #[schema(required)]
    pub lost: Option<u64>,
}

/// Percentiles of response times in milliseconds; null if there was no response.
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

/// Returns a percentile in milliseconds with one decimal place; `None` if there are no counts.
pub(super) fn percentile_ms(counts: &Counts, percent: u64) -> Option<f64> {
    counts.percentile(percent).map(|latency| (latency.as_secs_f64() * 10_000.0).round() / 10.0)
}

/// The background work that runs half of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoBackgroundKind)]
#[serde(rename_all = "lowercase")]
pub enum BackgroundKind {
    /// Imports of a schedule.
    Import,
}

/// The 99th percentile of the hub's response times, with and without background work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DemoBackground)]
pub struct Background {
    /// The kind of background work.
    pub kind: BackgroundKind,
    /// The percentile while no import ran, in milliseconds; null before the first response.
    #[schema(required)]
    pub p99_without_ms: Option<f64>,
    /// The percentile while an import ran, in milliseconds; null if none ran.
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
            measured: None,
            users,
            requests: 0,
            per_s: 0.0,
            latency_ms: Percentiles::default(),
            errors: 0,
            confirmed: 0,
            stored: None,
            oversold: None,
            lost: None,
        }
    }

    /// Returns whether a seat was lost or oversold.
    #[must_use]
    pub fn has_wrong_seats(&self) -> bool {
        self.oversold.unwrap_or(0) > 0 || self.lost.unwrap_or(0) > 0
    }
}

impl Task {
    /// Creates a demonstration that has just started.
    #[must_use]
    pub fn new(task: String, users: u32, seconds: u32, target: Target) -> Self {
        let background = target.includes_hub().then_some(Background {
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
            reason: None,
            users,
            seconds,
            target,
            results: Vec::new(),
            background,
        }
    }

    /// Adds the row of a server in order, or replaces it.
    pub fn put_row(&mut self, row: Row) {
        match self.results.binary_search_by_key(&row.target, |other| other.target) {
            Ok(index) => self.results[index] = row,
            Err(index) => self.results.insert(index, row),
        }
    }

    /// Returns the row of a server, if there are results for it.
    #[must_use]
    pub fn row(&self, server: Server) -> Option<&Row> {
        self.results.iter().find(|row| row.target == server)
    }

    /// Marks the demonstration as done, or as failed for the reason in `outcome`.
    pub fn finish(&mut self, outcome: Result<(), RunFailure>) {
        self.phase = Phase::Finished;
        self.state = if outcome.is_ok() { State::Done } else { State::Failed };
        let failure = outcome.err();
        self.message = failure.as_ref().map(ToString::to_string);
        self.reason = failure.as_ref().and_then(CodedText::of);
    }
}

/// A request for a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxRequest {
    /// The number of simulated students.
    #[schema(required = false, minimum = 1, maximum = 10_000, default = 200)]
    pub users: u32,
    /// How long they send requests, in seconds.
    #[schema(required = false, minimum = 1, maximum = 60, default = 10)]
    pub seconds: u32,
}

/// A section of a sandbox for which students compete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SandboxSection)]
pub struct HotSection {
    /// The section's id.
    pub id: String,
    /// The number of its seats.
    pub capacity: u32,
}

/// An open sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sandbox)]
pub struct SandboxReport {
    /// The id of its term, which begins with `_sandbox-`.
    pub term: String,
    /// The latest time at which the hub removes it.
    pub removes_at: Timestamp,
    /// The sections for which students compete.
    pub sections: Vec<HotSection>,
}
