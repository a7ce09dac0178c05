//! Attempts in the embedded store: writes those of a batch, loads the end of a chain, and reads histories.
//!
//! Each row has the numbers of the previous attempts of the same student and in the same section. A history is read
//! backward along these numbers.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strum::VariantArray;
use uuid::Uuid;

use crate::domain::attempt::{Attempt, AttemptResult, Hash, Salt};
use crate::domain::attempt_chain::{Heads, KnownStudent, NewAttempts, NewStudent, StoredChain};
use crate::domain::ids::{Crn, SANDBOX_PREFIX, SectionId, TermId, UserName};
use crate::store::StoreFuture;
use crate::store::attempts::{AttemptStore, StoredAttempt};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::content::AddedRows;
use crate::store::sqlite::rows::{integer, term_id_at, time_at, unreadable};
use crate::store::verification::ChainEnds;

/// The columns of `attempts AS a` that [`attempt_at`] reads.
pub(super) const COLUMNS: &str = "a.n, a.received_at, a.decided_at, a.student, a.crn, a.action, a.result, a.repeated, \
     a.position, a.open, a.asker, a.request_id, a.before_student, a.before_section, a.hash";

/// Reads a hash.
pub(super) fn hash_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    let bytes: Vec<u8> = row.get(column)?;
    Ok(Hash(bytes.try_into().map_err(|_| unreadable(column, "not a hash of 32 bytes"))?))
}

/// Reads a value that is stored as its position among all variants.
fn variant_at<T: VariantArray + Copy>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let number: usize = row.get(column)?;
    T::VARIANTS.get(number).copied().ok_or_else(|| unreadable(column, "an unknown number"))
}

fn number_of<T: VariantArray + PartialEq>(value: &T) -> u64 {
    T::VARIANTS.iter().position(|variant| variant == value).unwrap_or_default() as u64
}

/// Reads an attempt.
pub(super) fn attempt_at(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let (crn, result): (String, String) = (row.get(4)?, row.get(6)?);
    let request_id: Option<Vec<u8>> = row.get(11)?;
    Ok(Attempt {
        n: row.get(0)?,
        received_at: time_at(row, 1)?,
        decided_at: time_at(row, 2)?,
        student: row.get(3)?,
        crn: Crn::parse(&crn).map_err(|e| unreadable(4, e))?,
        action: variant_at(row, 5)?,
        result: AttemptResult::parse(&result).ok_or_else(|| unreadable(6, "an unknown result"))?,
        repeated: row.get(7)?,
        position: row.get(8)?,
        open: row.get(9)?,
        by: variant_at(row, 10)?,
        request_id: request_id.map(|id| Uuid::from_slice(&id).map_err(|e| unreadable(11, e))).transpose()?,
        before_of_student: row.get(12)?,
        before_of_section: row.get(13)?,
        hash: hash_at(row, 14)?,
    })
}

/// The columns that [`chain_at`] reads.
pub(super) const CHAIN_COLUMNS: &str = "term, n, head, heads_at, deleted, deleted_hash";

pub(super) fn chain_at(row: &Row<'_>) -> rusqlite::Result<ChainEnds> {
    Ok(ChainEnds {
        term: term_id_at(row, 0)?,
        n: row.get(1)?,
        head: hash_at(row, 2)?,
        heads_at: row.get(3)?,
        deleted: row.get(4)?,
        deleted_hash: hash_at(row, 5)?,
    })
}

/// Returns the chains, in the order of their terms.
pub(super) fn chains(connection: &Connection) -> rusqlite::Result<Vec<ChainEnds>> {
    let sql = format!("SELECT {CHAIN_COLUMNS} FROM attempt_chains ORDER BY term");
    connection.prepare_cached(&sql)?.query_map([], chain_at)?.collect()
}

fn chain(connection: &Connection, term: &TermId) -> rusqlite::Result<Option<ChainEnds>> {
    let sql = format!("SELECT {CHAIN_COLUMNS} FROM attempt_chains WHERE term = ?1");
    connection.prepare_cached(&sql)?.query_row([term.as_str()], chain_at).optional()
}

/// Reads a student who has attempts: the number, the name and the commitment.
pub(super) fn student_at(row: &Row<'_>) -> rusqlite::Result<(u64, UserName, Hash)> {
    let user: String = row.get(1)?;
    Ok((row.get(0)?, UserName::stored(&user).map_err(|e| unreadable(1, e))?, hash_at(row, 2)?))
}

/// Reads the salt of a student; `None` for an erased one.
pub(super) fn salt_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Salt>> {
    let salt: Option<Vec<u8>> = row.get(column)?;
    salt.map(|salt| salt.try_into().map_err(|_| unreadable(column, "not a salt of 16 bytes"))).transpose()
}

/// Loads the end of a chain. Reads the attempts after [`ChainEnds::heads_at`] only.
pub(super) fn read_chain(tx: &Connection, term: &TermId) -> rusqlite::Result<StoredChain> {
    let Some(chain) = chain(tx, term)? else { return Ok(StoredChain::default()) };
    let (mut students, mut sections) = (HashMap::<u64, u64>::new(), HashMap::<Crn, u64>::new());
    let mut newest = |student: u64, crn: Option<Crn>, n: u64| {
        if student > 0 {
            students.insert(student, n);
        }
        if let Some(crn) = crn {
            sections.insert(crn, n);
        }
    };
    let crn_of = |text: String| Crn::parse(&text).map_err(|e| unreadable(1, e));
    let mut heads = tx.prepare_cached("SELECT student, crn, n FROM attempt_heads WHERE term = ?1")?;
    let mut found = heads.query([term.as_str()])?;
    while let Some(row) = found.next()? {
        let crn: String = row.get(1)?;
        let crn = if crn.is_empty() { None } else { Some(crn_of(crn)?) };
        newest(row.get(0)?, crn, row.get(2)?);
    }
    let mut later = tx.prepare_cached("SELECT student, crn, n FROM attempts WHERE term = ?1 AND n > ?2 ORDER BY n")?;
    let mut found = later.query(params![term.as_str(), chain.heads_at])?;
    while let Some(row) = found.next()? {
        newest(row.get(0)?, Some(crn_of(row.get(1)?)?), row.get(2)?);
    }
    let known = tx
        .prepare_cached("SELECT id, user, commitment FROM attempt_students WHERE term = ?1")?
        .query_map([term.as_str()], student_at)?
        .map(|student| {
            let (id, user, commitment) = student?;
            Ok((user, KnownStudent { id, commitment, last: students.get(&id).copied().unwrap_or(0) }))
        })
        .collect::<rusqlite::Result<_>>()?;
    let ChainEnds { n, head, heads_at, .. } = chain;
    Ok(StoredChain { n, head, heads_at, students: known, sections: sections.into_iter().collect() })
}

/// Writes the attempts of a batch, in the savepoint of its record.
///
/// # Errors
/// When the attempts do not follow the stored ones, because the batch was decided on another state.
pub(super) fn put(tx: &Connection, term: &TermId, new: &NewAttempts, added: &mut AddedRows) -> rusqlite::Result<()> {
    let (Some(first), Some(last)) = (new.attempts.first(), new.attempts.last()) else { return Ok(()) };
    let stored = chain(tx, term)?;
    let stored_n = stored.as_ref().map_or(0, |chain| chain.n);
    if stored_n + 1 != first.n {
        let message = format!("attempt {} of term {term} does not follow the stored attempt {stored_n}", first.n);
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(message)));
    }
    put_students(tx, term, &new.students)?;
    put_rows(tx, term, &new.attempts, added)?;
    let heads_at = match &new.heads {
        Some(heads) => {
            put_heads(tx, term, heads, added)?;
            last.n
        }
        None => stored.map_or(0, |chain| chain.heads_at),
    };
    tx.prepare_cached(
        "INSERT INTO attempt_chains (term, n, head, heads_at, deleted, deleted_hash) VALUES (?1, ?2, ?3, ?4, 0, ?5)
         ON CONFLICT (term) DO UPDATE SET n = ?2, head = ?3, heads_at = ?4",
    )?
    .execute(params![term.as_str(), last.n, last.hash.0, heads_at, Hash::ZERO.0])
    .map(drop)
}

fn put_students(tx: &Connection, term: &TermId, students: &[NewStudent]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO attempt_students (term, id, user, salt, commitment) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for NewStudent { id, user, salt, commitment } in students {
        put.execute(params![term.as_str(), id, user.as_str(), salt, commitment.0])?;
    }
    Ok(())
}

fn put_rows(tx: &Connection, term: &TermId, attempts: &[Attempt], added: &mut AddedRows) -> rusqlite::Result<()> {
    let mut put =
        tx.prepare_cached("INSERT INTO attempts VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)")?;
    let maybe = |number: Option<u32>| number.map_or(ValueRef::Null, |number| integer(number.into()));
    for one in attempts {
        let values = [
            term.as_str().into(),
            integer(one.n),
            ValueRef::Integer(one.received_at.as_millisecond()),
            ValueRef::Integer(one.decided_at.as_millisecond()),
            integer(one.student),
            one.crn.as_str().into(),
            integer(number_of(&one.action)),
            one.result.as_str().into(),
            integer(one.repeated.into()),
            maybe(one.position),
            maybe(one.open),
            integer(number_of(&one.by)),
            one.request_id.as_ref().map_or(ValueRef::Null, |id| ValueRef::Blob(id.as_bytes())),
            integer(one.before_of_student),
            integer(one.before_of_section),
            ValueRef::Blob(&one.hash.0),
        ];
        for (index, value) in values.iter().enumerate() {
            put.raw_bind_parameter(index + 1, rusqlite::types::ToSqlOutput::Borrowed(*value))?;
        }
        put.raw_execute()?;
        added.add("attempts", &values);
    }
    Ok(())
}

/// Writes the newest attempt of students and sections.
fn put_heads(tx: &Connection, term: &TermId, heads: &Heads, added: &mut AddedRows) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO attempt_heads (term, student, crn, n) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (term, student, crn) DO UPDATE SET n = ?4
             + 0 * content_row_removed('attempt_heads', term, student, crn, n)",
    )?;
    let students = heads.students.iter().map(|(student, n)| (*student, "", *n));
    let sections = heads.sections.iter().map(|(crn, n)| (0, crn.as_str(), *n));
    for (student, crn, n) in students.chain(sections) {
        put.execute(params![term.as_str(), student, crn, n])?;
        added.add("attempt_heads", &[term.as_str().into(), integer(student), crn.into(), integer(n)]);
    }
    Ok(())
}

/// Replaces the name of an erased person and deletes the salts, without which the commitments in the chain cannot be
/// traced to the name. Returns the terms in which the person had attempts.
pub(super) fn erase(tx: &Connection, user: &UserName, pseudonym: &UserName) -> rusqlite::Result<Vec<TermId>> {
    let terms = terms_of(tx, user)?;
    tx.prepare_cached("UPDATE attempt_students SET user = ?2, salt = NULL WHERE user = ?1")?
        .execute([user.as_str(), pseudonym.as_str()])?;
    Ok(terms)
}

/// Returns the terms of the college in which a person had attempts, the greatest id first.
pub(super) fn terms_of(connection: &Connection, user: &UserName) -> rusqlite::Result<Vec<TermId>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT term FROM attempt_students WHERE user = ?1 AND term NOT GLOB ?2 ORDER BY term DESC",
        )?
        .query_map(params![user.as_str(), format!("{SANDBOX_PREFIX}*")], |row| term_id_at(row, 0))?
        .collect()
}

/// Deletes the students whose attempts were all deleted. Must be called before any term is loaded, because a loaded
/// term refers to its students.
pub(super) fn forget_students(tx: &Connection) -> rusqlite::Result<()> {
    for ChainEnds { term, heads_at, deleted, .. } in chains(tx)?.into_iter().filter(|chain| chain.deleted > 0) {
        tx.execute("DELETE FROM attempt_heads WHERE term = ?1 AND n <= ?2", params![term.as_str(), deleted])?;
        tx.execute(
            "DELETE FROM attempt_students WHERE term = ?1
               AND id NOT IN (SELECT h.student FROM attempt_heads AS h WHERE h.term = ?1)
               AND id NOT IN (SELECT a.student FROM attempts AS a WHERE a.term = ?1 AND a.n > ?2)",
            params![term.as_str(), heads_at.max(deleted)],
        )?;
    }
    Ok(())
}

/// The student or the section of a history.
#[derive(Clone, Copy)]
enum Subject<'s> {
    /// The number of a student within the term.
    Student(u64),
    /// A section.
    Section(&'s Crn),
}

/// Returns the number of a person within a term.
fn student_of(connection: &Connection, term: &TermId, user: &UserName) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT id FROM attempt_students WHERE user = ?1 AND term = ?2")?
        .query_row([user.as_str(), term.as_str()], |row| row.get(0))
        .optional()
}

/// Returns the number of the newest attempt in a history, or 0.
fn newest(connection: &Connection, chain: &ChainEnds, subject: Subject<'_>) -> rusqlite::Result<u64> {
    let max = |row: &Row<'_>| Ok(row.get::<_, Option<u64>>(0)?.unwrap_or(0));
    let (term, after) = (chain.term.as_str(), chain.heads_at);
    let (student, crn) = match subject {
        Subject::Student(student) => (student, ""),
        Subject::Section(crn) => (0, crn.as_str()),
    };
    // The attempts since `attempt_heads` was last written, at most a few thousand.
    let later = connection
        .prepare_cached(
            "SELECT max(n) FROM attempts WHERE term = ?1 AND n > ?2 AND (student = ?3 OR crn = nullif(?4, ''))",
        )?
        .query_row(params![term, after, student, crn], max)?;
    if later > 0 {
        return Ok(later);
    }
    connection
        .prepare_cached("SELECT max(n) FROM attempt_heads WHERE term = ?1 AND student = ?2 AND crn = ?3")?
        .query_row(params![term, student, crn], max)
}

/// Reads a history of a term backward, from the newest attempt or from the one before `before`.
fn history(
    connection: &Connection,
    chain: &ChainEnds,
    subject: Subject<'_>,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredAttempt>> {
    let sql = format!(
        "SELECT {COLUMNS}, s.user FROM attempts AS a
         JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student WHERE a.term = ?1 AND a.n = ?2"
    );
    let mut one = connection.prepare_cached(&sql)?;
    let mut n = match before {
        Some(before) => before,
        None => newest(connection, chain, subject)?,
    };
    let mut found = Vec::new();
    while n > 0 && found.len() < limit {
        let read = one.query_row(params![chain.term.as_str(), n], |row| {
            let user: String = row.get(15)?;
            Ok((attempt_at(row)?, UserName::stored(&user).map_err(|e| unreadable(15, e))?))
        });
        // Older attempts were deleted after the retention period.
        let Some((attempt, user)) = read.optional()? else { break };
        let is_in_history = match subject {
            Subject::Student(student) => attempt.student == student,
            Subject::Section(crn) => attempt.crn == *crn,
        };
        // The caller chooses the cursor, so it can name an attempt of another history.
        if !is_in_history {
            break;
        }
        n = match subject {
            Subject::Student(_) => attempt.before_of_student,
            Subject::Section(_) => attempt.before_of_section,
        };
        if before != Some(attempt.n) {
            found.push(StoredAttempt { term: chain.term.clone(), user, attempt });
        }
    }
    Ok(found)
}

fn of_student(
    connection: &Connection,
    user: &UserName,
    term: Option<&TermId>,
    before: Option<&(TermId, u64)>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredAttempt>> {
    // One read transaction, so that a history is as of one commit.
    let tx = connection.unchecked_transaction()?;
    let mut found: Vec<StoredAttempt> = Vec::new();
    let terms = term.map_or_else(|| terms_of(&tx, user), |term| Ok(vec![term.clone()]))?;
    for one in terms {
        let is_selected = before.is_none_or(|(last, _)| one <= *last);
        if !is_selected || found.len() >= limit {
            continue;
        }
        let Some(chain) = chain(&tx, &one)? else { continue };
        let before = before.filter(|(last, _)| *last == one).map(|(_, n)| *n);
        if let Some(student) = student_of(&tx, &one, user)? {
            found.extend(history(&tx, &chain, Subject::Student(student), before, limit - found.len())?);
        }
    }
    tx.commit()?;
    Ok(found)
}

impl AttemptStore for SqliteStore {
    fn attempts_of_student(
        &self,
        user: &UserName,
        term: Option<TermId>,
        before: Option<(TermId, u64)>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>> {
        let user = user.clone();
        self.read(move |connection| of_student(connection, &user, term.as_ref(), before.as_ref(), limit as usize))
    }

    fn attempts_of_section(
        &self,
        section: &SectionId,
        before: Option<u64>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>> {
        let section = section.clone();
        self.read(move |connection| {
            let tx = connection.unchecked_transaction()?;
            let Some(chain) = chain(&tx, &section.term)? else { return Ok(Vec::new()) };
            history(&tx, &chain, Subject::Section(&section.crn), before, limit as usize)
        })
    }

    fn delete_attempts_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(move |tx| {
            let mut deleted = 0;
            for chain in chains(tx)? {
                deleted += delete_oldest(tx, &chain, cutoff, limit - deleted)?;
            }
            Ok(deleted)
        })
    }
}

/// Deletes the oldest attempts of a chain that were decided before `cutoff`, at most `limit`. Returns their number.
fn delete_oldest(tx: &Connection, chain: &ChainEnds, cutoff: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let term = chain.term.as_str();
    let mut oldest =
        tx.prepare_cached("SELECT n, hash, decided_at FROM attempts WHERE term = ?1 AND n > ?2 ORDER BY n LIMIT ?3")?;
    let mut rows = oldest.query(params![term, chain.deleted, limit])?;
    let mut last = None;
    // Stops at the first attempt that is new enough, even if the clock was set back: a chain can lose only its
    // beginning.
    while let Some(row) = rows.next()? {
        if time_at(row, 2)? >= cutoff {
            break;
        }
        last = Some((row.get::<_, u64>(0)?, hash_at(row, 1)?));
    }
    let Some((n, hash)) = last else { return Ok(0) };
    tx.prepare_cached("UPDATE attempt_chains SET deleted = ?2, deleted_hash = ?3 WHERE term = ?1")?
        .execute(params![term, n, hash.0])?;
    tx.prepare_cached("DELETE FROM attempts WHERE term = ?1 AND n <= ?2")?.execute(params![term, n])
}
