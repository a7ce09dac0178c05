//! What is wrong with a plan as a whole: planned sections that exclude or require each other, and credits.
//!
//! Each rule evaluates a planned section with the others as companions. Only one rule is evaluated at a time, so that a
//! hold or a full section does not hide that two planned sections overlap.

use jiff::Timestamp;

use crate::domain::decide::plan::all_but;
use crate::domain::decide::request::goal;
use crate::domain::draft::Draft;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::plan::{PlanProblem, PlannedSection};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Companion, Goal, Request, first_refusal, refusals};
use crate::domain::section::{Credits, SectionState};
use crate::domain::view::TermView;

/// Returns the refusals of a planned section by all rules, as if the student took the rest of the plan, too.
pub(super) fn refusals_alone(
    draft: &Draft<'_>,
    student: &UserName,
    planned: &PlannedSection,
    plan: &[PlannedSection],
) -> Vec<Refusal> {
    let Some(section) = draft.section(&planned.section.crn) else { return Vec::new() };
    let others = plan.iter().filter(|other| other.section != planned.section);
    let others = others.filter_map(|other| draft.section(&other.section.crn)).filter(|other| !other.is_cancelled());
    let companions: Vec<Companion<'_>> =
        others.map(|section| Companion { section, goal: Goal::Seat, is_earlier: false }).collect();
    let lifted = draft.lifted(student, &section.section);
    let goal = goal(draft, student, section, planned.waitlist, &lifted);
    refusals(draft, &Request { student, section, goal, companions: &companions, replaced: &[] }, &lifted)
}

/// Returns what is wrong with a plan as a whole.
pub(super) fn problems(
    view: &dyn TermView,
    at: Timestamp,
    student: &UserName,
    plan: &[PlannedSection],
) -> Vec<PlanProblem> {
    let draft = Draft::new(view, at);
    let is_registered = |id: &SectionId| draft.registration(student, &id.crn).is_some_and(Registration::is_registered);
    let planned = plan.iter().map(|planned| &planned.section).filter(|id| !is_registered(id));
    let planned = planned.filter_map(|id| draft.section(&id.crn)).filter(|section| !section.is_cancelled());
    let whole = Whole { draft: &draft, student, sections: planned.collect() };
    let mut problems: Vec<PlanProblem> = whole.closed().into_iter().collect();
    problems.extend(whole.excluding(RefusalCode::AlreadyInCourse));
    problems.extend(whole.missing());
    problems.extend(whole.excluding(RefusalCode::TimeConflict));
    problems.extend(whole.credit_limit());
    problems.extend(whole.credit_min());
    problems
}

/// The sections of a plan that exist, are not cancelled, and for which the student is not registered yet.
struct Whole<'d> {
    draft: &'d Draft<'d>,
    student: &'d UserName,
    sections: Vec<&'d SectionState>,
}

impl Whole<'_> {
    /// Returns the refusal of the section `at` by one rule. The companions are the other sections; `is_earlier` returns
    /// whether one of them is taken before it.
    fn refusal(&self, at: usize, code: RefusalCode, is_earlier: impl Fn(usize) -> bool) -> Option<Refusal> {
        let others = self.sections.iter().enumerate().filter(|(other, _)| *other != at);
        let companions: Vec<Companion<'_>> = others
            .map(|(other, section)| Companion { section, goal: Goal::Seat, is_earlier: is_earlier(other) })
            .collect();
        let section = self.sections[at];
        let lifted = all_but(code).and(&self.draft.lifted(self.student, &section.section));
        let request =
            Request { student: self.student, section, goal: Goal::Seat, companions: &companions, replaced: &[] };
        first_refusal(self.draft, &request, &lifted)
    }

    /// Returns a problem if registration has ended for the student. A term without an opening time, or one that opens
    /// later, is not a problem.
    fn closed(&self) -> Option<PlanProblem> {
        let refusal = (!self.sections.is_empty()).then(|| self.refusal(0, RefusalCode::RegistrationClosed, |_| false));
        match refusal.flatten()? {
            Refusal::RegistrationClosed { opens_at: None, .. } => None,
            refusal => Some(PlanProblem::Closed(refusal)),
        }
    }

    /// Returns a problem for each section that excludes earlier ones of the plan.
    fn excluding(&self, code: RefusalCode) -> impl Iterator<Item = PlanProblem> {
        (0..self.sections.len()).filter_map(move |at| {
            let refusal = self.refusal(at, code, |other| other < at)?;
            let excluded = refusal.conflicting();
            let earlier = self.sections[..at].iter().map(|section| &section.section.id);
            let mut sections: Vec<SectionId> = earlier.filter(|id| excluded.contains(id)).cloned().collect();
            if sections.is_empty() {
                return None;
            }
            sections.push(self.sections[at].section.id.clone());
            Some(PlanProblem::Between { sections, refusal })
        })
    }

    /// Returns a problem for each section that requires a linked one that is neither in the plan nor among the
    /// student's sections.
    fn missing(&self) -> impl Iterator<Item = PlanProblem> {
        (0..self.sections.len()).filter_map(|at| {
            let refusal = self.refusal(at, RefusalCode::LinkedSectionRequired, |_| false)?;
            Some(PlanProblem::Between { sections: vec![self.sections[at].section.id.clone()], refusal })
        })
    }

    /// Returns a problem if all sections together have too many credits.
    fn credit_limit(&self) -> Option<PlanProblem> {
        let last = self.sections.iter().rposition(|section| section.section.credits > Credits::default())?;
        let refusal = self.refusal(last, RefusalCode::CreditLimit, |_| true)?;
        let counted = self.sections.iter().filter(|section| section.section.credits > Credits::default());
        let sections = counted.map(|section| section.section.id.clone()).collect();
        Some(PlanProblem::Between { sections, refusal })
    }

    /// Returns a problem if the student would have fewer credits than the college requires.
    fn credit_min(&self) -> Option<PlanProblem> {
        let least = self.draft.facts(self.student)?.credit_min?;
        let registrations = self.draft.registrations(self.student).iter();
        let enrolled = registrations.filter(|registration| registration.status == RegistrationStatus::Enrolled);
        let enrolled = enrolled.filter_map(|registration| self.draft.section(&registration.crn));
        let sections = self.sections.iter().copied().chain(enrolled);
        let credits = sections.fold(0, |sum: u32, section| sum.saturating_add(section.counted_credits().0));
        (credits < least.0).then_some(PlanProblem::CreditMin { credits: Credits(credits), least })
    }
}
