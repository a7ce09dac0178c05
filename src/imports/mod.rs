//! Imports schedules, one-off events, facts about students and enrollments. Imports run one at a time on their own
//! thread, at a lower priority than the threads that serve requests. At most [`QUEUE_MAX`] imports wait in a queue.
//!
//! - [`csv`]: reads files; [`schedule`]: the port that it implements; `spreadsheet`: turns workbooks into rows
//! - `run`: the steps of an import; `scope`: what limited staff may import; `compare`, `roster`: what an import changes;
//!   `affected`: what it did to students; `finding_kind`, `finding_parts`, `roster_finding`: what it can find;
//!   `findings`: collects the findings; [`task`]: an import that has not ended; `recovery`: ends interrupted imports;
//!   [`shared`]: imports of one hub at the others; [`profiles`]: built-in and saved mappings of columns
//!
//! A task is stored before its id is returned. If the hub stops during an import, its task is `failed` after the next
//! start, or `done` if it had been applied. Staged sections become visible by one command, or are discarded.

mod affected;
mod compare;
pub mod csv;
mod finding_kind;
mod finding_parts;
mod findings;
pub mod profiles;
mod recovery;
mod roster;
mod roster_finding;
#[cfg(test)]
mod round_trip_tests;
mod run;
pub mod schedule;
mod scope;
pub mod shared;
mod spreadsheet;
pub mod task;

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use uuid::Uuid;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::domain::ids::{TaskId, TermId, UserName};
use crate::domain::import::{Phase, TaskReport, TaskState};
use crate::domain::import_profile::ProfileChoice;
use crate::domain::realm::Realm;
use crate::domain::rights::Subjects;
use crate::imports::profiles::{ProfileError, Profiles};
use crate::imports::schedule::{ClockOption, ProfileOptions, ScheduleReader};
use crate::private_files;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::student_facts::StudentFactsWriter;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::import_profiles::ProfileStore;
use crate::store::imports::{ImportStore, StoredTask};
use crate::store::shared_tasks::SharedTasks;
use crate::store::students::StudentStore;

use task::{Live, Unstored};

/// The maximum number of queued imports, besides the running one. Each keeps its upload on disk.
pub const QUEUE_MAX: usize = 4;
/// The maximum number of uploads on disk: those of queued and running imports, and a few that are being received.
pub const UPLOADS_MAX: usize = QUEUE_MAX + 4;
/// The last line that can be the header. The lines above it are held in memory: of a schedule, only their beginnings.
pub const HEADER_LINE_MAX: u64 = 1_000;
/// The `nice` value of the import thread, relative to the rest of the hub.
const NICENESS: i32 = 10;
/// The end of the file name of a list of errors, after the task's id.
const ERRORS_SUFFIX: &str = ".errors.csv";
/// The pause between two attempts to store the results that the store did not accept.
const UNSTORED_PAUSE: Duration = Duration::from_secs(1);
/// Prefix of the names of upload folders.
const UPLOAD_PREFIX: &str = "upload-";

/// The dependencies of imports.
#[derive(Clone)]
pub struct ImportDeps {
    /// Reads files.
    pub reader: Arc<dyn ScheduleReader>,
    /// Stores tasks, staged sections and events.
    pub store: Arc<dyn ImportStore>,
    /// Stores profiles.
    pub profiles: Arc<dyn ProfileStore>,
    /// Registrars, which apply staged sections.
    pub pool: Arc<RegistrarPool>,
    /// Published terms, to which files are compared.
    pub model: Arc<ReadModel>,
    /// Carries progress messages.
    pub bus: Arc<dyn Bus>,
    /// Clock for timestamps and registration windows.
    pub clock: Arc<dyn Clock>,
    /// Folder of uploads and lists of errors, beside the store.
    pub folder: PathBuf,
    /// The college's time zone.
    pub zone: TimeZone,
    /// Changes facts about students.
    pub facts: Arc<StudentFactsWriter>,
    /// Facts about students, to which files are compared.
    pub students: Arc<dyn StudentStore>,
}

/// What a file contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileKind {
    /// A schedule, or one-off events.
    #[default]
    Schedule,
    /// Facts about students. A OneRoster bundle also has their enrollments.
    Students,
}

/// How to import an upload.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What the file contains.
    pub kind: FileKind,
    /// For facts about students, the audit entry that is stored with the change.
    pub audit: Option<AuditEntry>,
    /// The subjects to which the caller is limited. A file with other sections is rejected.
    pub subjects: Option<Subjects>,
    /// The realm of the caller. A file for a term outside of it is rejected.
    pub realm: Realm,
    /// The term to import into; `None` if the file's `term` column names it.
    pub term: Option<TermId>,
    /// Additional column names: the name in the header, and the column that it stands for.
    pub map: Vec<(String, String)>,
    /// Which saved mapping of columns to use besides `map`, which takes precedence.
    pub profile: ProfileChoice,
    /// The sheet of a workbook; `None` to find it.
    pub sheet: Option<String>,
    /// The line of the header; `None` to find it.
    pub header_line: Option<u64>,
    /// How the file writes times of day; `None` to decide it from the file.
    pub clock: Option<ClockOption>,
    /// Whether to check the file without changing anything.
    pub dry_run: bool,
    /// Whether to import the valid rows although others are rejected.
    pub partial: bool,
    /// Whether to apply the file's totals even while the term is open.
    pub totals: bool,
}

/// An uploaded file. Its folder is deleted when it is dropped.
#[derive(Debug)]
pub struct Upload {
    folder: TempDir,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    /// Creates the file to which the upload is written.
    pub fn create_file(&self) -> io::Result<File> {
        private_files::options().write(true).create(true).truncate(true).open(self.path())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("upload.csv")
    }
}

/// Why an import was not accepted, or imports could not start.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The queue is full.
    #[error("too many imports are queued")]
    Overloaded,
    /// The upload is empty.
    #[error("the upload is empty")]
    Empty,
    /// The map of column names is invalid.
    #[error("{0}")]
    Map(String),
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A queued import.
struct Job {
    live: Arc<Live>,
    upload: Upload,
    options: ImportOptions,
    /// The profiles as of the submission.
    profiles: ProfileOptions,
}

struct Inner {
    deps: ImportDeps,
    profiles: Profiles,
    live: Mutex<HashMap<TaskId, Arc<Live>>>,
    unstored: Unstored,
    uploads: Arc<Semaphore>,
    stopping: AtomicBool,
    /// The store through which other hubs see the imports; empty for the embedded store.
    shared: OnceLock<Arc<dyn SharedTasks>>,
    /// Numbers of imports by how they ended: done, failed, cancelled.
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

/// The import queue and its thread. Stopping or dropping it stops the running import, which then changes nothing unless
/// it is being applied.
pub struct Imports {
    inner: Arc<Inner>,
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Option<JoinHandle<()>>,
    /// Closed once the thread has ended.
    ended: watch::Receiver<()>,
}

impl Imports {
    /// Creates the folder, removes files that an earlier process left there, ends the tasks that it left running, and
    /// starts the import thread.
    ///
    /// # Errors
    /// When the folder cannot be written, or the store fails.
    pub async fn start(deps: ImportDeps) -> Result<Self, ImportError> {
        private_files::create_folder(&deps.folder)?;
        private_files::restrict(&deps.folder);
        for entry in std::fs::read_dir(&deps.folder)? {
            let entry = entry?;
            private_files::restrict(&entry.path());
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UPLOAD_PREFIX) {
                std::fs::remove_dir_all(entry.path())?;
            } else if let Some((task, "errors.csv" | "es.errors.csv")) = name.split_once('.')
                && deps.store.task(task).await?.is_none()
            {
                std::fs::remove_file(entry.path())?;
            }
        }
        recovery::end_interrupted(&deps).await?;
        let profiles = Profiles::new(deps.profiles.clone(), deps.reader.clone());
        let inner = Arc::new(Inner {
            deps,
            profiles,
            live: Mutex::new(HashMap::new()),
            unstored: Unstored::default(),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            stopping: AtomicBool::new(false),
            shared: OnceLock::new(),
            finished: Default::default(),
        });
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let thread_inner = inner.clone();
        let (alive, ended) = watch::channel(());
        let thread = std::thread::Builder::new().name("eduhub-import".to_owned()).spawn(move || {
            run_jobs(&thread_inner, &jobs);
            drop(alive);
        })?;
        Ok(Self { inner, queue: Mutex::new(Some(queue)), thread: Some(thread), ended })
    }

    /// Stops accepting imports, and stops the running one, which then changes nothing unless it is being applied.
    /// Returns when the results of all imports are stored.
    pub async fn stop(&self) {
        self.close();
        // Nothing is ever sent: the wait ends when the thread does, even by a panic.
        while self.ended.clone().changed().await.is_ok() {}
    }

    fn close(&self) {
        self.inner.stopping.store(true, Ordering::Release);
        drop(self.queue().take());
    }

    fn queue(&self) -> MutexGuard<'_, Option<SyncSender<Job>>> {
        self.queue.lock()
    }

    /// Returns whether no import is queued or running. The result of each has then been stored, unless the store
    /// failed.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inner.live().is_empty()
    }

    /// Returns the number of queued and running imports.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.inner.live().len()
    }

    /// Returns whether an import is being applied: it can no longer be cancelled.
    #[must_use]
    pub fn is_applying(&self) -> bool {
        self.inner.live().values().any(|live| live.report().phase == Phase::Applying)
    }

    /// Returns the numbers of imports that have ended since the start, by state.
    #[must_use]
    pub fn finished(&self) -> [(&'static str, u64); 3] {
        let counts = self.inner.finished.each_ref().map(|count| count.load(Ordering::Relaxed));
        [
            (TaskState::Done.as_str(), counts[0]),
            (TaskState::Failed.as_str(), counts[1]),
            (TaskState::Cancelled.as_str(), counts[2]),
        ]
    }

    /// Checks a map of column names.
    ///
    /// # Errors
    /// When a column does not exist or appears twice. The error is text for the caller.
    pub fn check_map_of(&self, kind: FileKind, map: &[(String, String)]) -> Result<(), String> {
        match kind {
            FileKind::Schedule => self.inner.deps.reader.check_map(map),
            FileKind::Students => csv::students::check_map(map),
        }
    }

    /// Returns the built-in and the saved mappings of columns.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.inner.profiles
    }

    /// Creates the folder of an upload. Blocks on the file system.
    ///
    /// # Errors
    /// [`ImportError::Overloaded`] when there are [`UPLOADS_MAX`] uploads, [`ImportError::Io`] when the folder cannot
    /// be created.
    pub fn upload(&self) -> Result<Upload, ImportError> {
        let permit = self.inner.uploads.clone().try_acquire_owned().map_err(|_| ImportError::Overloaded)?;
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix(UPLOAD_PREFIX).permissions(private_files::folder_permissions());
        let folder = folder.tempdir_in(&self.inner.deps.folder)?;
        Ok(Upload { folder, _permit: permit })
    }

    /// Creates a file without a name beside the store, for a response that is larger than memory. It is deleted when it is
    /// closed. Blocks on the file system.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn temporary_file(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.inner.deps.folder)
    }

    /// Queues a completely received upload, and returns the task's id.
    ///
    /// # Errors
    /// When the upload is empty, the map is invalid, the profile does not exist, the queue is full or closed, or the
    /// store or the file system fails.
    pub async fn submit(&self, upload: Upload, options: ImportOptions, by: &UserName) -> Result<String, ImportError> {
        let deps = &self.inner.deps;
        self.check_map_of(options.kind, &options.map).map_err(ImportError::Map)?;
        let profiles = self.inner.profiles.options(&options.profile).await?;
        let bytes = std::fs::metadata(upload.path())?.len();
        if bytes == 0 {
            return Err(ImportError::Empty);
        }
        let id = TaskId::from(Uuid::now_v7());
        let by = by.as_str().to_owned();
        let mut report = TaskReport::new(id.clone(), options.term.clone(), bytes, by, deps.clock.now());
        (report.dry_run, report.partial) = (options.dry_run, options.partial);
        report.students = (options.kind == FileKind::Students).then_some(0);
        let stored = StoredTask::from(&report);
        let live = Arc::new(Live::new(report));
        {
            let mut all = self.inner.live();
            if all.len() > QUEUE_MAX {
                return Err(ImportError::Overloaded);
            }
            all.insert(id.clone(), live.clone());
        }
        let queued = match deps.store.put_task(stored).await {
            Ok(()) => self.enqueue(Job { live, upload, options, profiles }),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = queued {
            self.inner.live().remove(&id);
            return Err(error);
        }
        Ok(id.to_string())
    }

    fn enqueue(&self, job: Job) -> Result<(), ImportError> {
        // `submit` bounds the number of live tasks, so the queue is never full here.
        let queue = self.queue();
        let Some(queue) = queue.as_ref() else { return Err(ImportError::Overloaded) };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => ImportError::Overloaded,
        })
    }

    /// Returns an import; `None` if there is none with this id, or it was deleted because of its age.
    pub async fn task(&self, id: &str) -> Result<Option<TaskReport>, StoreError> {
        let live = self.inner.live().get(id).cloned();
        let known = live.map(|live| live.report().clone()).or_else(|| self.inner.unstored.get(id));
        match known {
            Some(report) => Ok(Some(report)),
            None => self.inner.deps.store.task(id).await?.as_ref().map(TaskReport::try_from).transpose(),
        }
    }

    /// Cancels an import unless it is being applied or has ended, and returns its current state; `None` if there is
    /// none with this id.
    pub async fn cancel(&self, id: &str) -> Result<Option<TaskReport>, StoreError> {
        let live = self.inner.live().get(id).cloned();
        match live {
            Some(live) => {
                live.cancel(self.inner.deps.clock.now());
            }
            None => self.cancel_elsewhere(id).await?,
        }
        self.task(id).await
    }

    /// Cancels the queued and running imports into a term, unless they are being applied. Returns whether no import into
    /// the term is queued or running.
    #[must_use]
    pub fn cancel_in(&self, term: &TermId) -> bool {
        let all: Vec<_> = self.inner.live().values().cloned().collect();
        let of_term: Vec<_> = all.into_iter().filter(|live| live.report().term.as_ref() == Some(term)).collect();
        for live in &of_term {
            live.cancel(self.inner.deps.clock.now());
        }
        of_term.is_empty()
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

fn run_jobs(inner: &Inner, jobs: &Receiver<Job>) {
    // Linux applies `nice` to the calling thread only.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::warn!("imports run at the hub's own priority because it cannot be lowered: {error}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("imports cannot run: {error}");
            return;
        }
    };
    loop {
        let is_stored = inner.unstored.is_empty();
        let job = if is_stored { jobs.recv().map_err(Into::into) } else { jobs.recv_timeout(UNSTORED_PAUSE) };
        match job {
            Ok(job) => {
                run::run(inner, &runtime, &job);
                let id = job.live.report().task.clone();
                inner.live().remove(&id);
            }
            Err(RecvTimeoutError::Timeout) => store_unstored(inner, &runtime),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Stores the results that the store did not accept before.
fn store_unstored(inner: &Inner, runtime: &Runtime) {
    for report in inner.unstored.all() {
        if runtime.block_on(inner.deps.store.put_task(StoredTask::from(&report))).is_ok() {
            log::info!("the result of import {} is stored now", report.task);
            inner.unstored.forget(&report.task);
        }
    }
}
