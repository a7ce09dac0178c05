//! Requests of students: a registration, a drop, several of them at once.

use crate::domain::command::Batch;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::{Receipt, RequestOutcome};
use crate::domain::registration::{Registration, Standing};
use crate::domain::rules::{Goal, Lifted, Request, judge};
use crate::domain::waitlist::settle_unsettled;

/// The outcome of each request of a batch, adds before drops.
type Results = Vec<(Crn, RequestOutcome)>;

/// Registers a student in a section: a seat if one is open, otherwise a waitlist position if the student accepts one.
///
/// Registering again for a section that the student holds returns its present state; no rule is evaluated.
pub(super) fn register(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, waitlist: bool) -> RequestOutcome {
    let Some(section) = draft.section(crn) else { return RequestOutcome::NotFound };
    if let Some(held) = draft.registration(student, crn).filter(|r| r.is_held()) {
        return receipt(draft, held, false);
    }
    let goal = if waitlist && section.seats_to_give() == 0 { Goal::Position } else { Goal::Seat };
    if let Some(refusal) = judge(draft, &Request { student, section, goal }, &Lifted::NONE) {
        return RequestOutcome::Refused(refusal);
    }
    let (standing, place) = match goal {
        Goal::Seat | Goal::Promotion => (Standing::Enrolled, 0),
        Goal::Position => (Standing::Waitlisted, draft.take_place()),
    };
    let registration = Registration { crn: crn.clone(), standing, place, at: draft.now, passed: None };
    draft.put_registration(student, registration.clone(), Reason::Own);
    receipt(draft, &registration, true)
}

/// Drops a seat or a waitlist position.
///
/// Rules apply to registering only, so a drop is possible outside the registration window too. A repeated drop returns
/// the first one's state; a section that the student never held is not found.
pub(super) fn drop_section(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) -> RequestOutcome {
    let Some(before) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    if !before.is_held() {
        return receipt(draft, &before, false);
    }
    let after = Registration { crn: crn.clone(), standing: Standing::Dropped, place: 0, at: draft.now, passed: None };
    draft.put_registration(student, after.clone(), Reason::Own);
    receipt(draft, &after, true)
}

/// Decides each request of a batch by itself, drops first, so that the adds can use what the drops free.
pub(super) fn batch(draft: &mut Draft<'_>, batch: &Batch) -> Results {
    let mut drops = Vec::with_capacity(batch.drop.len());
    for crn in &batch.drop {
        drops.push((crn.clone(), drop_section(draft, &batch.student, crn)));
        // A freed seat belongs to the waitlist before the next request of this batch.
        settle_unsettled(draft);
    }
    let mut results = Vec::with_capacity(batch.add.len() + drops.len());
    for crn in &batch.add {
        results.push((crn.clone(), register(draft, &batch.student, crn, batch.waitlist)));
    }
    results.append(&mut drops);
    results
}

/// Decides a batch as a whole: `Ok` if every request is granted, otherwise `Err` with the reason of each that is not.
///
/// After `Err` the draft must be discarded.
pub(super) fn swap(draft: &mut Draft<'_>, batch: &Batch) -> Result<Results, Results> {
    let student = &batch.student;
    let drops: Vec<_> = batch.drop.iter().map(|crn| (crn.clone(), drop_section(draft, student, crn))).collect();
    let adds: Vec<_> =
        batch.add.iter().map(|crn| (crn.clone(), register(draft, student, crn, batch.waitlist))).collect();
    let mut results = adds;
    results.extend(drops);
    let failed = results.iter().find(|(_, outcome)| !matches!(outcome, RequestOutcome::Done(_)));
    let Some(because_of) = failed.map(|(crn, _)| crn.clone()) else {
        settle_unsettled(draft);
        results.iter_mut().for_each(|(_, outcome)| refresh(draft, student, outcome));
        return Ok(results);
    };
    for (_, outcome) in &mut results {
        if matches!(outcome, RequestOutcome::Done(_)) {
            *outcome = RequestOutcome::SwapUndone { because_of: because_of.clone() };
        }
    }
    Err(results)
}

/// Replaces an outcome whose registration has changed since: a waitlist position may have become a seat, because the
/// drops of its swap made room for it.
fn refresh(draft: &Draft<'_>, student: &UserName, outcome: &mut RequestOutcome) {
    let RequestOutcome::Done(earlier) = outcome else { return };
    let Some(present) = draft.registration(student, &earlier.crn) else { return };
    if present.standing != earlier.standing {
        *outcome = receipt(draft, present, true);
    }
}

fn receipt(draft: &Draft<'_>, registration: &Registration, fresh: bool) -> RequestOutcome {
    let crn = registration.crn.clone();
    let position = (registration.standing == Standing::Waitlisted).then(|| draft.position(&crn, registration.place));
    let credits = draft.section(&crn).map_or_else(Default::default, |s| s.section.credits);
    RequestOutcome::Done(Receipt {
        crn,
        standing: registration.standing,
        position,
        credits,
        at: registration.at,
        fresh,
    })
}
