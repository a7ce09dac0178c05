//! Backup and restore: whole, consistent copies of the store, made with SQLite's own backup (a copy of the file alone
//! would lack its write-ahead log).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use tempfile::TempPath;

use crate::store::sqlite::open::{OpenError, StoreLock, open_existing};

/// Why there is no copy, in words for whoever asked for it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store, or the file to restore, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something is there already.
    #[error("{0} exists already, and is not overwritten")]
    Exists(PathBuf),
    /// A store is there already.
    #[error("the store {0} exists already; --replace puts the copy in its place and keeps the old one beside it")]
    StoreExists(PathBuf),
    /// The file is damaged.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found first.
        what: String,
    },
    /// The copy cannot be written.
    #[error("{path} cannot be written: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// SQLite cannot copy.
    #[error("{path} cannot be copied: {error}")]
    Sqlite {
        /// The file that is copied.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
}

/// Copies a store, whether a hub has it or not, into a new file. The copy is one moment of the store, and stands on
/// its own.
///
/// # Errors
/// When the store cannot be read or the file not be made; a file that is there already is left alone.
pub fn backup(store: &Path, to: &Path) -> Result<(), CopyError> {
    if to.exists() {
        return Err(CopyError::Exists(to.to_owned()));
    }
    let source = open_existing(store)?;
    let copy = copied(&source, store, to)?;
    copy.persist_noclobber(to).map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => CopyError::Exists(to.to_owned()),
        _ => CopyError::Io { path: to.to_owned(), error: failed.error },
    })?;
    sync_folder(to)
}

/// Puts a copy in the place of the store, where no hub runs. Returns where the store that was there is kept now.
///
/// # Errors
/// When a hub has the store, when there is one and `replace` was not said, when the file is no copy of a store.
pub fn restore(store: &Path, from: &Path, replace: bool) -> Result<Option<PathBuf>, CopyError> {
    let source = open_existing(from)?;
    check(&source, from)?;
    let _lock = StoreLock::take(store)?;
    if store.exists() && !replace {
        return Err(CopyError::StoreExists(store.to_owned()));
    }
    let copy = copied(&source, from, store)?;
    let kept = if store.exists() { Some(put_aside(store)?) } else { None };
    copy.persist_noclobber(store).map_err(|e| CopyError::Io { path: store.to_owned(), error: e.error })?;
    sync_folder(store)?;
    Ok(kept)
}

/// A copy of `source`, on the disk, beside the place where it is to be.
fn copied(source: &Connection, path: &Path, place: &Path) -> Result<TempPath, CopyError> {
    let sqlite = |error| CopyError::Sqlite { path: path.to_owned(), error };
    let io = |error| CopyError::Io { path: place.to_owned(), error };
    let folder = place.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".eduhub-copy-").tempfile_in(folder).map_err(io)?.into_temp_path();
    let mut target = Connection::open(&file).map_err(sqlite)?;
    let step = Backup::new(source, &mut target).and_then(|backup| backup.step(-1)).map_err(sqlite)?;
    if step != StepResult::Done {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(sqlite(rusqlite::Error::SqliteFailure(busy, None)));
    }
    // The copy is one file, without a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    check(&target, path)?;
    target.close().map_err(|(_, error)| sqlite(error))?;
    File::open(&file).and_then(|f| f.sync_all()).map_err(io)?;
    Ok(file)
}

/// Whether SQLite finds the file whole.
fn check(connection: &Connection, path: &Path) -> Result<(), CopyError> {
    let what: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| CopyError::Sqlite { path: path.to_owned(), error })?;
    if what == "ok" { Ok(()) } else { Err(CopyError::Damaged { path: path.to_owned(), what }) }
}

/// Renames the store and its log. The log goes first: one without its store is forgotten, but one that is left beside
/// another store would be played into it.
fn put_aside(store: &Path) -> Result<PathBuf, CopyError> {
    let kept = named(store, &format!(".replaced-{}", Timestamp::now().as_millisecond()));
    for end in ["-shm", "-wal", ""] {
        let (old, new) = (named(store, end), named(&kept, end));
        if old.exists() {
            fs::rename(&old, &new).map_err(|error| CopyError::Io { path: old, error })?;
        }
    }
    Ok(kept)
}

fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes a renaming last.
fn sync_folder(of: &Path) -> Result<(), CopyError> {
    let folder = of.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(|error| CopyError::Io { path: of.to_owned(), error })
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
