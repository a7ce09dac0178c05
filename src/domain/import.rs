//! The state and the result of an import, as `GET /api/v1/imports/{task}` returns them and as the channel
//! `import:TASK` reports them while the import runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::domain::coded_text::CodedText;
use crate::domain::ids::{ProfileName, SectionId, TaskId, TermId};
use crate::domain::section_changes::SectionChanges;

/// Maximum length of each list in a progress message. A client that needs the full lists requests the task.
const PROGRESS_LIST_LEN_MAX: usize = 10;

/// Whether an import has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Queued or under way.
    Running,
    /// Applied; for a dry run, checked without an error that prevents applying it.
    Done,
    /// Failed without changing anything.
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

/// The current step of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Waiting for another import to end.
    Queued,
    /// Reading and checking the file.
    Reading,
    /// Comparing the rows to the term and staging them.
    Comparing,
    /// Making the staged sections visible.
    Applying,
    /// Ended.
    Finished,
}

/// An error or a warning about one line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The line of the file, counted from 1. For a record that spans several lines, the first of them.
    pub line: u64,
    /// The column's name in the file's header; `None` if the finding concerns a whole row or the file.
    pub column: Option<Box<str>>,
    /// The cell's text, truncated.
    pub value: Option<Box<str>>,
    /// What is wrong and how to correct it, for staff, in English.
    pub message: String,
    /// The code of the message and its values; `None` in the report of an earlier version.
    #[serde(flatten)]
    pub coded: Option<CodedText>,
}

/// A line of the file that is not a row of the schedule, such as a title or a total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The line of the file, counted from 1.
    pub line: u64,
    /// Why it is not a row, for staff, in English.
    pub why: String,
    /// Its text, truncated.
    pub text: String,
    /// The code of the reason; `None` in the report of an earlier version.
    #[serde(flatten)]
    pub coded: Option<CodedText>,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileColumn {
    /// The number of the column, counted from 1.
    pub index: u64,
    /// The name in the header.
    pub name: String,
    /// The field that it is imported as; `None` if it is ignored.
    pub field: Option<String>,
    /// Some texts of the column, truncated.
    pub samples: Vec<String>,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// The line of the file, counted from 1.
    pub line: u64,
    /// The texts of its cells, truncated.
    pub cells: Vec<String>,
}

/// A field for which the file has no column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingField {
    /// The field.
    pub field: String,
    /// Whether the file cannot be imported without it.
    pub required: bool,
    /// The numbers of the columns, counted from 1, whose cells look like values of the field.
    pub candidates: Vec<u64>,
}

/// The table that was found in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The line of the header; 0 if the file has none.
    pub header_line: u64,
    /// The character between cells; `None` for a workbook.
    pub delimiter: Option<String>,
    /// The encoding of the text; `None` for a workbook.
    pub encoding: Option<String>,
    /// The sheet, if the file is a workbook.
    pub sheet: Option<String>,
    /// The names of the sheets of a workbook.
    pub sheets: Vec<String>,
    /// The columns.
    pub columns: Vec<FileColumn>,
    /// The profile that was used.
    pub profile: Option<ProfileName>,
    /// The first rows below the header.
    pub first_rows: Vec<FileRow>,
    /// The fields for which the file has no column.
    pub missing_fields: Vec<MissingField>,
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

/// Two sections of the file that use the same room or instructor at the same time, or all such pairs of one room or
/// instructor. Conflicts are reported, not rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The kind of resource that is shared.
    pub kind: ConflictKind,
    /// The lines of the two sections in the file; the first lines of several pairs.
    pub lines: Vec<u64>,
    /// Description of the conflict for staff, in English: the resource, the sections and the time.
    pub message: String,
    /// The code of the message and its values; `None` in the report of an earlier version.
    #[serde(flatten)]
    pub coded: Option<CodedText>,
    /// Number of pairs of meetings that overlap.
    #[serde(default = "one_pair")]
    pub pairs: u64,
}

/// The number of pairs of a conflict that an earlier version stored.
const fn one_pair() -> u64 {
    1
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

/// A section with more students than seats after an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverCapacity {
    /// The section.
    pub section: SectionId,
    /// Number of taken seats.
    pub enrolled: u32,
    /// The new capacity.
    pub capacity: u32,
}

/// A section that an import moved to a time at which some of its students have another class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlaps {
    /// The section.
    pub section: SectionId,
    /// Number of its students whose classes overlap.
    pub students: u64,
}

/// What an applied import did to students.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Affected {
    /// The first changed sections with more students than seats.
    pub over_capacity: Vec<OverCapacity>,
    /// The total number of such sections.
    pub over_capacity_total: u64,
    /// The first moved sections with students whose classes overlap.
    pub overlaps: Vec<Overlaps>,
    /// The total number of such sections.
    pub overlaps_total: u64,
}

/// What an import did with the enrollments of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnrollmentTally {
    /// Registrations that were made; in a dry run, those that would be requested.
    pub created: u64,
    /// Enrollments that existed before.
    pub unchanged: u64,
    /// Registrations that a rule refused; not known in a dry run.
    pub refused: u64,
}

/// An import: its state, its progress, and what it found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The id of the task.
    pub task: TaskId,
    /// Whether it has ended, and how.
    pub state: TaskState,
    /// The current step.
    pub phase: Phase,
    /// Why it failed, if `errors` does not say so, in English.
    pub message: Option<String>,
    /// The code of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<CodedText>,
    /// The term, once it is known.
    pub term: Option<TermId>,
    /// Whether it only checks the file and changes nothing.
    pub dry_run: bool,
    /// Whether valid rows are imported although others have errors.
    pub partial: bool,
    /// Whether the file contains one-off events. `sections` then counts events.
    pub events: bool,
    /// The columns of the file, once it was read.
    #[serde(default)]
    pub columns: Vec<FileColumn>,
    /// The first rows below the header.
    #[serde(default)]
    pub first_rows: Vec<FileRow>,
    /// The fields for which the file has no column.
    #[serde(default)]
    pub missing_fields: Vec<MissingField>,
    /// The profile that was used.
    #[serde(default)]
    pub profile: Option<ProfileName>,
    /// The line of the file's header, once it is known; 0 if the file has none.
    #[serde(default)]
    pub header_line: Option<u64>,
    /// The sheet that was read, if the file is a workbook.
    #[serde(default)]
    pub sheet: Option<String>,
    /// The names of the sheets of a workbook.
    #[serde(default)]
    pub sheets: Vec<String>,
    /// The character between cells of the file.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// The encoding of the file.
    #[serde(default)]
    pub encoding: Option<String>,
    /// The first lines that are not rows of the schedule, such as titles and totals.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// The total number of such lines.
    #[serde(default)]
    pub skipped_total: u64,
    /// Rows read from the file.
    pub rows: u64,
    /// Sections without errors.
    pub sections: u64,
    /// Sections that are created.
    pub created: u64,
    /// Sections that are updated.
    pub updated: u64,
    /// Sections that do not change.
    pub unchanged: u64,
    /// Rows with errors.
    pub refused: u64,
    /// The first errors.
    pub errors: Vec<Finding>,
    /// The total number of errors.
    pub errors_total: u64,
    /// The first warnings.
    pub warnings: Vec<Finding>,
    /// The total number of warnings.
    pub warnings_total: u64,
    /// The first conflicts.
    pub conflicts: Vec<Conflict>,
    /// The total number of conflicts.
    pub conflicts_total: u64,
    /// The first changed sections.
    pub changes: Vec<Change>,
    /// The total number of changed sections.
    pub changes_total: u64,
    /// The first sections of the term that the file does not contain.
    pub missing: Vec<SectionId>,
    /// The total number of sections of the term that the file does not contain.
    pub missing_total: u64,
    /// What the import did to students; `None` before it was applied.
    #[serde(default)]
    pub affected: Option<Affected>,
    /// For facts about students, the number of students without errors; `created`, `updated` and `unchanged` then count
    /// students. `None` for schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub students: Option<u64>,
    /// For a OneRoster bundle of students, what became of its enrollments; `None` for other files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollments: Option<EnrollmentTally>,
    /// Bytes of the file that have been read.
    pub bytes: u64,
    /// The size of the file in bytes.
    pub bytes_total: u64,
    /// The user who started it.
    pub started_by: String,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// While the import is applied, the generation of the catalogue that makes its sections visible; 0 for events. If
    /// the hub stops during that time, the next start uses it to find out whether the import was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applying: Option<u64>,
}

impl TaskReport {
    /// Creates a queued task.
    #[must_use]
    pub fn new(task: TaskId, term: Option<TermId>, bytes_total: u64, started_by: String, now: Timestamp) -> Self {
        Self {
            task,
            state: TaskState::Running,
            phase: Phase::Queued,
            message: None,
            reason: None,
            term,
            dry_run: false,
            partial: false,
            events: false,
            columns: Vec::new(),
            first_rows: Vec::new(),
            missing_fields: Vec::new(),
            profile: None,
            header_line: None,
            sheet: None,
            sheets: Vec::new(),
            delimiter: None,
            encoding: None,
            skipped: Vec::new(),
            skipped_total: 0,
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
            affected: None,
            students: None,
            enrollments: None,
            bytes: 0,
            bytes_total,
            started_by,
            started_at: now,
            finished_at: None,
            applying: None,
        }
    }

    /// Returns the report for a progress message: long lists are truncated, and details that are not about progress are
    /// left out.
    #[must_use]
    pub fn progress(&self) -> Self {
        Self {
            task: self.task.clone(),
            message: self.message.clone(),
            reason: self.reason.clone(),
            term: self.term.clone(),
            columns: first(&self.columns),
            first_rows: Vec::new(),
            missing_fields: Vec::new(),
            profile: self.profile.clone(),
            sheet: self.sheet.clone(),
            sheets: first(&self.sheets),
            delimiter: self.delimiter.clone(),
            encoding: self.encoding.clone(),
            skipped: first(&self.skipped),
            errors: first(&self.errors),
            warnings: first(&self.warnings),
            conflicts: first(&self.conflicts),
            changes: first(&self.changes),
            missing: first(&self.missing),
            affected: None,
            started_by: self.started_by.clone(),
            applying: None,
            // Copies the other fields. A new field that is not `Copy` fails to compile here.
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
    fn progress_truncates_lists_and_keeps_totals() {
        let id = TaskId::parse("1").unwrap();
        let mut report = TaskReport::new(id, None, 9, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
        let finding =
            |line| Finding { line, column: None, value: None, message: "no such day".to_owned(), coded: None };
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
