//! The store that several hubs share: one PostgreSQL database.
//!
//! - [`connect`]: the pool of connections and TLS; [`migrate`]: the schema; [`thread`]: the thread on which all
//!   operations run
//! - [`transaction`]: reads and writes, and what happens when a connection is lost; [`values`], [`rows`]: parameters
//!   and columns; [`failure`]: errors
//! - [`terms`]: loads terms and runs batches; [`term_rows`], [`term_writes`]: their rows
//! - [`attempts`]: the chain of attempts; [`attempt_history`]: histories
//! - [`students`]: what the college states about students; [`rosters`]: the students in a section; [`plans`]: the
//!   sections that students plan
//! - [`imports`]: staged sections and import tasks; [`events`]: one-off events
//! - [`outbox`], [`plone_items`], [`marks`], [`imported`]: what still has to be written to Plone
//! - [`accounts`]: local accounts, known users, revoked tokens; [`audit`]: the audit trail; [`members`]: users who
//!   signed in through Plone; [`provider_sign_ins`]: users of single sign-on and their sign-ins; [`sign_ins`]:
//!   sign-ins, and second factors of local accounts; [`guardian_links`], [`schedule_feeds`]: links to schedules, and
//!   feeds of them; [`people`]: values about people
//! - [`import_profiles`]: saved mappings of columns
//! - [`alerts`], [`alert_log`]: write and read the sequence of alerts; [`public_alerts`]: alerts to everyone, for other
//!   systems; [`acks`]: acknowledgements; [`cap_messages`]: messages of CAP
//! - [`privacy`], [`erasure`]: what is stored about one person: its export, and its erasure
//! - [`locks`]: advisory locks of a transaction; [`hubs`]: which hubs run; [`shared`]: what they change;
//!   [`shared_tasks`]: their imports and demonstrations; [`revocations`]: the order in which tokens are revoked;
//!   [`lease`]: jobs that run at one hub
//! - [`verify`]: checks of the contents; [`attempt_export`]: the file for an auditor; [`transfer`]: takes over the rows
//!   of an embedded store
//! - [`seed`]: the first contents; [`sandbox`]: removes the terms of demonstrations; [`demo_reports`]:
//!   shared reports of them
//!
//! The tables and columns are those of the embedded store, except for a few that [`transfer`] lists. The column `user`,
//! a reserved word, is `username`; integers are `bigint`, truth values `boolean`, bytes `bytea`, and most UUIDs `uuid`.
//! Text that is compared or sorted has the collation `"C"`, which orders by bytes as SQLite does.
//!
//! All writes go through [`PostgresStore::write`], all reads through [`PostgresStore::read`].

mod accounts;
mod acks;
mod alert_log;
mod alerts;
mod attempt_export;
mod attempt_history;
mod attempts;
mod audit;
mod cap_messages;
mod connect;
mod demo_reports;
mod erasure;
mod events;
mod failure;
mod guardian_links;
mod hubs;
mod import_profiles;
mod imported;
mod imports;
mod lease;
mod locks;
mod marks;
mod members;
mod migrate;
mod outbox;
mod people;
mod plans;
mod plone_items;
mod privacy;
mod provider_sign_ins;
mod public_alerts;
mod revocations;
mod rosters;
mod rows;
mod sandbox;
mod schedule_feeds;
mod seed;
mod shared;
mod shared_tasks;
mod sign_ins;
mod students;
mod term_rows;
mod term_writes;
mod terms;
mod thread;
mod transaction;
mod transfer;
mod values;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use deadpool_postgres::Pool;
use futures_util::{FutureExt, TryFutureExt};
use jiff::Timestamp;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::domain::ids::TermId;
use crate::store::gauge::StoreGauge;
use crate::store::lease::Fence;
use crate::store::shared_facts::SharedFacts;
use crate::store::terms::Lineage;
use crate::store::{StoreError, StoreFuture};

use failure::Failure;
use transaction::{Tx, Work};

/// Number of commits of this hub after which it deletes the ids of old writes. That many rows take a megabyte.
const FORGET_EVERY: u64 = 10_000;

/// Settings of the store.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The database, as `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    /// The database in messages, without the password.
    pub shown: String,
    /// If set, changes to sections are marked for Plone. The time is that of the marks that [`PostgresStore::open`]
    /// itself writes.
    pub outbox: Option<Timestamp>,
}

/// Why the store cannot be opened. The messages are for the person who starts the hub.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not that of a PostgreSQL database.
    #[error("the URL of the store is not valid: {error}")]
    Url {
        /// What is wrong.
        error: tokio_postgres::Error,
    },
    /// The server cannot be reached.
    #[error(
        "cannot connect to the {database}: {error}. Check that PostgreSQL runs, and the host and port in [store] url"
    )]
    Unreachable {
        /// The database.
        database: String,
        /// The cause.
        error: String,
    },
    /// The server refuses the user.
    #[error("cannot sign in to the {database}: {error}. Check the user and the password in [store] url")]
    SignIn {
        /// The database.
        database: String,
        /// The cause.
        error: String,
    },
    /// There is no such database.
    #[error("there is no {database}; create the database with `createdb`")]
    NoDatabase {
        /// The database.
        database: String,
    },
    /// The server is older than the hub supports.
    #[error("the database runs on PostgreSQL {version}; the hub needs version 15 or later")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// The database cannot be used now.
    #[error("the database cannot be opened: {error}")]
    Unavailable {
        /// The cause.
        error: String,
    },
    /// The schema cannot be created or migrated.
    #[error("the schema of the database cannot be migrated: {error}")]
    Schema {
        /// The cause.
        error: String,
    },
    /// A newer version of the hub wrote the schema.
    #[error("the database was written by a newer EduHub: its schema version is {found}, this one supports {newest}")]
    Newer {
        /// The schema of the database.
        found: u64,
        /// The newest schema of this version.
        newest: u64,
    },
    /// The database confirms commits before they are durable.
    #[error("the database has synchronous_commit = off, so it could lose confirmed registrations; turn it on")]
    NotDurable,
}

/// The store that several hubs share. Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
    /// If set, writes are refused once another hub has taken over from this fence.
    fence: Option<Fence>,
}

struct Inner {
    pool: Pool,
    operations: thread::Operations,
    gauge: Arc<StoreGauge>,
    outbox: Option<Timestamp>,
    shared_facts: Arc<SharedFacts>,
    /// The terms whose last batch found commits of other hubs; at most one entry for each term.
    busy_terms: parking_lot::Mutex<HashSet<TermId>>,
    /// The id of this hub, new at each start.
    hub: Uuid,
    lineage: Lineage,
    /// The task that sends heartbeats.
    stay: AbortHandle,
}

impl PostgresStore {
    /// Opens the store, and creates or migrates its schema. Blocks until the database has replied.
    ///
    /// # Errors
    /// When the URL is not valid, or the database cannot be reached, is too old, has a schema that is newer or cannot
    /// be migrated, or does not commit durably.
    pub fn open(options: &PostgresOptions) -> Result<Self, OpenError> {
        let unavailable = |error: &dyn std::fmt::Display| OpenError::Unavailable { error: error.to_string() };
        let pool = connect::pool(&options.url)?;
        let operations = thread::Operations::start().map_err(|error| unavailable(&error))?;
        let (reply, prepared) = std::sync::mpsc::sync_channel(1);
        let connections = pool.clone();
        let (outbox, shown, hub) = (options.outbox, options.shown.clone(), Uuid::now_v7());
        let gauge = Arc::<StoreGauge>::default();
        let counters = gauge.clone();
        let submitted = operations.submit(move || async move {
            let prepared = async {
                connect::require_connection(&connections, &shown).await?;
                migrate::require_usable(&connections).await?;
                migrate::migrate(&connections, &counters.conflicts).await?;
                let forgotten = transaction::write(&connections, async |tx| attempts::forget_students(tx).await);
                let marked = transaction::write(&connections, async |tx| marks::prepare(tx, outbox).await);
                let prepared = forgotten.and_then(|()| marked).await;
                transaction::forget_old_ids(&connections).await;
                prepared.map_err(|error| OpenError::Unavailable { error: error.to_string() })?;
                let joined = hubs::join(&connections, hub).await;
                joined.map_err(|error| OpenError::Unavailable { error: error.to_string() })
            };
            let prepared = prepared.await;
            // The receiver waits below.
            let _ = reply.send(
                prepared
                    .map(|lineage| (tokio::task::spawn_local(hubs::stay(connections, hub)).abort_handle(), lineage)),
            );
        });
        submitted.map_err(|error| unavailable(&error))?;
        let (stay, lineage) = prepared.recv().map_err(|error| unavailable(&error))??;
        let (shared_facts, busy_terms) = (Arc::default(), parking_lot::Mutex::default());
        let inner = Inner { pool, operations, gauge, outbox, shared_facts, busy_terms, hub, lineage, stay };
        Ok(Self { inner: Arc::new(inner), fence: None })
    }

    /// Returns this store, whose writes are refused once another hub has taken over from `fence`.
    fn under(&self, fence: Fence) -> Self {
        Self { inner: self.inner.clone(), fence: Some(fence) }
    }

    /// Finishes the accepted operations, and removes this hub from those that run. Later reads and writes fail.
    pub fn close(&self) {
        self.inner.stay.abort();
        let (pool, hub) = (self.inner.pool.clone(), self.inner.hub);
        // Refused only if the thread is overloaded. Then the age of the row shows that this hub has ended.
        let _ = self.inner.operations.submit(move || async move { hubs::leave(&pool, hub).await });
        self.inner.operations.close();
    }

    /// Returns the counters of the store.
    #[must_use]
    pub fn gauge(&self) -> Arc<StoreGauge> {
        self.inner.gauge.clone()
    }

    /// Runs `work` in a transaction and commits it. An error of `work` undoes its writes. After a conflict with another
    /// transaction, `work` is called again.
    fn write<T, F>(&self, mut work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: AsyncFnMut(&Tx) -> Result<T, Failure> + Send + 'static,
    {
        self.write_if(async move |tx| work(tx).await.map(Work::Commit))
    }

    /// Runs `work` like [`Self::write`], but commits only if `work` returns [`Work::Commit`] or [`Work::CommitWith`].
    fn write_if<T, F>(&self, mut work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: AsyncFnMut(&Tx) -> Result<Work<T>, Failure> + Send + 'static,
    {
        let (gauge, fence, hub) = (self.gauge(), self.fence, self.inner.hub);
        let work = async move |tx: &Tx| {
            if let Some(fence) = fence {
                lease::require_briefly(tx, fence, hub).await?;
            }
            work(tx).await
        };
        self.submit(async move |pool: &Pool| {
            gauge.queued.fetch_add(1, Ordering::Relaxed);
            let started = Instant::now();
            let outcome = transaction::write_retrying(pool, &gauge.conflicts, work).await;
            gauge.queued.fetch_sub(1, Ordering::Relaxed);
            count(&gauge, started, outcome.as_ref().err());
            if outcome.is_ok() && gauge.commits.load(Ordering::Relaxed).is_multiple_of(FORGET_EVERY) {
                let pool = pool.clone();
                tokio::task::spawn_local(async move { transaction::forget_old_ids(&pool).await });
            }
            outcome
        })
    }

    /// Runs `work` in a transaction that reads as of one commit.
    fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Tx) -> Result<T, Failure> + Send + 'static,
    {
        self.submit(async move |pool: &Pool| transaction::read(pool, work).await)
    }

    /// Reads what other hubs have changed. Fails soon if the database does not respond.
    fn follow<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Tx) -> Result<T, Failure> + Send + 'static,
    {
        self.submit(async move |pool: &Pool| transaction::follow(pool, work).await)
    }

    /// Runs an operation on the thread of the store. It is finished even if the future is dropped.
    fn submit<T, F>(&self, operation: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Pool) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, outcome) = tokio::sync::oneshot::channel();
        let pool = self.inner.pool.clone();
        let accepted = self.inner.operations.submit(move || async move {
            // The caller may have dropped the future.
            let _ = reply.send(operation(&pool).await);
        });
        if let Err(error) = accepted {
            return futures_util::future::ready(Err(error)).boxed();
        }
        async move { outcome.await.unwrap_or_else(|_| Err(StoreError::CommitFailed("the operation panicked".to_owned()))) }
            .boxed()
    }
}

/// Counts a write.
fn count(gauge: &StoreGauge, started: Instant, error: Option<&StoreError>) {
    match error {
        None => {
            let took = started.elapsed();
            gauge.commits.fetch_add(1, Ordering::Relaxed);
            gauge.commit_took.record(took);
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            gauge.commit_us_total.fetch_add(us, Ordering::Relaxed);
            gauge.last_commit_us.store(us, Ordering::Relaxed);
        }
        Some(StoreError::CommitFailed(_)) => _ = gauge.failures.fetch_add(1, Ordering::Relaxed),
        Some(_) => {}
    }
}
