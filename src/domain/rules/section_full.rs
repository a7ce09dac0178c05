//! `section_full`: a new student needs a seat that is neither taken, in the section or in the pool that it shares, nor
//! reserved for the waitlist or for groups of other students.
//!
//! The rule does not apply to promotions: [`waitlist`](crate::domain::waitlist) checks their seats itself, and an offer
//! keeps its seat free.

use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Goal, Rule, RuleContext};
use crate::domain::term::has_passed;

pub(super) const RULE: Rule = Rule { code: RefusalCode::SectionFull, goals: &[Goal::Seat], refusal };

fn refusal(case: &RuleContext<'_>) -> Option<Refusal> {
    let section = case.request.section;
    (case.request.seats(case.facts()) == 0).then(|| Refusal::SectionFull {
        reserved: section.assignable_seats() > 0 && section.held_seats() > 0,
        waitlist_open: section.has_open_waitlist_position()
            && !has_passed(case.draft.term().cutoffs.waitlist_until, case.draft.now),
        waitlisted: section.waitlisted_total(),
    })
}
