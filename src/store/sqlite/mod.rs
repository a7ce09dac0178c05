//! The embedded store: one SQLite file, one writer thread with group commit, a few reading connections.
//!
//! - [`open`]: the file and its migrations; [`lock`]: one process at a time; [`files`]: what lies beside the store
//! - [`writer`]: the one thread that writes; [`terms`] (with [`rows`]): loads terms, and writes the records of batches
//! - [`readers`]: connections that only read
//! - [`copy`], [`verify`], [`seed`]: what the command line does to a whole store
//! - [`plans`]: what students plan; [`members`]: who signed in by Plone
//! - [`accounts`], [`audit`]: who may sign in, who was seen, what was done
//! - [`imports`]: staged sections and import tasks; [`events`]: one-off events
//! - [`alerts`], [`alert_log`]: the one sequence of alerts, written and read; [`acks`]: who has seen them
//! - [`marks`], [`outbox`], [`plone_items`]: what is still to be written to Plone, and what Plone last had; [`imported`]: what
//!   imports changed goes into the outbox bit by bit
//! - [`sandbox`]: what a demonstration made is removed
//! - [`rosters`]: who is in a section
//!
//! Everything that writes goes through [`SqliteStore::write`], everything that reads through [`SqliteStore::read`].

mod accounts;
mod acks;
mod alert_log;
pub(crate) mod alerts;
mod audit;
mod copy;
mod events;
mod files;
mod imported;
mod imports;
mod lock;
mod marks;
mod members;
mod open;
mod outbox;
mod plans;
mod plone_items;
mod readers;
mod rosters;
mod rows;
mod sandbox;
mod seed;
mod terms;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::gauge::StoreGauge;
use crate::store::{StoreError, StoreFuture};

pub use accounts::accounts_of;
pub use copy::{CopyError, backup, restore};
pub use lock::StoreLock;
pub use open::OpenError;
pub use verify::{Verification, verify};

/// Settings of the embedded store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file.
    pub path: PathBuf,
    /// Present when changes of sections are to reach Plone: every change is marked. The time is that of the marks that
    /// the opening itself makes.
    pub outbox: Option<Timestamp>,
}

/// The embedded store. Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped first: the writer thread ends, and its connection closes, before the lock is given back.
    writer: writer::Writer,
    readers: readers::Readers,
    options: SqliteOptions,
    lock: StoreLock,
}

impl SqliteStore {
    /// Opens the store, making the file when there is none. Takes the exclusive lock first, and refuses when another
    /// process has it.
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let lock = StoreLock::take(&options.path)?;
        let path = lock.store();
        open::create_if_absent(path)?;
        let mut connection = open::connect(path)?;
        sandbox::forget_all(&mut connection)
            .and_then(|()| marks::begin(&mut connection, options.outbox))
            .map_err(|error| OpenError::Sqlite { path: path.to_owned(), error })?;
        let writer = writer::Writer::start(connection, path.to_owned())?;
        let readers = readers::Readers::new(path.to_owned());
        Ok(Self { inner: Arc::new(Inner { writer, readers, options, lock }) })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// The lock that this process holds on it.
    #[must_use]
    pub fn lock(&self) -> &StoreLock {
        &self.inner.lock
    }

    /// What is to be read of the writer: its queue, its health.
    #[must_use]
    pub fn gauge(&self) -> Arc<StoreGauge> {
        self.inner.writer.gauge()
    }

    /// Runs `work` on the writer thread, inside a savepoint of the next commit. The future resolves after that commit.
    /// An error of `work` takes back what it wrote, and nobody else's.
    pub fn write<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (job, reply) = writer::job(work);
        if let Err(error) = self.inner.writer.submit(job) {
            return futures_util::future::ready(Err(error)).boxed();
        }
        async move { reply.await.unwrap_or_else(|_| Err(StoreError::CommitFailed("the writer ended".to_owned()))) }
            .boxed()
    }

    /// Runs `work` on a connection that only reads, on a blocking thread, against what is committed.
    pub fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inner.readers.read(work)
    }
}
