//! Sections in which a student on waitlists gets seats together, and the sections that the student leaves then.

use crate::domain::choices::WaitlistChoices;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::linked::{SET_LEN_MAX, belong_together};
use crate::domain::pool::pool_key;
use crate::domain::refusal::Refusal;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Companion, Goal, LiftedCodes, Request, first_refusal, refusal_of_drop};
use crate::domain::section::SectionState;

/// Returns the sections that a student leaves on getting seats in `set`: the alternatives to them, and those that the
/// student chose to drop.
pub(super) fn replaced(draft: &Draft<'_>, student: &UserName, set: &[Crn]) -> Vec<Crn> {
    let choices = |crn| draft.registration(student, crn).and_then(|registration| registration.choices.as_deref());
    let all = set.iter().filter_map(choices).flat_map(|choices| choices.any_of.iter().chain(&choices.drop));
    let mut ends = Vec::new();
    for crn in all {
        let is_held = || draft.registration(student, crn).is_some_and(Registration::is_registered);
        if !set.contains(crn) && !ends.contains(crn) && is_held() {
            ends.push(crn.clone());
        }
    }
    ends
}

/// Returns why a student cannot get seats in all sections of `set`, with the section that refuses it: the first refusal
/// by the rules of registration, otherwise the first refusal to drop a section that the student leaves.
pub(super) fn refusal_of_set(
    draft: &Draft<'_>,
    student: &UserName,
    set: &[Crn],
    lifted: &LiftedCodes,
) -> Option<(Crn, Refusal)> {
    let ends = replaced(draft, student, set);
    let refused = in_set(draft, student, set, &ends, |request| {
        let section = &request.section.section;
        let refusal = first_refusal(draft, request, &draft.lifted(student, section).and(lifted))?;
        Some((section.id.crn.clone(), refusal))
    });
    refused.or_else(|| refusal_to_end(draft, student, &ends, lifted))
}

/// Returns the first refusal to drop one of the sections that the student leaves (`ends`).
pub(super) fn refusal_to_end(
    draft: &Draft<'_>,
    student: &UserName,
    ends: &[Crn],
    lifted: &LiftedCodes,
) -> Option<(Crn, Refusal)> {
    ends.iter().find_map(|crn| {
        let refusal = refusal_of_drop(draft, student, draft.registration(student, crn)?, lifted)?;
        Some((crn.clone(), refusal))
    })
}

/// Returns whether a section of `set` has no seat for a student who takes seats in the sections before it.
pub(super) fn lacks_seat(draft: &Draft<'_>, student: &UserName, set: &[Crn]) -> bool {
    let facts = draft.facts(student).map(|facts| &**facts);
    in_set(draft, student, set, &[], |request| (request.seats(facts) == 0).then_some(())).is_some()
}

/// Calls `judge` with a request for each section of a set, in order, until it returns a value.
fn in_set<T>(
    draft: &Draft<'_>,
    student: &UserName,
    set: &[Crn],
    replaced: &[Crn],
    judge: impl Fn(&Request<'_>) -> Option<T>,
) -> Option<T> {
    let sections: Vec<&SectionState> = set.iter().filter_map(|crn| draft.section(crn)).collect();
    sections.iter().enumerate().find_map(|(at, section)| {
        let others = sections.iter().enumerate().filter(|(other, _)| *other != at);
        let companions: Vec<Companion<'_>> = others
            .map(|(other, section)| Companion { section, goal: Goal::Promotion, is_earlier: other < at })
            .collect();
        judge(&Request { student, section, goal: Goal::Promotion, companions: &companions, replaced })
    })
}

/// Returns a section and the others of its bundle in which the student has the same status.
pub(super) fn bundle(draft: &Draft<'_>, student: &UserName, of: &Registration) -> Vec<Crn> {
    let is_same =
        |crn: &&Crn| draft.registration(student, crn).is_some_and(|registration| registration.status == of.status);
    std::iter::once(&of.crn).chain(of.bundle().iter().filter(is_same)).cloned().collect()
}

/// Returns a section together with those that belong to it, in which the student has the same status, and that
/// `is_candidate` accepts. Sections of bundles, and alternatives to another section of the set, are left out. `None` if
/// there are no others.
pub(super) fn linked_set(
    draft: &Draft<'_>,
    student: &UserName,
    of: &Registration,
    is_candidate: impl Fn(&SectionState) -> bool,
) -> Option<Vec<Crn>> {
    let section = draft.section(&of.crn)?;
    let mut set = vec![of.crn.clone()];
    for other in draft.registrations(student).iter().filter(|other| other.status == of.status && other.crn != of.crn) {
        let is_alternative =
            |choices: &WaitlistChoices| choices.any_of.iter().any(|alternative| set.contains(alternative));
        if set.len() == SET_LEN_MAX
            || !other.bundle().is_empty()
            || other.choices.as_deref().is_some_and(is_alternative)
            || is_offered_alternative(draft, student, other)
        {
            continue;
        }
        let belongs = |state: &&SectionState| belong_together(&section.section, &state.section) && is_candidate(state);
        if draft.section(&other.crn).filter(belongs).is_some() {
            set.push(other.crn.clone());
        }
    }
    (set.len() > 1).then_some(set)
}

/// Returns whether the student is offered a seat in an alternative to a section. A second offer would keep a seat from
/// other students.
pub(super) fn is_offered_alternative(draft: &Draft<'_>, student: &UserName, of: &Registration) -> bool {
    let is_offered =
        |crn: &Crn| draft.registration(student, crn).is_some_and(|other| other.status == RegistrationStatus::Offered);
    of.choices.as_ref().is_some_and(|choices| choices.any_of.iter().any(is_offered))
}

/// Returns whether a section has a seat for a student on its waitlist even if each student ahead takes one. If the
/// section shares a pool of seats, the students ahead on the waitlists of all its sections count.
pub(super) fn has_seat_behind_others(draft: &Draft<'_>, student: &UserName, crn: &Crn) -> bool {
    let (Some(section), Some(own)) = (draft.section(crn), draft.registration(student, crn)) else { return false };
    let ahead = |crn: &Crn| draft.waitlist(crn).take_while(|entry| entry.queue_number < own.queue_number).count();
    let ahead: usize = match section.pool.as_ref().and_then(|_| pool_key(section)) {
        Some(key) => draft.sections_of_pool(&key).iter().map(ahead).sum(),
        None => ahead(crn),
    };
    section.seats_for(draft.facts(student).map(|facts| &**facts)) as usize > ahead
}
