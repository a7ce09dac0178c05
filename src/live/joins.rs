//! The queue of sessions that are about to join their relays.
//!
//! After a restart or a network outage, thousands of clients reconnect at the same moment. Each of them reads the
//! alerts that it missed. The queue admits them in order, as many at once as the hub can serve; the others wait, and
//! nothing is pushed to them until they have joined. A session that would wait too long is closed, and its client is
//! asked to reconnect later. The time is derived from the rate at which sessions have joined so far. A client that
//! reconnects at that time joins before all new clients (newcomers).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::live::appointments::{Appointments, ClientKey};

/// Maximum number of sessions that join and replay at once. Each has at most one read of the store in progress.
/// Together they take at most a quarter of the store's read queue, so none of these reads is rejected.
const AT_ONCE_MAX: usize = 1_024;
/// Maximum number of waiting newcomers: all clients of a college, which reconnect at once. Serving them takes a few
/// seconds. Clients that reconnect when they were asked to are not counted: [`Appointments`] bounds their number.
pub const WAITING_MAX: usize = 10_000;
/// Maximum wait of a newcomer. A page gives up after 15 seconds. A client that reconnects when it was asked to is
/// not asked again.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The time after which the next session is admitted, even if the current one has not finished its replay. Otherwise
/// clients that do not read would block all others.
const TURN_MAX: Duration = Duration::from_secs(5);
/// The shortest time in which the rate of joins is measured.
const MEASURED_MIN: Duration = Duration::from_secs(1);

/// The queue of the sessions of all worker threads.
#[derive(Debug)]
pub struct JoinQueue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    /// How many more sessions may join now. While sessions wait, it is 0.
    free: usize,
    /// Sessions whose clients reconnect when they were asked to. They are admitted before newcomers.
    returning: WaitQueue,
    newcomers: WaitQueue,
    appointments: Appointments,
    /// When sessions began to wait, and the number of turns that have ended since then.
    pace: Option<(Instant, u32)>,
}

/// Waiting sessions, longest first.
#[derive(Debug, Default)]
struct WaitQueue {
    /// May contain sessions that no longer wait. They are skipped, and removed when there are too many of them.
    sessions: VecDeque<oneshot::Sender<Permit>>,
    waiting: usize,
}

/// The right to join, which passes on to the next session when it is dropped. `None`: there is nothing to pass on.
#[derive(Debug)]
struct Permit(Option<Arc<JoinQueue>>);

/// The permission to join. When it is dropped, or after [`TURN_MAX`], the next session is admitted.
#[derive(Debug)]
pub(super) struct Turn {
    /// Held, because dropping it ends the turn.
    _end: oneshot::Sender<()>,
}

/// Why a session may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// Too many sessions wait. The client should reconnect after this time.
    Busy(Duration),
    /// The hub is stopping.
    Stopping,
}

/// A waiting session.
struct Waiting<'a> {
    queue: &'a JoinQueue,
    client: &'a ClientKey,
    /// The time at which its client was asked to reconnect; `None` for a newcomer.
    appointment: Option<Instant>,
    is_admitted: bool,
}

impl WaitQueue {
    fn push(&mut self) -> oneshot::Receiver<Permit> {
        if self.sessions.len() > 2 * self.waiting + WAITING_MAX {
            self.sessions.retain(|session| !session.is_closed());
        }
        let (session, admitted) = oneshot::channel();
        self.sessions.push_back(session);
        self.waiting += 1;
        admitted
    }

    /// Gives a permit to the session that has waited longest. Returns it if no session waits.
    fn admit(&mut self, mut permit: Permit) -> Result<(), Permit> {
        while let Some(session) = self.sessions.pop_front() {
            match session.send(permit) {
                Ok(()) => return Ok(()),
                Err(back) => permit = back,
            }
        }
        Err(permit)
    }
}

impl State {
    fn wait_queue(&mut self, is_returning: bool) -> &mut WaitQueue {
        if is_returning { &mut self.returning } else { &mut self.newcomers }
    }

    fn waiting(&self) -> usize {
        self.returning.waiting + self.newcomers.waiting
    }

    /// Gives a client an appointment, with `ahead` sessions before it.
    fn send_away(&mut self, client: &ClientKey, ahead: usize, now: Instant) -> NoTurn {
        let rate = self.pace.and_then(|(since, ended)| {
            let measured = now.saturating_duration_since(since);
            (measured >= MEASURED_MIN).then(|| f64::from(ended) / measured.as_secs_f64())
        });
        NoTurn::Busy(self.appointments.make(client.clone(), ahead, rate, now))
    }
}

impl Default for JoinQueue {
    fn default() -> Self {
        Self::new(AT_ONCE_MAX)
    }
}

impl JoinQueue {
    /// Creates a queue that admits `at_once` sessions at the same time.
    fn new(at_once: usize) -> Self {
        Self { state: Mutex::new(State { free: at_once, ..State::default() }) }
    }

    /// Waits until a session of `client` may join. Sessions are admitted in the order of their calls, except that
    /// clients that reconnect at their appointed time join before newcomers.
    ///
    /// # Errors
    /// When the hub is stopping; or for a newcomer, when [`WAITING_MAX`] of them wait already or the wait is too long.
    pub(super) async fn turn(self: &Arc<Self>, client: &ClientKey) -> Result<Turn, NoTurn> {
        let (admitted, mut waiting) = {
            let (mut state, now) = (self.state.lock(), Instant::now());
            if state.is_closed {
                return Err(NoTurn::Stopping);
            }
            let appointment = state.appointments.take(client, now);
            if let Some(free) = state.free.checked_sub(1) {
                state.free = free;
                drop(state);
                return Ok(Turn::new(Permit(Some(self.clone()))));
            }
            let ahead = state.waiting();
            if appointment.is_none() && state.newcomers.waiting >= WAITING_MAX {
                return Err(state.send_away(client, ahead, now));
            }
            if ahead == 0 {
                state.pace = Some((now, 0));
            }
            let admitted = state.wait_queue(appointment.is_some()).push();
            (admitted, Waiting { queue: self, client, appointment, is_admitted: false })
        };
        let wait_max = if waiting.appointment.is_some() { Duration::MAX } else { WAIT_MAX };
        match timeout(wait_max, admitted).await {
            Ok(Ok(permit)) => {
                waiting.is_admitted = true;
                Ok(Turn::new(permit))
            }
            Ok(Err(_)) => Err(NoTurn::Stopping),
            Err(_) => {
                let refused = self.state.lock().send_away(client, 0, Instant::now());
                Err(refused)
            }
        }
    }

    /// Ends the wait of all sessions, because the hub is stopping.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.returning.sessions.clear();
        state.newcomers.sessions.clear();
    }

    /// Returns the number of waiting sessions.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }
}

impl Turn {
    fn new(permit: Permit) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        // A task, because the actor of a client that does not read is not polled.
        actix_rt::spawn(async move {
            let _ = timeout(TURN_MAX, ended).await;
            drop(permit);
        });
        Self { _end: end }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut state = queue.state.lock();
        if let Some((_, ended)) = &mut state.pace {
            *ended = ended.saturating_add(1);
        }
        let permit = Self(Some(queue.clone()));
        let rest = state.returning.admit(permit).or_else(|permit| state.newcomers.admit(permit));
        if let Err(mut unused) = rest {
            // Dropping it with the queue would take the lock again.
            unused.0 = None;
            state.free += 1;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.wait_queue(self.appointment.is_some()).waiting -= 1;
        if let Some(at) = self.appointment.filter(|_| !self.is_admitted) {
            // The connection was lost. Its client may try again.
            state.appointments.add(self.client.clone(), at, Instant::now());
        }
    }
}

#[cfg(test)]
#[path = "joins_tests.rs"]
mod tests;
