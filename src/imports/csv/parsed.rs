//! The result of reading a file, iterated from the scratch database.

use rusqlite::params;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::{Conflict, Finding, Skipped, Table};
use crate::imports::schedule::{FileSection, Schedule, ScheduleError, Severity};
use crate::imports::task::LIST_LEN_MAX;

use crate::imports::csv::scratch::{Scratch, signed, unsigned};
use crate::imports::csv::{conflicts, merge};

/// A file that was read.
pub(super) struct Parsed {
    pub(super) scratch: Scratch,
    pub(super) term: Option<TermId>,
    pub(super) contains_events: bool,
    pub(super) is_rejected: bool,
    pub(super) rows: u64,
    pub(super) rejected: u64,
    pub(super) sections: u64,
    pub(super) conflicts: u64,
    pub(super) table: Option<Table>,
    skipped: Vec<Skipped>,
    skipped_total: u64,
}

impl Parsed {
    /// Creates an empty result.
    pub(super) const fn new(scratch: Scratch) -> Self {
        Self {
            scratch,
            term: None,
            contains_events: false,
            is_rejected: false,
            rows: 0,
            rejected: 0,
            sections: 0,
            conflicts: 0,
            table: None,
            skipped: Vec::new(),
            skipped_total: 0,
        }
    }

    /// Records a line that is not a row. Returns false if it is only counted.
    pub(super) fn add_skipped(&mut self, skipped: Skipped) -> bool {
        self.skipped_total += 1;
        let is_listed = self.skipped.len() < LIST_LEN_MAX;
        if is_listed {
            self.skipped.push(skipped);
        }
        is_listed
    }

    /// Adds an event. If an earlier row has the same event, nothing is added; if their details differ, returns the line
    /// number of the earlier row.
    pub(super) fn add_event(&mut self, line: u64, event: &Event) -> Result<Option<u64>, ScheduleError> {
        let body = serde_json::to_string(event)?;
        let added = self.scratch.db.prepare_cached("INSERT OR IGNORE INTO event VALUES(?,?,?)")?.execute(params![
            event.id,
            signed(line),
            body
        ])?;
        if added == 1 {
            self.sections += 1;
            return Ok(None);
        }
        let mut before = self.scratch.db.prepare_cached("SELECT line, body FROM event WHERE id=?")?;
        let (first, first_body): (i64, String) = before.query_row([&event.id], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok((first_body != body).then(|| unsigned(first)))
    }
}

impl Schedule for Parsed {
    fn term(&self) -> Option<&TermId> {
        self.term.as_ref()
    }
    fn contains_events(&self) -> bool {
        self.contains_events
    }
    fn is_rejected(&self) -> bool {
        self.is_rejected
    }
    fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }
    fn skipped(&self) -> (&[Skipped], u64) {
        (&self.skipped, self.skipped_total)
    }
    fn rows(&self) -> u64 {
        self.rows
    }
    fn rejected_rows(&self) -> u64 {
        self.rejected
    }
    fn sections(&self) -> u64 {
        self.sections
    }
    fn findings_total(&self, severity: Severity) -> u64 {
        self.scratch.findings_total(severity)
    }
    fn conflicts_total(&self) -> u64 {
        self.conflicts
    }
    fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError> {
        self.scratch.each_finding(severity, limit, f)
    }
    fn conflicts(&self, limit: u64) -> Result<Vec<Conflict>, ScheduleError> {
        conflicts::first(&self.scratch, limit)
    }
    fn each_section(&self, f: &mut dyn FnMut(FileSection) -> Result<(), ScheduleError>) -> Result<(), ScheduleError> {
        match &self.term {
            Some(term) => merge::each_section(&self.scratch, term, f),
            None => Ok(()),
        }
    }
    fn section(&self, crn: &Crn) -> Result<Option<FileSection>, ScheduleError> {
        self.term.as_ref().map_or(Ok(None), |term| merge::section(&self.scratch, term, crn))
    }
    fn contains_crn(&self, crn: &Crn) -> Result<bool, ScheduleError> {
        self.scratch.contains_crn(crn.as_str())
    }
    fn each_event(&self, f: &mut dyn FnMut(Event) -> Result<(), ScheduleError>) -> Result<(), ScheduleError> {
        let mut statement = self.scratch.db.prepare("SELECT body FROM event ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            f(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?)?;
        }
        Ok(())
    }
}
