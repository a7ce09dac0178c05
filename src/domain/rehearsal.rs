//! Rehearsals of registration: all plans are registered against a copy of the term, with the decisions of real
//! requests. Nothing is stored or published.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::EnumString;

use crate::domain::book::TermBook;
use crate::domain::command::Command;
use crate::domain::decide::decide;
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, UserName};
use crate::domain::outcome::{Outcome, RequestOutcome};
use crate::domain::plan::PlannedSection;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::section::SectionState;
use crate::domain::student::StudentFacts;
use crate::domain::term::{Cutoffs, Term, Window};
use crate::domain::view::TermView;

/// A student with the part of the student's plan that is in the term.
pub type Plan = (UserName, Vec<PlannedSection>);

/// The order in which the students arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Order {
    /// In random order, all at the time at which the term opens. Windows are ignored.
    Random,
    /// Each student as soon as that student's window opens; in random order within a window.
    Windows,
}

/// A copy of a term in memory on which plans are tried.
#[derive(Debug)]
pub struct Rehearsal {
    book: TermBook,
    plans: Vec<Plan>,
    order: Order,
    now: Timestamp,
}

/// The result of one run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Run {
    /// For each section without open seats at the end: the number of students who had arrived when its last seat was
    /// taken; 0 for a planned section that was full before.
    pub fills: BTreeMap<Crn, usize>,
    /// The number of refusals by code.
    pub refusals: BTreeMap<RefusalCode, u64>,
    /// Students who got a seat for every section of their plans, in the section itself or in an alternate.
    pub complete: usize,
    /// Students who got no seat.
    pub nothing: usize,
}

impl Rehearsal {
    /// Prepares a rehearsal on a copy of a term. `now` is the earliest time of a decision.
    ///
    /// With `waitlist`, the students join the waitlist of every planned section that is full; otherwise, they do so
    /// only where their plans say so.
    #[must_use]
    pub fn new(mut book: TermBook, mut plans: Vec<Plan>, order: Order, waitlist: bool, now: Timestamp) -> Self {
        plans.iter_mut().flat_map(|(_, plan)| plan).for_each(|planned| planned.waitlist |= waitlist);
        if order == Order::Random {
            let term = open_term(book.term(), now);
            let students = plans.iter().map(|(student, _)| student);
            let facts =
                students.filter_map(|student| Some((student.clone(), Some(without_window(book.facts(student)?)?))));
            let facts = facts.collect();
            book.apply(&Changes { term: Some(term), facts, ..Changes::default() });
        }
        Self { book, plans, order, now }
    }

    /// Returns the number of students who arrive.
    #[must_use]
    pub fn students(&self) -> usize {
        self.plans.len()
    }

    /// Returns how many plans contain each section, without those that contain it as an alternate only.
    #[must_use]
    pub fn planned(&self) -> BTreeMap<&Crn, usize> {
        let mut planned = BTreeMap::new();
        for entry in self.plans.iter().flat_map(|(_, plan)| plan) {
            *planned.entry(&entry.section.crn).or_default() += 1;
        }
        planned
    }

    /// Returns the number of seats in a section that a student can take before anyone arrives.
    #[must_use]
    pub fn open_seats(&self, crn: &Crn) -> u32 {
        self.book.section(crn).map_or(0, SectionState::open_seats)
    }

    /// Returns the plans in the order in which their students arrive. The same seed gives the same order.
    #[must_use]
    pub fn arrivals(&self, seed: u32) -> Vec<&Plan> {
        let mut arrivals: Vec<&Plan> = shuffled(self.plans.len(), seed).into_iter().map(|at| &self.plans[at]).collect();
        if self.order == Order::Windows {
            arrivals.sort_by_key(|(student, _)| {
                let opens_at = self.window_of(student).opens_at;
                (opens_at.is_none(), opens_at)
            });
        }
        arrivals
    }

    fn window_of(&self, student: &UserName) -> Window {
        self.book.term().window_of(self.book.facts(student).map(|facts| &**facts))
    }

    /// Registers all plans once, each as `POST /api/v1/me/plan/register` does. Calls `proceed` before each student,
    /// with the number of those who have arrived; if it returns false, the run ends without a result.
    pub fn run(&self, seed: u32, mut proceed: impl FnMut(usize) -> bool) -> Option<Run> {
        let mut book = self.book.clone();
        let mut run = Run::default();
        let full =
            self.planned().into_keys().filter(|crn| self.book.section(crn).is_some() && self.open_seats(crn) == 0);
        run.fills.extend(full.map(|crn| (crn.clone(), 0)));
        for (before, (student, plan)) in self.arrivals(seed).into_iter().enumerate() {
            if !proceed(before) {
                return None;
            }
            let at = self.window_of(student).opens_at.map_or(self.now, |opens| opens.max(self.now));
            let command = Command::RegisterPlan { student: student.clone(), plan: plan.clone() };
            let decision = decide(&book, &command, at);
            for state in &decision.changes.sections {
                run.note_seats(state, before + 1);
            }
            book.apply(&decision.changes);
            let seats = run.note_outcome(&decision.outcome);
            run.complete += usize::from(seats == plan.len());
            run.nothing += usize::from(seats == 0);
        }
        Some(run)
    }
}

impl Run {
    /// Records whether a section has seats after a change. `arrived` is the number of students who have arrived.
    fn note_seats(&mut self, state: &SectionState, arrived: usize) {
        let crn = &state.section.id.crn;
        if state.open_seats() > 0 {
            self.fills.remove(crn);
        } else if !self.fills.contains_key(crn) {
            self.fills.insert(crn.clone(), arrived);
        }
    }

    /// Counts the results of a student, and returns in how many sections the student has a seat.
    fn note_outcome(&mut self, outcome: &Outcome) -> usize {
        let Outcome::Batch(results) = outcome else { return 0 };
        let mut seats = 0;
        for (_, result) in results {
            match result {
                RequestOutcome::Done(current) => seats += usize::from(current.status == RegistrationStatus::Enrolled),
                RequestOutcome::Refused(refusal) => *self.refusals.entry(refusal.code()).or_default() += 1,
                RequestOutcome::NotFound | RequestOutcome::SwapUndone { .. } | RequestOutcome::InChoices { .. } => {}
            }
        }
        seats
    }
}

/// Returns a term that is open for everyone from `now`, or from the time at which it opens if that is later.
fn open_term(term: &Term, now: Timestamp) -> Term {
    let opens_at = Some(term.opens_at.map_or(now, |opens| opens.max(now)));
    Term { opens_at, closes_at: None, windows: Vec::new(), cutoffs: Cutoffs::default(), ..term.clone() }
}

/// Returns facts about a student with the personal window removed; `None` if they contain no such window.
fn without_window(facts: &Arc<StudentFacts>) -> Option<Arc<StudentFacts>> {
    let has_window = facts.opens_at.is_some() || facts.closes_at.is_some();
    has_window.then(|| Arc::new(StudentFacts { opens_at: None, closes_at: None, ..(**facts).clone() }))
}

/// Returns the numbers below `len` in an order that depends on the seed alone, on every machine and in every version:
/// the Fisher–Yates shuffle with SplitMix64 (Steele, Lea and Flood, 2014).
#[must_use]
pub fn shuffled(len: usize, seed: u32) -> Vec<usize> {
    let mut state = u64::from(seed);
    let mut below = |bound: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Less than `bound`, which is a `usize`.
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or(0)
    };
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, below(last + 1));
    }
    order
}
