//! An import that has not ended: its report, and whether it can still be cancelled.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;

use crate::domain::ids::TaskId;
use crate::domain::import::{TaskReport, TaskState};
use crate::imports::QUEUE_MAX;

/// The maximum length of each list of a task. The totals beside the lists count all items.
pub const LIST_LEN_MAX: usize = 1_000;

/// The maximum number of results that the store did not accept. A task is only queued once it is stored, so these are
/// at most the tasks that were queued when the store failed.
const UNSTORED_MAX: usize = QUEUE_MAX + 1;

const OPEN: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTED: u8 = 2;

/// A task that has not ended: its report, and whether it can still be cancelled.
pub(super) struct Live {
    report: Mutex<TaskReport>,
    /// [`OPEN`], [`CANCELLED`] or [`COMMITTED`].
    stage: AtomicU8,
}

impl Live {
    pub(super) fn new(report: TaskReport) -> Self {
        Self { report: Mutex::new(report), stage: AtomicU8::new(OPEN) }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, TaskReport> {
        self.report.lock()
    }

    /// Cancels the import unless it was committed. Returns whether it is cancelled.
    pub(super) fn cancel(&self, now: Timestamp) -> bool {
        let result = self.stage.compare_exchange(OPEN, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
        if result.is_ok() {
            let mut report = self.report();
            report.state = TaskState::Cancelled;
            report.finished_at = Some(now);
        }
        result.is_ok() || result == Err(CANCELLED)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.stage.load(Ordering::Acquire) == CANCELLED
    }

    /// Marks the import as committed, after which it cannot be cancelled. Returns false if it was cancelled or
    /// committed before.
    pub(super) fn commit(&self) -> bool {
        self.stage.compare_exchange(OPEN, COMMITTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The results that the store did not accept. They are returned to callers, and stored again later: otherwise their
/// tasks would appear to run forever.
#[derive(Default)]
pub(super) struct Unstored(Mutex<HashMap<TaskId, TaskReport>>);

impl Unstored {
    /// Keeps a result. When there are too many, keeps the earlier ones; the next start ends the tasks of the others.
    pub(super) fn keep(&self, report: TaskReport) {
        let mut all = self.0.lock();
        if all.len() < UNSTORED_MAX {
            all.insert(report.task.clone(), report);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<TaskReport> {
        self.0.lock().get(id).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn all(&self) -> Vec<TaskReport> {
        self.0.lock().values().cloned().collect()
    }

    pub(super) fn forget(&self, id: &TaskId) {
        self.0.lock().remove(id);
    }
}
