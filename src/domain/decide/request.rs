//! Requests by students: registrations, drops and batches.

use crate::domain::attempt::{Action, AttemptResult, Decided};
use crate::domain::command::Batch;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::{CurrentRegistration, RequestOutcome};
use crate::domain::refusal::Refusal;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Goal, LiftedCodes, Request, first_refusal};
use crate::domain::section::{SectionState, SectionStatus};
use crate::domain::student::HeldAction;
use crate::domain::waitlist::settle_queued;

/// The outcome of each request of a batch, adds before drops.
type Results = Vec<(Crn, RequestOutcome)>;

/// Registers a student in a section: in a seat if one is open, otherwise on the waitlist if `waitlist` is set.
///
/// Registering again for the same section returns its current state; no rule is evaluated.
pub(super) fn register(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, waitlist: bool) -> RequestOutcome {
    let open = draft.section(crn).map(SectionState::open_seats);
    let outcome = decide_register(draft, student, crn, waitlist);
    draft.note_request(student, crn, Action::Register, &outcome, open);
    outcome
}

fn decide_register(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, waitlist: bool) -> RequestOutcome {
    let Some(section) = draft.section(crn) else { return RequestOutcome::NotFound };
    if let Some(current) = draft.registration(student, crn).filter(|r| r.is_registered()) {
        return granted(draft, current, false);
    }
    let goal = if waitlist && section.assignable_seats() == 0 { Goal::Position } else { Goal::Seat };
    if let Some(refusal) = first_refusal(draft, &Request { student, section, goal }, &LiftedCodes::NONE) {
        return RequestOutcome::Refused(refusal);
    }
    let (status, queue_number) = match goal {
        Goal::Seat | Goal::Promotion => (RegistrationStatus::Enrolled, 0),
        Goal::Position => (RegistrationStatus::Waitlisted, draft.take_queue_number()),
    };
    let registration = Registration { crn: crn.clone(), status, queue_number, at: draft.now, passed_over_for: None };
    draft.put_registration(student, registration.clone(), Reason::Requested);
    granted(draft, &registration, true)
}

/// Drops a seat or a waitlist position.
///
/// No rule applies to a drop, so it is also possible outside the registration window; only a hold that blocks drops
/// refuses to drop a seat. A repeated drop returns the state of the first; dropping a section for which the student never
/// registered returns [`RequestOutcome::NotFound`].
pub(super) fn drop_section(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) -> RequestOutcome {
    let open = draft.section(crn).map(SectionState::open_seats);
    let outcome = decide_drop(draft, student, crn);
    draft.note_request(student, crn, Action::Drop, &outcome, open);
    outcome
}

fn decide_drop(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) -> RequestOutcome {
    let Some(before) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    if !before.is_registered() {
        return granted(draft, &before, false);
    }
    if let Some(refusal) = hold_on_drop(draft, student, &before) {
        return RequestOutcome::Refused(refusal);
    }
    let after = Registration {
        crn: crn.clone(),
        status: RegistrationStatus::Dropped,
        queue_number: 0,
        at: draft.now,
        passed_over_for: None,
    };
    draft.put_registration(student, after.clone(), Reason::Requested);
    granted(draft, &after, true)
}

/// Returns the refusal to drop a seat. A seat in a cancelled section and a waitlist position can always be dropped.
fn hold_on_drop(draft: &Draft<'_>, student: &UserName, registration: &Registration) -> Option<Refusal> {
    let is_cancelled = |section: &SectionState| section.section.status == SectionStatus::Cancelled;
    if registration.status != RegistrationStatus::Enrolled || draft.section(&registration.crn).is_some_and(is_cancelled)
    {
        return None;
    }
    draft.facts(student).and_then(|facts| Refusal::of_holds(facts, HeldAction::Drop))
}

/// Decides each request of a batch separately, drops first, so that the adds can use what the drops free.
pub(super) fn batch(draft: &mut Draft<'_>, batch: &Batch) -> Results {
    let mut drops = Vec::with_capacity(batch.drop.len());
    for crn in &batch.drop {
        drops.push((crn.clone(), drop_section(draft, &batch.student, crn)));
        // The waitlist has precedence over the later requests of this batch.
        settle_queued(draft);
    }
    let mut results = Vec::with_capacity(batch.add.len() + drops.len());
    for crn in &batch.add {
        results.push((crn.clone(), register(draft, &batch.student, crn, batch.waitlist)));
    }
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
    let adds: Vec<_> =
        batch.add.iter().map(|crn| (crn.clone(), register(draft, student, crn, batch.waitlist))).collect();
    let mut results = adds;
    results.extend(drops);
    let failed = results.iter().find(|(_, outcome)| !matches!(outcome, RequestOutcome::Done(_)));
    let Some(because_of) = failed.map(|(crn, _)| crn.clone()) else {
        settle_queued(draft);
        results.iter_mut().for_each(|(_, outcome)| update_if_promoted(draft, student, outcome));
        return Ok(results);
    };
    for (_, outcome) in &mut results {
        if matches!(outcome, RequestOutcome::Done(_)) {
            *outcome = RequestOutcome::SwapUndone { because_of: because_of.clone() };
        }
    }
    Err(results)
}

/// Returns the attempts of a swap of which nothing was changed.
pub(super) fn undone_attempts(draft: &mut Draft<'_>) -> Vec<Decided> {
    let mut attempts = draft.take_attempts();
    for attempt in &mut attempts {
        if matches!(attempt.result, AttemptResult::Granted(_)) {
            (attempt.result, attempt.repeated, attempt.position) = (AttemptResult::SwapRefused, false, None);
        }
    }
    attempts
}

/// Replaces an outcome whose registration changed while the waitlists were settled: a waitlist position may have become
/// a seat, because the drops of the swap made room for it.
fn update_if_promoted(draft: &Draft<'_>, student: &UserName, outcome: &mut RequestOutcome) {
    let RequestOutcome::Done(earlier) = outcome else { return };
    let Some(current) = draft.registration(student, &earlier.crn) else { return };
    if current.status != earlier.status {
        *outcome = granted(draft, current, true);
    }
}

/// Returns the outcome of a granted request whose registration is now `registration`.
fn granted(draft: &Draft<'_>, registration: &Registration, is_new: bool) -> RequestOutcome {
    let crn = registration.crn.clone();
    let position = (registration.status == RegistrationStatus::Waitlisted)
        .then(|| draft.position(&crn, registration.queue_number));
    let credits = draft.section(&crn).map_or_else(Default::default, |s| s.section.credits);
    RequestOutcome::Done(CurrentRegistration {
        crn,
        status: registration.status,
        position,
        credits,
        at: registration.at,
        is_new,
    })
}
