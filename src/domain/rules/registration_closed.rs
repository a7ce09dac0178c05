//! `registration_closed`: a new request requires an open registration window.
//!
//! Promotions continue after the window has closed, because the students on the waitlist made their requests in time.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::RegistrationClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let (term, now) = (case.draft.term(), case.draft.now);
    let refusal = Refusal::RegistrationClosed { opens_at: term.opens_at, closes_at: term.closes_at, now };
    (!term.is_open(now)).then_some(refusal)
}
