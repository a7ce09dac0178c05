//! A pool of connections that only read. They are used on blocking threads, so that no actor waits for the disk.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::open::connect_reader;

/// Maximum number of connections. More would only compete for two cores and the page cache.
const READERS_MAX: usize = 4;
/// Maximum number of reads that are waiting or running. Beyond it, [`StoreError::Overloaded`] is returned.
const WAITING_MAX: usize = 4_096;

/// The connections that only read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Arc::new(Mutex::new(Vec::with_capacity(READERS_MAX))),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        }
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
                let result = work(&connection).map_err(|e| StoreError::Unavailable(e.to_string()));
                if result.is_ok() && !permits.is_closed() {
                    idle.lock().push(connection);
                }
                result
            };
            tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))
        }
        .boxed()
    }
}
