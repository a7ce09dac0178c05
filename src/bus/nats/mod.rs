//! The bus between hubs, on NATS.
//!
//! - [`connection`]: connects and signs in
//! - `worker`: the thread that sends and receives
//! - `wire`: the messages; `inbox`: recognizes duplicates and late messages
//!
//! Every hub subscribes to `SUBJECT.*` and publishes to `SUBJECT.ID`, where the id is new at each start. The
//! subscribers of this hub receive its own events directly, whether or not NATS is connected; the copies that come back
//! from NATS prove that the connection works, and are not delivered again.
//!
//! NATS is only a hint (ADR 9): every message may be lost, duplicated, reordered or delayed. Data that must not be lost
//! is in the store, which every hub also reads without a hint.

pub mod connection;
mod inbox;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::bus::link::{Dropped, Link};
use crate::bus::local::{LocalBus, QUEUE_LEN_MAX, QueueLoad};
use crate::bus::nats::worker::Worker;
use crate::bus::{Bus, BusGauge, Event, EventStream, Subscribe};
use crate::domain::ids::UserName;

pub use connection::{NatsLogin, NatsOptions};

/// The bus between hubs. When it is dropped, its thread sends the queued events and then ends the connection.
pub struct NatsBus {
    delivery: Arc<Delivery>,
    queue: mpsc::Sender<Event>,
    load: Arc<QueueLoad>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

/// Delivers events to the subscribers of this hub.
struct Delivery {
    local: LocalBus,
    gauge: Arc<BusGauge>,
    /// The link of `gauge`.
    link: Arc<Link>,
}

impl Delivery {
    fn link(&self) -> &Link {
        &self.link
    }

    /// Delivers an event of this or another hub.
    fn deliver(&self, event: Event) {
        self.local.publish(event);
    }
}

/// The receiving end of the queue of events for other hubs.
struct Outgoing {
    queue: mpsc::Receiver<Event>,
    load: Arc<QueueLoad>,
    link: Arc<Link>,
}

impl Outgoing {
    /// Waits for the next event. Waits forever when the bus has been dropped and the queue is empty.
    async fn next(&mut self) -> Event {
        let Some(event) = self.queue.recv().await else { return std::future::pending().await };
        self.removed(&event);
        event
    }

    /// Returns the next queued event, if there is one.
    fn next_now(&mut self) -> Option<Event> {
        let event = self.queue.try_recv().ok()?;
        self.removed(&event);
        Some(event)
    }

    fn removed(&self, event: &Event) {
        self.load.remove(event);
        self.link.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NatsBus {
    /// Starts the thread that connects to NATS, and returns at once. `is_connected` returns whether a user has a live
    /// session on this hub. A hub that cannot connect serves its own users, and tries again.
    pub fn start(options: NatsOptions, is_connected: impl Fn(&UserName) -> bool + Send + Sync + 'static) -> Self {
        let link = Arc::new(Link::default());
        let gauge = Arc::new(BusGauge { link: Some(Arc::clone(&link)), ..BusGauge::default() });
        let local = LocalBus::with_gauge(Arc::clone(&gauge), is_connected);
        let delivery = Arc::new(Delivery { local, gauge, link: Arc::clone(&link) });
        let (queue, receiver) = mpsc::channel(QUEUE_LEN_MAX);
        let load: Arc<QueueLoad> = Arc::default();
        let outgoing = Outgoing { queue: receiver, load: Arc::clone(&load), link: Arc::clone(&link) };
        let (stop, stopped) = oneshot::channel();
        let worker = Worker::new(options, Uuid::now_v7(), Arc::clone(&delivery), outgoing);
        if let Err(error) = start_thread(worker, stopped) {
            log::error!("the thread of the bus cannot be started: {error}");
            link.set_problem(Some(format!("the thread of the bus cannot be started: {error}")));
        }
        Self { delivery, queue, load, _stop: stop }
    }

    /// Returns the counters of this bus.
    #[must_use]
    pub fn gauge(&self) -> Arc<BusGauge> {
        Arc::clone(&self.delivery.gauge)
    }

    /// Queues an event for other hubs, if it fits. While there is no connection, only events that must be delivered are
    /// queued: a hint would be out of date once the connection is back.
    fn queue_for_other_hubs(&self, event: Event) {
        let link = self.delivery.link();
        if !event.must_be_delivered() && !link.is_connected() {
            return link.count_dropped(Dropped::Disconnected, 1);
        }
        if !self.load.add(&event) {
            return link.count_dropped(Dropped::QueueFull, 1);
        }
        link.queued.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(event) | TrySendError::Closed(event)) = self.queue.try_send(event) {
            self.load.remove(&event);
            link.queued.fetch_sub(1, Ordering::Relaxed);
            link.count_dropped(Dropped::QueueFull, 1);
        }
    }
}

fn start_thread(worker: Worker, stop: oneshot::Receiver<()>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("nats".to_owned()).spawn(move || runtime.block_on(worker.run(stop)))?;
    Ok(())
}

impl Bus for NatsBus {
    fn publish(&self, event: Event) {
        if let Some(event) = event.for_other_hubs() {
            self.queue_for_other_hubs(event);
        }
        self.publish_here(event);
    }

    fn publish_here(&self, event: Event) {
        self.delivery.deliver(event);
    }

    fn may_be_connected(&self, user: &UserName) -> bool {
        self.delivery.local.may_be_connected(user)
    }

    fn other_hubs(&self) -> usize {
        self.delivery.link.hubs.load(Ordering::Relaxed)
    }
}

impl Subscribe for NatsBus {
    fn subscribe(&self) -> EventStream {
        self.delivery.local.subscribe()
    }
}

#[cfg(test)]
#[path = "nats_tests.rs"]
mod tests;
