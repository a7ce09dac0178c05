//! Decides which commands a registrar rejects when it receives more than it can commit. After CoDel (RFC 8289), what
//! counts is how long commands wait, not how many are waiting, so the same rule suits a fast and a slow machine. A
//! queue whose wait falls again absorbs a burst. A queue whose wait stays long has more load than the registrar can
//! commit. Then the registrar accepts only what the next batch can hold, because a reply that comes after its caller
//! has given up is wasted work.

use std::time::{Duration, Instant};

/// Commands are rejected once the wait has been long for this time. The burst when registration opens, 9,000 students
/// at once, is decided within it on two cores.
const STANDING_MIN: Duration = Duration::from_millis(500);
/// The largest fixed cost of a batch that the estimate assumes, in seconds. A disk that takes longer to sync cannot
/// reply within a second; its batches take twice this time, so that a reply comes before clients give up after 3 s.
const FIXED_COST_MAX: f64 = 0.5;
/// The least number of commands that are assumed to fit into a batch, so that the next batches can correct an estimate
/// that is too high.
const BATCH_MIN: usize = 32;
/// One batch in this many has half the limit, because batches of one size do not show how much of their time is fixed.
const PROBE_INTERVAL: u32 = 4;
/// The factor by which a batch may exceed its estimate in the estimate. A stall of the disk says nothing about the cost
/// of commands; a disk that has become slower is followed within a few batches.
const TIME_GROWTH_MAX: f64 = 2.0;
/// The weight of the batches from which on [`TIME_GROWTH_MAX`] applies.
const CLIPPED_FROM: f64 = 3.0;
/// The least share of a batch's time that is assumed to depend on its size. After a stall the line can be flat, as if
/// batches of any size took the same time. With this share, a batch takes at most four times as long as it should.
const SLOPE_SHARE_MIN: f64 = 0.25;
/// The factor by which each new batch reduces the weight of earlier ones in the estimate: a stall of the disk is
/// forgotten after about ten batches.
const MEMORY: f64 = 0.9;

/// An estimate of the time that a batch takes, in seconds: a line that is fitted to the batches so far (least squares,
/// weighted by [`MEMORY`]).
#[derive(Debug, Default)]
struct BatchCost {
    fixed: f64,
    per_command: f64,
    /// Weighted sums over the batches: of 1, the size, its square, the time, and the product of size and time.
    sums: [f64; 5],
}

impl BatchCost {
    fn record(&mut self, commands: usize, took: Duration) {
        let (size, mut time) = (commands as f64, took.as_secs_f64());
        if self.sums[0] >= CLIPPED_FROM {
            time = time.min(TIME_GROWTH_MAX * (self.fixed + self.per_command * size));
        }
        for (sum, new) in self.sums.iter_mut().zip([1.0, size, size * size, time, size * time]) {
            *sum = *sum * MEMORY + new;
        }
        let [batches, sizes, squares, times, products] = self.sums;
        let spread = batches * squares - sizes * sizes;
        // Batches of one size show only the sum of both costs. The size is at most 1,024, so rounding errors are far
        // smaller than this limit.
        let slope = if spread > 1e-6 * batches * squares { (batches * products - sizes * times) / spread } else { 0.0 };
        let average = times / sizes.max(1.0);
        self.per_command = slope.clamp(SLOPE_SHARE_MIN * average, average);
        self.fixed = ((times - self.per_command * sizes) / batches).clamp(0.0, FIXED_COST_MAX);
    }
}

/// The state of one queue. Callers pass the current time, which must not decrease.
#[derive(Debug)]
pub struct Shedder {
    cost: BatchCost,
    /// The number of the batch that was taken last.
    batch: u32,
    /// The time since which every batch has found a command that had waited long.
    long_since: Option<Instant>,
    overload_wait: Duration,
    wait_max: Duration,
}

impl Shedder {
    /// Creates the state of an empty queue. Under overload a student's command waits no longer than `overload_wait`,
    /// unless the disk is slow; no command waits longer than `wait_max` in any state.
    #[must_use]
    pub const fn new(overload_wait: Duration, wait_max: Duration) -> Self {
        let cost = BatchCost { fixed: 0.0, per_command: 0.0, sums: [0.0; 5] };
        Self { cost, batch: 0, long_since: None, overload_wait, wait_max }
    }

    /// Records that a batch of students' commands was committed.
    pub fn committed(&mut self, commands: usize, took: Duration) {
        self.cost.record(commands, took);
    }

    /// Records that a batch is about to be taken from a queue whose oldest command was accepted at `oldest`.
    pub fn taking(&mut self, oldest: Option<Instant>, now: Instant) {
        self.batch = self.batch.wrapping_add(1);
        let waited = oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest));
        if waited < self.batch_time() / 4 {
            self.long_since = None;
        } else {
            self.long_since.get_or_insert(now);
        }
    }

    /// Returns the maximum number of commands of the batch that is being taken.
    #[must_use]
    pub fn batch_max(&self) -> usize {
        self.limit_of(self.batch)
    }

    fn limit_of(&self, batch: u32) -> usize {
        if batch.is_multiple_of(PROBE_INTERVAL) { self.in_time() / 2 } else { self.in_time() }
    }

    /// Returns how many commands are committed within [`Shedder::batch_time`].
    fn in_time(&self) -> usize {
        let room = (self.batch_time().as_secs_f64() - self.cost.fixed) / self.cost.per_command.max(f64::MIN_POSITIVE);
        // A float that is too large becomes the largest integer.
        (room as usize).max(BATCH_MIN)
    }

    /// Returns whether a student's command is accepted into a queue of `waiting` commands: whether the next batch can
    /// hold it.
    #[must_use]
    pub fn admits(&self, waiting: usize, now: Instant) -> bool {
        !self.is_standing(now) || waiting < self.limit_of(self.batch.wrapping_add(1))
    }

    /// Returns whether a command that was accepted at `accepted` has waited too long to be decided. `may_be_shed` is
    /// true for students' commands: those of staff and of the hub are few, and may wait for the whole `wait_max`.
    #[must_use]
    pub fn is_too_old(&self, may_be_shed: bool, accepted: Instant, now: Instant) -> bool {
        let is_short = may_be_shed && self.is_standing(now);
        let allowed = if is_short { (self.batch_time() * 2).min(self.wait_max) } else { self.wait_max };
        now.saturating_duration_since(accepted) > allowed
    }

    /// Returns the longest time that a batch should take. A command waits at most for the batch before its own, so this
    /// is half of the wait. It is at least twice the fixed cost, because smaller batches would halve the throughput.
    fn batch_time(&self) -> Duration {
        Duration::from_secs_f64(2.0 * self.cost.fixed).max(self.overload_wait / 2)
    }

    fn is_standing(&self, now: Instant) -> bool {
        self.long_since.is_some_and(|since| now.saturating_duration_since(since) > STANDING_MIN)
    }
}

#[cfg(test)]
#[path = "shedding_tests.rs"]
mod tests;
