//! Port for the feeds from which calendar programs read one student's schedule. The store holds a hash of the secret in
//! the address, never the secret.

use jiff::Timestamp;

use crate::domain::ids::UserName;

use crate::store::StoreFuture;
use crate::store::guardian_links::LinkHash;

/// A feed of one student's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleFeed {
    /// The student.
    pub student: UserName,
    /// When the student created it.
    pub created_at: Timestamp,
}

/// Store of feeds of schedules. A student has at most one.
pub trait ScheduleFeedStore: Send + Sync {
    /// Returns the feed of a student.
    fn schedule_feed_of(&self, student: &UserName) -> StoreFuture<Option<ScheduleFeed>>;
    /// Returns the feed with this hash.
    fn schedule_feed(&self, hash: LinkHash) -> StoreFuture<Option<ScheduleFeed>>;
    /// Stores a feed. The earlier feed of the student ends.
    fn put_schedule_feed(&self, feed: ScheduleFeed, hash: LinkHash) -> StoreFuture<()>;
    /// Deletes the feed of a student. Returns false when the student has none.
    fn remove_schedule_feed(&self, student: &UserName) -> StoreFuture<bool>;
}
