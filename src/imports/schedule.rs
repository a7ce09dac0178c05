//! The port through which an import reads a schedule file: its sections or events, and the errors in its lines.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::command::StatedFields;
use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, Finding, Skipped, Table};
use crate::domain::import_profile::ImportProfile;
use crate::domain::section::Section;

/// The maximum length of a cell's text in a [`Finding`], in characters, without the ellipsis that marks a longer cell.
const FINDING_VALUE_CHARS_MAX: usize = 100;

/// Returns the beginning of a cell for a [`Finding`]. If the cell is longer, an ellipsis says so.
pub fn finding_value(cell: &str) -> String {
    match cell.char_indices().nth(FINDING_VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &cell[..end]),
        None => cell.to_owned(),
    }
}

/// Whether a finding rejects its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The row is rejected.
    Error,
    /// The row is imported, and staff should check it.
    Warning,
}

/// A section of a file.
#[derive(Debug, Clone)]
pub struct FileSection {
    /// The definition.
    pub section: Arc<Section>,
    /// The totals (enrolled, waitlisted), if the file has them.
    pub totals: Option<(u32, u32)>,
    /// The line of the section's first row.
    pub line: u64,
    /// The fields for which the file has columns. The others are empty in the definition.
    pub stated: StatedFields,
    /// Whether the file states the status. Without it, the section is open in the definition.
    pub states_status: bool,
    /// Whether the hub exported the row.
    pub is_exported: bool,
}

/// How a file writes times of day, if staff decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockOption {
    /// 1:00 to 6:59 without am or pm are in the afternoon.
    Hours12,
    /// Times are as written, on a 24-hour clock.
    Hours24,
}

/// How to read a file.
#[derive(Debug, Clone)]
pub struct ScheduleOptions {
    /// The term to import into; `None` if the file's `term` column names it.
    pub term: Option<TermId>,
    /// Additional column names: the name in the header, and the column that it stands for.
    pub map: Vec<(String, String)>,
    /// The sheet of a workbook; `None` to find it.
    pub sheet: Option<String>,
    /// The line of the header; `None` to find it.
    pub header_line: Option<u64>,
    /// How the file writes times of day; `None` to decide it from the file.
    pub clock: Option<ClockOption>,
    /// The saved and built-in mappings of columns.
    pub profiles: ProfileOptions,
    /// The college's time zone, for events.
    pub zone: TimeZone,
}

/// The saved and built-in mappings of columns that may be used for a file.
#[derive(Debug, Clone, Default)]
pub struct ProfileOptions {
    /// The profile that staff chose.
    pub named: Option<ImportProfile>,
    /// The profiles among which the one that matches the file's header is chosen, if `named` is `None`.
    pub automatic: Arc<[ImportProfile]>,
}

/// The progress of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleProgress {
    /// Rows read so far.
    pub rows: u64,
    /// Bytes of the file read so far.
    pub bytes: u64,
    /// Rows rejected so far.
    pub rejected: u64,
}

/// Why reading a file failed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The watch stopped it.
    #[error("the import was cancelled")]
    Cancelled,
    /// Reading the upload or writing temporary files failed.
    #[error("the import's temporary files failed: {0}")]
    Scratch(String),
}

/// A function that receives the progress and returns whether to continue.
pub type Watch<'a> = dyn FnMut(ScheduleProgress) -> bool + 'a;

/// A reader of schedule files. It blocks the thread on which it runs.
pub trait ScheduleReader: Send + Sync {
    /// Checks a map of column names.
    ///
    /// # Errors
    /// When a column does not exist or appears twice. The error is text for the caller.
    fn check_map(&self, map: &[(String, String)]) -> Result<(), String>;

    /// Reads the whole file. Data that does not fit into a few MiB is written to the folder `scratch`.
    ///
    /// # Errors
    /// When `watch` stops the reading, or the file system fails. Errors in the file's contents are part of the
    /// [`Schedule`].
    fn read(
        &self,
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn Schedule>, ScheduleError>;
}

/// The result of reading a file. It may be larger than memory, so contents are passed to visitors one by one.
pub trait Schedule {
    /// Returns the term of the sections; `None` if the file has no sections, or is rejected before they are merged.
    fn term(&self) -> Option<&TermId>;
    /// Returns whether the file contains events instead of sections.
    fn contains_events(&self) -> bool;
    /// Returns whether the whole file is rejected, so that not even its valid rows can be imported.
    fn is_rejected(&self) -> bool;
    /// Returns the table that was found in the file; `None` if there is none.
    fn table(&self) -> Option<&Table>;
    /// Returns the first lines that are not rows of the schedule, such as titles and totals, and their number.
    fn skipped(&self) -> (&[Skipped], u64);
    /// Returns the number of rows below the header, not counting blank and skipped ones.
    fn rows(&self) -> u64;
    /// Returns the number of rejected rows.
    fn rejected_rows(&self) -> u64;
    /// Returns the number of sections (or events) that can be imported.
    fn sections(&self) -> u64;
    /// Returns the number of findings of this severity.
    fn findings_total(&self, severity: Severity) -> u64;
    /// Returns the number of conflicts, which are pairs of meetings.
    fn conflicts_total(&self) -> u64;
    /// Visits the first `limit` findings of a severity, in order of line.
    fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError>;
    /// Returns the first `limit` conflicts, in order of line. Many conflicts of one kind are grouped by room or
    /// instructor.
    fn conflicts(&self, limit: u64) -> Result<Vec<Conflict>, ScheduleError>;
    /// Visits the sections that can be imported, in order of CRN. Sections with a rejected row are omitted.
    fn each_section(&self, f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
    /// Returns a section that can be imported; `None` if the file has none with this CRN.
    fn section(&self, crn: &Crn) -> Result<Option<FileSection>, ScheduleError>;
    /// Returns whether the file has a row with this CRN, valid or rejected.
    fn contains_crn(&self, crn: &Crn) -> Result<bool, ScheduleError>;
    /// Visits the events that can be imported.
    fn each_event(&self, f: &mut dyn FnMut(Event) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
}

#[cfg(test)]
mod tests {
    use super::finding_value;

    #[test]
    fn a_longer_cell_of_a_finding_ends_with_an_ellipsis() {
        let exact = "ñ".repeat(100);
        assert_eq!(finding_value(&exact), exact);
        let long = finding_value(&format!("{exact}z"));
        assert_eq!(long, format!("{exact}…"));
        assert_eq!(finding_value(&long), long);
    }
}
