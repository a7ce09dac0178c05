//! Shared reports of demonstrations on PostgreSQL.

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::StoreFuture;
use crate::store::demo_reports::{DEMO_REPORTS_MAX, DemoReportStore};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::people::text;
use crate::store::postgres::rows::integer;

impl DemoReportStore for PostgresStore {
    fn put_demo_report(&self, task: Uuid, report: String, at: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql =
                "INSERT INTO demo_reports (task, report, shared_at) VALUES ($1, $2, $3) ON CONFLICT (task) DO NOTHING";
            tx.execute(sql, &[&task, &text(&report), &at.as_millisecond()]).await?;
            // Skips rows that another hub is deleting.
            let sql = "DELETE FROM demo_reports WHERE task IN (
                 SELECT task FROM demo_reports ORDER BY shared_at DESC, task DESC OFFSET $1 FOR UPDATE SKIP LOCKED)";
            tx.execute(sql, &[&integer(DEMO_REPORTS_MAX)]).await?;
            Ok(())
        })
    }

    fn demo_report(&self, task: Uuid) -> StoreFuture<Option<String>> {
        self.read(async move |tx| {
            let row = tx.query_opt("SELECT report FROM demo_reports WHERE task = $1", &[&task]).await?;
            Ok(row.map(|row| row.try_get(0)).transpose()?)
        })
    }

    fn remove_demo_report(&self, task: Uuid) -> StoreFuture<bool> {
        self.write(async move |tx| Ok(tx.execute("DELETE FROM demo_reports WHERE task = $1", &[&task]).await? > 0))
    }
}
