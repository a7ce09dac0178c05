//! Facts about students in the embedded store.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::domain::command::FactsOfStudent;
use crate::domain::ids::UserName;
use crate::domain::student::StudentFacts;
use crate::store::StoreFuture;
use crate::store::students::{FoundStudent, StudentSearch, StudentStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
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

/// The students after a username, in order, with the display name of their account, or otherwise of their last token.
const STUDENTS: &str = "
    SELECT a.username, a.name FROM accounts AS a WHERE a.role = 'student' AND a.username > ?1
    UNION ALL
    SELECT p.username, p.name
    FROM people AS p
    LEFT JOIN plone_members AS m ON m.user = p.username AND p.source = 'plone'
    LEFT JOIN provider_users AS u ON u.username = p.username AND p.source NOT IN ('local', 'plone', 'token')
    WHERE coalesce(m.role, u.role, p.role) = 'student' AND p.username > ?1
        AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)
    UNION ALL
    SELECT s.user, NULL FROM students AS s
    WHERE s.user > ?1
        AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = s.user)
        AND NOT EXISTS (SELECT 1 FROM people AS p WHERE p.username = s.user)
    ORDER BY 1";

/// Scans the students, because SQLite cannot ignore accents when it compares texts. A college has tens of thousands of
/// students, and only those found are held in memory.
fn find(connection: &Connection, search: &StudentSearch) -> rusqlite::Result<Vec<FoundStudent>> {
    let after = search.after.as_ref().map_or("", UserName::as_str);
    let mut statement = connection.prepare_cached(STUDENTS)?;
    let mut rows = statement.query([after])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()?.filter(|_| found.len() < search.limit) {
        let student = FoundStudent { user: user_name_at(row, 0)?, name: row.get(1)? };
        if search.matches(&student) {
            found.push(student);
        }
    }
    Ok(found)
}

impl StudentStore for SqliteStore {
    fn facts(&self, student: &UserName) -> StoreFuture<Option<StudentFacts>> {
        let student = student.clone();
        self.read(move |connection| facts_of(connection, &student))
    }

    fn facts_of(&self, students: Vec<UserName>) -> StoreFuture<Vec<Option<StudentFacts>>> {
        self.read(move |connection| students.iter().map(|student| facts_of(connection, student)).collect())
    }

    fn find(&self, search: StudentSearch) -> StoreFuture<Vec<FoundStudent>> {
        self.read(move |connection| find(connection, &search))
    }

    fn put_facts(&self, facts: Arc<[FactsOfStudent]>) -> StoreFuture<()> {
        self.write(move |tx| facts.iter().try_for_each(|(student, facts)| put(tx, student, facts.as_deref())))
    }
}
