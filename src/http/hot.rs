//! Cache of responses that many clients request at the same time. Each is built at most once per tick (single-flight)
//! and is never older than the state that was committed when the request arrived.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::encoded::Encoded;

/// The maximum number of cached responses. Past this, the oldest one is evicted.
const RESPONSES_MAX: usize = 256;

/// The cache entry of one key.
#[derive(Default)]
struct Slot {
    newest: Mutex<Option<Built>>,
    /// Held while a response is built; concurrent requests wait for the result.
    building: tokio::sync::Mutex<()>,
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

/// Cached responses by key.
pub struct HotResponses {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    tick: Duration,
}

impl HotResponses {
    /// Creates a cache that builds each response at most once per `tick`.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        Self { slots: Mutex::new(HashMap::new()), tick }
    }

    /// Returns the response for `key` as of `version` or later, and waits for the rest of a tick if it must be built.
    /// `build` creates it from the state that is published at that time, and returns the version of that state with it.
    ///
    /// # Errors
    /// When `build` panics or the process is shutting down.
    pub async fn get<F>(&self, key: &str, version: u64, build: F) -> Result<Arc<Encoded>, BuildError>
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
        let (version, encoded) = actix_web::web::block(build).await.map_err(|_| BuildError)?;
        let response = Arc::new(encoded);
        let built = Built { version, at: Instant::now(), response: response.clone() };
        *slot.newest.lock() = Some(built);
        Ok(response)
    }

    fn slot(&self, key: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        if slots.len() >= RESPONSES_MAX {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.built_at()).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        slots.entry(key.to_owned()).or_default().clone()
    }
}

impl Slot {
    fn at_least(&self, version: u64) -> Option<Arc<Encoded>> {
        let newest = self.newest.lock();
        newest.as_ref().filter(|built| built.version >= version).map(|built| built.response.clone())
    }

    fn built_at(&self) -> Option<Instant> {
        self.newest.lock().as_ref().map(|b| b.at)
    }
}
