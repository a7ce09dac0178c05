//! `waitlist_full`: a section has at most as many waitlist positions as its waitlist capacity.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};

pub(super) const RULE: Rule = Rule { code: RefusalCode::WaitlistFull, goals: &[Goal::Position], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.request.section;
    (!section.has_open_waitlist_position()).then(|| Refusal::WaitlistFull { waitlisted: section.waitlisted_total() })
}
