//! Tests of how a store keeps feeds of students' schedules.

use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore};
use eduhub::store::members::MemberStore;
use eduhub::store::privacy::{Erasure, PrivacyStore};
use eduhub::store::provider_sign_ins::ProviderSignInStore;
use eduhub::store::schedule_feeds::{ScheduleFeed, ScheduleFeedStore};
use jiff::tz::TimeZone;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

fn feed(student: &str) -> ScheduleFeed {
    ScheduleFeed { student: user(student), created_at: minute(1) }
}

pub(crate) fn a_student_has_one_feed_until_it_is_removed<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for (student, hash) in [("ann", 1), ("bob", 2), ("ann", 3)] {
        block_on(store.put_schedule_feed(feed(student), [hash; 32])).unwrap();
    }
    drop(store);
    let store = fixture.open();
    let opened = |hash: u8| block_on(store.schedule_feed([hash; 32])).unwrap();
    assert_eq!([1, 2, 3].map(opened), [None, Some(feed("bob")), Some(feed("ann"))]);
    assert_eq!(block_on(store.schedule_feed_of(&user("ann"))).unwrap(), Some(feed("ann")));
    let remove = || block_on(store.remove_schedule_feed(&user("ann"))).unwrap();
    assert_eq!((remove(), remove()), (true, false));
    assert_eq!([2, 3].map(opened), [Some(feed("bob")), None]);
}

pub(crate) fn feeds_end_when_their_user_is_removed_or_erased<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for (hash, name) in [(1, "local"), (2, "member"), (3, "released"), (4, "erased"), (5, "other")] {
        block_on(store.put_schedule_feed(feed(name), [hash; 32])).unwrap();
    }
    let record = block_on(store.record_of(&user("erased"))).unwrap();
    assert_eq!(record.schedule_feed, Some(feed("erased")));
    block_on(store.remove_member(&user("member"), minute(2))).unwrap();
    block_on(store.remove_provider_user(&user("released"))).unwrap();
    let password_hash = "a hash".to_owned();
    let account =
        Account { username: user("local"), name: "Local".to_owned(), rights: Role::Student.into(), password_hash };
    block_on(store.put_account(account, None)).unwrap();
    assert!(block_on(store.remove_account(&user("local"), minute(2))).unwrap());
    let now = minute(5).to_zoned_datetime(TimeZone::UTC);
    block_on(store.erase(Erasure { user: user("erased"), login: None, pseudonym: user("erased-1"), now })).unwrap();
    let opens = |hash: u8| block_on(store.schedule_feed([hash; 32])).unwrap().is_some();
    assert_eq!([1, 2, 3, 4, 5].map(opens), [false, false, false, false, true]);
}
