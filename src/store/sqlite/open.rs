//! Opening the store: the file and its migrations.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::files::{self, NewFile};

/// How long SQLite waits for another process's short write (`eduhub backup`, say) before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The migrations, in order. `PRAGMA user_version` counts how many a file has had.
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

/// Why the store cannot be opened, in words for whoever starts the hub.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the store {path} is in use by another process{}", address.as_ref().map(|a| format!(" (a hub at {a})")).unwrap_or_default())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Where the hub that has it serves, if it said so.
        address: Option<String>,
    },
    /// The folder or the file cannot be made or opened.
    #[error("the store {path} cannot be opened: {error}")]
    Io {
        /// The store.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The file may only be read.
    #[error("the store {path} is read-only: the hub must be allowed to write to it, and to its folder")]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// SQLite cannot use the file: not a database, a full disk.
    #[error("the store {path} cannot be used: {error}")]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// The file was written by a newer hub.
    #[error("the store {path} was written by a newer EduHub (its layout is number {found}, this one knows {known})")]
    TooNew {
        /// The store.
        path: PathBuf,
        /// Its layout.
        found: usize,
        /// The newest layout that this hub knows.
        known: usize,
    },
    /// The file was written by an older hub, and is only to be read.
    #[error("the store {0} was written by an older EduHub; `eduhub serve` brings it to the present layout")]
    TooOld(PathBuf),
    /// There is no file.
    #[error("there is no store {0}")]
    Absent(PathBuf),
    /// The file is something else.
    #[error("{0} is not a store of EduHub")]
    Foreign(PathBuf),
    /// The file has no content. A store is never empty, so something emptied it.
    #[error("the store {0} is empty (0 bytes); restore a backup, or remove the file to start with a new store")]
    Empty(PathBuf),
    /// There is no store, but files of one lie beside its path.
    #[error(
        "there is no store {path}, but {beside} belongs to one; restore it or a backup, or move it away to start with \
         a new store"
    )]
    Remains {
        /// Where the store should be.
        path: PathBuf,
        /// A write-ahead log without its store, or a store that a restore put aside.
        beside: PathBuf,
    },
    /// The path is a symbolic link to nothing.
    #[error("the store {0} is a symbolic link to a file that does not exist")]
    DanglingLink(PathBuf),
    /// The file has hard links. SQLite finds a store's write-ahead log by its name: under another name, commits that
    /// are still in the log would be missing.
    #[error("the store {path} has {names} names (hard links), and its log is beside one of them; remove the others")]
    ManyNames {
        /// The store.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
}

/// Makes a new store where there is none. The file gets its name when it is whole: a start that is cut off leaves no
/// half-made store.
///
/// # Errors
/// When an empty file is there, when there is none but files of a store are beside its path, when it cannot be made.
pub(super) fn create_if_absent(path: &Path) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: path.to_owned(), error };
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == 0 => return Err(OpenError::Empty(path.to_owned())),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    if let Some(beside) = files::remains_of_a_store(path).map_err(io)? {
        return Err(OpenError::Remains { path: path.to_owned(), beside });
    }
    let sqlite = |error| OpenError::Sqlite { path: path.to_owned(), error };
    let new = NewFile::beside(path).map_err(io)?;
    let mut connection = Connection::open(new.path()).map_err(sqlite)?;
    migrate(&mut connection, 0).map_err(sqlite)?;
    connection.close().map_err(|(_, error)| sqlite(error))?;
    new.persist_noclobber(path).map_err(io)
}

/// Applies the migrations that a store with the layout `found` lacks, in one transaction.
fn migrate(connection: &mut Connection, found: usize) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    for migration in &MIGRATIONS[found..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len())?;
    tx.commit()
}

/// A connection that writes, with the file brought to the newest layout. The file must be there.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error| OpenError::Sqlite { path: path.to_owned(), error };
    let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    // Looked at before anything is set: what is refused is left as it is.
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > MIGRATIONS.len() {
        return Err(OpenError::TooNew { path: path.to_owned(), found, known: MIGRATIONS.len() });
    }
    // SQLite opens a file that it may not write without a word, and even begins a transaction on it.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(sqlite)? {
        return Err(OpenError::ReadOnly { path: path.to_owned() });
    }
    set_up(&connection).map_err(sqlite)?;
    if found < MIGRATIONS.len() {
        migrate(&mut connection, found).map_err(sqlite)?;
    }
    // A write that changes nothing: what the disk cannot take is better known now than at the first registration.
    connection.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(sqlite)?;
    Ok(connection)
}

/// Refuses a store that has more than one name.
///
/// # Errors
/// [`OpenError::ManyNames`]; [`OpenError::Io`] when the file cannot be examined.
pub(super) fn require_one_name(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.nlink() > 1 => {
            Err(OpenError::ManyNames { path: path.to_owned(), names: found.nlink() })
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::Io { path: path.to_owned(), error }),
    }
}

/// A connection that only reads a store that must be there, be ours, and have the present layout. Takes no lock: a hub
/// may have the store.
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

/// Settings of a connection that writes: a commit is on the disk when it returns.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A connection that only reads.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
