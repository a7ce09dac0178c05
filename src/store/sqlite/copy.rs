//! Backup and restore: whole, consistent copies of the store, made with SQLite's own backup (a copy of the file alone
//! would lack its write-ahead log).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::content::Position;
use crate::store::sqlite::files::{self, NewFile};
use crate::store::sqlite::lock::StoreLock;
use crate::store::sqlite::open::{OpenError, open_existing, require_one_name};
use crate::store::sqlite::verify::whole_content;
use crate::store::sqlite::{damage, last_commit, seal};

/// Why a store was not copied. The messages are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store, or the file to restore, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target of a backup exists.
    #[error("{0} already exists and is not overwritten")]
    Exists(PathBuf),
    /// The target of a restore exists.
    #[error("the store {0} already exists; --replace puts the copy in its place and keeps the old store beside it")]
    StoreExists(PathBuf),
    /// The file, or the store that is copied, is not as the hub wrote it.
    #[error("{path} is damaged: {what}; nothing was copied. Use an undamaged backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The copy cannot be written.
    #[error("{path} cannot be written: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// SQLite cannot copy.
    #[error("{path} cannot be copied: {error}")]
    Sqlite {
        /// The file that is copied.
        path: PathBuf,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
}

/// Copies a store, even one that a hub serves, into a new file. The copy is the store as of one commit, in one file.
///
/// # Errors
/// When the store cannot be read or is damaged, or the file exists or cannot be written.
pub fn backup(store: &Path, to: &Path) -> Result<(), CopyError> {
    if to.exists() {
        return Err(CopyError::Exists(to.to_owned()));
    }
    let io = |error| CopyError::Io { path: to.to_owned(), error };
    require_one_name(store)?;
    let (source, recorded) = source(store)?;
    files::remove_unfinished(files::folder_of(to)).map_err(io)?;
    let copy = copy_beside(&source, store, to, recorded.as_ref())?;
    copy.persist_noclobber(to).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CopyError::Exists(to.to_owned()),
        _ => io(error),
    })
}

/// Replaces a store that no hub serves with a copy. Returns the path under which the replaced store is kept.
///
/// Whenever the process or the machine stops, the store's path leads to the whole old store or to the whole new one.
///
/// # Errors
/// When a process holds the store, when there is one and `replace` is false, when `from` is not a whole store, or when
/// the copy cannot be written.
pub fn restore(store: &Path, from: &Path, replace: bool) -> Result<Option<PathBuf>, CopyError> {
    let (source, recorded) = source(from)?;
    let lock = StoreLock::take(store)?;
    let store = lock.store();
    let io = |error| CopyError::Io { path: store.to_owned(), error };
    // SQLite would apply a log without its store to the new store.
    let is_there = store.exists() || files::log_of(store).exists();
    if is_there && !replace {
        return Err(CopyError::StoreExists(store.to_owned()));
    }
    let copy = copy_beside(&source, from, store, recorded.as_ref())?;
    last_commit::forget(store).map_err(io)?;
    if !is_there {
        copy.persist_noclobber(store).map_err(io)?;
        return Ok(None);
    }
    if let Err(error) = close_whole(store) {
        log::warn!("the store {} is kept with its log beside it, because it is damaged: {error}", store.display());
    }
    let kept = files::keep_beside(store, Timestamp::now().as_millisecond()).map_err(io)?;
    copy.replace(store).map_err(io)?;
    files::restrict(store);
    Ok(Some(kept))
}

/// Writes the log of a store into it and seals it, so that it can be put back.
fn close_whole(store: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    seal::remove(store).map_err(text)?;
    fold_log(store).map_err(|error| error.to_string())?;
    seal::put(store).map_err(text)
}

/// Writes what the log of a store holds into the store, and removes the log.
fn fold_log(store: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(store, flags)?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.close().map_err(|(_, error)| error)
}

/// Returns a whole, sealed copy of `source` in the folder of `place`, under a temporary name. It must contain the
/// commit `recorded`.
fn copy_beside(
    source: &Connection,
    path: &Path,
    place: &Path,
    recorded: Option<&Position>,
) -> Result<NewFile, CopyError> {
    let sqlite = |error| CopyError::Sqlite { path: path.to_owned(), error };
    let file = NewFile::beside(place).map_err(|error| CopyError::Io { path: place.to_owned(), error })?;
    let mut target = Connection::open(file.path()).map_err(sqlite)?;
    let step = Backup::new(source, &mut target).and_then(|backup| backup.step(-1)).map_err(sqlite)?;
    if step != StepResult::Done {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(sqlite(rusqlite::Error::SqliteFailure(busy, None)));
    }
    // The copy is one file, without a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    damaged(path, &whole_content(&target, recorded).map_err(sqlite)?)?;
    target.close().map_err(|(_, error)| sqlite(error))?;
    seal::put(file.path()).map_err(|error| CopyError::Io { path: place.to_owned(), error })?;
    Ok(file)
}

/// Opens the file that is copied, and returns the commit that a copy must hold. Refuses a file that was changed at
/// rest, or whose log is damaged.
fn source(path: &Path) -> Result<(Connection, Option<Position>), CopyError> {
    if !path.is_file() {
        return Err(OpenError::Absent(path.to_owned()).into());
    }
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    // The log and the note are beside the file, not beside a link to it.
    let path = &path.canonicalize().map_err(io)?;
    let at_rest = damage::at_rest(path).map_err(io)?;
    damaged(path, &at_rest.damage)?;
    Ok((open_existing(path)?, at_rest.recorded))
}

fn damaged(path: &Path, found: &[String]) -> Result<(), CopyError> {
    if found.is_empty() { Ok(()) } else { Err(CopyError::Damaged { path: path.to_owned(), what: found.join("; ") }) }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
