//! Exports the chains of attempts to a file, for an auditor who does not use the hub's program.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::domain::attempt::{Hash, Receipt};
use crate::domain::ids::{TermId, UserName};
use crate::private_files;
use crate::store::sqlite::attempts;
use crate::store::sqlite::open::{OpenError, open_existing};
use crate::store::verification::ChainEnds;

/// The name of the format, in the first line of each chain.
const FORMAT: &str = "eduhub-attempts-1";

/// Why the chains cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file exists or cannot be written.
    #[error("{path} cannot be written: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// There is no such term.
    #[error("the store has no attempts of term {0}")]
    NoTerm(TermId),
}

/// A line of the file.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'l> {
    /// The beginning of a chain.
    Chain { format: &'static str, term: &'l TermId, after: Receipt, head: Receipt },
    /// A student, by whose commitment the rows name the student. Without a salt after an erasure.
    Student { term: &'l TermId, commitment: Hash, user: UserName, salt: Option<String> },
    /// An attempt.
    Attempt { n: u64, hash: Hash, row: &'l str },
    /// The end of a chain.
    End { term: &'l TermId, attempts: u64, head: Receipt },
}

/// Writes the chain of `term`, or of all terms, to a new file, one JSON object a line. A hub may be using the store.
/// Returns the end of each chain.
///
/// # Errors
/// When the store cannot be read, there is no such term, or the file exists or cannot be written.
pub fn export_attempts(
    store: &Path,
    file: &Path,
    term: Option<&TermId>,
) -> Result<Vec<(TermId, Receipt)>, ExportError> {
    let io = |error| ExportError::File { path: file.to_owned(), error };
    let connection = open_existing(store)?;
    // One read transaction, so that commits of a running hub are not mixed in.
    connection.execute_batch("BEGIN")?;
    let mut chains = attempts::chains(&connection)?;
    chains.retain(|chain| term.is_none_or(|term| chain.term == *term));
    if let (Some(term), true) = (term, chains.is_empty()) {
        return Err(ExportError::NoTerm(term.clone()));
    }
    let new = private_files::options().create_new(true).write(true).open(file).map_err(io)?;
    let mut out = BufWriter::new(new);
    let mut ends = Vec::new();
    let written = chains.into_iter().try_for_each(|chain| {
        ends.push((chain.term.clone(), Receipt { n: chain.n, hash: chain.head }));
        write_chain(&connection, &chain, &mut out, &io)
    });
    let finished = written.and_then(|()| {
        out.flush().map_err(io)?;
        out.get_ref().sync_all().map_err(io)
    });
    if finished.is_err() {
        // An incomplete file must not be taken for the chain.
        let _ = fs::remove_file(file);
    }
    finished.map(|()| ends)
}

fn write_chain(
    connection: &Connection,
    chain: &ChainEnds,
    out: &mut impl Write,
    io: &impl Fn(io::Error) -> ExportError,
) -> Result<(), ExportError> {
    let ChainEnds { term, n, head, deleted, deleted_hash, .. } = chain;
    let head = Receipt { n: *n, hash: *head };
    let after = Receipt { n: *deleted, hash: *deleted_hash };
    let mut write = |line: &Line<'_>| -> Result<(), ExportError> {
        serde_json::to_writer(&mut *out, line).map_err(|error| io(error.into()))?;
        out.write_all(b"\n").map_err(io)
    };
    write(&Line::Chain { format: FORMAT, term, after, head })?;
    let mut students =
        connection.prepare("SELECT id, user, commitment, salt FROM attempt_students WHERE term = ?1 ORDER BY id")?;
    let mut rows = students.query([term.as_str()])?;
    while let Some(row) = rows.next()? {
        let (_, user, commitment) = attempts::student_at(row)?;
        let salt = attempts::salt_at(row, 3)?.map(|salt| hexadecimal(&salt));
        write(&Line::Student { term, commitment, user, salt })?;
    }
    let sql = format!(
        "SELECT {}, s.commitment FROM attempts AS a
         JOIN attempt_students AS s ON s.term = a.term AND s.id = a.student WHERE a.term = ?1 ORDER BY a.n",
        attempts::COLUMNS
    );
    let mut all = connection.prepare(&sql)?;
    let mut rows = all.query([term.as_str()])?;
    let (mut row_text, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let attempt = attempts::attempt_at(row)?;
        attempt.canonical_row(term, commitment_at(row)?, &mut row_text);
        let row = String::from_utf8_lossy(&row_text);
        write(&Line::Attempt { n: attempt.n, hash: attempt.hash, row: &row })?;
        count += 1;
    }
    write(&Line::End { term, attempts: count, head })
}

/// Reads the commitment after the columns of an attempt.
fn commitment_at(row: &Row<'_>) -> rusqlite::Result<Hash> {
    attempts::hash_at(row, 15)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
