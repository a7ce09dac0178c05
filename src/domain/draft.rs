//! The scratch pad of one decision: what it has changed so far, over the committed term.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use crate::domain::ids::{Crn, UserName};
use crate::domain::notice::{Notice, Reason};
use crate::domain::registration::{Registration, Standing};
use crate::domain::section::{Place, SectionState};
use crate::domain::term::Term;
use crate::domain::view::TermView;

/// Everything that a decision changes, as final values: each section and each registration once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The term, when it changed or is new.
    pub term: Option<Term>,
    /// Sections whose definition or numbers changed.
    pub sections: Vec<SectionState>,
    /// Registrations that changed.
    pub registrations: Vec<(UserName, Registration)>,
    /// What students are told.
    pub notices: Vec<Notice>,
    /// The generation of the catalogue that becomes visible.
    pub generation: Option<u64>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.term.is_none() && self.sections.is_empty() && self.registrations.is_empty() && self.generation.is_none()
    }
}

/// A term with the changes of one decision on top.
pub struct Draft<'v, V: TermView> {
    view: &'v V,
    /// The time of the decision.
    pub now: Timestamp,
    /// The term, once changed.
    pub term: Option<Term>,
    /// The generation of the catalogue that becomes visible.
    pub generation: Option<u64>,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    changed: BTreeSet<(UserName, Crn)>,
    left: HashSet<u64>,
    joined: Vec<(Crn, Place)>,
    next_place: u64,
    unsettled: VecDeque<Crn>,
    queued: HashSet<Crn>,
    notices: Vec<Notice>,
}

impl<'v, V: TermView> Draft<'v, V> {
    /// Nothing changed yet.
    pub fn new(view: &'v V, now: Timestamp) -> Self {
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

    /// The committed term below.
    pub fn view(&self) -> &'v V {
        self.view
    }

    /// The term as it stands now.
    pub fn term(&self) -> &Term {
        self.term.as_ref().unwrap_or_else(|| self.view.term())
    }

    /// A section as it stands now.
    pub fn section(&self, crn: &Crn) -> Option<&SectionState> {
        self.sections.get(crn).or_else(|| self.view.section(crn))
    }

    /// A student's registrations as they stand now.
    pub fn registrations(&self, student: &UserName) -> &[Registration] {
        self.students.get(student).map_or_else(|| self.view.registrations(student), Vec::as_slice)
    }

    /// A student's registration in one section.
    pub fn registration(&self, student: &UserName, crn: &Crn) -> Option<&Registration> {
        self.registrations(student).iter().find(|r| r.crn == *crn)
    }

    /// Who waits for a section, head first.
    pub fn waiting(&self, crn: &Crn) -> impl Iterator<Item = &Place> {
        // Places only grow, so whoever joined in this decision stands behind everyone before.
        let joined = self.joined.iter().filter(move |(at, _)| at == crn).map(|(_, place)| place);
        self.view.waiting(crn).chain(joined).filter(|(place, _)| !self.left.contains(place))
    }

    /// The position of a place: 1 is next, those who wait outside the hub come first.
    pub fn position(&self, crn: &Crn, place: u64) -> u32 {
        let outside = self.section(crn).map_or(0, |s| s.outside_waitlisted);
        let ahead = self.waiting(crn).take_while(|(other, _)| *other < place).count();
        outside.saturating_add(u32::try_from(ahead).unwrap_or(u32::MAX)).saturating_add(1)
    }

    /// A journal position that nobody has had.
    pub fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place - 1
    }

    /// Puts a section's new definition or outside numbers, and settles it later.
    pub fn put_section(&mut self, state: SectionState) {
        let crn = state.section.id.crn.clone();
        self.sections.insert(crn.clone(), state);
        self.unsettle(crn);
    }

    /// Gives a student a new standing, keeps the numbers of the section and the line in step, and notes who is to be
    /// told. A seat that is freed, and lines in which this student waits, are settled later.
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
        self.notices.push(Notice {
            student: student.clone(),
            crn: crn.clone(),
            standing: is,
            reason,
            at: registration.at,
        });
        self.write(student, registration);
        if is == Standing::Dropped && was != Standing::Dropped {
            self.unsettle(crn);
            self.unsettle_lines_of(student);
        }
    }

    /// Remembers that a student was told why a seat went past, and tells it.
    pub fn pass_over(&mut self, student: &UserName, mut registration: Registration, reason: Reason) {
        registration.passed = reason.code();
        let (crn, at) = (registration.crn.clone(), self.now);
        let notice = Notice { student: student.clone(), crn, standing: registration.standing, reason, at };
        self.notices.push(notice);
        self.write(student, registration);
    }

    /// Tells a student something about a registration that itself stays as it is.
    pub fn tell(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    fn write(&mut self, student: &UserName, registration: Registration) {
        self.changed.insert((student.clone(), registration.crn.clone()));
        let view = self.view;
        let held = self.students.entry(student.clone()).or_insert_with(|| view.registrations(student).to_vec());
        registration.put_among(held);
    }

    /// Notes that free seats of a section may now be for somebody in its line.
    pub fn unsettle(&mut self, crn: Crn) {
        if self.queued.insert(crn.clone()) {
            self.unsettled.push_back(crn);
        }
    }

    /// Notes that a student's week or credits have room that they had not.
    pub fn unsettle_lines_of(&mut self, student: &UserName) {
        let lines: Vec<Crn> = self
            .registrations(student)
            .iter()
            .filter(|r| r.standing == Standing::Waitlisted)
            .map(|r| r.crn.clone())
            .collect();
        for crn in lines {
            self.unsettle(crn);
        }
    }

    /// The next section whose line is to be looked at.
    pub fn next_unsettled(&mut self) -> Option<Crn> {
        let crn = self.unsettled.pop_front()?;
        self.queued.remove(&crn);
        Some(crn)
    }

    /// What the decision changes.
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

/// A number of people after one of them moved. Numbers that do not match the registrations stop the decision, which then
/// changes nothing: going on would wrap to four billion people, and keep that.
#[expect(
    clippy::expect_used,
    reason = "whoever leaves was counted; a store that says otherwise is not to be written to"
)]
fn moved(count: u32, was: bool, is: bool) -> u32 {
    count.checked_sub(u32::from(was)).expect("the number of people is less than those who are there") + u32::from(is)
}
