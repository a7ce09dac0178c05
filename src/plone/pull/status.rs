//! The state of the pull, for admins and metrics.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::fields::SectionField;

use crate::plone::problem::ItemProblem;
use crate::plone::pull::PullError;

/// Maximum number of problems that are listed. All problems are counted.
pub const PROBLEMS_MAX: usize = 100;

/// Counts of one pull or of all pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct PullCounts {
    /// Sections that visitors of Plone can see.
    pub sections: u64,
    /// Sections and events that were read.
    pub read: u64,
    /// Sections created in the hub.
    pub created: u64,
    /// Sections that changed in the hub.
    pub updated: u64,
    /// Sections without a change.
    pub unchanged: u64,
    /// Sections withdrawn because visitors of Plone can no longer see them.
    pub withdrawn: u64,
    /// Items that could not be read or applied.
    pub skipped: u64,
    /// Sections that are written to Plone again because a field that the hub owns differs there.
    pub rewritten: u64,
    /// Events created or changed.
    pub events_changed: u64,
    /// Events removed.
    pub events_removed: u64,
}

impl PullCounts {
    /// Returns the names and values of the counts that add up over pulls.
    #[must_use]
    pub const fn cumulative(&self) -> [(&'static str, u64); 7] {
        [
            ("read", self.read),
            ("created", self.created),
            ("updated", self.updated),
            ("withdrawn", self.withdrawn),
            ("rewritten", self.rewritten),
            ("events_changed", self.events_changed),
            ("events_removed", self.events_removed),
        ]
    }

    /// Returns the names and values of the counts that describe the state after a pull.
    #[must_use]
    pub const fn current(&self) -> [(&'static str, u64); 3] {
        [("sections", self.sections), ("unchanged", self.unchanged), ("skipped", self.skipped)]
    }

    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.created += other.created;
        self.updated += other.updated;
        self.withdrawn += other.withdrawn;
        self.rewritten += other.rewritten;
        self.events_changed += other.events_changed;
        self.events_removed += other.events_removed;
        // These describe a state and do not add up.
        (self.sections, self.unchanged, self.skipped) = (other.sections, other.unchanged, other.skipped);
    }
}

/// An item that could not be read or applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProblem {
    /// Path in Plone, from the site's root.
    pub path: String,
    /// The reason, for the editor of the item.
    pub reason: ItemProblem,
}

/// The state of the pull.
#[derive(Debug, Clone, Default)]
pub struct PullStatus {
    /// True while a pull runs.
    pub running: bool,
    /// When the last complete pull ended.
    pub last_ok_at: Option<Timestamp>,
    /// Why the last pull ended early; `None` if it was complete.
    pub last_error: Option<PullError>,
    /// When the last pull ended, complete or not.
    pub ended_at: Option<Timestamp>,
    /// Duration of the last pull, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Counts of the last pull, complete or not.
    pub last: PullCounts,
    /// Counts of all pulls since the hub started.
    pub total: PullCounts,
    /// Number of pulls since the hub started.
    pub pulls: u64,
    /// Number of pulls that ended early.
    pub failed: u64,
    /// The first [`PROBLEMS_MAX`] problems of the last complete pull.
    pub problems: Vec<PullProblem>,
    /// Number of problems of the last complete pull.
    pub problems_total: u64,
    /// The hub's names of fields that the college's section type lacks.
    pub missing_fields: Vec<&'static str>,
}

/// The state of the pull, shared between threads.
#[derive(Debug, Default)]
pub(super) struct StatusBoard(Mutex<PullStatus>);

impl StatusBoard {
    fn lock(&self) -> MutexGuard<'_, PullStatus> {
        self.0.lock()
    }

    pub(super) fn read(&self) -> PullStatus {
        self.lock().clone()
    }

    pub(super) fn started(&self) {
        self.lock().running = true;
    }

    pub(super) fn ended(&self, at: Timestamp, took: Duration, found: PullFindings, error: Option<PullError>) {
        let mut status = self.lock();
        status.running = false;
        status.pulls += 1;
        status.ended_at = Some(at);
        status.duration_ms = u64::try_from(took.as_millis()).ok();
        match error {
            None => status.last_ok_at = Some(at),
            Some(_) => status.failed += 1,
        }
        // A pull that ended early has not found all problems, so the previous ones stay.
        if error.is_none() {
            (status.problems, status.problems_total) = (found.problems, found.counts.skipped);
        }
        status.last_error = error;
        status.total.add(&found.counts);
        status.last = found.counts;
        if let Some(missing) = found.missing_fields {
            status.missing_fields = missing.into_iter().map(SectionField::as_str).collect();
        }
    }
}

/// Results that a running pull has collected so far.
#[derive(Debug, Default)]
pub(super) struct PullFindings {
    pub(super) counts: PullCounts,
    pub(super) problems: Vec<PullProblem>,
    /// Fields that the section type lacks; `None` if no section was read.
    pub(super) missing_fields: Option<Vec<SectionField>>,
}

impl PullFindings {
    /// Records an item that could not be read or applied.
    pub(super) fn problem(&mut self, path: &str, reason: ItemProblem) {
        self.counts.skipped += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(PullProblem { path: path.to_owned(), reason });
        }
    }
}
