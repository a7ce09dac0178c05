//! Tests of two hubs on one shared store, each with its own term in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use eduhub::domain::attempt::Hash;
use eduhub::domain::command::Command;
use eduhub::domain::ids::{TaskId, TermId};
use eduhub::domain::import::{TaskReport, TaskState};
use eduhub::domain::outcome::Outcome;
use eduhub::domain::registration::RegistrationStatus;
use eduhub::domain::section::Credits;
use eduhub::registration::execution::BatchExecutor;
use eduhub::store::StoreError;
use eduhub::store::accounts::AccountStore;
use eduhub::store::attempts::AttemptStore;
use eduhub::store::imports::{ImportStore, StoredTask};
use eduhub::store::members::MemberStore;
use eduhub::store::postgres::PostgresStore;
use eduhub::store::privacy::{Erasure, ErasureOutcome, PrivacyStore};
use eduhub::store::shared::{Revocations, SharedStore};
use eduhub::store::shared_tasks::SharedTasks;
use eduhub::store::terms::{Lineage, TermStore};
use futures_util::future::join;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::fixture::{StoreFixture, StoredTerm, TermOwner, block_on, load};
use super::histories::{Image, book_of};
use super::postgres::Shared;
use crate::college::{
    SectionBuilder, TestTerm, drop_section, minute, register, register_or_wait, reply_in_words, section, staged,
    term_id, user, window,
};
use crate::model::history::{History, Step, any_history};

/// Number of generated histories.
const HISTORIES: u32 = 8;

/// Two hubs and a term in memory, which runs the commands of both.
struct TwoHubs {
    hubs: [(PostgresStore, TermOwner); 2],
    term: TestTerm,
    limit: Credits,
    _fixture: Shared,
}

impl TwoHubs {
    fn new(limit: Credits) -> Self {
        let fixture = Shared::create();
        let hubs = [(); 2].map(|()| {
            let store = fixture.open();
            let owner = TermOwner::of(&store, term_id(), limit);
            (store, owner)
        });
        let mut term = TestTerm::with_credit_limit(limit, []);
        term.book = book_of(&load(&hubs[0].0), limit);
        Self { hubs, term, limit, _fixture: fixture }
    }

    /// Runs commands as one batch on a hub and in memory, and compares the outcomes and the stored term.
    fn run(&mut self, hub: usize, commands: Vec<Command>) {
        let expected: Vec<Option<Outcome>> = commands.iter().map(|command| Some(self.term.run(command))).collect();
        let before = Image::of(&load(&self.hubs[1 - hub].0));
        let committed = self.hubs[hub].1.run(commands, self.term.now).unwrap();
        assert_eq!(committed.outcomes, expected, "decided by hub {hub}");
        let other = &self.hubs[1 - hub].0;
        let stored = Image::of(&load(other));
        stored.assert_equals(&self.term.book, "as stored");
        let changes = block_on(other.changes_since(&term_id(), before.seq())).unwrap();
        assert_eq!(before.after(&changes), stored, "the other hub follows");
    }

    fn import(&mut self, hub: usize, file: Vec<(SectionBuilder, Option<(u32, u32)>)>, forced: bool) {
        let store = &self.hubs[hub].0;
        let generation = block_on(store.generation(&term_id())).unwrap() + 1;
        let import = staged(&book_of(&load(store), self.limit), self.term.now, generation, forced, file);
        let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
        block_on(store.stage(generation, rows)).unwrap();
        self.run(hub, vec![Command::ApplyImport(Arc::new(import))]);
    }

    fn run_all(mut self, history: History, mut next_hub: impl FnMut() -> usize) {
        let built = |file: crate::model::history::File| file.into_iter().map(|(s, t)| (SectionBuilder(s), t)).collect();
        self.run(0, vec![window(Some(0), None)]);
        self.import(1, built(history.catalogue), true);
        let mut pending = Vec::new();
        for step in history.steps {
            match step {
                Step::Run(command) => pending.push(command),
                Step::Wait(minutes) => {
                    self.run(next_hub(), std::mem::take(&mut pending));
                    self.term.now = self.term.now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
                }
                Step::Import { sections, forced } => self.import(next_hub(), built(sections), forced),
                Step::Restart => self.run(next_hub(), std::mem::take(&mut pending)),
            }
        }
        self.run(next_hub(), pending);
        assert_chain_is_whole(&self.hubs[0].0);
    }
}

/// Recomputes the hashes of all attempts of the term.
fn assert_chain_is_whole(store: &PostgresStore) {
    let chain = block_on(store.load(&term_id())).unwrap().attempts;
    let mut attempts = HashMap::new();
    for (user, known) in &chain.students {
        for one in block_on(store.attempts_of_student(user, Some(term_id()), None, 100_000)).unwrap() {
            attempts.insert(one.attempt.n, (one.attempt, known.commitment));
        }
    }
    assert_eq!(attempts.len() as u64, chain.n, "the attempts have no gaps");
    let (mut head, mut row) = (Hash::ZERO, Vec::new());
    for n in 1..=chain.n {
        let (attempt, commitment) = &attempts[&n];
        attempt.canonical_row(&term_id(), *commitment, &mut row);
        head = head.followed_by(&row);
        assert_eq!(attempt.hash, head, "attempt {n}");
    }
    assert_eq!(chain.head, head);
}

#[test]
fn interleaved_batches_of_two_hubs_agree_with_a_term_in_memory() {
    let config = Config { cases: HISTORIES, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let histories = (any_history(), proptest::collection::vec(0..2_usize, 64));
    let outcome = TestRunner::new(config).run(&histories, |(history, hubs)| {
        let mut hubs = hubs.into_iter().cycle();
        let limit = Credits(history.credit_limit);
        TwoHubs::new(limit).run_all(history, || hubs.next().unwrap_or(0));
        Ok(())
    });
    outcome.unwrap();
}

/// Returns the reply to a request in words.
fn in_words(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::Request(outcome)) => reply_in_words(outcome),
        other => format!("{other:?}"),
    }
}

#[test]
fn simultaneous_batches_of_two_hubs_never_oversell() {
    let first = StoredTerm::<Shared>::with_sections([section("X").seats(7), section("Y").seats(1).waitlist(4)]);
    let stores = [first.store.clone(), first.fixture.open()];
    let mut owners = stores.each_ref().map(|store| TermOwner::of(store, term_id(), Credits(0)));
    owners.iter_mut().for_each(|owner| drop(owner.load().unwrap()));
    let (mut enrolled, mut waitlisted) = (0, 0);
    for round in 0..12 {
        let [a, b] = [0, 1].map(|hub| {
            let student = format!("s{hub}x{round}");
            let requests = [register(&student, "X"), register_or_wait(&student, "Y"), drop_section("s0x0", "Y")];
            owners[hub].start(requests.to_vec(), minute(1))
        });
        let (a, b) = block_on(join(a, b));
        for (hub, batch) in [a, b].into_iter().enumerate() {
            let committed = owners[hub].finish(Box::pin(std::future::ready(batch))).unwrap();
            let replies: Vec<_> = committed.outcomes.iter().map(|one| in_words(one.as_ref())).collect();
            enrolled += usize::from(replies[0] == "enrolled, new");
            waitlisted += usize::from(replies[1].starts_with("waitlisted"));
        }
    }
    let loaded = load(&stores[1]);
    let counts = |crn: &str| {
        let found = loaded.sections.iter().find(|s| s.state.section.id.crn.as_str() == crn).unwrap();
        (found.state.enrolled, found.state.waitlisted)
    };
    assert_eq!((enrolled, counts("X")), (7, (7, 0)), "as many students are enrolled as there are seats");
    // s0x0 drops Y in the batch of its request, so s1x0 gets the one seat and keeps it.
    assert_eq!(counts("Y").0, 1);
    assert!(counts("Y").1 <= 4 && waitlisted > 0, "{:?}", counts("Y"));
    assert_chain_is_whole(&stores[0]);
}

#[test]
fn refusals_of_another_hub_continue_one_chain() {
    let mut first = StoredTerm::<Shared>::with_sections([section("X")]);
    first.run_one(register("ana", "X"));
    let store = first.fixture.open();
    let mut second = TermOwner::of(&store, term_id(), Credits(0));
    second.load().unwrap();
    let seq = load(&store).seq;
    // A refusal increases the number of attempts, but not the sequence of the term.
    for student in ["bob", "cyd"] {
        assert_eq!(in_words(first.run(vec![register(student, "X")]).unwrap().outcomes[0].as_ref()), "section_full");
        let committed = second.run(vec![register(student, "X")], minute(2)).unwrap();
        assert_eq!(in_words(committed.outcomes[0].as_ref()), "section_full");
    }
    assert_eq!(load(&store).seq, seq);
    assert_chain_is_whole(&store);
}

#[test]
fn students_whose_attempts_were_deleted_are_forgotten_by_all_hubs() {
    let mut first = StoredTerm::<Shared>::with_sections([section("X").seats(9)]);
    first.run_one(register("ana", "X"));
    let store = first.fixture.open();
    let mut second = TermOwner::of(&store, term_id(), Credits(0));
    second.load().unwrap();
    assert_eq!(block_on(store.delete_attempts_before(minute(9), 9)).unwrap(), 1);
    let opened_later = first.fixture.open();
    assert!(block_on(opened_later.load(&term_id())).unwrap().attempts.students.is_empty());
    // This hub still has the student in memory. It must not write an attempt of a student without a name.
    let stale = second.run(vec![drop_section("ana", "X")], minute(2));
    assert!(matches!(stale, Err(StoreError::Unavailable(_))), "{stale:?}");
    let committed = second.run(vec![drop_section("ana", "X")], minute(2)).unwrap();
    assert_eq!(in_words(committed.outcomes[0].as_ref()), "dropped, new");
    assert_eq!(block_on(store.load(&term_id())).unwrap().attempts.students.len(), 1);
}

#[test]
fn students_of_a_term_without_sections_are_forgotten_by_all_hubs() {
    let created = StoredTerm::<Shared>::with_sections([section("X")]);
    let (store, unused) = (created.fixture.open(), TermId::parse("209901").unwrap());
    let mut first = TermOwner::of(&created.store, unused.clone(), Credits(0));
    first.load().unwrap();
    first.run(vec![register("ana", "NONE")], minute(0)).unwrap();
    let mut second = TermOwner::of(&store, unused.clone(), Credits(0));
    second.load().unwrap();
    assert_eq!(block_on(store.load(&unused)).unwrap().attempts.students.len(), 1, "attempts do not create the term");
    assert_eq!(block_on(store.delete_attempts_before(minute(9), 9)).unwrap(), 1);
    created.fixture.open();
    let stale = second.run(vec![register("ana", "NONE")], minute(2));
    assert!(matches!(stale, Err(StoreError::Refused(_))), "{stale:?}");
    second.run(vec![register("ana", "NONE")], minute(2)).unwrap();
    assert_eq!(block_on(store.load(&unused)).unwrap().attempts.students.len(), 1);
}

#[test]
fn no_batch_is_decided_before_an_erasure_elsewhere_is_loaded() {
    let mut first = StoredTerm::<Shared>::with_sections([section("X").seats(1)]);
    first.run_one(register("ana", "X"));
    first.run_one(drop_section("ana", "X"));
    let store = first.fixture.open();
    let mut second = TermOwner::of(&store, term_id(), Credits(0));
    second.load().unwrap();
    let now = minute(5).to_zoned_datetime(TimeZone::UTC);
    let erasure = Erasure { user: user("ana"), login: None, pseudonym: user("erased-1"), now };
    assert_eq!(block_on(first.store.erase(erasure)).unwrap(), ErasureOutcome::Erased(vec![term_id()]));
    // In the memory of this hub, the person has dropped the section.
    let stale = second.run(vec![drop_section("ana", "X")], minute(6));
    assert!(matches!(stale, Err(StoreError::Unavailable(_))), "{stale:?}");
    let committed = second.run(vec![register("bob", "X")], minute(6)).unwrap();
    assert_eq!(in_words(committed.outcomes[0].as_ref()), "enrolled, new");
    let students: Vec<String> =
        block_on(store.load(&term_id())).unwrap().registrations.iter().map(|(who, _)| who.to_string()).collect();
    assert_eq!(students, ["bob", "erased-1"]);
}

#[test]
fn readers_of_another_hub_see_all_sections_of_a_changed_pool() {
    let pooled = |name: &str| section(name).seats(5).in_pool("both", Some(6));
    let mut first = StoredTerm::<Shared>::with_sections([pooled("X"), pooled("Y")]);
    let store = first.fixture.open();
    let executor = BatchExecutor::new(Arc::new(store), Credits(0));
    let (state, _) = block_on(executor.load(&term_id())).unwrap();
    first.run_one(register("ana", "X"));
    let batch = block_on(executor.run(state, vec![register("bob", "Y")], minute(2))).unwrap();
    let followed = &batch.updates[0];
    let free = |at: usize| followed.sections[at].state.pool.as_ref().map(|pool| pool.free);
    let crns: Vec<&str> = followed.sections.iter().map(|one| one.state.section.id.crn.as_str()).collect();
    assert_eq!((crns, free(0), free(1)), (vec!["X", "Y"], Some(5), Some(5)));
    let [notice] = &followed.notices[..] else { panic!("one notice: {:?}", followed.notices) };
    assert_eq!((notice.student.as_str(), notice.status), ("ana", RegistrationStatus::Enrolled));
}

#[test]
fn a_newer_import_at_another_hub_stops_the_older_one() {
    let mut first = StoredTerm::<Shared>::with_sections([section("X")]);
    let second = first.fixture.open();
    let older = block_on(first.store.claim_generation(&term_id())).unwrap();
    let book = book_of(&load(&second), Credits(0));
    let import = staged(&book, minute(1), older, false, vec![(section("OLD"), None)]);
    let rows: Vec<_> = import.sections.iter().map(|s| s.staged_as.clone()).collect();
    block_on(first.store.stage(older, rows.clone())).unwrap();

    let newer = block_on(second.claim_generation(&term_id())).unwrap();
    assert!(newer > older);
    assert_eq!(block_on(second.discard_staged(&term_id(), newer, None)).unwrap(), None);
    let refused = block_on(first.store.stage(older, rows));
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let refused = first.run(vec![Command::ApplyImport(Arc::new(import))]);
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");

    let import = staged(&book, minute(1), newer, false, vec![(section("NEW"), None)]);
    let rows = import.sections.iter().map(|s| s.staged_as.clone()).collect();
    block_on(second.stage(newer, rows)).unwrap();
    // The older import cleans up after itself, and leaves the rows of the newer one.
    assert_eq!(block_on(first.store.discard_staged(&term_id(), older, None)).unwrap(), None);
    let mut owner = TermOwner::of(&second, term_id(), Credits(0));
    owner.run(vec![Command::ApplyImport(Arc::new(import))], minute(1)).unwrap();
    let mut crns: Vec<String> =
        load(&first.store).sections.iter().map(|one| one.state.section.id.crn.to_string()).collect();
    crns.sort();
    assert_eq!(crns, ["NEW", "X"]);
}

/// Returns a running task with this id.
fn running_task(id: &str) -> StoredTask {
    let report = TaskReport::new(TaskId::parse(id).unwrap(), None, 9, "registrar".to_owned(), minute(0));
    StoredTask::from(&report)
}

#[test]
fn the_progress_of_an_import_does_not_replace_its_result() {
    let fixture = Shared::create();
    let [first, second] = [fixture.open(), fixture.open()];
    let task = running_task("1");
    block_on(first.put_task(task.clone())).unwrap();
    let progress = StoredTask { body: task.body.replace("\"rows\":0", "\"rows\":7"), ..task.clone() };
    assert_ne!(progress, task);
    block_on(first.put_running_task(progress.clone())).unwrap();
    assert_eq!(block_on(second.task("1")).unwrap(), Some(progress.clone()));
    let done = StoredTask { state: TaskState::Done, finished_at: Some(minute(1)), ..task };
    block_on(first.put_task(done.clone())).unwrap();
    block_on(first.put_running_task(progress)).unwrap();
    assert_eq!(block_on(second.task("1")).unwrap(), Some(done));
}

#[test]
fn a_hub_reads_which_of_its_own_running_imports_to_cancel() {
    let fixture = Shared::create();
    let [first, second] = [fixture.open(), fixture.open()];
    for id in ["1", "2", "3"] {
        block_on(first.put_task(running_task(id))).unwrap();
    }
    let done = StoredTask { state: TaskState::Done, finished_at: Some(minute(1)), ..running_task("3") };
    block_on(second.request_cancellation("2")).unwrap();
    block_on(second.request_cancellation("3")).unwrap();
    block_on(first.put_task(done)).unwrap();
    assert_eq!(block_on(first.requested_cancellations()).unwrap(), ["2"]);
    assert!(block_on(second.requested_cancellations()).unwrap().is_empty(), "they are imports of the first hub");
}

#[test]
fn the_newest_demonstration_replaces_the_previous_one() {
    let fixture = Shared::create();
    let [first, second] = [fixture.open(), fixture.open()];
    assert_eq!(block_on(second.demonstration()).unwrap(), None);
    block_on(first.put_demonstration("{\"task\":\"1\"}".to_owned())).unwrap();
    block_on(second.put_demonstration("{\"task\":\"2\"}".to_owned())).unwrap();
    let newest = block_on(first.demonstration()).unwrap().unwrap();
    assert_eq!(newest.report, "{\"task\":\"2\"}");
    fixture.database().run("UPDATE newest_demonstration SET updated_at = now() - interval '1 hour'");
    let older = block_on(first.demonstration()).unwrap().unwrap();
    assert!(older.age >= Duration::from_secs(3_600) && newest.age < older.age, "{:?}", (newest.age, older.age));
}

#[test]
fn ended_tokens_are_followed_in_the_order_of_their_commits() {
    let fixture = Shared::create();
    let stores = [fixture.open(), fixture.open()];
    let (token, later) = (Uuid::from_u128(7), minute(60));
    let before = block_on(stores[1].revocations_since(0)).unwrap();
    assert!(before.tokens.is_empty() && !before.has_accounts);
    block_on(stores[0].revoke_token(token, later)).unwrap();
    let first = block_on(stores[1].revocations_since(before.position)).unwrap();
    assert_eq!((first.tokens.as_slice(), first.users.len()), (&[(token, later)][..], 0));
    block_on(stores[1].revoke_tokens(&user("ana"), minute(5))).unwrap();
    block_on(stores[0].remove_member(&user("bob"), minute(6))).unwrap();
    let second = block_on(stores[0].revocations_since(first.position)).unwrap();
    assert_eq!((second.tokens.len(), second.users.len()), (0, 1));
    assert_eq!((&second.users[0].user, second.users[0].up_to), (&user("ana"), minute(5)));
    assert_eq!(second.members, [(user("bob"), minute(6))]);
    let none = block_on(stores[0].revocations_since(second.position)).unwrap();
    assert_eq!(none, Revocations { position: second.position, ..Revocations::default() });
}

#[test]
fn hubs_share_a_lineage_and_the_first_hub_begins_a_new_one() {
    let fixture = Shared::create();
    let [first, second] = [fixture.open(), fixture.open()];
    let before = first.lineage();
    assert_eq!(second.lineage(), before);
    first.close();
    assert_eq!(fixture.open().lineage(), before, "the second hub still runs");
    // As if all hubs had been killed long ago.
    fixture.database().run("UPDATE hubs SET seen_at = now() - interval '1 hour'");
    assert_ne!(fixture.open().lineage(), before);
}

#[test]
fn hubs_that_start_together_share_a_lineage() {
    let fixture = Shared::create();
    let lineages: Vec<Lineage> = thread::scope(|scope| {
        let hubs: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.open())).collect();
        // The hubs run until all have started.
        let hubs: Vec<PostgresStore> = hubs.into_iter().map(|hub| hub.join().unwrap()).collect();
        hubs.iter().map(TermStore::lineage).collect()
    });
    assert!(lineages.iter().all(|one| *one == lineages[0]), "{lineages:?}");
}
