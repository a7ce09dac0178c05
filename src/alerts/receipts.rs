//! Receipts: who has seen an alert. Thousands acknowledge an emergency within a second; acknowledgements that arrive
//! together are stored in one write, so that no registration waits behind them.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::alerts::{Ack, AlertStore};

/// The most acknowledgements that wait: one of everyone who may be connected.
const QUEUE_LEN_MAX: usize = 25_000;
/// The most acknowledgements in one write.
const BATCH_LEN_MAX: usize = 500;

/// Whether the acknowledged alert exists for the user.
type Stored = Result<bool, StoreError>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ack, oneshot::Sender<Stored>)>,
    is_writing: bool,
}

/// Stores acknowledgements, many in one write.
pub struct ReceiptWriter {
    alerts: Arc<dyn AlertStore>,
    queue: Mutex<Queue>,
}

impl ReceiptWriter {
    /// Creates a writer with an empty queue.
    #[must_use]
    pub fn new(alerts: Arc<dyn AlertStore>) -> Arc<Self> {
        Arc::new(Self { alerts, queue: Mutex::default() })
    }

    /// Stores an acknowledgement, and returns whether the alert went out to the user. Idempotent: the first time is
    /// kept.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when too many wait, and the errors of the store.
    ///
    /// # Cancellation
    /// An acknowledgement is stored even if the future is dropped.
    pub async fn store(self: Arc<Self>, ack: Ack) -> Stored {
        let (reply, stored) = oneshot::channel();
        let is_first = {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= QUEUE_LEN_MAX {
                return Err(StoreError::Overloaded);
            }
            queue.waiting.push_back((ack, reply));
            !std::mem::replace(&mut queue.is_writing, true)
        };
        if is_first {
            // In its own task, because the caller may be cancelled while others wait.
            tokio::spawn(self.write_all());
        }
        stored.await.unwrap_or_else(|_| Err(StoreError::CommitFailed("the hub is stopping".to_owned())))
    }

    /// Writes until the queue is empty.
    async fn write_all(self: Arc<Self>) {
        while let Some((acks, replies)) = self.next_batch() {
            let stored = self.alerts.ack(acks).await;
            for (index, reply) in replies.into_iter().enumerate() {
                let one = stored.as_ref().map(|found| found.get(index).copied().unwrap_or(false));
                // A cancelled caller needs no reply.
                let _ = reply.send(one.map_err(Clone::clone));
            }
        }
    }

    fn next_batch(&self) -> Option<(Vec<Ack>, Vec<oneshot::Sender<Stored>>)> {
        let mut queue = self.queue.lock();
        let count = queue.waiting.len().min(BATCH_LEN_MAX);
        queue.is_writing = count > 0;
        queue.is_writing.then(|| queue.waiting.drain(..count).unzip())
    }
}
