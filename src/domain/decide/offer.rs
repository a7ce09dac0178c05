//! Offers of seats that a student accepts.

use crate::domain::attempt::Action;
use crate::domain::decide::request::granted;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::outcome::RequestOutcome;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Goal, LiftedCodes, Request, first_refusal};
use crate::domain::waitlist::acceptable_set;

/// Accepts an offer: the student is enrolled in the seat that was kept free.
///
/// The rules of a promotion are evaluated again. A refusal changes nothing: the student keeps the offer and can accept it
/// after dropping what is in the way. If the section requires another one that is offered, too, both are accepted.
pub(super) fn accept(
    draft: &mut Draft<'_>,
    student: &UserName,
    crn: &Crn,
    lifted: &LiftedCodes,
    reason: Reason,
) -> RequestOutcome {
    let Some(section) = draft.section(crn) else { return RequestOutcome::NotFound };
    let lifted = draft.lifted(student, &section.section).and(lifted);
    let request = Request { student, section, goal: Goal::Promotion, companions: &[] };
    let Some(refusal) = first_refusal(draft, &request, &lifted) else { return enroll(draft, student, crn, reason) };
    let Some(set) = acceptable_set(draft, student, crn) else { return RequestOutcome::Refused(refusal) };
    // The receipt of the request is that of the last attempt, so the requested section is the last one.
    for other in set.iter().filter(|other| *other != crn) {
        let outcome = enroll(draft, student, other, reason);
        draft.note_request(student, other, Action::Register, &outcome, None);
    }
    enroll(draft, student, crn, reason)
}

/// Makes an offer a seat.
fn enroll(draft: &mut Draft<'_>, student: &UserName, crn: &Crn, reason: Reason) -> RequestOutcome {
    let Some(offered) = draft.registration(student, crn).cloned() else { return RequestOutcome::NotFound };
    let seat = Registration { status: RegistrationStatus::Enrolled, at: draft.now, offer: None, ..offered };
    draft.put_registration(student, seat.clone(), reason);
    granted(draft, &seat, true)
}
