//! What imports keep: staged sections, the tasks themselves, and one-off events.

use jiff::Timestamp;

use crate::domain::ids::TermId;
use crate::domain::import::{TaskReport, TaskState};
use crate::domain::section::SectionState;

use crate::domain::event::Event;
use crate::store::{StoreError, StoreFuture};

/// Sections (or stale rows) in one small write: registrations pass between two of them.
pub const CHUNK_LEN: usize = 200;
/// Finished tasks that are kept, the newest.
pub const TASKS_KEPT: usize = 20;

/// A task as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTask {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub state: TaskState,
    /// When it was taken.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The task as it is answered: JSON.
    pub body: String,
}

impl TryFrom<&KeptTask> for TaskReport {
    type Error = StoreError;

    fn try_from(kept: &KeptTask) -> Result<Self, StoreError> {
        serde_json::from_str(&kept.body).map_err(|error| StoreError::Corrupt(format!("import {}: {error}", kept.id)))
    }
}

impl From<&TaskReport> for KeptTask {
    fn from(report: &TaskReport) -> Self {
        Self {
            id: report.task.to_string(),
            state: report.state,
            started_at: report.started_at,
            finished_at: report.finished_at,
            // A report consists of text, numbers and maps with text keys: it serializes without fail.
            body: serde_json::to_string(report).unwrap_or_default(),
        }
    }
}

/// What became of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTally {
    /// Events that are new.
    pub created: u64,
    /// Events that differ now.
    pub updated: u64,
    /// Events that were so already.
    pub unchanged: u64,
}

/// Where a list of events goes on: after this start and, of several at one time, this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCursor {
    /// The start.
    pub starts_at: Timestamp,
    /// The id; empty for "from this time on".
    pub id: String,
}

/// A page of events in order of start, and how many there are from its beginning on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub items: Vec<Event>,
    /// Events from the cursor on, these included.
    pub total: u64,
}

/// Keeps what imports bring, until it becomes visible, and what is told of them.
pub trait ImportStore: Send + Sync {
    /// The term's visible generation; 0 for a term that the store does not have. Told by the writer, in order with its
    /// commits.
    fn generation(&self, term: &TermId) -> StoreFuture<u64>;
    /// Writes at most [`CHUNK_LEN`] sections under a generation that is not visible yet.
    fn stage(&self, generation: u64, sections: Vec<SectionState>) -> StoreFuture<()>;
    /// Takes back at most [`CHUNK_LEN`] rows of the term above its visible generation, from the CRN `from` on (none: from
    /// the first); answers the CRN to go on from, none at the end. Whatever was staged and never applied
    /// goes this way, before another import could make it visible.
    fn discard_staged(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>>;
    /// Removes rows that newer generations have replaced, in the same way.
    fn prune(&self, term: &TermId, from: Option<String>) -> StoreFuture<Option<String>>;

    /// Puts a task, new or not.
    fn put_task(&self, task: KeptTask) -> StoreFuture<()>;
    /// A task.
    fn task(&self, id: &str) -> StoreFuture<Option<KeptTask>>;
    /// Tasks that were running when they were last written: after a start, those that the hub's end interrupted.
    fn running_tasks(&self) -> StoreFuture<Vec<KeptTask>>;
    /// Forgets all but the newest [`TASKS_KEPT`] finished tasks, and names those it forgot.
    fn forget_old_tasks(&self) -> StoreFuture<Vec<String>>;

    /// Puts events, all or none. With `dry`, only counts.
    fn put_events(&self, events: Vec<Event>, dry: bool) -> StoreFuture<EventTally>;
    /// Removes the events of these ids; one that is not there is passed over.
    fn remove_events(&self, ids: Vec<String>) -> StoreFuture<()>;
    /// Events in order of start.
    fn events(&self, since: Option<EventCursor>, limit: usize) -> StoreFuture<EventPage>;
}
