//! Tests of how a store keeps the users of single sign-on and their sign-ins.

use eduhub::domain::rights::{Rights, Subjects};
use eduhub::domain::role::Role;
use eduhub::store::provider_sign_ins::{ProviderSignIn, ProviderSignInStore, ProviderUser, SignInSelector};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

const SOURCE: &str = "oidc:keycloak";
const ISSUER: &str = "https://login.college.edu";

fn person(name: &str, subject: &str) -> ProviderUser {
    ProviderUser {
        username: user(name),
        source: SOURCE.to_owned(),
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        name: format!("Name of {name}"),
        rights: Role::Student.into(),
        mapping: Some("first".to_owned()),
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
    let selector = SignInSelector { issuer: ISSUER.to_owned(), subject, sid };
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
    let (source, mapping) = ("oidc:renamed".to_owned(), Some("second".to_owned()));
    let changed = ProviderUser { name: "Ann Smith".to_owned(), rights: limited, source, mapping, ..person("ann", "1") };
    assert!(put(changed.clone(), 2));
    assert!(!put(person("ann", "2"), 3), "another person");
    assert!(!put(ProviderUser { issuer: "proxy".to_owned(), ..person("ann", "1") }, 4), "another issuer");
    assert!(!put(person("bob", "1"), 5), "the same person under another name");
    assert_eq!(selected(&store, Some("1"), None), [1, 2], "nothing of a refused sign-in is stored");
    drop(store);
    let store = fixture.open();
    assert_eq!(block_on(store.provider_user(&user("ann"))).unwrap(), Some(changed.clone()));
    assert_eq!(block_on(store.provider_user_by_subject(ISSUER, "1")).unwrap(), Some(changed));
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

pub(crate) fn issuers_are_adopted_once<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    // As a migration leaves the users of an earlier version: their issuer is their source.
    let older = |name: &str, subject: &str| ProviderUser {
        issuer: SOURCE.to_owned(),
        mapping: None,
        rights: Role::Staff.into(),
        ..person(name, subject)
    };
    for (person, token) in [(older("ann", "1"), 1), (older("bob", "2"), 2), (person("cy", "2"), 3)] {
        assert!(block_on(store.put_sign_in(person, sign_in(token, "s", 10))).unwrap());
    }
    block_on(store.adopt_issuer("oidc:other", ISSUER)).unwrap();
    assert_eq!(block_on(store.provider_user_by_subject(ISSUER, "1")).unwrap(), None, "another provider");
    block_on(store.adopt_issuer(SOURCE, ISSUER)).unwrap();
    let ann = block_on(store.provider_user_by_subject(ISSUER, "1")).unwrap().expect("ann has the issuer");
    assert_eq!((ann.username, ann.mapping), (user("ann"), None));
    let kept = block_on(store.provider_user(&user("bob"))).unwrap().expect("the username stays taken");
    assert_eq!(kept.issuer, SOURCE, "another user has the subject");
    block_on(store.adopt_issuer(SOURCE, "https://replaced.example")).unwrap();
    assert!(block_on(store.provider_user_by_subject(ISSUER, "1")).unwrap().is_some(), "a known issuer stays");

    let mut open = block_on(store.open_sign_ins(minute(5))).unwrap();
    open.sort_by_key(|open| open.sign_in.token);
    let found: Vec<_> =
        open.iter().map(|open| (open.sign_in.username.as_str(), open.rights.role(), open.mapping.as_deref())).collect();
    let expected = [("ann", Role::Staff, None), ("bob", Role::Staff, None), ("cy", Role::Student, Some("first"))];
    assert_eq!(found, expected);
    assert!(block_on(store.open_sign_ins(minute(10))).unwrap().is_empty(), "expired ones are not open");

    let replace = |token: Uuid, _: &SecretString| (token.as_u128() == 1).then(|| SecretString::from("sealed"));
    block_on(store.replace_id_tokens(Box::new(replace))).unwrap();
    let removed = |token| block_on(store.remove_sign_ins(vec![Uuid::from_u128(token)])).unwrap();
    assert_eq!(removed(1).expect("an ID token").expose_secret(), "sealed");
    assert!(removed(3).is_none(), "it was removed");
}
