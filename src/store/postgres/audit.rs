//! The audit trail on PostgreSQL.

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::domain::audit_detail::Detail;
use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::accounts::{
    AUDIT_SEPARATORS, AUDIT_WORDS_MAX, AuditEntry, AuditFilter, AuditPage, AuditStore, DisclosureEntry,
};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::{maybe_role_at, maybe_section_at, maybe_text, maybe_user_at, text};
use crate::store::postgres::rows::{integer, json, maybe_json_at, number_at, time_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{Statement, Value};

/// Reads `id, at, username, role, ip, action, subject, section, detail, request_id, coded`.
fn entry_at(row: &Row) -> Result<(u64, AuditEntry), Failure> {
    let entry = AuditEntry {
        at: time_at(row, 1)?,
        user: maybe_user_at(row, 2)?,
        role: maybe_role_at(row, 3)?,
        ip: row.try_get(4)?,
        action: row.try_get(5)?,
        subject: row.try_get(6)?,
        section: maybe_section_at(row, 7)?,
        detail: Detail { text: row.try_get(8)?, coded: maybe_json_at(row, 10)? },
        request_id: row.try_get(9)?,
    };
    Ok((number_at(row, 0)?, entry))
}

/// Returns the SQL expression for the words of an entry, with a space before each.
fn words_of_entry() -> String {
    let texts = "' ' || coalesce(username, '') || ' ' || coalesce(subject, '') || ' ' || coalesce(section, '') \
                 || ' ' || action || ' ' || detail";
    let separators: String = AUDIT_SEPARATORS.iter().collect();
    let spaces = " ".repeat(AUDIT_SEPARATORS.len());
    format!("translate({texts}, '{separators}', '{spaces}')")
}

/// Returns the `LIKE` pattern for entries in which a word begins with this one. `\` is the escape character.
fn word_pattern(word: &str) -> String {
    let word = text(word).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("% {word}%")
}

/// Appends entries, in order. Returns their numbers.
async fn append(tx: &Tx, entries: &[AuditEntry]) -> Result<Vec<u64>, Failure> {
    let Some(statement) = appending(entries)? else { return Ok(Vec::new()) };
    tx.query_encoded(&statement).await?.iter().map(|row| number_at(row, 0)).collect()
}

/// Returns the statement that appends entries, in order, and returns their numbers; `None` if there are no entries.
pub(super) fn appending(entries: &[AuditEntry]) -> Result<Option<Statement>, Failure> {
    if entries.is_empty() {
        return Ok(None);
    }
    let sql = "INSERT INTO audit (at, username, role, ip, action, subject, section, detail, request_id, coded)
         SELECT at, username, role, ip, action, subject, section, detail, request_id, coded
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           WITH ORDINALITY AS n (at, username, role, ip, action, subject, section, detail, request_id, coded, position)
         ORDER BY position RETURNING id";
    let at: Vec<i64> = entries.iter().map(|entry| entry.at.as_millisecond()).collect();
    let column = |of: fn(&AuditEntry) -> Option<String>| -> Vec<Option<String>> {
        entries.iter().map(|entry| maybe_text(of(entry).as_deref())).collect()
    };
    let coded = entries.iter().map(|entry| entry.detail.coded.as_ref().map(json).transpose());
    let coded = coded.collect::<Result<Vec<Option<String>>, Failure>>()?;
    let values: &[&dyn Value] = &[
        &at,
        &column(|entry| entry.user.as_ref().map(ToString::to_string)),
        &column(|entry| entry.role.map(|role| role.as_str().to_owned())),
        &column(|entry| entry.ip.clone()),
        &column(|entry| Some(entry.action.clone())),
        &column(|entry| entry.subject.clone()),
        &column(|entry| entry.section.as_ref().map(ToString::to_string)),
        &column(|entry| Some(entry.detail.text.clone())),
        &column(|entry| entry.request_id.clone()),
        &coded,
    ];
    Statement::new(sql, values).map(Some)
}

/// Adds people to an entry, in the order of their names. An entry that was deleted gets none.
async fn add_people(tx: &Tx, number: u64, people: &[UserName]) -> Result<(), Failure> {
    let sql = "INSERT INTO audit_people (username, audit_id)
         SELECT DISTINCT n.username COLLATE \"C\", a.id FROM unnest($1) AS n (username), audit AS a WHERE a.id = $2
         ORDER BY 1 ON CONFLICT DO NOTHING";
    let people: Vec<&str> = people.iter().map(UserName::as_str).collect();
    tx.execute(sql, &[&people, &integer(number)]).await?;
    Ok(())
}

async fn disclose(tx: &Tx, entry: &AuditEntry, people: &[UserName]) -> Result<u64, Failure> {
    let numbers = append(tx, std::slice::from_ref(entry)).await?;
    let [number] = numbers[..] else { return Err(Failure::Refused("the entry has no number".to_owned())) };
    add_people(tx, number, people).await?;
    Ok(number)
}

/// The disclosures of data about `$1` before the entry `$2`, at most `$3`. The name of an account takes precedence over
/// that in a token; a name that is only the username does not count.
const DISCLOSURES: &str = "
    SELECT a.id, a.at, nullif(coalesce(l.name, p.name), a.username), a.role, a.action, a.section
    FROM audit_people AS d JOIN audit AS a ON a.id = d.audit_id
    LEFT JOIN accounts AS l ON l.username = a.username LEFT JOIN people AS p ON p.username = a.username
    WHERE d.username = $1 AND ($2 IS NULL OR d.audit_id < $2) ORDER BY d.audit_id DESC LIMIT $3";

fn disclosure_at(row: &Row) -> Result<DisclosureEntry, Failure> {
    Ok(DisclosureEntry {
        number: number_at(row, 0)?,
        at: time_at(row, 1)?,
        name: row.try_get(2)?,
        role: maybe_role_at(row, 3)?,
        action: row.try_get(4)?,
        section: maybe_section_at(row, 5)?,
    })
}

/// The condition for an entry whose subject is a username, and not another resource that may have the name of a user,
/// such as a term.
pub(super) const IS_ABOUT_A_USER: &str = "(starts_with(action, 'login') OR starts_with(action, 'password.') \
    OR starts_with(action, 'totp.') OR starts_with(action, 'user.') OR starts_with(action, 'sign_in.') \
    OR starts_with(action, 'session.') OR starts_with(action, 'student.') OR starts_with(action, 'attempts.'))";

async fn page(tx: &Tx, filter: &AuditFilter) -> Result<AuditPage, Failure> {
    let words_of_entry = words_of_entry();
    // The case of ASCII letters is folded, as the embedded store folds it.
    let sql = format!(
        "SELECT id, at, username, role, ip, action, subject, section, detail, request_id, coded FROM audit
         WHERE ($1 IS NULL OR username = $1 OR subject = $1)
           AND ($6 IS NULL OR username = $6 OR (subject = $6 AND {IS_ABOUT_A_USER}))
           AND ($2 IS NULL OR action = ANY (string_to_array($2, ',')))
           AND {words_of_entry} ILIKE ALL ($7)
           AND ($3 IS NULL OR at >= $3)
           AND ($4 IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5"
    );
    let person = filter.person.as_ref().map(UserName::as_str);
    let words: Vec<String> = filter.words.iter().take(AUDIT_WORDS_MAX).map(|word| word_pattern(word)).collect();
    // One entry more than the page has, to know whether there is a next page.
    let read_limit = i64::from(filter.limit) + 1;
    let values: &[&dyn Value] = &[
        &maybe_text(filter.user.as_deref()),
        &maybe_text(filter.action.as_deref()),
        &filter.since.map(Timestamp::as_millisecond),
        &filter.before.map(integer),
        &read_limit,
        &person,
        &words,
    ];
    let mut rows = tx.query(&sql, values).await?.iter().map(entry_at).collect::<Result<Vec<_>, Failure>>()?;
    let limit = filter.limit as usize;
    let next = if rows.len() > limit { rows[..limit].last().map(|(id, _)| *id) } else { None };
    rows.truncate(limit);
    Ok(AuditPage { items: rows.into_iter().map(|(_, entry)| entry).collect(), next })
}

async fn disclosures_of(
    tx: &Tx,
    user: &UserName,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<DisclosureEntry>, Failure> {
    let values: &[&dyn Value] = &[&user.as_str(), &before.map(integer), &i64::from(limit)];
    tx.query(DISCLOSURES, values).await?.iter().map(disclosure_at).collect()
}

/// Deletes the oldest entries. Two hubs that do so at once delete different entries.
async fn delete_entries_before(tx: &Tx, cutoff: Timestamp, limit: usize) -> Result<usize, Failure> {
    // By time and not by number, because the clocks of hubs differ.
    let sql = "DELETE FROM audit WHERE id IN (
         SELECT id FROM audit WHERE at < $1 ORDER BY at, id LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let deleted = tx.execute(sql, &[&cutoff.as_millisecond(), &integer(limit)]).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

impl AuditStore for PostgresStore {
    fn append(&self, entries: Vec<AuditEntry>) -> StoreFuture<()> {
        self.write(async move |tx| append(tx, &entries).await.map(drop))
    }

    fn disclose(&self, entry: AuditEntry, people: Vec<UserName>) -> StoreFuture<u64> {
        self.write(async move |tx| disclose(tx, &entry, &people).await)
    }

    fn add_people(&self, number: u64, people: Vec<UserName>) -> StoreFuture<()> {
        self.write(async move |tx| add_people(tx, number, &people).await)
    }

    fn disclosures_of(&self, user: &UserName, before: Option<u64>, limit: u32) -> StoreFuture<Vec<DisclosureEntry>> {
        let user = user.clone();
        self.read(async move |tx| disclosures_of(tx, &user, before, limit).await)
    }

    fn delete_entries_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(async move |tx| delete_entries_before(tx, cutoff, limit).await)
    }

    fn page(&self, filter: AuditFilter) -> StoreFuture<AuditPage> {
        self.read(async move |tx| page(tx, &filter).await)
    }
}
