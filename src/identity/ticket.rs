//! Tickets with which a page opens a live session. A token in a URL would be logged; a ticket is valid once and for 30
//! seconds.
//!
//! The tickets of a hub with the embedded store are random and exist in memory only. Hubs that share a store issue
//! encrypted ones ([`crate::identity::sealed_tickets`]).

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::domain::ids::UserName;
use crate::identity::{Caller, Identity};
use crate::store::StoreError;

/// Lifetime of a ticket.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Maximum number of unused tickets: four times the number of users of a large college who may reconnect at once.
const TICKETS_MAX: usize = 50_000;
/// Maximum number of unused tickets of one user, who may have several pages on several devices. One more replaces the
/// user's oldest, so that no user can use up [`TICKETS_MAX`].
const TICKETS_PER_USER_MAX: usize = 16;

/// Maximum number of tickets that have not expired, used or unused: the size of the list of expiries.
const ISSUED_MAX: usize = 4 * TICKETS_MAX;

/// Unused tickets.
#[derive(Debug, Default)]
pub struct Tickets {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    callers: HashMap<String, Caller>,
    /// The unused tickets of each user, oldest first.
    of_user: HashMap<UserName, VecDeque<String>>,
    /// Expiry of each ticket, including used ones. All have the same lifetime, so the oldest expires first.
    ends: VecDeque<(Instant, String)>,
}

impl Identity {
    /// Issues a ticket for a live session of this caller; `None` if there are too many unused tickets or, with a shared
    /// store, if the ticket cannot be encrypted or the token of the caller is confined to a sandbox.
    #[must_use]
    pub fn issue_ticket(&self, caller: &Caller) -> Option<String> {
        match self.shared.get() {
            Some(_) => self.sealed_tickets.seal(caller, self.clock.now()),
            None => self.tickets.issue(caller.clone(), Instant::now()),
        }
    }

    /// Redeems a ticket, which is possible once, at any hub on the same store. Returns its caller if the caller's token
    /// is still valid.
    ///
    /// # Errors
    /// When the store, in which hubs record the tickets that were used, cannot be written.
    pub async fn redeem_ticket(&self, ticket: &str) -> Result<Option<Caller>, StoreError> {
        let redeemed = match self.shared.get() {
            Some(store) => match self.sealed_tickets.open(ticket, self.clock.now()) {
                Some(opened) if store.use_ticket(opened.id).await? => Some(opened.caller),
                _ => None,
            },
            None => self.tickets.redeem(ticket, Instant::now()),
        };
        let caller = redeemed.filter(|caller| self.is_alive(caller));
        if let Some(caller) = &caller {
            self.record_seen(caller, self.clock.now());
        }
        Ok(caller)
    }
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
        if inner.callers.len() >= TICKETS_MAX || inner.ends.len() >= ISSUED_MAX {
            return None;
        }
        let own = inner.of_user.entry(caller.user.clone()).or_default();
        own.push_back(ticket.clone());
        let replaced = if own.len() > TICKETS_PER_USER_MAX { own.pop_front() } else { None };
        if let Some(oldest) = replaced {
            inner.callers.remove(&oldest);
        }
        inner.ends.push_back((now + TICKET_TTL, ticket.clone()));
        inner.callers.insert(ticket.clone(), caller);
        Some(ticket)
    }

    /// Redeems a ticket, which is possible once, and returns its caller.
    pub fn redeem(&self, ticket: &str, now: Instant) -> Option<Caller> {
        let mut inner = self.inner.lock();
        inner.remove_expired(now);
        inner.remove(ticket)
    }
}

impl Inner {
    fn remove(&mut self, ticket: &str) -> Option<Caller> {
        let caller = self.callers.remove(ticket)?;
        if let Some(own) = self.of_user.get_mut(&caller.user) {
            own.retain(|other| other != ticket);
            if own.is_empty() {
                self.of_user.remove(&caller.user);
            }
        }
        Some(caller)
    }

    fn remove_expired(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, ticket)) = self.ends.pop_front() {
                self.remove(&ticket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;

    fn ann() -> Caller {
        caller("ann")
    }

    fn caller(user: &str) -> Caller {
        Caller {
            user: UserName::parse(user).unwrap(),
            name: "Ann".into(),
            role: Role::Student,
            subjects: None,
            source: crate::identity::Source::Hub,
            plone_user: None,
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
        for n in 0..TICKETS_MAX {
            tickets.issue(caller(&format!("user-{}", n / TICKETS_PER_USER_MAX)), now).unwrap();
        }
        assert_eq!(tickets.issue(ann(), now), None);
        assert!(tickets.issue(ann(), now + TICKET_TTL).is_some());
    }

    #[test]
    fn a_users_newest_ticket_replaces_the_oldest_above_the_bound() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let bob = tickets.issue(caller("bob"), now).unwrap();
        let of_ann: Vec<String> = (0..=TICKETS_PER_USER_MAX).map(|_| tickets.issue(ann(), now).unwrap()).collect();
        assert_eq!(tickets.redeem(&of_ann[0], now), None);
        assert!(of_ann[1..].iter().all(|ticket| tickets.redeem(ticket, now).is_some()));
        assert!(tickets.redeem(&bob, now).is_some(), "other users are not affected");
        assert!(tickets.inner.lock().of_user.is_empty());
    }
}
