//! "Last seen" of users: noting a request costs one lookup in a map, and a task writes the rest in batches.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::store::accounts::{AccountStore, Person};

use crate::identity::{Caller, Source};

/// Users that may wait to be written: more than arrive in the first second of a morning.
const WAITING_MAX: usize = 20_000;
/// Users in one write.
const BATCH_MAX: usize = 500;
/// Resolution of "last seen", in milliseconds: no user is written more often.
const SLOT_MS: i64 = 10 * 60_000;

/// Users who were seen lately.
#[derive(Debug)]
pub struct People {
    /// The slot of [`SLOT_MS`] in which each user was last noted.
    noted: Arc<DashMap<UserName, i64>>,
    queue: mpsc::Sender<Person>,
}

impl People {
    /// Starts the writing task on the current runtime. It ends when this is dropped.
    pub fn start(store: Arc<dyn AccountStore>) -> Self {
        let (queue, people) = mpsc::channel(WAITING_MAX);
        let noted = Arc::new(DashMap::new());
        tokio::spawn(write_all(store, people, noted.clone()));
        Self { noted, queue }
    }

    /// Notes that a user sent a request; almost always that is known already.
    pub fn note(&self, caller: &Caller, now: Timestamp) {
        let slot = now.as_millisecond() / SLOT_MS;
        if self.noted.get(&caller.user).is_some_and(|noted| *noted >= slot) {
            return;
        }
        let person = Person {
            username: caller.user.clone(),
            name: caller.name.as_ref().to_owned(),
            role: caller.role,
            by_plone: caller.source == Source::Plone,
            last_seen: now,
        };
        // When the queue is full, the next request of this user tries again.
        if self.queue.try_send(person).is_ok() {
            self.noted.insert(caller.user.clone(), slot);
        }
    }

    /// Removes users who were not seen in the present slot.
    pub fn forget_idle(&self, now: Timestamp) {
        let slot = now.as_millisecond() / SLOT_MS;
        self.noted.retain(|_, noted| *noted >= slot);
    }
}

async fn write_all(
    store: Arc<dyn AccountStore>,
    mut people: mpsc::Receiver<Person>,
    noted: Arc<DashMap<UserName, i64>>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while people.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let names: Vec<_> = batch.iter().map(|person| person.username.clone()).collect();
        if let Err(error) = store.note_people(std::mem::take(&mut batch)).await {
            log::warn!("{} users are noted as seen at their next request only: {error}", names.len());
            for name in &names {
                noted.remove(name);
            }
        }
    }
}
