//! `section_closed`: a section that staff closed, or that the college's catalogue no longer shows, accepts no new
//! students.
//!
//! Its waitlist still moves up: a student on it is not new.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Case, Goal, Rule};
use crate::domain::section::SectionStatus;

pub(super) const RULE: Rule = Rule { code: RefusalCode::SectionClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let section = case.section();
    let closed = match section.status {
        SectionStatus::Closed => true,
        SectionStatus::Open | SectionStatus::Cancelled => section.withdrawn,
    };
    closed.then_some(Refusal::SectionClosed)
}
