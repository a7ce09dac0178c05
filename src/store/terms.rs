//! The port through which terms are loaded, written and followed.
//!
//! A store decides nothing; it stores rows. The registrar of a term has the term in memory, decides batches there
//! (`registration::execution`), and commits the merged changes of each batch as one [`TermRecord`].
//!
//! # Sequence
//! Every commit that changes a term raises the term's sequence by exactly one, from 0 for a term that the store does
//! not have yet. A commit of attempts and audit entries alone does not raise it. The store writes into each row the
//! sequence of the commit that wrote it last, so that a reader at any sequence can read what has changed since
//! ([`TermStore::changes_since`]).
//!
//! # One hub or several
//! The registrar calls [`TermStore::run_batch`] with the position of its copy of the term and a function that decides.
//! The store calls that function once, with what other hubs committed after that position:
//!
//! - The embedded store (`store::sqlite`) is locked exclusively by one process, so no other hub commits. It calls the
//!   function at once, on the caller's thread and outside any transaction, and passes only the record to its writer
//!   thread (ADR 0002).
//! - A store that several hubs share calls it inside its transaction. For PostgreSQL (`store::postgres`) that is:
//!   begin; lock the term's row (`SELECT … FOR UPDATE`); if it is ahead of `since`, read the rows of later commits;
//!   call the function; write the record with one statement per table; set the term's sequence; commit. The row lock
//!   orders the hubs, so no batch is decided on a stale copy and none has to be decided twice.

use std::sync::Arc;

use crate::domain::attempt_chain::StoredChain;
use crate::domain::batch::BatchChanges;
use crate::domain::draft::Changes;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::{SectionCounts, SectionState};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;

use crate::store::StoreFuture;
use crate::store::accounts::AuditEntry;
use crate::store::lease::Fence;

/// A whole term as it is stored.
#[derive(Debug, Clone)]
pub struct TermRows {
    /// The term.
    pub term: Term,
    /// The sequence of the last commit.
    pub seq: u64,
    /// The generation of the catalogue that is visible.
    pub generation: u64,
    /// The visible sections with their counts, in no order.
    pub sections: Vec<SectionState>,
    /// All registrations.
    pub registrations: Vec<(UserName, Registration)>,
    /// What the college states about students, in all terms. Empty in a sandbox.
    pub facts: Vec<(UserName, Arc<StudentFacts>)>,
    /// The end of the chain of attempts.
    pub attempts: StoredChain,
    /// Rises when rows were changed without a commit of a registrar, such as by the erasure of a person, and when the
    /// store has another history ([`StoredTerm::rewrites`](crate::store::shared::StoredTerm::rewrites)). 0 in a store
    /// with one hub, which loads the term again itself.
    pub rewrites: u64,
}

/// The position in the history of a term up to which a caller has it in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The sequence of the last commit.
    pub seq: u64,
    /// The number of the last attempt. A commit of attempts alone raises only this.
    pub attempt: u64,
    /// [`TermRows::rewrites`].
    pub rewrites: u64,
}

/// The changes of one or more commits in a term, as final values.
#[derive(Debug, Clone, Default)]
pub struct TermChanges {
    /// The sequence of the last of these commits.
    pub seq: u64,
    /// Their changes, without notices, which are not stored.
    pub changes: Changes,
    /// The counts of sections of which only the counts changed. They are few and short, and a registration changes
    /// nothing else of a section. May include sections that are in `changes`, and sections that are not visible.
    pub counts: Vec<SectionCounts>,
    /// The end of the chain of attempts, with only those students and sections that have newer attempts than the
    /// caller's copy. `None` if there are no newer ones, and in what [`TermStore::changes_since`] returns: followers do
    /// not append attempts.
    pub attempts: Option<StoredChain>,
}

/// The rows that one commit writes.
#[derive(Debug)]
pub struct TermRecord {
    /// The term.
    pub term: TermId,
    /// The sequence of the term after this commit: one more than before, or the same if the record has only attempts
    /// and audit entries, which change nothing for readers.
    pub seq: u64,
    /// The generation of the catalogue that is visible after it.
    pub generation: u64,
    /// The merged changes of the batch.
    pub changes: BatchChanges,
    /// Entries of the audit trail about the changes.
    pub audit: Vec<AuditEntry>,
}

/// A function that decides a batch. Its argument is what other hubs committed since the position given to
/// [`TermStore::run_batch`]; `None` when there was no such commit. It returns the record to write; `None` when the
/// batch changes nothing.
pub type DecideBatch = Box<dyn FnOnce(Option<TermChanges>) -> Option<TermRecord> + Send>;

/// A number for the history of a store. All hubs that run on the store at the same time have the same number; it
/// differs after a time in which no hub ran. The store may have been restored in that time, and may then use the same
/// sequence numbers for different content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage(u32);

impl Lineage {
    /// Returns a random number.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl From<u32> for Lineage {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<Lineage> for u32 {
    fn from(lineage: Lineage) -> Self {
        lineage.0
    }
}

/// Eight hexadecimal digits.
impl std::fmt::Display for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A store of terms. The only caller for a term in a hub is its registrar, which has at most one call in progress.
pub trait TermStore: Send + Sync {
    /// Returns the history to which the sequence numbers of this store belong, as it was when the store was opened.
    fn lineage(&self) -> Lineage;

    /// Returns the ids of all terms that the store has, in order.
    fn term_ids(&self) -> StoreFuture<Vec<TermId>>;

    /// Loads a term as of its last commit. For a term that the store does not have, returns an empty, closed term with
    /// the sequence 0; the first commit creates it.
    fn load(&self, term: &TermId) -> StoreFuture<TermRows>;

    /// Runs one batch of `term`: calls `decide` at most once, and commits the record that it returns. `since` is
    /// the position of the caller's copy of the term.
    ///
    /// The record is written as a whole or not at all: the term, its sections, counts and registrations, the attempts,
    /// the alerts, the audit entries, and the marks for Plone. Once the future resolves to `Ok`, the record is durable
    /// and every later [`TermStore::load`] and [`TermStore::changes_since`] returns it. A record whose sequence or
    /// attempts do not follow the stored ones is rejected.
    ///
    /// # Errors
    /// After any error the caller's copy may contain changes that the store does not have, and must be loaded again
    /// before the next batch. After [`CommitFailed`] and [`Corrupt`] it is not known whether the record was
    /// written; every other error means that it was not. A store whose connection is lost during a commit
    /// distinguishes the two by a unique id that it writes with each record and looks up after it has reconnected.
    ///
    /// [`CommitFailed`]: crate::store::StoreError::CommitFailed
    /// [`Corrupt`]: crate::store::StoreError::Corrupt
    fn run_batch(&self, term: &TermId, since: Position, decide: DecideBatch) -> StoreFuture<()>;

    /// Runs a batch like [`TermStore::run_batch`], but refuses it before it is decided if another hub has taken over
    /// from `fence`. A store that only one hub uses need not check that.
    ///
    /// # Errors
    /// [`StoreError::Superseded`](crate::store::StoreError::Superseded) if another hub has taken over, and those of
    /// [`TermStore::run_batch`].
    fn run_batch_under(&self, fence: Fence, term: &TermId, since: Position, decide: DecideBatch) -> StoreFuture<()> {
        let _ = fence;
        self.run_batch(term, since, decide)
    }

    /// Returns the final values of everything that was committed after `since`, at the sequence of the last commit.
    /// `since` must be a sequence that the store returned to this process, or 0.
    ///
    /// The result may contain rows that did not change: an import writes a section's row even if another change has
    /// already made the stored row equal to it. If facts about students changed, the embedded store, which no other hub
    /// follows, returns the facts about all students, but not which were removed.
    fn changes_since(&self, term: &TermId, since: u64) -> StoreFuture<TermChanges>;
}

/// A store that removes the terms of demonstrations. No other term is ever removed.
pub trait SandboxStore: Send + Sync {
    /// Returns the ids of all sandbox terms that the store has, in order.
    fn sandbox_ids(&self) -> StoreFuture<Vec<TermId>>;
    /// Removes a sandbox term with everything that belongs to it, and returns the ids of the removed import tasks. The
    /// term's registrar must have ended.
    fn remove_sandbox(&self, term: &TermId) -> StoreFuture<Vec<String>>;
}
