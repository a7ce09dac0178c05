//! Checks of the contents of a store that are the same for each engine: recomputes the counts of a term from its
//! registrations, and the chain of its attempts.

use std::collections::{BTreeMap, HashMap};

use crate::domain::attempt::{Attempt, AttemptResult, Hash, Salt, commitment};
use crate::domain::ids::{Crn, SectionId, TermId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::domain::reservation::ReservedCounts;
use crate::domain::section::{SectionState, SectionStatus};

use crate::store::terms::TermRows;

/// Maximum number of differences in a chain that are listed for a term; the others are counted.
const DIFFERENCES_MAX: usize = 100;

/// The result of verifying a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Number of terms.
    pub terms: usize,
    /// Number of sections.
    pub sections: usize,
    /// Number of seats and waitlist positions.
    pub registered: usize,
    /// Number of attempts.
    pub attempts: u64,
    /// What is not as the hub wrote it, one phrase each. Empty if the store is whole.
    pub damage: Vec<String>,
    /// Differences between the stored counts and the registrations, and in the chains of attempts, one phrase each.
    /// Empty if both are correct.
    pub differences: Vec<String>,
    /// What is unusual but may be correct, because staff and imports may change a section that has students.
    pub notes: Vec<String>,
}

/// A term's sections by CRN.
type Sections<'t> = HashMap<Crn, &'t SectionState>;

/// Recomputes the counts of a term. `counted_crns` has the CRNs of its counts above 0.
pub(super) fn check_term(term: &TermRows, counted_crns: &[String], found: &mut Verification) {
    let id = &term.term.id;
    // Enrolled students, offers and waitlisted students of each section.
    let mut counted: BTreeMap<Crn, (u32, u32, u32)> = BTreeMap::new();
    let mut reserved: HashMap<Crn, ReservedCounts> = HashMap::new();
    for (_, registration) in term.registrations.iter().filter(|(_, r)| r.is_registered()) {
        let (enrolled, offered, waitlisted) = counted.entry(registration.crn.clone()).or_default();
        match registration.status {
            RegistrationStatus::Enrolled => *enrolled += 1,
            RegistrationStatus::Offered => *offered += 1,
            RegistrationStatus::Waitlisted => *waitlisted += 1,
            RegistrationStatus::Dropped => {}
        }
        if let Some(group) = &registration.reserved_for {
            reserved.entry(registration.crn.clone()).or_default().count(group, true);
        }
        found.registered += 1;
    }
    found.terms += 1;
    found.sections += term.sections.len();
    let sections: Sections<'_> = term.sections.iter().map(|s| (s.section.id.crn.clone(), s)).collect();

    let mut in_order: Vec<&SectionState> = sections.values().copied().collect();
    in_order.sort_by(|a, b| a.section.id.cmp(&b.section.id));
    for state in in_order {
        let (enrolled, offered, waitlisted) = counted.get(&state.section.id.crn).copied().unwrap_or_default();
        let section = &state.section.id;
        compare_count(found, section, "enrolled", state.enrolled, enrolled);
        compare_count(found, section, "offered", state.offered, offered);
        compare_count(found, section, "waitlisted", state.waitlisted, waitlisted);
        let reserved = reserved.remove(&section.crn).unwrap_or_default();
        if state.reserved.taken != reserved.taken {
            found.differences.push(format!(
                "{section}: reserved seats taken: {} by its count, {} by its registrations",
                sum_of(&state.reserved),
                sum_of(&reserved)
            ));
        }
        let (total, capacity) = (state.enrolled_total(), state.section.capacity);
        if total > capacity {
            found.notes.push(format!("{section}: {total} enrolled, capacity {capacity}"));
        }
    }
    for crn in counted.keys().filter(|crn| !sections.contains_key(*crn)) {
        found.differences.push(format!("{id}-{crn}: registrations in a section that does not exist"));
    }
    for crn in counted_crns.iter().filter(|crn| !sections.contains_key(crn.as_str())) {
        found.differences.push(format!("{id}-{crn}: a seat count of a section that does not exist"));
    }
    for registrations in term.registrations.chunk_by(|(a, _), (b, _)| a == b) {
        note_conflicts(found, id, &sections, registrations);
    }
}

fn sum_of(counts: &ReservedCounts) -> u32 {
    counts.taken.iter().map(|(_, taken)| *taken).fold(0, u32::saturating_add)
}

fn compare_count(found: &mut Verification, section: &SectionId, what: &str, stored: u32, counted: u32) {
    if stored != counted {
        found.differences.push(format!("{section}: {stored} {what} by its count, {counted} by its registrations"));
    }
}

/// Notes pairs of a student's sections that the rules do not allow together, unless the student waits for one of them
/// instead of the other.
fn note_conflicts(
    found: &mut Verification,
    term: &TermId,
    sections: &Sections<'_>,
    registrations: &[(UserName, Registration)],
) {
    let held: Vec<_> = registrations
        .iter()
        .filter(|(_, r)| r.is_registered())
        .filter_map(|(student, r)| Some((student, r, &sections.get(&r.crn)?.section)))
        .filter(|(.., section)| section.status != SectionStatus::Cancelled)
        .collect();
    for (at, (student, registration, one)) in held.iter().enumerate() {
        for (_, other_registration, other) in &held[at + 1..] {
            let is_instead = registration.replaces(&other.id.crn) || other_registration.replaces(&one.id.crn);
            let why = if is_instead {
                continue;
            } else if one.same_course(other) {
                "two sections of one course and component"
            } else if one.overlaps(other) {
                "two sections that overlap"
            } else {
                continue;
            };
            let (one, other) = (&one.id.crn, &other.id.crn);
            found.notes.push(format!("{term}: {student} has {one} and {other}, {why}"));
        }
    }
}

/// The statuses of students in sections.
pub(super) type Statuses = HashMap<(UserName, Crn), RegistrationStatus>;

/// Returns the statuses of the registrations of a term.
pub(super) fn statuses_of(term: &TermRows) -> Statuses {
    term.registrations.iter().map(|(user, r)| ((user.clone(), r.crn.clone()), r.status)).collect()
}

/// The stored ends of a chain of attempts.
pub(super) struct ChainEnds {
    /// The term.
    pub(super) term: TermId,
    /// The last attempt.
    pub(super) n: u64,
    /// Its hash.
    pub(super) head: Hash,
    /// The last attempt when the newest attempts of students and sections were stored.
    pub(super) heads_at: u64,
    /// The last attempt that was deleted.
    pub(super) deleted: u64,
    /// Its hash.
    pub(super) deleted_hash: Hash,
}

impl ChainEnds {
    /// Returns the ends of the chain of a term without attempts.
    pub(super) fn empty(term: TermId) -> Self {
        Self { term, n: 0, head: Hash::ZERO, heads_at: 0, deleted: 0, deleted_hash: Hash::ZERO }
    }
}

/// A student of a chain.
struct Student {
    user: UserName,
    commitment: Hash,
}

/// The verification of one chain: [`Self::student`] for each student, [`Self::attempt`] for each attempt in order, and
/// between them, once [`Self::wants_heads`] is true, [`Self::heads`]; then [`Self::end`].
pub(super) struct ChainCheck<'t> {
    chain: ChainEnds,
    students: HashMap<u64, Student>,
    /// The previous attempt, and its hash.
    before: (u64, Hash),
    last_of_student: HashMap<u64, u64>,
    last_of_section: HashMap<Crn, u64>,
    /// The status after the last granted attempt of each student in each section.
    statuses: HashMap<(u64, Crn), RegistrationStatus>,
    are_heads_checked: bool,
    row: Vec<u8>,
    found: &'t mut Vec<String>,
    count: usize,
}

impl<'t> ChainCheck<'t> {
    /// Begins the verification of a chain. Adds a phrase for each difference to `found`, and the number of those beyond
    /// [`DIFFERENCES_MAX`].
    pub(super) fn new(chain: ChainEnds, found: &'t mut Vec<String>) -> Self {
        Self {
            students: HashMap::new(),
            before: (chain.deleted, chain.deleted_hash),
            last_of_student: HashMap::new(),
            last_of_section: HashMap::new(),
            statuses: HashMap::new(),
            are_heads_checked: false,
            row: Vec::new(),
            found,
            count: 0,
            chain,
        }
    }

    fn differs(&mut self, what: std::fmt::Arguments<'_>) {
        self.count += 1;
        if self.count <= DIFFERENCES_MAX {
            self.found.push(format!("{}: {what}", self.chain.term));
        }
    }

    /// Adds a student. The salt of an erased person is deleted.
    pub(super) fn student(&mut self, id: u64, user: UserName, stored: Hash, salt: Option<Salt>) {
        if salt.is_some_and(|salt| commitment(&salt, &user) != stored) {
            self.differs(format_args!("the attempts of {user} were recorded under another name"));
        }
        self.students.insert(id, Student { user, commitment: stored });
    }

    /// Returns whether the newest attempts have to be compared before the attempt `next`; `None` for the end.
    pub(super) fn wants_heads(&self, next: Option<u64>) -> bool {
        !self.are_heads_checked && next.is_none_or(|n| n > self.chain.heads_at)
    }

    /// Compares the stored newest attempts of students and sections, without deleted attempts, with those of the chain
    /// up to now. Each has a student and an empty CRN, or 0 and a CRN, and the number of the attempt.
    pub(super) fn heads(&mut self, stored: &[(u64, String, u64)]) {
        self.are_heads_checked = true;
        let expected = self.last_of_student.len() + self.last_of_section.len();
        let is_same = |(student, crn, n): &(u64, String, u64)| {
            let last =
                if crn.is_empty() { self.last_of_student.get(student) } else { self.last_of_section.get(crn.as_str()) };
            last == Some(n)
        };
        if stored.len() != expected || !stored.iter().all(is_same) {
            self.differs(format_args!("the newest attempts of students and sections are not those of the chain"));
        }
    }

    /// Adds the next attempt.
    pub(super) fn attempt(&mut self, attempt: &Attempt) {
        let (before, hash_before) = self.before;
        self.before = (attempt.n, attempt.hash);
        let n = attempt.n;
        if n != before + 1 {
            self.differs(format_args!("attempt {n} follows attempt {before}, so attempts are missing"));
        }
        match self.students.get(&attempt.student) {
            Some(student) => attempt.canonical_row(&self.chain.term, student.commitment, &mut self.row),
            None => return self.differs(format_args!("attempt {n} belongs to an unknown student")),
        }
        if hash_before.followed_by(&self.row) != attempt.hash {
            self.differs(format_args!("the hash of attempt {n} does not match its row and the previous attempt"));
        }
        let of_student = self.last_of_student.insert(attempt.student, n).unwrap_or(0);
        let of_section = self.last_of_section.insert(attempt.crn.clone(), n).unwrap_or(0);
        // An attempt before the first stored one was deleted after the retention period.
        let deleted = self.chain.deleted;
        let follows = |stated: u64, last: u64| stated == last || (last == 0 && stated <= deleted);
        if !follows(attempt.before_of_student, of_student) || !follows(attempt.before_of_section, of_section) {
            self.differs(format_args!("attempt {n} does not continue the history of its student and its section"));
        }
        if let AttemptResult::Granted(status) = attempt.result {
            self.statuses.insert((attempt.student, attempt.crn.clone()), status);
        }
    }

    /// Ends the verification. `registered` has the registrations of the term: a status that the last granted attempt
    /// contradicts is a difference.
    pub(super) fn end(mut self, registered: &Statuses) {
        let ((n, hash), stated) = (self.before, (self.chain.n, self.chain.head));
        if (n, hash) != stated {
            let last = stated.0;
            self.differs(format_args!("the chain ends with attempt {n}, but its stored end is attempt {last}"));
        }
        let mut statuses: Vec<_> = std::mem::take(&mut self.statuses).into_iter().collect();
        statuses.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for ((student, crn), status) in statuses {
            let Some(Student { user, .. }) = self.students.get(&student) else { continue };
            let stored = registered.get(&(user.clone(), crn.clone())).copied();
            if stored != Some(status) {
                let (user, status) = (user.clone(), status.as_str());
                let stored = stored.map_or("not there", RegistrationStatus::as_str);
                self.differs(format_args!(
                    "{user} is {status} in {crn} by the last attempt, but the registration is {stored}"
                ));
            }
        }
        if self.count > DIFFERENCES_MAX {
            let more = self.count - DIFFERENCES_MAX;
            self.found.push(format!("{}: {more} more differences in the chain of attempts", self.chain.term));
        }
    }
}
