//! The working state of one decision: the committed term with the decision's changes on top.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::{Notice, Reason};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::{Place, Section, SectionState, SectionStatus};
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// The changes of a decision as final values: each section and each registration once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The term, when it changed or is new.
    pub term: Option<Term>,
    /// Sections whose definition or numbers changed.
    pub sections: Vec<SectionState>,
    /// Registrations that changed.
    pub registrations: Vec<(UserName, Registration)>,
    /// Notices to students.
    pub notices: Vec<Notice>,
    /// The generation of the catalogue that becomes visible.
    pub generation: Option<u64>,
}

impl Changes {
    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.term.is_none() && self.sections.is_empty() && self.registrations.is_empty() && self.generation.is_none()
    }
}

/// A term with the changes of one decision on top.
///
/// A change may *unsettle* a section: one of its seats may now be for its waitlist, so it has to be settled before the
/// decision ends, see [`crate::domain::waitlist`].
pub struct Draft<'v> {
    view: &'v dyn TermView,
    /// The time of the decision.
    pub now: Timestamp,
    term: Option<Term>,
    generation: Option<u64>,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    changed: BTreeSet<(UserName, Crn)>,
    /// Journal positions of students who left a waitlist.
    left: HashSet<u64>,
    joined: Vec<(Crn, Place)>,
    next_place: u64,
    unsettled: VecDeque<Crn>,
    /// The members of `unsettled`.
    queued: HashSet<Crn>,
    notices: Vec<Notice>,
}

impl<'v> Draft<'v> {
    /// Creates a draft without changes.
    pub fn new(view: &'v dyn TermView, now: Timestamp) -> Self {
        Self {
            view,
            now,
            term: None,
            generation: None,
            sections: HashMap::new(),
            students: HashMap::new(),
            changed: BTreeSet::new(),
            left: HashSet::new(),
            joined: Vec::new(),
            next_place: view.next_place(),
            unsettled: VecDeque::new(),
            queued: HashSet::new(),
            notices: Vec::new(),
        }
    }

    /// Returns the committed term.
    pub fn view(&self) -> &'v dyn TermView {
        self.view
    }

    /// Returns the term.
    pub fn term(&self) -> &Term {
        self.term.as_ref().unwrap_or_else(|| self.view.term())
    }

    /// Returns a section with its numbers.
    pub fn section(&self, crn: &Crn) -> Option<&SectionState> {
        self.sections.get(crn).or_else(|| self.view.section(crn))
    }

    /// Returns a student's registrations, dropped ones included, in the order of [`Registration::put_among`].
    pub fn registrations(&self, student: &UserName) -> &[Registration] {
        self.students.get(student).map_or_else(|| self.view.registrations(student), Vec::as_slice)
    }

    /// Returns a student's registration in one section.
    pub fn registration(&self, student: &UserName, crn: &Crn) -> Option<&Registration> {
        self.registrations(student).iter().find(|r| r.crn == *crn)
    }

    /// Iterates over the sections other than `section` that a student holds and that will be taught, in the order in
    /// which the student registered.
    pub fn others_of(&self, student: &UserName, section: &Section) -> impl Iterator<Item = (&Registration, &Section)> {
        let held = self.registrations(student).iter().filter(|r| r.is_held() && r.crn != section.id.crn);
        held.filter_map(|r| Some((r, &*self.section(&r.crn)?.section)))
            .filter(|(_, other)| other.status != SectionStatus::Cancelled)
    }

    /// Returns every student who holds one of these sections before the decision, by name and CRN: the order of a hash
    /// map would let one decision end in two ways.
    pub fn holders_of(&self, crns: &HashSet<Crn>) -> Vec<(UserName, Crn, Standing)> {
        let all = self.view.students().flat_map(|(student, held)| held.iter().map(move |r| (student, r)));
        let holders = all.filter(|(_, r)| r.is_held() && crns.contains(&r.crn));
        let mut found: Vec<_> = holders.map(|(student, r)| (student.clone(), r.crn.clone(), r.standing)).collect();
        found.sort_unstable_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
        found
    }

    /// Iterates over the waitlist of a section, the next student first.
    pub fn waiting(&self, crn: &Crn) -> impl Iterator<Item = &Place> {
        // Journal positions only grow, so a student who joined in this decision comes after everyone else.
        let joined = self.joined.iter().filter(move |(at, _)| at == crn).map(|(_, place)| place);
        self.view.waiting(crn).chain(joined).filter(|(place, _)| !self.left.contains(place))
    }

    /// Returns the waitlist position of the student who joined at a journal position: 1 is next, and people who wait
    /// outside the hub come first.
    pub fn position(&self, crn: &Crn, place: u64) -> u32 {
        let outside = self.section(crn).map_or(0, |s| s.outside_waitlisted);
        let ahead = self.waiting(crn).take_while(|(other, _)| *other < place).count();
        outside.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)).saturating_add(1)
    }

    /// Returns a new journal position, later than all others.
    pub fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place - 1
    }

    /// Puts the term.
    pub fn put_term(&mut self, term: Term) {
        self.term = Some(term);
    }

    /// Makes a staged generation of the catalogue visible, in a term that the store may not have yet.
    pub fn show_generation(&mut self, generation: u64) {
        self.put_term(self.term().clone());
        self.generation = Some(generation);
    }

    /// Puts a section's definition and outside numbers, and unsettles it.
    pub fn put_section(&mut self, state: SectionState) {
        let crn = state.section.id.crn.clone();
        self.sections.insert(crn.clone(), state);
        self.unsettle(crn);
    }

    /// Puts a registration, updates the section's numbers and its waitlist, and notifies the student.
    ///
    /// A drop unsettles the section and every other section for which the student waits.
    pub fn put_registration(&mut self, student: &UserName, registration: Registration, reason: Reason) {
        let crn = registration.crn.clone();
        let before = self.registration(student, &crn).cloned();
        let was = before.as_ref().map_or(Standing::Dropped, |r| r.standing);
        let is = registration.standing;
        if let Some(mut state) = self.section(&crn).cloned() {
            state.enrolled = moved(state.enrolled, was == Standing::Enrolled, is == Standing::Enrolled);
            state.waiting = moved(state.waiting, was == Standing::Waitlisted, is == Standing::Waitlisted);
            self.sections.insert(crn.clone(), state);
        }
        if was == Standing::Waitlisted
            && is != Standing::Waitlisted
            && let Some(before) = &before
        {
            self.left.insert(before.place);
        }
        if is == Standing::Waitlisted && was != Standing::Waitlisted {
            self.joined.push((crn.clone(), (registration.place, student.clone())));
        }
        self.notify(Notice { student: student.clone(), crn: crn.clone(), standing: is, reason, at: registration.at });
        self.write(student, registration);
        if is == Standing::Dropped && was != Standing::Dropped {
            self.unsettle(crn);
            self.unsettle_waitlists_of(student);
        }
    }

    /// Records why a student on a waitlist was passed over, and notifies the student.
    pub fn pass_over(&mut self, student: &UserName, mut registration: Registration, code: RefusalCode) {
        registration.passed = Some(code);
        self.notify(Notice {
            student: student.clone(),
            crn: registration.crn.clone(),
            standing: registration.standing,
            reason: Reason::PassedOver(code),
            at: self.now,
        });
        self.write(student, registration);
    }

    /// Notifies a student.
    pub fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    fn write(&mut self, student: &UserName, registration: Registration) {
        self.changed.insert((student.clone(), registration.crn.clone()));
        let view = self.view;
        let held = self.students.entry(student.clone()).or_insert_with(|| view.registrations(student).to_vec());
        registration.put_among(held);
    }

    /// Unsettles a section.
    pub fn unsettle(&mut self, crn: Crn) {
        if self.queued.insert(crn.clone()) {
            self.unsettled.push_back(crn);
        }
    }

    /// Unsettles the sections for which a student waits, because the student's week or credits may have room now.
    pub fn unsettle_waitlists_of(&mut self, student: &UserName) {
        let waits = self.registrations(student).iter().filter(|r| r.standing == Standing::Waitlisted);
        let crns: Vec<Crn> = waits.map(|r| r.crn.clone()).collect();
        for crn in crns {
            self.unsettle(crn);
        }
    }

    /// Removes and returns the section that was unsettled first.
    pub fn next_unsettled(&mut self) -> Option<Crn> {
        let crn = self.unsettled.pop_front()?;
        self.queued.remove(&crn);
        Some(crn)
    }

    /// Returns the changes of the decision.
    pub fn into_changes(self) -> Changes {
        let registrations = self
            .changed
            .iter()
            .filter_map(|(student, crn)| {
                let registration = self.students.get(student)?.iter().find(|r| r.crn == *crn)?;
                Some((student.clone(), registration.clone()))
            })
            .collect();
        let mut sections: Vec<SectionState> =
            self.sections.into_values().filter(|s| self.view.section(&s.section.id.crn) != Some(s)).collect();
        sections.sort_unstable_by(|a, b| a.section.id.crn.cmp(&b.section.id.crn));
        Changes { term: self.term, sections, registrations, notices: self.notices, generation: self.generation }
    }
}

/// Returns a number of people after one of them moved.
///
/// # Panics
/// If the number does not count a person who leaves. The decision then changes nothing: continuing would wrap the number
/// to four billion and store it.
#[expect(clippy::expect_used, reason = "numbers that contradict the registrations must not be written")]
fn moved(count: u32, was: bool, is: bool) -> u32 {
    count.checked_sub(u32::from(was)).expect("the number of people counts each of them") + u32::from(is)
}
