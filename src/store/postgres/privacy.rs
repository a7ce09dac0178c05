//! What the store on PostgreSQL has about one person: its export, and its erasure.

use jiff::ZonedDateTime;
use tokio_postgres::Row;

use crate::domain::alert::AlertContent;
use crate::domain::ids::{TermId, UserName};
use crate::domain::registration::{Registration, RegistrationStatus};
use crate::store::StoreFuture;
use crate::store::privacy::{
    Erasure, ErasureOutcome, PersonalAck, PersonalAlert, PersonalRecord, PrivacyStore, ProviderSignIn,
};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::{rights_at, text};
use crate::store::postgres::rows::{json_at, maybe_time_at, term_id_at, time_at};
use crate::store::postgres::term_rows::{REGISTRATION_COLUMNS, registration_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;
use crate::store::postgres::{
    PostgresStore, accounts, attempts, erasure, guardian_links, plans, provider_sign_ins, schedule_feeds, sign_ins,
};

/// The person `$1`, with the name and role of the account or of the last token.
const USER: &str = "
    SELECT n.username, coalesce(a.name, p.name), coalesce(a.role, p.role),
           CASE WHEN a.name IS NULL THEN p.source ELSE 'local' END, p.last_seen, a.subjects
    FROM (SELECT $1 AS username) AS n
    LEFT JOIN accounts AS a ON a.username = n.username LEFT JOIN people AS p ON p.username = n.username
    WHERE a.name IS NOT NULL OR p.name IS NOT NULL";
/// The terms that have not ended as of the date `$2` and in which the person `$1` has a registration with a status
/// other than `$3`.
const REGISTERED: &str = "
    SELECT t.id FROM terms AS t WHERE (t.ends_on IS NULL OR t.ends_on >= $2)
      AND EXISTS (SELECT 1 FROM registrations AS r WHERE r.term = t.id AND r.username = $1 AND r.standing <> $3)
    ORDER BY t.id";
/// The latest time up to which tokens or sign-ins of the person `$1` have ended.
const REVOKED: &str = "
    SELECT max(at) FROM (SELECT valid_from AS at FROM tokens_valid_from WHERE username = $1
                         UNION ALL SELECT at FROM plone_sign_ins_ended WHERE username = $1) AS ends";

/// Reads `login, name, role, signed_in_at, subjects`.
fn provider_sign_in_at(row: &Row) -> Result<ProviderSignIn, Failure> {
    Ok(ProviderSignIn {
        login: row.try_get(0)?,
        name: row.try_get(1)?,
        rights: rights_at(row, 2, 4)?,
        at: time_at(row, 3)?,
    })
}

async fn record_of(tx: &Tx, user: &UserName) -> Result<PersonalRecord, Failure> {
    let name = user.as_str();
    let one = async |sql: &str| tx.query_opt(sql, &[&name]).await;
    let member = one("SELECT login, name, role, signed_in_at, subjects FROM plone_members WHERE username = $1");
    let single_sign_on = format!("SELECT {} FROM provider_users WHERE username = $1", provider_sign_ins::USER_COLUMNS);
    let sign_ins = "SELECT id, username, device, address, since, last_seen, expires_at FROM sign_ins
         WHERE username = $1 ORDER BY since, id";
    let links = "SELECT id, username, label, created_at, expires_at FROM guardian_links
         WHERE username = $1 ORDER BY created_at, id";
    let facts = one("SELECT facts FROM students WHERE username = $1");
    let second_factor = one("SELECT since FROM second_factors WHERE username = $1");
    Ok(PersonalRecord {
        user: one(USER).await?.map(|row| accounts::listed_at(&row)).transpose()?,
        provider: member.await?.map(|row| provider_sign_in_at(&row)).transpose()?,
        single_sign_on: one(&single_sign_on).await?.map(|row| provider_sign_ins::provider_user_at(&row)).transpose()?,
        sign_ins: tx.query(sign_ins, &[&name]).await?.iter().map(sign_ins::sign_in_at).collect::<Result<_, _>>()?,
        guardian_links: tx
            .query(links, &[&name])
            .await?
            .iter()
            .map(guardian_links::link_at)
            .collect::<Result<_, _>>()?,
        schedule_feed: schedule_feeds::feed_of(tx, user).await?,
        second_factor_since: second_factor.await?.map(|row| time_at(&row, 0)).transpose()?,
        revoked_until: one(REVOKED).await?.map(|row| maybe_time_at(&row, 0)).transpose()?.flatten(),
        facts: facts.await?.map(|row| json_at(&row, 0)).transpose()?,
        plans: plans::plans_of(tx, user).await?,
        registrations: registrations(tx, user).await?,
        attempt_terms: attempts::terms_of(tx, user).await?,
    })
}

/// Returns the registrations of a person in all terms. They are read by term, because the table has no index on users
/// alone.
pub(super) async fn registrations(tx: &Tx, user: &UserName) -> Result<Vec<(TermId, Registration)>, Failure> {
    let sql = format!(
        "SELECT {REGISTRATION_COLUMNS}, r.term FROM terms AS t
         JOIN registrations AS r ON r.term = t.id AND r.username = $1 ORDER BY r.term, r.at, r.crn"
    );
    let of_term = |row: &Row| Ok((term_id_at(row, 10)?, registration_at(row)?.1));
    tx.query(&sql, &[&user.as_str()]).await?.iter().map(of_term).collect()
}

/// Returns the terms that have not ended in which a person is enrolled or waitlisted, or is offered a seat, in order.
pub(super) async fn current_terms(tx: &Tx, user: &UserName, now: &ZonedDateTime) -> Result<Vec<TermId>, Failure> {
    let values: &[&dyn Value] = &[&user.as_str(), &now.date().to_string(), &RegistrationStatus::Dropped.as_str()];
    tx.query(REGISTERED, values).await?.iter().map(|row| term_id_at(row, 0)).collect()
}

async fn alerts_to(tx: &Tx, user: &UserName, after: Option<&str>, limit: u32) -> Result<Vec<PersonalAlert>, Failure> {
    let sql = "SELECT a.id, a.content, a.created_at FROM alert_recipients AS r JOIN alerts AS a ON a.id = r.alert_id
         WHERE r.username = $1 AND r.alert_id > $2 ORDER BY r.alert_id LIMIT $3";
    let alert = |row: &Row| {
        let AlertContent { title, message, .. } = json_at(row, 1)?;
        Ok(PersonalAlert { id: row.try_get(0)?, title, message, created_at: time_at(row, 2)? })
    };
    let values: &[&dyn Value] = &[&user.as_str(), &text(after.unwrap_or_default()), &i64::from(limit)];
    tx.query(sql, values).await?.iter().map(alert).collect()
}

async fn acks_of(tx: &Tx, user: &UserName, after: Option<&str>, limit: u32) -> Result<Vec<PersonalAck>, Failure> {
    let sql = "SELECT alert_id, at FROM alert_acks WHERE username = $1 AND alert_id > $2 ORDER BY alert_id LIMIT $3";
    let values: &[&dyn Value] = &[&user.as_str(), &text(after.unwrap_or_default()), &i64::from(limit)];
    let ack = |row: &Row| Ok(PersonalAck { alert: row.try_get(0)?, at: time_at(row, 1)? });
    tx.query(sql, values).await?.iter().map(ack).collect()
}

impl PrivacyStore for PostgresStore {
    fn record_of(&self, user: &UserName) -> StoreFuture<PersonalRecord> {
        let user = user.clone();
        self.read(async move |tx| record_of(tx, &user).await)
    }

    fn alerts_to(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAlert>> {
        let user = user.clone();
        self.read(async move |tx| alerts_to(tx, &user, after.as_deref(), limit).await)
    }

    fn acks_of(&self, user: &UserName, after: Option<String>, limit: u32) -> StoreFuture<Vec<PersonalAck>> {
        let user = user.clone();
        self.read(async move |tx| acks_of(tx, &user, after.as_deref(), limit).await)
    }

    fn current_terms_of(&self, user: &UserName, now: ZonedDateTime) -> StoreFuture<Vec<TermId>> {
        let user = user.clone();
        self.read(async move |tx| current_terms(tx, &user, &now).await)
    }

    fn erase(&self, erasure: Erasure) -> StoreFuture<ErasureOutcome> {
        let outbox = self.inner.outbox.is_some();
        self.write(async move |tx| erasure::erase(tx, &erasure, outbox).await)
    }
}
