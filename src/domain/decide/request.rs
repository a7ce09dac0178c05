//! What a student asks for: a seat, a drop, several at once.

use crate::domain::command::Batch;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::{Receipt, RequestOutcome};
use crate::domain::refusal::Refusal;
use crate::domain::registration::{Registration, Standing};
use crate::domain::view::TermView;

use crate::domain::decide::rules::{refused_by_own_week, refused_to_newcomers};
use crate::domain::decide::settle::settle_all;

/// What became of each wish, in the order told.
type Results = Vec<(Crn, RequestOutcome)>;

/// The standing of a registration as a receipt.
fn receipt<V: TermView>(draft: &Draft<'_, V>, registration: &Registration, fresh: bool) -> RequestOutcome {
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

/// One press of "register". What is held already is told again, before any refusal is thought of.
pub(super) fn register<V: TermView>(
    draft: &mut Draft<'_, V>,
    student: &UserName,
    crn: &Crn,
    waitlist: bool,
) -> RequestOutcome {
    let Some(state) = draft.section(crn).cloned() else { return RequestOutcome::NotFound };
    if let Some(held) = draft.registration(student, crn).filter(|r| r.is_held()) {
        return receipt(draft, held, false);
    }
    let seat_open = state.open() > 0;
    let refusal = refused_to_newcomers(draft, &state.section)
        .or_else(|| refused_by_own_week(draft, student, &state.section, seat_open || !waitlist));
    if let Some(refusal) = refusal {
        return RequestOutcome::Refused(refusal);
    }
    let (standing, place) = if seat_open {
        (Standing::Enrolled, 0)
    } else if !waitlist {
        let (waitlist_open, waitlisted) = (state.waitlist_has_room(), state.waitlisted_total());
        return RequestOutcome::Refused(Refusal::SectionFull { waitlist_open, waitlisted });
    } else if state.waitlist_has_room() {
        (Standing::Waitlisted, draft.take_place())
    } else {
        return RequestOutcome::Refused(Refusal::WaitlistFull { waitlisted: state.waitlisted_total() });
    };
    let registration = Registration { crn: crn.clone(), standing, place, at: draft.now, passed: None };
    draft.put_registration(student, registration.clone(), Reason::Own);
    receipt(draft, &registration, true)
}

/// One press of "drop". A repeated drop is told the same; what was never held is not found. A window that is closed
/// keeps nobody in a seat: refusals bind whoever asks for one.
pub(super) fn drop_section<V: TermView>(draft: &mut Draft<'_, V>, student: &UserName, crn: &Crn) -> RequestOutcome {
    let Some(before) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    if !before.is_held() {
        return receipt(draft, &before, false);
    }
    let after = Registration { crn: crn.clone(), standing: Standing::Dropped, place: 0, at: draft.now, passed: None };
    draft.put_registration(student, after.clone(), Reason::Own);
    receipt(draft, &after, true)
}

/// Each wish for itself: drops first, so that what they free can be used, and told after the adds.
pub(super) fn batch<V: TermView>(draft: &mut Draft<'_, V>, batch: &Batch) -> Results {
    let mut drops = Vec::with_capacity(batch.drop.len());
    for crn in &batch.drop {
        drops.push((crn.clone(), drop_section(draft, &batch.student, crn)));
        // A freed seat is for the head of the line, before anything else of this batch.
        settle_all(draft);
    }
    let mut results = Vec::with_capacity(batch.add.len() + drops.len());
    for crn in &batch.add {
        results.push((crn.clone(), register(draft, &batch.student, crn, batch.waitlist)));
    }
    results.append(&mut drops);
    results
}

/// Tells anew what has changed since it was told: a place that was held already may be a seat once the drops of its swap
/// have made room for it.
fn told_as_it_stands<V: TermView>(draft: &Draft<'_, V>, student: &UserName, outcome: &mut RequestOutcome) {
    let RequestOutcome::Done(told) = outcome else { return };
    let Some(now) = draft.registration(student, &told.crn) else { return };
    if now.standing != told.standing {
        *outcome = receipt(draft, now, true);
    }
}

/// All of it (`Ok`) or nothing (`Err`, with the reason of each part that failed).
pub(super) fn swap<V: TermView>(draft: &mut Draft<'_, V>, batch: &Batch) -> Result<Results, Results> {
    let student = &batch.student;
    let drops: Vec<_> = batch.drop.iter().map(|crn| (crn.clone(), drop_section(draft, student, crn))).collect();
    let adds: Vec<_> =
        batch.add.iter().map(|crn| (crn.clone(), register(draft, student, crn, batch.waitlist))).collect();
    let mut results = adds;
    results.extend(drops);
    let failed = results.iter().find(|(_, outcome)| !matches!(outcome, RequestOutcome::Done(_)));
    let Some(because_of) = failed.map(|(crn, _)| crn.clone()) else {
        settle_all(draft);
        results.iter_mut().for_each(|(_, outcome)| told_as_it_stands(draft, student, outcome));
        return Ok(results);
    };
    for (_, outcome) in &mut results {
        if matches!(outcome, RequestOutcome::Done(_)) {
            *outcome = RequestOutcome::SwapUndone { because_of: because_of.clone() };
        }
    }
    Err(results)
}
