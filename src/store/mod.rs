//! The store: one small port for each kind of data, and the implementations.
//!
//! - [`terms`]: terms with their sections and registrations; [`rosters`]: the students in a section; [`plans`]: the
//!   sections that students plan
//! - [`students`]: what the college states about students
//! - [`attempts`]: the histories of decided requests; [`attempt_export`]: the file for an auditor
//! - [`alerts`]: the sequence of alerts
//! - [`imports`]: staged sections, import tasks, one-off events; [`import_profiles`]: saved mappings of columns
//! - [`accounts`]: local accounts, known users, revoked tokens, the audit trail; [`members`]: users who signed in
//!   through Plone; [`sign_ins`]: sign-ins, and second factors of local accounts;
//!   [`provider_sign_ins`]: users of single sign-on and their sign-ins
//! - [`guardian_links`]: links to students' schedules; [`schedule_feeds`]: calendar feeds of schedules
//! - [`privacy`]: what is stored about one person: its export, and its erasure
//! - [`outbox`]: what still has to be written to Plone, and what Plone last contained
//! - [`demo_reports`]: shared reports of demonstrations
//! - [`seed`]: the first contents of an empty store; [`gauge`]: counters of the writer
//! - [`shared`]: what a hub reads about the changes by other hubs; [`shared_tasks`]: their imports and demonstrations;
//!   [`lease`]: which hub runs a job that only one hub may run
//! - [`verification`]: checks of the contents; [`transfer`]: moves a store from one implementation to the other
//! - [`sqlite`]: the embedded store; [`postgres`]: the store that several hubs share

pub mod accounts;
pub mod alerts;
pub mod attempt_export;
pub mod attempts;
pub mod demo_reports;
pub mod gauge;
pub mod guardian_links;
pub mod import_profiles;
pub mod imports;
pub mod lease;
mod meeting_json;
pub mod members;
pub mod outbox;
pub mod plans;
pub mod postgres;
pub mod privacy;
pub mod provider_sign_ins;
pub mod rosters;
pub mod schedule_feeds;
pub mod seed;
pub mod shared;
mod shared_facts;
pub mod shared_tasks;
pub mod sign_ins;
pub mod sqlite;
pub mod students;
pub mod terms;
pub mod transfer;
pub mod verification;

use futures_util::future::BoxFuture;

/// The result of a store's operation. That of a write resolves once the write is durable.
pub type StoreFuture<T> = BoxFuture<'static, Result<T, StoreError>>;

/// Why an operation of a store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store's queue is full. The operation was not tried.
    #[error("the store's queue is full")]
    Overloaded,
    /// The store rejected the write. Nothing of it was stored.
    #[error("the store rejected a write: {0}")]
    Refused(String),
    /// The commit failed, or its outcome is not known.
    #[error("a commit failed: {0}")]
    CommitFailed(String),
    /// The store is unavailable, such as while it recovers from a failed commit. Nothing of a write was stored.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Another hub has taken over the job to which the write belongs. Nothing of it was stored.
    #[error("another hub has taken over the job {0:?}")]
    Superseded(&'static str),
    /// Stored data cannot be read.
    #[error("the store contains unreadable data: {0}")]
    Corrupt(String),
}
