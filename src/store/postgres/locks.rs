//! Locks of the transaction, for rules that no row can guard. PostgreSQL releases them when the transaction ends, so
//! that they work through PgBouncer.
//!
//! A transaction takes locks in this order, so that no two transactions deadlock: one of these locks, rows of terms by
//! id, rows of alerts by id, the counter of the sequence of alerts, the counter of revocations. A statement that writes
//! several rows of people writes them in the order of their keys.

use crate::store::postgres::failure::Failure;
use crate::store::postgres::transaction::Tx;

/// The rule that a lock guards. The number is the seed of the hash that is the key of the advisory lock.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    /// The number of one student's links to the schedule.
    GuardianLinks = 1,
    /// The number of import profiles.
    ImportProfiles = 2,
    /// The erasure of a person, and the deletion of old alerts: each changes many rows, in different orders.
    Rewrite = 3,
    /// The number of one student's plans.
    Plans = 4,
    /// Which hub is the first that runs.
    Lineage = 5,
}

/// Waits until no other transaction has this lock on `name`, and keeps it until the transaction ends.
pub(super) async fn lock(tx: &Tx, lock: Lock, name: &str) -> Result<(), Failure> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($2, $1))";
    tx.query(sql, &[&(lock as i64), &name]).await?;
    Ok(())
}
