//! Settings and dependencies of the outbox.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::Audit;
use crate::plone::port::Plone;
use crate::store::outbox::OutboxStore;

/// Shortest time between two writes of one section: however many students register, it costs Plone one write a second.
pub const SECTION_PAUSE: Duration = Duration::from_secs(1);

/// Settings of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// True when imported schedules are written to Plone, too (`[plone] write_schedules`).
    pub write_schedules: bool,
    /// Connections to Plone (`[plone] pool_size`); at most half of them are used.
    pub pool_size: usize,
    /// Time between two checks of who can read rosters.
    pub check_every: Duration,
    /// Identifies the site, the type and the field whose readers are checked. Findings about another one do not apply.
    pub roster_field: String,
}

/// What the outbox depends on.
#[derive(Clone)]
pub struct OutboxDeps {
    /// Marks and items.
    pub store: Arc<dyn OutboxStore>,
    /// Plone.
    pub plone: Arc<dyn Plone>,
    /// Clock used for due times.
    pub clock: Arc<dyn Clock>,
    /// Audit trail, for the removal of names.
    pub audit: Audit,
    /// True once all of Plone's sections were pulled: before that it is not known which are missing there.
    pub items_known: Arc<AtomicBool>,
    /// Returns true while an import is becoming visible: no write may start then.
    pub is_import_applying: Arc<dyn Fn() -> bool + Send + Sync>,
}
