//! The store: small ports in the domain's words, and their implementation on SQLite.
//!
//! - [`terms`]: a term's seats; [`rosters`]: who is in a section; [`plans`]: what students plan
//! - [`alerts`]: the one sequence of alerts
//! - [`imports`]: staged sections, import tasks, one-off events
//! - [`accounts`]: accounts, who was seen, the audit trail; [`members`]: who signed in by Plone
//! - [`outbox`]: what is still to be written to Plone, and what Plone last had
//! - [`seed`]: the first contents of an empty store; [`gauge`]: counters of the writer
//! - [`sqlite`]: the embedded store

pub mod accounts;
pub mod alerts;
pub mod gauge;
pub mod imports;
pub mod members;
pub mod outbox;
pub mod plans;
pub mod rosters;
pub mod seed;
pub mod sqlite;
pub mod terms;

use futures_util::future::BoxFuture;

/// What a store answers, once it is durable.
pub type StoreFuture<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting for the store already; nothing was tried.
    #[error("too much is waiting for the store")]
    Overloaded,
    /// The store refused what was to be written; nothing of it is kept.
    #[error("the store refused a record: {0}")]
    Refused(String),
    /// The commit failed, or it is not known what became of it.
    #[error("a commit failed: {0}")]
    CommitFailed(String),
    /// The store is not usable until it has recovered; nothing was tried.
    #[error("the store is not usable: {0}")]
    Unavailable(String),
    /// What the store holds cannot be read back.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
}
