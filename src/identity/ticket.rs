//! Tickets: what a browser shows a WebSocket in place of a token, which has no place in an address. Random, good once,
//! for half a minute, kept nowhere but here.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::identity::Caller;

/// How long a ticket is good for.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Tickets at one time: everyone of a large college reconnects at once, four times over.
const TICKETS_MAX: usize = 50_000;

/// The tickets that were given and not used yet.
#[derive(Debug, Default)]
pub struct Tickets {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    callers: HashMap<String, Caller>,
    // All live equally long, so the oldest end first.
    ends: VecDeque<(Instant, String)>,
}

impl Tickets {
    /// A new ticket for `caller`; none when there are too many already.
    pub fn issue(&self, caller: Caller, now: Instant) -> Option<String> {
        let random: [u8; 24] = rand::random();
        let mut ticket = String::with_capacity(48);
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(ticket, "{byte:02x}");
        }
        let mut inner = self.inner.lock();
        inner.forget_ended(now);
        if inner.ends.len() >= TICKETS_MAX {
            return None;
        }
        inner.ends.push_back((now + TICKET_TTL, ticket.clone()));
        inner.callers.insert(ticket.clone(), caller);
        Some(ticket)
    }

    /// Whose ticket this is, once.
    pub fn redeem(&self, ticket: &str, now: Instant) -> Option<Caller> {
        let mut inner = self.inner.lock();
        inner.forget_ended(now);
        inner.callers.remove(ticket)
    }
}

impl Inner {
    fn forget_ended(&mut self, now: Instant) {
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
    fn a_ticket_is_good_once_and_for_half_a_minute() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue(ann(), now).unwrap();
        assert_eq!(tickets.redeem("made up", now), None);
        assert_eq!(tickets.redeem(&ticket, now), Some(ann()));
        assert_eq!(tickets.redeem(&ticket, now), None);
        let late = tickets.issue(ann(), now).unwrap();
        assert_eq!(tickets.redeem(&late, now + TICKET_TTL), None);
    }

    #[test]
    fn tickets_are_bounded_and_room_comes_back_with_time() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        for _ in 0..TICKETS_MAX {
            tickets.issue(ann(), now).unwrap();
        }
        assert_eq!(tickets.issue(ann(), now), None);
        assert!(tickets.issue(ann(), now + TICKET_TTL).is_some());
    }
}
