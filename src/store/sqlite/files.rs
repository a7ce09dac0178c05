//! The files of a store: its database, the files beside it, and the replacement of a store, which never leaves the path
//! without one.
//!
//! Beside the store `NAME` lie its write-ahead log `NAME-wal` and index `NAME-shm` (SQLite), `NAME.lock`
//! ([`super::lock`]), `NAME.last-commit` ([`super::last_commit`]), and stores that a restore replaced,
//! `NAME.replaced-…`. New files are written under a temporary name and renamed when they are whole and on the disk.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use crate::private_files;

/// Start of the names of files that are still being written.
const UNFINISHED: &str = ".eduhub-copy-";
/// The part between a store's name and the number in the name of a replaced store.
const REPLACED: &str = ".replaced-";
/// End of the name of a write-ahead log.
const LOG: &str = "-wal";
/// End of the name of a log's index, which SQLite rebuilds when it is missing.
const LOG_INDEX: &str = "-shm";

/// Returns `path` with `end` added to its name.
pub(super) fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Returns the folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Returns the path of a store's write-ahead log.
pub(super) fn log_of(store: &Path) -> PathBuf {
    named(store, LOG)
}

/// Returns whether a store has a write-ahead log with content. Readers leave an empty one behind.
pub(super) fn has_log(store: &Path) -> io::Result<bool> {
    match fs::metadata(log_of(store)) {
        Ok(log) => Ok(log.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is still being written, under a temporary name in the folder of its later name. It is locked, so that
/// [`finish_interrupted`] in another process does not remove it; dropping it removes it.
pub(super) struct NewFile(NamedTempFile);

impl NewFile {
    /// Creates an empty file in the folder of `path`.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder_of(path))?;
        if !try_lock(file.as_file())? {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Self(file))
    }

    /// Returns the temporary path of the file.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when there is a file of that name, which stays as it is.
    pub(super) fn persist_noclobber(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist_noclobber(path).map_err(|failed| failed.error)?;
        sync_folder_of(path)
    }

    /// Gives the file its name, durably and in one step, in place of the file that has that name now.
    pub(super) fn replace(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist(path).map_err(|failed| failed.error)?;
        sync_folder_of(path)
    }
}

/// Gives a store the second name `NAME.replaced-NUMBER` and moves its log there, so that the next step can rename a new
/// store over the first name. Returns the second name.
///
/// At each moment there is a store under the first name. When a crash leaves it without its log, it still has both
/// names, and [`finish_interrupted`] puts the log back.
pub(super) fn keep_beside(store: &Path, number: i64) -> io::Result<PathBuf> {
    let kept = named(store, &format!("{REPLACED}{number}"));
    remove_if_present(&named(store, LOG_INDEX))?;
    if store.exists() {
        fs::hard_link(store, &kept)?;
        sync_folder_of(store)?;
    }
    if log_of(store).exists() {
        fs::rename(log_of(store), log_of(&kept))?;
        sync_folder_of(store)?;
    }
    Ok(kept)
}

/// Undoes what an interrupted restore did to the store before the rename that completes it, and removes files that an
/// interrupted command left unfinished. The caller holds the lock of the store.
pub(super) fn finish_interrupted(store: &Path) -> io::Result<()> {
    if let Some(present) = identity(store)? {
        for kept in replaced(store)? {
            if identity(&kept)? != Some(present) {
                continue;
            }
            if log_of(&kept).exists() {
                fs::rename(log_of(&kept), log_of(store))?;
                sync_folder_of(store)?;
            }
            fs::remove_file(&kept)?;
            sync_folder_of(store)?;
        }
    }
    remove_unfinished(folder_of(store))
}

/// Removes the unfinished files of a folder that no process is writing.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for path in files_with_prefix(folder, UNFINISHED)? {
        let file = match File::open(&path) {
            Ok(file) => file,
            // Its process has just removed or renamed it.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if try_lock(&file)? {
            remove_if_present(&path)?;
        }
    }
    Ok(())
}

/// Returns a file that belongs to a store at `path`, where there is none: its log, or a store that a restore replaced.
pub(super) fn remains_of_a_store(path: &Path) -> io::Result<Option<PathBuf>> {
    if log_of(path).exists() {
        return Ok(Some(log_of(path)));
    }
    Ok(replaced(path)?.into_iter().max())
}

/// Returns the stores that restores replaced, without their logs.
fn replaced(store: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = store.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut found = files_with_prefix(folder_of(store), &format!("{name}{REPLACED}"))?;
    found.retain(|path| {
        ![LOG, LOG_INDEX].iter().any(|end| path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes()))
    });
    Ok(found)
}

fn files_with_prefix(folder: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes the access of others from the files of a store, and so from its later logs, to which SQLite gives the mode
/// of the store. Warns if the folder is open to others.
pub(super) fn restrict(store: &Path) {
    let beside = [LOG, LOG_INDEX, ".lock", ".last-commit"].map(|end| named(store, end));
    let replaced = replaced(store).unwrap_or_default();
    let logs = replaced.iter().map(|kept| log_of(kept)).collect();
    for path in [vec![store.to_owned()], beside.to_vec(), replaced, logs].concat() {
        private_files::restrict(&path);
    }
    let folder = folder_of(store);
    if private_files::is_open_to_others(folder).is_ok_and(|is_open| is_open) {
        log::warn!(
            "other users of this machine can look into the folder {} of the store; run chmod 700 on it, or set \
             StateDirectoryMode=0700 in the systemd unit",
            folder.display()
        );
    }
}

/// Takes the exclusive lock on a file. Returns false when another process holds it.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the device and inode of a file; `None` when there is no such file.
fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
