//! Exports the chains of attempts of the database.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::domain::attempt::Receipt;
use crate::domain::ids::TermId;
use crate::store::attempt_export::{ExportError, ExportFile};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::attempts::{COLUMNS, attempt_at, hash_at};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, number_at, term_id_at, user_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::verify::{ATTEMPTS_PER_READ, ends, salt_at};

/// The end of each chain, or why they cannot be exported.
type Exported = Result<Vec<(TermId, Receipt)>, ExportError>;

impl PostgresStore {
    /// Writes the chain of `term`, or of all terms, to a new file. Reads each chain as of one commit, so hubs may be
    /// running. Returns the end of each chain.
    ///
    /// # Errors
    /// When the database cannot be read or has no attempts of `term`, or the file exists or cannot be written.
    pub fn export_attempts(&self, file: PathBuf, term: Option<TermId>) -> BoxFuture<'static, Exported> {
        let store = self.clone();
        async move {
            let terms = store.read(async |tx| {
                let rows = tx.query("SELECT term FROM attempt_chains ORDER BY term", &[]).await?;
                rows.iter().map(|row| term_id_at(row, 0)).collect::<Result<Vec<TermId>, Failure>>()
            });
            let mut terms = terms.await.map_err(|error| ExportError::unreadable(&error))?;
            terms.retain(|one| term.as_ref().is_none_or(|term| one == term));
            if let (Some(term), true) = (term, terms.is_empty()) {
                return Err(ExportError::NoTerm(term));
            }
            let mut out = ExportFile::create(&file)?;
            for term in terms {
                out = store
                    .read(async move |tx| write_chain(tx, &term, out).await)
                    .await
                    .map_err(|error| ExportError::unreadable(&error))?;
            }
            out.finish()
        }
        .boxed()
    }
}

async fn write_chain(tx: &Tx, term: &TermId, mut out: ExportFile) -> Result<ExportFile, Failure> {
    let chain = ends(tx, term).await?;
    let mut after = chain.deleted;
    out.begin(&chain);
    let sql = "SELECT username, commitment, salt FROM attempt_students WHERE term = $1 ORDER BY id";
    for row in tx.query(sql, &[&term.as_str()]).await? {
        out.student(term, hash_at(&row, 1)?, user_at(&row, 0)?, salt_at(&row, 2)?);
    }
    let sql = format!(
        "SELECT {COLUMNS}, s.commitment FROM attempts AS a
         JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student
         WHERE a.term = $1 AND a.n > $2 ORDER BY a.n LIMIT $3"
    );
    loop {
        let rows = tx.query(&sql, &[&term.as_str(), &integer(after), &integer(ATTEMPTS_PER_READ)]).await?;
        for row in &rows {
            out.attempt(term, &attempt_at(row)?, hash_at(row, 15)?);
        }
        match rows.last() {
            Some(last) if rows.len() == ATTEMPTS_PER_READ => after = number_at(last, 0)?,
            _ => break,
        }
    }
    out.end();
    Ok(out)
}
