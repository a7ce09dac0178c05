//! Circuit breaker: stops calls to a Plone that does not answer. Pure, with time and randomness as arguments.

use std::time::{Duration, Instant};

/// Consecutive calls without an answer that open the circuit: more than one unlucky connection, and few enough that a
/// pool of eight notices a Plone that hangs with its first calls.
pub(super) const FAILURES_MAX: u32 = 5;
/// Pause after the circuit opens for the first time: a restart of Plone takes 3 to 5 s.
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause: the hub notices within it that Plone is back.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(15);

/// State of the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Circuit {
    /// Calls are sent.
    Closed,
    /// Calls fail at once until a pause is over.
    Open,
    /// The pause is over: one call at a time probes whether Plone is back, other calls fail at once.
    HalfOpen,
}

impl Circuit {
    /// Returns the name of the state: `closed`, `open` or `half_open`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How the breaker admitted a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// As an ordinary call.
    Normal,
    /// As a probe of whether Plone is back.
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// The breaker. See the [module](self).
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Consecutive failures while the circuit is closed.
    failures: u32,
    /// Consecutive pauses.
    pauses: u32,
    /// Calls without an answer since the last answered one.
    unanswered: u32,
    /// When the circuit first opened since then.
    opened: Option<Instant>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, failures: 0, pauses: 0, unanswered: 0, opened: None }
    }
}

impl Breaker {
    /// Returns the state of the circuit.
    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { until } if now < until => Circuit::Open,
            State::Open { .. } | State::Probing => Circuit::HalfOpen,
        }
    }

    /// Returns the number of calls without an answer since the last answered one.
    pub(super) const fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Returns how long the circuit has not been closed.
    pub(super) fn opened_for(&self, now: Instant) -> Option<Duration> {
        self.opened.map(|opened| now.saturating_duration_since(opened))
    }

    /// Returns true when a call would be admitted now.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::Probing => false,
        }
    }

    /// Admits a call; none when it must not be sent.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Admission> {
        if !self.would_admit(now) {
            return None;
        }
        if self.state == State::Closed {
            return Some(Admission::Normal);
        }
        self.state = State::Probing;
        Some(Admission::Probe)
    }

    /// Records an answer, whenever its call was admitted: Plone is there.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// Records a call without an answer; `random` is in `0.0..1.0`. Returns true when it opened the circuit.
    pub(super) fn failed(&mut self, now: Instant, admission: Admission, random: f64) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        match (self.state, admission) {
            (State::Closed, _) => {
                self.failures += 1;
                if self.failures < FAILURES_MAX {
                    return false;
                }
            }
            (State::Probing, Admission::Probe) => {}
            // The call was admitted before the circuit opened and is no new information.
            (State::Open { .. } | State::Probing, _) => return false,
        }
        let longest = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16)).min(PAUSE_MAX);
        // Jitter between half of it and all of it, so that several hubs do not probe in step.
        let pause = longest.mul_f64(f64::midpoint(1.0, random.clamp(0.0, 1.0)));
        self.state = State::Open { until: now + pause };
        self.failures = 0;
        self.pauses += 1;
        self.opened.get_or_insert(now);
        true
    }

    /// Records a call that ended without information about Plone. After a probe, another call may probe.
    pub(super) fn abandoned(&mut self, now: Instant, admission: Admission) {
        if self.state == State::Probing && admission == Admission::Probe {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens the circuit at `now`.
    fn opened(breaker: &mut Breaker, now: Instant) {
        for _ in 0..FAILURES_MAX {
            let admission = breaker.admit(now).expect("closed");
            breaker.failed(now, admission, 1.0);
        }
        assert_eq!(breaker.circuit(now), Circuit::Open);
    }

    #[test]
    fn it_opens_after_consecutive_failures_and_not_before() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.failed(now, Admission::Normal, 0.5));
            }
            assert_eq!(breaker.admit(now), Some(Admission::Normal));
            breaker.answered();
        }
        opened(&mut breaker, now);
        assert_eq!(breaker.admit(now), None);
        assert_eq!(breaker.admit(now + PAUSE_MIN - Duration::from_millis(1)), None);
    }

    #[test]
    fn after_the_pause_one_call_at_a_time_probes() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        opened(&mut breaker, now);
        let later = now + PAUSE_MIN;
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        assert_eq!(breaker.admit(later), None);
        breaker.abandoned(later, Admission::Probe);
        assert_eq!(breaker.admit(later), Some(Admission::Probe), "an abandoned probe is replaced by another");
        breaker.answered();
        assert_eq!(breaker.circuit(later), Circuit::Closed);
        assert_eq!(breaker.admit(later), Some(Admission::Normal));
    }

    #[test]
    fn each_failed_probe_lengthens_the_pause_up_to_a_bound() {
        let begun = Instant::now();
        let mut now = begun;
        let mut breaker = Breaker::default();
        opened(&mut breaker, now);
        for seconds in [1, 2, 4, 8, 15, 15, 15] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(breaker.admit(now + pause - Duration::from_millis(1)), None, "{seconds} s");
            now += pause;
            assert_eq!(breaker.admit(now), Some(Admission::Probe), "{seconds} s");
            assert!(breaker.failed(now, Admission::Probe, 1.0));
        }
        assert_eq!((breaker.unanswered(), breaker.opened_for(now)), (FAILURES_MAX + 7, Some(now - begun)));
        assert_eq!(breaker.admit(now + PAUSE_MAX), Some(Admission::Probe));
        breaker.answered();
        opened(&mut breaker, now);
        assert_eq!(breaker.admit(now + PAUSE_MIN), Some(Admission::Probe), "after an answer pauses are short again");
    }

    #[test]
    fn jitter_shortens_a_pause_to_half_at_most() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.failed(now, Admission::Normal, 0.0);
        }
        assert!(!breaker.would_admit(now + PAUSE_MIN / 2 - Duration::from_millis(1)));
        assert!(breaker.would_admit(now + PAUSE_MIN / 2));
    }

    #[test]
    fn earlier_calls_cannot_prolong_a_pause_but_can_end_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        opened(&mut breaker, now);
        assert!(!breaker.failed(now + PAUSE_MIN / 2, Admission::Normal, 1.0));
        breaker.abandoned(now, Admission::Normal);
        assert!(breaker.would_admit(now + PAUSE_MIN));
        breaker.answered();
        assert_eq!(breaker.circuit(now), Circuit::Closed);
    }
}
