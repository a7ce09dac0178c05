//! Tickets with which a page opens a WebSocket. A token in a URL would be logged; a ticket is random, valid once and
//! for 30 s, and exists in memory only.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::identity::Caller;

/// Lifetime of a ticket.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Maximum number of unused tickets: four times the number of users of a large college who may reconnect at once.
const TICKETS_MAX: usize = 50_000;

/// Unused tickets.
#[derive(Debug, Default)]
pub struct Tickets {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    callers: HashMap<String, Caller>,
    /// Expiry of each ticket. All have the same lifetime, so the oldest expires first.
    ends: VecDeque<(Instant, String)>,
}

impl Tickets {
    /// Returns the number of tickets that have not expired, as of the last call that issued or redeemed one.
    pub fn count(&self) -> usize {
        self.inner.lock().ends.len()
    }

    /// Issues a ticket for `caller`; `None` if there are too many unused tickets.
    pub fn issue(&self, caller: Caller, now: Instant) -> Option<String> {
        let random: [u8; 24] = rand::random();
        let mut ticket = String::with_capacity(48);
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(ticket, "{byte:02x}");
        }
        let mut inner = self.inner.lock();
        inner.remove_expired(now);
        if inner.ends.len() >= TICKETS_MAX {
            return None;
        }
        inner.ends.push_back((now + TICKET_TTL, ticket.clone()));
        inner.callers.insert(ticket.clone(), caller);
        Some(ticket)
    }

    /// Redeems a ticket, which is possible once, and returns its caller.
    pub fn redeem(&self, ticket: &str, now: Instant) -> Option<Caller> {
        let mut inner = self.inner.lock();
        inner.remove_expired(now);
        inner.callers.remove(ticket)
    }
}

impl Inner {
    fn remove_expired(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, ticket)) = self.ends.pop_front() {
                self.callers.remove(&ticket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserName;
    use crate::domain::role::Role;

    fn ann() -> Caller {
        Caller {
            user: UserName::parse("ann").unwrap(),
            name: "Ann".into(),
            role: Role::Student,
            source: crate::identity::Source::Hub,
            token_id: uuid::Uuid::nil(),
            issued_ms: 0,
            expires_at: jiff::Timestamp::MAX,
            realm: crate::domain::realm::Realm::College,
        }
    }

    #[test]
    fn a_ticket_is_valid_once_and_for_its_lifetime() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue(ann(), now).unwrap();
        assert_eq!(tickets.redeem("unknown", now), None);
        assert_eq!(tickets.redeem(&ticket, now), Some(ann()));
        assert_eq!(tickets.redeem(&ticket, now), None);
        let late = tickets.issue(ann(), now).unwrap();
        assert_eq!(tickets.redeem(&late, now + TICKET_TTL), None);
    }

    #[test]
    fn the_number_of_tickets_is_bounded_until_some_expire() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..TICKETS_MAX {
            tickets.issue(ann(), now).unwrap();
        }
        assert_eq!(tickets.issue(ann(), now), None);
        assert!(tickets.issue(ann(), now + TICKET_TTL).is_some());
    }
}
