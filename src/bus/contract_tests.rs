//! The contract suite of the bus. Each implementation runs these tests with [`bus_contract!`].

use std::time::Duration;

use futures_util::StreamExt;

use crate::bus::{Bus, BusGauge, Event, EventStream, Subscribe};
use crate::domain::ids::{TermId, UserName};

/// Timeout for receiving an event, even from another process.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A bus under test.
pub(super) struct BusUnderTest<B> {
    /// The bus.
    pub(super) bus: B,
    /// Maximum number of events in the queue of a subscriber that reads nothing.
    pub(super) queue_len_max: usize,
    /// The counters of the bus.
    pub(super) gauge: std::sync::Arc<BusGauge>,
}

fn alerts(seq: u64) -> Event {
    Event::AlertsStored { seq: Some(seq) }
}

fn signed_out(user: &str) -> Event {
    Event::SignedOut { user: UserName::parse(user).unwrap(), token: None, issued_until: None }
}

async fn next(events: &mut EventStream) -> Event {
    let next = tokio::time::timeout(RECEIVE_TIMEOUT, events.next()).await;
    next.expect("no event arrived in time").expect("the stream of events ended")
}

async fn next_n(events: &mut EventStream, count: usize) -> Vec<Event> {
    let mut received = Vec::with_capacity(count);
    for _ in 0..count {
        received.push(next(events).await);
    }
    received
}

pub(super) async fn every_subscriber_receives_all_events_in_order<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    let mut subscribers = [test.bus.subscribe(), test.bus.subscribe()];
    let published: Vec<Event> = (0..100).map(alerts).collect();
    published.iter().cloned().for_each(|event| test.bus.publish(event));
    for events in &mut subscribers {
        assert_eq!(next_n(events, published.len()).await, published);
    }
}

pub(super) async fn events_are_delivered_unchanged<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    let mut events = test.bus.subscribe();
    let (registrations, positions) = (Vec::new(), Vec::new());
    let term = TermId::parse("202209").unwrap();
    let changed = Event::RegistrationsChanged { term, seq: u64::MAX >> 1, registrations, positions };
    test.bus.publish(changed.clone());
    assert_eq!(next(&mut events).await, changed);
}

pub(super) async fn subscribers_receive_only_later_events<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    test.bus.publish(alerts(1));
    let mut events = test.bus.subscribe();
    test.bus.publish(alerts(2));
    assert_eq!(next(&mut events).await, alerts(2));
}

pub(super) async fn a_full_queue_drops_and_counts_hints_but_not_sign_outs<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    use std::sync::atomic::Ordering::Relaxed;
    let mut events = test.bus.subscribe();
    for seq in 0..test.queue_len_max as u64 + 5 {
        test.bus.publish(alerts(seq));
    }
    test.bus.publish(signed_out("ann"));
    test.bus.publish(Event::TokensEnded { user: UserName::parse("bob").unwrap() });

    let queued = next_n(&mut events, test.queue_len_max).await;
    assert!(
        queued.iter().cloned().eq((0..).map(alerts).take(test.queue_len_max)),
        "the earliest stay queued, in order"
    );
    assert_eq!(next(&mut events).await, signed_out("ann"));
    assert!(matches!(next(&mut events).await, Event::TokensEnded { .. }));
    assert_eq!((test.gauge.lost.load(Relaxed), test.gauge.queued.load(Relaxed)), (5, 0));

    test.bus.publish(alerts(9));
    assert_eq!(next(&mut events).await, alerts(9), "the queue accepts events again");
}

pub(super) async fn a_stalled_subscriber_does_not_affect_others<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    let _stuck = test.bus.subscribe();
    let mut events = test.bus.subscribe();
    for seq in 0..test.queue_len_max as u64 + 5 {
        test.bus.publish(alerts(seq));
        assert_eq!(next(&mut events).await, alerts(seq));
    }
}

pub(super) async fn dropping_a_subscription_frees_its_queue<B: Bus + Subscribe>(test: BusUnderTest<B>) {
    let dropped = test.bus.subscribe();
    test.bus.publish(alerts(1));
    drop(dropped);
    for seq in 0..test.queue_len_max as u64 + 5 {
        test.bus.publish(alerts(seq));
    }
    let mut events = test.bus.subscribe();
    test.bus.publish(alerts(7));
    assert_eq!(next(&mut events).await, alerts(7));
    assert_eq!(test.gauge.lost.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(test.gauge.queued.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// Runs the contract suite for an implementation. `$start` is an expression that returns a new [`BusUnderTest`].
macro_rules! bus_contract {
    ($start:expr) => {
        $crate::bus::contract_tests::bus_contract!($start;
            every_subscriber_receives_all_events_in_order,
            events_are_delivered_unchanged,
            subscribers_receive_only_later_events,
            a_full_queue_drops_and_counts_hints_but_not_sign_outs,
            a_stalled_subscriber_does_not_affect_others,
            dropping_a_subscription_frees_its_queue,
        );
    };
    ($start:expr; $($name:ident),* $(,)?) => {
        $(#[actix_rt::test]
        async fn $name() {
            $crate::bus::contract_tests::$name($start).await;
        })*
    };
}
pub(super) use bus_contract;
