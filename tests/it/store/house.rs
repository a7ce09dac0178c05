//! The place of a store under test, and short helpers for using it.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eduhub::domain::command::Command;
use eduhub::domain::ids::TermId;
use eduhub::domain::outcome::Outcome;
use eduhub::domain::section::Credits;
use eduhub::store::StoreError;
use eduhub::store::alerts::{AlertStore, Entry};
use eduhub::store::imports::ImportStore;
use eduhub::store::members::MemberStore;
use eduhub::store::outbox::OutboxStore;
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::terms::{Committed, LoadedTerm, TermBatch, TermStore};
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
    /// The kind of store.
    type Store: TermStore + ImportStore + AlertStore + OutboxStore + MemberStore;
    /// Creates a place without a store.
    fn build() -> Self;
    /// Opens the store with an outbox. No other handle may be open.
    fn open(&self, limit: Credits) -> Self::Store;
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
    fn open(&self, credit_limit: Credits) -> SqliteStore {
        open_freed(&self.0.path().join("hub.sqlite"), credit_limit, true)
    }
    fn open_without_outbox(&self) -> SqliteStore {
        open_freed(&self.0.path().join("hub.sqlite"), Credits(0), false)
    }
    fn refuse_bad(&self, store: &SqliteStore) {
        let trigger = "CREATE TRIGGER no_bad BEFORE INSERT ON registrations WHEN NEW.crn = 'BAD'
             BEGIN SELECT RAISE (ABORT, 'not this one'); END";
        wait(store.write(|tx| tx.execute_batch(trigger))).unwrap();
    }
}

/// Opens an embedded store that was closed a moment ago. A child process that another test starts inherits open files
/// and their locks between its fork and its exec, so this waits while the store is locked.
pub(crate) fn open_freed(path: &Path, credit_limit: Credits, outbox: bool) -> SqliteStore {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match SqliteStore::open(SqliteOptions { path: path.to_owned(), credit_limit, outbox }) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

/// A store with an open term.
pub(crate) struct Desk<H: House> {
    pub(crate) house: H,
    pub(crate) store: H::Store,
    pub(crate) loaded: LoadedTerm,
}

impl<H: House> Desk<H> {
    /// Creates a store with an open term of these sections.
    pub(crate) fn with(sections: impl IntoIterator<Item = Make>) -> Self {
        let house = H::build();
        let store = house.open(Credits(0));
        let loaded = load(&store);
        let mut desk = Self { house, store, loaded };
        desk.run(vec![window(Some(0), None)]).unwrap();
        desk.import(sections.into_iter().map(|s| (s, None)).collect());
        desk
    }

    /// Closes the store, opens it again and loads the term.
    pub(crate) fn reopened(self) -> Self {
        let Self { house, store, .. } = self;
        drop(store);
        let store = house.open(Credits(0));
        let loaded = load(&store);
        Self { house, store, loaded }
    }

    pub(crate) fn run(&mut self, commands: Vec<Command>) -> Result<Committed, StoreError> {
        wait(self.store.run(batch(commands, minute(1))))
    }

    /// Runs one command, which must be committed.
    pub(crate) fn ask(&mut self, command: Command) -> Outcome {
        let committed = self.run(vec![command]).unwrap();
        committed.answers.into_iter().next().flatten().expect("the decision did not panic")
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

pub(crate) fn load(store: &impl TermStore) -> LoadedTerm {
    wait(store.load(&term_id())).unwrap()
}

pub(crate) fn batch(commands: Vec<Command>, now: Timestamp) -> TermBatch {
    TermBatch { term: term_id(), commands, now }
}

pub(crate) fn other_term() -> TermId {
    TermId::parse("2028").unwrap()
}
