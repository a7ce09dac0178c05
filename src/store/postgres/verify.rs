//! Verifies the contents of the database, as [`crate::store::verification`] describes. Damaged pages are for PostgreSQL
//! to detect.

use futures_util::FutureExt;
use tokio_postgres::Row;

use crate::domain::attempt::Salt;
use crate::domain::ids::TermId;
use crate::store::StoreFuture;
use crate::store::verification::{ChainCheck, ChainEnds, Statuses, Verification, check_term, statuses_of};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::attempts::{self, attempt_at, hash_at};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, number_at, term_id_at, text_at, user_at};
use crate::store::postgres::terms::read_term;
use crate::store::postgres::transaction::Tx;

/// Number of attempts that are read at once.
pub(super) const ATTEMPTS_PER_READ: usize = 5_000;

impl PostgresStore {
    /// Recomputes every chain of attempts, and every count from the registrations, and returns the differences. Reads
    /// each term as of one commit, so hubs may be running.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn verify(&self) -> StoreFuture<Verification> {
        let store = self.clone();
        async move {
            let terms = store.read(async |tx| all_terms(tx).await).await?;
            let mut found = Verification::default();
            for term in terms {
                found = store.read(async move |tx| verify_term(tx, &term, found).await).await?;
            }
            Ok(found)
        }
        .boxed()
    }
}

/// Returns all terms, including those that have only some of their rows.
pub(super) async fn all_terms(tx: &Tx) -> Result<Vec<TermId>, Failure> {
    let sql = "SELECT id FROM terms UNION SELECT term FROM registrations UNION SELECT term FROM seats
         UNION SELECT term FROM attempt_chains UNION SELECT term FROM attempts ORDER BY 1";
    tx.query(sql, &[]).await?.iter().map(|row| term_id_at(row, 0)).collect()
}

pub(super) async fn verify_term(tx: &Tx, id: &TermId, mut found: Verification) -> Result<Verification, Failure> {
    let term = read_term(tx, id).await?;
    let sql = "SELECT crn FROM seats WHERE term = $1 AND enrolled + offered + waitlisted > 0 ORDER BY crn";
    let counted = tx.query(sql, &[&id.as_str()]).await?;
    let counted: Vec<String> =
        counted.iter().map(|row| text_at(row, 0).map(str::to_owned)).collect::<Result<_, _>>()?;
    check_term(&term, &counted, &mut found);
    found.attempts += verify_chain(tx, id, &statuses_of(&term), &mut found.differences).await?;
    Ok(found)
}

/// Reads the salt of a student; `None` for an erased one.
pub(super) fn salt_at(row: &Row, column: usize) -> Result<Option<Salt>, Failure> {
    let salt: Option<&[u8]> = row.try_get(column)?;
    salt.map(|salt| salt.try_into().map_err(|_| Failure::unreadable(column, "not a salt of 16 bytes"))).transpose()
}

/// Reads the ends of a chain; those of an empty one for a term without attempts.
pub(super) async fn ends(tx: &Tx, id: &TermId) -> Result<ChainEnds, Failure> {
    let sql = "SELECT n, head, heads_at, deleted, deleted_hash FROM attempt_chains WHERE term = $1";
    let Some(row) = tx.query_opt(sql, &[&id.as_str()]).await? else {
        return Ok(ChainEnds::empty(id.clone()));
    };
    Ok(ChainEnds {
        term: id.clone(),
        n: number_at(&row, 0)?,
        head: hash_at(&row, 1)?,
        heads_at: number_at(&row, 2)?,
        deleted: number_at(&row, 3)?,
        deleted_hash: hash_at(&row, 4)?,
    })
}

/// Verifies the chain of a term. Adds a sentence for each difference to `found`, and returns the number of attempts.
async fn verify_chain(tx: &Tx, id: &TermId, registered: &Statuses, found: &mut Vec<String>) -> Result<u64, Failure> {
    let ends = ends(tx, id).await?;
    let mut after = ends.deleted;
    let sql = "SELECT student, crn, n FROM attempt_heads WHERE term = $1 AND n > $2";
    let heads = tx.query(sql, &[&id.as_str(), &integer(after)]).await?;
    let head = |row: &Row| Ok((number_at(row, 0)?, text_at(row, 1)?.to_owned(), number_at(row, 2)?));
    let heads: Vec<(u64, String, u64)> = heads.iter().map(head).collect::<Result<_, Failure>>()?;
    let mut check = ChainCheck::new(ends, found);
    let sql = "SELECT id, username, commitment, salt FROM attempt_students WHERE term = $1";
    for row in tx.query(sql, &[&id.as_str()]).await? {
        check.student(number_at(&row, 0)?, user_at(&row, 1)?, hash_at(&row, 2)?, salt_at(&row, 3)?);
    }
    let sql =
        format!("SELECT {} FROM attempts AS a WHERE a.term = $1 AND a.n > $2 ORDER BY a.n LIMIT $3", attempts::COLUMNS);
    let mut count = 0;
    loop {
        let rows = tx.query(&sql, &[&id.as_str(), &integer(after), &integer(ATTEMPTS_PER_READ)]).await?;
        for row in &rows {
            let attempt = attempt_at(row)?;
            if check.wants_heads(Some(attempt.n)) {
                check.heads(&heads);
            }
            check.attempt(&attempt);
            after = attempt.n;
            count += 1;
        }
        if rows.len() < ATTEMPTS_PER_READ {
            break;
        }
    }
    if check.wants_heads(None) {
        check.heads(&heads);
    }
    check.end(registered);
    Ok(count)
}
