//! Opens the store: its connections, its migrations.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::content::{self, WriteConnection};
use crate::store::sqlite::files::{self, NewFile};

/// How long SQLite waits for a short write by another process, such as `eduhub backup`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of the page cache of a connection that writes, in KiB. A batch reads and writes few pages of a
/// term; with 16 MiB the memory still grew after ten minutes of load, with pages that are not read again.
const PAGE_CACHE_KIB: i64 = 4_096;

/// The migrations, in order. `PRAGMA user_version` is the number of migrations that were applied to a file.
const MIGRATIONS: [&str; 28] = [
    include_str!("../../../migrations/sqlite/0001_terms.sql"),
    include_str!("../../../migrations/sqlite/0002_alerts.sql"),
    include_str!("../../../migrations/sqlite/0003_people.sql"),
    include_str!("../../../migrations/sqlite/0004_schedules.sql"),
    include_str!("../../../migrations/sqlite/0005_plone.sql"),
    include_str!("../../../migrations/sqlite/0006_acks.sql"),
    include_str!("../../../migrations/sqlite/0007_plone_creations.sql"),
    include_str!("../../../migrations/sqlite/0008_commit_sequences.sql"),
    include_str!("../../../migrations/sqlite/0009_content.sql"),
    include_str!("../../../migrations/sqlite/0010_alert_readers.sql"),
    include_str!("../../../migrations/sqlite/0011_disclosures.sql"),
    include_str!("../../../migrations/sqlite/0012_sign_ins.sql"),
    include_str!("../../../migrations/sqlite/0013_provider_sign_ins.sql"),
    include_str!("../../../migrations/sqlite/0014_rights.sql"),
    include_str!("../../../migrations/sqlite/0015_guardian_links.sql"),
    include_str!("../../../migrations/sqlite/0016_import_profiles.sql"),
    include_str!("../../../migrations/sqlite/0017_section_origins.sql"),
    include_str!("../../../migrations/sqlite/0018_provider_issuers.sql"),
    include_str!("../../../migrations/sqlite/0019_student_facts.sql"),
    include_str!("../../../migrations/sqlite/0020_attempts.sql"),
    include_str!("../../../migrations/sqlite/0021_seat_rules.sql"),
    include_str!("../../../migrations/sqlite/0022_named_plans.sql"),
    include_str!("../../../migrations/sqlite/0023_schedule_feeds.sql"),
    include_str!("../../../migrations/sqlite/0024_offers.sql"),
    include_str!("../../../migrations/sqlite/0025_cap_messages.sql"),
    include_str!("../../../migrations/sqlite/0026_demo_reports.sql"),
    include_str!("../../../migrations/sqlite/0027_waitlist_choices.sql"),
    include_str!("../../../migrations/sqlite/0028_audit_codes.sql"),
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
    /// The file was written by an older version of EduHub. It was to be opened only to read, so it is not migrated.
    #[error("the store {0} was written by an older EduHub; start `eduhub serve` once to upgrade it")]
    TooOld(PathBuf),
    /// There is no file.
    #[error("there is no store at {0}")]
    Absent(PathBuf),
    /// The file is not a store.
    #[error("{0} is not an EduHub store")]
    Foreign(PathBuf),
    /// The file has no content. A store never has 0 bytes, so another program truncated it.
    #[error("the store {0} is empty (0 bytes); restore a backup, or remove the file to start with a new store")]
    Empty(PathBuf),
    /// There is no store, but there are files of one beside its path.
    #[error(
        "there is no store {path}, but {beside} belongs to one; restore it or a backup, or move it elsewhere to start \
         with a new store"
    )]
    Remains {
        /// Where the store should be.
        path: PathBuf,
        /// A write-ahead log without its store, or a store that a restore replaced.
        beside: PathBuf,
    },
    /// The store is not as the hub wrote it.
    #[error(
        "the store {path} is damaged: {what}; restore a backup with `eduhub restore --replace FILE`, which keeps the \
         damaged store beside it, or, without a backup, see `eduhub verify --accept`"
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The damage prevents the use of the store, so it is not accepted.
    #[error("the store {path} cannot be used as it is: {what}; restore a backup")]
    Unusable {
        /// The store.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The path is a symbolic link whose target does not exist.
    #[error("the store {0} is a symbolic link to a file that does not exist")]
    DanglingLink(PathBuf),
    /// The file has several hard links. SQLite finds a store's write-ahead log by the store's name, so commits that are
    /// still in the log would be missing under another name.
    #[error("the store {path} has {names} names (hard links), and its log is beside one of them; remove the others")]
    ManyNames {
        /// The store.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
}

/// Creates a store if there is none. The file gets its name once it is complete, so an interrupted start leaves no
/// partial store.
///
/// # Errors
/// When the file is empty, when it is missing but other files of a store are beside its path, or when it cannot be
/// created.
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

/// Applies the migrations that a store of schema version `found` lacks, and computes the checksum of its content, in
/// one transaction.
fn migrate(connection: &mut Connection, found: usize) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    for migration in &MIGRATIONS[found..] {
        tx.execute_batch(migration)?;
    }
    content::initialize(&tx)?;
    tx.pragma_update(None, "user_version", MIGRATIONS.len())?;
    tx.commit()
}

/// Opens a connection that writes, to an existing file, and applies the migrations that the file lacks.
pub(super) fn connect(path: &Path) -> Result<WriteConnection, OpenError> {
    WriteConnection::new(connect_plain(path)?).map_err(|error| OpenError::Sqlite { path: path.to_owned(), error })
}

/// Opens a connection like [`connect`] that does not maintain the checksum of the content.
pub(super) fn connect_plain(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error| OpenError::Sqlite { path: path.to_owned(), error };
    let flags = OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
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
        migrate(&mut connection, found).map_err(sqlite)?;
    }
    // A write that changes nothing, so that a disk that cannot be written to is detected now and not at the first
    // registration.
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
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Opens a connection that only reads and leaves the log as it is, even if it is the last connection.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    connect_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a connection that checks a store before it is opened to write. It leaves the log as it is.
pub(super) fn connect_checker(path: &Path) -> rusqlite::Result<Connection> {
    connect_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn connect_with(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
