//! Dropping a seat or a waitlist position.

use eduhub::domain::section::SectionStatus;

use crate::college::{TestTerm, drop_section, minute, register, section, status, window};

#[test]
fn dropping_a_section_never_registered_for_is_not_found() {
    let mut term = TestTerm::of([section("X")]);
    assert_eq!(term.reply(&drop_section("ana", "X")), "not found");
    assert_eq!(term.reply(&drop_section("ana", "NONE")), "not found", "an unknown section");
}

#[test]
fn dropping_again_repeats_the_first_reply() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    assert_eq!(term.reply(&drop_section("ana", "X")), "dropped, new");
    let dropped = term.registration("ana", "X").unwrap().clone();
    let again = term.decide(&drop_section("ana", "X"));
    assert!(again.changes.is_empty(), "{again:?}");
    assert_eq!(term.reply(&drop_section("ana", "X")), "dropped, as before");
    assert_eq!(term.registration("ana", "X"), Some(&dropped), "the time of the first drop is unchanged");
}

#[test]
fn a_refused_registration_leaves_nothing_to_drop() {
    let mut term = TestTerm::of([section("X").seats(0)]);
    assert_eq!(term.reply(&register("ana", "X")), "section_full");
    assert_eq!(term.reply(&drop_section("ana", "X")), "not found");
}

#[test]
fn dropping_is_allowed_in_any_window_and_status() {
    for set_status in [SectionStatus::Open, SectionStatus::Closed, SectionStatus::Cancelled] {
        let mut term = TestTerm::of([section("X")]);
        term.enroll("ana", "X");
        term.run(&status("X", set_status));
        term.run(&window(None, None));
        assert_eq!(term.reply(&drop_section("ana", "X")), "dropped, new", "{set_status:?}");
        assert_eq!(term.numbers("X")[1], 0);
    }
}

#[test]
fn leaving_the_waitlist_moves_later_students_up() {
    let mut term = TestTerm::of([section("X").seats(0).waitlist(3)]);
    for student in ["ana", "bob", "cyd"] {
        term.join_waitlist(student, "X");
    }
    assert_eq!(term.reply(&drop_section("bob", "X")), "dropped, new");
    assert_eq!(term.waitlist("X"), ["ana", "cyd"]);
    assert_eq!(term.reply(&register("cyd", "X")), "waitlisted 2, as before");
    // A student who joins again is last.
    term.join_waitlist("bob", "X");
    assert_eq!(term.waitlist("X"), ["ana", "cyd", "bob"]);
}

#[test]
fn registering_again_after_a_drop_is_a_new_registration() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.now = minute(10);
    term.reply(&drop_section("ana", "X"));
    assert_eq!(term.reply(&register("ana", "X")), "enrolled, new");
    assert_eq!(term.registration("ana", "X").unwrap().at, term.now);
    assert_eq!(term.numbers("X"), [1, 1, 0, 0]);
}
