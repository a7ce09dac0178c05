//! Acknowledgements of alerts.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::store::alerts::{Ack, Receipt, Receipts};

use crate::store::sqlite::alert_log;
use crate::store::sqlite::rows::{maybe_time_at, unreadable};

/// Stores an acknowledgement, if the alert was sent and the user is a recipient: `?1` the alert, `?2` the user, `?3`
/// the role's bit, `?4` the time. The update counts as one row, so that a repeated acknowledgement is not taken for a
/// failed one.
const ACK: &str = "
    INSERT INTO alert_acks (alert_id, user, at)
    SELECT a.id, ?2, ?4 FROM alerts AS a
    WHERE a.id = ?1 AND EXISTS (SELECT 1 FROM alert_log AS l WHERE l.alert_id = a.id)
        AND (a.everyone = 1 OR a.roles & ?3 <> 0
             OR EXISTS (SELECT 1 FROM alert_recipients AS r WHERE r.alert_id = a.id AND r.user = ?2))
    ON CONFLICT (alert_id, user) DO UPDATE SET at = at";

/// The users who are stored as recipients of the alert `?1` or have acknowledged it, and the known users who receive it
/// because it is for everyone or their role: `?2` is whether it is for everyone, `?3` to `?6` are the roles.
/// The role of a local account takes precedence over the role in its last token.
const RECIPIENTS: &str = "
    WITH known (user, name, role) AS (
        SELECT username, name, role FROM accounts UNION ALL
        SELECT username, name, role FROM people WHERE username NOT IN (SELECT username FROM accounts)),
    reached (user) AS (
        SELECT user FROM alert_recipients WHERE alert_id = ?1 UNION
        SELECT user FROM alert_acks WHERE alert_id = ?1 UNION
        SELECT user FROM known WHERE ?2 OR role IN (?3, ?4, ?5, ?6))
    SELECT r.user, coalesce(k.name, r.user), s.at FROM reached AS r
    LEFT JOIN known AS k ON k.user = r.user
    LEFT JOIN alert_acks AS s ON s.alert_id = ?1 AND s.user = r.user
    ORDER BY s.at IS NULL, s.at, r.user";

/// Stores acknowledgements. Returns for each whether the alert was sent and the user is a recipient.
pub(super) fn ack(tx: &Connection, acks: &[Ack]) -> rusqlite::Result<Vec<bool>> {
    let mut statement = tx.prepare_cached(ACK)?;
    acks.iter()
        .map(|ack| {
            let rows =
                statement.execute(params![ack.alert, ack.user.as_str(), ack.role.bit(), ack.at.as_millisecond()])?;
            Ok(rows > 0)
        })
        .collect()
}

/// Returns those of `alerts` that a user has acknowledged.
pub(super) fn acked_by(
    connection: &Connection,
    user: &UserName,
    alerts: Vec<String>,
) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM alert_acks WHERE alert_id = ?1 AND user = ?2")?;
    let mut acked = HashSet::new();
    for id in alerts {
        if statement.exists((&id, user.as_str()))? {
            acked.insert(id);
        }
    }
    Ok(acked)
}

fn receipt_at(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let user: String = row.get(0)?;
    Ok(Receipt {
        user: UserName::stored(&user).map_err(|e| unreadable(0, e))?,
        name: row.get(1)?,
        acknowledged_at: maybe_time_at(row, 2)?,
    })
}

/// Returns the acknowledgements of an alert, with at most `limit` entries in each list; `None` when there is no such
/// alert.
pub(super) fn receipts(connection: &Connection, id: &str, limit: usize) -> rusqlite::Result<Option<Receipts>> {
    let tx = connection.unchecked_transaction()?;
    let found: Option<(bool, u8, bool)> = tx
        .prepare_cached(
            "SELECT everyone, roles, EXISTS (SELECT 1 FROM alert_log WHERE alert_id = id) FROM alerts WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((everyone, roles, was_sent)) = found else { return Ok(None) };
    let mut receipts = Receipts::default();
    if !was_sent {
        // The recipients are resolved when the alert is sent.
        return Ok(Some(receipts));
    }
    receipts.recipients = alert_log::recipients(&tx, id, everyone, roles)?;
    let [first, second, third, fourth] =
        Role::NAMED.map(|role| if roles & role.bit() != 0 { role.as_str() } else { "" });
    let mut recipients = tx.prepare_cached(RECIPIENTS)?;
    for receipt in recipients.query_map(params![id, everyone, first, second, third, fourth], receipt_at)? {
        let receipt = receipt?;
        let (list, total) = match receipt.acknowledged_at {
            Some(_) => (&mut receipts.acknowledged, &mut receipts.acknowledged_total),
            None => (&mut receipts.unacknowledged, &mut receipts.unacknowledged_total),
        };
        *total += 1;
        if list.len() < limit {
            list.push(receipt);
        }
    }
    Ok(Some(receipts))
}
