//! Reads one file: the header, the rows, then sections and conflicts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use rusqlite::params;

use crate::domain::ids::TermId;
use crate::domain::import::Finding;
use crate::imports::schedule::{ScheduleError, ScheduleOptions, ScheduleProgress, Severity, Watch};

use crate::imports::csv::columns::{Column, ExtraNames, Header};
use crate::imports::csv::encoding::{self, Encoding};
use crate::imports::csv::guard::{RecordGuard, RecordLines, Unreadable};
use crate::imports::csv::parsed::Parsed;
use crate::imports::csv::row::{self, Cells};
use crate::imports::csv::scratch::{Scratch, signed};
use crate::imports::csv::{ERRORS_MAX, EVENTS_MAX, SECTIONS_MAX, conflicts, dialect, event, merge};

/// The number of rows between two progress reports.
const PROGRESS_INTERVAL_ROWS: u64 = 200;
/// The maximum number of terms that an error message lists.
const LISTED_TERMS_MAX: usize = 10;

type Records = csv::Reader<RecordGuard<Box<dyn Read>>>;

/// The state while a file is read.
struct Reading<'r, 'w> {
    options: &'r ScheduleOptions,
    header: Header,
    parsed: Parsed,
    terms: Terms,
    bytes: u64,
    watch: &'r mut Watch<'w>,
}

/// The terms in the rows of a file.
#[derive(Default)]
struct Terms {
    /// The terms of the rows, if the upload has none; at most one more than [`LISTED_TERMS_MAX`].
    seen: BTreeSet<TermId>,
    /// Whether a warning about rows of another term was added.
    has_warned: bool,
}

/// Reads a file. Errors of the file are part of the result.
pub(super) fn read(
    file: &Path,
    scratch: &Path,
    options: &ScheduleOptions,
    extra: &ExtraNames,
    map: &[(String, Column)],
    watch: &mut Watch<'_>,
) -> Result<Parsed, ScheduleError> {
    let mut parsed = Parsed {
        scratch: Scratch::create(scratch)?,
        term: None,
        contains_events: false,
        is_rejected: false,
        rows: 0,
        rejected: 0,
        sections: 0,
        conflicts: 0,
    };
    let mut file = File::open(file)?;
    let encoding = encoding::detect(&mut file)?;
    if encoding == Encoding::Utf16 {
        reject(&mut parsed, 1, "The file is UTF-16: save it as \"CSV UTF-8\"")?;
        return Ok(parsed);
    }
    let starts = RecordLines::default();
    let mut records = records(file, encoding, extra, &starts)?;
    let mut record = csv::StringRecord::new();
    let header = match records.read_record(&mut record) {
        Ok(true) => Header::read(record.iter(), extra, map),
        Ok(false) => Err("The file is empty".to_owned()),
        Err(e) => Err(unreadable(e)?.to_string()),
    };
    let line = starts.take().max(1);
    let (header, warnings) = match header {
        Ok(header) => header,
        Err(message) => {
            reject(&mut parsed, line, message)?;
            return Ok(parsed);
        }
    };
    for message in warnings {
        parsed.scratch.add_finding(Severity::Warning, &Finding { line, column: None, value: None, message })?;
    }
    parsed.contains_events = header.is_event_header();
    if !parsed.contains_events {
        for message in header_errors(&header, options) {
            reject(&mut parsed, line, message)?;
        }
        if parsed.is_rejected {
            return Ok(parsed);
        }
    }
    let mut reading = Reading { options, header, parsed, terms: Terms::default(), bytes: 0, watch };
    reading.rows(&mut records, &mut record, &starts)?;
    reading.finish(line)
}

fn records(file: File, encoding: Encoding, extra: &ExtraNames, starts: &RecordLines) -> Result<Records, ScheduleError> {
    let mut head = Vec::with_capacity(dialect::HEAD_BYTES);
    let mut text = encoding::utf8(file.try_clone()?, encoding)?;
    text.by_ref().take(dialect::HEAD_BYTES as u64).read_to_end(&mut head)?;
    let dialect = dialect::sniff(&head, extra);
    let mut text = encoding::utf8(file, encoding)?;
    let mut skipped = 0;
    if dialect.sep_line {
        let mut lines = BufReader::new(text);
        let mut line = Vec::new();
        while !line.starts_with(b"sep=") && !line.starts_with(b"SEP=") && !line.starts_with(b"Sep=") {
            line.clear();
            skipped += 1;
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
        }
        text = Box::new(lines);
    }
    let guard = RecordGuard::new(text, dialect.delimiter, skipped + 1, starts.clone());
    Ok(csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(dialect.delimiter).from_reader(guard))
}

/// Returns the errors in the header that prevent reading the rows.
fn header_errors(header: &Header, options: &ScheduleOptions) -> Vec<String> {
    let mut errors = header.missing_columns();
    if header.names().iter().any(|n| n.contains('\0')) {
        errors = vec!["The file contains NUL bytes: it is not a CSV file".to_owned()];
    } else if !header.has(Column::Term) && options.term.is_none() {
        errors.push("The file has no column `term`: set the term with ?term=".to_owned());
    }
    errors
}

/// Rejects the whole file.
fn reject(parsed: &mut Parsed, line: u64, message: impl Into<String>) -> Result<(), ScheduleError> {
    parsed.is_rejected = true;
    parsed.scratch.add_finding(Severity::Error, &Finding { line, column: None, value: None, message: message.into() })
}

/// Returns the guard's error. Any other error is not caused by the contents of the file.
fn unreadable(error: csv::Error) -> Result<Unreadable, ScheduleError> {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => match e.get_ref().and_then(|e| e.downcast_ref::<Unreadable>()) {
            Some(broken) => Ok(*broken),
            None => Err(e.into()),
        },
        other => Err(ScheduleError::Scratch(format!("{other:?}"))),
    }
}

impl Terms {
    /// Records the row's term. If the upload has a term, that takes precedence, and the first row with another term
    /// gets a warning.
    fn check(&mut self, cells: &mut Cells<'_>, upload_term: Option<&TermId>) {
        let Some(upload_term) = upload_term else {
            if let Some(term) = row::term(cells)
                && self.seen.len() <= LISTED_TERMS_MAX
            {
                self.seen.insert(term);
            }
            return;
        };
        let row_term = cells.get(Column::Term);
        if !self.has_warned && !row_term.is_empty() && row_term != upload_term.as_str() {
            self.has_warned = true;
            let message = format!("The file names another term: all rows are imported into {upload_term}");
            cells.add_finding(Severity::Warning, Some(Column::Term), message);
        }
    }
}

impl Reading<'_, '_> {
    fn report_progress(&mut self) -> Result<(), ScheduleError> {
        let progress = ScheduleProgress { rows: self.parsed.rows, bytes: self.bytes, rejected: self.parsed.rejected };
        if (self.watch)(progress) { Ok(()) } else { Err(ScheduleError::Cancelled) }
    }

    fn rows(
        &mut self,
        records: &mut Records,
        record: &mut csv::StringRecord,
        starts: &RecordLines,
    ) -> Result<(), ScheduleError> {
        loop {
            match records.read_record(record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) => {
                    let error = unreadable(e)?;
                    return reject(&mut self.parsed, error.line, error.to_string());
                }
            }
            let line = starts.take();
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            self.bytes = records.position().byte();
            self.row(record, line)?;
            if self.parsed.rows.is_multiple_of(PROGRESS_INTERVAL_ROWS) {
                self.report_progress()?;
            }
            if self.parsed.scratch.findings_total(Severity::Error) >= ERRORS_MAX {
                let message = format!("The file has {ERRORS_MAX} errors up to this line: the rest was not read");
                return reject(&mut self.parsed, line, message);
            }
        }
    }

    fn row(&mut self, record: &csv::StringRecord, line: u64) -> Result<(), ScheduleError> {
        self.parsed.rows += 1;
        let mut cells = Cells::new(&self.header, record, line);
        let well_formed = is_well_formed(&mut cells, record, &self.header);
        if self.parsed.contains_events {
            let event = if well_formed { event::read(&mut cells, &self.options.zone) } else { None };
            let mut findings = cells.findings;
            match event {
                Some(event) => {
                    if let Some(first) = self.parsed.add_event(line, &event)? {
                        let message =
                            format!("Line {first} has the same event with other details: line {first} is imported");
                        findings.push((Severity::Warning, Finding { line, column: None, value: None, message }));
                    }
                }
                None => self.parsed.rejected += 1,
            }
            return add_findings(&self.parsed.scratch, &findings);
        }
        let crn = if well_formed { row::crn(&mut cells) } else { None };
        if well_formed {
            self.terms.check(&mut cells, self.options.term.as_ref());
        }
        let row = crn.as_ref().map(|_| row::read(&mut cells));
        let has_errors = cells.has_errors();
        add_findings(&self.parsed.scratch, &cells.findings)?;
        match (crn, row) {
            (Some(crn), Some(row)) if !has_errors => {
                let body = serde_json::to_string(&row)?;
                let mut insert = self.parsed.scratch.db.prepare_cached("INSERT INTO row VALUES(?,?,?)")?;
                insert.execute(params![crn.as_str(), signed(line), body])?;
            }
            (crn, _) => {
                self.parsed.rejected += 1;
                if let Some(crn) = crn {
                    self.parsed.scratch.reject(crn.as_str(), line)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, header_line: u64) -> Result<Parsed, ScheduleError> {
        if self.parsed.rows == 0 && !self.parsed.is_rejected {
            reject(&mut self.parsed, header_line, "The file has no rows below its header")?;
        }
        if self.terms.seen.len() > 1 {
            let more = if self.terms.seen.len() > LISTED_TERMS_MAX { " and more" } else { "" };
            let listed: Vec<_> = self.terms.seen.iter().take(LISTED_TERMS_MAX).map(TermId::as_str).collect();
            let message = format!(
                "The file has several terms ({}{more}): upload one file per term, or set the term with ?term=",
                listed.join(", ")
            );
            reject(&mut self.parsed, header_line, message)?;
        }
        if self.parsed.contains_events && self.parsed.sections > EVENTS_MAX {
            let message = format!("A file can have at most {EVENTS_MAX} events: split the file");
            reject(&mut self.parsed, header_line, message)?;
        }
        self.report_progress()?;
        if self.parsed.is_rejected || self.parsed.contains_events {
            return Ok(self.parsed);
        }
        self.parsed.term = self.options.term.clone().or_else(|| self.terms.seen.pop_first());
        let progress = ScheduleProgress { rows: self.parsed.rows, bytes: self.bytes, rejected: self.parsed.rejected };
        let mut steps = 0_u64;
        let mut check_cancelled = || {
            steps += 1;
            if !steps.is_multiple_of(PROGRESS_INTERVAL_ROWS) || (self.watch)(progress) {
                Ok(())
            } else {
                Err(ScheduleError::Cancelled)
            }
        };
        let sections = merge::merge(&self.parsed.scratch, &self.header, &mut check_cancelled)?;
        conflicts::sweep(&self.parsed.scratch, &mut check_cancelled)?;
        self.parsed.conflicts = conflicts::total(&self.parsed.scratch)?;
        self.parsed.sections = sections;
        if sections > SECTIONS_MAX {
            let message = format!("A term can have at most {SECTIONS_MAX} sections; the file has {sections}");
            reject(&mut self.parsed, header_line, message)?;
        }
        Ok(self.parsed)
    }
}

fn add_findings(scratch: &Scratch, findings: &[(Severity, Finding)]) -> Result<(), ScheduleError> {
    findings.iter().try_for_each(|(severity, finding)| scratch.add_finding(*severity, finding))
}

/// Checks that a record has as many cells as the header, or more that are blank, and that they contain text.
fn is_well_formed(cells: &mut Cells<'_>, record: &csv::StringRecord, header: &Header) -> bool {
    let expected = header.names().len();
    let extra = record.iter().skip(expected).any(|cell| !cell.trim().is_empty());
    if record.len() < expected || extra {
        let message = format!("The row has {} cells, but the header has {expected}", record.len());
        cells.add_finding(Severity::Error, None, message);
        return false;
    }
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    if let Some(at) = record.iter().position(|cell| cell.contains(control)) {
        let (name, value) = (header.names().get(at), record.get(at).unwrap_or_default());
        cells.add_error_at(name, value, "The cell contains a control character, such as NUL");
        return false;
    }
    true
}
