//! `repeat_limit`: a student takes a course at most as many times as the section, or otherwise the college, allows.
//!
//! The completed courses that the college states count, including failed and withdrawn ones; those in progress,
//! incomplete, audited and transferred do not. If the college states no completed courses, the rule refuses nothing.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::student::is_same_course;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::RepeatLimit, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    let limit = section.repeat_limit.unwrap_or_else(|| case.draft.view().repeat_limit());
    if limit == 0 {
        return None;
    }
    let completed = case.facts()?.completed.as_deref()?;
    let attempts = completed.iter().filter(|one| one.is_attempt() && is_same_course(&one.course, &section.course));
    let taken = u32::try_from(attempts.count()).unwrap_or(u32::MAX);
    (taken >= limit).then_some(Refusal::RepeatLimit { taken, limit })
}
