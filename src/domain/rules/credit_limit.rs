//! `credit_limit`: the sections in which a student is enrolled have no more credits than the limit.
//!
//! A waitlist position does not count and is not judged: the limit applies when the position becomes a seat. A section
//! without credits adds nothing, so it is never refused.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::Standing;
use crate::domain::rules::{Case, Goal, Rule};
use crate::domain::section::Credits;

pub(super) const RULE: Rule = Rule { code: RefusalCode::CreditLimit, goals: &[Goal::Seat, Goal::Promotion], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let section = case.section();
    let limit = case.draft.view().credit_limit();
    if limit.0 == 0 || section.credits.0 == 0 {
        return None;
    }
    let enrolled = case.others().iter().filter(|(held, _)| held.standing == Standing::Enrolled);
    let credits = enrolled.fold(0, |sum: u32, (_, other)| sum.saturating_add(other.credits.0));
    let wanted = Credits(credits.saturating_add(section.credits.0));
    (wanted > limit).then_some(Refusal::CreditLimit { credits: Credits(credits), wanted, limit })
}
