//! Decides many commands against one book, and merges their changes into what one commit writes and publishes.
//!
//! No store appears here: a store writes [`BatchChanges`], and readers get [`BatchChanges::update`].

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
use crate::domain::section::SectionState;
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// A batch of commands, decided and applied to the book.
#[derive(Debug)]
pub struct DecidedBatch {
    /// The outcome of each command, in order; none for a command whose decision panicked, which changed nothing.
    pub outcomes: Vec<Option<Outcome>>,
    /// The merged changes of all commands.
    pub changes: BatchChanges,
}

/// What a batch changes: the final value of each section and each registration, once, as its last command left it.
#[derive(Debug)]
pub struct BatchChanges {
    /// The time of the decisions.
    pub at: Timestamp,
    /// The term, when it changed.
    pub term: Option<Term>,
    /// The generation of the catalogue that becomes visible, when an import is applied.
    pub generation: Option<u64>,
    /// Sections whose definition or numbers changed.
    pub sections: BTreeMap<Crn, SectionState>,
    /// Those of [`Self::sections`] whose definition or outside numbers have to be written. A staged section is among
    /// them only where it has changed since its row was staged.
    pub defined: BTreeSet<Crn>,
    /// Those of [`Self::sections`] whose own numbers of people have to be written.
    pub counted: BTreeSet<Crn>,
    /// Sections that have a staged row in the generation that becomes visible.
    pub staged: HashSet<Crn>,
    /// Registrations that changed.
    pub registrations: BTreeMap<(UserName, Crn), Registration>,
    /// Notices to the students concerned, in the order of the decisions.
    pub notices: Vec<Notice>,
    /// Alerts to store with the commit. None in a sandbox.
    pub alerts: Vec<Alert>,
    /// Whether the term is a sandbox: it stores no alert and nothing of it is written to Plone.
    is_sandbox: bool,
}

/// Decides `commands` one after the other, each against the book as the commands before it left it, and applies their
/// changes to `book`.
///
/// A decision that panics changes nothing and has no outcome; the commands after it are decided all the same.
/// `next_alert_id` returns a new id for each alert that has to be stored.
pub fn decide_batch(
    book: &mut TermBook,
    commands: &[Command],
    now: Timestamp,
    mut next_alert_id: impl FnMut() -> String,
) -> DecidedBatch {
    let mut changes = BatchChanges::none(now, book.term().id.is_sandbox());
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        // A decision only returns changes, so one that panics leaves the book as it was. It is not tried again: the
        // same command against the same book would panic again.
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
            defined: BTreeSet::new(),
            counted: BTreeSet::new(),
            staged: HashSet::new(),
            registrations: BTreeMap::new(),
            notices: Vec::new(),
            alerts: Vec::new(),
            is_sandbox,
        }
    }

    /// Returns true when nothing has to be written or published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.term.is_none()
            && self.generation.is_none()
            && self.sections.is_empty()
            && self.registrations.is_empty()
            && self.notices.is_empty()
    }

    /// Returns what readers need after the commit `seq`. `book` must have the changes applied.
    #[must_use]
    pub fn update(&self, book: &TermBook, seq: u64) -> TermUpdate {
        let students = self.registrations.keys().map(|(student, _)| student);
        TermUpdate {
            notices: self.notices.clone(),
            alerts_stored: !self.alerts.is_empty(),
            ..book.published_update(seq, self.term.as_ref(), self.sections.values(), students)
        }
    }

    /// Returns the sections to mark for Plone in the same commit: those that change in definition, in numbers, or in
    /// who holds them. Staged sections are left out: an import may have a hundred thousand, so the store marks them
    /// later, see [`Self::generation_for_plone`].
    #[must_use]
    pub fn sections_for_plone(&self) -> BTreeSet<&Crn> {
        if self.is_sandbox {
            return BTreeSet::new();
        }
        let touched = self.sections.keys().chain(self.registrations.keys().map(|(_, crn)| crn));
        touched.filter(|crn| !self.staged.contains(*crn)).collect()
    }

    /// Returns the generation whose staged sections have to be marked for Plone after the commit.
    #[must_use]
    pub fn generation_for_plone(&self) -> Option<u64> {
        self.generation.filter(|_| !self.is_sandbox && !self.staged.is_empty())
    }

    /// Merges the changes of one command, while `book` is still as it was before them.
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
        self.notices.extend_from_slice(&changes.notices);
    }

    fn merge_sections(&mut self, book: &TermBook, import: Option<&StagedImport>, changes: &Changes) {
        let staged_rows: HashMap<&Crn, &SectionState> = import
            .map_or_else(HashMap::new, |i| i.sections.iter().map(|s| (&s.section.id.crn, &s.staged_as)).collect());
        for state in &changes.sections {
            let crn = &state.section.id.crn;
            let before = book.section(crn);
            // The row that readers of the store will see: of a staged section it is the staged one.
            let row = staged_rows.get(crn).copied().or(before);
            if row.is_none_or(|row| !same_definition(row, state)) {
                self.defined.insert(crn.clone());
            }
            // A section without numbers in the store has no registration yet.
            let numbers_before = before.map_or((0, 0), |b| (b.enrolled, b.waiting));
            if numbers_before != (state.enrolled, state.waiting) {
                self.counted.insert(crn.clone());
            }
            self.sections.insert(crn.clone(), state.clone());
        }
    }

    /// Adds the staged sections of an import that is applied. A staged row becomes visible even where the import no
    /// longer changes its section. Where the section has changed since the row was staged, that row is out of date and
    /// has to be written again.
    fn merge_staged(&mut self, book: &TermBook, import: &StagedImport, changes: &Changes) {
        self.staged.extend(import.sections.iter().map(|new| new.section.id.crn.clone()));
        let changed: HashSet<&Crn> = changes.sections.iter().map(|s| &s.section.id.crn).collect();
        for new in &import.sections {
            let crn = &new.section.id.crn;
            if !changed.contains(crn)
                && let Some(state) = book.section(crn)
                && !same_definition(&new.staged_as, state)
            {
                self.defined.insert(crn.clone());
                self.sections.insert(crn.clone(), state.clone());
            }
        }
    }
}

/// Returns the alert to store for a notice; none for what the student did.
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
        created_at: at,
    })
}

/// Returns true when both have the same definition and outside numbers, whatever their own numbers of people.
fn same_definition(a: &SectionState, b: &SectionState) -> bool {
    (Arc::ptr_eq(&a.section, &b.section) || a.section == b.section)
        && a.outside_enrolled == b.outside_enrolled
        && a.outside_waitlisted == b.outside_waitlisted
        && a.file_totals == b.file_totals
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
