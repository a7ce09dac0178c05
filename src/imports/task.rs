//! An import that has not ended: its report, and whether it can still be cancelled.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU8, Ordering};

use jiff::Timestamp;

use crate::domain::import::{TaskReport, TaskState};

/// Items in each list of a task; the totals beside them count all.
pub const LIST_LEN_MAX: usize = 1_000;

const OPEN: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTED: u8 = 2;

/// A task that has not ended: its report, and whether it is still to be.
pub(super) struct Live {
    report: Mutex<TaskReport>,
    fate: AtomicU8,
}

impl Live {
    pub(super) fn new(report: TaskReport) -> Self {
        Self { report: Mutex::new(report), fate: AtomicU8::new(OPEN) }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, TaskReport> {
        // A report that a panic left is still a report.
        self.report.lock()
    }

    /// Cancels it, unless it is past the point where that changes nothing any more. Answers whether it is cancelled.
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

    /// From here on it can no longer be cancelled. Answers false when it was.
    pub(super) fn commit(&self) -> bool {
        self.fate.compare_exchange(OPEN, COMMITTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
