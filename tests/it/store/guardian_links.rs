//! Tests of how a store keeps links to students' schedules.

use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore};
use eduhub::store::guardian_links::{GuardianLink, GuardianLinkStore};
use eduhub::store::members::MemberStore;
use eduhub::store::provider_sign_ins::ProviderSignInStore;
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

fn link(id: u128, student: &str, expires: i64) -> GuardianLink {
    GuardianLink {
        id: Uuid::from_u128(id),
        student: user(student),
        label: format!("Link {id}"),
        created_at: minute(1),
        expires_at: minute(expires),
    }
}

pub(crate) fn links_are_read_back_until_they_expire_or_are_removed<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |link: GuardianLink, hash: u8| block_on(store.put_guardian_link(link, [hash; 32], 2)).unwrap();
    assert!(put(link(1, "ann", 5), 1) && put(link(2, "ann", 9), 2) && put(link(3, "bob", 9), 3));
    assert!(!put(link(4, "ann", 9), 4), "two links at most");
    drop(store);
    let store = fixture.open();
    let of = |student: &str, at| {
        let links = block_on(store.guardian_links(&user(student), minute(at))).unwrap();
        links.iter().map(|link| link.id.as_u128()).collect::<Vec<_>>()
    };
    let opened = |hash: u8, at| block_on(store.guardian_link([hash; 32], minute(at))).unwrap();
    assert_eq!((of("ann", 4), of("ann", 5), of("bob", 4)), (vec![1, 2], vec![2], vec![3]));
    assert_eq!((opened(1, 4), opened(1, 5), opened(4, 4)), (Some(link(1, "ann", 5)), None, None));
    // An expired link makes room, and is deleted.
    let late = GuardianLink { created_at: minute(6), ..link(5, "ann", 9) };
    assert!(block_on(store.put_guardian_link(late, [5; 32], 2)).unwrap());
    assert_eq!(of("ann", 1), [2, 5]);
    let remove = |student: &str, id| block_on(store.remove_guardian_link(&user(student), Uuid::from_u128(id))).unwrap();
    assert!(!remove("bob", 2), "the link of another student");
    assert!(remove("ann", 2) && !remove("ann", 2));
    assert_eq!((opened(2, 7), of("ann", 7)), (None, vec![5]));
}

pub(crate) fn links_end_when_their_user_is_removed<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for (id, name) in [(1_u8, "local"), (2, "member"), (3, "released"), (4, "other")] {
        assert!(block_on(store.put_guardian_link(link(id.into(), name, 9), [id; 32], 2)).unwrap());
    }
    let password_hash = "a hash".to_owned();
    let account =
        Account { username: user("local"), name: "Local".to_owned(), rights: Role::Student.into(), password_hash };
    block_on(store.put_account(account, None)).unwrap();
    assert!(block_on(store.remove_account(&user("local"), minute(2))).unwrap());
    block_on(store.remove_member(&user("member"), minute(2))).unwrap();
    block_on(store.remove_provider_user(&user("released"))).unwrap();
    let opens = |hash: u8| block_on(store.guardian_link([hash; 32], minute(3))).unwrap().is_some();
    assert_eq!([1, 2, 3, 4].map(opens), [false, false, false, true]);
}
