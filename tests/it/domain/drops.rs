//! Dropping a seat or a waitlist position.

use eduhub::domain::section::SectionStatus;

use crate::college::{Office, drop_of, minute, register, section, status, window};

#[test]
fn dropping_again_repeats_the_reply_never_held_is_not_found() {
    let mut office = Office::of([section("X")]);
    assert_eq!(office.told(&drop_of("ana", "X")), "not found", "never held");
    assert_eq!(office.told(&drop_of("ana", "NONE")), "not found", "no such section");
    office.seat("ana", "X");
    assert_eq!(office.told(&drop_of("ana", "X")), "dropped, new");
    let dropped = office.held("ana", "X").unwrap().clone();
    let again = office.decide(&drop_of("ana", "X"));
    assert!(again.changes.is_empty(), "{again:?}");
    assert_eq!(office.told(&drop_of("ana", "X")), "dropped, as before");
    assert_eq!(office.held("ana", "X"), Some(&dropped), "with the time of the first");
}

#[test]
fn a_refused_registration_leaves_nothing_to_drop() {
    let mut office = Office::of([section("X").seats(0)]);
    assert_eq!(office.told(&register("ana", "X")), "section_full");
    assert_eq!(office.told(&drop_of("ana", "X")), "not found");
}

#[test]
fn dropping_is_allowed_whatever_the_window_or_status() {
    for how in [SectionStatus::Open, SectionStatus::Closed, SectionStatus::Cancelled] {
        let mut office = Office::of([section("X")]);
        office.seat("ana", "X");
        office.ask(&status("X", how));
        office.ask(&window(None, None));
        assert_eq!(office.told(&drop_of("ana", "X")), "dropped, new", "{how:?}");
        assert_eq!(office.numbers("X")[1], 0);
    }
}

#[test]
fn dropping_a_waitlist_position_moves_the_others_up() {
    let mut office = Office::of([section("X").seats(0).line(3)]);
    for student in ["ana", "bob", "cyd"] {
        office.place(student, "X");
    }
    assert_eq!(office.told(&drop_of("bob", "X")), "dropped, new");
    assert_eq!(office.line("X"), ["ana", "cyd"]);
    assert_eq!(office.told(&register("cyd", "X")), "waitlisted 2, as before");
    // A student who joins again is last.
    office.place("bob", "X");
    assert_eq!(office.line("X"), ["ana", "cyd", "bob"]);
}

#[test]
fn registering_again_after_a_drop_is_a_new_registration() {
    let mut office = Office::of([section("X")]);
    office.seat("ana", "X");
    office.now = minute(10);
    office.told(&drop_of("ana", "X"));
    assert_eq!(office.told(&register("ana", "X")), "enrolled, new");
    assert_eq!(office.held("ana", "X").unwrap().at, office.now);
    assert_eq!(office.numbers("X"), [1, 1, 0, 0]);
}
