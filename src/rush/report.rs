//! What a demonstration tells, as `/api/v1/admin/demo/{task}` and `eduhub rush --json` answer it.

use serde::{Deserialize, Serialize};

use crate::histogram::{Counts, Histogram};

/// Where the load goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The hub alone.
    Hub,
    /// Plone alone.
    Plone,
    /// One after the other.
    Both,
}

impl Target {
    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "hub" => Some(Self::Hub),
            "plone" => Some(Self::Plone),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    /// Whether the hub is among it.
    #[must_use]
    pub fn has_hub(self) -> bool {
        self != Self::Plone
    }

    /// Whether Plone is among it.
    #[must_use]
    pub fn has_plone(self) -> bool {
        self != Self::Hub
    }
}

/// How far a demonstration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way.
    Running,
    /// It came to its end.
    Done,
    /// It did not; `message` says why.
    Failed,
}

/// A demonstration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub task: String,
    /// How far it is.
    pub state: State,
    /// What it is doing, in a word: `preparing`, `hub`, `plone`, `finished`.
    pub phase: String,
    /// Why it failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Students asked for.
    pub users: u32,
    /// Seconds asked for, of each target.
    pub seconds: u32,
    /// Where the load goes.
    pub target: Target,
    /// A row for each target.
    pub results: Vec<Row>,
    /// Whether work beside it slowed anyone; none without the hub as a target.
    pub background: Option<Background>,
}

/// What one target did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `hub` or `plone`.
    pub target: String,
    /// None for what this run measured; otherwise when and where it was measured.
    pub recorded: Option<String>,
    /// Students that pressed.
    pub users: u32,
    /// Requests that were answered, in time or not.
    pub requests: u64,
    /// Requests a second.
    pub per_s: f64,
    /// How long they took.
    pub latency_ms: Percentiles,
    /// Requests without an answer, or with one that nobody should get.
    pub errors: u64,
    /// Seats that students were told they have.
    pub told: u64,
    /// Seats that the target says they have; none before it was asked.
    pub held: Option<u64>,
    /// Seats told or held above what there is.
    pub oversold: Option<u64>,
    /// Seats that were told and are not held.
    pub lost: Option<u64>,
}

/// Percentiles in milliseconds; none without answers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of the answers came within.
    pub p50: Option<f64>,
    /// 95 of 100.
    pub p95: Option<f64>,
    /// 99 of 100.
    pub p99: Option<f64>,
}

impl From<&Histogram> for Percentiles {
    fn from(latencies: &Histogram) -> Self {
        let counts = latencies.counts();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| percentile_ms(&counts, percent));
        Self { p50, p95, p99 }
    }
}

/// A percentile in milliseconds; none when nothing was counted.
pub(super) fn percentile_ms(counts: &Counts, percent: u64) -> Option<f64> {
    counts.percentile(percent).map(|within| (within.as_secs_f64() * 10_000.0).round() / 10.0)
}

/// Students' p99 without and with work beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Background {
    /// What ran beside half of the time: `import`.
    pub kind: String,
    /// In milliseconds; none before there were answers.
    pub p99_without_ms: Option<f64>,
    /// In milliseconds; none when none ran.
    pub p99_with_ms: Option<f64>,
    /// Imports that ran to their end.
    pub imports: u32,
}

impl Row {
    /// A row that nothing is in yet.
    #[must_use]
    pub fn new(target: &str, users: u32) -> Self {
        Self {
            target: target.to_owned(),
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

    /// Whether a seat was lost or oversold in this run.
    #[must_use]
    pub fn has_harm(&self) -> bool {
        self.oversold.unwrap_or(0) > 0 || self.lost.unwrap_or(0) > 0
    }
}

impl Task {
    /// One that has just begun.
    #[must_use]
    pub fn new(task: String, users: u32, seconds: u32, target: Target) -> Self {
        let background = target.has_hub().then(|| Background {
            kind: "import".to_owned(),
            p99_without_ms: None,
            p99_with_ms: None,
            imports: 0,
        });
        Self {
            task,
            state: State::Running,
            phase: "preparing".to_owned(),
            message: None,
            users,
            seconds,
            target,
            results: Vec::new(),
            background,
        }
    }

    /// Exchanges the row of a target, or adds it.
    pub fn put(&mut self, row: Row) {
        match self.results.iter_mut().find(|known| known.target == row.target) {
            Some(known) => *known = row,
            None => self.results.push(row),
        }
        // The hub first, whichever is known first.
        self.results.sort_by(|a, b| a.target.cmp(&b.target));
    }

    /// Ends it.
    pub fn end(&mut self, outcome: Result<(), String>) {
        self.phase = "finished".to_owned();
        self.state = if outcome.is_ok() { State::Done } else { State::Failed };
        self.message = outcome.err();
    }
}
