//! Registrations with waitlist choices. Such a request is granted as a whole or not at all.

use crate::domain::attempt::Action;
use crate::domain::choices::{ChoiceField, WaitlistChoices};
use crate::domain::decide::request::{self, end, goal, grant_with, refused_by};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, SectionId, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::{ChoiceProblem, RequestOutcome};
use crate::domain::promotion::refusal_to_end;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Companion, Goal, LiftedCodes, Request, first_refusal};
use crate::domain::section::SectionState;

/// Registers a student for a section with waitlist choices. Returns the outcome and its section, which is an
/// alternative if the student got a seat in that alternative.
///
/// If all sections of a bundle have seats, or one of the alternatives has one, the student gets them at once. Otherwise
/// the student gets a waitlist position in each section. Registering again returns the current state, and accepts an
/// offer; the choices stay those that were made first.
pub(super) fn register(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    choices: &WaitlistChoices,
) -> (Crn, RequestOutcome) {
    if draft.section(crn).is_none() || is_registered(draft, student, crn) {
        return (crn.clone(), request::register(draft, student, crn, true));
    }
    let found = check(draft, student, choices).and_then(|()| sections_to_get(draft, student, crn, choices));
    let (crns, goal) = match found {
        Ok(found) => found,
        Err(outcome) => {
            let open = draft.section(crn).map(SectionState::open_seats);
            draft.note_request(student, crn, Action::Register, &outcome, open);
            return (crn.clone(), outcome);
        }
    };
    if let (Goal::Seat, Some(dropped)) = (goal, &choices.drop) {
        end(draft, student, dropped, Reason::Requested);
    }
    let mut granted = Vec::with_capacity(crns.len());
    for one in crns {
        let open = draft.section(&one).map(SectionState::open_seats);
        let choices = choices.seen_from(crn, &one);
        let outcome = grant_with(draft, student, &one, goal, Reason::Requested, choices);
        granted.push((one, outcome, open));
    }
    // The receipt of the request is that of the last attempt, so the requested section is the last one.
    for (one, outcome, open) in granted.iter().skip(1).chain(granted.first()) {
        draft.note_request(student, one, Action::Register, outcome, *open);
    }
    let first = granted.into_iter().next().map(|(crn, outcome, _)| (crn, outcome));
    first.unwrap_or_else(|| (crn.clone(), RequestOutcome::NotFound))
}

fn is_registered(draft: &Draft<'_>, student: &UserName, crn: &Crn) -> bool {
    draft.registration(student, crn).is_some_and(Registration::is_registered)
}

/// Checks that the other sections exist, that the student is not registered for them, and that the student is enrolled
/// in the section to drop.
fn check(draft: &Draft<'_>, student: &UserName, choices: &WaitlistChoices) -> Result<(), RequestOutcome> {
    let failed = |crn: &Crn, problem| Err(RequestOutcome::InChoices { crn: crn.clone(), problem });
    let with = choices.with.iter().map(|crn| (crn, ChoiceField::With));
    for (crn, field) in with.chain(choices.any_of.iter().map(|crn| (crn, ChoiceField::AnyOf))) {
        let Some(state) = draft.section(crn) else { return failed(crn, ChoiceProblem::NotFound(field)) };
        if is_registered(draft, student, crn) {
            let (conflicts_with, course): (SectionId, _) = (state.section.id.clone(), state.section.course.clone());
            return failed(crn, ChoiceProblem::Refused(Refusal::AlreadyInCourse { conflicts_with, course }));
        }
    }
    let is_enrolled =
        |crn: &Crn| draft.registration(student, crn).is_some_and(|held| held.status == RegistrationStatus::Enrolled);
    match &choices.drop {
        Some(crn) if !is_enrolled(crn) => failed(crn, ChoiceProblem::NotFound(ChoiceField::Drop)),
        Some(_) | None => Ok(()),
    }
}

/// Returns the sections that the student gets, the requested one first, and whether as seats or as positions.
fn sections_to_get(
    draft: &Draft<'_>,
    student: &UserName,
    crn: &Crn,
    choices: &WaitlistChoices,
) -> Result<(Vec<Crn>, Goal), RequestOutcome> {
    let refused = |(by, refusal)| refused_by(crn, by, refusal);
    let dropped = choices.drop.as_slice();
    let to_end = || refusal_to_end(draft, student, dropped, &LiftedCodes::NONE);
    let all = |list: &[Crn]| -> Vec<Crn> { std::iter::once(crn).chain(list).cloned().collect() };
    if choices.any_of.is_empty() {
        let set = all(&choices.with);
        let (goal, refusal) = judge(draft, student, &set, dropped);
        return refusal.or_else(to_end).map_or(Ok((set, goal)), |by| Err(refused(by)));
    }
    let alternatives = all(&choices.any_of);
    for alternative in &alternatives {
        let set = std::slice::from_ref(alternative);
        if let (Goal::Seat, refusal) = judge(draft, student, set, dropped) {
            return refusal.or_else(to_end).map_or(Ok((set.to_vec(), Goal::Seat)), |by| Err(refused(by)));
        }
    }
    let refusal = alternatives.iter().find_map(|one| judge(draft, student, std::slice::from_ref(one), dropped).1);
    refusal.or_else(to_end).map_or(Ok((alternatives, Goal::Position)), |by| Err(refused(by)))
}

/// Returns what the student gets in a set of sections, which is the same in all of them, and the first refusal with its
/// section.
fn judge(draft: &Draft<'_>, student: &UserName, set: &[Crn], replaced: &[Crn]) -> (Goal, Option<(Crn, Refusal)>) {
    let sections: Vec<&SectionState> = set.iter().filter_map(|crn| draft.section(crn)).collect();
    let lifted = |at: usize| draft.lifted(student, &sections[at].section);
    let companions = |of: usize, goal| -> Vec<Companion<'_>> {
        let others = sections.iter().enumerate().filter(|(at, _)| *at != of);
        others.map(|(at, section)| Companion { section, goal, is_earlier: at < of }).collect()
    };
    let facts = draft.facts(student).map(|facts| &**facts);
    let has_seat = |at: usize| {
        let companions = companions(at, Goal::Seat);
        let goal = goal(draft, student, sections[at], true, &lifted(at));
        let request = Request { student, section: sections[at], goal, companions: &companions, replaced };
        goal == Goal::Seat && (request.seats(facts) > 0 || lifted(at).contains(RefusalCode::SectionFull))
    };
    let goal = if (0..sections.len()).all(has_seat) { Goal::Seat } else { Goal::Position };
    let refusal = (0..sections.len()).find_map(|at| {
        let companions = companions(at, goal);
        let request = Request { student, section: sections[at], goal, companions: &companions, replaced };
        let refusal = first_refusal(draft, &request, &lifted(at))?;
        Some((sections[at].section.id.crn.clone(), refusal))
    });
    (goal, refusal)
}
