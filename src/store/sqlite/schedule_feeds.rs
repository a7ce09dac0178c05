//! Feeds of schedules in the embedded store.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::guardian_links::LinkHash;
use crate::store::schedule_feeds::{ScheduleFeed, ScheduleFeedStore};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
use crate::store::sqlite::rows::time_at;

/// Reads `user, created_at`.
pub(super) fn feed_at(row: &Row<'_>) -> rusqlite::Result<ScheduleFeed> {
    Ok(ScheduleFeed { student: user_name_at(row, 0)?, created_at: time_at(row, 1)? })
}

/// Deletes the feed of a user. Returns whether there was one.
pub(super) fn remove_feed_of(tx: &Connection, username: &UserName) -> rusqlite::Result<bool> {
    let removed = tx.prepare_cached("DELETE FROM schedule_feeds WHERE user = ?1")?.execute([username.as_str()])?;
    Ok(removed > 0)
}

/// Reads the feed of a user.
pub(super) fn feed_of(connection: &Connection, username: &UserName) -> rusqlite::Result<Option<ScheduleFeed>> {
    connection
        .prepare_cached("SELECT user, created_at FROM schedule_feeds WHERE user = ?1")?
        .query_row([username.as_str()], feed_at)
        .optional()
}

impl ScheduleFeedStore for SqliteStore {
    fn schedule_feed_of(&self, student: &UserName) -> StoreFuture<Option<ScheduleFeed>> {
        let student = student.clone();
        self.read(move |connection| feed_of(connection, &student))
    }

    fn schedule_feed(&self, hash: LinkHash) -> StoreFuture<Option<ScheduleFeed>> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT user, created_at FROM schedule_feeds WHERE hash = ?1")?
                .query_row([&hash[..]], feed_at)
                .optional()
        })
    }

    fn put_schedule_feed(&self, feed: ScheduleFeed, hash: LinkHash) -> StoreFuture<()> {
        self.write(move |tx| {
            remove_feed_of(tx, &feed.student)?;
            tx.prepare_cached("INSERT INTO schedule_feeds (user, hash, created_at) VALUES (?1, ?2, ?3)")?
                .execute(params![feed.student.as_str(), &hash[..], feed.created_at.as_millisecond()])?;
            Ok(())
        })
    }

    fn remove_schedule_feed(&self, student: &UserName) -> StoreFuture<bool> {
        let student = student.clone();
        self.write(move |tx| remove_feed_of(tx, &student))
    }
}
