//! The registrar between its callers and its store. The test itself answers each call of the store, so that it controls
//! the moment that it examines. (The tests in `store` hold real stores to the same port.)

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::clock::timeout;
use eduhub::bus::{Bus, Event};
use eduhub::clock::Clock;
use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{TermId, UserName};
use eduhub::domain::outcome::Outcome;
use eduhub::domain::registration::{Registration, Standing};
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

use crate::college::{Make, crn, drop_of, minute, register, register_or_wait, section, term, term_id, told, user};

/// The time after which a test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call of the store, with the channel for its answer.
enum Call {
    Load(oneshot::Sender<Result<TermRows, StoreError>>),
    /// A batch that was decided when it was handed over; without a record when it changes nothing.
    Commit(Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>),
}

/// A store whose calls the test answers.
struct Scripted(mpsc::UnboundedSender<Call>);

fn answered_by_test<T: Send + 'static>(reply: oneshot::Receiver<Result<T, StoreError>>) -> StoreFuture<T> {
    async move { reply.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the test is over".to_owned()))) }.boxed()
}

impl TermStore for Scripted {
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        futures_util::future::ready(Ok(Vec::new())).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<TermRows> {
        let (tell, reply) = oneshot::channel();
        let _ = self.0.send(Call::Load(tell));
        answered_by_test(reply)
    }
    fn commit(&self, _: &TermId, _: u64, decide: DecideBatch) -> StoreFuture<()> {
        let (tell, reply) = oneshot::channel();
        let _ = self.0.send(Call::Commit(decide(None).map(Box::new), tell));
        answered_by_test(reply)
    }
    fn changes_since(&self, _: &TermId, _: u64) -> StoreFuture<TermChanges> {
        unreachable!("a registrar follows no other hub")
    }
}

/// A bus that keeps every event.
#[derive(Default)]
struct EventLog(Mutex<VecDeque<Event>>);

impl Bus for EventLog {
    fn publish(&self, event: Event) {
        self.0.lock().unwrap().push_back(event);
    }
    fn is_listening(&self, _: &UserName) -> bool {
        true
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        minute(1)
    }
}

/// A pool with one term, whose store is the test.
struct Stage {
    pool: Arc<RegistrarPool>,
    model: Arc<ReadModel>,
    events: Arc<EventLog>,
    calls: mpsc::UnboundedReceiver<Call>,
    /// What the store holds.
    book: TermBook,
    seq: u64,
}

/// A batch in flight, with the channel for its answer.
type AtStore = (Option<Box<TermRecord>>, oneshot::Sender<Result<(), StoreError>>);

impl Stage {
    /// Starts a pool whose term is not loaded yet.
    fn set(accepted_max: usize, wait_max: Option<Duration>, sections: impl IntoIterator<Item = Make>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let (model, events) = (Arc::new(ReadModel::new()), Arc::new(EventLog::default()));
        let deps = RegistrarDeps {
            store: Arc::new(Scripted(sender)),
            credit_limit: Credits(0),
            model: model.clone(),
            bus: events.clone(),
            clock: Arc::new(Stopped),
        };
        let pool = RegistrarPool::new(deps, 1, accepted_max);
        let pool = Arc::new(match wait_max {
            Some(wait_max) => pool.with_wait_max(wait_max),
            None => pool,
        });
        let book = TermBook::new(term(), Credits(0), sections.into_iter().map(|m| m.0), 1);
        let starting = pool.clone();
        actix::spawn(async move { starting.start(vec![term_id()]).await });
        Self { pool, model, events, calls, book, seq: 0 }
    }

    /// Starts a pool whose term is loaded and idle.
    async fn ready(accepted_max: usize, sections: impl IntoIterator<Item = Make>) -> Self {
        let mut stage = Self::set(accepted_max, None, sections);
        stage.load().await;
        stage
    }

    async fn call(&mut self) -> Call {
        timeout(PATIENCE, self.calls.recv()).await.expect("the registrar asks its store").unwrap()
    }

    /// Returns the next call of the store, which must be a batch.
    async fn batch(&mut self) -> AtStore {
        match self.call().await {
            Call::Commit(record, tell) => (record, tell),
            Call::Load(_) => panic!("a load where a batch was expected"),
        }
    }

    async fn load_asked(&mut self) -> oneshot::Sender<Result<TermRows, StoreError>> {
        match self.call().await {
            Call::Load(tell) => tell,
            Call::Commit(record, _) => panic!("{record:?} where a load was expected"),
        }
    }

    /// Answers the load of the term and the settling after it.
    async fn load(&mut self) {
        let tell = self.load_asked().await;
        tell.send(Ok(self.rows())).unwrap();
        self.settle().await;
    }

    /// Answers the settling after a load, which has nothing to settle.
    async fn settle(&mut self) {
        let (record, tell) = self.batch().await;
        assert!(record.is_none(), "{record:?}");
        tell.send(Ok(())).unwrap();
    }

    /// Records a batch and answers it, as a store does.
    fn keep(&mut self, (record, tell): AtStore) {
        if let Some(record) = record {
            self.write(*record);
        }
        tell.send(Ok(())).unwrap();
    }

    fn write(&mut self, record: TermRecord) {
        assert_eq!(record.seq, self.seq + 1, "a record follows the one before it");
        self.seq = record.seq;
        let changes = record.changes;
        self.book.apply(&Changes {
            term: changes.term,
            sections: changes.sections.into_values().collect(),
            registrations: changes.registrations.into_iter().map(|((student, _), r)| (student, r)).collect(),
            notices: Vec::new(),
            generation: None,
        });
    }

    fn rows(&self) -> TermRows {
        let held = self.book.students().flat_map(|(who, held)| held.iter().map(|r| (who.clone(), r.clone())));
        TermRows {
            term: self.book.term().clone(),
            seq: self.seq,
            generation: 0,
            sections: self.book.sections().cloned().collect(),
            registrations: held.collect(),
        }
    }

    /// Sends a command. It is accepted or refused when this returns.
    async fn ask(&self, command: Command) -> JoinHandle<Reply> {
        let pool = self.pool.clone();
        let mut asking = Box::pin(async move { pool.submit(&term_id(), command).await.expect("the term is known") });
        match (&mut asking).now_or_never() {
            Some(reply) => actix::spawn(async move { reply }),
            None => actix::spawn(asking),
        }
    }

    /// Waits until no accepted command is left; each is counted until its reply.
    async fn all_are_answered(&self) {
        let back = async {
            while self.pool.accepted() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, back).await.expect("every accepted command is answered");
    }

    /// Returns the published standing of a student in a section.
    fn published_standing(&self, student: &str, section: &str) -> &'static str {
        let held = self.model.term(&term_id()).and_then(|model| model.registrations(&user(student)));
        let found = held.as_ref().and_then(|held| held.iter().find(|r| r.crn == crn(section)));
        found.map_or("-", |r| r.standing.as_str())
    }

    fn published_seq(&self) -> u64 {
        self.model.term(&term_id()).unwrap().snapshot().seq
    }

    fn assert_store_is_idle(&mut self) {
        assert!(self.calls.try_recv().is_err(), "the store was called");
    }
}

async fn replied(asked: JoinHandle<Reply>) -> Result<String, SubmitError> {
    timeout(PATIENCE, asked).await.expect("an answer").unwrap().map(|answer| match answer {
        Outcome::Request(outcome) => told(&outcome),
        other => format!("{other:?}"),
    })
}

/// Returns the students whose registrations a batch changes, by name.
fn students_of((record, _): &AtStore) -> Vec<String> {
    let changed = record.iter().flat_map(|record| record.changes.registrations.keys());
    changed.map(|(student, _)| student.to_string()).collect()
}

#[actix::test]
async fn replies_and_snapshots_wait_for_the_commit() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let asked = stage.ask(register("ana", "X")).await;
    let batch = stage.batch().await;
    let seq = stage.published_seq();
    assert!(!asked.is_finished(), "answered before the commit");
    assert_eq!(stage.published_standing("ana", "X"), "-");
    stage.keep(batch);
    assert_eq!(replied(asked).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled", "published before the reply");
    assert_eq!(stage.published_seq(), seq + 1);
}

#[actix::test]
async fn a_repeated_command_waits_for_the_commit_before_it() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let first = stage.ask(register("ana", "X")).await;
    let batch = stage.batch().await;
    let again = stage.ask(register("ana", "X")).await;
    assert!(!again.is_finished(), "the reply may name a seat that is lost");
    stage.keep(batch);
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let batch = stage.batch().await;
    assert!(batch.0.is_none(), "there is nothing to write");
    stage.keep(batch);
    assert_eq!(replied(again).await, Ok("enrolled, as before".to_owned()));
}

#[actix::test]
async fn one_batch_is_in_flight_and_later_commands_form_the_next() {
    // One seat, so that the order of the commands is the order of the waitlist; the names are in no order.
    let mut stage = Stage::ready(10, [section("X").line(9)]).await;
    let mut asked = vec![stage.ask(register("s0", "X")).await];
    let first = stage.batch().await;
    assert_eq!(students_of(&first), ["s0"]);
    for student in ["s3", "s1", "s2"] {
        asked.push(stage.ask(register_or_wait(student, "X")).await);
        stage.assert_store_is_idle();
    }
    stage.keep(first);
    let second = stage.batch().await;
    assert_eq!(students_of(&second), ["s1", "s2", "s3"]);
    stage.keep(second);
    let expected = ["enrolled, new", "waitlisted 1, new", "waitlisted 2, new", "waitlisted 3, new"];
    for (asked, expected) in asked.into_iter().zip(expected) {
        assert_eq!(replied(asked).await, Ok(expected.to_owned()));
    }
}

#[actix::test]
async fn after_a_failed_commit_the_term_is_reloaded_first() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let lost = stage.ask(register("ana", "X")).await;
    let (record, tell) = stage.batch().await;
    let next = stage.ask(register("bob", "X")).await;
    tell.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(replied(lost).await, Err(SubmitError::OutcomeUnknown));
    assert_eq!(stage.published_standing("ana", "X"), "-", "an unknown outcome is not published");
    let tell = stage.load_asked().await;
    stage.assert_store_is_idle();
    // The store did commit it: what it loads is the truth.
    stage.write(*record.unwrap());
    tell.send(Ok(stage.rows())).unwrap();
    stage.settle().await;
    let batch = stage.batch().await;
    assert_eq!(students_of(&batch), ["bob"], "the waiting command is run once, and the failed one is not repeated");
    stage.keep(batch);
    assert_eq!(replied(next).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled");
}

#[actix::test]
async fn a_seat_that_was_not_committed_is_free_after_the_reload() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let lost = stage.ask(register("ana", "X")).await;
    let (_, tell) = stage.batch().await;
    let next = stage.ask(register("bob", "X")).await;
    tell.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(replied(lost).await, Err(SubmitError::OutcomeUnknown));
    stage.load().await;
    let batch = stage.batch().await;
    stage.keep(batch);
    assert_eq!(replied(next).await, Ok("enrolled, new".to_owned()), "decided on what the store holds");
    assert_eq!(stage.published_standing("ana", "X"), "-");
}

#[actix::test]
async fn each_store_error_maps_to_its_own_reply() {
    let text = || "for a reason".to_owned();
    for (error, expected) in [
        (StoreError::CommitFailed(text()), SubmitError::OutcomeUnknown),
        (StoreError::Corrupt(text()), SubmitError::OutcomeUnknown),
        (StoreError::Refused(text()), SubmitError::Failed),
        (StoreError::Unavailable(text()), SubmitError::Overloaded),
        (StoreError::Overloaded, SubmitError::Overloaded),
    ] {
        let mut stage = Stage::ready(10, [section("X")]).await;
        let asked = stage.ask(register("ana", "X")).await;
        let (_, tell) = stage.batch().await;
        tell.send(Err(error.clone())).unwrap();
        assert_eq!(replied(asked).await, Err(expected), "{error}");
        stage.load().await;
        stage.all_are_answered().await;
    }
}

#[actix::test]
async fn commands_past_the_bound_are_refused_at_once() {
    let mut stage = Stage::ready(2, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let batch = stage.batch().await;
    let second = stage.ask(register("s1", "X")).await;
    let third = stage.ask(register("s2", "X")).await;
    assert_eq!(replied(third).await, Err(SubmitError::Overloaded), "refused before the store answers");
    stage.keep(batch);
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let batch = stage.batch().await;
    assert_eq!(students_of(&batch), ["s1"]);
    stage.keep(batch);
    assert_eq!(replied(second).await, Ok("enrolled, new".to_owned()));
    stage.all_are_answered().await;
}

#[actix::test]
async fn an_abandoned_command_is_dropped_undecided() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let batch = stage.batch().await;
    let gave_up = stage.ask(register("s1", "X")).await;
    let stayed = stage.ask(register("s2", "X")).await;
    gave_up.abort();
    assert!(gave_up.await.unwrap_err().is_cancelled());
    stage.keep(batch);
    assert!(replied(first).await.is_ok());
    let batch = stage.batch().await;
    assert_eq!(students_of(&batch), ["s2"]);
    stage.keep(batch);
    assert!(replied(stayed).await.is_ok());
    stage.all_are_answered().await;
}

#[actix::test]
async fn an_expired_command_is_refused_undecided() {
    let mut stage = Stage::set(10, Some(Duration::ZERO), [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.rows())).unwrap();
    stage.settle().await;
    assert_eq!(replied(asked).await, Err(SubmitError::Overloaded));
    stage.assert_store_is_idle();
}

#[actix::test]
async fn a_failed_decision_fails_its_own_caller_only() {
    let mut stage = Stage::ready(10, [section("X").seats(9), section("Y").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let batch = stage.batch().await;
    stage.keep(batch);
    assert!(replied(first).await.is_ok());
    // The store loads counts that do not include s0, whose drop would make them negative.
    let failing = stage.ask(register("s9", "Y")).await;
    let (_, tell) = stage.batch().await;
    let (bad, good) = (stage.ask(drop_of("s0", "X")).await, stage.ask(register("s2", "X")).await);
    tell.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(replied(failing).await, Err(SubmitError::OutcomeUnknown));
    let tell = stage.load_asked().await;
    let mut rows = stage.rows();
    rows.sections.iter_mut().for_each(|state| state.enrolled = 0);
    tell.send(Ok(rows)).unwrap();
    stage.settle().await;
    let batch = stage.batch().await;
    assert_eq!(students_of(&batch), ["s2"], "a failed decision changes nothing");
    stage.keep(batch);
    assert_eq!(replied(bad).await, Err(SubmitError::Failed));
    assert_eq!(replied(good).await, Ok("enrolled, new".to_owned()));
    let next = stage.ask(register("s3", "X")).await;
    let batch = stage.batch().await;
    stage.keep(batch);
    assert!(replied(next).await.is_ok());
}

#[actix::test]
async fn a_failed_load_answers_waiting_callers_and_is_retried() {
    let mut stage = Stage::set(10, None, [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Err(StoreError::Unavailable("not yet".to_owned()))).unwrap();
    assert_eq!(replied(asked).await, Err(SubmitError::Overloaded));
    stage.load().await;
    let asked = stage.ask(register("ana", "X")).await;
    let batch = stage.batch().await;
    stage.keep(batch);
    assert!(replied(asked).await.is_ok());
}

#[actix::test]
async fn a_failed_settle_answers_waiting_callers_and_reloads() {
    let mut stage = Stage::set(10, None, [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.rows())).unwrap();
    let (_, tell) = stage.batch().await;
    tell.send(Err(StoreError::Refused("a row that cannot be written".to_owned()))).unwrap();
    assert_eq!(replied(asked).await, Err(SubmitError::Overloaded), "the caller does not wait for the term");
    stage.load().await;
}

#[actix::test]
async fn waitlists_are_settled_before_the_first_command() {
    let mut stage = Stage::set(10, None, [section("X").line(9)]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    let mut rows = stage.rows();
    let place = Registration { crn: crn("X"), standing: Standing::Waitlisted, place: 1, at: minute(0), passed: None };
    rows.registrations.push((user("bob"), place));
    rows.sections[0].waiting = 1;
    tell.send(Ok(rows)).unwrap();
    let settled = stage.batch().await;
    assert_eq!(students_of(&settled), ["bob"]);
    stage.keep(settled);
    let batch = stage.batch().await;
    stage.keep(batch);
    assert_eq!(replied(asked).await, Ok("section_full".to_owned()));
    assert_eq!(stage.published_standing("bob", "X"), "enrolled");
}

#[actix::test]
async fn a_command_for_an_unknown_term_is_not_accepted() {
    let stage = Stage::ready(10, []).await;
    let unknown = TermId::parse("2099").unwrap();
    assert!(stage.pool.submit(&unknown, register("ana", "X")).await.is_none());
    assert_eq!(stage.pool.accepted(), 0);
}

#[actix::test]
async fn events_name_everyone_who_was_promoted_or_moved_up() {
    let mut stage = Stage::ready(10, [section("X").line(9)]).await;
    for command in
        [register("ana", "X"), register_or_wait("bob", "X"), register_or_wait("cyd", "X"), drop_of("ana", "X")]
    {
        let asked = stage.ask(command).await;
        let batch = stage.batch().await;
        stage.keep(batch);
        assert!(replied(asked).await.is_ok());
    }
    let mut words = Vec::new();
    let mut alerts = 0;
    for event in stage.events.0.lock().unwrap().drain(..) {
        match event {
            Event::RegistrationsChanged { registrations, positions, .. } => {
                words.extend(registrations.iter().map(|change| {
                    let (who, standing) = (&change.notice.student, change.notice.standing.as_str());
                    format!("{who} {standing} {:?}", change.position)
                }));
                words.extend(positions.iter().map(|moved| format!("{} moved to {}", moved.student, moved.position)));
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
    assert_eq!(words, expected);
    assert_eq!(alerts, 1, "the promotion stores an alert");
}
