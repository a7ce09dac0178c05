//! The hubs that run on the database. Each has a row, whose age shows whether the hub still runs.

use std::time::Duration;

use deadpool_postgres::Pool;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::postgres::transaction::{self, Work};

/// Time between two signs of life of a hub. Each is a commit.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The hubs that have given no sign of life for six times [`SIGN_OF_LIFE`], as a condition on the row `h` of `hubs`. They
/// have ended, or have lost the database for so long that their operations were undone.
pub(super) const HAS_ENDED: &str = "h.seen_at < now() - interval '30 s'";

/// Deletes tickets that were used long ago. A ticket expires after 30 seconds by the clocks of the hubs, which may differ.
const FORGET_TICKETS: &str = "DELETE FROM used_tickets WHERE id IN
    (SELECT id FROM used_tickets WHERE at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)";

/// Adds this hub, or renews its row, and removes the rows of hubs that ended long ago.
pub(super) async fn join(pool: &Pool, hub: Uuid) -> Result<(), StoreError> {
    transaction::write(pool, async |tx| {
        let sql = "INSERT INTO hubs (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()";
        tx.execute(sql, &[&hub]).await?;
        // Skips rows that another hub removes at this moment.
        let sql = "DELETE FROM hubs WHERE id IN
             (SELECT id FROM hubs WHERE seen_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)";
        tx.execute(sql, &[]).await?;
        tx.execute(FORGET_TICKETS, &[]).await?;
        Ok(Work::Commit(()))
    })
    .await
}

/// Removes the row of this hub, which has ended. If that fails, the age of the row shows it later.
pub(super) async fn leave(pool: &Pool, hub: Uuid) {
    let left = transaction::write(pool, async |tx| {
        tx.execute("DELETE FROM hubs WHERE id = $1", &[&hub]).await?;
        Ok(Work::Commit(()))
    });
    if let Err(error) = left.await {
        log::debug!("the end of this hub could not be stored: {error}");
    }
}

/// Gives signs of life until it is dropped.
pub(super) async fn stay(pool: Pool, hub: Uuid) {
    loop {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        if let Err(error) = join(&pool, hub).await {
            log::debug!("a sign of life could not be stored: {error}");
        }
    }
}
