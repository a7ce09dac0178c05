//! Circuit breaker: stops calls to a Plone that does not respond. Pure: time and randomness are arguments.

use std::time::{Duration, Instant};

/// Number of consecutive calls without a response that open the circuit. A single broken connection must not open it,
/// and a pool of eight must open it when its first calls hang.
pub(super) const FAILURES_MAX: u32 = 5;
/// First pause after the circuit opens. A restart of Plone takes 3 to 5 s.
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Maximum pause. The hub detects a recovery of Plone at most this long after it.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(15);

/// State of the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Circuit {
    /// Calls are sent.
    Closed,
    /// Calls fail immediately until the pause has passed.
    Open,
    /// The pause has passed: a single call probes whether Plone responds again. Other calls fail immediately.
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
    /// As an ordinary call, because the circuit is closed.
    Normal,
    /// As the probe of a half-open circuit.
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
    /// Number of pauses since the last response.
    pauses: u32,
    /// Number of calls without a response since the last response.
    unanswered: u32,
    /// When the circuit first opened after the last response.
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

    /// Returns the number of calls without a response since the last response.
    pub(super) const fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Returns the time since the circuit opened; `None` while it is closed.
    pub(super) fn opened_for(&self, now: Instant) -> Option<Duration> {
        self.opened.map(|opened| now.saturating_duration_since(opened))
    }

    /// Returns true if a call would be admitted now.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::Probing => false,
        }
    }

    /// Admits a call; `None` if it must not be sent.
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

    /// Records a response and closes the circuit, even if the call was admitted before the circuit opened.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// Records a call without a response; `random` is in `0.0..1.0`. Returns true if it opened the circuit.
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
            // The call was admitted before the circuit opened, so its failure says nothing new.
            (State::Open { .. } | State::Probing, _) => return false,
        }
        let longest = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16)).min(PAUSE_MAX);
        // Jitter between 50% and 100%, so that several hubs do not probe at the same time.
        let pause = longest.mul_f64(f64::midpoint(1.0, random.clamp(0.0, 1.0)));
        self.state = State::Open { until: now + pause };
        self.failures = 0;
        self.pauses += 1;
        self.opened.get_or_insert(now);
        true
    }

    /// Records a call that ended without information about Plone. If it was the probe, the next call becomes the probe.
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
    fn open(breaker: &mut Breaker, now: Instant) {
        for _ in 0..FAILURES_MAX {
            let admission = breaker.admit(now).expect("closed");
            breaker.failed(now, admission, 1.0);
        }
        assert_eq!(breaker.circuit(now), Circuit::Open);
    }

    #[test]
    fn consecutive_failures_open_the_circuit() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.failed(now, Admission::Normal, 0.5));
            }
            assert_eq!(breaker.admit(now), Some(Admission::Normal));
            breaker.answered();
        }
        open(&mut breaker, now);
        assert_eq!(breaker.admit(now), None);
        assert_eq!(breaker.admit(now + PAUSE_MIN - Duration::from_millis(1)), None);
    }

    #[test]
    fn after_the_pause_a_single_call_probes() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        open(&mut breaker, now);
        let later = now + PAUSE_MIN;
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        assert_eq!(breaker.admit(later), None);
        breaker.abandoned(later, Admission::Probe);
        assert_eq!(breaker.admit(later), Some(Admission::Probe), "another call replaces an abandoned probe");
        breaker.answered();
        assert_eq!(breaker.circuit(later), Circuit::Closed);
        assert_eq!(breaker.admit(later), Some(Admission::Normal));
    }

    #[test]
    fn failed_probes_double_the_pause_up_to_the_maximum() {
        let begun = Instant::now();
        let mut now = begun;
        let mut breaker = Breaker::default();
        open(&mut breaker, now);
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
        open(&mut breaker, now);
        assert_eq!(breaker.admit(now + PAUSE_MIN), Some(Admission::Probe), "a response resets the pause");
    }

    #[test]
    fn jitter_shortens_a_pause_by_at_most_half() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.failed(now, Admission::Normal, 0.0);
        }
        assert!(!breaker.would_admit(now + PAUSE_MIN / 2 - Duration::from_millis(1)));
        assert!(breaker.would_admit(now + PAUSE_MIN / 2));
    }

    #[test]
    fn calls_admitted_earlier_can_end_a_pause_but_not_extend_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        open(&mut breaker, now);
        assert!(!breaker.failed(now + PAUSE_MIN / 2, Admission::Normal, 1.0));
        breaker.abandoned(now, Admission::Normal);
        assert!(breaker.would_admit(now + PAUSE_MIN));
        breaker.answered();
        assert_eq!(breaker.circuit(now), Circuit::Closed);
    }
}
