//! Attempts: writes those of a batch, and loads the end of a chain. [`super::attempt_history`] reads histories.

use std::collections::HashMap;

use strum::VariantArray;
use tokio_postgres::Row;

use crate::domain::attempt::{Attempt, AttemptResult, Hash};
use crate::domain::attempt_chain::{Heads, KnownStudent, NewAttempts, NewStudent, StoredChain};
use crate::domain::ids::{Crn, TermId, UserName};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{
    crn_at, integer, maybe_number_at, number_at, term_id_at, text_at, time_at, user_at,
};
use crate::store::postgres::transaction::{Tx, Work};
use crate::store::postgres::values::Statement;

/// The columns of `attempts AS a` that [`attempt_at`] reads.
pub(super) const COLUMNS: &str = "a.n, a.received_at, a.decided_at, a.student, a.crn, a.action, a.result, a.repeated, \
     a.position, a.open, a.asker, a.request_id, a.before_student, a.before_section, a.hash";

/// Reads a hash.
pub(super) fn hash_at(row: &Row, column: usize) -> Result<Hash, Failure> {
    let bytes: &[u8] = row.try_get(column)?;
    Ok(Hash(bytes.try_into().map_err(|_| Failure::unreadable(column, "not a hash of 32 bytes"))?))
}

/// Reads a value that is stored as its position among all variants.
fn variant_at<T: VariantArray + Copy>(row: &Row, column: usize) -> Result<T, Failure> {
    let number: usize = number_at(row, column)?;
    T::VARIANTS.get(number).copied().ok_or_else(|| Failure::unreadable(column, "an unknown number"))
}

fn number_of<T: VariantArray + PartialEq>(value: &T) -> i64 {
    integer(T::VARIANTS.iter().position(|variant| variant == value).unwrap_or_default())
}

/// Reads an attempt.
pub(super) fn attempt_at(row: &Row) -> Result<Attempt, Failure> {
    Ok(Attempt {
        n: number_at(row, 0)?,
        received_at: time_at(row, 1)?,
        decided_at: time_at(row, 2)?,
        student: number_at(row, 3)?,
        crn: crn_at(row, 4)?,
        action: variant_at(row, 5)?,
        result: AttemptResult::parse(text_at(row, 6)?).ok_or_else(|| Failure::unreadable(6, "an unknown result"))?,
        repeated: row.try_get(7)?,
        position: maybe_number_at(row, 8)?,
        open: maybe_number_at(row, 9)?,
        by: variant_at(row, 10)?,
        request_id: row.try_get(11)?,
        before_of_student: number_at(row, 12)?,
        before_of_section: number_at(row, 13)?,
        hash: hash_at(row, 14)?,
    })
}

/// The row of a chain: its end, and the last attempt that was deleted from its beginning.
pub(super) struct ChainRow {
    pub(super) term: TermId,
    pub(super) n: u64,
    pub(super) head: Hash,
    pub(super) heads_at: u64,
    pub(super) deleted: u64,
}

fn chain_at(row: &Row) -> Result<ChainRow, Failure> {
    Ok(ChainRow {
        term: term_id_at(row, 0)?,
        n: number_at(row, 1)?,
        head: hash_at(row, 2)?,
        heads_at: number_at(row, 3)?,
        deleted: number_at(row, 4)?,
    })
}

/// Returns the chains, in the order of their terms, and locks their terms against batches.
pub(super) async fn locked_chains(tx: &Tx) -> Result<Vec<ChainRow>, Failure> {
    tx.query("SELECT 1 FROM terms WHERE id IN (SELECT term FROM attempt_chains) ORDER BY id FOR UPDATE", &[]).await?;
    let sql = "SELECT term, n, head, heads_at, deleted FROM attempt_chains ORDER BY term FOR UPDATE";
    tx.query(sql, &[]).await?.iter().map(chain_at).collect()
}

/// Returns the chain of a term; `None` for a term without attempts.
pub(super) async fn chain(tx: &Tx, term: &TermId) -> Result<Option<ChainRow>, Failure> {
    let sql = "SELECT term, n, head, heads_at, deleted FROM attempt_chains WHERE term = $1";
    tx.query_opt(sql, &[&term.as_str()]).await?.as_ref().map(chain_at).transpose()
}

/// Loads the end of a chain. Reads the attempts after [`ChainRow::heads_at`] only.
pub(super) async fn read_chain(tx: &Tx, term: &TermId) -> Result<StoredChain, Failure> {
    let Some(chain) = chain(tx, term).await? else { return Ok(StoredChain::default()) };
    let term = term.as_str();
    let (mut students, mut sections) = (HashMap::<u64, u64>::new(), HashMap::<Crn, u64>::new());
    let heads = "SELECT student, crn, n FROM attempt_heads WHERE term = $1";
    for row in tx.query(heads, &[&term]).await? {
        if text_at(&row, 1)?.is_empty() {
            students.insert(number_at(&row, 0)?, number_at(&row, 2)?);
        } else {
            sections.insert(crn_at(&row, 1)?, number_at(&row, 2)?);
        }
    }
    let later = "SELECT student, crn, n FROM attempts WHERE term = $1 AND n > $2 ORDER BY n";
    for row in tx.query(later, &[&term, &integer(chain.heads_at)]).await? {
        students.insert(number_at(&row, 0)?, number_at(&row, 2)?);
        sections.insert(crn_at(&row, 1)?, number_at(&row, 2)?);
    }
    let known = "SELECT id, username, commitment FROM attempt_students WHERE term = $1";
    let known = tx.query(known, &[&term]).await?;
    let known = known.iter().map(|row| {
        let id = number_at(row, 0)?;
        let last = students.get(&id).copied().unwrap_or(0);
        Ok((user_at(row, 1)?, KnownStudent { id, commitment: hash_at(row, 2)?, last }))
    });
    let students = known.collect::<Result<_, Failure>>()?;
    let ChainRow { n, head, heads_at, .. } = chain;
    Ok(StoredChain { n, head, heads_at, students, sections: sections.into_iter().collect() })
}

/// The students and sections that have attempts after a number, each with the newest one.
#[derive(Default)]
pub(super) struct NewerAttempts {
    students: Vec<(UserName, KnownStudent)>,
    sections: Vec<(Crn, u64)>,
}

impl NewerAttempts {
    /// Returns the end of a chain with only these students and sections.
    pub(super) fn end_of(self, chain: &ChainRow) -> StoredChain {
        let ChainRow { n, head, heads_at, .. } = *chain;
        StoredChain { n, head, heads_at, students: self.students, sections: self.sections }
    }
}

/// Reads which students and sections have attempts after `since`, and the newest attempt of each.
pub(super) async fn newer_than(tx: &Tx, term: &TermId, since: u64) -> Result<NewerAttempts, Failure> {
    // `LIMIT 1` makes each student one lookup in the index. With a join, PostgreSQL would read all students of the term
    // when it estimates too many attempts, as it does while the statistics of a growing table are old.
    let sql = "SELECT a.n, a.crn, s.id, s.username, s.commitment
         FROM (SELECT student, crn, max(n) AS n FROM attempts WHERE term = $1 AND n > $2
               GROUP BY GROUPING SETS ((student), (crn))) AS a
         LEFT JOIN LATERAL (SELECT k.id, k.username, k.commitment FROM attempt_students AS k
               WHERE k.term = $1 AND k.id = a.student LIMIT 1) AS s ON true
         WHERE a.crn IS NOT NULL OR s.id IS NOT NULL";
    let mut newer = NewerAttempts::default();
    for row in tx.query(sql, &[&term.as_str(), &integer(since)]).await? {
        let last = number_at(&row, 0)?;
        match maybe_number_at(&row, 2)? {
            Some(id) => {
                newer.students.push((user_at(&row, 3)?, KnownStudent { id, commitment: hash_at(&row, 4)?, last }));
            }
            None => newer.sections.push((crn_at(&row, 1)?, last)),
        }
    }
    Ok(newer)
}

/// Adds the statements that write the attempts of a batch.
///
/// # Errors
/// When the attempts do not follow the attempt `stored`, because the batch was decided on another state.
pub(super) fn put(
    statements: &mut Vec<Statement>,
    term: &TermId,
    new: &NewAttempts,
    stored: u64,
) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (new.attempts.first(), new.attempts.last()) else { return Ok(()) };
    if stored + 1 != first.n {
        let message = format!("attempt {} of term {term} does not follow the stored attempt {stored}", first.n);
        return Err(Failure::Refused(message));
    }
    if !new.students.is_empty() {
        statements.push(put_students(term, &new.students)?);
    }
    statements.push(put_rows(term, &new.attempts)?);
    statements.push(put_end(term, last, new.heads.is_some())?);
    if let Some(heads) = &new.heads {
        statements.push(put_heads(term, heads)?);
    }
    Ok(())
}

/// Returns the statement that writes the end of the chain.
fn put_end(term: &TermId, last: &Attempt, with_heads: bool) -> Result<Statement, Failure> {
    let heads_at = if with_heads { integer(last.n) } else { 0 };
    let sql =
        "INSERT INTO attempt_chains (term, n, head, heads_at, deleted, deleted_hash) VALUES ($1, $2, $3, $4, 0, $5)
         ON CONFLICT (term) DO UPDATE SET n = excluded.n, head = excluded.head,
             heads_at = greatest(attempt_chains.heads_at, excluded.heads_at)";
    let (head, zero) = (&last.hash.0[..], &Hash::ZERO.0[..]);
    Statement::new(sql, &[&term.as_str(), &integer(last.n), &head, &heads_at, &zero])
}

fn put_students(term: &TermId, students: &[NewStudent]) -> Result<Statement, Failure> {
    let ids: Vec<i64> = students.iter().map(|one| integer(one.id)).collect();
    let names: Vec<&str> = students.iter().map(|one| one.user.as_str()).collect();
    let salts: Vec<&[u8]> = students.iter().map(|one| &one.salt[..]).collect();
    let commitments: Vec<&[u8]> = students.iter().map(|one| &one.commitment.0[..]).collect();
    let sql = "INSERT INTO attempt_students (term, id, username, salt, commitment)
         SELECT $1, u.* FROM unnest($2, $3, $4, $5) AS u";
    Statement::new(sql, &[&term.as_str(), &ids, &names, &salts, &commitments])
}

/// Refuses attempts of students who were deleted since this hub loaded the term ([`forget_students`]). Only a term
/// without a row needs this: otherwise its `rewrites` have risen.
pub(super) async fn require_students(tx: &Tx, term: &TermId, new: &NewAttempts) -> Result<(), Failure> {
    let is_known = |student: u64| new.students.iter().all(|one| one.id != student);
    let known = new.attempts.iter().map(|one| one.student).filter(|student| is_known(*student));
    let ids: Vec<i64> = known.map(integer).collect();
    let sql = "SELECT u.id FROM unnest($2) AS u (id)
         WHERE NOT EXISTS (SELECT 1 FROM attempt_students AS s WHERE s.term = $1 AND s.id = u.id) LIMIT 1";
    match tx.query_opt(sql, &[&term.as_str(), &ids]).await? {
        None => Ok(()),
        Some(_) => Err(Failure::Refused(format!("students of term {term} were deleted; it must be loaded again"))),
    }
}

/// Deletes the students whose attempts were all deleted, when a hub opens the store. Another hub may have them in
/// memory: `rewrites` rises, so that its batches are refused until it has loaded the term again, within a second.
pub(super) async fn forget_students(tx: &Tx) -> Result<Work<()>, Failure> {
    let chains = locked_chains(tx).await?;
    let mut forgotten = 0;
    for ChainRow { term, heads_at, deleted, .. } in chains.iter().filter(|chain| chain.deleted > 0) {
        let (term, deleted, from) = (term.as_str(), integer(*deleted), integer(*heads_at.max(deleted)));
        tx.execute("DELETE FROM attempt_heads WHERE term = $1 AND n <= $2", &[&term, &deleted]).await?;
        let sql = "DELETE FROM attempt_students WHERE term = $1
             AND id NOT IN (SELECT h.student FROM attempt_heads AS h WHERE h.term = $1)
             AND id NOT IN (SELECT a.student FROM attempts AS a WHERE a.term = $1 AND a.n > $2)";
        let students = tx.execute(sql, &[&term, &from]).await?;
        if students > 0 {
            tx.execute("UPDATE terms SET rewrites = rewrites + 1 WHERE id = $1", &[&term]).await?;
        }
        forgotten += students;
    }
    // If there is no student to delete, the deletions from `attempt_heads` are rolled back. A later start repeats them.
    Ok(if forgotten > 0 { Work::Commit(()) } else { Work::Nothing(()) })
}

fn put_rows(term: &TermId, attempts: &[Attempt]) -> Result<Statement, Failure> {
    let numbers = |of: &dyn Fn(&Attempt) -> i64| attempts.iter().map(of).collect::<Vec<i64>>();
    let maybe = |of: &dyn Fn(&Attempt) -> Option<u32>| {
        attempts.iter().map(|one| of(one).map(i64::from)).collect::<Vec<Option<i64>>>()
    };
    let crns: Vec<&str> = attempts.iter().map(|one| one.crn.as_str()).collect();
    let results: Vec<&str> = attempts.iter().map(|one| one.result.as_str()).collect();
    let repeated: Vec<bool> = attempts.iter().map(|one| one.repeated).collect();
    let request_ids: Vec<Option<uuid::Uuid>> = attempts.iter().map(|one| one.request_id).collect();
    let hashes: Vec<&[u8]> = attempts.iter().map(|one| &one.hash.0[..]).collect();
    let sql =
        "INSERT INTO attempts (term, n, received_at, decided_at, student, crn, action, result, repeated, position,
             open, asker, request_id, before_student, before_section, hash)
         SELECT $1, u.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) AS u";
    Statement::new(
        sql,
        &[
            &term.as_str(),
            &numbers(&|one| integer(one.n)),
            &numbers(&|one| one.received_at.as_millisecond()),
            &numbers(&|one| one.decided_at.as_millisecond()),
            &numbers(&|one| integer(one.student)),
            &crns,
            &numbers(&|one| number_of(&one.action)),
            &results,
            &repeated,
            &maybe(&|one| one.position),
            &maybe(&|one| one.open),
            &numbers(&|one| number_of(&one.by)),
            &request_ids,
            &numbers(&|one| integer(one.before_of_student)),
            &numbers(&|one| integer(one.before_of_section)),
            &hashes,
        ],
    )
}

/// Returns the statement that writes the newest attempt of students and sections.
fn put_heads(term: &TermId, heads: &Heads) -> Result<Statement, Failure> {
    let students = heads.students.iter().map(|(student, n)| (integer(*student), "", integer(*n)));
    let sections = heads.sections.iter().map(|(crn, n)| (0, crn.as_str(), integer(*n)));
    let (mut ids, mut crns, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (student, crn, n) in students.chain(sections) {
        ids.push(student);
        crns.push(crn);
        numbers.push(n);
    }
    let sql = "INSERT INTO attempt_heads (term, student, crn, n) SELECT $1, u.* FROM unnest($2, $3, $4) AS u
         ON CONFLICT (term, student, crn) DO UPDATE SET n = excluded.n";
    Statement::new(sql, &[&term.as_str(), &ids, &crns, &numbers])
}

/// Returns the terms of the college in which a person had attempts, the greatest id first.
pub(super) async fn terms_of(tx: &Tx, user: &UserName) -> Result<Vec<TermId>, Failure> {
    let sql = "SELECT DISTINCT term FROM attempt_students WHERE username = $1 ORDER BY term DESC";
    let terms = tx.query(sql, &[&user.as_str()]).await?;
    let terms = terms.iter().map(|row| term_id_at(row, 0)).collect::<Result<Vec<_>, _>>()?;
    Ok(terms.into_iter().filter(|term| !term.is_sandbox()).collect())
}
