//! `section_cancelled`: a cancelled section gives neither seats nor waitlist positions.
//!
//! Promotion needs no such rule: a cancelled section has no seat to give.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Case, Goal, Rule};
use crate::domain::section::SectionStatus;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::SectionCancelled, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    match case.section().status {
        SectionStatus::Cancelled => Some(Refusal::SectionCancelled),
        SectionStatus::Open | SectionStatus::Closed => None,
    }
}
