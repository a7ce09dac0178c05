//! A schedule file, as an import sees it: sections or events, and what was found wrong, line by line.

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, Finding};
use crate::domain::section::Section;

/// The most characters of a cell that a [`Finding`] repeats.
pub const FINDING_VALUE_CHARS_MAX: usize = 100;

/// Whether a finding keeps its row out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The row is refused.
    Error,
    /// The row is taken, and somebody should look at it.
    Warning,
}

/// A section as a file has it.
#[derive(Debug, Clone)]
pub struct FileSection {
    /// The definition.
    pub section: Arc<Section>,
    /// The totals (enrolled, waitlisted), if the file tells any.
    pub totals: Option<(u32, u32)>,
}

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct ScheduleOptions {
    /// The term that everything goes into; without it the file's `term` column says.
    pub term: Option<TermId>,
    /// Further names for this file: the header's name, and the column that it stands for.
    pub map: Vec<(String, String)>,
    /// The college's time zone, for events.
    pub zone: TimeZone,
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleProgress {
    /// Rows read so far.
    pub rows: u64,
    /// Bytes of the file read so far.
    pub bytes: u64,
    /// Rows refused so far.
    pub refused: u64,
}

/// Why a file could not be read to an answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Whoever watches has said stop.
    #[error("the import was cancelled")]
    Cancelled,
    /// The spooled file or the scratch space failed.
    #[error("the import's temporary files failed: {0}")]
    Scratch(String),
}

/// Told now and then how far it is; answers whether to go on.
pub type Watch<'a> = dyn FnMut(ScheduleProgress) -> bool + 'a;

/// Reads schedule files. It blocks: call it on a thread of its own.
pub trait ScheduleReader: Send + Sync {
    /// Whether `map` names columns that exist; otherwise what is wrong with it, in words.
    fn check_map(&self, map: &[(String, String)]) -> Result<(), String>;

    /// Reads the whole file, keeping what does not fit into a few MiB in the folder `scratch`. What is wrong with the
    /// file is in the [`Schedule`]; an error is never the file's fault.
    fn read(
        &self,
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn Schedule>, ScheduleError>;
}

/// A file that was read. Everything in it may be larger than memory, so it is walked, not held.
pub trait Schedule {
    /// The term of its sections; none when it brings events, or was refused as a whole.
    fn term(&self) -> Option<&TermId>;
    /// Whether it brings events instead of sections.
    fn brings_events(&self) -> bool;
    /// Whether the file as a whole cannot be taken, not even in part; the errors say why.
    fn refused_as_a_whole(&self) -> bool;
    /// Rows of the file below its header, blank ones not counted.
    fn rows(&self) -> u64;
    /// Rows that are refused.
    fn refused(&self) -> u64;
    /// Sections (or events) that can be taken.
    fn sections(&self) -> u64;
    /// How many findings of this kind there are.
    fn findings_total(&self, severity: Severity) -> u64;
    /// How many conflicts there are.
    fn conflicts_total(&self) -> u64;
    /// Walks the findings of a kind in order of line, at most `limit` of them.
    fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError>;
    /// The first `limit` conflicts, in order of line.
    fn conflicts(&self, limit: u64) -> Result<Vec<Conflict>, ScheduleError>;
    /// Walks the sections that can be taken, in order of CRN. One with a refused row is not among them.
    fn each_section(&self, f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
    /// Whether the file has a row of this CRN, taken or refused.
    fn names(&self, crn: &Crn) -> Result<bool, ScheduleError>;
    /// Walks the events that can be taken.
    fn each_event(&self, f: &mut dyn FnMut(Event) -> Result<(), ScheduleError>) -> Result<(), ScheduleError>;
}
