//! Reads files with facts about students. Several rows of one student are merged.
//!
//! - `columns`: recognizes the header; `cells`: reads one cell; `merge`: merges the rows of a student

mod cells;
mod columns;
mod merge;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use jiff::civil::Date;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, FileColumn, Finding, Skipped, Table};
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::SkipReason;
use crate::imports::schedule::{
    FileSection, Schedule, ScheduleError, ScheduleOptions, ScheduleProgress, Severity, Watch,
};
use crate::imports::spreadsheet::kind::{self, Kind};

use crate::imports::csv::ERRORS_MAX;
use crate::imports::csv::input::Input;
use crate::imports::csv::oneroster::roster::{self, Roster};
use crate::imports::csv::source::{RecordSource, unreadable};
use crate::imports::csv::survey::{HEADER_ROWS_MAX, text_of};

use columns::{COLUMNS, ColumnMap, Header, StudentColumn};
use merge::Merge;

pub(in crate::imports) use merge::Students;

/// The maximum number of students in a file: as many as the largest community colleges have. One command to each term
/// changes all of them, and registrations wait for it.
pub(super) const STUDENTS_MAX: usize = 50_000;
/// The maximum number of rows of a file: twenty courses of each student. They are held in memory.
pub(super) const ROWS_MAX: u64 = 1_000_000;
/// The number of rows between two reports of progress.
const WATCH_INTERVAL_ROWS: u64 = 200;
/// The maximum number of columns that a task describes.
const DESCRIBED_COLUMNS_MAX: usize = 300;

/// Checks a map of column names.
///
/// # Errors
/// When a column does not exist or appears twice. The error is text for the caller.
pub(in crate::imports) fn check_map(map: &[(String, String)]) -> Result<(), String> {
    columns::parse_map(map).map(drop)
}

/// The result of reading a file.
#[derive(Default)]
pub(in crate::imports) struct StudentFile {
    table: Option<Table>,
    skipped: Vec<Skipped>,
    rows: u64,
    rejected_rows: u64,
    is_rejected: bool,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    students: Students,
    /// The bundle, without its students, if the file is one.
    roster: Option<Roster>,
}

impl StudentFile {
    /// Returns the students without a rejected row, and what the file states about each; and the bundle with their
    /// enrollments, if the file is one.
    pub(in crate::imports) fn into_parts(self) -> (Students, Option<Roster>) {
        (self.students, self.roster)
    }

    fn of_roster(mut roster: Roster) -> Self {
        let is_rejected = !roster.errors.is_empty();
        let students = if is_rejected { BTreeMap::new() } else { std::mem::take(&mut roster.students) };
        Self {
            rows: roster.rows,
            is_rejected,
            errors: std::mem::take(&mut roster.errors),
            warnings: std::mem::take(&mut roster.warnings),
            students: Students::with_added(students),
            roster: Some(roster),
            ..Self::default()
        }
    }

    /// Returns the number of students that can be imported.
    pub(in crate::imports) fn students(&self) -> u64 {
        self.students.len() as u64
    }

    fn reject(mut self, line: u64, kind: &FindingKind) -> Self {
        self.is_rejected = true;
        self.errors.push(kind.of_line(line.max(1)));
        self
    }
}

/// Reads a file, which may be a OneRoster bundle. Errors of the file are part of the result.
pub(in crate::imports) fn read(
    file: &Path,
    scratch: &Path,
    options: &ScheduleOptions,
    today: Date,
    watch: &mut Watch<'_>,
) -> Result<StudentFile, ScheduleError> {
    let mut opened = File::open(file)?;
    if kind::detect(&mut opened)? == Kind::Zip && roster::is_roster(&opened)? {
        return Ok(StudentFile::of_roster(roster::read(&opened, today, watch)?));
    }
    let map = columns::parse_map(&options.map).map_err(ScheduleError::Scratch)?;
    let score =
        |rows: &[(u64, csv::StringRecord)]| find_header(rows, &map, options.header_line).map_or(0, |(_, len)| len);
    let input = match Input::open_with(file, scratch, options, &score, watch)? {
        Ok(input) => input,
        Err((row, kind)) => return Ok(StudentFile::default().reject(row, &kind)),
    };
    let source = input.records_with(&|names| Header::read(names, &map).len())?;
    read_records(&source, options, &map, watch)
}

/// Finds the header among the first rows: the first one at or below the chosen line, otherwise the one with the most
/// known columns. Returns its index and the number of its known columns.
fn find_header(rows: &[(u64, csv::StringRecord)], map: &ColumnMap, line: Option<u64>) -> Option<(usize, usize)> {
    let known = |record: &csv::StringRecord| Header::read(&record.iter().collect::<Vec<_>>(), map).len();
    if let Some(line) = line {
        return rows.iter().position(|(at, _)| *at >= line).map(|at| (at, known(&rows[at].1)));
    }
    let scored = rows.iter().take(HEADER_ROWS_MAX).enumerate().map(|(at, (_, record))| (at, known(record)));
    // The first of several equal ones.
    scored.rev().max_by_key(|(_, known)| *known).filter(|(_, known)| *known > 0)
}

fn read_records(
    source: &RecordSource<'_>,
    options: &ScheduleOptions,
    map: &ColumnMap,
    watch: &mut Watch<'_>,
) -> Result<StudentFile, ScheduleError> {
    let mut result = StudentFile::default();
    let mut first: Vec<(u64, csv::StringRecord)> = Vec::new();
    let (mut records, lines) = source.open()?;
    let mut record = csv::StringRecord::new();
    let mut broken = None;
    let until = options.header_line.unwrap_or(0);
    while first.len() < HEADER_ROWS_MAX || first.last().is_some_and(|(line, _)| *line < until) {
        match records.read_record(&mut record) {
            Ok(true) => first.push((lines.take(), record.clone())),
            Ok(false) => break,
            Err(error) => {
                broken = Some(unreadable(error)?);
                break;
            }
        }
    }
    let Some((at, _)) = find_header(&first, map, options.header_line) else {
        let kind = broken.map_or_else(no_user_column, FindingKind::from);
        return Ok(result.reject(broken.map_or(1, |error| error.line), &kind));
    };
    let names: Vec<&str> = first[at].1.iter().collect();
    let header = Header::read(&names, map);
    result.table = Some(table(source, &names, &header, first[at].0));
    let above = first[..at].iter().filter(|(_, record)| record.iter().any(|cell| !cell.trim().is_empty()));
    result.skipped = above.map(|(line, record)| SkipReason::AboveHeader.skipped(*line, text_of(record))).collect();
    if !header.has(StudentColumn::User) {
        return Ok(result.reject(first[at].0, &no_user_column()));
    }
    let mut merge = Merge::new(&header, &names, options);
    for (line, record) in &first[at + 1..] {
        merge.add(*line, record);
    }
    while broken.is_none() && merge.rows <= ROWS_MAX && merge.errors.len() < ERRORS_MAX as usize {
        match records.read_record(&mut record) {
            Ok(true) => merge.add(lines.take(), &record),
            Ok(false) => break,
            Err(error) => broken = Some(unreadable(error)?),
        }
        if merge.rows.is_multiple_of(WATCH_INTERVAL_ROWS) {
            let progress = ScheduleProgress { rows: merge.rows, bytes: records.bytes(), rejected: merge.rejected_rows };
            if !watch(progress) {
                return Err(ScheduleError::Cancelled);
            }
        }
    }
    let too_many = (merge.rows > ROWS_MAX || merge.students_len() > STUDENTS_MAX)
        .then_some(FindingKind::TooManyStudents { max: STUDENTS_MAX, rows: ROWS_MAX });
    merge.finish(&mut result);
    if let Some(error) = broken {
        return Ok(result.reject(error.line, &error.into()));
    }
    Ok(match too_many {
        Some(kind) => result.reject(1, &kind),
        None => result,
    })
}

fn no_user_column() -> FindingKind {
    FindingKind::NoUserColumn { names: COLUMNS[0].1.join(", ") }
}

/// Describes the table for staff, without texts from rows, because tasks are stored and the rows are about people.
fn table(source: &RecordSource<'_>, names: &[&str], header: &Header, header_line: u64) -> Table {
    let columns = names.iter().enumerate().take(DESCRIBED_COLUMNS_MAX).map(|(at, name)| FileColumn {
        index: at as u64 + 1,
        name: name.trim().to_owned(),
        field: header.column_of(at).map(|column| column.name().to_owned()),
        samples: Vec::new(),
    });
    let text = source.text();
    Table {
        header_line,
        delimiter: text.map(|(delimiter, _)| delimiter.to_string()),
        encoding: text.map(|(_, encoding)| encoding.to_owned()),
        sheet: source.sheet().map(|sheet| sheet.name.clone()),
        sheets: source.sheet().map(|sheet| sheet.sheets.clone()).unwrap_or_default(),
        columns: columns.collect(),
        profile: None,
        first_rows: Vec::new(),
        missing_fields: Vec::new(),
    }
}

/// A file without sections, so that its findings are reported as those of a schedule.
impl Schedule for StudentFile {
    fn term(&self) -> Option<&TermId> {
        None
    }
    fn contains_events(&self) -> bool {
        false
    }
    fn is_rejected(&self) -> bool {
        self.is_rejected
    }
    fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }
    fn skipped(&self) -> (&[Skipped], u64) {
        (&self.skipped, self.skipped.len() as u64)
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn rejected_rows(&self) -> u64 {
        self.rejected_rows
    }
    fn sections(&self) -> u64 {
        0
    }
    fn findings_total(&self, severity: Severity) -> u64 {
        self.findings(severity).len() as u64
    }
    fn conflicts_total(&self) -> u64 {
        0
    }
    fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.findings(severity).iter().take(limit).cloned().try_for_each(f)
    }
    fn conflicts(&self, _limit: u64) -> Result<Vec<Conflict>, ScheduleError> {
        Ok(Vec::new())
    }
    fn each_section(&self, _f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>) -> Result<(), ScheduleError> {
        Ok(())
    }
    fn section(&self, _crn: &Crn) -> Result<Option<FileSection>, ScheduleError> {
        Ok(None)
    }
    fn contains_crn(&self, _crn: &Crn) -> Result<bool, ScheduleError> {
        Ok(false)
    }
    fn each_event(&self, _f: &mut dyn FnMut(Event) -> Result<(), ScheduleError>) -> Result<(), ScheduleError> {
        Ok(())
    }
}

impl StudentFile {
    fn findings(&self, severity: Severity) -> &[Finding] {
        match severity {
            Severity::Error => &self.errors,
            Severity::Warning => &self.warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use rust_xlsxwriter::Workbook;

    use super::*;
    use crate::imports::schedule::ProfileOptions;

    #[test]
    fn the_sheet_of_a_workbook_with_students_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upload.csv");
        let mut book = Workbook::new();
        book.add_worksheet().set_name("Notes").unwrap().write(0, 0, "About this file").unwrap();
        let sheet = book.add_worksheet().set_name("Students").unwrap();
        let rows = [["user", "credit_limit", "completed"], ["ann", "18", "MATH 141: B"], ["bob", "12", ""]];
        for (row, cells) in (0..).zip(rows) {
            for (column, cell) in (0..).zip(cells) {
                sheet.write(row, column, cell).unwrap();
            }
        }
        book.save(&file).unwrap();
        let options = ScheduleOptions {
            term: None,
            map: Vec::new(),
            sheet: None,
            profiles: ProfileOptions::default(),
            header_line: None,
            clock: None,
            zone: TimeZone::UTC,
        };
        let read = read(&file, folder.path(), &options, Date::ZERO, &mut |_| true).unwrap();
        assert_eq!((read.students(), read.rows, read.errors.len()), (2, 2, 0), "{:?}", read.errors);
        assert_eq!(read.table.and_then(|table| table.sheet).as_deref(), Some("Students"));
    }
}
