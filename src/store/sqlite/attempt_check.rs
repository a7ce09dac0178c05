//! Verifies the chains of attempts: recomputes every hash, and compares what is derived from the chain.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use crate::domain::attempt::{Attempt, AttemptResult, Hash, commitment};
use crate::domain::ids::{Crn, UserName};
use crate::domain::registration::RegistrationStatus;
use crate::store::sqlite::attempts::{self, ChainRow};

/// Maximum number of differences that are listed for a term; the others are counted.
const DIFFERENCES_MAX: usize = 100;

/// A student of a chain.
struct Student {
    user: UserName,
    commitment: Hash,
}

/// The statuses of students in sections.
pub(super) type Statuses = HashMap<(UserName, Crn), RegistrationStatus>;

/// The verification of one chain.
struct Check<'t> {
    chain: ChainRow,
    students: HashMap<u64, Student>,
    /// The attempt before, and its hash.
    before: (u64, Hash),
    last_of_student: HashMap<u64, u64>,
    last_of_section: HashMap<Crn, u64>,
    /// The status after the last granted attempt of each student in each section.
    statuses: HashMap<(u64, Crn), RegistrationStatus>,
    row: Vec<u8>,
    found: &'t mut Vec<String>,
    count: usize,
}

/// Verifies a chain. Adds a sentence for each difference to `found`, and returns the number of attempts.
///
/// `registered` has the registrations of the term. A status that the last granted attempt contradicts is a difference.
pub(super) fn verify_chain(
    connection: &Connection,
    chain: ChainRow,
    registered: &Statuses,
    found: &mut Vec<String>,
) -> rusqlite::Result<u64> {
    let before = (chain.deleted, chain.deleted_hash);
    let mut check = Check {
        students: HashMap::new(),
        before,
        last_of_student: HashMap::new(),
        last_of_section: HashMap::new(),
        statuses: HashMap::new(),
        row: Vec::new(),
        found,
        count: 0,
        chain,
    };
    check.read_students(connection)?;
    let sql = format!("SELECT {} FROM attempts AS a WHERE a.term = ?1 ORDER BY a.n", attempts::COLUMNS);
    let mut attempts = connection.prepare(&sql)?;
    let mut rows = attempts.query([check.chain.term.as_str()])?;
    let (mut count, mut are_heads_checked) = (0, false);
    while let Some(row) = rows.next()? {
        let attempt = attempts::attempt_at(row)?;
        if !are_heads_checked && attempt.n > check.chain.heads_at {
            check.heads(connection)?;
            are_heads_checked = true;
        }
        check.attempt(&attempt);
        count += 1;
    }
    if !are_heads_checked {
        check.heads(connection)?;
    }
    check.end(registered);
    Ok(count)
}

impl Check<'_> {
    fn differs(&mut self, what: std::fmt::Arguments<'_>) {
        self.count += 1;
        if self.count <= DIFFERENCES_MAX {
            self.found.push(format!("{}: {what}", self.chain.term));
        }
    }

    fn read_students(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut students =
            connection.prepare("SELECT id, user, commitment, salt FROM attempt_students WHERE term = ?1")?;
        let student = |row: &Row<'_>| Ok((attempts::student_at(row)?, attempts::salt_at(row, 3)?));
        let read = students.query_map([self.chain.term.as_str()], student)?.collect::<rusqlite::Result<Vec<_>>>()?;
        for ((id, user, stored), salt) in read {
            // The salt of an erased person is deleted.
            if salt.is_some_and(|salt| commitment(&salt, &user) != stored) {
                self.differs(format_args!("the attempts of {user} are those of another name"));
            }
            self.students.insert(id, Student { user, commitment: stored });
        }
        Ok(())
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let (before, hash_before) = self.before;
        self.before = (attempt.n, attempt.hash);
        let n = attempt.n;
        if n != before + 1 {
            self.differs(format_args!("attempt {n} follows attempt {before}, so attempts are missing"));
        }
        match self.students.get(&attempt.student) {
            Some(student) => attempt.canonical_row(&self.chain.term, student.commitment, &mut self.row),
            None => return self.differs(format_args!("attempt {n} is of an unknown student")),
        }
        if hash_before.followed_by(&self.row) != attempt.hash {
            self.differs(format_args!("the hash of attempt {n} is not that of its row and of the attempt before"));
        }
        let of_student = self.last_of_student.insert(attempt.student, n).unwrap_or(0);
        let of_section = self.last_of_section.insert(attempt.crn.clone(), n).unwrap_or(0);
        // An attempt before the first stored one was deleted after its retention.
        let deleted = self.chain.deleted;
        let follows = |stated: u64, last: u64| stated == last || (last == 0 && stated <= deleted);
        if !follows(attempt.before_of_student, of_student) || !follows(attempt.before_of_section, of_section) {
            self.differs(format_args!("attempt {n} does not continue the history of its student and its section"));
        }
        if let AttemptResult::Granted(status) = attempt.result {
            self.statuses.insert((attempt.student, attempt.crn.clone()), status);
        }
    }

    /// Compares the stored newest attempts with those up to now.
    fn heads(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut heads = connection.prepare("SELECT student, crn, n FROM attempt_heads WHERE term = ?1 AND n > ?2")?;
        let head = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get::<_, u64>(2)?));
        let values = params![self.chain.term.as_str(), self.chain.deleted];
        let stored = heads.query_map(values, head)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let expected = self.last_of_student.len() + self.last_of_section.len();
        let is_same = |(student, crn, n): &(u64, String, u64)| {
            let last =
                if crn.is_empty() { self.last_of_student.get(student) } else { self.last_of_section.get(crn.as_str()) };
            last == Some(n)
        };
        if stored.len() != expected || !stored.iter().all(is_same) {
            self.differs(format_args!("the newest attempts of students and sections are not those of the chain"));
        }
        Ok(())
    }

    fn end(&mut self, registered: &Statuses) {
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
