//! `section_cancelled`: a cancelled section has no seats and no waitlist positions.
//!
//! The rule also applies to promotions: a section of a bundle may be cancelled while another one has a free seat, and a
//! section may be cancelled while a seat in it is offered.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::section::SectionStatus;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::SectionCancelled, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    match case.section().status {
        SectionStatus::Cancelled => Some(Refusal::SectionCancelled),
        SectionStatus::Open | SectionStatus::Closed => None,
    }
}
