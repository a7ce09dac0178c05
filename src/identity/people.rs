//! "Last seen" times of users. Recording a request costs one map lookup, and a task writes changes in batches.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::store::accounts::{AccountStore, Person, UserSource};

use crate::identity::{Caller, Source};

/// Maximum number of queued users: more than arrive in the first second of a registration rush.
const WAITING_MAX: usize = 20_000;
/// Maximum number of users in one write.
const BATCH_MAX: usize = 500;
/// Resolution of "last seen", in milliseconds. Each user is written at most once in this time.
const SLOT_MS: i64 = 10 * 60_000;

/// The users who sent requests recently.
#[derive(Debug)]
pub struct People {
    /// The time slot of [`SLOT_MS`] in which each user was last recorded.
    recorded_slots: Arc<DashMap<UserName, i64>>,
    queue: mpsc::Sender<Person>,
}

impl People {
    /// Starts the writing task on the current runtime. It ends when this is dropped.
    pub fn start(store: Arc<dyn AccountStore>) -> Self {
        let (queue, people) = mpsc::channel(WAITING_MAX);
        let recorded_slots = Arc::new(DashMap::new());
        tokio::spawn(write_all(store, people, recorded_slots.clone()));
        Self { recorded_slots, queue }
    }

    /// Records a request of a user. Usually the user is already recorded for the current slot.
    pub fn record(&self, caller: &Caller, now: Timestamp) {
        let slot = now.as_millisecond() / SLOT_MS;
        if self.recorded_slots.get(&caller.user).is_some_and(|recorded| *recorded >= slot) {
            return;
        }
        let person = Person {
            username: caller.user.clone(),
            name: caller.name.as_ref().to_owned(),
            role: caller.role,
            source: match &caller.source {
                Source::Hub => None,
                Source::Plone => Some(UserSource::Plone),
                Source::Oidc(name) => Some(UserSource::Oidc(name.as_ref().to_owned())),
                Source::Proxy => Some(UserSource::Proxy),
            },
            last_seen: now,
        };
        // If the queue is full, the next request of this user tries again.
        if self.queue.try_send(person).is_ok() {
            self.recorded_slots.insert(caller.user.clone(), slot);
        }
    }

    /// Returns the number of users who sent requests recently.
    pub fn count(&self) -> usize {
        self.recorded_slots.len()
    }

    /// Removes users who sent no request in the current slot.
    pub fn remove_idle(&self, now: Timestamp) {
        let slot = now.as_millisecond() / SLOT_MS;
        self.recorded_slots.retain(|_, recorded| *recorded >= slot);
    }
}

async fn write_all(
    store: Arc<dyn AccountStore>,
    mut people: mpsc::Receiver<Person>,
    recorded_slots: Arc<DashMap<UserName, i64>>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while people.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let names: Vec<_> = batch.iter().map(|person| person.username.clone()).collect();
        if let Err(error) = store.record_people(std::mem::take(&mut batch)).await {
            log::warn!("last-seen times of {} users were not stored; their next request retries: {error}", names.len());
            for name in &names {
                recorded_slots.remove(name);
            }
        }
    }
}
