//! Carries out CAP messages, each once.

use jiff::ZonedDateTime;

use crate::domain::cap::CapId;
use crate::store::alerts::{CancelOutcome, CapAction, CapCommand, CapOutcome, CapReference, CorrectOutcome};

use crate::store::postgres::alerts;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::text;
use crate::store::postgres::transaction::{Tx, Work};

/// Carries out a message. Its id is stored first, so that another hub with the same message waits for this transaction.
pub(super) async fn take(tx: &Tx, command: CapCommand, now: &ZonedDateTime) -> Result<Work<CapOutcome>, Failure> {
    let CapCommand { id, action, references } = command;
    if let Some(alert) = alert_of(tx, &id).await? {
        return Ok(Work::Nothing(CapOutcome::Repeated(alert)));
    }
    let known = match &action {
        CapAction::Send(alert) => vec![alert.id.clone()],
        CapAction::Correct(_) | CapAction::Cancel => resolve(tx, &references).await?,
    };
    let Some(first) = known.first() else { return Ok(Work::Nothing(CapOutcome::Unknown)) };
    if !store(tx, &id, first).await? {
        let alert = alert_of(tx, &id).await?;
        return Ok(Work::Nothing(alert.map_or(CapOutcome::Unknown, CapOutcome::Repeated)));
    }
    let outcome = match action {
        CapAction::Send(mut alert) => {
            alert.seq = alerts::post(tx, std::slice::from_ref(&*alert), now).await?.pop().flatten();
            CapOutcome::Sent(alert)
        }
        CapAction::Correct(_) if known.len() > 1 => CapOutcome::Several,
        CapAction::Correct(content) => match alerts::correct(tx, first, *content, now).await? {
            CorrectOutcome::NotFound => CapOutcome::Unknown,
            CorrectOutcome::Refused(refusal) => CapOutcome::Refused(refusal),
            CorrectOutcome::Corrected { alert, acks_deleted } => CapOutcome::Corrected { alert, acks_deleted },
        },
        CapAction::Cancel => cancel(tx, known, now).await?,
    };
    Ok(match outcome {
        CapOutcome::Sent(_) | CapOutcome::Corrected { .. } | CapOutcome::Cancelled { .. } => Work::Commit(outcome),
        CapOutcome::Repeated(_) | CapOutcome::Unknown | CapOutcome::Several | CapOutcome::Refused(_) => {
            Work::Nothing(outcome)
        }
    })
}

/// Cancels alerts, in the order of their ids: transactions lock the rows of alerts in this order.
async fn cancel(tx: &Tx, mut alerts: Vec<String>, now: &ZonedDateTime) -> Result<CapOutcome, Failure> {
    alerts.sort_unstable();
    let (mut cancelled, mut seq) = (Vec::new(), None);
    for alert in alerts {
        match alerts::cancel(tx, &alert, now.timestamp()).await? {
            CancelOutcome::NotFound => continue,
            CancelOutcome::Unannounced => {}
            CancelOutcome::Announced(position) => seq = Some(position),
        }
        cancelled.push(alert);
    }
    Ok(if cancelled.is_empty() { CapOutcome::Unknown } else { CapOutcome::Cancelled { alerts: cancelled, seq } })
}

/// Returns the alert on which a message was carried out.
async fn alert_of(tx: &Tx, id: &CapId) -> Result<Option<String>, Failure> {
    let sql = "SELECT alert_id FROM cap_messages WHERE sender = $1 AND identifier = $2 AND sent = $3";
    let row = tx.query_opt(sql, &[&text(&id.sender), &text(&id.identifier), &id.sent.as_millisecond()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Stores that a message is carried out on an alert. Returns false if it had been carried out before.
async fn store(tx: &Tx, id: &CapId, alert: &str) -> Result<bool, Failure> {
    let sql = "INSERT INTO cap_messages (sender, identifier, sent, alert_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING";
    let values = (text(&id.sender), text(&id.identifier), id.sent.as_millisecond());
    Ok(tx.execute(sql, &[&values.0, &values.1, &values.2, &alert]).await? > 0)
}

/// Returns the alerts to which references refer, each once.
async fn resolve(tx: &Tx, references: &[CapReference]) -> Result<Vec<String>, Failure> {
    let mut known = Vec::new();
    for reference in references {
        let alert = match reference {
            CapReference::Message(id) => alert_of(tx, id).await?,
            CapReference::Alert(id) => {
                let row = tx.query_opt("SELECT id FROM alerts WHERE id = $1", &[&text(id)]).await?;
                row.map(|row| row.try_get(0)).transpose()?
            }
        };
        known.extend(alert.filter(|alert| !known.contains(alert)));
    }
    Ok(known)
}
