//! Ends the imports that were interrupted when an earlier process stopped.

use crate::domain::ids::TaskId;
use crate::domain::import::{Phase, TaskReport, TaskState};
use crate::store::StoreError;
use crate::store::imports::StoredTask;

use crate::imports::{ImportDeps, Imports};

/// Message of a task that was interrupted before it was applied.
const INTERRUPTED: &str = "The hub stopped during the import. Nothing was changed.";
/// Message of a task that was interrupted after it was applied.
const APPLIED_THEN_INTERRUPTED: &str =
    "The import was applied completely. The hub stopped before it could report the result.";
/// Message of a task that was interrupted while events were stored.
const EVENTS_UNCERTAIN: &str =
    "The hub stopped while it stored the events. Either all or none were imported. You can import the file again.";
/// Message of a task that was interrupted while facts about students were stored.
const STUDENTS_UNCERTAIN: &str =
    "The hub stopped while it stored the facts about students, so they may be stored. Import the file again.";

impl Imports {
    /// Ends the tasks of hubs that have ended. A store that several hubs share has to be examined regularly, because a hub
    /// that fails may not come back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_interrupted(&self) -> Result<(), StoreError> {
        end_interrupted(&self.inner.deps).await
    }
}

/// Ends the tasks that an earlier process left running. They failed, unless the term's generation shows that they were
/// applied.
pub(super) async fn end_interrupted(deps: &ImportDeps) -> Result<(), StoreError> {
    for stored in deps.store.interrupted_tasks().await? {
        let mut report = TaskReport::try_from(&stored).or_else(|error| {
            log::error!("{error}; the import is reported as failed");
            let id = TaskId::parse(&stored.id).map_err(|_| error)?;
            Ok::<_, StoreError>(TaskReport::new(id, None, 0, String::new(), stored.started_at))
        })?;
        let applied = match (&report.term, report.applying) {
            (Some(term), Some(generation @ 1..)) => deps.store.generation(term).await? >= generation,
            (_, _) => false,
        };
        let message = match report.applying {
            _ if applied => APPLIED_THEN_INTERRUPTED,
            Some(0) if report.students.is_some() => STUDENTS_UNCERTAIN,
            Some(0) => EVENTS_UNCERTAIN,
            Some(_) | None => INTERRUPTED,
        };
        report.state = if applied { TaskState::Done } else { TaskState::Failed };
        report.message = Some(message.to_owned());
        (report.phase, report.finished_at, report.applying) = (Phase::Finished, Some(deps.clock.now()), None);
        deps.store.put_task(StoredTask::from(&report)).await?;
    }
    Ok(())
}
