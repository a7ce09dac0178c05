//! The published state of one term: its newest snapshot, and the registrations of each student.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use jiff::Timestamp;
use parking_lot::Mutex;

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
    /// How many students have a personal opening time, by that time.
    openings: Mutex<BTreeMap<Timestamp, usize>>,
}

impl TermModel {
    pub(super) fn new(loaded: PublishedTerm) -> Self {
        let snapshot = Snapshot::new(loaded.term, loaded.seq, loaded.sections);
        let openings = Mutex::new(openings_of(loaded.facts.iter().map(|(_, facts)| facts)));
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            students: loaded.students.into_iter().collect(),
            facts: loaded.facts.into_iter().collect(),
            openings,
        }
    }

    /// Replaces the published state with a loaded one, the snapshot last, as in [`TermModel::publish`]. The loaded
    /// state contains every published commit, so readers never see an older state.
    pub(super) fn reload(&self, loaded: PublishedTerm) {
        *self.openings.lock() = openings_of(loaded.facts.iter().map(|(_, facts)| facts));
        let facts: HashMap<_, _> = loaded.facts.into_iter().collect();
        self.facts.retain(|student, _| facts.contains_key(student));
        for (student, facts) in facts {
            self.facts.insert(student, facts);
        }
        let students: HashMap<_, _> = loaded.students.into_iter().collect();
        // An erasure gives a student's registrations to a pseudonym, so the student may be absent now.
        self.students.retain(|student, _| students.contains_key(student));
        for (student, registrations) in students {
            self.students.insert(student, registrations);
        }
        self.snapshot.store(Arc::new(Snapshot::new(loaded.term, loaded.seq, loaded.sections)));
    }

    /// Publishes a commit: first the students' registrations, then the snapshot, so that a reader who sees a seat taken
    /// also finds the registration.
    pub fn publish(&self, update: &TermUpdate) {
        for (student, registrations) in &update.students {
            self.students.insert(student.clone(), registrations.clone());
        }
        for (student, facts) in &update.facts {
            let before = match facts {
                Some(facts) => self.facts.insert(student.clone(), facts.clone()),
                None => self.facts.remove(student).map(|(_, before)| before),
            };
            self.count_opening(before.and_then(|before| before.opens_at), facts.as_ref().and_then(|f| f.opens_at));
        }
        let next = self.snapshot.load().after(update.seq, update.term.as_ref(), &update.sections);
        self.snapshot.store(Arc::new(next));
    }

    fn count_opening(&self, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        let mut openings = self.openings.lock();
        if let Some(before) = before
            && let Some(count) = openings.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                openings.remove(&before);
            }
        }
        if let Some(after) = after {
            *openings.entry(after).or_default() += 1;
        }
    }

    /// Returns whether the window of the term, of a group or of a student opens after `since` and by `now`.
    #[must_use]
    pub fn opens_between(&self, since: Timestamp, now: Timestamp) -> bool {
        let is_between = |at: Timestamp| since < at && at <= now;
        let term = self.snapshot().term.clone();
        term.opens_at.is_some_and(is_between)
            || term.windows.iter().any(|window| is_between(window.opens_at))
            || self.openings.lock().range((Bound::Excluded(since), Bound::Included(now))).next().is_some()
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

    /// Visits the registrations of each student, including dropped ones, in no particular order. `f` must not use this
    /// term.
    pub fn each_student(&self, mut f: impl FnMut(&[Registration])) {
        self.students.iter().for_each(|entry| f(entry.value()));
    }

    /// Returns the students who are enrolled in at least one section, by username.
    #[must_use]
    pub fn enrolled_students(&self) -> Vec<UserName> {
        let is_enrolled = |all: &[Registration]| all.iter().any(|one| one.status == RegistrationStatus::Enrolled);
        let enrolled = self.students.iter().filter(|entry| is_enrolled(entry.value()));
        let mut students: Vec<UserName> = enrolled.map(|entry| entry.key().clone()).collect();
        students.sort_unstable();
        students
    }

    /// Returns whether a student is enrolled or waitlisted in a section, or is offered a seat in it.
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

/// Returns how many students have a personal opening time, by that time.
fn openings_of<'f>(facts: impl Iterator<Item = &'f Arc<StudentFacts>>) -> BTreeMap<Timestamp, usize> {
    let mut openings = BTreeMap::new();
    for at in facts.filter_map(|facts| facts.opens_at) {
        *openings.entry(at).or_default() += 1;
    }
    openings
}
