//! `hold`: a student with a hold that blocks registration gets no seat and no waitlist position.
//!
//! The rule also applies to promotions: the student keeps the position, and the waitlist is settled again when the hold
//! is lifted. A hold that blocks drops is evaluated by the drop itself.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::student::HeldAction;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::Hold, goals: &[Goal::Seat, Goal::Position, Goal::Promotion], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    case.facts().and_then(|facts| Refusal::of_holds(facts, HeldAction::Register))
}
