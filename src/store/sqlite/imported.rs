//! What imports made visible goes into the outbox afterwards, bit by bit: to mark a hundred thousand sections in the
//! commit that makes them visible would keep registrations waiting for a second.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::domain::ids::TermId;
use crate::store::outbox::MARKED_AT_ONCE;

use crate::store::sqlite::marks;
use crate::store::sqlite::rows::unreadable;

/// Before the term in the name of the note that says what of it is still to be marked.
const NOTE: &str = "unmarked:";
/// All of these notes: `;` comes after `:`.
const NOTES: &str = "name >= 'unmarked:' AND name < 'unmarked;'";

/// What of a term is still to be marked.
#[derive(Debug, Serialize, Deserialize)]
struct Unmarked {
    /// Visible rows of this generation, and of those after it.
    from: u64,
    /// Up to this CRN it is done.
    after: String,
    /// The newest generation that was noted: with each import the note is another one.
    newest: u64,
}

/// Notes, in the commit that makes a generation visible, that its rows are to be marked. What an earlier one left is
/// still to be marked, too, and all of it from the beginning: marking twice is as good as once.
pub(super) fn note(tx: &Connection, term: &TermId, generation: u64) -> rusqlite::Result<()> {
    let name = format!("{NOTE}{term}");
    let earlier = marks::note(tx, &name)?.map(|value| read(&value)).transpose()?;
    let from = earlier.map_or(generation, |earlier| earlier.from.min(generation));
    put(tx, &name, &Unmarked { from, after: String::new(), newest: generation })
}

/// The next sections that are to be marked.
pub(super) struct Next {
    name: String,
    /// The note as it was read.
    value: String,
    unmarked: Unmarked,
    term: TermId,
    /// In order.
    crns: Vec<String>,
    /// Those of them that are marked.
    wanted: Vec<String>,
}

/// What is to be marked next, if anything is. Looking for it is a walk through the term, so it is done beside the writer.
pub(super) fn next(connection: &Connection, known_only: bool) -> rusqlite::Result<Option<Next>> {
    let tx = connection.unchecked_transaction()?;
    let sql = format!("SELECT name, value FROM plone_notes WHERE {NOTES} ORDER BY name LIMIT 1");
    let found = tx.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((name, value)): Option<(String, String)> = found else { return Ok(None) };
    let unmarked = read(&value)?;
    let term = TermId::parse(name.trim_start_matches(NOTE)).map_err(|e| unreadable(0, e))?;
    let crns = visible(&tx, &term, &unmarked)?;
    let wanted = if known_only { known(&tx, &term, &crns)? } else { crns.clone() };
    tx.commit()?;
    Ok(Some(Next { name, value, unmarked, term, crns, wanted }))
}

/// Marks them, and notes how far it came; nothing where another import has become visible since they were read.
pub(super) fn mark(tx: &Connection, next: &Next, at: Timestamp) -> rusqlite::Result<()> {
    if marks::note(tx, &next.name)?.as_ref() != Some(&next.value) {
        return Ok(());
    }
    marks::mark_crns(tx, &next.term, next.wanted.iter().map(String::as_str), at)?;
    match next.crns.last() {
        Some(last) if next.crns.len() == MARKED_AT_ONCE => {
            let Unmarked { from, newest, .. } = next.unmarked;
            put(tx, &next.name, &Unmarked { after: last.clone(), from, newest })
        }
        _ => tx.execute("DELETE FROM plone_notes WHERE name = ?1", [&next.name]).map(drop),
    }
}

/// The CRNs that are next, in order. A section that has been replaced since then has a newer row that is visible.
fn visible(tx: &Connection, term: &TermId, unmarked: &Unmarked) -> rusqlite::Result<Vec<String>> {
    let mut crns = tx.prepare_cached(
        "SELECT DISTINCT crn FROM sections
         WHERE term = ?1 AND crn > ?2 AND generation >= ?3
             AND generation <= (SELECT t.generation FROM terms AS t WHERE t.id = ?1)
         ORDER BY crn LIMIT ?4",
    )?;
    let limit = MARKED_AT_ONCE;
    crns.query_map(params![term.as_str(), unmarked.after, unmarked.from, limit], |row| row.get(0))?.collect()
}

/// Those that have an item in Plone.
fn known(tx: &Connection, term: &TermId, crns: &[String]) -> rusqlite::Result<Vec<String>> {
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
