//! Batches, whose parts are decided separately, and swaps, which succeed or fail as a whole.

use eduhub::domain::command::{Batch, Command};
use eduhub::domain::section::Credits;

use crate::college::{
    TestTerm, batch, capacity, contents, drop_section, notices_in_words, register, replies_in_words, section, swap,
    window,
};

/// Returns a batch whose parts are decided separately.
fn separate_parts(student: &str, add: &[&str], drop: &[&str]) -> Command {
    Command::Batch(batch(student, add, drop))
}

#[test]
fn parts_are_decided_separately_and_adds_are_listed_first() {
    let mut term = TestTerm::of([
        section("A"),
        section("FULL").seats(0),
        section("B").monday(9, 11),
        section("OVERLAP").monday(10, 12),
        section("OLD"),
    ]);
    term.enroll("ana", "OLD");
    let outcome = term.run(&separate_parts("ana", &["A", "FULL", "B", "OVERLAP", "NONE"], &["OLD", "A"]));
    assert_eq!(
        replies_in_words(&outcome),
        [
            "A: enrolled, new",
            "FULL: section_full",
            "B: enrolled, new",
            "OVERLAP: time_conflict",
            "NONE: not found",
            "OLD: dropped, new",
            "A: not found"
        ]
    );
}

#[test]
fn a_batch_drops_before_it_adds() {
    let mut term = TestTerm::of([section("OLD").course("MATH 151"), section("NEW").course("MATH 151")]);
    term.enroll("ana", "OLD");
    let outcome = term.run(&separate_parts("ana", &["NEW"], &["OLD"]));
    assert_eq!(replies_in_words(&outcome), ["NEW: enrolled, new", "OLD: dropped, new"]);
}

#[test]
fn a_batch_drops_even_when_its_adds_are_refused() {
    let mut term = TestTerm::of([section("OLD"), section("FULL").seats(0)]);
    term.enroll("ana", "OLD");
    term.run(&separate_parts("ana", &["FULL"], &["OLD"]));
    assert_eq!(term.status("ana", "OLD"), "dropped");
}

#[test]
fn a_seat_freed_by_a_batch_goes_to_the_waitlist_first() {
    let mut term = TestTerm::of([section("X"), section("Y")]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    let decision = term.decide(&separate_parts("ana", &["Y"], &["X"]));
    let expected = ["ana X dropped self", "bob X enrolled promoted", "ana Y enrolled self"];
    assert_eq!(notices_in_words(&decision.changes.notices), expected);
}

#[test]
fn a_batch_can_join_waitlists() {
    let mut term = TestTerm::of([section("X").seats(0), section("Y").seats(0)]);
    let outcome = term.run(&Command::Batch(Batch { waitlist: true, ..batch("ana", &["X", "Y"], &[]) }));
    assert_eq!(replies_in_words(&outcome), ["X: waitlisted 1, new", "Y: waitlisted 1, new"]);
}

#[test]
fn a_swap_is_decided_as_if_its_drops_had_happened() {
    let mut term = TestTerm::with_credit_limit(
        Credits(3_000),
        [section("OLD").course("MATH 151").monday(9, 11), section("NEW").course("MATH 151").monday(10, 12)],
    );
    term.enroll("ana", "OLD");
    assert_eq!(term.reply(&register("ana", "NEW")), "already_in_course");
    let outcome = term.run(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(replies_in_words(&outcome), ["NEW: enrolled, new", "OLD: dropped, new"]);
}

#[test]
fn a_swap_that_fails_in_part_changes_nothing() {
    let mut term = TestTerm::of([section("OLD"), section("A"), section("FULL").seats(0)]);
    term.enroll("ana", "OLD");
    let before = contents(&term.book);
    let decision = term.decide(&swap("ana", &["A", "FULL"], &["OLD"]));
    assert_eq!(
        replies_in_words(&decision.outcome),
        ["A: undone because of FULL", "FULL: section_full", "OLD: undone because of FULL"]
    );
    assert!(decision.changes.is_empty() && decision.changes.notices.is_empty());
    assert!(contents(&term.book) == before);
    let outcome = term.run(&swap("ana", &["A"], &["NONE"]));
    assert_eq!(
        replies_in_words(&outcome),
        ["A: undone because of NONE", "NONE: not found"],
        "nothing is added when the drop fails"
    );
    assert_eq!(term.status("ana", "A"), "-");
}

#[test]
fn adds_of_one_swap_conflict_with_each_other() {
    let mut term = TestTerm::of([section("OLD"), section("A").monday(9, 11), section("B").monday(10, 12)]);
    term.enroll("ana", "OLD");
    let outcome = term.run(&swap("ana", &["A", "B"], &["OLD"]));
    assert_eq!(replies_in_words(&outcome), ["A: undone because of B", "B: time_conflict", "OLD: undone because of B"]);
}

#[test]
fn the_seat_dropped_by_a_swap_goes_to_the_waitlist() {
    let mut term = TestTerm::of([section("OLD"), section("NEW")]);
    term.enroll("ana", "OLD");
    term.join_waitlist("bob", "OLD");
    let decision = term.decide(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(
        notices_in_words(&decision.changes.notices),
        ["ana OLD dropped self", "ana NEW enrolled self", "bob OLD enrolled promoted"]
    );
}

#[test]
fn a_swap_may_drop_a_section_that_was_dropped_before() {
    let mut term = TestTerm::of([section("OLD"), section("NEW")]);
    term.enroll("ana", "OLD");
    term.request(&drop_section("ana", "OLD"));
    let outcome = term.run(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(replies_in_words(&outcome), ["NEW: enrolled, new", "OLD: dropped, as before"]);
}

#[test]
fn a_swap_outside_the_window_is_refused_as_a_whole() {
    let mut term = TestTerm::of([section("OLD"), section("NEW")]);
    term.enroll("ana", "OLD");
    term.run(&window(None, None));
    let outcome = term.run(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(replies_in_words(&outcome), ["NEW: registration_closed", "OLD: undone because of NEW"]);
    assert_eq!(term.status("ana", "OLD"), "enrolled");
}

#[test]
fn a_swap_reports_a_promotion_that_its_own_drop_caused() {
    // Ana is waitlisted for NEW, which has a seat that she cannot take while she holds OLD.
    let mut term = TestTerm::with_credit_limit(Credits(3_000), [section("OLD"), section("NEW").seats(0)]);
    term.join_waitlist("ana", "NEW");
    term.enroll("ana", "OLD");
    term.run(&capacity("NEW", 1));
    let outcome = term.run(&swap("ana", &["NEW"], &["OLD"]));
    assert_eq!(term.status("ana", "NEW"), "enrolled");
    assert_eq!(
        replies_in_words(&outcome),
        ["NEW: enrolled, new", "OLD: dropped, new"],
        "the reply is the state after the promotion"
    );
}
