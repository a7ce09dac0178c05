//! `section_full`: a new student needs a seat that is neither taken nor reserved for the waitlist.
//!
//! The rule does not apply to promotions, which are evaluated only while the section has an assignable seat.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule = Rule { code: RefusalCode::SectionFull, goals: &[Goal::Seat], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.request.section;
    (section.assignable_seats() == 0).then(|| Refusal::SectionFull {
        waitlist_open: section.has_open_waitlist_position(),
        waitlisted: section.waitlisted_total(),
    })
}
