//! `section_closed`: a section that staff closed, or that is withdrawn from the college's catalogue, accepts no new
//! students.
//!
//! Students on its waitlist are not new, so promotions continue.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::section::SectionStatus;

pub(super) const RULE: Rule = Rule { code: RefusalCode::SectionClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    let closed = match section.status {
        SectionStatus::Closed => true,
        SectionStatus::Open | SectionStatus::Cancelled => section.withdrawn,
    };
    closed.then_some(Refusal::SectionClosed)
}
