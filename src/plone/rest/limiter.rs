//! Limiter of calls to Plone, shared by all threads. It bounds the calls in flight and the waiting calls, and rejects
//! calls immediately while the circuit is open.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use strum::VariantArray as _;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::plone::port::PloneError;
use crate::plone::rest::breaker::{Admission, Breaker, Circuit};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CallOutcome {
    /// Plone responded, with any status.
    Answered,
    /// There was no connection, the connection broke, or the response was unreadable.
    Failed,
    /// There was no complete response in time.
    TimedOut,
    /// Nothing was sent: too many calls were waiting, or the deadline passed before there was capacity.
    Busy,
    /// Nothing was sent: the circuit was open.
    Open,
    /// The caller was dropped before the outcome was known.
    Left,
}

impl CallOutcome {
    /// All outcomes.
    pub const ALL: &[Self] = Self::VARIANTS;
    const COUNT: usize = Self::ALL.len();

    /// Returns the name of the outcome, such as `timed_out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// State of the limiter and of the connections behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    /// Maximum number of calls in flight.
    pub size: usize,
    /// Number of calls in flight.
    pub in_use: usize,
    /// Maximum number of waiting calls.
    pub queue_max: usize,
    /// Number of waiting calls.
    pub waiting: usize,
    /// State of the circuit.
    pub circuit: Circuit,
    /// Time since the circuit opened; `None` while it is closed.
    pub opened_for: Option<Duration>,
    /// Number of calls without a response since the last response.
    pub failures: u32,
    /// Numbers of calls since the start of the hub, in the order of [`CallOutcome::ALL`].
    pub calls: [u64; CallOutcome::COUNT],
    /// Sum of the response times of all answered calls, each measured from its admission.
    pub answered_in: Duration,
    /// Number of open connections to Plone, including idle ones.
    pub connections: usize,
}

impl PoolStats {
    /// Returns whether Plone has responded since the start.
    #[must_use]
    pub const fn has_answered(&self) -> bool {
        self.calls[CallOutcome::Answered as usize] > 0
    }

    /// Returns the number of calls since the start, by outcome.
    #[must_use]
    pub fn by_outcome(&self) -> Vec<(&'static str, u64)> {
        CallOutcome::ALL.iter().zip(self.calls).map(|(outcome, count)| (outcome.as_str(), count)).collect()
    }
}

/// The limiter. See the [module](self).
#[derive(Debug)]
pub(super) struct Limiter {
    permits: Arc<Semaphore>,
    size: usize,
    queue_max: usize,
    waiting: AtomicUsize,
    breaker: Mutex<Breaker>,
    opened: Notify,
    calls: [AtomicU64; CallOutcome::COUNT],
    answered_us: AtomicU64,
}

impl Limiter {
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

    /// Counts a call for which there was no capacity in time, and returns its error.
    pub(super) fn refuse_busy(&self) -> PloneError {
        self.count(CallOutcome::Busy);
        PloneError::Busy
    }

    fn refuse_open(&self) -> PloneError {
        self.count(CallOutcome::Open);
        PloneError::Open
    }

    /// Returns the state, given the number of open connections.
    pub(super) fn stats(&self, connections: usize) -> PoolStats {
        let now = Instant::now().into_std();
        let (circuit, opened_for, failures) = {
            let breaker = self.breaker();
            (breaker.circuit(now), breaker.opened_for(now), breaker.unanswered())
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

    /// Takes a slot in the queue. Calls that wait for something else, such as the hub's login, take a slot, too.
    ///
    /// # Errors
    /// [`PloneError::Busy`] if the queue is full.
    pub(super) fn queue_slot(&self) -> Result<QueueSlot<'_>, PloneError> {
        let more = |waiting| (waiting < self.queue_max).then_some(waiting + 1);
        match self.waiting.fetch_update(Relaxed, Relaxed, more) {
            Ok(_) => Ok(QueueSlot(self)),
            Err(_) => Err(self.refuse_busy()),
        }
    }

    /// Admits a call, after waiting for capacity until the deadline.
    ///
    /// # Errors
    /// [`PloneError::Busy`] if there is no capacity in time; [`PloneError::Open`] if the circuit is open, or opens
    /// during the wait.
    pub(super) async fn admit(self: &Arc<Self>, deadline: Instant) -> Result<Permit, PloneError> {
        let opened = self.opened.notified();
        let mut opened = std::pin::pin!(opened);
        opened.as_mut().enable();
        if !self.breaker().would_admit(Instant::now().into_std()) {
            return Err(self.refuse_open());
        }
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _slot = self.queue_slot()?;
                tokio::select! {
                    biased;
                    () = &mut opened => return Err(self.refuse_open()),
                    permit = self.permits.clone().acquire_owned() => {
                        permit.map_err(|_| PloneError::Unavailable("the hub is shutting down".to_owned()))?
                    }
                    () = tokio::time::sleep_until(deadline) => return Err(self.refuse_busy()),
                }
            }
        };
        let now = Instant::now();
        let Some(admission) = self.breaker().admit(now.into_std()) else {
            return Err(self.refuse_open());
        };
        Ok(Permit { limiter: self.clone(), _permit: permit, admission, admitted: now, is_ended: false })
    }
}

/// A slot in the queue, released on drop.
pub(super) struct QueueSlot<'l>(&'l Limiter);

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// The permit of an admitted call, released on drop.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    _permit: OwnedSemaphorePermit,
    admission: Admission,
    admitted: Instant,
    is_ended: bool,
}

impl Permit {
    /// Records that Plone responded.
    pub(super) fn answered(&mut self) {
        if self.end(CallOutcome::Answered) {
            let us = u64::try_from(self.admitted.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.limiter.answered_us.fetch_add(us, Relaxed);
            self.limiter.breaker().answered();
        }
    }

    /// Records that Plone did not respond, or that its response was unreadable.
    pub(super) fn failed(&mut self, outcome: CallOutcome) {
        if self.end(outcome) {
            let now = Instant::now().into_std();
            let opened = self.limiter.breaker().failed(now, self.admission, rand::random());
            if opened {
                log::warn!("Plone does not respond: calls to it are paused (the circuit is open)");
                self.limiter.opened.notify_waiters();
            }
        }
    }

    /// Records that a forwarded request timed out. The request itself may be the cause, so the timeout counts as a
    /// failure of Plone only for a probe. Otherwise visitors could open the circuit with expensive requests.
    pub(super) fn timed_out(&mut self) {
        if self.admission == Admission::Probe {
            self.failed(CallOutcome::TimedOut);
        } else {
            self.end(CallOutcome::TimedOut);
        }
    }

    /// Counts the first outcome of the call. Returns false for later ones.
    fn end(&mut self, outcome: CallOutcome) -> bool {
        let is_first = !std::mem::replace(&mut self.is_ended, true);
        if is_first {
            self.limiter.count(outcome);
        }
        is_first
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.end(CallOutcome::Left) {
            self.limiter.breaker().abandoned(Instant::now().into_std(), self.admission);
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
    async fn calls_beyond_the_bounds_fail_immediately_as_busy() {
        let limiter = Arc::new(Limiter::new(2, 1));
        let first = limiter.admit(soon()).await.unwrap();
        let _second = limiter.admit(soon()).await.unwrap();
        let mut third = Box::pin(limiter.admit(soon()));
        assert!((&mut third).now_or_never().is_none(), "it waits");
        assert_eq!(limiter.admit(soon()).await.unwrap_err(), PloneError::Busy);
        let stats = limiter.stats(0);
        assert_eq!((stats.in_use, stats.waiting), (2, 1));
        assert!(
            limiter.queue_slot().is_err_and(|error| error == PloneError::Busy),
            "the queue for the login is full, too"
        );
        assert_eq!(limiter.stats(0).calls[CallOutcome::Busy as usize], 2, "refused calls are counted");
        drop(first);
        let third = third.await.unwrap();
        assert_eq!(limiter.stats(0).waiting, 0);
        drop(third);
        assert_eq!(limiter.stats(0).in_use, 1);
    }

    #[tokio::test]
    async fn the_deadline_includes_waiting() {
        let limiter = Arc::new(Limiter::new(1, 5));
        let _held = limiter.admit(soon()).await.unwrap();
        assert_eq!(limiter.admit(Instant::now()).await.unwrap_err(), PloneError::Busy);
        assert_eq!(limiter.stats(0).waiting, 0, "a call past its deadline leaves the queue");
    }

    #[tokio::test]
    async fn waiting_calls_fail_when_the_circuit_opens() {
        let limiter = Arc::new(Limiter::new(FAILURES_MAX as usize, 5));
        let mut held = Vec::new();
        for _ in 0..FAILURES_MAX {
            held.push(limiter.admit(soon()).await.unwrap());
        }
        let mut waiting = Box::pin(limiter.admit(soon()));
        assert!((&mut waiting).now_or_never().is_none());
        held.iter_mut().for_each(|permit| permit.failed(CallOutcome::TimedOut));
        assert_eq!(waiting.await.unwrap_err(), PloneError::Open);
        assert_eq!(limiter.admit(soon()).await.unwrap_err(), PloneError::Open);
        assert_eq!(limiter.stats(0).circuit, Circuit::Open);
        let calls = limiter.stats(0).calls;
        assert_eq!(calls[CallOutcome::TimedOut as usize], u64::from(FAILURES_MAX));
        assert_eq!(calls[CallOutcome::Open as usize], 2);
    }

    #[tokio::test]
    async fn an_outcome_is_counted_once() {
        let limiter = Arc::new(Limiter::new(1, 0));
        let mut permit = limiter.admit(soon()).await.unwrap();
        permit.answered();
        permit.failed(CallOutcome::Failed);
        drop(permit);
        let calls = limiter.stats(0).calls;
        assert_eq!(calls[CallOutcome::Answered as usize], 1);
        assert_eq!(calls.iter().sum::<u64>(), 1);
    }
}
