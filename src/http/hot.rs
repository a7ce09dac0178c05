//! Cache of responses that many clients request at the same time. Each is built at most once per tick (single-flight)
//! and is never older than the state that was committed when the request arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::http::build_threads;
use crate::http::encoded::Encoded;

/// The maximum memory of all cached responses, in bytes: the lists of three large terms (2 MB each in all codings, once
/// for each page length), and their seats. Past this, the least recently used responses are evicted.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// The maximum number of cached responses. Only canonical queries are cached, so there are only a few for each term.
const RESPONSES_MAX: usize = 1_024;
/// The maximum number of concurrent builds, which bounds their memory: a build needs several times the length of its
/// response.
const BUILDS_MAX: usize = 4;

/// The cache entry of one key.
#[derive(Default)]
struct Slot {
    newest: Mutex<Option<Built>>,
    /// Held while a response is built; concurrent requests wait for the result.
    building: tokio::sync::Mutex<()>,
    /// The number of the last use; see [`HotResponses::uses`].
    used: AtomicU64,
}

#[derive(Clone)]
struct Built {
    version: u64,
    at: Instant,
    response: Arc<Encoded>,
}

/// The error when a response cannot be built, because the builder panicked or the process is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response could not be built")]
pub struct BuildError;

/// Cached responses by key, bounded in bytes.
pub struct HotResponses {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    tick: Duration,
    bytes_max: usize,
    builds: Semaphore,
    /// Numbers the uses of all slots.
    uses: AtomicU64,
}

impl HotResponses {
    /// Creates a cache that builds each response at most once per `tick`.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        let builds = Semaphore::new(BUILDS_MAX);
        Self { slots: Mutex::default(), tick, bytes_max: BYTES_MAX, builds, uses: AtomicU64::new(0) }
    }

    /// Responds with the response for `key` as of `version` or later, and waits for the rest of a tick if it must be
    /// built. `build` creates it from the state that is published at that time, and returns the version of that state
    /// with it. Clients must not be able to choose `key` freely.
    ///
    /// # Errors
    /// When `build` panics or the process is shutting down.
    pub async fn respond<F>(
        &self,
        request: &HttpRequest,
        key: &str,
        version: u64,
        build: F,
    ) -> Result<HttpResponse, BuildError>
    where
        F: FnOnce() -> (u64, Encoded) + Send + 'static,
    {
        let ready = self.get(key, version, build).await?;
        let bytes = ready.byte_size();
        let response = ready.clone().respond(request).await;
        if ready.byte_size() > bytes {
            // The first request for a coding has encoded the response.
            self.evict();
        }
        Ok(response)
    }

    async fn get<F>(&self, key: &str, version: u64, build: F) -> Result<Arc<Encoded>, BuildError>
    where
        F: FnOnce() -> (u64, Encoded) + Send + 'static,
    {
        let slot = self.slot(key);
        if let Some(ready) = slot.at_least(version) {
            return Ok(ready);
        }
        let _builder = slot.building.lock().await;
        if let Some(ready) = slot.at_least(version) {
            return Ok(ready);
        }
        let last = slot.newest.lock().as_ref().map(|b| b.at);
        if let Some(last) = last {
            tokio::time::sleep_until(last + self.tick).await;
        }
        let turn = self.builds.acquire().await.map_err(|_| BuildError)?;
        let (version, encoded) = build_threads::run(build).await?;
        drop(turn);
        let response = Arc::new(encoded);
        let built = Built { version, at: Instant::now(), response: response.clone() };
        *slot.newest.lock() = Some(built);
        self.evict();
        Ok(response)
    }

    /// Evicts the least recently used responses until the others are within the bounds.
    fn evict(&self) {
        let mut slots = self.slots.lock();
        let mut bytes: usize = slots.values().map(|slot| slot.bytes()).sum();
        while bytes > self.bytes_max || slots.len() > RESPONSES_MAX {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            bytes -= slots.remove(&key).map_or(0, |slot| slot.bytes()).min(bytes);
        }
    }

    /// Returns the bytes of all cached responses, and their bound.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let bytes = self.slots.lock().values().map(|slot| slot.bytes() as u64).sum();
        (bytes, self.bytes_max as u64)
    }

    fn slot(&self, key: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        let slot = match slots.get(key) {
            Some(slot) => slot.clone(),
            None => slots.entry(key.to_owned()).or_default().clone(),
        };
        slot.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot
    }
}

impl Slot {
    fn at_least(&self, version: u64) -> Option<Arc<Encoded>> {
        let newest = self.newest.lock();
        newest.as_ref().filter(|built| built.version >= version).map(|built| built.response.clone())
    }

    fn bytes(&self) -> usize {
        self.newest.lock().as_ref().map_or(0, |built| built.response.byte_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ACCEPT_ENCODING;
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    const KIB: usize = 1024;

    fn cache(bytes_max: usize) -> HotResponses {
        HotResponses { bytes_max, ..HotResponses::new(Duration::ZERO) }
    }

    async fn request(cache: &HotResponses, key: &str, len: usize) {
        let request = TestRequest::default().insert_header((ACCEPT_ENCODING, "br")).to_http_request();
        // Random bytes do not compress, so the encoded body is as long as the plain one.
        let body: Bytes = (0..len).map(|_| rand::random::<u8>()).collect();
        let build = move || (1, Encoded::new("1", "text/plain", "no-cache", body));
        cache.respond(&request, key, 1, build).await.unwrap();
    }

    #[actix_web::test]
    async fn the_least_recently_used_responses_are_evicted() {
        let cache = cache(100 * KIB);
        for number in 0..50 {
            request(&cache, "often", 10 * KIB).await;
            request(&cache, &number.to_string(), 10 * KIB).await;
            let bytes = cache.bytes().0 as usize;
            assert!(bytes <= 100 * KIB, "{bytes} bytes, with the encoded bodies");
        }
        let slots = cache.slots.lock();
        assert!(slots.contains_key("often") && slots.contains_key("49") && !slots.contains_key("0"));
        assert!(slots.len() >= 4, "{} responses use the memory", slots.len());
    }

    #[actix_web::test]
    async fn a_response_that_is_longer_than_the_cache_is_sent_and_not_kept() {
        let cache = cache(KIB);
        request(&cache, "long", 10 * KIB).await;
        assert_eq!(cache.bytes().0, 0);
    }
}
