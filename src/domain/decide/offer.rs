//! Offers of seats that a student accepts.

use crate::domain::attempt::Action;
use crate::domain::decide::request::{end, granted, refused_by};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::RequestOutcome;
use crate::domain::promotion::{bundle, linked_set, refusal_of_set, replaced};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::LiftedCodes;

/// Accepts an offer: the student gets the seat that was kept free, and the registrations that the student chose to give
/// up for it end.
///
/// The rules of a promotion are evaluated again. A refusal changes nothing: the student keeps the offer and can accept it
/// after dropping what is in the way. A bundle is accepted as a whole. If the section requires another one that the
/// student is also offered, both are accepted.
pub(super) fn accept(
    draft: &mut Draft<'_>,
    student: &UserName,
    offered: &Registration,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let crn = &offered.crn;
    let mut set = bundle(draft, student, offered);
    if let Some((of, refusal)) = refusal_of_set(draft, student, &set, lifted) {
        let others = if set.len() == 1 { acceptable_set(draft, student, offered) } else { None };
        let Some(others) = others else { return refused_by(crn, of, refusal) };
        set = others;
    }
    let ends = replaced(draft, student, &set);
    // The receipt of the request is that of the last attempt, so the requested section is the last one.
    for other in set.iter().filter(|other| *other != crn) {
        let outcome = enroll(draft, student, other, reason);
        draft.note_request(student, other, Action::Register, &outcome, None);
    }
    ends.iter().for_each(|ended| end(draft, student, ended, reason));
    enroll(draft, student, crn, reason)
}

/// Returns a section together with those that the student is offered and that belong to it, if the student can accept all
/// of them. Free seats are not checked, because an offer keeps its seat free.
fn acceptable_set(draft: &Draft<'_>, student: &UserName, offered: &Registration) -> Option<Vec<Crn>> {
    let set = linked_set(draft, student, offered, |_| true)?;
    refusal_of_set(draft, student, &set, &LiftedCodes::NONE).is_none().then_some(set)
}

/// Turns an offer into a seat.
fn enroll(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, reason: Reason) -> RequestOutcome {
    let Some(offered) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    let seat =
        Registration { status: RegistrationStatus::Enrolled, at: draft.now, offer: None, choices: None, ..offered };
    draft.put_registration(student, seat.clone(), reason);
    granted(draft, &seat, true)
}
