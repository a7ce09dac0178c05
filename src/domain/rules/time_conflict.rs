//! `time_conflict`: no two sections of a student meet at the same time. Waitlist positions count.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::TimeConflict, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    let overlapping = case.others().iter().map(|other| other.section).filter(|other| other.overlaps(section));
    let conflicts_with: Vec<_> = overlapping.map(|other| other.id.clone()).collect();
    (!conflicts_with.is_empty()).then_some(Refusal::TimeConflict { conflicts_with })
}
