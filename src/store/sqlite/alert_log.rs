//! Reads the sequence of alerts: for the broker, which sends them to all recipients, and for single readers.

use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, ZonedDateTime};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::domain::alert::{Alert, AlertContent};
use crate::domain::audience::{Audience, Membership};
use crate::domain::ids::UserName;
use crate::domain::registration::RegistrationStatus;
use crate::store::StoreFuture;
use crate::store::alerts::{
    Ack, AlertStore, CancelOutcome, CapCommand, CapOutcome, CorrectOutcome, Entry, LogEntry, Page, PublicAlert, Reader,
    Receipts, Recipients, Span, StoredRange,
};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{time_at, unreadable};
use crate::store::sqlite::{acks, alerts, cap_messages, public_alerts};

/// The columns that [`entry_at`] reads, of `alert_log AS l` joined with `alerts AS a`.
const ENTRY_COLUMNS: &str = "l.seq, l.kind, a.id, a.content, a.source, a.sender, a.created_at, a.sender_name";
/// The parts of the audience to which the reader `?1` belongs; null if the reader is not a stored recipient.
const READER_PARTS: &str = "(SELECT p.parts FROM alert_recipients AS p WHERE p.user = ?1 AND p.alert_id = a.id)";

/// The positions in (`?3`, `?4`] that a reader may see. `?1` is the username (null for a visitor), `?2` the role's
/// bit. The two parts use an index each: alerts for everyone or a role, and alerts for this user.
const VISIBLE: &str = "
    SELECT l.seq FROM alert_log AS l JOIN alerts AS a ON a.id = l.alert_id
    WHERE l.broad = 1 AND l.seq > ?3 AND l.seq <= ?4 AND (a.everyone = 1 OR a.roles & ?2 <> 0)
    UNION
    SELECT l.seq FROM alert_recipients AS r JOIN alert_log AS l ON l.alert_id = r.alert_id
    WHERE r.user = ?1 AND l.seq > ?3 AND l.seq <= ?4";

/// The alerts that are active at `?1`, without those that the hub itself sends to single students.
const SENT_BY_STAFF: &str = "
    SELECT l.seq, l.kind, a.id, a.content, a.source, a.sender, a.created_at, a.sender_name FROM alerts AS a
    JOIN alert_log AS l ON l.alert_id = a.id AND l.kind = 'alert'
    WHERE a.source <> 'registration' AND a.cancelled_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > ?1)
      AND NOT EXISTS (SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq)";

impl AlertStore for SqliteStore {
    fn post(&self, alert: Alert, now: ZonedDateTime) -> StoreFuture<Alert> {
        self.write(move |tx| alerts::post(tx, alert, &now))
    }

    fn cancel(&self, id: &str, now: Timestamp) -> StoreFuture<CancelOutcome> {
        let id = id.to_owned();
        self.write(move |tx| alerts::cancel(tx, &id, now))
    }

    fn correct(&self, id: &str, new: AlertContent, now: ZonedDateTime) -> StoreFuture<CorrectOutcome> {
        let id = id.to_owned();
        self.write(move |tx| alerts::correct(tx, &id, new, &now))
    }

    fn take_cap(&self, command: CapCommand, now: ZonedDateTime) -> StoreFuture<CapOutcome> {
        self.write(move |tx| cap_messages::take(tx, command, &now))
    }

    fn next_due(&self) -> StoreFuture<Option<Timestamp>> {
        self.read(alerts::next_due)
    }

    fn release_due(&self, now: ZonedDateTime, limit: usize) -> StoreFuture<usize> {
        self.write(move |tx| alerts::release_due(tx, &now, limit))
    }

    fn stored_range(&self) -> StoreFuture<StoredRange> {
        self.read(stored_range)
    }

    fn log_after(&self, seq: u64, limit: usize) -> StoreFuture<Vec<LogEntry>> {
        self.read(move |connection| log_after(connection, seq, limit))
    }

    fn visible_to(&self, reader: Reader, span: Span) -> StoreFuture<Page> {
        self.read(move |connection| {
            // One transaction, so that the end of the sequence matches the rows.
            let tx = connection.unchecked_transaction()?;
            let sql = format!(
                "SELECT {ENTRY_COLUMNS}, {READER_PARTS} FROM ({VISIBLE}) AS s JOIN alert_log AS l ON l.seq = s.seq
                 JOIN alerts AS a ON a.id = l.alert_id
                 WHERE l.kind <> 'alert' OR NOT EXISTS (
                     SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq AND n.kind = 'alert')
                 ORDER BY l.seq LIMIT ?5"
            );
            page(&tx, &sql, &reader, span, &[])
        })
    }

    fn active(&self, reader: Reader, span: Span, now: Timestamp) -> StoreFuture<Page> {
        self.read(move |connection| {
            let tx = connection.unchecked_transaction()?;
            let sql = format!(
                "SELECT {ENTRY_COLUMNS}, {READER_PARTS} FROM ({VISIBLE}) AS s
                 JOIN alert_log AS l ON l.seq = s.seq AND l.kind = 'alert' JOIN alerts AS a ON a.id = l.alert_id
                 WHERE a.cancelled_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > ?6)
                   AND NOT EXISTS (SELECT 1 FROM alert_log AS n WHERE n.alert_id = a.id AND n.seq > l.seq)
                 ORDER BY l.seq LIMIT ?5"
            );
            page(&tx, &sql, &reader, span, &[&now.as_millisecond()])
        })
    }

    fn alert(&self, id: &str) -> StoreFuture<Option<Alert>> {
        let id = id.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, content, source, sender, created_at, sender_name FROM alerts WHERE id = ?1",
                )?
                .query_row([id], |row| alert_at(row, 0, None))
                .optional()
        })
    }

    fn scheduled(&self, limit: usize) -> StoreFuture<Vec<Alert>> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, content, source, sender, created_at, sender_name FROM alerts
                     WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?1",
                )?
                .query_map([limit], |row| alert_at(row, 0, None))?
                .collect()
        })
    }

    fn sent_by_staff(&self, limit: usize, now: Timestamp) -> StoreFuture<Page> {
        self.read(move |connection| {
            let tx = connection.unchecked_transaction()?;
            let sql = format!("{SENT_BY_STAFF} ORDER BY l.seq DESC LIMIT ?2");
            let mut items: Vec<(u64, Entry)> = tx
                .prepare_cached(&sql)?
                .query_map(params![now.as_millisecond(), limit], entry_at)?
                .collect::<rusqlite::Result<_>>()?;
            items.reverse();
            Ok(Page { items, seq: stored_range(&tx)?.last })
        })
    }

    fn public(&self, limit: usize) -> StoreFuture<Vec<PublicAlert>> {
        self.read(move |connection| public_alerts::newest(connection, limit))
    }

    fn public_alert(&self, id: &str) -> StoreFuture<Option<PublicAlert>> {
        let id = id.to_owned();
        self.read(move |connection| public_alerts::one(connection, &id))
    }

    fn people_in(&self, audience: Audience, now: ZonedDateTime) -> StoreFuture<HashSet<UserName>> {
        self.read(move |connection| people_in(connection, &audience, &now))
    }

    fn ack(&self, acks: Vec<Ack>) -> StoreFuture<Vec<bool>> {
        self.write(move |tx| acks::ack(tx, &acks))
    }

    fn acked_by(&self, user: UserName, alerts: Vec<String>) -> StoreFuture<HashSet<String>> {
        self.read(move |connection| acks::acked_by(connection, &user, alerts))
    }

    fn receipts(&self, id: &str, limit: usize) -> StoreFuture<Option<Receipts>> {
        let id = id.to_owned();
        self.read(move |connection| acks::receipts(connection, &id, limit))
    }

    fn delete_before(&self, cutoff: Timestamp, limit: usize) -> StoreFuture<usize> {
        self.write(move |tx| alerts::delete_before(tx, cutoff, limit))
    }
}

fn stored_range(connection: &Connection) -> rusqlite::Result<StoredRange> {
    // `sqlite_sequence`, the table of AUTOINCREMENT, has the last position even after all entries were deleted.
    connection
        .prepare_cached(
            "SELECT coalesce((SELECT min(seq) FROM alert_log), last + 1), last FROM
             (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'alert_log'), 0) AS last)",
        )?
        .query_row([], |row| Ok(StoredRange { first: row.get(0)?, last: row.get(1)? }))
}

/// Reads an alert, whose columns begin at `first`.
pub(super) fn alert_at(row: &Row<'_>, first: usize, seq: Option<u64>) -> rusqlite::Result<Alert> {
    let content: String = row.get(first + 1)?;
    let content: AlertContent = serde_json::from_str(&content).map_err(|e| unreadable(first + 1, e))?;
    Ok(Alert {
        id: row.get(first)?,
        seq,
        content,
        source: row.get(first + 2)?,
        sender: row.get(first + 3)?,
        created_at: time_at(row, first + 4)?,
        sender_name: row.get(first + 5)?,
    })
}

/// Reads the parts of an audience to which a recipient belongs; the default if the column is null.
pub(super) fn membership_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Membership> {
    let parts: Option<String> = row.get(column)?;
    let unreadable = || unreadable(column, "not parts of an audience");
    parts.map_or_else(|| Ok(Membership::default()), |parts| Membership::parse(&parts).ok_or_else(unreadable))
}

fn entry_at(row: &Row<'_>) -> rusqlite::Result<(u64, Entry)> {
    let (seq, kind): (u64, String) = (row.get(0)?, row.get(1)?);
    let entry = if kind == "cancelled" {
        Entry::Cancelled(row.get(2)?)
    } else {
        Entry::Alert(Box::new(alert_at(row, 2, Some(seq))?))
    };
    Ok((seq, entry))
}

/// Reads a page with a query on [`VISIBLE`], whose limit is `?5`. `more` are the parameters from `?6` on.
fn page(tx: &Connection, sql: &str, reader: &Reader, span: Span, more: &[&dyn ToSql]) -> rusqlite::Result<Page> {
    let last = stored_range(tx)?.last;
    let until = span.until.unwrap_or(last).min(last);
    // A position that was never assigned means that the store was restored from a backup: everything stored is new to
    // the reader.
    let since = if span.since > last { 0 } else { span.since.min(until) };
    let (user, role_bits) = (reader.user.as_ref().map(UserName::as_str), reader.role_bits());
    let mut values: Vec<&dyn ToSql> = vec![&user, &role_bits, &since, &until, &span.limit];
    values.extend_from_slice(more);
    let own_entry = |row: &Row<'_>| {
        let (seq, entry) = entry_at(row)?;
        let membership = membership_at(row, 8)?;
        Ok(match entry {
            Entry::Alert(alert) => {
                (seq, Entry::Alert(Box::new(alert.for_reader(reader.identity(), &membership, &reader.office))))
            }
            Entry::Cancelled(_) => (seq, entry),
        })
    };
    let items: Vec<(u64, Entry)> =
        tx.prepare_cached(sql)?.query_map(values.as_slice(), own_entry)?.collect::<rusqlite::Result<_>>()?;
    let seq = if items.len() < span.limit { until } else { items.last().map_or(until, |item| item.0) };
    Ok(Page { items, seq })
}

fn log_after(connection: &Connection, seq: u64, limit: usize) -> rusqlite::Result<Vec<LogEntry>> {
    let tx = connection.unchecked_transaction()?;
    let sql = format!(
        "SELECT {ENTRY_COLUMNS}, a.everyone, a.roles FROM alert_log AS l JOIN alerts AS a ON a.id = l.alert_id
         WHERE l.seq > ?1 ORDER BY l.seq LIMIT ?2"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query((seq, limit))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, entry) = entry_at(row)?;
        let id: String = row.get(2)?;
        let recipients = recipients(&tx, &id, row.get(8)?, row.get(9)?)?;
        entries.push(LogEntry { seq, entry, recipients });
    }
    Ok(entries)
}

/// Reads the recipients of an alert that was sent.
pub(super) fn recipients(tx: &Connection, alert: &str, everyone: bool, roles: u8) -> rusqlite::Result<Recipients> {
    let mut statement =
        tx.prepare_cached("SELECT user, parts FROM alert_recipients WHERE alert_id = ?1 ORDER BY user")?;
    let mut rows = statement.query([alert])?;
    let (mut users, mut groups, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    let mut known: HashMap<Membership, u32> = HashMap::new();
    while let Some(row) = rows.next()? {
        users.push(UserName::stored(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?);
        let membership = membership_at(row, 1)?;
        let next = u32::try_from(memberships.len()).map_err(|e| unreadable(1, e))?;
        groups.push(*known.entry(membership).or_insert_with_key(|new| {
            memberships.push(new.clone());
            next
        }));
    }
    Ok(Recipients { everyone, roles, users: users.into(), groups: groups.into(), memberships: memberships.into() })
}

fn people_in(connection: &Connection, audience: &Audience, now: &ZonedDateTime) -> rusqlite::Result<HashSet<UserName>> {
    let mut people: HashSet<UserName> = audience.users.iter().map(|user| user.0.clone()).collect();
    let mut add_users = |sql: &str, values: &[&dyn ToSql]| -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        for user in statement.query_map(values, |row| row.get::<_, String>(0))? {
            people.insert(UserName::stored(&user?).map_err(|e| unreadable(0, e))?);
        }
        Ok(())
    };
    if audience.all {
        add_users("SELECT username FROM people UNION SELECT username FROM accounts", &[])?;
    }
    for role in &audience.roles {
        // The role of a local account takes precedence over the role in its last token.
        add_users(
            "SELECT username FROM accounts WHERE role = ?1 UNION SELECT username FROM people
             WHERE role = ?1 AND username NOT IN (SELECT username FROM accounts)",
            params![role.as_str()],
        )?;
    }
    let enrolled = RegistrationStatus::Enrolled.as_str();
    for section in &audience.sections {
        add_users(
            "SELECT user FROM registrations WHERE term = ?1 AND crn = ?2 AND standing = ?3",
            params![section.0.term.as_str(), section.0.crn.as_str(), enrolled],
        )?;
    }
    for course in &audience.courses {
        add_users(alerts::ENROLLED_IN_COURSE, params![course, enrolled, now.date().to_string()])?;
    }
    Ok(people)
}
