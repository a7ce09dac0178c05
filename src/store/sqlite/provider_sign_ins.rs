//! Users of single sign-on, and their sign-ins, in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::provider_sign_ins::{
    ProviderSignIn, ProviderSignInStore, ProviderUser, SelectedSignIn, SignInSelector,
};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::guardian_links::remove_links_of;
use crate::store::sqlite::rights::{rights_at, subjects_text};
use crate::store::sqlite::rows::{time_at, unreadable};

fn user_name_at(row: &Row<'_>, column: usize) -> rusqlite::Result<UserName> {
    UserName::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

/// Reads `username, source, subject, name, role, subjects`.
pub(super) fn user_at(row: &Row<'_>) -> rusqlite::Result<ProviderUser> {
    Ok(ProviderUser {
        username: user_name_at(row, 0)?,
        source: row.get(1)?,
        subject: row.get(2)?,
        name: row.get(3)?,
        rights: rights_at(row, 4, 5)?,
    })
}

/// Reads `username, token, expires_at`.
pub(super) fn sign_in_at(row: &Row<'_>) -> rusqlite::Result<SelectedSignIn> {
    Ok(SelectedSignIn {
        username: user_name_at(row, 0)?,
        token: Uuid::parse_str(&row.get::<_, String>(1)?).map_err(|e| unreadable(1, e))?,
        expires_at: time_at(row, 2)?,
    })
}

fn put(tx: &Connection, user: &ProviderUser, sign_in: &ProviderSignIn) -> rusqlite::Result<bool> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO provider_users (username, source, subject, name, role, subjects) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (username) DO UPDATE
             SET name = excluded.name, role = excluded.role, subjects = excluded.subjects
             WHERE source = excluded.source AND subject = excluded.subject",
    )?;
    let ProviderUser { username, source, subject, name, rights } = user;
    let values = params![username.as_str(), source, subject, name, rights.role().as_str(), subjects_text(rights)?];
    // A subject that already has another username keeps that one.
    let has_other_name = tx
        .prepare_cached("SELECT 1 FROM provider_users WHERE source = ?1 AND subject = ?2 AND username <> ?3")?
        .exists([source, subject, username.as_str()])?;
    if has_other_name || upsert.execute(values)? == 0 {
        return Ok(false);
    }
    let ProviderSignIn { token, sid, id_token, expires_at } = sign_in;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO provider_sign_ins (token, username, source, subject, sid, id_token, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        token.to_string(),
        username.as_str(),
        source,
        subject,
        sid,
        id_token.as_ref().map(|token| token.expose_secret().to_owned()),
        expires_at.as_millisecond(),
    ])?;
    Ok(true)
}

impl ProviderSignInStore for SqliteStore {
    fn provider_user(&self, username: &UserName) -> StoreFuture<Option<ProviderUser>> {
        let username = username.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT username, source, subject, name, role, subjects FROM provider_users WHERE username = ?1",
                )?
                .query_row([username.as_str()], user_at)
                .optional()
        })
    }

    fn provider_user_by_subject(&self, source: &str, subject: &str) -> StoreFuture<Option<ProviderUser>> {
        let (source, subject) = (source.to_owned(), subject.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT username, source, subject, name, role, subjects FROM provider_users
                     WHERE source = ?1 AND subject = ?2",
                )?
                .query_row([source, subject], user_at)
                .optional()
        })
    }

    fn put_sign_in(&self, user: ProviderUser, sign_in: ProviderSignIn) -> StoreFuture<bool> {
        self.write(move |tx| put(tx, &user, &sign_in))
    }

    fn sign_ins(&self, selector: SignInSelector, now: Timestamp) -> StoreFuture<Vec<SelectedSignIn>> {
        self.read(move |connection| {
            let SignInSelector { source, subject, sid } = selector;
            // A selector without both selects nothing: it must never end the sign-ins of everyone.
            let sql = match (&subject, &sid) {
                (None, None) => return Ok(Vec::new()),
                (_, Some(_)) => {
                    "SELECT username, token, expires_at FROM provider_sign_ins
                     WHERE source = ?1 AND sid = ?3 AND (?2 IS NULL OR subject = ?2) AND expires_at > ?4"
                }
                (Some(_), None) => {
                    "SELECT username, token, expires_at FROM provider_sign_ins
                     WHERE source = ?1 AND subject = ?2 AND ?3 IS NULL AND expires_at > ?4"
                }
            };
            connection
                .prepare_cached(sql)?
                .query_map(params![source, subject, sid, now.as_millisecond()], sign_in_at)?
                .collect()
        })
    }

    fn remove_sign_ins(&self, tokens: Vec<Uuid>) -> StoreFuture<Option<SecretString>> {
        self.write(move |tx| {
            let mut remove = tx.prepare_cached("DELETE FROM provider_sign_ins WHERE token = ?1 RETURNING id_token")?;
            let mut found = None;
            for token in &tokens {
                let id_token: Option<Option<String>> =
                    remove.query_row([token.to_string()], |row| row.get(0)).optional()?;
                found = found.or(id_token.flatten().map(SecretString::from));
            }
            Ok(found)
        })
    }

    fn remove_provider_user(&self, username: &UserName) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM provider_users WHERE username = ?1")?.execute([username.as_str()])?;
            remove_links_of(tx, &username)
        })
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM provider_sign_ins WHERE expires_at <= ?1")?
                .execute([now.as_millisecond()])?;
            Ok(())
        })
    }
}
