//! The exclusive lock on a store, under every name that the store can have.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::private_files;
use crate::store::sqlite::files::{self, folder_of, named, try_lock};
use crate::store::sqlite::open::{OpenError, require_one_name};

/// The exclusive lock on a store. The operating system releases it when the value is dropped or the process ends, even
/// in a crash.
///
/// Two files are locked: `NAME.lock` beside the store, which exists before the store does and contains the address of
/// the hub that holds it; and the database itself, which a symbolic link or a bind mount can reach under another name.
#[derive(Debug)]
pub struct StoreLock {
    store: PathBuf,
    beside: parking_lot::Mutex<File>,
    // Closing any descriptor of the database drops SQLite's own locks on it in this process: this one stays open until
    // the last connection is closed.
    _database: Option<File>,
}

impl StoreLock {
    /// Takes the lock and finishes what an interrupted command left beside the store.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process holds it. Another error when the store has several hard links, or
    /// when the files cannot be read or created.
    pub fn take(store: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: store.to_owned(), error };
        private_files::create_folder(folder_of(store)).map_err(io)?;
        let resolved = resolved(store)?;
        let mut beside = private_files::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(named(&resolved, ".lock"))
            .map_err(io)?;
        if !try_lock(&beside).map_err(io)? {
            let mut address = String::new();
            // Best effort: only the lock is required; the address is for messages of other processes.
            let _ = beside.read_to_string(&mut address);
            let address = Some(address.trim().to_owned()).filter(|a| !a.is_empty());
            return Err(OpenError::Locked { path: store.to_owned(), address });
        }
        beside.set_len(0).map_err(io)?;
        files::finish_interrupted(&resolved).map_err(io)?;
        require_one_name(&resolved)?;
        let database = match File::open(&resolved) {
            Ok(database) => Some(database),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        if let Some(database) = &database
            && !try_lock(database).map_err(io)?
        {
            return Err(OpenError::Locked { path: store.to_owned(), address: None });
        }
        Ok(Self { store: resolved, beside: parking_lot::Mutex::new(beside), _database: database })
    }

    /// Returns the path of the store without symbolic links.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Publishes to other processes the address of the hub that holds this store, such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// When the lock file cannot be written.
    pub fn announce(&self, address: &str) -> std::io::Result<()> {
        let mut file = self.beside.lock();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(address.as_bytes())
    }
}

/// Returns the path without symbolic links, even of a store that does not exist yet.
fn resolved(store: &Path) -> Result<PathBuf, OpenError> {
    let io = |error| OpenError::Io { path: store.to_owned(), error };
    match fs::canonicalize(store) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if store.is_symlink() {
                return Err(OpenError::DanglingLink(store.to_owned()));
            }
            let folder = fs::canonicalize(folder_of(store)).map_err(io)?;
            Ok(store.file_name().map_or_else(|| folder.clone(), |name| folder.join(name)))
        }
        Err(error) => Err(io(error)),
    }
}
