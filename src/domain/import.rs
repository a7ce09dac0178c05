//! The state and the result of an import: what `GET /api/v1/imports/{task}` returns, and what the channel
//! `import:TASK` reports while the import runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::domain::ids::{SectionId, TaskId, TermId};
use crate::domain::section_changes::SectionChanges;

/// Items in each list of a progress message; a client that needs all of them requests the task.
const PROGRESS_LIST_LEN_MAX: usize = 10;

/// Whether an import has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Queued or under way.
    Running,
    /// Applied; for a dry run, applicable.
    Done,
    /// Failed; nothing was changed.
    Failed,
    /// Cancelled before it changed anything.
    Cancelled,
}

impl TaskState {
    /// Returns the name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The step that an import is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Another import runs first.
    Queued,
    /// The file is read and checked.
    Reading,
    /// The rows are compared with the term and staged.
    Comparing,
    /// The staged sections become visible.
    Applying,
    /// The import has ended.
    Finished,
}

/// An error or a warning at one place of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The physical line of the file, from 1; of a record that spans several lines, the first.
    pub line: u64,
    /// The column's name in the file's header; none when the finding concerns the whole row or file.
    pub column: Option<Box<str>>,
    /// The cell's text, shortened.
    pub value: Option<Box<str>>,
    /// What is wrong and what would be right, for a registrar.
    pub message: String,
}

/// The resource that two sections share at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConflictKind {
    /// A room.
    Room,
    /// An instructor.
    Instructor,
}

/// Two sections of the file that use one room or one instructor at the same time. Conflicts are reported, not rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The shared resource.
    pub kind: ConflictKind,
    /// The lines of the two sections.
    pub lines: Vec<u64>,
    /// The resource, the place and the time, in words.
    pub message: String,
}

/// Whether an import creates a section or updates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The section is new.
    Create,
    /// The section exists and differs.
    Update,
}

/// A section that an import changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The section.
    pub section: SectionId,
    /// Whether it is new.
    pub change: ChangeKind,
    /// The fields that differ.
    pub fields: SectionChanges,
}

/// An import: its state, its progress, and what it found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The id of the task.
    pub task: TaskId,
    /// Whether it has ended, and how.
    pub state: TaskState,
    /// The step that it is at.
    pub phase: Phase,
    /// Why it failed, where the list of errors does not say so.
    pub message: Option<String>,
    /// The term, once it is known.
    pub term: Option<TermId>,
    /// Whether it only checks the file and changes nothing.
    pub dry_run: bool,
    /// Whether it continues without the rows that are refused.
    pub partial: bool,
    /// Whether the file contains one-off events; `sections` then counts those.
    pub events: bool,
    /// Rows read from the file.
    pub rows: u64,
    /// Sections without errors.
    pub sections: u64,
    /// Sections that are created.
    pub created: u64,
    /// Sections that are updated.
    pub updated: u64,
    /// Sections that stay as they are.
    pub unchanged: u64,
    /// Rows with errors.
    pub refused: u64,
    /// The first errors.
    pub errors: Vec<Finding>,
    /// The number of all errors.
    pub errors_total: u64,
    /// The first warnings.
    pub warnings: Vec<Finding>,
    /// The number of all warnings.
    pub warnings_total: u64,
    /// The first conflicts.
    pub conflicts: Vec<Conflict>,
    /// The number of all conflicts.
    pub conflicts_total: u64,
    /// The first changed sections.
    pub changes: Vec<Change>,
    /// The number of all changed sections.
    pub changes_total: u64,
    /// The first sections of the term that the file does not contain.
    pub missing: Vec<SectionId>,
    /// The number of all those sections.
    pub missing_total: u64,
    /// Bytes of the file that were read.
    pub bytes: u64,
    /// The size of the file in bytes.
    pub bytes_total: u64,
    /// The user who started it.
    pub started_by: String,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// While it is applied, the generation of the catalogue that makes its sections visible; 0 for events. If the hub
    /// stops meanwhile, the next start learns from it whether the import was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applying: Option<u64>,
}

impl TaskReport {
    /// Creates a task that is queued.
    #[must_use]
    pub fn new(task: TaskId, term: Option<TermId>, bytes_total: u64, started_by: String, now: Timestamp) -> Self {
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

    /// Returns the task as a progress message reports it: with short lists.
    #[must_use]
    pub fn progress(&self) -> Self {
        Self {
            task: self.task.clone(),
            message: self.message.clone(),
            term: self.term.clone(),
            errors: first(&self.errors),
            warnings: first(&self.warnings),
            conflicts: first(&self.conflicts),
            changes: first(&self.changes),
            missing: first(&self.missing),
            started_by: self.started_by.clone(),
            applying: None,
            // The compiler rejects a field that is left out here and cannot be copied.
            ..*self
        }
    }
}

fn first<T: Clone>(items: &[T]) -> Vec<T> {
    items.iter().take(PROGRESS_LIST_LEN_MAX).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_short_lists_and_all_numbers() {
        let id = TaskId::parse("1").unwrap();
        let mut report = TaskReport::new(id, None, 9, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
        let finding = |line| Finding { line, column: None, value: None, message: "no such day".to_owned() };
        report.errors = (1..=30).map(finding).collect();
        (report.errors_total, report.rows, report.applying) = (30, 400, Some(7));
        report.phase = Phase::Applying;

        let progress = report.progress();

        assert_eq!(progress.errors, report.errors[..PROGRESS_LIST_LEN_MAX]);
        assert_eq!(progress.applying, None, "only the store needs the generation");
        let rest = TaskReport { errors: Vec::new(), applying: None, ..report };
        assert_eq!(TaskReport { errors: Vec::new(), ..progress }, rest);
    }
}
