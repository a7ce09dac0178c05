//! The one sequence of alerts: what goes out, in order, and to whom. [`crate::store::sqlite::alert_log`] reads it.

use jiff::{Timestamp, ZonedDateTime};
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::registration::Standing;
use crate::store::alerts::Cancelled;

use crate::store::sqlite::rows::{maybe_time_at, unreadable};

/// Who is enrolled (`?2`) in a course (`?1`), as the visible sections have it, in terms that have not ended on `?3`.
pub(super) const ENROLLED_IN_COURSE: &str = "
    SELECT r.user AS user FROM sections AS s
    JOIN terms AS t ON t.id = s.term
    JOIN registrations AS r ON r.term = s.term AND r.crn = s.crn AND r.standing = ?2
    WHERE s.course = ?1 AND (t.ends_on IS NULL OR t.ends_on >= ?3)
      AND s.generation = (SELECT max(v.generation) FROM sections AS v
                          WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= t.generation)";

/// Stores an alert's body. It is not out yet: see [`send_out`].
pub(crate) fn put(tx: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    let content =
        serde_json::to_string(&alert.content).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    tx.prepare_cached(
        "INSERT INTO alerts (id, content, source, sender, created_at, due_at, expires_at, everyone, roles)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        alert.id,
        content,
        alert.source,
        alert.sender,
        alert.created_at.as_millisecond(),
        alert.content.starts_at.map(jiff::Timestamp::as_millisecond),
        alert.content.expires_at.map(jiff::Timestamp::as_millisecond),
        alert.content.audience.all,
        alert.content.audience.role_bits(),
    ])?;
    Ok(())
}

/// Lets a stored alert go out: settles who is in its sections and courses now, and gives it its place in the sequence.
pub(crate) fn send_out(
    tx: &Connection,
    id: &str,
    content: &AlertContent,
    now: &ZonedDateTime,
) -> rusqlite::Result<u64> {
    let mut one = tx.prepare_cached("INSERT OR IGNORE INTO alert_recipients (user, alert_id) VALUES (?1, ?2)")?;
    for user in &content.audience.users {
        one.execute(params![user.0.as_str(), id])?;
    }
    for section in &content.audience.sections {
        tx.prepare_cached(
            "INSERT OR IGNORE INTO alert_recipients (user, alert_id)
             SELECT user, ?1 FROM registrations WHERE term = ?2 AND crn = ?3 AND standing = ?4",
        )?
        .execute(params![id, section.0.term.as_str(), section.0.crn.as_str(), Standing::Enrolled.as_str()])?;
    }
    for course in &content.audience.courses {
        tx.prepare_cached(&format!(
            "INSERT OR IGNORE INTO alert_recipients (user, alert_id) SELECT user, ?4 FROM ({ENROLLED_IN_COURSE})"
        ))?
        .execute(params![course, Standing::Enrolled.as_str(), now.date().to_string(), id])?;
    }
    tx.prepare_cached("UPDATE alerts SET due_at = NULL WHERE id = ?1")?.execute([id])?;
    tx.prepare_cached("INSERT INTO alert_log (alert_id, kind, at, broad) VALUES (?1, 'alert', ?2, ?3)")?.execute(
        params![id, now.timestamp().as_millisecond(), content.audience.all || content.audience.role_bits() != 0],
    )?;
    last_seq(tx)
}

fn last_seq(tx: &Connection) -> rusqlite::Result<u64> {
    u64::try_from(tx.last_insert_rowid()).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, 0))
}

/// Keeps an alert, and lets it go out unless it is scheduled for later.
pub(super) fn post(tx: &Connection, mut alert: Alert, now: &ZonedDateTime) -> rusqlite::Result<Alert> {
    put(tx, &alert)?;
    if alert.content.starts_at.is_none_or(|start| start <= now.timestamp()) {
        alert.seq = Some(send_out(tx, &alert.id, &alert.content, now)?);
    }
    Ok(alert)
}

/// Cancels an alert; one that went out gets a place in the sequence for it, which reaches the same people.
pub(super) fn cancel(tx: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<Cancelled> {
    let now_ms = now.as_millisecond();
    let found: Option<(bool, bool, bool)> = tx
        .prepare_cached(
            "SELECT cancelled_at IS NOT NULL, everyone = 1 OR roles <> 0,
                    EXISTS (SELECT 1 FROM alert_log WHERE alert_id = id) FROM alerts WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((was_cancelled, is_broad, is_out)) = found else { return Ok(Cancelled::NotFound) };
    if was_cancelled {
        return Ok(Cancelled::Quietly);
    }
    tx.prepare_cached("UPDATE alerts SET cancelled_at = ?2, due_at = NULL WHERE id = ?1")?.execute((id, now_ms))?;
    if !is_out {
        return Ok(Cancelled::Quietly);
    }
    tx.prepare_cached("INSERT INTO alert_log (alert_id, kind, at, broad) VALUES (?1, 'cancelled', ?2, ?3)")?
        .execute(params![id, now_ms, is_broad])?;
    last_seq(tx).map(Cancelled::Told)
}

/// When the next scheduled alert is to go out.
pub(super) fn next_due(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(due_at) FROM alerts WHERE due_at IS NOT NULL")?
        .query_row([], |row| maybe_time_at(row, 0))
}

/// Lets scheduled alerts go out whose time has come, soonest first; not those whose time is over, as after an outage.
pub(super) fn release_due(tx: &Connection, now: &ZonedDateTime, limit: usize) -> rusqlite::Result<usize> {
    let now_ms = now.timestamp().as_millisecond();
    let late = tx
        .prepare_cached("UPDATE alerts SET due_at = NULL, cancelled_at = ?1 WHERE due_at <= ?1 AND expires_at <= ?1")?
        .execute([now_ms])?;
    if late > 0 {
        log::warn!("scheduled alerts that expired before they could go out: {late}");
    }
    let due: Vec<(String, String)> = tx
        .prepare_cached("SELECT id, content FROM alerts WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?2")?
        .query_map((now_ms, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, content) in &due {
        let content: AlertContent = serde_json::from_str(content).map_err(|e| unreadable(1, e))?;
        send_out(tx, id, &content, now)?;
    }
    Ok(due.len())
}

/// Forgets the oldest entries up to the first that is not older than `cutoff`, so that what is kept has no holes, and
/// alerts of which no entry is left.
pub(super) fn forget_before(tx: &Connection, cutoff: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let forgotten: Vec<String> = tx
        .prepare_cached(
            "DELETE FROM alert_log WHERE seq IN (
                 SELECT seq FROM alert_log
                 WHERE seq < coalesce((SELECT min(seq) FROM alert_log WHERE at >= ?1), 9223372036854775807)
                 ORDER BY seq LIMIT ?2)
             RETURNING alert_id",
        )?
        .query_map((cutoff.as_millisecond(), limit), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &forgotten {
        let is_left = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_log WHERE alert_id = ?1)")?
            .query_row([id], |row| row.get::<_, bool>(0))?;
        if !is_left {
            tx.prepare_cached("DELETE FROM alert_recipients WHERE alert_id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM alert_acks WHERE alert_id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM alerts WHERE id = ?1")?.execute([id])?;
        }
    }
    Ok(forgotten.len())
}
