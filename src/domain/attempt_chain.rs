//! The chain of a term's attempts in memory: what the next attempt needs. The attempts themselves are only in the
//! store.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::attempt::{Attempt, Commitment, Decided, Hash, Origin, Salt, commitment};
use crate::domain::ids::{Crn, TermId, UserName};

/// Number of attempts after which a batch also writes the newest attempt of each student and section that has a new
/// one. Loading a term reads these, and only the attempts after them, which takes about a millisecond. Writing them
/// with each batch would cost as much as writing the attempts.
pub const HEADS_EVERY: u64 = 4_096;

/// A student with attempts in a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownStudent {
    /// The number of the student within the term, from 1.
    pub id: u64,
    /// The hash that identifies the student in canonical rows.
    pub commitment: Commitment,
    /// The student's newest attempt; 0 without one.
    pub last: u64,
}

/// A student whose first attempt in a term was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStudent {
    /// The number of the student within the term.
    pub id: u64,
    /// The student.
    pub user: UserName,
    /// The salt of the commitment.
    pub salt: Salt,
    /// The commitment.
    pub commitment: Commitment,
}

/// The newest attempt of each student and section that has a new one, to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// The number of each student, with the number of the attempt.
    pub students: Vec<(u64, u64)>,
    /// Each section, with the number of the attempt.
    pub sections: Vec<(Crn, u64)>,
}

/// A chain as it is stored, without its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChain {
    /// The number of the last attempt; 0 without one.
    pub n: u64,
    /// Its hash.
    pub head: Hash,
    /// The number of the last attempt when the newest attempts of students and sections were written.
    pub heads_at: u64,
    /// The students with attempts.
    pub students: Vec<(UserName, KnownStudent)>,
    /// The newest attempt of each section that has one.
    pub sections: Vec<(Crn, u64)>,
}

impl Default for StoredChain {
    fn default() -> Self {
        Self { n: 0, head: Hash::ZERO, heads_at: 0, students: Vec::new(), sections: Vec::new() }
    }
}

impl StoredChain {
    /// Adds a batch, as a store does.
    pub fn extend(&mut self, new: &NewAttempts) {
        for NewStudent { id, user, commitment, .. } in &new.students {
            self.students.push((user.clone(), KnownStudent { id: *id, commitment: *commitment, last: 0 }));
        }
        let mut students: HashMap<u64, &mut u64> =
            self.students.iter_mut().map(|(_, known)| (known.id, &mut known.last)).collect();
        let mut sections: HashMap<Crn, u64> = self.sections.drain(..).collect();
        for attempt in &new.attempts {
            (self.n, self.head) = (attempt.n, attempt.hash);
            if let Some(last) = students.get_mut(&attempt.student) {
                **last = attempt.n;
            }
            sections.insert(attempt.crn.clone(), attempt.n);
        }
        self.sections.extend(sections);
        if new.heads.is_some() {
            self.heads_at = self.n;
        }
    }
}

/// What a batch adds to a chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NewAttempts {
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The students whose first attempts are among them.
    pub students: Vec<NewStudent>,
    /// The newest attempts of students and sections, if they are due.
    pub heads: Option<Heads>,
}

impl NewAttempts {
    /// Returns whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Students and heads are written only with attempts.
        self.attempts.is_empty()
    }
}

/// The end of the chain of a term.
#[derive(Debug, Clone)]
pub struct AttemptChain {
    n: u64,
    head: Hash,
    heads_at: u64,
    students: HashMap<UserName, KnownStudent>,
    sections: HashMap<Crn, u64>,
    next_student: u64,
    /// Memory for canonical rows.
    row: Vec<u8>,
}

impl Default for AttemptChain {
    fn default() -> Self {
        StoredChain::default().into()
    }
}

impl From<StoredChain> for AttemptChain {
    fn from(StoredChain { n, head, heads_at, students, sections }: StoredChain) -> Self {
        let next_student = students.iter().map(|(_, known)| known.id + 1).max().unwrap_or(1);
        let (students, sections) = (students.into_iter().collect(), sections.into_iter().collect());
        Self { n, head, heads_at, students, sections, next_student, row: Vec::new() }
    }
}

impl AttemptChain {
    /// Returns the number of the last attempt; 0 without one.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.n
    }

    /// Continues after attempts that another hub appended. `later` is the end of the chain, with the students and
    /// sections that have newer attempts.
    pub fn follow(&mut self, later: StoredChain) {
        let StoredChain { n, head, heads_at, students, sections } = later;
        (self.n, self.head, self.heads_at) = (n, head, heads_at);
        self.next_student = students.iter().map(|(_, known)| known.id + 1).fold(self.next_student, u64::max);
        self.students.extend(students);
        self.sections.extend(sections);
    }

    /// Appends an attempt. `new_salt` returns a new random value.
    pub fn append(
        &mut self,
        term: &TermId,
        decided: Decided,
        origin: &Origin,
        decided_at: Timestamp,
        new: &mut NewAttempts,
        new_salt: impl FnOnce() -> Salt,
    ) {
        let Decided { student, crn, action, result, repeated, position, open } = decided;
        self.n += 1;
        let known = match self.students.get_mut(&student) {
            Some(known) => known,
            None => {
                let (id, salt) = (self.next_student, new_salt());
                self.next_student += 1;
                let commitment = commitment(&salt, &student);
                new.students.push(NewStudent { id, user: student.clone(), salt, commitment });
                self.students.entry(student).or_insert(KnownStudent { id, commitment, last: 0 })
            }
        };
        let before_of_student = std::mem::replace(&mut known.last, self.n);
        let before_of_section = match self.sections.get_mut(&crn) {
            Some(last) => std::mem::replace(last, self.n),
            None => self.sections.insert(crn.clone(), self.n).unwrap_or(0),
        };
        let mut attempt = Attempt {
            n: self.n,
            received_at: to_the_millisecond(origin.received_at.unwrap_or(decided_at)),
            decided_at: to_the_millisecond(decided_at),
            student: known.id,
            crn,
            action,
            result,
            repeated,
            position,
            open,
            by: origin.by,
            request_id: origin.request_id,
            before_of_student,
            before_of_section,
            hash: Hash::ZERO,
        };
        attempt.canonical_row(term, known.commitment, &mut self.row);
        attempt.hash = self.head.followed_by(&self.row);
        self.head = attempt.hash;
        new.attempts.push(attempt);
    }

    /// Ends a batch: adds the newest attempts of students and sections to it when they are due.
    pub fn end_batch(&mut self, new: &mut NewAttempts) {
        if new.attempts.is_empty() || self.n - self.heads_at < HEADS_EVERY {
            return;
        }
        let is_new = |last: u64| last > self.heads_at;
        let students = self.students.values().filter(|known| is_new(known.last));
        let sections = self.sections.iter().filter(|(_, last)| is_new(**last));
        let mut heads = Heads {
            students: students.map(|known| (known.id, known.last)).collect(),
            sections: sections.map(|(crn, last)| (crn.clone(), *last)).collect(),
        };
        // In the order of the table, so that the same history always writes the same rows.
        heads.students.sort_unstable();
        heads.sections.sort_unstable();
        new.heads = Some(heads);
        self.heads_at = self.n;
    }
}

/// Returns a time as the store keeps it.
fn to_the_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
