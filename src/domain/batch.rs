//! Decides many commands against one book and merges their changes into one record.
//!
//! A store writes the record, [`BatchChanges`]; readers receive [`BatchChanges::term_update`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::alert::Alert;
use crate::domain::book::TermBook;
use crate::domain::command::{Command, StagedImport};
use crate::domain::decide::decide;
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Notice;
use crate::domain::outcome::Outcome;
use crate::domain::published::TermUpdate;
use crate::domain::registration::Registration;
use crate::domain::reservation::ReservedCounts;
use crate::domain::section::SectionState;
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// A batch of commands, decided and applied to the book.
#[derive(Debug)]
pub struct DecidedBatch {
    /// The outcome of each command, in order; `None` if deciding it panicked. Such a command changed nothing.
    pub outcomes: Vec<Option<Outcome>>,
    /// The merged changes of all commands.
    pub changes: BatchChanges,
}

/// The merged changes of a batch: the final value of each changed section and registration.
#[derive(Debug)]
pub struct BatchChanges {
    /// The time of the decisions.
    pub at: Timestamp,
    /// The term, if it changed.
    pub term: Option<Term>,
    /// The generation of the catalogue that becomes visible, if an import is applied.
    pub generation: Option<u64>,
    /// Sections whose definition or counts changed.
    pub sections: BTreeMap<Crn, SectionState>,
    /// The subset of [`Self::sections`] whose definition or outside counts have to be written. It contains a staged
    /// section only if the section has changed since its row was staged.
    pub definitions_to_write: BTreeSet<Crn>,
    /// The subset of [`Self::sections`] whose numbers of enrolled and waitlisted students have to be written.
    pub counts_to_write: BTreeSet<Crn>,
    /// Sections that have a staged row in the generation that becomes visible.
    pub staged: HashSet<Crn>,
    /// Registrations that changed.
    pub registrations: BTreeMap<(UserName, Crn), Registration>,
    /// Facts about students that changed; `None` for those that are removed.
    pub facts: BTreeMap<UserName, Option<Arc<StudentFacts>>>,
    /// Notices to students, in the order of the decisions.
    pub notices: Vec<Notice>,
    /// Alerts to store in the same commit; empty in a sandbox.
    pub alerts: Vec<Alert>,
    /// Whether the term is a sandbox, which stores no alerts and is not written to Plone.
    is_sandbox: bool,
}

/// Decides `commands` in order and applies the changes of each to `book` before it decides the next.
///
/// If deciding a command panics, the command changes nothing and has no outcome, and the next one is decided.
/// `next_alert_id` returns a new id for each alert to store.
pub fn decide_batch(
    book: &mut TermBook,
    commands: &[Command],
    now: Timestamp,
    mut next_alert_id: impl FnMut() -> String,
) -> DecidedBatch {
    let mut changes = BatchChanges::none(now, book.term().id.is_sandbox());
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        // `decide` cannot modify the book, so a panic leaves the book consistent. There is no retry: the same command
        // against the same book would panic again.
        match catch_unwind(AssertUnwindSafe(|| decide(&*book, command, now))) {
            Ok(decision) => {
                changes.merge(book, command, &decision.changes, &mut next_alert_id);
                book.apply(&decision.changes);
                outcomes.push(Some(decision.outcome));
            }
            Err(_) => outcomes.push(None),
        }
    }
    DecidedBatch { outcomes, changes }
}

impl BatchChanges {
    fn none(at: Timestamp, is_sandbox: bool) -> Self {
        Self {
            at,
            term: None,
            generation: None,
            sections: BTreeMap::new(),
            definitions_to_write: BTreeSet::new(),
            counts_to_write: BTreeSet::new(),
            staged: HashSet::new(),
            registrations: BTreeMap::new(),
            facts: BTreeMap::new(),
            notices: Vec::new(),
            alerts: Vec::new(),
            is_sandbox,
        }
    }

    /// Returns whether there is nothing to write or publish.
    ///
    /// Each field is named, so that a new one does not compile until it is considered here: a change that is missing
    /// here would be confirmed and never stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            term,
            generation,
            sections,
            registrations,
            facts,
            notices,
            alerts,
            // Parts of `sections`.
            definitions_to_write: _,
            counts_to_write: _,
            staged: _,
            // About the batch, not changes.
            at: _,
            is_sandbox: _,
        } = self;
        term.is_none()
            && generation.is_none()
            && sections.is_empty()
            && registrations.is_empty()
            && facts.is_empty()
            && notices.is_empty()
            && alerts.is_empty()
    }

    /// Returns the update for readers after the commit `seq`. The changes must already be applied to `book`.
    #[must_use]
    pub fn term_update(&self, book: &TermBook, seq: u64) -> TermUpdate {
        let students = self.registrations.keys().map(|(student, _)| student);
        TermUpdate {
            facts: self.facts.iter().map(|(student, facts)| (student.clone(), facts.clone())).collect(),
            notices: self.notices.clone(),
            alerts_stored: !self.alerts.is_empty(),
            ..book.published_update(seq, self.term.as_ref(), self.sections.values(), students)
        }
    }

    /// Returns the sections to mark for Plone in the same commit: those whose definition, counts or roster change.
    /// Staged sections are excluded, because an import may contain a hundred thousand; the store marks them after the
    /// commit, see [`Self::generation_for_plone`].
    #[must_use]
    pub fn sections_for_plone(&self) -> BTreeSet<&Crn> {
        if self.is_sandbox {
            return BTreeSet::new();
        }
        let changed = self.sections.keys().chain(self.registrations.keys().map(|(_, crn)| crn));
        changed.filter(|crn| !self.staged.contains(*crn)).collect()
    }

    /// Returns the generation whose staged sections have to be marked for Plone after the commit.
    #[must_use]
    pub fn generation_for_plone(&self) -> Option<u64> {
        self.generation.filter(|_| !self.is_sandbox && !self.staged.is_empty())
    }

    /// Merges the changes of one command. They must not be applied to `book` yet.
    fn merge(
        &mut self,
        book: &TermBook,
        command: &Command,
        changes: &Changes,
        next_alert_id: &mut impl FnMut() -> String,
    ) {
        let import = if let Command::ApplyImport(import) = command { Some(&**import) } else { None };
        self.merge_sections(book, import, changes);
        if let Some(import) = import {
            self.merge_staged(book, import, changes);
        }
        if !self.is_sandbox {
            for notice in &changes.notices {
                let section = self.sections.get(&notice.crn).or_else(|| book.section(&notice.crn));
                self.alerts.extend(section.and_then(|s| alert_of(notice, s, self.at, next_alert_id)));
            }
        }
        if changes.term.is_some() {
            self.term.clone_from(&changes.term);
        }
        self.generation = changes.generation.or(self.generation);
        for (student, registration) in &changes.registrations {
            self.registrations.insert((student.clone(), registration.crn.clone()), registration.clone());
        }
        self.facts.extend(changes.facts.iter().cloned());
        self.notices.extend_from_slice(&changes.notices);
    }

    fn merge_sections(&mut self, book: &TermBook, import: Option<&StagedImport>, changes: &Changes) {
        let staged_rows: HashMap<&Crn, &SectionState> = import
            .map_or_else(HashMap::new, |i| i.sections.iter().map(|s| (&s.section.id.crn, &s.staged_as)).collect());
        for state in &changes.sections {
            let crn = &state.section.id.crn;
            let before = book.section(crn);
            // The row that will be visible in the store: for a staged section, the staged row.
            let row = staged_rows.get(crn).copied().or(before);
            if row.is_none_or(|row| !same_definition(row, state)) {
                self.definitions_to_write.insert(crn.clone());
            }
            let counts = |of: &SectionState| (of.enrolled, of.waitlisted);
            let is_counted = match before {
                Some(before) => counts(before) != counts(state) || before.reserved != state.reserved,
                None => counts(state) != (0, 0) || state.reserved != ReservedCounts::default(),
            };
            if is_counted {
                self.counts_to_write.insert(crn.clone());
            }
            self.sections.insert(crn.clone(), state.clone());
        }
    }

    /// Merges the staged sections of an import.
    ///
    /// A staged row becomes visible even if applying the import no longer changes the section. If the section has
    /// changed since the row was staged, the row is out of date and has to be written again.
    fn merge_staged(&mut self, book: &TermBook, import: &StagedImport, changes: &Changes) {
        self.staged.extend(import.sections.iter().map(|new| new.section.id.crn.clone()));
        let changed: HashSet<&Crn> = changes.sections.iter().map(|s| &s.section.id.crn).collect();
        for new in &import.sections {
            let crn = &new.section.id.crn;
            if !changed.contains(crn)
                && let Some(state) = book.section(crn)
                && !same_definition(&new.staged_as, state)
            {
                self.definitions_to_write.insert(crn.clone());
                self.sections.insert(crn.clone(), state.clone());
            }
        }
    }
}

/// Returns the alert to store for a notice; `None` if the student requested the change.
fn alert_of(
    notice: &Notice,
    state: &SectionState,
    at: Timestamp,
    next_alert_id: &mut impl FnMut() -> String,
) -> Option<Alert> {
    let content = notice.alert(&state.section)?;
    Some(Alert {
        id: next_alert_id(),
        seq: None,
        content,
        source: "registration".to_owned(),
        sender: "eduhub".to_owned(),
        sender_name: None,
        created_at: at,
    })
}

/// Returns whether both states have the same definition and outside counts. Ignores enrolled and waitlisted students.
fn same_definition(a: &SectionState, b: &SectionState) -> bool {
    (Arc::ptr_eq(&a.section, &b.section) || a.section == b.section)
        && a.outside_enrolled == b.outside_enrolled
        && a.outside_waitlisted == b.outside_waitlisted
        && a.file_totals == b.file_totals
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
