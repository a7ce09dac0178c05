//! The working state of one decision: the committed term with the decision's changes on top.

mod waitlists;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::attempt::{Action, AttemptResult, Decided};
use crate::domain::command::FactsOfStudent;
use crate::domain::ids::{Crn, UserName};
use crate::domain::linked::may_need_another;
use crate::domain::notice::{Notice, Reason};
use crate::domain::offer::Offer;
use crate::domain::outcome::RequestOutcome;
use crate::domain::pool::{Pool, pool_key};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::rules::LiftedCodes;
use crate::domain::section::{Section, SectionState, SectionStatus, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::{Term, has_passed};
use crate::domain::view::TermView;

/// The changes of a decision: the final value of each changed section and registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The term, if it changed or is new.
    pub term: Option<Term>,
    /// Sections whose definition or counts changed.
    pub sections: Vec<SectionState>,
    /// Registrations that changed.
    pub registrations: Vec<(UserName, Registration)>,
    /// Facts about students that changed.
    pub facts: Vec<FactsOfStudent>,
    /// Notices to students.
    pub notices: Vec<Notice>,
    /// The generation of the catalogue that becomes visible, if an import was applied.
    pub generation: Option<u64>,
}

impl Changes {
    /// Returns whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Notices only report the other changes.
        let Self { term, sections, registrations, facts, notices: _, generation } = self;
        let is_unchanged = sections.is_empty() && registrations.is_empty() && facts.is_empty();
        is_unchanged && term.is_none() && generation.is_none()
    }
}

/// A term with the changes of one decision on top.
///
/// After a change, a student on the waitlist of a section may be able to take a seat. The section is queued, and every
/// queued waitlist is settled before the decision ends; see [`crate::domain::waitlist`].
pub struct Draft<'v> {
    view: &'v dyn TermView,
    /// The time of the decision.
    pub now: Timestamp,
    term: Option<Term>,
    generation: Option<u64>,
    sections: HashMap<Crn, SectionState>,
    students: HashMap<UserName, Vec<Registration>>,
    facts: BTreeMap<UserName, Option<Arc<StudentFacts>>>,
    changed: BTreeSet<(UserName, Crn)>,
    /// Former queue numbers of students who left a waitlist, or whose queue number changed.
    left_waitlists: HashSet<u64>,
    /// Students who joined a waitlist, or whose queue number changed.
    joined_waitlists: HashMap<Crn, Vec<WaitlistEntry>>,
    next_queue_number: u64,
    /// Whether students who joined or moved may be ahead of others.
    is_reordered: bool,
    to_settle: VecDeque<Crn>,
    /// The elements of `to_settle`, so that none is queued twice.
    in_to_settle: HashSet<Crn>,
    notices: Vec<Notice>,
    /// The sections of pools that gained or lost a section, by the pool's key.
    changed_pools: BTreeMap<Box<str>, BTreeSet<Crn>>,
    /// Whether sections became a choice among linked sections, or ceased to be one.
    are_choices_changed: bool,
    /// The keys of pools whose seats have to be computed again.
    stale_pools: BTreeSet<Box<str>>,
    attempts: Vec<Decided>,
    /// Codes that are lifted for all students.
    lifted: LiftedCodes,
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
            facts: BTreeMap::new(),
            changed: BTreeSet::new(),
            left_waitlists: HashSet::new(),
            joined_waitlists: HashMap::new(),
            next_queue_number: view.next_queue_number(),
            is_reordered: false,
            to_settle: VecDeque::new(),
            in_to_settle: HashSet::new(),
            notices: Vec::new(),
            changed_pools: BTreeMap::new(),
            stale_pools: BTreeSet::new(),
            are_choices_changed: false,
            attempts: Vec::new(),
            lifted: LiftedCodes::NONE,
        }
    }

    /// Lifts codes for all students, as if the rules did not exist.
    #[must_use]
    pub fn lifting(self, codes: LiftedCodes) -> Self {
        Self { lifted: codes, ..self }
    }

    /// Returns the term as committed, without the changes.
    pub fn view(&self) -> &'v dyn TermView {
        self.view
    }

    /// Returns the term, with the changes of the decision.
    pub fn term(&self) -> &Term {
        self.term.as_ref().unwrap_or_else(|| self.view.term())
    }

    /// Returns a section with its counts.
    pub fn section(&self, crn: &Crn) -> Option<&SectionState> {
        self.sections.get(crn).or_else(|| self.view.section(crn))
    }

    /// Returns a student's registrations, including dropped ones, in the order of [`Registration::insert_into`].
    pub fn registrations(&self, student: &UserName) -> &[Registration] {
        self.students.get(student).map_or_else(|| self.view.registrations(student), Vec::as_slice)
    }

    /// Returns what the college states about a student; `None` if it states nothing.
    pub fn facts(&self, student: &UserName) -> Option<&Arc<StudentFacts>> {
        match self.facts.get(student) {
            Some(changed) => changed.as_ref(),
            None => self.view.facts(student),
        }
    }

    /// Returns the codes that are lifted for a student in a section: those lifted for all students, and those of
    /// permits.
    pub fn lifted(&self, student: &UserName, section: &Section) -> LiftedCodes {
        let permits = self.facts(student).filter(|facts| !facts.permits.is_empty());
        permits.map_or(self.lifted, |facts| facts.permitted(section, self.now).and(&self.lifted))
    }

    /// Returns a student's registration in one section.
    pub fn registration(&self, student: &UserName, crn: &Crn) -> Option<&Registration> {
        self.registrations(student).iter().find(|r| r.crn == *crn)
    }

    /// Iterates over the sections other than `section` for which a student is registered and that are not cancelled, in
    /// the order of registration.
    pub fn other_sections_of(
        &self,
        student: &UserName,
        section: &Section,
    ) -> impl Iterator<Item = (&Registration, &Section)> {
        let others = self.registrations(student).iter().filter(|r| r.is_registered() && r.crn != section.id.crn);
        others
            .filter_map(|r| Some((r, &*self.section(&r.crn)?.section)))
            .filter(|(_, other)| other.status != SectionStatus::Cancelled)
    }

    /// Returns the students who are registered for one of these sections, sorted by name and CRN, because the order of
    /// a hash map would make decisions nondeterministic. Students without a registration before the decision are
    /// missing.
    pub fn students_in(&self, crns: &HashSet<Crn>) -> Vec<(UserName, Crn, RegistrationStatus)> {
        let students = self.view.students().map(|(student, _)| student);
        let all = students.flat_map(|student| self.registrations(student).iter().map(move |r| (student, r)));
        let registered = all.filter(|(_, r)| r.is_registered() && crns.contains(&r.crn));
        let mut found: Vec<_> = registered.map(|(student, r)| (student.clone(), r.crn.clone(), r.status)).collect();
        found.sort_unstable_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
        found
    }

    /// Replaces the term.
    pub fn put_term(&mut self, term: Term) {
        self.term = Some(term);
    }

    /// Replaces the facts about a student; `None` removes them. Returns whether they changed.
    pub fn put_facts(&mut self, student: &UserName, facts: Option<Arc<StudentFacts>>) -> bool {
        let is_changed = self.facts(student) != facts.as_ref();
        if is_changed {
            self.facts.insert(student.clone(), facts);
        }
        is_changed
    }

    /// Makes a staged generation of the catalogue visible. Also puts the term, because the store may not have it yet.
    pub fn show_generation(&mut self, generation: u64) {
        self.put_term(self.term().clone());
        self.generation = Some(generation);
    }

    /// Creates or replaces a section, and queues its waitlist to be settled. Reserved seats whose time has passed are
    /// released.
    pub fn put_section(&mut self, mut state: SectionState) {
        if state.section.reserved.iter().any(|one| has_passed(one.until, self.now) && !state.reserved.has_ended(one)) {
            state.reserved.released_at = Some(self.now);
        }
        let crn = state.section.id.crn.clone();
        let (before, after) = (self.section(&crn).and_then(pool_key), pool_key(&state));
        if before != after {
            before.iter().for_each(|key| _ = self.changed_pool(key).remove(&crn));
            after.iter().for_each(|key| _ = self.changed_pool(key).insert(crn.clone()));
        }
        self.stale_pools.extend(before.into_iter().chain(after));
        self.are_choices_changed |= self.section(&crn).is_none_or(|before| {
            !before.section.same_course(&state.section) || before.is_cancelled() != state.is_cancelled()
        });
        if state.section.cross_listed.is_none() {
            state.pool = None;
        }
        self.sections.insert(crn.clone(), state);
        self.queue_waitlist(crn);
    }

    fn changed_pool(&mut self, key: &str) -> &mut BTreeSet<Crn> {
        let view = self.view;
        self.changed_pools.entry(key.into()).or_insert_with(|| view.sections_of_pool(key).clone())
    }

    /// Returns the sections of a pool, in order.
    pub fn sections_of_pool(&self, key: &str) -> &BTreeSet<Crn> {
        self.changed_pools.get(key).unwrap_or_else(|| self.view.sections_of_pool(key))
    }

    /// Computes the pools of changed sections again.
    pub fn refresh_pools(&mut self) {
        while let Some(key) = self.stale_pools.pop_first() {
            let crns: Vec<Crn> = self.sections_of_pool(&key).iter().cloned().collect();
            let members: Vec<&SectionState> = crns.iter().filter_map(|crn| self.section(crn)).collect();
            let pool = Pool::of(&members);
            for crn in crns {
                let Some(state) = self.section(&crn).filter(|state| state.pool != pool) else { continue };
                let state = SectionState { pool: pool.clone(), ..state.clone() };
                self.sections.insert(crn.clone(), state);
            }
        }
    }

    /// Queues the waitlists of all pools that gained or lost a section, because seats may have become free for them.
    pub fn queue_changed_pools(&mut self) {
        for crn in self.changed_pools.values().flatten().cloned().collect::<Vec<_>>() {
            self.queue_waitlist(crn);
        }
    }

    /// Releases the reserved seats whose time has come, and queues the waitlists of their sections. Returns whether any
    /// were due.
    pub fn release_reserved(&mut self) -> bool {
        if self.view.next_release().is_none_or(|at| self.now < at) {
            return false;
        }
        for crn in self.view.sections_to_release(self.now) {
            let Some(mut state) = self.section(&crn).cloned() else { continue };
            state.reserved.released_at = Some(self.now);
            self.stale_pools.extend(pool_key(&state));
            self.sections.insert(crn.clone(), state);
            self.queue_waitlist(crn);
        }
        self.refresh_pools();
        true
    }

    /// Creates or replaces a registration, updates the section's counts and its waitlist, and notifies the student.
    ///
    /// A drop queues the waitlist of the section, and every waitlist of the student, to be settled. A seat queues the
    /// student's waitlists of sections that may require it, as a course of the same term or as a linked section.
    pub fn put_registration(&mut self, student: &UserName, registration: Registration, reason: Reason) {
        let crn = registration.crn.clone();
        let before = self.registration(student, &crn).cloned();
        let was = before.as_ref().map_or(RegistrationStatus::Dropped, |r| r.status);
        let is = registration.status;
        if let Some(mut state) = self.section(&crn).cloned() {
            for (count, status) in [
                (&mut state.enrolled, RegistrationStatus::Enrolled),
                (&mut state.offered, RegistrationStatus::Offered),
                (&mut state.waitlisted, RegistrationStatus::Waitlisted),
            ] {
                *count = count_after_change(*count, was == status, is == status);
            }
            if let Some(group) = before.as_ref().and_then(|before| before.reserved_for.as_deref()) {
                state.reserved.count(group, false);
            }
            if let Some(group) = &registration.reserved_for {
                state.reserved.count(group, true);
            }
            self.stale_pools.extend(pool_key(&state));
            self.sections.insert(crn.clone(), state);
            self.refresh_pools();
        }
        if was == RegistrationStatus::Waitlisted
            && is != RegistrationStatus::Waitlisted
            && let Some(before) = &before
        {
            self.left_waitlists.insert(before.queue_number);
        }
        if is == RegistrationStatus::Waitlisted && was != RegistrationStatus::Waitlisted {
            let entry = WaitlistEntry { queue_number: registration.queue_number, student: student.clone() };
            self.joined_waitlists.entry(crn.clone()).or_default().push(entry);
            self.is_reordered |= !self.term().offers.priority.is_empty();
        }
        self.notify(Notice { student: student.clone(), crn: crn.clone(), status: is, reason, at: registration.at });
        self.record(student, registration);
        if is == RegistrationStatus::Dropped && was != RegistrationStatus::Dropped {
            self.remove_from_choices(student, &crn);
            self.queue_waitlist(crn);
            self.queue_waitlists_of(student);
        }
        if is == RegistrationStatus::Enrolled {
            self.queue_waitlists_that_need(student);
        }
    }

    /// Removes a section from the waitlist choices of a student.
    fn remove_from_choices(&mut self, student: &UserName, crn: &Crn) {
        let left = |registration: &Registration| {
            let choices = registration.choices.as_ref().filter(|choices| choices.contains(crn))?;
            Some(Registration { choices: choices.without(crn).map(Arc::new), ..registration.clone() })
        };
        let changed: Vec<Registration> = self.registrations(student).iter().filter_map(left).collect();
        changed.into_iter().for_each(|registration| self.record(student, registration));
    }

    /// Records why a student on a waitlist was passed over and notifies the student.
    pub fn pass_over(&mut self, student: &UserName, mut registration: Registration, code: RefusalCode) {
        registration.passed_over_for = Some(code);
        self.notify(Notice {
            student: student.clone(),
            crn: registration.crn.clone(),
            status: registration.status,
            reason: Reason::PassedOver(code),
            at: self.now,
        });
        self.record(student, registration);
    }

    /// Reminds a student of an offer, once.
    pub fn remind(&mut self, student: &UserName, mut registration: Registration, offer: Offer) {
        registration.offer = Some(Offer { remind_at: None, ..offer });
        let (crn, status) = (registration.crn.clone(), registration.status);
        let reason = Reason::OfferEnds(offer.expires_at);
        self.notify(Notice { student: student.clone(), crn, status, reason, at: self.now });
        self.record(student, registration);
    }

    /// Notifies a student.
    pub fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Records a student's decided request. `open` is the number of open seats that it found.
    pub fn note_request(
        &mut self,
        student: &UserName,
        crn: &Crn,
        action: Action,
        outcome: &RequestOutcome,
        open: Option<u32>,
    ) {
        let (result, repeated, position) = outcome.of_attempt();
        let (student, crn) = (student.clone(), crn.clone());
        self.attempts.push(Decided { student, crn, action, result, repeated, position, open });
    }

    /// Records what the waitlist decided: that a student got a seat or an offer, left another section for a seat, was
    /// passed over, or let an offer lapse.
    pub fn note_own(
        &mut self,
        student: &UserName,
        crn: &Crn,
        action: Action,
        position: Option<u32>,
        result: AttemptResult,
    ) {
        let (student, crn) = (student.clone(), crn.clone());
        self.attempts.push(Decided { student, crn, action, result, repeated: false, position, open: None });
    }

    /// Removes and returns the decided requests and what the waitlist decided, in the order of the decisions.
    pub fn take_attempts(&mut self) -> Vec<Decided> {
        std::mem::take(&mut self.attempts)
    }

    fn record(&mut self, student: &UserName, registration: Registration) {
        self.changed.insert((student.clone(), registration.crn.clone()));
        let view = self.view;
        let registrations =
            self.students.entry(student.clone()).or_insert_with(|| view.registrations(student).to_vec());
        registration.insert_into(registrations);
    }

    /// Queues the waitlist of a section to be settled.
    pub fn queue_waitlist(&mut self, crn: Crn) {
        if self.in_to_settle.insert(crn.clone()) {
            self.to_settle.push_back(crn);
        }
    }

    /// Returns whether sections became a choice among linked sections, or ceased to be one.
    pub fn are_choices_changed(&self) -> bool {
        self.are_choices_changed
    }

    /// Returns whether the waitlist of a section is queued to be settled.
    pub fn is_queued(&self, crn: &Crn) -> bool {
        self.in_to_settle.contains(crn)
    }

    /// Queues the waitlists of a student to be settled: a rule that refused the student a seat may now allow it.
    pub fn queue_waitlists_of(&mut self, student: &UserName) {
        let waitlisted = self.registrations(student).iter().filter(|r| r.status == RegistrationStatus::Waitlisted);
        let crns: Vec<Crn> = waitlisted.map(|r| r.crn.clone()).collect();
        for crn in crns {
            self.queue_waitlist(crn);
        }
    }

    /// Queues those waitlists of a student whose sections may have to be taken together with another one.
    fn queue_waitlists_that_need(&mut self, student: &UserName) {
        let waitlisted = self.registrations(student).iter().filter(|r| r.status == RegistrationStatus::Waitlisted);
        let needs = |crn: &Crn| self.section(crn).is_some_and(|s| may_need_another(&s.section));
        let crns: Vec<Crn> = waitlisted.filter(|r| needs(&r.crn)).map(|r| r.crn.clone()).collect();
        for crn in crns {
            self.queue_waitlist(crn);
        }
    }

    /// Removes and returns the section whose waitlist was queued first.
    pub fn next_to_settle(&mut self) -> Option<Crn> {
        let crn = self.to_settle.pop_front()?;
        self.in_to_settle.remove(&crn);
        Some(crn)
    }

    /// Returns the changes of the decision.
    pub fn into_changes(mut self) -> Changes {
        self.refresh_pools();
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
        let facts = self.facts.into_iter().collect();
        let (term, generation, notices) = (self.term, self.generation, self.notices);
        Changes { term, sections, registrations, facts, notices, generation }
    }
}

/// Returns a count of registrations after one of them changed. `was` and `is` say whether that registration counted
/// before and counts now.
///
/// # Panics
/// If `count` is 0 although the registration counted before. The panic discards the decision, which would otherwise
/// store a count of four billion.
#[expect(clippy::expect_used, reason = "counts that contradict the registrations must not be written")]
fn count_after_change(count: u32, was: bool, is: bool) -> u32 {
    count.checked_sub(u32::from(was)).expect("the count includes each registration") + u32::from(is)
}
