//! The adds of a batch. Sections that belong together, such as a lecture and its lab, are evaluated as a set: each rule
//! takes the others into account, and those that no rule refuses are registered together.

use crate::domain::attempt::Action;
use crate::domain::decide::request::{goal, grant, register};
use crate::domain::draft::Draft;
use crate::domain::ids::{Crn, UserName};
use crate::domain::linked::{self, SET_LEN_MAX};
use crate::domain::notice::Reason;
use crate::domain::outcome::RequestOutcome;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::rules::{Companion, Goal, Request, first_refusal};
use crate::domain::section::SectionState;

/// A section to register for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Add<'a> {
    pub(super) crn: &'a Crn,
    /// Whether the student accepts a waitlist position.
    pub(super) waitlist: bool,
}

/// Registers a student for several sections. Returns the outcomes in the same order.
pub(super) fn add(draft: &mut Draft<'_>, student: &UserName, adds: &[Add<'_>]) -> Vec<RequestOutcome> {
    let crns: Vec<&Crn> = adds.iter().map(|add| add.crn).collect();
    let Some(sets) = linked::sets(draft, &crns) else {
        return adds.iter().map(|add| register(draft, student, add.crn, add.waitlist)).collect();
    };
    let mut outcomes: Vec<Option<RequestOutcome>> = vec![None; adds.len()];
    for set in sets {
        let of_set: Vec<Add<'_>> = set.iter().map(|at| adds[*at]).collect();
        for (at, outcome) in set.iter().zip(add_set(draft, student, &of_set)) {
            outcomes[*at] = Some(outcome);
        }
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(RequestOutcome::NotFound)).collect()
}

/// Registers a student for the sections of one set. Sections that a rule refuses leave the set, one after the other,
/// and the others are evaluated again without them.
fn add_set(draft: &mut Draft<'_>, student: &UserName, adds: &[Add<'_>]) -> Vec<RequestOutcome> {
    let is_new = |crn: &Crn| draft.registration(student, crn).is_none_or(|r| !r.is_registered());
    let mut set: Vec<Add<'_>> = adds.iter().copied().filter(|add| is_new(add.crn)).collect();
    if set.len() < 2 || set.len() > SET_LEN_MAX {
        return adds.iter().map(|add| register(draft, student, add.crn, add.waitlist)).collect();
    }
    let open: Vec<Option<u32>> = adds.iter().map(|add| draft.section(add.crn).map(SectionState::open_seats)).collect();
    let mut refused: Vec<(&Crn, Refusal)> = Vec::new();
    let goals = loop {
        match evaluate(draft, student, &set) {
            Ok(goals) => break goals,
            Err((at, refusal)) => refused.push((set.remove(at).crn, refusal)),
        }
    };
    let mut granted: Vec<(&Crn, RequestOutcome)> = Vec::new();
    for (Add { crn, .. }, goal) in set.into_iter().zip(goals) {
        granted.push((crn, grant(draft, student, crn, goal, Reason::Requested)));
    }
    let mut outcomes = Vec::with_capacity(adds.len());
    for (Add { crn, waitlist }, open) in adds.iter().copied().zip(open) {
        let outcome = if let Some(at) = granted.iter().position(|(of, _)| *of == crn) {
            granted.swap_remove(at).1
        } else if let Some(at) = refused.iter().position(|(of, _)| *of == crn) {
            RequestOutcome::Refused(refused.swap_remove(at).1)
        } else {
            // The student was registered before.
            outcomes.push(register(draft, student, crn, waitlist));
            continue;
        };
        draft.note_request(student, crn, Action::Register, &outcome, open);
        outcomes.push(outcome);
    }
    outcomes
}

/// Evaluates the sections of a set together. Returns what the student gets in each, or the first section that a rule
/// refuses.
///
/// The student gets a waitlist position in a section with a free seat if a linked section has only a waitlist position,
/// so that the student never has a seat in one of them alone.
fn evaluate(draft: &Draft<'_>, student: &UserName, set: &[Add<'_>]) -> Result<Vec<Goal>, (usize, Refusal)> {
    // A section that does not exist is alone in its set, which is not evaluated here.
    let sections: Vec<&SectionState> = set.iter().filter_map(|add| draft.section(add.crn)).collect();
    let mut goals: Vec<Goal> = sections
        .iter()
        .zip(set)
        .map(|(section, add)| goal(draft, student, section, add.waitlist, &draft.lifted(student, &section.section)))
        .collect();
    let judge = |goals: &[Goal], at: usize, goal: Goal| {
        let (section, companions) = (sections[at], companions(&sections, goals, at));
        let request = Request { student, section, goal, companions: &companions, replaced: &[] };
        first_refusal(draft, &request, &draft.lifted(student, &section.section))
    };
    let mut demoted = Vec::new();
    // Each turn but the last changes a seat to a position.
    loop {
        let before = demoted.len();
        for at in 0..sections.len() {
            let Some(refusal) = judge(&goals, at, goals[at]) else { continue };
            let may_wait = [RefusalCode::LinkedSectionRequired, RefusalCode::SectionFull].contains(&refusal.code());
            if !(set[at].waitlist && may_wait && goals[at] == Goal::Seat) || judge(&goals, at, Goal::Position).is_some()
            {
                return Err((at, refusal));
            }
            goals[at] = Goal::Position;
            demoted.push(at);
        }
        if demoted.len() == before {
            break;
        }
    }
    // The seat that another section of the pool would have taken may be free again. A student must not wait for a seat
    // that a new student could take.
    for at in demoted {
        let mut with_seat = goals.clone();
        with_seat[at] = Goal::Seat;
        if (0..sections.len()).all(|other| judge(&with_seat, other, with_seat[other]).is_none()) {
            goals = with_seat;
        }
    }
    Ok(goals)
}

/// Returns the other sections of a set.
fn companions<'s>(sections: &[&'s SectionState], goals: &[Goal], of: usize) -> Vec<Companion<'s>> {
    let others = sections.iter().zip(goals).enumerate().filter(|(at, _)| *at != of);
    others.map(|(at, (section, goal))| Companion { section, goal: *goal, is_earlier: at < of }).collect()
}
