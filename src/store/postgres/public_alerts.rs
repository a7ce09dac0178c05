//! Reads alerts to everyone for other systems.

use tokio_postgres::Row;

use crate::store::alerts::{PUBLIC_MESSAGES_MAX, PublicAlert, PublicMessage};

use crate::store::postgres::alert_log::alert_at;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::rows::{integer, number_at, text_at, time_at};
use crate::store::postgres::transaction::Tx;

/// Alerts to everyone that were sent, each with its last position.
const PUBLIC: &str = "
    SELECT a.id, a.content, a.source, a.sender, a.created_at, a.sender_name, p.last
    FROM (SELECT l.alert_id, max(l.seq) AS last FROM alert_log AS l WHERE l.broad GROUP BY l.alert_id) AS p
    JOIN alerts AS a ON a.id = p.alert_id WHERE a.everyone";

/// Returns the alerts whose last entries are newest.
pub(super) async fn newest(tx: &Tx, limit: usize) -> Result<Vec<PublicAlert>, Failure> {
    let rows = tx.query(&format!("{PUBLIC} ORDER BY p.last DESC LIMIT $1"), &[&integer(limit)]).await?;
    let mut alerts = Vec::with_capacity(rows.len());
    for row in &rows {
        alerts.push(public_at(tx, row).await?);
    }
    Ok(alerts)
}

/// Returns an alert to everyone that was sent; `None` if there is none with this id.
pub(super) async fn one(tx: &Tx, id: &str) -> Result<Option<PublicAlert>, Failure> {
    match tx.query_opt(&format!("{PUBLIC} AND a.id = $1"), &[&id]).await? {
        Some(row) => public_at(tx, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn public_at(tx: &Tx, row: &Row) -> Result<PublicAlert, Failure> {
    let alert = alert_at(row, 0, Some(number_at(row, 6)?))?;
    let sql = "SELECT seq, at, kind FROM alert_log WHERE alert_id = $1 ORDER BY seq DESC LIMIT $2";
    let rows = tx.query(sql, &[&alert.id.as_str(), &integer(PUBLIC_MESSAGES_MAX)]).await?;
    let message = |row: &Row| {
        let is_cancellation = text_at(row, 2)? == "cancelled";
        Ok(PublicMessage { seq: number_at(row, 0)?, at: time_at(row, 1)?, is_cancellation })
    };
    let messages = rows.iter().rev().map(message).collect::<Result<Vec<_>, Failure>>()?;
    Ok(PublicAlert { alert, messages })
}
