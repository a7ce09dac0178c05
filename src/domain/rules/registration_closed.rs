//! `registration_closed`: a new request is possible only while the registration window of the student is open and the
//! deadline to add sections, or to join waitlists, has not passed.
//!
//! Promotions continue after the window has closed, because the students on the waitlist made their requests in time.

use crate::domain::refusal::{ClosedAction, Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::term::{Cutoffs, has_passed};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::RegistrationClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let (term, now) = (case.draft.term(), case.draft.now);
    let window = term.window_of(case.facts());
    let refusal = |closes_at, what| Refusal::RegistrationClosed { opens_at: window.opens_at, closes_at, now, what };
    let Cutoffs { add_until, drop_until: _, waitlist_until } = term.cutoffs;
    if !window.is_open(now) {
        Some(refusal(window.closes_at, ClosedAction::Register))
    } else if has_passed(add_until, now) {
        Some(refusal(add_until, ClosedAction::Add))
    } else if case.request.goal == Goal::Position && has_passed(waitlist_until, now) {
        Some(refusal(waitlist_until, ClosedAction::Wait))
    } else {
        None
    }
}
