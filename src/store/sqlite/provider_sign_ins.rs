//! Users of single sign-on, and their sign-ins, in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::provider_sign_ins::{
    OpenSignIn, ProviderSignIn, ProviderSignInStore, ProviderUser, ReplaceIdToken, SelectedSignIn, SignInSelector,
};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::guardian_links::remove_links_of;
use crate::store::sqlite::rights::{rights_at, subjects_text};
use crate::store::sqlite::rows::{time_at, unreadable};

fn user_name_at(row: &Row<'_>, column: usize) -> rusqlite::Result<UserName> {
    UserName::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

/// The columns that [`user_at`] reads.
pub(super) const USER_COLUMNS: &str = "username, source, issuer, subject, name, role, subjects, mapping";

/// Reads [`USER_COLUMNS`].
pub(super) fn user_at(row: &Row<'_>) -> rusqlite::Result<ProviderUser> {
    Ok(ProviderUser {
        username: user_name_at(row, 0)?,
        source: row.get(1)?,
        issuer: row.get(2)?,
        subject: row.get(3)?,
        name: row.get(4)?,
        rights: rights_at(row, 5, 6)?,
        mapping: row.get(7)?,
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
        "INSERT INTO provider_users (username, source, issuer, subject, name, role, subjects, mapping)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (username) DO UPDATE
             SET source = excluded.source, name = excluded.name, role = excluded.role, subjects = excluded.subjects,
                 mapping = excluded.mapping
             WHERE issuer = excluded.issuer AND subject = excluded.subject",
    )?;
    let ProviderUser { username, source, issuer, subject, name, rights, mapping } = user;
    let (role, subjects) = (rights.role().as_str(), subjects_text(rights)?);
    let values = params![username.as_str(), source, issuer, subject, name, role, subjects, mapping];
    // A subject that already has another username keeps that one.
    let has_other_name = tx
        .prepare_cached("SELECT 1 FROM provider_users WHERE issuer = ?1 AND subject = ?2 AND username <> ?3")?
        .exists([issuer, subject, username.as_str()])?;
    if has_other_name || upsert.execute(values)? == 0 {
        return Ok(false);
    }
    let ProviderSignIn { token, sid, id_token, expires_at } = sign_in;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO provider_sign_ins (token, username, source, issuer, subject, sid, id_token, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        token.to_string(),
        username.as_str(),
        source,
        issuer,
        subject,
        sid,
        id_token.as_ref().map(|token| token.expose_secret().to_owned()),
        expires_at.as_millisecond(),
    ])?;
    Ok(true)
}

/// Reads `username, token, expires_at, source, issuer, role, subjects, mapping`.
fn open_sign_in_at(row: &Row<'_>) -> rusqlite::Result<OpenSignIn> {
    Ok(OpenSignIn {
        sign_in: sign_in_at(row)?,
        source: row.get(3)?,
        issuer: row.get(4)?,
        rights: rights_at(row, 5, 6)?,
        mapping: row.get(7)?,
    })
}

fn replace_id_tokens(tx: &Connection, replace: &ReplaceIdToken) -> rusqlite::Result<()> {
    let mut read = tx.prepare("SELECT token, id_token FROM provider_sign_ins WHERE id_token IS NOT NULL")?;
    let stored = read.query_map([], |row| {
        let token = Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?;
        Ok((token, SecretString::from(row.get::<_, String>(1)?)))
    })?;
    let mut write = tx.prepare("UPDATE provider_sign_ins SET id_token = ?2 WHERE token = ?1")?;
    for (token, id_token) in stored.collect::<rusqlite::Result<Vec<_>>>()? {
        let new = replace(token, &id_token);
        let new = new.as_ref().map(ExposeSecret::expose_secret);
        if new != Some(id_token.expose_secret()) {
            write.execute(params![token.to_string(), new])?;
        }
    }
    Ok(())
}

impl ProviderSignInStore for SqliteStore {
    fn provider_user(&self, username: &UserName) -> StoreFuture<Option<ProviderUser>> {
        let username = username.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(&format!("SELECT {USER_COLUMNS} FROM provider_users WHERE username = ?1"))?
                .query_row([username.as_str()], user_at)
                .optional()
        })
    }

    fn provider_user_by_subject(&self, issuer: &str, subject: &str) -> StoreFuture<Option<ProviderUser>> {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {USER_COLUMNS} FROM provider_users WHERE issuer = ?1 AND subject = ?2"
                ))?
                .query_row([issuer, subject], user_at)
                .optional()
        })
    }

    fn put_sign_in(&self, user: ProviderUser, sign_in: ProviderSignIn) -> StoreFuture<bool> {
        self.write(move |tx| put(tx, &user, &sign_in))
    }

    fn sign_ins(&self, selector: SignInSelector, now: Timestamp) -> StoreFuture<Vec<SelectedSignIn>> {
        self.read(move |connection| {
            let SignInSelector { issuer, subject, sid } = selector;
            // A selector with neither of them selects nothing: it must never end the sign-ins of everyone.
            let sql = match (&subject, &sid) {
                (None, None) => return Ok(Vec::new()),
                (_, Some(_)) => {
                    "SELECT username, token, expires_at FROM provider_sign_ins
                     WHERE issuer = ?1 AND sid = ?3 AND (?2 IS NULL OR subject = ?2) AND expires_at > ?4"
                }
                (Some(_), None) => {
                    "SELECT username, token, expires_at FROM provider_sign_ins
                     WHERE issuer = ?1 AND subject = ?2 AND ?3 IS NULL AND expires_at > ?4"
                }
            };
            connection
                .prepare_cached(sql)?
                .query_map(params![issuer, subject, sid, now.as_millisecond()], sign_in_at)?
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

    fn adopt_issuer(&self, source: &str, issuer: &str) -> StoreFuture<()> {
        let (source, issuer) = (source.to_owned(), issuer.to_owned());
        self.write(move |tx| {
            for table in ["provider_users", "provider_sign_ins"] {
                let sql = format!("UPDATE OR IGNORE {table} SET issuer = ?2 WHERE issuer = ?1 AND source = ?1");
                tx.execute(&sql, [&source, &issuer])?;
            }
            Ok(())
        })
    }

    fn open_sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<OpenSignIn>> {
        self.read(move |connection| {
            connection
                .prepare(
                    "SELECT s.username, s.token, s.expires_at, s.source, s.issuer, u.role, u.subjects, u.mapping
                     FROM provider_sign_ins AS s JOIN provider_users AS u ON u.username = s.username
                     WHERE s.expires_at > ?1",
                )?
                .query_map([now.as_millisecond()], open_sign_in_at)?
                .collect()
        })
    }

    fn replace_id_tokens(&self, replace: ReplaceIdToken) -> StoreFuture<()> {
        self.write(move |tx| replace_id_tokens(tx, &replace))
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM provider_sign_ins WHERE expires_at <= ?1")?
                .execute([now.as_millisecond()])?;
            Ok(())
        })
    }
}
