//! Small traits between the hub's actors and whatever stands behind them. They speak the domain's words, and know
//! neither actix nor SQL.
//!
//! - [`alerts`]: the one sequence of alerts
//! - [`terms`]: a term's seats, decided and kept
//! - [`plans`]: what students plan; [`rosters`]: who is in a section
//! - [`imports`]: what imports keep: staged sections, tasks, events
//! - [`schedule`]: a schedule file, read into sections, events and findings by line
//! - [`accounts`]: who may sign in, who was seen, and the audit trail
//! - [`plone`]: what the hub asks of the college's Plone; [`outbox`]: what is still to be written there, and what it was
//!   when it was last seen; [`members`]: who signed in by it
//! - [`clock`]: what time it is
//! - [`bus`]: what is told to everyone who listens

pub mod accounts;
pub mod alerts;
pub mod bus;
pub mod clock;
pub mod imports;
pub mod members;
pub mod outbox;
pub mod plans;
pub mod plone;
pub mod rosters;
pub mod schedule;
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
