//! The circuit breaker: whether Plone is to be asked at all. Pure, with time and chance as arguments.

use std::time::{Duration, Instant};

/// Calls in a row without an answer after which Plone is left alone: more than one unlucky connection, and few enough
/// that a pool of eight notices a Plone that hangs with its first wave of calls.
pub(super) const FAILURES_MAX: u32 = 5;
/// The pause after the first opening: a restart of Plone takes 3 to 5 s.
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause: Plone is back for the hub no later than this after it is back.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(15);

/// How the circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// Plone is left alone for a while: calls fail at once.
    Open,
    /// The pause is over: one call at a time tries whether Plone is back, others fail at once.
    HalfOpen,
}

impl Circuit {
    /// The state's one name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// As what a call was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Like any other.
    Normal,
    /// To find out whether Plone is back.
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Failures in a row while closed.
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    /// Calls without an answer since the last that had one.
    in_a_row: u32,
    /// When it was opened first since then.
    opened: Option<Instant>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, failures: 0, pauses: 0, in_a_row: 0, opened: None }
    }
}

impl Breaker {
    /// How it is, as anybody may see it.
    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { until } if now < until => Circuit::Open,
            State::Open { .. } | State::Probing => Circuit::HalfOpen,
        }
    }

    /// Calls without an answer since the last that had one.
    pub(super) const fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// For how long it has not been closed.
    pub(super) fn opened_for(&self, now: Instant) -> Option<Duration> {
        self.opened.map(|opened| now.saturating_duration_since(opened))
    }

    /// Whether a call would be let in now.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::Probing => false,
        }
    }

    /// Lets a call in, or not.
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

    /// A call was answered, whenever it was let in: Plone is there.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A call got no answer; `chance` is in `0.0..1.0`. True when it opened the circuit.
    pub(super) fn failed(&mut self, now: Instant, admission: Admission, chance: f64) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match (self.state, admission) {
            (State::Closed, _) => {
                self.failures += 1;
                if self.failures < FAILURES_MAX {
                    return false;
                }
            }
            (State::Probing, Admission::Probe) => {}
            // It was let in before the circuit opened, and says nothing new.
            (State::Open { .. } | State::Probing, _) => return false,
        }
        let longest = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16)).min(PAUSE_MAX);
        // Between half of it and all of it, so that several hubs do not probe in step.
        let pause = longest.mul_f64(f64::midpoint(1.0, chance.clamp(0.0, 1.0)));
        self.state = State::Open { until: now + pause };
        self.failures = 0;
        self.pauses += 1;
        self.opened.get_or_insert(now);
        true
    }

    /// A call ended without saying anything of Plone. A probe's place is free again.
    pub(super) fn left(&mut self, now: Instant, admission: Admission) {
        if self.state == State::Probing && admission == Admission::Probe {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens it at `now`, and says until when.
    fn opened(breaker: &mut Breaker, now: Instant) {
        for _ in 0..FAILURES_MAX {
            let admission = breaker.admit(now).expect("closed");
            breaker.failed(now, admission, 1.0);
        }
        assert_eq!(breaker.circuit(now), Circuit::Open);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.failed(now, Admission::Normal, 0.5));
            }
            assert_eq!(breaker.admit(now), Some(Admission::Normal));
            breaker.succeeded();
        }
        opened(&mut breaker, now);
        assert_eq!(breaker.admit(now), None);
        assert_eq!(breaker.admit(now + PAUSE_MIN - Duration::from_millis(1)), None);
    }

    #[test]
    fn after_its_pause_exactly_one_call_at_a_time_probes() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        opened(&mut breaker, now);
        let later = now + PAUSE_MIN;
        assert_eq!(breaker.circuit(later), Circuit::HalfOpen);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        assert_eq!(breaker.admit(later), None);
        breaker.left(later, Admission::Probe);
        assert_eq!(breaker.admit(later), Some(Admission::Probe), "a probe that said nothing makes way for another");
        breaker.succeeded();
        assert_eq!(breaker.circuit(later), Circuit::Closed);
        assert_eq!(breaker.admit(later), Some(Admission::Normal));
    }

    #[test]
    fn each_failed_probe_makes_the_pause_longer_up_to_a_bound() {
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
        assert_eq!((breaker.in_a_row(), breaker.opened_for(now)), (FAILURES_MAX + 7, Some(now - begun)));
        assert_eq!(breaker.admit(now + PAUSE_MAX), Some(Admission::Probe));
        breaker.succeeded();
        opened(&mut breaker, now);
        assert_eq!(breaker.admit(now + PAUSE_MIN), Some(Admission::Probe), "after an answer pauses are short again");
    }

    #[test]
    fn chance_shortens_a_pause_to_half_at_the_most() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.failed(now, Admission::Normal, 0.0);
        }
        assert!(!breaker.would_admit(now + PAUSE_MIN / 2 - Duration::from_millis(1)));
        assert!(breaker.would_admit(now + PAUSE_MIN / 2));
    }

    #[test]
    fn what_was_let_in_before_it_opened_cannot_prolong_a_pause_but_can_end_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        opened(&mut breaker, now);
        assert!(!breaker.failed(now + PAUSE_MIN / 2, Admission::Normal, 1.0));
        breaker.left(now, Admission::Normal);
        assert!(breaker.would_admit(now + PAUSE_MIN));
        breaker.succeeded();
        assert_eq!(breaker.circuit(now), Circuit::Closed);
    }
}
