//! The rules of registration, written a second time from docs/SEMANTICS.md, without the code of the hub.
//!
//! All changes are journaled, so that the search can undo them. A term has at most 64 students and 64 sections, because
//! sets are bit masks.

use std::collections::VecDeque;

use super::record::{Edit, Millisecond, Request, SeatRow, Section, SectionView, Standing, Status, Student};

/// A set of sections.
pub(crate) type Sections = u64;

/// Fixed facts about a section.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) capacity: usize,
    pub(crate) waitlist_capacity: usize,
    pub(crate) credits: u32,
    /// Other sections of the same course and component.
    pub(crate) same_course: Sections,
    /// Other sections that meet at the same time.
    pub(crate) overlapping: Sections,
}

/// The time since which a student has had a status in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Since {
    pub(crate) at: Millisecond,
    /// Whether a response stated it. Otherwise it is the latest time that was stated before.
    pub(crate) is_exact: bool,
}

/// The result for one section of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Held { is_new: bool, standing: Standing, since: Since },
    Dropped { is_new: bool, since: Since },
    Problem(&'static str),
}

#[derive(Debug, Clone)]
struct SectionState {
    capacity: usize,
    waitlist_capacity: usize,
    status: Status,
    enrolled: usize,
    waitlist: Vec<Student>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct StudentState {
    enrolled: Sections,
    waiting: Sections,
    /// Sections that the student holds or has held.
    ever: Sections,
}

/// The former value of a cell of the state.
#[derive(Debug)]
enum Former {
    Limits(Section, usize, usize, Status),
    Enrolled(Section, usize),
    Waitlist(Section, Vec<Student>),
    Student(Student, StudentState),
    Since(usize, Since),
    Plan(Student, Vec<Section>),
    Latest(Millisecond),
}

/// A term with its students.
#[derive(Debug)]
pub(crate) struct Term {
    definitions: Vec<Definition>,
    credit_limit: u32,
    sections: Vec<SectionState>,
    students: Vec<StudentState>,
    since: Vec<Since>,
    plans: Vec<Vec<Section>>,
    cancelled: Sections,
    /// The latest time that a response stated.
    latest: Millisecond,
    journal: Vec<Former>,
}

const fn bit(section: Section) -> Sections {
    1 << section
}

fn each(mut set: Sections) -> impl Iterator<Item = Section> {
    std::iter::from_fn(move || {
        let section = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(section)
    })
}

impl Term {
    /// Creates a term without registrations.
    pub(crate) fn new(definitions: Vec<Definition>, credit_limit: u32, students: usize) -> Self {
        assert!(definitions.len() <= 64 && students <= 64, "sets are masks of 64 bits");
        let section = |definition: &Definition| SectionState {
            capacity: definition.capacity,
            waitlist_capacity: definition.waitlist_capacity,
            status: Status::Open,
            enrolled: 0,
            waitlist: Vec::new(),
        };
        Self {
            sections: definitions.iter().map(section).collect(),
            students: vec![StudentState::default(); students],
            since: vec![Since::default(); students * definitions.len()],
            plans: vec![Vec::new(); students],
            cancelled: 0,
            latest: 0,
            journal: Vec::new(),
            definitions,
            credit_limit,
        }
    }

    /// Returns a mark to which [`Term::undo`] returns.
    pub(crate) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Undoes all changes since the mark.
    pub(crate) fn undo(&mut self, mark: usize) {
        while self.journal.len() > mark {
            match self.journal.pop().expect("longer than the mark") {
                Former::Limits(section, capacity, waitlist_capacity, status) => {
                    let state = &mut self.sections[section];
                    (state.capacity, state.waitlist_capacity, state.status) = (capacity, waitlist_capacity, status);
                    self.note_status(section);
                }
                Former::Enrolled(section, enrolled) => self.sections[section].enrolled = enrolled,
                Former::Waitlist(section, waitlist) => self.sections[section].waitlist = waitlist,
                Former::Student(student, state) => self.students[student] = state,
                Former::Since(cell, since) => self.since[cell] = since,
                Former::Plan(student, plan) => self.plans[student] = plan,
                Former::Latest(at) => self.latest = at,
            }
        }
    }

    /// Returns whether anything but the latest time changed since the mark.
    pub(crate) fn has_changed_since(&self, mark: usize) -> bool {
        self.journal[mark..].iter().any(|former| !matches!(former, Former::Latest(_)))
    }

    /// Returns the sections and the students whose state changed since the mark.
    pub(crate) fn touched_since(&self, mark: usize) -> (Sections, u64) {
        self.journal[mark..].iter().fold((0, 0), |(sections, students), former| match former {
            Former::Limits(section, ..) | Former::Enrolled(section, _) | Former::Waitlist(section, _) => {
                (sections | bit(*section), students)
            }
            Former::Student(student, _) | Former::Plan(student, _) => (sections, students | 1 << student),
            Former::Since(..) | Former::Latest(_) => (sections, students),
        })
    }

    /// Returns a number that is the same for equal states.
    pub(crate) fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for section in &self.sections {
            (section.capacity, section.waitlist_capacity, section.status).hash(&mut hasher);
            section.waitlist.hash(&mut hasher);
        }
        (&self.students, &self.since, &self.plans).hash(&mut hasher);
        hasher.finish()
    }

    fn note_status(&mut self, section: Section) {
        if self.sections[section].status == Status::Cancelled {
            self.cancelled |= bit(section);
        } else {
            self.cancelled &= !bit(section);
        }
    }

    fn cell(&self, student: Student, section: Section) -> usize {
        student * self.definitions.len() + section
    }

    fn set_student(&mut self, student: Student, change: impl FnOnce(&mut StudentState)) {
        self.journal.push(Former::Student(student, self.students[student]));
        change(&mut self.students[student]);
    }

    fn set_enrolled(&mut self, section: Section, enrolled: usize) {
        self.journal.push(Former::Enrolled(section, self.sections[section].enrolled));
        self.sections[section].enrolled = enrolled;
    }

    fn set_waitlist(&mut self, section: Section, change: impl FnOnce(&mut Vec<Student>)) {
        self.journal.push(Former::Waitlist(section, self.sections[section].waitlist.clone()));
        change(&mut self.sections[section].waitlist);
    }

    fn set_since(&mut self, student: Student, section: Section, since: Since) {
        let cell = self.cell(student, section);
        self.journal.push(Former::Since(cell, self.since[cell]));
        self.since[cell] = since;
    }

    /// Executes a write that was decided at `at`, or at an unknown time. Returns the results for its sections: adds
    /// before drops; none for a write without results.
    pub(crate) fn execute(&mut self, request: &Request, at: Option<Millisecond>) -> Vec<Outcome> {
        if let Some(at) = at.filter(|at| *at > self.latest) {
            self.journal.push(Former::Latest(self.latest));
            self.latest = at;
        }
        let now = Since { at: at.unwrap_or(self.latest), is_exact: at.is_some() };
        let mut to_settle = VecDeque::new();
        let outcomes = match request {
            Request::Register { student, section, waitlist } => {
                vec![self.register(*student, *section, *waitlist, now)]
            }
            Request::Drop { student, section } => vec![self.drop_section(*student, *section, now, &mut to_settle)],
            Request::Batch { student, add, drop, swap: true, waitlist } => {
                return self.swap(*student, add, drop, *waitlist, now);
            }
            Request::Batch { student, add, drop, swap: false, waitlist } => {
                self.batch(*student, add, drop, *waitlist, now)
            }
            Request::PutPlan { student, plan } => {
                let former = std::mem::replace(&mut self.plans[*student], plan.clone());
                self.journal.push(Former::Plan(*student, former));
                Vec::new()
            }
            Request::RegisterPlan { student, waitlist } => {
                let plan = self.plans[*student].clone();
                self.batch(*student, &plan, &[], *waitlist, now)
            }
            Request::Edit { section, edit } => {
                self.edit(*section, *edit, &mut to_settle);
                Vec::new()
            }
            Request::ReadSection { .. }
            | Request::ReadSeats
            | Request::ReadRow { .. }
            | Request::ReadOwn { .. }
            | Request::ReadRoster { .. }
            | Request::ReadPlan { .. } => unreachable!("a read executes nothing"),
        };
        self.settle(to_settle, now);
        outcomes
    }

    fn held(&self, student: Student) -> Sections {
        self.students[student].enrolled | self.students[student].waiting
    }

    /// Returns the seats that can be assigned.
    fn assignable(&self, section: Section) -> usize {
        let state = &self.sections[section];
        if state.status == Status::Cancelled { 0 } else { state.capacity.saturating_sub(state.enrolled) }
    }

    fn position(&self, student: Student, section: Section) -> usize {
        let waitlist = &self.sections[section].waitlist;
        waitlist.iter().position(|waiting| *waiting == student).expect("the student waits") + 1
    }

    fn standing(&self, student: Student, section: Section) -> Option<Standing> {
        let state = &self.students[student];
        if state.enrolled & bit(section) != 0 {
            Some(Standing::Enrolled)
        } else if state.waiting & bit(section) != 0 {
            Some(Standing::Waitlisted(self.position(student, section)))
        } else {
            None
        }
    }

    /// Returns the code of the rule that refuses a seat to a student, apart from the rules about free seats.
    fn refusal(&self, student: Student, section: Section, counts_credits: bool) -> Option<&'static str> {
        let others = self.held(student) & !bit(section) & !self.cancelled;
        let definition = &self.definitions[section];
        if others & definition.same_course != 0 {
            return Some("already_in_course");
        }
        if others & definition.overlapping != 0 {
            return Some("time_conflict");
        }
        let enrolled = self.students[student].enrolled & others;
        let credits: u32 = each(enrolled).map(|other| self.definitions[other].credits).sum();
        (counts_credits && credits + definition.credits > self.credit_limit).then_some("credit_limit")
    }

    fn register(&mut self, student: Student, section: Section, waitlist: bool, now: Since) -> Outcome {
        if let Some(standing) = self.standing(student, section) {
            let since = self.since[self.cell(student, section)];
            return Outcome::Held { is_new: false, standing, since };
        }
        let state = &self.sections[section];
        let for_position = waitlist && self.assignable(section) == 0;
        match state.status {
            Status::Cancelled => return Outcome::Problem("section_cancelled"),
            Status::Closed => return Outcome::Problem("section_closed"),
            Status::Open => {}
        }
        if let Some(code) = self.refusal(student, section, !for_position) {
            return Outcome::Problem(code);
        }
        if for_position {
            if state.waitlist.len() >= state.waitlist_capacity {
                return Outcome::Problem("waitlist_full");
            }
            self.set_waitlist(section, |waitlist| waitlist.push(student));
            self.set_student(student, |state| {
                state.waiting |= bit(section);
                state.ever |= bit(section);
            });
        } else if self.assignable(section) == 0 {
            return Outcome::Problem("section_full");
        } else {
            self.set_enrolled(section, self.sections[section].enrolled + 1);
            self.set_student(student, |state| {
                state.enrolled |= bit(section);
                state.ever |= bit(section);
            });
        }
        self.set_since(student, section, now);
        let standing = self.standing(student, section).expect("just registered");
        Outcome::Held { is_new: true, standing, since: now }
    }

    fn drop_section(
        &mut self,
        student: Student,
        section: Section,
        now: Since,
        to_settle: &mut VecDeque<Section>,
    ) -> Outcome {
        let state = self.students[student];
        if state.ever & bit(section) == 0 {
            return Outcome::Problem("not_found");
        }
        if state.enrolled & bit(section) != 0 {
            self.set_enrolled(section, self.sections[section].enrolled - 1);
        } else if state.waiting & bit(section) != 0 {
            self.set_waitlist(section, |waitlist| waitlist.retain(|waiting| *waiting != student));
        } else {
            return Outcome::Dropped { is_new: false, since: self.since[self.cell(student, section)] };
        }
        self.set_student(student, |state| {
            state.enrolled &= !bit(section);
            state.waiting &= !bit(section);
        });
        self.set_since(student, section, now);
        to_settle.push_back(section);
        to_settle.extend(self.waitlists_of(student));
        Outcome::Dropped { is_new: true, since: now }
    }

    /// Returns the sections for which a student waits, in the order in which the student joined.
    fn waitlists_of(&self, student: Student) -> Vec<Section> {
        let mut waiting: Vec<Section> = each(self.students[student].waiting).collect();
        waiting.sort_by_key(|section| (self.since[self.cell(student, *section)].at, *section));
        waiting
    }

    /// Gives the free seats of sections to their waitlists. A student to whom a rule refuses the seat is passed over.
    fn settle(&mut self, mut to_settle: VecDeque<Section>, now: Since) {
        while let Some(section) = to_settle.pop_front() {
            for student in self.sections[section].waitlist.clone() {
                if self.assignable(section) == 0 {
                    break;
                }
                if self.refusal(student, section, true).is_none() {
                    self.set_waitlist(section, |waitlist| waitlist.retain(|waiting| *waiting != student));
                    self.set_enrolled(section, self.sections[section].enrolled + 1);
                    self.set_student(student, |state| {
                        state.waiting &= !bit(section);
                        state.enrolled |= bit(section);
                    });
                    self.set_since(student, section, now);
                }
            }
        }
    }

    /// Evaluates the drops, whose seats go to the waitlists, and then each add by itself.
    fn batch(
        &mut self,
        student: Student,
        add: &[Section],
        drop: &[Section],
        waitlist: bool,
        now: Since,
    ) -> Vec<Outcome> {
        let mut drops = Vec::with_capacity(drop.len());
        for section in drop {
            let mut to_settle = VecDeque::new();
            drops.push(self.drop_section(student, *section, now, &mut to_settle));
            self.settle(to_settle, now);
        }
        let adds: Vec<_> = add.iter().map(|section| self.register(student, *section, waitlist, now)).collect();
        adds.into_iter().chain(drops).collect()
    }

    /// Evaluates the adds as if the drops had happened, and applies all changes or none.
    fn swap(
        &mut self,
        student: Student,
        add: &[Section],
        drop: &[Section],
        waitlist: bool,
        now: Since,
    ) -> Vec<Outcome> {
        let (mark, mut to_settle) = (self.mark(), VecDeque::new());
        let drops: Vec<_> =
            drop.iter().map(|section| self.drop_section(student, *section, now, &mut to_settle)).collect();
        let mut outcomes: Vec<_> =
            add.iter().map(|section| self.register(student, *section, waitlist, now)).chain(drops).collect();
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Problem(_))) {
            self.undo(mark);
            for outcome in outcomes.iter_mut().filter(|outcome| !matches!(outcome, Outcome::Problem(_))) {
                *outcome = Outcome::Problem("swap_refused");
            }
            return outcomes;
        }
        self.settle(to_settle, now);
        for (section, outcome) in add.iter().zip(&mut outcomes) {
            if let Outcome::Held { standing: Standing::Waitlisted(_), .. } = outcome
                && self.standing(student, *section) == Some(Standing::Enrolled)
            {
                *outcome = Outcome::Held { is_new: true, standing: Standing::Enrolled, since: now };
            }
        }
        outcomes
    }

    fn edit(&mut self, section: Section, edit: Edit, to_settle: &mut VecDeque<Section>) {
        let state = &self.sections[section];
        let former = (state.capacity, state.waitlist_capacity, state.status);
        let capacity = edit.capacity.unwrap_or(former.0);
        let waitlist_capacity = edit.waitlist_capacity.unwrap_or(former.1);
        let status = edit.status.unwrap_or(former.2);
        if (capacity, waitlist_capacity, status) == former {
            return;
        }
        self.journal.push(Former::Limits(section, former.0, former.1, former.2));
        let state = &mut self.sections[section];
        (state.capacity, state.waitlist_capacity, state.status) = (capacity, waitlist_capacity, status);
        self.note_status(section);
        to_settle.push_back(section);
        if status != former.2 {
            // A cancelled section does not count in the schedules of its students.
            let holders = (0..self.students.len()).filter(|student| self.held(*student) & bit(section) != 0);
            to_settle.extend(holders.flat_map(|student| self.waitlists_of(student)).collect::<Vec<_>>());
        }
    }

    /// Returns the public numbers of a section.
    pub(crate) fn seats(&self, section: Section) -> SeatRow {
        let state = &self.sections[section];
        let open = if state.status == Status::Open { self.assignable(section) } else { 0 };
        [state.capacity, state.enrolled, state.waitlist.len(), open]
    }

    /// Returns the public state of a section.
    pub(crate) fn view(&self, section: Section) -> SectionView {
        let state = &self.sections[section];
        SectionView { seats: self.seats(section), waitlist_capacity: state.waitlist_capacity, status: state.status }
    }

    /// Returns the sections that a student holds, with the state of each, in order of index.
    pub(crate) fn own(&self, student: Student) -> Vec<(Section, Standing, Since)> {
        let held = each(self.held(student));
        held.filter_map(|section| {
            Some((section, self.standing(student, section)?, self.since[self.cell(student, section)]))
        })
        .collect()
    }

    /// Returns the enrolled students of a section in order of index, and its waitlist.
    pub(crate) fn roster(&self, section: Section) -> (Vec<Student>, &[Student]) {
        let enrolled = (0..self.students.len()).filter(|student| self.students[*student].enrolled & bit(section) != 0);
        (enrolled.collect(), &self.sections[section].waitlist)
    }

    /// Returns a student's plan.
    pub(crate) fn plan(&self, student: Student) -> &[Section] {
        &self.plans[student]
    }
}
