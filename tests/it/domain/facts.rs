//! The facts that the college states about students: windows, holds, credit limits and prerequisites.

use eduhub::domain::command::{Command, TermPatch};
use eduhub::domain::refusal::{ClosedAction, Refusal};
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::student::{HeldAction, StudentFacts};
use eduhub::domain::term::GroupWindow;

use crate::college::{
    CLOSES, TestTerm, completed, drop_section, hold, minute, notices_in_words, refusal, register, register_or_wait,
    replies_in_words, section, state, status, swap, user,
};

fn groups(names: &[&str]) -> StudentFacts {
    StudentFacts { groups: names.iter().map(|name| (*name).into()).collect(), ..StudentFacts::default() }
}

/// Returns facts with a hold that blocks these actions.
fn held(blocks: &[HeldAction]) -> StudentFacts {
    StudentFacts { holds: vec![hold("1", blocks)], ..StudentFacts::default() }
}

fn taken(courses: &[(&str, &str)]) -> StudentFacts {
    StudentFacts { completed: completed(courses), ..StudentFacts::default() }
}

#[test]
fn a_personal_window_takes_precedence_over_group_and_term() {
    let personal = |opens: Option<i64>, closes: Option<i64>, facts: StudentFacts| StudentFacts {
        opens_at: opens.map(minute),
        closes_at: closes.map(minute),
        ..facts
    };
    // The term opens at 100; honors at 50, and veterans from 20 to 60.
    let table = [
        ("no facts", None, 100, CLOSES),
        ("no group", Some(groups(&["band"])), 100, CLOSES),
        ("a group in another case", Some(groups(&["HONORS"])), 50, CLOSES),
        ("the group that opens first", Some(groups(&["honors", "veterans"])), 20, 60),
        ("a personal time after the term's", Some(personal(Some(200), None, groups(&[]))), 200, CLOSES),
        ("a personal time and a group", Some(personal(Some(30), Some(40), groups(&["veterans"]))), 30, 40),
        ("a personal end", Some(personal(None, Some(150), groups(&[]))), 100, 150),
    ];
    for (why, facts, opens, closes) in table {
        let mut term = TestTerm::of([section("X").seats(9)]);
        let window = |group: &str, opens: i64, closes: Option<i64>| GroupWindow {
            group: group.into(),
            opens_at: minute(opens),
            closes_at: closes.map(minute),
        };
        term.run(&Command::PutTerm(TermPatch {
            opens_at: Some(Some(minute(100))),
            windows: Some(vec![window("honors", 50, None), window("veterans", 20, Some(60))]),
            ..TermPatch::default()
        }));
        facts.into_iter().for_each(|facts| _ = term.run(&state("ana", facts)));
        for (at, is_open) in [(opens - 1, false), (opens, true), (closes - 1, true), (closes, false)] {
            let mut term = term.clone();
            term.now = minute(at - 1); // The request comes a minute later.
            let outcome = term.request(&register("ana", "X"));
            if is_open {
                assert_eq!(crate::college::reply_in_words(&outcome), "enrolled, new", "{why}, at {at}");
            } else {
                let (opens_at, closes_at) = (Some(minute(opens)), Some(minute(closes)));
                let expected =
                    Refusal::RegistrationClosed { opens_at, closes_at, now: minute(at), what: ClosedAction::Register };
                assert_eq!(refusal(outcome), expected, "{why}, at {at}");
            }
        }
    }
}

#[test]
fn a_personal_window_does_not_open_a_closed_term() {
    let mut term = TestTerm::of([section("X")]);
    term.run(&crate::college::window(None, None));
    term.run(&state("ana", StudentFacts { opens_at: Some(minute(0)), ..StudentFacts::default() }));
    assert_eq!(term.reply(&register("ana", "X")), "registration_closed");
}

#[test]
fn a_hold_blocks_only_what_it_names() {
    use HeldAction::{Drop, Register};
    let table = [
        (&[][..], "enrolled, new", "dropped, new"),
        (&[Register], "hold", "dropped, new"),
        (&[Drop], "enrolled, new", "hold"),
        (&[Register, Drop], "hold", "hold"),
    ];
    for (blocks, adding, dropping) in table {
        let mut term = TestTerm::of([section("HELD"), section("X")]);
        term.enroll("ana", "HELD");
        term.run(&state("ana", held(blocks)));
        assert_eq!(term.reply(&register("ana", "X")), adding, "{blocks:?}");
        assert_eq!(term.reply(&register("ana", "HELD")), "enrolled, as before", "{blocks:?}");
        assert_eq!(term.reply(&drop_section("ana", "HELD")), dropping, "{blocks:?}");
    }
}

#[test]
fn a_hold_is_returned_with_its_office_and_reason() {
    let mut term = TestTerm::of([section("X")]);
    let facts = StudentFacts {
        holds: vec![hold("note", &[]), hold("fine", &[HeldAction::Register]), hold("books", &[HeldAction::Register])],
        ..StudentFacts::default()
    };
    let expected = facts.holds[1..].to_vec();
    term.run(&state("ana", facts));
    assert_eq!(refusal(term.request(&register("ana", "X"))), Refusal::Hold { holds: expected });
}

#[test]
fn a_hold_on_drops_covers_no_position_and_no_cancelled_section() {
    let mut term = TestTerm::of([section("FULL").seats(0), section("OFF"), section("X"), section("Y")]);
    term.join_waitlist("ana", "FULL");
    term.enroll("ana", "OFF");
    term.enroll("ana", "X");
    term.run(&status("OFF", SectionStatus::Cancelled));
    term.run(&state("ana", held(&[HeldAction::Drop])));
    assert_eq!(term.reply(&drop_section("ana", "FULL")), "dropped, new");
    assert_eq!(term.reply(&drop_section("ana", "OFF")), "dropped, new");
    let swapped = term.run(&swap("ana", &["Y"], &["X"]));
    assert_eq!(replies_in_words(&swapped), ["Y: undone because of X", "X: hold"], "a swap needs the drop");
    assert_eq!(term.status("ana", "X"), "enrolled");
}

#[test]
fn a_student_is_promoted_when_a_hold_is_lifted() {
    let mut term = TestTerm::of([section("X").seats(0)]);
    term.join_waitlist("ana", "X");
    term.run(&state("ana", held(&[HeldAction::Register])));
    let passed = term.decide(&crate::college::capacity("X", 1));
    assert_eq!(notices_in_words(&passed.changes.notices), ["ana X waitlisted passed_over hold"]);
    let lifted = term.decide(&state("ana", StudentFacts::default()));
    assert_eq!(notices_in_words(&lifted.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn a_students_own_credit_limit_replaces_the_colleges() {
    let table = [
        (None, Some((9_000, 12_000, 9_000))),
        (Some(6_000), Some((9_000, 12_000, 6_000))),
        (Some(12_000), None),
        (Some(0), None),
    ];
    for (own, expected) in table {
        let sections = [section("A").credits(9_000), section("X").credits(3_000)];
        let mut term = TestTerm::with_credit_limit(Credits(9_000), sections);
        term.enroll("ana", "A");
        term.run(&state("ana", StudentFacts { credit_limit: own.map(Credits), ..StudentFacts::default() }));
        let outcome = term.request(&register("ana", "X"));
        match expected {
            None => assert_eq!(crate::college::reply_in_words(&outcome), "enrolled, new", "{own:?}"),
            Some((credits, total, limit)) => {
                let (credits, total, limit) = (Credits(credits), Credits(total), Credits(limit));
                assert_eq!(refusal(outcome), Refusal::CreditLimit { credits, total, limit }, "{own:?}");
            }
        }
    }
}

#[test]
fn prerequisites_are_evaluated_if_completed_courses_are_known() {
    let either = &["MATH 151 or MATH 150 with C", "PHYS 101"][..];
    let table = [
        ("nothing is stated", either, None, None),
        ("no courses are stated", either, Some(StudentFacts::default()), None),
        ("nothing was completed", either, Some(taken(&[])), Some("(MATH 151 or MATH 150 with C) and PHYS 101")),
        ("one of two", either, Some(taken(&[("MATH 151", "D"), ("PHYS 101", "")])), None),
        ("the other, with its grade", either, Some(taken(&[("math150", "C+"), ("PHYS 101", "P")])), None),
        (
            "too low a grade",
            either,
            Some(taken(&[("MATH 150", "C-"), ("PHYS 101", "A")])),
            Some("MATH 151 or MATH 150 with C"),
        ),
        (
            "a failed course",
            either,
            Some(taken(&[("MATH 151", "F"), ("PHYS 101", "W")])),
            Some("(MATH 151 or MATH 150 with C) and PHYS 101"),
        ),
        (
            "the better of two attempts",
            &["PHYS 101 with B"],
            Some(taken(&[("PHYS 101", "F"), ("PHYS 101", "B")])),
            None,
        ),
        ("text that is not an expression", &["Permission of the department"], Some(taken(&[])), None),
    ];
    for (why, required, facts, unmet) in table {
        let mut term = TestTerm::of([section("X").requires(required)]);
        facts.into_iter().for_each(|facts| _ = term.run(&state("ana", facts)));
        match (term.request(&register("ana", "X")), unmet) {
            (outcome, None) => assert_eq!(crate::college::reply_in_words(&outcome), "enrolled, new", "{why}"),
            (outcome, Some(unmet)) => match refusal(outcome) {
                Refusal::Prerequisite { unmet: found } => assert_eq!(found.to_string(), unmet, "{why}"),
                other => panic!("{why}: {other:?}"),
            },
        }
    }
}

#[test]
fn a_seat_requires_a_seat_in_the_concurrent_course() {
    let mut term = TestTerm::of([
        section("LAB").seats(9).requires(&["PHYS 101 concurrently"]),
        section("FULL").seats(0).requires(&["PHYS 101 concurrently"]),
        section("LECTURE").course("PHYS 101").seats(0),
    ]);
    term.run(&state("ana", taken(&[])));
    assert_eq!(term.reply(&register("ana", "LAB")), "prerequisite");
    term.join_waitlist("ana", "LECTURE");
    assert_eq!(term.reply(&register("ana", "LAB")), "prerequisite", "a position is not a seat");
    assert_eq!(term.reply(&register_or_wait("ana", "FULL")), "waitlisted 1, new", "a position suffices for a position");
}

#[test]
fn a_seat_in_a_concurrent_course_promotes_to_dependent_sections() {
    let mut term = TestTerm::of([
        section("LAB").seats(0).requires(&["PHYS 101 concurrently"]),
        section("LECTURE").course("PHYS 101").seats(0),
    ]);
    term.run(&state("ana", taken(&[])));
    term.join_waitlist("ana", "LECTURE");
    term.join_waitlist("ana", "LAB");
    term.run(&crate::college::capacity("LAB", 1));
    assert_eq!(term.status("ana", "LAB"), "waitlisted", "the lecture is not a seat yet");
    let decision = term.decide(&crate::college::capacity("LECTURE", 1));
    let expected = ["ana LECTURE enrolled promoted", "ana LAB enrolled promoted"];
    assert_eq!(notices_in_words(&decision.changes.notices), expected);
}

#[test]
fn unchanged_facts_are_not_a_change() {
    let mut term = TestTerm::of([section("X")]);
    let facts = held(&[HeldAction::Register]);
    assert_eq!(term.decide(&state("ana", facts.clone())).changes.facts.len(), 1);
    assert!(term.decide(&state("ana", facts)).changes.is_empty());
    let forget = Command::PutFacts([(user("ana"), None)].into());
    assert_eq!(term.decide(&forget).changes.facts, [(user("ana"), None)]);
    assert!(term.decide(&forget).changes.is_empty());
    assert_eq!(term.reply(&register("ana", "X")), "enrolled, new");
}
