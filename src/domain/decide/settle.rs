//! Free seats go to the head of the line: first come, first served.

use std::collections::BTreeSet;

use crate::domain::draft::Draft;
use crate::domain::ids::Crn;
use crate::domain::notice::Reason;
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::Place;
use crate::domain::view::TermView;

use crate::domain::decide::rules::refused_by_own_week;

/// Settles every section that the decision has unsettled. It ends: a promotion only takes seats and room away, so it
/// never unsettles another section.
pub(super) fn settle_all<V: TermView>(draft: &mut Draft<'_, V>) {
    while let Some(crn) = draft.next_unsettled() {
        settle(draft, &crn);
    }
}

/// Puts every section that has a line on the list of those to settle.
pub(super) fn unsettle_every_line<V: TermView>(draft: &mut Draft<'_, V>) {
    let waiting = draft.view().students().flat_map(|(_, held)| held);
    let lines: BTreeSet<Crn> = waiting.filter(|r| r.standing == Standing::Waitlisted).map(|r| r.crn.clone()).collect();
    for crn in lines {
        draft.unsettle(crn);
    }
}

/// Gives the free seats of one section to its line. A head who cannot take one is told why, once, and keeps the place.
/// The window does not matter here: whoever waits has asked in time.
fn settle<V: TermView>(draft: &mut Draft<'_, V>, crn: &Crn) {
    let Some(state) = draft.section(crn) else { return };
    let mut seats = state.seats_to_give();
    if seats == 0 || state.waiting == 0 {
        return;
    }
    let section = state.section.clone();
    let line: Vec<Place> = draft.waiting(crn).cloned().collect();
    for (_, student) in line {
        if seats == 0 {
            return;
        }
        let Some(place) = draft.registration(&student, crn).cloned() else { continue };
        match refused_by_own_week(draft, &student, &section, true) {
            None => {
                let seat = Registration {
                    crn: crn.clone(),
                    standing: Standing::Enrolled,
                    place: 0,
                    at: draft.now,
                    passed: None,
                };
                draft.put_registration(&student, seat, Reason::Promoted);
                seats -= 1;
            }
            Some(refusal) if place.passed != Some(refusal.code()) => {
                draft.pass_over(&student, place, Reason::PassedOver(refusal.code()));
            }
            Some(_) => {}
        }
    }
}
