//! Marks the sections of imports for the outbox, in several commits after the one that makes the import visible.
//! Marking a hundred thousand sections in that commit would delay registrations by a second.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::domain::ids::TermId;
use crate::store::outbox::MARKS_PER_COMMIT_MAX;

use crate::store::sqlite::marks;
use crate::store::sqlite::rows::unreadable;

/// Prefix of the names of notes that store an [`Unmarked`]; the term follows.
const NOTE: &str = "unmarked:";
/// Selects all of these notes: `;` is the character after `:`.
const NOTES: &str = "name >= 'unmarked:' AND name < 'unmarked;'";

/// The sections of a term that still have to be marked.
#[derive(Debug, Serialize, Deserialize)]
struct Unmarked {
    /// The oldest generation whose visible rows have to be marked.
    from: u64,
    /// The last CRN that was marked; empty at the start.
    after: String,
    /// The newest generation when the note was written. It makes the note differ after each import.
    newest: u64,
}

/// Records, in the commit that makes a generation visible, that its rows have to be marked. Rows of an earlier
/// generation that are not marked yet stay recorded. Marking starts at the first CRN again, because marking a section
/// twice does no harm.
pub(super) fn note_generation(tx: &Connection, term: &TermId, generation: u64) -> rusqlite::Result<()> {
    let name = format!("{NOTE}{term}");
    let earlier = marks::note(tx, &name)?.map(|value| read(&value)).transpose()?;
    let from = earlier.map_or(generation, |earlier| earlier.from.min(generation));
    put(tx, &name, &Unmarked { from, after: String::new(), newest: generation })
}

/// The next sections to mark.
pub(super) struct NextMarks {
    /// The note's name.
    name: String,
    /// The note's value when it was read.
    value: String,
    unmarked: Unmarked,
    term: TermId,
    /// The next visible sections, in order.
    crns: Vec<String>,
    /// Those of `crns` that have to be marked.
    to_mark: Vec<String>,
}

/// Finds the sections to mark next; `None` when no term has any left. This scans the term, so it runs on a reader, not
/// on the writer.
pub(super) fn next(connection: &Connection, known_only: bool) -> rusqlite::Result<Option<NextMarks>> {
    let tx = connection.unchecked_transaction()?;
    let sql = format!("SELECT name, value FROM plone_notes WHERE {NOTES} ORDER BY name LIMIT 1");
    let found = tx.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((name, value)): Option<(String, String)> = found else { return Ok(None) };
    let unmarked = read(&value)?;
    let term = TermId::stored(name.trim_start_matches(NOTE)).map_err(|e| unreadable(0, e))?;
    let crns = next_crns(&tx, &term, &unmarked)?;
    let to_mark = if known_only { with_item(&tx, &term, &crns)? } else { crns.clone() };
    tx.commit()?;
    Ok(Some(NextMarks { name, value, unmarked, term, crns, to_mark }))
}

/// Marks these sections and records the progress. Does nothing if the note has changed since it was read, such as when
/// another import has become visible.
pub(super) fn mark(tx: &Connection, next: &NextMarks, at: Timestamp) -> rusqlite::Result<()> {
    if marks::note(tx, &next.name)?.as_ref() != Some(&next.value) {
        return Ok(());
    }
    marks::mark_crns(tx, &next.term, next.to_mark.iter().map(String::as_str), at)?;
    match next.crns.last() {
        Some(last) if next.crns.len() == MARKS_PER_COMMIT_MAX => {
            let Unmarked { from, newest, .. } = next.unmarked;
            put(tx, &next.name, &Unmarked { after: last.clone(), from, newest })
        }
        _ => tx.execute("DELETE FROM plone_notes WHERE name = ?1", [&next.name]).map(drop),
    }
}

/// Returns the next CRNs, in order: those of sections with a row of these generations, whether it is visible or was
/// replaced by a newer one.
fn next_crns(tx: &Connection, term: &TermId, unmarked: &Unmarked) -> rusqlite::Result<Vec<String>> {
    let mut crns = tx.prepare_cached(
        "SELECT DISTINCT crn FROM sections
         WHERE term = ?1 AND crn > ?2 AND generation >= ?3
             AND generation <= (SELECT t.generation FROM terms AS t WHERE t.id = ?1)
         ORDER BY crn LIMIT ?4",
    )?;
    let limit = MARKS_PER_COMMIT_MAX;
    crns.query_map(params![term.as_str(), unmarked.after, unmarked.from, limit], |row| row.get(0))?.collect()
}

/// Returns those of `crns` that have an item in Plone.
fn with_item(tx: &Connection, term: &TermId, crns: &[String]) -> rusqlite::Result<Vec<String>> {
    let mut item =
        tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM plone_items WHERE term = ?1 AND crn = ?2 AND deleted = 0)")?;
    let mut known = Vec::new();
    for crn in crns {
        if item.query_row([term.as_str(), crn], |row| row.get(0))? {
            known.push(crn.clone());
        }
    }
    Ok(known)
}

fn read(value: &str) -> rusqlite::Result<Unmarked> {
    serde_json::from_str(value).map_err(|e| unreadable(1, e))
}

fn put(tx: &Connection, name: &str, unmarked: &Unmarked) -> rusqlite::Result<()> {
    let value = serde_json::to_string(unmarked).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    marks::put_note(tx, name, &value)
}
