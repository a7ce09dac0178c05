//! Terms in the embedded store: decided in memory, written as records, loaded anew when in doubt.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::domain::alert::Alert;
use crate::domain::book::TermBook;
use crate::domain::command::Command;
use crate::domain::decide::decide;
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::notice::Notice;
use crate::domain::outcome::Outcome;
use crate::domain::registration::Registration;
use crate::domain::section::{Credits, Place, SectionState};
use crate::domain::term::Term;
use crate::domain::view::TermView;
use crate::store::terms::{Committed, LoadedTerm, PublishedSection, TermBatch, TermStore, TermUpdate};
use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::{SqliteStore, alerts, imported, marks, rows};

/// A term in memory, as committed, or ahead of it by the one batch that is at the disk.
pub(super) struct Shelf {
    book: TermBook,
    seats_seq: u64,
    generation: u64,
}

/// What a batch changes, merged: each thing once, as its last command left it.
#[derive(Default)]
struct Record {
    term: Option<Term>,
    generation: Option<u64>,
    sections: BTreeMap<Crn, SectionState>,
    /// Sections that have a row of their own in the generation that becomes visible.
    staged: HashSet<Crn>,
    /// Sections whose definition or outside numbers are to be written.
    defined: BTreeSet<Crn>,
    /// Sections whose own numbers of people are to be written.
    counted: BTreeSet<Crn>,
    registrations: BTreeMap<(UserName, Crn), Registration>,
    notices: Vec<Notice>,
    alerts: Vec<Alert>,
}

impl Record {
    /// Adds what one command changes, before `book` has taken it over.
    fn add(&mut self, book: &TermBook, command: &Command, changes: &Changes, now: Timestamp) {
        let staged: HashMap<&Crn, &SectionState> = match command {
            Command::ApplyImport(staged) => staged.sections.iter().map(|s| (&s.section.id.crn, &s.staged_as)).collect(),
            _ => HashMap::new(),
        };
        for state in &changes.sections {
            let crn = &state.section.id.crn;
            let before = book.section(crn);
            // A staged row is in the table already: only what has moved since then is written again.
            let as_written = staged.get(crn).copied().or(before);
            if as_written.is_none_or(|w| !same_definition(w, state)) {
                self.defined.insert(crn.clone());
            }
            // A section without a row of numbers has nobody yet.
            let numbers_before = before.map_or((0, 0), |b| (b.enrolled, b.waiting));
            if numbers_before != (state.enrolled, state.waiting) {
                self.counted.insert(crn.clone());
            }
            self.sections.insert(crn.clone(), state.clone());
        }
        if let Command::ApplyImport(import) = command {
            self.staged.extend(import.sections.iter().map(|new| new.section.id.crn.clone()));
            // A staged row becomes visible even where the section no longer differs from the file: then it has moved
            // since the row was written, and the row says what is not so.
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
        // What happens in a sandbox is told to nobody.
        let kept = if book.term().id.is_sandbox() { &[][..] } else { &changes.notices };
        for notice in kept {
            let section = self.sections.get(&notice.crn).or_else(|| book.section(&notice.crn));
            self.alerts.extend(section.and_then(|s| kept_alert(notice, s, now)));
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

    fn is_empty(&self) -> bool {
        self.term.is_none()
            && self.generation.is_none()
            && self.sections.is_empty()
            && self.registrations.is_empty()
            && self.notices.is_empty()
    }

    /// Sections that the record changes in definition, in numbers, or in who holds them.
    fn touched(&self) -> BTreeSet<&Crn> {
        self.sections.keys().chain(self.registrations.keys().map(|(_, crn)| crn)).collect()
    }

    /// Writes it, in the savepoint of its batch. With `mark_at`, every section that it touches is marked for Plone.
    fn write(
        &self,
        tx: &Connection,
        term: &Term,
        seats_seq: u64,
        generation: u64,
        mark_at: Option<Timestamp>,
    ) -> rusqlite::Result<()> {
        rows::put_term(tx, term, seats_seq, generation)?;
        for crn in &self.defined {
            if let Some(state) = self.sections.get(crn) {
                rows::put_section(tx, state, visible_generation(tx, &term.id, crn, generation)?)?;
            }
        }
        for crn in &self.counted {
            if let Some(state) = self.sections.get(crn) {
                rows::put_seats(tx, state)?;
            }
        }
        for ((student, _), registration) in &self.registrations {
            rows::put_registration(tx, &term.id, student, registration)?;
        }
        for alert in &self.alerts {
            alerts::put(tx, alert)?;
            // A notice names its students: where the college is does not matter to it.
            alerts::send_out(tx, &alert.id, &alert.content, &alert.created_at.to_zoned_datetime(TimeZone::UTC))?;
        }
        if let Some(at) = mark_at {
            // An import may have a hundred thousand: they are marked later, with those that it leaves as they were.
            let others = self.touched().into_iter().filter(|crn| !self.staged.contains(*crn));
            marks::mark(tx, &term.id, others, at)?;
            if let Some(generation) = self.generation.filter(|_| !self.staged.is_empty()) {
                imported::note(tx, &term.id, generation)?;
            }
        }
        Ok(())
    }
}

/// The alert that is kept of a notice, if any.
fn kept_alert(notice: &Notice, state: &SectionState, now: Timestamp) -> Option<Alert> {
    Some(Alert {
        id: Uuid::now_v7().to_string(),
        seq: None,
        content: notice.alert(&state.section)?,
        source: "registration".to_owned(),
        sender: "eduhub".to_owned(),
        created_at: now,
    })
}

/// Whether both say the same but for the hub's own numbers of people.
fn same_definition(a: &SectionState, b: &SectionState) -> bool {
    (Arc::ptr_eq(&a.section, &b.section) || a.section == b.section)
        && a.outside_enrolled == b.outside_enrolled
        && a.outside_waitlisted == b.outside_waitlisted
        && a.file_totals == b.file_totals
}

/// The generation of a section's visible row; the term's own for a section without one.
fn visible_generation(tx: &Connection, term: &TermId, crn: &Crn, generation: u64) -> rusqlite::Result<u64> {
    let mut newest =
        tx.prepare_cached("SELECT max(generation) FROM sections WHERE term = ?1 AND crn = ?2 AND generation <= ?3")?;
    let found: Option<u64> = newest.query_row((term.as_str(), crn.as_str(), generation), |row| row.get(0))?;
    Ok(found.unwrap_or(generation))
}

/// Everything the store has of a term.
pub(super) struct TermRows {
    term: Term,
    seats_seq: u64,
    generation: u64,
    pub(super) sections: Vec<SectionState>,
    pub(super) registrations: Vec<(UserName, Registration)>,
}

/// Reads a term; an empty, closed one when the store does not have it. Registrations come student by student.
pub(super) fn read_term(tx: &Connection, id: &TermId) -> rusqlite::Result<TermRows> {
    let found = tx
        .prepare_cached(&format!("SELECT {} FROM terms WHERE id = ?1", rows::TERM_COLUMNS))?
        .query_row([id.as_str()], rows::term_at)
        .optional()?;
    let (term, seats_seq, generation) = found.unwrap_or_else(|| (Term::new(id.clone()), 0, 0));
    let sql = format!(
        "SELECT {} FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn
         WHERE s.term = ?1 AND s.generation = (SELECT max(v.generation) FROM sections AS v
             WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= ?2)",
        rows::SECTION_COLUMNS
    );
    let sections = tx
        .prepare_cached(&sql)?
        .query_map((id.as_str(), generation), |row| rows::section_at(row, id))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let registrations = tx
        .prepare_cached(
            "SELECT user, crn, standing, place, at, passed FROM registrations WHERE term = ?1 ORDER BY user, at, crn",
        )?
        .query_map([id.as_str()], rows::registration_at)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(TermRows { term, seats_seq, generation, sections, registrations })
}

fn published(book: &TermBook, state: &SectionState) -> PublishedSection {
    let line: Arc<[Place]> = book.waiting(&state.section.id.crn).cloned().collect();
    PublishedSection { state: state.clone(), line }
}

impl Shelf {
    fn from_rows(rows: TermRows, credit_limit: Credits) -> (Self, LoadedTerm) {
        let TermRows { term, seats_seq, generation, sections, registrations } = rows;
        let mut book = TermBook::new(term.clone(), credit_limit, sections, 1);
        for (student, registration) in registrations {
            book.restore(student, registration);
        }
        let loaded = LoadedTerm {
            term,
            seats_seq,
            sections: book.sections().map(|state| published(&book, state)).collect(),
            students: book.students().map(|(student, held)| (student.clone(), held.into())).collect(),
        };
        (Self { book, seats_seq, generation }, loaded)
    }

    /// Decides a batch, one command after the other, each seeing what the ones before it changed.
    fn decide(&mut self, batch: &TermBatch) -> (Vec<Option<Outcome>>, Record) {
        let mut record = Record::default();
        let mut answers = Vec::with_capacity(batch.commands.len());
        for command in &batch.commands {
            // A decision only returns changes: one that panics has changed nothing, and is not tried again.
            match catch_unwind(AssertUnwindSafe(|| decide(&self.book, command, batch.now))) {
                Ok(decision) => {
                    record.add(&self.book, command, &decision.changes, batch.now);
                    self.book.apply(&decision.changes);
                    answers.push(Some(decision.answer));
                }
                Err(_) => {
                    log::error!("a decision panicked; its command was refused");
                    answers.push(None);
                }
            }
        }
        if !record.is_empty() {
            self.seats_seq += 1;
            self.generation = record.generation.unwrap_or(self.generation);
        }
        (answers, record)
    }

    /// What is to be published of a record.
    fn update(&self, record: &Record) -> TermUpdate {
        let students: BTreeSet<&UserName> = record.registrations.keys().map(|(student, _)| student).collect();
        TermUpdate {
            seats_seq: self.seats_seq,
            term: record.term.clone(),
            sections: record.sections.values().map(|state| published(&self.book, state)).collect(),
            students: students.into_iter().map(|s| (s.clone(), self.book.registrations(s).into())).collect(),
            notices: record.notices.clone(),
            alerts_stored: !record.alerts.is_empty(),
        }
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // A panic under this lock is caught before it can leave a half-done shelf, so poison says nothing.
    shelf.lock()
}

impl SqliteStore {
    /// Forgets a term that is being removed; its registrar has ended.
    pub(super) fn forget_shelf(&self, term: &TermId) {
        self.inner.shelves.lock().remove(term);
    }
}

impl TermStore for SqliteStore {
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        self.read(|connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM terms ORDER BY id")?;
            let ids = ids.query_map([], |row| row.get::<_, String>(0))?;
            ids.map(|id| TermId::parse(&id?).map_err(|e| rows::unreadable(0, e))).collect()
        })
    }

    fn load(&self, term: &TermId) -> StoreFuture<LoadedTerm> {
        let (store, id) = (self.clone(), term.clone());
        // Read by the writer itself: nothing can be between what it has committed and what is loaded.
        let rows = self.write(move |tx| read_term(tx, &id));
        let id = term.clone();
        async move {
            let (shelf, loaded) = Shelf::from_rows(rows.await?, store.inner.options.credit_limit);
            let mut shelves = store.inner.shelves.lock();
            shelves.insert(id, Arc::new(Mutex::new(shelf)));
            Ok(loaded)
        }
        .boxed()
    }

    fn run(&self, batch: TermBatch) -> StoreFuture<Committed> {
        let shelf = self.inner.shelves.lock().get(&batch.term).cloned();
        let Some(shelf) = shelf else {
            let error = StoreError::Unavailable(format!("term {} is not loaded", batch.term));
            return futures_util::future::ready(Err(error)).boxed();
        };
        let mut open = lock(&shelf);
        let (answers, record) = open.decide(&batch);
        if record.is_empty() {
            // Everything that these answers rest on is committed: one batch at a time.
            return futures_util::future::ready(Ok(Committed { answers, update: None })).boxed();
        }
        let update = open.update(&record);
        let (term, seq, generation) = (open.book.term().clone(), open.seats_seq, open.generation);
        drop(open);
        let mark_at = (self.inner.options.outbox && !batch.term.is_sandbox()).then_some(batch.now);
        let written = self.write(move |tx| record.write(tx, &term, seq, generation, mark_at));
        async move { written.await.map(|()| Committed { answers, update: Some(update) }) }.boxed()
    }
}
