//! A whole term in memory: one way to give a decision its view.

use std::collections::{BTreeMap, HashMap};

use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::{Credits, Place, SectionState};
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// A term as committed.
#[derive(Debug, Clone)]
pub struct TermBook {
    term: Term,
    credit_limit: Credits,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    lines: HashMap<Crn, BTreeMap<u64, Place>>,
    next_place: u64,
}

impl TermBook {
    /// A term with its sections, before anybody registered. `next_place` is the first journal position not yet used.
    #[must_use]
    pub fn new(
        term: Term,
        credit_limit: Credits,
        sections: impl IntoIterator<Item = SectionState>,
        next_place: u64,
    ) -> Self {
        let sections = sections.into_iter().map(|s| (s.section.id.crn.clone(), s)).collect();
        Self { term, credit_limit, sections, students: HashMap::new(), lines: HashMap::new(), next_place }
    }

    /// Puts a registration that the store holds, without touching any count.
    pub fn restore(&mut self, student: UserName, registration: Registration) {
        if registration.standing == Standing::Waitlisted {
            self.join(&student, &registration);
        }
        registration.put_among(self.students.entry(student).or_default());
    }

    /// Takes over what a decision changed, once it is handed to the store.
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
                && let Some(line) = self.lines.get_mut(&old.crn)
            {
                line.remove(&old.place);
            }
            registration.clone().put_among(held);
            if registration.standing == Standing::Waitlisted {
                self.join(student, registration);
            }
        }
    }

    fn join(&mut self, student: &UserName, registration: &Registration) {
        let line = self.lines.entry(registration.crn.clone()).or_default();
        line.insert(registration.place, (registration.place, student.clone()));
        self.next_place = self.next_place.max(registration.place + 1);
    }

    /// The sections, in no order.
    pub fn sections(&self) -> impl Iterator<Item = &SectionState> {
        self.sections.values()
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
        Box::new(self.lines.get(crn).into_iter().flat_map(BTreeMap::values))
    }
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_> {
        Box::new(self.students.iter().map(|(s, r)| (s, r.as_slice())))
    }
    fn next_place(&self) -> u64 {
        self.next_place
    }
}
