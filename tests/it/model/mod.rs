//! Generated histories, decided by the term in memory and by a naive model that was written from the contract alone.
//! Replies, notices and registrations must agree after each command.

pub(crate) mod history;
mod naive;
mod words;

use std::collections::BTreeMap;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::Command;
use eduhub::domain::decide::{Decision, decide};
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::registration::{Registration, Standing};
use eduhub::domain::section::{Credits, SectionState, SectionStatus};
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::college::{Make, Office, contents, counted, heard, minute, staged, term};
use history::{History, Step};
use naive::Naive;

/// Number of histories, of some dozens of commands each. They take half a minute without optimisation.
const HISTORIES: u32 = 2_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_agree_with_the_independent_model(history in history::any_history()) {
        play(history);
    }
}

/// Plays a history on both and compares them after each step.
fn play(history: History) {
    let limit = Credits(history.credit_limit);
    let mut naive = Naive::new(history.credit_limit, &term());
    let mut office = Office::limited(limit, []);
    let mut kept = Kept::new(limit);
    let catalogue = Step::Import { sections: history.catalogue, forced: true };
    for (number, step) in std::iter::once(catalogue).chain(history.steps).enumerate() {
        let command = match step {
            Step::Wait(minutes) => {
                office.now = office.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
                continue;
            }
            Step::Restart => {
                office.book = kept.book();
                Command::Settle
            }
            Step::Ask(command) => command,
            Step::Import { sections, forced } => {
                let sections = sections.into_iter().map(|(s, totals)| (Make(s), totals)).collect();
                Command::ApplyImport(std::sync::Arc::new(staged(&office.book, office.now, 1, forced, sections)))
            }
        };
        let before = office.book.clone();
        let decision = office.decide(&command);
        let expected = naive.ask(&command, office.now);
        let at = format!("step {number}, {command:?}");
        assert_eq!(words::answer_in_words(&decision.outcome), expected.answer, "the answer to {at}");
        assert_eq!(heard(&decision.changes.notices), expected.heard, "the notices of {at}");
        assert_eq!(everything(&office.book), naive.everything(), "the contents after {at}");
        for section in office.book.sections().map(|state| &*state.section) {
            assert_eq!(Some(section), naive.definition(section.id.crn.as_str()), "the definition after {at}");
        }
        kept.keep(&decision.changes);
        hold_the_promises(&before, &office.book, &decision, &command, office.now);
        assert!(contents(&office.book) == contents(&kept.book()), "memory and records differ after {at}");
    }
}

/// Checks on the term itself what the contract promises of every decision.
fn hold_the_promises(before: &TermBook, after: &TermBook, decision: &Decision, command: &Command, now: Timestamp) {
    let again = decide(before, command, now);
    assert_eq!((&again.outcome, &again.changes), (&decision.outcome, &decision.changes), "decided twice, differently");
    for state in after.sections() {
        let crn = &state.section.id.crn;
        assert_eq!((state.enrolled, state.waiting), counted(after, crn), "the numbers of {crn}");
        let was = before.section(crn).map_or(0, |s| s.enrolled);
        if state.enrolled > was {
            assert!(state.enrolled_total() <= state.section.capacity, "{crn} is oversold: {state:?}");
        }
        let line: Vec<u64> = after.waiting(crn).map(|(place, _)| *place).collect();
        assert!(line.is_sorted_by(|a, b| a < b), "the line of {crn} is in the order of joining");
        assert_eq!(line.len(), state.waiting as usize);
    }
    for (student, changed) in &decision.changes.registrations {
        if changed.is_held() && is_news(before, student, changed) {
            no_clash(after, student, changed);
        }
    }
}

/// Returns whether the student did not have this standing before.
fn is_news(before: &TermBook, student: &UserName, now: &Registration) -> bool {
    before.registrations(student).iter().all(|r| r.crn != now.crn || r.standing != now.standing)
}

/// Checks that a new seat or waitlist position clashes with no other registration of the student.
fn no_clash(book: &TermBook, student: &UserName, new: &Registration) {
    let counts = |crn: &Crn| book.section(crn).filter(|s| s.section.status != SectionStatus::Cancelled);
    let Some(this) = counts(&new.crn) else { return };
    let others = book.registrations(student).iter().filter(|r| r.is_held() && r.crn != new.crn);
    for other in others.filter_map(|r| counts(&r.crn)) {
        assert!(!naive::same_kind(&this.section, &other.section), "{student} has {} twice", this.section.course);
        assert!(!naive::meet_at_once(&this.section, &other.section), "{student} is in two places at once");
    }
}

/// What a store would have recorded, and the term that it would load.
struct Kept {
    limit: Credits,
    term: Term,
    sections: BTreeMap<Crn, SectionState>,
    registrations: BTreeMap<(UserName, Crn), Registration>,
}

impl Kept {
    fn new(limit: Credits) -> Self {
        Self { limit, term: term(), sections: BTreeMap::new(), registrations: BTreeMap::new() }
    }
    fn keep(&mut self, changes: &Changes) {
        if let Some(term) = &changes.term {
            self.term = term.clone();
        }
        for state in &changes.sections {
            self.sections.insert(state.section.id.crn.clone(), state.clone());
        }
        for (student, r) in &changes.registrations {
            self.registrations.insert((student.clone(), r.crn.clone()), r.clone());
        }
    }
    fn book(&self) -> TermBook {
        let mut book = TermBook::new(self.term.clone(), self.limit, self.sections.values().cloned(), 1);
        for ((student, _), r) in &self.registrations {
            book.restore(student.clone(), r.clone());
        }
        book
    }
}

/// Returns the contents of a term, as the naive model writes them.
fn everything(book: &TermBook) -> Vec<String> {
    let mut sections: Vec<_> = book.sections().collect();
    sections.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    let mut lines: Vec<String> = sections
        .iter()
        .map(|s| {
            let line: Vec<&str> = book.waiting(&s.section.id.crn).map(|(_, who)| who.as_str()).collect();
            let seats = [s.section.capacity, s.enrolled_total(), s.waitlisted_total(), s.open()];
            naive::section_in_words(s.section.id.crn.as_str(), seats, s.section.status.as_str(), &line)
        })
        .collect();
    let mut people: Vec<_> = book.students().collect();
    people.sort_by_key(|(who, _)| (*who).clone());
    for (who, held) in people {
        for r in held {
            let position = (r.standing == Standing::Waitlisted).then(|| {
                let ahead = book.waiting(&r.crn).take_while(|(place, _)| *place < r.place).count();
                ahead + 1 + book.section(&r.crn).unwrap().outside_waitlisted as usize
            });
            lines.push(format!("{who} {} {} {position:?} {}", r.crn, r.standing.as_str(), r.at));
        }
    }
    lines
}

#[test]
fn a_fixed_history_with_promotions_agrees_with_the_model() {
    // A fixed history, which proves that the comparison covers promotions.
    let ask = |command| Step::Ask(command);
    let section = crate::college::section("A").0;
    let steps = vec![
        ask(crate::college::register("ana", "A")),
        ask(crate::college::register_or_wait("bob", "A")),
        Step::Restart,
        ask(crate::college::window(None, None)),
        ask(crate::college::drop_of("ana", "A")),
        ask(crate::college::register("ana", "A")),
    ];
    play(History { credit_limit: 0, catalogue: vec![(section, None)], steps });
    assert!(minute(1) > minute(0));
}
