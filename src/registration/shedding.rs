//! Decides which commands a registrar turns away when it gets more than it can commit. After CoDel (RFC 8289): what
//! counts is how long commands wait, not how many do, so the same rule suits a fast and a slow machine. A queue that
//! empties now and then absorbs a burst. A queue that stands has more load than the registrar can commit; then commands
//! wait only briefly, because a reply that comes after its caller has given up is wasted work.

use std::time::{Duration, Instant};

/// How long a queue may stand without having been empty before commands are shed. The burst of an opening, 9,000
/// students at once, takes half of this on two cores.
const STANDING_MIN: Duration = Duration::from_secs(1);
/// The longest wait of a command in a standing queue. With the batch that decides it, its reply comes within a second.
const STANDING_WAIT_MAX: Duration = Duration::from_millis(400);
/// A command is not accepted while the oldest one in a standing queue has waited this long. Half of
/// [`STANDING_WAIT_MAX`], so that accepted commands are decided, and refused ones are refused at once.
const STANDING_ADMIT_MAX: Duration = Duration::from_millis(200);

/// The state of one queue. Time is an argument, in order.
#[derive(Debug)]
pub struct Shedder {
    empty_at: Instant,
    patience: Duration,
}

impl Shedder {
    /// Creates the state of a queue that is empty at `now`. No command waits longer than `patience` in any state.
    #[must_use]
    pub const fn new(now: Instant, patience: Duration) -> Self {
        Self { empty_at: now, patience }
    }

    /// Records that no command waits at `now`.
    pub const fn emptied(&mut self, now: Instant) {
        self.empty_at = now;
    }

    /// Returns whether a new command is accepted, given when the oldest waiting one was accepted.
    #[must_use]
    pub fn admits(&self, oldest: Option<Instant>, now: Instant) -> bool {
        let waited = oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest));
        !self.is_standing(now) || waited < STANDING_ADMIT_MAX
    }

    /// Returns whether a command that was accepted at `accepted` has waited too long to be decided. `may_be_shed` is
    /// true for students' commands: those of staff and of the hub are few, and wait as long as the patience allows.
    #[must_use]
    pub fn is_too_old(&self, may_be_shed: bool, accepted: Instant, now: Instant) -> bool {
        let is_short = may_be_shed && self.is_standing(now);
        let wait_max = if is_short { STANDING_WAIT_MAX.min(self.patience) } else { self.patience };
        now.saturating_duration_since(accepted) > wait_max
    }

    fn is_standing(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.empty_at) > STANDING_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const PATIENCE: Duration = Duration::from_secs(10);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_a_standing_queue_is_shed() {
        let start = Instant::now();
        // Milliseconds since the queue was empty, and for which the oldest command waits; the expected decisions.
        let table = [
            (0, 0, true, false),
            (900, 900, true, false),
            (1_000, 1_000, true, false),
            (1_001, 199, true, false),
            (1_001, 200, false, false),
            (1_001, 400, false, false),
            (1_001, 401, false, true),
            (60_000, 0, true, false),
        ];
        for (standing, waited, admits, is_too_old) in table {
            let shedder = Shedder::new(start, PATIENCE);
            let now = start + ms(standing);
            let oldest = now - ms(waited);
            let decided = (shedder.admits(Some(oldest), now), shedder.is_too_old(true, oldest, now));
            assert_eq!(decided, (admits, is_too_old), "standing for {standing} ms, oldest {waited} ms");
        }
        assert!(Shedder::new(start, PATIENCE).admits(None, start + PATIENCE), "nothing waits");
    }

    #[test]
    fn commands_of_staff_and_of_the_hub_are_not_shed() {
        let start = Instant::now();
        let (shedder, now) = (Shedder::new(start, PATIENCE), start + ms(30_000));
        assert!(!shedder.is_too_old(false, now - PATIENCE, now));
        assert!(shedder.is_too_old(false, now - PATIENCE - ms(1), now));
    }

    #[test]
    fn a_queue_that_empties_has_the_patience_of_a_burst_again() {
        let start = Instant::now();
        let mut shedder = Shedder::new(start, PATIENCE);
        let later = start + ms(5_000);
        assert!(shedder.is_too_old(true, start + ms(4_000), later));
        shedder.emptied(later);
        assert!(!shedder.is_too_old(true, later, later + ms(900)) && shedder.admits(Some(later), later + ms(900)));
    }

    #[test]
    fn no_command_waits_longer_than_the_patience() {
        let start = Instant::now();
        for patience in [ms(0), ms(100), PATIENCE] {
            let mut shedder = Shedder::new(start, patience);
            let now = start + ms(30_000);
            shedder.emptied(now);
            let too_old = |waited| shedder.is_too_old(true, now - waited, now);
            assert_eq!((too_old(patience), too_old(patience + ms(1))), (false, true), "{patience:?}");
        }
    }

    /// Simulates a queue for ten seconds, in steps of a millisecond. Returns the decided commands and the waits of the
    /// slowest decided one and of the slowest refused one.
    fn simulate(capacity_per_ms: usize, load_per_ms: usize) -> (usize, Duration, Duration) {
        let start = Instant::now();
        let (mut shedder, mut queue) = (Shedder::new(start, PATIENCE), VecDeque::new());
        let (mut decided, mut slowest, mut slowest_refused) = (0, Duration::ZERO, Duration::ZERO);
        for step in 0..10_000 {
            let now = start + ms(step);
            for _ in 0..load_per_ms {
                if shedder.admits(queue.front().copied(), now) {
                    queue.push_back(now);
                }
            }
            let mut room = capacity_per_ms;
            while room > 0
                && let Some(accepted) = queue.pop_front()
            {
                let waited = now - accepted;
                if shedder.is_too_old(true, accepted, now) {
                    slowest_refused = slowest_refused.max(waited);
                } else {
                    (room, decided, slowest) = (room - 1, decided + 1, slowest.max(waited));
                }
            }
            if queue.is_empty() {
                shedder.emptied(now);
            }
        }
        (decided, slowest, slowest_refused)
    }

    #[test]
    fn overload_keeps_the_goodput_and_bounds_the_wait() {
        for times in [1, 2, 3, 10] {
            let (decided, slowest, slowest_refused) = simulate(10, 10 * times);
            assert!(decided >= 10 * 10_000 * 99 / 100, "{times} times the capacity: {decided} decided");
            assert!(slowest < ms(1_000), "{times} times the capacity: decided after {slowest:?}");
            assert!(slowest_refused < ms(1_002), "{times} times the capacity: refused after {slowest_refused:?}");
        }
    }
}
