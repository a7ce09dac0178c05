//! Acknowledgements of alerts. Thousands of users may acknowledge an emergency within a second, so acknowledgements
//! that arrive during a write are stored together in the next one and do not delay registrations.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::alerts::{Ack, AlertStore};

/// Maximum number of queued acknowledgements: the default of `[server] max_connections`.
const QUEUE_LEN_MAX: usize = 25_000;
/// Maximum number of acknowledgements in one write.
const BATCH_LEN_MAX: usize = 500;

/// The result of storing an acknowledgement: whether the alert was sent to the user.
type StoreResult = Result<bool, StoreError>;

#[derive(Default)]
struct Queue {
    acks: VecDeque<(Ack, oneshot::Sender<StoreResult>)>,
    /// Whether a task is writing. The task also writes the acknowledgements that arrive during a write.
    is_writing: bool,
    /// Callers that wait until the queue is empty.
    flushing: Vec<oneshot::Sender<()>>,
}

/// A queue of acknowledgements that stores many in one write.
pub struct AckQueue {
    alerts: Arc<dyn AlertStore>,
    queue: Mutex<Queue>,
}

impl AckQueue {
    /// Creates an empty queue.
    #[must_use]
    pub fn new(alerts: Arc<dyn AlertStore>) -> Arc<Self> {
        Arc::new(Self { alerts, queue: Mutex::default() })
    }

    /// Stores an acknowledgement and returns whether the alert was sent to the user. Idempotent: a repeated
    /// acknowledgement does not change the stored time.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] if the queue is full, and the errors of the store.
    ///
    /// # Cancellation
    /// If the future is dropped, a queued acknowledgement is still stored.
    pub async fn store(self: Arc<Self>, ack: Ack) -> StoreResult {
        let (reply, stored) = oneshot::channel();
        let is_first = {
            let mut queue = self.queue.lock();
            if queue.acks.len() >= QUEUE_LEN_MAX {
                return Err(StoreError::Overloaded);
            }
            queue.acks.push_back((ack, reply));
            !std::mem::replace(&mut queue.is_writing, true)
        };
        if is_first {
            // In a task, because this caller may be cancelled while others wait for the same write.
            tokio::spawn(self.write_all());
        }
        stored.await.unwrap_or_else(|_| Err(StoreError::CommitFailed("the hub is stopping".to_owned())))
    }

    /// Waits until all earlier acknowledgements are in the store, or their callers have received the error.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if !queue.is_writing {
                return;
            }
            queue.flushing.push(done);
        }
        // Fails only when the hub stops.
        let _ = flushed.await;
    }

    /// Writes until the queue is empty.
    async fn write_all(self: Arc<Self>) {
        while let Some((acks, replies)) = self.next_batch() {
            let stored = self.alerts.ack(acks).await;
            for (index, reply) in replies.into_iter().enumerate() {
                let result = stored.as_ref().map(|found| found.get(index).copied().unwrap_or(false));
                // Fails if the caller was cancelled.
                let _ = reply.send(result.map_err(Clone::clone));
            }
        }
    }

    /// Removes and returns the next batch. `None` if the queue is empty; the writing task then ends.
    fn next_batch(&self) -> Option<(Vec<Ack>, Vec<oneshot::Sender<StoreResult>>)> {
        let mut queue = self.queue.lock();
        let count = queue.acks.len().min(BATCH_LEN_MAX);
        queue.is_writing = count > 0;
        if count == 0 {
            for done in queue.flushing.drain(..) {
                // Fails if the caller was cancelled.
                let _ = done.send(());
            }
        }
        queue.is_writing.then(|| queue.acks.drain(..count).unzip())
    }
}
