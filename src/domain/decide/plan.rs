//! Registration for a whole plan, and the check of a plan before registration opens.
//!
//! First the planned sections themselves are requested, then, turn by turn, alternates of those that were refused, and
//! finally the waitlist positions of sections whose alternates were all refused. What was granted stays granted. A
//! section that was refused only because another one is missing, such as a lecture without its lab, is requested again
//! in each turn, so that an alternate can complete the set.

use jiff::Timestamp;

use crate::domain::decide::request::{Results, update_if_changed};
use crate::domain::decide::set::{self, Add};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::linked::may_need_another;
use crate::domain::outcome::RequestOutcome;
use crate::domain::plan::{ALTERNATES_MAX, CheckOutcome, CheckedSection, PLAN_LEN_MAX, PlanCheck, PlannedSection};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::registration::Registration;
use crate::domain::rules::LiftedCodes;
use crate::domain::view::TermView;

mod between;

/// Maximum number of requests that are evaluated for one plan, without those for waitlist positions at its end, so that
/// a plan in which each section requires another one does not delay other students. This is the number of sections and
/// alternates in the largest plan.
const TRIES_MAX: usize = PLAN_LEN_MAX * (1 + ALTERNATES_MAX);

/// A planned section while its plan is decided.
struct Entry<'p> {
    planned: &'p PlannedSection,
    /// The section, then the alternates that no other entry plans.
    candidates: Vec<&'p Crn>,
    /// The candidate that is requested.
    at: usize,
    /// The outcome of the section itself, or of the alternate that was granted.
    outcome: RequestOutcome,
    /// The outcome of the candidate that was requested last.
    last: RequestOutcome,
}

impl<'p> Entry<'p> {
    fn new(planned: &'p PlannedSection, plan: &'p [PlannedSection]) -> Self {
        let is_planned = |crn: &Crn| plan.iter().any(|other| other.section.crn == *crn);
        let alternates = planned.alternates.iter().map(|id| &id.crn).filter(|crn| !is_planned(crn));
        let candidates = std::iter::once(&planned.section.crn).chain(alternates).collect();
        Self { planned, candidates, at: 0, outcome: RequestOutcome::NotFound, last: RequestOutcome::NotFound }
    }

    fn crn(&self) -> &'p Crn {
        self.candidates[self.at]
    }

    fn is_granted(&self) -> bool {
        matches!(self.outcome, RequestOutcome::Done(_))
    }

    /// Returns whether the waitlist is joined only if all alternates were refused.
    fn waits_last(&self) -> bool {
        self.planned.waitlist && self.candidates.len() > 1
    }

    fn add(&self, waitlist: bool) -> Add<'p> {
        Add { crn: self.crn(), waitlist }
    }
}

/// Registers a student for the sections of a plan, all of which belong to the term. Returns a result for each, in the
/// order of the plan; that of a granted alternate has the CRN of the alternate.
pub(super) fn register(draft: &mut Draft<'_>, student: &UserName, plan: &[PlannedSection]) -> Results {
    let mut entries: Vec<Entry<'_>> = plan.iter().map(|planned| Entry::new(planned, plan)).collect();
    let all: Vec<usize> = (0..entries.len()).collect();
    let mut tries = run(draft, student, &mut entries, &all, |entry| entry.planned.waitlist && !entry.waits_last());
    while let Some(turn) = next_turn(draft, student, &mut entries) {
        tries += turn.len();
        if tries > TRIES_MAX {
            break;
        }
        run(draft, student, &mut entries, &turn, |_| false);
    }
    let waiting: Vec<usize> =
        pending(draft, &entries).filter(|(at, _)| entries[*at].waits_last()).map(|(at, _)| at).collect();
    if !waiting.is_empty() {
        let needs_another = pending(draft, &entries).filter(|(_, needs)| *needs).map(|(at, _)| at);
        let mut turn: Vec<usize> = waiting.into_iter().chain(needs_another).collect();
        turn.sort_unstable();
        turn.dedup();
        turn.iter().for_each(|at| entries[*at].at = 0);
        run(draft, student, &mut entries, &turn, |entry| entry.planned.waitlist);
    }
    for entry in &mut entries {
        update_if_changed(draft, student, &mut entry.outcome);
    }
    entries.into_iter().map(|entry| (entry.candidates[entry.at_of_outcome()].clone(), entry.outcome)).collect()
}

impl Entry<'_> {
    /// Returns the candidate of the outcome: the one that was granted, otherwise the section itself.
    fn at_of_outcome(&self) -> usize {
        if self.is_granted() { self.at } else { 0 }
    }
}

/// Requests the current candidates of some entries. Returns their number.
fn run(
    draft: &mut Draft<'_>,
    student: &UserName,
    entries: &mut [Entry<'_>],
    turn: &[usize],
    waitlist: impl Fn(&Entry<'_>) -> bool,
) -> usize {
    let adds: Vec<Add<'_>> = turn.iter().map(|at| entries[*at].add(waitlist(&entries[*at]))).collect();
    let outcomes = set::add(draft, student, &adds);
    for (at, outcome) in turn.iter().zip(outcomes) {
        let entry = &mut entries[*at];
        if entry.at == 0 || matches!(outcome, RequestOutcome::Done(_)) {
            entry.outcome.clone_from(&outcome);
        }
        entry.last = outcome;
    }
    turn.len()
}

/// Iterates over the entries that are not granted, and whether each may only lack another section.
fn pending<'e>(draft: &'e Draft<'_>, entries: &'e [Entry<'_>]) -> impl Iterator<Item = (usize, bool)> {
    let needs_another = |entry: &Entry<'_>| {
        let RequestOutcome::Refused(refusal) = &entry.last else { return false };
        [RefusalCode::LinkedSectionRequired, RefusalCode::Prerequisite].contains(&refusal.code())
            && draft.section(entry.crn()).is_some_and(|state| may_need_another(&state.section))
    };
    let open = entries.iter().enumerate().filter(|(_, entry)| !entry.is_granted());
    open.map(move |(at, entry)| (at, needs_another(entry)))
}

/// Chooses the next alternates, and returns the entries to request; `None` if no alternate is left.
///
/// An entry that only lacks another section changes to an alternate only if no other entry can. Of several such
/// entries, the last one changes, because labs are usually planned after their lectures.
fn next_turn(draft: &Draft<'_>, student: &UserName, entries: &mut [Entry<'_>]) -> Option<Vec<usize>> {
    let open: Vec<(usize, bool)> = pending(draft, entries).collect();
    let mut turn: Vec<usize> = Vec::new();
    for (at, _) in open.iter().filter(|(_, needs_another)| !needs_another) {
        if advance(draft, student, entries, *at, &turn) {
            turn.push(*at);
        }
    }
    if turn.is_empty() {
        let last = open.iter().rev().find(|(at, needs)| *needs && advance(draft, student, entries, *at, &[]))?;
        turn.push(last.0);
    }
    turn.extend(open.iter().filter(|(_, needs_another)| *needs_another).map(|(at, _)| *at));
    turn.sort_unstable();
    turn.dedup();
    Some(turn)
}

/// Moves an entry to its next alternate for which the student is not registered and that no entry of `turn` requests.
/// Returns false if there is none.
fn advance(draft: &Draft<'_>, student: &UserName, entries: &mut [Entry<'_>], at: usize, turn: &[usize]) -> bool {
    let is_free = |crn: &Crn| {
        !draft.registration(student, crn).is_some_and(Registration::is_registered)
            && !turn.iter().any(|other| entries[*other].crn() == crn)
    };
    let entry = &entries[at];
    let Some(next) = (entry.at + 1..entry.candidates.len()).find(|next| is_free(entry.candidates[*next])) else {
        return false;
    };
    entries[at].at = next;
    true
}

/// Returns what would happen if a student registered for a plan now and registration were open. All sections of the
/// plan belong to the term of `view`.
///
/// It runs the decision on a draft that is discarded. Permits and deadlines are those at the time when registration
/// opens for the student, if that is in the future; seats are the current ones.
#[must_use]
pub fn check_plan(view: &dyn TermView, student: &UserName, plan: &[PlannedSection], now: Timestamp) -> PlanCheck {
    let facts = view.facts(student).map(|facts| &**facts);
    let at = view.term().window_of(facts).opens_at.map_or(now, |opens_at| opens_at.max(now));
    let as_open = || Draft::new(view, at).lifting([RefusalCode::RegistrationClosed].into_iter().collect());
    let results = register(&mut as_open(), student, plan);
    let before = as_open();
    let all = plan.iter().zip(results).map(|(planned, (crn, outcome))| {
        let outcome = match outcome {
            RequestOutcome::Done(current) => {
                let alternate = planned.alternates.iter().find(|id| id.crn == crn && id.crn != planned.section.crn);
                let (status, position) = (current.status, current.position);
                CheckOutcome::Taken { alternate: alternate.cloned(), status, position }
            }
            RequestOutcome::Refused(refusal) => {
                let others = between::refusals_alone(&before, student, planned, plan);
                let also: Vec<Refusal> = others.into_iter().filter(|other| other.code() != refusal.code()).collect();
                CheckOutcome::Refused { refusal, also }
            }
            // Only a swap is undone, and a plan has no waitlist choices.
            RequestOutcome::NotFound | RequestOutcome::SwapUndone { .. } | RequestOutcome::InChoices { .. } => {
                CheckOutcome::NotFound
            }
        };
        CheckedSection { section: planned.section.clone(), outcome }
    });
    let results = all.collect();
    PlanCheck { results, problems: between::problems(view, at, student, plan) }
}

/// Returns the codes except one.
fn all_but(code: RefusalCode) -> LiftedCodes {
    use strum::VariantArray;
    RefusalCode::VARIANTS.iter().copied().filter(|other| *other != code).collect()
}
