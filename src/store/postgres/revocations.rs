//! The order in which tokens are revoked, so that other hubs can read what was revoked after a position.

use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::number_at;
use crate::store::postgres::transaction::Tx;

/// Returns the position of a revocation. Locks the counter until the transaction ends, so that positions are committed
/// in order. Must be called as late as possible.
pub(super) async fn next_position(tx: &Tx) -> Result<i64, Failure> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'revocations' RETURNING value";
    number_at(&tx.query_one(sql, &[]).await?, 0)
}
