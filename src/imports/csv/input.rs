//! Opens a file: recognizes its kind, detects the encoding of text, and copies the sheet of a workbook or the classes of a
//! OneRoster bundle.

use std::fs::File;
use std::path::Path;

use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::{ScheduleError, ScheduleOptions, ScheduleProgress, Watch};
use crate::imports::spreadsheet::kind::{self, Kind};
use crate::imports::spreadsheet::sheet::{self, Choice, FirstRows, SheetCopy};
use crate::imports::spreadsheet::stop::Stop;

use crate::imports::csv::columns::{Column, ExtraNames};
use crate::imports::csv::dialect;
use crate::imports::csv::encoding::{self, Encoding};
use crate::imports::csv::oneroster::bundle;
use crate::imports::csv::source::RecordSource;
use crate::imports::csv::survey::{HEADER_ROWS_MAX, known_columns};

/// An open file.
pub(super) struct Input {
    file: File,
    content: Content,
}

/// What a file contains.
enum Content {
    Text(Encoding),
    Sheet(SheetCopy),
}

impl Input {
    /// Opens a file. If it cannot be imported, returns the row with the problem, or 0 for the whole file, and the
    /// problem.
    pub(super) fn open(
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        (extra, map): (&ExtraNames, &[(String, Column)]),
        watch: &mut Watch<'_>,
    ) -> Result<Result<Self, (u64, FindingKind)>, ScheduleError> {
        let score = |rows: &FirstRows| known_columns(rows, options, extra, map);
        Self::open_kind(file, scratch, options, (&score, true), watch)
    }

    /// Opens a file as [`Self::open`] does, but not a OneRoster bundle. `score` returns the number of known columns
    /// in the header among the first rows.
    pub(super) fn open_with(
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        score: &dyn Fn(&FirstRows) -> usize,
        watch: &mut Watch<'_>,
    ) -> Result<Result<Self, (u64, FindingKind)>, ScheduleError> {
        Self::open_kind(file, scratch, options, (score, false), watch)
    }

    /// Opens a file, which may be a OneRoster bundle if `accepts_bundles`.
    fn open_kind(
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        (score, accepts_bundles): (&dyn Fn(&FirstRows) -> usize, bool),
        watch: &mut Watch<'_>,
    ) -> Result<Result<Self, (u64, FindingKind)>, ScheduleError> {
        let mut file = File::open(file)?;
        let copy = match kind::detect(&mut file)? {
            Kind::Text => {
                let content = Content::Text(encoding::detect(&mut file)?);
                return Ok(Ok(Self { file, content }));
            }
            Kind::Foreign(foreign) => return Ok(Err((0, FindingKind::ForeignFile { file: foreign }))),
            Kind::Zip if accepts_bundles && bundle::is_bundle(&file)? => {
                bundle::read(&file, scratch, &mut ticking(watch))
            }
            kind @ (Kind::Zip | Kind::Compound) => copy_sheet(&file, kind, scratch, options, score, watch),
        };
        match copy {
            Ok(copy) => Ok(Ok(Self { file, content: Content::Sheet(copy) })),
            Err(Stop::Refused(row, kind)) => Ok(Err((row, kind))),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Returns the records of the file or the sheet.
    pub(super) fn records(&self, extra: &ExtraNames) -> Result<RecordSource<'_>, ScheduleError> {
        self.records_with(&|names| dialect::known_columns(names, extra))
    }

    /// Returns the records of the file or the sheet. `known` returns the number of known columns in a header.
    pub(super) fn records_with(&self, known: &dyn Fn(&[&str]) -> usize) -> Result<RecordSource<'_>, ScheduleError> {
        match &self.content {
            Content::Text(encoding) => RecordSource::new(&self.file, *encoding, known),
            Content::Sheet(sheet) => Ok(RecordSource::of_sheet(&self.file, sheet)),
        }
    }
}

/// Copies the rows of the sheet with the schedule.
fn copy_sheet(
    file: &File,
    kind: Kind,
    scratch: &Path,
    options: &ScheduleOptions,
    score: &dyn Fn(&FirstRows) -> usize,
    watch: &mut Watch<'_>,
) -> Result<SheetCopy, Stop> {
    let header_line = options.header_line.map_or(0, |line| usize::try_from(line).unwrap_or(usize::MAX));
    let choice = Choice { sheet: options.sheet.as_deref(), rows: header_line.max(HEADER_ROWS_MAX), score };
    sheet::copy(file, kind, scratch, &choice, &mut ticking(watch))
}

/// Returns a function that fails if the import was cancelled.
fn ticking(watch: &mut Watch<'_>) -> impl FnMut() -> Result<(), ScheduleError> {
    move || if watch(ScheduleProgress::default()) { Ok(()) } else { Err(ScheduleError::Cancelled) }
}

/// Returns warnings about what is not imported: other sheets, if they may contain a schedule, too, and parts of a bundle.
pub(super) fn warnings_about_other_parts(sheet: &SheetCopy) -> Vec<FindingKind> {
    let SheetCopy { name, others, notes, .. } = sheet;
    let about_sheets =
        (!others.is_empty()).then(|| FindingKind::OtherSheets { sheet: name.clone(), sheets: sheet::listed(others) });
    about_sheets.into_iter().chain(notes.iter().cloned()).collect()
}
