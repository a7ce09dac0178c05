//! What reading a file found, for the report of its import.

use std::io::BufWriter;
use std::path::Path;

use crate::domain::ids::TermId;
use crate::domain::import::{Conflict, Finding, Skipped, Table, TaskReport};
use crate::imports::schedule::{Schedule, ScheduleError, Severity};
use crate::imports::task::LIST_LEN_MAX;
use crate::private_files;
use crate::text::csv_text::escape_cell;

/// The first findings of each kind, and their totals.
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

/// Collects the first findings, and writes all errors to a file.
pub(super) fn collect(schedule: &dyn Schedule, errors_file: &Path) -> Result<Found, ScheduleError> {
    let io = |e: std::io::Error| ScheduleError::Scratch(e.to_string());
    let csv_error = |e: csv::Error| ScheduleError::Scratch(e.to_string());
    let mut options = private_files::options();
    let file = options.write(true).create(true).truncate(true).open(errors_file).map_err(io)?;
    let mut csv = csv::Writer::from_writer(BufWriter::new(file));
    csv.write_record(["line", "column", "value", "message"]).map_err(csv_error)?;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    schedule.each_finding(Severity::Error, u64::MAX, &mut |finding| {
        write_error(&mut csv, &finding).map_err(csv_error)?;
        if errors.len() < LIST_LEN_MAX {
            errors.push(finding);
        }
        Ok(())
    })?;
    csv.flush().map_err(io)?;
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

/// Adds errors to the file that [`collect`] wrote.
pub(super) fn append(errors: &[Finding], errors_file: &Path) -> Result<(), ScheduleError> {
    let failed = |e: std::io::Error| ScheduleError::Scratch(e.to_string());
    let file = private_files::options().append(true).open(errors_file).map_err(failed)?;
    let mut csv = csv::Writer::from_writer(BufWriter::new(file));
    errors.iter().try_for_each(|error| write_error(&mut csv, error)).map_err(|e| failed(e.into()))?;
    csv.flush().map_err(failed)
}

fn write_error(csv: &mut csv::Writer<impl std::io::Write>, error: &Finding) -> csv::Result<()> {
    let column = error.column.as_deref().unwrap_or_default();
    let value = error.value.as_deref().unwrap_or_default();
    let line = error.line.to_string();
    csv.write_record([&line, &*escape_cell(column), &*escape_cell(value), &*escape_cell(&error.message)])
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
