//! Tests of how a store keeps facts about students: with each term, without a term, and for hubs that follow a term.

use std::sync::Arc;

use eduhub::domain::command::{Command, FactsOfStudent, TermPatch};
use eduhub::domain::role::Role;
use eduhub::domain::student::{HeldAction, Permit, PermittedFor, StudentFacts};
use eduhub::domain::term::GroupWindow;
use eduhub::store::accounts::{Account, AccountStore, Person};
use eduhub::store::students::{StudentSearch, StudentStore};
use eduhub::store::terms::TermStore;

use super::fixture::{StoreFixture, StoredTerm, block_on, load, other_term};
use crate::college::{completed, hold, minute, register, section, state, term_id, user};

/// Returns facts with a value in each field.
fn facts() -> StudentFacts {
    let limit = serde_json::from_str("18.5").unwrap();
    StudentFacts {
        holds: vec![hold("1", &[HeldAction::Register, HeldAction::Drop])],
        credit_min: Some(limit),
        credit_limit: Some(limit),
        groups: vec!["veterans".into()],
        program: Some("Nursing".into()),
        campus: Some("North".into()),
        opens_at: Some(minute(1)),
        closes_at: Some(minute(2)),
        completed: completed(&[("MATH 141", "B+"), ("PHYS 101", "")]),
        permits: vec![permit()],
    }
}

fn stated(name: &str) -> FactsOfStudent {
    (user(name), Some(Arc::new(facts())))
}

pub(crate) fn facts_are_loaded_with_every_term<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    term.run_one(Command::PutFacts([stated("ann"), stated("bob")].into()));
    term.run_one(Command::PutFacts([(user("bob"), None)].into()));
    let term = term.reopen();
    let expected = vec![(user("ann"), Arc::new(facts()))];
    assert_eq!(load(&term.store).facts, expected);
    assert_eq!(block_on(term.store.load(&other_term())).unwrap().facts, expected, "facts hold in all terms");
    assert_eq!(block_on(term.store.facts(&user("ann"))).unwrap(), Some(facts()));
    assert_eq!(block_on(term.store.facts(&user("bob"))).unwrap(), None);
}

pub(crate) fn facts_are_stored_without_a_term<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    block_on(store.put_facts([stated("ann"), stated("bob")].into())).unwrap();
    block_on(store.put_facts([(user("bob"), None)].into())).unwrap();
    drop(store);
    let store = fixture.open();
    assert_eq!(block_on(store.load(&term_id())).unwrap().facts, [(user("ann"), Arc::new(facts()))]);
}

pub(crate) fn a_refused_batch_stores_no_facts<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("BAD")]);
    term.fixture.refuse_bad(&term.store);
    term.run(vec![state("ann", facts()), register("bob", "BAD")]).expect_err("the store rejects it");
    assert_eq!(block_on(term.store.facts(&user("ann"))).unwrap(), None);
}

pub(crate) fn changed_facts_are_in_the_changes_of_a_term<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    let before = load(&term.store).seq;
    term.run_one(state("ann", facts()));
    let after = load(&term.store).seq;
    let changes = |since| block_on(term.store.changes_since(&term_id(), since)).unwrap();
    assert_eq!((changes(before).seq, changes(before).changes.facts), (before + 1, vec![stated("ann")]));
    assert_eq!(changes(after).changes.facts, []);
}

pub(crate) fn windows_of_groups_are_stored_with_their_term<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    let window = |group: &str, closes_at| GroupWindow { group: group.into(), opens_at: minute(5), closes_at };
    let windows = vec![window("honors", None), window("veterans", Some(minute(9)))];
    term.run_one(Command::PutTerm(TermPatch { windows: Some(windows.clone()), ..TermPatch::default() }));
    assert_eq!(load(&term.reopen().store).term.windows, windows);
}

pub(crate) fn students_are_found_by_words_of_their_names<F: StoreFixture>() {
    let fixture = F::create();
    let store = fixture.open();
    let account = |name: &str, shown: &str, role: Role| {
        let (username, name, password_hash) = (user(name), shown.to_owned(), String::new());
        block_on(store.put_account(Account { username, name, rights: role.into(), password_hash }, None)).unwrap();
    };
    account("jn7", "José Núñez", Role::Student);
    account("jn8", "Josefa Nunn", Role::Staff);
    let person = |name: &str, role| {
        let (username, name) = (user(name), format!("{name} Nunes"));
        Person { username, name, role, source: None, last_seen: minute(0) }
    };
    // For a person who has an account and has used the hub, the account determines the role and the name.
    let seen = vec![person("zoe", Role::Student), person("jn8", Role::Student), person("max", Role::Staff)];
    block_on(store.record_people(seen)).unwrap();
    block_on(store.put_facts([stated("nunu"), stated("zoe")].into())).unwrap();
    let find = |words: &[&str], after: Option<&str>, limit| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let found = block_on(store.find(StudentSearch { words, after: after.map(user), limit })).unwrap();
        found.into_iter().map(|one| format!("{} {}", one.user, one.name.unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(find(&["nu"], None, 9), ["jn7 José Núñez", "nunu ", "zoe zoe Nunes"]);
    assert_eq!(find(&["nun", "jose"], None, 9), ["jn7 José Núñez"]);
    assert_eq!(find(&["nu"], None, 2), ["jn7 José Núñez", "nunu "]);
    assert_eq!(find(&["nu"], Some("nunu"), 2), ["zoe zoe Nunes"]);
    assert_eq!(find(&["unez"], None, 9), [""; 0]);
}

/// Returns a permit for a section.
fn permit() -> Permit {
    Permit {
        of: PermittedFor::Section("2027-1".into()),
        codes: vec![eduhub::domain::refusal::RefusalCode::SectionFull],
        reason: "Graduates in May".into(),
        expires_at: Some(crate::college::minute(5)),
        by: "staff".into(),
        at: crate::college::minute(0),
    }
}
