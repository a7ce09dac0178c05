//! Answers that everyone asks for at once: built at most once a tick however many ask, and never older than what was
//! committed when the question came.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::encoded::Encoded;

/// Different answers kept: beyond it the one built longest ago goes.
const ANSWERS_MAX: usize = 256;

/// What one question was answered last.
#[derive(Default)]
struct Slot {
    newest: Mutex<Option<Built>>,
    /// Held by whoever builds; the others wait for the same bytes.
    building: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Built {
    version: u64,
    at: Instant,
    answer: Arc<Encoded>,
}

/// The answer could not be built: its work panicked, or the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer could not be built")]
pub struct NotBuilt;

/// Ready answers by question.
pub struct HotResponses {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    tick: Duration,
}

impl HotResponses {
    /// Answers that are built at most once in `tick` each.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        Self { slots: Mutex::new(HashMap::new()), tick }
    }

    /// The answer to `question` as of `version` or later. `build` makes it from what is published when it runs, and says
    /// which version that was.
    pub async fn get<F>(&self, question: &str, version: u64, build: F) -> Result<Arc<Encoded>, NotBuilt>
    where
        F: FnOnce() -> (u64, Encoded) + Send + 'static,
    {
        let slot = self.slot(question);
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
        let (version, encoded) = actix_web::web::block(build).await.map_err(|_| NotBuilt)?;
        let answer = Arc::new(encoded);
        let built = Built { version, at: Instant::now(), answer: answer.clone() };
        *slot.newest.lock() = Some(built);
        Ok(answer)
    }

    fn slot(&self, question: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(question) {
            return slot.clone();
        }
        if slots.len() >= ANSWERS_MAX {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.built_at()).map(|(question, _)| question.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        slots.entry(question.to_owned()).or_default().clone()
    }
}

impl Slot {
    fn at_least(&self, version: u64) -> Option<Arc<Encoded>> {
        let newest = self.newest.lock();
        newest.as_ref().filter(|built| built.version >= version).map(|built| built.answer.clone())
    }

    fn built_at(&self) -> Option<Instant> {
        self.newest.lock().as_ref().map(|b| b.at)
    }
}
