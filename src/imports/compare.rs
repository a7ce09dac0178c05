//! Compares a file to a term: which sections an import changes, and what it stages.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::command::{StagedImport, StagedSection};
use crate::domain::decide::imported;
use crate::domain::ids::{CODE_LEN_MAX, Crn};
use crate::domain::import::{Change, ChangeKind, TaskReport};
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::domain::section_changes::SectionChanges;
use crate::imports::ImportOptions;
use crate::imports::affected::ChangedSections;
use crate::imports::finding_kind::FindingKind;
use crate::imports::schedule::{FileSection, Schedule, ScheduleError};
use crate::registration::readmodel::Snapshot;
use crate::store::imports::CHUNK_LEN;

use crate::imports::task::LIST_LEN_MAX;

fn change(before: Option<&SectionState>, after: &SectionState) -> Change {
    let kind = if before.is_some() { ChangeKind::Update } else { ChangeKind::Create };
    Change { section: after.section.id.clone(), change: kind, fields: SectionChanges::between(before, after) }
}

/// Returns whether two sections have the same label, or labels that a spreadsheet makes equal: `001` and `1`.
fn is_same_label(a: &Section, b: &Section) -> bool {
    let label = |section: &Section| section.section.as_deref().map(|label| label.trim_start_matches('0').to_owned());
    label(a) == label(b)
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

/// Adds a warning about a section of the file.
fn warn(report: &mut TaskReport, line: u64, column: &str, value: &str, kind: &FindingKind) {
    report.warnings_total += 1;
    if report.warnings.len() < LIST_LEN_MAX {
        report.warnings.push(kind.of_cell(line, Some(column), Some(value)));
    }
}

/// Warns if an import reopens a cancelled section, or if a section stays cancelled although the file does not cancel
/// it.
fn warn_about_status(
    report: &mut TaskReport,
    line: u64,
    before: &SectionState,
    after: &SectionState,
    new: &StagedSection,
) {
    let (before, kept, file) = (before.section.status, after.section.status, new.section.status);
    let section = after.section.id.to_string();
    let kind = match (before, kept) {
        (SectionStatus::Cancelled, SectionStatus::Open) => FindingKind::Reopened { section },
        (SectionStatus::Cancelled, SectionStatus::Closed) => FindingKind::ReopenedClosed { section },
        (SectionStatus::Cancelled, SectionStatus::Cancelled) if file != SectionStatus::Cancelled => {
            if new.states_status {
                FindingKind::CancelledByStaff { section }
            } else {
                FindingKind::CancelledUnstated { section }
            }
        }
        _ => return,
    };
    warn(report, line, "status", file.as_str(), &kind);
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
    /// The CRNs of the term that are numbers, by the number without leading zeros. Built when a CRN of the file is not
    /// in the term.
    by_number: OnceCell<HashMap<String, Vec<Crn>>>,
    /// The CRNs of the file that lack leading zeros, with the CRN of the term under which each is imported.
    renamed: HashMap<Crn, Crn>,
    /// The CRNs of the term under which the sections in `renamed` are imported.
    matched: HashSet<Crn>,
    /// The sections whose students may be affected.
    pub(super) changed: ChangedSections,
}

impl<'s> Comparison<'s> {
    pub(super) fn new(
        snapshot: Option<&'s Snapshot>,
        now: Timestamp,
        generation: u64,
        options: &ImportOptions,
        stage: bool,
    ) -> Self {
        let (totals, limit) = (options.totals, options.subjects.clone());
        // A prediction: the registrar decides by its own clock when it applies the import.
        let open = snapshot.is_some_and(|s| s.term.is_open_for_anyone(now));
        let sections = Vec::new();
        let staged = StagedImport { generation, apply_totals_while_open: totals, limit, sections, unchanged: 0 };
        let apply_totals = totals || !open;
        let (by_number, changed) = (OnceCell::new(), ChangedSections::default());
        let (chunk, renamed, matched) = (Vec::new(), HashMap::new(), HashSet::new());
        Self { snapshot, apply_totals, stage, chunk, staged, by_number, renamed, matched, changed }
    }

    /// Compares a section of the schedule and counts it in the report. Returns a full chunk of [`CHUNK_LEN`] sections to
    /// stage, if any.
    pub(super) fn add(
        &mut self,
        report: &mut TaskReport,
        mut file: FileSection,
        schedule: &dyn Schedule,
    ) -> Result<Option<Vec<SectionState>>, ScheduleError> {
        self.restore_zeros(report, &mut file, schedule)?;
        self.restore_label(&mut file);
        let before = self.snapshot.and_then(|s| s.row(&file.section.id.crn)).map(|row| &row.state);
        let unstaged = SectionState::new(file.section.clone());
        // In an exported row, only totals that differ are new, so that a file which the hub wrote changes nothing.
        let is_known = |before: &SectionState| {
            file.is_exported && file.totals == Some((before.enrolled_total(), before.waitlisted_total()))
        };
        let totals = file.totals.filter(|_| !before.is_some_and(is_known));
        let mut new = StagedSection {
            section: file.section,
            totals,
            stated: file.stated,
            states_status: file.states_status,
            staged_as: unstaged,
        };
        let after = imported(before, &new, self.apply_totals);
        if let Some(before) = before {
            warn_about_status(report, file.line, before, &after, &new);
        }
        match before {
            Some(before) if *before == after => {
                report.unchanged += 1;
                self.staged.unchanged += 1;
                return Ok(None);
            }
            Some(before) => {
                report.updated += 1;
                let crn = &after.section.id.crn;
                let status = |state: &SectionState| state.section.status;
                // A reopened section counts in its students' schedules again.
                let is_reopened = status(before) == SectionStatus::Cancelled && status(&after) != status(before);
                if is_reopened || before.section.meetings != after.section.meetings {
                    self.changed.meetings.insert(crn.clone());
                }
                let seats = |state: &SectionState| (state.section.capacity, state.enrolled_total());
                if is_reopened || seats(before) != seats(&after) {
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

    /// Restores the leading zeros that a spreadsheet removed from the CRNs of a section and of its links.
    fn restore_zeros(
        &mut self,
        report: &mut TaskReport,
        file: &mut FileSection,
        schedule: &dyn Schedule,
    ) -> Result<(), ScheduleError> {
        let own = self.crn_with_zeros(&file.section, schedule)?;
        let mut linked = Vec::new();
        for id in &file.section.linked {
            linked.push(self.linked_crn(&id.crn, schedule)?);
        }
        if own.is_none() && linked.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut section = (*file.section).clone();
        if let Some(crn) = own {
            let written = section.id.crn.clone();
            let kind = FindingKind::ZerosRestored { written: written.to_string(), crn: crn.to_string() };
            warn(report, file.line, "crn", written.as_str(), &kind);
            self.renamed.insert(written, crn.clone());
            self.matched.insert(crn.clone());
            section.id.crn = crn;
        }
        for (id, crn) in section.linked.iter_mut().zip(linked) {
            if let Some(crn) = crn {
                let kind = FindingKind::LinkedZerosRestored { written: id.crn.to_string(), crn: crn.to_string() };
                warn(report, file.line, "linked", id.crn.as_str(), &kind);
                id.crn = crn;
            }
        }
        file.section = Arc::new(section);
        Ok(())
    }

    /// Restores the leading zeros that a spreadsheet removed from a section's label.
    fn restore_label(&self, file: &mut FileSection) {
        let Some(before) = self.snapshot.and_then(|s| s.row(&file.section.id.crn)) else { return };
        let before = &before.state.section;
        if before.section != file.section.section && is_same_label(before, &file.section) {
            Arc::make_mut(&mut file.section).section.clone_from(&before.section);
        }
    }

    /// Returns the CRN that a linked CRN stands for, if the two differ in leading zeros. A section of the file with
    /// exactly this CRN comes first, then one of the term, then the only one of the file, or else of the term, with the
    /// same number. `None` if the CRN needs no zeros, or if none or several sections match.
    fn linked_crn(&self, crn: &Crn, schedule: &dyn Schedule) -> Result<Option<Crn>, ScheduleError> {
        if schedule.contains_crn(crn)? {
            return self.imported_as(crn, schedule);
        }
        let is_in_term = |crn: &Crn| self.snapshot.is_some_and(|snapshot| snapshot.row(crn).is_some());
        let Some(number) = number_of(crn).filter(|_| !is_in_term(crn)) else { return Ok(None) };
        let with_zeros = |zeros: usize| Crn::parse(&format!("{}{number}", "0".repeat(zeros))).ok();
        let spellings: Vec<Crn> = (0..=CODE_LEN_MAX - number.len()).filter_map(with_zeros).collect();
        let mut found = Vec::new();
        for spelling in &spellings {
            if schedule.contains_crn(spelling)? {
                found.push(self.imported_as(spelling, schedule)?.unwrap_or_else(|| spelling.clone()));
            }
        }
        if found.is_empty() {
            found = spellings.into_iter().filter(is_in_term).collect();
        }
        Ok(if found.len() == 1 { found.pop().filter(|found| found != crn) } else { None })
    }

    /// Returns the CRN of the term under which a CRN of the file is imported, if it lacks leading zeros.
    fn imported_as(&self, crn: &Crn, schedule: &dyn Schedule) -> Result<Option<Crn>, ScheduleError> {
        if let Some(renamed) = self.renamed.get(crn) {
            return Ok(Some(renamed.clone()));
        }
        let section = if number_of(crn).is_some() { schedule.section(crn)? } else { None };
        section.map_or(Ok(None), |file| self.crn_with_zeros(&file.section, schedule))
    }

    /// Returns whether the file has this section of the term under another spelling of its CRN.
    pub(super) fn is_matched(&self, crn: &Crn) -> bool {
        self.matched.contains(crn)
    }

    /// Returns the CRN of the existing section that corresponds to a section of the file, if a spreadsheet removed the
    /// leading zeros of its CRN: a section of the same course and label, whose CRN is the same number and is not in the
    /// file itself.
    fn crn_with_zeros(&self, section: &Section, schedule: &dyn Schedule) -> Result<Option<Crn>, ScheduleError> {
        let Some(snapshot) = self.snapshot else { return Ok(None) };
        let Some(number) = number_of(&section.id.crn).filter(|_| snapshot.row(&section.id.crn).is_none()) else {
            return Ok(None);
        };
        let by_number = self.by_number.get_or_init(|| crns_by_number(snapshot));
        for crn in by_number.get(number).into_iter().flatten() {
            let is_same = snapshot.row(crn).is_some_and(|row| {
                let before = &row.state.section;
                before.course == section.course && is_same_label(before, section)
            });
            if is_same && !self.matched.contains(crn) && !schedule.contains_crn(crn)? {
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
