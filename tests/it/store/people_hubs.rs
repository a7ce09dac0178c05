//! Tests of two hubs that write alerts and people to one shared store at the same time.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use eduhub::domain::audience::Audience;
use eduhub::domain::ids::{ProfileName, UserName};
use eduhub::domain::import_profile::ImportProfile;
use eduhub::domain::role::Role;
use eduhub::store::accounts::{Account, AccountStore, Person};
use eduhub::store::alerts::{Ack, AlertStore, CancelOutcome, Entry};
use eduhub::store::guardian_links::{GuardianLink, GuardianLinkStore};
use eduhub::store::import_profiles::{PROFILES_MAX, ProfileStore, PutProfile};
use eduhub::store::members::{Member, MemberStore};
use eduhub::store::postgres::PostgresStore;
use eduhub::store::provider_sign_ins::{ProviderSignIn, ProviderSignInStore, ProviderUser};
use eduhub::store::sign_ins::{SecondFactor, SecondFactorStore};
use eduhub::store::{StoreError, StoreFuture};
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::alerts::alert;
use super::fixture::{StoreFixture, block_on};
use super::postgres::Shared;
use crate::college::{minute, user};

/// Number of operations that each hub runs at once, fewer than it has connections.
const AT_ONCE: usize = 8;

/// Opens two stores on one database.
fn two_hubs(fixture: &Shared) -> [PostgresStore; 2] {
    [fixture.open(), fixture.open()]
}

/// Starts an operation [`AT_ONCE`] times on each hub, all at once, and returns the results. The operation gets the
/// number of the call.
fn at_once<T>(hubs: &[PostgresStore; 2], operation: impl Fn(&PostgresStore, usize) -> StoreFuture<T>) -> Vec<T> {
    let calls = (0..2 * AT_ONCE).map(|number| operation(&hubs[number % 2], number));
    block_on(join_all(calls)).into_iter().collect::<Result<_, StoreError>>().unwrap()
}

fn count(results: &[bool]) -> usize {
    results.iter().filter(|result| **result).count()
}

fn account(name: &str, hash: &str) -> Account {
    Account { username: user(name), name: name.to_owned(), rights: Role::Staff.into(), password_hash: hash.to_owned() }
}

#[test]
fn alerts_of_two_hubs_form_one_sequence_without_gaps() {
    const WAVES: usize = 8;
    let fixture = Shared::create();
    let (hubs, reader) = (two_hubs(&fixture), fixture.open());
    let all = WAVES * 2 * AT_ONCE;
    let read = std::thread::spawn(move || {
        let mut log: BTreeMap<u64, String> = BTreeMap::new();
        while log.len() < all {
            let last = log.len() as u64;
            for (next, entry) in (last + 1..).zip(block_on(reader.log_after(last, 5)).unwrap()) {
                assert_eq!(entry.seq, next, "an entry became visible after a later one");
                let Entry::Alert(alert) = entry.entry else { panic!("nothing was cancelled") };
                log.insert(entry.seq, alert.id);
            }
        }
        log
    });
    let now = minute(1).to_zoned_datetime(TimeZone::UTC);
    let mut posted: BTreeMap<u64, String> = BTreeMap::new();
    for wave in 0..WAVES {
        let sent = at_once(&hubs, |hub, number| {
            // Different numbers of recipients, so that the transactions take different times.
            let name = |n: usize| eduhub::domain::audience::UserRef(user(&format!("s{n}")));
            let users = (0..number * number).map(name).collect();
            hub.post(alert(&format!("{wave}-{number}"), Audience { users, ..Audience::default() }), now.clone())
        });
        posted.extend(sent.into_iter().map(|alert| (alert.seq.expect("it was sent"), alert.id)));
    }
    assert_eq!(posted.keys().copied().collect::<Vec<_>>(), (1..=all as u64).collect::<Vec<_>>());
    assert_eq!(read.join().unwrap(), posted, "the reader has every alert, at its position");
}

#[test]
fn two_hubs_send_and_cancel_an_alert_once() {
    let fixture = Shared::create();
    let hubs = two_hubs(&fixture);
    let now = |at| minute(at).to_zoned_datetime(TimeZone::UTC);
    let scheduled = 3 * AT_ONCE;
    for number in 0..scheduled {
        let mut alert = alert(&format!("later-{number}"), Audience::everyone());
        alert.content.starts_at = Some(minute(200));
        block_on(hubs[0].post(alert, now(100))).unwrap();
    }
    let released: usize = at_once(&hubs, |hub, _| hub.release_due(now(200), scheduled)).into_iter().sum();
    assert_eq!(released, scheduled);
    let log = block_on(hubs[1].log_after(0, 1_000)).unwrap();
    assert_eq!(log.len(), scheduled, "each once");

    let outcomes = at_once(&hubs, |hub, _| hub.cancel("later-0", minute(201)));
    let announced = outcomes.iter().filter(|outcome| matches!(outcome, CancelOutcome::Announced(_))).count();
    assert_eq!(announced, 1);
    assert_eq!(block_on(hubs[0].stored_range()).unwrap().last, scheduled as u64 + 1);
}

#[test]
fn an_acknowledgement_on_two_hubs_is_stored_once() {
    let fixture = Shared::create();
    let hubs = two_hubs(&fixture);
    let names: Vec<UserName> = (0..20).map(|n| user(&format!("s{n}"))).collect();
    block_on(hubs[0].post(alert("a", Audience::everyone()), minute(1).to_zoned_datetime(TimeZone::UTC))).unwrap();
    // In different orders, so that transactions would deadlock without a fixed order of locks.
    let stored = at_once(&hubs, |hub, number| {
        let mut acks: Vec<Ack> = names
            .iter()
            .map(|name| Ack { alert: "a".to_owned(), user: name.clone(), role: Role::Student, at: minute(2) })
            .collect();
        if number % 4 < 2 {
            acks.reverse();
        }
        hub.ack(acks)
    });
    assert!(stored.iter().flatten().all(|accepted| *accepted), "a repeated one is accepted");
    assert_eq!(block_on(hubs[1].receipts("a", 0)).unwrap().unwrap().acknowledged_total, 20);
}

#[test]
fn two_hubs_store_no_more_links_and_profiles_than_allowed() {
    const LINKS_MAX: usize = 3;
    let fixture = Shared::create();
    let hubs = two_hubs(&fixture);
    // Several students, because the hubs are still connecting during the first calls.
    for (round, student) in ["ann", "bob", "cid"].into_iter().enumerate() {
        let stored = at_once(&hubs, |hub, number| {
            let id = u8::try_from(100 * round + number).unwrap();
            let link = GuardianLink {
                id: Uuid::from_u128(id.into()),
                student: user(student),
                label: String::new(),
                created_at: minute(1),
                expires_at: minute(9),
            };
            hub.put_guardian_link(link, [id; 32], LINKS_MAX)
        });
        assert_eq!(count(&stored), LINKS_MAX);
        assert_eq!(block_on(hubs[0].guardian_links(&user(student), minute(2))).unwrap().len(), LINKS_MAX);
    }

    let others = PROFILES_MAX - 2;
    fixture.database().run(&format!(
        "INSERT INTO import_profiles SELECT 'p' || n, '', '[]', '{{}}' FROM generate_series(1, {others}) AS n"
    ));
    let put = at_once(&hubs, |hub, number| {
        hub.put_profile(ImportProfile {
            name: ProfileName::parse(&format!("new-{number}")).unwrap(),
            title: String::new(),
            header: Vec::new(),
            map: BTreeMap::new(),
            builtin: false,
        })
    });
    assert_eq!(put.iter().filter(|put| **put == PutProfile::Created).count(), 2);
    assert_eq!(block_on(hubs[1].profiles()).unwrap().len(), PROFILES_MAX);
}

#[test]
fn only_one_hub_changes_a_password_or_takes_a_code_or_name() {
    let fixture = Shared::create();
    let hubs = two_hubs(&fixture);
    let ann = user("ann");
    block_on(hubs[0].put_account(account("ann", "first"), None)).unwrap();
    let changed = at_once(&hubs, |hub, number| {
        let new = account("ann", &format!("hash {number}"));
        hub.change_password(new, "first".to_owned(), minute(1), Uuid::from_u128(number as u128))
    });
    let winner = changed.iter().position(|changed| *changed).expect("one has changed it");
    assert_eq!(count(&changed), 1);
    let stored = block_on(hubs[1].account(&ann)).unwrap().expect("the account is stored");
    assert_eq!(stored.password_hash, format!("hash {winner}"));
    let ended = block_on(hubs[1].ended_tokens()).unwrap();
    assert_eq!(ended[0].spared, Some(Uuid::from_u128(winner as u128)), "the token of the same change");

    let factor = || SecondFactor { username: ann.clone(), secret: vec![1], last_step: 1, since: minute(1) };
    let added = at_once(&hubs, |hub, _| hub.add_second_factor(factor(), vec![[1; 32], [2; 32]]));
    assert_eq!(count(&added), 1);
    assert_eq!(count(&at_once(&hubs, |hub, _| hub.use_step(&ann, 2))), 1);
    assert_eq!(count(&at_once(&hubs, |hub, _| hub.use_recovery_code(&ann, [1; 32]))), 1);

    let signed_in = at_once(&hubs, |hub, number| {
        let person = ProviderUser {
            username: user("bob"),
            source: "oidc:a".to_owned(),
            issuer: "https://login.college.edu".to_owned(),
            subject: number.to_string(),
            name: "Bob".to_owned(),
            rights: Role::Student.into(),
            mapping: None,
        };
        let token = Uuid::from_u128(number as u128);
        hub.put_sign_in(person, ProviderSignIn { token, sid: None, id_token: None, expires_at: minute(9) })
    });
    assert_eq!(count(&signed_in), 1, "the username belongs to one person");
    assert_eq!(block_on(hubs[0].open_sign_ins(minute(1))).unwrap().len(), 1);
}

#[test]
fn a_sign_in_keeps_its_token_while_another_hub_replaces_tokens() {
    let fixture = Shared::create();
    let [hub, other] = two_hubs(&fixture);
    let member = |token: &str, at| Member {
        username: user("ann"),
        login: user("ann"),
        name: "Ann".to_owned(),
        rights: Role::Student.into(),
        token: Some(SecretString::from(token)),
        password_hash: None,
        signed_in_at: minute(at),
    };
    block_on(hub.put_member(member("old", 1))).unwrap();
    let (signing_in, signed_in) = (other.clone(), mpsc::channel());
    let sign_in = member("new", 2);
    let replace = move |_: &UserName, token: &SecretString| {
        let (put, done) = (signing_in.put_member(sign_in.clone()), signed_in.0.clone());
        std::thread::spawn(move || {
            block_on(put).unwrap();
            let _ = done.send(());
        });
        // The sign-in waits for the replacement. A store that let it through would lose its token here.
        let _ = signed_in.1.recv_timeout(Duration::from_millis(500));
        Some(SecretString::from(format!("encrypted {}", token.expose_secret())))
    };
    block_on(hub.replace_tokens(Box::new(replace))).unwrap();
    // The sign-in may be committed a moment later. Closing its store waits for it.
    other.close();
    let stored = block_on(hub.member(&user("ann"))).unwrap().expect("the member is stored");
    assert_eq!(stored.token.expect("it has a token").expose_secret(), "new");
}

#[test]
fn two_hubs_record_the_same_people_in_any_order() {
    let fixture = Shared::create();
    let hubs = two_hubs(&fixture);
    at_once(&hubs, |hub, number| {
        let mut people: Vec<Person> = (0..100)
            .map(|n| Person {
                username: user(&format!("s{n}")),
                name: format!("Student {n}"),
                role: Role::Student,
                source: None,
                last_seen: minute(i64::try_from(number).unwrap()),
            })
            .collect();
        if number % 4 < 2 {
            people.reverse();
        }
        hub.record_people(people)
    });
    let page = block_on(hubs[0].users(eduhub::store::accounts::UserFilter { limit: 1, ..Default::default() })).unwrap();
    let latest = minute(i64::try_from(2 * AT_ONCE - 1).unwrap());
    assert_eq!((page.total, page.items[0].last_seen), (100, Some(latest)), "the latest time");
}
