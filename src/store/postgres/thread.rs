//! The thread that talks to PostgreSQL.
//!
//! Connections need a tokio runtime that outlives the callers, which run on the threads of the web server and may be
//! dropped at any time. An operation that has started is finished, so that no commit is abandoned halfway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};

use crate::store::StoreError;

/// Maximum number of operations that are queued or running. Each holds a request of a client or a batch; more would
/// only wait longer than their callers do.
const OPERATIONS_MAX: usize = 1_024;
/// How long [`Operations::close`] waits for the accepted operations.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// An operation that runs on the thread.
type Operation = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The queue of the thread. The thread ends after the queue is dropped and all operations have ended.
#[derive(Debug)]
pub(super) struct Operations {
    queue: parking_lot::Mutex<Option<UnboundedSender<Operation>>>,
    open: Arc<AtomicUsize>,
}

impl Operations {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (queue, operations) = unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            runtime.block_on(LocalSet::new().run_until(run(operations, counter)));
        })?;
        Ok(Self { queue: parking_lot::Mutex::new(Some(queue)), open })
    }

    /// Runs `operation` on the thread.
    ///
    /// # Errors
    /// When too many operations are open, and after [`Self::close`].
    pub(super) fn submit<F, O>(&self, operation: F) -> Result<(), StoreError>
    where
        F: FnOnce() -> O + Send + 'static,
        O: Future<Output = ()> + 'static,
    {
        if self.open.fetch_add(1, Ordering::AcqRel) >= OPERATIONS_MAX {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return Err(StoreError::Overloaded);
        }
        let operation: Operation = Box::new(move || Box::pin(operation()));
        let is_sent = self.queue.lock().as_ref().is_some_and(|queue| queue.send(operation).is_ok());
        if !is_sent {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return Err(StoreError::Unavailable("it is closed".to_owned()));
        }
        Ok(())
    }

    /// Accepts no more operations, and waits until those that were accepted have ended.
    pub(super) fn close(&self) {
        self.queue.lock().take();
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while self.open.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// An operation that counts as open until it ends, even if it panics.
struct OpenOperation(Arc<AtomicUsize>);

impl Drop for OpenOperation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn run(mut operations: UnboundedReceiver<Operation>, open: Arc<AtomicUsize>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            operation = operations.recv() => {
                let Some(operation) = operation else { break };
                let open = OpenOperation(Arc::clone(&open));
                running.spawn_local(async move {
                    operation().await;
                    drop(open);
                });
            }
            Some(_) = running.join_next() => {}
        }
    }
    while running.join_next().await.is_some() {}
}
