//! The rules of registration: an ordered list of functions, each of which returns a refusal or nothing.
//!
//! A new rule is a file in this folder, an entry in the list below, and a code in [`RefusalCode`]. Each rule names the goals
//! for which it holds; no other code decides that.

mod already_in_course;
mod credit_limit;
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

/// All rules, in the order in which they are evaluated: the order of precedence of their codes.
const RULES: [Rule; RefusalCode::COUNT] = [
    registration_closed::RULE,
    section_cancelled::RULE,
    section_closed::RULE,
    already_in_course::RULE,
    time_conflict::RULE,
    credit_limit::RULE,
    section_full::RULE,
    waitlist_full::RULE,
];

// The order of the list and the order of precedence are the same, and every code has its rule.
const _: () = {
    let mut at = 0;
    while at < RULES.len() {
        assert!(RULES[at].code as usize == at, "the rules are not in the order of their codes");
        at += 1;
    }
};

/// One rule.
struct Rule {
    /// The code of its refusals, by which staff lift it.
    code: RefusalCode,
    /// The goals for which it holds.
    goals: &'static [Goal],
    /// Returns a refusal if the rule forbids the request.
    refusal: fn(&Case<'_>) -> Option<Refusal>,
}

/// What a student would get if no rule forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A seat, for a new request.
    Seat,
    /// A position on the waitlist, for a new request.
    Position,
    /// A seat, for a student on the waitlist. It is offered only while the section has a seat to give.
    Promotion,
}

/// A student and a section, to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The student.
    pub student: &'a UserName,
    /// The section, with its numbers as they are in the draft.
    pub section: &'a SectionState,
    /// What the student would get.
    pub goal: Goal,
}

/// What a rule may look at.
struct Case<'a> {
    draft: &'a Draft<'a>,
    request: &'a Request<'a>,
    others: OnceCell<Others<'a>>,
}

/// Sections that a student holds. Few students hold more than fit on the stack.
type Others<'a> = SmallVec<[(&'a Registration, &'a Section); 8]>;

impl Case<'_> {
    /// Returns the definition of the section that is requested.
    fn section(&self) -> &Section {
        &self.request.section.section
    }

    /// Returns the other sections that the student holds and that will be taught, in the order in which the student
    /// registered. Several rules look at them, so they are looked up once.
    fn others(&self) -> &[(&Registration, &Section)] {
        self.others.get_or_init(|| self.draft.others_of(self.request.student, self.section()).collect())
    }
}

/// The codes that a staff override lifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifted(EnumMap<RefusalCode, bool>);

impl Lifted {
    /// No code is lifted.
    pub const NONE: Self = Self(EnumMap::from_array([false; RefusalCode::COUNT]));

    /// Returns whether `code` is lifted.
    #[must_use]
    pub fn contains(&self, code: RefusalCode) -> bool {
        self.0[code]
    }
}

impl FromIterator<RefusalCode> for Lifted {
    fn from_iter<I: IntoIterator<Item = RefusalCode>>(codes: I) -> Self {
        let mut lifted = Self::NONE;
        codes.into_iter().for_each(|code| lifted.0[code] = true);
        lifted
    }
}

/// Returns the refusal of the first rule that forbids the request; `None` if none does.
///
/// Rules after that one are not evaluated, nor are rules whose code is `lifted` or that do not hold for the goal.
#[must_use]
pub fn judge(draft: &Draft<'_>, request: &Request<'_>, lifted: &Lifted) -> Option<Refusal> {
    let case = Case { draft, request, others: OnceCell::new() };
    RULES
        .iter()
        .filter(|rule| rule.goals.contains(&request.goal) && !lifted.contains(rule.code))
        .find_map(|rule| (rule.refusal)(&case))
}
