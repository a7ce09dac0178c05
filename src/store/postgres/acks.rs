//! Acknowledgements of alerts on PostgreSQL.

use std::collections::HashSet;

use tokio_postgres::Row;

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::store::alerts::{Ack, Receipt, Receipts};

use crate::store::postgres::alert_log;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::text;
use crate::store::postgres::rows::{maybe_time_at, number_at, text_at, user_at};
use crate::store::postgres::transaction::Tx;

/// Stores acknowledgements of alerts that were sent, by recipients: `$1` the alerts, `$2` the users, `$3` the bits of
/// their roles, `$4` the times. Returns the positions of those that it accepts, including repeated ones. The lock keeps
/// an alert until the commit, so that its deletion also deletes the acknowledgements. The order of the insertions
/// prevents a deadlock between two hubs that store the same ones.
const ACK: &str = "
    WITH accepted AS MATERIALIZED (
        SELECT n.* FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (alert_id, username, role, at, position)
        JOIN alerts AS a ON a.id = n.alert_id
        WHERE EXISTS (SELECT 1 FROM alert_log AS l WHERE l.alert_id = a.id)
          AND (a.everyone OR a.roles & n.role <> 0
               OR EXISTS (SELECT 1 FROM alert_recipients AS r WHERE r.alert_id = a.id AND r.username = n.username))
        FOR KEY SHARE OF a),
    stored AS (
        INSERT INTO alert_acks (alert_id, username, at)
        SELECT DISTINCT ON (alert_id COLLATE \"C\", username COLLATE \"C\") alert_id, username, at FROM accepted
        ORDER BY alert_id COLLATE \"C\", username COLLATE \"C\", position
        ON CONFLICT DO NOTHING)
    SELECT position FROM accepted";

/// The users who are stored as recipients of the alert `$1` or have acknowledged it, and the known users who receive it
/// because it is for everyone or their role: `$2` is whether it is for everyone, `$3` are the roles. The role of a
/// local account takes precedence over the role in its last token.
const RECIPIENTS: &str = "
    WITH known (username, name, role) AS (
        SELECT username, name, role FROM accounts UNION ALL
        SELECT p.username, p.name, p.role FROM people AS p
        WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)),
    reached (username) AS (
        SELECT username FROM alert_recipients WHERE alert_id = $1 UNION
        SELECT username FROM alert_acks WHERE alert_id = $1 UNION
        SELECT username FROM known WHERE $2 OR role = ANY ($3))
    SELECT r.username, coalesce(k.name, r.username), s.at FROM reached AS r
    LEFT JOIN known AS k ON k.username = r.username
    LEFT JOIN alert_acks AS s ON s.alert_id = $1 AND s.username = r.username
    ORDER BY s.at NULLS LAST, r.username";

/// Stores acknowledgements. Returns for each whether the alert was sent and the user is a recipient.
pub(super) async fn ack(tx: &Tx, acks: &[Ack]) -> Result<Vec<bool>, Failure> {
    let alerts: Vec<String> = acks.iter().map(|ack| text(&ack.alert)).collect();
    let users: Vec<&str> = acks.iter().map(|ack| ack.user.as_str()).collect();
    let roles: Vec<i64> = acks.iter().map(|ack| i64::from(ack.role.bit())).collect();
    let times: Vec<i64> = acks.iter().map(|ack| ack.at.as_millisecond()).collect();
    let mut accepted = vec![false; acks.len()];
    for row in tx.query(ACK, &[&alerts, &users, &roles, &times]).await? {
        // Positions begin with 1.
        let position: usize = number_at(&row, 0)?;
        if let Some(accepted) = accepted.get_mut(position.wrapping_sub(1)) {
            *accepted = true;
        }
    }
    Ok(accepted)
}

/// Returns those of `alerts` that a user has acknowledged.
pub(super) async fn acked_by(tx: &Tx, user: &UserName, alerts: &[String]) -> Result<HashSet<String>, Failure> {
    let sql = "SELECT alert_id FROM alert_acks WHERE username = $1 AND alert_id = ANY ($2)";
    let alerts: Vec<String> = alerts.iter().map(|alert| text(alert)).collect();
    let rows = tx.query(sql, &[&user.as_str(), &alerts]).await?;
    rows.iter().map(|row| Ok(text_at(row, 0)?.to_owned())).collect()
}

fn receipt_at(row: &Row) -> Result<Receipt, Failure> {
    Ok(Receipt { user: user_at(row, 0)?, name: row.try_get(1)?, acknowledged_at: maybe_time_at(row, 2)? })
}

/// Returns the acknowledgements of an alert, with at most `limit` entries in each list; `None` when there is no such
/// alert.
pub(super) async fn receipts(tx: &Tx, id: &str, limit: usize) -> Result<Option<Receipts>, Failure> {
    let sql = "SELECT a.everyone, a.roles, EXISTS (SELECT 1 FROM alert_log AS l WHERE l.alert_id = a.id)
         FROM alerts AS a WHERE a.id = $1";
    let Some(found) = tx.query_opt(sql, &[&id]).await? else { return Ok(None) };
    let (everyone, roles, was_sent): (bool, u8, bool) = (found.try_get(0)?, number_at(&found, 1)?, found.try_get(2)?);
    let mut receipts = Receipts::default();
    if !was_sent {
        // The recipients are resolved when the alert is sent.
        return Ok(Some(receipts));
    }
    receipts.recipients = alert_log::recipients(tx, id, everyone, roles).await?;
    let named: Vec<&str> =
        Role::NAMED.iter().filter(|role| roles & role.bit() != 0).map(|role| role.as_str()).collect();
    for row in tx.query(RECIPIENTS, &[&id, &everyone, &named]).await? {
        let receipt = receipt_at(&row)?;
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
