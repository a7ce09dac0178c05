//! Decides many commands against one book and merges their changes into one record.
//!
//! A store writes the record, [`BatchChanges`]; readers receive [`BatchChanges::term_update`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;

use crate::domain::alert::Alert;
use crate::domain::alternatives::Alternatives;
use crate::domain::attempt::{Action, Attempt, AttemptResult, Decided, Origin, Receipt, Salt};
use crate::domain::attempt_chain::NewAttempts;
use crate::domain::book::{TermBook, waitlisted};
use crate::domain::command::{Command, StagedImport};
use crate::domain::decide::{Decision, decide};
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::{Notice, Reason};
use crate::domain::outcome::{Outcome, RequestOutcome};
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
    /// The receipts of each command, in order: one for a single request, and one for each result of a batch.
    pub receipts: Vec<Receipts>,
    /// The merged changes of all commands.
    pub changes: BatchChanges,
}

/// The receipts of one command. Most commands are single requests, which need no allocation.
pub type Receipts = SmallVec<[Receipt; 1]>;

/// A command to decide, with its origin.
#[derive(Debug)]
pub struct Requested<'c> {
    /// The command.
    pub command: &'c Command,
    /// Where it comes from.
    pub origin: Origin,
}

/// Random values for a batch, from outside the domain.
#[derive(Debug)]
pub struct Fresh<A, S> {
    /// Returns the id of a new alert.
    pub alert_id: A,
    /// Returns a new salt.
    pub salt: S,
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
    /// The subset of [`Self::sections`] whose numbers of students have to be written.
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
    /// The attempts of all commands.
    pub attempts: NewAttempts,
    /// Whether the term is a sandbox, which stores no alerts and is not written to Plone.
    is_sandbox: bool,
}

/// Decides `commands` in order and applies the changes of each to `book` before it decides the next.
///
/// If deciding a command panics, the command changes nothing and has no outcome, and the next one is decided.
///
/// Each decided request and promotion is appended to the chain of attempts, even if it changes nothing else.
pub fn decide_batch(
    book: &mut TermBook,
    commands: &[Requested<'_>],
    now: Timestamp,
    mut fresh: Fresh<impl FnMut() -> String, impl FnMut() -> Salt>,
) -> DecidedBatch {
    let mut changes = BatchChanges::none(now, book.term().id.is_sandbox());
    let (mut outcomes, mut receipts) = (Vec::with_capacity(commands.len()), Vec::with_capacity(commands.len()));
    for Requested { command, origin } in commands {
        // `decide` cannot modify the book, so a panic leaves the book consistent. There is no retry: the same command
        // against the same book would panic again.
        match catch_unwind(AssertUnwindSafe(|| decide(&*book, command, now))) {
            Ok(decision) => {
                changes.merge(book, command, &decision.changes, &mut fresh.alert_id);
                book.apply(&decision.changes);
                receipts.push(append(book, &decision, origin, &mut changes.attempts, now, &mut fresh.salt));
                outcomes.push(Some(decision.outcome));
            }
            Err(_) => {
                receipts.push(Receipts::new());
                outcomes.push(None);
            }
        }
    }
    book.attempts_mut().1.end_batch(&mut changes.attempts);
    DecidedBatch { outcomes, receipts, changes }
}

/// Appends the attempts of a decision to the chain, and returns the receipts of its requests.
fn append(
    book: &mut TermBook,
    decision: &Decision,
    origin: &Origin,
    new: &mut NewAttempts,
    now: Timestamp,
    new_salt: &mut impl FnMut() -> Salt,
) -> Receipts {
    let first = new.attempts.len();
    let (term, chain) = book.attempts_mut();
    for decided in &decision.attempts {
        let own = decided.action.own_origin();
        chain.append(term, decided.clone(), own.as_ref().unwrap_or(origin), now, new, &mut *new_salt);
    }
    let attempts = &new.attempts[first..];
    match &decision.outcome {
        // Promotions can precede the request, if reserved seats were released or offers lapsed, and can follow it. A
        // move has two requests; its outcome is that of the last one that was decided.
        Outcome::Request(_) => {
            let request = attempts.iter().rfind(|attempt| attempt.action.is_request());
            request.map(Attempt::receipt).into_iter().collect()
        }
        Outcome::Batch(results) => {
            let of_result = |(crn, _): &(Crn, RequestOutcome)| receipt_of(crn, &decision.attempts, attempts);
            results.iter().filter_map(of_result).collect()
        }
        Outcome::SectionChanged
        | Outcome::TermChanged
        | Outcome::FactsChanged
        | Outcome::Imported(_)
        | Outcome::ImportOutOfScope(_)
        | Outcome::NoSuchSection
        | Outcome::Settled => Receipts::new(),
    }
}

/// Returns the receipt of the result for one section of a batch: that of the last attempt of the student in the section.
/// That attempt can be a promotion, because a swap may make room for its own student. Refused promotions are ignored: a
/// student who is passed over keeps the position, which is the result.
fn receipt_of(crn: &Crn, decided: &[Decided], attempts: &[Attempt]) -> Option<Receipt> {
    let student = &decided.iter().find(|one| one.action.is_request())?.student;
    let is_passed_over =
        |one: &Decided| one.action == Action::Promote && matches!(one.result, AttemptResult::Refused(_));
    let of_result = |one: &&Decided| one.crn == *crn && one.student == *student && !is_passed_over(one);
    let at = decided.iter().rposition(|one| of_result(&one))?;
    attempts.get(at).map(Attempt::receipt)
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
            attempts: NewAttempts::default(),
            is_sandbox,
        }
    }

    /// Returns whether there is nothing to write or publish.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.changes_term() && self.attempts.is_empty()
    }

    /// Returns whether the batch changes more than the chain of attempts. If so, readers have to be notified.
    ///
    /// Each field is named, so that a new one does not compile until it is considered here: a change that is missing
    /// here would be confirmed and never stored.
    #[must_use]
    pub fn changes_term(&self) -> bool {
        let Self {
            term,
            generation,
            sections,
            registrations,
            facts,
            notices,
            alerts,
            // Readers read attempts from the store.
            attempts: _,
            // Parts of `sections`.
            definitions_to_write: _,
            counts_to_write: _,
            staged: _,
            // About the batch, not changes.
            at: _,
            is_sandbox: _,
        } = self;
        term.is_some()
            || generation.is_some()
            || !sections.is_empty()
            || !registrations.is_empty()
            || !facts.is_empty()
            || !notices.is_empty()
            || !alerts.is_empty()
    }

    /// Returns the update for readers after the commit `seq`. The changes must already be applied to `book`.
    #[must_use]
    pub fn term_update(&self, book: &TermBook, seq: u64) -> TermUpdate {
        let students = self.registrations.keys().map(|(student, _)| student);
        let reordered = waitlisted(self.registrations.values()).filter(|crn| !self.sections.contains_key(*crn));
        let reordered: BTreeSet<&Crn> = reordered.collect();
        let sections = self.sections.values().chain(reordered.into_iter().filter_map(|crn| book.section(crn)));
        TermUpdate {
            facts: self.facts.iter().map(|(student, facts)| (student.clone(), facts.clone())).collect(),
            notices: self.notices.clone(),
            alerts_stored: !self.alerts.is_empty(),
            ..book.published_update(seq, self.term.as_ref(), sections, students)
        }
    }

    /// Returns the sections to mark for Plone in the same commit: those whose definition, counts or roster change.
    /// Staged sections are excluded, because an import may contain a hundred thousand; the store marks them after the
    /// commit; see [`Self::generation_for_plone`].
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
            let mut alternatives = Alternatives::new(book, &self.sections);
            for notice in &changes.notices {
                let section = self.sections.get(&notice.crn).or_else(|| book.section(&notice.crn));
                self.alerts
                    .extend(section.and_then(|s| alert_of(notice, s, &mut alternatives, self.at, next_alert_id)));
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
            let counts = |of: &SectionState| (of.enrolled, of.offered, of.waitlisted);
            let is_counted = match before {
                Some(before) => counts(before) != counts(state) || before.reserved != state.reserved,
                None => counts(state) != (0, 0, 0) || state.reserved != ReservedCounts::default(),
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
    alternatives: &mut Alternatives<'_>,
    at: Timestamp,
    next_alert_id: &mut impl FnMut() -> String,
) -> Option<Alert> {
    let is_cancelled = notice.reason == Reason::Cancelled;
    let instead = if is_cancelled { alternatives.to(&state.section, &notice.student) } else { Vec::new() };
    let content = notice.alert(&state.section, &instead)?;
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

/// Returns whether both states have the same definition, outside counts and file totals. Ignores the hub's own counts.
fn same_definition(a: &SectionState, b: &SectionState) -> bool {
    (Arc::ptr_eq(&a.section, &b.section) || a.section == b.section)
        && a.outside_enrolled == b.outside_enrolled
        && a.outside_waitlisted == b.outside_waitlisted
        && a.file_totals == b.file_totals
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
