//! Reads alerts to everyone for other systems.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::store::alerts::{PUBLIC_MESSAGES_MAX, PublicAlert, PublicMessage};

use crate::store::sqlite::alert_log::alert_at;
use crate::store::sqlite::rows::time_at;

/// Alerts to everyone that were sent, each with its last position.
const PUBLIC: &str = "
    SELECT a.id, a.content, a.source, a.sender, a.created_at, a.sender_name, max(l.seq) AS last
    FROM alert_log AS l JOIN alerts AS a ON a.id = l.alert_id WHERE l.broad = 1 AND a.everyone = 1";

/// Returns the alerts whose last entries are newest.
pub(super) fn newest(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<PublicAlert>> {
    // One transaction, so that alerts and entries match.
    let tx = connection.unchecked_transaction()?;
    let sql = format!("{PUBLIC} GROUP BY a.id ORDER BY last DESC LIMIT ?1");
    let mut statement = tx.prepare_cached(&sql)?;
    let alerts = statement.query_map([limit], |row| public_at(&tx, row))?;
    alerts.collect()
}

/// Returns an alert to everyone that was sent; `None` if there is none with this id.
pub(super) fn one(connection: &Connection, id: &str) -> rusqlite::Result<Option<PublicAlert>> {
    let tx = connection.unchecked_transaction()?;
    let sql = format!("{PUBLIC} AND a.id = ?1 GROUP BY a.id");
    tx.prepare_cached(&sql)?.query_row([id], |row| public_at(&tx, row)).optional()
}

fn public_at(tx: &Connection, row: &Row<'_>) -> rusqlite::Result<PublicAlert> {
    let alert = alert_at(row, 0, Some(row.get(6)?))?;
    let mut messages = tx
        .prepare_cached("SELECT seq, at, kind FROM alert_log WHERE alert_id = ?1 ORDER BY seq DESC LIMIT ?2")?
        .query_map((&alert.id, PUBLIC_MESSAGES_MAX), |row| {
            let is_cancellation = row.get::<_, String>(2)? == "cancelled";
            Ok(PublicMessage { seq: row.get(0)?, at: time_at(row, 1)?, is_cancellation })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    messages.reverse();
    Ok(PublicAlert { alert, messages })
}
