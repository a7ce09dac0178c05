//! Refusals: which code each reason has, and which of several reasons is returned.

use eduhub::domain::refusal::{Refusal, RefusalCode};
use eduhub::domain::section::{Credits, SectionStatus};

use strum::VariantArray;

use crate::college::{
    CLOSES, Office, drop_of, id, minute, refusal, register, register_or_wait, section, status, told, window,
};

use RefusalCode as Code;

/// Returns a term in which exactly these reasons refuse `ana` the section `X`.
pub(crate) fn office_with(faults: &[Code]) -> Office {
    let has = |code| faults.contains(&code);
    let line = if has(Code::WaitlistFull) { 0 } else { 2 };
    let mut office = Office::limited(
        Credits(12_000),
        [
            section("X").course("MATH 151").monday(9, 11).line(line),
            section("SAME").course("MATH 151").credits(0),
            section("CLASH").monday(10, 12).credits(0),
            section("HEAVY").credits(10_000),
        ],
    );
    if has(Code::SectionFull) || has(Code::WaitlistFull) {
        office.seat("bob", "X");
    }
    if has(Code::AlreadyInCourse) {
        office.seat("ana", "SAME");
    }
    if has(Code::TimeConflict) {
        office.seat("ana", "CLASH");
    }
    if has(Code::CreditLimit) {
        office.seat("ana", "HEAVY");
    }
    if has(Code::SectionClosed) {
        office.ask(&status("X", SectionStatus::Closed));
    }
    if has(Code::SectionCancelled) {
        office.ask(&status("X", SectionStatus::Cancelled));
    }
    if has(Code::RegistrationClosed) {
        office.ask(&window(None, None));
    }
    office
}

fn answer(faults: &[Code], waitlist: bool) -> String {
    let command = if waitlist { register_or_wait("ana", "X") } else { register("ana", "X") };
    office_with(faults).told(&command)
}

#[test]
fn each_reason_alone_refuses_with_its_own_code() {
    for code in Code::VARIANTS {
        assert_eq!(answer(&[*code], *code == Code::WaitlistFull), code.as_str());
    }
}

#[test]
fn without_a_reason_registration_succeeds() {
    assert_eq!(answer(&[], false), "enrolled, new");
    assert_eq!(answer(&[], true), "enrolled, new", "a free seat is taken, with or without `waitlist`");
}

#[test]
fn of_two_reasons_the_first_in_contract_order_is_returned() {
    // The order of section 5 of the contract, without the rules that are not built yet.
    let order = [
        Code::RegistrationClosed,
        Code::SectionCancelled,
        Code::SectionClosed,
        Code::AlreadyInCourse,
        Code::TimeConflict,
        Code::CreditLimit,
        Code::SectionFull,
    ];
    for (at, first) in order.iter().enumerate() {
        for second in &order[at + 1..] {
            if (*first, *second) == (Code::SectionCancelled, Code::SectionClosed) {
                continue; // one section has one status
            }
            assert_eq!(answer(&[*first, *second], false), first.as_str(), "{first:?} and {second:?}");
        }
        // The credit limit does not apply to a waitlist position, but to the promotion from it.
        let told = if *first == Code::CreditLimit { Code::WaitlistFull } else { *first };
        if *first != Code::SectionFull {
            assert_eq!(answer(&[*first, Code::WaitlistFull], true), told.as_str(), "{first:?} and no place in line");
        }
    }
}

#[test]
fn of_all_reasons_the_first_that_remains_is_returned() {
    let mut faults = vec![
        Code::RegistrationClosed,
        Code::SectionClosed,
        Code::AlreadyInCourse,
        Code::TimeConflict,
        Code::CreditLimit,
        Code::SectionFull,
    ];
    while !faults.is_empty() {
        assert_eq!(answer(&faults, false), faults[0].as_str());
        faults.remove(0);
    }
}

#[test]
fn the_window_includes_opens_at_and_excludes_closes_at() {
    let table = [
        (None, None, 5, false, "a term without opens_at is closed"),
        (None, Some(10), 5, false, "closes_at alone opens nothing"),
        (Some(5), None, 4, false, "before"),
        (Some(5), None, 5, true, "the moment of opens_at"),
        (Some(5), None, 9_999, true, "open without end"),
        (Some(5), Some(10), 9, true, "within"),
        (Some(5), Some(10), 10, false, "the moment of closes_at"),
    ];
    for (opens, closes, now, open, why) in table {
        let mut office = Office::of([section("X")]);
        office.ask(&window(opens, closes));
        office.now = minute(now - 1); // each wish comes a minute later
        let told = office.told(&register("ana", "X"));
        assert_eq!(told == "enrolled, new", open, "{why}: {told}");
    }
}

#[test]
fn registration_closed_says_when_the_window_opens_and_closes() {
    let mut office = Office::of([section("X")]);
    office.now = minute(CLOSES - 1); // each request comes a minute later
    let refusal = refusal(office.wish(&register("ana", "X")));
    let (opens_at, closes_at) = (Some(minute(0)), Some(minute(CLOSES)));
    assert_eq!(refusal, Refusal::RegistrationClosed { opens_at, closes_at, now: minute(CLOSES) });
}

#[test]
fn registering_for_a_held_section_repeats_its_state() {
    let everything = |office: &mut Office| {
        office.ask(&status("X", SectionStatus::Cancelled));
        office.ask(&window(None, None));
    };
    let mut office = office_with(&[]);
    office.seat("ana", "X");
    let first = office.held("ana", "X").unwrap().clone();
    everything(&mut office);
    assert_eq!(office.told(&register("ana", "X")), "enrolled, as before");
    assert_eq!(office.told(&register_or_wait("ana", "X")), "enrolled, as before");
    assert_eq!(office.held("ana", "X"), Some(&first), "a repeated request is no new registration");

    let mut office = office_with(&[Code::SectionFull]);
    office.place("ana", "X");
    everything(&mut office);
    assert_eq!(office.told(&register("ana", "X")), "waitlisted 1, as before");
    assert_eq!(office.told(&register_or_wait("ana", "X")), "waitlisted 1, as before");
}

#[test]
fn a_double_click_takes_one_seat() {
    let mut office = Office::of([section("X").seats(2)]);
    office.seat("ana", "X");
    let again = office.decide(&register("ana", "X"));
    assert!(again.changes.is_empty() && again.changes.notices.is_empty(), "{again:?}");
    assert_eq!(office.numbers("X"), [2, 1, 0, 1]);
}

#[test]
fn an_unknown_section_is_not_found_in_any_window() {
    let mut office = Office::of([]);
    assert_eq!(office.told(&register("ana", "X")), "not found");
    office.ask(&window(None, None));
    assert_eq!(office.told(&register("ana", "X")), "not found");
}

#[test]
fn a_course_allows_a_lecture_and_a_lab_but_not_two_lectures() {
    let mut office = Office::of([
        section("L1").course("CHEM 101"),
        section("L2").course("CHEM 101"),
        section("LAB").course("CHEM 101").component("lab"),
    ]);
    office.seat("ana", "L1");
    assert_eq!(office.told(&register("ana", "LAB")), "enrolled, new");
    let refused = refusal(office.wish(&register("ana", "L2")));
    assert_eq!(refused, Refusal::AlreadyInCourse { conflicts_with: id("L1"), course: "CHEM 101".into() });
}

#[test]
fn a_time_conflict_lists_all_sections_in_registration_order() {
    let mut office = Office::of([
        section("B").monday(9, 10),
        section("A").monday(10, 11),
        section("FREE").monday(11, 12),
        section("X").monday(9, 11),
    ]);
    for taken in ["B", "FREE", "A"] {
        office.seat("ana", taken);
    }
    let refused = refusal(office.wish(&register("ana", "X")));
    assert_eq!(refused, Refusal::TimeConflict { conflicts_with: vec![id("B"), id("A")] });
    // Registered again, it comes last.
    office.wish(&drop_of("ana", "B"));
    office.seat("ana", "B");
    let refused = refusal(office.wish(&register("ana", "X")));
    assert_eq!(refused, Refusal::TimeConflict { conflicts_with: vec![id("A"), id("B")] });
}

#[test]
fn a_waitlist_position_counts_for_conflicts_not_credits() {
    let full = |number: &str| section(number).seats(0).credits(12_000);
    let mut office = Office::limited(
        Credits(12_000),
        [
            full("WAIT").course("MATH 151").monday(9, 11),
            full("WAIT2"),
            section("SAME").course("MATH 151"),
            section("CLASH").monday(10, 12),
            section("OTHER"),
        ],
    );
    office.place("ana", "WAIT");
    office.place("ana", "WAIT2");
    assert_eq!(office.told(&register("ana", "SAME")), "already_in_course");
    assert_eq!(office.told(&register("ana", "CLASH")), "time_conflict");
    assert_eq!(office.told(&register("ana", "OTHER")), "enrolled, new", "24 waitlisted credits do not count");
}

#[test]
fn the_credit_limit_can_be_reached_but_not_exceeded() {
    let table = [
        (12_000, 9_000, 3_000, None, "to the limit"),
        (12_000, 9_001, 3_000, Some((9_001, 12_001)), "a thousandth beyond"),
        (0, 90_000, 30_000, None, "no limit"),
        (12_000, 12_000, 0, None, "what has no credits adds none"),
    ];
    for (limit, held, wanted, refused, why) in table {
        let sections = [section("H").credits(held.min(12_000)), section("H2").credits(held - held.min(12_000))];
        let mut office = Office::limited(Credits(limit), sections.into_iter().chain([section("X").credits(wanted)]));
        if limit > 0 && held > limit {
            continue;
        }
        office.seat("ana", "H");
        office.seat("ana", "H2");
        let outcome = office.wish(&register("ana", "X"));
        match refused {
            None => assert_eq!(told(&outcome), "enrolled, new", "{why}"),
            Some((credits, sum)) => assert_eq!(
                refusal(outcome),
                Refusal::CreditLimit { credits: Credits(credits), wanted: Credits(sum), limit: Credits(limit) },
                "{why}"
            ),
        }
    }
}

#[test]
fn section_full_says_whether_the_waitlist_is_open() {
    let table = [
        (2, 0, Refusal::SectionFull { waitlist_open: true, waitlisted: 0 }),
        (2, 1, Refusal::SectionFull { waitlist_open: true, waitlisted: 1 }),
        (2, 2, Refusal::SectionFull { waitlist_open: false, waitlisted: 2 }),
        (0, 0, Refusal::SectionFull { waitlist_open: false, waitlisted: 0 }),
    ];
    for (places, taken, expected) in table {
        let mut office = Office::of([section("X").seats(0).line(places)]);
        for number in 0..taken {
            office.place(&format!("other{number}"), "X");
        }
        assert_eq!(refusal(office.wish(&register("ana", "X"))), expected);
        let waits = office.told(&register_or_wait("ana", "X"));
        if taken < places {
            assert_eq!(waits, format!("waitlisted {}, new", taken + 1));
        } else {
            assert_eq!(waits, "waitlist_full");
        }
    }
}

#[test]
fn a_shared_room_or_instructor_is_no_conflict() {
    let there = |s: &mut eduhub::domain::section::Section| {
        s.instructor = Some("Dr. Euler".into());
        for meeting in &mut s.meetings {
            meeting.location = Some("Hall 1".into());
        }
    };
    let mut office = Office::of([section("A").monday(9, 10).with(there), section("B").monday(10, 11).with(there)]);
    office.seat("ana", "A");
    assert_eq!(office.told(&register("ana", "B")), "enrolled, new", "adjacent meetings do not overlap");
}
