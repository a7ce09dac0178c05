//! Generated histories, decided by a term in memory and by a naive model that was written from `docs/SEMANTICS.md`
//! alone. Replies, notices and registrations must agree after each command.

mod attempts;
mod changes;
mod choices;
mod facts;
pub(crate) mod history;
mod naive;
mod offers;
mod order;
mod refusals;
mod seats;
mod simulation;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use eduhub::domain::book::TermBook;
use eduhub::domain::command::{Batch, Command};
use eduhub::domain::decide::{Decision, decide};
use eduhub::domain::draft::Changes;
use eduhub::domain::ids::{Crn, UserName};
use eduhub::domain::registration::{Registration, RegistrationStatus};
use eduhub::domain::section::{Credits, SectionState, SectionStatus};
use eduhub::domain::student::StudentFacts;
use eduhub::domain::term::Term;
use eduhub::domain::view::TermView;
use jiff::Timestamp;

use crate::college::{SectionBuilder, TestTerm, contents, counts_of, monday, notices_in_words, staged, term};
use history::{History, Step};
use naive::Naive;

/// Runs a history in the term and in the model and compares them after each step. Returns the number of steps.
fn play(history: History) -> u64 {
    let limit = Credits(history.credit_limit);
    let mut naive = Naive::new(history.credit_limit, &term());
    let mut term = TestTerm::with_credit_limit(limit, []);
    let mut records = Records::new(limit);
    let mut chain = attempts::Chain::default();
    let catalogue = Step::Import { sections: history.catalogue, forced: true };
    let steps = 1 + history.steps.len() as u64;
    for (number, step) in std::iter::once(catalogue).chain(history.steps).enumerate() {
        let command = match step {
            Step::Wait(minutes) => {
                term.now = term.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
                continue;
            }
            Step::Restart => {
                term.book = records.book();
                chain.restart();
                Command::Settle
            }
            Step::Run(command) => command,
            Step::Import { sections, forced } => {
                let sections = sections.into_iter().map(|(s, totals)| (SectionBuilder(s), totals)).collect();
                Command::ApplyImport(std::sync::Arc::new(staged(&term.book, term.now, 1, forced, sections)))
            }
        };
        let before = term.book.clone();
        let decision = term.decide(&command);
        let expected = naive.decide(&command, term.now);
        let at = format!("step {number}, {command:?}");
        assert_eq!(words::reply_in_words(&decision.outcome), expected.reply, "the reply to {at}");
        assert_eq!(notices_in_words(&decision.changes.notices), expected.notices, "the notices of {at}");
        chain.check(&command, &decision.attempts, &expected, term.now);
        assert_eq!(contents_in_words(&term.book), naive.contents_in_words(), "the contents after {at}");
        for section in term.book.sections().map(|state| &*state.section) {
            assert_eq!(Some(section), naive.definition(section.id.crn.as_str()), "the definition after {at}");
        }
        records.write(&decision.changes);
        assert_invariants(&before, &term.book, &decision, &command, term.now);
        assert!(contents(&term.book) == contents(&records.book()), "memory and records differ after {at}");
    }
    steps
}

/// Checks the hub's guarantees about every decision, without the model.
fn assert_invariants(before: &TermBook, after: &TermBook, decision: &Decision, command: &Command, now: Timestamp) {
    let again = decide(before, command, now);
    assert_eq!(
        (&again.outcome, &again.changes, &again.attempts),
        (&decision.outcome, &decision.changes, &decision.attempts),
        "the same decision twice differs"
    );
    // Due changes, such as the end of an offer, happen before the command. The command may then lower the capacity, or
    // make two sections of a student overlap.
    let settled = || {
        let mut settled = before.clone();
        settled.apply(&decide(before, &Command::Settle, now).changes);
        settled
    };
    for state in after.sections() {
        let crn = &state.section.id.crn;
        let counts = (state.enrolled, state.offered, state.waitlisted);
        assert_eq!(counts, counts_of(after, crn), "the counts of {crn}");
        let earlier = before.section(crn);
        if is_oversold(earlier, state) {
            let settled = settled();
            let due = settled.section(crn);
            let is_right = due.is_some_and(|due| !is_oversold(earlier, due) && !is_oversold(Some(due), state));
            assert!(is_right, "{crn} is oversold: {state:?}");
        }
        let queue_numbers: Vec<u64> = after.waitlist(crn).map(|entry| entry.queue_number).collect();
        assert!(queue_numbers.is_sorted_by(|a, b| a < b), "the waitlist of {crn} is in the order of its queue numbers");
        assert_eq!(queue_numbers.len(), state.waitlisted as usize);
    }
    offers::assert_ends_of_offers(before, after, decision, command, now);
    choices::assert_choices(before, after, decision, command);
    for (student, changed) in &decision.changes.registrations {
        if changed.is_registered() && is_new_status(before, student, changed) {
            let Some(conflict) = conflict(after, student, changed) else { continue };
            let settled = settled();
            let was_due = settled.registrations(student).contains(changed);
            assert!(was_due && self::conflict(&settled, student, changed).is_none(), "{conflict}");
        }
    }
}

/// Returns whether the hub gave out more seats of a section than the section has.
fn is_oversold(before: Option<&SectionState>, after: &SectionState) -> bool {
    let taken = |state: &SectionState| state.enrolled + state.offered;
    taken(after) > before.map_or(0, taken) && after.taken_total() > after.section.capacity
}

/// Returns whether the student did not have this status before.
fn is_new_status(before: &TermBook, student: &UserName, changed: &Registration) -> bool {
    before.registrations(student).iter().all(|r| r.crn != changed.crn || r.status != changed.status)
}

/// Returns the conflict of a new seat or waitlist position with another registration of the student, if there is one.
fn conflict(book: &TermBook, student: &UserName, new: &Registration) -> Option<String> {
    let active_section = |crn: &Crn| book.section(crn).filter(|s| s.section.status != SectionStatus::Cancelled);
    let this = &active_section(&new.crn)?.section;
    let others = book.registrations(student).iter().filter(|r| r.is_registered() && r.crn != new.crn);
    // A section that the student gives up for the seat does not count while the student waits for the seat.
    let mut others = others.filter(|r| !new.replaces(&r.crn)).filter_map(|r| active_section(&r.crn));
    others.find_map(|other| {
        if naive::same_course_and_component(this, &other.section) {
            return Some(format!("{student} has {} twice", this.course));
        }
        naive::overlap(this, &other.section).then(|| format!("{student} has two sections at the same time"))
    })
}

/// The rows that a store would hold, from which it would load the term.
struct Records {
    limit: Credits,
    term: Term,
    sections: BTreeMap<Crn, SectionState>,
    registrations: BTreeMap<(UserName, Crn), Registration>,
    facts: BTreeMap<UserName, Arc<StudentFacts>>,
}

impl Records {
    fn new(limit: Credits) -> Self {
        let (sections, registrations, facts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { limit, term: term(), sections, registrations, facts }
    }
    fn write(&mut self, changes: &Changes) {
        if let Some(term) = &changes.term {
            self.term = term.clone();
        }
        for state in &changes.sections {
            self.sections.insert(state.section.id.crn.clone(), state.clone());
        }
        for (student, r) in &changes.registrations {
            self.registrations.insert((student.clone(), r.crn.clone()), r.clone());
        }
        for (student, facts) in &changes.facts {
            match facts {
                Some(facts) => _ = self.facts.insert(student.clone(), facts.clone()),
                None => _ = self.facts.remove(student),
            }
        }
    }
    fn book(&self) -> TermBook {
        let mut book = TermBook::new(self.term.clone(), self.limit, self.sections.values().cloned(), 1);
        for ((student, _), r) in &self.registrations {
            book.restore(student.clone(), r.clone());
        }
        for (student, facts) in &self.facts {
            book.restore_facts(student.clone(), facts.clone());
        }
        book
    }
}

/// Returns the contents of a term in the words of the naive model.
fn contents_in_words(book: &TermBook) -> Vec<String> {
    let mut sections: Vec<_> = book.sections().collect();
    sections.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    let mut lines: Vec<String> = sections
        .iter()
        .map(|s| {
            let waitlist: Vec<&str> = book.waitlist(&s.section.id.crn).map(|entry| entry.student.as_str()).collect();
            let seats = [s.section.capacity, s.taken_total(), s.waitlisted_total(), s.open_seats()];
            naive::section_in_words(s.section.id.crn.as_str(), seats, s.section.status.as_str(), &waitlist)
        })
        .collect();
    let mut students: Vec<_> = book.students().collect();
    students.sort_by_key(|(student, _)| (*student).clone());
    for (student, registrations) in students {
        for r in registrations {
            let position = (r.status == RegistrationStatus::Waitlisted).then(|| {
                let ahead = book.waitlist(&r.crn).take_while(|entry| entry.queue_number < r.queue_number).count();
                ahead + 1 + book.section(&r.crn).unwrap().outside_waitlisted as usize
            });
            let offer = r.offer.map(|offer| (offer.expires_at, offer.remind_at));
            let (status, choices) = (r.status.as_str(), choices::choices_in_words(r));
            lines.push(format!("{student} {} {status} {position:?} {} {offer:?} {choices}", r.crn, r.at));
        }
    }
    lines
}

#[test]
fn a_fixed_history_with_promotions_agrees_with_the_model() {
    let run = |command| Step::Run(command);
    let section = crate::college::section("A").0;
    let steps = vec![
        run(crate::college::register("ana", "A")),
        run(crate::college::register_or_wait("bob", "A")),
        Step::Restart,
        run(crate::college::window(None, None)),
        run(crate::college::drop_section("ana", "A")),
        run(crate::college::register("ana", "A")),
    ];
    play(History { credit_limit: 0, catalogue: vec![(section, None)], steps });
}

#[test]
fn an_import_with_reordered_meetings_agrees_with_the_model() {
    let section = crate::college::section("A").with(|s| s.meetings = vec![monday(10, 11), monday(13, 14)]);
    let catalogue = vec![(section.0.clone(), None)];
    let section = section.with(|s| s.meetings.reverse()).0;
    let import = Step::Import { sections: vec![(section, Some((1, 0)))], forced: true };
    play(History { credit_limit: 0, catalogue, steps: vec![import] });
}

#[test]
fn a_patch_without_changes_agrees_with_the_model() {
    let lecture = crate::college::section("LEC").linked(&["LAB"]).0;
    let lab = crate::college::section("LAB").seats(0).0;
    let both = Batch { waitlist: true, swap: true, ..crate::college::batch("ana", &["LEC", "LAB"], &[]) };
    let steps = vec![
        Step::Run(Command::Batch(both)),
        Step::Run(crate::college::patch("LEC", |_| {})),
        Step::Run(crate::college::capacity("LEC", 2)),
    ];
    play(History { credit_limit: 0, catalogue: vec![(lecture, None), (lab, None)], steps });
}

#[test]
fn a_restart_beside_a_free_seat_agrees_with_the_model() {
    let lecture = crate::college::section("LEC").component("lecture").linked(&["LAB"]).0;
    let lab = crate::college::section("LAB").component("lab").seats(0).0;
    let both = Batch { waitlist: true, ..crate::college::batch("ana", &["LEC", "LAB"], &[]) };
    let steps = vec![Step::Run(Command::Batch(both)), Step::Restart, Step::Restart];
    play(History { credit_limit: 0, catalogue: vec![(lecture, None), (lab, None)], steps });
}
