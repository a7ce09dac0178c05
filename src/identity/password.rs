//! Password hashing: argon2id on dedicated low-priority threads with a bounded queue, so that many sign-ins at the same
//! time do not slow down requests.
//!
//! The queue has a lane for each origin of sign-ins, and the threads serve the lanes in turn. So the guesses that
//! arrive from one network delay only the sign-ins from that network.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use parking_lot::{Condvar, Mutex};
use rand::RngExt as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::domain::precis;
use crate::identity::attempts::Origin;

/// Maximum number of queued passwords. One lane may use half of them: about ten seconds of work for one thread. Past
/// this, sign-ins fail with [`HashError::Overloaded`].
const WAITING_MAX: usize = 1_024;
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
/// about 20 ms; the hub uses [`Hasher`] instead.
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

/// Queued work.
struct Work {
    run: Box<dyn FnOnce() + Send>,
    /// Whether it costs nothing, so that it does not use up the turn of its lane.
    is_free: bool,
}

tokio::task_local! {
    /// The origin of the sign-in for which the current task hashes passwords. Not an argument, because providers, which
    /// check passwords, need not know about origins.
    static ORIGIN: Origin;
}

/// Runs a sign-in, whose passwords are hashed in the lane of its origin.
pub(super) async fn with_origin<F: Future>(origin: Origin, sign_in: F) -> F::Output {
    ORIGIN.scope(origin, sign_in).await
}

/// The queued passwords of each lane; the lane `None` is the hub's own.
#[derive(Default)]
struct Lanes {
    waiting: HashMap<Option<Origin>, VecDeque<Work>>,
    /// The lanes that are not empty, in the order in which they are served.
    turns: VecDeque<Option<Origin>>,
    len: usize,
    is_closed: bool,
}

impl Lanes {
    /// Queues work. Returns false if the lane's queued work is at least as much as the room left in the queue.
    /// Therefore, however many lanes are full, the first work of another lane has room.
    fn push(&mut self, lane: Option<Origin>, work: Work) -> bool {
        let queued = self.waiting.get(&lane).map_or(0, VecDeque::len);
        if queued >= WAITING_MAX.saturating_sub(self.len) {
            return false;
        }
        let queue = self.waiting.entry(lane).or_default();
        if queue.is_empty() {
            self.turns.push_back(lane);
        }
        queue.push_back(work);
        self.len += 1;
        true
    }

    /// Takes the first work of the lane whose turn it is.
    fn pop(&mut self) -> Option<Work> {
        let lane = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&lane)?;
        let work = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        } else if work.as_ref().is_some_and(|work| work.is_free) {
            self.turns.push_front(lane);
        } else {
            self.turns.push_back(lane);
        }
        self.len -= 1;
        work
    }
}

#[derive(Default)]
struct Queue {
    lanes: Mutex<Lanes>,
    changed: Condvar,
}

/// The hashing threads. They end when this is dropped.
pub struct Hasher {
    queue: Arc<Queue>,
    /// The usual time to check a password, once it is its turn, in microseconds: a moving average.
    usual_us: Arc<AtomicU64>,
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.lanes.lock().is_closed = true;
        self.queue.changed.notify_all();
    }
}

impl Hasher {
    /// Starts the threads: `threads`, but at least one.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let queue = Arc::<Queue>::default();
        for _ in 0..threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new().name("eduhub-hash".to_owned()).spawn(move || serve(&queue))?;
        }
        Ok(Self { queue, usual_us: Arc::default() })
    }

    /// Returns true if `password` matches the hash `stored`. Without a hash it returns false after the same time.
    ///
    /// # Errors
    /// When too many passwords are queued.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool, HashError> {
        let usual_us = self.usual_us.clone();
        self.run(move || {
            let started = Instant::now();
            let is_match = verify(&password, stored.as_deref());
            record(&usual_us, started.elapsed());
            is_match
        })
        .await
    }

    /// Returns true if the normal form of `password` matches the hash `stored` of a local account, or the password as
    /// it was typed: earlier versions did not normalize passwords. Without a hash it returns false after the same time.
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

    /// Waits as long as the check of a password takes, without using a processor: for a turn in the lane, and then for
    /// the usual time of a check. So the response time does not reveal that no password was checked.
    ///
    /// # Errors
    /// When too many passwords are queued.
    pub(super) async fn pretend(&self) -> Result<(), HashError> {
        self.queue_up(true, || ()).await?;
        let usual = Duration::from_micros(self.usual_us.load(Ordering::Relaxed));
        let factor = rand::rng().random_range(0.9..1.1);
        tokio::time::sleep(usual.mul_f64(factor)).await;
        Ok(())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        self.queue_up(false, work).await
    }

    async fn queue_up<T: Send + 'static>(
        &self,
        is_free: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (sender, result) = oneshot::channel();
        let run = Box::new(move || {
            // The caller may have been cancelled while the password was queued.
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        });
        let work = Work { run, is_free };
        if !self.queue.lanes.lock().push(ORIGIN.try_with(|origin| *origin).ok(), work) {
            return Err(HashError::Overloaded);
        }
        self.queue.changed.notify_one();
        result.await.map_err(|_| HashError::Failed)
    }
}

/// Adds a time to a moving average in microseconds. A concurrent update may be lost, which does not matter.
fn record(usual_us: &AtomicU64, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let before_us = usual_us.load(Ordering::Relaxed);
    let next_us = if before_us == 0 { took_us } else { before_us / 8 * 7 + took_us / 8 };
    usual_us.store(next_us, Ordering::Relaxed);
}

fn serve(queue: &Queue) {
    // On Linux a nice value applies to one thread. If it cannot be set, hashing only competes more with requests.
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("the priority of a hashing thread could not be lowered: {error}");
    }
    loop {
        let mut lanes = queue.lanes.lock();
        let work = loop {
            match lanes.pop() {
                Some(work) => break work,
                None if lanes.is_closed => return,
                None => queue.changed.wait(&mut lanes),
            }
        };
        drop(lanes);
        (work.run)();
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

    fn network(text: &str) -> Origin {
        Origin::Network(text.parse::<std::net::IpAddr>().unwrap().into())
    }

    #[actix_web::test]
    async fn a_full_lane_leaves_room_for_others_which_are_served_in_turn() {
        let hasher = Hasher::start(1).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (block, blocked) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let first = hasher.run(move || {
            let _ = started.send(());
            let _ = blocked.recv();
        });
        let mut first = Box::pin(first);
        assert!((&mut first).now_or_never().is_none());
        running.await.unwrap();
        let queue = |name: &'static str| {
            let order = order.clone();
            Box::pin(with_origin(network(name), hasher.run(move || order.lock().push(name))))
        };
        let (guesses, campus) = ("192.0.2.1", "192.0.2.2");
        let mut waiting: Vec<_> = (0..WAITING_MAX / 2).map(|_| queue(guesses)).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert_eq!(queue(guesses).await, Err(HashError::Overloaded));
        let mut later: Vec<_> = (0..3).map(|_| queue(campus)).collect();
        for one in &mut later {
            assert!(one.now_or_never().is_none(), "it is queued");
        }
        drop(block);
        first.await.unwrap();
        for one in later.into_iter().chain(waiting) {
            one.await.unwrap();
        }
        assert_eq!(order.lock()[..6], [guesses, campus, guesses, campus, guesses, campus]);
    }

    #[test]
    fn the_first_work_of_a_lane_has_room_even_if_all_others_are_full() {
        let mut lanes = Lanes::default();
        let lane = |number: u32| Some(network(&format!("10.0.0.{number}")));
        let fill = |lanes: &mut Lanes, of| (0..WAITING_MAX).take_while(|_| lanes.push(of, work(false))).count();
        for number in 0..8 {
            assert!(fill(&mut lanes, lane(number)) >= 2, "lane {number}");
        }
        assert!(lanes.len < WAITING_MAX);
        while lanes.pop().is_some() {}
        assert!(lanes.len == 0 && lanes.waiting.is_empty());
    }

    fn work(is_free: bool) -> Work {
        Work { run: Box::new(|| ()), is_free }
    }

    #[test]
    fn free_work_does_not_use_up_the_turn_of_its_lane() {
        let mut lanes = Lanes::default();
        let (busy, guessed) = (Some(network("192.0.2.1")), Some(network("192.0.2.2")));
        for (lane, is_free) in [(busy, false), (busy, false), (guessed, true), (guessed, true), (guessed, false)] {
            assert!(lanes.push(lane, work(is_free)));
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|work| work.is_free).collect();
        assert_eq!(order, [false, true, true, false, false]);
    }
}
