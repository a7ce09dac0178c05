//! Imports and demonstrations of one hub, for the others.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::language::Language;
use crate::store::StoreFuture;
use crate::store::imports::StoredTask;
use crate::store::shared_tasks::{SharedTasks, StoredDemonstration};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::rows::{number_at, text_at};
use crate::store::postgres::values::Value;

impl SharedTasks for PostgresStore {
    fn put_running_task(&self, task: StoredTask) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "UPDATE import_tasks SET state = $2, finished_at = $3, body = $4
                 WHERE id = $1 AND state = 'running'";
            let finished_at = task.finished_at.map(Timestamp::as_millisecond);
            let values: [&dyn Value; 4] = [&task.id, &task.state.as_str(), &finished_at, &task.body];
            tx.execute(sql, &values).await.map(drop)
        })
    }

    fn request_cancellation(&self, task: &str) -> StoreFuture<()> {
        let task = task.to_owned();
        self.write(async move |tx| {
            let sql = "UPDATE import_tasks SET cancel_requested = true WHERE id = $1 AND state = 'running'";
            tx.execute(sql, &[&task]).await.map(drop)
        })
    }

    fn requested_cancellations(&self) -> StoreFuture<Vec<String>> {
        let hub = self.inner.hub;
        self.follow(async move |tx| {
            let sql = "SELECT id FROM import_tasks WHERE cancel_requested AND state = 'running' AND hub = $1";
            tx.query(sql, &[&hub]).await?.iter().map(|row| text_at(row, 0).map(str::to_owned)).collect()
        })
    }

    fn put_errors(&self, task: &str, language: Language, list: Vec<u8>) -> StoreFuture<()> {
        let task = task.to_owned();
        self.write(async move |tx| {
            let sql = "INSERT INTO import_errors (task, language, list) VALUES ($1, $2, $3)
                 ON CONFLICT (task, language) DO UPDATE SET list = excluded.list";
            tx.execute(sql, &[&task, &language.code(), &list.as_slice()]).await.map(drop)
        })
    }

    fn errors(&self, task: &str, language: Language) -> StoreFuture<Option<Vec<u8>>> {
        let task = task.to_owned();
        self.read(async move |tx| {
            let sql = "SELECT list FROM import_errors WHERE task = $1 AND language = $2";
            let row = tx.query_opt(sql, &[&task, &language.code()]).await?;
            Ok(row.map(|row| row.try_get(0)).transpose()?)
        })
    }

    fn put_demonstration(&self, report: String) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "INSERT INTO newest_demonstration (report) VALUES ($1)
                 ON CONFLICT (only_row) DO UPDATE SET report = excluded.report, updated_at = excluded.updated_at";
            tx.execute(sql, &[&report]).await.map(drop)
        })
    }

    fn demonstration(&self) -> StoreFuture<Option<StoredDemonstration>> {
        self.read(async |tx| {
            let sql = "SELECT report, greatest(0, extract(epoch FROM now() - updated_at) * 1000)::bigint
                 FROM newest_demonstration";
            let Some(row) = tx.query_opt(sql, &[]).await? else { return Ok(None) };
            let age = Duration::from_millis(number_at(&row, 1)?);
            Ok(Some(StoredDemonstration { report: text_at(&row, 0)?.to_owned(), age }))
        })
    }
}
