//! A pool of connections that only read. They are used on separate threads, so that no actor waits for the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::damage::is_corrupt;
use crate::store::sqlite::open::connect_reader;

/// Maximum number of connections. On a server with two cores, more would only compete for them and the page cache.
const READERS_MAX: usize = 4;
/// Maximum number of reads that are waiting or running. Beyond it, [`StoreError::Overloaded`] is returned.
const WAITING_MAX: usize = 4_096;

/// How long a thread without reads is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);

/// The connections that only read.
pub(super) struct Readers {
    path: PathBuf,
    /// One thread for each connection. The pools of blocking threads of all runtimes would have many more, and the
    /// allocator keeps freed memory for each of them. `None` once this is dropped.
    threads: Option<Runtime>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Readers {
    /// Creates a pool without connections.
    ///
    /// # Errors
    /// When the threads cannot be created.
    pub(super) fn new(path: PathBuf) -> std::io::Result<Self> {
        let mut threads = Builder::new_current_thread();
        let threads = threads.max_blocking_threads(READERS_MAX).thread_keep_alive(KEEP_ALIVE);
        let threads = threads.thread_name("eduhub-reader").build()?;
        Ok(Self {
            path,
            threads: Some(threads),
            idle: Arc::new(Mutex::new(Vec::with_capacity(READERS_MAX))),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        })
    }

    /// Closes the connections. Reads that are running close theirs when they end; later ones fail.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }

    /// Runs `work` on an idle connection, or on a new one.
    pub(super) fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let Ok(waiting) = self.waiting.clone().try_acquire_owned() else {
            return futures_util::future::ready(Err(StoreError::Overloaded)).boxed();
        };
        let Some(threads) = self.threads.as_ref().map(|threads| threads.handle().clone()) else {
            return futures_util::future::ready(Err(StoreError::Overloaded)).boxed();
        };
        let (path, idle, permits) = (self.path.clone(), self.idle.clone(), self.permits.clone());
        async move {
            let permit = permits.clone().acquire_owned().await.map_err(|e| StoreError::Unavailable(e.to_string()))?;
            let read = move || {
                // The permits are moved into the work, so that they are released when it ends and not when its caller
                // is dropped.
                let _permits = (permit, waiting);
                let pooled = idle.lock().pop();
                let connection = match pooled {
                    Some(connection) => connection,
                    None => connect_reader(&path).map_err(|e| StoreError::Unavailable(e.to_string()))?,
                };
                let result = work(&connection).map_err(|error| read_error(&error));
                if result.is_ok() && !permits.is_closed() {
                    idle.lock().push(connection);
                }
                result
            };
            threads.spawn_blocking(read).await.unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))
        }
        .boxed()
    }
}

/// Returns why a read failed. Repeating it helps only when the store was unavailable.
fn read_error(error: &rusqlite::Error) -> StoreError {
    let is_unreadable = is_corrupt(error);
    if is_unreadable { StoreError::Corrupt(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
}

impl Drop for Readers {
    /// Does not wait for the threads, because a runtime must not be dropped on an asynchronous thread.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_values_are_corrupt_and_a_busy_store_is_unavailable() {
        let connection = Connection::open_in_memory().unwrap();
        let unreadable = connection.query_row("SELECT 'x'", [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert!(matches!(read_error(&unreadable), StoreError::Corrupt(_)));
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        let busy = rusqlite::Error::SqliteFailure(busy, None);
        assert!(matches!(read_error(&busy), StoreError::Unavailable(_)));
    }
}
