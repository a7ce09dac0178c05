//! Changes in the catalogue, which are merged by field and drop no student, and withdrawn sections.

use std::sync::Arc;

use eduhub::domain::command::{Command, SectionEdit};
use eduhub::domain::outcome::{ImportTally, Outcome};
use eduhub::domain::section::{Credits, Section, SectionStatus};

use crate::college::{
    FieldChange, SectionBuilder, TestTerm, capacity, changes_of_each_field, crn, notices_in_words, section, status,
};
use eduhub::domain::view::TermView;

/// Returns an edit of a section that is based on its current state.
fn edit(term: &TestTerm, of: &str, change: impl FnOnce(&mut Section)) -> SectionEdit {
    let base = term.state(of).section.clone();
    let mut target = (*base).clone();
    change(&mut target);
    SectionEdit { base: Some(base), target: Arc::new(target) }
}

fn put(edits: impl IntoIterator<Item = SectionEdit>) -> Command {
    Command::PutSections(edits.into_iter().collect())
}

/// Returns an edit that creates a section.
fn new(builder: SectionBuilder) -> SectionEdit {
    SectionEdit { base: None, target: builder.0.section }
}

/// Withdraws or restores a section.
fn withdraw(term: &mut TestTerm, of: &str, withdrawn: bool) {
    let edit = edit(term, of, |s| s.withdrawn = withdrawn);
    term.run(&put([edit]));
}

#[test]
fn edits_create_update_and_skip_sections() {
    let mut term = TestTerm::of([section("SAME"), section("OTHER")]);
    let edits = [
        edit(&term, "SAME", |_| {}),
        edit(&term, "OTHER", |s| (s.capacity, s.title) = (7, Some("Knots".into()))),
        new(section("NEW").seats(4)),
    ];
    let outcome = term.run(&put(edits));
    assert_eq!(outcome, Outcome::Imported(ImportTally { created: 1, updated: 1, unchanged: 1 }));
    assert_eq!((term.numbers("OTHER")[0], term.numbers("NEW")[3]), (7, 4));
    assert_eq!(term.state("OTHER").section.title.as_deref(), Some("Knots"));
}

#[test]
fn a_pull_applies_each_changed_field() {
    let withdrawn: (_, FieldChange) = ("withdrawn", |s, _| s.withdrawn = true);
    for (field, change) in changes_of_each_field().into_iter().chain([withdrawn]) {
        let mut term = TestTerm::of([section("X")]);
        let edit = edit(&term, "X", |s| change(s, 1));
        let outcome = term.run(&put([edit.clone()]));
        assert_eq!(outcome, Outcome::Imported(ImportTally { updated: 1, ..ImportTally::default() }), "{field}");
        assert_eq!(*term.state("X").section, *edit.target, "{field}");
    }
}

#[test]
fn a_pull_keeps_fields_that_changed_after_it_read_them() {
    for (field, change) in changes_of_each_field() {
        let mut term = TestTerm::of([section("X")]);
        let edit = edit(&term, "X", |s| change(s, 1));
        let edited = section("X").with(|s| change(s, 2));
        term.import(false, vec![(edited, None)]);
        let outcome = term.run(&put([edit]));
        assert_eq!(outcome, Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }), "{field}");
        assert_eq!(*term.state("X").section, *section("X").with(|s| change(s, 2)).0.section, "{field}");
    }
}

#[test]
fn a_pull_does_not_change_the_status() {
    let mut term = TestTerm::of([section("X")]);
    let edit = edit(&term, "X", |s| s.status = SectionStatus::Cancelled);
    let outcome = term.run(&put([edit]));
    assert_eq!(outcome, Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }));
    assert_eq!(term.state("X").section.status, SectionStatus::Open);
}

#[test]
fn a_pull_applies_the_fields_without_a_conflicting_edit() {
    let mut term = TestTerm::of([section("X").seats(5)]);
    let edit = edit(&term, "X", |s| (s.capacity, s.title) = (9, Some("Knots".into())));
    term.run(&capacity("X", 6));
    term.run(&put([edit.clone()]));
    assert_eq!((term.numbers("X")[0], term.state("X").section.title.as_deref()), (6, Some("Knots")));
    let outcome = term.run(&put([edit]));
    assert_eq!(
        outcome,
        Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }),
        "repeating the pull changes nothing"
    );
}

#[test]
fn a_pull_that_would_create_an_existing_section_changes_nothing() {
    let mut term = TestTerm::of([section("X").seats(5)]);
    term.run(&put([new(section("X").seats(9))]));
    assert_eq!(term.numbers("X")[0], 5);
}

#[test]
fn edits_drop_no_student_and_keep_the_status_set_by_staff() {
    let mut term = TestTerm::of([section("X").seats(2), section("CLOSED")]);
    term.enroll("ana", "X");
    term.enroll("bob", "X");
    term.run(&status("CLOSED", SectionStatus::Closed));
    let edits = [edit(&term, "X", |s| s.capacity = 0), edit(&term, "CLOSED", |s| s.capacity = 8)];
    let decision = term.decide(&put(edits));
    assert!(decision.changes.registrations.is_empty());
    assert_eq!(term.numbers("X"), [0, 2, 0, 0]);
    assert_eq!((term.state("CLOSED").section.status, term.numbers("CLOSED")[0]), (SectionStatus::Closed, 8));
}

#[test]
fn more_seats_or_fewer_credits_promote_waitlisted_students() {
    let mut term = TestTerm::with_credit_limit(
        Credits(4_000),
        [section("HEAVY").credits(4_000), section("X"), section("FULL").waitlist(3)],
    );
    term.enroll("bob", "FULL");
    term.join_waitlist("cyd", "FULL");
    term.enroll("eve", "X");
    term.join_waitlist("ana", "X");
    term.enroll("ana", "HEAVY");
    let more = edit(&term, "FULL", |s| s.capacity = 2);
    assert_eq!(notices_in_words(&term.decide(&put([more])).changes.notices), ["cyd FULL enrolled promoted"]);
    term.run(&capacity("X", 2));
    assert_eq!(term.status("ana", "X"), "waitlisted", "the credit limit prevents the promotion");
    let lighter = edit(&term, "HEAVY", |s| s.credits = Credits(1_000));
    term.run(&put([lighter]));
    assert_eq!(term.status("ana", "X"), "enrolled");
}

#[test]
fn a_withdrawn_section_keeps_students_and_refuses_new_ones() {
    let mut term = TestTerm::of([section("X").seats(3).waitlist(3)]);
    term.enroll("ana", "X");
    withdraw(&mut term, "X", true);
    assert_eq!(term.numbers("X"), [3, 1, 0, 0], "no seat is open");
    assert_eq!(term.reply(&crate::college::register("bob", "X")), "section_closed");
    assert_eq!(term.reply(&crate::college::register_or_wait("bob", "X")), "section_closed");
    assert_eq!(term.reply(&crate::college::register("ana", "X")), "enrolled, as before");
    withdraw(&mut term, "X", false);
    assert_eq!(term.reply(&crate::college::register("bob", "X")), "enrolled, new");
}

#[test]
fn the_waitlist_of_a_withdrawn_section_still_promotes() {
    let mut term = TestTerm::of([section("X").waitlist(3)]);
    term.enroll("ana", "X");
    term.join_waitlist("bob", "X");
    withdraw(&mut term, "X", true);
    let decision = term.decide(&crate::college::drop_section("ana", "X"));
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X dropped self", "bob X enrolled promoted"]);
}

#[test]
fn a_cancelled_and_withdrawn_section_is_refused_as_cancelled() {
    let mut term = TestTerm::of([section("X")]);
    term.run(&status("X", SectionStatus::Cancelled));
    withdraw(&mut term, "X", true);
    assert_eq!(term.reply(&crate::college::register("bob", "X")), "section_cancelled");
}

#[test]
fn an_import_neither_withdraws_nor_restores_a_section() {
    let mut term = TestTerm::of([section("X"), section("Y")]);
    withdraw(&mut term, "X", true);
    term.import(false, vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    assert!(term.state("X").section.withdrawn && term.numbers("X")[0] == 5);
    assert!(!term.state("Y").section.withdrawn);
    assert!(term.book.section(&crn("X")).is_some());
}
