//! Marks sections that have to be written to Plone, in the transaction that changes them, and stores the notes of the
//! outbox and its workers.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::ids::{Crn, TermId};

/// Name of the note that is set once every section of the store has been marked. Every change since then is marked,
/// too.
const MARKED_NOTE: &str = "outbox_marked";

/// Marks a section. An existing entry keeps its times, except a refused one, which is due again.
const MARK: &str = "INSERT INTO plone_outbox (term, crn, version, queued_at, next_at, is_new)
     VALUES (?1, ?2, 1, ?3, ?3, NOT EXISTS (SELECT 1 FROM plone_items AS i WHERE i.term = ?1 AND i.crn = ?2))
     ON CONFLICT (term, crn) DO UPDATE SET version = version + 1,
         attempts = iif(refused IS NULL, attempts, 0), next_at = iif(refused IS NULL, next_at, ?3),
         refused = NULL, refused_at = NULL";

/// Marks sections of a term, in the transaction of their change.
pub(super) fn mark<'s>(
    tx: &Connection,
    term: &TermId,
    crns: impl IntoIterator<Item = &'s Crn>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    mark_crns(tx, term, crns.into_iter().map(Crn::as_str), at)
}

/// Marks sections of a term by their CRNs as text.
pub(super) fn mark_crns<'s>(
    tx: &Connection,
    term: &TermId,
    crns: impl IntoIterator<Item = &'s str>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut mark = tx.prepare_cached(MARK)?;
    for crn in crns {
        mark.execute(params![term.as_str(), crn, at.as_millisecond()])?;
    }
    Ok(())
}

/// Marks every visible section.
pub(super) fn mark_all(tx: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    let mut all = tx.prepare(
        "SELECT DISTINCT s.term, s.crn FROM sections AS s
         JOIN terms AS t ON t.id = s.term AND s.generation <= t.generation",
    )?;
    let all: Vec<(String, String)> =
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let mut mark = tx.prepare_cached(MARK)?;
    for (term, crn) in all {
        mark.execute(params![term, crn, at.as_millisecond()])?;
    }
    Ok(())
}

/// Prepares the outbox when a store is opened. If it is used from now on (`outbox` is the time), marks all sections. If
/// it is no longer used, removes the note, because later changes will not be marked.
pub(super) fn prepare(tx: &Connection, outbox: Option<Timestamp>) -> rusqlite::Result<()> {
    let is_marked = note(tx, MARKED_NOTE)?.is_some();
    if outbox.is_some() == is_marked {
        return Ok(());
    }
    if let Some(now) = outbox {
        mark_all(tx, now)?;
        put_note(tx, MARKED_NOTE, "true")
    } else {
        tx.execute("DELETE FROM plone_notes WHERE name = ?1", [MARKED_NOTE]).map(drop)
    }
}

/// Returns the note with this name.
pub(super) fn note(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut found = connection.prepare_cached("SELECT value FROM plone_notes WHERE name = ?1")?;
    found.query_row([name], |row| row.get(0)).optional()
}

/// Stores a note, replacing an earlier one.
pub(super) fn put_note(tx: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO plone_notes (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
    )?;
    put.execute([name, value]).map(drop)
}
