//! The file to which chains of attempts are exported, for an auditor who does not use the hub's program.

use std::fmt::{Display, Write as _};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::attempt::{Attempt, Hash, Receipt, Salt};
use crate::domain::ids::{TermId, UserName};
use crate::private_files;
use crate::store::verification::ChainEnds;

/// The name of the format, in the first line of each chain.
const FORMAT: &str = "eduhub-attempts-1";

/// Why the chains cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be opened or read.
    #[error("{0}")]
    Store(String),
    /// The file exists or cannot be written.
    #[error("{path} cannot be written: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The store has no attempts of this term.
    #[error("the store has no attempts of term {0}")]
    NoTerm(TermId),
}

impl ExportError {
    /// Returns the error for a store that cannot be read.
    pub(super) fn unreadable(error: &impl Display) -> Self {
        Self::Store(format!("the store cannot be read: {error}"))
    }
}

/// A line of the file.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'l> {
    /// The beginning of a chain.
    Chain { format: &'static str, term: &'l TermId, after: Receipt, head: Receipt },
    /// A student: the commitment that represents the student in the rows, and the salt, which an erasure deletes.
    Student { term: &'l TermId, commitment: Hash, user: UserName, salt: Option<String> },
    /// An attempt.
    Attempt { n: u64, hash: Hash, row: &'l str },
    /// The end of a chain.
    End { term: &'l TermId, attempts: u64, head: Receipt },
}

/// A file of chains that is being written, one JSON object a line. Deleted unless it is finished, because an incomplete
/// file must not be taken for the chains.
pub(super) struct ExportFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// The first error, after which nothing more is written.
    failed: Option<io::Error>,
    /// The end of each chain.
    ends: Vec<(TermId, Receipt)>,
    /// The number of attempts of the current chain.
    attempts: u64,
    /// Reused from attempt to attempt.
    row: Vec<u8>,
    is_finished: bool,
}

impl ExportFile {
    /// Creates the file.
    ///
    /// # Errors
    /// When it exists or cannot be created.
    pub(super) fn create(path: &Path) -> Result<Self, ExportError> {
        let new = private_files::options().create_new(true).write(true).open(path);
        let new = new.map_err(|error| ExportError::File { path: path.to_owned(), error })?;
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::new(new),
            failed: None,
            ends: Vec::new(),
            attempts: 0,
            row: Vec::new(),
            is_finished: false,
        })
    }

    /// Begins a chain. Its students follow, then its attempts in their order, then its end.
    pub(super) fn begin(&mut self, chain: &ChainEnds) {
        let ChainEnds { term, n, head, deleted, deleted_hash, .. } = chain;
        let (after, head) = (Receipt { n: *deleted, hash: *deleted_hash }, Receipt { n: *n, hash: *head });
        write_line(&mut self.out, &mut self.failed, &Line::Chain { format: FORMAT, term, after, head });
        self.ends.push((term.clone(), head));
        self.attempts = 0;
    }

    /// Adds a student of the chain. `salt` is `None` if the student was erased.
    pub(super) fn student(&mut self, term: &TermId, commitment: Hash, user: UserName, salt: Option<Salt>) {
        let salt = salt.map(|salt| hexadecimal(&salt));
        write_line(&mut self.out, &mut self.failed, &Line::Student { term, commitment, user, salt });
    }

    /// Adds an attempt of the student with this commitment.
    pub(super) fn attempt(&mut self, term: &TermId, attempt: &Attempt, commitment: Hash) {
        attempt.canonical_row(term, commitment, &mut self.row);
        let row = String::from_utf8_lossy(&self.row);
        write_line(&mut self.out, &mut self.failed, &Line::Attempt { n: attempt.n, hash: attempt.hash, row: &row });
        self.attempts += 1;
    }

    /// Ends the chain.
    pub(super) fn end(&mut self) {
        let Some((term, head)) = self.ends.last() else { return };
        write_line(&mut self.out, &mut self.failed, &Line::End { term, attempts: self.attempts, head: *head });
    }

    /// Stores the file durably. Returns the end of each chain.
    ///
    /// # Errors
    /// When a part could not be written.
    pub(super) fn finish(mut self) -> Result<Vec<(TermId, Receipt)>, ExportError> {
        let written = self.failed.take().map_or(Ok(()), Err);
        let stored = written.and_then(|()| self.out.flush()).and_then(|()| self.out.get_ref().sync_all());
        stored.map_err(|error| ExportError::File { path: self.path.clone(), error })?;
        self.is_finished = true;
        Ok(std::mem::take(&mut self.ends))
    }
}

impl Drop for ExportFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_line(out: &mut impl Write, failed: &mut Option<io::Error>, line: &Line<'_>) {
    if failed.is_none() {
        let written =
            serde_json::to_writer(&mut *out, line).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
        *failed = written.err();
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
