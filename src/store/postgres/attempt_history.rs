//! Histories of attempts: reads them backward along the numbers of the previous attempts, and deletes old ones.

use jiff::Timestamp;

use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::store::StoreFuture;
use crate::store::attempts::{AttemptStore, StoredAttempt};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::attempts::{COLUMNS, ChainRow, attempt_at, chain, hash_at, locked_chains, terms_of};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, maybe_number_at, number_at, time_at, user_at};
use crate::store::postgres::transaction::Tx;

/// The student or the section of a history.
#[derive(Clone, Copy)]
enum Subject<'s> {
    /// The number of a student within the term.
    Student(u64),
    /// A section.
    Section(&'s Crn),
}

/// Returns the number of the newest attempt in a history, or 0.
async fn newest(tx: &Tx, chain: &ChainRow, subject: Subject<'_>) -> Result<u64, Failure> {
    let (student, crn) = match subject {
        Subject::Student(student) => (integer(student), ""),
        Subject::Section(crn) => (0, crn.as_str()),
    };
    let term = chain.term.as_str();
    // The attempts since `attempt_heads` was last written, at most a few thousand.
    let later = "SELECT max(n) FROM attempts WHERE term = $1 AND n > $2 AND (student = $3 OR crn = nullif($4, ''))";
    let row = tx.query_one(later, &[&term, &integer(chain.heads_at), &student, &crn]).await?;
    if let Some(n) = maybe_number_at(&row, 0)? {
        return Ok(n);
    }
    let head = "SELECT max(n) FROM attempt_heads WHERE term = $1 AND student = $2 AND crn = $3";
    Ok(maybe_number_at(&tx.query_one(head, &[&term, &student, &crn]).await?, 0)?.unwrap_or(0))
}

/// Reads a history of a term backward, from the newest attempt or from the one before `before`. One statement follows
/// the numbers of the previous attempts; it ends at the first attempt that was deleted or belongs to another history.
async fn history(
    tx: &Tx,
    chain: &ChainRow,
    subject: Subject<'_>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<StoredAttempt>, Failure> {
    let first = match before {
        Some(before) => before,
        None => newest(tx, chain, subject).await?,
    };
    let (student, crn, previous) = match subject {
        Subject::Student(student) => (integer(student), "", "before_student"),
        Subject::Section(crn) => (0, crn.as_str(), "before_section"),
    };
    // The caller chooses the cursor, so it can name an attempt of another history.
    let is_in_history = "(a.student = $3 OR a.crn = nullif($4, ''))";
    let sql = format!(
        "WITH RECURSIVE history (n, previous, depth) AS (
             SELECT a.n, a.{previous}, 1::bigint FROM attempts AS a WHERE a.term = $1 AND a.n = $2 AND {is_in_history}
             UNION ALL
             SELECT a.n, a.{previous}, h.depth + 1 FROM history AS h
             JOIN attempts AS a ON a.term = $1 AND a.n = h.previous AND {is_in_history} WHERE h.depth < $5)
         SELECT {COLUMNS}, s.username FROM history AS h JOIN attempts AS a ON a.term = $1 AND a.n = h.n
         JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student ORDER BY h.depth"
    );
    // The attempt at the cursor is read, too.
    let depth = integer(limit.saturating_add(usize::from(before.is_some())));
    let rows = tx.query(&sql, &[&chain.term.as_str(), &integer(first), &student, &crn, &depth]).await?;
    let stored = rows
        .iter()
        .map(|row| Ok(StoredAttempt { term: chain.term.clone(), user: user_at(row, 15)?, attempt: attempt_at(row)? }));
    let mut found = stored.collect::<Result<Vec<_>, Failure>>()?;
    found.retain(|one| before != Some(one.attempt.n));
    found.truncate(limit);
    Ok(found)
}

async fn of_student(
    tx: &Tx,
    user: &UserName,
    term: Option<TermId>,
    before: Option<(TermId, u64)>,
    limit: usize,
) -> Result<Vec<StoredAttempt>, Failure> {
    let mut found: Vec<StoredAttempt> = Vec::new();
    let terms = match term {
        Some(term) => vec![term],
        None => terms_of(tx, user).await?,
    };
    for one in terms {
        let is_selected = before.as_ref().is_none_or(|(last, _)| one <= *last);
        if !is_selected || found.len() >= limit {
            continue;
        }
        let Some(chain) = chain(tx, &one).await? else { continue };
        let before = before.as_ref().filter(|(last, _)| *last == one).map(|(_, n)| *n);
        let sql = "SELECT id FROM attempt_students WHERE username = $1 AND term = $2";
        if let Some(row) = tx.query_opt(sql, &[&user.as_str(), &one.as_str()]).await? {
            let student = Subject::Student(number_at(&row, 0)?);
            found.extend(history(tx, &chain, student, before, limit - found.len()).await?);
        }
    }
    Ok(found)
}

/// Deletes the oldest attempts of a chain that were decided before `cutoff`, at most `limit`. Returns their number.
async fn delete_oldest(tx: &Tx, chain: &ChainRow, cutoff: Timestamp, limit: usize) -> Result<usize, Failure> {
    let term = chain.term.as_str();
    let oldest = "SELECT n, hash, decided_at FROM attempts WHERE term = $1 AND n > $2 ORDER BY n LIMIT $3";
    let rows = tx.query(oldest, &[&term, &integer(chain.deleted), &integer(limit)]).await?;
    let mut last = None;
    // Stops at the first attempt that is new enough, even if the clock was set back: a chain can lose only its
    // beginning.
    for row in &rows {
        if time_at(row, 2)? >= cutoff {
            break;
        }
        last = Some((number_at::<i64>(row, 0)?, hash_at(row, 1)?));
    }
    let Some((n, hash)) = last else { return Ok(0) };
    let sql = "UPDATE attempt_chains SET deleted = $2, deleted_hash = $3 WHERE term = $1";
    tx.execute(sql, &[&term, &n, &&hash.0[..]]).await?;
    let deleted = tx.execute("DELETE FROM attempts WHERE term = $1 AND n <= $2", &[&term, &n]).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

impl AttemptStore for PostgresStore {
    fn attempts_of_student(
        &self,
        user: &UserName,
        term: Option<TermId>,
        before: Option<(TermId, u64)>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>> {
        let user = user.clone();
        self.read(async move |tx| of_student(tx, &user, term, before, limit as usize).await)
    }

    fn attempts_of_section(
        &self,
        section: &SectionId,
        before: Option<u64>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>> {
        let section = section.clone();
        self.read(async move |tx| {
            let Some(chain) = chain(tx, &section.term).await? else { return Ok(Vec::new()) };
            history(tx, &chain, Subject::Section(&section.crn), before, limit as usize).await
        })
    }

    fn delete_attempts_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(async move |tx| {
            let mut deleted = 0;
            for chain in locked_chains(tx).await? {
                deleted += delete_oldest(tx, &chain, cutoff, limit - deleted).await?;
            }
            Ok(deleted)
        })
    }
}
