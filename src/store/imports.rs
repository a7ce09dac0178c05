//! Port for imports: staged sections, import tasks, and one-off events.

use jiff::Timestamp;

use crate::domain::ids::TermId;
use crate::domain::import::{TaskReport, TaskState};
use crate::domain::section::SectionState;

use crate::domain::event::Event;
use crate::store::{StoreError, StoreFuture};

/// Maximum number of sections, or rows to delete, in one write. Writes are small so that registrations are committed
/// between them.
pub const CHUNK_LEN: usize = 200;
/// Maximum number of finished tasks that are stored. Older ones are deleted.
pub const FINISHED_TASKS_MAX: usize = 20;

/// An import task as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTask {
    /// The id.
    pub id: String,
    /// The state.
    pub state: TaskState,
    /// When the task was accepted.
    pub started_at: Timestamp,
    /// When the task ended; `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// The [`TaskReport`] as JSON.
    pub body: String,
}

impl TryFrom<&StoredTask> for TaskReport {
    type Error = StoreError;

    fn try_from(task: &StoredTask) -> Result<Self, StoreError> {
        serde_json::from_str(&task.body).map_err(|error| StoreError::Corrupt(format!("import {}: {error}", task.id)))
    }
}

impl From<&TaskReport> for StoredTask {
    fn from(report: &TaskReport) -> Self {
        Self {
            id: report.task.to_string(),
            state: report.state,
            started_at: report.started_at,
            finished_at: report.finished_at,
            // A report consists of text, numbers and maps with text keys, so serializing it cannot fail.
            body: serde_json::to_string(report).unwrap_or_default(),
        }
    }
}

/// Numbers of events that a write created, changed, or found unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTally {
    /// Events that are new.
    pub created: u64,
    /// Events that changed.
    pub updated: u64,
    /// Events that did not change.
    pub unchanged: u64,
}

/// The position in the list of events after which a page starts. Events are ordered by start, then by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCursor {
    /// The start of the previous event.
    pub starts_at: Timestamp,
    /// The id of the previous event; empty to include all events that start at `starts_at`.
    pub id: String,
}

/// A page of events, ordered by start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub items: Vec<Event>,
    /// Number of all events after the cursor, including those of this page.
    pub total: u64,
}

/// A store of staged sections, import tasks and events.
pub trait ImportStore: Send + Sync {
    /// Returns the term's visible generation; 0 for a term that the store does not have. The read is ordered with the
    /// store's writes: it sees every write that was submitted before it.
    fn generation(&self, term: &TermId) -> StoreFuture<u64>;
    /// Returns the generation under which an import into the term stages its sections. From then on, an older import
    /// into the term, which may run at another hub, can neither stage nor become visible.
    fn claim_generation(&self, term: &TermId) -> StoreFuture<u64>;
    /// Writes at most [`CHUNK_LEN`] sections under a generation that is not visible yet.
    fn stage(&self, generation: u64, sections: Vec<SectionState>) -> StoreFuture<()>;
    /// Deletes at most [`CHUNK_LEN`] rows of the term above its visible generation and up to the generation `upto`,
    /// starting at the CRN `from`, or at the first. Returns the CRN at which the next call starts; `None` when no rows
    /// are left. Sections that were staged and never applied have to be deleted before another import can make them
    /// visible.
    fn discard_staged(&self, term: &TermId, upto: u64, from: Option<String>) -> StoreFuture<Option<String>>;
    /// Deletes rows that newer visible generations have replaced, in chunks as [`Self::discard_staged`] does.
    fn prune(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>>;

    /// Inserts or replaces a task.
    fn put_task(&self, task: StoredTask) -> StoreFuture<()>;
    /// Returns a task.
    fn task(&self, id: &str) -> StoreFuture<Option<StoredTask>>;
    /// Returns the tasks whose stored state is running although their hub has ended. This hub must not have started
    /// imports yet, unless the store knows which tasks are its own.
    fn interrupted_tasks(&self) -> StoreFuture<Vec<StoredTask>>;
    /// Deletes all finished tasks but the newest [`FINISHED_TASKS_MAX`], and returns the ids of the deleted ones. Tasks
    /// of demonstrations neither count nor are deleted.
    fn delete_old_tasks(&self) -> StoreFuture<Vec<String>>;

    /// Inserts or replaces events, all or none. With `dry_run`, only counts what would change.
    fn put_events(&self, events: Vec<Event>, dry_run: bool) -> StoreFuture<EventTally>;
    /// Removes the events with these ids. Unknown ids are ignored.
    fn remove_events(&self, ids: Vec<String>) -> StoreFuture<()>;
    /// Returns at most `limit` events after the cursor `since`.
    fn events(&self, since: Option<EventCursor>, limit: usize) -> StoreFuture<EventPage>;
}
