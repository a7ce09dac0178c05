//! The queue of passwords that a provider has accepted. They are hashed after the response and one at a time, so that
//! sign-ins of members do not wait for a hash, and sign-ins of local accounts do not wait behind those of a whole
//! class.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::domain::ids::UserName;
use crate::identity::password::{HashError, Hasher};
use crate::store::members::MemberStore;

/// Maximum number of queued passwords, which use a few megabytes: the first minutes of sign-ins at a large college.
/// Past this, a password is stored at the next sign-in of its user.
const WAITING_MAX: usize = 20_000;
/// Pause while the queue of the hashing threads is full.
const PAUSE: Duration = Duration::from_millis(250);

struct AcceptedPassword {
    user: UserName,
    signed_in_at: Timestamp,
    password: SecretString,
}

/// The sending end of the queue. The hashing task ends when it is dropped.
#[derive(Debug)]
pub(super) struct PasswordQueue {
    queue: mpsc::Sender<AcceptedPassword>,
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
        if self.queue.try_send(AcceptedPassword { user, signed_in_at, password }).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            log::warn!("too many passwords are queued; one is stored at the next sign-in of its user instead");
        }
    }

    /// Returns the number of queued passwords.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

async fn hash_all(
    mut queue: mpsc::Receiver<AcceptedPassword>,
    hasher: Arc<Hasher>,
    store: Arc<dyn MemberStore>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(AcceptedPassword { user, signed_in_at, password }) = queue.recv().await {
        let hash = loop {
            match hasher.hash(password.clone()).await {
                Err(HashError::Overloaded) => tokio::time::sleep(PAUSE).await,
                other => break other,
            }
        };
        match hash {
            Ok(hash) => {
                if let Err(error) = store.put_hash(&user, signed_in_at, hash.into()).await {
                    log::warn!(
                        "a password hash could not be stored and is computed again at the next sign-in: {error}"
                    );
                }
            }
            Err(error) => log::warn!("an accepted password was not stored: {error}"),
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
