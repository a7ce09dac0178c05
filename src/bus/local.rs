//! The bus within one process: a bounded queue for each subscriber.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;
use parking_lot::RwLock;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::bus::{Bus, BusGauge, Event, EventStream, Subscribe};
use crate::domain::ids::UserName;

/// Maximum number of events in a subscriber's queue. When registration opens, a hub publishes some hundreds per second,
/// so a full queue means that its subscriber has stopped reading. Events that must be delivered may exceed the limit;
/// each is caused by a sign-out or a request of an admin, which are rate-limited.
const QUEUE_LEN_MAX: usize = 4_096;
/// One in this many lost events is logged.
const LOST_PER_LOG: u64 = 1_000;

/// Returns whether a user is connected.
type IsConnected = dyn Fn(&UserName) -> bool + Send + Sync;

/// The bus within one process.
pub struct LocalBus {
    subscribers: RwLock<Vec<Subscriber>>,
    gauge: Arc<BusGauge>,
    is_connected: Box<IsConnected>,
}

/// The sending end of a subscriber's queue. The channel is unbounded and `len` is bounded, because some events may
/// exceed the bound.
struct Subscriber {
    queue: UnboundedSender<Event>,
    len: Arc<AtomicUsize>,
}

/// The receiving end of a subscriber's queue.
struct Subscription {
    queue: UnboundedReceiver<Event>,
    len: Arc<AtomicUsize>,
    gauge: Arc<BusGauge>,
}

impl LocalBus {
    /// Creates a bus without subscribers. `is_connected` returns whether a user is connected to this process.
    pub fn new(is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static) -> Self {
        Self { subscribers: RwLock::default(), gauge: Arc::default(), is_connected: Box::new(is_connected) }
    }

    /// Returns the measurements of this bus.
    #[must_use]
    pub fn gauge(&self) -> Arc<BusGauge> {
        self.gauge.clone()
    }

    fn count_lost(&self) {
        if self.gauge.lost.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOST_PER_LOG) {
            log::warn!("a queue of the bus is full: live updates are lost (no alerts or registrations are lost)");
        }
    }
}

impl Bus for LocalBus {
    fn publish(&self, event: Event) {
        for subscriber in self.subscribers.read().iter().filter(|subscriber| !subscriber.queue.is_closed()) {
            if subscriber.len.fetch_add(1, Ordering::Relaxed) >= QUEUE_LEN_MAX && !event.must_be_delivered() {
                subscriber.len.fetch_sub(1, Ordering::Relaxed);
                self.count_lost();
                continue;
            }
            self.gauge.queued.fetch_add(1, Ordering::Relaxed);
            if subscriber.queue.send(event.clone()).is_err() {
                // The subscriber was dropped after the filter.
                self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn may_be_connected(&self, user: &UserName) -> bool {
        (self.is_connected)(user)
    }
}

impl Subscribe for LocalBus {
    fn subscribe(&self) -> EventStream {
        let (sender, receiver) = unbounded_channel();
        let len: Arc<AtomicUsize> = Arc::default();
        let mut subscribers = self.subscribers.write();
        subscribers.retain(|subscriber| !subscriber.queue.is_closed());
        subscribers.push(Subscriber { queue: sender, len: len.clone() });
        Box::pin(Subscription { queue: receiver, len, gauge: self.gauge.clone() })
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = self.queue.poll_recv(cx);
        if let Poll::Ready(Some(_)) = &polled {
            self.len.fetch_sub(1, Ordering::Relaxed);
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
        }
        polled
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.close();
        while self.queue.try_recv().is_ok() {
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::contract_tests::{BusUnderTest, bus_contract};

    fn start() -> BusUnderTest<LocalBus> {
        let bus = LocalBus::new(|user| user.as_str() == "ann");
        BusUnderTest { gauge: bus.gauge(), bus, queue_len_max: QUEUE_LEN_MAX }
    }

    bus_contract!(start());

    #[test]
    fn only_users_of_this_process_may_be_connected() {
        let bus = start().bus;
        assert!(bus.may_be_connected(&UserName::parse("ann").unwrap()));
        assert!(!bus.may_be_connected(&UserName::parse("bob").unwrap()));
    }
}
