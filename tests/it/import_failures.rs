//! Imports whose results or events the store does not accept at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eduhub::domain::event::Event;
use eduhub::domain::ids::TermId;
use eduhub::domain::import::TaskState;
use eduhub::domain::section::SectionState;
use eduhub::store::imports::{EventCursor, EventPage, EventTally, ImportStore, StoredTask};
use eduhub::store::sqlite::SqliteStore;
use eduhub::store::{StoreError, StoreFuture};
use futures_util::FutureExt;

use crate::imports_hub::{Hub, TWO, options_for};

const EVENTS: &str = "program,date,time,instructor,room,duration,description\nYoga,2030-03-01,9:00,,,60,\n";

/// How many of the next commits of results, and of events, fail.
#[derive(Default)]
struct Failures {
    results: AtomicUsize,
    events: AtomicUsize,
    /// Whether events are on the disk although their commit failed.
    events_are_stored: bool,
}

/// A store whose commits fail as its [`Failures`] state.
struct FailingStore {
    store: SqliteStore,
    failures: Arc<Failures>,
}

fn fails(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failed<T: Send + 'static>(first: StoreFuture<T>) -> StoreFuture<T> {
    async move {
        first.await?;
        Err(StoreError::CommitFailed("disk I/O error".to_owned()))
    }
    .boxed()
}

impl ImportStore for FailingStore {
    fn generation(&self, term: &TermId) -> StoreFuture<u64> {
        self.store.generation(term)
    }
    fn claim_generation(&self, term: &TermId) -> StoreFuture<u64> {
        self.store.claim_generation(term)
    }
    fn stage(&self, generation: u64, sections: Vec<SectionState>) -> StoreFuture<()> {
        self.store.stage(generation, sections)
    }
    fn discard_staged(&self, term: &TermId, upto: u64, from: Option<String>) -> StoreFuture<Option<String>> {
        self.store.discard_staged(term, upto, from)
    }
    fn prune(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>> {
        self.store.prune(term, from)
    }
    fn put_task(&self, task: StoredTask) -> StoreFuture<()> {
        let is_result = task.state != TaskState::Running;
        if is_result && fails(&self.failures.results) {
            return failed(async { Ok(()) }.boxed());
        }
        self.store.put_task(task)
    }
    fn task(&self, id: &str) -> StoreFuture<Option<StoredTask>> {
        self.store.task(id)
    }
    fn interrupted_tasks(&self) -> StoreFuture<Vec<StoredTask>> {
        self.store.interrupted_tasks()
    }
    fn delete_old_tasks(&self) -> StoreFuture<Vec<String>> {
        self.store.delete_old_tasks()
    }
    fn put_events(&self, events: Vec<Event>, dry_run: bool) -> StoreFuture<EventTally> {
        if !fails(&self.failures.events) {
            return self.store.put_events(events, dry_run);
        }
        let is_dry = dry_run || !self.failures.events_are_stored;
        failed(self.store.put_events(events, is_dry))
    }
    fn remove_events(&self, ids: Vec<String>) -> StoreFuture<()> {
        self.store.remove_events(ids)
    }
    fn events(&self, since: Option<EventCursor>, limit: usize) -> StoreFuture<EventPage> {
        self.store.events(since, limit)
    }
}

async fn hub(folder: &tempfile::TempDir, failures: &Arc<Failures>) -> Hub {
    let failures = failures.clone();
    Hub::start_on(folder.path(), |store| Arc::new(FailingStore { store, failures })).await
}

#[actix_web::test]
async fn a_result_that_is_not_stored_is_reported_and_stored_later() {
    let (folder, failures) = (tempfile::tempdir().unwrap(), Arc::new(Failures::default()));
    let hub = hub(&folder, &failures).await;
    failures.results.store(2, Ordering::SeqCst);
    let id = hub.import(TWO, options_for("T1")).await["task"].as_str().unwrap().to_owned();
    let wait = async {
        while !hub.imports.is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(hub.task(&id).await["state"], "done", "the task is done, whether or not its result is stored yet");
        while hub.store.task(&id).await.unwrap().unwrap().state != TaskState::Done {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the result is stored");
    assert_eq!(failures.results.load(Ordering::SeqCst), 0);
    assert_eq!(hub.task(&id).await["state"], "done");
}

#[actix_web::test]
async fn events_whose_commit_fails_are_stored_again() {
    // Failures, whether the events of the failed commits are on the disk, and the expected result.
    let table =
        [(0, false, "done", 1, 0), (1, false, "done", 1, 0), (1, true, "done", 0, 1), (2, true, "failed", 0, 0)];
    for (events, events_are_stored, state, created, unchanged) in table {
        let failures = Arc::new(Failures { events: events.into(), events_are_stored, ..Failures::default() });
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(&folder, &failures).await;
        let task = hub.import(EVENTS, eduhub::imports::ImportOptions::default()).await;
        let found = (task["state"].as_str().unwrap(), &task["created"], &task["unchanged"]);
        assert_eq!(found, (state, &created.into(), &unchanged.into()), "{events} {events_are_stored}: {task}");
        if state == "failed" {
            let message = task["message"].as_str().unwrap();
            assert!(message.contains("Either all or none") && !message.contains("Nothing"), "{message}");
        }
    }
}
