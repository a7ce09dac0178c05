//! Writes the sequence of alerts. [`crate::store::postgres::alert_log`] reads it.
//!
//! Positions come from a counter whose row a transaction locks until it ends, so that they are committed in their order
//! and without gaps. The row is locked as late as possible: new alerts and their recipients, which no other transaction
//! touches, are written before that.

use jiff::{Timestamp, ZonedDateTime};

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::registration::RegistrationStatus;
use crate::store::alerts::{CancelOutcome, CorrectOutcome};

use crate::store::postgres::alert_log::{ALERT_COLUMNS, alert_at};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::locks::{Lock, lock};
use crate::store::postgres::people::{maybe_text, text};
use crate::store::postgres::rows::{integer, json, json_at, maybe_time_at, number_at, text_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;

/// The students with the status `$2` (enrolled) in visible sections of the course `$1`, in terms that have not ended
/// on the date `$3`.
pub(super) const ENROLLED_IN_COURSE: &str = "
    SELECT DISTINCT r.username FROM sections AS s
    JOIN terms AS t ON t.id = s.term
    JOIN registrations AS r ON r.term = s.term AND r.crn = s.crn AND r.standing = $2
    WHERE s.course = $1 AND (t.ends_on IS NULL OR t.ends_on >= $3)
      AND s.generation = (SELECT max(v.generation) FROM sections AS v
                          WHERE v.term = s.term AND v.crn = s.crn AND v.generation <= t.generation)";

/// The students with the status `$3` (enrolled) in the section `$2` of the term `$1`.
pub(super) const ENROLLED_IN_SECTION: &str =
    "SELECT username FROM registrations WHERE term = $1 AND crn = $2 AND standing = $3";

/// Stores alerts, and sends those that are not scheduled for after `now`, in their order. Returns the position of each;
/// `None` for a scheduled one.
pub(super) async fn post(tx: &Tx, alerts: &[Alert], now: &ZonedDateTime) -> Result<Vec<Option<u64>>, Failure> {
    let is_due = |alert: &Alert| alert.content.starts_at.is_none_or(|start| start <= now.timestamp());
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "INSERT INTO alerts (id, content, source, sender, sender_name, created_at, due_at, expires_at, everyone,
                                   roles)
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let contents = alerts.iter().map(|alert| json(&alert.content)).collect::<Result<Vec<String>, Failure>>()?;
    let scheduled = |alert: &Alert| alert.content.starts_at.filter(|_| !is_due(alert)).map(Timestamp::as_millisecond);
    let values: &[&dyn Value] = &[
        &alerts.iter().map(|alert| alert.id.as_str()).collect::<Vec<_>>(),
        &contents,
        &alerts.iter().map(|alert| alert.source.as_str()).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| text(&alert.sender)).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| maybe_text(alert.sender_name.as_deref())).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| alert.created_at.as_millisecond()).collect::<Vec<_>>(),
        &alerts.iter().map(scheduled).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| alert.content.expires_at.map(Timestamp::as_millisecond)).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| alert.content.audience.all).collect::<Vec<_>>(),
        &alerts.iter().map(|alert| i64::from(alert.content.audience.role_bits())).collect::<Vec<_>>(),
    ];
    tx.execute(sql, values).await?;
    let due: Vec<(&str, &AlertContent)> =
        alerts.iter().filter(|alert| is_due(alert)).map(|alert| (alert.id.as_str(), &alert.content)).collect();
    let mut positions = send_out(tx, &due, now).await?.into_iter();
    Ok(alerts.iter().map(|alert| if is_due(alert) { positions.next() } else { None }).collect())
}

/// Sends stored alerts, in their order: resolves their recipients, and adds them to the sequence. Returns their
/// positions.
async fn send_out(tx: &Tx, alerts: &[(&str, &AlertContent)], now: &ZonedDateTime) -> Result<Vec<u64>, Failure> {
    add_named(tx, alerts).await?;
    for (id, content) in alerts {
        add_enrolled(tx, id, content, now).await?;
    }
    let ids: Vec<&str> = alerts.iter().map(|(id, _)| *id).collect();
    let broad = alerts.iter().map(|(_, content)| content.audience.all || content.audience.role_bits() != 0).collect();
    add_entries(tx, "alert", ids, broad, now.timestamp()).await
}

/// Adds the users whom alerts name to the recipients.
async fn add_named(tx: &Tx, alerts: &[(&str, &AlertContent)]) -> Result<(), Failure> {
    let sql = "INSERT INTO alert_recipients (username, alert_id, parts)
         SELECT DISTINCT n.username, n.alert_id, 'u' FROM unnest($1, $2) AS n (username, alert_id)
         ON CONFLICT DO NOTHING";
    let users = |content: &AlertContent| content.audience.users.len();
    let ids: Vec<&str> = alerts.iter().flat_map(|(id, content)| std::iter::repeat_n(*id, users(content))).collect();
    let named = alerts.iter().flat_map(|(_, content)| &content.audience.users);
    let named: Vec<&str> = named.map(|user| user.0.as_str()).collect();
    if !named.is_empty() {
        tx.execute(sql, &[&named, &ids]).await?;
    }
    Ok(())
}

/// Adds the students who are in the sections and courses of an alert now to its recipients. Stores with each the parts
/// of the audience to which the recipient belongs ([`crate::domain::audience::Membership`]). A corrected alert may
/// already have them.
async fn add_enrolled(tx: &Tx, id: &str, content: &AlertContent, now: &ZonedDateTime) -> Result<(), Failure> {
    let insert = |enrolled: &str| {
        format!(
            "INSERT INTO alert_recipients AS r (username, alert_id, parts)
             SELECT username, $4, $5 FROM ({enrolled}) AS enrolled
             ON CONFLICT (username, alert_id) DO UPDATE SET parts = r.parts || ' ' || excluded.parts
             WHERE ' ' || r.parts || ' ' NOT LIKE '% ' || excluded.parts || ' %'"
        )
    };
    let enrolled = RegistrationStatus::Enrolled.as_str();
    for (at, section) in content.audience.sections.iter().enumerate() {
        let (term, crn) = (section.0.term.as_str(), section.0.crn.as_str());
        tx.execute(&insert(ENROLLED_IN_SECTION), &[&term, &crn, &enrolled, &id, &format!("s{at}")]).await?;
    }
    for (at, course) in content.audience.courses.iter().enumerate() {
        let (course, date) = (text(course), now.date().to_string());
        tx.execute(&insert(ENROLLED_IN_COURSE), &[&course, &enrolled, &date, &id, &format!("c{at}")]).await?;
    }
    Ok(())
}

/// Adds entries to the sequence, and returns their positions. Locks the counter until the transaction ends.
async fn add_entries(
    tx: &Tx,
    kind: &str,
    alerts: Vec<&str>,
    broad: Vec<bool>,
    at: Timestamp,
) -> Result<Vec<u64>, Failure> {
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "UPDATE counters SET value = value + $1 WHERE name = 'alert_log' RETURNING value";
    let last: u64 = number_at(&tx.query_one(sql, &[&integer(alerts.len())]).await?, 0)?;
    let positions: Vec<u64> = (last + 1 - alerts.len() as u64..=last).collect();
    let sql = "INSERT INTO alert_log (seq, alert_id, kind, at, broad)
         SELECT n.seq, n.alert_id, $1, $2, n.broad FROM unnest($3, $4, $5) AS n (seq, alert_id, broad)";
    let seqs: Vec<i64> = positions.iter().map(|position| integer(*position)).collect();
    tx.execute(sql, &[&kind, &at.as_millisecond(), &seqs, &alerts, &broad]).await?;
    Ok(positions)
}

/// Cancels an alert. If the alert was sent, adds an entry to the sequence, which has the same recipients.
pub(super) async fn cancel(tx: &Tx, id: &str, now: Timestamp) -> Result<CancelOutcome, Failure> {
    // The lock makes another hub that cancels or sends the alert wait.
    let sql = "SELECT cancelled_at IS NOT NULL, everyone OR roles <> 0 FROM alerts WHERE id = $1 FOR UPDATE";
    let Some(found) = tx.query_opt(sql, &[&id]).await? else { return Ok(CancelOutcome::NotFound) };
    let (was_cancelled, is_broad): (bool, bool) = (found.try_get(0)?, found.try_get(1)?);
    if was_cancelled {
        return Ok(CancelOutcome::Unannounced);
    }
    let sql = "UPDATE alerts SET cancelled_at = $2, due_at = NULL WHERE id = $1";
    tx.execute(sql, &[&id, &now.as_millisecond()]).await?;
    let sql = "SELECT 1 FROM alert_log WHERE alert_id = $1 LIMIT 1";
    if tx.query_opt(sql, &[&id]).await?.is_none() {
        return Ok(CancelOutcome::Unannounced);
    }
    let positions = add_entries(tx, "cancelled", vec![id], vec![is_broad], now).await?;
    Ok(positions.first().map_or(CancelOutcome::Unannounced, |position| CancelOutcome::Announced(*position)))
}

/// Corrects an alert, and sends it unless it is scheduled for later.
pub(super) async fn correct(
    tx: &Tx,
    id: &str,
    new: AlertContent,
    now: &ZonedDateTime,
) -> Result<CorrectOutcome, Failure> {
    // The lock makes another hub that corrects, cancels or sends the alert wait.
    let sql = format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE id = $1 AND cancelled_at IS NULL FOR UPDATE");
    let Some(row) = tx.query_opt(&sql, &[&id]).await? else { return Ok(CorrectOutcome::NotFound) };
    let mut alert = alert_at(&row, 0, None)?;
    let is_sent = tx.query_opt("SELECT 1 FROM alert_log WHERE alert_id = $1 LIMIT 1", &[&id]).await?.is_some();
    alert.content = match alert.content.corrected(new, is_sent, now.timestamp()) {
        Ok(content) => content,
        Err(refusal) => return Ok(CorrectOutcome::Refused(refusal)),
    };
    let content = &alert.content;
    let due_at = content.starts_at.filter(|start| !is_sent && *start > now.timestamp());
    let sql = "UPDATE alerts SET content = $2, due_at = $3, expires_at = $4, everyone = $5, roles = $6 WHERE id = $1";
    let values: &[&dyn Value] = &[
        &id,
        &json(content)?,
        &due_at.map(Timestamp::as_millisecond),
        &content.expires_at.map(Timestamp::as_millisecond),
        &content.audience.all,
        &i64::from(content.audience.role_bits()),
    ];
    tx.execute(sql, values).await?;
    let acks_deleted = tx.execute("DELETE FROM alert_acks WHERE alert_id = $1", &[&id]).await?;
    if due_at.is_none() {
        alert.seq = send_out(tx, &[(id, content)], now).await?.first().copied();
    }
    Ok(CorrectOutcome::Corrected { alert: Box::new(alert), acks_deleted })
}

/// Returns when the next scheduled alert is due.
pub(super) async fn next_due(tx: &Tx) -> Result<Option<Timestamp>, Failure> {
    maybe_time_at(&tx.query_one("SELECT min(due_at) FROM alerts WHERE due_at IS NOT NULL", &[]).await?, 0)
}

/// Sends scheduled alerts that are due, soonest first. Cancels those that have expired, such as during an outage.
/// Leaves out alerts that another transaction sends or cancels at the same time.
pub(super) async fn release_due(tx: &Tx, now: &ZonedDateTime, limit: usize) -> Result<usize, Failure> {
    let now_ms = now.timestamp().as_millisecond();
    let sql = "UPDATE alerts SET due_at = NULL, cancelled_at = $1 WHERE id IN (
         SELECT id FROM alerts WHERE due_at <= $1 AND expires_at <= $1 FOR UPDATE SKIP LOCKED)";
    let expired = tx.execute(sql, &[&now_ms]).await?;
    if expired > 0 {
        log::warn!("{expired} scheduled alerts expired before they could be sent, and were cancelled");
    }
    let sql = "SELECT id, content FROM alerts WHERE due_at <= $1 AND (expires_at IS NULL OR expires_at > $1)
         ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED";
    let rows = tx.query(sql, &[&now_ms, &integer(limit)]).await?;
    let due: Vec<(&str, AlertContent)> =
        rows.iter().map(|row| Ok((text_at(row, 0)?, json_at(row, 1)?))).collect::<Result<_, Failure>>()?;
    let due: Vec<(&str, &AlertContent)> = due.iter().map(|(id, content)| (*id, content)).collect();
    let ids: Vec<&str> = due.iter().map(|(id, _)| *id).collect();
    tx.execute("UPDATE alerts SET due_at = NULL WHERE id = ANY ($1)", &[&ids]).await?;
    send_out(tx, &due, now).await?;
    Ok(due.len())
}

/// Deletes the oldest entries up to the first that is not older than `cutoff`, so that the stored range has no gaps,
/// and the alerts that have no entry left.
pub(super) async fn delete_before(tx: &Tx, cutoff: Timestamp, limit: usize) -> Result<usize, Failure> {
    lock(tx, Lock::Rewrite, "").await?;
    let sql = "DELETE FROM alert_log WHERE seq IN (
             SELECT seq FROM alert_log
             WHERE seq < coalesce((SELECT min(seq) FROM alert_log WHERE at >= $1), 9223372036854775807)
             ORDER BY seq LIMIT $2)
         RETURNING alert_id";
    let rows = tx.query(sql, &[&cutoff.as_millisecond(), &integer(limit)]).await?;
    let ids = rows.iter().map(|row| text_at(row, 0)).collect::<Result<Vec<_>, Failure>>()?;
    // An alert that is being cancelled gets one more entry. Its lock is free once that entry is visible.
    let sql = "SELECT id FROM alerts WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
    tx.query(sql, &[&ids]).await?;
    let sql = "DELETE FROM alerts AS a WHERE a.id = ANY ($1)
           AND NOT EXISTS (SELECT 1 FROM alert_log AS l WHERE l.alert_id = a.id)
         RETURNING a.id";
    let gone = tx.query(sql, &[&ids]).await?;
    let gone = gone.iter().map(|row| text_at(row, 0)).collect::<Result<Vec<_>, Failure>>()?;
    tx.execute("DELETE FROM alert_recipients WHERE alert_id = ANY ($1)", &[&gone]).await?;
    tx.execute("DELETE FROM alert_acks WHERE alert_id = ANY ($1)", &[&gone]).await?;
    tx.execute("DELETE FROM cap_messages WHERE alert_id = ANY ($1)", &[&gone]).await?;
    Ok(ids.len())
}
