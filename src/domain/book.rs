//! A whole term in memory: the state from which a registrar decides commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::attempt_chain::{AttemptChain, StoredChain};
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::published::{PublishedSection, PublishedTerm, TermUpdate};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::{Credits, SectionState, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// A term with its sections, registrations and waitlists.
#[derive(Debug, Clone)]
pub struct TermBook {
    term: Term,
    credit_limit: Credits,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    facts: HashMap<UserName, Arc<StudentFacts>>,
    waitlists: HashMap<Crn, BTreeMap<u64, WaitlistEntry>>,
    next_queue_number: u64,
    attempts: AttemptChain,
}

impl TermBook {
    /// Creates the book of a term without registrations. `next_queue_number` is larger than every queue number that
    /// was ever assigned in the term.
    #[must_use]
    pub fn new(
        term: Term,
        credit_limit: Credits,
        sections: impl IntoIterator<Item = SectionState>,
        next_queue_number: u64,
    ) -> Self {
        let sections = sections.into_iter().map(|s| (s.section.id.crn.clone(), s)).collect();
        let (students, facts, waitlists) = (HashMap::new(), HashMap::new(), HashMap::new());
        let attempts = AttemptChain::default();
        Self { term, credit_limit, sections, students, facts, waitlists, next_queue_number, attempts }
    }

    /// Adds facts about a student that were read from a store.
    pub fn restore_facts(&mut self, student: UserName, facts: Arc<StudentFacts>) {
        self.facts.insert(student, facts);
    }

    /// Continues the chain of attempts that was read from a store.
    pub fn restore_attempts(&mut self, chain: StoredChain) {
        self.attempts = chain.into();
    }

    /// Returns the term's id and the chain of its attempts, to which a batch appends.
    pub fn attempts_mut(&mut self) -> (&TermId, &mut AttemptChain) {
        (&self.term.id, &mut self.attempts)
    }

    /// Adds a registration that was read from a store. Does not update the counts of its section, because those that
    /// were read from the store already include it.
    pub fn restore(&mut self, student: UserName, registration: Registration) {
        if registration.status == RegistrationStatus::Waitlisted {
            self.join_waitlist(&student, &registration);
        }
        registration.insert_into(self.students.entry(student).or_default());
    }

    /// Applies the changes of a decision, or of a commit by another hub.
    pub fn apply(&mut self, changes: &Changes) {
        if let Some(term) = &changes.term {
            self.term = term.clone();
        }
        for state in &changes.sections {
            self.sections.insert(state.section.id.crn.clone(), state.clone());
        }
        for (student, facts) in &changes.facts {
            match facts {
                Some(facts) => _ = self.facts.insert(student.clone(), facts.clone()),
                None => _ = self.facts.remove(student),
            }
        }
        for (student, registration) in &changes.registrations {
            let registrations = self.students.entry(student.clone()).or_default();
            if let Some(old) = registrations.iter().find(|r| r.crn == registration.crn)
                && old.status == RegistrationStatus::Waitlisted
                && let Some(waitlist) = self.waitlists.get_mut(&old.crn)
            {
                waitlist.remove(&old.queue_number);
            }
            registration.clone().insert_into(registrations);
            if registration.status == RegistrationStatus::Waitlisted {
                self.join_waitlist(student, registration);
            }
        }
    }

    fn join_waitlist(&mut self, student: &UserName, registration: &Registration) {
        let waitlist = self.waitlists.entry(registration.crn.clone()).or_default();
        let queue_number = registration.queue_number;
        waitlist.insert(queue_number, WaitlistEntry { queue_number, student: student.clone() });
        self.next_queue_number = self.next_queue_number.max(queue_number + 1);
    }

    /// Iterates over the sections in arbitrary order.
    pub fn sections(&self) -> impl Iterator<Item = &SectionState> {
        self.sections.values()
    }

    /// Returns the whole term for readers as of the commit `seq`.
    #[must_use]
    pub fn published(&self, seq: u64) -> PublishedTerm {
        PublishedTerm {
            term: self.term.clone(),
            seq,
            sections: self.published_sections(self.sections.values()),
            students: self.students.iter().map(|(student, list)| (student.clone(), list.as_slice().into())).collect(),
            facts: self.facts.iter().map(|(student, facts)| (student.clone(), facts.clone())).collect(),
        }
    }

    /// Returns the update for readers after changes that are already applied: the state and the waitlist of each of
    /// `sections`, and all registrations of each of `students`. The caller adds notices and alerts.
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
            let waitlist: Arc<[WaitlistEntry]> = self.waitlist(&state.section.id.crn).cloned().collect();
            PublishedSection { state: state.clone(), waitlist }
        };
        sections.map(published).collect()
    }
}

impl TermView for TermBook {
    fn term(&self) -> &Term {
        &self.term
    }
    fn facts(&self, student: &UserName) -> Option<&Arc<StudentFacts>> {
        self.facts.get(student)
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
    fn waitlist(&self, crn: &Crn) -> Box<dyn Iterator<Item = &WaitlistEntry> + '_> {
        Box::new(self.waitlists.get(crn).into_iter().flat_map(BTreeMap::values))
    }
    fn students(&self) -> Box<dyn Iterator<Item = (&UserName, &[Registration])> + '_> {
        Box::new(self.students.iter().map(|(s, r)| (s, r.as_slice())))
    }
    fn next_queue_number(&self) -> u64 {
        self.next_queue_number
    }
}
