//! Cache of values read from Plone: stale-while-revalidate with single-flight reads. A cached value is returned
//! immediately with its age; a stale one is renewed in the background by one read per key. If a read fails, the last
//! good value stays. The number of keys, their memory, and the reads in flight are bounded, and no lock is held across
//! an await.

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

/// Maximum duration of one read. Each call to Plone has its own deadline, but a read may make many calls.
const READ_MAX: Duration = Duration::from_secs(60);
/// Pause after a failed read, which [`ReadCache::renew`] ignores.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Age from which a value is renewed when it is requested.
    pub fresh: Duration,
    /// Maximum number of keys. Beyond it, the least recently used key is evicted.
    pub keys_max: usize,
    /// Maximum memory of all values, in bytes. Beyond it, the values of the least recently used keys are evicted.
    pub bytes_max: usize,
    /// Maximum number of reads in flight for all keys together. Beyond it, no value is renewed, and a request without a
    /// cached value fails with [`PloneError::Busy`].
    pub reads_max: usize,
}

/// A cached value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedReply<V> {
    /// The value.
    pub value: V,
    /// Time since the value was read.
    pub age: Duration,
    /// Why there is no newer value: the error of the last read, if it failed.
    pub error: Option<PloneError>,
}

/// Why a request for a value failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The read did not finish in time. It continues in the background.
    #[error("Plone did not respond in time")]
    Timeout,
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
/// A function that reads the value of a key. It receives the previous value, so that it can reuse unchanged parts.
type Load<K, V> = Box<dyn Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync>;

/// A value, with the age that it had when it was cached.
struct Stored<V> {
    value: V,
    bytes: usize,
    cached_at: Instant,
    age: Duration,
}

/// A read in flight.
struct Flight<V> {
    number: u64,
    /// Closed without an outcome if the read panicked or its runtime ended.
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

    /// Returns the error of a read that failed less than [`RETRY_AFTER`] ago.
    fn recent_failure(&self) -> Option<PloneError> {
        let (error, at) = self.failed.as_ref()?;
        (at.elapsed() < RETRY_AFTER).then(|| error.clone())
    }
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    /// Number of reads so far, which is also the number of the newest one. [`Inner::store`] compares the numbers of
    /// reads, so that the result of a read that started before its key was removed is not cached.
    flights: u64,
}

impl<K, V> Entries<K, V> {
    /// Returns the memory of all values, in bytes.
    fn bytes(&self) -> usize {
        self.by_key.values().filter_map(|entry| entry.stored.as_ref()).map(|stored| stored.bytes).sum()
    }
}

struct Inner<K, V> {
    limits: CacheLimits,
    /// Returns the memory of a value, in bytes.
    weigh: fn(&V) -> usize,
    load: Load<K, V>,
    entries: Mutex<Entries<K, V>>,
    counters: Counters,
}

/// A cache of values by key. Clones share their content.
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
    /// Creates an empty cache; `load` reads the value of a key, and `weigh` returns the memory of a value in bytes.
    pub fn new(
        limits: CacheLimits,
        weigh: fn(&V) -> usize,
        load: impl Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync + 'static,
    ) -> Self {
        let entries = Mutex::new(Entries { by_key: HashMap::new(), flights: 0 });
        let (load, counters) = (Box::new(load), Counters::default());
        Self { inner: Arc::new(Inner { limits, weigh, load, entries, counters }) }
    }

    /// Returns the cached value, however old, and renews a stale one in the background. Waits, at most for `wait`, only
    /// if there is no cached value.
    ///
    /// # Errors
    /// If there is no value in time.
    pub async fn get(&self, key: &K, wait: Duration) -> Result<CachedReply<V>, ReadError> {
        let outcome = {
            let mut entries = self.inner.lock();
            let entry = self.inner.entry(&mut entries, key);
            if let Some(mut reply) = entry.reply() {
                let is_fresh = reply.age < self.inner.limits.fresh;
                self.inner.counters.count(if is_fresh { |c| &c.hits } else { |c| &c.stale });
                if !is_fresh && entry.in_flight().is_none() && entry.recent_failure().is_none() {
                    // If too many reads are in flight, this request reports that and a later one renews the value.
                    reply.error = self.start(&mut entries, key).err().or(reply.error);
                }
                return Ok(reply);
            }
            self.inner.counters.count(|c| &c.misses);
            match (entry.in_flight(), entry.recent_failure()) {
                (Some(flight), _) => flight.outcome.clone(),
                (None, Some(error)) => return Err(error.into()),
                (None, None) => self.start(&mut entries, key)?,
            }
        };
        match timeout(wait, ended(outcome)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(ReadError::Timeout),
        }
    }

    /// Reads the value again, even if it is fresh, and returns the new value. Concurrent calls share a read, but only
    /// one that started after the call, so that the value includes every change in Plone before the call.
    ///
    /// # Errors
    /// If the read fails.
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

    /// Returns the error of the last read, if it failed.
    #[must_use]
    pub fn last_error(&self, key: &K) -> Option<PloneError> {
        self.inner.lock().by_key.get(key).and_then(|entry| entry.failed.as_ref()).map(|(error, _)| error.clone())
    }

    /// Caches a value that already has this `age`, such as one from the store.
    pub fn put(&self, key: &K, value: V, age: Duration) {
        let mut entries = self.inner.lock();
        let entry = self.inner.entry(&mut entries, key);
        entry.stored = Some(self.inner.stored(value, age));
        entry.failed = None;
        self.inner.evict_values(&mut entries);
    }

    /// Returns the memory of all values in bytes, and its bound.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.inner.lock().bytes() as u64, self.inner.limits.bytes_max as u64)
    }

    /// Removes the keys that were last requested longer ago than `within`.
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

    /// Starts a read in its own task, so that it continues if its callers are dropped.
    ///
    /// # Errors
    /// [`PloneError::Busy`] if too many reads are in flight.
    fn start(&self, entries: &mut Entries<K, V>, key: &K) -> Result<watch::Receiver<Option<Outcome<V>>>, PloneError> {
        let in_flight = entries.by_key.values().filter(|entry| entry.in_flight().is_some()).count();
        if in_flight >= self.inner.limits.reads_max {
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
            let read = read.unwrap_or_else(|_| Err(PloneError::Unavailable("the read took too long".to_owned())));
            let outcome = inner.store(&key, number, read);
            // Sending fails if no caller is waiting.
            let _ = report.send(Some(outcome));
        });
        Ok(outcome)
    }
}

/// Waits for the outcome of a read.
async fn ended<V: Clone>(mut outcome: watch::Receiver<Option<Outcome<V>>>) -> Outcome<V> {
    let found = outcome.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| Err(PloneError::Unavailable("the read was aborted".to_owned())))
}

impl<K: Eq + Hash + Clone, V: Clone> Inner<K, V> {
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock()
    }

    /// Returns the entry of a key and marks it as used. If the cache is full, evicts the least recently used key,
    /// except keys that are being read: their reads would be wasted.
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

    fn stored(&self, value: V, age: Duration) -> Stored<V> {
        Stored { bytes: (self.weigh)(&value), value, cached_at: Instant::now(), age }
    }

    /// Evicts the values of the least recently used keys until the others are within the bound.
    fn evict_values(&self, entries: &mut Entries<K, V>) {
        let mut bytes = entries.bytes();
        while bytes > self.limits.bytes_max {
            let with_value = entries.by_key.values_mut().filter(|entry| entry.stored.is_some());
            let Some(oldest) = with_value.min_by_key(|entry| entry.used) else { return };
            bytes -= oldest.stored.take().map_or(0, |stored| stored.bytes);
        }
    }

    /// Caches the result of read number `number`. A failure is recorded and leaves the previous value. If the key was
    /// removed during the read, nothing is cached.
    fn store(&self, key: &K, number: u64, read: Result<V, PloneError>) -> Outcome<V> {
        let mut entries = self.lock();
        let entry =
            entries.by_key.get_mut(key).filter(|entry| entry.flight.as_ref().is_some_and(|f| f.number == number));
        if let Some(entry) = entry {
            entry.flight = None;
            match &read {
                Ok(value) => {
                    entry.stored = Some(self.stored(value.clone(), Duration::ZERO));
                    entry.failed = None;
                }
                Err(error) => entry.failed = Some((error.clone(), Instant::now())),
            }
            self.evict_values(&mut entries);
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
