//! What the embedded store has about one person: its export, and its erasure.

use jiff::ZonedDateTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::alert::AlertContent;
use crate::domain::audience::UserRef;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::store::StoreFuture;
use crate::store::privacy::{
    Erasure, ErasureOutcome, PersonalAck, PersonalAlert, PersonalRecord, PrivacyStore, ProviderSignIn,
};

use crate::store::sqlite::rights::rights_at;
use crate::store::sqlite::rows::{json, json_at, maybe_time_at, registration_at, term_id_at, time_at, unreadable};
use crate::store::sqlite::{
    SqliteStore, accounts, attempts, audit, guardian_links, marks, plans, provider_sign_ins, schedule_feeds, sign_ins,
    students,
};

/// The person `?1`, with the name and role of the account or of the last token.
const USER: &str = "
    SELECT ?1, coalesce(a.name, p.name), coalesce(a.role, p.role), iif(a.name IS NULL, p.source, 'local'), p.last_seen, a.subjects
    FROM (SELECT 1) LEFT JOIN accounts AS a ON a.username = ?1 LEFT JOIN people AS p ON p.username = ?1
    WHERE a.name IS NOT NULL OR p.name IS NOT NULL";
/// The registrations of the person `?1` in all terms. They are read by term, because the table has no index on users
/// alone.
const REGISTRATIONS: &str = "
    SELECT r.user, r.crn, r.standing, r.place, r.at, r.passed, r.reserved_for, r.offer_until, r.remind_at,
        r.choices, r.term
    FROM terms AS t CROSS JOIN registrations AS r ON r.term = t.id AND r.user = ?1 ORDER BY r.term, r.at, r.crn";
/// The terms that have not ended as of the date `?2` and in which the person `?1` has a registration with a status
/// other than `?3`.
const REGISTERED: &str = "
    SELECT t.id FROM terms AS t WHERE (t.ends_on IS NULL OR t.ends_on >= ?2)
      AND EXISTS (SELECT 1 FROM registrations AS r WHERE r.term = t.id AND r.user = ?1 AND r.standing <> ?3)
    ORDER BY t.id";

fn record_of(connection: &Connection, user: &UserName) -> rusqlite::Result<PersonalRecord> {
    // One transaction, so that all parts are of the same commit.
    let tx = connection.unchecked_transaction()?;
    let name = user.as_str();
    let sign_in = |row: &Row<'_>| {
        Ok(ProviderSignIn {
            login: row.get(0)?,
            name: row.get(1)?,
            rights: rights_at(row, 2, 4)?,
            at: time_at(row, 3)?,
        })
    };
    Ok(PersonalRecord {
        user: tx.prepare_cached(USER)?.query_row([name], accounts::user_at).optional()?,
        provider: tx
            .prepare_cached("SELECT login, name, role, signed_in_at, subjects FROM plone_members WHERE user = ?1")?
            .query_row([name], sign_in)
            .optional()?,
        single_sign_on: tx
            .prepare_cached(&format!(
                "SELECT {} FROM provider_users WHERE username = ?1",
                provider_sign_ins::USER_COLUMNS
            ))?
            .query_row([name], provider_sign_ins::user_at)
            .optional()?,
        sign_ins: tx
            .prepare_cached(
                "SELECT id, user, device, address, since, last_seen, expires_at FROM sign_ins WHERE user = ?1
                 ORDER BY since, id",
            )?
            .query_map([name], sign_ins::sign_in_at)?
            .collect::<rusqlite::Result<_>>()?,
        guardian_links: tx
            .prepare_cached(
                "SELECT id, user, label, created_at, expires_at FROM guardian_links WHERE user = ?1
                 ORDER BY created_at, id",
            )?
            .query_map([name], guardian_links::link_at)?
            .collect::<rusqlite::Result<_>>()?,
        schedule_feed: schedule_feeds::feed_of(&tx, user)?,
        second_factor_since: tx
            .prepare_cached("SELECT since FROM second_factors WHERE username = ?1")?
            .query_row([name], |row| time_at(row, 0))
            .optional()?,
        revoked_until: tx
            .prepare_cached(
                "SELECT max(at) FROM (SELECT valid_from AS at FROM tokens_valid_from WHERE username = ?1
                                      UNION ALL SELECT at FROM plone_sign_ins_ended WHERE user = ?1)",
            )?
            .query_row([name], |row| maybe_time_at(row, 0))?,
        facts: students::facts_of(&tx, user)?,
        plans: plans::plans_of(&tx, user)?,
        registrations: registrations(&tx, user)?,
        attempt_terms: attempts::terms_of(&tx, user)?,
    })
}

fn registrations(tx: &Connection, user: &UserName) -> rusqlite::Result<Vec<(TermId, Registration)>> {
    let of_term = |row: &Row<'_>| Ok((term_id_at(row, 10)?, registration_at(row)?.1));
    tx.prepare_cached(REGISTRATIONS)?.query_map([user.as_str()], of_term)?.collect()
}

impl PrivacyStore for SqliteStore {
    fn record_of(&self, user: &UserName) -> StoreFuture<PersonalRecord> {
        let user = user.clone();
        self.read(move |connection| record_of(connection, &user))
    }

    fn alerts_to(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAlert>> {
        let user = user.clone();
        self.read(move |connection| {
            let alert = |row: &Row<'_>| {
                let AlertContent { title, message, .. } = json_at(row, 1)?;
                Ok(PersonalAlert { id: row.get(0)?, title, message, created_at: time_at(row, 2)? })
            };
            connection
                .prepare_cached(
                    "SELECT a.id, a.content, a.created_at FROM alert_recipients AS r JOIN alerts AS a ON a.id = r.alert_id
                     WHERE r.user = ?1 AND r.alert_id > ?2 ORDER BY r.alert_id LIMIT ?3",
                )?
                .query_map(params![user.as_str(), after.unwrap_or_default(), limit], alert)?
                .collect()
        })
    }

    fn acks_of(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAck>> {
        let user = user.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT alert_id, at FROM alert_acks WHERE user = ?1 AND alert_id > ?2 ORDER BY alert_id LIMIT ?3",
                )?
                .query_map(params![user.as_str(), after.unwrap_or_default(), limit], |row| {
                    Ok(PersonalAck { alert: row.get(0)?, at: time_at(row, 1)? })
                })?
                .collect()
        })
    }

    fn current_terms_of(&self, user: &UserName, now: ZonedDateTime) -> StoreFuture<Vec<TermId>> {
        let user = user.clone();
        self.read(move |connection| current_terms(connection, &user, &now))
    }

    fn erase(&self, erasure: Erasure) -> StoreFuture<ErasureOutcome> {
        let has_outbox = self.inner.options.outbox.is_some();
        self.write(move |tx| erase(tx, &erasure, has_outbox))
    }
}

fn current_terms(connection: &Connection, user: &UserName, now: &ZonedDateTime) -> rusqlite::Result<Vec<TermId>> {
    let values = params![user.as_str(), now.date().to_string(), RegistrationStatus::Dropped.as_str()];
    connection.prepare_cached(REGISTERED)?.query_map(values, |row| term_id_at(row, 0))?.collect()
}

fn erase(tx: &Connection, erasure: &Erasure, has_outbox: bool) -> rusqlite::Result<ErasureOutcome> {
    let Erasure { user, login, pseudonym, now } = erasure;
    let held = current_terms(tx, user, now)?;
    if !held.is_empty() {
        return Ok(ErasureOutcome::Registered(held));
    }
    let mut terms: Vec<TermId> = Vec::new();
    for (term, registration) in registrations(tx, user)? {
        rename_registration(tx, erasure, &term, &registration)?;
        if has_outbox {
            marks::mark(tx, &term, [&registration.crn], now.timestamp())?;
        }
        terms.push(term);
    }
    terms.extend(attempts::erase(tx, user, pseudonym)?);
    terms.sort_unstable();
    terms.dedup();
    let changed = delete_rows(tx, user)?
        + rename_alerts(tx, user, pseudonym)?
        + rename_audit(tx, user, login.as_deref(), pseudonym)?;
    if terms.is_empty() && changed == 0 {
        return Ok(ErasureOutcome::Unknown);
    }
    Ok(ErasureOutcome::Erased(terms))
}

/// Gives a registration to the pseudonym: inserts a row, and deletes the old one. No trigger maintains the checksum of
/// the content when a row of this table is inserted, so the insertion is followed by a statement that does.
fn rename_registration(
    tx: &Connection,
    Erasure { user, pseudonym, .. }: &Erasure,
    term: &TermId,
    registration: &Registration,
) -> rusqlite::Result<()> {
    let row = params![term.as_str(), user.as_str(), registration.crn.as_str(), pseudonym.as_str()];
    tx.prepare_cached(
        "INSERT INTO registrations
             (term, user, crn, standing, place, at, passed, seq, reserved_for, offer_until, remind_at, choices)
         SELECT term, ?4, crn, standing, place, at, passed, seq, reserved_for, offer_until, remind_at, choices
         FROM registrations
         WHERE term = ?1 AND user = ?2 AND crn = ?3",
    )?
    .execute(row)?;
    tx.prepare_cached(
        "SELECT content_row_added('registrations', term, user, crn, standing, place, at, passed, seq, reserved_for,
             offer_until, remind_at, choices)
         FROM registrations WHERE term = ?1 AND user = ?4 AND crn = ?3 AND ?2 IS NOT NULL",
    )?
    .query_row(row, |_| Ok(()))?;
    tx.prepare_cached("DELETE FROM registrations WHERE term = ?1 AND user = ?2 AND crn = ?3 AND ?4 IS NOT NULL")?
        .execute(row)?;
    Ok(())
}

/// Deletes what has no use without its person. Returns the number of rows. The time up to which tokens are revoked
/// stays, with the name, because an old token would be valid without it.
fn delete_rows(tx: &Connection, user: &UserName) -> rusqlite::Result<usize> {
    let tables = [
        ("accounts", "username"),
        ("people", "username"),
        ("plone_members", "user"),
        ("students", "user"),
        ("plans", "user"),
        ("guardian_links", "user"),
        ("schedule_feeds", "user"),
        ("audit_people", "user"),
        ("sign_ins", "user"),
        ("second_factors", "username"),
        ("recovery_codes", "username"),
        ("provider_users", "username"),
        ("provider_sign_ins", "username"),
    ];
    let delete = |(table, column): (&str, &str)| {
        tx.execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), [user.as_str()])
    };
    tables.into_iter().map(delete).sum()
}

/// Replaces the name in alerts, among their recipients and in acknowledgements. Returns the number of rows, without the
/// alerts that only name the person in their audience.
fn rename_alerts(tx: &Connection, user: &UserName, pseudonym: &UserName) -> rusqlite::Result<usize> {
    let names = params![user.as_str(), pseudonym.as_str()];
    let quoted = serde_json::to_string(user.as_str()).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    // A scan, because an alert that was never sent has no recipients. Alerts are deleted after the retention period.
    let named: Vec<(String, String)> = tx
        .prepare_cached("SELECT id, content FROM alerts WHERE instr(content, ?1) > 0")?
        .query_map([quoted], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, content) in named {
        let mut content: AlertContent = serde_json::from_str(&content).map_err(|e| unreadable(1, e))?;
        let mut of_user: Vec<&mut UserRef> = content.audience.users.iter_mut().filter(|name| name.0 == *user).collect();
        if of_user.is_empty() {
            continue;
        }
        of_user.iter_mut().for_each(|name| name.0 = pseudonym.clone());
        let content = serde_json::to_string(&content).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        tx.prepare_cached("UPDATE alerts SET content = ?2 WHERE id = ?1")?.execute((id, content))?;
    }
    Ok(tx.execute("UPDATE alerts SET sender = ?2, sender_name = NULL WHERE sender = ?1", names)?
        + tx.execute("UPDATE alert_recipients SET user = ?2 WHERE user = ?1", names)?
        + tx.execute("UPDATE alert_acks SET user = ?2 WHERE user = ?1", names)?)
}

/// Replaces the name in the audit trail and in import tasks, and removes addresses and details that name the person.
/// Returns the number of rows.
fn rename_audit(
    tx: &Connection,
    user: &UserName,
    login: Option<&str>,
    pseudonym: &UserName,
) -> rusqlite::Result<usize> {
    let names = params![user.as_str(), pseudonym.as_str()];
    // The subject of a sign-in is the name that was typed. A failed sign-in has no user.
    let sign_ins = "UPDATE audit SET subject = ?2, detail = '', coded = NULL
        WHERE action GLOB 'login*' AND (user = ?1 OR (user IS NULL AND subject = ?3))";
    tx.execute(sign_ins, params![user.as_str(), pseudonym.as_str(), login])?;
    // Not with a pattern, in which a name could contain wildcards.
    let ends_with = "UPDATE audit SET detail = '', coded = NULL WHERE action = ?1 AND substr(detail, -length(?2)) = ?2";
    let withheld = AuditDetail::Withheld { title: String::new(), sender: user.to_string() };
    for (action, end) in [("plone.write", format!(" of {user}")), ("alert.withhold", withheld.to_string())] {
        tx.execute(ends_with, [action, &end])?;
    }
    // `detail` and `coded` are shortened separately, so the name may be in only one of them.
    let quoted = json(user.as_str())?;
    tx.execute(
        "UPDATE audit SET detail = '', coded = NULL WHERE user = ?1 AND (instr(detail, ?1) > 0 OR instr(coded, ?2) > 0)",
        [user.as_str(), quoted.trim_matches('"')],
    )?;
    let about = format!(
        "UPDATE audit SET subject = ?2, detail = '', coded = NULL WHERE subject = ?1 AND {}",
        audit::IS_ABOUT_A_USER
    );
    let task = "UPDATE import_tasks SET body = json_set(body, '$.started_by', ?2) WHERE body ->> 'started_by' = ?1";
    Ok(tx.execute(task, names)?
        + tx.execute("UPDATE audit SET user = ?2, ip = NULL WHERE user = ?1", names)?
        + tx.execute(&about, names)?)
}
