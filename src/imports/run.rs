//! One import: read, compare, stage and apply, or leave everything as it was.

use std::fs::File;
use std::io::BufWriter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::bus::Event;
use crate::domain::command::{Command, StagedImport};
use crate::domain::ids::TermId;
use crate::domain::import::{Phase, TaskState};
use crate::domain::outcome::{ImportTally, Outcome};
use crate::domain::section::SectionState;
use crate::imports::schedule::{Schedule, ScheduleError, ScheduleOptions, ScheduleProgress, Severity};
use crate::registration::readmodel::Snapshot;
use crate::registration::registrar::SubmitError;
use crate::store::imports::KeptTask;
use crate::store::{StoreError, StoreFuture};
use crate::text::csv_text::safe_cell;

use crate::imports::compare::Comparing;
use crate::imports::task::LIST_LEN_MAX;
use crate::imports::{Inner, Job};

/// The shortest time between two events of progress: five a second look smooth.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
/// How often a busy store or registrar is tried again, and the pause before each try: ten seconds in all.
const TRIES_MAX: usize = 40;
const TRY_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause after a chunk. The pause is as long as the chunk took, so that the writer serves others as long.
const CHUNK_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Why an import ends without being applied.
enum Stop {
    /// It was cancelled.
    Cancelled,
    /// The hub is stopping.
    Stopping,
    /// The file has errors, which the task lists.
    Refused,
    /// The hub failed.
    Failed {
        /// For the reader of the task.
        message: &'static str,
        /// For the log.
        cause: String,
    },
    /// The hub is stopping, and whether the import was applied is not known.
    Unknown,
}

impl From<ScheduleError> for Stop {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Cancelled => Self::Cancelled,
            ScheduleError::Scratch(cause) => {
                Self::Failed { message: "The hub's temporary files failed. Nothing was changed.", cause }
            }
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed { message: "The hub's store did not take it. Nothing was changed.", cause: error.to_string() }
    }
}

/// Runs one import to its end.
pub(super) fn run(inner: &Inner, runtime: &Runtime, job: &Job) {
    let mut run = Run { inner, runtime, job, published: None, applied: None };
    let outcome = catch_unwind(AssertUnwindSafe(|| run.execute())).unwrap_or_else(|_| Err(fault("an import panicked")));
    let replaced = outcome.is_ok().then(|| run.applied.take()).flatten();
    run.finish(outcome);
    // After the end was published: it takes a while, and no caller depends on it.
    if let Some(term) = replaced {
        run.prune(&term);
    }
}

struct Run<'r> {
    inner: &'r Inner,
    runtime: &'r Runtime,
    job: &'r Job,
    published: Option<Instant>,
    /// The term that it was applied to.
    applied: Option<TermId>,
}

impl Run<'_> {
    fn execute(&mut self) -> Result<(), Stop> {
        self.check()?;
        self.phase(Phase::Reading);
        let schedule = self.read()?;
        self.report_findings(&*schedule)?;
        let errors = schedule.findings_total(Severity::Error);
        let refused = schedule.refused_as_a_whole() || (errors > 0 && !self.job.options.partial);
        let (dry, whole) = (self.job.options.dry_run, schedule.refused_as_a_whole());
        if whole || (refused && !dry) {
            return Err(Stop::Refused);
        }
        self.phase(Phase::Comparing);
        if schedule.brings_events() {
            self.events(&*schedule, refused)?;
        } else if let Some(term) = schedule.term().cloned() {
            self.sections(&*schedule, &term, refused)?;
        }
        if refused { Err(Stop::Refused) } else { Ok(()) }
    }

    /// Fails when the import was cancelled or the hub is stopping.
    fn check(&self) -> Result<(), Stop> {
        if self.inner.stopping.load(Ordering::Acquire) {
            return Err(Stop::Stopping);
        }
        if self.job.live.is_cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
    }

    fn phase(&mut self, phase: Phase) {
        self.job.live.report().phase = phase;
        self.publish(true);
    }

    /// Publishes the progress: now, or if the last event is old enough.
    fn publish(&mut self, now: bool) {
        if now || self.published.is_none_or(|at| at.elapsed() >= PROGRESS_PAUSE) {
            self.published = Some(Instant::now());
            let progress = self.job.live.report().progress();
            self.inner.deps.bus.publish(Event::ImportProgress(Arc::new(progress)));
        }
    }

    fn read(&mut self) -> Result<Box<dyn Schedule>, Stop> {
        let options = &self.job.options;
        let reading = ScheduleOptions {
            term: options.term.clone(),
            map: options.map.clone(),
            zone: self.inner.deps.zone.clone(),
        };
        let (file, folder) = (self.job.upload.path(), self.job.upload.folder.path());
        let reader = self.inner.deps.reader.clone();
        let read = reader.read(&file, folder, &reading, &mut |progress: ScheduleProgress| {
            {
                let mut report = self.job.live.report();
                (report.rows, report.bytes, report.refused) = (progress.rows, progress.bytes, progress.refused);
            }
            self.publish(false);
            self.check().is_ok()
        });
        self.check()?;
        Ok(read?)
    }

    /// Writes the first findings to the report, and all errors to their file.
    fn report_findings(&mut self, schedule: &dyn Schedule) -> Result<(), Stop> {
        let io = |e: std::io::Error| ScheduleError::Scratch(e.to_string());
        let csv_error = |e: csv::Error| ScheduleError::Scratch(e.to_string());
        let task = self.job.live.report().task.clone();
        let file = File::create(self.inner.errors_path(task.as_str())).map_err(io)?;
        let mut csv = csv::Writer::from_writer(BufWriter::new(file));
        csv.write_record(["line", "column", "value", "message"]).map_err(csv_error)?;
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        schedule.each_finding(Severity::Error, u64::MAX, &mut |finding| {
            let column = finding.column.as_deref().unwrap_or_default();
            let value = finding.value.as_deref().unwrap_or_default();
            let line = finding.line.to_string();
            csv.write_record([&line, &*safe_cell(column), &*safe_cell(value), &*safe_cell(&finding.message)])
                .map_err(csv_error)?;
            if errors.len() < LIST_LEN_MAX {
                errors.push(finding);
            }
            Ok(())
        })?;
        csv.flush().map_err(io)?;
        schedule.each_finding(Severity::Warning, LIST_LEN_MAX as u64, &mut |finding| {
            warnings.push(finding);
            Ok(())
        })?;
        let conflicts = schedule.conflicts(LIST_LEN_MAX as u64)?;
        let mut report = self.job.live.report();
        report.errors_total = schedule.findings_total(Severity::Error);
        report.warnings_total = schedule.findings_total(Severity::Warning);
        report.conflicts_total = schedule.conflicts_total();
        (report.errors, report.warnings, report.conflicts) = (errors, warnings, conflicts);
        (report.rows, report.refused, report.sections) = (schedule.rows(), schedule.refused(), schedule.sections());
        report.events = schedule.brings_events();
        report.bytes = report.bytes_total;
        if let Some(term) = schedule.term() {
            report.term = Some(term.clone());
        }
        Ok(())
    }

    /// Imports events: compares and writes them at once. (The reader bounds how many a file may have.)
    fn events(&mut self, schedule: &dyn Schedule, refused: bool) -> Result<(), Stop> {
        let mut events = Vec::new();
        schedule.each_event(&mut |event| {
            events.push(event);
            Ok(())
        })?;
        let dry = self.job.options.dry_run || refused;
        self.check()?;
        if !dry {
            self.commit(0)?;
        }
        let store = self.inner.deps.store.clone();
        let tally = self.wait(|| store.put_events(events.clone(), dry))?;
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
        Ok(())
    }

    /// Imports sections: compares them with the published term, stages them in chunks, and applies them as one command.
    fn sections(&mut self, schedule: &dyn Schedule, term: &TermId, refused: bool) -> Result<(), Stop> {
        let dry = self.job.options.dry_run || refused;
        let realm = &self.job.options.realm;
        if !realm.contains(term) {
            let message = "Terms whose ids begin like this are kept for demonstrations. Nothing was changed.";
            return Err(Stop::Failed { message, cause: "the file names a sandbox".to_owned() });
        }
        let snapshot = self.inner.deps.model.term_in(realm, term).map(|t| t.snapshot());
        let generation = if dry { 0 } else { self.begin(term)? };
        let mut comparing =
            Comparing::new(snapshot.as_deref(), self.inner.deps.clock.now(), generation, self.job.options.totals, !dry);
        // The walk ends with an error of the reader, which cannot say why.
        let mut stopped = None;
        let compared = schedule.each_section(&mut |section| {
            let chunk = comparing.add(&mut self.job.live.report(), section);
            let staged = chunk.map_or(Ok(()), |chunk| self.stage(generation, &chunk));
            self.publish(false);
            staged.and_then(|()| self.check()).map_err(|stop| {
                stopped = Some(stop);
                ScheduleError::Cancelled
            })
        });
        if let Some(stop) = stopped {
            self.discard(term);
            return Err(stop);
        }
        compared?;
        self.missing(schedule, snapshot.as_deref())?;
        let Some(chunk) = comparing.rest() else { return Ok(()) };
        let applied = self.stage(generation, &chunk).and_then(|()| self.apply(term, comparing.staged));
        match &applied {
            Ok(()) => self.applied = Some(term.clone()),
            // The sections may be visible, so they must stay.
            Err(Stop::Unknown) => {}
            Err(_) => self.discard(term),
        }
        applied
    }

    /// Discards what an interrupted import may have staged, and returns the generation to stage under.
    fn begin(&self, term: &TermId) -> Result<u64, Stop> {
        let store = self.inner.deps.store.clone();
        let mut from = None;
        loop {
            self.check()?;
            from = self.wait(|| store.discard_staged(term, from.clone()))?;
            if from.is_none() {
                break;
            }
        }
        Ok(self.wait(|| store.generation(term))? + 1)
    }

    fn stage(&self, generation: u64, chunk: &[SectionState]) -> Result<(), Stop> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.check()?;
        let started = Instant::now();
        let store = self.inner.deps.store.clone();
        self.wait(|| store.stage(generation, chunk.to_vec()))?;
        std::thread::sleep(started.elapsed().min(CHUNK_PAUSE_MAX));
        Ok(())
    }

    /// Reports the sections of the term that the file does not contain.
    fn missing(&mut self, schedule: &dyn Schedule, snapshot: Option<&Snapshot>) -> Result<(), Stop> {
        let (mut missing, mut total) = (Vec::new(), 0);
        for row in snapshot.into_iter().flat_map(Snapshot::rows_in_order) {
            let id = &row.state.section.id;
            if !schedule.names(&id.crn)? {
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

    /// Makes the staged sections visible. The import can no longer be cancelled.
    fn apply(&mut self, term: &TermId, staged: StagedImport) -> Result<(), Stop> {
        let generation = staged.generation;
        self.check()?;
        self.commit(generation)?;
        self.phase(Phase::Applying);
        let store = self.inner.deps.store.clone();
        let staged = Arc::new(staged);
        let pool = &self.inner.deps.pool;
        for _ in 0..TRIES_MAX {
            let command = Command::ApplyImport(staged.clone());
            match self.runtime.block_on(pool.submit_or_create(term.clone(), command)) {
                Ok(Outcome::Imported(tally)) => {
                    self.count(tally);
                    return Ok(());
                }
                Ok(_) | Err(SubmitError::Failed) => {
                    return Err(fault("the registrar refused an import"));
                }
                Err(SubmitError::Overloaded) => std::thread::sleep(TRY_PAUSE),
                Err(SubmitError::OutcomeUnknown) => {
                    // The store's writer returns, in order with its commits, which generation is visible. Until it
                    // does, the result of this task is not known.
                    let visible = loop {
                        match self.wait(|| store.generation(term)) {
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
        let message = "The hub was too busy to apply it. Nothing was changed; please try again.";
        Err(Stop::Failed { message, cause: "the registrar was overloaded".to_owned() })
    }

    /// Stores that the import may become visible from here on, and can no longer be cancelled.
    fn commit(&self, generation: u64) -> Result<(), Stop> {
        if !self.job.live.commit() {
            return Err(Stop::Cancelled);
        }
        self.job.live.report().applying = Some(generation);
        let kept = KeptTask::from(&*self.job.live.report());
        let store = self.inner.deps.store.clone();
        self.wait(|| store.put_task(kept.clone()))
    }

    /// Reports what the registrar counted when it applied the import: sections may have changed since the comparison.
    fn count(&self, tally: ImportTally) {
        let mut report = self.job.live.report();
        (report.created, report.updated, report.unchanged) = (tally.created, tally.updated, tally.unchanged);
    }

    /// Discards the staged sections. What cannot be discarded now is discarded before the next import of this term.
    fn discard(&self, term: &TermId) {
        let store = self.inner.deps.store.clone();
        let mut from = None;
        loop {
            match self.wait(|| store.discard_staged(term, from.clone())) {
                Ok(None) => return,
                Ok(next) => from = next,
                Err(_) => {
                    log::warn!("what an import staged for term {term} stays for now");
                    return;
                }
            }
        }
    }

    /// Removes the sections that the applied import replaced. Left over, they are never read.
    fn prune(&self, term: &TermId) {
        let store = self.inner.deps.store.clone();
        let mut from = None;
        while let Ok(Some(next)) = self.wait(|| store.prune(term, from.clone())) {
            from = Some(next);
            if self.inner.stopping.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits for the store, and retries while it is busy.
    fn wait<T>(&self, ask: impl Fn() -> StoreFuture<T>) -> Result<T, Stop> {
        for _ in 0..TRIES_MAX {
            match self.runtime.block_on(ask()) {
                Err(error @ (StoreError::Overloaded | StoreError::Unavailable(_))) => {
                    // A hub that is stopping does not wait for its imports.
                    if self.inner.stopping.load(Ordering::Acquire) {
                        return Err(error.into());
                    }
                    std::thread::sleep(TRY_PAUSE);
                }
                other => return Ok(other?),
            }
        }
        Err(StoreError::Overloaded.into())
    }

    /// Stores and publishes the result.
    fn finish(&mut self, outcome: Result<(), Stop>) {
        // A cancellation in the last moment was confirmed to its caller, so it holds unless the import was applied.
        let outcome = match outcome {
            Ok(()) if !self.job.live.commit() && self.job.live.is_cancelled() => Err(Stop::Cancelled),
            other => other,
        };
        let kept = {
            let mut report = self.job.live.report();
            report.phase = Phase::Finished;
            report.finished_at = Some(self.inner.deps.clock.now());
            report.applying = None;
            report.state = match outcome {
                Ok(()) => TaskState::Done,
                Err(Stop::Cancelled) => TaskState::Cancelled,
                Err(Stop::Refused) => TaskState::Failed,
                Err(Stop::Stopping) => {
                    report.message =
                        Some("The hub was stopped before the import was done. Nothing was changed.".to_owned());
                    TaskState::Failed
                }
                Err(Stop::Failed { message, cause }) => {
                    log::error!("import {} failed: {cause}", report.task);
                    report.message = Some(message.to_owned());
                    TaskState::Failed
                }
                // The stored task stays as it is; the next start determines the result.
                Err(Stop::Unknown) => return,
            };
            KeptTask::from(&*report)
        };
        let (task, state) = (kept.id.clone(), kept.state.as_str());
        log::info!("import {task} is {state}");
        let ended = match kept.state {
            TaskState::Running => None,
            TaskState::Done => Some(0),
            TaskState::Failed => Some(1),
            TaskState::Cancelled => Some(2),
        };
        if let Some(how) = ended {
            self.inner.finished[how].fetch_add(1, Ordering::Relaxed);
        }
        let store = self.inner.deps.store.clone();
        if self.wait(|| store.put_task(kept.clone())).is_err() {
            log::error!("the result of import {task} could not be stored; the hub's next start determines it");
        }
        if let Ok(forgotten) = self.wait(|| store.forget_old_tasks()) {
            for old in forgotten {
                // A task without errors to list has no such file.
                let _ = std::fs::remove_file(self.inner.errors_path(&old));
            }
        }
        self.publish(true);
    }
}

fn fault(cause: &str) -> Stop {
    Stop::Failed { message: "This is a fault of the hub. Nothing was changed.", cause: cause.to_owned() }
}
