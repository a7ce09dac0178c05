//! Tests of leases: one hub leads a job, and writes of a hub whose lease another hub has taken over are refused.

use std::thread;

use eduhub::domain::command::Command;
use eduhub::registration::submitted::Submitted;
use eduhub::store::StoreError;
use eduhub::store::lease::{Fence, Job, LeaseStore};
use eduhub::store::outbox::OutboxStore;
use eduhub::store::postgres::PostgresStore;

use super::fixture::{StoreFixture, StoredTerm, TermOwner, block_on, load};
use super::postgres::Shared;
use crate::college::{capacity, minute, register, section, term_id};
use crate::support::wait::eventually;

fn hold(store: &impl LeaseStore, held: Option<Fence>) -> Option<Fence> {
    block_on(store.hold(Job::Plone, held)).unwrap().map(|lease| lease.fence)
}

/// Writes a note under a lease.
fn put_note(store: &impl LeaseStore, held: Fence, value: &str) -> Result<(), StoreError> {
    block_on(store.outbox_under(held).put_note("note", value.to_owned()))
}

/// Changes the capacity of the section X in a batch of a job that the hub leads, as a pull does.
fn set_capacity(owner: &mut TermOwner, held: Fence, seats: u32) -> Result<(), StoreError> {
    owner.run(vec![Submitted::by_leader(capacity("X", seats), held)], minute(1)).map(drop)
}

pub(crate) fn a_hub_renews_its_lease_and_writes_under_it<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(1)]);
    let held = hold(&term.store, None).expect("no other hub leads");
    assert_eq!(hold(&term.store, Some(held)), Some(held), "the lease is renewed");
    put_note(&term.store, held, "one").unwrap();
    assert_eq!(block_on(term.store.note("note")).unwrap().as_deref(), Some("one"));
    set_capacity(&mut term.owner, held, 7).unwrap();
    assert_eq!(load(&term.store).sections[0].state.section.capacity, 7);
    block_on(term.store.events_under(held).remove_events(vec!["none".to_owned()])).unwrap();
    block_on(term.store.release(held)).unwrap();
    assert!(hold(&term.store, None).is_some(), "a lease that was released is free");
}

/// Two hubs, of which the first leads.
struct TwoHubs {
    fixture: Shared,
    first: PostgresStore,
    second: PostgresStore,
    held: Fence,
}

impl TwoHubs {
    fn new() -> Self {
        let fixture = Shared::create();
        let (first, second) = (fixture.open(), fixture.open());
        let held = hold(&first, None).expect("no hub leads yet");
        Self { fixture, first, second, held }
    }

    /// Ends the lease, as if its time had passed.
    fn expire(&self) {
        self.fixture.database().run("UPDATE leaders SET until = clock_timestamp() - interval '1 ms'");
    }
}

fn assert_superseded(result: &Result<(), StoreError>) {
    assert_eq!(result, &Err(StoreError::Superseded("plone")));
}

#[test]
fn another_hub_takes_over_only_after_the_lease_has_ended() {
    let hubs = TwoHubs::new();
    assert_eq!(hold(&hubs.second, None), None, "the first hub leads");
    assert_eq!(hold(&hubs.first, Some(hubs.held)), Some(hubs.held));
    // The first hub no longer renews its lease.
    let taken = eventually("the end of the lease", || hold(&hubs.second, None));
    assert!(taken.number > hubs.held.number, "{taken:?} is above {:?}", hubs.held);
    assert_eq!(hold(&hubs.first, Some(hubs.held)), None, "the first hub no longer leads");
    assert_eq!(hold(&hubs.first, None), None);
    assert_eq!(hold(&hubs.second, Some(taken)), Some(taken));
}

#[test]
fn a_lease_that_has_ended_is_renewed_unless_another_hub_took_over() {
    let hubs = TwoHubs::new();
    hubs.expire();
    assert_eq!(hold(&hubs.first, Some(hubs.held)), Some(hubs.held));
    assert_eq!(hold(&hubs.second, None), None, "the lease is valid again");
}

#[test]
fn the_leader_counts_the_requests_of_other_hubs_for_the_job() {
    let hubs = TwoHubs::new();
    let requests = |hub: &PostgresStore, held| block_on(hub.hold(Job::Plone, held)).unwrap().unwrap().requests;
    assert_eq!(requests(&hubs.first, Some(hubs.held)), 0);
    block_on(hubs.second.request(Job::Plone)).unwrap();
    assert_eq!(requests(&hubs.first, Some(hubs.held)), 1);
    hubs.expire();
    assert_eq!(requests(&hubs.second, None), 1, "a hub that takes over gets the earlier requests");
}

#[test]
fn writes_under_an_old_fence_are_refused() {
    let mut term = StoredTerm::<Shared>::with_sections([section("X").seats(1)]);
    let second = term.fixture.open();
    let old = hold(&term.store, None).unwrap();
    set_capacity(&mut term.owner, old, 5).unwrap();
    block_on(term.store.release(old)).unwrap();
    let new = hold(&second, None).expect("the lease was released");

    assert_superseded(&put_note(&term.store, old, "old"));
    assert_superseded(&block_on(term.store.outbox_under(old).mark(Vec::new(), minute(1))));
    assert_superseded(&block_on(term.store.outbox_under(old).put_items(Vec::new())));
    assert_superseded(&block_on(term.store.outbox_under(old).put_pulled(Vec::new())));
    assert_superseded(&block_on(term.store.events_under(old).remove_events(Vec::new())));
    assert_superseded(&set_capacity(&mut term.owner, old, 6));
    // A fence is valid only for the hub that got it.
    assert_superseded(&put_note(&term.store, new, "foreign"));
    assert_eq!(block_on(second.note("note")).unwrap(), None);
    assert_eq!(load(&second).sections[0].state.section.capacity, 5);

    put_note(&second, new, "new").unwrap();
    let mut owner = TermOwner::of(&second, term_id(), eduhub::domain::section::Credits(0));
    set_capacity(&mut owner, new, 8).unwrap();
    // Other writes of the first hub need no lease.
    let outcome = term.run(vec![register("ana", "X")]).unwrap();
    assert!(outcome.outcomes[0].is_some());
    assert_eq!(load(&second).sections[0].state.section.capacity, 8);
    // The oldest fence of a batch decides.
    let mixed: Vec<Submitted> = vec![
        Submitted::by_leader(capacity("X", 9), new),
        Submitted::by_leader(capacity("X", 9), old),
        Command::Settle.into(),
    ];
    assert_superseded(&owner.run(mixed, minute(2)).map(drop));
    assert_eq!(load(&second).sections[0].state.section.capacity, 8);
}

#[test]
fn a_hub_releases_its_own_lease_only() {
    let hubs = TwoHubs::new();
    hubs.expire();
    let taken = hold(&hubs.second, None).unwrap();
    block_on(hubs.first.release(hubs.held)).unwrap();
    assert_eq!(hold(&hubs.first, None), None, "the second hub still leads");
    block_on(hubs.second.release(taken)).unwrap();
    assert!(hold(&hubs.first, None).is_some());
}

#[test]
fn only_a_takeover_waits_for_an_open_write_of_the_leader() {
    let hubs = TwoHubs::new();
    let database = hubs.fixture.database();
    // A write under the lease that waits, in its transaction, for a lock of the test.
    let (url, number) = (database.url(), hubs.held.number);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("BEGIN; INSERT INTO plone_notes (name, value) VALUES ('note', 'test')").await.unwrap();
        client
    });
    let waiting = |count: i64, query: &str| {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND query LIKE $1";
        // Within a transaction, the first read would be repeated.
        runtime.block_on(client.batch_execute("SELECT pg_stat_clear_snapshot()")).unwrap();
        runtime.block_on(client.query_one(sql, &[&query])).unwrap().get::<_, i64>(0) == count
    };
    thread::scope(|scope| {
        let writing = scope.spawn(|| put_note(&hubs.first, hubs.held, "leader"));
        eventually("the write of the leader to wait", || waiting(1, "INSERT INTO plone_notes%").then_some(()));
        assert_eq!(hold(&hubs.first, Some(hubs.held)), Some(hubs.held), "a renewal does not wait");
        hubs.expire();
        let taking = scope.spawn(|| hold(&hubs.second, None));
        eventually("the takeover to wait", || waiting(1, "UPDATE leaders%").then_some(()));
        runtime.block_on(client.batch_execute("ROLLBACK")).unwrap();
        writing.join().unwrap().unwrap();
        assert!(taking.join().unwrap().expect("the lease had ended").number > number);
    });
    assert_superseded(&put_note(&hubs.first, hubs.held, "late"));
    assert_eq!(block_on(hubs.second.note("note")).unwrap().as_deref(), Some("leader"));
}
