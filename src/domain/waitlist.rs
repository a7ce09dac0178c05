//! Gives or offers free seats to the students on the waitlist, first come, first served, and ends offers that were not
//! accepted in time.

use std::collections::BTreeSet;

use crate::domain::attempt::{Action, AttemptResult};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::linked::{SET_LEN_MAX, belong_together, may_need_another};
use crate::domain::notice::Reason;
use crate::domain::pool::pool_key;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Companion, Goal, Request, first_refusal};
use crate::domain::section::SectionState;
use crate::domain::term::has_passed;

/// Settles every waitlist that the decision has queued.
///
/// This terminates: a promotion never frees a seat, a time or credits. It queues only waitlists that may require its
/// section, and each promotion leaves fewer waitlist positions.
pub(super) fn settle_queued(draft: &mut Draft<'_>) {
    draft.refresh_pools();
    while let Some(crn) = draft.next_to_settle() {
        settle(draft, &crn);
    }
}

/// Ends the offers whose time has passed, so that their seats go to the next students, and reminds students of offers.
/// Returns whether there were any.
pub(super) fn handle_due_offers(draft: &mut Draft<'_>) -> bool {
    let (view, now) = (draft.view(), draft.now);
    if view.next_offer_deadline().is_none_or(|at| now < at) {
        return false;
    }
    for (student, crn) in view.offers_due(now) {
        let Some(registration) = draft.registration(&student, &crn).cloned() else { continue };
        match registration.offer {
            Some(offer) if offer.expires_at <= now => {
                let result = AttemptResult::Granted(RegistrationStatus::Dropped);
                draft.note_own(&student, &crn, Action::Lapse, None, result);
                draft.put_registration(&student, Registration::dropped(crn, now), Reason::Lapsed);
            }
            Some(offer) => draft.remind(&student, registration, offer),
            None => {}
        }
    }
    true
}

/// Queues every waitlist that has a student to be settled.
pub(super) fn queue_all(draft: &mut Draft<'_>) {
    for crn in all(draft) {
        draft.queue_waitlist(crn);
    }
}

/// Queues the waitlists of sections that are taken with linked ones, if the choices among these changed.
pub(super) fn queue_linked(draft: &mut Draft<'_>) {
    if !draft.are_choices_changed() {
        return;
    }
    for crn in all(draft) {
        if draft.section(&crn).is_some_and(|state| !state.section.linked.is_empty()) {
            draft.queue_waitlist(crn);
        }
    }
}

/// Returns the sections on whose waitlists a student was before the decision.
fn all(draft: &Draft<'_>) -> BTreeSet<Crn> {
    let registrations = draft.view().students().flat_map(|(_, registrations)| registrations);
    registrations.filter(|r| r.status == RegistrationStatus::Waitlisted).map(|r| r.crn.clone()).collect()
}

/// Gives the free seats of one section to the students on its waitlist, in order of their positions. If it shares a pool
/// of seats, the waitlists of all sections of the pool count as one, in the order in which the students joined.
///
/// A student to whom a rule refuses the seat is passed over, keeps the position, and is notified once for each reason.
/// After the waitlists of the term have ended, no one is promoted.
fn settle(draft: &mut Draft<'_>, crn: &Crn) {
    if has_passed(draft.term().cutoffs.waitlist_until, draft.now) {
        return;
    }
    let pool = draft.section(crn).filter(|state| state.pool.is_some()).and_then(pool_key);
    if let Some(key) = pool {
        settle_pool(draft, &key);
        return;
    }
    if !can_promote(draft, crn) {
        return;
    }
    let students: Vec<UserName> = draft.waitlist(crn).map(|entry| entry.student.clone()).collect();
    for student in students {
        if !can_promote(draft, crn) {
            return;
        }
        promote_or_pass_over(draft, &student, crn);
    }
}

fn settle_pool(draft: &mut Draft<'_>, key: &str) {
    let members: Vec<Crn> = draft.sections_of_pool(key).iter().filter(|crn| can_promote(draft, crn)).cloned().collect();
    let entries = members.iter().flat_map(|crn| draft.waitlist(crn).map(move |entry| (entry, crn)));
    let mut line: Vec<(u64, UserName, &Crn)> =
        entries.map(|(entry, crn)| (entry.queue_number, entry.student.clone(), crn)).collect();
    line.sort_unstable_by_key(|(queue_number, ..)| *queue_number);
    for (_, student, crn) in line {
        if can_promote(draft, crn) {
            promote_or_pass_over(draft, &student, crn);
        }
    }
}

fn can_promote(draft: &Draft<'_>, crn: &Crn) -> bool {
    draft.section(crn).is_some_and(|section| section.waitlisted > 0 && section.assignable_seats() > 0)
}

fn promote_or_pass_over(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) {
    let Some(section) = draft.section(crn) else { return };
    let facts = draft.facts(student).map(|facts| &**facts);
    let Some(waitlisted) = draft.registration(student, crn).filter(|r| r.status == RegistrationStatus::Waitlisted)
    else {
        return;
    };
    // All seats that are left are reserved for other students, so there is none to be passed over for.
    if section.seats_for(facts) == 0 {
        return;
    }
    let request = Request { student, section, goal: Goal::Promotion, companions: &[] };
    match first_refusal(draft, &request, &draft.lifted(student, &section.section)) {
        None => promote(draft, student, crn),
        Some(refusal) => {
            let (code, waitlisted) = (refusal.code(), waitlisted.clone());
            if may_need_another(&section.section)
                && let Some(set) = promotable_set(draft, student, crn)
            {
                set.iter().for_each(|crn| promote(draft, student, crn));
            } else if waitlisted.passed_over_for != Some(code) {
                let position = draft.position(crn, waitlisted.queue_number);
                draft.note_own(student, crn, Action::Promote, Some(position), AttemptResult::Refused(code));
                draft.pass_over(student, waitlisted, code);
            }
        }
    }
}

/// Gives a student a seat, or an offer of one if the term offers seats.
fn promote(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) {
    let (Some(section), Some(waitlisted)) = (draft.section(crn), draft.registration(student, crn)) else { return };
    let position = draft.position(crn, waitlisted.queue_number);
    let reserved_for = section.reserved_group(draft.facts(student).map(|facts| &**facts));
    let offer = draft.view().offer_settings().offer_at(draft.term(), draft.now);
    let (status, reason) = match offer {
        Some(offer) => (RegistrationStatus::Offered, Reason::Offered(offer.expires_at)),
        None => (RegistrationStatus::Enrolled, Reason::Promoted),
    };
    let (crn, at) = (crn.clone(), draft.now);
    draft.note_own(student, &crn, Action::Promote, Some(position), AttemptResult::Granted(status));
    let seat = Registration { crn, status, queue_number: 0, at, passed_over_for: None, reserved_for, offer };
    draft.put_registration(student, seat, reason);
}

/// Returns a section together with those on whose waitlists the student is and that belong to it, if the student can get
/// seats in all of them. Sections whose waitlists are still to be settled are not considered, because other students may
/// be ahead.
fn promotable_set(draft: &Draft<'_>, student: &UserName, crn: &Crn) -> Option<Vec<Crn>> {
    let section = draft.section(crn)?;
    let facts = draft.facts(student).map(|facts| &**facts);
    let waitlisted = draft.registrations(student).iter().filter(|r| r.status == RegistrationStatus::Waitlisted);
    let others = waitlisted.filter(|r| r.crn != *crn && !draft.is_queued(&r.crn)).filter_map(|r| draft.section(&r.crn));
    let others = others.filter(|other| belong_together(&section.section, &other.section) && other.seats_for(facts) > 0);
    judged_together(draft, student, section, others, |request| request.seats(facts) > 0)
}

/// Returns a section together with those that the student is offered and that belong to it, if the student can accept
/// all of them.
pub(super) fn acceptable_set(draft: &Draft<'_>, student: &UserName, crn: &Crn) -> Option<Vec<Crn>> {
    let section = draft.section(crn)?;
    let offered = draft.registrations(student).iter().filter(|r| r.status == RegistrationStatus::Offered);
    let others = offered.filter(|r| r.crn != *crn).filter_map(|r| draft.section(&r.crn));
    let others = others.filter(|other| belong_together(&section.section, &other.section));
    // An offer keeps its seat free.
    judged_together(draft, student, section, others, |_| true)
}

/// Returns a section and others, if there are others and no rule refuses any of them when the student takes all.
fn judged_together<'d>(
    draft: &'d Draft<'_>,
    student: &UserName,
    section: &'d SectionState,
    others: impl Iterator<Item = &'d SectionState>,
    has_seat: impl Fn(&Request<'_>) -> bool,
) -> Option<Vec<Crn>> {
    let set: Vec<&SectionState> = std::iter::once(section).chain(others).take(SET_LEN_MAX).collect();
    if set.len() < 2 {
        return None;
    }
    for (at, section) in set.iter().enumerate() {
        let companions: Vec<Companion<'_>> = set
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
            .map(|(other, section)| Companion { section, goal: Goal::Promotion, is_earlier: other < at })
            .collect();
        let request = Request { student, section, goal: Goal::Promotion, companions: &companions };
        if !has_seat(&request) || first_refusal(draft, &request, &draft.lifted(student, &section.section)).is_some() {
            return None;
        }
    }
    Some(set.iter().map(|section| section.section.id.crn.clone()).collect())
}
