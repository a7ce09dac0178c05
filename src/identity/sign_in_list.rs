//! The sign-ins of each user, which the user can see and end. Recording a request costs one map lookup, and a task
//! writes changes in batches.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::identity::Caller;
use crate::store::StoreError;
use crate::store::sign_ins::{SignInStore, StoredSignIn};

/// Maximum number of listed sign-ins of a user: more than the devices of any user. If there are more, the newest are
/// listed; the others stay valid, because a script may sign in for each of its runs.
pub(super) const PER_USER_MAX: usize = 50;
/// Maximum length of a device's description, in characters: user agents of browsers have about 120.
const DEVICE_CHARS_MAX: usize = 200;
/// Maximum number of queued changes: more sign-ins than arrive in the first second of a registration rush.
const WAITING_MAX: usize = 20_000;
/// Maximum number of sign-ins in one write.
const BATCH_MAX: usize = 500;
/// Resolution of "last seen", in milliseconds. Each sign-in is written at most once in this time.
const SLOT_MS: i64 = 10 * 60_000;

/// The client of a sign-in.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// The client's `User-Agent`.
    pub agent: String,
}

/// All users' sign-ins whose tokens have not expired.
pub(super) struct SignInList {
    /// At most [`PER_USER_MAX`] for each user, oldest first.
    by_user: Arc<DashMap<UserName, Vec<StoredSignIn>>>,
    store: Arc<dyn SignInStore>,
    queue: mpsc::Sender<StoredSignIn>,
    /// Held while the store takes a write, so that the write contains no sign-ins of a user who was already removed.
    writing: Arc<Mutex<()>>,
}

impl SignInList {
    /// Loads the sign-ins and starts the writing task on the current runtime. It ends when this is dropped.
    pub(super) async fn start(store: Arc<dyn SignInStore>, now: Timestamp) -> Result<Self, StoreError> {
        let (queue, changes) = mpsc::channel(WAITING_MAX);
        let list = Self { by_user: Arc::default(), store: store.clone(), queue, writing: Arc::default() };
        for sign_in in store.sign_ins(now).await? {
            list.insert(sign_in);
        }
        tokio::spawn(write_all(store, changes, list.by_user.clone(), list.writing.clone()));
        Ok(list)
    }

    fn insert(&self, sign_in: StoredSignIn) {
        let mut own = self.by_user.entry(sign_in.user.clone()).or_default();
        if own.len() >= PER_USER_MAX {
            own.remove(0);
        }
        own.push(sign_in);
    }

    /// Adds a new sign-in.
    pub(super) fn add(&self, caller: &Caller, device: &Device, address: String, now: Timestamp) {
        let sign_in = StoredSignIn {
            id: caller.token_id,
            user: caller.user.clone(),
            device: device.agent.chars().take(DEVICE_CHARS_MAX).collect(),
            address,
            since: Timestamp::from_millisecond(caller.issued_ms).unwrap_or(now),
            last_seen: now,
            expires_at: caller.expires_at,
        };
        self.insert(sign_in.clone());
        // If the queue is full, it is still listed until the hub restarts, and a later use writes it.
        if self.queue.try_send(sign_in).is_err() {
            log::warn!("too many sign-ins are queued; one is stored when it is used next");
        }
    }

    /// Adds sign-ins of a user at other hubs that are not listed here.
    pub(super) fn learn(&self, user: &UserName, sign_ins: Vec<StoredSignIn>) {
        if sign_ins.is_empty() {
            return;
        }
        let mut own = self.by_user.entry(user.clone()).or_default();
        for sign_in in sign_ins {
            if own.iter().all(|one| one.id != sign_in.id) {
                own.push(sign_in);
            }
        }
        own.sort_by_key(|one| (one.since, one.id));
        let surplus = own.len().saturating_sub(PER_USER_MAX);
        own.drain(..surplus);
    }

    /// Records a request of a caller. Usually the sign-in is already recorded for the current slot.
    pub(super) fn record_seen(&self, caller: &Caller, now: Timestamp) {
        let slot = |time: Timestamp| time.as_millisecond() / SLOT_MS;
        let is_due = |one: &StoredSignIn| one.id == caller.token_id && slot(one.last_seen) < slot(now);
        if !self.by_user.get(&caller.user).is_some_and(|own| own.iter().any(is_due)) {
            return;
        }
        let Some(mut own) = self.by_user.get_mut(&caller.user) else { return };
        let Some(sign_in) = own.iter_mut().find(|one| is_due(one)) else { return };
        // If the queue is full, the next request of this sign-in tries again.
        if self.queue.try_send(StoredSignIn { last_seen: now, ..sign_in.clone() }).is_ok() {
            sign_in.last_seen = now;
        }
    }

    /// Returns the sign-ins of a user, oldest first. Some may have ended.
    pub(super) fn of(&self, user: &UserName) -> Vec<StoredSignIn> {
        self.by_user.get(user).map_or_else(Vec::new, |own| own.clone())
    }

    /// Removes a sign-in that has ended.
    pub(super) async fn remove(&self, user: &UserName, id: Uuid) -> Result<(), StoreError> {
        let is_listed = self.by_user.get_mut(user).is_some_and(|mut own| {
            let before = own.len();
            own.retain(|one| one.id != id);
            own.len() < before
        });
        self.by_user.remove_if(user, |_, own| own.is_empty());
        if is_listed { self.store.delete_sign_in(id).await } else { Ok(()) }
    }

    /// Removes all sign-ins of a user from memory. What the store writes after this call has returned contains none.
    pub(super) fn forget(&self, user: &UserName) {
        let _no_write = self.writing.lock();
        self.by_user.remove(user);
    }

    /// Returns the number of listed sign-ins.
    pub(super) fn count(&self) -> usize {
        self.by_user.iter().map(|own| own.len()).sum()
    }

    /// Removes the sign-ins that have expired. Must be called regularly.
    pub(super) async fn remove_expired(&self, now: Timestamp) {
        let mut has_expired = false;
        self.by_user.retain(|_, own| {
            let before = own.len();
            own.retain(|one| one.expires_at > now);
            has_expired |= own.len() < before;
            !own.is_empty()
        });
        if has_expired && let Err(error) = self.store.delete_expired_sign_ins(now).await {
            log::debug!("expired sign-ins could not be deleted from the store: {error}");
        }
    }
}

async fn write_all(
    store: Arc<dyn SignInStore>,
    mut changes: mpsc::Receiver<StoredSignIn>,
    by_user: Arc<DashMap<UserName, Vec<StoredSignIn>>>,
    writing: Arc<Mutex<()>>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while changes.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (count, write) = {
            let _writing = writing.lock();
            // A sign-in that has ended since it was queued is not stored again.
            batch.retain(|one| by_user.get(&one.user).is_some_and(|own| own.iter().any(|listed| listed.id == one.id)));
            (batch.len(), store.record_sign_ins(std::mem::take(&mut batch)))
        };
        if let Err(error) = write.await {
            log::warn!("{count} sign-ins were not stored and will not be listed after a restart: {error}");
        }
    }
}
