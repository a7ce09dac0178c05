//! A whole term in memory: the view on which a registrar's decisions rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, UserName};
use crate::domain::published::{PublishedSection, PublishedTerm, TermUpdate};
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::{Credits, Place, SectionState};
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// A term with its sections, registrations and waitlists.
#[derive(Debug, Clone)]
pub struct TermBook {
    term: Term,
    credit_limit: Credits,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    waitlists: HashMap<Crn, BTreeMap<u64, Place>>,
    next_place: u64,
}

impl TermBook {
    /// Creates the book of a term without registrations. `next_place` is the first journal position that no place in
    /// a waitlist has had.
    #[must_use]
    pub fn new(
        term: Term,
        credit_limit: Credits,
        sections: impl IntoIterator<Item = SectionState>,
        next_place: u64,
    ) -> Self {
        let sections = sections.into_iter().map(|s| (s.section.id.crn.clone(), s)).collect();
        Self { term, credit_limit, sections, students: HashMap::new(), waitlists: HashMap::new(), next_place }
    }

    /// Adds a registration read from a store. The numbers of its section are those that the store holds, so they stay
    /// as they are.
    pub fn restore(&mut self, student: UserName, registration: Registration) {
        if registration.standing == Standing::Waitlisted {
            self.join(&student, &registration);
        }
        registration.put_among(self.students.entry(student).or_default());
    }

    /// Applies the final values of a decision, or of a commit of another hub.
    pub fn apply(&mut self, changes: &Changes) {
        if let Some(term) = &changes.term {
            self.term = term.clone();
        }
        for state in &changes.sections {
            self.sections.insert(state.section.id.crn.clone(), state.clone());
        }
        for (student, registration) in &changes.registrations {
            let held = self.students.entry(student.clone()).or_default();
            if let Some(old) = held.iter().find(|r| r.crn == registration.crn)
                && old.standing == Standing::Waitlisted
                && let Some(waitlist) = self.waitlists.get_mut(&old.crn)
            {
                waitlist.remove(&old.place);
            }
            registration.clone().put_among(held);
            if registration.standing == Standing::Waitlisted {
                self.join(student, registration);
            }
        }
    }

    fn join(&mut self, student: &UserName, registration: &Registration) {
        let waitlist = self.waitlists.entry(registration.crn.clone()).or_default();
        waitlist.insert(registration.place, (registration.place, student.clone()));
        self.next_place = self.next_place.max(registration.place + 1);
    }

    /// Iterates over the sections, in no order.
    pub fn sections(&self) -> impl Iterator<Item = &SectionState> {
        self.sections.values()
    }

    /// Returns the whole term for readers, as of the commit `seq`.
    #[must_use]
    pub fn published(&self, seq: u64) -> PublishedTerm {
        PublishedTerm {
            term: self.term.clone(),
            seq,
            sections: self.published_sections(self.sections.values()),
            students: self.students.iter().map(|(student, held)| (student.clone(), held.as_slice().into())).collect(),
        }
    }

    /// Returns what readers need of changes that are already applied: of each of these sections its state and
    /// waitlist, of each of these students every registration. Notices and alerts are the caller's to add.
    #[must_use]
    pub fn published_update<'c>(
        &self,
        seq: u64,
        term: Option<&Term>,
        sections: impl Iterator<Item = &'c SectionState>,
        students: impl Iterator<Item = &'c UserName>,
    ) -> TermUpdate {
        let students: BTreeSet<&UserName> = students.collect();
        TermUpdate {
            seq,
            term: term.cloned(),
            sections: self.published_sections(sections),
            students: students.into_iter().map(|s| (s.clone(), self.registrations(s).into())).collect(),
            ..TermUpdate::default()
        }
    }

    fn published_sections<'c>(&self, sections: impl Iterator<Item = &'c SectionState>) -> Vec<PublishedSection> {
        let published = |state: &SectionState| {
            let waitlist: Arc<[Place]> = self.waiting(&state.section.id.crn).cloned().collect();
            PublishedSection { state: state.clone(), waitlist }
        };
        sections.map(published).collect()
    }
}

impl TermView for TermBook {
    fn term(&self) -> &Term {
        &self.term
    }
    fn credit_limit(&self) -> Credits {
        self.credit_limit
    }
    fn section(&self, crn: &Crn) -> Option<&SectionState> {
        self.sections.get(crn)
    }
    fn registrations(&self, student: &UserName) -> &[Registration] {
        self.students.get(student).map_or(&[], Vec::as_slice)
    }
    fn waiting(&self, crn: &Crn) -> Box<dyn Iterator<Item = &Place> + '_> {
        Box::new(self.waitlists.get(crn).into_iter().flat_map(BTreeMap::values))
    }
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_> {
        Box::new(self.students.iter().map(|(s, r)| (s, r.as_slice())))
    }
    fn next_place(&self) -> u64 {
        self.next_place
    }
}
