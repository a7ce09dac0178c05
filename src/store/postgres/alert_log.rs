//! Reads the sequence of alerts: for the broker, which sends them to all recipients, and for single readers.

use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, ZonedDateTime};
use tokio_postgres::Row;

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::audience::{Audience, Membership};
use crate::domain::ids::UserName;
use crate::domain::registration::RegistrationStatus;
use crate::store::StoreFuture;
use crate::store::alerts::{
    Ack, AlertStore, CancelOutcome, CapCommand, CapOutcome, CorrectOutcome, Entry, LogEntry, Page, PublicAlert, Reader,
    Receipts, Recipients, Span, StoredRange,
};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::text;
use crate::store::postgres::rows::{integer, json_at, maybe_text_at, number_at, text_at, time_at, user_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;
use crate::store::postgres::{PostgresStore, acks, alerts, cap_messages, public_alerts};

/// The columns that [`entry_at`] reads, of `alert_log AS l` joined with `alerts AS a`.
const ENTRY_COLUMNS: &str = "l.seq, l.kind, a.id, a.content, a.source, a.sender, a.created_at, a.sender_name";
/// The parts of the audience to which the reader `$1` belongs; null if the reader is not a stored recipient.
const READER_PARTS: &str = "(SELECT p.parts FROM alert_recipients AS p WHERE p.username = $1 AND p.alert_id = a.id)";

/// The positions in (`$3`, `$4`] that a reader may see. `$1` is the username (null for a visitor), `$2` the role's
/// bit. The two parts use an index each: alerts for everyone or a role, and alerts for this user.
const VISIBLE: &str = "
    SELECT l.seq FROM alert_log AS l JOIN alerts AS a ON a.id = l.alert_id
    WHERE l.broad AND l.seq > $3 AND l.seq <= $4 AND (a.everyone OR a.roles & $2 <> 0)
    UNION
    SELECT l.seq FROM alert_recipients AS r JOIN alert_log AS l ON l.alert_id = r.alert_id
    WHERE r.username = $1 AND l.seq > $3 AND l.seq <= $4";

/// The alerts that are active at `$1`, without those that the hub itself sends to single students, newest first.
const SENT_BY_STAFF: &str = "
    SELECT l.seq, l.kind, a.id, a.content, a.source, a.sender, a.created_at, a.sender_name FROM alerts AS a
    JOIN alert_log AS l ON l.alert_id = a.id AND l.kind = 'alert'
    WHERE a.source <> 'registration' AND a.cancelled_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > $1)
      AND NOT EXISTS (SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq)
    ORDER BY l.seq DESC LIMIT $2";

/// The columns of `alerts` that [`alert_at`] reads.
pub(super) const ALERT_COLUMNS: &str = "id, content, source, sender, created_at, sender_name";

async fn stored_range(tx: &Tx) -> Result<StoredRange, Failure> {
    let sql = "SELECT coalesce((SELECT min(seq) FROM alert_log), value + 1), value FROM counters
         WHERE name = 'alert_log'";
    let row = tx.query_one(sql, &[]).await?;
    Ok(StoredRange { first: number_at(&row, 0)?, last: number_at(&row, 1)? })
}

/// Reads an alert, whose columns begin at `first`.
pub(super) fn alert_at(row: &Row, first: usize, seq: Option<u64>) -> Result<Alert, Failure> {
    Ok(Alert {
        id: row.try_get(first)?,
        seq,
        content: json_at(row, first + 1)?,
        source: row.try_get(first + 2)?,
        sender: row.try_get(first + 3)?,
        created_at: time_at(row, first + 4)?,
        sender_name: row.try_get(first + 5)?,
    })
}

/// Reads the parts of an audience to which a recipient belongs; the default if the column is null.
fn membership_at(row: &Row, column: usize) -> Result<Membership, Failure> {
    let parts = maybe_text_at(row, column)?;
    let unreadable = || Failure::unreadable(column, "not parts of an audience");
    parts.map_or_else(|| Ok(Membership::default()), |parts| Membership::parse(parts).ok_or_else(unreadable))
}

/// Reads [`ENTRY_COLUMNS`].
fn entry_at(row: &Row) -> Result<(u64, Entry), Failure> {
    let seq = number_at(row, 0)?;
    let entry = if text_at(row, 1)? == "cancelled" {
        Entry::Cancelled(row.try_get(2)?)
    } else {
        Entry::Alert(Box::new(alert_at(row, 2, Some(seq))?))
    };
    Ok((seq, entry))
}

/// Reads a page with a query on [`VISIBLE`], whose limit is `$5`. `more` are the parameters from `$6` on.
async fn page(tx: &Tx, sql: &str, reader: &Reader, span: Span, more: &[&dyn Value]) -> Result<Page, Failure> {
    let last = stored_range(tx).await?.last;
    let until = span.until.unwrap_or(last).min(last);
    // A position that was never assigned means that the store was restored from a backup: everything stored is new to
    // the reader.
    let since = if span.since > last { 0 } else { span.since.min(until) };
    let (user, role_bits) = (reader.user.as_ref().map(UserName::as_str), i64::from(reader.role_bits()));
    let (since, to, limit) = (integer(since), integer(until), integer(span.limit));
    let mut values: Vec<&dyn Value> = vec![&user, &role_bits, &since, &to, &limit];
    values.extend_from_slice(more);
    let own_entry = |row: &Row| {
        let (seq, entry) = entry_at(row)?;
        let membership = membership_at(row, 8)?;
        Ok(match entry {
            Entry::Alert(alert) => {
                (seq, Entry::Alert(Box::new(alert.for_reader(reader.identity(), &membership, &reader.office))))
            }
            Entry::Cancelled(_) => (seq, entry),
        })
    };
    let items = tx.query(sql, &values).await?.iter().map(own_entry).collect::<Result<Vec<_>, Failure>>()?;
    let seq = if items.len() < span.limit { until } else { items.last().map_or(until, |item| item.0) };
    Ok(Page { items, seq })
}

async fn visible_to(tx: &Tx, reader: &Reader, span: Span) -> Result<Page, Failure> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS}, {READER_PARTS} FROM ({VISIBLE}) AS s JOIN alert_log AS l ON l.seq = s.seq
         JOIN alerts AS a ON a.id = l.alert_id
         WHERE l.kind <> 'alert' OR NOT EXISTS (
             SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq AND n.kind = 'alert')
         ORDER BY l.seq LIMIT $5"
    );
    page(tx, &sql, reader, span, &[]).await
}

async fn active(tx: &Tx, reader: &Reader, span: Span, now: Timestamp) -> Result<Page, Failure> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS}, {READER_PARTS} FROM ({VISIBLE}) AS s
         JOIN alert_log AS l ON l.seq = s.seq AND l.kind = 'alert' JOIN alerts AS a ON a.id = l.alert_id
         WHERE a.cancelled_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > $6)
           AND NOT EXISTS (SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq)
         ORDER BY l.seq LIMIT $5"
    );
    page(tx, &sql, reader, span, &[&now.as_millisecond()]).await
}

async fn log_after(tx: &Tx, seq: u64, limit: usize) -> Result<Vec<LogEntry>, Failure> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS}, a.everyone, a.roles FROM alert_log AS l JOIN alerts AS a ON a.id = l.alert_id
         WHERE l.seq > $1 ORDER BY l.seq LIMIT $2"
    );
    let mut entries = Vec::new();
    for row in tx.query(&sql, &[&integer(seq), &integer(limit)]).await? {
        let (seq, entry) = entry_at(&row)?;
        let recipients = recipients(tx, text_at(&row, 2)?, row.try_get(8)?, number_at(&row, 9)?).await?;
        entries.push(LogEntry { seq, entry, recipients });
    }
    Ok(entries)
}

/// Reads the recipients of an alert that was sent.
pub(super) async fn recipients(tx: &Tx, alert: &str, everyone: bool, roles: u8) -> Result<Recipients, Failure> {
    let sql = "SELECT username, parts FROM alert_recipients WHERE alert_id = $1 ORDER BY username";
    let (mut users, mut groups, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    let mut known: HashMap<Membership, u32> = HashMap::new();
    for row in tx.query(sql, &[&alert]).await? {
        users.push(user_at(&row, 0)?);
        let membership = membership_at(&row, 1)?;
        let next = u32::try_from(memberships.len()).map_err(|e| Failure::unreadable(1, e))?;
        groups.push(*known.entry(membership).or_insert_with_key(|new| {
            memberships.push(new.clone());
            next
        }));
    }
    Ok(Recipients { everyone, roles, users: users.into(), groups: groups.into(), memberships: memberships.into() })
}

async fn people_in(tx: &Tx, audience: &Audience, now: &ZonedDateTime) -> Result<HashSet<UserName>, Failure> {
    let mut people: HashSet<UserName> = audience.users.iter().map(|user| user.0.clone()).collect();
    let mut add_users = async |sql: &str, values: &[&dyn Value]| -> Result<(), Failure> {
        for row in tx.query(sql, values).await? {
            people.insert(user_at(&row, 0)?);
        }
        Ok(())
    };
    if audience.all {
        add_users("SELECT username FROM people UNION SELECT username FROM accounts", &[]).await?;
    }
    for role in &audience.roles {
        // The role of a local account takes precedence over the role in its last token.
        let sql = "SELECT username FROM accounts WHERE role = $1 UNION SELECT p.username FROM people AS p
             WHERE p.role = $1 AND NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)";
        add_users(sql, &[&role.as_str()]).await?;
    }
    let enrolled = RegistrationStatus::Enrolled.as_str();
    for section in &audience.sections {
        let (term, crn) = (section.0.term.as_str(), section.0.crn.as_str());
        add_users(alerts::ENROLLED_IN_SECTION, &[&term, &crn, &enrolled]).await?;
    }
    for course in &audience.courses {
        add_users(alerts::ENROLLED_IN_COURSE, &[&text(course), &enrolled, &now.date().to_string()]).await?;
    }
    Ok(people)
}

async fn sent_by_staff(tx: &Tx, limit: usize, now: Timestamp) -> Result<Page, Failure> {
    let rows = tx.query(SENT_BY_STAFF, &[&now.as_millisecond(), &integer(limit)]).await?;
    let items = rows.iter().rev().map(entry_at).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Page { items, seq: stored_range(tx).await?.last })
}

impl AlertStore for PostgresStore {
    fn post(&self, alert: Alert, now: ZonedDateTime) -> StoreFuture<Alert> {
        self.write(async move |tx| {
            let seq = alerts::post(tx, std::slice::from_ref(&alert), &now).await?.pop().flatten();
            Ok(Alert { seq, ..alert.clone() })
        })
    }

    fn alert(&self, id: &str) -> StoreFuture<Option<Alert>> {
        let id = text(id);
        self.read(async move |tx| {
            let sql = format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE id = $1");
            tx.query_opt(&sql, &[&id]).await?.map(|row| alert_at(&row, 0, None)).transpose()
        })
    }

    fn cancel(&self, id: &str, now: Timestamp) -> StoreFuture<CancelOutcome> {
        let id = text(id);
        self.write(async move |tx| alerts::cancel(tx, &id, now).await)
    }

    fn correct(&self, id: &str, new: AlertContent, now: ZonedDateTime) -> StoreFuture<CorrectOutcome> {
        let id = text(id);
        self.write(async move |tx| alerts::correct(tx, &id, new.clone(), &now).await)
    }

    fn take_cap(&self, command: CapCommand, now: ZonedDateTime) -> StoreFuture<CapOutcome> {
        self.write_if(async move |tx| cap_messages::take(tx, command.clone(), &now).await)
    }

    fn next_due(&self) -> StoreFuture<Option<Timestamp>> {
        self.read(async |tx| alerts::next_due(tx).await)
    }

    fn release_due(&self, now: ZonedDateTime, limit: usize) -> StoreFuture<usize> {
        self.write(async move |tx| alerts::release_due(tx, &now, limit).await)
    }

    fn stored_range(&self) -> StoreFuture<StoredRange> {
        self.read(async |tx| stored_range(tx).await)
    }

    fn log_after(&self, seq: u64, limit: usize) -> StoreFuture<Vec<LogEntry>> {
        self.read(async move |tx| log_after(tx, seq, limit).await)
    }

    fn visible_to(&self, reader: Reader, span: Span) -> StoreFuture<Page> {
        self.read(async move |tx| visible_to(tx, &reader, span).await)
    }

    fn active(&self, reader: Reader, span: Span, now: Timestamp) -> StoreFuture<Page> {
        self.read(async move |tx| active(tx, &reader, span, now).await)
    }

    fn scheduled(&self, limit: usize) -> StoreFuture<Vec<Alert>> {
        self.read(async move |tx| {
            let sql =
                format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT $1");
            tx.query(&sql, &[&integer(limit)]).await?.iter().map(|row| alert_at(row, 0, None)).collect()
        })
    }

    fn sent_by_staff(&self, limit: usize, now: Timestamp) -> StoreFuture<Page> {
        self.read(async move |tx| sent_by_staff(tx, limit, now).await)
    }

    fn public(&self, limit: usize) -> StoreFuture<Vec<PublicAlert>> {
        self.read(async move |tx| public_alerts::newest(tx, limit).await)
    }

    fn public_alert(&self, id: &str) -> StoreFuture<Option<PublicAlert>> {
        let id = text(id);
        self.read(async move |tx| public_alerts::one(tx, &id).await)
    }

    fn people_in(&self, audience: Audience, now: ZonedDateTime) -> StoreFuture<HashSet<UserName>> {
        self.read(async move |tx| people_in(tx, &audience, &now).await)
    }

    fn ack(&self, acks: Vec<Ack>) -> StoreFuture<Vec<bool>> {
        self.write(async move |tx| acks::ack(tx, &acks).await)
    }

    fn acked_by(&self, user: UserName, alerts: Vec<String>) -> StoreFuture<HashSet<String>> {
        self.read(async move |tx| acks::acked_by(tx, &user, &alerts).await)
    }

    fn receipts(&self, id: &str, limit: usize) -> StoreFuture<Option<Receipts>> {
        let id = text(id);
        self.read(async move |tx| acks::receipts(tx, &id, limit).await)
    }

    fn delete_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(async move |tx| alerts::delete_before(tx, cutoff, limit).await)
    }
}
