//! A term: its newest snapshot, and what each student holds.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use crate::domain::ids::{Crn, UserName};
use crate::domain::published::{PublishedTerm, TermUpdate};
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::Credits;

use crate::registration::readmodel::Snapshot;

/// A term as published.
pub struct TermModel {
    snapshot: ArcSwap<Snapshot>,
    students: DashMap<UserName, Arc<[Registration]>>,
}

impl TermModel {
    pub(super) fn new(loaded: PublishedTerm) -> Self {
        let snapshot = Snapshot::new(loaded.term, loaded.seq, loaded.sections);
        Self { snapshot: ArcSwap::from_pointee(snapshot), students: loaded.students.into_iter().collect() }
    }

    /// Exchanges everything. What was published from commits is in it, so no reader sees anything go back.
    pub(super) fn reload(&self, loaded: PublishedTerm) {
        self.snapshot.store(Arc::new(Snapshot::new(loaded.term, loaded.seq, loaded.sections)));
        for (student, held) in loaded.students {
            self.students.insert(student, held);
        }
    }

    /// Publishes a commit. Students first: whoever sees the seat gone finds who has it.
    pub fn publish(&self, update: &TermUpdate) {
        for (student, held) in &update.students {
            self.students.insert(student.clone(), held.clone());
        }
        let next = self.snapshot.load().after(update.seq, update.term.as_ref(), &update.sections);
        self.snapshot.store(Arc::new(next));
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What a student holds or has dropped.
    #[must_use]
    pub fn registrations(&self, student: &UserName) -> Option<Arc<[Registration]>> {
        self.students.get(student).map(|held| held.value().clone())
    }

    /// Whether a student holds a seat or a place in a section.
    #[must_use]
    pub fn holds(&self, student: &UserName, crn: &Crn) -> bool {
        self.registrations(student).is_some_and(|held| held.iter().any(|r| r.is_held() && r.crn == *crn))
    }

    /// The credits of what a student is enrolled in; cancelled sections count for nothing.
    #[must_use]
    pub fn enrolled_credits(&self, student: &UserName) -> Credits {
        let (Some(held), snapshot) = (self.registrations(student), self.snapshot()) else { return Credits(0) };
        let enrolled = held.iter().filter(|r| r.standing == Standing::Enrolled);
        Credits(enrolled.filter_map(|r| snapshot.row(&r.crn)).map(|row| row.state.counted_credits().0).sum())
    }
}
