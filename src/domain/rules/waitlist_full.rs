//! `waitlist_full`: a waitlist position needs to be free.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Case, Goal, Rule};

pub(super) const RULE: Rule = Rule { code: RefusalCode::WaitlistFull, goals: &[Goal::Position], refusal };

fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let section = case.request.section;
    (!section.waitlist_has_room()).then(|| Refusal::WaitlistFull { waitlisted: section.waitlisted_total() })
}
