//! Tests of how a store searches the audit trail, and of free text that clients write into it.

use eduhub::domain::audit_detail::{AuditDetail, Detail, coded};
use eduhub::domain::role::Role;
use eduhub::store::accounts::{AccountStore, AuditEntry, AuditFilter, AuditStore, Person, UserFilter};

use super::fixture::{StoreFixture, block_on};
use crate::college::{minute, user};

fn entry(at: i64, by: Option<&str>, action: &str, subject: &str, detail: impl Into<Detail>) -> AuditEntry {
    AuditEntry {
        at: minute(at),
        user: by.map(user),
        role: by.map(|_| Role::Staff),
        ip: None,
        action: action.to_owned(),
        subject: Some(subject.to_owned()),
        section: None,
        detail: detail.into(),
        request_id: Some("r".to_owned()),
    }
}

/// Returns the times of the entries that a filter selects, as minutes, and the cursor of the next page.
fn found<S: AuditStore>(store: &S, filter: AuditFilter) -> (Vec<i64>, Option<u64>) {
    let page = block_on(store.page(filter)).unwrap();
    let minutes = page.items.iter().map(|entry| (entry.at.as_second() - minute(0).as_second()) / 60);
    (minutes.collect(), page.next)
}

pub(crate) fn audit_entries_are_found_by_their_fields_and_words<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let entries = vec![
        entry(1, Some("sam"), "user.change", "ann", "role staff"),
        entry(2, None, "login.refused", "ann", "Wrong password, 100% wrong"),
        entry(3, Some("ann"), "term.change", "2027", "a_b title É"),
        entry(4, Some("sam"), "login", "sam", "local account"),
    ];
    block_on(store.append(entries)).unwrap();
    let all = AuditFilter { limit: 10, ..AuditFilter::default() };
    assert_eq!(found(&store, all.clone()), (vec![4, 3, 2, 1], None), "newest first");
    let first = found(&store, AuditFilter { limit: 3, ..all.clone() });
    assert_eq!(first.0, [4, 3, 2]);
    assert_eq!(found(&store, AuditFilter { before: first.1, ..all.clone() }), (vec![1], None));
    let filter = |change: &dyn Fn(&mut AuditFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        found(&store, filter).0
    };
    assert_eq!(filter(&|f| f.user = Some("ann".to_owned())), [3, 2, 1]);
    assert_eq!(filter(&|f| f.user = Some("a\0nn".to_owned())), [0; 0]);
    assert_eq!(filter(&|f| f.person = Some(user("2027"))), [0; 0], "a term is not a person");
    assert_eq!(filter(&|f| f.action = Some("login,user.change".to_owned())), [4, 1]);
    assert_eq!(filter(&|f| f.since = Some(minute(3))), [4, 3]);
    let words = |words: &[&str]| filter(&|f| f.words = words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(words(&["LOG"]), [4, 2], "the beginnings of words, in any case of ASCII letters");
    assert_eq!(words(&["assword"]), [0; 0]);
    assert_eq!(words(&["ann", "wrong"]), [2], "each of the words");
    assert_eq!(words(&["refused"]), [2], "a word begins after each separator");
    assert_eq!(words(&["100%"]), [2]);
    assert_eq!(words(&["1%0"]), [0; 0], "no wildcards");
    assert_eq!(words(&["É"]), [3]);
    assert_eq!(words(&["é"]), [0; 0], "the case of other letters counts");
}

pub(crate) fn details_are_stored_with_their_codes<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    // The texts of both are ambiguous: a reason reads like an override, and a title like another field.
    let registered: Detail = AuditDetail::Register.because("override: time_conflict").into();
    let fields = vec![("title", "Fall, opens_at: soon".to_owned()), ("starts_on", "none".to_owned())];
    let entries = vec![
        entry(1, Some("sam"), "student.registration", "ann", registered.clone()),
        entry(2, Some("sam"), "term.change", "2027", Detail::of_fields(fields, ", ")),
        entry(3, Some("sam"), "alert.correct", "a", AuditDetail::Corrected { title: "\0 ' \\ \"".to_owned(), n: 3 }),
        entry(4, Some("sam"), "login", "sam", "Plone"),
    ];
    block_on(store.append(entries.clone())).unwrap();
    drop(store);
    let store = fixture.open();
    let page = block_on(store.page(AuditFilter { limit: 9, ..AuditFilter::default() })).unwrap();
    let stored = |entries: &[AuditEntry]| entries.iter().map(|one| one.detail.coded.clone()).collect::<Vec<_>>();
    let read: Vec<AuditEntry> = page.items.into_iter().rev().collect();
    assert_eq!(stored(&read), stored(&entries));
    assert_eq!(read[0], entries[0]);
    assert_ne!(coded("student.registration", &registered.text), registered.coded, "negative control");
    let found =
        |word: &str| found(&store, AuditFilter { words: vec![word.to_owned()], limit: 9, ..AuditFilter::default() }).0;
    assert_eq!((found("conflict"), found("reason")), (vec![1], vec![]), "a search compares the texts");
}

pub(crate) fn free_text_may_contain_any_character<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    block_on(store.append(vec![entry(1, Some("sam"), "login", "a\0b", "\0 ' \\ %")])).unwrap();
    let page = block_on(store.page(AuditFilter { limit: 1, ..AuditFilter::default() })).unwrap();
    let detail = &page.items[0].detail.text;
    assert!(detail.ends_with(" ' \\ %"), "{detail:?}");
    let named = |username: &str, name: &str, at| Person {
        username: user(username),
        name: name.to_owned(),
        role: Role::Student,
        source: None,
        last_seen: minute(at),
    };
    let people = vec![named("ann", "old", 3), named("bob", "B\0b", 1), named("Zed", "ÉVA", 1), named("ann", "Ann", 2)];
    block_on(store.record_people(people)).unwrap();
    let list = |text: Option<&str>, after: Option<&str>, limit| {
        let filter = UserFilter { text: text.map(str::to_owned), after: after.map(str::to_owned), limit };
        let page = block_on(store.users(filter)).unwrap();
        let names: Vec<String> = page.items.iter().map(|user| user.username.to_string()).collect();
        (names.join(" "), page.next, page.total)
    };
    assert_eq!(list(None, None, 2), ("Zed ann".to_owned(), Some("ann".to_owned()), 3), "by bytes");
    assert_eq!(list(None, Some("ann"), 2), ("bob".to_owned(), None, 3));
    assert_eq!(list(Some("éva"), None, 2), ("Zed".to_owned(), None, 1), "the case of all letters is folded");
    let page = block_on(store.users(UserFilter { text: Some("ann".to_owned()), after: None, limit: 1 })).unwrap();
    let ann = &page.items[0];
    assert_eq!((ann.name.as_str(), ann.last_seen), ("Ann", Some(minute(3))), "the newest name and the latest time");
}
