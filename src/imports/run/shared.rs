//! Stores what the other hubs on the same store show of a running import.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::domain::import::{TaskReport, TaskState};
use crate::domain::language::Language;
use crate::store::shared_tasks::ERRORS_LEN_MAX;

use crate::imports::run::Run;

/// The minimum time between two writes of the progress. Each is a commit.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Stores the progress: always if `force`, otherwise at most once per [`PROGRESS_PAUSE`]. After [`Run::commit`], the
    /// stored task states what is being applied, and must not be overwritten.
    pub(super) fn store_progress(&mut self, progress: &TaskReport, force: bool) {
        let Some(shared) = self.inner.shared.get() else { return };
        let is_early = !force && self.stored.is_some_and(|at| at.elapsed() < PROGRESS_PAUSE);
        if is_early || progress.state != TaskState::Running || self.job.live.report().applying.is_some() {
            return;
        }
        self.stored = Some(Instant::now());
        if let Err(error) = self.runtime.block_on(shared.put_running_task(progress.into())) {
            log::debug!("the progress of import {} could not be stored: {error}", progress.task);
        }
    }

    /// Stores the lists of errors. If that fails, the other hubs respond that they do not have the lists.
    pub(super) fn store_errors(&self) {
        let Some(shared) = self.inner.shared.get() else { return };
        let (task, errors) = {
            let report = self.job.live.report();
            (report.task.clone(), report.errors_total)
        };
        if errors == 0 {
            return;
        }
        for language in Language::ALL {
            let Some(list) = self.errors_to_store(task.as_str(), language) else { continue };
            if let Err(error) = self.retry(|| shared.put_errors(task.as_str(), language, list.clone())) {
                log::warn!("the list of errors of import {task} could not be stored: {error}");
            }
        }
    }

    /// Reads a list of errors; `None` if it is too long to be stored or cannot be read.
    fn errors_to_store(&self, task: &str, language: Language) -> Option<Vec<u8>> {
        let path = self.inner.errors_file(task, language)?;
        let mut list = Vec::new();
        let read = File::open(path).and_then(|file| file.take(ERRORS_LEN_MAX as u64 + 1).read_to_end(&mut list));
        match read {
            Ok(length) if length <= ERRORS_LEN_MAX => Some(list),
            Ok(_) => {
                log::info!("the list of errors of import {task} is too long for the other hubs");
                None
            }
            Err(error) => {
                log::warn!("the list of errors of import {task} cannot be read: {error}");
                None
            }
        }
    }
}
