//! Two hubs on two NATS servers; messages between the servers are repeated, reordered or lost.

use std::sync::atomic::Ordering;

use eduhub::bus::link::Dropped;
use eduhub::bus::{Bus, Event};

use crate::bus::{Hub, READ_ALERTS, commit, sign_out};
use crate::support::nats::NatsServer;
use crate::support::nats_joint::{Fate, NatsJoint};
use crate::support::wait::eventually;

/// Number of commits, and of sign-outs, that a test publishes.
const COUNT: u64 = 30;

/// Publishes commits and sign-outs at one hub, and lets a test examine what the other receives.
fn with_hubs(fate: Fate, test: impl FnOnce(&mut Hub)) {
    let (one, other) = (NatsServer::start(), NatsServer::start());
    let [first, mut second] = [Hub::connect(&one.url()), Hub::connect(&other.url())];
    let joint = NatsJoint::start([&one, &other], fate);
    eventually("both hubs to receive a message", || {
        (first.bus.has_other_hubs() && second.bus.has_other_hubs()).then_some(())
    });
    for n in 1..=COUNT {
        first.bus.publish(commit(n));
        first.bus.publish(sign_out(n.into()));
    }
    test(&mut second);
    drop(joint);
}

#[test]
fn repeated_messages_are_delivered_once() {
    with_hubs(Fate::Repeat, |hub| {
        for n in 1..=COUNT {
            assert_eq!([hub.next_event(), hub.next_event()], [commit(n), sign_out(n.into())]);
        }
        let duplicates = || hub.link().dropped_for(Dropped::Duplicate);
        eventually("the repetitions", || (duplicates() >= 2 * 2 * COUNT).then_some(()));
        assert_eq!(hub.link().received.load(Ordering::Relaxed), 2 * COUNT);
    });
}

#[test]
fn reordered_messages_deliver_every_sign_out_and_no_older_hint() {
    with_hubs(Fate::Reorder, |hub| {
        let (mut commits, mut sign_outs) = (Vec::new(), Vec::new());
        while sign_outs.len() < COUNT as usize {
            match hub.next_event() {
                Event::RegistrationsChanged { seq, .. } => commits.push(seq),
                event => sign_outs.push(event),
            }
        }
        assert!(commits.is_sorted_by(|before, after| before < after), "{commits:?}");
        assert!(hub.link().dropped_for(Dropped::Late) > 0, "the messages were reordered");
        for n in 1..=COUNT {
            let count = sign_outs.iter().filter(|event| **event == sign_out(n.into())).count();
            assert_eq!(count, 1, "{n} of {sign_outs:?}");
        }
    });
}

#[test]
fn after_lost_messages_a_hub_reads_the_store() {
    with_hubs(Fate::LoseSome, |hub| {
        while hub.next() != READ_ALERTS {}
        assert!(hub.link().dropped_for(Dropped::Missing) > 0);
    });
}
