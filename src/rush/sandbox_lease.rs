//! The lease of demonstrations: one hub at a time has a sandbox.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::store::StoreError;
use crate::store::lease::{Fence, Job, LeaseStore, RENEWAL_PAUSE};

/// The maximum number of attempts to take a lease that another hub has.
const ATTEMPTS_MAX: usize = 11;
/// The pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// The lease of demonstrations at this hub, which takes, renews and releases it.
pub(super) struct SandboxLease {
    store: Arc<dyn LeaseStore>,
    held: Mutex<Option<(Fence, AbortHandle)>>,
}

impl SandboxLease {
    pub(super) fn new(store: Arc<dyn LeaseStore>) -> Self {
        Self { store, held: Mutex::default() }
    }

    /// Takes the lease, unless this hub has it. From then on it is renewed until it is released. Returns false if another
    /// hub has it.
    pub(super) async fn take(&self) -> Result<bool, StoreError> {
        if self.held.lock().is_some() {
            return Ok(true);
        }
        let Some(lease) = self.store.hold(Job::Demonstration, None).await? else { return Ok(false) };
        let renewal = tokio::spawn(renew(self.store.clone(), lease.fence)).abort_handle();
        *self.held.lock() = Some((lease.fence, renewal));
        Ok(true)
    }

    /// Takes the lease like [`Self::take`]. If another hub has it, tries again for a second: a hub that starts has it for a
    /// moment, while it removes the sandboxes of hubs that have ended.
    pub(super) async fn take_soon(&self) -> Result<bool, StoreError> {
        for _ in 1..ATTEMPTS_MAX {
            if self.take().await? {
                return Ok(true);
            }
            sleep(ATTEMPT_PAUSE).await;
        }
        self.take().await
    }

    /// Releases the lease, so that another hub can take it at once.
    pub(super) async fn release(&self) {
        let Some((fence, renewal)) = self.held.lock().take() else { return };
        renewal.abort();
        if let Err(error) = self.store.release(fence).await {
            log::debug!("the lease of demonstrations ends later: {error}");
        }
    }
}

/// Renews the lease until the task is aborted. A lease that could not be renewed in time is renewed later unless another
/// hub has taken it.
async fn renew(store: Arc<dyn LeaseStore>, fence: Fence) {
    loop {
        sleep(RENEWAL_PAUSE).await;
        match store.hold(Job::Demonstration, Some(fence)).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                log::warn!("another hub may begin a demonstration: this hub did not renew its lease in time");
                return;
            }
            Err(error) => log::debug!("the lease of demonstrations could not be renewed: {error}"),
        }
    }
}
