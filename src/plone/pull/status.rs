//! How pulling stands: for admins, and for whoever measures.

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::fields::SectionField;

use crate::plone::pull::PullError;

/// Problems that are listed; all are counted.
pub const PROBLEMS_MAX: usize = 100;

/// What one pull, or all of them, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PullCounts {
    /// Sections that visitors of Plone see.
    pub sections: u64,
    /// Items that were read, those of sections and of events.
    pub read: u64,
    /// Sections that are new in the hub.
    pub created: u64,
    /// Sections of which the hub took something over.
    pub updated: u64,
    /// Sections that were so already.
    pub unchanged: u64,
    /// Sections that visitors of Plone do not see any more.
    pub withdrawn: u64,
    /// Items that could not be taken.
    pub skipped: u64,
    /// Sections of which Plone has something that is the hub's to say: they are written again.
    pub rewritten: u64,
    /// Events that are new or differ.
    pub events_changed: u64,
    /// Events that are gone.
    pub events_removed: u64,
}

impl PullCounts {
    /// What happened, by name.
    #[must_use]
    pub const fn happened(&self) -> [(&'static str, u64); 7] {
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

    /// How things are, by name.
    #[must_use]
    pub const fn states(&self) -> [(&'static str, u64); 3] {
        [("sections", self.sections), ("unchanged", self.unchanged), ("skipped", self.skipped)]
    }

    /// All of it, by name.
    #[must_use]
    pub fn by_name(&self) -> Vec<(&'static str, u64)> {
        self.states().into_iter().chain(self.happened()).collect()
    }

    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.created += other.created;
        self.updated += other.updated;
        self.withdrawn += other.withdrawn;
        self.rewritten += other.rewritten;
        self.events_changed += other.events_changed;
        self.events_removed += other.events_removed;
        // These are states, not happenings.
        (self.sections, self.unchanged, self.skipped) = (other.sections, other.unchanged, other.skipped);
    }
}

/// An item that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullProblem {
    /// Its path in Plone, from the site's root.
    pub path: String,
    /// Why, in words for whoever edits it.
    pub reason: String,
}

/// How pulling stands.
#[derive(Debug, Clone, Default)]
pub struct PullStatus {
    /// Whether one is under way.
    pub running: bool,
    /// When the last one that ended well ended.
    pub last_ok_at: Option<Timestamp>,
    /// Why the last one did not end well; none when it did.
    pub last_error: Option<PullError>,
    /// When the last one ended, well or not.
    pub ended_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What it came to, as far as it got.
    pub last: PullCounts,
    /// What all of them came to since the hub started.
    pub total: PullCounts,
    /// How many there were.
    pub pulls: u64,
    /// How many of them did not end well.
    pub failed: u64,
    /// Items that could not be taken: the first [`PROBLEMS_MAX`].
    pub problems: Vec<PullProblem>,
    /// How many there are.
    pub problems_total: u64,
    /// Fields that the college's section type does not have, by the hub's names.
    pub missing_fields: Vec<&'static str>,
}

/// Where the status stands, to be looked at from any thread.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<PullStatus>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, PullStatus> {
        // Nothing that panics runs under this lock.
        self.0.lock()
    }

    pub(super) fn look(&self) -> PullStatus {
        self.lock().clone()
    }

    pub(super) fn begins(&self) {
        self.lock().running = true;
    }

    pub(super) fn ended(&self, at: Timestamp, took: Duration, found: Found, error: Option<PullError>) {
        let mut status = self.lock();
        status.running = false;
        status.pulls += 1;
        status.ended_at = Some(at);
        status.duration_ms = u64::try_from(took.as_millis()).ok();
        match error {
            None => status.last_ok_at = Some(at),
            Some(_) => status.failed += 1,
        }
        // A pull that broke off has not seen every problem: those that are known stay.
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

/// What a pull finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) counts: PullCounts,
    pub(super) problems: Vec<PullProblem>,
    /// None: no section was read.
    pub(super) missing_fields: Option<Vec<SectionField>>,
}

impl Found {
    /// Notes an item that cannot be taken.
    pub(super) fn problem(&mut self, path: &str, reason: impl Into<String>) {
        self.counts.skipped += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(PullProblem { path: path.to_owned(), reason: reason.into() });
        }
    }
}
