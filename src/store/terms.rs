//! A term's seats, decided and kept.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::command::Command;
use crate::domain::ids::{TermId, UserName};
use crate::domain::notice::Notice;
use crate::domain::outcome::Outcome;
use crate::domain::registration::Registration;
use crate::domain::section::{Place, SectionState};
use crate::domain::term::Term;

use crate::store::StoreFuture;

/// Commands to one term, decided in this order, committed together.
#[derive(Debug)]
pub struct TermBatch {
    /// The term.
    pub term: TermId,
    /// The commands.
    pub commands: Vec<Command>,
    /// The time of all these decisions.
    pub now: Timestamp,
}

/// A section as published, with the places in its line, head first.
#[derive(Debug, Clone)]
pub struct PublishedSection {
    /// Definition and numbers.
    pub state: SectionState,
    /// The line.
    pub line: Arc<[Place]>,
}

/// What a commit made visible: the values of the record, each thing once.
#[derive(Debug, Clone, Default)]
pub struct TermUpdate {
    /// The sequence of the term's seats after it.
    pub seats_seq: u64,
    /// The term, if it changed.
    pub term: Option<Term>,
    /// Sections that changed.
    pub sections: Vec<PublishedSection>,
    /// All registrations of each student of whom one changed.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
    /// What students are told, in order.
    pub notices: Vec<Notice>,
    /// Whether alerts were stored with it.
    pub alerts_stored: bool,
}

/// What became of a batch, once it is durable.
#[derive(Debug)]
pub struct Committed {
    /// An answer for each command, in order; none for one whose decision failed (it changed nothing).
    pub answers: Vec<Option<Outcome>>,
    /// What to publish; none when nothing changed.
    pub update: Option<TermUpdate>,
}

/// A term as the store holds it.
#[derive(Debug, Clone)]
pub struct LoadedTerm {
    /// The term.
    pub term: Term,
    /// The sequence of its seats.
    pub seats_seq: u64,
    /// Its sections.
    pub sections: Vec<PublishedSection>,
    /// Everyone's registrations.
    pub students: Vec<(UserName, Arc<[Registration]>)>,
}

/// Keeps terms. One caller for each term, one batch at a time.
pub trait TermStore: Send + Sync {
    /// The terms that the store has.
    fn term_ids(&self) -> StoreFuture<Vec<TermId>>;

    /// Loads a term anew, forgetting whatever was decided and not committed. One that the store does not have is an
    /// empty, closed one, which the first commit makes.
    fn load(&self, term: &TermId) -> StoreFuture<LoadedTerm>;

    /// Decides the batch against the term as committed, and keeps what it changes. After an error nothing of it is
    /// kept (or it is not known, [`crate::store::StoreError::CommitFailed`]); the caller must [`TermStore::load`] before the
    /// next batch.
    fn run(&self, batch: TermBatch) -> StoreFuture<Committed>;
}

/// Removes what a demonstration has made. Nothing else of a term is ever removed.
pub trait SandboxStore: Send + Sync {
    /// Removes a sandbox term wholly: its sections, registrations, counts, and imports. Its registrar must have ended.
    /// Answers the ids of the import tasks that were removed.
    fn remove_sandbox(&self, term: &TermId) -> StoreFuture<Vec<String>>;
}
