//! The performance demonstration: simulated students register over real sockets, and their seats are reconciled with
//! those of the server.
//!
//! - [`report`]: the progress and the results of a run; [`failure`]: why it failed, as texts with codes
//! - `hub`: load on a sandbox term of the hub, with imports running half of the time
//! - `reconciliation`: compares the seats confirmed to students with those that the hub stored
//! - `plone`: load on one item of a real Plone, without the hub
//! - `wire`: the HTTP client
//! - [`runner`]: runs a job in a child process
//! - [`sandbox`]: the term that a run uses; `sandbox_lease`: one hub at a time has one
//!
//! `eduhub rush` and `/api/v1/admin/demo` generate the same load: a run needs only the hub's URL and tokens for a
//! sandbox; see [`Job`].

pub mod failure;
mod hub;
mod plone;
mod reconciliation;
pub mod report;
pub mod runner;
pub mod sandbox;
mod sandbox_lease;
mod wire;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use failure::{Measurement, RunFailure};
use report::{Row, Target, Task};

use crate::domain::coded_text::CodedText;

pub use plone::PloneJob;

/// Interval between progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of students that put load on Plone, which serves 100 connections at the same time.
const PLONE_USERS_MAX: u32 = 200;
/// Results of an earlier run on a real Plone, reported if no load may be put on Plone.
const RECORDED_PLONE_ROW: &str = include_str!("recorded.json");

/// A demonstration to run. Does not implement `Debug`, because it contains tokens.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The task's id.
    pub task: String,
    /// The hub, such as `http://127.0.0.1:8000`.
    pub url: String,
    /// The id of the sandbox term to create.
    pub sandbox: String,
    /// A token with role admin in the sandbox, to create and remove it.
    pub admin: String,
    /// A token with role staff in the sandbox, to import into it.
    pub staff: String,
    /// One token with role student in the sandbox for each simulated student.
    pub students: Vec<String>,
    /// How long each target is under load, in seconds.
    pub seconds: u32,
    /// The targets to put under load.
    pub target: Target,
    /// The Plone that load may be sent to. If `None`, results of an earlier run are reported instead.
    pub plone: Option<PloneJob>,
}

/// The progress of a run, and the flag that stops it early.
struct RunControl<'w> {
    task: RefCell<Task>,
    on_progress: &'w dyn Fn(&Task),
    stop: Arc<AtomicBool>,
}

impl RunControl<'_> {
    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn update(&self, change: impl FnOnce(&mut Task)) {
        change(&mut self.task.borrow_mut());
        (self.on_progress)(&self.task.borrow());
    }
}

/// Runs a demonstration on this thread and returns its report. Calls `on_progress` after each change to the report.
/// Setting `stop` ends the run early.
///
/// # Errors
/// If the async runtime cannot be created. A run that fails returns a report whose state is `failed`.
pub fn run(job: &Job, stop: &Arc<AtomicBool>, on_progress: &dyn Fn(&Task)) -> std::io::Result<Task> {
    let users = u32::try_from(job.students.len()).unwrap_or(u32::MAX);
    let task = Task::new(job.task.clone(), users, job.seconds, job.target);
    let control = RunControl { task: RefCell::new(task), on_progress, stop: stop.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_targets(job, users, &control));
    control.update(|task| task.finish(outcome));
    Ok(control.task.into_inner())
}

/// Puts load on the targets of a job, one after the other.
async fn run_targets(job: &Job, users: u32, control: &RunControl<'_>) -> Result<(), RunFailure> {
    if job.target.includes_plone() && job.plone.is_none() {
        let recorded = recorded_row().map_err(|_| RunFailure::NotRun)?;
        control.update(|task| task.put_row(recorded));
    }
    if job.target.includes_hub() {
        hub::run(job, users, control).await?;
    }
    match &job.plone {
        Some(plone) if job.target.includes_plone() && !control.is_stopping() => {
            plone::run(plone, users.min(PLONE_USERS_MAX), job.seconds, control).await?;
        }
        _ => {}
    }
    if control.is_stopping() { Err(RunFailure::Stopped) } else { Ok(()) }
}

/// The results of an earlier run, as in `recorded.json`.
#[derive(Deserialize)]
struct RecordedRow {
    measured: Measurement,
    #[serde(flatten)]
    row: Row,
}

/// Returns the results of an earlier run on a real Plone.
fn recorded_row() -> serde_json::Result<Row> {
    let RecordedRow { measured, row } = serde_json::from_str(RECORDED_PLONE_ROW)?;
    Ok(Row { recorded: Some(measured.to_string()), measured: CodedText::of(&measured), ..row })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_row_states_where_it_was_measured() {
        let row = recorded_row().unwrap();
        assert!(row.recorded.unwrap().starts_with("measured on 2026-11-24 with Plone 6.2.2 (waitress with 4 threads"));
        assert_eq!(row.measured.unwrap().code.as_ref(), "measured");
        assert_eq!((row.users, row.latency_ms.p50), (200, Some(720.9)));
    }
}
