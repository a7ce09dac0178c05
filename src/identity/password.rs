//! Passwords: argon2id on a few threads of their own, with low priority and a bounded queue, so that a morning's
//! sign-ins stop nobody who is signed in already.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

/// Lengths of a new password, in characters.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=200;
/// Passwords that may wait to be hashed: some ten seconds of one thread. Who comes after that is told to come back.
const WAITING_MAX: usize = 512;
/// How much the hashing threads stand back: a quarter of a core beside request threads that are busy without a pause
/// (with 10 it would be a tenth, and a class that signs in would wait for most of a minute), all of an idle one.
const NICENESS: i32 = 5;
/// Verified in place of an account that does not exist, so that nobody learns from the time it takes whether it does.
/// The hash of random bytes that nobody kept, with the parameters that [`hash`] uses.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$F2CWu2mRYgGPir7WBWrWuA$BJgFKqfde43T1/Lht5TvyyX1CLsn9sbGsqRnsUSt8Y4";

/// Why a password was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many passwords wait to be checked")]
    Overloaded,
    /// The hash function failed.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes a password (argon2id, 19 MiB, two passes: OWASP's recommendation) into a PHC string. It takes some 20 ms, so
/// only the command line calls this itself.
pub fn hash(password: &SecretString) -> Result<String, HashError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes()).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

fn verify(password: &SecretString, stored: Option<&str>) -> bool {
    let matches = PasswordHash::new(stored.unwrap_or(NOBODY))
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
    /// Starts `threads` threads (at least one).
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (work, queue) = sync_channel(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name("eduhub-hash".to_owned()).spawn(move || serve(&queue))?;
        }
        Ok(Self { work })
    }

    /// Whether the password is that of the hash; without one, no, after the same time.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool, HashError> {
        self.run(move || verify(&password, stored.as_deref())).await
    }

    /// The hash of a new password.
    pub async fn hash(&self, password: SecretString) -> Result<String, HashError> {
        self.run(move || hash(&password)).await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let (caller, answer) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Who has hung up needs no hash.
            if !caller.is_closed() {
                let _ = caller.send(work());
            }
        });
        self.work.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => HashError::Overloaded,
            TrySendError::Disconnected(_) => HashError::Failed,
        })?;
        answer.await.map_err(|_| HashError::Failed)
    }
}

fn serve(queue: &Mutex<Receiver<Work>>) {
    // On Linux the nice value is the thread's own. Without it sign-ins only press harder.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("hashing threads keep their priority: {error}");
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
    fn the_stand_in_costs_what_a_real_hash_costs_and_opens_nothing() {
        let real = hash(&SecretString::from("correct horse")).unwrap();
        let (real, nobody) = (PasswordHash::new(&real).unwrap(), PasswordHash::new(NOBODY).unwrap());
        assert_eq!((real.algorithm, real.params), (nobody.algorithm, nobody.params));
        assert_eq!(real.hash.unwrap().len(), nobody.hash.unwrap().len());
    }

    #[actix_web::test]
    async fn only_the_right_password_of_a_real_account_is_taken() {
        let hasher = Hasher::start(1).unwrap();
        let stored = hasher.hash(SecretString::from("correct horse")).await.unwrap();
        let table =
            [("correct horse", Some(stored.clone()), true), ("Correct horse", Some(stored), false), ("x", None, false)];
        for (password, stored, good) in table {
            assert_eq!(hasher.verify(SecretString::from(password), stored).await, Ok(good), "{password}");
        }
    }

    #[actix_web::test]
    async fn past_the_bound_sign_ins_are_told_to_come_back() {
        let hasher = Hasher::start(1).unwrap();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let first = hasher.run(move || {
            let _ = started.send(());
            let _ = held.recv();
        });
        let mut first = Box::pin(first);
        assert!((&mut first).now_or_never().is_none());
        running.await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.run(|| ()))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert_eq!(hasher.run(|| ()).await, Err(HashError::Overloaded));
        drop(hold);
        first.await.unwrap();
        for one in waiting {
            one.await.unwrap();
        }
    }
}
