//! The contract suite on a real NATS server: within one hub, and from one hub to another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::bus::contract_tests::{BusUnderTest, bus_contract};

#[path = "../../../tests/support/nats.rs"]
mod server;

use server::NatsServer;

/// The longest wait for something that must happen.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The number of events that a test publishes before it waits until they have arrived: less than any queue holds.
const AT_ONCE: u64 = 256;

fn options(server: &str) -> NatsOptions {
    let servers = vec![server.to_owned()];
    NatsOptions { servers, login: NatsLogin::Anonymous, subject: "eduhub".to_owned() }
}

fn start_bus(server: &str) -> NatsBus {
    NatsBus::start(options(server), |user| user.as_str() == "ann")
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_connected(bus: &NatsBus) {
    wait_until("the bus is connected", || bus.delivery.link.is_connected());
}

/// A bus and its server. The bus is dropped first.
struct WithServer {
    bus: NatsBus,
    _server: NatsServer,
}

impl Bus for WithServer {
    fn publish(&self, event: Event) {
        self.bus.publish(event);
    }

    fn may_be_connected(&self, user: &UserName) -> bool {
        self.bus.may_be_connected(user)
    }
}

impl Subscribe for WithServer {
    fn subscribe(&self) -> EventStream {
        self.bus.subscribe()
    }
}

/// Publishes on one hub and subscribes on another.
struct Between {
    from: NatsBus,
    to: NatsBus,
    published: AtomicU64,
    _server: NatsServer,
}

impl Between {
    /// Waits until everything that was published has arrived.
    fn settle(&self) {
        let published = self.published.load(Ordering::Relaxed);
        wait_until("the events have arrived", || self.to.delivery.link.received.load(Ordering::Relaxed) >= published);
    }
}

impl Bus for Between {
    /// Waits until all events have arrived, after an event that must be delivered and after each [`AT_ONCE`] events. A
    /// test can then read the queue of a subscriber.
    fn publish(&self, event: Event) {
        let is_urgent = event.must_be_delivered();
        self.from.publish(event);
        let before = self.published.fetch_add(1, Ordering::Relaxed);
        if is_urgent || before % AT_ONCE == AT_ONCE - 1 {
            self.settle();
        }
    }

    fn may_be_connected(&self, user: &UserName) -> bool {
        self.from.may_be_connected(user)
    }
}

impl Subscribe for Between {
    fn subscribe(&self) -> EventStream {
        self.settle();
        self.to.subscribe()
    }
}

mod within_a_connected_hub {
    use super::*;

    fn start() -> BusUnderTest<WithServer> {
        let server = NatsServer::start();
        let bus = start_bus(&server.url());
        wait_until_connected(&bus);
        let gauge = bus.gauge();
        BusUnderTest { bus: WithServer { bus, _server: server }, gauge, queue_len_max: QUEUE_LEN_MAX }
    }

    bus_contract!(start());
}

mod within_a_hub_without_connection {
    use super::*;

    fn start() -> BusUnderTest<NatsBus> {
        // Nothing listens on this port, which only the system may use.
        let bus = start_bus("nats://127.0.0.1:1");
        BusUnderTest { gauge: bus.gauge(), bus, queue_len_max: QUEUE_LEN_MAX }
    }

    bus_contract!(start());
}

mod from_one_hub_to_another {
    use super::*;

    fn start() -> BusUnderTest<Between> {
        let server = NatsServer::start();
        let [from, to] = [start_bus(&server.url()), start_bus(&server.url())];
        wait_until_connected(&from);
        wait_until_connected(&to);
        let (gauge, published) = (to.gauge(), AtomicU64::new(0));
        let bus = Between { from, to, published, _server: server };
        BusUnderTest { bus, gauge, queue_len_max: QUEUE_LEN_MAX }
    }

    bus_contract!(start());
}

fn sign_out() -> Event {
    Event::SignedOut { user: UserName::parse("ann").unwrap(), token: None, issued_until: None }
}

#[test]
fn without_a_connection_a_bounded_number_of_urgent_events_waits() {
    let bus = start_bus("nats://127.0.0.1:1");
    let link = &bus.delivery.link;
    for _ in 0..10 {
        bus.publish(Event::AlertsStored { seq: None });
    }
    assert_eq!((link.dropped_for(Dropped::Disconnected), link.queued.load(Ordering::Relaxed)), (10, 0));
    for _ in 0..QUEUE_LEN_MAX + 10 {
        bus.publish(sign_out());
    }
    assert_eq!((link.dropped_for(Dropped::QueueFull), link.queued.load(Ordering::Relaxed)), (10, QUEUE_LEN_MAX));
    assert_eq!(bus.gauge().queued.load(Ordering::Relaxed), 0, "there is no subscriber");
}

#[test]
fn a_user_without_a_session_on_this_hub_is_not_connected() {
    let bus = start_bus("nats://127.0.0.1:1");
    let [ann, bob] = ["ann", "bob"].map(|name| UserName::parse(name).unwrap());
    assert!(bus.may_be_connected(&ann) && !bus.may_be_connected(&bob));
}
