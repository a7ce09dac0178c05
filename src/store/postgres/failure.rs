//! Why an operation on PostgreSQL failed, and how the ports report it.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Why an operation failed. Nothing was stored, with two exceptions: for [`Self::OutcomeUnknown`] this is not known,
/// and when a commit fails with [`Self::Unavailable`], its outcome is looked up.
#[derive(Debug)]
pub(super) enum Failure {
    /// All connections are busy.
    Overloaded,
    /// PostgreSQL cannot be reached, or the connection was lost.
    Unavailable(String),
    /// The transaction conflicted with another one: a deadlock, or a serialization failure. PostgreSQL has undone it.
    Conflict(String),
    /// The connection was lost during a commit, and it is not known whether it succeeded.
    OutcomeUnknown(String),
    /// PostgreSQL or the store rejected the operation.
    Refused(String),
    /// The caller's state in memory is out of date, and must be loaded again. Nothing was tried.
    Stale(String),
    /// Another hub has taken over the job to which the operation belongs.
    Superseded(&'static str),
    /// A stored value cannot be read.
    Unreadable(String),
}

impl Failure {
    /// Returns the failure for a column whose value cannot be parsed.
    pub(super) fn unreadable(column: usize, what: impl std::fmt::Display) -> Self {
        Self::Unreadable(format!("column {column}: {what}"))
    }

    /// Returns whether the connection must not be used again.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let words = in_words(&error);
        match error.code() {
            // An error without a code is not from PostgreSQL: the connection is lost, or a value cannot be converted.
            None if error.is_closed() || error.source().is_some_and(|e| e.is::<std::io::Error>()) => {
                Self::Unavailable(words)
            }
            None => Self::Unreadable(words),
            Some(&(SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE)) => Self::Conflict(words),
            Some(code) if is_outage(code) => Self::Unavailable(words),
            Some(_) => Self::Refused(words),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Overloaded => Self::Overloaded,
            Failure::Unavailable(words) | Failure::Stale(words) | Failure::Conflict(words) => Self::Unavailable(words),
            Failure::OutcomeUnknown(words) => Self::CommitFailed(words),
            Failure::Refused(words) => Self::Refused(words),
            Failure::Superseded(job) => Self::Superseded(job),
            Failure::Unreadable(words) => Self::Corrupt(words),
        }
    }
}

/// Returns whether an error concerns the server, its load or another transaction, and not the data of the operation:
/// the classes 08 (connection), 40 (rollback), 53 (resources), 55 (lock not available), 57 (operator intervention, such
/// as a shutdown), 58 (system error) and 25 (a read-only standby, or a session that was idle too long).
fn is_outage(code: &SqlState) -> bool {
    matches!(&code.code()[..2], "08" | "25" | "40" | "53" | "55" | "57" | "58")
}

/// Returns an error with its causes. The error type of the client alone says only `db error`.
pub(super) fn in_words(error: &tokio_postgres::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
