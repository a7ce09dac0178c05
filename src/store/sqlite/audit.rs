//! The audit trail in the embedded store.

use rusqlite::{Row, params};

use crate::domain::ids::{SectionId, UserName};
use crate::domain::role::Role;
use crate::store::StoreFuture;
use crate::store::accounts::{AuditEntry, AuditFilter, AuditPage, AuditStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{time_at, unreadable};

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
        detail: row.get(8)?,
        request_id: text(9)?,
    };
    Ok((row.get(0)?, entry))
}

impl AuditStore for SqliteStore {
    fn append(&self, entries: Vec<AuditEntry>) -> StoreFuture<()> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO audit (at, user, role, ip, action, subject, section, detail, request_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for entry in &entries {
                statement.execute(params![
                    entry.at.as_millisecond(),
                    entry.user.as_ref().map(UserName::as_str),
                    entry.role.map(Role::as_str),
                    entry.ip,
                    entry.action,
                    entry.subject,
                    entry.section.as_ref().map(ToString::to_string),
                    entry.detail,
                    entry.request_id,
                ])?;
            }
            Ok(())
        })
    }

    fn page(&self, filter: AuditFilter) -> StoreFuture<AuditPage> {
        self.read(move |conn| {
            // Entries are appended in the order of their times, so the first entry since `?3` bounds the ids.
            let mut statement = conn.prepare_cached(
                "SELECT id, at, user, role, ip, action, subject, section, detail, request_id FROM audit
                 WHERE (?1 IS NULL OR user = ?1 OR subject = ?1)
                   AND (?2 IS NULL OR action = ?2)
                   AND (?3 IS NULL OR (at >= ?3 AND id >= (SELECT min(id) FROM audit WHERE at >= ?3)))
                   AND (?4 IS NULL OR id < ?4)
                 ORDER BY id DESC LIMIT ?5",
            )?;
            let since = filter.since.map(jiff::Timestamp::as_millisecond);
            // One entry more than the page has, to know whether there is a next page.
            let read_limit = i64::from(filter.limit) + 1;
            let rows = statement
                .query_map(params![filter.user, filter.action, since, filter.before, read_limit], entry_at)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let limit = filter.limit as usize;
            let next = if rows.len() > limit { rows[..limit].last().map(|(id, _)| *id) } else { None };
            Ok(AuditPage { items: rows.into_iter().take(limit).map(|(_, entry)| entry).collect(), next })
        })
    }
}
