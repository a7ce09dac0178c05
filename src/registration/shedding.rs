//! Decides which commands a registrar rejects when it receives more than it can commit. As in CoDel (RFC 8289), what
//! counts is how long commands wait, not how many are waiting, so the same rule suits a fast and a slow machine. A
//! queue whose wait falls again absorbs a burst. A queue whose wait stays long has more load than the registrar can
//! commit. Then the registrar accepts only what it can commit in time, because a reply that comes after its caller has
//! given up is wasted work.
//!
//! A command waits for the rest of the batch in flight, and then for its own batch. Larger batches cost less for each
//! command, so a batch may take more than half of the time to a reply. The commands that would then wait too long,
//! those that arrive just after a batch has begun, are rejected.

use std::time::{Duration, Instant};

/// Commands are rejected once the wait has been long for this time. The burst when registration opens, 9,000 students
/// at once, is decided within it on two cores.
const STANDING_MIN: Duration = Duration::from_millis(500);
/// Commands are no longer rejected once the wait has been short for this time. Without it, each short wait during an
/// overload would be followed by [`STANDING_MIN`] in which everything is accepted.
const CALM_MIN: Duration = Duration::from_secs(2);
/// The share of the time to a reply that a batch should take. On a slow disk a batch of 100 commands writes almost all
/// pages that one of 300 writes, and takes almost as long. If a batch took only half of the time to a reply, the
/// throughput would be half.
const BATCH_SHARE: f64 = 0.65;
/// The smallest number of commands that are assumed to fit into a batch, so that a stall cannot stop the registrar. The
/// time of batches of at most this size shows how much of a batch's time is fixed.
const BATCH_MIN: usize = 32;
/// The largest fixed cost of a batch that is taken into account, in seconds. With a disk that takes longer to sync, no
/// reply can come within a second; batches then take twice this time, so that a reply comes before clients give up
/// after 3 s.
const FIXED_COST_MAX: f64 = 0.5;
/// One batch in this many is small while batches are longer than usual because of their fixed cost, to notice when
/// that cost has fallen.
const PROBE_INTERVAL: u32 = 8;
/// The weight of a batch in the moving average of the limit, so that a single stall of the disk changes the limit only
/// in part.
const WEIGHT: f64 = 0.5;
/// How many times larger than the recent batches a batch may be. Small batches show how many commands fit at
/// least, but that number is out of date once the disk has become slow.
const GROWTH_MAX: f64 = 2.0;
/// The factor by which each batch reduces the size that counts as recent.
const RECENT: f64 = 0.8;
/// The smallest share of the limit that a batch can suggest, unless the batch before it was too long as well: a stall
/// of the disk says little about the cost of commands, but a disk that has become slower is followed at once.
const SUGGESTED_SHARE_MIN: f64 = 0.5;

/// The state of one queue. Callers pass the current time, which must not decrease.
#[derive(Debug)]
pub struct Shedder {
    /// How many commands are committed within [`Shedder::batch_time`].
    limit: f64,
    /// The maximum number of commands of a batch in any state.
    limit_max: usize,
    /// The size of the largest recent batch, reduced by [`RECENT`] for each batch after it.
    recent: f64,
    /// How many commands are accepted for the next batch. It takes all of them, even if the limit has been lowered: the
    /// rest would wait for another whole batch.
    admitted: usize,
    /// Whether the last batch took longer than [`Shedder::batch_time`].
    was_long: bool,
    /// The times of the last two batches of at most [`BATCH_MIN`] commands, in seconds. The shorter one counts, because
    /// the other can be a stall.
    small: [f64; 2],
    /// The number of the batch that was taken last.
    batch: u32,
    /// When the batch in flight is probably committed.
    free_at: Option<Instant>,
    /// When commands began to wait long. Cleared by the first batch that finds no such command, or, during an overload,
    /// after [`CALM_MIN`] of such batches.
    long_since: Option<Instant>,
    /// Whether a batch has found such a command more than [`STANDING_MIN`] after that time.
    is_overloaded: bool,
    /// The time since which every batch has found no command that had waited long, during an overload.
    calm_since: Option<Instant>,
    overload_wait: Duration,
    wait_max: Duration,
}

impl Shedder {
    /// Creates the state of an empty queue. Under overload, a student's command is accepted only if its reply is
    /// expected within `overload_wait`, or later on a slow disk; in any state, no command waits longer than `wait_max`.
    /// A batch has at most `batch_max` commands.
    #[must_use]
    pub const fn new(overload_wait: Duration, wait_max: Duration, batch_max: usize) -> Self {
        Self {
            // The first batches show how many more fit.
            limit: BATCH_MIN as f64,
            limit_max: batch_max,
            recent: 0.0,
            admitted: BATCH_MIN,
            was_long: false,
            small: [0.0; 2],
            batch: 0,
            free_at: None,
            long_since: None,
            is_overloaded: false,
            calm_since: None,
            overload_wait,
            wait_max,
        }
    }

    /// Records that a batch of students' commands was committed.
    ///
    /// A command costs less in a larger batch. So a batch that took less time than it may shows a number of commands
    /// that certainly fits, and a batch that took more time shows a number that certainly does not.
    pub fn committed(&mut self, commands: usize, took: Duration) {
        let took = took.as_secs_f64().max(1e-6);
        if commands <= BATCH_MIN {
            self.small = [self.small[1], took];
        }
        let batch_time = self.batch_time().as_secs_f64();
        let fits = commands as f64 * batch_time / took;
        self.recent = (RECENT * self.recent).max(commands as f64);
        // The size of a batch is bounded, so the largest ones may be far below the limit.
        let growth_max = if commands < self.limit_max { GROWTH_MAX * self.recent } else { f64::INFINITY };
        let was_long = std::mem::replace(&mut self.was_long, took > batch_time);
        self.limit = match (self.was_long, was_long) {
            (false, _) => self.limit + WEIGHT * (fits.max(self.limit) - self.limit),
            (true, false) => {
                self.limit + WEIGHT * (fits.max(SUGGESTED_SHARE_MIN * self.limit).min(self.limit) - self.limit)
            }
            (true, true) => fits.min(self.limit),
        };
        self.limit = self.limit.min(growth_max).max(BATCH_MIN as f64);
    }

    /// Records that a batch is about to be taken from a queue whose oldest command was accepted at `oldest`.
    pub fn taking(&mut self, oldest: Option<Instant>, now: Instant) {
        self.batch = self.batch.wrapping_add(1);
        let waited = oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest));
        if waited >= self.batch_time() / 4 {
            self.is_overloaded |= self.is_standing(now);
            self.long_since.get_or_insert(now);
            self.calm_since = None;
        } else if !self.is_overloaded {
            self.long_since = None;
        } else if now.saturating_duration_since(*self.calm_since.get_or_insert(now)) > CALM_MIN {
            (self.is_overloaded, self.long_since, self.calm_since) = (false, None, None);
        }
    }

    /// Records that a batch of `commands` was taken.
    pub fn taken(&mut self, commands: usize, now: Instant) {
        let share = commands as f64 / self.limit.max(commands as f64);
        self.free_at = Some(now + self.batch_time().mul_f64(share));
        self.admitted = self.limit_of(self.batch.wrapping_add(1));
    }

    /// Returns the maximum number of commands of the batch that is being taken.
    #[must_use]
    pub fn batch_max(&self) -> usize {
        self.limit_of(self.batch).max(self.admitted).min(self.limit_max)
    }

    fn limit_of(&self, batch: u32) -> usize {
        let is_probe = self.batch_time() > self.usual_batch_time() && batch.is_multiple_of(PROBE_INTERVAL);
        if is_probe { BATCH_MIN } else { self.limit as usize }
    }

    /// Returns whether a student's command is accepted into a queue of `waiting` commands: whether the next batch can
    /// hold it, and is committed in time.
    #[must_use]
    pub fn admits(&self, waiting: usize, now: Instant) -> bool {
        if !self.is_standing(now) {
            return true;
        }
        let batch = self.limit.min(self.limit_max as f64);
        let batches = (waiting as f64 / batch).floor() + 1.0;
        let in_flight = self.free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let reply_in = in_flight + self.usual_batch_time().mul_f64(batches * batch / self.limit);
        let is_in_time = reply_in <= self.overload_wait || self.batch_time() > self.usual_batch_time();
        is_in_time && waiting < self.admitted
    }

    /// Returns whether a command that was accepted at `accepted` has waited too long to be decided. `may_be_shed` is
    /// true for students' commands: those of staff and of the hub are few, and may wait for the whole `wait_max`.
    #[must_use]
    pub fn is_too_old(&self, may_be_shed: bool, accepted: Instant, now: Instant) -> bool {
        let is_short = may_be_shed && self.is_standing(now);
        let allowed = if is_short { (self.batch_time() * 2).min(self.wait_max) } else { self.wait_max };
        now.saturating_duration_since(accepted) > allowed
    }

    /// Returns the longest time that a batch should take. It is at least twice the fixed cost, because smaller batches
    /// would halve the throughput.
    fn batch_time(&self) -> Duration {
        let fixed = self.small[0].min(self.small[1]).min(FIXED_COST_MAX);
        self.usual_batch_time().max(Duration::from_secs_f64(2.0 * fixed))
    }

    fn usual_batch_time(&self) -> Duration {
        self.overload_wait.mul_f64(BATCH_SHARE)
    }

    fn is_standing(&self, now: Instant) -> bool {
        self.long_since.is_some_and(|since| now.saturating_duration_since(since) > STANDING_MIN)
    }
}

#[cfg(test)]
#[path = "shedding_tests.rs"]
mod tests;
