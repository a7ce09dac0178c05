//! Takes over the rows of an embedded store: in one transaction, so that a failure leaves the target as it was. Before
//! it commits, all rows are read back and compared with what the source sent, and the counts and the chain of attempts
//! are recomputed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::transfer::{
    CHUNK_ROWS, Cell, Columns, Progress, REPORT_EVERY, Source, TABLES, TransferError, Transferred,
};
use crate::store::verification::Verification;
use crate::store::{StoreError, StoreFuture};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::hubs::HAS_ENDED;
use crate::store::postgres::rows::{storable, text_at};
use crate::store::postgres::transaction::{self, Tx, Work};
use crate::store::postgres::values::Value;
use crate::store::postgres::{PostgresStore, verify};

/// Tables that only this kind of store has.
const OWN_TABLES: [&str; 10] = [
    "commits",
    "counters",
    "hubs",
    "import_errors",
    "leaders",
    "newest_demonstration",
    "schema_version",
    "term_facts",
    "term_staging",
    "used_tickets",
];
/// Columns that only this kind of store has. Their defaults are those of rows that no hub has changed yet.
const OWN_COLUMNS: [(&str, &str); 6] = [
    ("terms", "rewrites"),
    ("import_tasks", "hub"),
    ("import_tasks", "cancel_requested"),
    ("dead_tokens", "position"),
    ("tokens_valid_from", "position"),
    ("plone_sign_ins_ended", "position"),
];

/// Why the transaction is undone.
enum Stop {
    Refused(TransferError),
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<TransferError> for Stop {
    fn from(error: TransferError) -> Self {
        Self::Refused(error)
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Bytes,
    Uuid,
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Null,
    Text(String),
    Integer(i64),
    Boolean(bool),
    Bytes(Vec<u8>),
    Uuid(Uuid),
}

/// The columns of a table, with their types.
type Shape = Vec<(String, Kind)>;

/// The number of rows of a table, and the sum of their hashes, which does not depend on their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    rows: u64,
    sum: u128,
}

impl Tally {
    fn add(&mut self, row: &[Field]) {
        let mut hash = Sha256::new();
        for field in row {
            let (tag, bytes): (u8, &[u8]) = match field {
                Field::Null => (0, &[]),
                Field::Text(text) => (1, text.as_bytes()),
                Field::Integer(number) => (2, &number.to_be_bytes()),
                Field::Boolean(truth) => (3, &[u8::from(*truth)]),
                Field::Bytes(bytes) => (4, bytes),
                Field::Uuid(id) => (5, id.as_bytes()),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        let half = hash.finalize().first_chunk().copied().unwrap_or_default();
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
    }
}

impl Kind {
    /// Returns the type of this name in PostgreSQL; `None` for a type that no column of a moved table has.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "int8" => Self::Integer,
            "bool" => Self::Boolean,
            "bytea" => Self::Bytes,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// Returns a value of the source as this type stores it; `None` if it is not of this type.
    fn field(self, cell: Cell) -> Option<Field> {
        Some(match (self, cell) {
            (_, Cell::Null) => Field::Null,
            (Self::Text, Cell::Text(text)) => Field::Text(storable(&text).into_owned()),
            (Self::Integer, Cell::Integer(number)) => Field::Integer(number),
            (Self::Boolean, Cell::Integer(number @ (0 | 1))) => Field::Boolean(number == 1),
            (Self::Bytes, Cell::Bytes(bytes)) => Field::Bytes(bytes),
            (Self::Uuid, Cell::Text(text)) => Field::Uuid(Uuid::try_parse(&text).ok()?),
            (Self::Uuid, Cell::Bytes(bytes)) => Field::Uuid(Uuid::from_slice(&bytes).ok()?),
            _ => return None,
        })
    }

    /// Reads a value of this type.
    fn read(self, row: &Row, at: usize) -> Result<Field, Failure> {
        Ok(match self {
            Self::Text => row.try_get::<_, Option<String>>(at)?.map(Field::Text),
            Self::Integer => row.try_get::<_, Option<i64>>(at)?.map(Field::Integer),
            Self::Boolean => row.try_get::<_, Option<bool>>(at)?.map(Field::Boolean),
            Self::Bytes => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Field::Bytes),
            Self::Uuid => row.try_get::<_, Option<Uuid>>(at)?.map(Field::Uuid),
        }
        .unwrap_or(Field::Null))
    }

    /// Returns the values of one column of rows, as the parameter of a statement.
    fn array(self, rows: &[Vec<Field>], at: usize) -> Box<dyn Value + '_> {
        macro_rules! array {
            ($kind:ident, $value:ident => $as:expr) => {
                Box::new(
                    rows.iter()
                        .map(|row| if let Field::$kind($value) = &row[at] { Some($as) } else { None })
                        .collect::<Vec<_>>(),
                )
            };
        }
        match self {
            Self::Text => array!(Text, text => text.as_str()),
            Self::Integer => array!(Integer, number => *number),
            Self::Boolean => array!(Boolean, truth => *truth),
            Self::Bytes => array!(Bytes, bytes => bytes.as_slice()),
            Self::Uuid => array!(Uuid, id => *id),
        }
    }
}

/// A reporter of progress, which reports at most every [`REPORT_EVERY`] within a table.
struct Reporter {
    report: Arc<dyn Fn(Progress) + Send + Sync>,
    last: Instant,
}

impl Reporter {
    fn report_if_due(&mut self, progress: Progress) {
        if self.last.elapsed() >= REPORT_EVERY {
            self.report_now(progress);
        }
    }

    fn report_now(&mut self, progress: Progress) {
        self.last = Instant::now();
        (self.report)(progress);
    }
}

/// Returns the columns of the tables that are moved, and requires that they are those of the source.
async fn shapes(tx: &Tx, source: &Columns) -> Result<BTreeMap<&'static str, Shape>, Stop> {
    let sql = "SELECT table_name::text, column_name::text, udt_name::text FROM information_schema.columns
         WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position";
    let mut shapes: BTreeMap<&'static str, Shape> = TABLES.iter().map(|table| (*table, Shape::new())).collect();
    let schema = |what: String| Stop::Refused(TransferError::Schema(what));
    for row in tx.query(sql, &[]).await? {
        let (table, column, kind) = (text_at(&row, 0)?, text_at(&row, 1)?, text_at(&row, 2)?);
        if OWN_TABLES.contains(&table) || OWN_COLUMNS.contains(&(table, column)) {
            continue;
        }
        let known = TABLES.iter().find(|known| **known == table).and_then(|known| shapes.get_mut(known));
        let shape = known.ok_or_else(|| schema(format!("the target has the table {table}")))?;
        let kind = Kind::named(kind).ok_or_else(|| schema(format!("{table}.{column} has the type {kind}")))?;
        shape.push((column.to_owned(), kind));
    }
    for (table, shape) in &shapes {
        let mut here: Vec<&str> = shape.iter().map(|(name, _)| name.as_str()).collect();
        let mut there: Vec<&str> = source.get(table).into_iter().flatten().map(String::as_str).collect();
        here.sort_unstable();
        there.sort_unstable();
        if here != there {
            return Err(schema(format!("the columns of {table} are {here:?} in the target, {there:?} in the source")));
        }
    }
    Ok(shapes)
}

/// Requires that the target is empty and no hub runs on it, and locks its tables against writes.
async fn require_empty(tx: &Tx, hub: Uuid) -> Result<(), Stop> {
    tx.run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", TABLES.join(", "))).await?;
    let sql = format!("SELECT EXISTS (SELECT 1 FROM hubs AS h WHERE h.id <> $1 AND NOT {HAS_ENDED})");
    if tx.query_one(&sql, &[&hub]).await?.try_get::<_, bool>(0).map_err(Failure::from)? {
        return Err(TransferError::HubRuns.into());
    }
    for table in TABLES.iter().chain(&["term_facts", "term_staging"]) {
        let found = tx.query_opt(&format!("SELECT 1 FROM {table} LIMIT 1"), &[]).await?;
        if found.is_some() {
            return Err(TransferError::NotEmpty((*table).to_owned()).into());
        }
    }
    Ok(())
}

fn quoted(shape: &Shape) -> String {
    shape.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Writes rows of a table.
async fn insert(tx: &Tx, table: &str, shape: &Shape, rows: &[Vec<Field>]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let parameters: Vec<String> = (1..=shape.len()).map(|at| format!("${at}")).collect();
    // Otherwise PostgreSQL would generate the ids of audit entries.
    let sql = format!(
        "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({})",
        quoted(shape),
        parameters.join(", ")
    );
    let arrays: Vec<Box<dyn Value + '_>> =
        shape.iter().enumerate().map(|(at, (_, kind))| kind.array(rows, at)).collect();
    let values: Vec<&dyn Value> = arrays.iter().map(|array| &**array).collect();
    tx.execute(&sql, &values).await.map(drop)
}

/// Reads all rows of a table, and returns their number and the sum of their hashes.
async fn tally(tx: &Tx, table: &str, shape: &Shape) -> Result<Tally, Failure> {
    tx.run(&format!("DECLARE moved NO SCROLL CURSOR FOR SELECT {} FROM {table}", quoted(shape))).await?;
    let mut tally = Tally::default();
    loop {
        let rows = tx.query(&format!("FETCH {CHUNK_ROWS} FROM moved"), &[]).await?;
        if rows.is_empty() {
            tx.run("CLOSE moved").await?;
            return Ok(tally);
        }
        for row in &rows {
            let fields = shape.iter().enumerate().map(|(at, (_, kind))| kind.read(row, at));
            tally.add(&fields.collect::<Result<Vec<_>, Failure>>()?);
        }
    }
}

/// Sets the counters, so that new numbers follow those of the source.
async fn put_counters(tx: &Tx, alert_log: i64) -> Result<(), Failure> {
    tx.execute("UPDATE counters SET value = $1 WHERE name = 'alert_log'", &[&alert_log]).await?;
    let sql = "SELECT setval(pg_get_serial_sequence('audit', 'id'), max(id)) FROM audit HAVING max(id) IS NOT NULL";
    tx.query(sql, &[]).await.map(drop)
}

/// Recomputes the counts and the chain of attempts, and compares the numbers with those of the source.
async fn require_verified(tx: &Tx, source: &Verification) -> Result<(), Stop> {
    let mut found = Verification::default();
    for term in verify::all_terms(tx).await? {
        found = verify::verify_term(tx, &term, found).await?;
    }
    if let Some(difference) = found.differences.into_iter().next() {
        return Err(TransferError::Verification(difference).into());
    }
    let here = (found.terms, found.sections, found.registered, found.attempts);
    let there = (source.terms, source.sections, source.registered, source.attempts);
    if here != there {
        let what = format!("terms, sections, registrations and attempts are {here:?}, in the source {there:?}");
        return Err(TransferError::Verification(what).into());
    }
    Ok(())
}

/// Writes the rows that the source sends, reads them back, and verifies the contents.
async fn receive(tx: &Tx, source: Source, hub: Uuid, reporter: &mut Reporter) -> Result<Transferred, Stop> {
    let shapes = shapes(tx, &source.columns).await?;
    require_empty(tx, hub).await?;
    let order = shapes.iter().map(|(table, shape)| (*table, shape.iter().map(|(name, _)| name.clone()).collect()));
    let mut chunks = (source.send)(order.collect());
    let mut sent: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut moved = Transferred { attempts: source.verified.attempts, ..Transferred::default() };
    while let Some(chunk) = chunks.recv().await {
        let (table, rows) = chunk.map_err(TransferError::Source)?;
        let Some(shape) = shapes.get(table) else { continue };
        let tally = sent.entry(table).or_default();
        let mut fields = Vec::with_capacity(rows.len());
        for row in rows {
            let mut converted = Vec::with_capacity(row.len());
            for (cell, (column, kind)) in row.into_iter().zip(shape) {
                moved.replaced += u64::from(matches!(&cell, Cell::Text(text) if text.contains('\0')));
                let field = kind.field(cell);
                let wrong = || TransferError::Source(format!("a value of {table}.{column} has another type"));
                converted.push(field.ok_or_else(wrong)?);
            }
            tally.add(&converted);
            fields.push(converted);
        }
        insert(tx, table, shape, &fields).await?;
        let progress = Progress::Written(table, tally.rows);
        // The last chunk of a table is not full.
        if fields.len() < CHUNK_ROWS { reporter.report_now(progress) } else { reporter.report_if_due(progress) }
    }
    if sent.len() != TABLES.len() {
        return Err(TransferError::Source("not all tables were sent".to_owned()).into());
    }
    put_counters(tx, source.alert_log).await?;
    for table in TABLES {
        let stored = tally(tx, table, &shapes[table]).await?;
        if sent[table] != stored {
            return Err(TransferError::Differs(table).into());
        }
        moved.rows += stored.rows;
        reporter.report_now(Progress::Compared(table, stored.rows));
    }
    reporter.report_now(Progress::Verifying);
    require_verified(tx, &source.verified).await?;
    Ok(moved)
}

impl PostgresStore {
    /// Takes over all rows of another store, in one transaction. This store must be empty, and no hub may run on it.
    /// `report` is called on the thread of the store.
    pub fn receive(
        &self,
        source: Source,
        report: Arc<dyn Fn(Progress) + Send + Sync>,
    ) -> StoreFuture<Result<Transferred, TransferError>> {
        let hub = self.inner.hub;
        self.submit(async move |pool| {
            let mut reporter = Reporter { report, last: Instant::now() };
            let moving = async move |tx: &Tx| match receive(tx, source, hub, &mut reporter).await {
                Ok(moved) => Ok(Work::Commit(Ok(moved))),
                Err(Stop::Refused(error)) => Ok(Work::Nothing(Err(error))),
                Err(Stop::Failed(failure)) => Err(failure),
            };
            transaction::write_long(pool, moving).await
        })
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Target(error.to_string())
    }
}
