//! The rules of registration: an ordered list of functions, each of which returns a refusal or nothing.
//!
//! A new rule is a file in this folder, an entry in `RULES`, a code of the same rank in [`RefusalCode`], and a variant
//! of [`Refusal`]. Each rule lists the goals to which it applies.

mod already_in_course;
mod credit_limit;
mod hold;
mod prerequisite;
mod registration_closed;
mod section_cancelled;
mod section_closed;
mod section_full;
mod time_conflict;
mod waitlist_full;

use std::cell::OnceCell;

use enum_map::EnumMap;
use smallvec::SmallVec;
use strum::EnumCount;

use crate::domain::draft::Draft;
use crate::domain::ids::UserName;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::Registration;
use crate::domain::section::{Section, SectionState};
use crate::domain::student::StudentFacts;

/// All rules, in the order of evaluation, which is the order of precedence of their codes.
const RULES: [Rule; RefusalCode::COUNT] = [
    registration_closed::RULE,
    hold::RULE,
    section_cancelled::RULE,
    section_closed::RULE,
    already_in_course::RULE,
    prerequisite::RULE,
    time_conflict::RULE,
    credit_limit::RULE,
    section_full::RULE,
    waitlist_full::RULE,
];

// Checks at compile time that every code has one rule and that the rules are in the order of precedence.
const _: () = {
    let mut index = 0;
    while index < RULES.len() {
        assert!(RULES[index].code as usize == index, "the rules are not in the order of their codes");
        index += 1;
    }
};

/// One rule.
struct Rule {
    /// The code of its refusals, which a staff override names.
    code: RefusalCode,
    /// The goals to which it applies.
    goals: &'static [Goal],
    /// Returns a refusal if the rule forbids the request.
    refusal: fn(&RuleContext<'_>) -> Option<Refusal>,
}

/// What the student gets if no rule refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A seat, for a new request.
    Seat,
    /// A waitlist position, for a new request.
    Position,
    /// A seat, for a student on the waitlist. Evaluated only while the section has an assignable seat.
    Promotion,
}

/// A request for the rules to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The student.
    pub student: &'a UserName,
    /// The section, with its counts in the draft.
    pub section: &'a SectionState,
    /// What the student gets if no rule refuses it.
    pub goal: Goal,
}

/// The data that a rule may read.
struct RuleContext<'a> {
    draft: &'a Draft<'a>,
    request: &'a Request<'a>,
    others: OnceCell<Others<'a>>,
    facts: OnceCell<Option<&'a StudentFacts>>,
}

/// The other sections of a student. Few students have more than eight, so they usually fit on the stack.
type Others<'a> = SmallVec<[(&'a Registration, &'a Section); 8]>;

impl RuleContext<'_> {
    /// Returns the definition of the requested section.
    fn section(&self) -> &Section {
        &self.request.section.section
    }

    /// Returns what the college states about the student; `None` if it states nothing. Several rules read it, so it is
    /// looked up once.
    fn facts(&self) -> Option<&StudentFacts> {
        *self.facts.get_or_init(|| self.draft.facts(self.request.student).map(|facts| &**facts))
    }

    /// Returns the other sections for which the student is registered and that are not cancelled, in the order of
    /// registration. Several rules read them, so they are collected once.
    fn others(&self) -> &[(&Registration, &Section)] {
        self.others.get_or_init(|| self.draft.other_sections_of(self.request.student, self.section()).collect())
    }
}

/// The codes whose rules a staff override lifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiftedCodes(EnumMap<RefusalCode, bool>);

impl LiftedCodes {
    /// No code is lifted.
    pub const NONE: Self = Self(EnumMap::from_array([false; RefusalCode::COUNT]));

    /// Returns whether `code` is lifted.
    #[must_use]
    pub fn contains(&self, code: RefusalCode) -> bool {
        self.0[code]
    }
}

impl FromIterator<RefusalCode> for LiftedCodes {
    fn from_iter<I: IntoIterator<Item = RefusalCode>>(codes: I) -> Self {
        let mut lifted = Self::NONE;
        codes.into_iter().for_each(|code| lifted.0[code] = true);
        lifted
    }
}

/// Returns the refusal of the first rule that refuses the request; `None` if none does.
///
/// Skips rules whose code is in `lifted` and rules that do not apply to the goal.
#[must_use]
pub fn first_refusal(draft: &Draft<'_>, request: &Request<'_>, lifted: &LiftedCodes) -> Option<Refusal> {
    let case = RuleContext { draft, request, others: OnceCell::new(), facts: OnceCell::new() };
    RULES
        .iter()
        .filter(|rule| rule.goals.contains(&request.goal) && !lifted.contains(rule.code))
        .find_map(|rule| (rule.refusal)(&case))
}
