//! The connection of a bus to other hubs: its state and its counters, for metrics and readiness.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use enum_map::{Enum, EnumMap};
use parking_lot::Mutex;
use strum::IntoStaticStr;

/// Why an event was not sent to other hubs, was lost on the way, or was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Dropped {
    /// It was not sent: there was no connection.
    Disconnected,
    /// It was not sent: more events were published than the connection accepted.
    QueueFull,
    /// It was not sent: its message would be too large.
    TooLarge,
    /// It arrived while the buffer of earlier messages was full.
    Overflow,
    /// It was encoded by a hub with another version of the encoding.
    OtherVersion,
    /// It is not a message of a hub, or this version does not know the event.
    Unreadable,
    /// It arrived a second time.
    Duplicate,
    /// It arrived after a later event of the same hub.
    Late,
    /// It never arrived, although a later event of the same hub did, or it arrived late.
    Missing,
}

/// The state and the counters of the connection to other hubs.
#[derive(Debug)]
pub struct Link {
    /// Events sent.
    pub sent: AtomicU64,
    /// Events received and delivered.
    pub received: AtomicU64,
    /// Connections made after an earlier one was lost.
    pub reconnects: AtomicU64,
    /// Events that wait to be sent.
    pub queued: AtomicUsize,
    /// Other hubs that are running and reachable.
    pub hubs: AtomicUsize,
    dropped: EnumMap<Dropped, AtomicU64>,
    /// Why there is no connection; `None` while there is one.
    problem: Mutex<Option<String>>,
}

impl Default for Link {
    /// Creates a link that is not connected yet.
    fn default() -> Self {
        Self {
            sent: AtomicU64::default(),
            received: AtomicU64::default(),
            reconnects: AtomicU64::default(),
            queued: AtomicUsize::default(),
            hubs: AtomicUsize::default(),
            dropped: EnumMap::default(),
            problem: Mutex::new(Some("the first connection is being made".to_owned())),
        }
    }
}

impl Link {
    /// Counts `count` events as dropped.
    pub fn count_dropped(&self, why: Dropped, count: u64) {
        self.dropped[why].fetch_add(count, Ordering::Relaxed);
    }

    /// Returns the number of dropped events by reason.
    #[must_use]
    pub fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.dropped.iter().map(|(why, count)| (why.into(), count.load(Ordering::Relaxed))).collect()
    }

    /// Returns the number of events that were dropped for one reason.
    #[must_use]
    pub fn dropped_for(&self, why: Dropped) -> u64 {
        self.dropped[why].load(Ordering::Relaxed)
    }

    /// Returns why there is no connection; `None` while there is one.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// Returns whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.problem.lock().is_none()
    }

    /// Changes the state. Returns whether it differs from the previous state.
    pub(super) fn set_problem(&self, problem: Option<String>) -> bool {
        let mut current = self.problem.lock();
        let is_changed = *current != problem;
        *current = problem;
        is_changed
    }
}
