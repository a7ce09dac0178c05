//! Counters of a store's writer, for metrics and readiness.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use crate::histogram::Histogram;

/// Counters that a store's writer keeps. Reading them asks nothing of the store.
#[derive(Debug, Default)]
pub struct StoreGauge {
    /// Writes that wait or are under way.
    pub queued: AtomicUsize,
    /// Commits since the start.
    pub commits: AtomicU64,
    /// Commits that failed.
    pub failures: AtomicU64,
    /// Time spent in commits, in microseconds.
    pub commit_us_total: AtomicU64,
    /// Duration of the last commit, in microseconds.
    pub last_commit_us: AtomicU64,
    /// Durations of commits, from the start of their first write.
    pub commit_took: Histogram,
    /// True while the writer waits for the disk to become usable again.
    pub recovering: AtomicBool,
}
