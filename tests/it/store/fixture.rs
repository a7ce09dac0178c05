//! Stores under test, and a term in memory on top of one.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use eduhub::domain::batch::Receipts;
use eduhub::domain::command::Command;
use eduhub::domain::ids::TermId;
use eduhub::domain::outcome::Outcome;
use eduhub::domain::published::{PublishedTerm, TermUpdate};
use eduhub::domain::section::Credits;
use eduhub::registration::execution::{BatchExecutor, CommittedBatch, TermState};
use eduhub::registration::submitted::Submitted;
use eduhub::store::accounts::{AccountStore, AuditStore};
use eduhub::store::alerts::{AlertStore, Entry};
use eduhub::store::attempts::AttemptStore;
use eduhub::store::demo_reports::DemoReportStore;
use eduhub::store::guardian_links::GuardianLinkStore;
use eduhub::store::import_profiles::ProfileStore;
use eduhub::store::imports::ImportStore;
use eduhub::store::lease::LeaseStore;
use eduhub::store::members::MemberStore;
use eduhub::store::outbox::OutboxStore;
use eduhub::store::plans::PlanStore;
use eduhub::store::privacy::PrivacyStore;
use eduhub::store::provider_sign_ins::ProviderSignInStore;
use eduhub::store::rosters::RosterStore;
use eduhub::store::schedule_feeds::ScheduleFeedStore;
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::students::StudentStore;
use eduhub::store::terms::TermStore;
use eduhub::store::{StoreError, StoreFuture};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::college::{SectionBuilder, minute, staged, term_id, window};

/// Blocks until a call to the store has ended, and returns its result.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().unwrap()).block_on(future)
}

/// The location of one store. The store can be opened, closed by dropping all its handles, and opened again.
pub(crate) trait StoreFixture {
    /// The kind of store. Clones are handles of one store.
    type Store: TermStore
        + AttemptStore
        + ImportStore
        + AlertStore
        + OutboxStore
        + LeaseStore
        + MemberStore
        + AccountStore
        + AuditStore
        + PlanStore
        + PrivacyStore
        + RosterStore
        + ProfileStore
        + ProviderSignInStore
        + GuardianLinkStore
        + DemoReportStore
        + ScheduleFeedStore
        + StudentStore
        + Clone
        + 'static;
    /// Creates a location without a store.
    fn create() -> Self;
    /// Opens the store with an outbox. An embedded store must be closed before.
    fn open(&self) -> Self::Store;
    /// Opens the store without an outbox, as a hub without Plone does. An embedded store must be closed before.
    fn open_without_outbox(&self) -> Self::Store;
    /// Makes the store refuse every registration in the section `BAD` until it is opened again.
    fn refuse_bad(&self, store: &Self::Store);
}

/// The embedded store in a temporary folder.
pub(crate) struct Embedded(TempDir);

impl Embedded {
    /// Returns the path of the store's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("hub.sqlite")
    }
}

impl StoreFixture for Embedded {
    type Store = SqliteStore;
    fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn open(&self) -> SqliteStore {
        open_when_unlocked(&self.0.path().join("hub.sqlite"), true)
    }
    fn open_without_outbox(&self) -> SqliteStore {
        open_when_unlocked(&self.0.path().join("hub.sqlite"), false)
    }
    fn refuse_bad(&self, store: &SqliteStore) {
        // Temporary, because a change to the schema is damage when the store is opened again.
        let trigger = "CREATE TEMP TRIGGER no_bad BEFORE INSERT ON main.registrations WHEN NEW.crn = 'BAD'
             BEGIN SELECT RAISE (ABORT, 'not this one'); END";
        block_on(store.write(|tx| tx.execute_batch(trigger))).unwrap();
    }
}

/// Opens an embedded store as soon as it is unlocked, which takes at most 60 s.
///
/// A store that was just closed can still be locked for a moment: a child process that another test starts holds the
/// locks of this process from its fork to its exec.
pub(crate) fn open_when_unlocked(path: &Path, outbox: bool) -> SqliteStore {
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
    pub(crate) receipts: Vec<Receipts>,
    /// The update to publish; `None` when the batch changed nothing.
    pub(crate) update: Option<TermUpdate>,
}

/// A term in memory, as its registrar holds it. It is loaded again after a batch that failed.
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
        let (state, published) = block_on(self.executor.load(&self.term))?;
        self.state = Some(state);
        Ok(published)
    }

    /// Starts a batch without waiting for its end. The term must be loaded.
    pub(crate) fn start(&mut self, commands: Vec<impl Into<Submitted>>, now: Timestamp) -> StoreFuture<CommittedBatch> {
        self.executor.run(self.state.take().expect("the term is loaded"), commands, now)
    }

    /// Waits for the end of a batch.
    pub(crate) fn finish(&mut self, batch: StoreFuture<CommittedBatch>) -> Result<Committed, StoreError> {
        let CommittedBatch { state, outcomes, receipts, mut updates } = block_on(batch)?;
        self.state = Some(state);
        Ok(Committed { outcomes, receipts, update: updates.pop() })
    }

    /// Runs a batch, and loads the term first if necessary.
    pub(crate) fn run(&mut self, commands: Vec<impl Into<Submitted>>, now: Timestamp) -> Result<Committed, StoreError> {
        if self.state.is_none() {
            self.load()?;
        }
        let batch = self.start(commands, now);
        self.finish(batch)
    }
}

/// An open store with a term that is open for registration.
pub(crate) struct StoredTerm<F: StoreFixture> {
    pub(crate) fixture: F,
    pub(crate) store: F::Store,
    pub(crate) owner: TermOwner,
    pub(crate) loaded: PublishedTerm,
}

impl<F: StoreFixture> StoredTerm<F> {
    /// Creates a store with an open term of these sections.
    pub(crate) fn with_sections(sections: impl IntoIterator<Item = SectionBuilder>) -> Self {
        let fixture = F::create();
        let store = fixture.open();
        let mut term = Self::open(fixture, store);
        term.run(vec![window(Some(0), None)]).unwrap();
        term.import(sections.into_iter().map(|s| (s, None)).collect());
        term
    }

    /// Loads the term of an open store.
    pub(crate) fn open(fixture: F, store: F::Store) -> Self {
        let mut owner = TermOwner::of(&store, term_id(), Credits(0));
        let loaded = owner.load().unwrap();
        Self { fixture, store, owner, loaded }
    }

    /// Closes the store and returns its location.
    pub(crate) fn close(self) -> F {
        self.fixture
    }

    /// Closes the store, opens it again and loads the term.
    pub(crate) fn reopen(self) -> Self {
        let fixture = self.close();
        let store = fixture.open();
        Self::open(fixture, store)
    }

    /// Runs a batch at minute 1.
    pub(crate) fn run(&mut self, commands: Vec<impl Into<Submitted>>) -> Result<Committed, StoreError> {
        self.owner.run(commands, minute(1))
    }

    /// Runs one command, which must be committed, and returns its outcome.
    pub(crate) fn run_one(&mut self, command: Command) -> Outcome {
        let committed = self.run(vec![command]).unwrap();
        committed.outcomes.into_iter().next().flatten().expect("the decision did not panic")
    }

    /// Stages an import of these sections, compared with the committed term, and returns its command.
    pub(crate) fn stage(&mut self, sections: Vec<(SectionBuilder, Option<(u32, u32)>)>) -> Command {
        let generation = block_on(self.store.generation(&term_id())).unwrap() + 1;
        let loaded = load(&self.store);
        let book = super::histories::book_of(&loaded, Credits(0));
        let import = staged(&book, minute(1), generation, false, sections);
        let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
        block_on(self.store.stage(generation, rows)).unwrap();
        Command::ApplyImport(Arc::new(import))
    }

    /// Stages and applies an import of these sections.
    pub(crate) fn import(&mut self, sections: Vec<(SectionBuilder, Option<(u32, u32)>)>) {
        let command = self.stage(sections);
        self.run_one(command);
    }

    /// Returns the titles of the alerts whose stored recipients include this student, oldest first.
    pub(crate) fn alerts_of(&self, student: &str) -> Vec<String> {
        let log = block_on(self.store.log_after(0, 1_000)).unwrap();
        let includes_student = |users: &[eduhub::domain::ids::UserName]| users.iter().any(|u| u.as_str() == student);
        let mine = log.into_iter().filter(|entry| includes_student(&entry.recipients.users));
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
