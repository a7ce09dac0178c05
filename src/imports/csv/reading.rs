//! Reads one file: the header, the rows, then sections and conflicts.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::params;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Finding, Table};
use crate::imports::finding_kind::FindingKind;
use crate::imports::finding_parts::SkipReason;
use crate::imports::schedule::{ScheduleError, ScheduleOptions, ScheduleProgress, Severity, Watch};

use crate::imports::csv::columns::{Column, ExtraNames, Header};
use crate::imports::csv::crn::{self, RowCrn};
use crate::imports::csv::dates::DayOrder;
use crate::imports::csv::guard::RecordLines;
use crate::imports::csv::input::{self, Input};
use crate::imports::csv::meetings::Format;
use crate::imports::csv::merge::MEETINGS_MAX;
use crate::imports::csv::merged_cells::{Heading, MergedCells};
use crate::imports::csv::parsed::Parsed;
use crate::imports::csv::record::{continued, is_crn, is_well_formed};
use crate::imports::csv::remarks::{Remark, Remarks};
use crate::imports::csv::row::{self, Cells, Row, RowReport};
use crate::imports::csv::scratch::{Scratch, signed};
use crate::imports::csv::source::{RecordSource, Records, unreadable};
use crate::imports::csv::survey::{Survey, survey, text_of};
use crate::imports::csv::{ERRORS_MAX, EVENTS_MAX, SECTIONS_MAX, conflicts, cross_listed, event, export, merge};

/// The number of rows between two progress reports.
const PROGRESS_INTERVAL_ROWS: u64 = 200;
/// The maximum number of terms that an error message lists.
const LISTED_TERMS_MAX: usize = 10;
/// Words in the first text of a row of totals.
const TOTAL_WORDS: [&str; 4] = ["total", "totals", "subtotal", "count"];
/// Words that begin the lines at the top and the bottom of the pages of a printed report.
const PAGE_WORDS: [&str; 8] =
    ["page ", "page:", "run date", "run time", "report ", "report:", "printed ", "generated "];
/// The minimum number of columns of a file in which a row with only one text is a heading.
const GROUP_COLUMNS_MIN: usize = 4;

/// The state while a file is read.
struct Reading<'r, 'w> {
    options: &'r ScheduleOptions,
    header: Header,
    format: Format,
    parsed: Parsed,
    terms: Terms,
    remarks: Remarks,
    /// The section of the row above, which a row without a section continues.
    above: Option<(Crn, Row)>,
    /// The number of rows that continue it.
    continued: usize,
    merged_cells: MergedCells,
    heading: Heading,
    /// Whether a row lists cross-listed sections by text.
    names_sections: bool,
    /// The number of records read so far.
    records: u64,
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
    let mut parsed = Parsed::new(Scratch::create(scratch)?);
    let input = match Input::open(file, scratch, options, (extra, map), watch)? {
        Ok(input) => input,
        Err((row, kind)) => {
            reject(&mut parsed, row.max(1), &kind)?;
            return Ok(parsed);
        }
    };
    let source = input.records(extra)?;
    let survey = match survey(&source, options, extra, map, watch)? {
        Ok(survey) => survey,
        Err((line, kind)) => {
            reject(&mut parsed, line, &kind)?;
            return Ok(parsed);
        }
    };
    let line = survey.header_line.max(1);
    if !begin(&mut parsed, &source, &survey, options)? {
        return Ok(parsed);
    }
    let (terms, remarks) = (Terms::default(), Remarks::default());
    let (format, records_before_rows) = (survey.format, survey.records_before_rows);
    let mut reading = Reading {
        options,
        merged_cells: MergedCells::new(&survey.header),
        heading: Heading::default(),
        names_sections: false,
        header: survey.header,
        format,
        parsed,
        terms,
        remarks,
        above: None,
        continued: 0,
        records: 0,
        bytes: 0,
        watch,
    };
    let (mut records, lines) = source.open()?;
    let mut record = csv::StringRecord::new();
    for _ in 0..records_before_rows {
        // The survey has read these records.
        if !records.read_record(&mut record).unwrap_or(false) {
            break;
        }
        lines.take();
    }
    reading.rows(&mut records, &mut record, &lines)?;
    reading.finish(line)
}

/// Adds the findings about the file as a whole. Returns whether its rows can be read.
fn begin(
    parsed: &mut Parsed,
    source: &RecordSource<'_>,
    survey: &Survey,
    options: &ScheduleOptions,
) -> Result<bool, ScheduleError> {
    let header = &survey.header;
    let line = survey.header_line.max(1);
    parsed.table = Some(Table {
        header_line: survey.header_line,
        delimiter: source.text().map(|(delimiter, _)| delimiter.to_string()),
        encoding: source.text().map(|(_, encoding)| encoding.to_owned()),
        sheet: source.sheet().map(|sheet| sheet.name.clone()),
        sheets: source.sheet().map_or_else(Vec::new, |sheet| sheet.sheets.clone()),
        columns: survey.columns(),
        profile: survey.profile.clone(),
        first_rows: survey.preview(),
        missing_fields: survey.missing_fields(options.term.is_some()),
    });
    for kind in source.sheet().map(input::warnings_about_other_parts).unwrap_or_default() {
        parsed.scratch.add_finding(Severity::Warning, &kind.of_line(line))?;
    }
    for (line, text) in &survey.skipped {
        skip(parsed, SkipReason::AboveHeader, *line, text.clone())?;
    }
    for kind in &survey.warnings {
        parsed.scratch.add_finding(Severity::Warning, &kind.of_line(line))?;
    }
    if let (DayOrder::MonthFirst, Some(ambiguous), None) =
        (survey.format.order, survey.order.ambiguous, survey.order.month_first)
    {
        parsed.scratch.add_finding(Severity::Warning, &FindingKind::MonthFirst.of_line(ambiguous))?;
    }
    parsed.contains_events = header.is_event_header();
    if !parsed.contains_events {
        for kind in header_errors(header, options) {
            reject(parsed, line, &kind)?;
        }
        if !parsed.is_rejected && !header.has(Column::Credits) {
            parsed.scratch.add_finding(Severity::Warning, &FindingKind::NoCreditsColumn.of_line(line))?;
        }
    }
    Ok(!parsed.is_rejected)
}

/// Records a line that is not a row, with a warning.
fn skip(parsed: &mut Parsed, why: SkipReason, line: u64, text: String) -> Result<(), ScheduleError> {
    let finding = FindingKind::LineSkipped { why }.of_cell(line, None, Some(&text));
    // A file of lines that are not rows must not fill the disk with warnings.
    if parsed.add_skipped(why.skipped(line, text)) {
        parsed.scratch.add_finding(Severity::Warning, &finding)
    } else {
        Ok(())
    }
}

/// Returns the errors in the header that prevent reading the rows.
fn header_errors(header: &Header, options: &ScheduleOptions) -> Vec<FindingKind> {
    let mut errors = header.missing_columns();
    if header.names().iter().any(|n| n.contains('\0')) {
        errors = vec![FindingKind::NulBytes];
    } else if !header.has(Column::Term) && options.term.is_none() {
        errors.push(FindingKind::NoTermColumn);
    }
    errors
}

/// Rejects the whole file.
fn reject(parsed: &mut Parsed, line: u64, kind: &FindingKind) -> Result<(), ScheduleError> {
    parsed.is_rejected = true;
    parsed.scratch.add_finding(Severity::Error, &kind.of_line(line))
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
            let kind = FindingKind::OtherTerm { term: upload_term.to_string() };
            cells.add_finding(Severity::Warning, Some(Column::Term), &kind);
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
            if self.records > 0 && self.records.is_multiple_of(PROGRESS_INTERVAL_ROWS) {
                self.report_progress()?;
            }
            match records.read_record(record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) => {
                    let error = unreadable(e)?;
                    return reject(&mut self.parsed, error.line, &error.into());
                }
            }
            let line = starts.take();
            self.records += 1;
            self.bytes = records.bytes();
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if let Some(at) = self.header.of_headings() {
                self.heading.extend(at, record);
            }
            if let Some(why) = self.reason_to_skip(record) {
                skip(&mut self.parsed, why, line, text_of(record))?;
                continue;
            }
            self.row(record, line)?;
            if self.parsed.scratch.findings_total(Severity::Error) >= ERRORS_MAX {
                return reject(&mut self.parsed, line, &FindingKind::TooManyErrors { max: ERRORS_MAX });
            }
        }
    }

    /// Returns why a record is not a row of the schedule; `None` if it is one.
    fn reason_to_skip(&self, record: &csv::StringRecord) -> Option<SkipReason> {
        if self.header.exported_id().and_then(|at| record.get(at)).is_some_and(|id| !id.trim().is_empty()) {
            return None;
        }
        // Almost all rows have a CRN, so it is examined before the rest of the row.
        let crn = self.header.at(Column::Crn).and_then(|at| record.get(at)).unwrap_or_default().trim();
        if is_crn(crn) {
            return None;
        }
        if self.header.is_repeated_by(record) {
            return Some(SkipReason::RepeatedHeader);
        }
        let cells: Vec<&str> = record.iter().map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let first = cells.first()?.to_lowercase();
        let identifies =
            |column| self.header.at(column).and_then(|at| record.get(at)).is_some_and(|c| !c.trim().is_empty());
        let is_identified = [Column::Crn, Column::Course, Column::Number, Column::Section].into_iter().any(identifies);
        let is_total = TOTAL_WORDS.iter().any(|word| first.split(|c: char| !c.is_alphanumeric()).any(|w| w == *word));
        if is_total
            && (!is_identified || cells.len() * 2 <= self.header.names().len() || crn.eq_ignore_ascii_case(&first))
        {
            return Some(SkipReason::Total);
        }
        let is_page = PAGE_WORDS.iter().any(|word| first.starts_with(word));
        let capacity = self.header.at(Column::Capacity).and_then(|at| record.get(at)).unwrap_or_default();
        if is_page && !capacity.contains(|c: char| c.is_ascii_digit()) {
            return Some(SkipReason::PageLine);
        }
        let is_wide = self.header.names().len() >= GROUP_COLUMNS_MIN;
        let all_equal = cells.iter().all(|cell| *cell == cells[0]);
        // A single cell of days, time or instructor continues the section above.
        let filled = record.iter().position(|cell| !cell.trim().is_empty()).unwrap_or(0);
        let is_meeting = self.header.meeting_groups().iter().any(|group| group.contains(filled))
            || (self.above.is_some() && self.header.at(Column::Instructor) == Some(filled));
        let is_heading = is_wide && all_equal && !(cells.len() == 1 && is_meeting);
        is_heading.then_some(SkipReason::GroupHeading)
    }

    fn row(&mut self, record: &csv::StringRecord, line: u64) -> Result<(), ScheduleError> {
        self.parsed.rows += 1;
        let derived = self.header.derived_cells(record);
        let mut cells = Cells::new(&self.header, record, &derived, line);
        let is_well_formed = is_well_formed(&mut cells, record, &self.header);
        if self.parsed.contains_events {
            let event =
                if is_well_formed { event::read(&mut cells, &self.options.zone, self.format.order) } else { None };
            let findings = cells.into_report().findings;
            return self.store_event(event, findings, line);
        }
        if is_well_formed && let Some(id) = export::id(&cells) {
            self.terms.check(&mut cells, self.options.term.as_ref());
            let row = export::read(&mut cells, &id.crn, self.format);
            let row = (!cells.has_errors()).then_some(row);
            self.add_report(cells.into_report(), line)?;
            self.above = None;
            return self.store(Some(id.crn), row, line);
        }
        if is_well_formed
            && let Some(continued) = self.above.as_ref().and_then(|above| continued(&mut cells, above, self.format))
        {
            let has_errors = cells.has_errors();
            self.add_report(cells.into_report(), line)?;
            self.continued += 1;
            if self.continued == MEETINGS_MAX {
                let finding = FindingKind::TooManyMeetings { max: MEETINGS_MAX }.of_line(line);
                self.parsed.scratch.add_finding(Severity::Error, &finding)?;
            }
            let row = (!has_errors && self.continued < MEETINGS_MAX).then_some(continued.1);
            return self.store(Some(continued.0), row, line);
        }
        let filled = if is_well_formed { self.merged_cells.filled(record) } else { None };
        let derived = filled.as_ref().map(|filled| self.header.derived_cells(filled)).unwrap_or_default();
        if let Some(filled) = &filled {
            cells = Cells::new(&self.header, filled, &derived, line);
            cells.add_row_remark(Remark::MergedCells);
        }
        // The section of a row with too few or too many cells is rejected, because it would lack a meeting.
        let crn = match is_well_formed {
            true => crn::read(&mut cells),
            false => crn::read(&mut Cells::new(&self.header, record, &derived, line)),
        };
        if is_well_formed {
            self.terms.check(&mut cells, self.options.term.as_ref());
        }
        let row = crn.as_ref().filter(|_| is_well_formed).map(|_| row::read(&mut cells, self.format));
        let row = row.filter(|_| !cells.has_errors());
        self.add_report(cells.into_report(), line)?;
        if is_well_formed && let Some(RowCrn { crn, is_formed: true }) = &crn {
            self.parsed.scratch.add_formed(crn.as_str())?;
        }
        let crn = crn.map(|found| found.crn);
        (self.above, self.continued) = (crn.clone().zip(row.clone()), 0);
        self.store(crn, row, line)
    }

    fn store_event(
        &mut self,
        event: Option<Event>,
        mut findings: Vec<(Severity, Finding)>,
        line: u64,
    ) -> Result<(), ScheduleError> {
        match event {
            Some(event) => {
                if let Some(first) = self.parsed.add_event(line, &event)? {
                    findings.push((Severity::Warning, FindingKind::SameEvent { line: first }.of_line(line)));
                }
            }
            None => self.parsed.rejected += 1,
        }
        add_findings(&self.parsed.scratch, &findings)
    }

    fn add_report(&mut self, report: RowReport, line: u64) -> Result<(), ScheduleError> {
        for (remark, index) in report.remarks {
            let name = index.map(|index| self.header.name_at(index));
            self.remarks.add(remark, name.as_deref(), line);
        }
        let mut findings = report.findings;
        findings.retain(|(_, finding)| !self.remarks.absorb(finding));
        add_findings(&self.parsed.scratch, &findings)
    }

    /// Stores a row, or records that it is rejected.
    fn store(&mut self, crn: Option<Crn>, row: Option<Row>, line: u64) -> Result<(), ScheduleError> {
        match (crn, row) {
            (Some(crn), Some(row)) => {
                self.names_sections |= cross_listed::is_text(&row);
                let body = serde_json::to_string(&row)?;
                let mut insert = self.parsed.scratch.db.prepare_cached("INSERT INTO row VALUES(?,?,?)")?;
                insert.execute(params![crn.as_str(), signed(line), body])?;
            }
            (crn, None) | (crn @ None, _) => {
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
            reject(&mut self.parsed, header_line, &FindingKind::NoRows)?;
        }
        if self.terms.seen.len() > 1 {
            let listed: Vec<_> = self.terms.seen.iter().take(LISTED_TERMS_MAX).map(TermId::as_str).collect();
            let terms = listed.join(", ");
            let has_more = self.terms.seen.len() > LISTED_TERMS_MAX;
            let kind = if has_more { FindingKind::ManyTerms { terms } } else { FindingKind::SeveralTerms { terms } };
            reject(&mut self.parsed, header_line, &kind)?;
        }
        if self.parsed.contains_events && self.parsed.sections > EVENTS_MAX {
            reject(&mut self.parsed, header_line, &FindingKind::TooManyEvents { max: EVENTS_MAX })?;
        }
        let (scratch, remarks) = (&self.parsed.scratch, &mut self.remarks);
        scratch.adopt_formed(&mut |line| {
            remarks.add(Remark::CrnOfSection, None, line);
            Ok(())
        })?;
        if self.names_sections {
            cross_listed::name_groups(scratch, &mut |line| {
                remarks.add(Remark::CrossListed, None, line);
                Ok(())
            })?;
        }
        for finding in std::mem::take(&mut self.remarks).into_findings() {
            self.parsed.scratch.add_finding(Severity::Warning, &finding)?;
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
        self.parsed.conflicts = conflicts::sweep(&self.parsed.scratch, &mut check_cancelled)?;
        self.parsed.sections = sections;
        if sections > SECTIONS_MAX {
            let kind = FindingKind::TooManySections { max: SECTIONS_MAX, n: sections };
            reject(&mut self.parsed, header_line, &kind)?;
        }
        Ok(self.parsed)
    }
}

fn add_findings(scratch: &Scratch, findings: &[(Severity, Finding)]) -> Result<(), ScheduleError> {
    findings.iter().try_for_each(|(severity, finding)| scratch.add_finding(*severity, finding))
}
