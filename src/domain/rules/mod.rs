//! The rules of registration: an ordered list of functions, each of which returns a refusal or nothing.
//!
//! A new rule is a file in this folder, an entry in `RULES`, a code of the same rank in [`RefusalCode`], and a variant
//! of [`Refusal`]. Each rule lists the goals to which it applies.

mod already_in_course;
mod credit_limit;
mod hold;
mod linked_section_required;
mod prerequisite;
mod registration_closed;
mod repeat_limit;
mod restricted;
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
use crate::domain::ids::{Crn, UserName};
use crate::domain::refusal::{ClosedAction, Refusal, RefusalCode};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::{PoolSeats, Section, SectionState};
use crate::domain::student::{HeldAction, StudentFacts};
use crate::domain::term::has_passed;

/// All rules, in the order of evaluation, which is the order of precedence of their codes.
const RULES: [Rule; RefusalCode::COUNT] = [
    registration_closed::RULE,
    hold::RULE,
    section_cancelled::RULE,
    section_closed::RULE,
    already_in_course::RULE,
    repeat_limit::RULE,
    prerequisite::RULE,
    linked_section_required::RULE,
    time_conflict::RULE,
    credit_limit::RULE,
    restricted::RULE,
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
    /// A seat, for a student who is on the waitlist or is offered the seat.
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
    /// The other sections that the student gets in the same decision.
    pub companions: &'a [Companion<'a>],
    /// The sections that the student gives up in the same decision. No rule takes them into account.
    pub replaced: &'a [Crn],
}

impl Request<'_> {
    /// Returns the number of seats that the student can take after the earlier companions have taken theirs.
    #[must_use]
    pub fn seats(&self, facts: Option<&StudentFacts>) -> u32 {
        let Some(pool) = &self.section.pool else { return self.section.seats_for(facts) };
        let of_pool = |other: &&Companion<'_>| {
            let is_same = other.section.pool.as_ref().is_some_and(|other| other.group == pool.group);
            other.is_earlier && other.goal != Goal::Position && is_same
        };
        let mut others = PoolSeats::default();
        for other in self.companions.iter().filter(of_pool) {
            others.taken += 1;
            others.reserved += u32::from(other.section.reserved_group(facts).is_some());
        }
        self.section.seats_beside(facts, others)
    }
}

/// Another section that the student gets in the same decision. Rules compare the requested section to its earlier
/// companions. Only the rules that require another section also take later companions into account.
#[derive(Debug, Clone, Copy)]
pub struct Companion<'a> {
    /// The section.
    pub section: &'a SectionState,
    /// What the student gets in it.
    pub goal: Goal,
    /// Whether the student gets it before the requested section.
    pub is_earlier: bool,
}

/// The data that a rule may read.
struct RuleContext<'a> {
    draft: &'a Draft<'a>,
    request: &'a Request<'a>,
    others: OnceCell<Others<'a>>,
    facts: OnceCell<Option<&'a StudentFacts>>,
}

/// The other sections of a student. Few students have more than eight, so they usually fit on the stack.
type Others<'a> = SmallVec<[Other<'a>; 8]>;

/// Another section of the student.
#[derive(Clone, Copy)]
struct Other<'a> {
    /// Enrolled, offered or waitlisted.
    status: RegistrationStatus,
    section: &'a Section,
}

impl<'a> Other<'a> {
    fn of_companion(companion: &Companion<'a>) -> Self {
        let status = match companion.goal {
            Goal::Seat | Goal::Promotion => RegistrationStatus::Enrolled,
            Goal::Position => RegistrationStatus::Waitlisted,
        };
        Self { status, section: &companion.section.section }
    }
}

impl<'a> RuleContext<'a> {
    fn new(draft: &'a Draft<'a>, request: &'a Request<'a>) -> Self {
        Self { draft, request, others: OnceCell::new(), facts: OnceCell::new() }
    }

    /// Iterates over the rules that apply to the goal of the request and are not lifted.
    fn rules(&self, lifted: &LiftedCodes) -> impl Iterator<Item = &'static Rule> {
        RULES.iter().filter(|rule| rule.goals.contains(&self.request.goal) && !lifted.contains(rule.code))
    }
}

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
    /// registration, and then the earlier companions. Several rules read them, so they are collected once.
    fn others(&self) -> &[Other<'_>] {
        self.others.get_or_init(|| {
            let companions = self.request.companions;
            let is_companion =
                |section: &Section| companions.iter().any(|other| other.section.section.id == section.id);
            let registered = self.draft.other_sections_of(self.request.student, self.section());
            let is_replaced = |section: &Section| self.request.replaced.contains(&section.id.crn);
            let registered = registered.filter(|(_, section)| !is_companion(section) && !is_replaced(section));
            let registered = registered.map(|(registration, section)| Other { status: registration.status, section });
            let earlier = companions.iter().filter(|other| other.is_earlier).map(Other::of_companion);
            registered.chain(earlier).collect()
        })
    }

    /// Returns whether the student takes another section for which `is_it` holds, including companions. For a seat, a
    /// waitlist position in it is not sufficient, because it may never become a seat.
    fn takes(&self, is_it: impl Fn(&Section) -> bool) -> bool {
        let is_position = self.request.goal == Goal::Position;
        let later = self.request.companions.iter().filter(|other| !other.is_earlier).map(Other::of_companion);
        let counts = |other: &Other<'_>| is_position || other.status == RegistrationStatus::Enrolled;
        self.others().iter().copied().chain(later).any(|other| counts(&other) && is_it(other.section))
    }
}

/// The codes whose rules are not evaluated, such as those that staff lift.
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

    /// Returns the codes of both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (code, lifted) in &mut self.0 {
            *lifted |= other.0[code];
        }
        self
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
    let case = RuleContext::new(draft, request);
    case.rules(lifted).find_map(|rule| (rule.refusal)(&case))
}

/// Returns the refusals of all rules that refuse the request, in the order of precedence. Skips the same rules as
/// [`first_refusal`].
#[must_use]
pub fn refusals(draft: &Draft<'_>, request: &Request<'_>, lifted: &LiftedCodes) -> Vec<Refusal> {
    let case = RuleContext::new(draft, request);
    case.rules(lifted).filter_map(|rule| (rule.refusal)(&case)).collect()
}

/// Returns the refusal to drop a seat. A seat in a cancelled section, an offer and a waitlist position can always be
/// dropped.
#[must_use]
pub fn refusal_of_drop(
    draft: &Draft<'_>,
    student: &UserName,
    registration: &Registration,
    lifted: &LiftedCodes,
) -> Option<Refusal> {
    if registration.status != RegistrationStatus::Enrolled
        || draft.section(&registration.crn).is_some_and(SectionState::is_cancelled)
    {
        return None;
    }
    let (facts, now) = (draft.facts(student), draft.now);
    let closes_at = draft.term().cutoffs.drop_until;
    if has_passed(closes_at, now) && !lifted.contains(RefusalCode::RegistrationClosed) {
        let opens_at = draft.term().window_of(facts.map(|facts| &**facts)).opens_at;
        return Some(Refusal::RegistrationClosed { opens_at, closes_at, now, what: ClosedAction::Drop });
    }
    facts.filter(|_| !lifted.contains(RefusalCode::Hold)).and_then(|facts| Refusal::of_holds(facts, HeldAction::Drop))
}
