//! The newest entries of the sequence of alerts, in memory.
//!
//! After a restart or a network outage, thousands of clients resume at nearly the same position. They get what they
//! missed from here: the same frames, for the same recipients, as in the live delivery. The store, which reads and
//! encodes each entry for each client, serves only replays that start before the tail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::live::alert_frame::AlertFrame;
use crate::live::replay::{BURST_LEN_MAX, ReplayPage};
use crate::store::StoreError;
use crate::store::alerts::{AlertStore, LogEntry, StoredRange};

/// Maximum number of entries: those of a busy registration day, on which each promotion is an entry. A session that
/// resumes at the start of the tail examines all of them, which takes less than a millisecond.
const ENTRIES_MAX: usize = 4_096;
/// Maximum memory of the entries, in bytes: the maximum number with 2 kB each.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Number of entries that are read from the store at once when the hub starts.
const READ_LEN: usize = 128;

/// The newest entries of the sequence of alerts.
#[derive(Debug, Default)]
pub struct AlertTail {
    entries: RwLock<Entries>,
    memory_reads: AtomicU64,
    store_reads: AtomicU64,
}

/// The entries after the position `from` and up to the position `to`, oldest first, without a gap.
#[derive(Debug, Default)]
struct Entries {
    frames: VecDeque<Arc<AlertFrame>>,
    from: u64,
    to: u64,
    bytes: usize,
}

impl AlertTail {
    /// Loads the newest entries of `store` as the frames that `frame` creates. Returns the last position of the
    /// sequence, whose entry may no longer be stored.
    pub(super) async fn load(
        &self,
        store: &dyn AlertStore,
        frame: impl Fn(LogEntry) -> AlertFrame,
    ) -> Result<u64, StoreError> {
        let stored = store.stored_range().await?;
        let mut position = stored.first.saturating_sub(1).max(stored.last.saturating_sub(ENTRIES_MAX as u64));
        self.clear(position);
        loop {
            let entries = store.log_after(position, READ_LEN).await?;
            let (is_last, batch) = (entries.len() < READ_LEN, entries.into_iter().map(|entry| Arc::new(frame(entry))));
            let batch: Vec<_> = batch.collect();
            self.append(&batch);
            position = batch.last().map_or(position, |last| last.seq);
            if is_last {
                break;
            }
        }
        if position < stored.last {
            // The last entries were deleted.
            self.clear(stored.last);
        }
        Ok(position.max(stored.last))
    }

    /// Empties the tail, which then continues after the position `at`.
    fn clear(&self, at: u64) {
        *self.entries.write() = Entries { from: at, to: at, ..Entries::default() };
    }

    /// Empties the tail, because entries have changed in the store. Replays then read from the store.
    pub fn forget(&self) {
        let mut entries = self.entries.write();
        *entries = Entries { from: entries.to, to: entries.to, ..Entries::default() };
    }

    /// Appends those entries of `batch` that are newer than the tail. There must be no gap within the batch, or between
    /// it and the tail.
    pub(super) fn append(&self, batch: &[Arc<AlertFrame>]) {
        let mut entries = self.entries.write();
        for frame in batch {
            if frame.seq > entries.to {
                entries.push(frame.clone());
            }
        }
    }

    /// Removes the entries before the position `first`, because they are no longer stored.
    pub fn trim(&self, first: u64) {
        let mut entries = self.entries.write();
        while entries.frames.front().is_some_and(|frame| frame.seq < first) {
            entries.pop();
        }
        let before_first = first.saturating_sub(1).min(entries.to);
        entries.from = entries.from.max(before_first);
    }

    /// Returns the range of the tail if a client that resumes at `since` missed nothing before it, and `since` is not
    /// ahead of it; otherwise the stored range decides how the client resumes.
    pub(super) fn range(&self, since: u64) -> Option<StoredRange> {
        let range = {
            let entries = self.entries.read();
            let contains = entries.from <= since && since <= entries.to;
            contains.then(|| StoredRange { first: entries.from + 1, last: entries.to })
        };
        self.count(range.is_some());
        range
    }

    /// Returns entries after the position `after` and up to `until` that `caller` (`None`: a visitor) may see, as many
    /// as fit into one burst and at least one if there is one; `None` when the tail does not contain the whole range.
    pub(super) fn page(&self, caller: Option<(&UserName, Role)>, after: u64, until: u64) -> Option<ReplayPage> {
        let page = self.entries.read().page(caller, after, until);
        self.count(page.is_some());
        page
    }

    fn count(&self, is_memory: bool) {
        if is_memory { &self.memory_reads } else { &self.store_reads }.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of reads for replays, by what was read.
    #[must_use]
    pub fn reads(&self) -> [(&'static str, u64); 2] {
        [("memory", &self.memory_reads), ("store", &self.store_reads)]
            .map(|(source, count)| (source, count.load(Ordering::Relaxed)))
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.read().frames.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the memory of the entries in bytes, and its bound.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.entries.read().bytes as u64, BYTES_MAX as u64)
    }
}

impl Entries {
    /// Appends an entry. Removes the oldest ones past the bounds.
    fn push(&mut self, frame: Arc<AlertFrame>) {
        self.to = frame.seq;
        self.bytes += frame.byte_size();
        self.frames.push_back(frame);
        while self.frames.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            self.pop();
        }
    }

    /// Removes the oldest entry.
    fn pop(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.from = oldest.seq;
            self.bytes -= oldest.byte_size();
        }
    }

    fn page(&self, caller: Option<(&UserName, Role)>, after: u64, until: u64) -> Option<ReplayPage> {
        if after < self.from || until > self.to {
            return None;
        }
        let start = self.frames.partition_point(|frame| frame.seq <= after);
        let end = self.frames.partition_point(|frame| frame.seq <= until);
        let mut page = ReplayPage { frames: Vec::new(), after };
        let mut room = BURST_LEN_MAX;
        for frame in self.frames.range(start..end) {
            if let Some(text) = frame.text_for(caller) {
                if !page.frames.is_empty() && text.len() > room {
                    return Some(page);
                }
                room = room.saturating_sub(text.len());
                page.frames.push((frame.seq, text));
            }
            page.after = frame.seq;
        }
        page.after = until;
        Some(page)
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
