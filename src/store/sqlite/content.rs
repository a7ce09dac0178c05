//! The checksum of a store's content: the sum of a 128-bit hash of every row. It is stored with each commit, so that
//! the hub detects a row that another program or a bad disk changed, added or removed.
//!
//! Temporary triggers of the writer's connection subtract the hash of an old row and add the hash of a new one (for
//! inserts and updates of four tables, the statements do this), so the cost of a commit depends on the rows that it
//! changes and not on the store. The sum has no order, so it can be recomputed by reading the tables.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use siphasher::sip128::SipHasher13;
use uuid::Uuid;

use crate::store::sqlite::rows::unreadable;

/// The commit that a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The random id of the store, which its backups share.
    pub(super) store: String,
    /// The number of commits that changed a row.
    pub(super) commits: u64,
}

impl Position {
    /// Returns the part of the checksum that belongs to the position.
    fn hash(&self) -> u128 {
        let mut hash = RowHash::new("content");
        hash.value(ValueRef::Text(self.store.as_bytes()));
        hash.value(ValueRef::Blob(&self.commits.to_le_bytes()));
        hash.finish()
    }
}

/// The tables to which registrations write most rows. In batches of 500, triggers doubled SQLite's time for a
/// registration, even triggers that called no function. The statements in [`super::rows`] and [`super::attempts`]
/// subtract the old row themselves, and [`AddedRows`] adds the new one.
const WITHOUT_TRIGGERS: [&str; 4] = ["registrations", "seats", "attempts", "attempt_heads"];

/// Bytes that are first allocated to hash a row: more than a registration needs.
const ROW_BYTES: usize = 256;

/// The sum over all rows, and what has changed since the last commit.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    rows: u128,
    is_changed: bool,
    /// Whether a number of AUTOINCREMENT may have been taken.
    are_sequences_changed: bool,
}

/// What the checksum contains besides the rows of the tables, as of the last commit.
struct BesideRows {
    position: Position,
    /// The sum over the last numbers of AUTOINCREMENT, which SQLite itself writes.
    sequences: u128,
}

/// A connection that writes, and keeps the checksum up to date. Every change is made between [`Self::begin`] and
/// [`Self::commit`].
pub(super) struct WriteConnection {
    connection: Connection,
    tally: Arc<Mutex<Tally>>,
    /// The sum over the schema, which is constant while a hub runs.
    schema: u128,
    beside: Mutex<BesideRows>,
}

impl WriteConnection {
    /// Wraps a connection to a store of the current schema, and starts to follow its changes.
    pub(super) fn new(connection: Connection) -> rusqlite::Result<Self> {
        let (position, stored) = stored(&connection)?;
        let schema = schema(&connection)?;
        let sequences = sequences(&connection)?;
        let rows = stored.wrapping_sub(schema).wrapping_sub(sequences).wrapping_sub(position.hash());
        let tally = Arc::new(Mutex::new(Tally { rows, ..Tally::default() }));
        follow(&connection, &tally)?;
        Ok(Self { connection, tally, schema, beside: Mutex::new(BesideRows { position, sequences }) })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.run("BEGIN IMMEDIATE")
    }

    /// Runs a statement of each commit. Parsing it each time would cost as much as writing a row.
    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Runs `work` in a savepoint. When it returns an error, its changes are undone, including those of the checksum.
    /// `work` must not panic.
    pub(super) fn in_savepoint<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> rusqlite::Result<Result<T, E>> {
        self.run("SAVEPOINT job")?;
        let before = *self.tally.lock();
        let outcome = work(&self.connection);
        if outcome.is_ok() {
            self.run("RELEASE job")?;
        } else {
            self.connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
            *self.tally.lock() = before;
        }
        Ok(outcome)
    }

    /// Writes the checksum and commits. After an error the connection must not be used again.
    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        let (changed, are_sequences_changed) = {
            let mut tally = self.tally.lock();
            let changed = std::mem::take(&mut tally.is_changed).then_some(tally.rows);
            (changed, std::mem::take(&mut tally.are_sequences_changed))
        };
        if let Some(rows) = changed {
            let mut beside = self.beside.lock();
            if are_sequences_changed {
                beside.sequences = sequences(&self.connection)?;
            }
            beside.position.commits += 1;
            let checksum = rows.wrapping_add(self.schema).wrapping_add(beside.sequences);
            let checksum = checksum.wrapping_add(beside.position.hash());
            self.connection
                .prepare_cached("UPDATE content SET commits = ?1, checksum = ?2 WHERE one = 1")?
                .execute(params![beside.position.commits, checksum.to_le_bytes()])?;
        }
        self.run("COMMIT")
    }

    /// Runs `work` in its own transaction.
    pub(super) fn transaction(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        self.begin()?;
        work(&self.connection)?;
        self.commit()
    }

    /// Returns the last commit.
    pub(super) fn position(&self) -> Position {
        self.beside.lock().position.clone()
    }

    /// Returns the connection, to read and to checkpoint.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The sum of the new rows of tables without triggers. It is added to that of the connection once for a whole batch.
#[derive(Debug, Default)]
pub(super) struct AddedRows {
    sum: u128,
    hash: RowHash,
}

impl AddedRows {
    /// Adds a row: all columns in the order of the table.
    pub(super) fn add(&mut self, table: &str, values: &[ValueRef<'_>]) {
        self.hash.begin(table);
        values.iter().for_each(|value| self.hash.value(*value));
        self.sum = self.sum.wrapping_add(self.hash.finish());
    }

    /// Adds the sum to that of the connection.
    pub(super) fn store(self, tx: &Connection) -> rusqlite::Result<()> {
        if self.sum == 0 {
            return Ok(());
        }
        let sum = self.sum.to_le_bytes();
        tx.prepare_cached("SELECT content_rows_added(?1)")?.query_row([&sum[..]], |_| Ok(()))
    }
}

/// Installs the functions and the triggers that keep the sum.
fn follow(connection: &Connection, tally: &Arc<Mutex<Tally>>) -> rusqlite::Result<()> {
    for (name, is_added) in [("content_row_added", true), ("content_row_removed", false)] {
        let tally = tally.clone();
        connection.create_scalar_function(name, -1, FunctionFlags::SQLITE_UTF8, move |row| {
            let mut hash = RowHash::new(row.get_raw(0).as_str()?);
            for index in 1..row.len() {
                hash.value(row.get_raw(index));
            }
            let mut tally = tally.lock();
            let hash = hash.finish();
            tally.rows = if is_added { tally.rows.wrapping_add(hash) } else { tally.rows.wrapping_sub(hash) };
            tally.is_changed = true;
            // A number, so that a statement can call the function in the expression for a column that it writes.
            Ok(row.get_raw(row.len() - 1).as_i64().unwrap_or(0))
        })?;
    }
    let added = tally.clone();
    connection.create_scalar_function("content_rows_added", 1, FunctionFlags::SQLITE_UTF8, move |sum| {
        let sum: [u8; 16] = sum.get(0)?;
        let mut tally = added.lock();
        tally.rows = tally.rows.wrapping_add(u128::from_le_bytes(sum));
        tally.is_changed = true;
        Ok(0)
    })?;
    let sequences = tally.clone();
    connection.create_scalar_function("content_sequence_used", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        let mut tally = sequences.lock();
        (tally.is_changed, tally.are_sequences_changed) = (true, true);
        Ok(0)
    })?;
    // Otherwise a row that INSERT OR REPLACE removes would fire no trigger.
    connection.pragma_update(None, "recursive_triggers", true)?;
    for table in tables(connection)? {
        let columns = |row: &str| {
            let names: Vec<String> = table.columns.iter().map(|column| format!("{row}.\"{column}\"")).collect();
            names.join(", ")
        };
        let name = &table.name;
        let removed = format!("content_row_removed('{name}', {})", columns("OLD"));
        let added = format!("content_row_added('{name}', {})", columns("NEW"));
        let updated = format!("{removed}, {added}");
        if table.has_sequence {
            // Before the row is checked, because a row that is ignored takes a number, too.
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER \"content_{name}_SEQUENCE\" BEFORE INSERT ON main.\"{name}\"
                 BEGIN SELECT content_sequence_used(); END"
            ))?;
        }
        for (event, calls) in [("INSERT", added), ("DELETE", removed), ("UPDATE", updated)] {
            if event != "DELETE" && WITHOUT_TRIGGERS.contains(&name.as_str()) {
                continue;
            }
            connection.execute_batch(&format!(
                "CREATE TEMP TRIGGER \"content_{name}_{event}\" AFTER {event} ON main.\"{name}\" BEGIN SELECT {calls}; END"
            ))?;
        }
    }
    Ok(())
}

/// Computes and stores the checksum of a store that has none yet, or whose schema changed.
pub(super) fn initialize(connection: &Connection) -> rusqlite::Result<()> {
    let known = connection.query_row("SELECT store, commits FROM content", [], position_at).optional()?;
    let position = known.unwrap_or_else(|| Position { store: Uuid::now_v7().to_string(), commits: 0 });
    let checksum = computed(connection, &position)?;
    connection
        .execute(
            "INSERT OR REPLACE INTO content (one, store, commits, checksum) VALUES (1, ?1, ?2, ?3)",
            params![position.store, position.commits, checksum.to_le_bytes()],
        )
        .map(drop)
}

/// Returns whether a store has a checksum, which stores of earlier versions do not have.
pub(super) fn has_checksum(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = 'content'";
    connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map(|tables| tables == 1)
}

fn position_at(row: &rusqlite::Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position { store: row.get(0)?, commits: row.get(1)? })
}

/// Reads the position and the checksum that the last commit stored.
fn stored(connection: &Connection) -> rusqlite::Result<(Position, u128)> {
    connection.query_row("SELECT store, commits, checksum FROM content", [], |row| {
        let checksum = row.get_ref(2)?.as_blob().map_err(|e| unreadable(2, e))?;
        let checksum = checksum.try_into().map_err(|_| unreadable(2, "not a checksum of 16 bytes"))?;
        Ok((position_at(row)?, u128::from_le_bytes(checksum)))
    })
}

/// Returns the last commit, and whether the rows have the checksum that it stored. Reads every row of every table. The
/// caller holds a read transaction.
pub(super) fn compare(connection: &Connection) -> rusqlite::Result<(Position, bool)> {
    let (position, stored) = stored(connection)?;
    let is_same = stored == computed(connection, &position)?;
    Ok((position, is_same))
}

fn computed(connection: &Connection, position: &Position) -> rusqlite::Result<u128> {
    let mut sum = schema(connection)?.wrapping_add(sequences(connection)?).wrapping_add(position.hash());
    for table in tables(connection)? {
        let columns: Vec<String> = table.columns.iter().map(|column| format!("\"{column}\"")).collect();
        let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        sum = sum.wrapping_add(sum_of(connection, &table.name, &sql)?);
    }
    Ok(sum)
}

/// Returns the sum over the last numbers of AUTOINCREMENT.
fn sequences(connection: &Connection) -> rusqlite::Result<u128> {
    sum_of(connection, "sqlite_sequence", "SELECT name, seq FROM sqlite_sequence")
}

/// Returns the sum over the definitions of tables and indexes.
fn schema(connection: &Connection) -> rusqlite::Result<u128> {
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    sum_of(connection, "sqlite_schema", sql)
}

/// Returns the sum of the hashes of a query's rows.
fn sum_of(connection: &Connection, table: &str, sql: &str) -> rusqlite::Result<u128> {
    let mut query = connection.prepare_cached(sql)?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    let (mut sum, mut hash) = (0_u128, RowHash::default());
    while let Some(row) = rows.next()? {
        hash.begin(table);
        for column in 0..columns {
            hash.value(row.get_ref(column)?);
        }
        sum = sum.wrapping_add(hash.finish());
    }
    Ok(sum)
}

/// A table whose rows the checksum covers.
struct Table {
    name: String,
    columns: Vec<String>,
    /// Whether it has an AUTOINCREMENT column.
    has_sequence: bool,
}

/// Returns the tables of a store, without `content` itself and without those of SQLite.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let found: Vec<(String, bool)> = connection
        .prepare(
            "SELECT name, sql LIKE '%AUTOINCREMENT%' FROM main.sqlite_schema
             WHERE type = 'table' AND name <> 'content' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1, 'main') ORDER BY cid")?;
    let with_columns = |(name, has_sequence): (String, bool)| {
        let columns = columns.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Table { name, columns, has_sequence })
    };
    found.into_iter().map(with_columns).collect()
}

/// The hash of a row. Each value is hashed with its type and length, so that no two rows have the same bytes.
#[derive(Debug, Default)]
struct RowHash(Vec<u8>);

impl RowHash {
    fn new(table: &str) -> Self {
        let mut hash = Self(Vec::with_capacity(ROW_BYTES));
        hash.begin(table);
        hash
    }

    /// Begins another row in the memory of the previous one.
    fn begin(&mut self, table: &str) {
        self.0.clear();
        self.bytes(b't', table.as_bytes());
    }

    fn value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.number(b'n', 0),
            ValueRef::Integer(number) => self.number(b'i', number.cast_unsigned()),
            ValueRef::Real(number) => self.number(b'r', number.to_bits()),
            ValueRef::Text(text) => self.bytes(b's', text),
            ValueRef::Blob(bytes) => self.bytes(b'b', bytes),
        }
    }

    fn number(&mut self, kind: u8, number: u64) {
        let mut field = [kind; 9];
        field[1..].copy_from_slice(&number.to_le_bytes());
        self.0.extend_from_slice(&field);
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.number(kind, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u128 {
        SipHasher13::new().hash(&self.0).as_u128()
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
