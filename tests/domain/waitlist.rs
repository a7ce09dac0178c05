//! The waitlist: positions, promotion, who is passed over, and what a change of the section does to it.

use eduhub::domain::command::Command;
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{
    Office, capacity, drop_of, heard, patch, register, register_or_wait, section, status, told, window,
};

#[test]
fn positions_count_from_one_and_people_outside_the_hub_come_first() {
    let mut office = Office::of([section("X").seats(0).line(6).outside(0, 3), section("Y").seats(0).line(6)]);
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlisted 4, new");
    assert_eq!(office.told(&register_or_wait("bob", "X")), "waitlisted 5, new");
    assert_eq!(office.told(&register_or_wait("bob", "Y")), "waitlisted 1, new");
    assert_eq!(office.numbers("X"), [0, 0, 5, 0]);
}

#[test]
fn people_outside_the_hub_take_places_in_line() {
    let mut office = Office::of([section("X").seats(0).line(2).outside(0, 2)]);
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlist_full");
}

#[test]
fn a_freed_seat_goes_to_the_head_and_the_head_hears_it() {
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
fn a_newcomer_never_overtakes_whoever_waits() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.told(&register("eve", "X")), "section_full");
    assert_eq!(office.standing("bob", "X"), "enrolled");
}

#[test]
fn promotion_goes_on_after_the_window_has_closed() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.ask(&window(None, None));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "enrolled");
}

#[test]
fn whoever_waits_for_a_closed_section_is_no_newcomer() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    office.ask(&status("X", SectionStatus::Closed));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "enrolled");
    assert_eq!(office.numbers("X"), [1, 1, 0, 0]);
}

/// `bob` waits for X and cannot take it: what he has instead forbids it.
fn bob_waits_in_vain() -> Office {
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
fn a_head_who_cannot_take_the_seat_is_told_why_once_and_keeps_the_place() {
    let mut office = bob_waits_in_vain();
    office.place("cyd", "X");
    let decision = office.decide(&drop_of("ana", "X"));
    assert_eq!(
        heard(&decision.changes.notices),
        ["ana X dropped self", "bob X waitlisted passed_over credit_limit", "cyd X enrolled promoted"]
    );
    assert_eq!(office.told(&register("bob", "X")), "waitlisted 1, as before");
    // The next free seat goes past him without another word.
    let decision = office.decide(&drop_of("cyd", "X"));
    assert_eq!(heard(&decision.changes.notices), ["cyd X dropped self"]);
    assert_eq!(office.line("X"), ["bob"]);
}

#[test]
fn a_seat_that_everybody_was_passed_over_for_is_open_to_newcomers() {
    let mut office = bob_waits_in_vain();
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.numbers("X"), [1, 0, 1, 1]);
    assert_eq!(office.told(&register("eve", "X")), "enrolled, new");
    assert_eq!(office.told(&register("bob", "X")), "waitlisted 1, as before");
}

#[test]
fn whoever_was_passed_over_gets_the_seat_as_soon_as_room_comes() {
    let mut office = bob_waits_in_vain();
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("bob", "X"), "waitlisted");
    let decision = office.decide(&drop_of("bob", "HEAVY"));
    assert_eq!(heard(&decision.changes.notices), ["bob HEAVY dropped self", "bob X enrolled promoted"]);
    assert_eq!(office.numbers("X"), [1, 1, 0, 0]);
}

#[test]
fn room_that_is_no_use_promotes_nobody() {
    let mut office = bob_waits_in_vain();
    office.seat("bob", "LAB");
    office.wish(&drop_of("ana", "X"));
    office.wish(&drop_of("bob", "LAB"));
    assert_eq!(office.standing("bob", "X"), "waitlisted");
}

#[test]
fn another_reason_is_told_again() {
    let mut office = bob_waits_in_vain();
    office.seat("bob", "LAB");
    office.wish(&drop_of("ana", "X"));
    // It was his credits; by now another of his classes meets at that hour, too.
    let decision = office.import(false, vec![(section("LAB").credits(0).monday(10, 12), None)]);
    assert_eq!(heard(&decision.changes.notices), ["bob X waitlisted passed_over time_conflict"]);
}

#[test]
fn a_cancelled_section_makes_room_in_the_lines_of_those_who_had_it() {
    let mut office = bob_waits_in_vain();
    office.wish(&drop_of("ana", "X"));
    let decision = office.decide(&status("HEAVY", SectionStatus::Cancelled));
    assert_eq!(heard(&decision.changes.notices), ["bob HEAVY enrolled cancelled", "bob X enrolled promoted"]);
    assert_eq!(office.standing("bob", "HEAVY"), "enrolled", "nobody is dropped");
}

#[test]
fn a_cancelled_section_counts_for_nothing() {
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
    assert_eq!(office.standing("bob", "LINE"), "waitlisted", "nobody is promoted into what is not taught");
    office.ask(&status("LINE", SectionStatus::Open));
    assert_eq!(office.standing("bob", "LINE"), "enrolled", "taught after all");
}

#[test]
fn more_capacity_promotes_in_order_and_less_keeps_everyone() {
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
    assert_eq!(office.standing("dan", "X"), "waitlisted", "a freed seat above the capacity is nobody's");
    office.wish(&drop_of("cyd", "X"));
    office.wish(&drop_of("ana", "X"));
    assert_eq!(office.standing("dan", "X"), "enrolled");
}

#[test]
fn less_waitlist_capacity_keeps_every_place_and_takes_nobody_new() {
    let mut office = Office::of([section("X").seats(0).line(3)]);
    office.place("ana", "X");
    office.place("bob", "X");
    office.ask(&patch("X", |p| p.waitlist_capacity = Some(1)));
    assert_eq!(office.line("X"), ["ana", "bob"]);
    assert_eq!(office.told(&register_or_wait("eve", "X")), "waitlist_full");
}

#[test]
fn a_closed_section_refuses_newcomers_and_keeps_everyone() {
    let mut office = Office::of([section("X").seats(2)]);
    office.seat("ana", "X");
    office.ask(&status("X", SectionStatus::Closed));
    assert_eq!(office.told(&register("eve", "X")), "section_closed");
    assert_eq!(office.told(&register_or_wait("eve", "X")), "section_closed");
    assert_eq!(office.numbers("X"), [2, 1, 0, 0], "nothing is open in it");
    assert_eq!(office.standing("ana", "X"), "enrolled");
}

#[test]
fn a_seat_that_is_promised_outside_the_hub_stays_unopened_until_staff_clear_it() {
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
fn settling_gives_away_what_nobody_had_looked_at_and_then_nothing_more() {
    let mut office = Office::limited(Credits(3_000), [section("X").seats(0), section("Y")]);
    office.place("ana", "X");
    office.seat("ana", "Y");
    office.ask(&capacity("X", 1));
    assert_eq!(office.standing("ana", "X"), "waitlisted");
    // The hub starts anew with a higher limit.
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
    assert!(restarted.decide(&Command::Settle).changes.is_empty(), "a second look finds nothing");
}

#[test]
fn a_patch_of_what_does_not_exist_and_a_patch_that_changes_nothing_change_nothing() {
    let mut office = Office::of([section("X")]);
    let none = office.decide(&capacity("NONE", 3));
    assert_eq!(none.answer, eduhub::domain::outcome::Outcome::NoSuchSection);
    assert!(none.changes.is_empty());
    assert!(office.decide(&capacity("X", 1)).changes.is_empty());
    let outcome = office.wish(&register("ana", "X"));
    assert_eq!(told(&outcome), "enrolled, new");
}
