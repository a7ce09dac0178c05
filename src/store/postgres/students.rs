//! Facts about students.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::command::FactsOfStudent;
use crate::domain::ids::{TermId, UserName};
use crate::domain::student::StudentFacts;
use crate::store::StoreFuture;
use crate::store::students::{FoundStudent, StudentSearch, StudentStore};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, json, json_at, maybe_json_at, user_at};
use crate::store::postgres::transaction::Tx;

/// Reads the facts about all students, ordered by name.
pub(super) async fn all_facts(tx: &Tx) -> Result<Vec<(UserName, Arc<StudentFacts>)>, Failure> {
    let rows = tx.query("SELECT username, facts FROM students ORDER BY username", &[]).await?;
    rows.iter().map(|row| Ok((user_at(row, 0)?, Arc::new(json_at(row, 1)?)))).collect()
}

/// Reads the facts that commits of a term after `since` changed; `None` for those that were removed.
pub(super) async fn facts_since(tx: &Tx, term: &TermId, since: u64) -> Result<Vec<FactsOfStudent>, Failure> {
    let sql = "SELECT t.username, s.facts FROM term_facts AS t LEFT JOIN students AS s ON s.username = t.username
         WHERE t.term = $1 AND t.seq > $2 ORDER BY t.username";
    let rows = tx.query(sql, &[&term.as_str(), &integer(since)]).await?;
    rows.iter().map(|row| Ok((user_at(row, 0)?, maybe_json_at(row, 1)?.map(Arc::new)))).collect()
}

/// Writes facts. Each term writes the same facts, so a row that is already equal is left as it is. Rows are written in
/// the order of the names, so that two terms that write the same rows do not deadlock.
async fn put<'f>(
    tx: &Tx,
    facts: impl Iterator<Item = (&'f UserName, Option<&'f StudentFacts>)>,
) -> Result<(), Failure> {
    let mut facts: Vec<_> = facts.collect();
    facts.sort_by_key(|(student, _)| *student);
    let (mut stated, mut texts, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (student, facts) in facts {
        match facts {
            Some(facts) => {
                stated.push(student.as_str());
                texts.push(json(facts)?);
            }
            None => removed.push(student.as_str()),
        }
    }
    if !stated.is_empty() {
        let sql = "INSERT INTO students (username, facts) SELECT * FROM unnest($1, $2)
             ON CONFLICT (username) DO UPDATE SET facts = excluded.facts WHERE students.facts <> excluded.facts";
        tx.execute(sql, &[&stated, &texts]).await?;
    }
    if !removed.is_empty() {
        let sql = "DELETE FROM students WHERE username IN
             (SELECT username FROM students WHERE username = ANY ($1) ORDER BY username FOR UPDATE)";
        tx.execute(sql, &[&removed]).await?;
    }
    Ok(())
}

/// Writes the facts that the commit `seq` of a term changed.
pub(super) async fn put_of_term(
    tx: &Tx,
    term: &TermId,
    facts: &BTreeMap<UserName, Option<Arc<StudentFacts>>>,
    seq: i64,
) -> Result<(), Failure> {
    if facts.is_empty() {
        return Ok(());
    }
    put(tx, facts.iter().map(|(student, facts)| (student, facts.as_deref()))).await?;
    let students: Vec<&str> = facts.keys().map(UserName::as_str).collect();
    let sql = "INSERT INTO term_facts (term, seq, username) SELECT $1, $2, u.* FROM unnest($3) AS u
         ON CONFLICT (term, username) DO UPDATE SET seq = excluded.seq";
    tx.execute(sql, &[&term.as_str(), &seq, &students]).await.map(drop)
}

/// The students after a username, in order, with the display name of their account, or otherwise of their last token.
const STUDENTS: &str = "
    SELECT a.username, a.name FROM accounts AS a WHERE a.role = 'student' AND a.username > $1
    UNION ALL
    SELECT p.username, p.name
    FROM people AS p
    LEFT JOIN plone_members AS m ON m.username = p.username AND p.source = 'plone'
    LEFT JOIN provider_users AS u ON u.username = p.username AND p.source NOT IN ('local', 'plone', 'token')
    WHERE coalesce(m.role, u.role, p.role) = 'student' AND p.username > $1
        AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)
    UNION ALL
    SELECT s.username, NULL FROM students AS s
    WHERE s.username > $1
        AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = s.username)
        AND NOT EXISTS (SELECT 1 FROM people AS p WHERE p.username = s.username)
    ORDER BY 1 LIMIT $2";
/// Number of students that a search reads at a time. The hub compares them with the search, as it does for the embedded
/// store, so that both stores find the same students.
const FOUND_READ_MAX: i64 = 2_000;

async fn find(tx: &Tx, search: &StudentSearch) -> Result<Vec<FoundStudent>, Failure> {
    let mut after = search.after.clone();
    let mut found = Vec::new();
    loop {
        let from = after.as_ref().map_or("", UserName::as_str);
        let rows = tx.query(STUDENTS, &[&from, &FOUND_READ_MAX]).await?;
        for row in &rows {
            let student = FoundStudent { user: user_at(row, 0)?, name: row.try_get(1)? };
            after = Some(student.user.clone());
            if search.matches(&student) {
                found.push(student);
            }
            if found.len() >= search.limit {
                return Ok(found);
            }
        }
        if integer(rows.len()) < FOUND_READ_MAX {
            return Ok(found);
        }
    }
}

impl StudentStore for PostgresStore {
    fn facts(&self, student: &UserName) -> StoreFuture<Option<StudentFacts>> {
        let student = student.clone();
        self.read(async move |tx| {
            let row = tx.query_opt("SELECT facts FROM students WHERE username = $1", &[&student.as_str()]).await?;
            row.map(|row| json_at(&row, 0)).transpose()
        })
    }

    fn facts_of(&self, students: Vec<UserName>) -> StoreFuture<Vec<Option<StudentFacts>>> {
        self.read(async move |tx| {
            let names: Vec<&str> = students.iter().map(UserName::as_str).collect();
            let sql = "SELECT s.facts FROM unnest($1) WITH ORDINALITY AS n (username, place)
                 LEFT JOIN students AS s ON s.username = n.username ORDER BY n.place";
            tx.query(sql, &[&names]).await?.iter().map(|row| maybe_json_at(row, 0)).collect()
        })
    }

    fn find(&self, search: StudentSearch) -> StoreFuture<Vec<FoundStudent>> {
        self.read(async move |tx| find(tx, &search).await)
    }

    fn put_facts(&self, facts: Arc<[FactsOfStudent]>) -> StoreFuture<()> {
        self.write(async move |tx| put(tx, facts.iter().map(|(student, facts)| (student, facts.as_deref()))).await)
    }
}
