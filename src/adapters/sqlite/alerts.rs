//! The one sequence of alerts: what went out, in order, and to whom.

use rusqlite::{Connection, params};

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::registration::Standing;

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
pub(crate) fn send_out(tx: &Connection, id: &str, content: &AlertContent, at_ms: i64) -> rusqlite::Result<u64> {
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
        tx.prepare_cached(
            "INSERT OR IGNORE INTO alert_recipients (user, alert_id)
             SELECT r.user, ?1 FROM sections AS s
             JOIN terms AS t ON t.id = s.term AND s.generation <= t.generation
             JOIN registrations AS r ON r.term = s.term AND r.crn = s.crn AND r.standing = ?3
             WHERE s.course = ?2 AND (t.ends_on IS NULL OR t.ends_on >= ?4)",
        )?
        .execute(params![id, course, Standing::Enrolled.as_str(), date_of(at_ms)])?;
    }
    tx.prepare_cached("UPDATE alerts SET due_at = NULL WHERE id = ?1")?.execute([id])?;
    tx.prepare_cached("INSERT INTO alert_log (alert_id, kind, at) VALUES (?1, 'alert', ?2)")?
        .execute(params![id, at_ms])?;
    u64::try_from(tx.last_insert_rowid()).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, 0))
}

/// The date (UTC) of a time, for comparing with a term's last day.
fn date_of(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map(|t| jiff::tz::TimeZone::UTC.to_datetime(t).date().to_string())
        .unwrap_or_default()
}
