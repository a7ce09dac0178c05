//! Cache of what was read from Plone: stale-while-revalidate with single-flight reads. A cached value is returned at
//! once with its age, and renewed in the background by one read for each key; when a read fails, the last good value
//! stays. The number of keys and of reads in flight is bounded, and no lock is held across an await.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::plone::port::PloneError;

/// Longest time of one read with all its calls. Each call has a deadline of its own, but a read may make many.
const READ_MAX: Duration = Duration::from_secs(60);
/// Pause after a failed read, unless a renewal is requested.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Age past which a value is renewed when it is requested.
    pub fresh: Duration,
    /// Most keys; past this, the least recently used one is evicted.
    pub keys_max: usize,
    /// Most reads in flight, over all keys; past this, nothing is renewed, and a request without a cached value fails
    /// as busy.
    pub reads_max: usize,
}

/// A cached value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedReply<V> {
    /// The value as it was read.
    pub value: V,
    /// Time since it was read.
    pub age: Duration,
    /// Why it is not newer: the error of the last read, if that failed.
    pub error: Option<PloneError>,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It was not read in time. The read continues.
    #[error("it was not read in time")]
    Late,
    /// The read failed.
    #[error(transparent)]
    Failed(#[from] PloneError),
}

/// Counters of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Requests with a fresh value.
    pub hits: u64,
    /// Requests with a stale value.
    pub stale: u64,
    /// Requests without a value.
    pub misses: u64,
    /// Reads that were started.
    pub reads: u64,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    stale: AtomicU64,
    misses: AtomicU64,
    reads: AtomicU64,
}

type Outcome<V> = Result<CachedReply<V>, PloneError>;
/// Reads the value of a key. It receives the previous value, so that what has not changed need not be read again.
type Load<K, V> = Box<dyn Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync>;

/// A value with its age when it was cached.
struct Stored<V> {
    value: V,
    cached_at: Instant,
    age: Duration,
}

/// A read in flight.
struct Flight<V> {
    number: u64,
    /// Closed without an outcome when the read panicked or its runtime ended.
    outcome: watch::Receiver<Option<Outcome<V>>>,
}

struct Entry<V> {
    used: Instant,
    stored: Option<Stored<V>>,
    failed: Option<(PloneError, Instant)>,
    flight: Option<Flight<V>>,
}

impl<V: Clone> Entry<V> {
    fn reply(&self) -> Option<CachedReply<V>> {
        let stored = self.stored.as_ref()?;
        let error = self.failed.as_ref().map(|(error, _)| error.clone());
        Some(CachedReply { value: stored.value.clone(), age: stored.age + stored.cached_at.elapsed(), error })
    }

    fn in_flight(&self) -> Option<&Flight<V>> {
        self.flight.as_ref().filter(|flight| flight.outcome.has_changed().is_ok())
    }

    fn failed_lately(&self) -> Option<PloneError> {
        let (error, at) = self.failed.as_ref()?;
        (at.elapsed() < RETRY_AFTER).then(|| error.clone())
    }
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Number of reads so far. It numbers them, so that a read that started before its key was removed is not cached.
    flights: u64,
}

struct Inner<K, V> {
    limits: CacheLimits,
    load: Load<K, V>,
    entries: Mutex<Entries<K, V>>,
    counters: Counters,
}

/// A cache by key. Cheap to clone; clones share their content.
pub struct ReadCache<K, V> {
    inner: Arc<Inner<K, V>>,
}

impl<K, V> Clone for ReadCache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K, V> ReadCache<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Creates an empty cache; `load` reads the value of a key.
    pub fn new(
        limits: CacheLimits,
        load: impl Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync + 'static,
    ) -> Self {
        let entries = Mutex::new(Entries { by_key: HashMap::new(), flights: 0 });
        Self { inner: Arc::new(Inner { limits, load: Box::new(load), entries, counters: Counters::default() }) }
    }

    /// Returns the cached value, however old, and renews a stale one in the background. Only when there is no value,
    /// waits for one, at most `wait`.
    ///
    /// # Errors
    /// When there is no value in time.
    pub async fn get(&self, key: &K, wait: Duration) -> Result<CachedReply<V>, ReadError> {
        let outcome = {
            let mut entries = self.inner.lock();
            let entry = self.inner.entry(&mut entries, key);
            if let Some(mut reply) = entry.reply() {
                let is_fresh = reply.age < self.inner.limits.fresh;
                self.inner.counters.count(if is_fresh { |c| &c.hits } else { |c| &c.stale });
                if !is_fresh && entry.in_flight().is_none() && entry.failed_lately().is_none() {
                    // When too many reads are in flight, a later request renews it, and this one reports the reason.
                    reply.error = self.start(&mut entries, key).err().or(reply.error);
                }
                return Ok(reply);
            }
            self.inner.counters.count(|c| &c.misses);
            match (entry.in_flight(), entry.failed_lately()) {
                (Some(flight), _) => flight.outcome.clone(),
                (None, Some(error)) => return Err(error.into()),
                (None, None) => self.start(&mut entries, key)?,
            }
        };
        match timeout(wait, ended(outcome)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(ReadError::Late),
        }
    }

    /// Reads the value again, fresh or not, and waits for it. Concurrent calls share a read, but never one that started
    /// before the call: what changed in Plone before the call is in the value.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn renew(&self, key: &K) -> Result<CachedReply<V>, PloneError> {
        let before = self.inner.lock().flights;
        loop {
            let (number, outcome) = {
                let mut entries = self.inner.lock();
                let entry = self.inner.entry(&mut entries, key);
                match entry.in_flight() {
                    Some(flight) => (flight.number, flight.outcome.clone()),
                    None => {
                        let outcome = self.start(&mut entries, key)?;
                        (entries.flights, outcome)
                    }
                }
            };
            let outcome = ended(outcome).await;
            if number > before {
                return outcome;
            }
        }
    }

    /// Returns the cached value without reading or counting anything.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<CachedReply<V>> {
        self.inner.lock().by_key.get(key).and_then(Entry::reply)
    }

    /// Returns the error of the last read, if that failed.
    #[must_use]
    pub fn last_error(&self, key: &K) -> Option<PloneError> {
        self.inner.lock().by_key.get(key).and_then(|entry| entry.failed.as_ref()).map(|(error, _)| error.clone())
    }

    /// Caches a value of this age, such as one from the store.
    pub fn put(&self, key: &K, value: V, age: Duration) {
        let mut entries = self.inner.lock();
        let entry = self.inner.entry(&mut entries, key);
        entry.stored = Some(Stored { value, cached_at: Instant::now(), age });
        entry.failed = None;
    }

    /// Removes values that were not requested within this time.
    pub fn remove_unused(&self, within: Duration) {
        self.inner.lock().by_key.retain(|_, entry| entry.used.elapsed() < within);
    }

    /// Returns the counters.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { hits, stale, misses, reads } = &self.inner.counters;
        CacheCounts { hits: of(hits), stale: of(stale), misses: of(misses), reads: of(reads) }
    }

    /// Starts a read in a task of its own, so that it continues when its callers go away.
    ///
    /// # Errors
    /// [`PloneError::Busy`] when too many reads are in flight.
    fn start(&self, entries: &mut Entries<K, V>, key: &K) -> Result<watch::Receiver<Option<Outcome<V>>>, PloneError> {
        let under_way = entries.by_key.values().filter(|entry| entry.in_flight().is_some()).count();
        if under_way >= self.inner.limits.reads_max {
            return Err(PloneError::Busy);
        }
        entries.flights += 1;
        let number = entries.flights;
        let entry = self.inner.entry(entries, key);
        let before = entry.stored.as_ref().map(|stored| stored.value.clone());
        let (report, outcome) = watch::channel(None);
        entry.flight = Some(Flight { number, outcome: outcome.clone() });
        self.inner.counters.count(|c| &c.reads);
        let (inner, key) = (self.inner.clone(), key.clone());
        tokio::spawn(async move {
            let read = timeout(READ_MAX, (inner.load)(key.clone(), before)).await;
            let read = read.unwrap_or_else(|_| Err(PloneError::Unavailable("reading took too long".to_owned())));
            let outcome = inner.store(&key, number, read);
            // The callers may be gone.
            let _ = report.send(Some(outcome));
        });
        Ok(outcome)
    }
}

/// Waits for the outcome of a read.
async fn ended<V: Clone>(mut outcome: watch::Receiver<Option<Outcome<V>>>) -> Outcome<V> {
    let found = outcome.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| Err(PloneError::Unavailable("reading broke off".to_owned())))
}

impl<K: Eq + Hash + Clone, V: Clone> Inner<K, V> {
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock()
    }

    /// Returns the entry of a key and marks it as used. Without room for another key, the least recently used one is
    /// evicted, but none that is being read: its read would be wasted.
    fn entry<'e>(&self, entries: &'e mut Entries<K, V>, key: &K) -> &'e mut Entry<V> {
        let by_key = &mut entries.by_key;
        if !by_key.contains_key(key) && by_key.len() >= self.limits.keys_max {
            let idle = by_key.iter().filter(|(_, entry)| entry.in_flight().is_none());
            let oldest = idle.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| by_key.remove(&oldest));
        }
        let now = Instant::now();
        let new = || Entry { used: now, stored: None, failed: None, flight: None };
        let entry = by_key.entry(key.clone()).or_insert_with(new);
        entry.used = now;
        entry
    }

    /// Caches the result of a read. A failure is recorded and leaves the value; a key that was removed meanwhile stays
    /// removed.
    fn store(&self, key: &K, number: u64, read: Result<V, PloneError>) -> Outcome<V> {
        let mut entries = self.lock();
        let entry =
            entries.by_key.get_mut(key).filter(|entry| entry.flight.as_ref().is_some_and(|f| f.number == number));
        if let Some(entry) = entry {
            entry.flight = None;
            match &read {
                Ok(value) => {
                    entry.stored =
                        Some(Stored { value: value.clone(), cached_at: Instant::now(), age: Duration::ZERO });
                    entry.failed = None;
                }
                Err(error) => entry.failed = Some((error.clone(), Instant::now())),
            }
        }
        read.map(|value| CachedReply { value, age: Duration::ZERO, error: None })
    }
}

impl Counters {
    fn count(&self, which: fn(&Self) -> &AtomicU64) {
        which(self).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
