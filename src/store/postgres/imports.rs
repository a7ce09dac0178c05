//! Imports: staged sections, import tasks, and one-off events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::domain::event::Event;
use crate::domain::ids::{Crn, TermId};
use crate::domain::import::TaskState;
use crate::domain::section::SectionState;
use crate::store::StoreFuture;
use crate::store::imports::{
    CHUNK_LEN, EventCursor, EventPage, EventTally, FINISHED_TASKS_MAX, ImportStore, StoredTask,
};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::hubs::HAS_ENDED;
use crate::store::postgres::rows::{integer, maybe_time_at, number_at, text_at, time_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;
use crate::store::postgres::{PostgresStore, events, sandbox, term_writes};

/// The sequence of a staged row, which no commit of its term has written.
const STAGED_SEQ: i64 = 0;

/// Deletes at most [`CHUNK_LEN`] rows of a term up to the generation `upto` that satisfy the SQL condition `which`,
/// starting at the CRN `from`. In the condition, `v` is the visible generation. Returns the CRN at which the next call
/// starts.
fn remove(
    store: &PostgresStore,
    term: &TermId,
    upto: u64,
    from: Option<String>,
    which: &'static str,
) -> StoreFuture<Option<String>> {
    let (term, from) = (term.clone(), from.unwrap_or_default());
    store.write(async move |tx| {
        let sql = format!(
            "WITH v (generation) AS (SELECT coalesce((SELECT generation FROM terms WHERE id = $1), 0)),
             chosen AS (SELECT s.crn, s.generation FROM sections AS s, v
                 WHERE s.term = $1 AND s.crn >= $2 AND s.generation <= $4 AND {which} ORDER BY s.crn LIMIT $3),
             deleted AS (DELETE FROM sections AS s USING chosen AS c
                 WHERE s.term = $1 AND s.crn = c.crn AND s.generation = c.generation)
             SELECT max(crn), count(*) FROM chosen"
        );
        let row = tx.query_one(&sql, &[&term.as_str(), &from, &integer(CHUNK_LEN), &integer(upto)]).await?;
        // The next call starts at the last CRN again, because the limit may have cut off some of its rows.
        let is_full = number_at::<usize>(&row, 1)? == CHUNK_LEN;
        Ok(row.try_get::<_, Option<String>>(0)?.filter(|_| is_full))
    })
}

/// The columns that [`task_at`] reads.
const TASK_COLUMNS: &str = "id, state, started_at, finished_at, body";

fn task_at(row: &Row) -> Result<StoredTask, Failure> {
    let state = text_at(row, 1)?;
    let all = [TaskState::Running, TaskState::Done, TaskState::Failed, TaskState::Cancelled];
    Ok(StoredTask {
        id: text_at(row, 0)?.to_owned(),
        state: all.into_iter().find(|s| s.as_str() == state).ok_or_else(|| Failure::unreadable(1, "unknown state"))?,
        started_at: time_at(row, 2)?,
        finished_at: maybe_time_at(row, 3)?,
        body: text_at(row, 4)?.to_owned(),
    })
}

async fn stage(tx: &Tx, generation: u64, sections: &[SectionState]) -> Result<(), Failure> {
    // Of two rows with the same CRN, the later one counts: a statement can write a row only once.
    let mut by_term: BTreeMap<&TermId, BTreeMap<&Crn, &SectionState>> = BTreeMap::new();
    for state in sections {
        let id = &state.section.id;
        by_term.entry(&id.term).or_default().insert(&id.crn, state);
    }
    for (term, sections) in by_term {
        require_newest(tx, term, generation).await?;
        let sections: Vec<_> = sections.into_values().collect();
        let generation = integer(generation);
        let generation_of = term_writes::GIVEN_GENERATION;
        let statement = term_writes::put_sections(term, &sections, STAGED_SEQ, generation, generation_of)?;
        tx.execute_all(statement.as_slice()).await?;
    }
    Ok(())
}

/// Claims the next generation of a term. The row of the claim orders this with [`require_newest`].
async fn claim(tx: &Tx, term: &TermId) -> Result<u64, Failure> {
    let sql = "INSERT INTO term_staging AS s (term, generation)
         VALUES ($1, coalesce((SELECT generation FROM terms WHERE id = $1), 0) + 1)
         ON CONFLICT (term) DO UPDATE SET generation = greatest(s.generation + 1, excluded.generation)
         RETURNING generation";
    number_at(&tx.query_one(sql, &[&term.as_str()]).await?, 0)
}

/// Refuses to stage or apply sections of a generation after a newer import into the term has begun. Keeps a newer
/// import from beginning until the transaction ends.
pub(super) async fn require_newest(tx: &Tx, term: &TermId, generation: u64) -> Result<(), Failure> {
    let sql = "SELECT generation FROM term_staging WHERE term = $1 FOR SHARE";
    let Some(claimed) = tx.query_opt(sql, &[&term.as_str()]).await? else { return Ok(()) };
    if number_at::<u64>(&claimed, 0)? > generation {
        return Err(Failure::Refused(format!("another import into term {term} has begun")));
    }
    Ok(())
}

impl ImportStore for PostgresStore {
    fn generation(&self, term: &TermId) -> StoreFuture<u64> {
        let term = term.clone();
        self.write_if(async move |tx| {
            // Waits for a commit of the term that is in progress.
            let sql = "SELECT generation FROM terms WHERE id = $1 FOR SHARE";
            let row = tx.query_opt(sql, &[&term.as_str()]).await?;
            let generation = row.map_or(Ok(0), |row| number_at(&row, 0))?;
            Ok(super::transaction::Work::Nothing(generation))
        })
    }

    fn claim_generation(&self, term: &TermId) -> StoreFuture<u64> {
        let term = term.clone();
        self.write(async move |tx| claim(tx, &term).await)
    }

    fn stage(&self, generation: u64, sections: Vec<SectionState>) -> StoreFuture<()> {
        self.write(async move |tx| stage(tx, generation, &sections).await)
    }

    fn discard_staged(&self, term: &TermId, upto: u64, from: Option<String>) -> StoreFuture<Option<String>> {
        remove(self, term, upto, from, "s.generation > v.generation")
    }

    fn prune(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>> {
        let replaced = "s.generation < v.generation AND EXISTS (SELECT 1 FROM sections AS n WHERE n.term = s.term
            AND n.crn = s.crn AND n.generation > s.generation AND n.generation <= v.generation)";
        remove(self, term, u64::MAX, from, replaced)
    }

    fn put_task(&self, task: StoredTask) -> StoreFuture<()> {
        let hub = self.inner.hub;
        self.write(async move |tx| {
            let sql = "INSERT INTO import_tasks (id, state, started_at, finished_at, body, hub)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO UPDATE SET state = $2, finished_at = $4, body = $5, hub = $6";
            let started_at = task.started_at.as_millisecond();
            let finished_at = task.finished_at.map(Timestamp::as_millisecond);
            let values: [&dyn Value; 6] = [&task.id, &task.state.as_str(), &started_at, &finished_at, &task.body, &hub];
            tx.execute(sql, &values).await.map(drop)
        })
    }

    fn task(&self, id: &str) -> StoreFuture<Option<StoredTask>> {
        let id = id.to_owned();
        self.read(async move |tx| {
            let sql = format!("SELECT {TASK_COLUMNS} FROM import_tasks WHERE id = $1");
            tx.query_opt(&sql, &[&id]).await?.as_ref().map(task_at).transpose()
        })
    }

    fn interrupted_tasks(&self) -> StoreFuture<Vec<StoredTask>> {
        self.read(async move |tx| {
            let sql = format!(
                "SELECT {TASK_COLUMNS} FROM import_tasks AS t WHERE t.state = 'running'
                 AND NOT EXISTS (SELECT 1 FROM hubs AS h WHERE h.id = t.hub AND NOT {HAS_ENDED})"
            );
            tx.query(&sql, &[]).await?.iter().map(task_at).collect()
        })
    }

    fn delete_old_tasks(&self) -> StoreFuture<Vec<String>> {
        self.write(async move |tx| {
            // Tasks of a demonstration are removed with its sandbox, and do not count here.
            let sql = format!(
                "WITH finished AS (SELECT id, row_number() OVER (ORDER BY started_at DESC, id DESC) AS position
                     FROM import_tasks WHERE state <> 'running'
                         AND NOT starts_with(coalesce({}, ''), $2))
                 DELETE FROM import_tasks AS t USING finished AS f WHERE t.id = f.id AND f.position > $1 RETURNING t.id",
                sandbox::TERM_OF_TASK
            );
            let rows = tx.query(&sql, &[&integer(FINISHED_TASKS_MAX), &crate::domain::ids::SANDBOX_PREFIX]).await?;
            rows.iter().map(|row| text_at(row, 0).map(str::to_owned)).collect()
        })
    }

    fn put_events(&self, events: Vec<Event>, dry_run: bool) -> StoreFuture<EventTally> {
        if dry_run {
            return self.read(async move |tx| events::compare(tx, &events).await);
        }
        self.write(async move |tx| {
            let tally = events::compare(tx, &events).await?;
            events::put(tx, &events).await?;
            Ok(tally)
        })
    }

    fn remove_events(&self, ids: Vec<String>) -> StoreFuture<()> {
        self.write(async move |tx| tx.execute("DELETE FROM events WHERE id = ANY ($1)", &[&ids]).await.map(drop))
    }

    fn events(&self, since: Option<EventCursor>, limit: usize) -> StoreFuture<EventPage> {
        self.read(async move |tx| events::page(tx, since.as_ref(), limit).await)
    }
}
