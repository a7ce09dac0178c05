//! The scratch database of one import: rows, findings and sections, which may be larger than memory. It is deleted
//! after the import, so it is not durable.

use std::cell::Cell;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::import::Finding;
use crate::imports::schedule::{ScheduleError, Severity, finding_value};

/// The size of SQLite's page cache, in KiB.
const CACHE_KIB: i64 = 4 * 1024;
/// The capacity of the cache of prepared statements: more than there are.
const STATEMENT_CACHE_LEN: usize = 32;

/// The maximum length of a message, in characters: some quote their cell.
const MESSAGE_CHARS_MAX: usize = 500;

const SCHEMA: &str = "
CREATE TABLE finding(severity INTEGER, line INTEGER, col TEXT, value TEXT, message TEXT, coded TEXT);
CREATE INDEX finding_line ON finding(severity, line);
CREATE TABLE row(crn TEXT, line INTEGER, body TEXT);
CREATE INDEX row_crn ON row(crn, line);
CREATE TABLE formed(crn TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE rejected(crn TEXT, line INTEGER, PRIMARY KEY(crn, line)) WITHOUT ROWID;
CREATE TABLE section(crn TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
CREATE TABLE use(kind INTEGER, key INTEGER, start INTEGER, end INTEGER, days INTEGER, starts_on INTEGER,
  ends_on INTEGER, class INTEGER, grp INTEGER, section INTEGER, is_repeated INTEGER, line INTEGER, label TEXT,
  shown TEXT, instructors TEXT);
CREATE TABLE conflict(kind INTEGER, row_a INTEGER, row_b INTEGER, pairs INTEGER, lines TEXT);
CREATE TABLE event(id TEXT PRIMARY KEY, line INTEGER, body TEXT) WITHOUT ROWID;
";

/// The maximum number of rows without a CRN that become part of another section, so that a file of such rows cannot fill
/// memory. Later ones become separate sections.
const ADOPTED_MAX: usize = 100_000;
const INDEX_OF_LABELS: &str = "CREATE INDEX IF NOT EXISTS row_label ON row(json_extract(body,'$.c'), json_extract(body,'$.s'), json_extract(body,'$.k'))";
/// The rows with a formed CRN, with their line and the CRN of the section to which they belong.
const ADOPTED: &str = "
SELECT own.rowid, own.line, min(other.crn) FROM row AS own JOIN row AS other
  ON json_extract(other.body,'$.c') = json_extract(own.body,'$.c')
  AND json_extract(other.body,'$.s') = json_extract(own.body,'$.s')
  AND json_extract(other.body,'$.k') = json_extract(own.body,'$.k')
WHERE own.crn IN (SELECT crn FROM formed) AND other.crn NOT IN (SELECT crn FROM formed)
GROUP BY own.rowid HAVING min(other.crn) = max(other.crn) ORDER BY own.line";

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
        let value = finding.value.as_deref().map(finding_value);
        self.db.prepare_cached("INSERT INTO finding VALUES(?,?,?,?,?,?)")?.execute(params![
            number(severity),
            signed(finding.line),
            finding.column.as_deref(),
            value,
            finding.message.chars().take(MESSAGE_CHARS_MAX).collect::<String>(),
            serde_json::to_string(&finding.coded)?
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
        let sql = "SELECT line,col,value,message,coded FROM finding WHERE severity=? ORDER BY line, rowid LIMIT ?";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![number(severity), signed(limit)])?;
        while let Some(row) = rows.next()? {
            f(Finding {
                line: unsigned(row.get(0)?),
                column: row.get::<_, Option<Box<str>>>(1)?,
                value: row.get::<_, Option<Box<str>>>(2)?,
                message: row.get(3)?,
                coded: serde_json::from_str(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
            })?;
        }
        Ok(())
    }

    /// Records a CRN that was formed for rows without one.
    pub(super) fn add_formed(&self, crn: &str) -> Result<(), ScheduleError> {
        self.db.prepare_cached("INSERT OR IGNORE INTO formed VALUES(?)")?.execute([crn])?;
        Ok(())
    }

    /// Gives the rows with a formed CRN the CRN of the only section with the same course, component and label, and visits
    /// their lines.
    pub(super) fn adopt_formed(
        &self,
        f: &mut dyn FnMut(u64) -> Result<(), ScheduleError>,
    ) -> Result<(), ScheduleError> {
        let has_formed = self.db.query_row("SELECT EXISTS(SELECT 1 FROM formed)", [], |row| row.get::<_, bool>(0))?;
        if !has_formed {
            return Ok(());
        }
        self.index_labels()?;
        let mut adopted = self.db.prepare(ADOPTED)?;
        let mut rows = adopted.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push((row.get::<_, i64>(0)?, unsigned(row.get(1)?), row.get::<_, String>(2)?));
            if lines.len() == ADOPTED_MAX {
                break;
            }
        }
        let mut update = self.db.prepare("UPDATE row SET crn = ?2, body = json_set(body, '$.o', (SELECT json_extract(body, '$.o') FROM row WHERE crn = ?2 LIMIT 1)) WHERE rowid = ?1")?;
        for (rowid, line, crn) in lines {
            update.execute(params![rowid, crn])?;
            f(line)?;
        }
        Ok(())
    }

    /// Makes the rows searchable by course, section and component. Few files need it, and only these pay for it.
    pub(super) fn index_labels(&self) -> Result<(), ScheduleError> {
        Ok(self.db.execute_batch(INDEX_OF_LABELS)?)
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
