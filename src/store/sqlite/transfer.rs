//! Sends all rows of a store that no hub serves, so that another store can take them over.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::store::transfer::{CHUNK_ROWS, CHUNKS_AHEAD, Cell, Chunk, Columns, Source, TABLES, TransferError};

use crate::store::sqlite::lock::StoreLock;
use crate::store::sqlite::open::{OpenError, open_existing};
use crate::store::sqlite::verify::verify;

/// Tables that only this kind of store has: the checksum of its content, and SQLite's own.
const OWN_TABLES: [&str; 2] = ["content", "sqlite_sequence"];
/// Columns that only this kind of store has. PostgreSQL has the table `term_facts` in place of `facts_seq`.
const OWN_COLUMNS: [(&str, &str); 1] = [("terms", "facts_seq")];
/// The column whose name is a reserved word in PostgreSQL, and its name there.
const RENAMED: (&str, &str) = ("user", "username");

/// Locks a store and checks all of it. The store must stay locked until it has been moved.
///
/// # Errors
/// When a hub holds the store, when there is none of this version, or when the check finds damage or a difference.
pub fn transfer_source(store: &Path) -> Result<(StoreLock, Source), TransferError> {
    let open = |error: OpenError| TransferError::Source(error.to_string());
    if !store.is_file() {
        return Err(open(OpenError::Absent(store.to_owned())));
    }
    let lock = StoreLock::take(store).map_err(open)?;
    let verified = verify(lock.store()).map_err(open)?;
    if let Some(problem) = verified.damage.first().or(verified.differences.first()) {
        return Err(TransferError::Source(format!("its check with `eduhub verify` failed: {problem}")));
    }
    let connection = open_existing(lock.store()).map_err(open)?;
    let sqlite = |error: rusqlite::Error| TransferError::Source(error.to_string());
    let columns = columns(&connection)?;
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'alert_log'";
    let alert_log = connection.query_row(sql, [], |row| row.get(0)).map_err(sqlite)?;
    let send = Box::new(move |columns| send(connection, columns));
    Ok((lock, Source { columns, alert_log, verified, send }))
}

/// Returns the columns of all tables, with the names that they have in PostgreSQL.
fn columns(connection: &Connection) -> Result<Columns, TransferError> {
    let sqlite = |error: rusqlite::Error| TransferError::Source(error.to_string());
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut tables = connection.prepare(sql).map_err(sqlite)?;
    let tables =
        tables.query_map([], |row| row.get(0)).and_then(Iterator::collect::<rusqlite::Result<BTreeSet<String>>>);
    let known = |table: &str| TABLES.contains(&table) || OWN_TABLES.contains(&table);
    if let Some(unknown) = tables.map_err(sqlite)?.iter().find(|table| !known(table)) {
        return Err(TransferError::Schema(format!("the source has the table {unknown}")));
    }
    let mut found = Columns::new();
    for table in TABLES {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(sqlite)?;
        let names =
            names.query_map([table], |row| row.get(0)).and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>);
        let mut names = names.map_err(sqlite)?;
        names.retain(|name| !OWN_COLUMNS.contains(&(table, name.as_str())));
        for name in names.iter_mut().filter(|name| *name == RENAMED.0) {
            RENAMED.1.clone_into(name);
        }
        found.insert(table, names);
    }
    Ok(found)
}

/// Starts a thread that reads these columns of all tables.
fn send(connection: Connection, columns: Columns) -> Receiver<Chunk> {
    let (sender, receiver) = channel(CHUNKS_AHEAD);
    std::thread::spawn(move || {
        for table in TABLES {
            let names = columns.get(table).map(Vec::as_slice).unwrap_or_default();
            if let Err(error) = send_table(&connection, table, names, &sender) {
                // Fails if the receiver has given up.
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
    });
    receiver
}

/// Sends the rows of one table. Staged sections that no import has applied are not sent: no reader ever sees them.
fn send_table(
    connection: &Connection,
    table: &'static str,
    columns: &[String],
    sender: &Sender<Chunk>,
) -> Result<(), String> {
    let own: BTreeSet<String> = {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(|e| e.to_string())?;
        let names = names.query_map([table], |row| row.get(0)).and_then(Iterator::collect);
        names.map_err(|e| e.to_string())?
    };
    let column = |name: &String| if own.contains(name) { format!("\"{name}\"") } else { format!("\"{}\"", RENAMED.0) };
    let list = columns.iter().map(column).collect::<Vec<_>>().join(", ");
    let visible = if table == "sections" {
        "WHERE generation <= (SELECT t.generation FROM terms AS t WHERE t.id = sections.term)"
    } else {
        ""
    };
    let mut rows =
        connection.prepare(&format!("SELECT {list} FROM \"{table}\" {visible}")).map_err(|e| e.to_string())?;
    let mut rows = rows.query([]).map_err(|e| e.to_string())?;
    let mut chunk = Vec::with_capacity(CHUNK_ROWS);
    while let Some(row) = rows.next().map_err(|e| e.to_string())? {
        let cells = (0..columns.len()).map(|at| cell(row.get_ref(at).map_err(|e| e.to_string())?));
        chunk.push(cells.collect::<Result<Vec<_>, String>>()?);
        if chunk.len() == CHUNK_ROWS {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_ROWS));
            sender.blocking_send(Ok((table, full))).map_err(|_| "the target has given up".to_owned())?;
        }
    }
    sender.blocking_send(Ok((table, chunk))).map_err(|_| "the target has given up".to_owned())
}

fn cell(value: ValueRef<'_>) -> Result<Cell, String> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => Cell::Text(std::str::from_utf8(text).map_err(|e| e.to_string())?.to_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_owned()),
        ValueRef::Real(_) => return Err("a value is a floating-point number, which no column has".to_owned()),
    })
}
