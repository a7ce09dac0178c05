//! One import as it is told: `GET /api/v1/imports/{task}`, and the frames of `import:TASK`.

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::ids::TermId;
use crate::imports::schedule::{Conflict, Finding};
use crate::store::imports::{KeptTask, TaskState};

/// Items in each list of a task; the totals beside them count all.
pub const LIST_LEN_MAX: usize = 1_000;
/// Items in each list of a frame: a listener sees what is going on, and asks for the rest.
const FRAME_LIST_LEN_MAX: usize = 10;

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Another import is before it.
    Queued,
    /// The file is read and checked.
    Reading,
    /// What was read is compared with the term, and staged.
    Comparing,
    /// It becomes visible.
    Applying,
    /// It has ended.
    Finished,
}

/// One section that changes.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The section's id.
    pub section: String,
    /// `create` or `update`.
    pub change: &'static str,
    /// Each field that differs: what it was and what it becomes.
    pub fields: Map<String, Value>,
}

/// An import, as far as it is.
#[derive(Debug, Clone, Serialize)]
pub struct TaskReport {
    /// Its id.
    pub task: String,
    /// How it stands.
    pub state: TaskState,
    /// What it is doing.
    pub phase: Phase,
    /// Why it failed, where the errors do not say.
    pub message: Option<String>,
    /// The term, once known.
    pub term: Option<TermId>,
    /// Whether it changes nothing whatever it finds.
    pub dry_run: bool,
    /// Whether it goes on without what is refused.
    pub partial: bool,
    /// Whether the file brought one-off events, which `sections` counts then.
    pub events: bool,
    /// Rows of the file.
    pub rows: u64,
    /// Sections that can be taken.
    pub sections: u64,
    /// Sections that are new.
    pub created: u64,
    /// Sections that differ.
    pub updated: u64,
    /// Sections that are so already.
    pub unchanged: u64,
    /// Rows that are refused.
    pub refused: u64,
    /// The first of the errors.
    pub errors: Vec<Finding>,
    /// All errors.
    pub errors_total: u64,
    /// The first of the warnings.
    pub warnings: Vec<Finding>,
    /// All warnings.
    pub warnings_total: u64,
    /// The first of the conflicts.
    pub conflicts: Vec<Conflict>,
    /// All conflicts.
    pub conflicts_total: u64,
    /// The first of the changes.
    pub changes: Vec<Change>,
    /// All changes.
    pub changes_total: u64,
    /// The first of the sections that the term has and the file has not.
    pub missing: Vec<String>,
    /// All of those.
    pub missing_total: u64,
    /// Bytes of the file read so far.
    pub bytes: u64,
    /// Bytes of the file.
    pub bytes_total: u64,
    /// Who asked for it.
    pub started_by: String,
    /// When it was taken.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// While it is applied: the generation under which its sections are then visible; 0 for events. Should the hub end
    /// meanwhile, the next start finds by it whether it was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applying: Option<u64>,
}

impl TaskReport {
    /// A task that waits its turn.
    #[must_use]
    pub fn new(task: String, term: Option<TermId>, bytes_total: u64, started_by: String, now: Timestamp) -> Self {
        Self {
            task,
            state: TaskState::Running,
            phase: Phase::Queued,
            message: None,
            term,
            dry_run: false,
            partial: false,
            events: false,
            rows: 0,
            sections: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            refused: 0,
            errors: Vec::new(),
            errors_total: 0,
            warnings: Vec::new(),
            warnings_total: 0,
            conflicts: Vec::new(),
            conflicts_total: 0,
            changes: Vec::new(),
            changes_total: 0,
            missing: Vec::new(),
            missing_total: 0,
            bytes: 0,
            bytes_total,
            started_by,
            started_at: now,
            finished_at: None,
            applying: None,
        }
    }

    /// The task as it is answered.
    #[must_use]
    pub fn json(&self) -> String {
        // Maps of text keys, numbers and text: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The frame for those who listen: the same with short lists.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        #[derive(Serialize)]
        struct Frame<'a> {
            r#type: &'static str,
            #[serde(flatten)]
            task: &'a TaskReport,
        }
        let mut short = Self {
            errors: first(&self.errors),
            warnings: first(&self.warnings),
            conflicts: first(&self.conflicts),
            changes: first(&self.changes),
            missing: first(&self.missing),
            ..Self::new(self.task.clone(), self.term.clone(), self.bytes_total, String::new(), self.started_at)
        };
        short.copy_numbers(self);
        Bytes::from(serde_json::to_vec(&Frame { r#type: "import", task: &short }).unwrap_or_default())
    }

    fn copy_numbers(&mut self, of: &Self) {
        (self.state, self.phase, self.message) = (of.state, of.phase, of.message.clone());
        (self.dry_run, self.partial, self.events) = (of.dry_run, of.partial, of.events);
        (self.rows, self.sections, self.refused) = (of.rows, of.sections, of.refused);
        (self.created, self.updated, self.unchanged) = (of.created, of.updated, of.unchanged);
        (self.errors_total, self.warnings_total) = (of.errors_total, of.warnings_total);
        (self.conflicts_total, self.changes_total) = (of.conflicts_total, of.changes_total);
        (self.missing_total, self.bytes, self.finished_at) = (of.missing_total, of.bytes, of.finished_at);
        self.started_by.clone_from(&of.started_by);
    }

    /// The task as the store keeps it.
    #[must_use]
    pub fn kept(&self) -> KeptTask {
        KeptTask {
            id: self.task.clone(),
            state: self.state,
            started_at: self.started_at,
            finished_at: self.finished_at,
            body: self.json(),
        }
    }
}

fn first<T: Clone>(items: &[T]) -> Vec<T> {
    items.iter().take(FRAME_LIST_LEN_MAX).cloned().collect()
}

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
