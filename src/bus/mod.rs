//! The bus: carries events from the parts of a hub to its broker.
//!
//! - [`event`]: what is published; [`metrics`]: the reading that the event of metrics carries
//! - [`local`]: the bus within one process
//!
//! Publishers use [`Bus`], and a broker subscribes with [`EventSource`]. Both halves of an implementation pass the
//! contract suite (`contract_tests`). A bus between processes sends the same events as JSON.

#[cfg(test)]
mod contract_tests;
pub mod event;
pub mod local;
pub mod metrics;

use std::sync::atomic::{AtomicU64, AtomicUsize};

use futures_util::stream::BoxStream;

use crate::domain::ids::UserName;

pub use event::{Event, PositionChange, RegistrationChange};

/// The events that a subscriber receives, each once, in the order in which each publisher published them. The stream
/// ends when the bus has gone.
pub type EventStream = BoxStream<'static, Event>;

/// Counters of a bus, for metrics and readiness.
#[derive(Debug, Default)]
pub struct BusGauge {
    /// Events in the queues of all subscribers.
    pub queued: AtomicUsize,
    /// Events dropped because a queue was full.
    pub lost: AtomicU64,
}

/// The publishing half of a bus.
pub trait Bus: Send + Sync {
    /// Publishes an event to all present subscribers. It never blocks. For a subscriber whose queue is full the event
    /// is dropped and counted, unless [`Event::must_arrive`]. Nothing that may not be lost depends on an event: it is in
    /// the store.
    fn publish(&self, event: Event);

    /// Returns whether a user may be connected, so that a publisher can leave out events that have no receiver. A bus that
    /// does not know returns true.
    fn is_listening(&self, user: &UserName) -> bool;
}

/// The subscribing half of a bus.
pub trait EventSource: Send + Sync {
    /// Subscribes to every event that is published from now on.
    fn subscribe(&self) -> EventStream;
}
