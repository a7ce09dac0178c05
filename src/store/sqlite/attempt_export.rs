//! Exports the chains of attempts of the embedded store.

use std::path::Path;

use rusqlite::{Connection, Row};

use crate::domain::attempt::{Hash, Receipt};
use crate::domain::ids::TermId;
use crate::store::attempt_export::{ExportError, ExportFile};
use crate::store::sqlite::attempts;
use crate::store::sqlite::open::open_existing;
use crate::store::verification::ChainEnds;

/// Writes the chain of `term`, or of all terms, to a new file. A hub may be using the store. Returns the end of each
/// chain.
///
/// # Errors
/// When the store cannot be read or has no attempts of `term`, or the file exists or cannot be written.
pub fn export_attempts(
    store: &Path,
    file: &Path,
    term: Option<&TermId>,
) -> Result<Vec<(TermId, Receipt)>, ExportError> {
    let connection = open_existing(store).map_err(|error| ExportError::Store(error.to_string()))?;
    // One read transaction, so that commits of a running hub are not mixed in.
    connection.execute_batch("BEGIN").map_err(|error| ExportError::unreadable(&error))?;
    let mut chains = attempts::chains(&connection).map_err(|error| ExportError::unreadable(&error))?;
    chains.retain(|chain| term.is_none_or(|term| chain.term == *term));
    if let (Some(term), true) = (term, chains.is_empty()) {
        return Err(ExportError::NoTerm(term.clone()));
    }
    let mut out = ExportFile::create(file)?;
    for chain in &chains {
        write_chain(&connection, chain, &mut out).map_err(|error| ExportError::unreadable(&error))?;
    }
    out.finish()
}

fn write_chain(connection: &Connection, chain: &ChainEnds, out: &mut ExportFile) -> rusqlite::Result<()> {
    let term = &chain.term;
    out.begin(chain);
    let mut students =
        connection.prepare("SELECT id, user, commitment, salt FROM attempt_students WHERE term = ?1 ORDER BY id")?;
    let mut rows = students.query([term.as_str()])?;
    while let Some(row) = rows.next()? {
        let (_, user, commitment) = attempts::student_at(row)?;
        out.student(term, commitment, user, attempts::salt_at(row, 3)?);
    }
    let sql = format!(
        "SELECT {}, s.commitment FROM attempts AS a
         JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student WHERE a.term = ?1 ORDER BY a.n",
        attempts::COLUMNS
    );
    let mut all = connection.prepare(&sql)?;
    let mut rows = all.query([term.as_str()])?;
    while let Some(row) = rows.next()? {
        out.attempt(term, &attempts::attempt_at(row)?, commitment_at(row)?);
    }
    out.end();
    Ok(())
}

/// Reads the commitment after the columns of an attempt.
fn commitment_at(row: &Row<'_>) -> rusqlite::Result<Hash> {
    attempts::hash_at(row, 15)
}
