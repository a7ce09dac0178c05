//! A few connections that only read, used on blocking threads so that no actor waits for the disk.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::{StoreError, StoreFuture};

use crate::store::sqlite::open::connect_reader;

/// Readers at once: more would only compete for two cores and the page cache.
const READERS_MAX: usize = 4;
/// Reads that wait for a reader; past that the store says that it is overloaded.
const WAITING_MAX: usize = 4_096;

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

    pub(super) fn read<T, F>(&self, work: F) -> StoreFuture<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            return futures_util::future::ready(Err(StoreError::Overloaded)).boxed();
        };
        let (path, idle, permits) = (self.path.clone(), self.idle.clone(), self.permits.clone());
        async move {
            let unavailable = |text: String| StoreError::Unavailable(text);
            let permit = permits.acquire_owned().await.map_err(|e| unavailable(e.to_string()))?;
            let read = move || {
                // The permit travels with the work: a caller that goes away frees no reader that is still busy.
                let _held = (permit, place);
                let kept = idle.lock().pop();
                let connection = match kept {
                    Some(connection) => connection,
                    None => connect_reader(&path).map_err(|e| StoreError::Unavailable(e.to_string()))?,
                };
                let answer = work(&connection).map_err(|e| StoreError::Unavailable(e.to_string()));
                if answer.is_ok() {
                    idle.lock().push(connection);
                }
                answer
            };
            tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(unavailable(e.to_string())))
        }
        .boxed()
    }
}
