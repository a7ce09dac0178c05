//! The scratch database of one import: rows, findings and sections, which may be larger than memory. It is deleted
//! after the import, so it is not durable.

use std::cell::Cell;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::import::Finding;
use crate::imports::schedule::{FINDING_VALUE_CHARS_MAX, ScheduleError, Severity};

/// The size of SQLite's page cache, in KiB.
const CACHE_KIB: i64 = 4 * 1024;
/// The capacity of the cache of prepared statements: more than there are.
const STATEMENT_CACHE_LEN: usize = 32;

/// The maximum length of a message, in characters: some quote their cell.
const MESSAGE_CHARS_MAX: usize = 500;

const SCHEMA: &str = "
CREATE TABLE finding(severity INTEGER, line INTEGER, col TEXT, value TEXT, message TEXT);
CREATE INDEX finding_line ON finding(severity, line);
CREATE TABLE row(crn TEXT, line INTEGER, body TEXT);
CREATE INDEX row_crn ON row(crn, line);
CREATE TABLE rejected(crn TEXT, line INTEGER, PRIMARY KEY(crn, line)) WITHOUT ROWID;
CREATE TABLE section(crn TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
CREATE TABLE use(kind INTEGER, key INTEGER, start INTEGER, end INTEGER, days INTEGER, starts_on INTEGER,
  ends_on INTEGER, class INTEGER, grp INTEGER, section INTEGER, is_repeated INTEGER, line INTEGER, label TEXT,
  shown TEXT);
CREATE TABLE conflict(kind INTEGER, row_a INTEGER, row_b INTEGER, pairs INTEGER, lines TEXT);
CREATE TABLE event(id TEXT PRIMARY KEY, line INTEGER, body TEXT) WITHOUT ROWID;
";

impl From<rusqlite::Error> for ScheduleError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Scratch(e.to_string())
    }
}

impl From<std::io::Error> for ScheduleError {
    fn from(e: std::io::Error) -> Self {
        Self::Scratch(e.to_string())
    }
}

impl From<serde_json::Error> for ScheduleError {
    fn from(e: serde_json::Error) -> Self {
        Self::Scratch(e.to_string())
    }
}

/// The database, with the numbers of findings in it.
pub(super) struct Scratch {
    pub(super) db: Connection,
    errors: Cell<u64>,
    warnings: Cell<u64>,
}

impl Scratch {
    /// Creates the database in `folder`.
    pub(super) fn create(folder: &Path) -> Result<Self, ScheduleError> {
        let db = Connection::open(folder.join("scratch.sqlite"))?;
        db.pragma_update(None, "journal_mode", "OFF")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.set_prepared_statement_cache_capacity(STATEMENT_CACHE_LEN);
        db.execute_batch(SCHEMA)?;
        // Everything is one transaction: pages that do not fit into the cache spill to the file.
        db.execute_batch("BEGIN")?;
        Ok(Self { db, errors: Cell::new(0), warnings: Cell::new(0) })
    }

    /// Adds a finding.
    pub(super) fn add_finding(&self, severity: Severity, finding: &Finding) -> Result<(), ScheduleError> {
        self.counter(severity).update(|n| n + 1);
        let value = finding.value.as_deref().map(|v| v.chars().take(FINDING_VALUE_CHARS_MAX).collect::<String>());
        self.db.prepare_cached("INSERT INTO finding VALUES(?,?,?,?,?)")?.execute(params![
            number(severity),
            signed(finding.line),
            finding.column.as_deref(),
            value,
            finding.message.chars().take(MESSAGE_CHARS_MAX).collect::<String>()
        ])?;
        Ok(())
    }

    pub(super) fn findings_total(&self, severity: Severity) -> u64 {
        self.counter(severity).get()
    }

    const fn counter(&self, severity: Severity) -> &Cell<u64> {
        match severity {
            Severity::Error => &self.errors,
            Severity::Warning => &self.warnings,
        }
    }

    /// Visits the first `limit` findings of a severity, in order of line.
    pub(super) fn each_finding(
        &self,
        severity: Severity,
        limit: u64,
        f: &mut dyn FnMut(Finding) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError> {
        let sql = "SELECT line,col,value,message FROM finding WHERE severity=? ORDER BY line, rowid LIMIT ?";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![number(severity), signed(limit)])?;
        while let Some(row) = rows.next()? {
            f(Finding {
                line: unsigned(row.get(0)?),
                column: row.get::<_, Option<Box<str>>>(1)?,
                value: row.get::<_, Option<Box<str>>>(2)?,
                message: row.get(3)?,
            })?;
        }
        Ok(())
    }

    /// Returns whether a row of the file, valid or rejected, has this CRN.
    pub(super) fn contains_crn(&self, crn: &str) -> Result<bool, ScheduleError> {
        let sql = "SELECT 1 FROM row WHERE crn=?1 UNION ALL SELECT 1 FROM rejected WHERE crn=?1 LIMIT 1";
        Ok(self.db.prepare_cached(sql)?.query_row([crn], |_| Ok(())).optional()?.is_some())
    }

    /// Records a rejected row with a valid CRN. Its section is then not imported.
    pub(super) fn reject(&self, crn: &str, line: u64) -> Result<(), ScheduleError> {
        self.db.prepare_cached("INSERT OR IGNORE INTO rejected VALUES(?,?)")?.execute(params![crn, signed(line)])?;
        Ok(())
    }

    /// Returns the line of the first rejected row of a CRN.
    pub(super) fn first_rejected_line(&self, crn: &str) -> Result<Option<u64>, ScheduleError> {
        let mut statement = self.db.prepare_cached("SELECT min(line) FROM rejected WHERE crn=?")?;
        Ok(statement.query_row([crn], |r| r.get::<_, Option<i64>>(0))?.map(unsigned))
    }
}

const fn number(severity: Severity) -> i64 {
    match severity {
        Severity::Error => 0,
        Severity::Warning => 1,
    }
}

/// Converts to SQLite's signed integers. A limit of `u64::MAX` becomes the largest of them.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
