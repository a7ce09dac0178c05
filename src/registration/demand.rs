//! Demand for the sections of a term, from the plans that students prepare before registration opens.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::domain::ids::{Crn, UserName};
use crate::domain::pool::pool_key;
use crate::domain::registration::RegistrationStatus;
use crate::domain::rehearsal::Plan;
use crate::domain::section::{Section, SectionState};
use crate::registration::readmodel::{Snapshot, TermModel};

/// The demand for one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionDemand {
    /// The section.
    pub crn: Crn,
    /// Number of plans that contain it, not as an alternate, without those of students who have a seat in it or are
    /// offered one.
    pub plans: usize,
    /// Number of seats that a new student can take now.
    pub seats: u32,
}

/// The demand for the sections of a term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// The sections that are in plans, most plans first.
    pub sections: Vec<SectionDemand>,
    /// Number of students whose plans contain a counted section.
    pub students: usize,
    /// Number of students who would miss a section of their plans if seats were given out in the order in which windows
    /// open, and by username within a window. Counts seats only: no rule is evaluated.
    pub unplaced: usize,
}

/// The seats that remain while plans take them.
struct SeatsLeft<'s> {
    snapshot: &'s Snapshot,
    sections: HashMap<&'s Crn, u32>,
    pools: HashMap<Box<str>, u32>,
}

impl<'s> SeatsLeft<'s> {
    /// Takes a seat; returns false if there is none.
    fn take(&mut self, state: &'s SectionState) -> bool {
        let own = self.sections.entry(&state.section.id.crn).or_insert_with(|| state.open_seats());
        if *own == 0 {
            return false;
        }
        if let (Some(pool), Some(key)) = (&state.pool, pool_key(state)) {
            let shared = self.pools.entry(key).or_insert(pool.open);
            if *shared == 0 {
                return false;
            }
            *shared -= 1;
        }
        *own -= 1;
        true
    }

    fn take_by_crn(&mut self, crn: &Crn) -> bool {
        let snapshot = self.snapshot;
        snapshot.row(crn).is_some_and(|row| self.take(&row.state))
    }
}

/// Computes the demand of `plans`. Only sections for which `is_shown` returns true are counted.
#[must_use]
pub fn demand(model: &TermModel, plans: &[Plan], is_shown: impl Fn(&Section) -> bool) -> Demand {
    let snapshot = model.snapshot();
    let is_shown = |crn: &&Crn| snapshot.row(crn).is_some_and(|row| is_shown(&row.state.section));
    let mut arrivals: Vec<(Option<Timestamp>, &UserName, Vec<&Crn>)> = Vec::with_capacity(plans.len());
    for (student, plan) in plans {
        let held = model.registrations(student);
        let held: HashSet<&Crn> = held
            .iter()
            .flat_map(|all| all.iter())
            .filter(|r| matches!(r.status, RegistrationStatus::Enrolled | RegistrationStatus::Offered))
            .map(|r| &r.crn)
            .collect();
        let planned: Vec<&Crn> = plan.iter().map(|planned| &planned.section.crn).filter(is_shown).collect();
        if !planned.is_empty() {
            let opens_at = snapshot.term.window_of(model.facts(student).as_deref()).opens_at;
            arrivals.push((opens_at, student, planned.into_iter().filter(|crn| !held.contains(crn)).collect()));
        }
    }
    arrivals.sort_by_key(|(opens_at, student, _)| (opens_at.is_none(), *opens_at, *student));
    let mut left = SeatsLeft { snapshot: &snapshot, sections: HashMap::new(), pools: HashMap::new() };
    let mut counts: HashMap<&Crn, usize> = HashMap::new();
    let mut unplaced = 0;
    for (_, _, planned) in &arrivals {
        let mut misses = false;
        for crn in planned {
            *counts.entry(crn).or_default() += 1;
            misses |= !left.take_by_crn(crn);
        }
        unplaced += usize::from(misses);
    }
    let seats = |crn: &Crn| snapshot.row(crn).map_or(0, |row| row.state.open_seats());
    let sections = counts.into_iter().map(|(crn, plans)| SectionDemand { crn: crn.clone(), plans, seats: seats(crn) });
    let mut sections: Vec<SectionDemand> = sections.collect();
    sections.sort_by(|a, b| (b.plans, &a.crn).cmp(&(a.plans, &b.crn)));
    Demand { sections, students: arrivals.len(), unplaced }
}
