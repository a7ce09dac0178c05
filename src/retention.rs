//! Deletes rows that are older than their retention (`[privacy] audit_days`, `attempts_days`).

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::store::{StoreError, StoreFuture};

/// The interval at which old rows are deleted.
const POLL: Duration = Duration::from_secs(3_600);
/// The pause between two transactions that delete, so that a registration does not wait for all of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Deletes rows that are older than `retention`, now and every [`POLL`], until the runtime ends. `delete` deletes the
/// rows from before its first argument, at most as many as its second one states, in one transaction, and returns their
/// number. `what` names the rows in the log.
pub fn limit(
    what: &'static str,
    clock: Arc<dyn Clock>,
    retention: SignedDuration,
    deleted_per_write: usize,
    delete: impl Fn(Timestamp, usize) -> StoreFuture<usize> + Send + Sync + 'static,
) {
    tokio::spawn(async move {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(cutoff) = clock.now().checked_sub(retention) else { return };
            match delete_all(cutoff, deleted_per_write, &delete).await {
                Ok(0) => {}
                Ok(count) => log::info!("{count} {what} from before {cutoff} were deleted"),
                Err(error) => log::warn!("old {what} cannot be deleted: {error}"),
            }
        }
    });
}

/// Deletes in transactions of bounded length. Returns the number of deleted rows.
async fn delete_all(
    cutoff: Timestamp,
    deleted_per_write: usize,
    delete: &(impl Fn(Timestamp, usize) -> StoreFuture<usize> + Sync),
) -> Result<usize, StoreError> {
    let mut deleted = 0;
    loop {
        let count = delete(cutoff, deleted_per_write).await?;
        deleted += count;
        if count < deleted_per_write {
            return Ok(deleted);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
