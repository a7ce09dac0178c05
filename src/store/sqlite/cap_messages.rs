//! Carries out CAP messages, each once.

use jiff::ZonedDateTime;
use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::cap::CapId;
use crate::store::alerts::{CancelOutcome, CapAction, CapCommand, CapOutcome, CapReference, CorrectOutcome};

use crate::store::sqlite::alerts;

/// Carries out a message. There is only one writer, so no other message is carried out in between.
pub(super) fn take(tx: &Connection, command: CapCommand, now: &ZonedDateTime) -> rusqlite::Result<CapOutcome> {
    let CapCommand { id, action, references } = command;
    if let Some(alert) = alert_of(tx, &id)? {
        return Ok(CapOutcome::Repeated(alert));
    }
    let (alert, outcome) = match action {
        CapAction::Send(alert) => {
            let alert = alerts::post(tx, *alert, now)?;
            (alert.id.clone(), CapOutcome::Sent(Box::new(alert)))
        }
        CapAction::Correct(content) => {
            let known = resolve(tx, &references)?;
            let [alert] = known.as_slice() else {
                return Ok(if known.is_empty() { CapOutcome::Unknown } else { CapOutcome::Several });
            };
            match alerts::correct(tx, alert, *content, now)? {
                CorrectOutcome::NotFound => return Ok(CapOutcome::Unknown),
                CorrectOutcome::Refused(refusal) => return Ok(CapOutcome::Refused(refusal)),
                CorrectOutcome::Corrected { alert, acks_deleted } => {
                    (alert.id.clone(), CapOutcome::Corrected { alert, acks_deleted })
                }
            }
        }
        CapAction::Cancel => {
            let (mut cancelled, mut seq) = (Vec::new(), None);
            for alert in resolve(tx, &references)? {
                match alerts::cancel(tx, &alert, now.timestamp())? {
                    CancelOutcome::NotFound => continue,
                    CancelOutcome::Unannounced => {}
                    CancelOutcome::Announced(position) => seq = Some(position),
                }
                cancelled.push(alert);
            }
            let Some(first) = cancelled.first().cloned() else { return Ok(CapOutcome::Unknown) };
            (first, CapOutcome::Cancelled { alerts: cancelled, seq })
        }
    };
    tx.prepare_cached("INSERT INTO cap_messages (sender, identifier, sent, alert_id) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.sender, id.identifier, id.sent.as_millisecond(), alert])?;
    Ok(outcome)
}

/// Returns the alert on which a message was carried out.
fn alert_of(tx: &Connection, id: &CapId) -> rusqlite::Result<Option<String>> {
    tx.prepare_cached("SELECT alert_id FROM cap_messages WHERE sender = ?1 AND identifier = ?2 AND sent = ?3")?
        .query_row(params![id.sender, id.identifier, id.sent.as_millisecond()], |row| row.get(0))
        .optional()
}

/// Returns the alerts to which references refer, each once.
fn resolve(tx: &Connection, references: &[CapReference]) -> rusqlite::Result<Vec<String>> {
    let mut known = Vec::new();
    for reference in references {
        let alert = match reference {
            CapReference::Message(id) => alert_of(tx, id)?,
            CapReference::Alert(id) => tx
                .prepare_cached("SELECT id FROM alerts WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?,
        };
        known.extend(alert.filter(|alert| !known.contains(alert)));
    }
    Ok(known)
}
