//! Tests of how a store keeps members, who signed in through Plone.

use eduhub::domain::ids::UserName;
use eduhub::domain::rights::{Rights, Subjects};
use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore, Person, UserFilter, UserSource};
use eduhub::store::members::{Member, MemberStore};
use eduhub::store::provider_sign_ins::{ProviderSignIn, ProviderSignInStore, ProviderUser};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

fn member(name: &str, login: &str, signed_in: i64) -> Member {
    Member {
        username: user(name),
        login: UserName::stored(login).unwrap(),
        name: format!("Member {name}"),
        rights: Role::Staff.into(),
        token: Some(SecretString::from("a.token.of-plone")),
        password_hash: None,
        signed_in_at: minute(signed_in),
    }
}

/// Returns all fields of a member, secrets included.
fn in_clear(member: &Member) -> String {
    let open = |secret: &Option<SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
    format!("{member:?} {:?} {:?}", open(&member.token), open(&member.password_hash))
}

fn found<S: MemberStore>(store: &S, name: &str) -> Member {
    block_on(store.member(&user(name))).unwrap().expect("the member is stored")
}

fn hash_of<S: MemberStore>(store: &S, name: &str) -> Option<String> {
    found(store, name).password_hash.map(|hash| hash.expose_secret().to_owned())
}

pub(crate) fn a_member_is_read_back_unchanged<F: StoreFixture>() {
    let fixture = F::create();
    let (first, second) = (member("ann", "ann", 1), member("ann", "ann@college.edu", 2));
    let store = fixture.open();
    assert!(block_on(store.member(&user("ann"))).unwrap().is_none());
    for put in [&first, &second] {
        block_on(store.put_member(put.clone())).unwrap();
        assert_eq!(in_clear(&found(&store, "ann")), in_clear(put));
    }
    drop(store);
    assert_eq!(in_clear(&found(&fixture.open(), "ann")), in_clear(&second), "after reopening");
}

pub(crate) fn unusual_names_are_non_ascii_names_and_path_names<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let stored = |name: &str| UserName::stored(name).unwrap();
    for (name, login) in [("jose\u{301}", "jose"), ("ann", "\u{ff41}nn"), ("bob", "bob@college.edu")] {
        block_on(store.put_member(Member { username: stored(name), ..member("x", login, 1) })).unwrap();
    }
    for name in ["zoë", "o'brien", "..", "ann"] {
        let account = Account {
            username: stored(name),
            name: "Zoë".to_owned(),
            rights: Role::Student.into(),
            password_hash: "a hash".to_owned(),
        };
        block_on(store.put_account(account, None)).unwrap();
    }
    let names = block_on(store.unusual_names()).unwrap();
    assert_eq!(names, ["..", "jose\u{301}", "zoë", "\u{ff41}nn"].map(stored));
}

pub(crate) fn a_member_is_found_by_last_login_and_by_username<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let by_login = |login: &str| block_on(store.member_by_login(&user(login))).unwrap().map(|m| m.username.to_string());
    block_on(store.put_member(member("ann", "mail-1", 1))).unwrap();
    block_on(store.put_member(member("ann", "mail-2", 2))).unwrap();
    assert_eq!((by_login("mail-1"), by_login("mail-2").as_deref()), (None, Some("ann")));
    assert_eq!(by_login("ann").as_deref(), Some("ann"));
    // A login name takes precedence over another member's username.
    block_on(store.put_member(member("bob", "ann", 1))).unwrap();
    assert_eq!(by_login("ann").as_deref(), Some("bob"));
}

pub(crate) fn a_password_hash_is_stored_for_the_latest_sign_in_only<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let put_hash = |at, hash: &str| block_on(store.put_hash(&user("ann"), minute(at), hash.to_owned().into())).unwrap();
    put_hash(1, "of no member");
    assert!(block_on(store.member(&user("ann"))).unwrap().is_none());
    block_on(store.put_member(member("ann", "ann", 2))).unwrap();
    put_hash(1, "of an earlier sign-in");
    assert_eq!(hash_of(&store, "ann"), None);
    put_hash(2, "of this one");
    assert_eq!(hash_of(&store, "ann").as_deref(), Some("of this one"));
    block_on(store.put_member(member("ann", "ann", 3))).unwrap();
    assert_eq!(hash_of(&store, "ann"), None, "a new sign-in removes the old hash");
}

pub(crate) fn tokens_and_hashes_are_removed_separately<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for name in ["ann", "bob"] {
        block_on(store.put_member(member(name, name, 1))).unwrap();
        block_on(store.put_hash(&user(name), minute(1), "a hash".to_owned().into())).unwrap();
    }
    block_on(store.remove_token(&user("ann"))).unwrap();
    assert!(found(&store, "ann").token.is_none());
    assert!(hash_of(&store, "ann").is_some());
    block_on(store.remove_hash(&user("ann"))).unwrap();
    assert_eq!(hash_of(&store, "ann"), None);
    assert!(found(&store, "bob").token.is_some() && hash_of(&store, "bob").is_some());
}

pub(crate) fn tokens_are_replaced_in_one_commit<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for name in ["ann", "bob", "cid", "dan"] {
        block_on(store.put_member(member(name, name, 1))).unwrap();
    }
    block_on(store.remove_token(&user("dan"))).unwrap();
    let replace = |user: &UserName, token: &SecretString| match user.as_str() {
        "ann" => Some(SecretString::from(format!("new {}", token.expose_secret()))),
        "bob" => Some(token.clone()),
        _ => None,
    };
    block_on(store.replace_tokens(Box::new(replace))).unwrap();
    let token_of = |name: &str| found(&store, name).token.map(|token| token.expose_secret().to_owned());
    assert_eq!(token_of("ann").as_deref(), Some("new a.token.of-plone"));
    assert_eq!(token_of("bob").as_deref(), Some("a.token.of-plone"));
    assert_eq!((token_of("cid"), token_of("dan")), (None, None));
}

pub(crate) fn ended_sign_ins_outlive_the_member<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    for name in ["ann", "bob"] {
        block_on(store.put_member(member(name, name, 1))).unwrap();
    }
    block_on(store.change_rights(&user("ann"), Role::Student.into(), minute(7))).unwrap();
    assert_eq!(found(&store, "ann").rights, Role::Student.into());
    let limited = Rights::new(Role::Staff, Some(Subjects::parse(&["MATH", "FINE ARTS"]).unwrap()));
    block_on(store.change_rights(&user("ann"), limited.clone(), minute(7))).unwrap();
    assert_eq!(found(&store, "ann").rights, limited);
    block_on(store.put_member(Member { rights: limited.clone(), ..member("cid", "cid", 1) })).unwrap();
    assert_eq!(found(&store, "cid").rights, limited);
    block_on(store.remove_member(&user("ann"), minute(5))).unwrap();
    block_on(store.remove_member(&user("bob"), minute(6))).unwrap();
    assert!(block_on(store.member(&user("ann"))).unwrap().is_none());
    drop(store);
    let mut ended = block_on(fixture.open().ended_sign_ins()).unwrap();
    ended.sort();
    assert_eq!(ended, [(user("ann"), minute(7)), (user("bob"), minute(6))], "the later of two times is stored");
}

pub(crate) fn users_are_listed_with_the_limit_of_their_last_sign_in<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let limited = |subject: &str| Rights::new(Role::Staff, Some(Subjects::parse(&[subject]).unwrap()));
    let seen = |name: &str, source: Option<UserSource>| Person {
        username: user(name),
        name: name.to_owned(),
        role: Role::Staff,
        source,
        last_seen: minute(1),
    };
    block_on(store.put_member(Member { rights: limited("MATH"), ..member("kim", "kim", 1) })).unwrap();
    // A member had this name before a user of single sign-on took it over.
    block_on(store.put_member(Member { rights: limited("ART"), ..member("lee", "lee", 1) })).unwrap();
    let sign_in = ProviderSignIn { token: Uuid::from_u128(1), sid: None, id_token: None, expires_at: minute(9) };
    let lee = ProviderUser {
        username: user("lee"),
        source: "oidc:college".to_owned(),
        issuer: "https://login.college.edu".to_owned(),
        subject: "1".to_owned(),
        name: "Lee".to_owned(),
        rights: Role::SubjectStaff.into(),
        mapping: None,
    };
    assert!(block_on(store.put_sign_in(lee, sign_in)).unwrap());
    let people = vec![
        seen("kim", Some(UserSource::Plone)),
        seen("lee", Some(UserSource::Oidc("college".to_owned()))),
        seen("max", None),
    ];
    block_on(store.record_people(people)).unwrap();
    let page = block_on(store.users(UserFilter { limit: 9, ..UserFilter::default() })).unwrap();
    let listed: Vec<_> = page
        .items
        .iter()
        .map(|user| format!("{} {} {:?}", user.username, user.role, user.subjects.as_ref().map(ToString::to_string)))
        .collect();
    assert_eq!(listed, ["kim staff Some(\"MATH\")", "lee staff Some(\"no subject\")", "max staff None"]);
}

pub(crate) fn an_account_keeps_its_limit_while_it_is_not_staff<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let limit = Subjects::parse(&["MATH"]).unwrap();
    let put = |rights: Rights| {
        let (name, password_hash) = ("Desk".to_owned(), "a hash".to_owned());
        block_on(store.put_account(Account { username: user("desk"), name, rights, password_hash }, None)).unwrap();
        block_on(store.former_limit(&user("desk"))).unwrap()
    };
    assert_eq!(put(Rights::new(Role::Staff, Some(limit.clone()))), None, "the account has the limit itself");
    assert_eq!(put(Role::Student.into()), Some(limit.clone()));
    assert_eq!(put(Role::Admin.into()), Some(limit));
    assert_eq!(put(Role::Staff.into()), None, "staff without a limit");
    assert_eq!(put(Role::Student.into()), None);
}
