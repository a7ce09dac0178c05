//! The published state of one term: its newest snapshot, and the registrations of each student.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use crate::domain::ids::{Crn, UserName};
use crate::domain::published::{PublishedTerm, TermUpdate};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::Credits;
use crate::domain::student::StudentFacts;

use crate::registration::readmodel::Snapshot;

/// The published state of one term.
pub struct TermModel {
    snapshot: ArcSwap<Snapshot>,
    students: DashMap<UserName, Arc<[Registration]>>,
    facts: DashMap<UserName, Arc<StudentFacts>>,
}

impl TermModel {
    pub(super) fn new(loaded: PublishedTerm) -> Self {
        let snapshot = Snapshot::new(loaded.term, loaded.seq, loaded.sections);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            students: loaded.students.into_iter().collect(),
            facts: loaded.facts.into_iter().collect(),
        }
    }

    /// Replaces the published state with a loaded one. That contains every published commit, so readers never see an
    /// older state.
    pub(super) fn reload(&self, loaded: PublishedTerm) {
        self.snapshot.store(Arc::new(Snapshot::new(loaded.term, loaded.seq, loaded.sections)));
        let facts: HashMap<_, _> = loaded.facts.into_iter().collect();
        self.facts.retain(|student, _| facts.contains_key(student));
        for (student, facts) in facts {
            self.facts.insert(student, facts);
        }
        let loaded: HashMap<_, _> = loaded.students.into_iter().collect();
        // Students whose registrations were given to a pseudonym.
        self.students.retain(|student, _| loaded.contains_key(student));
        for (student, registrations) in loaded {
            self.students.insert(student, registrations);
        }
    }

    /// Publishes a commit: first the students' registrations, then the snapshot, so that a reader who sees a seat taken
    /// also finds the registration.
    pub fn publish(&self, update: &TermUpdate) {
        for (student, registrations) in &update.students {
            self.students.insert(student.clone(), registrations.clone());
        }
        for (student, facts) in &update.facts {
            match facts {
                Some(facts) => _ = self.facts.insert(student.clone(), facts.clone()),
                None => _ = self.facts.remove(student),
            }
        }
        let next = self.snapshot.load().after(update.seq, update.term.as_ref(), &update.sections);
        self.snapshot.store(Arc::new(next));
    }

    /// Returns the newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Returns a student's registrations, including dropped ones; `None` if the student never registered.
    #[must_use]
    pub fn registrations(&self, student: &UserName) -> Option<Arc<[Registration]>> {
        self.students.get(student).map(|registrations| registrations.value().clone())
    }

    /// Returns what the college states about a student; `None` if it states nothing.
    #[must_use]
    pub fn facts(&self, student: &UserName) -> Option<Arc<StudentFacts>> {
        self.facts.get(student).map(|facts| facts.value().clone())
    }

    /// Visits the registrations of each student, including dropped ones, in no order. `f` must not use this term.
    pub fn each_student(&self, mut f: impl FnMut(&[Registration])) {
        self.students.iter().for_each(|entry| f(entry.value()));
    }

    /// Returns whether a student has a seat or a waitlist position in a section.
    #[must_use]
    pub fn is_registered(&self, student: &UserName, crn: &Crn) -> bool {
        self.registrations(student).is_some_and(|all| all.iter().any(|r| r.is_registered() && r.crn == *crn))
    }

    /// Returns the credits in which a student is enrolled. Cancelled sections do not count.
    #[must_use]
    pub fn enrolled_credits(&self, student: &UserName) -> Credits {
        let (Some(registrations), snapshot) = (self.registrations(student), self.snapshot()) else { return Credits(0) };
        let enrolled = registrations.iter().filter(|r| r.status == RegistrationStatus::Enrolled);
        Credits(enrolled.filter_map(|r| snapshot.row(&r.crn)).map(|row| row.state.counted_credits().0).sum())
    }
}
