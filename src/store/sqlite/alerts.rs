//! Writes the sequence of alerts. [`crate::store::sqlite::alert_log`] reads it.

use jiff::{Timestamp, ZonedDateTime};
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::registration::RegistrationStatus;
use crate::store::alerts::{CancelOutcome, CorrectOutcome};

use crate::store::sqlite::alert_log::alert_at;
use crate::store::sqlite::rows::{maybe_time_at, unreadable};

/// The students with the status `?2` (enrolled) in visible sections of the course `?1`, in terms that have not ended
/// on the date `?3`.
pub(super) const ENROLLED_IN_COURSE: &str = "
    SELECT r.user AS user FROM sections AS s
    JOIN terms AS t ON t.id = s.term
    JOIN registrations AS r ON r.term = s.term AND r.crn = s.crn AND r.standing = ?2
    WHERE s.course = ?1 AND (t.ends_on IS NULL OR t.ends_on >= ?3)
      AND s.generation = (SELECT max(v.generation) FROM sections AS v
                          WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= t.generation)";

/// Adds a part of the audience to those of a recipient, unless the recipient has it already, as after a correction.
const ADD_PART: &str = "ON CONFLICT (user, alert_id) DO UPDATE SET parts = parts || ' ' || excluded.parts
    WHERE ' ' || parts || ' ' NOT LIKE '% ' || excluded.parts || ' %'";

/// Stores an alert. [`send_out`] sends it.
pub(crate) fn put(tx: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO alerts (id, content, source, sender, created_at, due_at, expires_at, everyone, roles, sender_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        alert.id,
        json(&alert.content)?,
        alert.source,
        alert.sender,
        alert.created_at.as_millisecond(),
        alert.content.starts_at.map(Timestamp::as_millisecond),
        alert.content.expires_at.map(Timestamp::as_millisecond),
        alert.content.audience.all,
        alert.content.audience.role_bits(),
        alert.sender_name,
    ])?;
    Ok(())
}

/// Sends a stored alert: resolves who is in its sections and courses now, and assigns its position in the sequence,
/// which it returns. Stores with each recipient the parts of the audience to which the recipient belongs
/// ([`crate::domain::audience::Membership`]).
pub(crate) fn send_out(
    tx: &Connection,
    id: &str,
    content: &AlertContent,
    now: &ZonedDateTime,
) -> rusqlite::Result<u64> {
    let mut add_user =
        tx.prepare_cached("INSERT OR IGNORE INTO alert_recipients (user, alert_id, parts) VALUES (?1, ?2, 'u')")?;
    for user in &content.audience.users {
        add_user.execute(params![user.0.as_str(), id])?;
    }
    for (at, section) in content.audience.sections.iter().enumerate() {
        tx.prepare_cached(&format!(
            "INSERT INTO alert_recipients (user, alert_id, parts)
             SELECT user, ?1, ?5 FROM registrations WHERE term = ?2 AND crn = ?3 AND standing = ?4 {ADD_PART}"
        ))?
        .execute(params![
            id,
            section.0.term.as_str(),
            section.0.crn.as_str(),
            RegistrationStatus::Enrolled.as_str(),
            format!("s{at}"),
        ])?;
    }
    for (at, course) in content.audience.courses.iter().enumerate() {
        tx.prepare_cached(&format!(
            "INSERT INTO alert_recipients (user, alert_id, parts)
             SELECT user, ?4, ?5 FROM ({ENROLLED_IN_COURSE}) WHERE true {ADD_PART}"
        ))?
        .execute(params![
            course,
            RegistrationStatus::Enrolled.as_str(),
            now.date().to_string(),
            id,
            format!("c{at}"),
        ])?;
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

/// Stores an alert, and sends it unless it is scheduled for later.
pub(super) fn post(tx: &Connection, mut alert: Alert, now: &ZonedDateTime) -> rusqlite::Result<Alert> {
    put(tx, &alert)?;
    if alert.content.starts_at.is_none_or(|start| start <= now.timestamp()) {
        alert.seq = Some(send_out(tx, &alert.id, &alert.content, now)?);
    }
    Ok(alert)
}

/// Cancels an alert. If the alert was sent, adds an entry to the sequence, which has the same recipients.
pub(super) fn cancel(tx: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<CancelOutcome> {
    let now_ms = now.as_millisecond();
    let found: Option<(bool, bool, bool)> = tx
        .prepare_cached(
            "SELECT cancelled_at IS NOT NULL, everyone = 1 OR roles <> 0,
                    EXISTS (SELECT 1 FROM alert_log WHERE alert_id = id) FROM alerts WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((was_cancelled, is_broad, was_sent)) = found else { return Ok(CancelOutcome::NotFound) };
    if was_cancelled {
        return Ok(CancelOutcome::Unannounced);
    }
    tx.prepare_cached("UPDATE alerts SET cancelled_at = ?2, due_at = NULL WHERE id = ?1")?.execute((id, now_ms))?;
    if !was_sent {
        return Ok(CancelOutcome::Unannounced);
    }
    tx.prepare_cached("INSERT INTO alert_log (alert_id, kind, at, broad) VALUES (?1, 'cancelled', ?2, ?3)")?
        .execute(params![id, now_ms, is_broad])?;
    last_seq(tx).map(CancelOutcome::Announced)
}

/// Corrects an alert, and sends it unless it is scheduled for later.
pub(super) fn correct(
    tx: &Connection,
    id: &str,
    new: AlertContent,
    now: &ZonedDateTime,
) -> rusqlite::Result<CorrectOutcome> {
    let found = tx
        .prepare_cached(
            "SELECT id, content, source, sender, created_at, sender_name,
                    EXISTS (SELECT 1 FROM alert_log WHERE alert_id = id)
             FROM alerts WHERE id = ?1 AND cancelled_at IS NULL",
        )?
        .query_row([id], |row| Ok((alert_at(row, 0, None)?, row.get::<_, bool>(6)?)))
        .optional()?;
    let Some((mut alert, is_sent)) = found else { return Ok(CorrectOutcome::NotFound) };
    alert.content = match alert.content.corrected(new, is_sent, now.timestamp()) {
        Ok(content) => content,
        Err(refusal) => return Ok(CorrectOutcome::Refused(refusal)),
    };
    let due_at = alert.content.starts_at.filter(|start| !is_sent && *start > now.timestamp());
    tx.prepare_cached(
        "UPDATE alerts SET content = ?2, due_at = ?3, expires_at = ?4, everyone = ?5, roles = ?6 WHERE id = ?1",
    )?
    .execute(params![
        id,
        json(&alert.content)?,
        due_at.map(Timestamp::as_millisecond),
        alert.content.expires_at.map(Timestamp::as_millisecond),
        alert.content.audience.all,
        alert.content.audience.role_bits(),
    ])?;
    let acks_deleted = tx.prepare_cached("DELETE FROM alert_acks WHERE alert_id = ?1")?.execute([id])?;
    if due_at.is_none() {
        alert.seq = Some(send_out(tx, id, &alert.content, now)?);
    }
    Ok(CorrectOutcome::Corrected { alert: Box::new(alert), acks_deleted: acks_deleted as u64 })
}

fn json(content: &AlertContent) -> rusqlite::Result<String> {
    serde_json::to_string(content).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// Returns when the next scheduled alert is due.
pub(super) fn next_due(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(due_at) FROM alerts WHERE due_at IS NOT NULL")?
        .query_row([], |row| maybe_time_at(row, 0))
}

/// Sends scheduled alerts that are due, soonest first. Cancels those that have expired, such as during an outage.
pub(super) fn release_due(tx: &Connection, now: &ZonedDateTime, limit: usize) -> rusqlite::Result<usize> {
    let now_ms = now.timestamp().as_millisecond();
    let expired = tx
        .prepare_cached("UPDATE alerts SET due_at = NULL, cancelled_at = ?1 WHERE due_at <= ?1 AND expires_at <= ?1")?
        .execute([now_ms])?;
    if expired > 0 {
        log::warn!("{expired} scheduled alerts expired before they could be sent, and were cancelled");
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

/// Deletes the oldest entries up to the first that is not older than `cutoff`, so that the stored range has no gaps,
/// and the alerts that have no entry left.
pub(super) fn delete_before(tx: &Connection, cutoff: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let deleted: Vec<String> = tx
        .prepare_cached(
            "DELETE FROM alert_log WHERE seq IN (
                 SELECT seq FROM alert_log
                 WHERE seq < coalesce((SELECT min(seq) FROM alert_log WHERE at >= ?1), 9223372036854775807)
                 ORDER BY seq LIMIT ?2)
             RETURNING alert_id",
        )?
        .query_map((cutoff.as_millisecond(), limit), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &deleted {
        let has_entry = tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM alert_log WHERE alert_id = ?1)")?
            .query_row([id], |row| row.get::<_, bool>(0))?;
        if !has_entry {
            tx.prepare_cached("DELETE FROM alert_recipients WHERE alert_id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM alert_acks WHERE alert_id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM cap_messages WHERE alert_id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM alerts WHERE id = ?1")?.execute([id])?;
        }
    }
    Ok(deleted.len())
}
