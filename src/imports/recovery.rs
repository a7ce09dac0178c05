//! Ends the imports that were interrupted when an earlier process stopped.

use crate::domain::ids::TaskId;
use crate::domain::import::{Phase, TaskReport, TaskState};
use crate::store::StoreError;
use crate::store::imports::StoredTask;

use crate::imports::finding_parts::EndReason;
use crate::imports::{ImportDeps, Imports};

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
        let reason = match report.applying {
            _ if applied => EndReason::AppliedThenInterrupted,
            Some(0) if report.students.is_some() => EndReason::FactsUncertain,
            Some(0) => EndReason::EventsUncertain,
            Some(_) | None => EndReason::Interrupted,
        };
        report.state = if applied { TaskState::Done } else { TaskState::Failed };
        reason.put_into(&mut report);
        (report.phase, report.finished_at, report.applying) = (Phase::Finished, Some(deps.clock.now()), None);
        deps.store.put_task(StoredTask::from(&report)).await?;
    }
    Ok(())
}
