//! Imports of schedules: one at a time on a thread of its own, at a lower priority than the threads that serve requests;
//! a few more wait in a queue.
//!
//! - [`csv`]: reads files; [`schedule`]: the port that it implements
//! - `run`: the steps of one import; `compare`: what it changes; [`task`]: an import that has not ended
//!
//! Guarantees: a task is in the store before its caller gets its id, so that a task which the hub's end interrupted is
//! `failed` after the next start, or `done` if the term shows that it was applied. What is staged becomes visible by one
//! command to the registrar, or is discarded: at once, or before the next import of that term.

mod compare;
pub mod csv;
mod run;
pub mod schedule;
pub mod task;

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::domain::ids::{TaskId, TermId, UserName};
use crate::domain::import::{Phase, TaskReport, TaskState};
use crate::domain::realm::Realm;
use crate::imports::schedule::ScheduleReader;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::imports::{ImportStore, KeptTask};

use task::Live;

/// The most imports that wait behind the one under way; each holds an upload on the disk.
pub const QUEUE_MAX: usize = 4;
/// The most uploads on the disk at once: those of imports that wait or run, and a few that are being received.
pub const UPLOADS_MAX: usize = QUEUE_MAX + 4;
/// The `nice` value of the thread, relative to the rest of the hub.
const NICENESS: i32 = 10;
/// The file name of a list of errors after its task's id.
const ERRORS_SUFFIX: &str = ".errors.csv";
/// The message of a task that the hub's end interrupted: before it was applied, after, or meanwhile.
const INTERRUPTED: &str = "The hub ended while the import was under way. Nothing was changed.";
const APPLIED_AS_IT_ENDED: &str = "It was applied whole. The hub ended before it could say so.";
const EVENTS_IN_DOUBT: &str =
    "The hub ended while the events were taken: all of them were, or none. The same file can be imported again.";
/// The beginning of the names of uploads' folders.
const UPLOAD_PREFIX: &str = "upload-";

/// What imports depend on.
#[derive(Clone)]
pub struct ImportDeps {
    /// Reads files.
    pub reader: Arc<dyn ScheduleReader>,
    /// Stores tasks, staged sections and events.
    pub store: Arc<dyn ImportStore>,
    /// Applies staged sections.
    pub pool: Arc<RegistrarPool>,
    /// The published terms that files are compared with.
    pub model: Arc<ReadModel>,
    /// Carries the progress.
    pub bus: Arc<dyn Bus>,
    /// Clock of tasks and comparisons.
    pub clock: Arc<dyn Clock>,
    /// The folder of uploads and lists of errors, beside the store.
    pub folder: PathBuf,
    /// The college's time zone.
    pub zone: TimeZone,
}

/// How to import an upload.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The realm of the caller: a file that names a term outside of it is refused.
    pub realm: Realm,
    /// The term that everything goes into; without it the file's `term` column says.
    pub term: Option<TermId>,
    /// Further names of columns.
    pub map: Vec<(String, String)>,
    /// Whether to change nothing.
    pub dry_run: bool,
    /// Whether to go on without the rows that are refused.
    pub partial: bool,
    /// Whether to use the file's totals while the term is open.
    pub totals: bool,
}

/// An upload that is being received. Its folder is removed when it is dropped.
#[derive(Debug)]
pub struct Upload {
    folder: TempDir,
    _place: OwnedSemaphorePermit,
}

impl Upload {
    /// Creates the file to write it to.
    pub fn create_file(&self) -> io::Result<File> {
        File::create(self.path())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("upload.csv")
    }
}

/// Why an import was not accepted, or imports could not start.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The queue is full.
    #[error("other imports wait already")]
    Overloaded,
    /// The upload is empty.
    #[error("the upload is empty")]
    Empty,
    /// A map names columns that do not exist.
    #[error("{0}")]
    Map(String),
    /// The store did not accept the task.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An import to run.
struct Job {
    live: Arc<Live>,
    upload: Upload,
    options: ImportOptions,
}

struct Inner {
    deps: ImportDeps,
    live: Mutex<HashMap<TaskId, Arc<Live>>>,
    uploads: Arc<Semaphore>,
    stopping: AtomicBool,
    /// The numbers of imports that ended: done, failed, cancelled.
    finished: [AtomicU64; 3],
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Live>>> {
        self.live.lock()
    }

    fn errors_path(&self, task: &str) -> PathBuf {
        self.deps.folder.join(format!("{task}{ERRORS_SUFFIX}"))
    }
}

/// The imports. Stopping or dropping it stops the one under way, which then changes nothing.
pub struct Imports {
    inner: Arc<Inner>,
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Option<JoinHandle<()>>,
    /// Closed once the thread has ended.
    ended: watch::Receiver<()>,
}

impl Imports {
    /// Creates the folder, removes what an earlier process left in it, ends the tasks that it left running, and starts the
    /// thread.
    pub async fn start(deps: ImportDeps) -> Result<Self, ImportError> {
        std::fs::create_dir_all(&deps.folder)?;
        for entry in std::fs::read_dir(&deps.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UPLOAD_PREFIX) {
                std::fs::remove_dir_all(entry.path())?;
            } else if let Some(task) = name.strip_suffix(ERRORS_SUFFIX)
                && deps.store.task(task).await?.is_none()
            {
                std::fs::remove_file(entry.path())?;
            }
        }
        recover(&deps).await?;
        let inner = Arc::new(Inner {
            deps,
            live: Mutex::new(HashMap::new()),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            stopping: AtomicBool::new(false),
            finished: Default::default(),
        });
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let working = inner.clone();
        let (alive, ended) = watch::channel(());
        let thread = std::thread::Builder::new().name("eduhub-import".to_owned()).spawn(move || {
            serve(&working, &jobs);
            drop(alive);
        })?;
        Ok(Self { inner, queue: Mutex::new(Some(queue)), thread: Some(thread), ended })
    }

    /// Accepts no more imports, and stops the one under way, which then changes nothing unless it is becoming visible.
    /// Returns when the result of each is stored.
    pub async fn stop(&self) {
        self.close();
        // Nothing is ever sent: this waits for the end of the thread, even by a panic.
        while self.ended.clone().changed().await.is_ok() {}
    }

    fn close(&self) {
        self.inner.stopping.store(true, Ordering::Release);
        drop(self.queue().take());
    }

    fn queue(&self) -> MutexGuard<'_, Option<SyncSender<Job>>> {
        self.queue.lock()
    }

    /// Returns whether no import waits or is under way, and the result of each was stored, or could not be.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.live().is_empty()
    }

    /// Returns the number of imports that wait or are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.inner.live().len()
    }

    /// Returns whether an import is becoming visible: it can no longer be cancelled and is not done yet.
    #[must_use]
    pub fn is_applying(&self) -> bool {
        self.inner.live().values().any(|live| live.report().phase == Phase::Applying)
    }

    /// Returns the numbers of imports that ended since the start, by state.
    #[must_use]
    pub fn finished(&self) -> [(&'static str, u64); 3] {
        let counts = self.inner.finished.each_ref().map(|count| count.load(Ordering::Relaxed));
        [
            (TaskState::Done.as_str(), counts[0]),
            (TaskState::Failed.as_str(), counts[1]),
            (TaskState::Cancelled.as_str(), counts[2]),
        ]
    }

    /// Checks that a map names columns that exist.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check_map(&self, map: &[(String, String)]) -> Result<(), String> {
        self.inner.deps.reader.check_map(map)
    }

    /// Creates the folder of an upload. It blocks on the disk.
    pub fn upload(&self) -> Result<Upload, ImportError> {
        let place = self.inner.uploads.clone().try_acquire_owned().map_err(|_| ImportError::Overloaded)?;
        let folder = tempfile::Builder::new().prefix(UPLOAD_PREFIX).tempdir_in(&self.inner.deps.folder)?;
        Ok(Upload { folder, _place: place })
    }

    /// Queues an upload that was received whole, and returns the task's id.
    pub async fn submit(&self, upload: Upload, options: ImportOptions, by: &UserName) -> Result<String, ImportError> {
        let deps = &self.inner.deps;
        deps.reader.check_map(&options.map).map_err(ImportError::Map)?;
        let bytes = std::fs::metadata(upload.path())?.len();
        if bytes == 0 {
            return Err(ImportError::Empty);
        }
        let id = TaskId::from(Uuid::now_v7());
        let by = by.as_str().to_owned();
        let mut report = TaskReport::new(id.clone(), options.term.clone(), bytes, by, deps.clock.now());
        (report.dry_run, report.partial) = (options.dry_run, options.partial);
        let kept = KeptTask::from(&report);
        let live = Arc::new(Live::new(report));
        {
            let mut all = self.inner.live();
            if all.len() > QUEUE_MAX {
                return Err(ImportError::Overloaded);
            }
            all.insert(id.clone(), live.clone());
        }
        let taken = match deps.store.put_task(kept).await {
            Ok(()) => self.hand_over(Job { live, upload, options }),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = taken {
            self.inner.live().remove(&id);
            return Err(error);
        }
        Ok(id.to_string())
    }

    fn hand_over(&self, job: Job) -> Result<(), ImportError> {
        // The live tasks are bounded by the queue's length, so a full queue does not occur.
        let queue = self.queue();
        let Some(queue) = queue.as_ref() else { return Err(ImportError::Overloaded) };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => ImportError::Overloaded,
        })
    }

    /// Returns an import; `None` when there is none of this id, or it was forgotten.
    pub async fn task(&self, id: &str) -> Result<Option<TaskReport>, StoreError> {
        let live = self.inner.live().get(id).cloned();
        match live {
            Some(live) => Ok(Some(live.report().clone())),
            None => self.inner.deps.store.task(id).await?.as_ref().map(TaskReport::try_from).transpose(),
        }
    }

    /// Cancels an import that is not done, and returns its present state; `None` when there is none of this id.
    pub async fn cancel(&self, id: &str) -> Result<Option<TaskReport>, StoreError> {
        let live = self.inner.live().get(id).cloned();
        if let Some(live) = live {
            live.cancel(self.inner.deps.clock.now());
        }
        self.task(id).await
    }

    /// Cancels the imports into a term; returns whether none is left.
    #[must_use]
    pub fn end_in(&self, term: &TermId) -> bool {
        let all: Vec<_> = self.inner.live().values().cloned().collect();
        let of_term: Vec<_> = all.into_iter().filter(|live| live.report().term.as_ref() == Some(term)).collect();
        for live in &of_term {
            live.cancel(self.inner.deps.clock.now());
        }
        of_term.is_empty()
    }

    /// Removes the lists of errors of tasks that the store no longer has.
    pub fn forget_errors(&self, tasks: &[String]) {
        for task in tasks {
            // A task without errors to list has no such file.
            let _ = std::fs::remove_file(self.inner.errors_path(task));
        }
    }

    /// Returns the file with all errors of a task, which must exist; `None` until its file was read.
    #[must_use]
    pub fn errors_file(&self, id: &str) -> Option<PathBuf> {
        // Only an id that the hub made becomes part of a path.
        Uuid::parse_str(id).ok()?;
        Some(self.inner.errors_path(id)).filter(|path: &PathBuf| Path::is_file(path))
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the import thread panicked");
        }
    }
}

/// Ends the tasks that an earlier process left running: they failed, unless the term shows that one was applied.
async fn recover(deps: &ImportDeps) -> Result<(), StoreError> {
    for kept in deps.store.running_tasks().await? {
        let mut report = TaskReport::try_from(&kept).or_else(|error| {
            log::error!("{error}; it is reported as failed");
            let id = TaskId::parse(&kept.id).map_err(|_| error)?;
            Ok::<_, StoreError>(TaskReport::new(id, None, 0, String::new(), kept.started_at))
        })?;
        let applied = match (&report.term, report.applying) {
            (Some(term), Some(generation @ 1..)) => deps.store.generation(term).await? >= generation,
            (_, _) => false,
        };
        let message = match report.applying {
            _ if applied => APPLIED_AS_IT_ENDED,
            Some(0) => EVENTS_IN_DOUBT,
            Some(_) | None => INTERRUPTED,
        };
        report.state = if applied { TaskState::Done } else { TaskState::Failed };
        report.message = Some(message.to_owned());
        (report.phase, report.finished_at, report.applying) = (Phase::Finished, Some(deps.clock.now()), None);
        deps.store.put_task(KeptTask::from(&report)).await?;
    }
    Ok(())
}

fn serve(inner: &Inner, jobs: &Receiver<Job>) {
    // The operating system gives each thread a priority of its own. Where it refuses, imports only compete more.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::warn!("imports run at the hub's own priority: {error}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("imports cannot run: {error}");
            return;
        }
    };
    while let Ok(job) = jobs.recv() {
        run::run(inner, &runtime, &job);
        let id = job.live.report().task.clone();
        inner.live().remove(&id);
    }
}
