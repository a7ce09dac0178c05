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
use eduhub::domain::decide::decide;
use eduhub::domain::ids::{TermId, UserName};
use eduhub::domain::outcome::Outcome;
use eduhub::domain::section::Credits;
use eduhub::domain::view::TermView;
use eduhub::registration::pool::RegistrarPool;
use eduhub::registration::readmodel::ReadModel;
use eduhub::registration::registrar::{AskError, RegistrarDeps, Reply};
use eduhub::store::terms::{Committed, LoadedTerm, PublishedSection, TermBatch, TermStore, TermUpdate};
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
    Load(oneshot::Sender<Result<LoadedTerm, StoreError>>),
    Run(TermBatch, oneshot::Sender<Result<Committed, StoreError>>),
}

/// A store whose calls the test answers.
struct Scripted(mpsc::UnboundedSender<Call>);

fn answered_by_test<T: Send + 'static>(answer: oneshot::Receiver<Result<T, StoreError>>) -> StoreFuture<T> {
    async move { answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the test is over".to_owned()))) }.boxed()
}

impl TermStore for Scripted {
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        futures_util::future::ready(Ok(Vec::new())).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<LoadedTerm> {
        let (tell, answer) = oneshot::channel();
        let _ = self.0.send(Call::Load(tell));
        answered_by_test(answer)
    }
    fn run(&self, batch: TermBatch) -> StoreFuture<Committed> {
        let (tell, answer) = oneshot::channel();
        let _ = self.0.send(Call::Run(batch, tell));
        answered_by_test(answer)
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
    book: TermBook,
    seq: u64,
}

/// A batch in flight, with the channel for its answer.
type AtStore = (TermBatch, oneshot::Sender<Result<Committed, StoreError>>);

impl Stage {
    /// Starts a pool whose term is not loaded yet.
    fn set(accepted_max: usize, wait_max: Option<Duration>, sections: impl IntoIterator<Item = Make>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let (model, events) = (Arc::new(ReadModel::new()), Arc::new(EventLog::default()));
        let deps = RegistrarDeps {
            store: Arc::new(Scripted(sender)),
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
            Call::Run(batch, tell) => (batch, tell),
            Call::Load(_) => panic!("a load where a batch was expected"),
        }
    }

    async fn load_asked(&mut self) -> oneshot::Sender<Result<LoadedTerm, StoreError>> {
        match self.call().await {
            Call::Load(tell) => tell,
            Call::Run(batch, _) => panic!("{batch:?} where a load was expected"),
        }
    }

    /// Answers the load of the term and the settling after it.
    async fn load(&mut self) {
        let tell = self.load_asked().await;
        tell.send(Ok(self.loaded())).unwrap();
        let (settle, tell) = self.batch().await;
        assert!(matches!(settle.commands[..], [Command::Settle]), "{settle:?}");
        let committed = self.keep(&settle);
        tell.send(Ok(committed)).unwrap();
    }

    fn loaded(&self) -> LoadedTerm {
        let students = self.book.students().map(|(who, held)| (who.clone(), held.into())).collect();
        let sections = self.book.sections().map(|s| self.published(&s.section.id.crn)).collect();
        LoadedTerm { term: self.book.term().clone(), seats_seq: self.seq, sections, students }
    }

    fn published(&self, of: &eduhub::domain::ids::Crn) -> PublishedSection {
        PublishedSection {
            state: self.book.section(of).unwrap().clone(),
            line: self.book.waiting(of).cloned().collect(),
        }
    }

    /// Decides and records a batch, as a store does.
    fn keep(&mut self, batch: &TermBatch) -> Committed {
        let mut answers = Vec::new();
        let mut update = TermUpdate::default();
        for command in &batch.commands {
            let decision = decide(&self.book, command, batch.now);
            self.book.apply(&decision.changes);
            let changes = decision.changes;
            update.term = changes.term.or(update.term);
            update.sections.extend(changes.sections.iter().map(|s| self.published(&s.section.id.crn)));
            let held = |who: &UserName| (who.clone(), self.book.registrations(who).into());
            update.students.extend(changes.registrations.iter().map(|(who, _)| held(who)));
            update.notices.extend(changes.notices);
            answers.push(Some(decision.answer));
        }
        let changed = update.term.is_some() || !update.sections.is_empty() || !update.students.is_empty();
        self.seq += u64::from(changed);
        update.seats_seq = self.seq;
        Committed { answers, update: changed.then_some(update) }
    }

    /// Sends a command. It is accepted or refused when this returns.
    async fn ask(&self, command: Command) -> JoinHandle<Reply> {
        let pool = self.pool.clone();
        let mut asking = Box::pin(async move { pool.ask(&term_id(), command).await.expect("the term is known") });
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

async fn replied(asked: JoinHandle<Reply>) -> Result<String, AskError> {
    timeout(PATIENCE, asked).await.expect("an answer").unwrap().map(|answer| match answer {
        Outcome::Request(outcome) => told(&outcome),
        other => format!("{other:?}"),
    })
}

/// Returns the students of a batch, in order.
fn students_of(batch: &TermBatch) -> Vec<&str> {
    let who = |command| match command {
        &Command::Register { ref student, .. } | &Command::Drop { ref student, .. } => student.as_str(),
        other => panic!("{other:?}"),
    };
    batch.commands.iter().map(who).collect()
}

#[actix::test]
async fn replies_and_snapshots_wait_for_the_commit() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let asked = stage.ask(register("ana", "X")).await;
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    let seq = stage.published_seq();
    assert!(!asked.is_finished(), "answered before the commit");
    assert_eq!(stage.published_standing("ana", "X"), "-");
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(asked).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled", "published before the reply");
    assert_eq!(stage.published_seq(), seq + 1);
}

#[actix::test]
async fn a_repeated_command_waits_for_the_commit_before_it() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let first = stage.ask(register("ana", "X")).await;
    let (batch, tell) = stage.batch().await;
    let again = stage.ask(register("ana", "X")).await;
    assert!(!again.is_finished(), "the reply may name a seat that is lost");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(again).await, Ok("enrolled, as before".to_owned()));
}

#[actix::test]
async fn one_batch_is_in_flight_and_later_commands_form_the_next() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let mut asked = vec![stage.ask(register("s0", "X")).await];
    let (first, tell) = stage.batch().await;
    assert_eq!(students_of(&first), ["s0"]);
    for student in ["s1", "s2", "s3"] {
        asked.push(stage.ask(register(student, "X")).await);
        stage.assert_store_is_idle();
    }
    let committed = stage.keep(&first);
    tell.send(Ok(committed)).unwrap();
    let (second, tell) = stage.batch().await;
    assert_eq!(students_of(&second), ["s1", "s2", "s3"]);
    let committed = stage.keep(&second);
    tell.send(Ok(committed)).unwrap();
    for asked in asked {
        assert_eq!(replied(asked).await, Ok("enrolled, new".to_owned()));
    }
}

#[actix::test]
async fn after_a_failed_commit_the_term_is_reloaded_first() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let lost = stage.ask(register("ana", "X")).await;
    let (_, tell) = stage.batch().await;
    let next = stage.ask(register("bob", "X")).await;
    tell.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(replied(lost).await, Err(AskError::OutcomeUnknown));
    assert_eq!(stage.published_standing("ana", "X"), "-", "an unknown outcome is not published");
    let tell = stage.load_asked().await;
    stage.assert_store_is_idle();
    // The store did commit it: what it loads is the truth.
    let decision = decide(&stage.book, &register("ana", "X"), minute(1));
    stage.book.apply(&decision.changes);
    stage.seq += 1;
    tell.send(Ok(stage.loaded())).unwrap();
    let (settle, tell) = stage.batch().await;
    assert!(matches!(settle.commands[..], [Command::Settle]));
    let committed = stage.keep(&settle);
    tell.send(Ok(committed)).unwrap();
    let (batch, tell) = stage.batch().await;
    assert_eq!(students_of(&batch), ["bob"], "the waiting command is run once, and the failed one is not repeated");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(next).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled");
}

#[actix::test]
async fn each_store_error_maps_to_its_own_reply() {
    let text = || "for a reason".to_owned();
    for (error, expected) in [
        (StoreError::CommitFailed(text()), AskError::OutcomeUnknown),
        (StoreError::Corrupt(text()), AskError::OutcomeUnknown),
        (StoreError::Refused(text()), AskError::Failed),
        (StoreError::Unavailable(text()), AskError::Overloaded),
        (StoreError::Overloaded, AskError::Overloaded),
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
    let (batch, tell) = stage.batch().await;
    let second = stage.ask(register("s1", "X")).await;
    let third = stage.ask(register("s2", "X")).await;
    assert_eq!(replied(third).await, Err(AskError::Overloaded), "refused before the store answers");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let (batch, tell) = stage.batch().await;
    assert_eq!(students_of(&batch), ["s1"]);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(second).await, Ok("enrolled, new".to_owned()));
    stage.all_are_answered().await;
}

#[actix::test]
async fn an_abandoned_command_is_dropped_undecided() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let (batch, tell) = stage.batch().await;
    let gave_up = stage.ask(register("s1", "X")).await;
    let stayed = stage.ask(register("s2", "X")).await;
    gave_up.abort();
    assert!(gave_up.await.unwrap_err().is_cancelled());
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(first).await.is_ok());
    let (batch, tell) = stage.batch().await;
    assert_eq!(students_of(&batch), ["s2"]);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(stayed).await.is_ok());
    stage.all_are_answered().await;
}

#[actix::test]
async fn an_expired_command_is_refused_undecided() {
    let mut stage = Stage::set(10, Some(Duration::ZERO), [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.loaded())).unwrap();
    let (settle, tell) = stage.batch().await;
    let committed = stage.keep(&settle);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(asked).await, Err(AskError::Overloaded));
    stage.assert_store_is_idle();
}

#[actix::test]
async fn a_failed_decision_fails_its_own_caller_only() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let (batch, tell) = stage.batch().await;
    let (bad, good) = (stage.ask(register("s1", "X")).await, stage.ask(register("s2", "X")).await);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(first).await.is_ok());
    let (mut batch, tell) = stage.batch().await;
    assert_eq!(students_of(&batch), ["s1", "s2"]);
    batch.commands.remove(0);
    let mut committed = stage.keep(&batch);
    committed.answers.insert(0, None);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(bad).await, Err(AskError::Failed));
    assert_eq!(replied(good).await, Ok("enrolled, new".to_owned()));
    let next = stage.ask(register("s3", "X")).await;
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(next).await.is_ok());
}

#[actix::test]
async fn a_failed_load_answers_waiting_callers_and_is_retried() {
    let mut stage = Stage::set(10, None, [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Err(StoreError::Unavailable("not yet".to_owned()))).unwrap();
    assert_eq!(replied(asked).await, Err(AskError::Overloaded));
    stage.load().await;
    let asked = stage.ask(register("ana", "X")).await;
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(asked).await.is_ok());
}

#[actix::test]
async fn a_failed_settle_answers_waiting_callers_and_reloads() {
    let mut stage = Stage::set(10, None, [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.loaded())).unwrap();
    let (_, tell) = stage.batch().await;
    tell.send(Err(StoreError::Refused("a row that cannot be written".to_owned()))).unwrap();
    assert_eq!(replied(asked).await, Err(AskError::Overloaded), "the caller does not wait for the term");
    stage.load().await;
}

#[actix::test]
async fn a_command_for_an_unknown_term_is_not_accepted() {
    let stage = Stage::ready(10, []).await;
    let unknown = TermId::parse("2099").unwrap();
    assert!(stage.pool.ask(&unknown, register("ana", "X")).await.is_none());
    assert_eq!(stage.pool.accepted(), 0);
}

#[actix::test]
async fn events_name_everyone_who_was_promoted_or_moved_up() {
    let mut stage = Stage::ready(10, [section("X").line(9)]).await;
    for command in
        [register("ana", "X"), register_or_wait("bob", "X"), register_or_wait("cyd", "X"), drop_of("ana", "X")]
    {
        let asked = stage.ask(command).await;
        let (batch, tell) = stage.batch().await;
        let committed = stage.keep(&batch);
        tell.send(Ok(committed)).unwrap();
        assert!(replied(asked).await.is_ok());
    }
    let mut words = Vec::new();
    for event in stage.events.0.lock().unwrap().drain(..) {
        match event {
            Event::RegistrationsChanged { registrations, positions, .. } => {
                words.extend(registrations.iter().map(|change| {
                    let (who, standing) = (&change.notice.student, change.notice.standing.as_str());
                    format!("{who} {standing} {:?}", change.position)
                }));
                words.extend(positions.iter().map(|moved| format!("{} moved to {}", moved.student, moved.position)));
            }
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
}
