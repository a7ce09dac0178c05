//! Facts about students in the embedded store.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::domain::command::FactsOfStudent;
use crate::domain::ids::UserName;
use crate::domain::student::StudentFacts;
use crate::store::StoreFuture;
use crate::store::students::StudentStore;

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{json, json_at, unreadable};

/// Reads the columns `user` and `facts`.
pub(super) fn facts_at(row: &Row<'_>) -> rusqlite::Result<(UserName, StudentFacts)> {
    let user: String = row.get(0)?;
    Ok((UserName::stored(&user).map_err(|e| unreadable(0, e))?, json_at(row, 1)?))
}

/// Reads the facts about one student.
pub(super) fn facts_of(connection: &Connection, student: &UserName) -> rusqlite::Result<Option<StudentFacts>> {
    connection
        .prepare_cached("SELECT user, facts FROM students WHERE user = ?1")?
        .query_row([student.as_str()], |row| facts_at(row).map(|(_, facts)| facts))
        .optional()
}

/// Reads the facts about all students.
pub(super) fn all_facts(connection: &Connection) -> rusqlite::Result<Vec<(UserName, Arc<StudentFacts>)>> {
    let mut all = connection.prepare_cached("SELECT user, facts FROM students ORDER BY user")?;
    all.query_map([], |row| facts_at(row).map(|(student, facts)| (student, Arc::new(facts))))?.collect()
}

/// Writes the facts about one student; `None` removes them. Each term writes the same facts, so a row that is already
/// equal is left as it is.
pub(super) fn put(tx: &Connection, student: &UserName, facts: Option<&StudentFacts>) -> rusqlite::Result<()> {
    match facts {
        Some(facts) => tx
            .prepare_cached(
                "INSERT INTO students (user, facts) VALUES (?1, ?2)
                 ON CONFLICT (user) DO UPDATE SET facts = ?2 WHERE facts <> ?2",
            )?
            .execute((student.as_str(), json(facts)?)),
        None => tx.prepare_cached("DELETE FROM students WHERE user = ?1")?.execute([student.as_str()]),
    }
    .map(drop)
}

/// The facts that terms have in memory. Every term has the facts about all students, so terms share them.
#[derive(Debug, Default)]
pub(super) struct SharedFacts(Mutex<HashMap<UserName, Weak<StudentFacts>>>);

impl SharedFacts {
    /// Replaces facts that a term already has in memory.
    pub(super) fn share(&self, facts: &mut [(UserName, Arc<StudentFacts>)]) {
        let mut known = self.0.lock();
        known.retain(|_, facts| facts.strong_count() > 0);
        for (student, facts) in facts {
            match known.get(student).and_then(Weak::upgrade).filter(|known| known == facts) {
                Some(known) => *facts = known,
                None => _ = known.insert(student.clone(), Arc::downgrade(facts)),
            }
        }
    }
}

impl StudentStore for SqliteStore {
    fn facts(&self, student: &UserName) -> StoreFuture<Option<StudentFacts>> {
        let student = student.clone();
        self.read(move |connection| facts_of(connection, &student))
    }

    fn facts_of(&self, students: Vec<UserName>) -> StoreFuture<Vec<Option<StudentFacts>>> {
        self.read(move |connection| students.iter().map(|student| facts_of(connection, student)).collect())
    }

    fn put_facts(&self, facts: Arc<[FactsOfStudent]>) -> StoreFuture<()> {
        self.write(move |tx| facts.iter().try_for_each(|(student, facts)| put(tx, student, facts.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_facts_are_in_memory_once() {
        let shared = SharedFacts::default();
        let load = |program: &str| {
            let facts = StudentFacts { program: Some(program.into()), ..StudentFacts::default() };
            let mut rows = [(UserName::parse("ann").unwrap(), Arc::new(facts))];
            shared.share(&mut rows);
            let [(_, facts)] = rows;
            facts
        };
        let first = load("Nursing");
        assert!(Arc::ptr_eq(&first, &load("Nursing")));
        let changed = load("Welding");
        assert_eq!(changed.program.as_deref(), Some("Welding"));
        assert!(Arc::ptr_eq(&changed, &load("Welding")));
    }
}
