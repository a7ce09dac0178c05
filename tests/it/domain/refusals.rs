//! Refusals: the code of each reason, and which of several reasons is returned.

use eduhub::domain::refusal::{ClosedAction, Refusal, RefusalCode};
use eduhub::domain::section::{Credits, SectionStatus};
use eduhub::domain::student::{HeldAction, StudentFacts};

use strum::VariantArray;

use crate::college::{
    CLOSES, TestTerm, capacity, completed, drop_section, hold, id, in_groups, minute, refusal, register,
    register_or_wait, reply_in_words, section, state, status, window,
};

use RefusalCode as Code;

/// Returns a term in which exactly these reasons refuse `ana` the section `X`.
pub(crate) fn term_with(reasons: &[Code]) -> TestTerm {
    let has = |code| reasons.contains(&code);
    let waitlist_capacity = if has(Code::WaitlistFull) { 0 } else { 2 };
    let mut term = TestTerm::with_credit_limit(
        Credits(12_000),
        [
            section("X")
                .course("MATH 151")
                .monday(9, 11)
                .waitlist(waitlist_capacity)
                .requires(&["ART 1"])
                .linked(if has(Code::LinkedSectionRequired) { &["LAB"] } else { &[] })
                .only_for(if has(Code::Restricted) { "group: honors" } else { "not group: honors" })
                .with(|s| s.repeat_limit = Some(1)),
            section("LAB").component("lab").credits(0),
            section("SAME").course("MATH 151").credits(0),
            section("OVERLAP").monday(10, 12).credits(0),
            section("HEAVY").credits(10_000),
        ],
    );
    if has(Code::SectionFull) || has(Code::WaitlistFull) {
        term.run(&state("bob", in_groups(if has(Code::Restricted) { &["honors"] } else { &[] })));
        if has(Code::LinkedSectionRequired) {
            term.run(&capacity("LAB", 2));
            term.enroll("bob", "LAB");
        }
        term.enroll("bob", "X");
    }
    if has(Code::AlreadyInCourse) {
        term.enroll("ana", "SAME");
    }
    if has(Code::TimeConflict) {
        term.enroll("ana", "OVERLAP");
    }
    if has(Code::CreditLimit) {
        term.enroll("ana", "HEAVY");
    }
    let holds = if has(Code::Hold) { vec![hold("1", &[HeldAction::Register])] } else { Vec::new() };
    let mut courses = if has(Code::Prerequisite) { Vec::new() } else { vec![("ART 1", "C")] };
    courses.extend(has(Code::RepeatLimit).then_some(("MATH 151", "D")));
    let completed = completed(&courses);
    term.run(&state("ana", StudentFacts { holds, completed, ..StudentFacts::default() }));
    if has(Code::SectionClosed) {
        term.run(&status("X", SectionStatus::Closed));
    }
    if has(Code::SectionCancelled) {
        term.run(&status("X", SectionStatus::Cancelled));
    }
    if has(Code::RegistrationClosed) {
        term.run(&window(None, None));
    }
    term
}

/// Returns the reply to `ana`, who requests the section `X` in a term with these reasons for a refusal.
fn reply(reasons: &[Code], waitlist: bool) -> String {
    let command = if waitlist { register_or_wait("ana", "X") } else { register("ana", "X") };
    term_with(reasons).reply(&command)
}

#[test]
fn each_reason_alone_refuses_with_its_own_code() {
    for code in Code::VARIANTS {
        assert_eq!(reply(&[*code], *code == Code::WaitlistFull), code.as_str());
    }
}

#[test]
fn without_a_reason_registration_succeeds() {
    assert_eq!(reply(&[], false), "enrolled, new");
    assert_eq!(reply(&[], true), "enrolled, new", "a free seat is taken with `waitlist`, too");
}

#[test]
fn of_two_reasons_the_first_in_documented_order_is_returned() {
    // The order of `docs/SEMANTICS.md` (Refusals).
    let order = [
        Code::RegistrationClosed,
        Code::Hold,
        Code::SectionCancelled,
        Code::SectionClosed,
        Code::AlreadyInCourse,
        Code::RepeatLimit,
        Code::Prerequisite,
        Code::LinkedSectionRequired,
        Code::TimeConflict,
        Code::CreditLimit,
        Code::Restricted,
        Code::SectionFull,
    ];
    for (at, first) in order.iter().enumerate() {
        for second in &order[at + 1..] {
            if (*first, *second) == (Code::SectionCancelled, Code::SectionClosed) {
                continue; // A section has one status.
            }
            assert_eq!(reply(&[*first, *second], false), first.as_str(), "{first:?} and {second:?}");
        }
        // The credit limit does not apply to a waitlist position, but to the promotion from it.
        let expected = if *first == Code::CreditLimit { Code::WaitlistFull } else { *first };
        if *first != Code::SectionFull {
            assert_eq!(reply(&[*first, Code::WaitlistFull], true), expected.as_str(), "{first:?} and a full waitlist");
        }
    }
}

#[test]
fn of_all_reasons_the_first_that_remains_is_returned() {
    let mut reasons = vec![
        Code::RegistrationClosed,
        Code::Hold,
        Code::SectionClosed,
        Code::AlreadyInCourse,
        Code::RepeatLimit,
        Code::Prerequisite,
        Code::LinkedSectionRequired,
        Code::TimeConflict,
        Code::CreditLimit,
        Code::Restricted,
        Code::SectionFull,
    ];
    while !reasons.is_empty() {
        assert_eq!(reply(&reasons, false), reasons[0].as_str());
        reasons.remove(0);
    }
}

#[test]
fn the_window_includes_opens_at_and_excludes_closes_at() {
    let table = [
        (None, None, 5, false, "a term without opens_at is closed"),
        (None, Some(10), 5, false, "closes_at alone opens nothing"),
        (Some(5), None, 4, false, "before opens_at"),
        (Some(5), None, 5, true, "exactly at opens_at"),
        (Some(5), None, 9_999, true, "without closes_at, the term never closes"),
        (Some(5), Some(10), 9, true, "between opens_at and closes_at"),
        (Some(5), Some(10), 10, false, "exactly at closes_at"),
    ];
    for (opens, closes, now, open, why) in table {
        let mut term = TestTerm::of([section("X")]);
        term.run(&window(opens, closes));
        term.now = minute(now - 1); // The request comes a minute later.
        let reply = term.reply(&register("ana", "X"));
        assert_eq!(reply == "enrolled, new", open, "{why}: {reply}");
    }
}

#[test]
fn registration_closed_says_when_the_window_opens_and_closes() {
    let mut term = TestTerm::of([section("X")]);
    term.now = minute(CLOSES - 1); // The request comes a minute later.
    let refusal = refusal(term.request(&register("ana", "X")));
    let (opens_at, closes_at) = (Some(minute(0)), Some(minute(CLOSES)));
    assert_eq!(
        refusal,
        Refusal::RegistrationClosed { opens_at, closes_at, now: minute(CLOSES), what: ClosedAction::Register }
    );
}

#[test]
fn registering_again_repeats_the_state() {
    let cancel_and_close = |term: &mut TestTerm| {
        term.run(&status("X", SectionStatus::Cancelled));
        term.run(&window(None, None));
    };
    let mut term = term_with(&[]);
    term.enroll("ana", "X");
    let first = term.registration("ana", "X").unwrap().clone();
    cancel_and_close(&mut term);
    assert_eq!(term.reply(&register("ana", "X")), "enrolled, as before");
    assert_eq!(term.reply(&register_or_wait("ana", "X")), "enrolled, as before");
    assert_eq!(term.registration("ana", "X"), Some(&first), "a repeated request creates no new registration");

    let mut term = term_with(&[Code::SectionFull]);
    term.join_waitlist("ana", "X");
    cancel_and_close(&mut term);
    assert_eq!(term.reply(&register("ana", "X")), "waitlisted 1, as before");
    assert_eq!(term.reply(&register_or_wait("ana", "X")), "waitlisted 1, as before");
}

#[test]
fn a_double_click_takes_one_seat() {
    let mut term = TestTerm::of([section("X").seats(2)]);
    term.enroll("ana", "X");
    let again = term.decide(&register("ana", "X"));
    assert!(again.changes.is_empty() && again.changes.notices.is_empty(), "{again:?}");
    assert_eq!(term.numbers("X"), [2, 1, 0, 1]);
}

#[test]
fn an_unknown_section_is_not_found_whether_open_or_closed() {
    let mut term = TestTerm::of([]);
    assert_eq!(term.reply(&register("ana", "X")), "not found");
    term.run(&window(None, None));
    assert_eq!(term.reply(&register("ana", "X")), "not found");
}

#[test]
fn a_course_allows_a_lecture_and_a_lab_but_not_two_lectures() {
    let mut term = TestTerm::of([
        section("L1").course("CHEM 101"),
        section("L2").course("CHEM 101"),
        section("LAB").course("CHEM 101").component("lab"),
    ]);
    term.enroll("ana", "L1");
    assert_eq!(term.reply(&register("ana", "LAB")), "enrolled, new");
    let refused = refusal(term.request(&register("ana", "L2")));
    assert_eq!(refused, Refusal::AlreadyInCourse { conflicts_with: id("L1"), course: "CHEM 101".into() });
}

#[test]
fn a_time_conflict_lists_all_sections_in_registration_order() {
    let mut term = TestTerm::of([
        section("B").monday(9, 10),
        section("A").monday(10, 11),
        section("FREE").monday(11, 12),
        section("X").monday(9, 11),
    ]);
    for registered in ["B", "FREE", "A"] {
        term.enroll("ana", registered);
    }
    let refused = refusal(term.request(&register("ana", "X")));
    assert_eq!(refused, Refusal::TimeConflict { conflicts_with: vec![id("B"), id("A")] });
    // After a drop and a new registration, B is the last.
    term.request(&drop_section("ana", "B"));
    term.enroll("ana", "B");
    let refused = refusal(term.request(&register("ana", "X")));
    assert_eq!(refused, Refusal::TimeConflict { conflicts_with: vec![id("A"), id("B")] });
}

#[test]
fn a_waitlist_position_counts_for_conflicts_not_credits() {
    let full = |number: &str| section(number).seats(0).credits(12_000);
    let mut term = TestTerm::with_credit_limit(
        Credits(12_000),
        [
            full("WAIT").course("MATH 151").monday(9, 11),
            full("WAIT2"),
            section("SAME").course("MATH 151"),
            section("OVERLAP").monday(10, 12),
            section("OTHER"),
        ],
    );
    term.join_waitlist("ana", "WAIT");
    term.join_waitlist("ana", "WAIT2");
    assert_eq!(term.reply(&register("ana", "SAME")), "already_in_course");
    assert_eq!(term.reply(&register("ana", "OVERLAP")), "time_conflict");
    assert_eq!(term.reply(&register("ana", "OTHER")), "enrolled, new", "24 waitlisted credits do not count");
}

#[test]
fn the_credit_limit_can_be_reached_but_not_exceeded() {
    let table = [
        (12_000, 9_000, 3_000, None, "exactly the limit"),
        (12_000, 9_001, 3_000, Some((9_001, 12_001)), "a thousandth over the limit"),
        (0, 90_000, 30_000, None, "no limit"),
        (12_000, 12_000, 0, None, "a section without credits adds none"),
    ];
    for (limit, registered, added, total, why) in table {
        let sections =
            [section("H").credits(registered.min(12_000)), section("H2").credits(registered - registered.min(12_000))];
        let mut term =
            TestTerm::with_credit_limit(Credits(limit), sections.into_iter().chain([section("X").credits(added)]));
        if limit > 0 && registered > limit {
            continue;
        }
        term.enroll("ana", "H");
        term.enroll("ana", "H2");
        let outcome = term.request(&register("ana", "X"));
        match total {
            None => assert_eq!(reply_in_words(&outcome), "enrolled, new", "{why}"),
            Some((credits, total)) => assert_eq!(
                refusal(outcome),
                Refusal::CreditLimit { credits: Credits(credits), total: Credits(total), limit: Credits(limit) },
                "{why}"
            ),
        }
    }
}

#[test]
fn section_full_says_whether_the_waitlist_is_open() {
    let table = [
        (2, 0, Refusal::SectionFull { reserved: false, waitlist_open: true, waitlisted: 0 }),
        (2, 1, Refusal::SectionFull { reserved: false, waitlist_open: true, waitlisted: 1 }),
        (2, 2, Refusal::SectionFull { reserved: false, waitlist_open: false, waitlisted: 2 }),
        (0, 0, Refusal::SectionFull { reserved: false, waitlist_open: false, waitlisted: 0 }),
    ];
    for (waitlist_capacity, waitlisted, expected) in table {
        let mut term = TestTerm::of([section("X").seats(0).waitlist(waitlist_capacity)]);
        for number in 0..waitlisted {
            term.join_waitlist(&format!("other{number}"), "X");
        }
        assert_eq!(refusal(term.request(&register("ana", "X"))), expected);
        let reply = term.reply(&register_or_wait("ana", "X"));
        if waitlisted < waitlist_capacity {
            assert_eq!(reply, format!("waitlisted {}, new", waitlisted + 1));
        } else {
            assert_eq!(reply, "waitlist_full");
        }
    }
}

#[test]
fn a_shared_room_or_instructor_is_not_a_conflict() {
    let same_room_and_instructor = |s: &mut eduhub::domain::section::Section| {
        s.instructor = Some("Dr. Euler".into());
        for meeting in &mut s.meetings {
            meeting.location = Some("Hall 1".into());
        }
    };
    let mut term = TestTerm::of([
        section("A").monday(9, 10).with(same_room_and_instructor),
        section("B").monday(10, 11).with(same_room_and_instructor),
    ]);
    term.enroll("ana", "A");
    assert_eq!(term.reply(&register("ana", "B")), "enrolled, new", "adjacent meetings do not overlap");
}
