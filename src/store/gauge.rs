//! Counters of a store's writer, for metrics and readiness.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use crate::histogram::Histogram;

/// Counters that a store's writer updates. Reading them does not access the store.
#[derive(Debug, Default)]
pub struct StoreGauge {
    /// Writes that are queued or in progress.
    pub queued: AtomicUsize,
    /// Commits since the start; with PostgreSQL, also writes that had nothing to commit.
    pub commits: AtomicU64,
    /// Commits that failed.
    pub failures: AtomicU64,
    /// Times that a write was undone because it conflicted with another transaction. It was then repeated or given up.
    pub conflicts: AtomicU64,
    /// Batches of commands that read what other hubs had committed before them.
    pub catch_ups: AtomicU64,
    /// Time spent in commits, in microseconds.
    pub commit_us_total: AtomicU64,
    /// Duration of the last commit, in microseconds.
    pub last_commit_us: AtomicU64,
    /// Durations of commits, each from the start of its first write.
    pub commit_took: Histogram,
    /// Whether the writer waits for the database to become usable again after a failed commit.
    pub recovering: AtomicBool,
}
