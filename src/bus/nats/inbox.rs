//! Recognizes duplicates and late messages.
//!
//! NATS delivers a message at most once and those of one sender in order, unless a proxy, a cluster or an operator
//! repeats or reorders them. A late hint would replace a newer state with an older one, such as the end of an import
//! with its progress, so it is dropped.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::bus::Event;
use crate::bus::link::{Dropped, Link};
use crate::bus::nats::wire::{Body, Message};

/// Number of the last messages of each hub for which the inbox stores whether they have arrived.
const WINDOW: u64 = u64::BITS as u64;
/// Maximum number of hubs whose messages are counted. A hub has a new id after each start. Beyond the maximum, the hub
/// that has been silent for longest is forgotten.
const HUBS_MAX: usize = 64;
/// A hub that has sent nothing for this long, five intervals of its presence messages, counts as stopped or cut off.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A message that was received.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// An event of another hub.
    Event {
        /// The event.
        event: Event,
        /// Whether messages that the hub sent earlier are missing.
        are_earlier_missing: bool,
    },
    /// Another hub is running.
    Presence {
        /// Whether messages that the hub sent earlier are missing.
        are_earlier_missing: bool,
    },
    /// A message of this hub.
    Own {
        /// Its number.
        n: u64,
    },
}

/// Reads the messages of all hubs.
#[derive(Debug)]
pub(super) struct Inbox {
    own: Uuid,
    hubs: HashMap<Uuid, Sender>,
}

/// The messages of one hub.
#[derive(Debug)]
struct Sender {
    /// The highest number that has arrived.
    highest: u64,
    /// Bit `i`: the message `highest - i` has arrived.
    arrived: u64,
    /// When the last message arrived.
    at: Instant,
}

impl Sender {
    /// Records message `n`. Returns how many messages before it are missing, or why it must not be delivered.
    fn record(&mut self, n: u64) -> Result<u64, Dropped> {
        if n > self.highest {
            let advance = n - self.highest;
            self.arrived = if advance < WINDOW { (self.arrived << advance) | 1 } else { 1 };
            self.highest = n;
            return Ok(advance - 1);
        }
        let age = self.highest - n;
        if age >= WINDOW {
            return Err(Dropped::Late);
        }
        let bit = 1_u64 << age;
        if self.arrived & bit != 0 {
            return Err(Dropped::Duplicate);
        }
        self.arrived |= bit;
        Err(Dropped::Late)
    }
}

impl Inbox {
    /// Creates the inbox of hub `own`.
    pub(super) fn new(own: Uuid) -> Self {
        Self { own, hubs: HashMap::new() }
    }

    /// Reads a message that arrived at `now`. Counts it as dropped and returns `None` if it must not be delivered.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant, link: &Link) -> Option<Received> {
        let dropped = |why| {
            link.count_dropped(why, 1);
            None
        };
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(why) => return dropped(why),
        };
        if message.hub == self.own {
            return Some(Received::Own { n: message.n });
        }
        let missing = match self.record(message.hub, message.n, now) {
            Ok(missing) => missing,
            // An event that must be delivered has the same effect late as in time.
            Err(Dropped::Late) if matches!(&message.body, Body::Event(event) if event.must_be_delivered()) => 0,
            Err(why) => return dropped(why),
        };
        if missing > 0 {
            link.count_dropped(Dropped::Missing, missing);
        }
        let are_earlier_missing = missing > 0;
        Some(match message.body {
            Body::Event(event) => Received::Event { event, are_earlier_missing },
            Body::Presence => Received::Presence { are_earlier_missing },
        })
    }

    fn record(&mut self, hub: Uuid, n: u64, now: Instant) -> Result<u64, Dropped> {
        if let Some(sender) = self.hubs.get_mut(&hub) {
            sender.at = now;
            return sender.record(n);
        }
        if self.hubs.len() >= HUBS_MAX {
            let silent = self.hubs.iter().min_by_key(|(_, sender)| sender.at).map(|(hub, _)| *hub);
            silent.map(|hub| self.hubs.remove(&hub));
        }
        self.hubs.insert(hub, Sender { highest: n, arrived: 1, at: now });
        Ok(0)
    }

    /// Returns the number of other hubs that are running and reachable.
    pub(super) fn hubs(&self, now: Instant) -> usize {
        self.hubs.values().filter(|sender| now.saturating_duration_since(sender.at) <= SILENCE_MAX).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserName;

    const OWN: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    struct Fixture {
        inbox: Inbox,
        link: Link,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { inbox: Inbox::new(OWN), link: Link::default(), now: Instant::now() }
        }

        fn read(&mut self, hub: Uuid, n: u64, event: &Event) -> Option<Received> {
            let message = Message::new(hub, n, Body::Event(event.clone()));
            self.inbox.read(&message.encode().unwrap(), self.now, &self.link)
        }

        fn dropped(&self) -> Vec<(&'static str, u64)> {
            self.link.dropped().into_iter().filter(|(_, count)| *count > 0).collect()
        }
    }

    fn hint() -> Event {
        Event::AlertsStored { seq: Some(1) }
    }

    fn sign_out() -> Event {
        Event::SignedOut { user: UserName::parse("ann").unwrap(), token: None, issued_until: None }
    }

    fn delivered(event: Event, are_earlier_missing: bool) -> Option<Received> {
        Some(Received::Event { event, are_earlier_missing })
    }

    #[test]
    fn own_messages_are_not_delivered() {
        assert_eq!(Fixture::new().read(OWN, 1, &hint()), Some(Received::Own { n: 1 }));
    }

    #[test]
    fn each_message_is_delivered_once() {
        let mut test = Fixture::new();
        for n in 5..9 {
            assert_eq!(test.read(OTHER, n, &hint()), delivered(hint(), false), "{n}");
        }
        for n in 5..9 {
            assert_eq!(test.read(OTHER, n, &hint()), None, "{n}");
            assert_eq!(test.read(OTHER, n, &sign_out()), None, "{n}");
        }
        assert_eq!(test.dropped(), [("duplicate", 8)]);
    }

    #[test]
    fn hints_that_arrive_late_are_dropped_and_sign_outs_are_delivered() {
        let mut test = Fixture::new();
        assert_eq!(test.read(OTHER, 100, &hint()), delivered(hint(), false));
        assert_eq!(test.read(OTHER, 103, &hint()), delivered(hint(), true));
        assert_eq!(test.read(OTHER, 101, &hint()), None);
        assert_eq!(test.read(OTHER, 102, &sign_out()), delivered(sign_out(), false));
        assert_eq!(test.read(OTHER, 102, &sign_out()), None, "only once");
        assert_eq!(test.dropped(), [("duplicate", 1), ("late", 1), ("missing", 2)]);
        // Older than the window: it is not known whether it has arrived.
        assert_eq!(test.read(OTHER, 103 - WINDOW, &sign_out()), delivered(sign_out(), false));
        assert_eq!(test.read(OTHER, 103 - WINDOW, &hint()), None);
    }

    #[test]
    fn hubs_are_counted_while_they_send() {
        let mut test = Fixture::new();
        test.read(OTHER, 1, &hint());
        test.now += SILENCE_MAX;
        test.read(Uuid::from_u128(3), 1, &hint());
        assert_eq!(test.inbox.hubs(test.now), 2);
        assert_eq!(test.inbox.hubs(test.now + Duration::from_millis(1)), 1);
    }

    #[test]
    fn the_number_of_hubs_is_bounded() {
        let mut test = Fixture::new();
        for hub in 2..=2 + HUBS_MAX as u128 {
            test.now += Duration::from_millis(1);
            test.read(Uuid::from_u128(hub), 1, &hint());
        }
        assert_eq!(test.inbox.hubs.len(), HUBS_MAX);
        assert!(!test.inbox.hubs.contains_key(&OTHER), "the one that was silent for longest is forgotten");
    }
}
