//! The place of a store under test, and a term in memory on top of it.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eduhub::domain::command::Command;
use eduhub::domain::ids::TermId;
use eduhub::domain::outcome::Outcome;
use eduhub::domain::published::{PublishedTerm, TermUpdate};
use eduhub::domain::section::Credits;
use eduhub::registration::execution::{BatchExecutor, CommittedBatch, TermState};
use eduhub::store::alerts::{AlertStore, Entry};
use eduhub::store::imports::ImportStore;
use eduhub::store::members::MemberStore;
use eduhub::store::outbox::OutboxStore;
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::terms::TermStore;
use eduhub::store::{StoreError, StoreFuture};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::college::{Make, minute, staged, term_id, window};

/// Blocks until a call of the store is answered.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().unwrap()).block_on(future)
}

/// The place of one store, which can be opened, closed by dropping it, and opened again.
pub(crate) trait House {
    /// The kind of store. Clones are handles of one store.
    type Store: TermStore + ImportStore + AlertStore + OutboxStore + MemberStore + Clone + 'static;
    /// Creates a place without a store.
    fn build() -> Self;
    /// Opens the store with an outbox. No other handle may be open.
    fn open(&self) -> Self::Store;
    /// Opens the store as a hub without Plone does.
    fn open_without_outbox(&self) -> Self::Store;
    /// Makes the store refuse every registration in the section `BAD` from now on.
    fn refuse_bad(&self, store: &Self::Store);
}

/// The embedded store in a folder of its own.
pub(crate) struct Embedded(TempDir);

impl House for Embedded {
    type Store = SqliteStore;
    fn build() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn open(&self) -> SqliteStore {
        open_freed(&self.0.path().join("hub.sqlite"), true)
    }
    fn open_without_outbox(&self) -> SqliteStore {
        open_freed(&self.0.path().join("hub.sqlite"), false)
    }
    fn refuse_bad(&self, store: &SqliteStore) {
        let trigger = "CREATE TRIGGER no_bad BEFORE INSERT ON registrations WHEN NEW.crn = 'BAD'
             BEGIN SELECT RAISE (ABORT, 'not this one'); END";
        wait(store.write(|tx| tx.execute_batch(trigger))).unwrap();
    }
}

/// Opens an embedded store that was closed a moment ago. A child process that another test starts inherits open files
/// and their locks between its fork and its exec, so this waits while the store is locked.
pub(crate) fn open_freed(path: &Path, outbox: bool) -> SqliteStore {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match SqliteStore::open(SqliteOptions { path: path.to_owned(), outbox: outbox.then(Timestamp::now) }) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

/// A committed batch.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// What to publish of the batch; none when it changed nothing.
    pub(crate) update: Option<TermUpdate>,
}

/// A term in memory, as its registrar holds it: it is loaded again after each batch that failed.
pub(crate) struct TermOwner {
    executor: BatchExecutor,
    term: TermId,
    state: Option<Box<TermState>>,
}

impl TermOwner {
    pub(crate) fn of(store: &(impl TermStore + Clone + 'static), term: TermId, limit: Credits) -> Self {
        Self { executor: BatchExecutor::new(Arc::new(store.clone()), limit), term, state: None }
    }

    pub(crate) fn load(&mut self) -> Result<PublishedTerm, StoreError> {
        let (state, published) = wait(self.executor.load(&self.term))?;
        self.state = Some(state);
        Ok(published)
    }

    /// Hands over a batch without waiting for it. The term must be loaded.
    pub(crate) fn start(&mut self, commands: Vec<Command>, now: Timestamp) -> StoreFuture<CommittedBatch> {
        self.executor.run(self.state.take().expect("the term is loaded"), commands, now)
    }

    pub(crate) fn finish(&mut self, batch: StoreFuture<CommittedBatch>) -> Result<Committed, StoreError> {
        let CommittedBatch { state, outcomes, mut updates } = wait(batch)?;
        self.state = Some(state);
        Ok(Committed { outcomes, update: updates.pop() })
    }

    pub(crate) fn run(&mut self, commands: Vec<Command>, now: Timestamp) -> Result<Committed, StoreError> {
        if self.state.is_none() {
            self.load()?;
        }
        let batch = self.start(commands, now);
        self.finish(batch)
    }
}

/// A store with an open term.
pub(crate) struct Desk<H: House> {
    pub(crate) house: H,
    pub(crate) store: H::Store,
    pub(crate) owner: TermOwner,
    pub(crate) loaded: PublishedTerm,
}

impl<H: House> Desk<H> {
    /// Creates a store with an open term of these sections.
    pub(crate) fn with(sections: impl IntoIterator<Item = Make>) -> Self {
        let house = H::build();
        let store = house.open();
        let mut desk = Self::opened(house, store);
        desk.run(vec![window(Some(0), None)]).unwrap();
        desk.import(sections.into_iter().map(|s| (s, None)).collect());
        desk
    }

    /// Loads the term of an open store.
    pub(crate) fn opened(house: H, store: H::Store) -> Self {
        let mut owner = TermOwner::of(&store, term_id(), Credits(0));
        let loaded = owner.load().unwrap();
        Self { house, store, owner, loaded }
    }

    /// Closes the store, and returns its place.
    pub(crate) fn closed(self) -> H {
        self.house
    }

    /// Closes the store, opens it again and loads the term.
    pub(crate) fn reopened(self) -> Self {
        let house = self.closed();
        let store = house.open();
        Self::opened(house, store)
    }

    pub(crate) fn run(&mut self, commands: Vec<Command>) -> Result<Committed, StoreError> {
        self.owner.run(commands, minute(1))
    }

    /// Runs one command, which must be committed.
    pub(crate) fn ask(&mut self, command: Command) -> Outcome {
        let committed = self.run(vec![command]).unwrap();
        committed.outcomes.into_iter().next().flatten().expect("the decision did not panic")
    }

    /// Stages an import of these sections, compared with the committed term, and returns its command.
    pub(crate) fn stage(&mut self, sections: Vec<(Make, Option<(u32, u32)>)>) -> Command {
        let generation = wait(self.store.generation(&term_id())).unwrap() + 1;
        let loaded = load(&self.store);
        let book = super::histories::book_of(&loaded, Credits(0));
        let import = staged(&book, minute(1), generation, false, sections);
        let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
        wait(self.store.stage(generation, rows)).unwrap();
        Command::ApplyImport(Arc::new(import))
    }

    pub(crate) fn import(&mut self, sections: Vec<(Make, Option<(u32, u32)>)>) {
        let command = self.stage(sections);
        self.ask(command);
    }

    /// Returns the titles of the alerts sent to this student alone, oldest first.
    pub(crate) fn alerts_of(&self, student: &str) -> Vec<String> {
        let log = wait(self.store.log_after(0, 1_000)).unwrap();
        let to = |users: &[eduhub::domain::ids::UserName]| users.iter().any(|u| u.as_str() == student);
        let mine = log.into_iter().filter(|entry| to(&entry.reach.users));
        mine.map(|entry| match entry.entry {
            Entry::Alert(alert) => alert.content.title,
            Entry::Cancelled(id) => id,
        })
        .collect()
    }
}

/// Loads the term as a registrar does.
pub(crate) fn load(store: &(impl TermStore + Clone + 'static)) -> PublishedTerm {
    TermOwner::of(store, term_id(), Credits(0)).load().unwrap()
}

pub(crate) fn other_term() -> TermId {
    TermId::parse("2028").unwrap()
}
