//! Imports of one hub at the other hubs on the same store: their progress, their cancellation and their lists of errors.
//! With the embedded store there are no other hubs, and the lists of errors are files of the hub.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::import::{TaskReport, TaskState};
use crate::domain::language::Language;
use crate::imports::Imports;
use crate::imports::findings::{COLUMNS, SPANISH_COLUMNS};
use crate::store::StoreError;
use crate::store::imports::StoredTask;
use crate::store::shared_tasks::SharedTasks;

/// Time between two reads while this hub waits until another one has cancelled an import.
const CANCELLATION_PAUSE: Duration = Duration::from_millis(100);
/// The maximum number of reads while this hub waits until another one has cancelled an import. The other hub looks for
/// cancellations every second.
const CANCELLATION_READS_MAX: usize = 30;

/// Where the list of all errors of an import is.
#[derive(Debug, PartialEq, Eq)]
pub enum ErrorList {
    /// In a file of this hub.
    File(PathBuf),
    /// In the store, because another hub read the file.
    Stored(Vec<u8>),
    /// No error was found.
    Empty,
    /// Not at this hub: another hub is still reading the file, or the list is longer than
    /// [`ERRORS_LEN_MAX`](crate::store::shared_tasks::ERRORS_LEN_MAX).
    Elsewhere,
}

impl ErrorList {
    /// Returns the first line of a list, with the names of its columns.
    #[must_use]
    pub fn header(language: Language) -> String {
        format!("{}\n", language.pick(COLUMNS, SPANISH_COLUMNS).join(","))
    }
}

impl Imports {
    /// Sets the store through which other hubs see the imports. Only the first call has an effect.
    pub fn share(&self, store: Arc<dyn SharedTasks>) {
        let _ = self.inner.shared.set(store);
    }

    /// Cancels the imports of this hub whose cancellation was requested at another hub.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follow_cancellations(&self) -> Result<(), StoreError> {
        let Some(shared) = self.inner.shared.get() else { return Ok(()) };
        if self.is_idle() {
            return Ok(());
        }
        for id in shared.requested_cancellations().await? {
            let live = self.inner.live().get(id.as_str()).cloned();
            if let Some(live) = live.filter(|live| live.cancel(self.inner.deps.clock.now())) {
                // A queued import ends only when its turn comes.
                let cancelled = StoredTask::from(&*live.report());
                shared.put_running_task(cancelled).await?;
            }
        }
        Ok(())
    }

    /// Requests the cancellation of an import of another hub, and waits until that hub has cancelled it, at most 3
    /// seconds.
    pub(super) async fn cancel_elsewhere(&self, id: &str) -> Result<(), StoreError> {
        let Some(shared) = self.inner.shared.get() else { return Ok(()) };
        shared.request_cancellation(id).await?;
        for _ in 0..CANCELLATION_READS_MAX {
            let is_cancellable = |task: TaskReport| task.state == TaskState::Running && task.applying.is_none();
            if !self.task(id).await?.is_some_and(is_cancellable) {
                break;
            }
            tokio::time::sleep(CANCELLATION_PAUSE).await;
        }
        Ok(())
    }

    /// Returns the list of all errors of an import.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn error_list(&self, task: &TaskReport, language: Language) -> Result<ErrorList, StoreError> {
        let id = task.task.as_str();
        if let Some(file) = self.inner.errors_file(id, language) {
            return Ok(ErrorList::File(file));
        }
        let stored = match self.inner.shared.get() {
            Some(shared) => shared.errors(id, language).await?,
            None => None,
        };
        Ok(match stored {
            Some(list) => ErrorList::Stored(list),
            None if task.errors_total == 0 => ErrorList::Empty,
            None => ErrorList::Elsewhere,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_has_the_columns_of_its_language() {
        assert_eq!(ErrorList::header(Language::English), "line,column,value,message\n");
        assert_eq!(ErrorList::header(Language::Spanish), "línea,columna,valor,problema\n");
    }
}
