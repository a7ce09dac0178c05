//! An import that has not ended: its report, and whether it can still be cancelled.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;

use crate::domain::import::{TaskReport, TaskState};

/// The most items in each list of a task; the totals beside them count all.
pub const LIST_LEN_MAX: usize = 1_000;

const OPEN: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTED: u8 = 2;

/// A task that has not ended: its report, and whether it can still be cancelled.
pub(super) struct Live {
    report: Mutex<TaskReport>,
    fate: AtomicU8,
}

impl Live {
    pub(super) fn new(report: TaskReport) -> Self {
        Self { report: Mutex::new(report), fate: AtomicU8::new(OPEN) }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, TaskReport> {
        self.report.lock()
    }

    /// Cancels it, unless it was committed; returns whether it is cancelled.
    pub(super) fn cancel(&self, now: Timestamp) -> bool {
        let fate = self.fate.compare_exchange(OPEN, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
        if fate.is_ok() {
            let mut report = self.report();
            report.state = TaskState::Cancelled;
            report.finished_at = Some(now);
        }
        fate.is_ok() || fate == Err(CANCELLED)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.fate.load(Ordering::Acquire) == CANCELLED
    }

    /// Commits it, after which it cannot be cancelled; returns false when it was cancelled before.
    pub(super) fn commit(&self) -> bool {
        self.fate.compare_exchange(OPEN, COMMITTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
