//! The published state of a term for the decisions about one student, to check a plan without the registrar.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::ids::{Crn, UserName};
use crate::domain::offer::OfferSettings;
use crate::domain::plan::PlannedSection;
use crate::domain::pool::pool_key;
use crate::domain::registration::Registration;
use crate::domain::section::{Credits, SectionState, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;
use crate::domain::view::TermView;
use crate::domain::waitlist_order::ORDER_UNASSIGNED;
use crate::registration::readmodel::{Snapshot, TermModel};

/// The limits of the college that registrars decide with.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum credits of a student in a term; 0 means no limit.
    pub credits: Credits,
    /// How many times a student may take a course; 0 means no limit.
    pub repeats: u32,
}

/// A [`TermView`] of the newest snapshot for one student. It has no registrations of others, so no waitlist can be
/// settled with it; positions on waitlists are correct.
pub struct StudentView {
    snapshot: Arc<Snapshot>,
    student: UserName,
    registrations: Arc<[Registration]>,
    facts: Option<Arc<StudentFacts>>,
    limits: Limits,
    /// The pools of the planned sections.
    pools: BTreeMap<Box<str>, BTreeSet<Crn>>,
}

/// The sections that are returned for a pool that contains no planned section.
static NO_SECTIONS: BTreeSet<Crn> = BTreeSet::new();

impl StudentView {
    /// Creates the view of a student with this plan.
    #[must_use]
    pub fn new(model: &TermModel, student: &UserName, plan: &[PlannedSection], limits: Limits) -> Self {
        // A seat that the snapshot counts is among the registrations, because these are published first.
        let snapshot = model.snapshot();
        let registrations = model.registrations(student).unwrap_or_default();
        let planned = plan.iter().flat_map(|planned| std::iter::once(&planned.section).chain(&planned.alternates));
        let keys = planned.filter_map(|id| pool_key(&snapshot.row(&id.crn)?.state));
        let mut pools: BTreeMap<Box<str>, BTreeSet<Crn>> = keys.map(|key| (key, BTreeSet::new())).collect();
        if !pools.is_empty() {
            for state in snapshot.rows().map(|row| &row.state) {
                let pool = pool_key(state).and_then(|key| pools.get_mut(&key));
                pool.into_iter().for_each(|pool| _ = pool.insert(state.section.id.crn.clone()));
            }
        }
        Self { snapshot, student: student.clone(), registrations, facts: model.facts(student), limits, pools }
    }
}

impl TermView for StudentView {
    fn term(&self) -> &Term {
        &self.snapshot.term
    }
    fn facts(&self, student: &UserName) -> Option<&Arc<StudentFacts>> {
        self.facts.as_ref().filter(|_| *student == self.student)
    }
    fn credit_limit(&self) -> Credits {
        self.limits.credits
    }
    fn repeat_limit(&self) -> u32 {
        self.limits.repeats
    }
    fn sections_of_pool(&self, key: &str) -> &BTreeSet<Crn> {
        self.pools.get(key).unwrap_or(&NO_SECTIONS)
    }
    fn sections_to_release(&self, _now: Timestamp) -> Vec<Crn> {
        Vec::new()
    }
    fn next_release(&self) -> Option<Timestamp> {
        None
    }
    fn offer_settings(&self) -> OfferSettings {
        // No waitlist is settled, so no seat is offered.
        OfferSettings::default()
    }
    fn offers_due(&self, _now: Timestamp) -> Vec<(UserName, Crn)> {
        Vec::new()
    }
    fn next_offer_deadline(&self) -> Option<Timestamp> {
        None
    }
    fn section(&self, crn: &Crn) -> Option<&SectionState> {
        self.snapshot.row(crn).map(|row| &row.state)
    }
    fn registrations(&self, student: &UserName) -> &[Registration] {
        if *student == self.student { &self.registrations } else { &[] }
    }
    fn waitlist(&self, crn: &Crn) -> Box<dyn Iterator<Item = &WaitlistEntry> + '_> {
        Box::new(self.snapshot.row(crn).into_iter().flat_map(|row| row.waitlist.iter()))
    }
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_> {
        Box::new(std::iter::once((&self.student, &*self.registrations)))
    }
    fn next_queue_number(&self) -> u64 {
        ORDER_UNASSIGNED
    }
}
