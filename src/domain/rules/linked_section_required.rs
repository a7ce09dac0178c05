//! `linked_section_required`: a section with linked ones is taken together with one of each course and component among
//! them, such as a lecture with one of its labs.
//!
//! A seat requires a seat in the linked section, and a waitlist position any registration for it, before or in the same
//! decision.

use crate::domain::linked;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::LinkedSectionRequired, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.section();
    if section.linked.is_empty() {
        return None;
    }
    let missing = linked::missing(case.draft, section, |crn| case.takes(|other| other.id.crn == *crn));
    if missing.is_empty() {
        return None;
    }
    let facts = case.facts();
    let has_seat = missing.iter().filter(|one| one.accepts_new_students() && one.seats_for(facts) > 0);
    Some(Refusal::LinkedSectionRequired { choices: has_seat.map(|one| one.section.id.clone()).collect() })
}
