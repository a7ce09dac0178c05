//! Checks whether a store is as the hub wrote it, and reports each difference in one phrase.

use std::io;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use rusqlite::{Connection, ErrorCode};

use crate::store::sqlite::content::{self, Position};
use crate::store::sqlite::open::{OpenError, connect_checker};
use crate::store::sqlite::seal::{self, SealState};
use crate::store::sqlite::{files, last_commit, log_scan};

/// Maximum number of differences that are taken from SQLite's check. One is enough to refuse a store.
const SQLITE_REPORTS_MAX: u32 = 10;

/// Refuses a damaged store before it is opened to write. In a store of an earlier version that has no checksum, only
/// SQLite checks the content.
///
/// Returns whether the seal of the store is intact.
///
/// # Errors
/// [`OpenError::Damaged`]; [`OpenError::Io`] or [`OpenError::Sqlite`] when the store cannot be read.
pub(super) fn refuse(store: &Path) -> Result<bool, OpenError> {
    let AtRest { damage: mut found, is_sealed, recorded } =
        at_rest(store).map_err(|error| OpenError::Io { path: store.to_owned(), error })?;
    if found.is_empty() {
        found = at_start(store, recorded.as_ref())?;
    }
    if found.is_empty() {
        return Ok(is_sealed);
    }
    Err(OpenError::Damaged { path: store.to_owned(), what: found.join("; ") })
}

/// Returns the damage of a store's content. Other problems that make a store unusable are reported when it is opened to
/// write.
fn at_start(store: &Path, recorded: Option<&Position>) -> Result<Vec<String>, OpenError> {
    let check = || {
        // Not a connection that only reads: SQLite may have to undo what an interrupted restore was writing.
        let connection = begin_check(store)?;
        if content::has_checksum(&connection)? {
            of_content_in_parallel(&connection, store, recorded)
        } else {
            of_pages(&connection)
        }
    };
    match check() {
        Ok(found) => Ok(found),
        Err(error) if is_corrupt(&error) => Ok(vec![error.to_string()]),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::CannotOpen) => Ok(Vec::new()),
            _ => Err(OpenError::Sqlite { path: store.to_owned(), error }),
        },
    }
}

/// Opens a connection, and begins a read transaction.
fn begin_check(store: &Path) -> rusqlite::Result<Connection> {
    let connection = connect_checker(store)?;
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

/// Returns the damage like [`of_content`], in half the time: a separate thread checks the pages on a separate
/// connection. No other process can write during the check, because the caller has the lock of the store.
fn of_content_in_parallel(
    connection: &Connection,
    store: &Path,
    recorded: Option<&Position>,
) -> rusqlite::Result<Vec<String>> {
    thread::scope(|scope| {
        let pages = scope.spawn(|| of_pages(&begin_check(store)?));
        let rows = of_rows(connection, recorded);
        match pages.join().unwrap_or_else(|panic| resume_unwind(panic)) {
            // Rows of damaged pages may be missing or repeated, which says nothing new.
            Ok(found) if found.is_empty() => rows,
            damaged => damaged,
        }
    })
}

/// The state of the files of a store before SQLite reads them.
pub(super) struct AtRest {
    /// The damage of the database file at rest and of the log beside it.
    pub(super) damage: Vec<String>,
    /// Whether the seal is intact.
    pub(super) is_sealed: bool,
    /// The commit in the note beside the store ([`last_commit`]), which the store must hold; `None` without a note, and
    /// for a store whose seal is intact. Such a store is complete, so when it is older than the note, an operator has
    /// replaced it with an older copy.
    pub(super) recorded: Option<Position>,
}

/// Reads the files of a store before a connection is opened, so that the connection sees at least the recorded commit.
pub(super) fn at_rest(store: &Path) -> io::Result<AtRest> {
    let mut found = Vec::new();
    let log = files::log_of(store);
    if let Some(damage) = log_scan::find_damage(&log)? {
        let (log, offset) = (log.display(), damage.offset);
        found.push(format!("the log {log} is damaged from byte {offset} on, before its last commit"));
    }
    // A store with a log is in use, or was when its hub was killed: its file is about to change. A program that begins
    // to use the store during the check creates a log.
    let sealed = if files::has_log(store)? { SealState::Absent } else { seal::check(store)? };
    let sealed = if sealed == SealState::Broken && files::has_log(store)? { SealState::Absent } else { sealed };
    if sealed == SealState::Broken {
        found.push("the file was changed after it was closed".to_owned());
    }
    let is_sealed = sealed == SealState::Intact;
    let recorded = if is_sealed { None } else { last_commit::read(store)? };
    Ok(AtRest { damage: found, is_sealed, recorded })
}

/// Returns the damage of the content of a store that has a checksum: of its pages, of its rows, and of the sequence of
/// its commits. The connection is in a read transaction; `recorded` was read before it began.
pub(super) fn of_content(connection: &Connection, recorded: Option<&Position>) -> rusqlite::Result<Vec<String>> {
    let found = of_pages(connection)?;
    // Rows of damaged pages may be missing or repeated, which says nothing new.
    if found.is_empty() { of_rows(connection, recorded) } else { Ok(found) }
}

/// Returns the damage of the rows, and of the sequence of commits.
fn of_rows(connection: &Connection, recorded: Option<&Position>) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let (position, is_same) = content::compare(connection)?;
    if !is_same {
        found.push("its rows are not those of its last commit (the checksums differ)".to_owned());
    }
    if let Some(recorded) = recorded
        && recorded.store == position.store
        && recorded.commits > position.commits
    {
        let (last, recorded) = (position.commits, recorded.commits);
        found.push(format!(
            "its last commit is number {last}, but number {recorded} was acknowledged, so its log is missing or cut \
             off, or it is an older copy"
        ));
    }
    Ok(found)
}

/// Returns what SQLite finds in the pages: their structure, the indexes, and the constraints of the rows.
pub(super) fn of_pages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = format!("PRAGMA integrity_check({SQLITE_REPORTS_MAX})");
    let found = connection.prepare(&sql).and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
    match found {
        Ok(found) => Ok(Vec::into_iter(found).filter(|line: &String| line != "ok").collect()),
        Err(error) if is_corrupt(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error),
    }
}

/// Returns whether the cause of an error is the content of the store, and not a failure to read it.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::Unknown),
        // A value that cannot be converted, a row that should be there, a schema without an expected table.
        None => true,
    }
}
