//! The clients that were asked to reconnect later, and the times that they were given. A client that reconnects at its
//! time joins before all new clients, so that it is not asked twice.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::UserName;
use crate::live::live_session::LiveSession;

/// Maximum number of appointments: twice as many as sessions may wait. Beyond it, a client still gets a time, but
/// then counts as a new client.
const APPOINTMENTS_MAX: usize = 20_000;
/// How much earlier than its time a client may reconnect: timers of clients are not exact.
const EARLY_MAX: Duration = Duration::from_millis(250);
/// How long an appointment is valid: connecting again may take some attempts on a bad network.
const LATE_MAX: Duration = Duration::from_secs(30);
/// The earliest time of an appointment, so that a client does not reconnect before its old connection has closed.
const DELAY_MIN: Duration = Duration::from_millis(500);
/// The latest time of an appointment, which pages respect (`static/js/live.js`).
const DELAY_MAX: Duration = Duration::from_secs(60);
/// The share of the measured rate that appointments take. The rest is for new clients.
const SHARE: f64 = 0.8;
/// The rate that is assumed before one is measured, in sessions a second: that of a fast machine. A client that then
/// reconnects too early waits; while clients reconnect too late, the hub is idle.
const RATE_ASSUMED: f64 = 1_000.0;
/// The rate that is assumed if a lower one has been measured.
const RATE_MIN: f64 = 20.0;

/// What identifies a client: the user, or the address of a visitor. The visitors behind one address share their
/// appointments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ClientKey {
    User(UserName),
    Address(IpAddr),
}

impl ClientKey {
    /// Returns the key of a session's client.
    pub(super) fn of(session: &LiveSession) -> Self {
        match session.identity() {
            Some((user, _)) => Self::User(user.clone()),
            None => Self::Address(session.address),
        }
    }
}

/// The appointments of all clients. Callers pass the current time, which must not decrease.
#[derive(Debug, Default)]
pub(super) struct Appointments {
    /// The times of each client's appointments, earliest first.
    of_clients: HashMap<ClientKey, VecDeque<Instant>>,
    count: usize,
    /// The time of the last appointment. The next one is later by the time that a session takes.
    last: Option<Instant>,
    /// When appointments that are over were last removed.
    cleaned: Option<Instant>,
}

impl Appointments {
    /// Makes an appointment after `ahead` sessions that join before it, and returns the time until then. `rate` is the
    /// number of sessions that join in a second; `None` before it has been measured.
    pub(super) fn make(&mut self, client: ClientKey, ahead: usize, rate: Option<f64>, now: Instant) -> Duration {
        let rate = rate.map_or(RATE_ASSUMED, |rate| rate.max(RATE_MIN));
        let earliest = now + DELAY_MIN + Duration::from_secs_f64(ahead as f64 / rate);
        let at = self.last.map_or(earliest, |last| last.max(earliest)) + Duration::from_secs_f64(1.0 / (SHARE * rate));
        let at = at.min(now + DELAY_MAX);
        self.last = Some(at);
        self.add(client, at, now);
        at - now
    }

    /// Adds an appointment, if there is room.
    pub(super) fn add(&mut self, client: ClientKey, at: Instant, now: Instant) {
        if self.count >= APPOINTMENTS_MAX {
            self.clean(now);
        }
        if self.count < APPOINTMENTS_MAX {
            let times = self.of_clients.entry(client).or_default();
            times.insert(times.partition_point(|time| *time <= at), at);
            self.count += 1;
        }
    }

    /// Takes the appointment of a client that reconnects; returns its time. `None` for a new client, and for a client
    /// that reconnects too early or too late.
    pub(super) fn take(&mut self, client: &ClientKey, now: Instant) -> Option<Instant> {
        let times = self.of_clients.get_mut(client)?;
        let before = times.len();
        while times.front().is_some_and(|at| *at + LATE_MAX < now) {
            times.pop_front();
        }
        let taken = times.front().copied().filter(|at| *at <= now + EARLY_MAX);
        if taken.is_some() {
            times.pop_front();
        }
        self.count -= before - times.len();
        if times.is_empty() {
            self.of_clients.remove(client);
        }
        taken
    }

    /// Removes appointments that are over, at most once a second.
    fn clean(&mut self, now: Instant) {
        if self.cleaned.is_some_and(|at| now < at + Duration::from_secs(1)) {
            return;
        }
        self.cleaned = Some(now);
        self.of_clients.retain(|_, times| {
            times.retain(|at| *at + LATE_MAX >= now);
            !times.is_empty()
        });
        self.count = self.of_clients.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> ClientKey {
        ClientKey::Address(IpAddr::from(last.to_be_bytes()))
    }

    #[test]
    fn appointments_follow_each_other_at_the_rate() {
        let (mut appointments, now) = (Appointments::default(), Instant::now());
        let mut make = |ahead, now| appointments.make(address(1), ahead, Some(100.0), now).as_secs_f64();
        let first = make(0, now);
        assert!((0.5..0.6).contains(&first), "{first}");
        let second = make(0, now);
        assert!((second - first - 1.0 / 80.0).abs() < 1e-6, "{second}");
        let behind = make(1_000, now);
        assert!((10.5..10.6).contains(&behind), "after 1,000 sessions at 100 a second: {behind}");
        let later = make(0, now + Duration::from_secs(60));
        assert!((0.5..0.6).contains(&later), "{later}");
        assert!(make(1_000_000, now) <= 60.0, "bounded");
    }

    #[test]
    fn an_appointment_is_valid_once_and_at_its_time() {
        let (mut appointments, now) = (Appointments::default(), Instant::now());
        let at = now + Duration::from_secs(10);
        let take = |client, at: Instant| {
            let mut fresh = Appointments::default();
            fresh.add(address(1), now + Duration::from_secs(10), now);
            (fresh.take(&address(client), at).is_some(), fresh.count)
        };
        assert_eq!(take(1, at), (true, 0));
        assert_eq!(take(1, at - EARLY_MAX), (true, 0));
        assert_eq!(take(1, now), (false, 1), "too early; it stays");
        assert_eq!(take(1, at + LATE_MAX + EARLY_MAX), (false, 0), "too late");
        assert_eq!(take(2, at), (false, 1), "another client");
        appointments.add(address(1), at, now);
        appointments.add(address(1), now, now);
        assert_eq!([now, at, at].map(|at| appointments.take(&address(1), at)), [Some(now), Some(at), None]);
    }

    #[test]
    fn the_number_of_appointments_is_bounded() {
        let (mut appointments, now) = (Appointments::default(), Instant::now());
        for client in 0..2 * APPOINTMENTS_MAX as u32 {
            appointments.add(address(client), now, now);
        }
        assert_eq!((appointments.count, appointments.of_clients.len()), (APPOINTMENTS_MAX, APPOINTMENTS_MAX));
        let later = now + LATE_MAX + Duration::from_secs(2);
        appointments.add(address(1), later, later);
        assert_eq!((appointments.count, appointments.of_clients.len()), (1, 1), "those that are over make room");
    }
}
