//! Who has seen an alert: thousands say so within a second of an emergency. What comes together is one write, so that
//! no registration waits behind them.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::alerts::{Ack, AlertStore};

/// Acknowledgements that may wait: everyone who may be connected, at once.
const WAITING_MAX: usize = 25_000;
/// Acknowledgements in one write.
const BATCH_MAX: usize = 500;

/// Whether there is such an alert for whoever acknowledges it.
type Told = Result<bool, StoreError>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ack, oneshot::Sender<Told>)>,
    is_writing: bool,
}

/// The queue before the store.
pub struct Acks {
    alerts: Arc<dyn AlertStore>,
    queue: Mutex<Queue>,
}

impl Acks {
    /// Nobody waits.
    #[must_use]
    pub fn new(alerts: Arc<dyn AlertStore>) -> Arc<Self> {
        Arc::new(Self { alerts, queue: Mutex::default() })
    }

    /// Keeps an acknowledgement; once more changes nothing. False when there is no such alert for this reader.
    ///
    /// # Errors
    /// When too many wait, or the store cannot keep it.
    pub async fn keep(self: Arc<Self>, ack: Ack) -> Told {
        let (reply, told) = oneshot::channel();
        let begins = {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= WAITING_MAX {
                return Err(StoreError::Overloaded);
            }
            queue.waiting.push_back((ack, reply));
            !std::mem::replace(&mut queue.is_writing, true)
        };
        if begins {
            // A task of its own: whoever began it may go away.
            tokio::spawn(self.write_all());
        }
        told.await.unwrap_or_else(|_| Err(StoreError::CommitFailed("the hub is ending".to_owned())))
    }

    /// Writes until nobody waits.
    async fn write_all(self: Arc<Self>) {
        while let Some((acks, replies)) = self.next_batch() {
            let told = self.alerts.ack(acks).await;
            for (index, reply) in replies.into_iter().enumerate() {
                let one = told.as_ref().map(|found| found.get(index).copied().unwrap_or(false));
                // Whoever went away needs no answer.
                let _ = reply.send(one.map_err(Clone::clone));
            }
        }
    }

    fn next_batch(&self) -> Option<(Vec<Ack>, Vec<oneshot::Sender<Told>>)> {
        let mut queue = self.queue.lock();
        let count = queue.waiting.len().min(BATCH_MAX);
        queue.is_writing = count > 0;
        queue.is_writing.then(|| queue.waiting.drain(..count).unzip())
    }
}
