//! Gives free seats to the students on the waitlist, first come, first served.

use std::collections::BTreeSet;

use crate::domain::attempt::AttemptResult;
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::{Goal, LiftedCodes, Request, first_refusal};

/// Settles every waitlist that the decision has queued.
///
/// This terminates: a promotion never frees a seat, a time or credits. It queues only waitlists whose prerequisites it may
/// meet, and each promotion leaves fewer waitlist positions.
pub(super) fn settle_queued(draft: &mut Draft<'_>) {
    while let Some(crn) = draft.next_to_settle() {
        settle(draft, &crn);
    }
}

/// Queues every waitlist that has a student to be settled.
pub(super) fn queue_all(draft: &mut Draft<'_>) {
    let registrations = draft.view().students().flat_map(|(_, registrations)| registrations);
    let crns: BTreeSet<Crn> =
        registrations.filter(|r| r.status == RegistrationStatus::Waitlisted).map(|r| r.crn.clone()).collect();
    for crn in crns {
        draft.queue_waitlist(crn);
    }
}

/// Gives the free seats of one section to the students on its waitlist, in order of their positions.
///
/// A student to whom a rule refuses the seat is passed over, keeps the position, and is notified once for each reason.
fn settle(draft: &mut Draft<'_>, crn: &Crn) {
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

fn can_promote(draft: &Draft<'_>, crn: &Crn) -> bool {
    draft.section(crn).is_some_and(|section| section.waitlisted > 0 && section.assignable_seats() > 0)
}

fn promote_or_pass_over(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) {
    let Some(section) = draft.section(crn) else { return };
    let Some(waitlisted) = draft.registration(student, crn) else { return };
    let request = Request { student, section, goal: Goal::Promotion };
    match first_refusal(draft, &request, &LiftedCodes::NONE) {
        None => {
            let position = draft.position(crn, waitlisted.queue_number);
            draft.note_promotion(student, crn, position, AttemptResult::Granted(RegistrationStatus::Enrolled));
            let crn = crn.clone();
            let seat = Registration {
                crn,
                status: RegistrationStatus::Enrolled,
                queue_number: 0,
                at: draft.now,
                passed_over_for: None,
            };
            draft.put_registration(student, seat, Reason::Promoted);
        }
        Some(refusal) if waitlisted.passed_over_for != Some(refusal.code()) => {
            let waitlisted = waitlisted.clone();
            let position = draft.position(crn, waitlisted.queue_number);
            draft.note_promotion(student, crn, position, AttemptResult::Refused(refusal.code()));
            draft.pass_over(student, waitlisted, refusal.code());
        }
        Some(_) => {}
    }
}
