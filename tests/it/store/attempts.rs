//! Tests of how a store keeps the chain of attempts, reads histories, deletes old attempts, and erases people.

use eduhub::domain::attempt::{Hash, Receipt};
use eduhub::domain::attempt_chain::HEADS_EVERY;
use eduhub::domain::command::Command;
use eduhub::domain::ids::UserName;
use eduhub::domain::role::Role;
use eduhub::registration::submitted::Submitted;
use eduhub::store::StoreError;
use eduhub::store::accounts::{AuditEntry, AuditFilter, AuditStore};
use eduhub::store::attempts::{AttemptStore, StoredAttempt};
use eduhub::store::privacy::{Erasure, ErasureOutcome, PrivacyStore};
use eduhub::store::terms::TermStore;
use jiff::tz::TimeZone;

use super::fixture::{StoreFixture, StoredTerm, block_on, load};
use crate::college::{capacity, drop_section, id, minute, register, register_or_wait, section, swap, term_id, user};

/// Returns the attempts of a student in words, oldest first.
fn history<S: AttemptStore>(store: &S, student: &str) -> Vec<String> {
    let mut found = block_on(store.attempts_of_student(&user(student), None, None, 1_000)).unwrap();
    found.reverse();
    found.iter().map(in_words).collect()
}

fn in_words(StoredAttempt { user, attempt, .. }: &StoredAttempt) -> String {
    let (action, by): (&str, &str) = (attempt.action.into(), attempt.by.into());
    let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
    let (position, open) = (number(attempt.position), number(attempt.open));
    let repeated = if attempt.repeated { " again" } else { "" };
    let (n, crn, result) = (attempt.n, &attempt.crn, attempt.result.as_str());
    format!("{n} {user} {action} {crn}: {result}{repeated}, position {position}, open {open}, by {by}")
}

/// Returns the hash of an attempt.
fn hash_of<S: AttemptStore>(store: &S, student: &str, n: u64) -> Option<Hash> {
    let found = block_on(store.attempts_of_student(&user(student), None, None, 1_000)).unwrap();
    found.iter().find(|one| one.attempt.n == n).map(|one| one.attempt.hash)
}

pub(crate) fn every_decision_is_an_attempt_of_the_same_commit<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").waitlist(1), section("Y")]);
    let seq = load(&term.store).seq;
    let committed = term
        .run(vec![
            register("ana", "X"),
            register("ana", "X"),
            register("bob", "X"),
            register_or_wait("bob", "X"),
            register_or_wait("cyd", "X"),
            register("cyd", "GONE"),
            swap("cyd", &["Y"], &["X"]),
            drop_section("ana", "X"),
        ])
        .unwrap();
    let receipts: Vec<Vec<u64>> =
        committed.receipts.iter().map(|of_one| of_one.iter().map(|receipt| receipt.n).collect()).collect();
    assert_eq!(receipts, [vec![1], vec![2], vec![3], vec![4], vec![5], vec![6], vec![8, 7], vec![9]]);
    let term = term.reopen();
    let expected = [
        "1 ana register X: enrolled, position -, open 1, by self",
        "2 ana register X: enrolled again, position -, open 0, by self",
        "9 ana drop X: dropped, position -, open 0, by self",
    ];
    assert_eq!(history(&term.store, "ana"), expected);
    let expected = [
        "3 bob register X: section_full, position -, open 0, by self",
        "4 bob register X: waitlisted, position 1, open 0, by self",
        "10 bob promote X: enrolled, position 1, open -, by promotion",
    ];
    assert_eq!(history(&term.store, "bob"), expected);
    let expected = [
        "5 cyd register X: waitlist_full, position -, open 0, by self",
        "6 cyd register GONE: not_found, position -, open -, by self",
        "7 cyd drop X: not_found, position -, open 0, by self",
        "8 cyd register Y: swap_refused, position -, open 1, by self",
    ];
    assert_eq!(history(&term.store, "cyd"), expected);
    for (of_one, student) in committed.receipts.iter().zip(["ana", "ana", "bob", "bob", "cyd", "cyd", "cyd", "ana"]) {
        for Receipt { n, hash } in of_one {
            assert_eq!(hash_of(&term.store, student, *n), Some(*hash), "the receipt of attempt {n}");
        }
    }
    assert_eq!(load(&term.store).seq, seq + 1);
}

pub(crate) fn a_refused_batch_leaves_the_chain_as_it_was<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("BAD")]);
    term.fixture.refuse_bad(&term.store);
    let first = term.run(vec![register("ana", "X"), register("bob", "X")]).unwrap();
    let seq = load(&term.store).seq;
    let refused = term.run(vec![register("cyd", "X"), register("ana", "BAD")]);
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(history(&term.store, "cyd"), [""; 0]);
    // A refusal changes nothing but the chain, so the sequence of the seats stays.
    let next = term.run(vec![register("cyd", "X")]).unwrap();
    assert_eq!((first.receipts[1][0].n, next.receipts[0][0].n, next.update.is_some()), (2, 3, false));
    assert_eq!(load(&term.store).seq, seq);
    assert_eq!(term.reopen().run(vec![register("dan", "X")]).unwrap().receipts[0][0].n, 4);
}

/// Loads a term one batch after the newest attempts of students and sections were written.
pub(crate) fn a_loaded_chain_is_continued<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(3), section("Y")]);
    term.run_one(register("ana", "X"));
    let many: Vec<Command> = (0..HEADS_EVERY).map(|_| register("bob", "Y")).collect();
    term.run(many).unwrap();
    term.run_one(register("cyd", "X"));
    let kept = block_on(term.store.load(&term_id())).unwrap().attempts;
    assert_eq!((kept.n, kept.heads_at), (HEADS_EVERY + 2, HEADS_EVERY + 1));
    let last = |name: &str| kept.students.iter().find(|(user, _)| user.as_str() == name).map(|(_, known)| known.last);
    assert_eq!((last("ana"), last("bob"), last("cyd")), (Some(1), Some(kept.n - 1), Some(kept.n)));
    let mut term = term.reopen();
    term.run_one(register("ana", "Y"));
    let numbers = |student: &str| -> Vec<u64> {
        let found = block_on(term.store.attempts_of_student(&user(student), None, None, 3)).unwrap();
        found.iter().map(|one| one.attempt.n).collect()
    };
    assert_eq!(numbers("ana"), [kept.n + 1, 1]);
    assert_eq!(numbers("bob"), [kept.n - 1, kept.n - 2, kept.n - 3]);
    let of_section = block_on(term.store.attempts_of_section(&id("X"), None, 10)).unwrap();
    assert_eq!(of_section.iter().map(|one| one.attempt.n).collect::<Vec<_>>(), [kept.n, 1]);
}

pub(crate) fn histories_are_read_backward_in_pages<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9), section("Y").seats(9)]);
    for (student, section) in [("ana", "X"), ("bob", "X"), ("ana", "Y"), ("ana", "X"), ("bob", "Y")] {
        term.run_one(register(student, section));
    }
    let store = &term.store;
    let page = |before: Option<u64>, limit| {
        let before = before.map(|n| (term_id(), n));
        let found = block_on(store.attempts_of_student(&user("ana"), Some(term_id()), before, limit)).unwrap();
        found.iter().map(|one| one.attempt.n).collect::<Vec<_>>()
    };
    assert_eq!((page(None, 2), page(Some(3), 2), page(Some(1), 2)), (vec![4, 3], vec![1], vec![]));
    assert_eq!(page(Some(2), 2), [0; 0], "the attempt of another student is not a cursor");
    let of_section = |before, limit| {
        let found = block_on(store.attempts_of_section(&id("X"), before, limit)).unwrap();
        found.iter().map(|one| one.attempt.n).collect::<Vec<_>>()
    };
    assert_eq!((of_section(None, 2), of_section(Some(2), 2)), (vec![4, 2], vec![1]));
    let other = super::fixture::other_term();
    assert!(block_on(store.attempts_of_student(&user("ana"), Some(other), None, 9)).unwrap().is_empty());
}

pub(crate) fn old_attempts_are_deleted_and_the_rest_stays_verifiable<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X").seats(9)]);
    for (at, student) in [(1, "ana"), (2, "bob"), (3, "ana"), (4, "cyd")] {
        term.owner.run(vec![register(student, "X")], minute(at)).unwrap();
    }
    assert_eq!(block_on(term.store.delete_attempts_before(minute(3), 1)).unwrap(), 1, "bounded");
    assert_eq!(block_on(term.store.delete_attempts_before(minute(3), 9)).unwrap(), 1);
    assert_eq!(block_on(term.store.delete_attempts_before(minute(3), 9)).unwrap(), 0);
    assert_eq!(history(&term.store, "ana").len(), 1);
    // The loaded term continues, even for a student without remaining attempts.
    term.run_one(register("bob", "X"));
    let mut term = term.reopen();
    term.run_one(register("bob", "X"));
    let found = block_on(term.store.attempts_of_section(&id("X"), None, 9)).unwrap();
    assert_eq!(found.iter().map(|one| one.attempt.n).collect::<Vec<_>>(), [6, 5, 4, 3]);
    block_on(term.store.delete_attempts_before(minute(99), 99)).unwrap();
    let mut term = term.reopen();
    assert!(block_on(term.store.load(&term_id())).unwrap().attempts.students.is_empty(), "no name is left");
    assert_eq!(term.run(vec![register("ana", "X")]).unwrap().receipts[0][0].n, 7, "numbers continue");
}

pub(crate) fn an_erased_person_is_in_no_attempt<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X")]);
    term.run_one(register("bob", "X"));
    // Only a refusal: the person is registered nowhere.
    term.run_one(register("ann", "X"));
    let before = hash_of(&term.store, "ann", 2);
    let now = minute(5).to_zoned_datetime(TimeZone::UTC);
    assert_eq!(block_on(term.store.record_of(&user("ann"))).unwrap().attempt_terms, [term_id()]);
    let erasure = Erasure { user: user("ann"), login: None, pseudonym: user("erased-1"), now };
    assert_eq!(block_on(term.store.erase(erasure)).unwrap(), ErasureOutcome::Erased(vec![term_id()]));
    let term = term.reopen();
    assert_eq!(history(&term.store, "ann"), [""; 0]);
    assert_eq!(hash_of(&term.store, "erased-1", 2), before, "the chain stays");
    let people = |found: Vec<StoredAttempt>| found.into_iter().map(|one| one.user).collect::<Vec<UserName>>();
    let of_section = people(block_on(term.store.attempts_of_section(&id("X"), None, 9)).unwrap());
    assert_eq!(of_section, [user("erased-1"), user("bob")]);
}

pub(crate) fn audit_entries_are_stored_with_their_change<F: StoreFixture>() {
    let mut term = StoredTerm::<F>::with_sections([section("X"), section("BAD")]);
    term.fixture.refuse_bad(&term.store);
    let entry = |detail: &str| AuditEntry {
        at: minute(1),
        user: Some(user("sam")),
        role: Some(Role::Staff),
        ip: None,
        action: "section.change".to_owned(),
        subject: None,
        section: Some(id("X")),
        detail: detail.into(),
        request_id: None,
    };
    let audited = |command: Command, detail: &str| Submitted::from(command).audited(Some(entry(detail)));
    term.run(vec![audited(capacity("X", 5), "stored"), audited(capacity("X", 5), "no change")]).unwrap();
    term.run(vec![audited(capacity("GONE", 5), "no such section")]).unwrap();
    assert!(term.run(vec![audited(capacity("X", 6), "refused"), register("ana", "BAD").into()]).is_err());
    let term = term.reopen();
    let page = block_on(term.store.page(AuditFilter { limit: 9, ..AuditFilter::default() })).unwrap();
    let details: Vec<&str> = page.items.iter().map(|entry| entry.detail.text.as_str()).collect();
    assert_eq!(details, ["no change", "stored"]);
}
