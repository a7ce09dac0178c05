//! Port for attempts: the history of a student and of a section. Attempts are written with the batch that decided them;
//! see [`crate::store::terms`].

use jiff::Timestamp;

use crate::domain::attempt::Attempt;
use crate::domain::ids::{SectionId, TermId, UserName};

use crate::store::StoreFuture;

/// An attempt with its term and its student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    /// The term.
    pub term: TermId,
    /// The student, or the pseudonym of an erased one.
    pub user: UserName,
    /// The attempt.
    pub attempt: Attempt,
}

/// A store of attempts.
pub trait AttemptStore: Send + Sync {
    /// Returns at most `limit` attempts of a student, in `term` or in all terms of the college: the term with the
    /// greatest id first, and in each term the newest first. `before` is the last attempt of the previous page.
    fn attempts_of_student(
        &self,
        user: &UserName,
        term: Option<TermId>,
        before: Option<(TermId, u64)>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>>;

    /// Returns at most `limit` attempts in a section, newest first, with numbers less than `before`.
    fn attempts_of_section(
        &self,
        section: &SectionId,
        before: Option<u64>,
        limit: u32,
    ) -> StoreFuture<Vec<StoredAttempt>>;

    /// Deletes at most `limit` attempts that were decided before `cutoff`, the oldest of their terms. Returns their
    /// number. The hash of the last deleted one is kept, so that the rest of the chain can be verified.
    fn delete_attempts_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize>;
}
