//! The one gate before Plone, for all threads: so many calls at once, so many waiting, none while Plone does not answer.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::plone::port::PloneError;
use crate::plone::rest::breaker::{Admission, Breaker, Circuit};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// Plone answered, whatever it said.
    Answered,
    /// No connection, a broken one, or an answer that nobody can read.
    Failed,
    /// No whole answer in time.
    TimedOut,
    /// Too many waited, or the time was over before it could be sent: nothing was sent.
    Busy,
    /// The circuit was open: nothing was sent.
    Open,
    /// It was given up before anything was known.
    Left,
}

impl CallOutcome {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Answered, Self::Failed, Self::TimedOut, Self::Busy, Self::Open, Self::Left];

    /// The outcome's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Busy => "busy",
            Self::Open => "open",
            Self::Left => "left",
        }
    }
}

/// What can be seen of the gate and of the connections behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    /// Calls that may be with Plone at once.
    pub size: usize,
    /// Calls that are.
    pub in_use: usize,
    /// Calls that may wait.
    pub queue_max: usize,
    /// Calls that do.
    pub waiting: usize,
    /// How the circuit is.
    pub circuit: Circuit,
    /// For how long it has not been closed.
    pub opened_for: Option<Duration>,
    /// Calls without an answer since the last that had one.
    pub failures: u32,
    /// Calls so far, by [`CallOutcome::ALL`].
    pub calls: [u64; CallOutcome::ALL.len()],
    /// The time of all calls that were answered, from the gate to the answer.
    pub answered_in: Duration,
    /// Connections to Plone that are open, idle ones included.
    pub connections: usize,
}

impl PoolStats {
    /// Calls so far, by the name of how they ended.
    #[must_use]
    pub fn by_outcome(&self) -> Vec<(&'static str, u64)> {
        CallOutcome::ALL.iter().zip(self.calls).map(|(outcome, count)| (outcome.as_str(), count)).collect()
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Gate {
    permits: Arc<Semaphore>,
    size: usize,
    queue_max: usize,
    waiting: AtomicUsize,
    breaker: Mutex<Breaker>,
    opened: Notify,
    calls: [AtomicU64; CallOutcome::ALL.len()],
    answered_us: AtomicU64,
}

impl Gate {
    pub(super) fn new(size: usize, queue_max: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size,
            queue_max,
            waiting: AtomicUsize::new(0),
            breaker: Mutex::default(),
            opened: Notify::new(),
            calls: Default::default(),
            answered_us: AtomicU64::new(0),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }

    fn count(&self, outcome: CallOutcome) {
        self.calls[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, outcome: CallOutcome) -> PloneError {
        self.count(outcome);
        if outcome == CallOutcome::Busy { PloneError::Busy } else { PloneError::Open }
    }

    /// What can be seen, with so many connections.
    pub(super) fn stats(&self, connections: usize) -> PoolStats {
        let now = Instant::now().into_std();
        let (circuit, opened_for, failures) = {
            let breaker = self.breaker();
            (breaker.circuit(now), breaker.opened_for(now), breaker.in_a_row())
        };
        PoolStats {
            size: self.size,
            in_use: self.size.saturating_sub(self.permits.available_permits()),
            queue_max: self.queue_max,
            waiting: self.waiting.load(Relaxed),
            circuit,
            opened_for,
            failures,
            calls: std::array::from_fn(|at| self.calls[at].load(Relaxed)),
            answered_in: Duration::from_micros(self.answered_us.load(Relaxed)),
            connections,
        }
    }

    /// A place in the queue, also for whoever waits for something else before it can enter.
    pub(super) fn place(&self) -> Result<Place<'_>, PloneError> {
        let more = |waiting| (waiting < self.queue_max).then_some(waiting + 1);
        match self.waiting.fetch_update(Relaxed, Relaxed, more) {
            Ok(_) => Ok(Place(self)),
            Err(_) => Err(self.refused(CallOutcome::Busy)),
        }
    }

    /// Waits for a place, up to the deadline.
    pub(super) async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<Pass, PloneError> {
        let opened = self.opened.notified();
        let mut opened = std::pin::pin!(opened);
        opened.as_mut().enable();
        if !self.breaker().would_admit(Instant::now().into_std()) {
            return Err(self.refused(CallOutcome::Open));
        }
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _place = self.place()?;
                tokio::select! {
                    biased;
                    () = &mut opened => return Err(self.refused(CallOutcome::Open)),
                    permit = self.permits.clone().acquire_owned() => {
                        permit.map_err(|_| PloneError::Unavailable("the hub is ending".to_owned()))?
                    }
                    () = tokio::time::sleep_until(deadline) => return Err(self.refused(CallOutcome::Busy)),
                }
            }
        };
        let now = Instant::now();
        let Some(admission) = self.breaker().admit(now.into_std()) else {
            return Err(self.refused(CallOutcome::Open));
        };
        Ok(Pass { gate: self.clone(), _permit: permit, admission, entered: now, is_judged: false })
    }
}

/// A place in the queue.
pub(super) struct Place<'g>(&'g Gate);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// A call that was let in. Its place is free again when this goes.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    _permit: OwnedSemaphorePermit,
    admission: Admission,
    entered: Instant,
    is_judged: bool,
}

impl Pass {
    /// Plone answered.
    pub(super) fn answered(&mut self) {
        if self.judge(CallOutcome::Answered) {
            let us = u64::try_from(self.entered.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.gate.answered_us.fetch_add(us, Relaxed);
            self.gate.breaker().succeeded();
        }
    }

    /// Plone did not answer, or not in a way that can be read.
    pub(super) fn failed(&mut self, outcome: CallOutcome) {
        if self.judge(outcome) {
            let now = Instant::now().into_std();
            let opened = self.gate.breaker().failed(now, self.admission, rand::random());
            if opened {
                log::warn!("Plone does not answer, and is left alone for a moment");
                self.gate.opened.notify_waiters();
            }
        }
    }

    /// No answer, of a call that may have asked for more than anybody could answer: that says something of Plone only
    /// where it was to find out whether Plone is back. Otherwise strangers could close the gate to everybody.
    pub(super) fn late(&mut self) {
        if self.admission == Admission::Probe {
            self.failed(CallOutcome::TimedOut);
        } else {
            self.judge(CallOutcome::TimedOut);
        }
    }

    /// Counts the first judgement; later ones say nothing new.
    fn judge(&mut self, outcome: CallOutcome) -> bool {
        let is_first = !std::mem::replace(&mut self.is_judged, true);
        if is_first {
            self.gate.count(outcome);
        }
        is_first
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.judge(CallOutcome::Left) {
            self.gate.breaker().left(Instant::now().into_std(), self.admission);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plone::rest::breaker::FAILURES_MAX;
    use futures_util::FutureExt as _;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn past_its_bounds_a_call_is_told_at_once_that_plone_is_busy() {
        let gate = Arc::new(Gate::new(2, 1));
        let first = gate.enter(soon()).await.unwrap();
        let _second = gate.enter(soon()).await.unwrap();
        let mut third = Box::pin(gate.enter(soon()));
        assert!((&mut third).now_or_never().is_none(), "it waits");
        assert_eq!(gate.enter(soon()).await.unwrap_err(), PloneError::Busy);
        let stats = gate.stats(0);
        assert_eq!((stats.in_use, stats.waiting), (2, 1));
        assert!(gate.place().is_err_and(|error| error == PloneError::Busy), "nor is there room to wait for a sign-in");
        assert_eq!(gate.stats(0).calls[CallOutcome::Busy as usize], 2, "whoever was told so is counted");
        drop(first);
        let third = third.await.unwrap();
        assert_eq!(gate.stats(0).waiting, 0);
        drop(third);
        assert_eq!(gate.stats(0).in_use, 1);
    }

    #[tokio::test]
    async fn waiting_counts_into_the_deadline() {
        let gate = Arc::new(Gate::new(1, 5));
        let _held = gate.enter(soon()).await.unwrap();
        assert_eq!(gate.enter(Instant::now()).await.unwrap_err(), PloneError::Busy);
        assert_eq!(gate.stats(0).waiting, 0, "nobody waits who has left");
    }

    #[tokio::test]
    async fn whoever_waits_when_the_circuit_opens_is_told_at_once() {
        let gate = Arc::new(Gate::new(FAILURES_MAX as usize, 5));
        let mut held = Vec::new();
        for _ in 0..FAILURES_MAX {
            held.push(gate.enter(soon()).await.unwrap());
        }
        let mut waiting = Box::pin(gate.enter(soon()));
        assert!((&mut waiting).now_or_never().is_none());
        held.iter_mut().for_each(|pass| pass.failed(CallOutcome::TimedOut));
        assert_eq!(waiting.await.unwrap_err(), PloneError::Open);
        assert_eq!(gate.enter(soon()).await.unwrap_err(), PloneError::Open);
        assert_eq!(gate.stats(0).circuit, Circuit::Open);
        let calls = gate.stats(0).calls;
        assert_eq!(calls[CallOutcome::TimedOut as usize], u64::from(FAILURES_MAX));
        assert_eq!(calls[CallOutcome::Open as usize], 2);
    }

    #[tokio::test]
    async fn an_answer_is_counted_once_and_closes_the_circuit() {
        let gate = Arc::new(Gate::new(1, 0));
        let mut pass = gate.enter(soon()).await.unwrap();
        pass.answered();
        pass.failed(CallOutcome::Failed);
        drop(pass);
        let calls = gate.stats(0).calls;
        assert_eq!(calls[CallOutcome::Answered as usize], 1);
        assert_eq!(calls.iter().sum::<u64>(), 1);
    }
}
