//! Options and dependencies of the outbox.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::Audit;
use crate::leader::Tenure;
use crate::plone::items_known::ItemsKnown;
use crate::plone::port::Plone;
use crate::plone::pull_gate::PullGate;
use crate::store::outbox::OutboxStore;

/// Minimum time between two writes of one section. It limits the load on Plone to one write per second for each
/// section, regardless of the number of registrations.
pub const SECTION_PAUSE: Duration = Duration::from_secs(1);

/// Options of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// True if imported schedules are also written to Plone (`[plone] write_schedules`).
    pub write_schedules: bool,
    /// Number of connections to Plone (`[plone] pool_size`). The outbox uses at most half of them.
    pub pool_size: usize,
    /// Time between two checks of who can read rosters.
    pub check_every: Duration,
    /// Identifies the roster field: site, section type and name of the field. Stored findings about another field are
    /// not used.
    pub roster_field: String,
}

/// Dependencies of the outbox, under one tenure.
#[derive(Clone)]
pub struct OutboxDeps {
    /// The tenure under which the outbox writes.
    pub tenure: Tenure,
    /// Marked sections, and known items of Plone, written under the tenure.
    pub store: Arc<dyn OutboxStore>,
    /// Plone.
    pub plone: Arc<dyn Plone>,
    /// Clock used for due times.
    pub clock: Arc<dyn Clock>,
    /// Audit trail, which records when names are removed from Plone.
    pub audit: Audit,
    /// Whether a pull of this tenure has read all sections. Before that, the hub creates none in Plone.
    pub items_known: Arc<ItemsKnown>,
    /// Returns true while an import is being applied. No write may start then.
    pub is_import_applying: Arc<dyn Fn() -> bool + Send + Sync>,
    /// States when a pull applies changes. Entries that were read during that time are not used.
    pub pull_gate: Arc<PullGate>,
}

/// A function that returns the dependencies of the outbox under a tenure.
pub type OutboxDepsUnder = Box<dyn Fn(Tenure) -> OutboxDeps + Send + Sync>;
