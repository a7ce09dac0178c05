//! The waitlist: positions, promotions, students who are passed over, and the effects of changes to the section.

use std::sync::Arc;

use eduhub::domain::command::{Batch, Command, SectionEdit};
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{
    TestTerm, batch, capacity, drop_section, notices_in_words, patch, register, register_or_wait, replies_in_words,
    reply_in_words, section, status, window,
};

#[test]
fn positions_start_after_the_students_outside_the_hub() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(6).outside(0, 3), section("Y").seats(0).waitlist(6)]);
    assert_eq!(term.reply(&register_or_wait("ana", "X")), "waitlisted 4, new");
    assert_eq!(term.reply(&register_or_wait("bob", "X")), "waitlisted 5, new");
    assert_eq!(term.reply(&register_or_wait("bob", "Y")), "waitlisted 1, new");
    assert_eq!(term.numbers("X"), [0, 0, 5, 0]);
}

#[test]
fn students_outside_the_hub_fill_the_waitlist() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(2).outside(0, 2)]);
    assert_eq!(term.reply(&register_or_wait("ana", "X")), "waitlist_full");
}

#[test]
fn a_freed_seat_goes_to_the_head_of_the_waitlist() {
    let mut term = TestTerm::of([section("X").waitlist(3)]);
    term.enroll("ana", "X");
    for student in ["bob", "cyd", "dan"] {
        term.join_waitlist(student, "X");
    }
    let decision = term.decide(&drop_section("ana", "X"));
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X dropped self", "bob X enrolled promoted"]);
    assert_eq!(term.waitlist("X"), ["cyd", "dan"]);
    assert_eq!(term.numbers("X"), [1, 1, 2, 0]);
    assert_eq!(term.reply(&register("bob", "X")), "enrolled, as before");
}

#[test]
fn a_new_student_never_overtakes_the_waitlist() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.reply(&register("eve", "X")), "section_full");
    assert_eq!(term.status("bob", "X"), "enrolled");
}

#[test]
fn promotion_continues_after_the_window_closes() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.run(&window(None, None));
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.status("bob", "X"), "enrolled");
}

#[test]
fn a_closed_section_still_promotes_from_its_waitlist() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.run(&status("X", SectionStatus::Closed));
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.status("bob", "X"), "enrolled");
    assert_eq!(term.numbers("X"), [1, 1, 0, 0]);
}

/// Returns a term in which `bob` is waitlisted for X and cannot take a seat because of another registration.
fn bob_cannot_be_promoted() -> TestTerm {
    let mut term = TestTerm::with_credit_limit(
        Credits(12_000),
        [section("X").monday(9, 11).waitlist(4), section("HEAVY").credits(10_000), section("LAB").credits(0)],
    );
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    term.enroll("bob", "HEAVY");
    term
}

#[test]
fn a_passed_over_student_keeps_the_position_with_one_notice() {
    let mut term = bob_cannot_be_promoted();
    term.join_waitlist("cyd", "X");
    let decision = term.decide(&drop_section("ana", "X"));
    assert_eq!(
        notices_in_words(&decision.changes.notices),
        ["ana X dropped self", "bob X waitlisted passed_over credit_limit", "cyd X enrolled promoted"]
    );
    assert_eq!(term.reply(&register("bob", "X")), "waitlisted 1, as before");
    // Bob is passed over for the next free seat without another notice.
    let decision = term.decide(&drop_section("cyd", "X"));
    assert_eq!(notices_in_words(&decision.changes.notices), ["cyd X dropped self"]);
    assert_eq!(term.waitlist("X"), ["bob"]);
}

#[test]
fn a_seat_that_no_waitlisted_student_can_take_is_open() {
    let mut term = bob_cannot_be_promoted();
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.numbers("X"), [1, 0, 1, 1]);
    assert_eq!(term.reply(&register("eve", "X")), "enrolled, new");
    assert_eq!(term.reply(&register("bob", "X")), "waitlisted 1, as before");
}

#[test]
fn a_passed_over_student_is_promoted_once_the_reason_is_gone() {
    let mut term = bob_cannot_be_promoted();
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.status("bob", "X"), "waitlisted");
    let decision = term.decide(&drop_section("bob", "HEAVY"));
    assert_eq!(notices_in_words(&decision.changes.notices), ["bob HEAVY dropped self", "bob X enrolled promoted"]);
    assert_eq!(term.numbers("X"), [1, 1, 0, 0]);
}

#[test]
fn a_drop_that_does_not_resolve_the_reason_promotes_no_one() {
    let mut term = bob_cannot_be_promoted();
    term.enroll("bob", "LAB");
    term.request(&drop_section("ana", "X"));
    term.request(&drop_section("bob", "LAB"));
    assert_eq!(term.status("bob", "X"), "waitlisted");
}

#[test]
fn a_student_is_notified_of_a_new_reason_for_being_passed_over() {
    let mut term = bob_cannot_be_promoted();
    term.enroll("bob", "LAB");
    term.request(&drop_section("ana", "X"));
    // The reason was the credit limit. Now one of Bob's other sections also overlaps.
    let decision = term.import(false, vec![(section("LAB").credits(0).monday(10, 12), None)]);
    assert_eq!(notices_in_words(&decision.changes.notices), ["bob X waitlisted passed_over time_conflict"]);
}

#[test]
fn cancelling_a_section_promotes_its_students_in_others() {
    let mut term = bob_cannot_be_promoted();
    term.request(&drop_section("ana", "X"));
    let decision = term.decide(&status("HEAVY", SectionStatus::Cancelled));
    assert_eq!(
        notices_in_words(&decision.changes.notices),
        ["bob HEAVY enrolled cancelled", "bob X enrolled promoted"]
    );
    assert_eq!(term.status("bob", "HEAVY"), "enrolled", "no student is dropped");
}

#[test]
fn a_cancelled_section_causes_no_conflict_and_no_promotion() {
    let mut term = TestTerm::with_credit_limit(
        Credits(3_000),
        [
            section("GONE").course("MATH 151").monday(9, 11),
            section("SAME").course("MATH 151").monday(9, 11),
            section("WAIT").seats(0),
        ],
    );
    term.enroll("ana", "GONE");
    term.join_waitlist("bob", "WAIT");
    term.run(&status("GONE", SectionStatus::Cancelled));
    assert_eq!(term.reply(&register("ana", "SAME")), "enrolled, new", "its course, time and credits do not count");
    assert_eq!(term.numbers("GONE"), [1, 1, 0, 0]);
    term.run(&status("WAIT", SectionStatus::Cancelled));
    term.run(&capacity("WAIT", 5));
    assert_eq!(term.status("bob", "WAIT"), "waitlisted", "no student is promoted into a cancelled section");
    term.run(&status("WAIT", SectionStatus::Open));
    assert_eq!(term.status("bob", "WAIT"), "enrolled", "reopening promotes the student");
}

#[test]
fn more_capacity_promotes_in_order_and_less_drops_no_one() {
    let mut term = TestTerm::of([section("X").waitlist(5)]);
    term.enroll("ana", "X");
    for student in ["bob", "cyd", "dan"] {
        term.join_waitlist(student, "X");
    }
    let decision = term.decide(&capacity("X", 3));
    assert_eq!(notices_in_words(&decision.changes.notices), ["bob X enrolled promoted", "cyd X enrolled promoted"]);
    assert_eq!(term.numbers("X"), [3, 3, 1, 0]);
    term.run(&capacity("X", 1));
    assert_eq!(term.numbers("X"), [1, 3, 1, 0], "over-enrolled, and no seat is open");
    term.request(&drop_section("bob", "X"));
    assert_eq!(term.status("dan", "X"), "waitlisted", "a seat freed above the capacity is not open");
    term.request(&drop_section("cyd", "X"));
    term.request(&drop_section("ana", "X"));
    assert_eq!(term.status("dan", "X"), "enrolled");
}

#[test]
fn a_lower_waitlist_capacity_removes_no_one() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(3)]);
    term.join_waitlist("ana", "X");
    term.join_waitlist("bob", "X");
    term.run(&patch("X", |p| p.waitlist_capacity = Some(1)));
    assert_eq!(term.waitlist("X"), ["ana", "bob"]);
    assert_eq!(term.reply(&register_or_wait("eve", "X")), "waitlist_full");
}

#[test]
fn a_closed_section_refuses_new_students_and_drops_no_one() {
    let mut term = TestTerm::of([section("X").seats(2)]);
    term.enroll("ana", "X");
    term.run(&status("X", SectionStatus::Closed));
    assert_eq!(term.reply(&register("eve", "X")), "section_closed");
    assert_eq!(term.reply(&register_or_wait("eve", "X")), "section_closed");
    assert_eq!(term.numbers("X"), [2, 1, 0, 0], "no seat is open");
    assert_eq!(term.status("ana", "X"), "enrolled");
}

#[test]
fn seats_outside_the_hub_are_taken_until_cleared() {
    let mut term = TestTerm::of([section("X").seats(2).waitlist(5).outside(1, 1)]);
    assert_eq!(term.numbers("X"), [2, 1, 1, 0]);
    assert_eq!(term.reply(&register("ana", "X")), "section_full");
    assert_eq!(term.reply(&register_or_wait("ana", "X")), "waitlisted 2, new");
    let decision = term.decide(&patch("X", |p| p.outside_waitlisted = Some(0)));
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X enrolled promoted"]);
    term.run(&patch("X", |p| p.outside_enrolled = Some(0)));
    assert_eq!(term.numbers("X"), [2, 1, 0, 1]);
}

#[test]
fn settling_promotes_once_and_then_changes_nothing() {
    let mut term = TestTerm::with_credit_limit(Credits(3_000), [section("X").seats(0), section("Y")]);
    term.join_waitlist("ana", "X");
    term.enroll("ana", "Y");
    term.run(&capacity("X", 1));
    assert_eq!(term.status("ana", "X"), "waitlisted");
    // The hub restarts with a higher limit.
    let mut restarted = TestTerm::with_credit_limit(Credits(9_000), []);
    restarted.book = {
        let sections: Vec<_> = term.book.sections().cloned().collect();
        let mut book = eduhub::domain::book::TermBook::new(crate::college::term(), Credits(9_000), sections, 1);
        for number in ["X", "Y"] {
            book.restore(crate::college::user("ana"), term.registration("ana", number).unwrap().clone());
        }
        book
    };
    let decision = restarted.decide(&Command::Settle);
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X enrolled promoted"]);
    assert!(restarted.decide(&Command::Settle).changes.is_empty(), "settling again changes nothing");
}

#[test]
fn an_unknown_section_or_an_unchanged_capacity_changes_nothing() {
    let mut term = TestTerm::of([section("X")]);
    let none = term.decide(&capacity("NONE", 3));
    assert_eq!(none.outcome, eduhub::domain::outcome::Outcome::NoSuchSection);
    assert!(none.changes.is_empty());
    assert!(term.decide(&capacity("X", 1)).changes.is_empty());
    let outcome = term.request(&register("ana", "X"));
    assert_eq!(reply_in_words(&outcome), "enrolled, new");
}

#[test]
fn changes_that_leave_a_section_as_it_is_settle_no_waitlist() {
    let lecture = || section("LEC").linked(&["LAB"]);
    let mut term = TestTerm::of([lecture(), section("LAB").component("lab").seats(0)]);
    let both = Batch { waitlist: true, ..batch("ana", &["LEC", "LAB"], &[]) };
    let replies = replies_in_words(&term.run(&Command::Batch(both)));
    assert_eq!(replies, ["LEC: waitlisted 1, new", "LAB: waitlisted 1, new"], "the lecture has a free seat");
    let edit = SectionEdit { base: Some(lecture().0.section), target: lecture().0.section };
    let import = term.staged(true, vec![(lecture(), None)]);
    let passed_over = "ana LEC waitlisted passed_over linked_section_required";
    let table = [
        ("an empty patch", patch("LEC", |_| {}), &[][..]),
        ("the capacity that the section has", capacity("LEC", 1), &[]),
        ("a pull of an unchanged item", Command::PutSections([edit].into()), &[]),
        ("an import of an unchanged row", Command::ApplyImport(Arc::new(import)), &[]),
        ("a higher capacity", capacity("LEC", 2), &[passed_over]),
        ("the earlier capacity, with the same reason", capacity("LEC", 1), &[]),
    ];
    for (change, command, expected) in table {
        let decision = term.decide(&command);
        assert_eq!(notices_in_words(&decision.changes.notices), expected, "{change}");
    }
}
