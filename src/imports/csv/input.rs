//! Opens a file: recognizes its kind, detects the encoding of text, and copies the sheet of a workbook.

use std::fs::File;
use std::path::Path;

use crate::imports::schedule::{ScheduleError, ScheduleOptions, ScheduleProgress, Watch};
use crate::imports::spreadsheet::kind::{self, Kind};
use crate::imports::spreadsheet::sheet::{self, Choice, FirstRows, SheetCopy};
use crate::imports::spreadsheet::stop::Stop;

use crate::imports::csv::columns::{Column, ExtraNames};
use crate::imports::csv::dialect;
use crate::imports::csv::encoding::{self, Encoding};
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
    /// Opens a file. The error is a message about the file, and the row that it concerns, or 0.
    pub(super) fn open(
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        (extra, map): (&ExtraNames, &[(String, Column)]),
        watch: &mut Watch<'_>,
    ) -> Result<Result<Self, (u64, String)>, ScheduleError> {
        Self::open_with(file, scratch, options, &|rows| known_columns(rows, options, extra, map), watch)
    }

    /// Opens a file as [`Self::open`] does. `score` returns the number of known columns in the header among the first rows.
    pub(super) fn open_with(
        file: &Path,
        scratch: &Path,
        options: &ScheduleOptions,
        score: &dyn Fn(&FirstRows) -> usize,
        watch: &mut Watch<'_>,
    ) -> Result<Result<Self, (u64, String)>, ScheduleError> {
        let mut file = File::open(file)?;
        let content = match kind::detect(&mut file)? {
            Kind::Text => Content::Text(encoding::detect(&mut file)?),
            Kind::Foreign(foreign) => return Ok(Err((0, foreign.message().to_owned()))),
            kind @ (Kind::Zip | Kind::Compound) => match copy_sheet(&file, kind, scratch, options, score, watch) {
                Ok(copy) => Content::Sheet(copy),
                Err(Stop::Refused(row, message)) => return Ok(Err((row, message))),
                Err(Stop::Failed(error)) => return Err(error),
            },
        };
        Ok(Ok(Self { file, content }))
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
    let mut tick = || if watch(ScheduleProgress::default()) { Ok(()) } else { Err(ScheduleError::Cancelled) };
    sheet::copy(file, kind, scratch, &choice, &mut tick)
}

/// Returns a warning that lists the sheets that are not imported, if they may contain a schedule, too.
pub(super) fn warning_about_other_sheets(sheet: &SheetCopy) -> Option<String> {
    let SheetCopy { name, others, .. } = sheet;
    let listed = sheet::listed(others);
    (!others.is_empty()).then(|| {
        format!(
            "Only the sheet \"{name}\" is imported. Other sheets may also contain a schedule: {listed}. To import \
             one of them, choose it and check the file again"
        )
    })
}
