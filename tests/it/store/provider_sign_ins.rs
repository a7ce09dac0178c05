//! Tests of how a store keeps the users of single sign-on and their sign-ins.

use eduhub::domain::rights::{Rights, Subjects};
use eduhub::domain::role::Role;
use eduhub::store::provider_sign_ins::{ProviderSignIn, ProviderSignInStore, ProviderUser, SignInSelector};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

const SOURCE: &str = "oidc:keycloak";

fn person(name: &str, subject: &str) -> ProviderUser {
    ProviderUser {
        username: user(name),
        source: SOURCE.to_owned(),
        subject: subject.to_owned(),
        name: format!("Name of {name}"),
        rights: Role::Student.into(),
    }
}

fn sign_in(token: u128, sid: &str, expires: i64) -> ProviderSignIn {
    ProviderSignIn {
        token: Uuid::from_u128(token),
        sid: Some(sid.to_owned()),
        id_token: Some(SecretString::from(format!("id token {token}"))),
        expires_at: minute(expires),
    }
}

fn selected<S: ProviderSignInStore>(store: &S, subject: Option<&str>, sid: Option<&str>) -> Vec<u128> {
    let (subject, sid) = (subject.map(str::to_owned), sid.map(str::to_owned));
    let selector = SignInSelector { source: SOURCE.to_owned(), subject, sid };
    let mut found: Vec<_> = block_on(store.sign_ins(selector, minute(5))).unwrap();
    found.sort_by_key(|one| one.token);
    found.iter().map(|one| one.token.as_u128()).collect()
}

pub(crate) fn a_username_belongs_to_one_person<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put = |person: ProviderUser, token| block_on(store.put_sign_in(person, sign_in(token, "s", 10))).unwrap();
    assert!(put(person("ann", "1"), 1));
    let limited = Rights::new(Role::Staff, Some(Subjects::parse(&["MATH"]).unwrap()));
    let changed = ProviderUser { name: "Ann Smith".to_owned(), rights: limited, ..person("ann", "1") };
    assert!(put(changed.clone(), 2));
    assert!(!put(person("ann", "2"), 3), "another person");
    assert!(!put(ProviderUser { source: "proxy".to_owned(), ..person("ann", "1") }, 4), "another source");
    assert!(!put(person("bob", "1"), 5), "the same person under another name");
    assert_eq!(selected(&store, Some("1"), None), [1, 2], "nothing of a refused sign-in is stored");
    drop(store);
    let store = fixture.open();
    assert_eq!(block_on(store.provider_user(&user("ann"))).unwrap(), Some(changed.clone()));
    assert_eq!(block_on(store.provider_user_by_subject(SOURCE, "1")).unwrap(), Some(changed));
    assert_eq!(block_on(store.provider_user_by_subject("proxy", "1")).unwrap(), None);
    block_on(store.remove_provider_user(&user("ann"))).unwrap();
    assert!(block_on(store.put_sign_in(person("ann", "2"), sign_in(6, "s", 10))).unwrap());
}

pub(crate) fn sign_ins_are_selected_by_person_and_session<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for (name, subject, token, sid) in [("ann", "1", 1, "a"), ("ann", "1", 2, "b"), ("bob", "2", 3, "b")] {
        assert!(block_on(store.put_sign_in(person(name, subject), sign_in(token, sid, 10))).unwrap());
    }
    block_on(store.put_sign_in(person("ann", "1"), sign_in(4, "a", 5))).unwrap();
    assert_eq!(selected(&store, Some("1"), None), [1, 2], "expired ones are not selected");
    assert_eq!(selected(&store, None, Some("b")), [2, 3]);
    assert_eq!(selected(&store, Some("2"), Some("b")), [3]);
    assert_eq!(selected(&store, Some("2"), Some("a")), [0; 0]);
    assert_eq!(selected(&store, None, None), [0; 0], "no selection selects nothing");

    let removed = block_on(store.remove_sign_ins(vec![Uuid::from_u128(9), Uuid::from_u128(2)])).unwrap();
    assert_eq!(removed.unwrap().expose_secret(), "id token 2");
    assert_eq!(selected(&store, None, Some("b")), [3]);
    block_on(store.delete_expired_sign_ins(minute(10))).unwrap();
    assert_eq!(selected(&store, Some("1"), None), [0; 0]);
}
