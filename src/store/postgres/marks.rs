//! Marks sections that have to be written to Plone, in the transaction that changes them, and stores the notes of the
//! outbox and its workers.

use jiff::Timestamp;

use crate::domain::ids::TermId;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::text_at;
use crate::store::postgres::transaction::{Tx, Work};
use crate::store::postgres::values::Statement;

/// Name of the note that is set once every section of the store was marked. Every change since then is marked, too.
const MARKED_NOTE: &str = "outbox_marked";

/// Marks sections of a term: see [`marking_of`].
pub(super) async fn mark<'s>(
    tx: &Tx,
    term: &TermId,
    crns: impl IntoIterator<Item = &'s str>,
    at: Timestamp,
) -> Result<(), Failure> {
    match marking_of(term, crns, at)? {
        Some(statement) => tx.execute_all(&[statement]).await,
        None => Ok(()),
    }
}

/// Returns the statement that marks sections of a term, in the order of their CRNs, so that two transactions that mark
/// the same sections do not deadlock. An existing entry keeps its times, except a refused one, which is due again.
pub(super) fn marking_of<'s>(
    term: &TermId,
    crns: impl IntoIterator<Item = &'s str>,
    at: Timestamp,
) -> Result<Option<Statement>, Failure> {
    let mut crns: Vec<&str> = crns.into_iter().collect();
    if crns.is_empty() {
        return Ok(None);
    }
    crns.sort_unstable();
    crns.dedup();
    let sql = marking("SELECT $2, n.crn FROM unnest($3) AS n (crn)");
    Statement::new(sql, &[&at.as_millisecond(), &term.as_str(), &crns]).map(Some)
}

/// Returns the statement that marks the sections that a query selects, at the time `$1`.
fn marking(sections: &str) -> String {
    format!(
        "INSERT INTO plone_outbox AS o (term, crn, version, queued_at, attempts, next_at, is_new)
         SELECT u.term, u.crn, 1, $1, 0, $1,
             NOT EXISTS (SELECT 1 FROM plone_items AS i WHERE i.term = u.term AND i.crn = u.crn)
         FROM ({sections}) AS u (term, crn)
         ON CONFLICT (term, crn) DO UPDATE SET version = o.version + 1,
             attempts = CASE WHEN o.refused IS NULL THEN o.attempts ELSE 0 END,
             next_at = CASE WHEN o.refused IS NULL THEN o.next_at ELSE excluded.next_at END,
             refused = NULL, refused_at = NULL"
    )
}

/// Marks every visible section.
pub(super) async fn mark_all(tx: &Tx, at: Timestamp) -> Result<(), Failure> {
    let sql = marking(
        "SELECT DISTINCT v.term, v.crn FROM sections AS v JOIN terms AS t ON t.id = v.term
         WHERE v.generation <= t.generation ORDER BY v.term, v.crn",
    );
    tx.execute(&sql, &[&at.as_millisecond()]).await.map(drop)
}

/// Prepares the outbox when a store is opened. If it is used from now on (`outbox` is the time), marks all sections. If
/// it is no longer used, removes the note [`MARKED_NOTE`], because later changes are not marked.
pub(super) async fn prepare(tx: &Tx, outbox: Option<Timestamp>) -> Result<Work<()>, Failure> {
    let is_marked = note(tx, MARKED_NOTE).await?.is_some();
    if outbox.is_some() == is_marked {
        return Ok(Work::Nothing(()));
    }
    if let Some(now) = outbox {
        mark_all(tx, now).await?;
        put_note(tx, MARKED_NOTE, "true").await?;
    } else {
        tx.execute("DELETE FROM plone_notes WHERE name = $1", &[&MARKED_NOTE]).await?;
    }
    Ok(Work::Commit(()))
}

/// Returns the note with this name.
pub(super) async fn note(tx: &Tx, name: &str) -> Result<Option<String>, Failure> {
    let row = tx.query_opt("SELECT value FROM plone_notes WHERE name = $1", &[&name]).await?;
    row.map(|row| text_at(&row, 0).map(str::to_owned)).transpose()
}

/// Stores a note, replacing an earlier one.
pub(super) async fn put_note(tx: &Tx, name: &str, value: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO plone_notes (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, &[&name, &value]).await.map(drop)
}
