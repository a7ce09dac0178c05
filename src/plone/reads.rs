//! Copies of what is read of Plone: answered at once however old they are, with their age; renewed in the background,
//! by one reader for each key; the last good one is kept when Plone fails. The number of keys and of reads at once is
//! bounded, and no lock is held while anything waits.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::plone::port::PloneError;

/// The longest that one read may take, with all the calls that it makes: each is bounded by itself, and there may be
/// many.
const READ_MAX: Duration = Duration::from_secs(60);
/// After a failure Plone is left alone for this long, unless somebody asks to renew.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What bounds the copies.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// A copy older than this is renewed when it is asked for.
    pub fresh: Duration,
    /// Keys that are kept; beyond it the one used longest ago goes.
    pub keys_max: usize,
    /// Reads at once, over all keys; beyond it nothing is renewed, and who has no copy is told that Plone is busy.
    pub reads_max: usize,
}

/// A copy as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<V> {
    /// What was read.
    pub value: V,
    /// How long ago it was read.
    pub age: Duration,
    /// Why it is not newer: how the last try ended, if that failed.
    pub error: Option<PloneError>,
}

/// Why there is nothing to answer: there has never been a copy, and...
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It did not come in time. The read goes on.
    #[error("it was not read in time")]
    Late,
    /// Reading it failed.
    #[error(transparent)]
    Failed(#[from] PloneError),
}

/// How often copies were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCounts {
    /// Answered from a copy that was fresh.
    pub hits: u64,
    /// Answered from one that was not.
    pub stale: u64,
    /// There was no copy.
    pub misses: u64,
    /// Reads that were begun.
    pub reads: u64,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    stale: AtomicU64,
    misses: AtomicU64,
    reads: AtomicU64,
}

type Outcome<V> = Result<Kept<V>, PloneError>;
/// Reads the value of a key; it is given the copy before, which spares reading again what has not changed.
type Load<K, V> = Box<dyn Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync>;

/// A copy, and when it was taken: in this process, and how old it was by then.
struct Taken<V> {
    value: V,
    at: Instant,
    age: Duration,
}

/// A read that is under way.
struct Flight<V> {
    number: u64,
    /// Closed without an outcome when the read panicked, or its runtime ended.
    outcome: watch::Receiver<Option<Outcome<V>>>,
}

struct Slot<V> {
    used: Instant,
    copy: Option<Taken<V>>,
    failed: Option<(PloneError, Instant)>,
    flight: Option<Flight<V>>,
}

impl<V: Clone> Slot<V> {
    fn kept(&self) -> Option<Kept<V>> {
        let copy = self.copy.as_ref()?;
        let error = self.failed.as_ref().map(|(error, _)| error.clone());
        Some(Kept { value: copy.value.clone(), age: copy.age + copy.at.elapsed(), error })
    }

    fn flying(&self) -> Option<&Flight<V>> {
        self.flight.as_ref().filter(|flight| flight.outcome.has_changed().is_ok())
    }

    fn failed_lately(&self) -> Option<PloneError> {
        let (error, at) = self.failed.as_ref()?;
        (at.elapsed() < RETRY_AFTER).then(|| error.clone())
    }
}

struct Slots<K, V> {
    by_key: HashMap<K, Slot<V>>,
    /// Counts reads: a read that began before its key was forgotten is not kept.
    flights: u64,
}

struct Inner<K, V> {
    limits: ReadLimits,
    load: Load<K, V>,
    slots: Mutex<Slots<K, V>>,
    counters: Counters,
}

/// Copies by key. Cheap to clone: all clones are one.
pub struct Reads<K, V> {
    inner: Arc<Inner<K, V>>,
}

impl<K, V> Clone for Reads<K, V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K, V> Reads<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No copies yet; `load` reads one.
    pub fn new(
        limits: ReadLimits,
        load: impl Fn(K, Option<V>) -> BoxFuture<'static, Result<V, PloneError>> + Send + Sync + 'static,
    ) -> Self {
        let slots = Mutex::new(Slots { by_key: HashMap::new(), flights: 0 });
        Self { inner: Arc::new(Inner { limits, load: Box::new(load), slots, counters: Counters::default() }) }
    }

    /// The copy, however old; one that is not fresh is renewed meanwhile. Only where there is none is it waited for, at
    /// most `wait`.
    pub async fn get(&self, key: &K, wait: Duration) -> Result<Kept<V>, ReadError> {
        let outcome = {
            let mut slots = self.inner.lock();
            let slot = self.inner.slot(&mut slots, key);
            if let Some(mut kept) = slot.kept() {
                let is_fresh = kept.age < self.inner.limits.fresh;
                self.inner.counters.count(if is_fresh { |c| &c.hits } else { |c| &c.stale });
                if !is_fresh && slot.flying().is_none() && slot.failed_lately().is_none() {
                    // When too much is read already, the next who asks renews it, and this one is told so.
                    kept.error = self.begin(&mut slots, key).err().or(kept.error);
                }
                return Ok(kept);
            }
            self.inner.counters.count(|c| &c.misses);
            match (slot.flying(), slot.failed_lately()) {
                (Some(flight), _) => flight.outcome.clone(),
                (None, Some(error)) => return Err(error.into()),
                (None, None) => self.begin(&mut slots, key)?,
            }
        };
        match timeout(wait, ended(outcome)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(ReadError::Late),
        }
    }

    /// Reads it again, fresh or not, and waits for it. Who comes while others wait shares a read with them, but never
    /// one that had begun before: what was changed before this call is in the answer.
    pub async fn renew(&self, key: &K) -> Result<Kept<V>, PloneError> {
        let before = self.inner.lock().flights;
        loop {
            let (number, outcome) = {
                let mut slots = self.inner.lock();
                let slot = self.inner.slot(&mut slots, key);
                match slot.flying() {
                    Some(flight) => (flight.number, flight.outcome.clone()),
                    None => {
                        let outcome = self.begin(&mut slots, key)?;
                        (slots.flights, outcome)
                    }
                }
            };
            let outcome = ended(outcome).await;
            if number > before {
                return outcome;
            }
        }
    }

    /// The copy, if there is one. Nothing is read, nothing is counted.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<Kept<V>> {
        self.inner.lock().by_key.get(key).and_then(Slot::kept)
    }

    /// How the last try ended, if that failed.
    #[must_use]
    pub fn last_error(&self, key: &K) -> Option<PloneError> {
        self.inner.lock().by_key.get(key).and_then(|slot| slot.failed.as_ref()).map(|(error, _)| error.clone())
    }

    /// Keeps a copy that is this old, such as one that the store had.
    pub fn put(&self, key: &K, value: V, age: Duration) {
        let mut slots = self.inner.lock();
        let slot = self.inner.slot(&mut slots, key);
        slot.copy = Some(Taken { value, at: Instant::now(), age });
        slot.failed = None;
    }

    /// Forgets copies that nobody has asked for in this time.
    pub fn forget_unused(&self, within: Duration) {
        self.inner.lock().by_key.retain(|_, slot| slot.used.elapsed() < within);
    }

    /// How often was asked.
    #[must_use]
    pub fn counts(&self) -> ReadCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { hits, stale, misses, reads } = &self.inner.counters;
        ReadCounts { hits: of(hits), stale: of(stale), misses: of(misses), reads: of(reads) }
    }

    /// Begins a read, in a task of its own: it goes on whoever leaves.
    fn begin(&self, slots: &mut Slots<K, V>, key: &K) -> Result<watch::Receiver<Option<Outcome<V>>>, PloneError> {
        let under_way = slots.by_key.values().filter(|slot| slot.flying().is_some()).count();
        if under_way >= self.inner.limits.reads_max {
            return Err(PloneError::Busy);
        }
        slots.flights += 1;
        let number = slots.flights;
        let slot = self.inner.slot(slots, key);
        let before = slot.copy.as_ref().map(|copy| copy.value.clone());
        let (tell, outcome) = watch::channel(None);
        slot.flight = Some(Flight { number, outcome: outcome.clone() });
        self.inner.counters.count(|c| &c.reads);
        let (inner, key) = (self.inner.clone(), key.clone());
        tokio::spawn(async move {
            let read = timeout(READ_MAX, (inner.load)(key.clone(), before)).await;
            let read = read.unwrap_or_else(|_| Err(PloneError::Unavailable("reading took too long".to_owned())));
            let outcome = inner.keep(&key, number, read);
            // Nobody may be waiting any more.
            let _ = tell.send(Some(outcome));
        });
        Ok(outcome)
    }
}

/// What a read comes to.
async fn ended<V: Clone>(mut outcome: watch::Receiver<Option<Outcome<V>>>) -> Outcome<V> {
    let found = outcome.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| Err(PloneError::Unavailable("reading broke off".to_owned())))
}

impl<K: Eq + Hash + Clone, V: Clone> Inner<K, V> {
    fn lock(&self) -> MutexGuard<'_, Slots<K, V>> {
        self.slots.lock()
    }

    /// The key's slot, from now on used last; where there is no room for another, the one used longest ago goes, but
    /// none that is being read: its read would count no more, and its copy would be for nobody.
    fn slot<'s>(&self, slots: &'s mut Slots<K, V>, key: &K) -> &'s mut Slot<V> {
        let by_key = &mut slots.by_key;
        if !by_key.contains_key(key) && by_key.len() >= self.limits.keys_max {
            let idle = by_key.iter().filter(|(_, slot)| slot.flying().is_none());
            let oldest = idle.min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| by_key.remove(&oldest));
        }
        let now = Instant::now();
        let new = || Slot { used: now, copy: None, failed: None, flight: None };
        let slot = by_key.entry(key.clone()).or_insert_with(new);
        slot.used = now;
        slot
    }

    /// Keeps what a read brought; a failure leaves the copy as it is, and is remembered. A key that was forgotten
    /// meanwhile stays forgotten.
    fn keep(&self, key: &K, number: u64, read: Result<V, PloneError>) -> Outcome<V> {
        let mut slots = self.lock();
        let slot = slots.by_key.get_mut(key).filter(|slot| slot.flight.as_ref().is_some_and(|f| f.number == number));
        if let Some(slot) = slot {
            slot.flight = None;
            match &read {
                Ok(value) => {
                    slot.copy = Some(Taken { value: value.clone(), at: Instant::now(), age: Duration::ZERO });
                    slot.failed = None;
                }
                Err(error) => slot.failed = Some((error.clone(), Instant::now())),
            }
        }
        read.map(|value| Kept { value, age: Duration::ZERO, error: None })
    }
}

impl Counters {
    fn count(&self, which: fn(&Self) -> &AtomicU64) {
        which(self).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
