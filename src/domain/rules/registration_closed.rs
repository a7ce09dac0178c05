//! `registration_closed`: a new request requires that the registration window of the student is open.
//!
//! Promotions continue after the window has closed, because the students on the waitlist made their requests in time.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::term::Window;

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::RegistrationClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let (window, now) = (case.draft.term().window_of(case.facts()), case.draft.now);
    let Window { opens_at, closes_at } = window;
    (!window.is_open(now)).then_some(Refusal::RegistrationClosed { opens_at, closes_at, now })
}
