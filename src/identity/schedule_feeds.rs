//! Feeds from which calendar programs read one student's schedule. The address contains a secret, because such programs
//! cannot sign in. It opens nothing but this schedule, until the student ends it or creates a new one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::identity::guardian_links::{hash_of, new_secret};
use crate::store::StoreError;
use crate::store::schedule_feeds::{ScheduleFeed, ScheduleFeedStore};

/// Time after which a feed may be read once more. Calendar programs read a feed a few times a day.
const READ_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of reads of a feed in a row: a student's devices may all start together, and repeat a read.
const READS_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);
/// Number of reads after which the counts of idle feeds are removed.
const READS_PER_CLEANUP: usize = 10_000;

/// Why a feed cannot be read.
#[derive(Debug)]
pub enum FeedError {
    /// There is no such feed, or it has ended.
    Unknown,
    /// The feed was read too often; the seconds to wait.
    TooOften(u32),
    /// The store cannot be read.
    Store(StoreError),
}

/// The feeds of schedules.
pub struct ScheduleFeeds {
    store: Arc<dyn ScheduleFeedStore>,
    clock: Arc<dyn Clock>,
    /// Reads by student. Only students who have a feed have an entry.
    reads: DefaultKeyedRateLimiter<UserName>,
    counted: AtomicUsize,
}

impl ScheduleFeeds {
    /// Creates the service on a store.
    #[must_use]
    pub fn new(store: Arc<dyn ScheduleFeedStore>, clock: Arc<dyn Clock>) -> Self {
        // The interval is not zero, so there is a quota.
        let quota = Quota::with_period(READ_INTERVAL).unwrap_or(Quota::per_minute(READS_MAX));
        let reads = RateLimiter::dashmap(quota.allow_burst(READS_MAX));
        Self { store, clock, reads, counted: AtomicUsize::new(0) }
    }

    /// Creates a feed of a student's schedule and returns its secret. The earlier feed ends.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn make(&self, student: &UserName) -> Result<String, StoreError> {
        let (secret, hash) = new_secret();
        let feed = ScheduleFeed { student: student.clone(), created_at: self.clock.now() };
        self.store.put_schedule_feed(feed, hash).await?;
        Ok(secret)
    }

    /// Returns the feed of a student.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of(&self, student: &UserName) -> Result<Option<ScheduleFeed>, StoreError> {
        self.store.schedule_feed_of(student).await
    }

    /// Ends the feed of a student. Returns false if there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end(&self, student: &UserName) -> Result<bool, StoreError> {
        self.store.remove_schedule_feed(student).await
    }

    /// Returns the feed that a secret opens, and counts the read.
    ///
    /// # Errors
    /// When there is no such feed, it was read too often, or the store cannot be read.
    pub async fn open(&self, secret: &str) -> Result<ScheduleFeed, FeedError> {
        let hash = hash_of(secret).ok_or(FeedError::Unknown)?;
        let feed = self.store.schedule_feed(hash).await.map_err(FeedError::Store)?.ok_or(FeedError::Unknown)?;
        if self.counted.fetch_add(1, Ordering::Relaxed) % READS_PER_CLEANUP == READS_PER_CLEANUP - 1 {
            self.reads.retain_recent();
        }
        self.reads.check_key(&feed.student).map_err(|too_soon| {
            let wait = too_soon.wait_time_from(DefaultClock::default().now());
            FeedError::TooOften(u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX))
        })?;
        Ok(feed)
    }
}
