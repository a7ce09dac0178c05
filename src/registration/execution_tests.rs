//! Tests of the execution of batches on a store that two hubs share.

use std::collections::BTreeMap;

use futures_util::future::ready;
use jiff::SignedDuration;
use parking_lot::Mutex;

use super::*;
use crate::domain::attempt_chain::StoredChain;
use crate::domain::command::{Command, SectionEdit, SectionPatch};
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, SectionId, UserName};
use crate::domain::outcome::RequestOutcome;
use crate::domain::refusal::Refusal;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::{Section, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::store::terms::Lineage;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn term_id() -> TermId {
    TermId::parse("2027").unwrap()
}

fn crn(text: &str) -> Crn {
    Crn::parse(text).unwrap()
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

/// A value with the sequence of the commit that wrote it last.
type Written<T> = (u64, T);

/// The rows of one term.
struct Rows {
    seq: u64,
    generation: Written<u64>,
    term: Written<Term>,
    sections: BTreeMap<Crn, Written<SectionState>>,
    registrations: BTreeMap<(UserName, Crn), Written<Registration>>,
}

impl Rows {
    fn since(&self, since: u64) -> TermChanges {
        let later = |seq: u64| seq > since;
        let sections = self.sections.values().filter(|(seq, _)| later(*seq)).map(|(_, state)| state.clone());
        let registrations = self.registrations.iter().filter(|(_, (seq, _))| later(*seq));
        let changes = Changes {
            term: later(self.term.0).then(|| self.term.1.clone()),
            sections: sections.collect(),
            registrations: registrations.map(|((student, _), (_, r))| (student.clone(), r.clone())).collect(),
            facts: Vec::new(),
            notices: Vec::new(),
            generation: later(self.generation.0).then_some(self.generation.1),
        };
        TermChanges { seq: self.seq, changes, counts: Vec::new(), attempts: None }
    }

    fn write(&mut self, record: TermRecord) {
        let raised = u64::from(record.changes.changes_term());
        assert_eq!(record.seq, self.seq + raised, "records have consecutive sequences");
        let TermRecord { seq, changes, .. } = record;
        self.seq = seq;
        if let Some(generation) = changes.generation {
            self.generation = (seq, generation);
        }
        if let Some(term) = changes.term {
            self.term = (seq, term);
        }
        self.sections.extend(changes.sections.into_iter().map(|(crn, state)| (crn, (seq, state))));
        self.registrations.extend(changes.registrations.into_iter().map(|(key, r)| (key, (seq, r))));
    }
}

/// A store that several hubs share. Its mutex takes the role of the lock on the term's row: it orders the hubs.
struct SharedStore {
    rows: Mutex<Rows>,
    /// The error of the next commit, if it fails.
    next_error: Mutex<Option<StoreError>>,
}

impl SharedStore {
    /// Creates a store with an open term of these sections, with one seat each.
    fn with(sections: &[&str]) -> Arc<Self> {
        let term = Term { opens_at: Some(now()), ..Term::new(term_id()) };
        let sections = sections.iter().map(|number| (crn(number), (0, SectionState::new(section(number).into()))));
        let (generation, term) = ((0, 0), (0, term));
        let rows = Rows { seq: 0, generation, term, sections: sections.collect(), registrations: BTreeMap::new() };
        Arc::new(Self { rows: Mutex::new(rows), next_error: Mutex::new(None) })
    }

    fn commits(&self) -> u64 {
        self.rows.lock().seq
    }
}

impl TermStore for SharedStore {
    fn lineage(&self) -> Lineage {
        Lineage::from(0)
    }
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        ready(Ok(vec![term_id()])).boxed()
    }
    fn load(&self, _: &TermId) -> StoreFuture<TermRows> {
        let rows = self.rows.lock();
        let registrations = rows.registrations.iter().map(|((student, _), (_, r))| (student.clone(), r.clone()));
        let rows = TermRows {
            term: rows.term.1.clone(),
            seq: rows.seq,
            generation: rows.generation.1,
            sections: rows.sections.values().map(|(_, state)| state.clone()).collect(),
            registrations: registrations.collect(),
            facts: Vec::new(),
            attempts: StoredChain::default(),
            rewrites: 0,
        };
        ready(Ok(rows)).boxed()
    }
    fn run_batch(&self, _: &TermId, since: Position, decide: DecideBatch) -> StoreFuture<()> {
        let mut rows = self.rows.lock();
        let others = (rows.seq > since.seq).then(|| rows.since(since.seq));
        let record = decide(others);
        if let Some(error) = self.next_error.lock().take() {
            return ready(Err(error)).boxed();
        }
        if let Some(record) = record {
            rows.write(record);
        }
        ready(Ok(())).boxed()
    }
    fn changes_since(&self, _: &TermId, since: u64) -> StoreFuture<TermChanges> {
        ready(Ok(self.rows.lock().since(since))).boxed()
    }
}

fn section(number: &str) -> Section {
    Section {
        id: SectionId { term: term_id(), crn: crn(number) },
        course: format!("COURSE {number}").into(),
        component: "lecture".into(),
        section: None,
        title: None,
        credits: Credits(3_000),
        instructor: None,
        method: None,
        campus: None,
        meetings: Vec::new(),
        capacity: 1,
        waitlist_capacity: 9,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        original_crn: None,
        withdrawn: false,
    }
}

fn register(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: true }
}

/// Returns a registration for a seat, not for the waitlist.
fn take_seat(student: &str, section: &str) -> Command {
    Command::Register { student: user(student), crn: crn(section), waitlist: false }
}

fn drop_of(student: &str, section: &str) -> Command {
    Command::Drop { student: user(student), crn: crn(section) }
}

fn capacity(section: &str, seats: u32) -> Command {
    Command::PatchSection {
        crn: crn(section),
        patch: SectionPatch { capacity: Some(seats), ..SectionPatch::default() },
    }
}

/// A hub that has the term in memory.
struct Hub {
    executor: BatchExecutor,
    state: Option<Box<TermState>>,
}

impl Hub {
    async fn on(store: &Arc<SharedStore>) -> Self {
        let executor = BatchExecutor::new(store.clone(), Credits(0));
        let state = executor.load(&term_id()).await.unwrap().0;
        Self { executor, state: Some(state) }
    }

    async fn run(&mut self, commands: Vec<Command>) -> Result<BatchResult, StoreError> {
        let state = self.state.take().expect("the term is loaded");
        let batch = self.executor.run(state, commands, now()).await?;
        self.state = Some(batch.state);
        Ok(BatchResult { outcomes: batch.outcomes, updates: batch.updates })
    }

    /// Runs one registration or drop.
    async fn request(&mut self, command: Command) -> RequestOutcome {
        match self.run(vec![command]).await.unwrap().outcomes.remove(0) {
            Some(Outcome::Request(outcome)) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn waitlist(&self, section: &str) -> Vec<String> {
        let book = &self.state.as_ref().unwrap().book;
        book.waitlist(&crn(section)).map(|entry| entry.student.to_string()).collect()
    }
}

/// The outcomes and updates of a committed batch.
struct BatchResult {
    outcomes: Vec<Option<Outcome>>,
    updates: Vec<TermUpdate>,
}

fn has_status(outcome: &RequestOutcome, status: RegistrationStatus) -> bool {
    matches!(outcome, RequestOutcome::Done(current) if current.status == status)
}

/// Describes each update: its sequence, sections and students.
fn published(updates: &[TermUpdate]) -> Vec<String> {
    let describe = |update: &TermUpdate| {
        let sections = update.sections.iter().map(|s| s.state.section.id.crn.as_str());
        let students = update.students.iter().map(|(student, _)| student.as_str());
        format!("{}: {}", update.seq, sections.chain(students).collect::<Vec<_>>().join(" "))
    };
    updates.iter().map(describe).collect()
}

#[actix::test]
async fn the_last_seat_goes_to_one_of_two_hubs() {
    let store = SharedStore::with(&["X"]);
    let (mut one, mut two) = (Hub::on(&store).await, Hub::on(&store).await);
    assert!(has_status(&one.request(take_seat("ana", "X")).await, RegistrationStatus::Enrolled));
    let outcome = two.request(take_seat("bob", "X")).await;
    assert!(matches!(outcome, RequestOutcome::Refused(Refusal::SectionFull { .. })), "{outcome:?}");
}

#[actix::test]
async fn commits_of_another_hub_are_published_before_the_batch() {
    let store = SharedStore::with(&["X", "Y"]);
    let (mut one, mut two) = (Hub::on(&store).await, Hub::on(&store).await);
    one.run(vec![register("ana", "X")]).await.unwrap();
    one.run(vec![register("ana", "Y"), register("bob", "X")]).await.unwrap();
    let batch = two.run(vec![drop_of("ana", "X")]).await.unwrap();
    assert_eq!(published(&batch.updates), ["2: X Y ana bob", "3: X ana bob"]);
    assert_eq!(published(&two.run(vec![drop_of("eve", "X")]).await.unwrap().updates), [""; 0]);
    // A batch that changes nothing still publishes what the other hub committed.
    let batch = one.run(vec![drop_of("eve", "X")]).await.unwrap();
    assert_eq!(published(&batch.updates), ["3: X ana bob"]);
    assert_eq!(store.commits(), 3);
}

#[actix::test]
async fn a_waitlist_keeps_its_order_across_hubs() {
    let store = SharedStore::with(&["X"]);
    let (mut one, mut two) = (Hub::on(&store).await, Hub::on(&store).await);
    for (hub, student) in [(0, "ana"), (1, "bob"), (0, "cyd"), (1, "dan")] {
        let hub = if hub == 0 { &mut one } else { &mut two };
        hub.request(register(student, "X")).await;
    }
    // Each hub has applied the other hub's commits up to its own last batch.
    assert_eq!(two.waitlist("X"), ["bob", "cyd", "dan"]);
    one.request(drop_of("ana", "X")).await;
    assert_eq!(one.waitlist("X"), ["cyd", "dan"], "the head of the waitlist has the seat");
    two.request(drop_of("bob", "X")).await;
    assert_eq!(two.waitlist("X"), ["dan"]);
    assert!(has_status(&one.request(register("cyd", "X")).await, RegistrationStatus::Enrolled));
}

#[actix::test]
async fn the_term_and_new_sections_of_another_hub_are_applied() {
    let store = SharedStore::with(&["X"]);
    let (mut one, mut two) = (Hub::on(&store).await, Hub::on(&store).await);
    let closes = crate::domain::command::TermPatch {
        closes_at: Some(Some(now() + SignedDuration::from_mins(1))),
        ..Default::default()
    };
    let new = SectionEdit { base: None, target: Arc::new(section("NEW")) };
    one.run(vec![Command::PutTerm(closes), Command::PutSections([new].into()), capacity("X", 7)]).await.unwrap();
    let batch = two.run(vec![register("ana", "NEW")]).await.unwrap();
    assert_eq!(batch.updates[0].term.as_ref(), Some(&store.rows.lock().term.1));
    assert_eq!(published(&batch.updates), ["1: NEW X", "2: NEW ana"]);
    let book = &two.state.as_ref().unwrap().book;
    assert_eq!(book.section(&crn("X")).unwrap().section.capacity, 7);
    assert!(book.term().closes_at.is_some());
}

#[actix::test]
async fn a_generation_made_visible_by_another_hub_stays_visible() {
    let store = SharedStore::with(&["X"]);
    let (mut one, mut two) = (Hub::on(&store).await, Hub::on(&store).await);
    let import = crate::domain::command::StagedImport {
        generation: 4,
        apply_totals_while_open: false,
        limit: None,
        sections: Vec::new(),
        unchanged: 0,
    };
    one.run(vec![Command::ApplyImport(Arc::new(import))]).await.unwrap();
    two.run(vec![register("ana", "X")]).await.unwrap();
    assert_eq!(two.state.as_ref().unwrap().generation, 4);
}

#[actix::test]
async fn a_batch_that_changes_nothing_writes_no_record() {
    let store = SharedStore::with(&["X"]);
    let mut hub = Hub::on(&store).await;
    let batch = hub.run(vec![drop_of("ana", "X"), Command::Settle]).await.unwrap();
    assert_eq!(batch.outcomes, [Some(Outcome::Request(RequestOutcome::NotFound)), Some(Outcome::Settled)]);
    assert_eq!((published(&batch.updates).len(), store.commits()), (0, 0));
}

#[actix::test]
async fn a_failed_commit_drops_the_term_and_a_reload_recovers() {
    let store = SharedStore::with(&["X"]);
    let mut hub = Hub::on(&store).await;
    *store.next_error.lock() = Some(StoreError::CommitFailed("the disk is full".to_owned()));
    let failed = hub.run(vec![register("ana", "X")]).await;
    assert!(matches!(failed, Err(StoreError::CommitFailed(_))));
    assert!(hub.state.is_none(), "a term that is ahead of the store must not be used again");
    let mut hub = Hub::on(&store).await;
    assert!(has_status(&hub.request(register("bob", "X")).await, RegistrationStatus::Enrolled));
}

/// A store that reports success without running the batch.
struct IdleStore(Arc<SharedStore>);

impl TermStore for IdleStore {
    fn lineage(&self) -> Lineage {
        self.0.lineage()
    }
    fn term_ids(&self) -> StoreFuture<Vec<TermId>> {
        self.0.term_ids()
    }
    fn load(&self, term: &TermId) -> StoreFuture<TermRows> {
        self.0.load(term)
    }
    fn run_batch(&self, _: &TermId, _: Position, decide: DecideBatch) -> StoreFuture<()> {
        drop(decide);
        ready(Ok(())).boxed()
    }
    fn changes_since(&self, term: &TermId, since: u64) -> StoreFuture<TermChanges> {
        self.0.changes_since(term, since)
    }
}

#[actix::test]
async fn a_batch_that_the_store_did_not_run_is_not_reported_as_committed() {
    let executor = BatchExecutor::new(Arc::new(IdleStore(SharedStore::with(&["X"]))), Credits(0));
    let (state, _) = executor.load(&term_id()).await.unwrap();
    let result = executor.run(state, vec![register("ana", "X")], now()).await;
    assert!(matches!(result, Err(StoreError::Refused(_))), "{result:?}");
}

#[actix::test]
async fn a_panic_outside_a_decision_writes_nothing_and_drops_the_term() {
    let store = SharedStore::with(&["X"]);
    let mut hub = Hub::on(&store).await;
    // Another hub stored the greatest sequence number, so the next one overflows.
    store.rows.lock().seq = u64::MAX;
    let failed = hub.run(vec![register("ana", "X")]).await.err();
    assert!(matches!(failed, Some(StoreError::Refused(_))), "{failed:?}");
    assert_eq!((store.commits(), hub.state.is_none()), (u64::MAX, true));
    assert!(store.rows.lock().registrations.is_empty());
}
