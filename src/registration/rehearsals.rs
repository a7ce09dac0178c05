//! Rehearsals as background tasks. They are in memory only: after the hub stops, staff start a rehearsal again.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::ids::{Crn, SectionId, TermId};
use crate::domain::import::TaskState;
use crate::domain::refusal::RefusalCode;
use crate::domain::rehearsal::{Order, Rehearsal, Run};
use crate::registration::execution::BatchExecutor;
use crate::store::plans::PlanStore;

/// Maximum number of plans in a rehearsal: several times the students of a large college.
pub const PLANS_MAX: usize = 200_000;
/// Maximum number of runs. More do not make the result more useful.
pub const RUNS_MAX: u32 = 50;
/// Maximum number of rehearsals in memory; the oldest is removed first.
const TASKS_MAX: usize = 20;
/// Maximum number of sections in a report, as in other lists.
const FILLS_MAX: usize = 5_000;
/// How many students arrive between two updates of the progress.
const PROGRESS_STEP: usize = 256;
/// The priority of the thread of a rehearsal, as a nice value.
const NICENESS: i32 = 10;
/// Message of a rehearsal that could not read the store.
const NOT_READ: &str = "The term or its plans could not be read. Start the rehearsal again.";
/// Message of a rehearsal that failed.
const INTERNAL: &str = "The rehearsal failed because of an error in the hub. See the hub's log for the cause.";

/// What to rehearse.
#[derive(Debug, Clone)]
pub struct RehearsalRequest {
    /// The term.
    pub term: TermId,
    /// The order of arrival.
    pub order: Order,
    /// The number of runs.
    pub runs: u32,
    /// The seed of the first run. Each later run has the next one.
    pub seed: u32,
    /// Whether the students join waitlists even where their plans do not say so.
    pub waitlist: bool,
}

/// The spread of a number over several runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The average, rounded to one decimal place.
    pub mean: f64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Returns the spread of a number that has these values in the first runs and is 0 in the rest of `runs`.
    fn of(values: &[u64], runs: usize) -> Self {
        let is_partial = values.len() < runs;
        let min = if is_partial { 0 } else { values.iter().copied().min().unwrap_or(0) };
        let sum: u64 = values.iter().sum();
        let mean = (sum as f64 / runs.max(1) as f64 * 10.0).round() / 10.0;
        Self { min, mean, max: values.iter().copied().max().unwrap_or(0) }
    }
}

/// A section that was full at the end of a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SectionFill {
    /// The section.
    pub section: SectionId,
    /// The number of plans that contain it, not only as an alternate.
    pub plans: usize,
    /// The number of seats that a student could take at the beginning.
    pub seats: u32,
    /// The number of runs in which it was full at the end.
    pub runs: usize,
    /// How many students had arrived when the last seat was taken, in the runs in which it was full; 0 if it was full
    /// before.
    pub arrived: Spread,
}

/// A rehearsal, running or ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Rehearsal)]
pub struct RehearsalReport {
    /// The id of the task.
    pub task: String,
    /// `running`, `done`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub state: TaskState,
    /// The term.
    pub term: TermId,
    /// `random` or `windows`.
    #[schema(value_type = String)]
    pub order: Order,
    /// The number of runs.
    pub runs: u32,
    /// The seed. The same seed, plans and term give the same result.
    pub seed: u32,
    /// Whether the students join waitlists even where their plans do not say so.
    pub waitlist: bool,
    /// The number of students with a plan for the term.
    pub students: usize,
    /// The part of the work that is done, in percent.
    pub percent: u8,
    /// Why it failed; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// The sections that were full at the end of a run, in the order of the mean of `arrived`.
    #[schema(max_items = 5000)]
    pub fills: Vec<SectionFill>,
    /// The number of refusals in a run, by code. Codes without refusals are absent.
    pub refusals: BTreeMap<String, Spread>,
    /// The number of students who got a seat for every section of their plans, in it or in an alternate.
    pub complete: Spread,
    /// The number of students who got no seat.
    pub nothing: Spread,
    /// When it ended; null while it runs.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
}

struct Task {
    report: Mutex<RehearsalReport>,
    is_cancelled: AtomicBool,
}

/// The error of starting a rehearsal while another one is running.
#[derive(Debug)]
pub struct Busy;

/// The rehearsals of this hub. One runs at a time.
pub struct Rehearsals {
    executor: BatchExecutor,
    plans: Arc<dyn PlanStore>,
    clock: Arc<dyn Clock>,
    /// Newest first.
    tasks: Mutex<VecDeque<Arc<Task>>>,
}

impl Rehearsals {
    /// Creates the service on a store. The executor has the limits of the college.
    #[must_use]
    pub fn new(executor: BatchExecutor, plans: Arc<dyn PlanStore>, clock: Arc<dyn Clock>) -> Self {
        Self { executor, plans, clock, tasks: Mutex::default() }
    }

    /// Registers a task and returns its id. The caller then awaits [`Self::run`].
    ///
    /// # Errors
    /// While another rehearsal runs.
    pub fn start(&self, request: &RehearsalRequest) -> Result<String, Busy> {
        let mut tasks = self.tasks.lock();
        if tasks.iter().any(|task| task.report.lock().state == TaskState::Running) {
            return Err(Busy);
        }
        let RehearsalRequest { term, order, runs, seed, waitlist } = request.clone();
        let id = Uuid::now_v7().to_string();
        let report = RehearsalReport {
            task: id.clone(),
            state: TaskState::Running,
            term,
            order,
            runs,
            seed,
            waitlist,
            students: 0,
            percent: 0,
            message: None,
            fills: Vec::new(),
            refusals: BTreeMap::new(),
            complete: Spread::default(),
            nothing: Spread::default(),
            finished_at: None,
        };
        tasks.push_front(Arc::new(Task { report: Mutex::new(report), is_cancelled: AtomicBool::new(false) }));
        tasks.truncate(TASKS_MAX);
        Ok(id)
    }

    /// Runs a task to its end. The decisions are made on a separate thread.
    pub async fn run(&self, id: &str, request: RehearsalRequest) {
        let Some(task) = self.find(id) else { return };
        let loaded =
            tokio::try_join!(self.executor.copy(&request.term), self.plans.plans_for(&request.term, PLANS_MAX));
        let (book, plans) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                log::error!("a rehearsal could not read the store: {error}");
                return self.end(&task, Err(NOT_READ));
            }
        };
        task.report.lock().students = plans.len();
        let rehearsal = Rehearsal::new(book, plans, request.order, request.waitlist, self.clock.now());
        let (send, ended) = oneshot::channel();
        let running = task.clone();
        let work = move || {
            lower_priority();
            // A decision that panics must not leave the task running.
            let outcome = catch_unwind(AssertUnwindSafe(|| execute(&rehearsal, &request, &running)));
            let _ = send.send(outcome.map_err(|_| INTERNAL));
        };
        let outcome = match std::thread::Builder::new().name("eduhub-rehearse".to_owned()).spawn(work) {
            Ok(_) => ended.await.unwrap_or(Err(INTERNAL)),
            Err(error) => {
                log::error!("a rehearsal could not be started: {error}");
                Err(INTERNAL)
            }
        };
        self.end(&task, outcome);
    }

    fn end(&self, task: &Task, outcome: Result<Option<Results>, &str>) {
        let mut report = task.report.lock();
        report.finished_at = Some(self.clock.now());
        match outcome {
            Ok(Some(Results { fills, refusals, complete, nothing })) => {
                report.state = TaskState::Done;
                report.percent = 100;
                (report.fills, report.refusals, report.complete, report.nothing) = (fills, refusals, complete, nothing);
            }
            Ok(None) => report.state = TaskState::Cancelled,
            Err(message) => {
                report.state = TaskState::Failed;
                report.message = Some(message.to_owned());
            }
        }
    }

    fn find(&self, id: &str) -> Option<Arc<Task>> {
        self.tasks.lock().iter().find(|task| task.report.lock().task == id).cloned()
    }

    /// Returns the report of a rehearsal; `None` if there is no such task.
    #[must_use]
    pub fn report(&self, id: &str) -> Option<RehearsalReport> {
        self.find(id).map(|task| task.report.lock().clone())
    }

    /// Cancels a rehearsal, unless it has ended. It ends before the next student arrives. Returns its report; `None` if
    /// there is no such task.
    #[must_use]
    pub fn cancel(&self, id: &str) -> Option<RehearsalReport> {
        let task = self.find(id)?;
        task.is_cancelled.store(true, Ordering::Relaxed);
        let report = task.report.lock().clone();
        Some(report)
    }
}

/// Lowers the priority of the thread, so that a rehearsal does not slow registrations down.
fn lower_priority() {
    // On Linux a nice value applies to one thread. If it cannot be set, the rehearsal only competes more with requests.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("the priority of a rehearsal could not be lowered: {error}");
    }
}

/// The results of all runs.
struct Results {
    fills: Vec<SectionFill>,
    refusals: BTreeMap<String, Spread>,
    complete: Spread,
    nothing: Spread,
}

/// Executes all runs; `None` if the task is cancelled.
fn execute(rehearsal: &Rehearsal, request: &RehearsalRequest, task: &Task) -> Option<Results> {
    let (students, runs) = (rehearsal.students().max(1), request.runs);
    let mut all = Vec::new();
    for run in 0..runs {
        let proceed = |arrived: usize| {
            if arrived.is_multiple_of(PROGRESS_STEP) {
                let done = run as usize * students + arrived;
                task.report.lock().percent = u8::try_from(done * 100 / (runs as usize * students)).unwrap_or(100);
            }
            !task.is_cancelled.load(Ordering::Relaxed)
        };
        all.push(rehearsal.run(request.seed.wrapping_add(run), proceed)?);
    }
    Some(summarize(rehearsal, &request.term, &all))
}

fn summarize(rehearsal: &Rehearsal, term: &TermId, runs: &[Run]) -> Results {
    let mut fills: BTreeMap<&Crn, Vec<u64>> = BTreeMap::new();
    let mut refusals: BTreeMap<RefusalCode, Vec<u64>> = BTreeMap::new();
    for run in runs {
        for (crn, arrived) in &run.fills {
            fills.entry(crn).or_default().push(*arrived as u64);
        }
        for (code, count) in &run.refusals {
            refusals.entry(*code).or_default().push(*count);
        }
    }
    let planned = rehearsal.planned();
    let fills = fills.into_iter().map(|(crn, arrived)| SectionFill {
        section: SectionId { term: term.clone(), crn: crn.clone() },
        plans: planned.get(crn).copied().unwrap_or(0),
        seats: rehearsal.open_seats(crn),
        runs: arrived.len(),
        arrived: Spread::of(&arrived, arrived.len()),
    });
    let mut fills: Vec<SectionFill> = fills.collect();
    fills.sort_by(|a, b| a.arrived.mean.total_cmp(&b.arrived.mean).then_with(|| a.section.cmp(&b.section)));
    fills.truncate(FILLS_MAX);
    let spread = |of: fn(&Run) -> usize| {
        let values: Vec<u64> = runs.iter().map(|run| of(run) as u64).collect();
        Spread::of(&values, values.len())
    };
    let of_code = |(code, counts): (RefusalCode, Vec<u64>)| (code.as_str().to_owned(), Spread::of(&counts, runs.len()));
    Results {
        fills,
        refusals: refusals.into_iter().map(of_code).collect(),
        complete: spread(|run| run.complete),
        nothing: spread(|run| run.nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_number_that_is_absent_in_a_run_counts_as_zero() {
        assert_eq!(Spread::of(&[3, 4], 3), Spread { min: 0, mean: 2.3, max: 4 });
        assert_eq!(Spread::of(&[3, 4], 2), Spread { min: 3, mean: 3.5, max: 4 });
        assert_eq!(Spread::of(&[], 0), Spread::default());
    }
}
