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

/// Maximum number of events in a subscriber's queue. When registration opens, a hub publishes a few hundred per second,
/// so a full queue means that its subscriber has stopped reading. Events that must be delivered may exceed the limit;
/// there are few of them, because each is caused by a sign-out, a change to a user's account or a request of an admin.
pub(super) const QUEUE_LEN_MAX: usize = 4_096;
/// Maximum memory of the events in a subscriber's queue, in bytes: more than 150,000 changed registrations or
/// positions. A single event can have thousands, when the head of a long waitlist changes.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// One in this many lost events is logged.
const LOST_PER_LOG: u64 = 1_000;

/// A function that returns whether a user is connected.
type IsConnected = dyn Fn(&UserName) -> bool + Send + Sync;

/// The bus within one process.
pub struct LocalBus {
    subscribers: RwLock<Vec<Subscriber>>,
    gauge: Arc<BusGauge>,
    is_connected: Box<IsConnected>,
}

/// The sending end of a subscriber's queue. `load` bounds the queue; the channel itself is unbounded, because some
/// events may exceed the bound.
struct Subscriber {
    queue: UnboundedSender<Event>,
    load: Arc<QueueLoad>,
}

/// The events in a queue.
#[derive(Default)]
pub(super) struct QueueLoad {
    len: AtomicUsize,
    bytes: AtomicUsize,
}

impl QueueLoad {
    /// Counts an event if it fits or must be delivered, and returns whether it was counted. An event that is larger
    /// than the bound fits into an empty queue.
    pub(super) fn add(&self, event: &Event) -> bool {
        let len = self.len.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(event.byte_size(), Ordering::Relaxed);
        let is_full = len >= QUEUE_LEN_MAX || (len > 0 && bytes + event.byte_size() > QUEUE_BYTES_MAX);
        let is_added = !is_full || event.must_be_delivered();
        if !is_added {
            self.remove(event);
        }
        is_added
    }

    pub(super) fn remove(&self, event: &Event) {
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(event.byte_size(), Ordering::Relaxed);
    }
}

/// The receiving end of a subscriber's queue.
struct Subscription {
    queue: UnboundedReceiver<Event>,
    load: Arc<QueueLoad>,
    gauge: Arc<BusGauge>,
}

impl LocalBus {
    /// Creates a bus without subscribers. `is_connected` returns whether a user is connected to this process.
    pub fn new(is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static) -> Self {
        Self::with_gauge(Arc::default(), is_connected)
    }

    /// Creates a bus without subscribers that counts in `gauge`.
    pub(super) fn with_gauge(
        gauge: Arc<BusGauge>,
        is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { subscribers: RwLock::default(), gauge, is_connected: Box::new(is_connected) }
    }

    /// Returns the counters of this bus.
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
            if !subscriber.load.add(&event) {
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
        let load: Arc<QueueLoad> = Arc::default();
        let mut subscribers = self.subscribers.write();
        subscribers.retain(|subscriber| !subscriber.queue.is_closed());
        subscribers.push(Subscriber { queue: sender, load: load.clone() });
        Box::pin(Subscription { queue: receiver, load, gauge: self.gauge.clone() })
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = self.queue.poll_recv(cx);
        if let Poll::Ready(Some(event)) = &polled {
            self.load.remove(event);
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
    use crate::bus::PositionChange;
    use crate::bus::contract_tests::{BusUnderTest, bus_contract};
    use crate::domain::ids::{Crn, TermId};

    fn new_bus() -> BusUnderTest<LocalBus> {
        let bus = LocalBus::new(|user| user.as_str() == "ann");
        BusUnderTest { gauge: bus.gauge(), bus, queue_len_max: QUEUE_LEN_MAX }
    }

    fn start() -> BusUnderTest<LocalBus> {
        new_bus()
    }

    bus_contract!(start());

    #[test]
    fn the_memory_of_a_queue_is_bounded() {
        let bus = new_bus();
        let events = bus.bus.subscribe();
        let change = PositionChange {
            student: UserName::parse("ann").unwrap(),
            crn: Crn::parse("10001").unwrap(),
            position: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let term = TermId::parse("202209").unwrap();
        let changed = || {
            let (registrations, positions) = (Vec::new(), vec![change.clone(); 10_000]);
            Event::RegistrationsChanged { term: term.clone(), seq: 1, registrations, positions }
        };
        for _ in 0..100 {
            bus.bus.publish(changed());
        }
        let queued = bus.gauge.queued.load(Ordering::Relaxed);
        assert!(queued >= 10 && queued * changed().byte_size() <= QUEUE_BYTES_MAX, "{queued} events");
        assert_eq!(bus.gauge.lost.load(Ordering::Relaxed), 100 - queued as u64);
        drop(events);
    }

    #[test]
    fn only_users_of_this_process_may_be_connected() {
        let bus = new_bus().bus;
        assert!(bus.may_be_connected(&UserName::parse("ann").unwrap()));
        assert!(!bus.may_be_connected(&UserName::parse("bob").unwrap()));
    }
}
