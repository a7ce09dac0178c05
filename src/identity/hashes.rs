//! The queue of passwords that Plone has just accepted: they are hashed one after the other, after the answer, so that a
//! morning's sign-ins wait for no hash, and a local account's password does not wait behind a whole class.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::store::members::MemberStore;

use crate::identity::password::{HashError, Hasher};

/// Passwords that may wait, some megabytes: all of a large college within its first minutes. Beyond that, a password is
/// not known until its owner signs in again.
const WAITING_MAX: usize = 20_000;
/// How long to wait when the hashing threads have their hands full.
const PAUSE: Duration = Duration::from_millis(250);

struct Work {
    user: UserName,
    signed_in_at: Timestamp,
    password: SecretString,
}

/// The queue's entrance. The task behind it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Hashes {
    queue: mpsc::Sender<Work>,
    waiting: Arc<AtomicUsize>,
}

impl Hashes {
    /// Starts the task on the current runtime.
    pub(super) fn start(hasher: Arc<Hasher>, store: Arc<dyn MemberStore>) -> Self {
        let (queue, work) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::default();
        tokio::spawn(hash_all(work, hasher, store, Arc::clone(&waiting)));
        Self { queue, waiting }
    }

    /// Takes a password without waiting.
    pub(super) fn put(&self, user: UserName, signed_in_at: Timestamp, password: SecretString) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Work { user, signed_in_at, password }).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            log::warn!("too many passwords wait to be hashed: one will be known after its owner's next sign-in");
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

async fn hash_all(
    mut queue: mpsc::Receiver<Work>,
    hasher: Arc<Hasher>,
    store: Arc<dyn MemberStore>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(Work { user, signed_in_at, password }) = queue.recv().await {
        let hash = loop {
            match hasher.hash(password.clone()).await {
                Err(HashError::Overloaded) => tokio::time::sleep(PAUSE).await,
                other => break other,
            }
        };
        match hash {
            Ok(hash) => {
                if let Err(error) = store.put_hash(&user, signed_in_at, hash.into()).await {
                    log::warn!("a password will be known after its owner's next sign-in: {error}");
                }
            }
            Err(error) => log::warn!("{error}"),
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
