//! The performance demonstration: simulated students over real sockets, and an account of what they were told.
//!
//! - [`report`]: what is told of a run
//! - `hub`: students of a sandbox term of the hub, with an import beside them half of the time
//! - `account`: what students believe they hold, against what the hub says
//! - `plone`: the older way, on one item of a real Plone
//! - `wire`: the HTTP client
//! - [`runner`]: a run in a process of its own, so that it does not share its limits with the hub that it presses
//!
//! Whoever runs it ([`run`]) needs nothing but a hub's address and tokens for a sandbox: `eduhub rush` and
//! `/api/v1/admin/demo` are the same load.

mod account;
mod hub;
mod plone;
pub mod report;
pub mod runner;
pub mod sandbox;
mod wire;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use report::{Row, Target, Task};

pub use plone::PloneJob;

/// How often progress is told.
const TELL_PAUSE: Duration = Duration::from_millis(250);
/// The most students that Plone is pressed by: as many as the older scripts had. It serves 100 connections at once.
const PLONE_USERS_MAX: u32 = 200;
/// What was measured before, for where Plone must not be pressed: a row as a run on a real Plone has told it.
const RECORDED: &str = include_str!("recorded.json");

/// What is to be run. It holds tokens, so nothing prints it.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The task's id.
    pub task: String,
    /// The hub, such as `http://127.0.0.1:8000`.
    pub url: String,
    /// The id of the sandbox term that is to be made.
    pub sandbox: String,
    /// A token of an admin of that sandbox, who opens and removes it.
    pub admin: String,
    /// A token of staff of that sandbox, who import.
    pub staff: String,
    /// A token for each student of that sandbox.
    pub students: Vec<String>,
    /// How long each target is pressed.
    pub seconds: u32,
    /// Where the load goes.
    pub target: Target,
    /// The Plone that may be pressed; none: what was measured before is told.
    pub plone: Option<PloneJob>,
}

/// What a run shares with whoever watches it, and may end it early.
struct Watch<'w> {
    task: RefCell<Task>,
    tell: &'w dyn Fn(&Task),
    stop: Arc<AtomicBool>,
}

impl Watch<'_> {
    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn update(&self, change: impl FnOnce(&mut Task)) {
        change(&mut self.task.borrow_mut());
        (self.tell)(&self.task.borrow());
    }
}

/// Runs a demonstration on this thread, to its end; `tell` hears how far it is. Setting `stop` ends it early.
///
/// # Errors
/// When the system has no room for a runtime.
pub fn run(job: &Job, stop: &Arc<AtomicBool>, tell: &dyn Fn(&Task)) -> std::io::Result<Task> {
    let users = u32::try_from(job.students.len()).unwrap_or(u32::MAX);
    let task = Task::new(job.task.clone(), users, job.seconds, job.target);
    let watch = Watch { task: RefCell::new(task), tell, stop: stop.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(both(job, users, &watch));
    watch.update(|task| task.end(outcome));
    Ok(watch.task.into_inner())
}

async fn both(job: &Job, users: u32, watch: &Watch<'_>) -> Result<(), String> {
    if job.target.has_plone() && job.plone.is_none() {
        let recorded: Row = serde_json::from_str(RECORDED).map_err(|error| error.to_string())?;
        watch.update(|task| task.put(recorded));
    }
    if job.target.has_hub() {
        hub::run(job, users, watch).await?;
    }
    match &job.plone {
        Some(plone) if job.target.has_plone() && !watch.is_stopping() => {
            plone::run(plone, users.min(PLONE_USERS_MAX), job.seconds, watch).await?;
        }
        _ => {}
    }
    if watch.is_stopping() { Err("It was ended early.".to_owned()) } else { Ok(()) }
}
