//! The hubs that run on the database. Each has a row, whose age shows whether the hub still runs.

use std::time::Duration;

use deadpool_postgres::Pool;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::rows::number_at;
use crate::store::postgres::transaction::{self, Work};
use crate::store::terms::Lineage;

/// Time between two heartbeats of a hub. Each is a commit.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(5);

/// The hubs that have sent no heartbeat for six times [`HEARTBEAT_PAUSE`], as a condition on the row `h` of `hubs`.
/// They have ended, or have lost the database for so long that their operations were undone.
pub(super) const HAS_ENDED: &str = "h.seen_at < now() - interval '30 s'";

/// Deletes tickets that were used long ago. A ticket expires after 30 seconds by the clocks of the hubs, which may
/// differ.
const FORGET_TICKETS: &str = "DELETE FROM used_tickets WHERE id IN
    (SELECT id FROM used_tickets WHERE at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)";

/// Adds this hub, and returns the history to which the sequence numbers belong. A hub that starts while another one
/// runs continues its history. The first hub begins a new one, because the database may have been restored before.
pub(super) async fn join(pool: &Pool, hub: Uuid) -> Result<Lineage, StoreError> {
    let new = Lineage::random();
    transaction::write(pool, async |tx| {
        // Two hubs that start together wait here for each other, so that the second one sees the row of the first.
        lock(tx, Lock::Lineage, "").await?;
        let sql = format!(
            "INSERT INTO counters (name, value) VALUES ('lineage', $1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value
             WHERE NOT EXISTS (SELECT 1 FROM hubs AS h WHERE NOT {HAS_ENDED})"
        );
        tx.execute(&sql, &[&i64::from(u32::from(new))]).await?;
        let lineage: u32 =
            number_at(&tx.query_one("SELECT value FROM counters WHERE name = 'lineage'", &[]).await?, 0)?;
        tx.execute("INSERT INTO hubs (id) VALUES ($1)", &[&hub]).await?;
        Ok(Work::Commit(Lineage::from(lineage)))
    })
    .await
}

/// Renews the row of this hub, and removes those of hubs that ended long ago.
async fn renew(pool: &Pool, hub: Uuid) -> Result<(), StoreError> {
    transaction::write(pool, async |tx| {
        let sql = "INSERT INTO hubs (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()";
        tx.execute(sql, &[&hub]).await?;
        // Skips rows that another hub is removing.
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

/// Sends heartbeats until it is dropped.
pub(super) async fn stay(pool: Pool, hub: Uuid) {
    loop {
        tokio::time::sleep(HEARTBEAT_PAUSE).await;
        if let Err(error) = renew(&pool, hub).await {
            log::debug!("a heartbeat could not be stored: {error}");
        }
    }
}
