//! The order of waitlists: the priority that a term declares, and moves by staff.

use eduhub::domain::attempt::{Action, AttemptResult};
use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::decide::Decision;
use eduhub::domain::registration::RegistrationStatus;
use eduhub::domain::student::StudentFacts;

use crate::college::{TestTerm, drop_section, move_on_waitlist, priority, register_or_wait, section, state};

fn groups(names: &[&str]) -> StudentFacts {
    StudentFacts { groups: names.iter().map(|name| (*name).into()).collect(), ..StudentFacts::default() }
}

/// Returns a term with the full section `X`, on whose waitlist these students are.
fn with_waitlist(students: &[&str]) -> TestTerm {
    let mut term = TestTerm::of([section("X").waitlist(9)]);
    term.enroll("eve", "X");
    students.iter().for_each(|student| term.join_waitlist(student, "X"));
    term
}

/// Returns the attempts of a decision: student, action, result, whether it is repeated, position.
fn attempts_of(decision: &Decision) -> Vec<(String, Action, AttemptResult, bool, Option<u32>)> {
    let attempts = decision.attempts.iter();
    attempts.map(|one| (one.student.to_string(), one.action, one.result, one.repeated, one.position)).collect()
}

#[test]
fn staff_move_a_student_to_a_position() {
    let table: [(&str, u32, &str, [&str; 3]); 6] = [
        ("cyd", 1, "waitlisted 1, new", ["cyd", "ana", "bob"]),
        ("cyd", 2, "waitlisted 2, new", ["ana", "cyd", "bob"]),
        ("ana", 3, "waitlisted 3, new", ["bob", "cyd", "ana"]),
        ("ana", 99, "waitlisted 3, new", ["bob", "cyd", "ana"]),
        ("bob", 2, "waitlisted 2, as before", ["ana", "bob", "cyd"]),
        ("eve", 1, "not found", ["ana", "bob", "cyd"]),
    ];
    for (student, position, reply, expected) in table {
        let mut term = with_waitlist(&["ana", "bob", "cyd"]);
        assert_eq!(term.reply(&move_on_waitlist(student, "X", position)), reply);
        assert_eq!(term.waitlist("X"), expected, "{student} to {position}");
    }
}

#[test]
fn people_outside_the_hub_stay_ahead_of_a_moved_student() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(9).outside(0, 2)]);
    ["ana", "bob"].iter().for_each(|student| term.join_waitlist(student, "X"));
    assert_eq!(term.reply(&move_on_waitlist("bob", "X", 1)), "waitlisted 3, new");
    assert_eq!(term.waitlist("X"), ["bob", "ana"]);
}

#[test]
fn a_move_is_one_attempt_and_a_freed_seat_goes_to_the_new_head() {
    let mut term = with_waitlist(&["ana", "bob"]);
    let moved = term.decide(&move_on_waitlist("bob", "X", 1));
    let waitlisted = AttemptResult::Granted(RegistrationStatus::Waitlisted);
    assert_eq!(attempts_of(&moved), [("bob".to_owned(), Action::Reorder, waitlisted, false, Some(1))]);
    assert!(moved.changes.notices.is_empty(), "{:?}", moved.changes.notices);
    let again = term.decide(&move_on_waitlist("bob", "X", 1));
    assert_eq!(attempts_of(&again), [("bob".to_owned(), Action::Reorder, waitlisted, true, Some(1))]);
    let unknown = term.decide(&move_on_waitlist("eve", "X", 1));
    assert_eq!(attempts_of(&unknown), [("eve".to_owned(), Action::Reorder, AttemptResult::NotFound, false, None)]);
    term.request(&drop_section("eve", "X"));
    assert_eq!((term.status("bob", "X"), term.status("ana", "X")), ("enrolled", "waitlisted"));
}

#[test]
fn a_declared_priority_takes_precedence_over_joining_order() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(9)]);
    term.run(&priority(&["graduating", "need-based"]));
    for (student, own) in
        [("bob", &["graduating"][..]), ("cyd", &["need-based"]), ("dan", &["GRADUATING", "need-based"])]
    {
        term.run(&state(student, groups(own)));
    }
    for (student, reply) in [
        ("ana", "waitlisted 1, new"),
        ("cyd", "waitlisted 1, new"),
        ("eve", "waitlisted 3, new"),
        ("bob", "waitlisted 1, new"),
        ("dan", "waitlisted 2, new"),
    ] {
        assert_eq!(term.reply(&register_or_wait(student, "X")), reply, "{student}");
    }
    assert_eq!(term.waitlist("X"), ["bob", "dan", "cyd", "ana", "eve"]);
}

#[test]
fn a_change_to_the_priority_or_to_facts_reorders_waitlists() {
    let mut term = with_waitlist(&["ana", "bob", "cyd"]);
    term.run(&state("cyd", groups(&["graduating"])));
    assert_eq!(term.waitlist("X"), ["ana", "bob", "cyd"], "no priority is declared");
    term.run(&priority(&["graduating"]));
    assert_eq!(term.waitlist("X"), ["cyd", "ana", "bob"]);
    term.run(&state("bob", groups(&["graduating"])));
    assert_eq!(term.waitlist("X"), ["bob", "cyd", "ana"]);
    term.run(&state("bob", groups(&[])));
    assert_eq!(term.waitlist("X"), ["cyd", "ana", "bob"]);
    term.run(&priority(&[]));
    assert_eq!(term.waitlist("X"), ["ana", "bob", "cyd"]);
}

#[test]
fn a_move_by_staff_takes_precedence_over_the_priority() {
    let mut term = with_waitlist(&["ana", "bob", "cyd"]);
    term.run(&priority(&["graduating"]));
    term.run(&state("cyd", groups(&["graduating"])));
    assert_eq!(term.reply(&move_on_waitlist("bob", "X", 1)), "waitlisted 1, new");
    assert_eq!(term.waitlist("X"), ["bob", "cyd", "ana"]);
    term.run(&state("dan", groups(&["graduating"])));
    term.join_waitlist("dan", "X");
    assert_eq!(term.waitlist("X"), ["bob", "cyd", "dan", "ana"], "later students are ordered by their priority");
    term.run(&state("bob", StudentFacts { credit_min: None, ..groups(&["honors"]) }));
    assert_eq!(term.waitlist("X"), ["bob", "cyd", "dan", "ana"], "the priority of the student is the same");
    term.run(&Command::PutTerm(TermPatch { title: Some("Fall".into()), ..TermPatch::default() }));
    assert_eq!(term.waitlist("X"), ["bob", "cyd", "dan", "ana"], "the declared priority is the same");
}

#[test]
fn sections_of_a_pool_promote_by_priority() {
    let pooled = |crn| section(crn).in_pool("G", Some(1)).seats(1).waitlist(9);
    let mut term = TestTerm::of([pooled("X"), pooled("Y").monday(9, 10)]);
    term.run(&priority(&["graduating"]));
    term.run(&state("bob", groups(&["graduating"])));
    term.enroll("eve", "X");
    term.join_waitlist("ana", "X");
    term.join_waitlist("bob", "Y");
    term.request(&drop_section("eve", "X"));
    assert_eq!((term.status("bob", "Y"), term.status("ana", "X")), ("enrolled", "waitlisted"));
}
