//! The queue before the audit trail: whoever records a line goes on at once, and a task writes what has come together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;
use crate::store::accounts::{AuditEntry, AuditFilter, AuditPage, AuditStore};

/// Lines that may wait: minutes of a busy day, some megabytes.
const WAITING_MAX: usize = 8_192;
/// Lines in one write.
const BATCH_MAX: usize = 256;
/// The longest detail, in characters: what people typed is cut there.
const DETAIL_CHARS_MAX: usize = 500;

enum Message {
    Line(Box<AuditEntry>),
    Flush(oneshot::Sender<()>),
}

/// The audit trail's front. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the task that writes, on the current runtime. It ends when the last clone is dropped.
    pub fn start(store: Arc<dyn AuditStore>) -> Self {
        let (queue, lines) = mpsc::channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        tokio::spawn(write_all(store.clone(), lines, lost.clone()));
        Self { store, queue, lost }
    }

    /// Takes a line without waiting. What a full queue cannot take goes to the log instead, and is counted.
    pub fn append(&self, mut entry: AuditEntry) {
        if let Some((end, _)) = entry.detail.char_indices().nth(DETAIL_CHARS_MAX) {
            entry.detail.truncate(end);
        }
        if let Err(error) = self.queue.try_send(Message::Line(Box::new(entry))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            if let Message::Line(entry) = error.into_inner() {
                log::error!("a line of the audit trail is only here: {entry:?}");
            }
        }
    }

    /// Waits until what was recorded before is in the store (or in the log, where the store refused it).
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Reads a page.
    pub async fn page(&self, filter: AuditFilter) -> Result<AuditPage, StoreError> {
        self.store.page(filter).await
    }

    /// Lines that are only in the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn write_all(store: Arc<dyn AuditStore>, mut lines: mpsc::Receiver<Message>, lost: Arc<AtomicU64>) {
    let mut messages = Vec::with_capacity(BATCH_MAX);
    while lines.recv_many(&mut messages, BATCH_MAX).await > 0 {
        let mut entries = Vec::with_capacity(messages.len());
        let mut flushed = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Line(entry) => entries.push(*entry),
                Message::Flush(done) => flushed.push(done),
            }
        }
        if !entries.is_empty()
            && let Err(error) = store.append(entries.clone()).await
        {
            lost.fetch_add(entries.len() as u64, Ordering::Relaxed);
            log::error!("lines of the audit trail are only here, since {error}: {entries:?}");
        }
        for done in flushed {
            // Whoever waited may have left.
            let _ = done.send(());
        }
    }
}
