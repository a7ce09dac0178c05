//! Imports in the embedded store: staged sections, import tasks, and one-off events.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::event::Event;
use crate::domain::ids::{SANDBOX_PREFIX, TermId};
use crate::domain::import::TaskState;
use crate::domain::section::SectionState;
use crate::store::StoreFuture;
use crate::store::imports::{
    CHUNK_LEN, EventCursor, EventPage, EventTally, FINISHED_TASKS_MAX, ImportStore, StoredTask,
};

use crate::store::sqlite::rows::{STAGED_SEQ, maybe_time_at, put_section, time_at, unreadable};
use crate::store::sqlite::{SqliteStore, events};

fn visible_generation(connection: &Connection, term: &TermId) -> rusqlite::Result<u64> {
    let mut found = connection.prepare_cached("SELECT generation FROM terms WHERE id = ?1")?;
    Ok(found.query_row([term.as_str()], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Deletes at most [`CHUNK_LEN`] rows of a term that satisfy the SQL condition `which`, starting at the CRN `from`. In
/// the condition, `?1` is the term and `?2` its visible generation. Returns the CRN at which the next call starts.
fn remove(
    store: &SqliteStore,
    term: &TermId,
    from: Option<String>,
    which: &'static str,
) -> StoreFuture<Option<String>> {
    let (store, term) = (store.clone(), term.clone());
    Box::pin(async move {
        // Finding the rows scans the term, so it runs on a reader, not on the writer.
        let (id, from) = (term.clone(), from.unwrap_or_default());
        let found: Vec<(String, u64)> = store
            .read(move |connection| {
                let visible = visible_generation(connection, &id)?;
                let sql = format!(
                    "SELECT s.crn, s.generation FROM sections AS s WHERE s.term = ?1 AND s.crn >= ?3 AND {which}
                     ORDER BY s.crn LIMIT ?4"
                );
                let mut rows = connection.prepare_cached(&sql)?;
                let rows = rows
                    .query_map(params![id.as_str(), visible, from, CHUNK_LEN], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .await?;
        // The next call starts at the last CRN again, because the limit may have cut off some of its rows.
        let next = found.last().filter(|_| found.len() == CHUNK_LEN).map(|(crn, _)| crn.clone());
        if found.is_empty() {
            return Ok(None);
        }
        let remove = move |tx: &Connection| {
            let mut delete =
                tx.prepare_cached("DELETE FROM sections WHERE term = ?1 AND crn = ?2 AND generation = ?3")?;
            for (crn, generation) in &found {
                delete.execute(params![term.as_str(), crn, generation])?;
            }
            Ok(())
        };
        store.write(remove).await?;
        Ok(next)
    })
}

pub(super) fn task_at(row: &Row<'_>) -> rusqlite::Result<StoredTask> {
    let state: String = row.get(1)?;
    let all = [TaskState::Running, TaskState::Done, TaskState::Failed, TaskState::Cancelled];
    Ok(StoredTask {
        id: row.get(0)?,
        state: all.into_iter().find(|s| s.as_str() == state).ok_or_else(|| unreadable(1, "unknown state"))?,
        started_at: time_at(row, 2)?,
        finished_at: maybe_time_at(row, 3)?,
        body: row.get(4)?,
    })
}

impl ImportStore for SqliteStore {
    fn generation(&self, term: &TermId) -> StoreFuture<u64> {
        let term = term.clone();
        self.write(move |tx| visible_generation(tx, &term))
    }

    fn claim_generation(&self, term: &TermId) -> StoreFuture<u64> {
        let term = term.clone();
        // The store has one hub, whose imports run one after the other, so there is nothing to claim.
        self.write(move |tx| Ok(visible_generation(tx, &term)? + 1))
    }

    fn stage(&self, generation: u64, sections: Vec<SectionState>) -> StoreFuture<()> {
        self.write(move |tx| sections.iter().try_for_each(|state| put_section(tx, state, generation, STAGED_SEQ)))
    }

    fn discard_staged(&self, term: &TermId, _upto: u64, from: Option<String>) -> StoreFuture<Option<String>> {
        // No other import has staged newer sections.
        remove(self, term, from, "s.generation > ?2")
    }

    fn prune(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>> {
        let replaced =
            "s.generation < ?2 AND EXISTS (SELECT 1 FROM sections AS v WHERE v.term = s.term AND v.crn = s.crn
            AND v.generation > s.generation AND v.generation <= ?2)";
        remove(self, term, from, replaced)
    }

    fn put_task(&self, task: StoredTask) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO import_tasks (id, state, started_at, finished_at, body) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET state = ?2, finished_at = ?4, body = ?5",
            )?
            .execute(params![
                task.id,
                task.state.as_str(),
                task.started_at.as_millisecond(),
                task.finished_at.map(Timestamp::as_millisecond),
                task.body,
            ])?;
            Ok(())
        })
    }

    fn task(&self, id: &str) -> StoreFuture<Option<StoredTask>> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT id, state, started_at, finished_at, body FROM import_tasks WHERE id = ?1";
            connection.prepare_cached(sql)?.query_row([id], task_at).optional()
        })
    }

    fn interrupted_tasks(&self) -> StoreFuture<Vec<StoredTask>> {
        self.read(|connection| {
            let sql = "SELECT id, state, started_at, finished_at, body FROM import_tasks WHERE state = 'running'";
            connection.prepare_cached(sql)?.query_map([], task_at)?.collect()
        })
    }

    fn delete_old_tasks(&self) -> StoreFuture<Vec<String>> {
        self.write(|tx| {
            // Tasks of a demonstration are removed with its sandbox, and do not count here.
            let sql = "DELETE FROM import_tasks WHERE state <> 'running' AND id NOT IN
                (SELECT id FROM import_tasks
                 WHERE state <> 'running' AND coalesce(json_extract(body, '$.term'), '') NOT GLOB ?2
                 ORDER BY started_at DESC, id DESC LIMIT ?1)
                AND coalesce(json_extract(body, '$.term'), '') NOT GLOB ?2
                RETURNING id";
            let sandbox = format!("{SANDBOX_PREFIX}*");
            tx.prepare_cached(sql)?.query_map(params![FINISHED_TASKS_MAX, sandbox], |row| row.get(0))?.collect()
        })
    }

    fn put_events(&self, events: Vec<Event>, dry_run: bool) -> StoreFuture<EventTally> {
        if dry_run {
            return self.read(move |connection| events::compare(connection, &events));
        }
        self.write(move |tx| {
            let tally = events::compare(tx, &events)?;
            events::put(tx, &events)?;
            Ok(tally)
        })
    }

    fn remove_events(&self, ids: Vec<String>) -> StoreFuture<()> {
        self.write(move |tx| events::remove(tx, &ids))
    }

    fn events(&self, since: Option<EventCursor>, limit: usize) -> StoreFuture<EventPage> {
        self.read(move |connection| events::page(connection, since.as_ref(), limit))
    }
}
