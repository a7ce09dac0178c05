//! The audit trail in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::domain::audit_detail::Detail;
use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;
use crate::store::StoreFuture;
use crate::store::accounts::{
    AUDIT_SEPARATORS, AUDIT_WORDS_MAX, AuditEntry, AuditFilter, AuditPage, AuditStore, DisclosureEntry,
};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{json, maybe_json_at, time_at, unreadable};

pub(super) fn entry_at(row: &Row<'_>) -> rusqlite::Result<(u64, AuditEntry)> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let user = text(2)?.map(|t| UserName::stored(&t).map_err(|e| unreadable(2, e))).transpose()?;
    let role = text(3)?.map(|t| Role::parse(&t).ok_or_else(|| unreadable(3, "not a role"))).transpose()?;
    let section = text(7)?.map(|t| SectionId::parse(&t).map_err(|e| unreadable(7, e))).transpose()?;
    let entry = AuditEntry {
        at: time_at(row, 1)?,
        user,
        role,
        ip: text(4)?,
        action: row.get(5)?,
        subject: text(6)?,
        section,
        detail: Detail { text: row.get(8)?, coded: maybe_json_at(row, 10)? },
        request_id: text(9)?,
    };
    Ok((row.get(0)?, entry))
}

/// Returns the SQL expression for the words of an entry, with a space before each.
fn words_of_entry() -> String {
    let texts =
        "' ' || coalesce(user, '') || ' ' || coalesce(subject, '') || ' ' || coalesce(section, '') || ' ' || action \
                 || ' ' || detail"
            .to_owned();
    AUDIT_SEPARATORS.iter().fold(texts, |text, separator| format!("replace({text}, '{separator}', ' ')"))
}

/// Returns a word as a part of a pattern for `LIKE`, in which `\` is the escape character.
fn like_pattern(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

pub(super) fn append(tx: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO audit (at, user, role, ip, action, subject, section, detail, request_id, coded)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        entry.at.as_millisecond(),
        entry.user.as_ref().map(UserName::as_str),
        entry.role.map(Role::as_str),
        entry.ip,
        entry.action,
        entry.subject,
        entry.section.as_ref().map(ToString::to_string),
        entry.detail.text,
        entry.request_id,
        entry.detail.coded.as_ref().map(json).transpose()?,
    ])?;
    Ok(())
}

fn add_people(tx: &Connection, number: u64, people: &[UserName]) -> rusqlite::Result<()> {
    let mut add = tx.prepare_cached("INSERT OR IGNORE INTO audit_people (user, audit_id) VALUES (?1, ?2)")?;
    people.iter().try_for_each(|name| add.execute(params![name.as_str(), number]).map(drop))
}

/// The disclosures of data about `?1` before the entry `?2`, at most `?3`. The name of an account takes precedence over
/// that in a token; a name that is only the username does not count.
const DISCLOSURES: &str = "
    SELECT a.id, a.at, nullif(coalesce(l.name, p.name), a.user), a.role, a.action, a.section
    FROM audit_people AS d JOIN audit AS a ON a.id = d.audit_id
    LEFT JOIN accounts AS l ON l.username = a.user LEFT JOIN people AS p ON p.username = a.user
    WHERE d.user = ?1 AND (?2 IS NULL OR d.audit_id < ?2) ORDER BY d.audit_id DESC LIMIT ?3";

fn disclosure_at(row: &Row<'_>) -> rusqlite::Result<DisclosureEntry> {
    let (role, section): (Option<String>, Option<String>) = (row.get(3)?, row.get(5)?);
    Ok(DisclosureEntry {
        number: row.get(0)?,
        at: time_at(row, 1)?,
        name: row.get(2)?,
        role: role.map(|text| Role::parse(&text).ok_or_else(|| unreadable(3, "not a role"))).transpose()?,
        action: row.get(4)?,
        section: section.map(|text| SectionId::parse(&text).map_err(|e| unreadable(5, e))).transpose()?,
    })
}

/// The condition for an entry whose subject is a username, and not another resource that may have the name of a user,
/// such as a term.
pub(super) const IS_ABOUT_A_USER: &str = "(action GLOB 'login*' OR action GLOB 'password.*' OR action GLOB 'totp.*' \
    OR action GLOB 'user.*' OR action GLOB 'sign_in.*' OR action GLOB 'session.*' OR action GLOB 'student.*' \
    OR action GLOB 'attempts.*')";

impl AuditStore for SqliteStore {
    fn append(&self, entries: Vec<AuditEntry>) -> StoreFuture<()> {
        self.write(move |tx| entries.iter().try_for_each(|entry| append(tx, entry)))
    }

    fn disclose(&self, entry: AuditEntry, people: Vec<UserName>) -> StoreFuture<u64> {
        self.write(move |tx| {
            append(tx, &entry)?;
            let number = u64::try_from(tx.last_insert_rowid()).map_err(|e| unreadable(0, e))?;
            add_people(tx, number, &people)?;
            Ok(number)
        })
    }

    fn add_people(&self, number: u64, people: Vec<UserName>) -> StoreFuture<()> {
        self.write(move |tx| add_people(tx, number, &people))
    }

    fn disclosures_of(&self, user: &UserName, before: Option<u64>, limit: u32) -> StoreFuture<Vec<DisclosureEntry>> {
        let user = user.clone();
        self.read(move |conn| {
            conn.prepare_cached(DISCLOSURES)?.query_map(params![user.as_str(), before, limit], disclosure_at)?.collect()
        })
    }

    fn delete_entries_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(move |tx| {
            // By time and not by number, because the times of entries may be out of order by a few milliseconds.
            let deleted: Vec<u64> = tx
                .prepare_cached("SELECT id FROM audit WHERE at < ?1 ORDER BY at, id LIMIT ?2")?
                .query_map(params![cutoff.as_millisecond(), limit], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in &deleted {
                tx.prepare_cached("DELETE FROM audit_people WHERE audit_id = ?1")?.execute([id])?;
                tx.prepare_cached("DELETE FROM audit WHERE id = ?1")?.execute([id])?;
            }
            Ok(deleted.len())
        })
    }

    fn page(&self, filter: AuditFilter) -> StoreFuture<AuditPage> {
        self.read(move |conn| {
            let words_of_entry = words_of_entry();
            // Entries are appended almost in the order of their times. The lower bound of the ids saves SQLite from
            // reading the entries before `?3`.
            let mut statement = conn.prepare_cached(&format!(
                "SELECT id, at, user, role, ip, action, subject, section, detail, request_id, coded FROM audit
                 WHERE (?1 IS NULL OR user = ?1 OR subject = ?1)
                   AND (?6 IS NULL OR user = ?6 OR (subject = ?6 AND {IS_ABOUT_A_USER}))
                   AND (?2 IS NULL OR instr(',' || ?2 || ',', ',' || action || ',') > 0)
                   AND (SELECT count(*) FROM json_each(?7) WHERE {words_of_entry} LIKE '% ' || value || '%' ESCAPE '\\') = json_array_length(?7)
                   AND (?3 IS NULL OR (at >= ?3 AND id >= (SELECT min(id) FROM audit WHERE at >= ?3)))
                   AND (?4 IS NULL OR id < ?4)
                 ORDER BY id DESC LIMIT ?5",
            ))?;
            let since = filter.since.map(jiff::Timestamp::as_millisecond);
            // One entry more than the page has, to know whether there is a next page.
            let read_limit = i64::from(filter.limit) + 1;
            let person = filter.person.as_ref().map(UserName::as_str);
            let words: Vec<_> = filter.words.iter().take(AUDIT_WORDS_MAX).map(|word| like_pattern(word)).collect();
            // Strings always serialize.
            let words = serde_json::to_string(&words).unwrap_or_default();
            let rows = statement
                .query_map(params![filter.user, filter.action, since, filter.before, read_limit, person, words], entry_at)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let limit = filter.limit as usize;
            let next = if rows.len() > limit { rows[..limit].last().map(|(id, _)| *id) } else { None };
            Ok(AuditPage { items: rows.into_iter().take(limit).map(|(_, entry)| entry).collect(), next })
        })
    }
}
