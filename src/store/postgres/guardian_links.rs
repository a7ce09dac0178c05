//! Links to schedules on PostgreSQL.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::guardian_links::{GuardianLink, GuardianLinkStore, LinkHash};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::people::{text, uuid_at};
use crate::store::postgres::rows::{integer, time_at, user_at};
use crate::store::postgres::schedule_feeds::remove_feed_of;
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;

/// Reads `id, username, label, created_at, expires_at`.
pub(super) fn link_at(row: &Row) -> Result<GuardianLink, Failure> {
    Ok(GuardianLink {
        id: uuid_at(row, 0)?,
        student: user_at(row, 1)?,
        label: row.try_get(2)?,
        created_at: time_at(row, 3)?,
        expires_at: time_at(row, 4)?,
    })
}

/// Deletes the links and the feed of a user who is removed: the next person with this username must not have them.
pub(super) async fn remove_links_of(tx: &Tx, username: &UserName) -> Result<(), Failure> {
    tx.execute("DELETE FROM guardian_links WHERE username = $1", &[&username.as_str()]).await?;
    remove_feed_of(tx, username).await.map(drop)
}

async fn put(tx: &Tx, link: &GuardianLink, hash: &LinkHash, max: usize) -> Result<bool, Failure> {
    // Only one transaction at a time counts the links of a student, so that two hubs cannot exceed the limit.
    lock(tx, Lock::GuardianLinks, link.student.as_str()).await?;
    let created_at = link.created_at.as_millisecond();
    // Skips rows that another hub is deleting.
    let sql = "DELETE FROM guardian_links WHERE id IN (
         SELECT id FROM guardian_links WHERE expires_at <= $1 FOR UPDATE SKIP LOCKED)";
    tx.execute(sql, &[&created_at]).await?;
    let sql = "INSERT INTO guardian_links (id, username, label, hash, created_at, expires_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE (SELECT count(*) FROM guardian_links WHERE username = $2 AND expires_at > $5) < $7";
    let values: &[&dyn Value] = &[
        &link.id,
        &link.student.as_str(),
        &text(&link.label),
        &&hash[..],
        &created_at,
        &link.expires_at.as_millisecond(),
        &integer(max),
    ];
    Ok(tx.execute(sql, values).await? > 0)
}

impl GuardianLinkStore for PostgresStore {
    fn guardian_links(&self, student: &UserName, now: Timestamp) -> StoreFuture<Vec<GuardianLink>> {
        let student = student.clone();
        self.read(async move |tx| {
            let sql = "SELECT id, username, label, created_at, expires_at FROM guardian_links
                 WHERE username = $1 AND expires_at > $2 ORDER BY created_at, id";
            tx.query(sql, &[&student.as_str(), &now.as_millisecond()]).await?.iter().map(link_at).collect()
        })
    }

    fn guardian_link(&self, hash: LinkHash, now: Timestamp) -> StoreFuture<Option<GuardianLink>> {
        self.read(async move |tx| {
            let sql = "SELECT id, username, label, created_at, expires_at FROM guardian_links
                 WHERE hash = $1 AND expires_at > $2";
            tx.query_opt(sql, &[&&hash[..], &now.as_millisecond()]).await?.as_ref().map(link_at).transpose()
        })
    }

    fn put_guardian_link(&self, link: GuardianLink, hash: LinkHash, max: usize) -> StoreFuture<bool> {
        self.write(async move |tx| put(tx, &link, &hash, max).await)
    }

    fn remove_guardian_link(&self, student: &UserName, id: Uuid) -> StoreFuture<bool> {
        let student = student.clone();
        self.write(async move |tx| {
            let sql = "DELETE FROM guardian_links WHERE username = $1 AND id = $2";
            Ok(tx.execute(sql, &[&student.as_str(), &id]).await? > 0)
        })
    }
}
