//! Free seats go to the waitlist, first come, first served.

use std::collections::BTreeSet;

use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::Reason;
use crate::domain::registration::{Registration, Standing};
use crate::domain::rules::{Goal, Lifted, Request, judge};

/// Settles every section that the decision has unsettled.
///
/// This ends: a promotion only takes seats, time and credits, so it never unsettles another section.
pub(super) fn settle_unsettled(draft: &mut Draft<'_>) {
    while let Some(crn) = draft.next_unsettled() {
        settle(draft, &crn);
    }
}

/// Unsettles every section with a waitlist.
pub(super) fn unsettle_all(draft: &mut Draft<'_>) {
    let held = draft.view().students().flat_map(|(_, held)| held);
    let crns: BTreeSet<Crn> = held.filter(|r| r.standing == Standing::Waitlisted).map(|r| r.crn.clone()).collect();
    for crn in crns {
        draft.unsettle(crn);
    }
}

/// Gives the free seats of one section to the students on its waitlist, in their order.
///
/// A student to whom a rule refuses the seat is passed over, keeps the position, and is notified once of each reason.
fn settle(draft: &mut Draft<'_>, crn: &Crn) {
    if !has_seat_for_waitlist(draft, crn) {
        return;
    }
    let students: Vec<UserName> = draft.waiting(crn).map(|(_, student)| student.clone()).collect();
    for student in students {
        if !has_seat_for_waitlist(draft, crn) {
            return;
        }
        promote_or_pass_over(draft, &student, crn);
    }
}

fn has_seat_for_waitlist(draft: &Draft<'_>, crn: &Crn) -> bool {
    draft.section(crn).is_some_and(|section| section.waiting > 0 && section.seats_to_give() > 0)
}

fn promote_or_pass_over(draft: &mut Draft<'_>, student: &UserName, crn: &Crn) {
    let Some(section) = draft.section(crn) else { return };
    let Some(waiting) = draft.registration(student, crn) else { return };
    let request = Request { student, section, goal: Goal::Promotion };
    match judge(draft, &request, &Lifted::NONE) {
        None => {
            let crn = crn.clone();
            let seat = Registration { crn, standing: Standing::Enrolled, place: 0, at: draft.now, passed: None };
            draft.put_registration(student, seat, Reason::Promoted);
        }
        Some(refusal) if waiting.passed != Some(refusal.code()) => {
            let waiting = waiting.clone();
            draft.pass_over(student, waiting, refusal.code());
        }
        Some(_) => {}
    }
}
