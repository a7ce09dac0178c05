//! Leases. A process locks the embedded store, so its hub is always the leader, and its writes are never refused.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::ready;

use crate::store::StoreFuture;
use crate::store::imports::ImportStore;
use crate::store::lease::{Fence, Job, Lease, LeaseStore};
use crate::store::outbox::OutboxStore;

use crate::store::sqlite::SqliteStore;

impl LeaseStore for SqliteStore {
    fn hold(&self, job: Job, _held: Option<Fence>) -> StoreFuture<Option<Lease>> {
        ready(Ok(Some(Lease { fence: Fence { job, number: 1 }, requests: 0 }))).boxed()
    }

    /// Does nothing. Only a hub that does not lead requests that a job run, and this hub leads and runs every job once
    /// it has started.
    fn request(&self, _job: Job) -> StoreFuture<()> {
        ready(Ok(())).boxed()
    }

    fn release(&self, _held: Fence) -> StoreFuture<()> {
        ready(Ok(())).boxed()
    }

    fn outbox_under(&self, _held: Fence) -> Arc<dyn OutboxStore> {
        Arc::new(self.clone())
    }

    fn events_under(&self, _held: Fence) -> Arc<dyn ImportStore> {
        Arc::new(self.clone())
    }
}
