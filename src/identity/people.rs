//! "Last seen" times of users. Recording a request costs one map lookup, and a task writes changes in batches.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::accounts::{AccountStore, Person, UserSource};

use crate::identity::{Caller, Source};

/// Maximum number of queued users: more than arrive in the first second of a registration rush.
const WAITING_MAX: usize = 20_000;
/// Maximum number of users in one write. Each is on its own page, and registrations wait for the commit: a slow disk
/// took a second for 500 pages.
const BATCH_MAX: usize = 50;
/// The pause after a write, as a multiple of the duration of the write: under load, at most a tenth of the writer's
/// time is used.
const PAUSE_SHARE: u32 = 9;
/// The longest pause. On the slowest disk, a rush of 9,000 students is written within a few minutes.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Resolution of "last seen", in milliseconds. Each user is written at most once in this time.
const SLOT_MS: i64 = 10 * 60_000;

/// The users who sent requests recently.
#[derive(Debug)]
pub struct People {
    /// The time slot of [`SLOT_MS`] in which each user was last recorded.
    recorded_slots: Arc<DashMap<UserName, i64>>,
    queue: mpsc::Sender<Person>,
    forgotten: Arc<Mutex<HashSet<UserName>>>,
}

impl People {
    /// Starts the writing task on the current runtime. It ends when this is dropped.
    pub fn start(store: Arc<dyn AccountStore>) -> Self {
        let (queue, people) = mpsc::channel(WAITING_MAX);
        let (recorded_slots, forgotten) = (Arc::new(DashMap::new()), Arc::default());
        let record = move |people| store.record_people(people);
        tokio::spawn(write_all(record, people, recorded_slots.clone(), Arc::clone(&forgotten)));
        Self { recorded_slots, queue, forgotten }
    }

    /// Discards what is queued about a user who is being erased. What the store writes after this call has returned
    /// contains nothing about the user.
    pub fn forget(&self, user: &UserName) {
        self.forgotten.lock().insert(user.clone());
        self.recorded_slots.remove(user);
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
        // A new user may have the name of one who was erased.
        self.forgotten.lock().remove(&caller.user);
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
    write: impl Fn(Vec<Person>) -> StoreFuture<()>,
    mut people: mpsc::Receiver<Person>,
    recorded_slots: Arc<DashMap<UserName, i64>>,
    forgotten: Arc<Mutex<HashSet<UserName>>>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while people.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let began = Instant::now();
        // The store takes the write while the lock is held, so it comes before the write of an erasure.
        let (names, write) = {
            let forgotten = forgotten.lock();
            batch.retain(|person| !forgotten.contains(&person.username));
            let names: Vec<_> = batch.iter().map(|person| person.username.clone()).collect();
            (names, write(std::mem::take(&mut batch)))
        };
        if let Err(error) = write.await {
            log::warn!("last-seen times of {} users were not stored; their next request retries: {error}", names.len());
            for name in &names {
                recorded_slots.remove(name);
            }
        }
        tokio::time::sleep((began.elapsed() * PAUSE_SHARE).min(PAUSE_MAX)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;
    use futures_util::FutureExt;

    fn person(number: usize) -> Person {
        Person {
            username: UserName::parse(&format!("student-{number}")).unwrap(),
            name: String::new(),
            role: Role::Student,
            source: None,
            last_seen: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rush_of_users_uses_a_tenth_of_the_writer() {
        const USERS: usize = 1_000;
        // For each duration of a write, the minimum duration of all writes together.
        let (fast, slow) = (Duration::from_millis(2), Duration::from_millis(300));
        for (took, expected) in [(fast, fast * 20 * 10), (slow, (slow + PAUSE_MAX) * 20)] {
            let (queue, people) = mpsc::channel(USERS);
            (0..USERS).for_each(|number| queue.try_send(person(number)).unwrap());
            drop(queue);
            let (written, began) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
            let record = written.clone();
            let write = move |people: Vec<Person>| {
                record.lock().push(people.len());
                tokio::time::sleep(took).map(Ok).boxed()
            };
            write_all(write, people, Arc::default(), Arc::default()).await;
            let sizes = written.lock().clone();
            assert_eq!((sizes.iter().sum(), sizes.iter().max()), (USERS, Some(&BATCH_MAX)));
            assert!(began.elapsed() >= expected, "{:?} for writes of {took:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_of_an_erased_user_is_written() {
        let (queue, people) = mpsc::channel(4);
        (0..3).for_each(|number| queue.try_send(person(number)).unwrap());
        drop(queue);
        let written = Arc::new(Mutex::new(Vec::new()));
        let record = written.clone();
        let write = move |people: Vec<Person>| {
            record.lock().extend(people.into_iter().map(|person| person.username.to_string()));
            futures_util::future::ready(Ok(())).boxed()
        };
        let forgotten = Arc::new(Mutex::new(HashSet::from([person(1).username])));
        write_all(write, people, Arc::default(), forgotten).await;
        assert_eq!(*written.lock(), ["student-0", "student-2"]);
    }
}
