//! Marks the sections of imports for the outbox, in several commits after the one that makes the import visible, as the
//! embedded store does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::TermId;
use crate::store::outbox::MARKS_PER_COMMIT_MAX;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::marks;
use crate::store::postgres::rows::{integer, json, text_at};
use crate::store::postgres::transaction::{Tx, Work};

/// Prefix of the names of notes that store an [`Unmarked`]; the term follows.
const NOTE: &str = "unmarked:";

/// The sections of a term that still have to be marked.
#[derive(Debug, Serialize, Deserialize)]
struct Unmarked {
    /// The oldest generation whose visible rows have to be marked.
    from: u64,
    /// The last CRN that was marked; empty at the start.
    after: String,
    /// The newest generation when the note was written.
    newest: u64,
}

fn read(value: &str) -> Result<Unmarked, Failure> {
    serde_json::from_str(value).map_err(|e| Failure::unreadable(1, e))
}

/// Records, in the commit that makes a generation visible, that its rows have to be marked. Rows of an earlier
/// generation that are not marked yet stay recorded. Marking starts at the first CRN again, because marking a section
/// twice does no harm.
pub(super) async fn note_generation(tx: &Tx, term: &TermId, generation: u64) -> Result<(), Failure> {
    let name = format!("{NOTE}{term}");
    let earlier = marks::note(tx, &name).await?.map(|value| read(&value)).transpose()?;
    let from = earlier.map_or(generation, |earlier| earlier.from.min(generation));
    marks::put_note(tx, &name, &json(&Unmarked { from, after: String::new(), newest: generation })?).await
}

/// Marks the next sections. Returns false when no term has any left.
pub(super) async fn mark_next(tx: &Tx, known_only: bool, at: Timestamp) -> Result<Work<bool>, Failure> {
    // The lock makes an import that becomes visible at the same time wait, so that its note is not overwritten.
    let sql = "SELECT name, value FROM plone_notes WHERE starts_with(name, $1) ORDER BY name LIMIT 1 FOR UPDATE";
    let Some(row) = tx.query_opt(sql, &[&NOTE]).await? else { return Ok(Work::Nothing(false)) };
    let (name, unmarked) = (text_at(&row, 0)?, read(text_at(&row, 1)?)?);
    let term = TermId::stored(name.trim_start_matches(NOTE)).map_err(|e| Failure::unreadable(0, e))?;
    let sql = "SELECT s.crn, EXISTS (SELECT 1 FROM plone_items AS i
                 WHERE i.term = s.term AND i.crn = s.crn AND NOT i.deleted)
         FROM (SELECT DISTINCT term, crn FROM sections WHERE term = $1 AND crn > $2 AND generation >= $3
                 AND generation <= (SELECT t.generation FROM terms AS t WHERE t.id = $1) ORDER BY crn LIMIT $4) AS s
         ORDER BY s.crn";
    let (from, limit) = (integer(unmarked.from), integer(MARKS_PER_COMMIT_MAX));
    let rows = tx.query(sql, &[&term.as_str(), &unmarked.after, &from, &limit]).await?;
    let mut to_mark = Vec::with_capacity(rows.len());
    for row in &rows {
        if !known_only || row.try_get(1)? {
            to_mark.push(text_at(row, 0)?);
        }
    }
    marks::mark(tx, &term, to_mark, at).await?;
    match rows.last() {
        Some(last) if rows.len() == MARKS_PER_COMMIT_MAX => {
            let next = Unmarked { after: text_at(last, 0)?.to_owned(), ..unmarked };
            marks::put_note(tx, name, &json(&next)?).await?;
        }
        _ => _ = tx.execute("DELETE FROM plone_notes WHERE name = $1", &[&name]).await?,
    }
    Ok(Work::Commit(true))
}
