//! Users of single sign-on, and their sign-ins, on PostgreSQL.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::provider_sign_ins::{
    OpenSignIn, ProviderSignIn, ProviderSignInStore, ProviderUser, ReplaceIdToken, SelectedSignIn, SignInSelector,
};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::guardian_links::remove_links_of;
use crate::store::postgres::people::{maybe_text, rights_at, subjects_text, text, uuid_at};
use crate::store::postgres::rows::{time_at, user_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;

/// The columns that [`provider_user_at`] reads.
pub(super) const USER_COLUMNS: &str = "username, source, issuer, subject, name, role, subjects, mapping";

/// Reads [`USER_COLUMNS`].
pub(super) fn provider_user_at(row: &Row) -> Result<ProviderUser, Failure> {
    Ok(ProviderUser {
        username: user_at(row, 0)?,
        source: row.try_get(1)?,
        issuer: row.try_get(2)?,
        subject: row.try_get(3)?,
        name: row.try_get(4)?,
        rights: rights_at(row, 5, 6)?,
        mapping: row.try_get(7)?,
    })
}

/// Reads `username, token, expires_at`.
fn sign_in_at(row: &Row) -> Result<SelectedSignIn, Failure> {
    Ok(SelectedSignIn { username: user_at(row, 0)?, token: uuid_at(row, 1)?, expires_at: time_at(row, 2)? })
}

/// Reads `username, token, expires_at, source, issuer, role, subjects, mapping`.
fn open_sign_in_at(row: &Row) -> Result<OpenSignIn, Failure> {
    Ok(OpenSignIn {
        sign_in: sign_in_at(row)?,
        source: row.try_get(3)?,
        issuer: row.try_get(4)?,
        rights: rights_at(row, 5, 6)?,
        mapping: row.try_get(7)?,
    })
}

/// Stores a user, unless the username belongs to another person or the person has another username. Returns whether it
/// was stored.
async fn put_user(tx: &Tx, user: &ProviderUser) -> Result<bool, Failure> {
    // An insertion waits for another one of the same username or person. If that one was committed, the update finds
    // its row; if the row has been removed since, the second insertion succeeds.
    const INSERT: &str = "INSERT INTO provider_users (username, source, issuer, subject, name, role, subjects, mapping)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    const UPDATE: &str = "UPDATE provider_users SET source = $2, name = $5, role = $6, subjects = $7, mapping = $8
         WHERE username = $1 AND issuer = $3 AND subject = $4";
    let ProviderUser { username, source, issuer, subject, name, rights, mapping } = user;
    for statement in [INSERT, UPDATE, INSERT] {
        let values: &[&dyn Value] = &[
            &username.as_str(),
            &text(source),
            &text(issuer),
            &text(subject),
            &text(name),
            &rights.role().as_str(),
            &subjects_text(rights)?,
            &maybe_text(mapping.as_deref()),
        ];
        if tx.execute(statement, values).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn put(tx: &Tx, user: &ProviderUser, sign_in: &ProviderSignIn) -> Result<bool, Failure> {
    if !put_user(tx, user).await? {
        return Ok(false);
    }
    let sql = "INSERT INTO provider_sign_ins (token, username, source, issuer, subject, sid, id_token, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (token) DO UPDATE
         SET username = excluded.username, source = excluded.source, issuer = excluded.issuer,
             subject = excluded.subject, sid = excluded.sid, id_token = excluded.id_token,
             expires_at = excluded.expires_at";
    let ProviderSignIn { token, sid, id_token, expires_at } = sign_in;
    let values: &[&dyn Value] = &[
        token,
        &user.username.as_str(),
        &text(&user.source),
        &text(&user.issuer),
        &text(&user.subject),
        &maybe_text(sid.as_deref()),
        &id_token.as_ref().map(ExposeSecret::expose_secret),
        &expires_at.as_millisecond(),
    ];
    tx.execute(sql, values).await?;
    Ok(true)
}

/// Replaces the ID token of each sign-in that has one. Locks the sign-ins, so that one that is replaced at the same
/// time does not get the token of an earlier one.
async fn replace_id_tokens(tx: &Tx, replace: &ReplaceIdToken) -> Result<(), Failure> {
    let sql = "SELECT token, id_token FROM provider_sign_ins WHERE id_token IS NOT NULL ORDER BY token FOR UPDATE";
    for row in tx.query(sql, &[]).await? {
        let (token, id_token) = (uuid_at(&row, 0)?, SecretString::from(row.try_get::<_, String>(1)?));
        let new = replace(token, &id_token);
        let new = new.as_ref().map(ExposeSecret::expose_secret);
        if new != Some(id_token.expose_secret()) {
            let sql = "UPDATE provider_sign_ins SET id_token = $2 WHERE token = $1";
            tx.execute(sql, &[&token, &new]).await?;
        }
    }
    Ok(())
}

/// Sets the issuer of a source's rows whose issuer is unknown. A row whose subject the issuer already has stays as it
/// is.
async fn adopt_issuer(tx: &Tx, source: &str, issuer: &str) -> Result<(), Failure> {
    let users = "UPDATE provider_users AS u SET issuer = $2 WHERE issuer = $1 AND source = $1
         AND NOT EXISTS (SELECT 1 FROM provider_users AS o WHERE o.issuer = $2 AND o.subject = u.subject)";
    let sign_ins = "UPDATE provider_sign_ins SET issuer = $2 WHERE issuer = $1 AND source = $1";
    for statement in [users, sign_ins] {
        tx.execute(statement, &[&source, &issuer]).await?;
    }
    Ok(())
}

/// The sign-ins of the issuer `$1` that have not expired by `$4`, by the person `$2` and in the session `$3`. A null
/// person or session selects all; if both are null, nothing is selected, so that no request ends everyone's sign-ins.
const SELECTED: &str = "
    SELECT username, token, expires_at FROM provider_sign_ins
    WHERE issuer = $1 AND ($2 IS NOT NULL OR $3 IS NOT NULL)
      AND ($2 IS NULL OR subject = $2) AND ($3 IS NULL OR sid = $3) AND expires_at > $4";

impl ProviderSignInStore for PostgresStore {
    fn provider_user(&self, username: &UserName) -> StoreFuture<Option<ProviderUser>> {
        let username = username.clone();
        self.read(async move |tx| {
            let sql = format!("SELECT {USER_COLUMNS} FROM provider_users WHERE username = $1");
            tx.query_opt(&sql, &[&username.as_str()]).await?.as_ref().map(provider_user_at).transpose()
        })
    }

    fn provider_user_by_subject(&self, issuer: &str, subject: &str) -> StoreFuture<Option<ProviderUser>> {
        let (issuer, subject) = (text(issuer), text(subject));
        self.read(async move |tx| {
            let sql = format!("SELECT {USER_COLUMNS} FROM provider_users WHERE issuer = $1 AND subject = $2");
            tx.query_opt(&sql, &[&issuer, &subject]).await?.as_ref().map(provider_user_at).transpose()
        })
    }

    fn put_sign_in(&self, user: ProviderUser, sign_in: ProviderSignIn) -> StoreFuture<bool> {
        self.write(async move |tx| put(tx, &user, &sign_in).await)
    }

    fn sign_ins(&self, selector: SignInSelector, now: Timestamp) -> StoreFuture<Vec<SelectedSignIn>> {
        self.read(async move |tx| {
            let SignInSelector { issuer, subject, sid } = selector;
            let (subject, sid) = (maybe_text(subject.as_deref()), maybe_text(sid.as_deref()));
            let values: &[&dyn Value] = &[&text(&issuer), &subject, &sid, &now.as_millisecond()];
            tx.query(SELECTED, values).await?.iter().map(sign_in_at).collect()
        })
    }

    fn remove_sign_ins(&self, tokens: Vec<Uuid>) -> StoreFuture<Option<SecretString>> {
        self.write(async move |tx| {
            let sql = "DELETE FROM provider_sign_ins WHERE token = ANY ($1) RETURNING id_token";
            for row in tx.query(sql, &[&tokens]).await? {
                let id_token: Option<String> = row.try_get(0)?;
                if id_token.is_some() {
                    return Ok(id_token.map(SecretString::from));
                }
            }
            Ok(None)
        })
    }

    fn remove_provider_user(&self, username: &UserName) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| {
            tx.execute("DELETE FROM provider_users WHERE username = $1", &[&username.as_str()]).await?;
            remove_links_of(tx, &username).await
        })
    }

    fn adopt_issuer(&self, source: &str, issuer: &str) -> StoreFuture<()> {
        let (source, issuer) = (text(source), text(issuer));
        self.write(async move |tx| adopt_issuer(tx, &source, &issuer).await)
    }

    fn open_sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<OpenSignIn>> {
        self.read(async move |tx| {
            let sql = "SELECT s.username, s.token, s.expires_at, s.source, s.issuer, u.role, u.subjects, u.mapping
                 FROM provider_sign_ins AS s JOIN provider_users AS u ON u.username = s.username
                 WHERE s.expires_at > $1";
            tx.query(sql, &[&now.as_millisecond()]).await?.iter().map(open_sign_in_at).collect()
        })
    }

    fn replace_id_tokens(&self, replace: ReplaceIdToken) -> StoreFuture<()> {
        self.write(async move |tx| replace_id_tokens(tx, &replace).await)
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "DELETE FROM provider_sign_ins WHERE expires_at <= $1";
            tx.execute(sql, &[&now.as_millisecond()]).await.map(drop)
        })
    }
}
