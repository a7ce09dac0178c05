//! Opens the store: its lock, its connections, its migrations.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

/// How long SQLite waits for a short write of another process, such as `eduhub backup`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The migrations, in order. `PRAGMA user_version` is the number of migrations that were applied to a file.
const MIGRATIONS: [&str; 8] = [
    include_str!("../../../migrations/sqlite/0001_terms.sql"),
    include_str!("../../../migrations/sqlite/0002_alerts.sql"),
    include_str!("../../../migrations/sqlite/0003_people.sql"),
    include_str!("../../../migrations/sqlite/0004_schedules.sql"),
    include_str!("../../../migrations/sqlite/0005_plone.sql"),
    include_str!("../../../migrations/sqlite/0006_acks.sql"),
    include_str!("../../../migrations/sqlite/0007_plone_creations.sql"),
    include_str!("../../../migrations/sqlite/0008_commit_sequences.sql"),
];

/// Why the store cannot be opened. The messages are for the person who starts the hub.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store's lock.
    #[error("the store {path} is in use by another process{}", address.as_ref().map(|a| format!(" (a hub at {a})")).unwrap_or_default())]
    Locked {
        /// The store.
        path: PathBuf,
        /// The address of the hub that has the lock, if it announced one.
        address: Option<String>,
    },
    /// The folder or the file cannot be created or opened.
    #[error("the store {path} cannot be opened: {error}")]
    Io {
        /// The store.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The process may not write to the file.
    #[error("the store {path} is read-only: the hub needs write access to it and to its folder")]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// SQLite cannot use the file, such as when it is not a database or the disk is full.
    #[error("the store {path} cannot be used: {error}")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// The error of SQLite.
        error: rusqlite::Error,
    },
    /// The file was written by a newer version of EduHub.
    #[error("the store {path} was written by a newer EduHub: its schema version is {found}, this one supports {known}")]
    TooNew {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: usize,
        /// The newest schema version that this version of EduHub supports.
        known: usize,
    },
    /// The file was written by an older version of EduHub, and is opened only for reading.
    #[error("the store {0} was written by an older EduHub; start `eduhub serve` once to upgrade it")]
    TooOld(PathBuf),
    /// There is no file.
    #[error("there is no store at {0}")]
    Absent(PathBuf),
    /// The file is not a store.
    #[error("{0} is not an EduHub store")]
    Foreign(PathBuf),
}

/// The exclusive lock on a store, held by the operating system until the process ends. It lies beside the database
/// (`NAME.lock`) and tells where the hub that holds it serves.
#[derive(Debug)]
pub struct StoreLock {
    file: parking_lot::Mutex<File>,
}

impl StoreLock {
    fn path(store: &Path) -> PathBuf {
        let mut name = store.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }

    /// Takes the lock, or says who has it.
    pub fn take(store: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: store.to_owned(), error };
        if let Some(folder) = store.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(Self::path(store)).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0).map_err(io)?;
                Ok(Self { file: parking_lot::Mutex::new(file) })
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut address = String::new();
                // Best effort: the lock is what counts, the address is a courtesy.
                let _ = file.read_to_string(&mut address);
                let address = Some(address.trim().to_owned()).filter(|a| !a.is_empty());
                Err(OpenError::Locked { path: store.to_owned(), address })
            }
            Err(errno) => Err(io(errno.into())),
        }
    }

    /// Tells other processes where the hub that holds this store serves, such as `http://127.0.0.1:8000`.
    pub fn announce(&self, address: &str) -> std::io::Result<()> {
        let mut file = self.file.lock();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(address.as_bytes())
    }
}

/// Opens a connection that writes, and applies the migrations that the file lacks.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error| OpenError::Sqlite { path: path.to_owned(), error };
    let mut connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    // Checked before any setting is changed, so that a rejected file stays as it is.
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > MIGRATIONS.len() {
        return Err(OpenError::TooNew { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    // SQLite opens a file that it may not write to without an error, and even begins a transaction on it.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(sqlite)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    set_up(&connection).map_err(sqlite)?;
    if found < MIGRATIONS.len() {
        let tx = connection.transaction().map_err(sqlite)?;
        for migration in &MIGRATIONS[found..] {
            tx.execute_batch(migration).map_err(sqlite)?;
        }
        tx.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(sqlite)?;
        tx.commit().map_err(sqlite)?;
    }
    // A write that changes nothing, so that a disk that cannot be written to is detected now and not at the first
    // registration.
    connection.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(sqlite)?;
    Ok(connection)
}

/// Opens a connection that only reads an existing store of the current schema version. Takes no lock, because a hub may
/// be using the store.
pub(super) fn open_existing(path: &Path) -> Result<Connection, OpenError> {
    if !path.is_file() {
        return Err(OpenError::Absent(path.to_owned()));
    }
    let sqlite = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::Foreign(path.to_owned()),
        _ => OpenError::Sqlite { path: path.to_owned(), error },
    };
    let connection = connect_reader(path).map_err(sqlite)?;
    let ours: usize = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('terms', 'sections', 'registrations')",
            [],
            |row| row.get(0),
        )
        .map_err(sqlite)?;
    if ours != 3 {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    match found.cmp(&MIGRATIONS.len()) {
        std::cmp::Ordering::Less => Err(OpenError::TooOld(path.to_owned())),
        std::cmp::Ordering::Equal => Ok(connection),
        std::cmp::Ordering::Greater => Err(OpenError::TooNew { path: path.to_owned(), found, known: MIGRATIONS.len() }),
    }
}

/// Configures a connection that writes. With `synchronous=FULL` a commit is on the disk when it returns.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Opens a connection that only reads.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
