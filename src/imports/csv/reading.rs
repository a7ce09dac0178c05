//! The way through one file: header, rows, sections, conflicts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use rusqlite::params;

use crate::domain::ids::TermId;
use crate::domain::import::Finding;
use crate::imports::schedule::{ScheduleError, ScheduleOptions, ScheduleProgress, Severity, Watch};

use crate::imports::csv::columns::{Column, Extra, Header};
use crate::imports::csv::encoding::{self, Encoding};
use crate::imports::csv::guard::{Broken, Guard, Starts};
use crate::imports::csv::parsed::Parsed;
use crate::imports::csv::row::{self, Cells};
use crate::imports::csv::scratch::{Scratch, signed};
use crate::imports::csv::{ERRORS_MAX, EVENTS_MAX, SECTIONS_MAX, conflicts, dialect, event, merge};

/// How many rows pass between two looks at the watch.
const ROWS_BETWEEN_LOOKS: u64 = 200;
/// How many terms a refusal names.
const TERMS_NAMED_MAX: usize = 10;

type Records = csv::Reader<Guard<Box<dyn Read>>>;

/// One reading.
struct Reading<'r, 'w> {
    options: &'r ScheduleOptions,
    header: Header,
    parsed: Parsed,
    terms: Terms,
    bytes: u64,
    watch: &'r mut Watch<'w>,
}

/// The terms that rows name.
#[derive(Default)]
struct Terms {
    /// Those seen, where the rows say; one more than is named, at most.
    seen: BTreeSet<TermId>,
    /// Whether it was said that the rows' own do not count.
    told: bool,
}

/// Reads a file.
pub(super) fn read(
    file: &Path,
    scratch: &Path,
    options: &ScheduleOptions,
    extra: &Extra,
    map: &[(String, Column)],
    watch: &mut Watch<'_>,
) -> Result<Parsed, ScheduleError> {
    let mut parsed = Parsed {
        scratch: Scratch::create(scratch)?,
        term: None,
        brings_events: false,
        refused_as_a_whole: false,
        rows: 0,
        refused: 0,
        sections: 0,
        conflicts: 0,
    };
    let mut file = File::open(file)?;
    let encoding = encoding::detect(&mut file)?;
    if encoding == Encoding::Utf16 {
        refuse(&mut parsed, 1, "the file is UTF-16 text: save it as \"CSV UTF-8\"")?;
        return Ok(parsed);
    }
    let starts = Starts::default();
    let mut records = records(file, encoding, extra, &starts)?;
    let mut record = csv::StringRecord::new();
    let header = match records.read_record(&mut record) {
        Ok(true) => Header::read(record.iter(), extra, map),
        Ok(false) => Err("the file is empty".to_owned()),
        Err(e) => Err(broken(e)?.to_string()),
    };
    let line = starts.take().max(1);
    let (header, warnings) = match header {
        Ok(header) => header,
        Err(message) => {
            refuse(&mut parsed, line, message)?;
            return Ok(parsed);
        }
    };
    for message in warnings {
        parsed.scratch.note(Severity::Warning, &Finding { line, column: None, value: None, message })?;
    }
    parsed.brings_events = header.is_of_events();
    if !parsed.brings_events {
        for message in missing(&header, options) {
            refuse(&mut parsed, line, message)?;
        }
        if parsed.refused_as_a_whole {
            return Ok(parsed);
        }
    }
    let mut reading = Reading { options, header, parsed, terms: Terms::default(), bytes: 0, watch };
    reading.rows(&mut records, &mut record, &starts)?;
    reading.finish(line)
}

fn records(file: File, encoding: Encoding, extra: &Extra, starts: &Starts) -> Result<Records, ScheduleError> {
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
    let guard = Guard::new(text, dialect.delimiter, skipped + 1, starts.clone());
    Ok(csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(dialect.delimiter).from_reader(guard))
}

/// What is missing in the header, so that no row can be read.
fn missing(header: &Header, options: &ScheduleOptions) -> Vec<String> {
    let mut missing = header.missing_for_sections();
    if header.names().iter().any(|n| n.contains('\0')) {
        missing = vec!["the file has NUL bytes: it is not CSV text".to_owned()];
    } else if !header.has(Column::Term) && options.term.is_none() {
        missing.push("the file has no column `term`: name the term of the upload with ?term=".to_owned());
    }
    missing
}

/// Refuses the file as a whole.
fn refuse(parsed: &mut Parsed, line: u64, message: impl Into<String>) -> Result<(), ScheduleError> {
    parsed.refused_as_a_whole = true;
    parsed.scratch.note(Severity::Error, &Finding { line, column: None, value: None, message: message.into() })
}

/// What stopped the guard; another failure of reading is not the file's fault.
fn broken(error: csv::Error) -> Result<Broken, ScheduleError> {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => match e.get_ref().and_then(|e| e.downcast_ref::<Broken>()) {
            Some(broken) => Ok(*broken),
            None => Err(e.into()),
        },
        other => Err(ScheduleError::Scratch(format!("{other:?}"))),
    }
}

impl Terms {
    /// Notes the row's term. The term of the upload counts before it.
    fn note(&mut self, cells: &mut Cells<'_>, wanted: Option<&TermId>) {
        let Some(wanted) = wanted else {
            if let Some(term) = row::term(cells)
                && self.seen.len() <= TERMS_NAMED_MAX
            {
                self.seen.insert(term);
            }
            return;
        };
        let own = cells.get(Column::Term);
        if !self.told && !own.is_empty() && own != wanted.as_str() {
            self.told = true;
            let message = format!("the file names another term; all of it goes into {wanted}, as was asked");
            cells.note(Severity::Warning, Some(Column::Term), message);
        }
    }
}

impl Reading<'_, '_> {
    fn look(&mut self) -> Result<(), ScheduleError> {
        let progress = ScheduleProgress { rows: self.parsed.rows, bytes: self.bytes, refused: self.parsed.refused };
        if (self.watch)(progress) { Ok(()) } else { Err(ScheduleError::Cancelled) }
    }

    fn rows(
        &mut self,
        records: &mut Records,
        record: &mut csv::StringRecord,
        starts: &Starts,
    ) -> Result<(), ScheduleError> {
        loop {
            match records.read_record(record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) => {
                    let broken = broken(e)?;
                    return refuse(&mut self.parsed, broken.line, broken.to_string());
                }
            }
            let line = starts.take();
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            self.bytes = records.position().byte();
            self.row(record, line)?;
            if self.parsed.rows.is_multiple_of(ROWS_BETWEEN_LOOKS) {
                self.look()?;
            }
            if self.parsed.scratch.findings_total(Severity::Error) >= ERRORS_MAX {
                let message = format!("there are {ERRORS_MAX} errors up to here: the rest of the file is not read");
                return refuse(&mut self.parsed, line, message);
            }
        }
    }

    fn row(&mut self, record: &csv::StringRecord, line: u64) -> Result<(), ScheduleError> {
        self.parsed.rows += 1;
        let mut cells = Cells::new(&self.header, record, line);
        let fits = fits(&mut cells, record, &self.header);
        if self.parsed.brings_events {
            let event = if fits { event::read(&mut cells, &self.options.zone) } else { None };
            let mut findings = cells.findings;
            match event {
                Some(event) => {
                    if let Some(first) = self.parsed.add_event(line, &event)? {
                        let message = format!("the same event is in line {first}, which counts");
                        findings.push((Severity::Warning, Finding { line, column: None, value: None, message }));
                    }
                }
                None => self.parsed.refused += 1,
            }
            return note(&self.parsed.scratch, &findings);
        }
        let crn = if fits { row::crn(&mut cells) } else { None };
        if fits {
            self.terms.note(&mut cells, self.options.term.as_ref());
        }
        let row = crn.as_ref().map(|_| row::read(&mut cells));
        let refused = cells.has_errors();
        note(&self.parsed.scratch, &cells.findings)?;
        match (crn, row) {
            (Some(crn), Some(row)) if !refused => {
                let body = serde_json::to_string(&row)?;
                let mut insert = self.parsed.scratch.db.prepare_cached("INSERT INTO row VALUES(?,?,?)")?;
                insert.execute(params![crn.as_str(), signed(line), body])?;
            }
            (crn, _) => {
                self.parsed.refused += 1;
                if let Some(crn) = crn {
                    self.parsed.scratch.refuse(crn.as_str(), line)?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, header_line: u64) -> Result<Parsed, ScheduleError> {
        if self.parsed.rows == 0 && !self.parsed.refused_as_a_whole {
            refuse(&mut self.parsed, header_line, "the file has no rows below its header")?;
        }
        if self.terms.seen.len() > 1 {
            let more = if self.terms.seen.len() > TERMS_NAMED_MAX { " and more" } else { "" };
            let named: Vec<_> = self.terms.seen.iter().take(TERMS_NAMED_MAX).map(TermId::as_str).collect();
            let message = format!(
                "the file has several terms, {}{more}: upload each for itself, or name one with ?term=",
                named.join(", ")
            );
            refuse(&mut self.parsed, header_line, message)?;
        }
        if self.parsed.brings_events && self.parsed.sections > EVENTS_MAX {
            let message = format!("a file brings at most {EVENTS_MAX} events: divide it");
            refuse(&mut self.parsed, header_line, message)?;
        }
        self.look()?;
        if self.parsed.refused_as_a_whole || self.parsed.brings_events {
            return Ok(self.parsed);
        }
        self.parsed.term = self.options.term.clone().or_else(|| self.terms.seen.pop_first());
        let progress = ScheduleProgress { rows: self.parsed.rows, bytes: self.bytes, refused: self.parsed.refused };
        let mut steps = 0_u64;
        let mut go_on = || {
            steps += 1;
            let look = steps.is_multiple_of(ROWS_BETWEEN_LOOKS);
            if !look || (self.watch)(progress) { Ok(()) } else { Err(ScheduleError::Cancelled) }
        };
        let sections = merge::merge(&self.parsed.scratch, &self.header, &mut |_| go_on())?;
        conflicts::sweep(&self.parsed.scratch, &mut go_on)?;
        self.parsed.conflicts = conflicts::total(&self.parsed.scratch)?;
        self.parsed.sections = sections;
        if sections > SECTIONS_MAX {
            let message = format!("a term has at most {SECTIONS_MAX} sections; the file has {sections}");
            refuse(&mut self.parsed, header_line, message)?;
        }
        Ok(self.parsed)
    }
}

fn note(scratch: &Scratch, findings: &[(Severity, Finding)]) -> Result<(), ScheduleError> {
    findings.iter().try_for_each(|(severity, finding)| scratch.note(*severity, finding))
}

/// Whether a record has the header's cells, of text: more cells are fine only where they are blank.
fn fits(cells: &mut Cells<'_>, record: &csv::StringRecord, header: &Header) -> bool {
    let wanted = header.names().len();
    let extra = record.iter().skip(wanted).any(|cell| !cell.trim().is_empty());
    if record.len() < wanted || extra {
        let message = format!("the row has {} cells, the header has {wanted}", record.len());
        cells.note(Severity::Error, None, message);
        return false;
    }
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    if let Some(at) = record.iter().position(|cell| cell.contains(control)) {
        let (name, value) = (header.names().get(at), record.get(at).unwrap_or_default());
        cells.note_at(name, value, "the cell holds a character that is no text, such as NUL");
        return false;
    }
    true
}
