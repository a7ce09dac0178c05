//! The waitlist: positions, promotion, who is passed over, and what a change of the section does to it.

use eduhub::domain::command::Command;
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{
    Office, capacity, drop_of, heard, patch, register, register_or_wait, section, status, told, window,
};

#[test]
fn positions_start_after_the_students_outside_the_hub() {
    let mut office = Office::of([section("X").seats(0).line(6).outside(0, 3), section("Y").seats(0).line(6)]);
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlisted 4, new");
    assert_eq!(office.told(&register_or_wait("bob", "X")), "waitlisted 5, new");
    assert_eq!(office.told(&register_or_wait("bob", "Y")), "waitlisted 1, new");
    assert_eq!(office.numbers("X"), [0, 0, 5, 0]);
}

#[test]
fn students_outside_the_hub_fill_the_waitlist() {
    let mut office = Office::of([section("X").seats(0).line(2).outside(0, 2)]);
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlist_full");
}

#[test]
fn a_freed_seat_goes_to_the_first_in_line_who_is_notified() {
    let mut office = Office::of([section("X").line(3)]);
    office.seat("ana", "X");
    for student in ["bob", "cyd", "dan"] {
        office.place(student, "X");
    }
    let decision = office.decide(&drop_of("ana", "X"));
    assert_eq!(heard(&decision.changes.notices), ["ana X dropped self", "bob X enrolled promoted"]);
    assert_eq!(office.line("X"), ["cyd", "dan"]);
    assert_eq!(office.numbers("X"), [1, 1, 2, 0]);
    assert_eq!(office.told(&register("bob", "X")), "enrolled, as before");
}

#[test]
fn a_new_student_never_overtakes_the_waitlist() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.told(&register("eve", "X")), "section_full");
    assert_eq!(office.standing("bob", "X"), "enrolled");
}

#[test]
fn promotion_continues_after_the_window_closes() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.ask(&window(None, None));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "enrolled");
}

#[test]
fn a_closed_section_still_promotes_from_its_waitlist() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.ask(&status("X", SectionStatus::Closed));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "enrolled");
    assert_eq!(office.numbers("X"), [1, 1, 0, 0]);
}

/// Returns a term in which `bob` is waitlisted for X and cannot take a seat because of another registration.
fn bob_cannot_be_promoted() -> Office {
    let mut office = Office::limited(
        Credits(12_000),
        [section("X").monday(9, 11).line(4), section("HEAVY").credits(10_000), section("LAB").credits(0)],
    );
    office.seat("ana", "X");
    office.place("bob", "X");
    office.seat("bob", "HEAVY");
    office
}

#[test]
fn a_passed_over_student_is_notified_once_and_keeps_the_place() {
    let mut office = bob_cannot_be_promoted();
    office.place("cyd", "X");
    let decision = office.decide(&drop_of("ana", "X"));
    assert_eq!(
        heard(&decision.changes.notices),
        ["ana X dropped self", "bob X waitlisted passed_over credit_limit", "cyd X enrolled promoted"]
    );
    assert_eq!(office.told(&register("bob", "X")), "waitlisted 1, as before");
    // He is passed over for the next free seat without another notice.
    let decision = office.decide(&drop_of("cyd", "X"));
    assert_eq!(heard(&decision.changes.notices), ["cyd X dropped self"]);
    assert_eq!(office.line("X"), ["bob"]);
}

#[test]
fn a_seat_that_no_waitlisted_student_can_take_is_open() {
    let mut office = bob_cannot_be_promoted();
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.numbers("X"), [1, 0, 1, 1]);
    assert_eq!(office.told(&register("eve", "X")), "enrolled, new");
    assert_eq!(office.told(&register("bob", "X")), "waitlisted 1, as before");
}

#[test]
fn a_passed_over_student_is_promoted_once_the_reason_is_gone() {
    let mut office = bob_cannot_be_promoted();
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "waitlisted");
    let decision = office.decide(&drop_of("bob", "HEAVY"));
    assert_eq!(heard(&decision.changes.notices), ["bob HEAVY dropped self", "bob X enrolled promoted"]);
    assert_eq!(office.numbers("X"), [1, 1, 0, 0]);
}

#[test]
fn a_drop_that_does_not_resolve_the_reason_promotes_no_one() {
    let mut office = bob_cannot_be_promoted();
    office.seat("bob", "LAB");
    office.wish(&drop_of("ana", "X"));
    office.wish(&drop_of("bob", "LAB"));
    assert_eq!(office.standing("bob", "X"), "waitlisted");
}

#[test]
fn a_new_reason_for_passing_over_is_notified_again() {
    let mut office = bob_cannot_be_promoted();
    office.seat("bob", "LAB");
    office.wish(&drop_of("ana", "X"));
    // The reason was the credit limit; now another of his sections overlaps, too.
    let decision = office.import(false, vec![(section("LAB").credits(0).monday(10, 12), None)]);
    assert_eq!(heard(&decision.changes.notices), ["bob X waitlisted passed_over time_conflict"]);
}

#[test]
fn cancelling_a_section_promotes_its_students_elsewhere() {
    let mut office = bob_cannot_be_promoted();
    office.wish(&drop_of("ana", "X"));
    let decision = office.decide(&status("HEAVY", SectionStatus::Cancelled));
    assert_eq!(heard(&decision.changes.notices), ["bob HEAVY enrolled cancelled", "bob X enrolled promoted"]);
    assert_eq!(office.standing("bob", "HEAVY"), "enrolled", "no student is dropped");
}

#[test]
fn a_cancelled_section_causes_no_conflict_and_no_promotion() {
    let mut office = Office::limited(
        Credits(3_000),
        [
            section("GONE").course("MATH 151").monday(9, 11),
            section("SAME").course("MATH 151").monday(9, 11),
            section("LINE").seats(0),
        ],
    );
    office.seat("ana", "GONE");
    office.place("bob", "LINE");
    office.ask(&status("GONE", SectionStatus::Cancelled));
    assert_eq!(office.told(&register("ana", "SAME")), "enrolled, new", "neither course, nor time, nor credits");
    assert_eq!(office.numbers("GONE"), [1, 1, 0, 0]);
    office.ask(&status("LINE", SectionStatus::Cancelled));
    office.ask(&capacity("LINE", 5));
    assert_eq!(office.standing("bob", "LINE"), "waitlisted", "no student is promoted into a cancelled section");
    office.ask(&status("LINE", SectionStatus::Open));
    assert_eq!(office.standing("bob", "LINE"), "enrolled", "reopened");
}

#[test]
fn more_capacity_promotes_in_order_and_less_drops_no_one() {
    let mut office = Office::of([section("X").line(5)]);
    office.seat("ana", "X");
    for student in ["bob", "cyd", "dan"] {
        office.place(student, "X");
    }
    let decision = office.decide(&capacity("X", 3));
    assert_eq!(heard(&decision.changes.notices), ["bob X enrolled promoted", "cyd X enrolled promoted"]);
    assert_eq!(office.numbers("X"), [3, 3, 1, 0]);
    office.ask(&capacity("X", 1));
    assert_eq!(office.numbers("X"), [1, 3, 1, 0], "over-enrolled, and 0 open");
    office.wish(&drop_of("bob", "X"));
    assert_eq!(office.standing("dan", "X"), "waitlisted", "a seat freed above the capacity is not open");
    office.wish(&drop_of("cyd", "X"));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("dan", "X"), "enrolled");
}

#[test]
fn lowering_waitlist_capacity_keeps_positions_and_refuses_new() {
    let mut office = Office::of([section("X").seats(0).line(3)]);
    office.place("ana", "X");
    office.place("bob", "X");
    office.ask(&patch("X", |p| p.waitlist_capacity = Some(1)));
    assert_eq!(office.line("X"), ["ana", "bob"]);
    assert_eq!(office.told(&register_or_wait("eve", "X")), "waitlist_full");
}

#[test]
fn a_closed_section_refuses_new_students_and_keeps_its_own() {
    let mut office = Office::of([section("X").seats(2)]);
    office.seat("ana", "X");
    office.ask(&status("X", SectionStatus::Closed));
    assert_eq!(office.told(&register("eve", "X")), "section_closed");
    assert_eq!(office.told(&register_or_wait("eve", "X")), "section_closed");
    assert_eq!(office.numbers("X"), [2, 1, 0, 0], "nothing is open in it");
    assert_eq!(office.standing("ana", "X"), "enrolled");
}

#[test]
fn seats_promised_outside_the_hub_stay_taken_until_cleared() {
    let mut office = Office::of([section("X").seats(2).line(5).outside(1, 1)]);
    assert_eq!(office.numbers("X"), [2, 1, 1, 0]);
    assert_eq!(office.told(&register("ana", "X")), "section_full");
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlisted 2, new");
    let decision = office.decide(&patch("X", |p| p.outside_waitlisted = Some(0)));
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
    office.ask(&patch("X", |p| p.outside_enrolled = Some(0)));
    assert_eq!(office.numbers("X"), [2, 1, 0, 1]);
}

#[test]
fn settling_promotes_once_and_then_changes_nothing() {
    let mut office = Office::limited(Credits(3_000), [section("X").seats(0), section("Y")]);
    office.place("ana", "X");
    office.seat("ana", "Y");
    office.ask(&capacity("X", 1));
    assert_eq!(office.standing("ana", "X"), "waitlisted");
    // The hub restarts with a higher limit.
    let mut restarted = Office::limited(Credits(9_000), []);
    restarted.book = {
        let sections: Vec<_> = office.book.sections().cloned().collect();
        let mut book = eduhub::domain::book::TermBook::new(crate::college::term(), Credits(9_000), sections, 1);
        for name in ["X", "Y"] {
            book.restore(crate::college::user("ana"), office.held("ana", name).unwrap().clone());
        }
        book
    };
    let decision = restarted.decide(&Command::Settle);
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
    assert!(restarted.decide(&Command::Settle).changes.is_empty(), "settling again changes nothing");
}

#[test]
fn an_unknown_section_or_an_empty_patch_changes_nothing() {
    let mut office = Office::of([section("X")]);
    let none = office.decide(&capacity("NONE", 3));
    assert_eq!(none.outcome, eduhub::domain::outcome::Outcome::NoSuchSection);
    assert!(none.changes.is_empty());
    assert!(office.decide(&capacity("X", 1)).changes.is_empty());
    let outcome = office.wish(&register("ana", "X"));
    assert_eq!(told(&outcome), "enrolled, new");
}
