//! `registration_closed`: a new request needs an open registration window.
//!
//! Promotion goes on after the window has closed: a student on the waitlist made the request in time.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Case, Goal, Rule};

pub(super) const RULE: Rule =
    Rule { code: RefusalCode::RegistrationClosed, goals: &[Goal::Seat, Goal::Position], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let (term, now) = (case.draft.term(), case.draft.now);
    let refusal = Refusal::RegistrationClosed { opens_at: term.opens_at, closes_at: term.closes_at, now };
    (!term.is_open(now)).then_some(refusal)
}
