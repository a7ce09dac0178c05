//! Verifies the chains of attempts, as [`crate::store::verification`] describes.

use rusqlite::{Connection, Row, params};

use crate::store::sqlite::attempts;
use crate::store::verification::{ChainCheck, ChainEnds, Statuses};

/// Verifies a chain. Adds a sentence for each difference to `found`, and returns the number of attempts.
pub(super) fn verify_chain(
    connection: &Connection,
    chain: ChainEnds,
    registered: &Statuses,
    found: &mut Vec<String>,
) -> rusqlite::Result<u64> {
    let (term, deleted) = (chain.term.clone(), chain.deleted);
    let mut check = ChainCheck::new(chain, found);
    let mut students = connection.prepare("SELECT id, user, commitment, salt FROM attempt_students WHERE term = ?1")?;
    let student = |row: &Row<'_>| Ok((attempts::student_at(row)?, attempts::salt_at(row, 3)?));
    let read = students.query_map([term.as_str()], student)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for ((id, user, stored), salt) in read {
        check.student(id, user, stored, salt);
    }
    let heads = || -> rusqlite::Result<Vec<(u64, String, u64)>> {
        let mut heads = connection.prepare("SELECT student, crn, n FROM attempt_heads WHERE term = ?1 AND n > ?2")?;
        let head = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        heads.query_map(params![term.as_str(), deleted], head)?.collect()
    };
    let sql = format!("SELECT {} FROM attempts AS a WHERE a.term = ?1 ORDER BY a.n", attempts::COLUMNS);
    let mut all = connection.prepare(&sql)?;
    let mut rows = all.query([term.as_str()])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let attempt = attempts::attempt_at(row)?;
        if check.wants_heads(Some(attempt.n)) {
            check.heads(&heads()?);
        }
        check.attempt(&attempt);
        count += 1;
    }
    if check.wants_heads(None) {
        check.heads(&heads()?);
    }
    check.end(registered);
    Ok(count)
}
