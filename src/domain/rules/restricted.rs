//! `restricted`: a section with restrictions accepts only students of some groups, programs or campuses.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::restriction::Restriction;
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::Restricted, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let restrictions = &case.section().restrictions;
    if restrictions.is_empty() {
        return None;
    }
    let facts = case.facts();
    let unmet: Vec<Restriction> = restrictions.iter().filter(|one| !one.admits(facts)).cloned().collect();
    (!unmet.is_empty()).then_some(Refusal::Restricted { restrictions: unmet })
}
