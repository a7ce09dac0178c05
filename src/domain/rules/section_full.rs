//! `section_full`: a seat needs to be free, and not promised to the waitlist.
//!
//! Promotion needs no such rule: it is offered only while the section has a seat to give.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Case, Goal, Rule};

pub(super) const RULE: Rule = Rule { code: RefusalCode::SectionFull, goals: &[Goal::Seat], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let section = case.request.section;
    (section.seats_to_give() == 0).then(|| Refusal::SectionFull {
        waitlist_open: section.waitlist_has_room(),
        waitlisted: section.waitlisted_total(),
    })
}
