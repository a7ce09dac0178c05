//! Gives or offers free seats to the students on the waitlist, in the order of their positions, and ends offers that
//! were not accepted in time.

use std::collections::BTreeSet;

use crate::domain::attempt::{Action, AttemptResult};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::offer::Offer;
use crate::domain::pool::pool_key;
use crate::domain::promotion::{
    bundle, has_seat_behind_others, is_offered_alternative, lacks_seat, linked_set, refusal_of_set, replaced,
};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::LiftedCodes;
use crate::domain::section::SectionState;
use crate::domain::term::has_passed;

/// Settles every waitlist that the decision has queued.
///
/// This terminates: a promotion may free another seat, which goes to the next student, but each promotion also removes
/// a waitlist position.
pub(super) fn settle_queued(draft: &mut Draft<'_>) {
    draft.refresh_pools();
    while let Some(crn) = draft.next_to_settle() {
        settle(draft, &crn);
    }
}

/// Ends the offers whose time has passed, so that their seats go to the next students, and reminds students of offers.
/// Returns whether an offer or a reminder was due.
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

/// Queues every waitlist with at least one student, so that it is settled.
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

/// Returns the sections whose waitlists had at least one student before the decision.
fn all(draft: &Draft<'_>) -> BTreeSet<Crn> {
    let registrations = draft.view().students().flat_map(|(_, registrations)| registrations);
    registrations.filter(|r| r.status == RegistrationStatus::Waitlisted).map(|r| r.crn.clone()).collect()
}

/// Gives the free seats of one section to the students on its waitlist, in order of their positions. If it shares a
/// pool of seats, the waitlists of all sections of the pool count as one, in the order of their queue numbers.
///
/// A student to whom a rule refuses the seat is passed over, keeps the position, and is notified, unless the last
/// notice had the same reason. After the waitlists of the term have ended, no one is promoted.
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
    let mut waiting: Vec<(u64, UserName, &Crn)> =
        entries.map(|(entry, crn)| (entry.queue_number, entry.student.clone(), crn)).collect();
    waiting.sort_unstable_by_key(|(queue_number, ..)| *queue_number);
    for (_, student, crn) in waiting {
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
    // All remaining seats are reserved for other students, so this student is not passed over.
    if section.seats_for(facts) == 0 {
        return;
    }
    match promotable(draft, student, waitlisted) {
        Ok(set) => promote_set(draft, student, &set),
        Err(Hindrance::Refused(code)) if waitlisted.passed_over_for != Some(code) => {
            let (position, waitlisted) = (draft.position(crn, waitlisted.queue_number), waitlisted.clone());
            draft.note_own(student, crn, Action::Promote, Some(position), AttemptResult::Refused(code));
            draft.pass_over(student, waitlisted, code);
        }
        Err(Hindrance::Refused(_) | Hindrance::OthersFirst) => {}
    }
}

/// Why a student on a waitlist does not get a seat that is free.
enum Hindrance {
    /// The student is passed over, and the notice states this code.
    Refused(RefusalCode),
    /// Students ahead may get the seats of another section of the bundle, whose waitlist is settled later. The bundle
    /// is evaluated again then.
    OthersFirst,
}

/// Returns the sections in which a student gets seats now: the one that has a free seat, and those that the student
/// gets together with it.
fn promotable(draft: &Draft<'_>, student: &UserName, waitlisted: &Registration) -> Result<Vec<Crn>, Hindrance> {
    if is_offered_alternative(draft, student, waitlisted) {
        return Err(Hindrance::Refused(RefusalCode::AlreadyInCourse));
    }
    let set = bundle(draft, student, waitlisted);
    let is_alone = set.len() == 1;
    if let Some((_, refusal)) = refusal_of_set(draft, student, &set, &LiftedCodes::NONE) {
        let together = is_alone.then(|| promotable_set(draft, student, waitlisted)).flatten();
        return together.ok_or_else(|| Hindrance::Refused(refusal.code()));
    }
    if is_alone {
        return Ok(set);
    }
    if lacks_seat(draft, student, &set) {
        return Err(Hindrance::Refused(RefusalCode::SectionFull));
    }
    let are_others_first = |other: &Crn| {
        *other != waitlisted.crn && draft.is_queued(other) && !has_seat_behind_others(draft, student, other)
    };
    if set.iter().any(are_others_first) { Err(Hindrance::OthersFirst) } else { Ok(set) }
}

/// Gives a student seats in all sections of a set, or offers of them if the term offers seats. When the student
/// gets the seats, the registrations that the student chose to give up end.
fn promote_set(draft: &mut Draft<'_>, student: &UserName, set: &[Crn]) {
    let ends = replaced(draft, student, set);
    let offer = draft.view().offer_settings().offer_at(draft.term(), draft.now);
    for crn in set {
        promote(draft, student, crn, offer);
    }
    if offer.is_some() {
        return;
    }
    for crn in ends {
        draft.note_own(student, &crn, Action::Promote, None, AttemptResult::Granted(RegistrationStatus::Dropped));
        draft.put_registration(student, Registration::dropped(crn, draft.now), Reason::Replaced);
    }
}

/// Gives a student a seat, or `offer`.
fn promote(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, offer: Option<Offer>) {
    let (Some(section), Some(waitlisted)) = (draft.section(crn), draft.registration(student, crn)) else { return };
    let position = draft.position(crn, waitlisted.queue_number);
    let reserved_for = section.reserved_group(draft.facts(student).map(|facts| &**facts));
    let (status, reason, choices) = match offer {
        Some(offer) => (RegistrationStatus::Offered, Reason::Offered(offer.expires_at), waitlisted.choices.clone()),
        None => (RegistrationStatus::Enrolled, Reason::Promoted, None),
    };
    let (crn, at) = (crn.clone(), draft.now);
    draft.note_own(student, &crn, Action::Promote, Some(position), AttemptResult::Granted(status));
    let seat = Registration { crn, status, queue_number: 0, at, passed_over_for: None, reserved_for, offer, choices };
    draft.put_registration(student, seat, reason);
}

/// Returns a section together with those that belong to it and on whose waitlists the student is, if the student can
/// get seats in all of them. Sections whose waitlists are not settled yet are left out, because other students may be
/// ahead.
fn promotable_set(draft: &Draft<'_>, student: &UserName, waitlisted: &Registration) -> Option<Vec<Crn>> {
    let facts = draft.facts(student).map(|facts| &**facts);
    let has_seat = |other: &SectionState| !draft.is_queued(&other.section.id.crn) && other.seats_for(facts) > 0;
    let set = linked_set(draft, student, waitlisted, has_seat)?;
    let is_refused =
        lacks_seat(draft, student, &set) || refusal_of_set(draft, student, &set, &LiftedCodes::NONE).is_some();
    (!is_refused).then_some(set)
}
