//! The queue of sessions that are about to join their relays.
//!
//! When the network or the hub comes back, thousands of clients reconnect at the same moment. Each of them reads the
//! alerts that it missed. The queue admits them in order, as many at once as the hub can serve; the others wait, and
//! nothing is pushed to them until they have joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::live::close::Close;

/// Maximum number of sessions that join and replay at once. Each has at most one read of the store in progress.
/// Together they take at most a quarter of the store's read queue, so none of these reads is rejected.
const AT_ONCE_MAX: usize = 1_024;
/// Maximum number of waiting sessions: all clients of a college, which reconnect at once. Serving them takes a few
/// seconds.
pub const WAITING_MAX: usize = 10_000;
/// Maximum wait of a session. A page gives up after 15 seconds.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The time after which the next session is admitted, even if this one has not finished its replay. Otherwise clients
/// that do not read would block all others.
const TURN_MAX: Duration = Duration::from_secs(5);

/// The queue of the sessions of all worker threads.
#[derive(Debug)]
pub struct JoinQueue {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for JoinQueue {
    fn default() -> Self {
        Self::new(AT_ONCE_MAX)
    }
}

/// The permission to join. The next session is admitted when it is dropped, or after [`TURN_MAX`].
#[derive(Debug)]
pub(super) struct Turn {
    /// Held, because dropping it ends the turn.
    _end: oneshot::Sender<()>,
}

/// A waiting session. Dropping it decrements the count.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl JoinQueue {
    /// Creates a queue that admits `at_once` sessions at the same time.
    fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), waiting: AtomicUsize::new(0) }
    }

    /// Waits until the session may join. Sessions are admitted in the order of their calls.
    ///
    /// # Errors
    /// [`Close::Busy`] when [`WAITING_MAX`] sessions wait already or the wait is too long, [`Close::Restarting`] when
    /// the hub is stopping.
    pub(super) async fn turn(&self) -> Result<Turn, Close> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Close::Busy);
        }
        let waiting = Waiting(&self.waiting);
        let admitted = timeout(WAIT_MAX, self.turns.clone().acquire_owned()).await;
        drop(waiting);
        let permit = admitted.map_err(|_| Close::Busy)?.map_err(|_| Close::Restarting)?;
        let (end, ended) = oneshot::channel::<()>();
        // A task, because the actor of a client that does not read is not polled.
        actix_rt::spawn(async move {
            let _ = timeout(TURN_MAX, ended).await;
            drop(permit);
        });
        Ok(Turn { _end: end })
    }

    /// Ends the wait of all sessions, because the hub is stopping.
    pub(super) fn close(&self) {
        self.turns.close();
    }

    /// Returns the number of waiting sessions.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use futures_util::future::join_all;

    use super::*;

    fn is_pending(turn: Pin<&mut impl Future>) -> bool {
        turn.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[actix_rt::test]
    async fn sessions_are_admitted_in_order_as_turns_end() {
        let queue = JoinQueue::new(1);
        let first = queue.turn().await.unwrap();
        let (mut second, mut third) = (pin!(queue.turn()), pin!(queue.turn()));
        assert!(is_pending(second.as_mut()) && is_pending(third.as_mut()));
        assert_eq!(queue.waiting(), 2);
        drop(first);
        let second = second.await.unwrap();
        assert!(is_pending(third.as_mut()));
        drop(second);
        third.await.unwrap();
        assert_eq!(queue.waiting(), 0);
    }

    #[actix_rt::test]
    async fn a_session_that_does_not_finish_blocks_no_other() {
        let queue = JoinQueue::new(1);
        tokio::time::pause();
        let _unfinished = queue.turn().await.unwrap();
        queue.turn().await.unwrap();
    }

    #[actix_rt::test]
    async fn sessions_beyond_the_bound_are_rejected_as_busy() {
        let queue = JoinQueue::new(0);
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(queue.turn())).collect();
        for turn in &mut waiting {
            assert!(is_pending(turn.as_mut()));
        }
        assert_eq!(queue.turn().await.unwrap_err(), Close::Busy);
        waiting.truncate(WAITING_MAX - 1);
        assert_eq!(queue.waiting(), WAITING_MAX - 1, "a client that left waits no more");
        queue.close();
        assert!(join_all(waiting).await.iter().all(|turn| matches!(turn, Err(Close::Restarting))));
    }

    #[actix_rt::test]
    async fn the_wait_is_bounded() {
        let queue = JoinQueue::new(0);
        tokio::time::pause();
        assert_eq!(queue.turn().await.unwrap_err(), Close::Busy);
        assert_eq!(queue.waiting(), 0);
    }
}
