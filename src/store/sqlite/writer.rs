//! The writer thread, the only one that writes to the database. It takes the waiting jobs, runs each in a savepoint of
//! one transaction, commits once, and only then completes the jobs (group commit). With SQLite's `synchronous=FULL` the
//! commit is one fsync.
//!
//! A job decides nothing about a term: the record of a batch is complete when it is submitted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::gauge::StoreGauge;
use crate::store::sqlite::content::WriteConnection;
use crate::store::sqlite::last_commit::LastCommit;
use crate::store::sqlite::open::{OpenError, connect};

/// Capacity of the queue. A registrar has at most one batch in it, so most of the capacity is for sign-ins, alerts and
/// audit entries.
const JOBS_MAX: usize = 4_096;
/// Maximum number of jobs in one transaction. It bounds how long the first job waits for the last.
const JOBS_PER_COMMIT_MAX: usize = 512;
/// The pause between two attempts to open the database again after a failed commit.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// A piece of work and its caller.
pub(super) trait Job: Send {
    /// Does the work in a savepoint. When it returns an error, the savepoint is rolled back.
    fn run(&mut self, tx: &Connection) -> rusqlite::Result<()>;
    /// Completes the caller's future, after the commit or its failure.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct FnJob<T, F> {
    work: Option<F>,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Job for FnJob<T, F> {
    fn run(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(tx)?);
        }
        Ok(())
    }
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let reply = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(StoreError::Refused("the job did not run".to_owned())),
            (Err(error), _) => Err(error),
        };
        // The caller may be gone. The write is still committed.
        let _ = self.caller.send(reply);
    }
}

/// The receiver of a job's value, which is sent after the commit.
pub(super) type JobReply<T> = oneshot::Receiver<Result<T, StoreError>>;

/// Creates a job from a closure, and returns it with the receiver of its value.
pub(super) fn job<T, F>(work: F) -> (Box<dyn Job>, JobReply<T>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let (caller, reply) = oneshot::channel();
    (Box::new(FnJob { work: Some(work), value: None, caller }), reply)
}

/// The handle of the writer thread.
pub(super) struct Writer {
    jobs: RwLock<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    gauge: Arc<StoreGauge>,
}

impl Writer {
    pub(super) fn start(connection: WriteConnection, path: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let mut last_commit = LastCommit::open(path).map_err(io)?;
        last_commit.record(connection.position()).map_err(io)?;
        let (jobs, queue) = sync_channel(JOBS_MAX);
        let gauge = Arc::new(StoreGauge::default());
        let mut writer =
            WriterThread { connection: Some(connection), path: path.to_owned(), last_commit, gauge: gauge.clone() };
        let thread = std::thread::Builder::new()
            .name("eduhub-writer".to_owned())
            .spawn(move || writer.serve(&queue))
            .map_err(io)?;
        Ok(Self { jobs: RwLock::new(Some(jobs)), thread: Mutex::new(Some(thread)), gauge })
    }

    pub(super) fn gauge(&self) -> Arc<StoreGauge> {
        self.gauge.clone()
    }

    /// Queues a job without waiting.
    ///
    /// # Errors
    /// When the queue is full, or the database is unavailable. The job is dropped.
    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        if self.gauge.recovering.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("it is recovering from a failed commit".to_owned()));
        }
        let jobs = self.jobs.read();
        let Some(jobs) = &*jobs else { return Err(StoreError::Unavailable("it is being closed".to_owned())) };
        self.gauge.queued.fetch_add(1, Ordering::Relaxed);
        jobs.try_send(job).map_err(|error| {
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Unavailable("the writer ended".to_owned()),
            }
        })
    }

    /// Waits until the thread has finished every accepted job and closed its connection. Returns false when it was
    /// closed before.
    pub(super) fn close(&self) -> bool {
        drop(self.jobs.write().take());
        let Some(thread) = self.thread.lock().take() else { return false };
        if thread.join().is_err() {
            log::error!("the writer thread panicked");
        }
        true
    }
}

/// The state of the writer thread.
struct WriterThread {
    connection: Option<WriteConnection>,
    path: PathBuf,
    last_commit: LastCommit,
    gauge: Arc<StoreGauge>,
}

impl WriterThread {
    /// Runs jobs until every handle is dropped and the queue is empty.
    fn serve(&mut self, queue: &Receiver<Box<dyn Job>>) {
        loop {
            let first = if self.connection.is_some() {
                match queue.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            } else {
                match queue.recv_timeout(RECOVERY_PAUSE) {
                    Ok(job) => {
                        self.finish(vec![(job, Err(unusable()))]);
                        continue;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        self.recover();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            };
            let mut jobs = vec![first];
            while jobs.len() < JOBS_PER_COMMIT_MAX
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            self.commit(jobs);
        }
    }

    /// Runs all of `jobs` in one transaction.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let started = Instant::now();
        let Some(connection) = self.connection.take() else {
            self.finish(jobs.into_iter().map(|job| (job, Err(unusable()))).collect());
            return;
        };
        let outcome = connection.begin().and_then(|()| {
            let results =
                jobs.iter_mut().map(|job| in_savepoint(&connection, job.as_mut())).collect::<Result<Vec<_>, _>>()?;
            connection.commit()?;
            Ok(results)
        });
        match outcome {
            Ok(results) => {
                // Before the replies, so that every acknowledged commit is recorded.
                if let Err(error) = self.last_commit.record(connection.position()) {
                    log::warn!("the last commit could not be recorded beside the store: {error}");
                }
                self.connection = Some(connection);
                self.gauge.commits.fetch_add(1, Ordering::Relaxed);
                let took = started.elapsed();
                self.gauge.commit_took.record(took);
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.gauge.commit_us_total.fetch_add(us, Ordering::Relaxed);
                self.gauge.last_commit_us.store(us, Ordering::Relaxed);
                self.finish(jobs.into_iter().zip(results).collect());
            }
            Err(error) => {
                // After a failed fsync the page cache may contain data that is not on the disk. Nothing is read before
                // the file is opened again and its write-ahead log is checkpointed.
                log::error!("a commit failed; the store will be reopened: {error}");
                self.gauge.failures.fetch_add(1, Ordering::Relaxed);
                self.gauge.recovering.store(true, Ordering::Release);
                drop(connection);
                let failed = StoreError::CommitFailed(error.to_string());
                self.finish(jobs.into_iter().map(|job| (job, Err(failed.clone()))).collect());
                self.recover();
            }
        }
    }

    /// Completes jobs with their outcomes.
    fn finish(&self, finished: Vec<(Box<dyn Job>, Result<(), StoreError>)>) {
        for (job, outcome) in finished {
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
            job.finish(outcome);
        }
    }

    /// Tries to open the database again and to checkpoint its write-ahead log.
    fn recover(&mut self) {
        let opened = connect(&self.path).map_err(|e| e.to_string()).and_then(|connection| {
            // The pragma returns one row: (busy, pages in the log, pages written back).
            let busy: i64 = connection
                .connection()
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .map_err(|e| e.to_string())?;
            if busy == 0 { Ok(connection) } else { Err("readers block the checkpoint".to_owned()) }
        });
        match opened {
            Ok(connection) => {
                log::warn!("the store is available again");
                self.connection = Some(connection);
                self.gauge.recovering.store(false, Ordering::Release);
            }
            Err(error) => log::error!("the store is still unavailable: {error}"),
        }
    }
}

fn unusable() -> StoreError {
    StoreError::Unavailable("it is recovering from a failed commit".to_owned())
}

/// Runs one job in a savepoint, so that its failure rolls back only its own writes. The outer error means that the
/// whole transaction is lost: a full disk may roll back more than a savepoint.
fn in_savepoint(connection: &WriteConnection, job: &mut dyn Job) -> rusqlite::Result<Result<(), StoreError>> {
    let outcome = connection.in_savepoint(|tx| match catch_unwind(AssertUnwindSafe(|| job.run(tx))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_fatal(&error) => Err(JobError::Fatal(error)),
        Ok(Err(error)) => Err(JobError::Rejected(error.to_string())),
        Err(_) => Err(JobError::Rejected("the job panicked".to_owned())),
    });
    match outcome? {
        Ok(()) => Ok(Ok(())),
        Err(JobError::Fatal(error)) => Err(error),
        Err(JobError::Rejected(rejected)) => {
            log::error!("the store rejected a write: {rejected}");
            Ok(Err(StoreError::Refused(rejected)))
        }
    }
}

/// Why a job failed.
enum JobError {
    /// The whole transaction is lost.
    Fatal(rusqlite::Error),
    /// Only the job's own writes are undone.
    Rejected(String),
}

/// Returns whether an error concerns the database or the disk, and not the data of one write.
fn is_fatal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
        )
    )
}
