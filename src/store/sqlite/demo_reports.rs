//! Shared reports of demonstrations in the embedded store.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use crate::store::StoreFuture;
use crate::store::demo_reports::{DEMO_REPORTS_MAX, DemoReportStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{time_at, unreadable};

/// Reads `task, report, shared_at`.
pub(super) fn report_at(row: &Row<'_>) -> rusqlite::Result<(Uuid, String, Timestamp)> {
    let task = Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?;
    Ok((task, row.get(1)?, time_at(row, 2)?))
}

impl DemoReportStore for SqliteStore {
    fn put_demo_report(&self, task: Uuid, report: String, at: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO demo_reports (task, report, shared_at) VALUES (?1, ?2, ?3) ON CONFLICT (task) DO NOTHING",
            )?
            .execute(params![task.to_string(), report, at.as_millisecond()])?;
            tx.prepare_cached(
                "DELETE FROM demo_reports WHERE task NOT IN (
                     SELECT task FROM demo_reports ORDER BY shared_at DESC, task DESC LIMIT ?1)",
            )?
            .execute([DEMO_REPORTS_MAX])?;
            Ok(())
        })
    }

    fn demo_report(&self, task: Uuid) -> StoreFuture<Option<String>> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT report FROM demo_reports WHERE task = ?1")?
                .query_row([task.to_string()], |row| row.get(0))
                .optional()
        })
    }

    fn remove_demo_report(&self, task: Uuid) -> StoreFuture<bool> {
        self.write(move |tx| {
            let removed = tx.prepare_cached("DELETE FROM demo_reports WHERE task = ?1")?.execute([task.to_string()])?;
            Ok(removed > 0)
        })
    }
}
