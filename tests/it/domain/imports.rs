//! What an import does to sections and students, above all by its totals (contract section 7).

use eduhub::domain::outcome::{ImportTally, Outcome};
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{Office, changes_of_each_field, heard, monday, patch, section, status, window};

/// Returns the students enrolled and waitlisted outside the hub.
fn outside(office: &Office, of: &str) -> (u32, u32) {
    (office.state(of).outside_enrolled, office.state(of).outside_waitlisted)
}

fn tally(answer: &Outcome) -> ImportTally {
    match answer {
        Outcome::Imported(tally) => *tally,
        other => panic!("{other:?}"),
    }
}

fn closed(sections: impl IntoIterator<Item = crate::college::Make>) -> Office {
    let mut office = Office::of(sections);
    office.ask(&window(None, None));
    office
}

#[test]
fn totals_beyond_the_hubs_own_count_as_outside() {
    let table = [
        ((5, 0), (3, 0), "five enrolled, two of them in the hub"),
        ((2, 0), (0, 0), "the hub's own students explain all"),
        ((1, 0), (0, 0), "fewer than in the hub: no student is dropped"),
        ((12, 4), (10, 3), "totals above the capacity are accepted; one waitlisted student is the hub's"),
    ];
    for (totals, expected, why) in table {
        let mut office = Office::of([section("X").seats(2).line(9)]);
        office.seat("ana", "X");
        office.seat("bob", "X");
        office.place("cyd", "X");
        office.ask(&window(None, None));
        office.import(false, vec![(section("X").seats(2).line(9), Some(totals))]);
        assert_eq!(outside(&office, "X"), expected, "{why}");
        assert_eq!(office.standing("ana", "X"), "enrolled");
        assert_eq!(office.line("X"), ["cyd"]);
    }
}

#[test]
fn unchanged_totals_of_the_last_import_change_nothing() {
    let file = |enrolled| vec![(section("X").seats(9), Some((enrolled, 0)))];
    let mut office = closed([]);
    office.import(false, file(4));
    office.ask(&patch("X", |p| p.outside_enrolled = Some(0)));
    office.import(false, file(4));
    assert_eq!(outside(&office, "X"), (0, 0), "totals that staff cleared stay cleared");
    office.import(true, file(4));
    assert_eq!(outside(&office, "X"), (0, 0), "even when the totals are forced");
    office.import(false, file(5));
    assert_eq!(outside(&office, "X"), (5, 0), "a new number counts");
}

#[test]
fn totals_in_an_open_term_count_only_when_forced() {
    let mut office = Office::of([section("X").seats(9)]);
    office.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (0, 0), "the file may be older than the registrations");
    office.import(true, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (4, 1));
}

#[test]
fn totals_of_a_new_section_always_count() {
    let mut office = Office::of([]);
    office.import(false, vec![(section("X").seats(9).line(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (4, 1));
    assert_eq!(office.numbers("X"), [9, 4, 1, 4], "one of five is promised to a student waitlisted outside");
}

#[test]
fn a_file_without_totals_keeps_the_earlier_totals() {
    let mut office = closed([]);
    office.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    office.import(false, vec![(section("X").seats(8), None)]);
    assert_eq!(outside(&office, "X"), (4, 1));
    assert_eq!(office.state("X").file_totals, Some((4, 1)));
}

#[test]
fn lower_totals_free_seats_and_promote() {
    let mut office = closed([]);
    office.import(false, vec![(section("X").line(5), Some((1, 0)))]);
    office.ask(&window(Some(0), None));
    office.place("ana", "X");
    office.ask(&window(None, None));
    let decision = office.import(false, vec![(section("X").line(5), Some((0, 0)))]);
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn an_import_keeps_seats_sections_and_the_status_set_by_staff() {
    let mut office = Office::of([section("X").seats(2), section("KEPT"), section("OFF")]);
    office.seat("ana", "X");
    office.seat("bob", "X");
    office.ask(&status("OFF", SectionStatus::Closed));
    let sections = vec![(section("X").seats(0).monday(9, 11), None), (section("OFF").seats(7), None)];
    let decision = office.import(false, sections);
    assert_eq!(tally(&decision.outcome), ImportTally { created: 0, updated: 2, unchanged: 0 });
    assert_eq!(office.numbers("X"), [0, 2, 0, 0]);
    assert_eq!(office.numbers("KEPT"), [1, 0, 0, 1]);
    assert_eq!((office.state("OFF").section.status, office.numbers("OFF")[0]), (SectionStatus::Closed, 7));
}

#[test]
fn an_import_takes_over_each_field_of_the_file() {
    for (field, change) in changes_of_each_field() {
        let mut office = Office::of([section("X")]);
        let decision = office.import(false, vec![(section("X").with(|s| change(s, 1)), None)]);
        assert_eq!(tally(&decision.outcome), ImportTally { updated: 1, ..ImportTally::default() }, "{field}");
        assert_eq!(*office.state("X").section, *section("X").with(|s| change(s, 1)).0.section, "{field}");
    }
}

#[test]
fn an_import_counts_created_updated_and_unchanged_sections() {
    let mut office = Office::of([section("SAME"), section("OTHER")]);
    let sections = vec![(section("SAME"), None), (section("OTHER").seats(3), None), (section("NEW"), None)];
    let decision = office.import(false, sections);
    assert_eq!(tally(&decision.outcome), ImportTally { created: 1, updated: 1, unchanged: 1 });
    assert_eq!(decision.changes.generation, Some(1));
    let named: Vec<_> = decision.changes.sections.iter().map(|s| s.section.id.crn.as_str()).collect();
    assert_eq!(named, ["NEW", "OTHER"]);
}

#[test]
fn a_new_meeting_time_keeps_seats_and_resolves_conflicts() {
    let mut office = Office::of([
        section("MOVES").monday(9, 11),
        section("X").line(3).monday(13, 15),
        section("STAYS").monday(10, 12),
    ]);
    office.seat("eve", "X");
    office.place("ana", "X");
    office.seat("ana", "MOVES");
    // It moves to the time of the section that Ana is waitlisted for, where a seat becomes free.
    office.import(false, vec![(section("MOVES").monday(14, 16), None)]);
    let decision = office.decide(&crate::college::drop_of("eve", "X"));
    assert_eq!(heard(&decision.changes.notices), ["eve X dropped self", "ana X waitlisted passed_over time_conflict"]);
    assert_eq!(office.standing("ana", "MOVES"), "enrolled");
    // It moves to another time, and Ana gets the seat.
    let decision = office.import(false, vec![(section("MOVES").with(|s| s.meetings = vec![monday(8, 9)]), None)]);
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn fewer_credits_promote_a_student_over_the_limit() {
    let mut office = Office::limited(Credits(4_000), [section("HEAVY").credits(4_000), section("X").seats(0)]);
    office.place("ana", "X");
    office.seat("ana", "HEAVY");
    office.ask(&crate::college::capacity("X", 1));
    assert_eq!(office.standing("ana", "X"), "waitlisted");
    office.import(false, vec![(section("HEAVY").credits(1_000), None)]);
    assert_eq!(office.standing("ana", "X"), "enrolled");
}
