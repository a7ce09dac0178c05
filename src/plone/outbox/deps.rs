//! What the outbox works with: its settings, and the ports around it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::clock::Clock;
use crate::identity::Audit;
use crate::plone::port::Plone;
use crate::store::outbox::OutboxStore;

/// The shortest time between two writes of one section: however many register, its item costs one write a second.
pub const SECTION_PAUSE: Duration = Duration::from_secs(1);

/// What the outbox is told of the settings.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// `[plone] write_schedules`.
    pub write_schedules: bool,
    /// `[plone] pool_size`: one connection at least is left to others, where there are several.
    pub pool_size: usize,
    /// How often is looked who can read rosters.
    pub check: Duration,
    /// Which site and which of its fields the check was of: another one is checked anew.
    pub roster_field: String,
}

/// What the outbox works with.
#[derive(Clone)]
pub struct OutboxDeps {
    /// Where marks and items are kept.
    pub store: Arc<dyn OutboxStore>,
    /// The college's Plone.
    pub plone: Arc<dyn Plone>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where admins read that names were taken away.
    pub audit: Audit,
    /// Whether all of Plone's sections were pulled once: before that nobody knows which are missing there.
    pub items_known: Arc<AtomicBool>,
    /// Whether nothing is to be begun now: an import is becoming visible and is not done yet.
    pub held: Arc<dyn Fn() -> bool + Send + Sync>,
}
