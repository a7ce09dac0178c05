//! `already_in_course`: a student registers for at most one section of each course and component. Waitlist positions
//! count.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::AlreadyInCourse, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    let other = case.others().iter().map(|other| other.section).find(|other| other.same_course(section))?;
    Some(Refusal::AlreadyInCourse { conflicts_with: other.id.clone(), course: section.course.clone() })
}
