//! Queue of passwords that a provider has just accepted. They are hashed one after the other, after the response:
//! sign-ins of a morning wait for no hash, and the password of a local account does not queue behind a whole class.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::identity::password::{HashError, Hasher};
use crate::store::members::MemberStore;

/// Most passwords that wait, some megabytes: the sign-ins of a large college within its first minutes. Past this, a
/// password becomes known at the next sign-in of its user.
const WAITING_MAX: usize = 20_000;
/// Pause while the hashing threads are busy with sign-ins.
const PAUSE: Duration = Duration::from_millis(250);

struct Accepted {
    user: UserName,
    signed_in_at: Timestamp,
    password: SecretString,
}

/// Sending end of the queue. The task behind it ends when this is dropped.
#[derive(Debug)]
pub(super) struct PasswordQueue {
    queue: mpsc::Sender<Accepted>,
    waiting: Arc<AtomicUsize>,
}

impl PasswordQueue {
    /// Starts the task on the current runtime.
    pub(super) fn start(hasher: Arc<Hasher>, store: Arc<dyn MemberStore>) -> Self {
        let (queue, accepted) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::default();
        tokio::spawn(hash_all(accepted, hasher, store, Arc::clone(&waiting)));
        Self { queue, waiting }
    }

    /// Queues a password without waiting.
    pub(super) fn push(&self, user: UserName, signed_in_at: Timestamp, password: SecretString) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Accepted { user, signed_in_at, password }).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            log::warn!("too many passwords wait to be hashed: one is kept at the next sign-in of its user instead");
        }
    }

    /// Returns the number of passwords that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

async fn hash_all(
    mut queue: mpsc::Receiver<Accepted>,
    hasher: Arc<Hasher>,
    store: Arc<dyn MemberStore>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(Accepted { user, signed_in_at, password }) = queue.recv().await {
        let hash = loop {
            match hasher.hash(password.clone()).await {
                Err(HashError::Overloaded) => tokio::time::sleep(PAUSE).await,
                other => break other,
            }
        };
        match hash {
            Ok(hash) => {
                if let Err(error) = store.put_hash(&user, signed_in_at, hash.into()).await {
                    log::warn!("a password is kept at the next sign-in of its user only: {error}");
                }
            }
            Err(error) => log::warn!("{error}"),
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
