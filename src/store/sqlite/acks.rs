//! Who has seen an alert, and who has not.

use std::collections::HashSet;
use std::sync::Arc;

use enum_map::EnumMap;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::store::alerts::{Ack, Reach, Receipt, Receipts};

use crate::store::sqlite::rows::{maybe_time_at, unreadable};

/// Keeps an acknowledgement of an alert that is out and that this reader may see: `?1` the alert, `?2` the user, `?3`
/// the role's bit, `?4` the time.
const ACK: &str = "
    INSERT INTO alert_acks (alert_id, user, at)
    SELECT a.id, ?2, ?4 FROM alerts AS a
    WHERE a.id = ?1 AND EXISTS (SELECT 1 FROM alert_log AS l WHERE l.alert_id = a.id)
        AND (a.everyone = 1 OR a.roles & ?3 <> 0
             OR EXISTS (SELECT 1 FROM alert_recipients AS r WHERE r.alert_id = a.id AND r.user = ?2))
    ON CONFLICT (alert_id, user) DO UPDATE SET at = at";

/// Everyone known whom an alert (`?1`) reaches or who has seen it: `?2` whether it reaches everyone, `?3` to `?5` the
/// roles that it reaches. A local account's role counts, whatever its last token said.
const REACHED: &str = "
    WITH known (user, name, role) AS (
        SELECT username, name, role FROM accounts UNION ALL
        SELECT username, name, role FROM people WHERE username NOT IN (SELECT username FROM accounts)),
    reached (user) AS (
        SELECT user FROM alert_recipients WHERE alert_id = ?1 UNION
        SELECT user FROM alert_acks WHERE alert_id = ?1 UNION
        SELECT user FROM known WHERE ?2 OR role IN (?3, ?4, ?5))
    SELECT r.user, coalesce(k.name, r.user), s.at FROM reached AS r
    LEFT JOIN known AS k ON k.user = r.user
    LEFT JOIN alert_acks AS s ON s.alert_id = ?1 AND s.user = r.user
    ORDER BY s.at IS NULL, s.at, r.user";

/// Keeps them; of each, whether there is such an alert for that reader.
pub(super) fn ack(tx: &Connection, acks: &[Ack]) -> rusqlite::Result<Vec<bool>> {
    let mut statement = tx.prepare_cached(ACK)?;
    acks.iter()
        .map(|ack| {
            let kept =
                statement.execute(params![ack.alert, ack.user.as_str(), ack.role.bit(), ack.at.as_millisecond()])?;
            Ok(kept > 0)
        })
        .collect()
}

/// Of these alerts, those that a user has acknowledged.
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
        user: UserName::parse(&user).map_err(|e| unreadable(0, e))?,
        name: row.get(1)?,
        seen_at: maybe_time_at(row, 2)?,
    })
}

/// Who has seen an alert and who has not, at most `limit` of each; none when there is no such alert.
pub(super) fn receipts(connection: &Connection, id: &str, limit: usize) -> rusqlite::Result<Option<Receipts>> {
    let tx = connection.unchecked_transaction()?;
    let found: Option<(bool, u8, bool)> = tx
        .prepare_cached(
            "SELECT everyone, roles, EXISTS (SELECT 1 FROM alert_log WHERE alert_id = id) FROM alerts WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((everyone, roles, is_out)) = found else { return Ok(None) };
    let mut receipts = Receipts::default();
    if !is_out {
        // Whom it will reach is settled when it goes out.
        return Ok(Some(receipts));
    }
    let users = tx
        .prepare_cached("SELECT user FROM alert_recipients WHERE alert_id = ?1 ORDER BY user")?
        .query_map([id], |row| row.get::<_, String>(0))?
        .map(|user| UserName::parse(&user?).map_err(|e| unreadable(0, e)))
        .collect::<rusqlite::Result<Arc<[_]>>>()?;
    receipts.reach = Reach { everyone, roles, users };
    let [one, two, three] =
        EnumMap::from_fn(|role: Role| if roles & role.bit() != 0 { role.as_str() } else { "" }).into_array();
    let mut reached = tx.prepare_cached(REACHED)?;
    for receipt in reached.query_map(params![id, everyone, one, two, three], receipt_at)? {
        let receipt = receipt?;
        let (list, total) = match receipt.seen_at {
            Some(_) => (&mut receipts.seen, &mut receipts.seen_total),
            None => (&mut receipts.unseen, &mut receipts.unseen_total),
        };
        *total += 1;
        if list.len() < limit {
            list.push(receipt);
        }
    }
    Ok(Some(receipts))
}
