//! What a registrar promises between its callers and its store. The store is played by the test itself, call by call, so
//! that each test holds the moment that it is about. (The real ones are held to the same port in `store_contract`.)

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod college;

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

use college::{Make, crn, drop_of, minute, register, register_or_wait, section, term, term_id, told, user};

/// How long a test waits for what never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the registrar asks of its store, with the way to answer it.
enum Call {
    Load(oneshot::Sender<Result<LoadedTerm, StoreError>>),
    Run(TermBatch, oneshot::Sender<Result<Committed, StoreError>>),
}

/// A store that does what the test says.
struct Scripted(mpsc::UnboundedSender<Call>);

fn told_by_test<T: Send + 'static>(answer: oneshot::Receiver<Result<T, StoreError>>) -> StoreFuture<T> {
    async move { answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the test is over".to_owned()))) }.boxed()
}

impl TermStore for Scripted {
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        futures_util::future::ready(Ok(Vec::new())).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<LoadedTerm> {
        let (tell, answer) = oneshot::channel();
        let _ = self.0.send(Call::Load(tell));
        told_by_test(answer)
    }
    fn run(&self, batch: TermBatch) -> StoreFuture<Committed> {
        let (tell, answer) = oneshot::channel();
        let _ = self.0.send(Call::Run(batch, tell));
        told_by_test(answer)
    }
}

/// Hears everything.
#[derive(Default)]
struct Ear(Mutex<VecDeque<Event>>);

impl Bus for Ear {
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

/// A pool with one term, and the test in the place of its store.
struct Stage {
    pool: Arc<RegistrarPool>,
    model: Arc<ReadModel>,
    ear: Arc<Ear>,
    calls: mpsc::UnboundedReceiver<Call>,
    book: TermBook,
    seq: u64,
}

/// A batch at the store.
type AtStore = (TermBatch, oneshot::Sender<Result<Committed, StoreError>>);

impl Stage {
    /// A pool whose term is asked for and not yet loaded.
    fn set(accepted_max: usize, wait_max: Option<Duration>, sections: impl IntoIterator<Item = Make>) -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let (model, ear) = (Arc::new(ReadModel::new()), Arc::new(Ear::default()));
        let deps = RegistrarDeps {
            store: Arc::new(Scripted(sender)),
            model: model.clone(),
            bus: ear.clone(),
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
        Self { pool, model, ear, calls, book, seq: 0 }
    }

    /// A pool whose term is loaded and at rest.
    async fn ready(accepted_max: usize, sections: impl IntoIterator<Item = Make>) -> Self {
        let mut stage = Self::set(accepted_max, None, sections);
        stage.load().await;
        stage
    }

    async fn call(&mut self) -> Call {
        timeout(PATIENCE, self.calls.recv()).await.expect("the registrar asks its store").unwrap()
    }

    /// The next thing asked of the store, which must be a batch.
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

    /// Lets the registrar load its term, and settle it.
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

    /// Decides and keeps a batch, as a store does.
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

    /// Asks. The first step of asking is to be accepted and sent, or refused: it is done when this returns.
    async fn ask(&self, command: Command) -> JoinHandle<Reply> {
        let pool = self.pool.clone();
        let mut asking = Box::pin(async move { pool.ask(&term_id(), command).await.expect("the term is known") });
        match (&mut asking).now_or_never() {
            Some(reply) => actix::spawn(async move { reply }),
            None => actix::spawn(asking),
        }
    }

    /// A place among the accepted is given back as its answer goes out.
    async fn nobody_is_left(&self) {
        let back = async {
            while self.pool.accepted() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, back).await.expect("all places are given back");
    }

    /// What the read model says of a student and a section.
    fn published_standing(&self, student: &str, section: &str) -> &'static str {
        let held = self.model.term(&term_id()).and_then(|model| model.registrations(&user(student)));
        let found = held.as_ref().and_then(|held| held.iter().find(|r| r.crn == crn(section)));
        found.map_or("-", |r| r.standing.as_str())
    }

    fn published_seq(&self) -> u64 {
        self.model.term(&term_id()).unwrap().snapshot().seq
    }

    fn nothing_is_asked_of_the_store(&mut self) {
        assert!(self.calls.try_recv().is_err(), "the store is asked for something");
    }
}

async fn replied(asked: JoinHandle<Reply>) -> Result<String, AskError> {
    timeout(PATIENCE, asked).await.expect("an answer").unwrap().map(|answer| match answer {
        Outcome::Request(outcome) => told(&outcome),
        other => format!("{other:?}"),
    })
}

/// Who asks for something in a batch, in order.
fn askers(batch: &TermBatch) -> Vec<&str> {
    let who = |command| match command {
        &Command::Register { ref student, .. } | &Command::Drop { ref student, .. } => student.as_str(),
        other => panic!("{other:?}"),
    };
    batch.commands.iter().map(who).collect()
}

#[actix::test]
async fn nothing_is_answered_or_published_before_its_commit() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let asked = stage.ask(register("ana", "X")).await;
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    let seq = stage.published_seq();
    assert!(!asked.is_finished(), "answered while it was at the store");
    assert_eq!(stage.published_standing("ana", "X"), "-");
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(asked).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled", "published before it was answered");
    assert_eq!(stage.published_seq(), seq + 1);
}

#[actix::test]
async fn what_changes_nothing_waits_for_the_batch_before_it_all_the_same() {
    let mut stage = Stage::ready(10, [section("X")]).await;
    let first = stage.ask(register("ana", "X")).await;
    let (batch, tell) = stage.batch().await;
    let again = stage.ask(register("ana", "X")).await;
    assert!(!again.is_finished(), "a double click is told of a seat that may yet be lost");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let (batch, tell) = stage.batch().await;
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(again).await, Ok("enrolled, as before".to_owned()));
}

#[actix::test]
async fn one_batch_is_at_the_store_at_a_time_and_what_comes_meanwhile_is_the_next_in_order() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let mut asked = vec![stage.ask(register("s0", "X")).await];
    let (first, tell) = stage.batch().await;
    assert_eq!(askers(&first), ["s0"]);
    for student in ["s1", "s2", "s3"] {
        asked.push(stage.ask(register(student, "X")).await);
        stage.nothing_is_asked_of_the_store();
    }
    let committed = stage.keep(&first);
    tell.send(Ok(committed)).unwrap();
    let (second, tell) = stage.batch().await;
    assert_eq!(askers(&second), ["s1", "s2", "s3"]);
    let committed = stage.keep(&second);
    tell.send(Ok(committed)).unwrap();
    for asked in asked {
        assert_eq!(replied(asked).await, Ok("enrolled, new".to_owned()));
    }
}

#[actix::test]
async fn after_a_failed_commit_the_outcome_is_unknown_and_the_term_is_loaded_before_anything_else() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let lost = stage.ask(register("ana", "X")).await;
    let (_, tell) = stage.batch().await;
    let next = stage.ask(register("bob", "X")).await;
    tell.send(Err(StoreError::CommitFailed("the disk is gone".to_owned()))).unwrap();
    assert_eq!(replied(lost).await, Err(AskError::OutcomeUnknown));
    assert_eq!(stage.published_standing("ana", "X"), "-", "what is not known is not published");
    let tell = stage.load_asked().await;
    stage.nothing_is_asked_of_the_store();
    // The store did keep it, as it turns out: what it holds is what counts.
    let decision = decide(&stage.book, &register("ana", "X"), minute(1));
    stage.book.apply(&decision.changes);
    stage.seq += 1;
    tell.send(Ok(stage.loaded())).unwrap();
    let (settle, tell) = stage.batch().await;
    assert!(matches!(settle.commands[..], [Command::Settle]));
    let committed = stage.keep(&settle);
    tell.send(Ok(committed)).unwrap();
    let (batch, tell) = stage.batch().await;
    assert_eq!(askers(&batch), ["bob"], "whoever waited is tried once, and what failed is not tried again");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(next).await, Ok("enrolled, new".to_owned()));
    assert_eq!(stage.published_standing("ana", "X"), "enrolled");
}

#[actix::test]
async fn each_error_of_the_store_is_told_for_what_it_is() {
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
        stage.nobody_is_left().await;
    }
}

#[actix::test]
async fn past_the_bound_a_command_is_refused_at_once_and_never_reaches_the_store() {
    let mut stage = Stage::ready(2, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let (batch, tell) = stage.batch().await;
    let second = stage.ask(register("s1", "X")).await;
    let third = stage.ask(register("s2", "X")).await;
    assert_eq!(replied(third).await, Err(AskError::Overloaded), "while the store has answered nothing");
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(first).await, Ok("enrolled, new".to_owned()));
    let (batch, tell) = stage.batch().await;
    assert_eq!(askers(&batch), ["s1"]);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(second).await, Ok("enrolled, new".to_owned()));
    stage.nobody_is_left().await;
}

#[actix::test]
async fn whoever_gave_up_is_dropped_before_it_is_decided() {
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
    assert_eq!(askers(&batch), ["s2"]);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(stayed).await.is_ok());
    stage.nobody_is_left().await;
}

#[actix::test]
async fn what_has_waited_too_long_is_told_so_and_is_not_decided() {
    let mut stage = Stage::set(10, Some(Duration::ZERO), [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.loaded())).unwrap();
    let (settle, tell) = stage.batch().await;
    let committed = stage.keep(&settle);
    tell.send(Ok(committed)).unwrap();
    assert_eq!(replied(asked).await, Err(AskError::Overloaded));
    stage.nothing_is_asked_of_the_store();
}

#[actix::test]
async fn a_decision_that_failed_is_told_to_its_caller_alone_and_the_next_go_on() {
    let mut stage = Stage::ready(10, [section("X").seats(9)]).await;
    let first = stage.ask(register("s0", "X")).await;
    let (batch, tell) = stage.batch().await;
    let (bad, good) = (stage.ask(register("s1", "X")).await, stage.ask(register("s2", "X")).await);
    let committed = stage.keep(&batch);
    tell.send(Ok(committed)).unwrap();
    assert!(replied(first).await.is_ok());
    let (mut batch, tell) = stage.batch().await;
    assert_eq!(askers(&batch), ["s1", "s2"]);
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
async fn a_term_that_cannot_be_loaded_answers_those_who_wait_and_is_tried_again() {
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
async fn a_term_that_cannot_be_settled_answers_those_who_wait_and_is_loaded_again() {
    let mut stage = Stage::set(10, None, [section("X")]);
    let tell = stage.load_asked().await;
    let asked = stage.ask(register("ana", "X")).await;
    tell.send(Ok(stage.loaded())).unwrap();
    let (_, tell) = stage.batch().await;
    tell.send(Err(StoreError::Refused("a row that cannot be written".to_owned()))).unwrap();
    assert_eq!(replied(asked).await, Err(AskError::Overloaded), "nobody waits for a term that does not come");
    stage.load().await;
}

#[actix::test]
async fn a_term_that_nobody_made_is_not_known() {
    let stage = Stage::ready(10, []).await;
    let nobody = TermId::parse("2099").unwrap();
    assert!(stage.pool.ask(&nobody, register("ana", "X")).await.is_none());
    assert_eq!(stage.pool.accepted(), 0);
}

#[actix::test]
async fn a_commit_is_told_to_listeners_after_it_is_published_with_everyone_who_moved_up() {
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
    for event in stage.ear.0.lock().unwrap().drain(..) {
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
