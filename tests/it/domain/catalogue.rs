//! Changes of the college's own catalogue: merged by field, without dropping a student, and withdrawn sections.

use std::sync::Arc;

use eduhub::domain::command::{Command, SectionEdit};
use eduhub::domain::outcome::{ImportTally, Outcome};
use eduhub::domain::section::{Credits, Section, SectionStatus};

use crate::college::{FieldChange, Make, Office, capacity, changes_of_each_field, crn, heard, section, status};
use eduhub::domain::view::TermView;

/// Returns an edit of a section based on its present state.
fn edit(office: &Office, of: &str, change: impl FnOnce(&mut Section)) -> SectionEdit {
    let seen = office.state(of).section.clone();
    let mut wanted = (*seen).clone();
    change(&mut wanted);
    SectionEdit { seen: Some(seen), wanted: Arc::new(wanted) }
}

fn put(edits: impl IntoIterator<Item = SectionEdit>) -> Command {
    Command::PutSections(edits.into_iter().collect())
}

fn new(make: Make) -> SectionEdit {
    SectionEdit { seen: None, wanted: make.0.section }
}

fn withdraw(office: &mut Office, of: &str, withdrawn: bool) {
    let edit = edit(office, of, |s| s.withdrawn = withdrawn);
    office.ask(&put([edit]));
}

#[test]
fn edits_create_update_and_skip_sections() {
    let mut office = Office::of([section("SAME"), section("OTHER")]);
    let edits = [
        edit(&office, "SAME", |_| {}),
        edit(&office, "OTHER", |s| (s.capacity, s.title) = (7, Some("Knots".into()))),
        new(section("NEW").seats(4)),
    ];
    let answer = office.ask(&put(edits));
    assert_eq!(answer, Outcome::Imported(ImportTally { created: 1, updated: 1, unchanged: 1 }));
    assert_eq!((office.numbers("OTHER")[0], office.numbers("NEW")[3]), (7, 4));
    assert_eq!(office.state("OTHER").section.title.as_deref(), Some("Knots"));
}

#[test]
fn a_pull_takes_over_each_field_that_it_changes() {
    let withdrawn: (_, FieldChange) = ("withdrawn", |s, _| s.withdrawn = true);
    for (field, change) in changes_of_each_field().into_iter().chain([withdrawn]) {
        let mut office = Office::of([section("X")]);
        let edit = edit(&office, "X", |s| change(s, 1));
        let outcome = office.ask(&put([edit.clone()]));
        assert_eq!(outcome, Outcome::Imported(ImportTally { updated: 1, ..ImportTally::default() }), "{field}");
        assert_eq!(*office.state("X").section, *edit.wanted, "{field}");
    }
}

#[test]
fn a_pull_overwrites_no_field_that_changed_meanwhile() {
    for (field, change) in changes_of_each_field() {
        let mut office = Office::of([section("X")]);
        let edit = edit(&office, "X", |s| change(s, 1));
        let meanwhile = section("X").with(|s| change(s, 2));
        office.import(false, vec![(meanwhile, None)]);
        let outcome = office.ask(&put([edit]));
        assert_eq!(outcome, Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }), "{field}");
        assert_eq!(*office.state("X").section, *section("X").with(|s| change(s, 2)).0.section, "{field}");
    }
}

#[test]
fn a_pull_leaves_the_status_to_staff() {
    let mut office = Office::of([section("X")]);
    let edit = edit(&office, "X", |s| s.status = SectionStatus::Cancelled);
    let outcome = office.ask(&put([edit]));
    assert_eq!(outcome, Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }));
    assert_eq!(office.state("X").section.status, SectionStatus::Open);
}

#[test]
fn fields_changed_meanwhile_are_kept_others_are_applied() {
    let mut office = Office::of([section("X").seats(5)]);
    let edit = edit(&office, "X", |s| (s.capacity, s.title) = (9, Some("Knots".into())));
    office.ask(&capacity("X", 6));
    office.ask(&put([edit.clone()]));
    assert_eq!((office.numbers("X")[0], office.state("X").section.title.as_deref()), (6, Some("Knots")));
    let answer = office.ask(&put([edit]));
    assert_eq!(answer, Outcome::Imported(ImportTally { unchanged: 1, ..ImportTally::default() }), "and again the same");
}

#[test]
fn a_section_created_meanwhile_is_left_unchanged() {
    let mut office = Office::of([section("X").seats(5)]);
    office.ask(&put([new(section("X").seats(9))]));
    assert_eq!(office.numbers("X")[0], 5);
}

#[test]
fn edits_keep_the_status_set_by_staff_and_all_seats() {
    let mut office = Office::of([section("X").seats(2), section("SHUT")]);
    office.seat("ana", "X");
    office.seat("bob", "X");
    office.ask(&status("SHUT", SectionStatus::Closed));
    let edits = [edit(&office, "X", |s| s.capacity = 0), edit(&office, "SHUT", |s| s.capacity = 8)];
    let decision = office.decide(&put(edits));
    assert!(decision.changes.registrations.is_empty());
    assert_eq!(office.numbers("X"), [0, 2, 0, 0]);
    assert_eq!((office.state("SHUT").section.status, office.numbers("SHUT")[0]), (SectionStatus::Closed, 8));
}

#[test]
fn more_seats_or_fewer_credits_promote_waitlisted_students() {
    let mut office =
        Office::limited(Credits(4_000), [section("HEAVY").credits(4_000), section("X"), section("FULL").line(3)]);
    office.seat("bob", "FULL");
    office.place("cyd", "FULL");
    office.seat("eve", "X");
    office.place("ana", "X");
    office.seat("ana", "HEAVY");
    let more = edit(&office, "FULL", |s| s.capacity = 2);
    assert_eq!(heard(&office.decide(&put([more])).changes.notices), ["cyd FULL enrolled promoted"]);
    office.ask(&capacity("X", 2));
    assert_eq!(office.standing("ana", "X"), "waitlisted", "too many credits");
    let lighter = edit(&office, "HEAVY", |s| s.credits = Credits(1_000));
    office.ask(&put([lighter]));
    assert_eq!(office.standing("ana", "X"), "enrolled");
}

#[test]
fn a_withdrawn_section_keeps_students_and_refuses_new_ones() {
    let mut office = Office::of([section("X").seats(3).line(3)]);
    office.seat("ana", "X");
    withdraw(&mut office, "X", true);
    assert_eq!(office.numbers("X"), [3, 1, 0, 0], "nothing is open");
    assert_eq!(office.told(&crate::college::register("bob", "X")), "section_closed");
    assert_eq!(office.told(&crate::college::register_or_wait("bob", "X")), "section_closed");
    assert_eq!(office.told(&crate::college::register("ana", "X")), "enrolled, as before");
    withdraw(&mut office, "X", false);
    assert_eq!(office.told(&crate::college::register("bob", "X")), "enrolled, new");
}

#[test]
fn the_waitlist_of_a_withdrawn_section_still_promotes() {
    let mut office = Office::of([section("X").line(3)]);
    office.seat("ana", "X");
    office.place("bob", "X");
    withdraw(&mut office, "X", true);
    let decision = office.decide(&crate::college::drop_of("ana", "X"));
    assert_eq!(heard(&decision.changes.notices), ["ana X dropped self", "bob X enrolled promoted"]);
}

#[test]
fn a_cancelled_section_is_refused_as_such_even_if_withdrawn() {
    let mut office = Office::of([section("X")]);
    office.ask(&status("X", SectionStatus::Cancelled));
    withdraw(&mut office, "X", true);
    assert_eq!(office.told(&crate::college::register("bob", "X")), "section_cancelled");
}

#[test]
fn an_import_neither_withdraws_nor_restores_a_section() {
    let mut office = Office::of([section("X"), section("Y")]);
    withdraw(&mut office, "X", true);
    office.import(false, vec![(section("X").seats(5), None), (section("Y").seats(5), None)]);
    assert!(office.state("X").section.withdrawn && office.numbers("X")[0] == 5);
    assert!(!office.state("Y").section.withdrawn);
    assert!(office.book.section(&crn("X")).is_some());
}
