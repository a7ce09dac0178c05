//! The list of rules: which of them hold for what, in which order, and what a staff override lifts.

use eduhub::domain::draft::Draft;
use eduhub::domain::refusal::RefusalCode;
use eduhub::domain::rules::{Goal, Lifted, Request, judge};
use eduhub::domain::section::SectionStatus;
use eduhub::domain::view::TermView;
use strum::VariantArray;

use super::refusals::office_with;
use crate::college::{Office, crn, user};

use RefusalCode as Code;

/// The code with which `ana` is refused the section `X`.
fn judged(office: &Office, goal: Goal, lifted: &[Code]) -> Option<Code> {
    let draft = Draft::new(&office.book, office.now);
    let (student, section) = (user("ana"), office.book.section(&crn("X")).unwrap());
    let request = Request { student: &student, section, goal };
    judge(&draft, &request, &lifted.iter().copied().collect()).map(|refusal| refusal.code())
}

#[test]
fn each_rule_holds_for_its_goals() {
    let table = [
        (Code::RegistrationClosed, [true, true, false]),
        (Code::SectionCancelled, [true, true, false]),
        (Code::SectionClosed, [true, true, false]),
        (Code::AlreadyInCourse, [true, true, true]),
        (Code::TimeConflict, [true, true, true]),
        (Code::CreditLimit, [true, false, true]),
        (Code::SectionFull, [true, false, false]),
        (Code::WaitlistFull, [false, true, false]),
    ];
    assert_eq!(table.map(|(code, _)| code), Code::VARIANTS, "the table has every code");
    for (code, holds) in table {
        let office = office_with(&[code]);
        // A section whose waitlist is full, or that is cancelled, has no open seat either.
        let lifted: &[Code] =
            if [Code::WaitlistFull, Code::SectionCancelled].contains(&code) { &[Code::SectionFull] } else { &[] };
        for (goal, holds) in [Goal::Seat, Goal::Position, Goal::Promotion].into_iter().zip(holds) {
            assert_eq!(judged(&office, goal, lifted), holds.then_some(code), "{code:?} for {goal:?}");
        }
    }
}

#[test]
fn lifting_a_code_reports_the_next_one_that_applies() {
    let table =
        [(Goal::Seat, vec![Code::SectionFull]), (Goal::Position, vec![Code::WaitlistFull]), (Goal::Promotion, vec![])];
    let all = [
        Code::RegistrationClosed,
        Code::SectionClosed,
        Code::AlreadyInCourse,
        Code::TimeConflict,
        Code::CreditLimit,
        Code::WaitlistFull,
    ];
    let office = office_with(&all);
    for (goal, last) in table {
        let mut expected = match goal {
            Goal::Seat => all[..5].to_vec(),
            Goal::Position => all[..4].to_vec(),
            Goal::Promotion => all[2..5].to_vec(),
        };
        expected.extend(last);
        for (lifted, code) in expected.iter().enumerate() {
            assert_eq!(judged(&office, goal, &expected[..lifted]), Some(*code), "{goal:?}");
        }
        assert_eq!(judged(&office, goal, &expected), None, "{goal:?} with everything lifted");
    }
}

#[test]
fn a_lifted_code_lifts_no_other() {
    for code in Code::VARIANTS {
        let others: Vec<Code> = Code::VARIANTS.iter().filter(|other| *other != code).copied().collect();
        let goal = if *code == Code::WaitlistFull { Goal::Position } else { Goal::Seat };
        assert_eq!(judged(&office_with(&[*code]), goal, &others), Some(*code));
        assert_eq!(judged(&office_with(&[*code]), goal, Code::VARIANTS), None);
    }
}

#[test]
fn a_set_of_lifted_codes_contains_what_it_was_made_of() {
    assert!(Code::VARIANTS.iter().all(|code| !Lifted::NONE.contains(*code)));
    let lifted: Lifted = [Code::SectionFull, Code::TimeConflict, Code::SectionFull].into_iter().collect();
    let contained: Vec<_> = Code::VARIANTS.iter().filter(|code| lifted.contains(**code)).collect();
    assert_eq!(contained, [&Code::TimeConflict, &Code::SectionFull]);
}

#[test]
fn lifting_section_closed_opens_the_seats_that_a_closed_section_has() {
    let mut office = office_with(&[]);
    office.ask(&crate::college::status("X", SectionStatus::Closed));
    assert_eq!(judged(&office, Goal::Seat, &[]), Some(Code::SectionClosed));
    assert_eq!(judged(&office, Goal::Seat, &[Code::SectionClosed]), None);
}
