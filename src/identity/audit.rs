//! The audit trail. A task writes the entries in batches. A request waits until its entry is stored, so that a crash
//! after the response loses none; background tasks queue entries without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock::Clock;
use crate::domain::audit_detail::DETAIL_CHARS_MAX;
use crate::domain::ids::UserName;
use crate::identity::disclosures::{WINDOW, Windows};
use crate::retention;
use crate::store::StoreError;
use crate::store::accounts::{AuditEntry, AuditFilter, AuditPage, AuditStore, DisclosureEntry};

/// Maximum number of queued entries: the entries of several busy minutes, a few megabytes.
const WAITING_MAX: usize = 8_192;
/// Maximum number of entries in one write.
const BATCH_MAX: usize = 256;
/// Maximum number of old entries that one transaction deletes, so that no registration waits long for it.
const DELETED_PER_WRITE: usize = 500;
/// Longest wait for an entry to be stored. A disk that hangs must not hold back the response about what has been done.
const STORED_WITHIN_MAX: Duration = Duration::from_secs(10);

enum Message {
    /// An entry, and the caller that waits until it is stored.
    Entry(Box<AuditEntry>, Option<oneshot::Sender<()>>),
    Flush(oneshot::Sender<()>),
}

/// A handle to the audit trail. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    pub(super) store: Arc<dyn AuditStore>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
    pub(super) windows: Arc<Mutex<Windows>>,
}

impl Audit {
    /// Starts the writing task on the current runtime. It ends when the last clone is dropped.
    pub fn start(store: Arc<dyn AuditStore>, clock: Arc<dyn Clock>) -> Self {
        let (queue, messages) = mpsc::channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let windows = Arc::new(Mutex::new(Windows::default()));
        let writer =
            Writer { store: store.clone(), clock: clock.clone(), windows: windows.clone(), lost: lost.clone() };
        tokio::spawn(writer.run(messages));
        Self { store, clock, queue, lost, windows }
    }

    /// Returns the current time, for a new entry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Queues an entry without waiting. If the queue is full, the entry is written to the log instead and counted as
    /// lost.
    pub fn append(&self, entry: AuditEntry) {
        self.queue(entry, None);
    }

    /// Queues an entry and waits until it is in the store, or in the log if the store could not be written or the queue
    /// is full. Waits at most [`STORED_WITHIN_MAX`].
    ///
    /// # Cancellation
    /// If the future is dropped, a queued entry is still stored.
    pub async fn append_stored(&self, entry: AuditEntry) {
        let (done, stored) = oneshot::channel();
        self.queue(entry, Some(done));
        // Fails at once if the entry is only in the log.
        let _ = timeout(STORED_WITHIN_MAX, stored).await;
    }

    fn queue(&self, mut entry: AuditEntry, done: Option<oneshot::Sender<()>>) {
        truncate(&mut entry);
        if let Err(error) = self.queue.try_send(Message::Entry(Box::new(entry), done)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            if let Message::Entry(entry, _) = error.into_inner() {
                log::error!("an audit entry could not be queued and is only in this log: {entry:?}");
            }
        }
    }

    /// Ends the windows of all disclosures, and waits until all earlier entries are in the store, or in the log if the
    /// store could not be written.
    pub async fn finish(&self) {
        let ended = self.windows.lock().end_all(self.clock.now());
        ended.into_iter().for_each(|entry| self.append(entry));
        self.flush().await;
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

    /// Returns who has read data about a person, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn disclosures_of(
        &self,
        user: &UserName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<DisclosureEntry>, StoreError> {
        self.store.disclosures_of(user, before, limit).await
    }

    /// Deletes entries that are older than `retention`, now and every hour, until the runtime ends.
    pub fn limit_retention(&self, retention: SignedDuration) {
        let store = self.store.clone();
        let delete = move |cutoff, limit| store.delete_entries_before(cutoff, limit);
        retention::limit("audit entries", self.clock.clone(), retention, DELETED_PER_WRITE, delete);
    }

    /// Returns the number of entries that are only in the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Shortens long texts of an entry.
pub fn truncate(entry: &mut AuditEntry) {
    for text in [Some(&mut entry.detail.text), entry.subject.as_mut()].into_iter().flatten() {
        if let Some((end, _)) = text.char_indices().nth(DETAIL_CHARS_MAX) {
            text.truncate(end);
        }
    }
}

/// The task that writes the entries.
struct Writer {
    store: Arc<dyn AuditStore>,
    clock: Arc<dyn Clock>,
    windows: Arc<Mutex<Windows>>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Writes entries until the last handle of the trail is dropped.
    async fn run(self, mut queue: mpsc::Receiver<Message>) {
        let mut ticks = interval(WINDOW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = Vec::with_capacity(BATCH_MAX);
        loop {
            let received = tokio::select! {
                received = queue.recv_many(&mut messages, BATCH_MAX) => received,
                _ = ticks.tick() => {
                    let ended = self.windows.lock().end(self.clock.now());
                    self.write(ended).await;
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            self.handle(messages.drain(..)).await;
        }
    }

    async fn handle(&self, messages: impl Iterator<Item = Message>) {
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                Message::Entry(entry, done) => {
                    entries.push(*entry);
                    waiting.extend(done);
                }
                Message::Flush(done) => waiting.push(done),
            }
        }
        self.write(entries).await;
        for done in waiting {
            // The caller may have given up.
            let _ = done.send(());
        }
    }

    async fn write(&self, entries: Vec<AuditEntry>) {
        if !entries.is_empty()
            && let Err(error) = self.store.append(entries.clone()).await
        {
            self.lost.fetch_add(entries.len() as u64, Ordering::Relaxed);
            log::error!("audit entries could not be stored and are only in this log ({error}): {entries:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::audit_detail::Detail;
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    fn entry(number: usize) -> AuditEntry {
        AuditEntry {
            at: Timestamp::UNIX_EPOCH,
            user: None,
            role: None,
            ip: None,
            action: "term.change".to_owned(),
            subject: Some(number.to_string()),
            section: None,
            detail: Detail::default(),
            request_id: None,
        }
    }

    #[actix_web::test]
    async fn a_request_continues_once_its_entry_is_in_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions { path: folder.path().join("hub.db"), outbox: None }).unwrap();
        let audit = Audit::start(Arc::new(store.clone()), Arc::new(SystemClock));
        for number in 0..20 {
            audit.append_stored(entry(number)).await;
            // Read by another connection, which sees what is committed.
            let page = AuditStore::page(&store, AuditFilter { limit: 1, ..AuditFilter::default() }).await.unwrap();
            assert_eq!(page.items.first(), Some(&entry(number)));
        }
        drop(store);
        assert_eq!(audit.lost(), 0);
    }
}
