//! The newest demonstration: starts it, follows its progress, and shows it at the other hubs.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::interval;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::ids::{SANDBOX_PREFIX, TermId, UserName};
use crate::domain::role::Role;
use crate::identity::Identity;
use crate::rush::failure::RunFailure;
use crate::rush::report::{State, Target, Task};
use crate::rush::runner::{StopHandle, run_in_child};
use crate::rush::sandbox::{SandboxError, Sandboxes, hot_seats};
use crate::rush::{Job, PloneJob};
use crate::store::StoreError;
use crate::store::shared_tasks::{SharedTasks, StoredDemonstration};

use crate::http::error::Problem;

/// The lifetime of a demonstration's tokens, which is longer than that of its sandbox.
const TOKEN_TTL: Duration = Duration::from_secs(600);
/// Time between two writes of the progress for other hubs. Each is a commit.
const SHARING_PAUSE: Duration = Duration::from_secs(1);
/// The age of the stored progress beyond which a running demonstration counts as ended with its hub.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// `Retry-After` while another demonstration runs and its end is not known, in seconds.
const BUSY_RETRY_S: u32 = 10;

/// What demonstrations depend on.
pub struct DemoDeps {
    /// The terms that demonstrations use.
    pub sandboxes: Arc<Sandboxes>,
    /// The store through which other hubs see the demonstrations; `None` for the embedded store.
    pub tasks: Option<Arc<dyn SharedTasks>>,
    /// Signs the tokens of the simulated students.
    pub identity: Arc<Identity>,
    /// Clock used for the time that remains of a run.
    pub clock: Arc<dyn Clock>,
    /// The hub's own URL, to which the load is sent.
    pub url: String,
    /// The Plone to which load may be sent.
    pub plone: Option<PloneJob>,
}

/// The state of the newest demonstration, running or finished.
pub struct Demos {
    deps: DemoDeps,
    /// The newest demonstration of this hub.
    newest: Mutex<Option<Task>>,
    stop_handle: Mutex<StopHandle>,
}

impl Demos {
    /// Creates the state before the first demonstration.
    #[must_use]
    pub fn new(deps: DemoDeps) -> Self {
        Self { deps, newest: Mutex::default(), stop_handle: Mutex::default() }
    }

    /// Stops the running demonstration. Called when the hub shuts down.
    pub fn stop(&self) {
        self.stop_handle.lock().stop();
    }

    /// Returns the terms that demonstrations use.
    pub(super) fn sandboxes(&self) -> Arc<Sandboxes> {
        self.deps.sandboxes.clone()
    }

    /// Returns the newest demonstration of all hubs, running or finished.
    pub(super) async fn newest_of_all(&self) -> Result<Option<Task>, StoreError> {
        let own = self.newest().clone();
        // Only one hub at a time runs a demonstration.
        if own.as_ref().is_some_and(|own| own.state == State::Running) {
            return Ok(own);
        }
        let stored = match &self.deps.tasks {
            Some(tasks) => tasks.demonstration().await?,
            None => None,
        };
        let Some(StoredDemonstration { report, age }) = stored else { return Ok(own) };
        let corrupt = |error| StoreError::Corrupt(format!("the newest demonstration: {error}"));
        let mut task: Task = serde_json::from_str(&report).map_err(corrupt)?;
        if own.as_ref().is_some_and(|own| own.task == task.task) {
            return Ok(own);
        }
        if task.state == State::Running && age > SILENCE_MAX {
            task.finish(Err(RunFailure::Stopped));
        }
        Ok(Some(task))
    }

    /// Returns the newest demonstration, if it has this id and has ended without a failure.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finished(&self, id: &str) -> Result<Option<Task>, StoreError> {
        Ok(self.newest_of_all().await?.filter(|task| task.task == id && task.state == State::Done))
    }

    /// Stores the newest demonstration of this hub for the other hubs.
    async fn share_newest(&self) {
        let (Some(tasks), Some(newest)) = (&self.deps.tasks, self.newest().clone()) else { return };
        let stored = match serde_json::to_string(&newest) {
            Ok(report) => tasks.put_demonstration(report).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = stored {
            log::warn!("other hubs do not show the current state of the demonstration: {error}");
        }
    }

    fn newest(&self) -> MutexGuard<'_, Option<Task>> {
        self.newest.lock()
    }

    /// Returns the seconds after which to retry while a demonstration runs; `None` when none runs.
    fn busy_s(&self) -> Option<u32> {
        if let Some(removes_at) = self.deps.sandboxes.removes_at() {
            let left = removes_at.duration_since(self.deps.clock.now()).as_secs().clamp(1, BUSY_RETRY_S.into());
            return Some(u32::try_from(left).unwrap_or(BUSY_RETRY_S));
        }
        self.newest().as_ref().filter(|task| task.state == State::Running).map(|_| BUSY_RETRY_S)
    }

    /// Returns the problem for a sandbox that could not be reserved or opened.
    pub(super) fn refused(&self, error: SandboxError) -> Problem {
        match error {
            SandboxError::Taken => already_running(self.busy_s().unwrap_or(BUSY_RETRY_S)),
            SandboxError::Store(error) => error.into(),
            SandboxError::Registrar(error) => error.into(),
        }
    }

    /// Starts a run, unless another one is running at this hub or at another one.
    pub(super) async fn start(self: Arc<Self>, sandbox: TermId, job: Job, task: Task) -> Result<(), Problem> {
        self.deps.sandboxes.reserve(&sandbox, job.seconds).await.map_err(|error| self.refused(error))?;
        let stop_handle = StopHandle::default();
        // The previous run may not have ended yet: its sandbox is removed before its report is final.
        let is_running = {
            let mut newest = self.newest();
            let is_running = newest.as_ref().is_some_and(|newest| newest.state == State::Running);
            if !is_running {
                *newest = Some(task);
                *self.stop_handle.lock() = stop_handle.clone();
            }
            is_running
        };
        if is_running {
            self.deps.sandboxes.close(&sandbox).await;
            return Err(already_running(BUSY_RETRY_S));
        }
        actix_web::rt::spawn(follow(self, sandbox, job, stop_handle));
        Ok(())
    }

    /// Publishes the result of a run: its last report, if there is one.
    fn end(&self, outcome: std::io::Result<Option<Task>>) {
        let mut newest = self.newest();
        match outcome {
            Ok(Some(task)) => *newest = Some(task),
            other => {
                log::error!("a demonstration failed: {:?}", other.err());
                if let Some(task) = &mut *newest {
                    task.finish(Err(RunFailure::NotRun));
                }
            }
        }
    }

    /// Creates the job of a run, and the id of its sandbox; `None` when a token cannot be signed, which valid input
    /// never causes.
    pub(super) fn job(&self, task: &str, users: u32, seconds: u32, target: Target) -> Option<(TermId, Job)> {
        let sandbox = sandbox_id()?;
        let mint = |name: &str, role| {
            let user = UserName::parse(name).ok()?;
            self.deps.identity.mint_for_sandbox(&sandbox, &user, role, TOKEN_TTL)
        };
        let job = Job {
            task: task.to_owned(),
            url: self.deps.url.clone(),
            sandbox: sandbox.to_string(),
            admin: mint("demo-admin", Role::Admin)?,
            staff: mint("demo-staff", Role::Staff)?,
            students: (1..=users).map(|n| mint(&format!("demo-{n:05}"), Role::Student)).collect::<Option<_>>()?,
            seconds,
            target,
            plone: self.deps.plone.clone().map(|plone| PloneJob { capacity: hot_seats(users).into(), ..plone }),
        };
        Some((sandbox, job))
    }
}

/// Creates a unique id for a sandbox.
#[must_use]
pub fn sandbox_id() -> Option<TermId> {
    // The last 48 bits of a version 7 UUID are random.
    let random = Uuid::now_v7().simple().to_string();
    TermId::parse(&format!("{SANDBOX_PREFIX}{}", random.get(20..)?)).ok()
}

fn already_running(retry_after_s: u32) -> Problem {
    Problem::rate_limited("Another demonstration is running. Try again when it has ended.", retry_after_s)
}

/// Publishes the progress of a run until it ends, then removes its sandbox, and publishes the result.
async fn follow(demos: Arc<Demos>, sandbox: TermId, job: Job, stop_handle: StopHandle) {
    let (ended, end) = oneshot::channel();
    let watching = demos.clone();
    let watcher = move || {
        // The final report is published only after the sandbox has been removed.
        let last = Mutex::new(None);
        let outcome = run_in_child(&job, &stop_handle, |task| {
            if task.state == State::Running {
                *watching.newest() = Some(task);
            } else {
                *last.lock() = Some(task);
            }
        });
        let last = last.into_inner();
        let _ = ended.send(outcome.map(|()| last));
    };
    let started = std::thread::Builder::new().name("eduhub-demo".to_owned()).spawn(watcher);
    let outcome = match started {
        Ok(_) => share_until_end(&demos, end).await.unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into())),
        Err(error) => Err(error),
    };
    demos.deps.sandboxes.close(&sandbox).await;
    demos.end(outcome);
    demos.share_newest().await;
}

/// Stores the progress of a run for the other hubs until the run ends, and returns its result.
async fn share_until_end<T>(demos: &Demos, mut end: oneshot::Receiver<T>) -> Result<T, RecvError> {
    let mut ticks = interval(SHARING_PAUSE);
    loop {
        tokio::select! {
            ended = &mut end => return ended,
            _ = ticks.tick() => demos.share_newest().await,
        }
    }
}
