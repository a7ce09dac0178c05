//! `credit_limit`: the credits of the sections in which a student is enrolled do not exceed the student's own limit, or
//! the college's if the student has none.
//!
//! Waitlist positions do not count; the limit applies when a position becomes a seat. A section with 0 credits is never
//! refused.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::RegistrationStatus;
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::section::Credits;

pub(super) const RULE: Rule = Rule { code: RefusalCode::CreditLimit, goals: &[Goal::Seat, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    let own = case.facts().and_then(|facts| facts.credit_limit);
    let limit = own.unwrap_or_else(|| case.draft.view().credit_limit());
    if limit.0 == 0 || section.credits.0 == 0 {
        return None;
    }
    let enrolled = case.others().iter().filter(|other| other.status == RegistrationStatus::Enrolled);
    let credits = enrolled.fold(0, |sum: u32, other| sum.saturating_add(other.section.credits.0));
    let total = Credits(credits.saturating_add(section.credits.0));
    (total > limit).then_some(Refusal::CreditLimit { credits: Credits(credits), total, limit })
}
