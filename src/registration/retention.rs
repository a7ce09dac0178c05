//! Deletes attempts after their retention, `[privacy] attempts_days`.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::attempts::AttemptStore;

/// The interval at which old attempts are deleted.
const POLL: Duration = Duration::from_secs(3_600);
/// Maximum number of attempts that one transaction deletes, so that no registration waits long for it.
const DELETED_PER_WRITE: usize = 1_000;
/// The pause between two transactions that delete.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes attempts that were decided longer ago than `retention`, now and every [`POLL`], until the runtime ends.
pub fn limit_retention(store: Arc<dyn AttemptStore>, clock: Arc<dyn Clock>, retention: SignedDuration) {
    tokio::spawn(async move {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(cutoff) = clock.now().checked_sub(retention) else { return };
            match delete_before(&*store, cutoff).await {
                Ok(0) => {}
                Ok(count) => log::info!("{count} attempts from before {cutoff} were deleted"),
                Err(error) => log::warn!("old attempts cannot be deleted: {error}"),
            }
        }
    });
}

/// Deletes in transactions of bounded length. Returns the number of deleted attempts.
async fn delete_before(store: &dyn AttemptStore, cutoff: Timestamp) -> Result<usize, StoreError> {
    let mut deleted = 0;
    loop {
        let count = store.delete_attempts_before(cutoff, DELETED_PER_WRITE).await?;
        deleted += count;
        if count < DELETED_PER_WRITE {
            return Ok(deleted);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
