//! Requests by students, and by staff on their behalf: registrations, drops and batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::attempt::{Action, AttemptResult, Decided};
use crate::domain::choices::WaitlistChoices;
use crate::domain::command::{Batch, StaffRequest};
use crate::domain::decide::set::{self, Add};
use crate::domain::decide::{choices, offer};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::{ChoiceProblem, CurrentRegistration, RequestOutcome};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Goal, LiftedCodes, Request, first_refusal, refusal_of_drop};
use crate::domain::section::SectionState;
use crate::domain::waitlist::settle_queued;

/// The outcome of each request of a batch, adds before drops.
pub(super) type Results = Vec<(Crn, RequestOutcome)>;

/// Registers a student for a section: for a seat if one is open, otherwise for a waitlist position if `waitlist` is
/// set.
///
/// Registering again for the same section returns its current state; no rule is evaluated. If a seat is offered to the
/// student, this accepts it.
pub(super) fn register(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, waitlist: bool) -> RequestOutcome {
    register_as(draft, student, crn, waitlist, &LiftedCodes::NONE, Reason::Requested)
}

/// Registers a student as [`register`] does, without the rules of the lifted codes.
fn register_as(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    waitlist: bool,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let open = draft.section(crn).map(SectionState::open_seats);
    let outcome = decide_register(draft, student, crn, waitlist, lifted, reason);
    draft.note_request(student, crn, Action::Register, &outcome, open);
    outcome
}

fn decide_register(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    waitlist: bool,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let Some(section) = draft.section(crn) else { return RequestOutcome::NotFound };
    if let Some(current) = draft.registration(student, crn).filter(|r| r.is_registered()) {
        if current.status == RegistrationStatus::Offered {
            let offered = current.clone();
            return offer::accept(draft, student, &offered, lifted, reason);
        }
        return granted(draft, current, false);
    }
    let lifted = draft.lifted(student, &section.section).and(lifted);
    let goal = goal(draft, student, section, waitlist, &lifted);
    let request = Request { student, section, goal, companions: &[], replaced: &[] };
    if let Some(refusal) = first_refusal(draft, &request, &lifted) {
        return RequestOutcome::Refused(refusal);
    }
    grant(draft, student, crn, goal, reason)
}

/// Decides a request by staff on a student's behalf. `Err` means that the request was not granted, and that the caller
/// must discard the draft, except its [`undone_attempts`].
pub(super) fn for_student(draft: &mut Draft<'_>, request: &StaffRequest) -> Result<RequestOutcome, RequestOutcome> {
    let StaffRequest { student, drop, add, waitlist, lifted } = request;
    let mut outcome = RequestOutcome::NotFound;
    if let Some(crn) = drop {
        if add.is_some() && !draft.registration(student, crn).is_some_and(Registration::is_registered) {
            let open = draft.section(crn).map(SectionState::open_seats);
            draft.note_request(student, crn, Action::Drop, &outcome, open);
            return Err(outcome);
        }
        outcome = drop_as(draft, student, crn, lifted, Reason::ByStaff);
        if !matches!(outcome, RequestOutcome::Done(_)) {
            return Err(outcome);
        }
    }
    if let Some(crn) = add {
        outcome = register_as(draft, student, crn, *waitlist, lifted, Reason::ByStaff);
        if !matches!(outcome, RequestOutcome::Done(_)) {
            return Err(outcome);
        }
    }
    Ok(outcome)
}

/// Returns what a student gets in a section if no rule refuses it. A student for whom `section_full` is lifted gets a
/// seat in a full section.
pub(super) fn goal(
    draft: &Draft<'_>,
    student: &UserName,
    section: &SectionState,
    waitlist: bool,
    lifted: &LiftedCodes,
) -> Goal {
    let facts = draft.facts(student).map(|facts| &**facts);
    let has_seat = || section.seats_for(facts) > 0 || lifted.contains(RefusalCode::SectionFull);
    if !waitlist || has_seat() { Goal::Seat } else { Goal::Position }
}

/// Gives a student a seat or a waitlist position.
pub(super) fn grant(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    goal: Goal,
    reason: Reason,
) -> RequestOutcome {
    grant_with(draft, student, crn, goal, reason, None)
}

/// Gives a student a seat, or a waitlist position with choices.
pub(super) fn grant_with(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    goal: Goal,
    reason: Reason,
    choices: Option<WaitlistChoices>,
) -> RequestOutcome {
    let (status, queue_number) = match goal {
        Goal::Seat | Goal::Promotion => (RegistrationStatus::Enrolled, 0),
        Goal::Position => (RegistrationStatus::Waitlisted, draft.take_queue_number(student)),
    };
    let facts = draft.facts(student).map(|facts| &**facts);
    let reserved_for = match status {
        RegistrationStatus::Enrolled => draft.section(crn).and_then(|section| section.reserved_group(facts)),
        RegistrationStatus::Offered | RegistrationStatus::Waitlisted | RegistrationStatus::Dropped => None,
    };
    let (crn, at) = (crn.clone(), draft.now);
    let choices = choices.filter(|_| status == RegistrationStatus::Waitlisted).map(Arc::new);
    let (passed_over_for, offer) = (None, None);
    let registration = Registration { crn, status, queue_number, at, passed_over_for, reserved_for, offer, choices };
    draft.put_registration(student, registration.clone(), reason);
    granted(draft, &registration, true)
}

/// Drops a seat or a waitlist position, or declines an offer.
///
/// No rule applies to a drop, so it is also possible outside the registration window; only a hold that blocks drops,
/// or a deadline to drop that has passed, prevents the drop of a seat. A repeated drop returns the state of the first;
/// dropping a section for which the student never registered returns [`RequestOutcome::NotFound`]. A bundle of waitlist
/// positions or offers ends as a whole, unless staff drop one of its sections.
pub(super) fn drop_section(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) -> RequestOutcome {
    drop_as(draft, student, crn, &LiftedCodes::NONE, Reason::Requested)
}

fn drop_as(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let open = draft.section(crn).map(SectionState::open_seats);
    let outcome = decide_drop(draft, student, crn, lifted, reason);
    draft.note_request(student, crn, Action::Drop, &outcome, open);
    outcome
}

fn decide_drop(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let Some(before) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    if !before.is_registered() {
        return granted(draft, &before, false);
    }
    if let Some(refusal) = refusal_of_drop(draft, student, &before, lifted) {
        return RequestOutcome::Refused(refusal);
    }
    if reason == Reason::Requested {
        before.bundle().iter().for_each(|other| end(draft, student, other, reason));
    }
    let after = Registration::dropped(crn.clone(), draft.now);
    draft.put_registration(student, after.clone(), reason);
    granted(draft, &after, true)
}

/// Ends another registration of the student as part of a request.
pub(super) fn end(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, reason: Reason) {
    let open = draft.section(crn).map(SectionState::open_seats);
    let after = Registration::dropped(crn.clone(), draft.now);
    draft.put_registration(student, after.clone(), reason);
    let outcome = granted(draft, &after, true);
    draft.note_request(student, crn, Action::Drop, &outcome, open);
}

/// Returns the outcome of a request for `crn` that the section `by` refuses.
pub(super) fn refused_by(crn: &Crn, by: Crn, refusal: Refusal) -> RequestOutcome {
    if *crn == by {
        return RequestOutcome::Refused(refusal);
    }
    RequestOutcome::InChoices { crn: by, problem: ChoiceProblem::Refused(refusal) }
}

/// Registers a student for the sections that a batch adds. Those with waitlist choices are decided after the others.
/// The result of such a section has the CRN of an alternative if the student got a seat in that alternative.
fn added(draft: &mut Draft<'_>, batch: &Batch) -> Results {
    let Batch { student, add, waitlist, choices, .. } = batch;
    let adds = add.iter().filter(|crn| !choices.contains_key(*crn));
    let adds: Vec<Add<'_>> = adds.map(|crn| Add { crn, waitlist: *waitlist }).collect();
    let mut outcomes = set::add(draft, student, &adds).into_iter();
    let mut with_choices: BTreeMap<&Crn, (Crn, RequestOutcome)> = BTreeMap::new();
    for (crn, choices) in add.iter().filter_map(|crn| choices.get_key_value(crn)) {
        with_choices.insert(crn, choices::register(draft, student, crn, choices));
    }
    let result = |crn: &Crn| with_choices.remove(crn).or_else(|| Some((crn.clone(), outcomes.next()?)));
    add.iter().filter_map(result).collect()
}

/// Decides each request of a batch separately, drops first, so that the adds can use what the drops free.
pub(super) fn batch(draft: &mut Draft<'_>, batch: &Batch) -> Results {
    let mut drops = Vec::with_capacity(batch.drop.len());
    for crn in &batch.drop {
        drops.push((crn.clone(), drop_section(draft, &batch.student, crn)));
        // The waitlist takes precedence over the later requests of this batch.
        settle_queued(draft);
    }
    let mut results = added(draft, batch);
    results.iter_mut().for_each(|(_, outcome)| update_if_changed(draft, &batch.student, outcome));
    results.append(&mut drops);
    results
}

/// Decides a batch as all or nothing: `Ok` if every request is granted, otherwise `Err` with the reason for each that
/// is not.
///
/// After `Err`, the caller must discard the draft, except its [`undone_attempts`].
pub(super) fn swap(draft: &mut Draft<'_>, batch: &Batch) -> Result<Results, Results> {
    let student = &batch.student;
    let drops: Vec<_> = batch.drop.iter().map(|crn| (crn.clone(), drop_section(draft, student, crn))).collect();
    let mut results = added(draft, batch);
    results.extend(drops);
    let failed = results.iter().find(|(_, outcome)| !matches!(outcome, RequestOutcome::Done(_)));
    let Some(because_of) = failed.map(|(crn, _)| crn.clone()) else {
        settle_queued(draft);
        results.iter_mut().for_each(|(_, outcome)| update_if_changed(draft, student, outcome));
        return Ok(results);
    };
    for (_, outcome) in &mut results {
        if matches!(outcome, RequestOutcome::Done(_)) {
            *outcome = RequestOutcome::SwapUndone { because_of: because_of.clone() };
        }
    }
    Err(results)
}

/// Returns the attempts of a swap, or of a request by staff, that was refused as a whole and changed nothing.
/// Promotions and lapsed offers before it are undone, too; the next decision makes them again.
pub(super) fn undone_attempts(draft: &mut Draft<'_>) -> Vec<Decided> {
    let mut attempts = draft.take_attempts();
    attempts.retain(|attempt| attempt.action.is_request());
    for attempt in &mut attempts {
        if matches!(attempt.result, AttemptResult::Granted(_)) {
            (attempt.result, attempt.repeated, attempt.position) = (AttemptResult::SwapRefused, false, None);
        }
    }
    attempts
}

/// Replaces an outcome whose registration changed afterward: a waitlist position may have become a seat, because the
/// drops of a swap made room for it, and a registration may have ended, because a later section replaced it.
pub(super) fn update_if_changed(draft: &Draft<'_>, student: &UserName, outcome: &mut RequestOutcome) {
    let RequestOutcome::Done(earlier) = outcome else { return };
    let Some(current) = draft.registration(student, &earlier.crn) else { return };
    if current.status != earlier.status {
        *outcome = granted(draft, current, true);
    }
}

/// Returns the outcome of a granted request whose registration is now `registration`.
pub(in crate::domain) fn granted(draft: &Draft<'_>, registration: &Registration, is_new: bool) -> RequestOutcome {
    let crn = registration.crn.clone();
    let position = (registration.status == RegistrationStatus::Waitlisted)
        .then(|| draft.position(&crn, registration.queue_number));
    let credits = draft.section(&crn).map_or_else(Default::default, |s| s.section.credits);
    RequestOutcome::Done(CurrentRegistration {
        crn,
        status: registration.status,
        position,
        expires_at: registration.offer.map(|offer| offer.expires_at),
        credits,
        at: registration.at,
        is_new,
        choices: registration.choices.clone(),
    })
}
