//! The port through which an import reads a schedule file: its sections or events, and what is wrong, line by line.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, Finding};
use crate::domain::section::Section;

/// The most characters of a cell that a [`Finding`] repeats.
pub const FINDING_VALUE_CHARS_MAX: usize = 100;

/// Whether a finding excludes its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The row is refused.
    Error,
    /// The row is imported, and staff should check it.
    Warning,
}

/// A section of a file.
#[derive(Debug, Clone)]
pub struct FileSection {
    /// The definition.
    pub section: Arc<Section>,
    /// The totals (enrolled, waitlisted), if the file has any.
    pub totals: Option<(u32, u32)>,
}

/// How to read a file.
#[derive(Debug, Clone)]
pub struct ScheduleOptions {
    /// The term that everything goes into; without it the file's `term` column says.
    pub term: Option<TermId>,
    /// Further names of columns: the header's name, and the column that it stands for.
    pub map: Vec<(String, String)>,
    /// The college's time zone, for events.
    pub zone: TimeZone,
}

/// The progress of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleProgress {
    /// Rows read so far.
    pub rows: u64,
    /// Bytes of the file read so far.
    pub bytes: u64,
    /// Rows refused so far.
    pub refused: u64,
}

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The watcher stopped it.
    #[error("the import was cancelled")]
    Cancelled,
    /// The spooled file or the scratch space failed.
    #[error("the import's temporary files failed: {0}")]
    Scratch(String),
}

/// Receives the progress from time to time; returns whether to go on.
pub type Watch<'a> = dyn FnMut(ScheduleProgress) -> bool + 'a;

/// Reads schedule files. It blocks: call it on a thread of its own.
pub trait ScheduleReader: Send + Sync {
    /// Checks that `map` names columns that exist; an error says what is wrong with it, in words.
    fn check_map(&self, map: &[(String, String)]) -> Result<(), String>;

    /// Reads the whole file; data that does not fit into a few MiB goes to the folder `scratch`. Errors of the file are
    /// in the [`Schedule`]; an `Err` is never the file's fault.
    fn read(
        &self,
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn Schedule>, ScheduleError>;
}

/// A file that was read. Its contents may be larger than memory, so they are visited, not returned.
pub trait Schedule {
    /// Returns the term of its sections; `None` when it contains events, or was refused as a whole.
    fn term(&self) -> Option<&TermId>;
    /// Returns whether it contains events instead of sections.
    fn brings_events(&self) -> bool;
    /// Returns whether the file cannot be imported even in part; its errors say why.
    fn refused_as_a_whole(&self) -> bool;
    /// Returns the number of rows below the header, without blank ones.
    fn rows(&self) -> u64;
    /// Returns the number of rows that are refused.
    fn refused(&self) -> u64;
    /// Returns the number of sections (or events) that can be imported.
    fn sections(&self) -> u64;
    /// Returns the number of findings of this severity.
    fn findings_total(&self, severity: Severity) -> u64;
    /// Returns the number of conflicts.
    fn conflicts_total(&self) -> u64;
    /// Visits the first `limit` findings of a severity, in order of line.
    fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError>;
    /// Returns the first `limit` conflicts, in order of line.
    fn conflicts(&self, limit: u64) -> Result<Vec<Conflict>, ScheduleError>;
    /// Visits the sections that can be imported, in order of CRN. A section with a refused row is not among them.
    fn each_section(&self, f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
    /// Returns whether the file has a row of this CRN, refused or not.
    fn names(&self, crn: &Crn) -> Result<bool, ScheduleError>;
    /// Visits the events that can be imported.
    fn each_event(&self, f: &mut dyn FnMut(Event) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
}
