//! The findings of a file, for the report of its import.

mod spanish;

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::domain::ids::TermId;
use crate::domain::import::{Conflict, Finding, Skipped, Table, TaskReport};
use crate::domain::language::Language;
use crate::imports::schedule::{Schedule, ScheduleError, Severity};
use crate::imports::task::LIST_LEN_MAX;
use crate::imports::{Imports, Inner};
use crate::private_files;
use crate::text::csv_text::escape_cell;

/// What was found in a file: the first findings of each kind and their totals, the table, and the numbers of rows and
/// sections.
pub(super) struct Found {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    conflicts: Vec<Conflict>,
    skipped: Vec<Skipped>,
    /// The totals of errors, warnings, conflicts and skipped lines.
    totals: [u64; 4],
    table: Option<Table>,
    term: Option<TermId>,
    rows: u64,
    rejected: u64,
    sections: u64,
    contains_events: bool,
}

/// The names of the columns in the list of all errors.
pub(super) const COLUMNS: [&str; 4] = ["line", "column", "value", "message"];
/// The names of these columns in Spanish.
pub(super) const SPANISH_COLUMNS: [&str; 4] = ["línea", "columna", "valor", "problema"];

/// Returns the path of the list of all errors in Spanish, beside the one in English.
fn in_spanish(errors_file: &Path) -> PathBuf {
    let name = errors_file.file_name().unwrap_or_default().to_string_lossy();
    // The id of a task has no dots.
    errors_file.with_file_name(name.replacen('.', ".es.", 1))
}

/// Removes the lists of all errors of a task.
pub(super) fn remove(errors_file: &Path) {
    // An import that ended before its findings were collected has no such files.
    let _ = std::fs::remove_file(in_spanish(errors_file));
    let _ = std::fs::remove_file(errors_file);
}

impl Imports {
    /// Deletes the lists of errors of tasks that were deleted from the store.
    pub fn delete_errors(&self, tasks: &[String]) {
        for task in tasks {
            remove(&self.inner.errors_path(task));
        }
    }
}

impl Inner {
    /// Returns the path of the file with all errors of a task; `None` if this hub has not read the file of the import. An
    /// earlier version wrote no list in Spanish; the one in English is returned then.
    pub(super) fn errors_file(&self, id: &str, language: Language) -> Option<PathBuf> {
        // An id from a request becomes part of a path only if it is a UUID.
        Uuid::parse_str(id).ok()?;
        let english = Some(self.errors_path(id)).filter(|path| path.is_file())?;
        match language {
            Language::English => Some(english),
            Language::Spanish => {
                let spanish = in_spanish(&english);
                Some(if spanish.is_file() { spanish } else { english })
            }
        }
    }
}

/// The list of all errors in one language.
struct ErrorList(csv::Writer<BufWriter<File>>);

impl ErrorList {
    /// Opens a list. A new one gets a header.
    fn open(options: &OpenOptions, path: &Path, header: Option<[&str; 4]>) -> Result<Self, ScheduleError> {
        let file = options.open(path).map_err(|e| ScheduleError::Scratch(e.to_string()))?;
        let mut csv = csv::Writer::from_writer(BufWriter::new(file));
        header.map_or(Ok(()), |names| csv.write_record(names)).map_err(|e| failed(&e))?;
        Ok(Self(csv))
    }

    fn add(&mut self, error: &Finding, message: &str) -> Result<(), ScheduleError> {
        let column = error.column.as_deref().unwrap_or_default();
        let value = error.value.as_deref().unwrap_or_default();
        let line = error.line.to_string();
        self.0
            .write_record([&line, &*escape_cell(column), &*escape_cell(value), &*escape_cell(message)])
            .map_err(|e| failed(&e))
    }
}

/// The lists of all errors in each language of the pages.
struct ErrorLists {
    english: ErrorList,
    spanish: ErrorList,
}

impl ErrorLists {
    fn create(errors_file: &Path) -> Result<Self, ScheduleError> {
        let mut options = private_files::options();
        options.write(true).create(true).truncate(true);
        Ok(Self {
            english: ErrorList::open(&options, errors_file, Some(COLUMNS))?,
            spanish: ErrorList::open(&options, &in_spanish(errors_file), Some(SPANISH_COLUMNS))?,
        })
    }

    fn append_to(errors_file: &Path) -> Result<Self, ScheduleError> {
        let mut options = private_files::options();
        options.append(true);
        Ok(Self {
            english: ErrorList::open(&options, errors_file, None)?,
            spanish: ErrorList::open(&options, &in_spanish(errors_file), None)?,
        })
    }

    fn add(&mut self, error: &Finding) -> Result<(), ScheduleError> {
        let translated = error.coded.as_ref().and_then(spanish::text);
        self.spanish.add(error, translated.as_deref().unwrap_or(&error.message))?;
        self.english.add(error, &error.message)
    }

    fn finish(mut self) -> Result<(), ScheduleError> {
        for list in [&mut self.english, &mut self.spanish] {
            list.0.flush().map_err(|e| ScheduleError::Scratch(e.to_string()))?;
        }
        Ok(())
    }
}

fn failed(error: &csv::Error) -> ScheduleError {
    ScheduleError::Scratch(error.to_string())
}

/// Collects the first findings, and writes all errors to a file for each language.
pub(super) fn collect(schedule: &dyn Schedule, errors_file: &Path) -> Result<Found, ScheduleError> {
    let mut lists = ErrorLists::create(errors_file)?;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    schedule.each_finding(Severity::Error, u64::MAX, &mut |finding| {
        lists.add(&finding)?;
        if errors.len() < LIST_LEN_MAX {
            errors.push(finding);
        }
        Ok(())
    })?;
    lists.finish()?;
    schedule.each_finding(Severity::Warning, LIST_LEN_MAX as u64, &mut |finding| {
        warnings.push(finding);
        Ok(())
    })?;
    let (skipped, skipped_total) = schedule.skipped();
    Ok(Found {
        errors,
        warnings,
        conflicts: schedule.conflicts(LIST_LEN_MAX as u64)?,
        skipped: skipped.to_vec(),
        totals: [
            schedule.findings_total(Severity::Error),
            schedule.findings_total(Severity::Warning),
            schedule.conflicts_total(),
            skipped_total,
        ],
        table: schedule.table().cloned(),
        term: schedule.term().cloned(),
        rows: schedule.rows(),
        rejected: schedule.rejected_rows(),
        sections: schedule.sections(),
        contains_events: schedule.contains_events(),
    })
}

/// Adds errors to the files that [`collect`] wrote.
pub(super) fn append(errors: &[Finding], errors_file: &Path) -> Result<(), ScheduleError> {
    let mut lists = ErrorLists::append_to(errors_file)?;
    errors.iter().try_for_each(|error| lists.add(error))?;
    lists.finish()
}

impl Found {
    /// Puts the findings into the report of their import.
    pub(super) fn put_into(self, report: &mut TaskReport) {
        [report.errors_total, report.warnings_total, report.conflicts_total, report.skipped_total] = self.totals;
        (report.errors, report.warnings, report.conflicts) = (self.errors, self.warnings, self.conflicts);
        report.skipped = self.skipped;
        (report.rows, report.refused, report.sections) = (self.rows, self.rejected, self.sections);
        report.events = self.contains_events;
        report.bytes = report.bytes_total;
        if let Some(table) = self.table {
            report.columns = table.columns;
            (report.first_rows, report.missing_fields) = (table.first_rows, table.missing_fields);
            report.profile = table.profile;
            report.header_line = Some(table.header_line);
            (report.delimiter, report.encoding) = (table.delimiter, table.encoding);
            (report.sheet, report.sheets) = (table.sheet, table.sheets);
        }
        if self.term.is_some() {
            report.term = self.term;
        }
    }
}
