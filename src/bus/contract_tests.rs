//! The contract of a bus. Each implementation runs these tests with [`bus_contract!`].

use std::time::Duration;

use futures_util::StreamExt;

use crate::bus::{Bus, BusGauge, Event, EventSource, EventStream};
use crate::domain::ids::{TermId, UserName};

/// How long an event may take, between processes too.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bus and what the tests must know about it.
pub(super) struct BusUnderTest<B> {
    /// The bus.
    pub(super) bus: B,
    /// The most events in the queue of a subscriber that reads nothing.
    pub(super) queue_len_max: usize,
    /// The counters of the bus.
    pub(super) gauge: std::sync::Arc<BusGauge>,
}

fn alerts(seq: u64) -> Event {
    Event::AlertsStored { seq: Some(seq) }
}

fn signed_out(user: &str) -> Event {
    Event::SignedOut { user: UserName::parse(user).unwrap(), token: None }
}

async fn next(events: &mut EventStream) -> Event {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("an event arrives in time").expect("the bus is still there")
}

async fn next_n(events: &mut EventStream, count: usize) -> Vec<Event> {
    let mut received = Vec::with_capacity(count);
    for _ in 0..count {
        received.push(next(events).await);
    }
    received
}

pub(super) async fn events_arrive_at_every_subscriber_in_order<B: Bus + EventSource>(test: BusUnderTest<B>) {
    let mut subscribers = [test.bus.subscribe(), test.bus.subscribe()];
    let published: Vec<Event> = (0..100).map(alerts).collect();
    published.iter().cloned().for_each(|event| test.bus.publish(event));
    for events in &mut subscribers {
        assert_eq!(next_n(events, published.len()).await, published);
    }
}

pub(super) async fn events_arrive_unchanged<B: Bus + EventSource>(test: BusUnderTest<B>) {
    let mut events = test.bus.subscribe();
    let (registrations, positions) = (Vec::new(), Vec::new());
    let term = TermId::parse("202209").unwrap();
    let changed = Event::RegistrationsChanged { term, seq: u64::MAX >> 1, registrations, positions };
    test.bus.publish(changed.clone());
    assert_eq!(next(&mut events).await, changed);
}

pub(super) async fn a_subscription_starts_with_the_next_event<B: Bus + EventSource>(test: BusUnderTest<B>) {
    test.bus.publish(alerts(1));
    let mut events = test.bus.subscribe();
    test.bus.publish(alerts(2));
    assert_eq!(next(&mut events).await, alerts(2));
}

pub(super) async fn a_full_queue_loses_hints_counts_them_and_keeps_sign_outs<B: Bus + EventSource>(
    test: BusUnderTest<B>,
) {
    use std::sync::atomic::Ordering::Relaxed;
    let mut events = test.bus.subscribe();
    for seq in 0..test.queue_len_max as u64 + 5 {
        test.bus.publish(alerts(seq));
    }
    test.bus.publish(signed_out("ann"));
    test.bus.publish(Event::TokensEnded { user: UserName::parse("bob").unwrap() });

    let kept = next_n(&mut events, test.queue_len_max).await;
    assert!(kept.iter().cloned().eq((0..).map(alerts).take(test.queue_len_max)), "the earliest are kept, in order");
    assert_eq!(next(&mut events).await, signed_out("ann"));
    assert!(matches!(next(&mut events).await, Event::TokensEnded { .. }));
    assert_eq!((test.gauge.lost.load(Relaxed), test.gauge.queued.load(Relaxed)), (5, 0));

    test.bus.publish(alerts(9));
    assert_eq!(next(&mut events).await, alerts(9), "there is room again");
}

pub(super) async fn a_subscriber_that_reads_nothing_costs_others_nothing<B: Bus + EventSource>(test: BusUnderTest<B>) {
    let _stuck = test.bus.subscribe();
    let mut events = test.bus.subscribe();
    for seq in 0..test.queue_len_max as u64 + 5 {
        test.bus.publish(alerts(seq));
        assert_eq!(next(&mut events).await, alerts(seq));
    }
}

pub(super) async fn a_subscription_that_is_dropped_leaves_nothing_behind<B: Bus + EventSource>(test: BusUnderTest<B>) {
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

/// Runs the contract for an implementation: `$start` returns a new [`BusUnderTest`].
macro_rules! bus_contract {
    ($start:expr) => {
        $crate::bus::contract_tests::bus_contract!($start;
            events_arrive_at_every_subscriber_in_order,
            events_arrive_unchanged,
            a_subscription_starts_with_the_next_event,
            a_full_queue_loses_hints_counts_them_and_keeps_sign_outs,
            a_subscriber_that_reads_nothing_costs_others_nothing,
            a_subscription_that_is_dropped_leaves_nothing_behind,
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
