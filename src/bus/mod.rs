//! The bus delivers events from the parts of a hub to its subscribers, such as its broker, and to other hubs.
//!
//! - [`mod@event`]: the events; [`metrics_reading`]: the reading in [`Event::Metrics`]
//! - [`session_list`]: the lists of live sessions that hubs send each other; [`hub_state`]: their states
//! - [`local`]: the bus within one process
//! - [`nats`]: the bus between hubs; [`link`]: its connection, for metrics and readiness
//!
//! Publishers use [`Bus`], and subscribers use [`Subscribe`]. Every implementation passes the contract suite
//! (`contract_tests`).

#[cfg(test)]
mod contract_tests;
pub mod event;
pub mod hub_state;
pub mod link;
pub mod local;
pub mod metrics_reading;
pub mod nats;
pub mod session_list;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use futures_util::stream::BoxStream;

use crate::bus::link::Link;
use crate::domain::ids::UserName;

pub use event::{Event, PositionChange, RegistrationChange};

/// The events that a subscriber receives. Each is delivered at most once, and those of one publisher in order. Events
/// of other hubs can be lost, and those that must be delivered ([`Event::must_be_delivered`]) can arrive after later
/// ones. The stream ends when the bus is dropped.
pub type EventStream = BoxStream<'static, Event>;

/// Counters of a bus, for metrics and readiness.
#[derive(Debug, Default)]
pub struct BusGauge {
    /// Events in the queues of all subscribers.
    pub queued: AtomicUsize,
    /// Events dropped because a queue was full.
    pub lost: AtomicU64,
    /// The connection to other hubs; `None` for a bus within one process.
    pub link: Option<Arc<Link>>,
}

/// The publishing half of a bus.
pub trait Bus: Send + Sync {
    /// Publishes an event to all current subscribers without blocking.
    ///
    /// If a subscriber's queue is full, drops and counts the event, unless [`Event::must_be_delivered`] is true. Data
    /// that must not be lost is therefore in the store, never only in an event.
    fn publish(&self, event: Event);

    /// Publishes an event to the subscribers of this hub only, otherwise like [`Bus::publish`]. Used for changes that
    /// other hubs committed, because each hub reads those from the store.
    fn publish_here(&self, event: Event) {
        self.publish(event);
    }

    /// Returns whether a user may be connected to this hub, so that publishers can skip events without a receiver.
    /// Returns true if that is not known.
    fn may_be_connected(&self, user: &UserName) -> bool;

    /// Returns the number of other hubs that are known to receive the events of this one.
    fn other_hubs(&self) -> usize {
        0
    }

    /// Returns whether other hubs are known to receive the events of this one.
    fn has_other_hubs(&self) -> bool {
        self.other_hubs() > 0
    }
}

/// The subscribing half of a bus.
pub trait Subscribe: Send + Sync {
    /// Subscribes to all events that are published from now on.
    fn subscribe(&self) -> EventStream;
}
