//! Runs one import: reads, compares, stages and applies the file, or changes nothing.

mod enrollments;
mod shared;
mod students;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::bus::Event;
use crate::domain::command::{Command, StagedImport};
use crate::domain::event::Event as CollegeEvent;
use crate::domain::ids::TermId;
use crate::domain::import::{Finding, Phase, TaskState};
use crate::domain::outcome::{ImportTally, Outcome};
use crate::domain::section::SectionState;
use crate::imports::finding_parts::EndReason;
use crate::imports::schedule::{Schedule, ScheduleError, ScheduleOptions, ScheduleProgress, Severity};
use crate::registration::readmodel::Snapshot;
use crate::registration::registrar::SubmitError;
use crate::store::imports::{EventTally, StoredTask};
use crate::store::{StoreError, StoreFuture};

use crate::imports::affected::affected;
use crate::imports::compare::Comparison;
use crate::imports::task::LIST_LEN_MAX;
use crate::imports::{FileKind, Inner, Job};
use crate::imports::{findings, scope};

/// The minimum time between two progress events. Five per second look smooth.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
/// The maximum number of attempts at a busy store or registrar: ten seconds with [`RETRY_PAUSE`].
const ATTEMPTS_MAX: usize = 40;
/// The pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The maximum pause after a chunk. The pause is as long as the write took, up to this maximum, so that other writes
/// come between the chunks.
const CHUNK_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Why an import ends without having been applied completely, as far as the hub can tell.
enum Stop {
    /// It was cancelled.
    Cancelled,
    /// The hub is stopping.
    Stopping,
    /// The file has errors, which the task lists.
    Rejected,
    /// It failed for another reason.
    Failed {
        /// The reason that the user reads.
        reason: EndReason,
        /// The cause that is logged.
        cause: String,
    },
    /// The hub is stopping, and it is not known whether the import was applied.
    Unknown,
}

impl From<ScheduleError> for Stop {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Cancelled => Self::Cancelled,
            ScheduleError::Scratch(cause) => Self::Failed { reason: EndReason::TemporaryFiles, cause },
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed { reason: EndReason::NotStored, cause: error.to_string() }
    }
}

/// Runs one import to its end.
pub(super) fn run(inner: &Inner, runtime: &Runtime, job: &Job) {
    let mut run = Run { inner, runtime, job, published: None, stored: None, applied: None };
    let outcome =
        catch_unwind(AssertUnwindSafe(|| run.execute())).unwrap_or_else(|_| Err(internal_error("an import panicked")));
    let replaced = outcome.is_ok().then(|| run.applied.take()).flatten();
    run.finish(outcome);
    // Runs after the result is published because it takes a while and no caller depends on it.
    if let Some(term) = replaced {
        run.prune(&term);
    }
}

/// The state of a running import.
struct Run<'r> {
    inner: &'r Inner,
    runtime: &'r Runtime,
    job: &'r Job,
    /// When the last progress event was published.
    published: Option<Instant>,
    /// When the progress was last stored for other hubs.
    stored: Option<Instant>,
    /// The term to which the import was applied.
    applied: Option<TermId>,
}

impl Run<'_> {
    fn execute(&mut self) -> Result<(), Stop> {
        self.check()?;
        if self.job.options.kind == FileKind::Students {
            return self.import_students();
        }
        self.enter(Phase::Reading);
        let schedule = self.read()?;
        let errors_file = self.inner.errors_path(self.job.live.report().task.as_str());
        let found = findings::collect(&*schedule, &errors_file)?;
        found.put_into(&mut self.job.live.report());
        let errors = schedule.findings_total(Severity::Error);
        let rejected = schedule.is_rejected() || (errors > 0 && !self.job.options.partial);
        // A dry run also shows what the valid rows would change.
        if schedule.is_rejected() || (rejected && !self.job.options.dry_run) {
            return Err(Stop::Rejected);
        }
        self.check_subjects(&*schedule)?;
        self.enter(Phase::Comparing);
        if schedule.contains_events() {
            self.import_events(&*schedule, rejected)?;
        } else if let Some(term) = schedule.term().cloned() {
            self.import_sections(&*schedule, &term, rejected)?;
        }
        if rejected { Err(Stop::Rejected) } else { Ok(()) }
    }

    /// Rejects the file if its rows, or the sections that they replace, are of subjects other than the caller's.
    fn check_subjects(&self, schedule: &dyn Schedule) -> Result<(), Stop> {
        let Some(limit) = &self.job.options.subjects else { return Ok(()) };
        let (deps, realm) = (&self.inner.deps, &self.job.options.realm);
        let term = schedule.term().and_then(|term| deps.model.term_in(realm, term));
        let refused = scope::refused(schedule, term.map(|term| term.snapshot()).as_deref(), limit)?;
        self.check()?;
        if refused.is_empty() { Ok(()) } else { Err(self.reject(refused)) }
    }

    /// Adds errors to the report, before those of the file, and returns that the file is rejected.
    fn reject(&self, refused: Vec<Finding>) -> Stop {
        let errors_file = self.inner.errors_path(self.job.live.report().task.as_str());
        let reported = scope::report(refused, &mut self.job.live.report(), &errors_file);
        reported.map_or_else(Stop::from, |()| Stop::Rejected)
    }

    /// Fails if the import was cancelled or the hub is stopping.
    fn check(&self) -> Result<(), Stop> {
        if self.inner.stopping.load(Ordering::Acquire) {
            return Err(Stop::Stopping);
        }
        if self.job.live.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    }

    fn enter(&mut self, phase: Phase) {
        self.job.live.report().phase = phase;
        self.publish(true);
    }

    /// Publishes the progress: always if `force`, otherwise at most once per [`PROGRESS_PAUSE`].
    fn publish(&mut self, force: bool) {
        if force || self.published.is_none_or(|at| at.elapsed() >= PROGRESS_PAUSE) {
            self.published = Some(Instant::now());
            let progress = self.job.live.report().progress();
            self.store_progress(&progress, force);
            self.inner.deps.bus.publish(Event::ImportProgress(Arc::new(progress)));
        }
    }

    fn reading_options(&self) -> ScheduleOptions {
        let options = &self.job.options;
        ScheduleOptions {
            term: options.term.clone(),
            map: options.map.clone(),
            sheet: options.sheet.clone(),
            header_line: options.header_line,
            clock: options.clock,
            profiles: self.job.profiles.clone(),
            zone: self.inner.deps.zone.clone(),
        }
    }

    fn read(&mut self) -> Result<Box<dyn Schedule>, Stop> {
        let reading = self.reading_options();
        let (file, folder) = (self.job.upload.path(), self.job.upload.folder.path());
        let reader = self.inner.deps.reader.clone();
        let read = reader.read(&file, folder, &reading, &mut |progress: ScheduleProgress| {
            {
                let mut report = self.job.live.report();
                (report.rows, report.bytes, report.refused) = (progress.rows, progress.bytes, progress.rejected);
            }
            self.publish(false);
            self.check().is_ok()
        });
        self.check()?;
        Ok(read?)
    }

    /// Imports events with one write. The reader limits their number.
    fn import_events(&mut self, schedule: &dyn Schedule, rejected: bool) -> Result<(), Stop> {
        let mut events = Vec::new();
        schedule.each_event(&mut |event| {
            events.push(event);
            Ok(())
        })?;
        let dry_run = self.job.options.dry_run || rejected;
        self.check()?;
        if !dry_run {
            self.commit(0)?;
        }
        let tally = self.put_events(&events, dry_run)?;
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
        Ok(())
    }

    /// Stores events. After a failed commit it is not known whether they are on the disk. They are then stored again,
    /// which changes nothing if they are.
    fn put_events(&self, events: &[CollegeEvent], dry_run: bool) -> Result<EventTally, Stop> {
        let store = self.inner.deps.store.clone();
        let put = || self.retry(|| store.put_events(events.to_vec(), dry_run));
        match put() {
            Err(StoreError::CommitFailed(cause)) => {
                put().map_err(|_| Stop::Failed { reason: EndReason::EventsUnknown, cause })
            }
            other => Ok(other?),
        }
    }

    /// Imports sections: compares them to the published term, stages them in chunks, and applies them by one command.
    fn import_sections(&mut self, schedule: &dyn Schedule, term: &TermId, rejected: bool) -> Result<(), Stop> {
        let dry_run = self.job.options.dry_run || rejected;
        let realm = &self.job.options.realm;
        if !realm.contains(term) {
            let reason = EndReason::ReservedTerm;
            return Err(Stop::Failed { reason, cause: "the file names a sandbox".to_owned() });
        }
        let snapshot = self.inner.deps.model.term_in(realm, term).map(|t| t.snapshot());
        let generation = if dry_run { 0 } else { self.begin(term)? };
        let mut comparison =
            Comparison::new(snapshot.as_deref(), self.inner.deps.clock.now(), generation, &self.job.options, !dry_run);
        // `each_section` can only fail with an error of the reader, so the reason is kept here.
        let mut stopped = None;
        let compared = schedule.each_section(&mut |section| {
            let chunk = comparison.add(&mut self.job.live.report(), section, schedule)?;
            let staged = chunk.map_or(Ok(()), |chunk| self.stage(generation, &chunk));
            self.publish(false);
            staged.and_then(|()| self.check()).map_err(|stop| {
                stopped = Some(stop);
                ScheduleError::Cancelled
            })
        });
        if let Some(stop) = stopped {
            self.discard(term, generation);
            return Err(stop);
        }
        compared?;
        self.report_missing(schedule, &comparison, snapshot.as_deref())?;
        let Some(chunk) = comparison.finish() else { return Ok(()) };
        let changed = std::mem::take(&mut comparison.changed);
        let applied = self.stage(generation, &chunk).and_then(|()| self.apply(term, comparison.staged));
        if applied.is_ok()
            && let Some(model) = self.inner.deps.model.term_in(realm, term)
        {
            self.job.live.report().affected = Some(affected(&model, &changed));
        }
        match &applied {
            Ok(()) => self.applied = Some(term.clone()),
            // The sections may be visible, so they must not be discarded.
            Err(Stop::Unknown) => {}
            Err(_) => self.discard(term, generation),
        }
        applied
    }

    /// Claims the generation to stage under, and discards sections that an interrupted import may have staged.
    fn begin(&self, term: &TermId) -> Result<u64, Stop> {
        let store = self.inner.deps.store.clone();
        // First, so that no older import stages sections after they were discarded.
        let generation = self.retry(|| store.claim_generation(term))?;
        let mut from = None;
        loop {
            self.check()?;
            from = self.retry(|| store.discard_staged(term, generation, from.clone()))?;
            if from.is_none() {
                return Ok(generation);
            }
        }
    }

    fn stage(&self, generation: u64, chunk: &[SectionState]) -> Result<(), Stop> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.check()?;
        let started = Instant::now();
        let store = self.inner.deps.store.clone();
        self.retry(|| store.stage(generation, chunk.to_vec()))?;
        std::thread::sleep(started.elapsed().min(CHUNK_PAUSE_MAX));
        Ok(())
    }

    /// Reports the sections of the term that the file does not contain.
    fn report_missing(
        &mut self,
        schedule: &dyn Schedule,
        comparison: &Comparison<'_>,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), Stop> {
        let (mut missing, mut total) = (Vec::new(), 0);
        for row in snapshot.into_iter().flat_map(Snapshot::rows_in_order) {
            let id = &row.state.section.id;
            if !schedule.contains_crn(&id.crn)? && !comparison.is_matched(&id.crn) {
                total += 1;
                if missing.len() < LIST_LEN_MAX {
                    missing.push(id.clone());
                }
            }
        }
        let mut report = self.job.live.report();
        (report.missing, report.missing_total) = (missing, total);
        Ok(())
    }

    /// Makes the staged sections visible. From here on, the import cannot be cancelled.
    fn apply(&mut self, term: &TermId, staged: StagedImport) -> Result<(), Stop> {
        let generation = staged.generation;
        self.check()?;
        self.commit(generation)?;
        self.enter(Phase::Applying);
        let store = self.inner.deps.store.clone();
        let staged = Arc::new(staged);
        let pool = &self.inner.deps.pool;
        for _ in 0..ATTEMPTS_MAX {
            let command = Command::ApplyImport(staged.clone());
            match self.runtime.block_on(pool.submit_or_create(term.clone(), command)) {
                Ok(Outcome::Imported(tally)) => {
                    self.report_tally(tally);
                    return Ok(());
                }
                Ok(Outcome::ImportOutOfScope(refused)) => return Err(self.reject(vec![scope::finding_of(&refused)])),
                Ok(_) | Err(SubmitError::Failed) => {
                    return Err(internal_error("the registrar refused an import"));
                }
                Err(SubmitError::Overloaded) if self.inner.stopping.load(Ordering::Acquire) => {
                    return Err(Stop::Stopping);
                }
                Err(SubmitError::Overloaded) => std::thread::sleep(RETRY_PAUSE),
                Err(SubmitError::OutcomeUnknown) => {
                    // The store reads the visible generation after the earlier commits. Until it responds, the result
                    // is not known.
                    let visible = loop {
                        match self.retry(|| store.generation(term)) {
                            Ok(visible) => break visible,
                            Err(_) if self.inner.stopping.load(Ordering::Acquire) => return Err(Stop::Unknown),
                            Err(_) => {}
                        }
                    };
                    if visible == generation {
                        return Ok(());
                    }
                }
            }
        }
        Err(Stop::Failed { reason: EndReason::HubBusy, cause: "the registrar was overloaded".to_owned() })
    }

    /// Records that the import may become visible, after which it cannot be cancelled.
    fn commit(&self, generation: u64) -> Result<(), Stop> {
        if !self.job.live.commit() {
            return Err(Stop::Cancelled);
        }
        self.job.live.report().applying = Some(generation);
        let task = StoredTask::from(&*self.job.live.report());
        let store = self.inner.deps.store.clone();
        Ok(self.retry(|| store.put_task(task.clone()))?)
    }

    /// Reports the registrar's counts: sections may have changed since the comparison.
    fn report_tally(&self, tally: ImportTally) {
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
    }

    /// Discards the sections staged under `generation`. If that fails, or the hub is stopping, the next import into the
    /// term discards them.
    fn discard(&self, term: &TermId, generation: u64) {
        let store = self.inner.deps.store.clone();
        let mut from = None;
        loop {
            match self.retry(|| store.discard_staged(term, generation, from.clone())) {
                Ok(None) => return,
                Ok(Some(_)) if self.inner.stopping.load(Ordering::Acquire) => return,
                Ok(next) => from = next,
                Err(_) => {
                    log::warn!("staged sections of term {term} could not be discarded; its next import discards them");
                    return;
                }
            }
        }
    }

    /// Deletes the sections that the applied import replaced. Replaced sections that remain are never read.
    fn prune(&self, term: &TermId) {
        let store = self.inner.deps.store.clone();
        let mut from = None;
        while let Ok(Some(next)) = self.retry(|| store.prune(term, from.clone())) {
            from = Some(next);
            if self.inner.stopping.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits for a store operation, and retries it while the store is busy or unavailable, with at most
    /// [`ATTEMPTS_MAX`] attempts.
    fn retry<T>(&self, operation: impl Fn() -> StoreFuture<T>) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.runtime.block_on(operation()) {
                Err(error @ (StoreError::Overloaded | StoreError::Unavailable(_))) => {
                    // A stopping hub does not wait for imports.
                    if self.inner.stopping.load(Ordering::Acquire) {
                        return Err(error);
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
                other => return other,
            }
        }
        Err(StoreError::Overloaded)
    }

    /// Stores and publishes the result.
    fn finish(&mut self, outcome: Result<(), Stop>) {
        // A late cancellation was already confirmed to its caller, so it takes precedence unless the import was
        // applied.
        let outcome = match outcome {
            Ok(()) if !self.job.live.commit() && self.job.live.is_cancelled() => Err(Stop::Cancelled),
            other => other,
        };
        // First, so that every hub has the lists of an import that has ended.
        self.store_errors();
        let stored = {
            let mut report = self.job.live.report();
            report.phase = Phase::Finished;
            report.finished_at = Some(self.inner.deps.clock.now());
            report.applying = None;
            report.state = match outcome {
                Ok(()) => TaskState::Done,
                Err(Stop::Cancelled) => TaskState::Cancelled,
                Err(Stop::Rejected) => TaskState::Failed,
                Err(Stop::Stopping) => {
                    EndReason::HubStopped.put_into(&mut report);
                    TaskState::Failed
                }
                Err(Stop::Failed { reason, cause }) => {
                    log::error!("import {} failed: {cause}", report.task);
                    reason.put_into(&mut report);
                    TaskState::Failed
                }
                // The stored task is left as it is: the next start, or another hub, determines the result.
                Err(Stop::Unknown) => return,
            };
            StoredTask::from(&*report)
        };
        let (task, state) = (stored.id.clone(), stored.state.as_str());
        log::info!("import {task} ended: {state}");
        let counter = match stored.state {
            TaskState::Running => None,
            TaskState::Done => Some(0),
            TaskState::Failed => Some(1),
            TaskState::Cancelled => Some(2),
        };
        if let Some(index) = counter {
            self.inner.finished[index].fetch_add(1, Ordering::Relaxed);
        }
        let store = self.inner.deps.store.clone();
        if self.retry(|| store.put_task(stored.clone())).is_err() {
            log::error!("the result of import {task} could not be stored yet");
            self.inner.unstored.keep(self.job.live.report().clone());
        }
        // Attempted only once, because the next import deletes old tasks, too.
        if let Ok(deleted) = self.runtime.block_on(store.delete_old_tasks()) {
            for old in deleted {
                findings::remove(&self.inner.errors_path(&old));
            }
        }
        self.publish(true);
    }
}

fn internal_error(cause: &str) -> Stop {
    Stop::Failed { reason: EndReason::HubError, cause: cause.to_owned() }
}
