//! A whole term in memory: the state from which a registrar decides commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::attempt_chain::{AttemptChain, StoredChain};
use crate::domain::draft::Changes;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::notice::{Notice, Reason};
use crate::domain::offer::OfferSettings;
use crate::domain::pool::{Pool, PoolIndex, pool_key};
use crate::domain::published::{PublishedSection, PublishedTerm, TermUpdate};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::section::{Credits, SectionCounts, SectionState, WaitlistEntry};
use crate::domain::student::StudentFacts;
use crate::domain::term::Term;
use crate::domain::view::TermView;
use crate::domain::waitlist_order::order_of;

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
    repeat_limit: u32,
    offer_settings: OfferSettings,
    pools: PoolIndex,
    /// When offers lapse, or their students are reminded.
    offer_deadlines: BTreeSet<(Timestamp, UserName, Crn)>,
    /// When the reserved seats that are not released yet will be released.
    releases: BTreeSet<(Timestamp, Crn)>,
    attempts: AttemptChain,
}

impl TermBook {
    /// Creates the book of a term without registrations. `next_queue_number` is larger than every order of joining that
    /// was ever assigned in the term; see [`crate::domain::waitlist_order`].
    #[must_use]
    pub fn new(
        term: Term,
        credit_limit: Credits,
        sections: impl IntoIterator<Item = SectionState>,
        next_queue_number: u64,
    ) -> Self {
        let mut book = Self {
            term,
            credit_limit,
            sections: HashMap::new(),
            students: HashMap::new(),
            facts: HashMap::new(),
            waitlists: HashMap::new(),
            next_queue_number,
            repeat_limit: 0,
            offer_settings: OfferSettings::default(),
            pools: PoolIndex::default(),
            offer_deadlines: BTreeSet::new(),
            releases: BTreeSet::new(),
            attempts: AttemptChain::default(),
        };
        let mut pools = BTreeSet::new();
        for state in sections {
            book.put(state, &mut pools);
        }
        book.refresh_pools(&pools);
        book
    }

    /// Sets how many times a student may take a course; 0 means no limit.
    #[must_use]
    pub const fn with_repeat_limit(mut self, limit: u32) -> Self {
        self.repeat_limit = limit;
        self
    }

    /// Sets whether and how long seats are offered to students on waitlists.
    #[must_use]
    pub const fn with_offers(mut self, settings: OfferSettings) -> Self {
        self.offer_settings = settings;
        self
    }

    /// Inserts or replaces a section, and adds to `pools` the keys of the pools whose seats may change.
    fn put(&mut self, state: SectionState, pools: &mut BTreeSet<Box<str>>) {
        let crn = state.section.id.crn.clone();
        self.releases.extend(releases_of(&state).map(|at| (at, crn.clone())));
        let key = pool_key(&state);
        pools.extend(key.clone());
        let before = self.sections.insert(crn.clone(), state);
        let Some(before) = before else {
            self.pools.change(&crn, None, key.as_deref());
            return;
        };
        if !before.section.reserved.is_empty() {
            // A time that the new state also has must stay.
            let still: Vec<Timestamp> = self.sections.get(&crn).into_iter().flat_map(releases_of).collect();
            for at in releases_of(&before).filter(|at| !still.contains(at)) {
                self.releases.remove(&(at, crn.clone()));
            }
        }
        let key_before = pool_key(&before);
        if key_before != key {
            self.pools.change(&crn, key_before.as_deref(), key.as_deref());
            pools.extend(key_before);
        }
    }

    /// Computes pools again. The states of a decision have them already, but those that were read from a store, or that
    /// another hub committed, do not.
    fn refresh_pools(&mut self, keys: &BTreeSet<Box<str>>) {
        for key in keys {
            let members = self.pools.sections(key);
            let states: Vec<&SectionState> = members.iter().filter_map(|crn| self.sections.get(crn)).collect();
            let pool = Pool::of(&states);
            for crn in members {
                if let Some(state) = self.sections.get_mut(crn) {
                    state.pool.clone_from(&pool);
                }
            }
        }
    }

    /// Adds facts about a student that were read from a store.
    pub fn restore_facts(&mut self, student: UserName, facts: Arc<StudentFacts>) {
        self.facts.insert(student, facts);
    }

    /// Continues the chain of attempts that was read from a store.
    pub fn restore_attempts(&mut self, chain: StoredChain) {
        self.attempts = chain.into();
    }

    /// Returns the number of the last attempt; 0 without one.
    #[must_use]
    pub const fn last_attempt(&self) -> u64 {
        self.attempts.n()
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
        self.offer_deadlines.extend(deadline_of(&student, &registration));
        registration.insert_into(self.students.entry(student).or_default());
    }

    /// Applies what other hubs committed up to `seq`, and returns the update for readers, with the notices to students.
    ///
    /// The update has all sections of each pool that may have changed. `changes` was read from a store, so its sections
    /// have no pools, and it lacks the sections of a pool whose own counts did not change.
    pub fn follow(&mut self, seq: u64, changes: &Changes) -> TermUpdate {
        let notice = |(student, after): &(UserName, Registration)| {
            let before = self.registrations(student).iter().find(|one| one.crn == after.crn);
            let notice = Notice::between(student, before, after)?;
            let is_replaced = notice.status == RegistrationStatus::Dropped && self.is_replaced(changes, student, after);
            Some(if is_replaced { Notice { reason: Reason::Replaced, ..notice } } else { notice })
        };
        let notices = changes.registrations.iter().filter_map(notice).collect();
        let pools = self.apply(changes);
        let mut crns: BTreeSet<&Crn> = changes.sections.iter().map(|state| &state.section.id.crn).collect();
        crns.extend(pools.iter().flat_map(|key| self.pools.sections(key)));
        crns.extend(waitlisted(changes.registrations.iter().map(|(_, registration)| registration)));
        let sections = crns.into_iter().filter_map(|crn| self.sections.get(crn));
        let students = changes.registrations.iter().map(|(student, _)| student);
        let update = self.published_update(seq, changes.term.as_ref(), sections, students);
        TermUpdate { facts: changes.facts.clone(), notices, ..update }
    }

    /// Adds to `changes` the sections of which only the counts changed. Leaves out sections that are not in the book.
    #[must_use]
    pub fn with_counts(&self, mut changes: Changes, counts: Vec<SectionCounts>) -> Changes {
        let defined: BTreeSet<Crn> = changes.sections.iter().map(|state| state.section.id.crn.clone()).collect();
        let counted = counts.into_iter().filter(|counts| !defined.contains(&counts.crn)).filter_map(|counts| {
            let SectionCounts { crn, enrolled, offered, waitlisted, reserved } = counts;
            let before = self.sections.get(&crn)?.clone();
            Some(SectionState { enrolled, offered, waitlisted, reserved, ..before })
        });
        changes.sections.extend(counted);
        changes
    }

    /// Returns whether a promotion among changes that are not applied yet ended a registration by the student's choice.
    fn is_replaced(&self, changes: &Changes, student: &UserName, ended: &Registration) -> bool {
        let is_chosen = |waiting: &&Registration| {
            let choices = waiting.choices.as_ref().filter(|_| waiting.status == RegistrationStatus::Waitlisted);
            choices.is_some_and(|choices| choices.contains(&ended.crn))
        };
        let is_promoted = |waiting: &Registration| {
            let now = changes.registrations.iter().find(|(of, now)| of == student && now.crn == waiting.crn);
            now.is_some_and(|(_, now)| now.status == RegistrationStatus::Enrolled)
        };
        self.registrations(student).iter().filter(is_chosen).any(is_promoted)
    }

    /// Applies the changes of a decision, or of a commit by another hub. Returns the keys of the pools whose seats may
    /// have changed.
    pub fn apply(&mut self, changes: &Changes) -> BTreeSet<Box<str>> {
        if let Some(term) = &changes.term {
            self.term = term.clone();
        }
        let mut pools = BTreeSet::new();
        for state in &changes.sections {
            self.put(state.clone(), &mut pools);
        }
        self.refresh_pools(&pools);
        for (student, facts) in &changes.facts {
            match facts {
                Some(facts) => _ = self.facts.insert(student.clone(), facts.clone()),
                None => _ = self.facts.remove(student),
            }
        }
        // Students may have exchanged queue numbers, so all leave their waitlists before any joins one.
        for (student, registration) in &changes.registrations {
            let registrations = self.students.entry(student.clone()).or_default();
            if let Some(old) = registrations.iter().find(|r| r.crn == registration.crn) {
                if old.status == RegistrationStatus::Waitlisted
                    && let Some(waitlist) = self.waitlists.get_mut(&old.crn)
                {
                    waitlist.remove(&old.queue_number);
                }
                if let Some(deadline) = deadline_of(student, old) {
                    self.offer_deadlines.remove(&deadline);
                }
            }
            self.offer_deadlines.extend(deadline_of(student, registration));
            registration.clone().insert_into(registrations);
        }
        for (student, registration) in &changes.registrations {
            if registration.status == RegistrationStatus::Waitlisted {
                self.join_waitlist(student, registration);
            }
        }
        pools
    }

    fn join_waitlist(&mut self, student: &UserName, registration: &Registration) {
        let waitlist = self.waitlists.entry(registration.crn.clone()).or_default();
        let queue_number = registration.queue_number;
        waitlist.insert(queue_number, WaitlistEntry { queue_number, student: student.clone() });
        self.next_queue_number = self.next_queue_number.max(order_of(queue_number) + 1);
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

/// Returns the sections of waitlisted registrations: the order of their waitlists may change even if their counts do
/// not.
pub(super) fn waitlisted<'r>(registrations: impl Iterator<Item = &'r Registration>) -> impl Iterator<Item = &'r Crn> {
    registrations.filter(|one| one.status == RegistrationStatus::Waitlisted).map(|one| &one.crn)
}

/// Returns when reserved seats of a section will be released.
fn releases_of(state: &SectionState) -> impl Iterator<Item = Timestamp> + '_ {
    let reserved = state.section.reserved.iter().filter(|one| !state.reserved.has_ended(one));
    reserved.filter_map(|one| one.until)
}

/// Returns the next deadline of the offer of a registration; `None` without an offer.
fn deadline_of(student: &UserName, registration: &Registration) -> Option<(Timestamp, UserName, Crn)> {
    let offer = registration.offer?;
    Some((offer.next_deadline(), student.clone(), registration.crn.clone()))
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
    fn repeat_limit(&self) -> u32 {
        self.repeat_limit
    }
    fn sections_of_pool(&self, key: &str) -> &BTreeSet<Crn> {
        self.pools.sections(key)
    }
    fn sections_to_release(&self, now: Timestamp) -> Vec<Crn> {
        let mut due: Vec<Crn> = Vec::new();
        for (_, crn) in self.releases.iter().take_while(|(at, _)| *at <= now) {
            if !due.contains(crn) {
                due.push(crn.clone());
            }
        }
        due
    }
    fn next_release(&self) -> Option<Timestamp> {
        self.releases.first().map(|(at, _)| *at)
    }
    fn offer_settings(&self) -> OfferSettings {
        self.offer_settings
    }
    fn offers_due(&self, now: Timestamp) -> Vec<(UserName, Crn)> {
        let due = self.offer_deadlines.iter().take_while(|(at, ..)| *at <= now);
        due.map(|(_, student, crn)| (student.clone(), crn.clone())).collect()
    }
    fn next_offer_deadline(&self) -> Option<Timestamp> {
        self.offer_deadlines.first().map(|(at, ..)| *at)
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
