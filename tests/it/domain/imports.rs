//! The effects of an import on sections and students, and in particular of its totals.

use std::sync::Arc;

use eduhub::domain::command::{Command, StagedImport};
use eduhub::domain::outcome::{ImportTally, Outcome};
use eduhub::domain::rights::Subjects;
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{TestTerm, changes_of_each_field, monday, notices_in_words, patch, section, status, window};

/// Returns the numbers of students enrolled and waitlisted outside the hub.
fn outside(term: &TestTerm, of: &str) -> (u32, u32) {
    (term.state(of).outside_enrolled, term.state(of).outside_waitlisted)
}

fn tally(outcome: &Outcome) -> ImportTally {
    match outcome {
        Outcome::Imported(tally) => *tally,
        other => panic!("{other:?}"),
    }
}

/// Returns a term with these sections that is closed for registration.
fn closed(sections: impl IntoIterator<Item = crate::college::SectionBuilder>) -> TestTerm {
    let mut term = TestTerm::of(sections);
    term.run(&window(None, None));
    term
}

#[test]
fn students_beyond_those_of_the_hub_count_as_outside() {
    let table = [
        ((5, 0), (3, 0), "of five enrolled, two are in the hub"),
        ((2, 0), (0, 0), "both are enrolled in the hub"),
        ((1, 0), (0, 0), "fewer than are enrolled in the hub: no student is dropped"),
        ((12, 4), (10, 3), "totals above the capacity are accepted; one waitlisted student is in the hub"),
    ];
    for (totals, expected, why) in table {
        let mut term = TestTerm::of([section("X").seats(2).waitlist(9)]);
        term.enroll("ana", "X");
        term.enroll("bob", "X");
        term.join_waitlist("cyd", "X");
        term.run(&window(None, None));
        term.import(false, vec![(section("X").seats(2).waitlist(9), Some(totals))]);
        assert_eq!(outside(&term, "X"), expected, "{why}");
        assert_eq!(term.status("ana", "X"), "enrolled");
        assert_eq!(term.waitlist("X"), ["cyd"]);
    }
}

#[test]
fn the_importers_limit_is_checked_when_the_import_is_applied() {
    let math = || section("X").course("MATH 1").seats(9);
    let limit = Some(Subjects::parse(&["MATH"]).unwrap());
    // The import is staged while the section is one of MATH, or does not exist yet.
    for before in [vec![section("X").course("MATH 1")], vec![]] {
        let mut term = TestTerm::of(before);
        let staged = StagedImport { limit: limit.clone(), ..term.staged(false, vec![(math(), None)]) };
        term.import(false, vec![(section("X").course("ART 1"), None)]);
        let decision = term.decide(&Command::ApplyImport(Arc::new(staged)));
        let Outcome::ImportOutOfScope(refused) = &decision.outcome else { panic!("{:?}", decision.outcome) };
        assert!(refused.to_string().contains("ART"), "{refused}");
        assert_eq!(&*term.state("X").section.course, "ART 1", "nothing was changed");
    }
    let mut term = TestTerm::of([section("X").course("MATH 1")]);
    let staged =
        |term: &TestTerm, builder| StagedImport { limit: limit.clone(), ..term.staged(false, vec![(builder, None)]) };
    let other = Command::ApplyImport(Arc::new(staged(&term, section("Y").course("ART 1"))));
    assert!(matches!(term.decide(&other).outcome, Outcome::ImportOutOfScope(_)));
    let own = Command::ApplyImport(Arc::new(staged(&term, math())));
    assert_eq!(tally(&term.decide(&own).outcome).updated, 1);
}

#[test]
fn unchanged_totals_of_the_last_import_change_nothing() {
    let file = |enrolled| vec![(section("X").seats(9), Some((enrolled, 0)))];
    let mut term = closed([]);
    term.import(false, file(4));
    term.run(&patch("X", |p| p.outside_enrolled = Some(0)));
    term.import(false, file(4));
    assert_eq!(outside(&term, "X"), (0, 0), "totals cleared by staff stay cleared");
    term.import(true, file(4));
    assert_eq!(outside(&term, "X"), (0, 0), "even when the totals are forced");
    term.import(false, file(5));
    assert_eq!(outside(&term, "X"), (5, 0), "changed totals count");
}

#[test]
fn totals_in_an_open_term_count_only_when_forced() {
    let mut term = TestTerm::of([section("X").seats(9)]);
    term.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&term, "X"), (0, 0), "the file may be older than the registrations");
    term.import(true, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&term, "X"), (4, 1));
}

#[test]
fn totals_of_a_new_section_always_count() {
    let mut term = TestTerm::of([]);
    term.import(false, vec![(section("X").seats(9).waitlist(9), Some((4, 1)))]);
    assert_eq!(outside(&term, "X"), (4, 1));
    assert_eq!(term.numbers("X"), [9, 4, 1, 4], "one of five free seats is reserved for a student waitlisted outside");
}

#[test]
fn a_file_without_totals_keeps_the_earlier_totals() {
    let mut term = closed([]);
    term.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    term.import(false, vec![(section("X").seats(8), None)]);
    assert_eq!(outside(&term, "X"), (4, 1));
    assert_eq!(term.state("X").file_totals, Some((4, 1)));
}

#[test]
fn lower_totals_free_seats_for_the_waitlist() {
    let mut term = closed([]);
    term.import(false, vec![(section("X").waitlist(5), Some((1, 0)))]);
    term.run(&window(Some(0), None));
    term.join_waitlist("ana", "X");
    term.run(&window(None, None));
    let decision = term.import(false, vec![(section("X").waitlist(5), Some((0, 0)))]);
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn an_import_drops_no_student_and_removes_no_section() {
    let mut term = TestTerm::of([section("X").seats(2), section("OTHER"), section("CLOSED")]);
    term.enroll("ana", "X");
    term.enroll("bob", "X");
    term.run(&status("CLOSED", SectionStatus::Closed));
    let sections = vec![(section("X").seats(0).monday(9, 11), None), (section("CLOSED").seats(7), None)];
    let decision = term.import(false, sections);
    assert_eq!(tally(&decision.outcome), ImportTally { created: 0, updated: 2, unchanged: 0 });
    assert_eq!(term.numbers("X"), [0, 2, 0, 0]);
    assert_eq!(term.numbers("OTHER"), [1, 0, 0, 1]);
    assert_eq!((term.state("CLOSED").section.status, term.numbers("CLOSED")[0]), (SectionStatus::Closed, 7));
}

#[test]
fn an_import_applies_each_field_of_the_file() {
    for (field, change) in changes_of_each_field() {
        let mut term = TestTerm::of([section("X")]);
        let decision = term.import(false, vec![(section("X").with(|s| change(s, 1)), None)]);
        assert_eq!(tally(&decision.outcome), ImportTally { updated: 1, ..ImportTally::default() }, "{field}");
        assert_eq!(*term.state("X").section, *section("X").with(|s| change(s, 1)).0.section, "{field}");
    }
}

#[test]
fn an_import_counts_created_updated_and_unchanged_sections() {
    let mut term = TestTerm::of([section("SAME"), section("OTHER")]);
    let sections = vec![(section("SAME"), None), (section("OTHER").seats(3), None), (section("NEW"), None)];
    let decision = term.import(false, sections);
    assert_eq!(tally(&decision.outcome), ImportTally { created: 1, updated: 1, unchanged: 1 });
    assert_eq!(decision.changes.generation, Some(1));
    let crns: Vec<_> = decision.changes.sections.iter().map(|s| s.section.id.crn.as_str()).collect();
    assert_eq!(crns, ["NEW", "OTHER"]);
}

#[test]
fn a_new_meeting_time_keeps_seats_and_resolves_conflicts() {
    let mut term = TestTerm::of([
        section("MOVES").monday(9, 11),
        section("X").waitlist(3).monday(13, 15),
        section("STAYS").monday(10, 12),
    ]);
    term.enroll("eve", "X");
    term.join_waitlist("ana", "X");
    term.enroll("ana", "MOVES");
    // MOVES now overlaps X, for which Ana is waitlisted, when a seat in X becomes free.
    term.import(false, vec![(section("MOVES").monday(14, 16), None)]);
    let decision = term.decide(&crate::college::drop_section("eve", "X"));
    assert_eq!(
        notices_in_words(&decision.changes.notices),
        ["eve X dropped self", "ana X waitlisted passed_over time_conflict"]
    );
    assert_eq!(term.status("ana", "MOVES"), "enrolled");
    // MOVES no longer overlaps, and Ana gets the seat.
    let decision = term.import(false, vec![(section("MOVES").with(|s| s.meetings = vec![monday(8, 9)]), None)]);
    assert_eq!(notices_in_words(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn fewer_credits_promote_a_student_over_the_limit() {
    let mut term =
        TestTerm::with_credit_limit(Credits(4_000), [section("HEAVY").credits(4_000), section("X").seats(0)]);
    term.join_waitlist("ana", "X");
    term.enroll("ana", "HEAVY");
    term.run(&crate::college::capacity("X", 1));
    assert_eq!(term.status("ana", "X"), "waitlisted");
    term.import(false, vec![(section("HEAVY").credits(1_000), None)]);
    assert_eq!(term.status("ana", "X"), "enrolled");
}

#[test]
fn a_file_that_undoes_a_cancellation_notifies_the_students() {
    let mut term = TestTerm::of([section("X")]);
    term.enroll("ana", "X");
    term.import(false, vec![(section("X").status(SectionStatus::Cancelled), None)]);
    assert_eq!(term.state("X").cancelled_from, Some(SectionStatus::Open));
    let active = |term: &TestTerm| {
        let mut staged = term.staged(false, vec![(section("X"), None)]);
        staged.sections[0].states_status = true;
        Command::ApplyImport(std::sync::Arc::new(staged))
    };

    let reopened = term.decide(&active(&term));
    assert_eq!(notices_in_words(&reopened.changes.notices), ["ana X enrolled staff"]);
    assert_eq!(term.state("X").section.status, SectionStatus::Open);

    term.run(&status("X", SectionStatus::Cancelled));
    let kept = term.decide(&active(&term));
    assert_eq!((kept.changes.notices.len(), term.state("X").section.status), (0, SectionStatus::Cancelled));
}
