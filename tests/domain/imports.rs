//! What an import does to sections and to the people in them, above all its totals (contract section 7).

use eduhub::domain::outcome::{ImportTally, Outcome};
use eduhub::domain::section::{Credits, SectionStatus};

use crate::college::{Office, changes_of_each_field, heard, monday, patch, section, status, window};

/// Seats held outside, people waiting outside.
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
fn what_the_hubs_own_people_do_not_explain_is_kept_as_outside() {
    let table = [
        ((5, 0), (3, 0), "five held, two of them ours"),
        ((2, 0), (0, 0), "ours explain all"),
        ((1, 0), (0, 0), "the file knows of fewer than we have: nobody is dropped"),
        ((12, 4), (10, 3), "above the capacity is taken as it is in the world; one who waits is ours"),
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
fn totals_that_are_those_of_the_last_import_change_nothing() {
    let file = |enrolled| vec![(section("X").seats(9), Some((enrolled, 0)))];
    let mut office = closed([]);
    office.import(false, file(4));
    office.ask(&patch("X", |p| p.outside_enrolled = Some(0)));
    office.import(false, file(4));
    assert_eq!(outside(&office, "X"), (0, 0), "what staff cleared stays cleared");
    office.import(true, file(4));
    assert_eq!(outside(&office, "X"), (0, 0), "however loudly the same is said");
    office.import(false, file(5));
    assert_eq!(outside(&office, "X"), (5, 0), "another number is news");
}

#[test]
fn while_a_term_is_open_totals_change_nothing_unless_they_are_meant_to() {
    let mut office = Office::of([section("X").seats(9)]);
    office.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (0, 0), "a file of 9:00 knows nothing of 9:05");
    office.import(true, vec![(section("X").seats(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (4, 1));
}

#[test]
fn totals_of_a_new_section_count_whenever_it_comes() {
    let mut office = Office::of([]);
    office.import(false, vec![(section("X").seats(9).line(9), Some((4, 1)))]);
    assert_eq!(outside(&office, "X"), (4, 1));
    assert_eq!(office.numbers("X"), [9, 4, 1, 4], "one of five is promised to whoever waits outside");
}

#[test]
fn a_file_without_totals_leaves_what_was_told_before() {
    let mut office = closed([]);
    office.import(false, vec![(section("X").seats(9), Some((4, 1)))]);
    office.import(false, vec![(section("X").seats(8), None)]);
    assert_eq!(outside(&office, "X"), (4, 1));
    assert_eq!(office.state("X").file_totals, Some((4, 1)));
}

#[test]
fn lower_totals_open_seats_and_promote() {
    let mut office = closed([]);
    office.import(false, vec![(section("X").line(5), Some((1, 0)))]);
    office.ask(&window(Some(0), None));
    office.place("ana", "X");
    office.ask(&window(None, None));
    let decision = office.import(false, vec![(section("X").line(5), Some((0, 0)))]);
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn an_import_drops_nobody_removes_nothing_and_keeps_the_status_that_staff_gave() {
    let mut office = Office::of([section("X").seats(2), section("KEPT"), section("OFF")]);
    office.seat("ana", "X");
    office.seat("bob", "X");
    office.ask(&status("OFF", SectionStatus::Closed));
    let sections = vec![(section("X").seats(0).monday(9, 11), None), (section("OFF").seats(7), None)];
    let decision = office.import(false, sections);
    assert_eq!(tally(&decision.answer), ImportTally { created: 0, updated: 2, unchanged: 0 });
    assert_eq!(office.numbers("X"), [0, 2, 0, 0]);
    assert_eq!(office.numbers("KEPT"), [1, 0, 0, 1]);
    assert_eq!((office.state("OFF").section.status, office.numbers("OFF")[0]), (SectionStatus::Closed, 7));
}

#[test]
fn an_import_takes_over_each_field_of_the_file() {
    for (field, change) in changes_of_each_field() {
        let mut office = Office::of([section("X")]);
        let decision = office.import(false, vec![(section("X").with(|s| change(s, 1)), None)]);
        assert_eq!(tally(&decision.answer), ImportTally { updated: 1, ..ImportTally::default() }, "{field}");
        assert_eq!(*office.state("X").section, *section("X").with(|s| change(s, 1)).0.section, "{field}");
    }
}

#[test]
fn an_import_counts_what_is_new_what_differs_and_what_was_so() {
    let mut office = Office::of([section("SAME"), section("OTHER")]);
    let sections = vec![(section("SAME"), None), (section("OTHER").seats(3), None), (section("NEW"), None)];
    let decision = office.import(false, sections);
    assert_eq!(tally(&decision.answer), ImportTally { created: 1, updated: 1, unchanged: 1 });
    assert_eq!(decision.changes.generation, Some(1));
    let named: Vec<_> = decision.changes.sections.iter().map(|s| s.section.id.crn.as_str()).collect();
    assert_eq!(named, ["NEW", "OTHER"]);
}

#[test]
fn another_time_takes_no_seat_away_and_makes_room_where_it_does() {
    let mut office = Office::of([
        section("MOVES").monday(9, 11),
        section("X").line(3).monday(13, 15),
        section("STAYS").monday(10, 12),
    ]);
    office.seat("eve", "X");
    office.place("ana", "X");
    office.seat("ana", "MOVES");
    // It moves onto what Ana waits for, and a seat of that becomes free.
    office.import(false, vec![(section("MOVES").monday(14, 16), None)]);
    let decision = office.decide(&crate::college::drop_of("eve", "X"));
    assert_eq!(heard(&decision.changes.notices), ["eve X dropped self", "ana X waitlisted passed_over time_conflict"]);
    assert_eq!(office.standing("ana", "MOVES"), "enrolled");
    // It moves away again, and the seat is hers.
    let decision = office.import(false, vec![(section("MOVES").with(|s| s.meetings = vec![monday(8, 9)]), None)]);
    assert_eq!(heard(&decision.changes.notices), ["ana X enrolled promoted"]);
}

#[test]
fn fewer_credits_make_room() {
    let mut office = Office::limited(Credits(4_000), [section("HEAVY").credits(4_000), section("X").seats(0)]);
    office.place("ana", "X");
    office.seat("ana", "HEAVY");
    office.ask(&crate::college::capacity("X", 1));
    assert_eq!(office.standing("ana", "X"), "waitlisted");
    office.import(false, vec![(section("HEAVY").credits(1_000), None)]);
    assert_eq!(office.standing("ana", "X"), "enrolled");
}
