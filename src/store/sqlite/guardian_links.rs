//! Links to schedules in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::guardian_links::{GuardianLink, GuardianLinkStore, LinkHash};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
use crate::store::sqlite::rows::{time_at, unreadable};
use crate::store::sqlite::schedule_feeds::remove_feed_of;

/// Reads `id, user, label, created_at, expires_at`.
pub(super) fn link_at(row: &Row<'_>) -> rusqlite::Result<GuardianLink> {
    Ok(GuardianLink {
        id: Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?,
        student: user_name_at(row, 1)?,
        label: row.get(2)?,
        created_at: time_at(row, 3)?,
        expires_at: time_at(row, 4)?,
    })
}

/// Deletes the links and the feed of a user who is removed: the next person with this username must not have them.
pub(super) fn remove_links_of(tx: &Connection, username: &UserName) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM guardian_links WHERE user = ?1")?.execute([username.as_str()])?;
    remove_feed_of(tx, username).map(drop)
}

impl GuardianLinkStore for SqliteStore {
    fn guardian_links(&self, student: &UserName, now: Timestamp) -> StoreFuture<Vec<GuardianLink>> {
        let student = student.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, user, label, created_at, expires_at FROM guardian_links
                     WHERE user = ?1 AND expires_at > ?2 ORDER BY created_at, id",
                )?
                .query_map(params![student.as_str(), now.as_millisecond()], link_at)?
                .collect()
        })
    }

    fn guardian_link(&self, hash: LinkHash, now: Timestamp) -> StoreFuture<Option<GuardianLink>> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, user, label, created_at, expires_at FROM guardian_links
                     WHERE hash = ?1 AND expires_at > ?2",
                )?
                .query_row(params![&hash[..], now.as_millisecond()], link_at)
                .optional()
        })
    }

    fn put_guardian_link(&self, link: GuardianLink, hash: LinkHash, max: usize) -> StoreFuture<bool> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM guardian_links WHERE expires_at <= ?1")?
                .execute([link.created_at.as_millisecond()])?;
            let others: usize = tx
                .prepare_cached("SELECT count(*) FROM guardian_links WHERE user = ?1")?
                .query_row([link.student.as_str()], |row| row.get(0))?;
            if others >= max {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO guardian_links (id, user, label, hash, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                link.id.to_string(),
                link.student.as_str(),
                link.label,
                &hash[..],
                link.created_at.as_millisecond(),
                link.expires_at.as_millisecond(),
            ])?;
            Ok(true)
        })
    }

    fn remove_guardian_link(&self, student: &UserName, id: Uuid) -> StoreFuture<bool> {
        let student = student.clone();
        self.write(move |tx| {
            let removed = tx
                .prepare_cached("DELETE FROM guardian_links WHERE user = ?1 AND id = ?2")?
                .execute([student.as_str(), &id.to_string()])?;
            Ok(removed > 0)
        })
    }
}
