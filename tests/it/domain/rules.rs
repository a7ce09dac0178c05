//! The list of rules: which of them apply to a request, in which order, and which of them a staff override lifts.

use eduhub::domain::draft::Draft;
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::rules::{Goal, LiftedCodes, Request, first_refusal};
use eduhub::domain::section::SectionStatus;
use eduhub::domain::view::TermView;
use strum::VariantArray;

use super::refusals::term_with;
use crate::college::{TestTerm, crn, user};

use RefusalCode as Code;

/// Returns the code with which `ana` is refused the section `X`.
fn judged(term: &TestTerm, goal: Goal, lifted: &[Code]) -> Option<Code> {
    let draft = Draft::new(&term.book, term.now);
    let (student, section) = (user("ana"), term.book.section(&crn("X")).unwrap());
    let request = Request { student: &student, section, goal, companions: &[], replaced: &[] };
    first_refusal(&draft, &request, &lifted.iter().copied().collect()).map(|refusal| refusal.code())
}

#[test]
fn each_rule_applies_to_its_goals_only() {
    let table = [
        (Code::RegistrationClosed, [true, true, false]),
        (Code::Hold, [true, true, true]),
        (Code::SectionCancelled, [true, true, true]),
        (Code::SectionClosed, [true, true, false]),
        (Code::AlreadyInCourse, [true, true, true]),
        (Code::RepeatLimit, [true, true, true]),
        (Code::Prerequisite, [true, true, true]),
        (Code::LinkedSectionRequired, [true, true, true]),
        (Code::TimeConflict, [true, true, true]),
        (Code::CreditLimit, [true, false, true]),
        (Code::Restricted, [true, true, true]),
        (Code::SectionFull, [true, false, false]),
        (Code::WaitlistFull, [false, true, false]),
    ];
    assert_eq!(table.map(|(code, _)| code), Code::VARIANTS, "the table lists every code");
    for (code, applies) in table {
        let term = term_with(&[code]);
        // A section whose waitlist is full, or that is cancelled, has no open seat either.
        let lifted: &[Code] =
            if [Code::WaitlistFull, Code::SectionCancelled].contains(&code) { &[Code::SectionFull] } else { &[] };
        for (goal, applies) in [Goal::Seat, Goal::Position, Goal::Promotion].into_iter().zip(applies) {
            assert_eq!(judged(&term, goal, lifted), applies.then_some(code), "{code:?} for {goal:?}");
        }
    }
}

#[test]
fn lifting_a_code_reports_the_next_one_that_applies() {
    let table =
        [(Goal::Seat, vec![Code::SectionFull]), (Goal::Position, vec![Code::WaitlistFull]), (Goal::Promotion, vec![])];
    let all = [
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
        Code::WaitlistFull,
    ];
    let term = term_with(&all);
    for (goal, last_codes) in table {
        let mut expected = match goal {
            Goal::Seat => all[..10].to_vec(),
            Goal::Position => [&all[..8], &all[9..10]].concat(),
            Goal::Promotion => [&all[1..2], &all[3..10]].concat(),
        };
        expected.extend(last_codes);
        for (lifted, code) in expected.iter().enumerate() {
            assert_eq!(judged(&term, goal, &expected[..lifted]), Some(*code), "{goal:?}");
        }
        assert_eq!(judged(&term, goal, &expected), None, "{goal:?} with everything lifted");
    }
}

#[test]
fn lifting_a_code_lifts_no_other() {
    for code in Code::VARIANTS {
        let others: Vec<Code> = Code::VARIANTS.iter().filter(|other| *other != code).copied().collect();
        let goal = if *code == Code::WaitlistFull { Goal::Position } else { Goal::Seat };
        assert_eq!(judged(&term_with(&[*code]), goal, &others), Some(*code));
        assert_eq!(judged(&term_with(&[*code]), goal, Code::VARIANTS), None);
    }
}

#[test]
fn a_set_of_lifted_codes_contains_exactly_its_codes() {
    assert!(Code::VARIANTS.iter().all(|code| !LiftedCodes::NONE.contains(*code)));
    let lifted: LiftedCodes = [Code::SectionFull, Code::TimeConflict, Code::SectionFull].into_iter().collect();
    let contained: Vec<_> = Code::VARIANTS.iter().filter(|code| lifted.contains(**code)).collect();
    assert_eq!(contained, [&Code::TimeConflict, &Code::SectionFull]);
}

#[test]
fn lifting_section_closed_gives_access_to_its_free_seats() {
    let mut term = term_with(&[]);
    term.run(&crate::college::status("X", SectionStatus::Closed));
    assert_eq!(judged(&term, Goal::Seat, &[]), Some(Code::SectionClosed));
    assert_eq!(judged(&term, Goal::Seat, &[Code::SectionClosed]), None);
}
