//! The state of the outbox, for admins and metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::store::outbox::{OutboxSummary, RefusedEntry};

use crate::plone::outbox::desired_state::Names;

/// Who can read the roster field in Plone.
#[derive(Debug, Clone, PartialEq, Eq, Default, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RosterState {
    /// Unknown: the checks as a visitor and as a plain member are not complete. Only counts are written.
    #[default]
    Unchecked,
    /// Neither visitors nor plain members. Names are written.
    Protected,
    /// A viewer who must not read it but can: `visitor`, or the name of a plain member. Names are removed.
    Readable(String),
}

impl RosterState {
    /// Returns the name of the state: `unchecked`, `protected` or `readable`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Returns how names are handled in this state.
    #[must_use]
    pub const fn names(&self) -> Names {
        match self {
            Self::Unchecked => Names::Withheld,
            Self::Protected => Names::Written,
            Self::Readable(_) => Names::Removed,
        }
    }
}

/// The state of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PloneOutboxStatus {
    /// Sections whose newest state is not in Plone yet.
    pub depth: u64,
    /// When the oldest of these changes was committed.
    pub oldest_at: Option<jiff::Timestamp>,
    /// Sections that Plone refused, which are not retried.
    pub aside_total: u64,
    /// The most recently refused of these.
    pub aside: Vec<RefusedEntry>,
    /// Writes in flight.
    pub in_flight: usize,
    /// Successful writes since the start.
    pub sent_total: u64,
    /// Sections created in Plone since the start.
    pub created_total: u64,
    /// Failed writes since the start.
    pub failed_total: u64,
    /// Who can read rosters in Plone.
    pub roster: RosterState,
}

/// State of the running outbox, shared between its tasks.
#[derive(Debug, Default)]
pub(super) struct OutboxGauge {
    pub(super) in_flight: AtomicUsize,
    pub(super) sent: AtomicU64,
    pub(super) created: AtomicU64,
    pub(super) failed: AtomicU64,
    summary: Mutex<OutboxSummary>,
    roster: Mutex<RosterState>,
}

impl OutboxGauge {
    pub(super) fn put_summary(&self, summary: OutboxSummary) {
        *self.summary.lock() = summary;
    }

    pub(super) fn roster(&self) -> RosterState {
        self.roster.lock().clone()
    }

    /// Replaces the state and returns the previous one.
    pub(super) fn put_roster(&self, state: RosterState) -> RosterState {
        std::mem::replace(&mut *self.roster.lock(), state)
    }

    pub(super) fn status(&self) -> PloneOutboxStatus {
        let summary = self.summary.lock().clone();
        PloneOutboxStatus {
            depth: summary.depth,
            oldest_at: summary.oldest_at,
            aside_total: summary.refused_total,
            aside: summary.refused,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            sent_total: self.sent.load(Ordering::Relaxed),
            created_total: self.created.load(Ordering::Relaxed),
            failed_total: self.failed.load(Ordering::Relaxed),
            roster: self.roster(),
        }
    }
}
