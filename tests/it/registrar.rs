//! The registrar between its callers and its store. The test itself answers each call of the store, so that it controls
//! when a commit succeeds or fails. (The tests in `store` check real stores against the same port.)

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
use eduhub::domain::outcome::Outcome;
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::section::Credits;
use eduhub::domain::view::TermView;
use eduhub::registration::pool::RegistrarPool;
use eduhub::registration::readmodel::ReadModel;
use eduhub::registration::registrar::{RegistrarDeps, Reply, SubmitError};
use eduhub::store::terms::{DecideBatch, TermChanges, TermRecord, TermRows, TermStore};
use eduhub::store::{StoreError, StoreFuture};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::college::{
    SectionBuilder, crn, drop_section, minute, register, register_or_wait, reply_in_words, section, term, term_id, user,
};

/// The time after which a test gives up waiting.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A call of the store, with the channel for the reply.
enum Call {
    Load(oneshot::Sender<Result<TermRows, StoreError>>),
    /// A decided batch; without a record when it changes nothing.
    Commit(Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>),
}

/// A store whose calls the test answers.
struct ScriptedStore(mpsc::UnboundedSender<Call>);

fn answered_by_test<T: Send + 'static>(receiver: oneshot::Receiver<Result<T, StoreError>>) -> StoreFuture<T> {
    async move { receiver.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the test is over".to_owned()))) }
        .boxed()
}

impl TermStore for ScriptedStore {
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        futures_util::future::ready(Ok(Vec::new())).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<TermRows> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.send(Call::Load(sender));
        answered_by_test(receiver)
    }
    fn run_batch(&self, _: &TermId, _: u64, decide: DecideBatch) -> StoreFuture<()> {
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
struct EventLog(Mutex<VecDeque<Event>>);

impl Bus for EventLog {
    fn publish(&self, event: Event) {
        self.0.lock().unwrap().push_back(event);
    }
    fn may_be_connected(&self, _: &UserName) -> bool {
        true
    }
}

/// A clock that always returns minute 1.
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        minute(1)
    }
}

/// A pool with one term and a scripted store.
struct Harness {
    pool: Arc<RegistrarPool>,
    model: Arc<ReadModel>,
    events: Arc<EventLog>,
    calls: mpsc::UnboundedReceiver<Call>,
    /// Contents of the store.
    book: TermBook,
    seq: u64,
    attempts: StoredChain,
}

/// A batch in flight, with the channel for the store's reply.
type PendingCommit = (Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>);

impl Harness {
    /// Starts a pool whose term is not loaded yet.
    fn unloaded(
        accepted_max: usize,
        wait_max: Option<Duration>,
        sections: impl IntoIterator<Item = SectionBuilder>,
    ) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let (model, events) = (Arc::new(ReadModel::new()), Arc::new(EventLog::default()));
        let deps = RegistrarDeps {
            store: Arc::new(ScriptedStore(sender)),
            credit_limit: Credits(0),
            repeat_limit: 0,
            model: model.clone(),
            bus: events.clone(),
            clock: Arc::new(FixedClock),
        };
        let pool = RegistrarPool::new(deps, 1, accepted_max, Duration::from_millis(600));
        let pool = Arc::new(match wait_max {
            Some(wait_max) => pool.with_wait_max(wait_max),
            None => pool,
        });
        let book = TermBook::new(term(), Credits(0), sections.into_iter().map(|m| m.0), 1);
        let starting = pool.clone();
        actix::spawn(async move { starting.start(vec![term_id()]).await });
        Self { pool, model, events, calls, book, seq: 0, attempts: StoredChain::default() }
    }

    /// Starts a pool whose term is loaded and idle.
    async fn loaded(accepted_max: usize, sections: impl IntoIterator<Item = SectionBuilder>) -> Self {
        let mut harness = Self::unloaded(accepted_max, None, sections);
        harness.answer_load().await;
        harness
    }

    /// Returns the next call of the store.
    async fn next_call(&mut self) -> Call {
        timeout(WAIT_MAX, self.calls.recv()).await.expect("the registrar calls its store").unwrap()
    }

    /// Returns the next call of the store, which must be a batch.
    async fn next_batch(&mut self) -> PendingCommit {
        match self.next_call().await {
            Call::Commit(record, reply) => (record, reply),
            Call::Load(_) => panic!("a load where a batch was expected"),
        }
    }

    /// Returns the channel of the next call of the store, which must be a load.
    async fn next_load(&mut self) -> oneshot::Sender<Result<TermRows, StoreError>> {
        match self.next_call().await {
            Call::Load(reply) => reply,
            Call::Commit(record, _) => panic!("{record:?} where a load was expected"),
        }
    }

    /// Answers a load of the term and the settling of waitlists after it.
    async fn answer_load(&mut self) {
        let reply = self.next_load().await;
        reply.send(Ok(self.rows())).unwrap();
        self.answer_settling().await;
    }

    /// Answers the settling of waitlists after a load, which must have no record.
    async fn answer_settling(&mut self) {
        let (record, reply) = self.next_batch().await;
        assert!(record.is_none(), "{record:?}");
        reply.send(Ok(())).unwrap();
    }

    /// Writes a batch and replies, as a store does.
    fn commit(&mut self, (record, reply): PendingCommit) {
        if let Some(record) = record {
            self.write(*record);
        }
        reply.send(Ok(())).unwrap();
    }

    fn write(&mut self, record: TermRecord) {
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

    fn rows(&self) -> TermRows {
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
        }
    }

    /// Sends a command. The pool has accepted or refused it when this returns.
    async fn submit(&self, command: Command) -> JoinHandle<Reply> {
        let pool = self.pool.clone();
        let mut submission =
            Box::pin(async move { pool.submit(&term_id(), command).await.expect("the term is known") });
        match (&mut submission).now_or_never() {
            Some(reply) => actix::spawn(async move { reply }),
            None => actix::spawn(submission),
        }
    }

    /// Waits until no accepted command is left; each is counted until its reply.
    async fn wait_until_all_are_answered(&self) {
        let answered = async {
            while self.pool.accepted() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(WAIT_MAX, answered).await.expect("every accepted command is answered");
    }

    /// Returns the published status of a student in a section.
    fn published_status(&self, student: &str, section: &str) -> &'static str {
        let registrations = self.model.term(&term_id()).and_then(|model| model.registrations(&user(student)));
        let found =
            registrations.as_ref().and_then(|registrations| registrations.iter().find(|r| r.crn == crn(section)));
        found.map_or("-", |r| r.status.as_str())
    }

    fn published_seq(&self) -> u64 {
        self.model.term(&term_id()).unwrap().snapshot().seq
    }

    fn assert_store_is_idle(&mut self) {
        assert!(self.calls.try_recv().is_err(), "the store was called");
    }
}

/// Waits for the reply to a command and returns it in words.
async fn reply_to(pending: JoinHandle<Reply>) -> Result<String, SubmitError> {
    timeout(WAIT_MAX, pending).await.expect("a reply").unwrap().map(|outcome| match outcome {
        Outcome::Request(outcome) => reply_in_words(&outcome),
        other => format!("{other:?}"),
    })
}

/// Returns the students whose registrations a batch changes, by name.
fn students_of((record, _): &PendingCommit) -> Vec<String> {
    let changed = record.iter().flat_map(|record| record.changes.registrations.keys());
    changed.map(|(student, _)| student.to_string()).collect()
}

#[actix::test]
async fn replies_and_snapshots_wait_for_the_commit() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let pending = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    let seq = harness.published_seq();
    assert!(!pending.is_finished(), "the reply waits for the commit");
    assert_eq!(harness.published_status("ana", "X"), "-");
    harness.commit(batch);
    assert_eq!(reply_to(pending).await, Ok("enrolled, new".to_owned()));
    assert_eq!(harness.published_status("ana", "X"), "enrolled", "published before the reply");
    assert_eq!(harness.published_seq(), seq + 1);
}

#[actix::test]
async fn a_repeated_command_waits_for_the_commit_before_it() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let first = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    let again = harness.submit(register("ana", "X")).await;
    assert!(!again.is_finished(), "the reply waits for the first commit");
    harness.commit(batch);
    assert_eq!(reply_to(first).await, Ok("enrolled, new".to_owned()));
    let batch = harness.next_batch().await;
    let changes = &batch.0.as_ref().expect("a record").changes;
    assert!(!changes.changes_term() && changes.attempts.attempts.len() == 1, "only an attempt: {changes:?}");
    harness.commit(batch);
    assert_eq!(reply_to(again).await, Ok("enrolled, as before".to_owned()));
}

#[actix::test]
async fn one_batch_is_in_flight_and_later_commands_form_the_next() {
    // With one seat, the waitlist shows the order of the commands, which is not the order of the names.
    let mut harness = Harness::loaded(10, [section("X").waitlist(9)]).await;
    let mut pending = vec![harness.submit(register("s0", "X")).await];
    let first = harness.next_batch().await;
    assert_eq!(students_of(&first), ["s0"]);
    for student in ["s3", "s1", "s2"] {
        pending.push(harness.submit(register_or_wait(student, "X")).await);
        harness.assert_store_is_idle();
    }
    harness.commit(first);
    let second = harness.next_batch().await;
    assert_eq!(students_of(&second), ["s1", "s2", "s3"]);
    harness.commit(second);
    let expected = ["enrolled, new", "waitlisted 1, new", "waitlisted 2, new", "waitlisted 3, new"];
    for (pending, expected) in pending.into_iter().zip(expected) {
        assert_eq!(reply_to(pending).await, Ok(expected.to_owned()));
    }
}

#[actix::test]
async fn after_a_failed_commit_the_term_is_reloaded_first() {
    let mut harness = Harness::loaded(10, [section("X").seats(9)]).await;
    let lost = harness.submit(register("ana", "X")).await;
    let (record, reply) = harness.next_batch().await;
    let next = harness.submit(register("bob", "X")).await;
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(lost).await, Err(SubmitError::OutcomeUnknown));
    assert_eq!(harness.published_status("ana", "X"), "-", "an unknown outcome is not published");
    let reply = harness.next_load().await;
    harness.assert_store_is_idle();
    // The store did commit the batch although it reported a failure.
    harness.write(*record.unwrap());
    reply.send(Ok(harness.rows())).unwrap();
    harness.answer_settling().await;
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["bob"], "the waiting command runs once, and the failed one is not repeated");
    harness.commit(batch);
    assert_eq!(reply_to(next).await, Ok("enrolled, new".to_owned()));
    assert_eq!(harness.published_status("ana", "X"), "enrolled");
}

#[actix::test]
async fn a_seat_that_was_not_committed_is_free_after_the_reload() {
    let mut harness = Harness::loaded(10, [section("X")]).await;
    let lost = harness.submit(register("ana", "X")).await;
    let (_, reply) = harness.next_batch().await;
    let next = harness.submit(register("bob", "X")).await;
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(lost).await, Err(SubmitError::OutcomeUnknown));
    harness.answer_load().await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert_eq!(reply_to(next).await, Ok("enrolled, new".to_owned()), "decided on the contents of the store");
    assert_eq!(harness.published_status("ana", "X"), "-");
}

#[actix::test]
async fn each_store_error_maps_to_its_own_reply() {
    let text = || "a reason".to_owned();
    for (error, expected) in [
        (StoreError::CommitFailed(text()), SubmitError::OutcomeUnknown),
        (StoreError::Corrupt(text()), SubmitError::OutcomeUnknown),
        (StoreError::Refused(text()), SubmitError::Failed),
        (StoreError::Unavailable(text()), SubmitError::Overloaded),
        (StoreError::Overloaded, SubmitError::Overloaded),
    ] {
        let mut harness = Harness::loaded(10, [section("X")]).await;
        let pending = harness.submit(register("ana", "X")).await;
        let (_, reply) = harness.next_batch().await;
        reply.send(Err(error.clone())).unwrap();
        assert_eq!(reply_to(pending).await, Err(expected), "{error}");
        harness.answer_load().await;
        harness.wait_until_all_are_answered().await;
    }
}

#[actix::test]
async fn commands_past_the_bound_are_refused_at_once() {
    let mut harness = Harness::loaded(2, [section("X").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    let second = harness.submit(register("s1", "X")).await;
    let third = harness.submit(register("s2", "X")).await;
    assert_eq!(reply_to(third).await, Err(SubmitError::Overloaded), "refused before the store answers");
    harness.commit(batch);
    assert_eq!(reply_to(first).await, Ok("enrolled, new".to_owned()));
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s1"]);
    harness.commit(batch);
    assert_eq!(reply_to(second).await, Ok("enrolled, new".to_owned()));
    harness.wait_until_all_are_answered().await;
}

#[actix::test]
async fn an_abandoned_command_is_dropped_undecided() {
    let mut harness = Harness::loaded(10, [section("X").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    let abandoned = harness.submit(register("s1", "X")).await;
    let waiting = harness.submit(register("s2", "X")).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    harness.commit(batch);
    assert!(reply_to(first).await.is_ok());
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s2"]);
    harness.commit(batch);
    assert!(reply_to(waiting).await.is_ok());
    harness.wait_until_all_are_answered().await;
}

#[actix::test]
async fn an_expired_command_is_refused_undecided() {
    let mut harness = Harness::unloaded(10, Some(Duration::ZERO), [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Ok(harness.rows())).unwrap();
    harness.answer_settling().await;
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded));
    harness.assert_store_is_idle();
}

#[actix::test]
async fn a_failed_decision_fails_its_own_caller_only() {
    let mut harness = Harness::loaded(10, [section("X").seats(9), section("Y").seats(9)]).await;
    let first = harness.submit(register("s0", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(first).await.is_ok());
    // The next load returns counts without s0, so that the drop of s0 fails: it would make them negative.
    let failing = harness.submit(register("s9", "Y")).await;
    let (_, reply) = harness.next_batch().await;
    let (bad, good) = (harness.submit(drop_section("s0", "X")).await, harness.submit(register("s2", "X")).await);
    reply.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(reply_to(failing).await, Err(SubmitError::OutcomeUnknown));
    let reply = harness.next_load().await;
    let mut rows = harness.rows();
    rows.sections.iter_mut().for_each(|state| state.enrolled = 0);
    reply.send(Ok(rows)).unwrap();
    harness.answer_settling().await;
    let batch = harness.next_batch().await;
    assert_eq!(students_of(&batch), ["s2"], "a failed decision changes nothing");
    harness.commit(batch);
    assert_eq!(reply_to(bad).await, Err(SubmitError::Failed));
    assert_eq!(reply_to(good).await, Ok("enrolled, new".to_owned()));
    let next = harness.submit(register("s3", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(next).await.is_ok());
}

#[actix::test]
async fn a_failed_load_answers_waiting_callers_and_is_retried() {
    let mut harness = Harness::unloaded(10, None, [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Err(StoreError::Unavailable("not yet".to_owned()))).unwrap();
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded));
    harness.answer_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert!(reply_to(pending).await.is_ok());
}

#[actix::test]
async fn a_failed_settle_answers_waiting_callers_and_reloads() {
    let mut harness = Harness::unloaded(10, None, [section("X")]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    reply.send(Ok(harness.rows())).unwrap();
    let (_, reply) = harness.next_batch().await;
    reply.send(Err(StoreError::Refused("a row that cannot be written".to_owned()))).unwrap();
    assert_eq!(reply_to(pending).await, Err(SubmitError::Overloaded), "the reply does not wait for the reload");
    harness.answer_load().await;
}

#[actix::test]
async fn waitlists_are_settled_before_the_first_command() {
    let mut harness = Harness::unloaded(10, None, [section("X").waitlist(9)]);
    let reply = harness.next_load().await;
    let pending = harness.submit(register("ana", "X")).await;
    let mut rows = harness.rows();
    let registration = Registration {
        crn: crn("X"),
        status: RegistrationStatus::Waitlisted,
        queue_number: 1,
        at: minute(0),
        passed_over_for: None,
        reserved_for: None,
    };
    rows.registrations.push((user("bob"), registration));
    rows.sections[0].waitlisted = 1;
    reply.send(Ok(rows)).unwrap();
    let settling = harness.next_batch().await;
    assert_eq!(students_of(&settling), ["bob"]);
    harness.commit(settling);
    let batch = harness.next_batch().await;
    harness.commit(batch);
    assert_eq!(reply_to(pending).await, Ok("section_full".to_owned()));
    assert_eq!(harness.published_status("bob", "X"), "enrolled");
}

#[actix::test]
async fn a_command_for_an_unknown_term_is_not_accepted() {
    let harness = Harness::loaded(10, []).await;
    let unknown = TermId::parse("2099").unwrap();
    assert!(harness.pool.submit(&unknown, register("ana", "X")).await.is_none());
    assert_eq!(harness.pool.accepted(), 0);
}

#[actix::test]
async fn events_name_everyone_who_was_promoted_or_moved_up() {
    let mut harness = Harness::loaded(10, [section("X").waitlist(9)]).await;
    for command in
        [register("ana", "X"), register_or_wait("bob", "X"), register_or_wait("cyd", "X"), drop_section("ana", "X")]
    {
        let pending = harness.submit(command).await;
        let batch = harness.next_batch().await;
        harness.commit(batch);
        assert!(reply_to(pending).await.is_ok());
    }
    let mut published = Vec::new();
    let mut alerts = 0;
    for event in harness.events.0.lock().unwrap().drain(..) {
        match event {
            Event::RegistrationsChanged { registrations, positions, .. } => {
                published.extend(registrations.iter().map(|change| {
                    let (student, status) = (&change.notice.student, change.notice.status.as_str());
                    format!("{student} {status} {:?}", change.position)
                }));
                published
                    .extend(positions.iter().map(|moved| format!("{} moved to {}", moved.student, moved.position)));
            }
            Event::AlertsStored { .. } => alerts += 1,
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        "ana enrolled None",
        "bob waitlisted Some(1)",
        "cyd waitlisted Some(2)",
        "ana dropped None",
        "bob enrolled None",
        "cyd moved to 1",
    ];
    assert_eq!(published, expected);
    assert_eq!(alerts, 1, "the promotion stores an alert");
}
