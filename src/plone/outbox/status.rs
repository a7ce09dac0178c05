//! How the outbox stands, for admins and for metrics.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::store::outbox::{AsideEntry, OutboxSummary};

use crate::plone::outbox::wanted::Names;

/// Who can read the field of the roster in Plone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RosterState {
    /// Not known yet: a visitor or a plain member has not been tried. Counts only.
    #[default]
    Unchecked,
    /// Neither a visitor nor a plain member: names are written.
    Protected,
    /// Somebody who should not: counts only. `visitor`, or a member's name.
    Readable(String),
}

impl RosterState {
    /// The state's one name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Protected => "protected",
            Self::Readable(_) => "readable",
        }
    }

    /// What becomes of names in it.
    #[must_use]
    pub const fn names(&self) -> Names {
        match self {
            Self::Unchecked => Names::Withheld,
            Self::Protected => Names::Written,
            Self::Readable(_) => Names::Removed,
        }
    }
}

/// How the outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PloneOutboxStatus {
    /// Sections whose newest state is not in Plone yet.
    pub depth: u64,
    /// When the oldest change of these was made.
    pub oldest_at: Option<jiff::Timestamp>,
    /// Sections that Plone refused for good.
    pub aside_total: u64,
    /// The newest of them.
    pub aside: Vec<AsideEntry>,
    /// Writes that are under way.
    pub in_flight: usize,
    /// Writes that Plone took, since the start.
    pub sent_total: u64,
    /// Sections that were made in Plone, since the start.
    pub created_total: u64,
    /// Writes that did not work, since the start.
    pub failed_total: u64,
    /// Who can read rosters.
    pub roster: RosterState,
}

/// What the outbox counts while it works.
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

    /// Puts the state, and answers what it was.
    pub(super) fn put_roster(&self, state: RosterState) -> RosterState {
        std::mem::replace(&mut *self.roster.lock(), state)
    }

    pub(super) fn status(&self) -> PloneOutboxStatus {
        let summary = self.summary.lock().clone();
        PloneOutboxStatus {
            depth: summary.depth,
            oldest_at: summary.oldest_at,
            aside_total: summary.aside_total,
            aside: summary.aside,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            sent_total: self.sent.load(Ordering::Relaxed),
            created_total: self.created.load(Ordering::Relaxed),
            failed_total: self.failed.load(Ordering::Relaxed),
            roster: self.roster(),
        }
    }
}
