//! The embedded store: one SQLite file, one writer thread with group commit, a few reading connections.
//!
//! - [`open`]: the connections and the migrations; [`lock`]: the exclusive lock; [`files`]: the files of a store
//! - [`writer`]: the only thread that writes; [`readers`]: connections that only read
//! - [`content`]: the checksum of the content, which every commit stores; [`last_commit`], [`seal`]: the last commit in
//!   a file beside the store, and the checksum at the end of its file; [`log_scan`], [`damage`]: find damage;
//!   [`decode`]: reads every row
//! - [`terms`]: loads terms and writes the records of batches; [`rows`]: converts between rows and the domain's values
//! - [`copy`], [`mod@verify`]: backup, restore and verification of a whole store; [`seed`]: fills an empty one
//! - [`attempts`]: the chain of attempts; [`attempt_check`], [`attempt_export`]: verify and export it
//! - [`students`]: what the college states about students
//! - [`rosters`]: the students in a section; [`plans`]: the sections that students plan
//! - [`accounts`]: local accounts, known users, revoked tokens; [`audit`]: the audit trail; [`members`]: users who
//!   signed in through Plone; [`provider_sign_ins`]: users of single sign-on and their sign-ins
//! - [`guardian_links`], [`schedule_feeds`]: links to schedules, and feeds of them; [`sign_ins`]: sign-ins, and second
//!   factors of local accounts
//! - [`imports`]: staged sections and import tasks; [`import_profiles`]: saved mappings of columns; [`events`]: one-off
//!   events
//! - [`alerts`], [`alert_log`]: write and read the sequence of alerts; [`public_alerts`]: alerts to everyone, for other
//!   systems; [`acks`]: acknowledgements; [`cap_messages`]: messages of CAP
//! - [`outbox`], [`plone_items`]: what still has to be written to Plone, and what Plone last contained; [`marks`]:
//!   marks changed sections for the outbox; [`imported`]: marks imported sections, in several commits
//! - [`sandbox`]: removes the terms of demonstrations; [`demo_reports`]: shared reports of them
//! - [`privacy`]: what is stored about one person: its export, and its erasure; [`rights`]: roles, and subjects to
//!   which staff are limited
//! - [`lease`]: jobs that run at one hub, which is always this one; [`transfer`]: sends the rows to PostgreSQL
//!
//! All writes go through [`SqliteStore::write`], all reads through [`SqliteStore::read`].

mod accounts;
mod acks;
mod alert_log;
pub(crate) mod alerts;
mod attempt_check;
mod attempt_export;
mod attempts;
mod audit;
mod cap_messages;
mod content;
mod copy;
mod damage;
mod decode;
mod demo_reports;
mod events;
mod files;
mod guardian_links;
mod import_profiles;
mod imported;
mod imports;
mod last_commit;
mod lease;
mod lock;
mod log_scan;
mod marks;
mod members;
mod open;
mod outbox;
mod plans;
mod plone_items;
mod privacy;
mod provider_sign_ins;
mod public_alerts;
mod readers;
mod rights;
mod rosters;
mod rows;
mod sandbox;
mod schedule_feeds;
mod seal;
mod seed;
mod sign_ins;
mod students;
mod terms;
mod transfer;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::gauge::StoreGauge;
use crate::store::shared_facts::SharedFacts;
use crate::store::terms::Lineage;
use crate::store::{StoreError, StoreFuture};

pub use accounts::accounts_of;
pub use attempt_export::export_attempts;
pub use copy::{CopyError, backup, restore};
pub use lock::StoreLock;
pub use open::OpenError;
pub use transfer::transfer_source;
pub use verify::{accept, verify};

/// Settings of the embedded store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file.
    pub path: PathBuf,
    /// If set, changes to sections are marked for Plone. The time is that of the marks that [`SqliteStore::open`]
    /// itself writes.
    pub outbox: Option<Timestamp>,
}

/// The embedded store. Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    readers: readers::Readers,
    writer: writer::Writer,
    options: SqliteOptions,
    shared_facts: Arc<SharedFacts>,
    /// New at each start. No other hub has to have the same number, because no other process can write to the store
    /// while this one has it.
    lineage: Lineage,
    // Released last.
    lock: StoreLock,
}

impl Inner {
    fn close(&self) {
        // The writer's connection is closed last, because only it writes the log back into the store.
        self.readers.close();
        if !self.writer.close() {
            return;
        }
        let path = self.lock.store();
        // If there is still a log, it has commits that are not in the store yet, or another process is reading.
        let sealed = files::has_log(path).and_then(|has_log| if has_log { Ok(()) } else { seal::put(path) });
        if let Err(error) = sealed {
            log::warn!("the store {} is closed without a seal: {error}", path.display());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl SqliteStore {
    /// Opens the store, and creates the file if there is none.
    ///
    /// # Errors
    /// When another process has the store's lock, when the store is damaged, or when the file cannot be opened or
    /// migrated.
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let lock = StoreLock::take(&options.path)?;
        let path = lock.store();
        open::create_if_absent(path)?;
        files::restrict(path);
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        if damage::refuse(path)? {
            // The note may be that of a newer store, in whose place an operator put this copy.
            last_commit::forget(path).map_err(io)?;
        }
        seal::remove(path).map_err(io)?;
        let connection = open::connect(path)?;
        let prepare = |tx: &Connection| {
            sandbox::remove_all(tx)?;
            attempts::forget_students(tx)?;
            marks::prepare(tx, options.outbox)
        };
        connection.transaction(prepare).map_err(|error| OpenError::Sqlite { path: path.to_owned(), error })?;
        let writer = writer::Writer::start(connection, path)?;
        let readers = readers::Readers::new(path.to_owned());
        let readers = readers.map_err(io)?;
        let lineage = Lineage::random();
        Ok(Self { inner: Arc::new(Inner { readers, writer, options, shared_facts: Arc::default(), lineage, lock }) })
    }

    /// Finishes the accepted writes, writes the log back into the store and seals it. Later reads and writes fail.
    /// Dropping the last clone does the same.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Returns the path of the database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Returns the lock that this process holds on the store.
    #[must_use]
    pub fn lock(&self) -> &StoreLock {
        &self.inner.lock
    }

    /// Returns the counters of the writer.
    #[must_use]
    pub fn gauge(&self) -> Arc<StoreGauge> {
        self.inner.writer.gauge()
    }

    /// Runs `work` on the writer thread, inside a savepoint of the next commit. The future resolves after that commit.
    /// An error of `work` rolls back only its own writes.
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

    /// Runs `work` on a connection that only reads, on a blocking thread. It sees what is committed.
    pub fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inner.readers.read(work)
    }
}
