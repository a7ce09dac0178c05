//! The port through which terms are loaded, written and followed.
//!
//! A store decides nothing: it holds rows. The registrar of a term keeps the term in memory, decides batches there
//! (`registration::execution`), and commits the merged changes of each as one [`TermRecord`].
//!
//! # Sequence
//! Every commit that changes a term raises the term's sequence by exactly one, from 0 for a term that the store does
//! not have yet. The store keeps with each row the sequence of the commit that wrote it last, so that a reader at any
//! sequence can ask for what has changed since ([`TermStore::changes_since`]).
//!
//! # One hub or several
//! The registrar calls [`TermStore::commit`] with the sequence of its book and a function that decides. The store calls
//! that function once, with what other hubs committed after that sequence:
//!
//! - The embedded store (`store::sqlite`) is held by one process with an exclusive lock, so no other hub commits. It
//!   calls the function at once, on the caller's thread and outside any transaction, and hands only the record to its
//!   writer thread (ADR 0002).
//! - A store that several hubs share calls it inside its transaction. For PostgreSQL (`store::postgres`) that is: begin;
//!   lock the term's row (`SELECT … FOR UPDATE`); where its sequence is higher than `since`, read the rows of later
//!   commits; call the function; write the record with one statement a table; set the term's sequence; commit. The row
//!   lock orders the hubs, so no batch is decided on a stale book and none has to be decided twice.

use crate::domain::batch::BatchChanges;
use crate::domain::draft::Changes;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::Registration;
use crate::domain::section::SectionState;
use crate::domain::term::Term;

use crate::store::StoreFuture;

/// A whole term as the store holds it.
#[derive(Debug, Clone)]
pub struct TermRows {
    /// The term.
    pub term: Term,
    /// The sequence of the last commit.
    pub seq: u64,
    /// The generation of the catalogue that is visible.
    pub generation: u64,
    /// The visible sections with their numbers, in no order.
    pub sections: Vec<SectionState>,
    /// All registrations.
    pub registrations: Vec<(UserName, Registration)>,
}

/// What commits changed in a term, as final values.
#[derive(Debug, Clone, Default)]
pub struct TermChanges {
    /// The sequence of the last of these commits.
    pub seq: u64,
    /// Their changes. Notices are not stored, so there are none.
    pub changes: Changes,
}

/// What one commit writes.
#[derive(Debug)]
pub struct TermRecord {
    /// The term.
    pub term: TermId,
    /// The sequence of this commit: one more than that of the commit before.
    pub seq: u64,
    /// The generation of the catalogue that is visible after it.
    pub generation: u64,
    /// The merged changes of the batch.
    pub changes: BatchChanges,
}

/// Decides a batch. The argument is what other hubs committed since the sequence given to [`TermStore::commit`], none
/// when there was no such commit. Returns the record to write; none when the batch changes nothing.
pub type DecideBatch = Box<dyn FnOnce(Option<TermChanges>) -> Option<TermRecord> + Send>;

/// Stores terms. A term has one caller in each hub, which makes one call at a time for it.
pub trait TermStore: Send + Sync {
    /// Returns the ids of all terms that the store has, in order.
    fn term_ids(&self) -> StoreFuture<Vec<TermId>>;

    /// Loads a term as of its last commit. A term that the store does not have is returned as an empty, closed one with
    /// the sequence 0; its first commit creates it.
    fn load(&self, term: &TermId) -> StoreFuture<TermRows>;

    /// Runs one batch of `term`: calls `decide` at most once, and commits the record that it returns. `since` is the
    /// sequence of the last commit that the caller's book contains.
    ///
    /// The record is written as a whole or not at all: the term, its sections, numbers and registrations, the alerts,
    /// and the marks for Plone. Once the future resolves to `Ok`, the record is durable and every later
    /// [`TermStore::load`] and [`TermStore::changes_since`] returns it. A record whose sequence does not follow the
    /// stored one is rejected.
    ///
    /// # Errors
    /// After any error the caller's book may contain changes that the store does not have, and must be loaded again
    /// before the next batch. [`CommitFailed`] means that it is not known whether the record was written; every other
    /// error means that nothing was. A store whose connection is lost during a commit can tell the two apart by a
    /// unique id that it writes with each record and looks up after it has reconnected.
    ///
    /// [`CommitFailed`]: crate::store::StoreError::CommitFailed
    fn commit(&self, term: &TermId, since: u64, decide: DecideBatch) -> StoreFuture<()>;

    /// Returns the final values of everything that was committed after `since`, at the sequence of the last commit.
    /// `since` must be a sequence that the store returned to this process, or 0.
    ///
    /// The result may contain rows that did not change: an import writes a section's row even where another change
    /// has made it equal meanwhile.
    fn changes_since(&self, term: &TermId, since: u64) -> StoreFuture<TermChanges>;
}

/// Removes the terms of demonstrations. No other term is ever removed.
pub trait SandboxStore: Send + Sync {
    /// Removes a sandbox term with its sections, registrations, numbers and imports, and returns the ids of the removed
    /// import tasks. The term's registrar must have ended.
    fn remove_sandbox(&self, term: &TermId) -> StoreFuture<Vec<String>>;
}
