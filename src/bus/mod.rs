//! What is told to everyone who listens: within one process today, between several later.

pub mod local;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use bytes::Bytes;

use crate::domain::ids::{SectionId, UserName};
use crate::domain::notice::Notice;

/// A student's registration changed, or moved in line.
#[derive(Debug, Clone)]
pub struct RegistrationNews {
    /// The section.
    pub section: SectionId,
    /// The change.
    pub notice: Notice,
    /// The position in line, while waitlisted.
    pub position: Option<u32>,
}

/// A place in line that moved up (or down, when people outside the hub were counted anew).
#[derive(Debug, Clone)]
pub struct MovedInLine {
    /// Who.
    pub student: UserName,
    /// The section.
    pub section: SectionId,
    /// The new position, 1 for the head.
    pub position: u32,
    /// When.
    pub at: jiff::Timestamp,
}

/// One thing that listeners should hear. Seats are not among them: whoever shows seats compares the published
/// snapshots, tick by tick, so no message about them can be lost.
#[derive(Debug, Clone)]
pub enum Event {
    /// Registrations changed; one commit's worth.
    Registrations(Arc<[RegistrationNews]>),
    /// Places in line moved.
    Moved(Arc<[MovedInLine]>),
    /// The stored sequence of alerts has grown: read it.
    AlertsStored,
    /// An import's progress: the frame to send to `import:TASK`.
    Import {
        /// The task.
        task: String,
        /// The frame, JSON text.
        frame: Bytes,
    },
    /// The hub's numbers: the frame to send to `admin`, JSON text.
    Metrics(Bytes),
    /// A user signed out, of this session or of all: close what came with it. Clients do not come back.
    SignedOut {
        /// Whose.
        user: UserName,
        /// The one token, by its id; none for all of them.
        token: Option<String>,
    },
    /// Tokens of a user ended otherwise: another role or password, nobody of this name in Plone any more. Close what
    /// came with one that is dead by now. Clients are told to sign in again.
    TokensEnded {
        /// Whose.
        user: UserName,
    },
}

/// Counters of a bus, for metrics and readiness.
#[derive(Debug, Default)]
pub struct BusGauge {
    /// Events that wait.
    pub queued: AtomicUsize,
    /// Events that a full queue could not take.
    pub lost: AtomicU64,
}

/// The receiving end of a bus.
pub type EventStream = futures_util::stream::BoxStream<'static, Event>;

/// Where events go. Publishing never waits: what a full queue cannot take is counted and logged by the bus, and
/// everything that must not be lost is in the store.
pub trait Bus: Send + Sync {
    /// Tells it.
    fn publish(&self, event: Event);
    /// Whether anybody is connected under this name: so that nobody composes news that nobody hears.
    fn is_listening(&self, user: &UserName) -> bool;
}
