//! A histogram of durations. Recording costs one relaxed addition, and the percentiles of any period can be computed
//! from the difference of two readings.
//!
//! Buckets have fixed bounds, sixteen per power of two (the layout of HdrHistogram), so a percentile is at most a
//! sixteenth too high and never too low. The crate `hdrhistogram` is not used because it needs exclusive access or
//! merges per-thread histograms; Prometheus has too few buckets for percentiles.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The binary logarithm of the number of buckets per power of two.
const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
/// Durations have buckets up to 2^27 microseconds, more than two minutes. Longer ones count in the last bucket.
const POWERS: usize = 27;
const BUCKETS: usize = (POWERS - SUB_BITS as usize + 1) * SUB;

/// Counts of durations by bucket. Recording takes no lock.
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
    /// Counts a duration.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(us)].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts since the histogram was created.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect())
    }
}

/// A reading of a [`Histogram`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(Box<[u64]>);

impl Counts {
    /// Returns what was counted since an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.iter().zip(&earlier.0).map(|(now, before)| now.wrapping_sub(*before)).collect())
    }

    /// Returns the number of durations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the given percentile, at most a sixteenth too high; `None` if nothing was counted.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let total = self.total();
        // Nearest rank: the median of three is the second.
        let rank = (total * percent.min(100)).div_ceil(100).max(1);
        let mut passed = 0;
        let bucket = self.0.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        Some(Duration::from_micros(upper_bound(bucket)))
    }
}

/// Returns the bucket of a duration in microseconds. Below 16 each value has its own bucket; above, the five highest
/// bits determine it.
fn bucket_of(us: u64) -> usize {
    let us = us.min((1 << POWERS) - 1);
    let power = (u64::BITS - us.leading_zeros()).max(SUB_BITS + 1) - 1;
    let shift = power - SUB_BITS;
    let within = usize::try_from(us >> shift).unwrap_or(usize::MAX);
    (shift as usize * SUB + within).min(BUCKETS - 1)
}

/// Returns the longest duration of a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    let shift = (bucket / SUB).saturating_sub(1);
    let within = bucket - shift * SUB;
    ((within as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_bounds_are_at_most_a_sixteenth_too_high() {
        let mut last = 0;
        for us in (0..5_000).chain((5_000..200_000_000).step_by(99_991)) {
            let bucket = bucket_of(us);
            assert!(bucket >= last && bucket < BUCKETS, "{us}");
            last = bucket;
            let bound = upper_bound(bucket);
            assert!(bound >= us.min((1 << POWERS) - 1) && bound <= us + us / 16, "{us} µs has the bound {bound}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_cover_the_time_between_two_readings() {
        let histogram = Histogram::default();
        (0..1_000).for_each(|_| histogram.record(Duration::from_secs(60)));
        let before = histogram.counts();
        (1..=100).for_each(|ms| histogram.record(Duration::from_millis(ms)));
        let between = histogram.counts().since(&before);
        assert_eq!(between.total(), 100);
        for (percent, ms) in [(50, 50), (95, 95), (99, 99), (100, 100)] {
            let found = between.percentile(percent).unwrap();
            let (least, most) = (Duration::from_millis(ms), Duration::from_millis(ms + ms / 16 + 1));
            assert!(found >= least && found <= most, "p{percent} is {found:?}");
        }
    }

    #[test]
    fn percentiles_of_zero_and_one_durations() {
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
