//! The queue of who was seen: noticing somebody costs a look into a map, and a task writes it down.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::store::accounts::{AccountStore, Person};

use crate::identity::{Caller, Source};

/// People that may wait to be written: more than come in the first second of a morning.
const WAITING_MAX: usize = 20_000;
/// People in one write.
const BATCH_MAX: usize = 500;
/// How exactly "last seen" is known, in milliseconds: nobody is written more often.
const SLOT_MS: i64 = 10 * 60_000;

/// Who was seen lately.
#[derive(Debug)]
pub struct People {
    // The slot of time in which somebody was last noted.
    noted: Arc<DashMap<UserName, i64>>,
    queue: mpsc::Sender<Person>,
}

impl People {
    /// Starts the task that writes, on the current runtime. It ends when this is dropped.
    pub fn start(store: Arc<dyn AccountStore>) -> Self {
        let (queue, people) = mpsc::channel(WAITING_MAX);
        let noted = Arc::new(DashMap::new());
        tokio::spawn(write_all(store, people, noted.clone()));
        Self { noted, queue }
    }

    /// Notes that somebody is here; almost always that is known already.
    pub fn notice(&self, caller: &Caller, now: Timestamp) {
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
        // When the queue is full, the next request of this person tries again.
        if self.queue.try_send(person).is_ok() {
            self.noted.insert(caller.user.clone(), slot);
        }
    }

    /// Forgets who has not been here lately.
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
            log::warn!("{} people who were seen will be noted when they are seen again: {error}", names.len());
            for name in &names {
                noted.remove(name);
            }
        }
    }
}
