//! Terms in the embedded store: loads them, writes records, and lists what changed since a sequence.

use futures_util::FutureExt;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::SectionState;
use crate::domain::term::Term;
use crate::store::StoreFuture;
use crate::store::terms::{DecideBatch, Lineage, Position, TermChanges, TermRecord, TermRows, TermStore};

use crate::store::sqlite::content::AddedRows;
use crate::store::sqlite::{SqliteStore, alerts, attempts, audit, imported, marks, rows, students};

/// Selects, for each section `s` of a term, the row that is visible at the generation `?2`.
const VISIBLE: &str = "s.generation = (SELECT max(v.generation) FROM sections AS v
    WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= ?2)";

/// Selects sections of the term `?1` whose definition or counts a commit after `?3` wrote, or whose row it made
/// visible.
const CHANGED: &str = "(s.seq > ?3 OR n.seq > ?3 OR s.generation IN
    (SELECT g.generation FROM term_generations AS g WHERE g.term = ?1 AND g.seq > ?3))";

/// Reads the sections of a term that the SQL condition `which` selects, with their counts.
fn sections(
    tx: &Connection,
    id: &TermId,
    which: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<SectionState>> {
    let sql = format!(
        "SELECT {} FROM sections AS s LEFT JOIN seats AS n ON n.term = s.term AND n.crn = s.crn
         WHERE s.term = ?1 AND {which}",
        rows::SECTION_COLUMNS
    );
    tx.prepare_cached(&sql)?.query_map(params, |row| rows::section_at(row, id))?.collect()
}

/// Reads the registrations of a term that the SQL condition `which` selects, ordered by student.
fn registrations(
    tx: &Connection,
    which: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<(UserName, Registration)>> {
    let sql = format!(
        "SELECT {} FROM registrations WHERE term = ?1 AND {which} ORDER BY user, at, crn",
        rows::REGISTRATION_COLUMNS
    );
    tx.prepare_cached(&sql)?.query_map(params, rows::registration_at)?.collect()
}

/// Reads a term. Returns an empty, closed one when the store does not have it.
pub(super) fn read_term(tx: &Connection, id: &TermId) -> rusqlite::Result<TermRows> {
    let found = tx
        .prepare_cached(&format!("SELECT {} FROM terms WHERE id = ?1", rows::TERM_COLUMNS))?
        .query_row([id.as_str()], rows::term_at)
        .optional()?;
    let (term, seq, generation) = found.unwrap_or_else(|| (Term::new(id.clone()), 0, 0));
    let sections = sections(tx, id, VISIBLE, params![id.as_str(), generation])?;
    let registrations = registrations(tx, "true", [id.as_str()])?;
    // The simulated students of a sandbox are not students of the college.
    let facts = if id.is_sandbox() { Vec::new() } else { students::all_facts(tx)? };
    let attempts = attempts::read_chain(tx, id)?;
    Ok(TermRows { term, seq, generation, sections, registrations, facts, attempts, rewrites: 0 })
}

/// Reads what the commits after `since` changed. Scans the term, because an index by sequence would make every
/// registration slower.
fn read_changes(connection: &Connection, id: &TermId, since: u64) -> rusqlite::Result<TermChanges> {
    // One read transaction, so that all rows are of the same commit.
    let tx = connection.unchecked_transaction()?;
    let found = tx
        .prepare_cached(&format!("SELECT {}, changed_seq, facts_seq FROM terms WHERE id = ?1", rows::TERM_COLUMNS))?
        .query_row([id.as_str()], |row| {
            Ok((rows::term_at(row)?, row.get::<_, u64>("changed_seq")?, row.get::<_, u64>("facts_seq")?))
        })
        .optional()?;
    let Some(((term, seq, generation), changed_seq, facts_seq)) = found else { return Ok(TermChanges::default()) };
    let made_visible = tx
        .prepare_cached("SELECT max(generation) FROM term_generations WHERE term = ?1 AND seq > ?2")?
        .query_row(params![id.as_str(), since], |row| row.get(0))?;
    let which = format!("{VISIBLE} AND {CHANGED}");
    let facts = if facts_seq > since { students::all_facts(&tx)? } else { Vec::new() };
    let changes = Changes {
        term: (changed_seq > since).then_some(term),
        sections: sections(&tx, id, &which, params![id.as_str(), generation, since])?,
        registrations: registrations(&tx, "seq > ?2", params![id.as_str(), since])?,
        facts: facts.into_iter().map(|(student, facts)| (student, Some(facts))).collect(),
        notices: Vec::new(),
        generation: made_visible,
    };
    tx.commit()?;
    // Sections whose counts changed are read whole, because no other hub follows this store.
    Ok(TermChanges { seq, changes, counts: Vec::new(), attempts: None })
}

/// Writes a record, in the savepoint of its batch. With `has_outbox`, marks everything that has to be written to Plone.
fn write(tx: &Connection, record: &TermRecord, has_outbox: bool) -> rusqlite::Result<()> {
    let TermRecord { term: id, seq, generation, changes, audit } = record;
    let (seq, generation) = (*seq, *generation);
    write_term(tx, record)?;
    for crn in &changes.definitions_to_write {
        if let Some(state) = changes.sections.get(crn) {
            rows::put_section(tx, state, visible_generation(tx, id, crn, generation)?, seq)?;
        }
    }
    let mut added = AddedRows::default();
    let counted = changes.counts_to_write.iter().filter_map(|crn| changes.sections.get(crn));
    rows::put_seats(tx, counted, seq, &mut added)?;
    let registrations = changes.registrations.iter().map(|((student, _), registration)| (student, registration));
    rows::put_registrations(tx, id, registrations, seq, &mut added)?;
    attempts::put(tx, id, &changes.attempts, &mut added)?;
    added.store(tx)?;
    audit.iter().try_for_each(|entry| audit::append(tx, entry))?;
    for (student, facts) in &changes.facts {
        students::put(tx, student, facts.as_deref())?;
    }
    for alert in &changes.alerts {
        alerts::put(tx, alert)?;
        // The audience is one student, which does not depend on the date in the college's time zone.
        alerts::send_out(tx, &alert.id, &alert.content, &alert.created_at.to_zoned_datetime(TimeZone::UTC))?;
    }
    if has_outbox {
        marks::mark(tx, id, changes.sections_for_plone(), changes.at)?;
        if let Some(generation) = changes.generation_for_plone() {
            imported::note_generation(tx, id, generation)?;
        }
    }
    Ok(())
}

/// Raises the term's sequence, and writes the term when it is new or changed.
fn write_term(tx: &Connection, record: &TermRecord) -> rusqlite::Result<()> {
    let TermRecord { term: id, seq, generation, changes, audit: _ } = record;
    let stored = rows::term_seq(tx, id)?;
    if stored.unwrap_or(0) + u64::from(changes.changes_term()) != *seq {
        return Err(out_of_sequence(id, *seq, stored.unwrap_or(0)));
    }
    if !changes.changes_term() {
        return Ok(());
    }
    match &changes.term {
        Some(term) => rows::put_term(tx, term, *seq, *generation)?,
        None if stored.is_some() => rows::advance_term(tx, id, *seq, *generation)?,
        None => rows::put_term(tx, &Term::new(id.clone()), *seq, *generation)?,
    }
    if !changes.facts.is_empty() {
        rows::note_facts(tx, id, *seq)?;
    }
    if let Some(generation) = changes.generation {
        rows::put_generation(tx, id, generation, *seq)?;
    }
    Ok(())
}

/// Returns the error for a record whose batch was decided on a state other than the stored one. Writing the record
/// would overwrite seats that the decision did not see.
fn out_of_sequence(id: &TermId, seq: u64, stored: u64) -> rusqlite::Error {
    let message = format!("record {seq} of term {id} does not follow the stored sequence {stored}");
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT), Some(message))
}

/// Returns the generation of a section's visible row, or the term's generation for a section without one.
fn visible_generation(tx: &Connection, term: &TermId, crn: &Crn, generation: u64) -> rusqlite::Result<u64> {
    let mut newest =
        tx.prepare_cached("SELECT max(generation) FROM sections WHERE term = ?1 AND crn = ?2 AND generation <= ?3")?;
    let found: Option<u64> = newest.query_row((term.as_str(), crn.as_str(), generation), |row| row.get(0))?;
    Ok(found.unwrap_or(generation))
}

impl TermStore for SqliteStore {
    fn lineage(&self) -> Lineage {
        self.inner.lineage
    }

    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        self.read(|connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM terms ORDER BY id")?;
            let ids = ids.query_map([], |row| row.get::<_, String>(0))?;
            ids.map(|id| TermId::stored(&id?).map_err(|e| rows::unreadable(0, e))).collect()
        })
    }

    fn load(&self, term: &TermId) -> StoreFuture<TermRows> {
        let id = term.clone();
        // Read on the writer thread, so that every record that was submitted before has been committed or has failed.
        let shared = self.inner.shared_facts.clone();
        self.write(move |tx| {
            let mut rows = read_term(tx, &id)?;
            shared.share(&mut rows.facts);
            Ok(rows)
        })
    }

    fn run_batch(&self, _term: &TermId, _since: Position, decide: DecideBatch) -> StoreFuture<()> {
        // This process holds the store's lock, so no other hub can have committed.
        let Some(record) = decide(None) else {
            // Nothing to commit. The outcomes depend only on committed changes, because a term has one batch in flight.
            return futures_util::future::ready(Ok(())).boxed();
        };
        let has_outbox = self.inner.options.outbox.is_some();
        self.write(move |tx| write(tx, &record, has_outbox))
    }

    fn changes_since(&self, term: &TermId, since: u64) -> StoreFuture<TermChanges> {
        let id = term.clone();
        self.read(move |connection| read_changes(connection, &id, since))
    }
}
