//! How long things take, counted so that recording costs one relaxed addition, and percentiles of any stretch of time
//! can be read from the difference of two readings.
//!
//! Buckets of fixed bounds, sixteen for each power of two (the layout of HdrHistogram): a percentile is told at most a
//! sixteenth too high, and never too low. A crate was looked at and not taken: `hdrhistogram` records into an
//! exclusive or a per-thread histogram and merges these, and Prometheus' buckets are too few for percentiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each power of two has 2^this buckets, in microseconds.
const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// The powers of two that have buckets: up to 2^27 microseconds, more than two minutes. What takes longer counts as that.
const POWERS: usize = 27;
const BUCKETS: usize = (POWERS - SUB_BITS as usize + 1) * SUB;

/// Counts of durations by bucket. Shared: recording takes no lock.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    /// Counts one that took this long.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect())
    }
}

/// A reading of a [`Histogram`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(Box<[u64]>);

impl Counts {
    /// What was counted after an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.iter().zip(&earlier.0).map(|(now, before)| now.wrapping_sub(*before)).collect())
    }

    /// How many.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The least duration within which `percent` of a hundred are, told at most a sixteenth too high; none when there
    /// was nothing.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let total = self.total();
        // Of three, the middle one is the second: the rank is rounded up.
        let rank = (total * percent.min(100)).div_ceil(100).max(1);
        let mut passed = 0;
        let bucket = self.0.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        Some(Duration::from_micros(upper_bound(bucket)))
    }
}

/// The bucket of a duration in microseconds: below 16 each has one of its own, from there on the highest five bits say.
fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << POWERS) - 1);
    let power = (u64::BITS - us.leading_zeros()).max(SUB_BITS + 1) - 1;
    let shift = power - SUB_BITS;
    let within = usize::try_from(us >> shift).unwrap_or(usize::MAX);
    (shift as usize * SUB + within).min(BUCKETS - 1)
}

/// The longest duration of a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    let shift = (bucket / SUB).saturating_sub(1);
    let within = bucket - shift * SUB;
    ((within as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_bucket_and_none_is_told_shorter_or_much_longer_than_it_was() {
        let mut last = 0;
        for us in (0..5_000).chain((5_000..200_000_000).step_by(99_991)) {
            let bucket = bucket_of(us);
            assert!(bucket >= last && bucket < BUCKETS, "{us}");
            last = bucket;
            let told = upper_bound(bucket);
            assert!(told >= us.min((1 << POWERS) - 1) && told <= us + us / 16, "{us} us is told as {told}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_time_between_two_readings() {
        let histogram = Histogram::default();
        (0..1_000).for_each(|_| histogram.record(Duration::from_secs(60)));
        let before = histogram.counts();
        (1..=100).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let between = histogram.counts().since(&before);
        assert_eq!(between.total(), 100);
        for (percent, ms) in [(50, 50), (95, 95), (99, 99), (100, 100)] {
            let told = between.percentile(percent).unwrap();
            let (least, most) = (Duration::from_millis(ms), Duration::from_millis(ms + ms / 16 + 1));
            assert!(told >= least && told <= most, "p{percent} is {told:?}");
        }
    }

    #[test]
    fn nothing_has_no_percentile_and_one_is_all_of_them() {
        let histogram = Histogram::default();
        assert_eq!(histogram.counts().percentile(99), None);
        histogram.record(Duration::from_micros(7));
        let counts = histogram.counts();
        assert_eq!(
            (counts.percentile(50), counts.percentile(99)),
            (Some(Duration::from_micros(7)), counts.percentile(50))
        );
    }
}
