//! Batches, whose parts are decided one by one, and swaps, which succeed or fail as a whole.

use eduhub::domain::command::{Batch, Command};
use eduhub::domain::section::Credits;

use crate::college::{Office, batch, capacity, contents, drop_of, heard, register, section, swap, told_each, window};

/// Returns a batch whose parts are decided one by one.
fn one_by_one(student: &str, add: &[&str], drop: &[&str]) -> Command {
    Command::Batch(batch(student, add, drop))
}

#[test]
fn each_part_of_a_batch_is_decided_by_itself_adds_listed_first() {
    let mut office = Office::of([
        section("A"),
        section("FULL").seats(0),
        section("B").monday(9, 11),
        section("CLASH").monday(10, 12),
        section("OLD"),
    ]);
    office.seat("ana", "OLD");
    let answer = office.ask(&one_by_one("ana", &["A", "FULL", "B", "CLASH", "NONE"], &["OLD", "A"]));
    assert_eq!(
        told_each(&answer),
        [
            "A: enrolled, new",
            "FULL: section_full",
            "B: enrolled, new",
            "CLASH: time_conflict",
            "NONE: not found",
            "OLD: dropped, new",
            "A: not found"
        ]
    );
}

#[test]
fn drops_of_a_batch_make_room_for_its_adds() {
    let mut office = Office::of([section("OLD").course("MATH 151"), section("NEW").course("MATH 151")]);
    office.seat("ana", "OLD");
    let answer = office.ask(&one_by_one("ana", &["NEW"], &["OLD"]));
    assert_eq!(told_each(&answer), ["NEW: enrolled, new", "OLD: dropped, new"]);
}

#[test]
fn a_batch_drops_even_when_its_adds_are_refused() {
    let mut office = Office::of([section("OLD"), section("FULL").seats(0)]);
    office.seat("ana", "OLD");
    office.ask(&one_by_one("ana", &["FULL"], &["OLD"]));
    assert_eq!(office.standing("ana", "OLD"), "dropped");
}

#[test]
fn a_seat_freed_by_a_batch_goes_to_the_waitlist_first() {
    let mut office = Office::of([section("X"), section("Y")]);
    office.seat("ana", "X");
    office.place("bob", "X");
    let decision = office.decide(&one_by_one("ana", &["Y"], &["X"]));
    let expected = ["ana X dropped self", "bob X enrolled promoted", "ana Y enrolled self"];
    assert_eq!(heard(&decision.changes.notices), expected);
}

#[test]
fn a_batch_can_join_waitlists() {
    let mut office = Office::of([section("X").seats(0), section("Y").seats(0)]);
    let answer = office.ask(&Command::Batch(Batch { waitlist: true, ..batch("ana", &["X", "Y"], &[]) }));
    assert_eq!(told_each(&answer), ["X: waitlisted 1, new", "Y: waitlisted 1, new"]);
}

#[test]
fn a_swap_is_decided_as_if_its_drops_had_happened() {
    let mut office = Office::limited(
        Credits(3_000),
        [section("OLD").course("MATH 151").monday(9, 11), section("NEW").course("MATH 151").monday(10, 12)],
    );
    office.seat("ana", "OLD");
    assert_eq!(office.told(&register("ana", "NEW")), "already_in_course");
    let answer = office.ask(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(told_each(&answer), ["NEW: enrolled, new", "OLD: dropped, new"]);
}

#[test]
fn a_swap_that_fails_in_part_changes_nothing() {
    let mut office = Office::of([section("OLD"), section("A"), section("FULL").seats(0)]);
    office.seat("ana", "OLD");
    let before = contents(&office.book);
    let decision = office.decide(&swap("ana", &["A", "FULL"], &["OLD"]));
    assert_eq!(
        told_each(&decision.outcome),
        ["A: undone because of FULL", "FULL: section_full", "OLD: undone because of FULL"]
    );
    assert!(decision.changes.is_empty() && decision.changes.notices.is_empty());
    assert!(contents(&office.book) == before);
    let answer = office.ask(&swap("ana", &["A"], &["NONE"]));
    assert_eq!(
        told_each(&answer),
        ["A: undone because of NONE", "NONE: not found"],
        "nothing is added without the drop"
    );
    assert_eq!(office.standing("ana", "A"), "-");
}

#[test]
fn adds_of_one_swap_conflict_with_each_other() {
    let mut office = Office::of([section("OLD"), section("A").monday(9, 11), section("B").monday(10, 12)]);
    office.seat("ana", "OLD");
    let answer = office.ask(&swap("ana", &["A", "B"], &["OLD"]));
    assert_eq!(told_each(&answer), ["A: undone because of B", "B: time_conflict", "OLD: undone because of B"]);
}

#[test]
fn a_swap_frees_its_old_seat_for_the_waitlist() {
    let mut office = Office::of([section("OLD"), section("NEW")]);
    office.seat("ana", "OLD");
    office.place("bob", "OLD");
    let decision = office.decide(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(
        heard(&decision.changes.notices),
        ["ana OLD dropped self", "ana NEW enrolled self", "bob OLD enrolled promoted"]
    );
}

#[test]
fn a_swap_may_drop_what_was_dropped_before() {
    let mut office = Office::of([section("OLD"), section("NEW")]);
    office.seat("ana", "OLD");
    office.wish(&drop_of("ana", "OLD"));
    let answer = office.ask(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(told_each(&answer), ["NEW: enrolled, new", "OLD: dropped, as before"]);
}

#[test]
fn a_swap_outside_the_window_is_refused_whole() {
    let mut office = Office::of([section("OLD"), section("NEW")]);
    office.seat("ana", "OLD");
    office.ask(&window(None, None));
    let answer = office.ask(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(told_each(&answer), ["NEW: registration_closed", "OLD: undone because of NEW"]);
    assert_eq!(office.standing("ana", "OLD"), "enrolled");
}

#[test]
fn a_swap_reports_a_promotion_that_its_own_drop_caused() {
    // Ana is waitlisted for NEW, which has a seat that she cannot take while she holds OLD.
    let mut office = Office::limited(Credits(3_000), [section("OLD"), section("NEW").seats(0)]);
    office.place("ana", "NEW");
    office.seat("ana", "OLD");
    office.ask(&capacity("NEW", 1));
    let answer = office.ask(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(office.standing("ana", "NEW"), "enrolled");
    assert_eq!(
        told_each(&answer),
        ["NEW: enrolled, new", "OLD: dropped, new"],
        "the reply is the state after the promotion"
    );
}
