//! The audit trail. Callers queue entries without waiting, and a task writes them in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::accounts::{AuditEntry, AuditFilter, AuditPage, AuditStore};

/// Maximum number of queued entries: the entries of several busy minutes, a few megabytes.
const WAITING_MAX: usize = 8_192;
/// Maximum number of entries in one write.
const BATCH_MAX: usize = 256;
/// Longest detail, in characters; a longer one is truncated.
const DETAIL_CHARS_MAX: usize = 500;

enum Message {
    Entry(Box<AuditEntry>),
    Flush(oneshot::Sender<()>),
}

/// A handle to the audit trail. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the writing task on the current runtime. It ends when the last clone is dropped.
    pub fn start(store: Arc<dyn AuditStore>, clock: Arc<dyn Clock>) -> Self {
        let (queue, messages) = mpsc::channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        tokio::spawn(write_all(store.clone(), messages, lost.clone()));
        Self { store, clock, queue, lost }
    }

    /// Returns the current time, for a new entry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Queues an entry without waiting. If the queue is full, the entry is written to the log instead and counted as
    /// lost.
    pub fn append(&self, mut entry: AuditEntry) {
        if let Some((end, _)) = entry.detail.char_indices().nth(DETAIL_CHARS_MAX) {
            entry.detail.truncate(end);
        }
        if let Err(error) = self.queue.try_send(Message::Entry(Box::new(entry))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            if let Message::Entry(entry) = error.into_inner() {
                log::error!("an audit entry could not be queued and is only in this log: {entry:?}");
            }
        }
    }

    /// Waits until all earlier entries are in the store, or in the log if the store could not be written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Reads a page of the trail.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, filter: AuditFilter) -> Result<AuditPage, StoreError> {
        self.store.page(filter).await
    }

    /// Returns the number of entries that are only in the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn write_all(store: Arc<dyn AuditStore>, mut queue: mpsc::Receiver<Message>, lost: Arc<AtomicU64>) {
    let mut messages = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut messages, BATCH_MAX).await > 0 {
        let mut entries = Vec::with_capacity(messages.len());
        let mut flushed = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Entry(entry) => entries.push(*entry),
                Message::Flush(done) => flushed.push(done),
            }
        }
        if !entries.is_empty()
            && let Err(error) = store.append(entries.clone()).await
        {
            lost.fetch_add(entries.len() as u64, Ordering::Relaxed);
            log::error!("audit entries could not be stored and are only in this log ({error}): {entries:?}");
        }
        for done in flushed {
            // The caller of `flush` may have given up.
            let _ = done.send(());
        }
    }
}
