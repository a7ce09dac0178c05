//! Password hashing: argon2id on dedicated low-priority threads with a bounded queue, so that many sign-ins at the same
//! time do not slow down requests.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::domain::precis;

/// Maximum number of queued passwords: about ten seconds of work for one thread. Past this, sign-ins fail with
/// [`HashError::Overloaded`].
const WAITING_MAX: usize = 512;
/// Nice value of the hashing threads. They get a quarter of a core that request threads keep busy. With 10 they would
/// get a tenth, and a class that signs in would wait for most of a minute.
const NICENESS: i32 = 5;
/// The hash that is verified for an account that does not exist, so that the response time does not reveal which
/// accounts exist. It was made from discarded random bytes with the parameters of [`hash`].
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$F2CWu2mRYgGPir7WBWrWuA$BJgFKqfde43T1/Lht5TvyyX1CLsn9sbGsqRnsUSt8Y4";

/// Why a password was not hashed or verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many passwords are queued.
    #[error("too many passwords are waiting to be hashed")]
    Overloaded,
    /// The hash function failed.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes a password into a PHC string (argon2id, 19 MiB, two passes, as OWASP recommends). This blocks the thread for
/// about 20 ms; the server uses [`Hasher`] instead.
///
/// # Errors
/// [`HashError::Failed`] when the hash function fails.
pub fn hash(password: &SecretString) -> Result<String, HashError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes()).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

fn verify(password: &SecretString, stored: Option<&str>) -> bool {
    let matches = PasswordHash::new(stored.unwrap_or(DUMMY_HASH))
        .is_ok_and(|hash| Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok());
    matches && stored.is_some()
}

type Work = Box<dyn FnOnce() + Send>;

/// The hashing threads. They end when this is dropped.
#[derive(Debug)]
pub struct Hasher {
    work: SyncSender<Work>,
}

impl Hasher {
    /// Starts the threads: `threads`, but at least one.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (work, queue) = sync_channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name("eduhub-hash".to_owned()).spawn(move || serve(&queue))?;
        }
        Ok(Self { work })
    }

    /// Returns true if `password` matches the hash `stored`. Without a hash it returns false after the same time.
    ///
    /// # Errors
    /// When too many passwords are queued.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool, HashError> {
        self.run(move || verify(&password, stored.as_deref())).await
    }

    /// Returns true if the normal form of `password` matches the hash `stored` of a local account, or the password as
    /// it was typed: earlier versions did not normalise passwords. Without a hash it returns false after the same time.
    ///
    /// # Errors
    /// When too many passwords are queued.
    pub async fn matches(&self, password: &SecretString, stored: Option<&str>) -> Result<bool, HashError> {
        let typed = password.expose_secret();
        let normal = precis::password(typed).filter(|normal| normal != typed);
        for spelling in normal.map(SecretString::from).iter().chain([password]) {
            if self.verify(spelling.clone(), stored.map(str::to_owned)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When too many passwords are queued, or the hash function fails.
    pub async fn hash(&self, password: SecretString) -> Result<String, HashError> {
        self.run(move || hash(&password)).await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let (sender, result) = oneshot::channel();
        let work: Work = Box::new(move || {
            // The caller may have been cancelled while the password was queued.
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        });
        self.work.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => HashError::Overloaded,
            TrySendError::Disconnected(_) => HashError::Failed,
        })?;
        result.await.map_err(|_| HashError::Failed)
    }
}

fn serve(queue: &Mutex<Receiver<Work>>) {
    // On Linux a nice value applies to one thread. If it cannot be set, hashing only competes more with requests.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("the priority of a hashing thread could not be lowered: {error}");
    }
    loop {
        let next = queue.lock().recv();
        let Ok(work) = next else { return };
        work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_dummy_hash_has_the_parameters_of_a_real_hash() {
        let real = hash(&SecretString::from("correct horse")).unwrap();
        let (real, dummy) = (PasswordHash::new(&real).unwrap(), PasswordHash::new(DUMMY_HASH).unwrap());
        assert_eq!((real.algorithm, real.params), (dummy.algorithm, dummy.params));
        assert_eq!(real.hash.unwrap().len(), dummy.hash.unwrap().len());
    }

    #[actix_web::test]
    async fn only_the_correct_password_of_an_existing_account_matches() {
        let hasher = Hasher::start(1).unwrap();
        let stored = hasher.hash(SecretString::from("correct horse")).await.unwrap();
        let table =
            [("correct horse", Some(stored.clone()), true), ("Correct horse", Some(stored), false), ("x", None, false)];
        for (password, stored, matches) in table {
            assert_eq!(hasher.verify(SecretString::from(password), stored).await, Ok(matches), "{password}");
        }
    }

    #[actix_web::test]
    async fn a_full_queue_is_overloaded() {
        let hasher = Hasher::start(1).unwrap();
        let (block, blocked) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let first = hasher.run(move || {
            let _ = started.send(());
            let _ = blocked.recv();
        });
        let mut first = Box::pin(first);
        assert!((&mut first).now_or_never().is_none());
        running.await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.run(|| ()))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert_eq!(hasher.run(|| ()).await, Err(HashError::Overloaded));
        drop(block);
        first.await.unwrap();
        for one in waiting {
            one.await.unwrap();
        }
    }
}
