//! A pool of registrars with one term, and a store whose calls the test answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::clock::timeout;
use eduhub::bus::{Bus, Event};
use eduhub::clock::Clock;
use eduhub::domain::attempt_chain::StoredChain;
use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{TermId, UserName};
use eduhub::domain::offer::OfferSettings;
use eduhub::domain::registration::Registration;
use eduhub::domain::section::{Credits, SectionState};
use eduhub::domain::view::TermView;
use eduhub::registration::pool::RegistrarPool;
use eduhub::registration::readmodel::ReadModel;
use eduhub::registration::registrar::{RegistrarDeps, Reply};
use eduhub::store::terms::{DecideBatch, Lineage, Position, TermChanges, TermRecord, TermRows, TermStore};
use eduhub::store::{StoreError, StoreFuture};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::college::{SectionBuilder, crn, minute, term, term_id, user};

/// The time after which a test gives up waiting.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// A call to the store, with the channel for the reply.
pub(super) enum Call {
    Load(oneshot::Sender<Result<TermRows, StoreError>>),
    /// A decided batch; without a record when it changes nothing.
    Commit(Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>),
}

/// A store whose calls the test answers.
pub(super) struct ScriptedStore(mpsc::UnboundedSender<Call>);

fn answered_by_test<T: Send + 'static>(receiver: oneshot::Receiver<Result<T, StoreError>>) -> StoreFuture<T> {
    async move { receiver.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the test is over".to_owned()))) }
        .boxed()
}

impl TermStore for ScriptedStore {
    fn lineage(&self) -> Lineage {
        Lineage::from(0)
    }
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        futures_util::future::ready(Ok(Vec::new())).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<TermRows> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.send(Call::Load(sender));
        answered_by_test(receiver)
    }
    fn run_batch(&self, _: &TermId, _: Position, decide: DecideBatch) -> StoreFuture<()> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.send(Call::Commit(decide(None).map(Box::new), sender));
        answered_by_test(receiver)
    }
    fn changes_since(&self, _: &TermId, _: u64) -> StoreFuture<TermChanges> {
        unreachable!("a registrar follows no other hub")
    }
}

/// A bus that stores every event for the test.
#[derive(Default)]
pub(super) struct EventLog(pub(super) Mutex<VecDeque<Event>>);

impl Bus for EventLog {
    fn publish(&self, event: Event) {
        self.0.lock().unwrap().push_back(event);
    }
    fn may_be_connected(&self, _: &UserName) -> bool {
        true
    }
}

/// A clock that stands still at minute 1 until the test sets it.
pub(super) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(super) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A pool with one term and a scripted store.
pub(super) struct Harness {
    pub(super) pool: Arc<RegistrarPool>,
    pub(super) model: Arc<ReadModel>,
    pub(super) events: Arc<EventLog>,
    pub(super) clock: Arc<TestClock>,
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    /// Contents of the store.
    pub(super) book: TermBook,
    pub(super) seq: u64,
    pub(super) attempts: StoredChain,
}

/// A batch in flight, with the channel for the store's reply.
pub(super) type PendingCommit = (Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>);

impl Harness {
    /// Starts a pool whose term is not loaded yet.
    pub(super) fn unloaded(
        accepted_max: usize,
        wait_max: Option<Duration>,
        sections: impl IntoIterator<Item = SectionBuilder>,
    ) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let (model, events) = (Arc::new(ReadModel::new()), Arc::new(EventLog::default()));
        let clock = Arc::new(TestClock(Mutex::new(minute(1))));
        let deps = RegistrarDeps {
            store: Arc::new(ScriptedStore(sender)),
            credit_limit: Credits(0),
            repeat_limit: 0,
            offers: OfferSettings::default(),
            model: model.clone(),
            bus: events.clone(),
            clock: clock.clone(),
        };
        let pool = RegistrarPool::new(deps, 1, accepted_max, Duration::from_millis(600));
        let pool = Arc::new(match wait_max {
            Some(wait_max) => pool.with_wait_max(wait_max),
            None => pool,
        });
        let book = TermBook::new(term(), Credits(0), sections.into_iter().map(|m| m.0), 1);
        let starting = pool.clone();
        actix::spawn(async move { starting.start(vec![term_id()]).await });
        Self { pool, model, events, clock, calls, book, seq: 0, attempts: StoredChain::default() }
    }

    /// Starts a pool whose term is loaded and idle.
    pub(super) async fn loaded(accepted_max: usize, sections: impl IntoIterator<Item = SectionBuilder>) -> Self {
        let mut harness = Self::unloaded(accepted_max, None, sections);
        harness.answer_load().await;
        harness
    }

    /// Returns the next call to the store.
    pub(super) async fn next_call(&mut self) -> Call {
        timeout(WAIT_MAX, self.calls.recv()).await.expect("the registrar calls its store").unwrap()
    }

    /// Returns the next call to the store, which must be a batch.
    pub(super) async fn next_batch(&mut self) -> PendingCommit {
        match self.next_call().await {
            Call::Commit(record, reply) => (record, reply),
            Call::Load(_) => panic!("a load where a batch was expected"),
        }
    }

    /// Returns the channel of the next call to the store, which must be a load.
    pub(super) async fn next_load(&mut self) -> oneshot::Sender<Result<TermRows, StoreError>> {
        match self.next_call().await {
            Call::Load(reply) => reply,
            Call::Commit(record, _) => panic!("{record:?} where a load was expected"),
        }
    }

    /// Answers a load of the term and the settling of waitlists after it.
    pub(super) async fn answer_load(&mut self) {
        let reply = self.next_load().await;
        reply.send(Ok(self.rows())).unwrap();
        self.answer_settling().await;
    }

    /// Answers the settling of waitlists after a load, which must have no record.
    pub(super) async fn answer_settling(&mut self) {
        let (record, reply) = self.next_batch().await;
        assert!(record.is_none(), "{record:?}");
        reply.send(Ok(())).unwrap();
    }

    /// Writes a batch and replies, as a store does.
    pub(super) fn commit(&mut self, (record, reply): PendingCommit) {
        if let Some(record) = record {
            self.write(*record);
        }
        reply.send(Ok(())).unwrap();
    }

    pub(super) fn write(&mut self, record: TermRecord) {
        let changes = record.changes;
        let raised = u64::from(changes.changes_term());
        assert_eq!(record.seq, self.seq + raised, "a record that changes the term has the next sequence");
        self.seq = record.seq;
        self.attempts.extend(&changes.attempts);
        self.book.apply(&Changes {
            term: changes.term,
            sections: changes.sections.into_values().collect(),
            registrations: changes.registrations.into_iter().map(|((student, _), r)| (student, r)).collect(),
            facts: changes.facts.into_iter().collect(),
            notices: Vec::new(),
            generation: None,
        });
    }

    /// Puts rows into the store, as if an earlier run had committed them.
    pub(super) fn put(&mut self, sections: Vec<SectionState>, registrations: Vec<(UserName, Registration)>) {
        self.book.apply(&Changes { sections, registrations, ..Changes::default() });
    }

    pub(super) fn rows(&self) -> TermRows {
        let registrations = self
            .book
            .students()
            .flat_map(|(student, registrations)| registrations.iter().map(|r| (student.clone(), r.clone())));
        TermRows {
            term: self.book.term().clone(),
            seq: self.seq,
            generation: 0,
            sections: self.book.sections().cloned().collect(),
            registrations: registrations.collect(),
            facts: Vec::new(),
            attempts: self.attempts.clone(),
            rewrites: 0,
        }
    }

    /// Sends a command. The pool has accepted or refused it when this returns.
    pub(super) async fn submit(&self, command: Command) -> JoinHandle<Reply> {
        let pool = self.pool.clone();
        let mut submission =
            Box::pin(async move { pool.submit(&term_id(), command).await.expect("the term is known") });
        match (&mut submission).now_or_never() {
            Some(reply) => actix::spawn(async move { reply }),
            None => actix::spawn(submission),
        }
    }

    /// Waits until no accepted command is left; each is counted until its reply.
    pub(super) async fn wait_until_all_are_answered(&self) {
        let answered = async {
            while self.pool.accepted() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(WAIT_MAX, answered).await.expect("every accepted command is answered");
    }

    /// Returns the published status of a student in a section.
    pub(super) fn published_status(&self, student: &str, section: &str) -> &'static str {
        let registrations = self.model.term(&term_id()).and_then(|model| model.registrations(&user(student)));
        let found =
            registrations.as_ref().and_then(|registrations| registrations.iter().find(|r| r.crn == crn(section)));
        found.map_or("-", |r| r.status.as_str())
    }

    /// Waits until a student has a published status in a section.
    pub(super) async fn wait_until_published(&self, student: &str, section: &str, status: &str) {
        let published = async {
            while self.published_status(student, section) != status {
                tokio::task::yield_now().await;
            }
        };
        timeout(WAIT_MAX, published).await.expect("the status is published");
    }

    pub(super) fn published_seq(&self) -> u64 {
        self.model.term(&term_id()).unwrap().snapshot().seq
    }

    pub(super) fn assert_store_is_idle(&mut self) {
        assert!(self.calls.try_recv().is_err(), "the store was called");
    }
}
