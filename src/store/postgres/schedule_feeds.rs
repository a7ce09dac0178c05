//! Feeds of schedules on PostgreSQL.

use tokio_postgres::Row;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::guardian_links::LinkHash;
use crate::store::schedule_feeds::{ScheduleFeed, ScheduleFeedStore};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{time_at, user_at};
use crate::store::postgres::transaction::Tx;

/// Reads `username, created_at`.
fn feed_at(row: &Row) -> Result<ScheduleFeed, Failure> {
    Ok(ScheduleFeed { student: user_at(row, 0)?, created_at: time_at(row, 1)? })
}

/// Deletes the feed of a user. Returns whether there was one.
pub(super) async fn remove_feed_of(tx: &Tx, username: &UserName) -> Result<bool, Failure> {
    Ok(tx.execute("DELETE FROM schedule_feeds WHERE username = $1", &[&username.as_str()]).await? > 0)
}

/// Reads the feed of a user.
pub(super) async fn feed_of(tx: &Tx, username: &UserName) -> Result<Option<ScheduleFeed>, Failure> {
    let sql = "SELECT username, created_at FROM schedule_feeds WHERE username = $1";
    tx.query_opt(sql, &[&username.as_str()]).await?.as_ref().map(feed_at).transpose()
}

impl ScheduleFeedStore for PostgresStore {
    fn schedule_feed_of(&self, student: &UserName) -> StoreFuture<Option<ScheduleFeed>> {
        let student = student.clone();
        self.read(async move |tx| feed_of(tx, &student).await)
    }

    fn schedule_feed(&self, hash: LinkHash) -> StoreFuture<Option<ScheduleFeed>> {
        self.read(async move |tx| {
            let sql = "SELECT username, created_at FROM schedule_feeds WHERE hash = $1";
            tx.query_opt(sql, &[&&hash[..]]).await?.as_ref().map(feed_at).transpose()
        })
    }

    fn put_schedule_feed(&self, feed: ScheduleFeed, hash: LinkHash) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "INSERT INTO schedule_feeds (username, hash, created_at) VALUES ($1, $2, $3)
                 ON CONFLICT (username) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at";
            tx.execute(sql, &[&feed.student.as_str(), &&hash[..], &feed.created_at.as_millisecond()]).await.map(drop)
        })
    }

    fn remove_schedule_feed(&self, student: &UserName) -> StoreFuture<bool> {
        let student = student.clone();
        self.write(async move |tx| remove_feed_of(tx, &student).await)
    }
}
