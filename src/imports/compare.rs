//! Compares a file to a term: which sections an import changes, and what it stages.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::command::{StagedImport, StagedSection};
use crate::domain::decide::imported;
use crate::domain::ids::Crn;
use crate::domain::import::{Change, ChangeKind, Finding, TaskReport};
use crate::domain::section::{Section, SectionState};
use crate::domain::section_changes::SectionChanges;
use crate::imports::affected::ChangedSections;
use crate::imports::schedule::{FileSection, ScheduleError};
use crate::registration::readmodel::Snapshot;
use crate::store::imports::CHUNK_LEN;

use crate::imports::task::LIST_LEN_MAX;

fn change(before: Option<&SectionState>, after: &SectionState) -> Change {
    let kind = if before.is_some() { ChangeKind::Update } else { ChangeKind::Create };
    Change { section: after.section.id.clone(), change: kind, fields: SectionChanges::between(before, after) }
}

/// Returns the digits of a CRN that is a number, without leading zeros.
fn number_of(crn: &Crn) -> Option<&str> {
    let digits = crn.as_str();
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.trim_start_matches('0'))
}

fn crns_by_number(snapshot: &Snapshot) -> HashMap<String, Vec<Crn>> {
    let mut all: HashMap<String, Vec<Crn>> = HashMap::new();
    for row in snapshot.rows_in_order() {
        let crn = &row.state.section.id.crn;
        if let Some(number) = number_of(crn) {
            all.entry(number.to_owned()).or_default().push(crn.clone());
        }
    }
    all
}

fn warn_about_zeros(report: &mut TaskReport, file: &FileSection, crn: &Crn) {
    report.warnings_total += 1;
    if report.warnings.len() < LIST_LEN_MAX {
        let written = &file.section.id.crn;
        report.warnings.push(Finding {
            line: file.line,
            column: Some("crn".into()),
            value: Some(written.as_str().into()),
            message: format!("CRN {written} is imported as the existing section {crn}: the file lacks leading zeros"),
        });
    }
}

/// A comparison of a file to a term, which yields the sections to stage in chunks.
pub(super) struct Comparison<'s> {
    snapshot: Option<&'s Snapshot>,
    apply_totals: bool,
    /// Whether to stage sections; false for a dry run.
    stage: bool,
    chunk: Vec<SectionState>,
    /// The sections staged so far.
    pub(super) staged: StagedImport,
    /// The CRNs of the term that are numbers, without leading zeros. Made when a CRN of the file is not in the term.
    by_number: OnceCell<HashMap<String, Vec<Crn>>>,
    /// The CRNs of the term that the file has without their leading zeros.
    matched: HashSet<Crn>,
    /// The sections whose students may be affected.
    pub(super) changed: ChangedSections,
}

impl<'s> Comparison<'s> {
    pub(super) fn new(
        snapshot: Option<&'s Snapshot>,
        now: Timestamp,
        generation: u64,
        totals: bool,
        stage: bool,
    ) -> Self {
        // A prediction: the registrar decides by its own clock when it applies the import.
        let open = snapshot.is_some_and(|s| s.term.is_open(now));
        let staged = StagedImport { generation, apply_totals_while_open: totals, sections: Vec::new(), unchanged: 0 };
        let apply_totals = totals || !open;
        let (by_number, matched, changed) = (OnceCell::new(), HashSet::new(), ChangedSections::default());
        Self { snapshot, apply_totals, stage, chunk: Vec::new(), staged, by_number, matched, changed }
    }

    /// Compares a section and counts it in the report. Returns a full chunk of [`CHUNK_LEN`] sections to stage, if any.
    ///
    /// `is_in_file` returns whether the file has a CRN.
    pub(super) fn add(
        &mut self,
        report: &mut TaskReport,
        mut file: FileSection,
        is_in_file: &dyn Fn(&Crn) -> Result<bool, ScheduleError>,
    ) -> Result<Option<Vec<SectionState>>, ScheduleError> {
        if let Some(crn) = self.crn_with_zeros(&file.section, is_in_file)? {
            warn_about_zeros(report, &file, &crn);
            let mut section = (*file.section).clone();
            section.id.crn = crn.clone();
            file.section = Arc::new(section);
            self.matched.insert(crn);
        }
        let before = self.snapshot.and_then(|s| s.row(&file.section.id.crn)).map(|row| &row.state);
        let unstaged = SectionState::new(file.section.clone());
        // Of an exported row only other totals are new, so that a file which the hub wrote changes nothing.
        let is_known = |before: &SectionState| {
            file.is_exported && file.totals == Some((before.enrolled_total(), before.waitlisted_total()))
        };
        let totals = file.totals.filter(|_| !before.is_some_and(is_known));
        let mut new = StagedSection { section: file.section, totals, staged_as: unstaged };
        let after = imported(before, &new, self.apply_totals);
        match before {
            Some(before) if *before == after => {
                report.unchanged += 1;
                self.staged.unchanged += 1;
                return Ok(None);
            }
            Some(before) => {
                report.updated += 1;
                let crn = &after.section.id.crn;
                if before.section.meetings != after.section.meetings {
                    self.changed.meetings.insert(crn.clone());
                }
                let seats = |state: &SectionState| (state.section.capacity, state.enrolled_total());
                if seats(before) != seats(&after) {
                    self.changed.seats.insert(crn.clone());
                }
            }
            None => report.created += 1,
        }
        report.changes_total += 1;
        if report.changes.len() < LIST_LEN_MAX {
            report.changes.push(change(before, &after));
        }
        if !self.stage {
            return Ok(None);
        }
        self.chunk.push(after.clone());
        new.section = after.section.clone();
        new.staged_as = after;
        self.staged.sections.push(new);
        Ok((self.chunk.len() == CHUNK_LEN).then(|| std::mem::take(&mut self.chunk)))
    }

    /// Returns whether the file has this section of the term under another spelling of its CRN.
    pub(super) fn is_matched(&self, crn: &Crn) -> bool {
        self.matched.contains(crn)
    }

    /// Returns the CRN of the existing section that a section of the file is, if a spreadsheet removed the leading zeros of
    /// its CRN: a section of the same course and label, whose CRN is the same number and is not in the file itself.
    fn crn_with_zeros(
        &self,
        section: &Section,
        is_in_file: &dyn Fn(&Crn) -> Result<bool, ScheduleError>,
    ) -> Result<Option<Crn>, ScheduleError> {
        let Some(snapshot) = self.snapshot else { return Ok(None) };
        let Some(number) = number_of(&section.id.crn).filter(|_| snapshot.row(&section.id.crn).is_none()) else {
            return Ok(None);
        };
        let by_number = self.by_number.get_or_init(|| crns_by_number(snapshot));
        for crn in by_number.get(number).into_iter().flatten() {
            let is_same = snapshot.row(crn).is_some_and(|row| {
                let before = &row.state.section;
                before.course == section.course && before.section == section.section
            });
            if is_same && !self.matched.contains(crn) && !is_in_file(crn)? {
                return Ok(Some(crn.clone()));
            }
        }
        Ok(None)
    }

    /// Returns the last chunk, which may be empty; `None` if there is nothing to apply.
    pub(super) fn finish(&mut self) -> Option<Vec<SectionState>> {
        (!self.staged.sections.is_empty()).then(|| std::mem::take(&mut self.chunk))
    }
}
