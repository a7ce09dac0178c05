//! Leases, by the clock of the database.

use std::sync::Arc;

use futures_util::future::join;
use uuid::Uuid;

use crate::store::StoreFuture;
use crate::store::imports::ImportStore;
use crate::store::lease::{Fence, Job, LEASE, Lease, LeaseStore};
use crate::store::outbox::OutboxStore;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, number_at};
use crate::store::postgres::transaction::{Tx, Work};

/// Refuses the transaction if a hub other than `hub` has taken over from `fence`. Otherwise no other hub can take over
/// until the transaction ends.
pub(super) async fn require(tx: &Tx, fence: Fence, hub: Uuid) -> Result<(), Failure> {
    let sql = "SELECT 1 FROM leaders WHERE job = $1 AND fence = $2 AND hub = $3 FOR KEY SHARE";
    let found = tx.query_opt(sql, &[&fence.job.as_str(), &integer(fence.number), &hub]).await?;
    found.map(drop).ok_or(Failure::Superseded(fence.job.as_str()))
}

/// Does what [`require`] does, for a transaction that waits for nothing but the network and locks. If its hub stops for
/// longer than three seconds, the transaction is undone, so that a hub that takes over waits no longer.
pub(super) async fn require_briefly(tx: &Tx, fence: Fence, hub: Uuid) -> Result<(), Failure> {
    let limited = tx.run("SET LOCAL idle_in_transaction_session_timeout = '3s'");
    let (limited, required) = join(limited, require(tx, fence, hub)).await;
    limited.and(required)
}

/// Renews the lease under `held`, or takes the lease if it has ended.
async fn hold(tx: &Tx, job: Job, held: Option<Fence>, hub: Uuid) -> Result<Work<Option<Lease>>, Failure> {
    // Not `now()`, the time at which the transaction began: the statement may have waited since.
    let (job_name, lease_ms) = (job.as_str(), integer(LEASE.as_millis()));
    if let Some(held) = held {
        let sql = "UPDATE leaders SET until = clock_timestamp() + $4 * interval '1 millisecond'
             WHERE job = $1 AND fence = $2 AND hub = $3 RETURNING requests";
        let renewed = tx.query_opt(sql, &[&job_name, &integer(held.number), &hub, &lease_ms]).await?;
        let Some(row) = renewed else { return Ok(Work::Nothing(None)) };
        return Ok(Work::Commit(Some(Lease { fence: held, requests: number_at(&row, 0)? })));
    }
    let sql =
        "UPDATE leaders SET fence = fence + 1, hub = $2, until = clock_timestamp() + $3 * interval '1 millisecond'
         WHERE job = $1 AND until < clock_timestamp() RETURNING fence, requests";
    let taken = tx.query_opt(sql, &[&job_name, &hub, &lease_ms]).await?;
    let Some(row) = taken else { return Ok(Work::Nothing(None)) };
    let fence = Fence { job, number: number_at(&row, 0)? };
    Ok(Work::Commit(Some(Lease { fence, requests: number_at(&row, 1)? })))
}

impl LeaseStore for PostgresStore {
    fn hold(&self, job: Job, held: Option<Fence>) -> StoreFuture<Option<Lease>> {
        let hub = self.inner.hub;
        self.write_if(async move |tx| hold(tx, job, held, hub).await)
    }

    fn request(&self, job: Job) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "UPDATE leaders SET requests = requests + 1 WHERE job = $1";
            tx.execute(sql, &[&job.as_str()]).await.map(drop)
        })
    }

    fn release(&self, held: Fence) -> StoreFuture<()> {
        let hub = self.inner.hub;
        self.write(async move |tx| {
            let sql = "UPDATE leaders SET until = '-infinity' WHERE job = $1 AND fence = $2 AND hub = $3";
            tx.execute(sql, &[&held.job.as_str(), &integer(held.number), &hub]).await.map(drop)
        })
    }

    fn outbox_under(&self, held: Fence) -> Arc<dyn OutboxStore> {
        Arc::new(self.under(held))
    }

    fn events_under(&self, held: Fence) -> Arc<dyn ImportStore> {
        Arc::new(self.under(held))
    }
}
