//! Members on PostgreSQL.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Row;

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::store::StoreFuture;
use crate::store::members::{Member, MemberStore, ReplaceToken};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::guardian_links::remove_links_of;
use crate::store::postgres::people::{rights_at, subjects_text, text};
use crate::store::postgres::revocations::next_position;
use crate::store::postgres::rows::{time_at, user_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;

/// Reads `username, login, name, role, token, password_hash, signed_in_at, subjects`.
fn member_at(row: &Row) -> Result<Member, Failure> {
    Ok(Member {
        username: user_at(row, 0)?,
        login: user_at(row, 1)?,
        name: row.try_get(2)?,
        rights: rights_at(row, 3, 7)?,
        token: row.try_get::<_, Option<String>>(4)?.map(SecretString::from),
        password_hash: row.try_get::<_, Option<String>>(5)?.map(SecretString::from),
        signed_in_at: time_at(row, 6)?,
    })
}

async fn end_sign_ins(tx: &Tx, username: &UserName, ended: Timestamp) -> Result<(), Failure> {
    let position = next_position(tx).await?;
    let sql = "INSERT INTO plone_sign_ins_ended AS e (username, at, position) VALUES ($1, $2, $3)
         ON CONFLICT (username) DO UPDATE SET at = greatest(e.at, excluded.at), position = excluded.position";
    tx.execute(sql, &[&username.as_str(), &ended.as_millisecond(), &position]).await?;
    Ok(())
}

async fn put_member(tx: &Tx, member: &Member) -> Result<(), Failure> {
    let sql = "INSERT INTO plone_members (username, login, name, role, token, password_hash, signed_in_at, subjects)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (username) DO UPDATE
         SET login = excluded.login, name = excluded.name, role = excluded.role, token = excluded.token,
             password_hash = excluded.password_hash, signed_in_at = excluded.signed_in_at,
             subjects = excluded.subjects";
    let Member { username, login, name, rights, token, password_hash, signed_in_at } = member;
    let values: &[&dyn Value] = &[
        &username.as_str(),
        &login.as_str(),
        &text(name),
        &rights.role().as_str(),
        &token.as_ref().map(ExposeSecret::expose_secret),
        &password_hash.as_ref().map(ExposeSecret::expose_secret),
        &signed_in_at.as_millisecond(),
        &subjects_text(rights)?,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Replaces the token of each member who has one. Locks the members, so that a sign-in at the same time is neither lost
/// nor gets the token of an earlier one.
async fn replace_tokens(tx: &Tx, replace: &ReplaceToken) -> Result<(), Failure> {
    let sql = "SELECT username, token FROM plone_members WHERE token IS NOT NULL ORDER BY username FOR UPDATE";
    for row in tx.query(sql, &[]).await? {
        let (user, token) = (user_at(&row, 0)?, SecretString::from(row.try_get::<_, String>(1)?));
        let new = replace(&user, &token);
        let new = new.as_ref().map(ExposeSecret::expose_secret);
        if new != Some(token.expose_secret()) {
            let sql = "UPDATE plone_members SET token = $2 WHERE username = $1";
            tx.execute(sql, &[&user.as_str(), &new]).await?;
        }
    }
    Ok(())
}

impl PostgresStore {
    /// Updates the member's row, if there is one.
    fn change_member(&self, username: &UserName, sql: &'static str) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| tx.execute(sql, &[&username.as_str()]).await.map(drop))
    }
}

impl MemberStore for PostgresStore {
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>> {
        let username = username.clone();
        self.read(async move |tx| {
            let sql = "SELECT username, login, name, role, token, password_hash, signed_in_at, subjects
                 FROM plone_members WHERE username = $1";
            tx.query_opt(sql, &[&username.as_str()]).await?.as_ref().map(member_at).transpose()
        })
    }

    fn member_by_login(&self, login: &UserName) -> StoreFuture<Option<Member>> {
        let login = login.clone();
        self.read(async move |tx| {
            let sql = "SELECT username, login, name, role, token, password_hash, signed_in_at, subjects
                 FROM plone_members WHERE login = $1 OR username = $1
                 ORDER BY login = $1 DESC, signed_in_at DESC LIMIT 1";
            tx.query_opt(sql, &[&login.as_str()]).await?.as_ref().map(member_at).transpose()
        })
    }

    fn put_member(&self, member: Member) -> StoreFuture<()> {
        self.write(async move |tx| put_member(tx, &member).await)
    }

    fn put_hash(&self, username: &UserName, signed_in_at: Timestamp, hash: SecretString) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| {
            let sql = "UPDATE plone_members SET password_hash = $3 WHERE username = $1 AND signed_in_at = $2";
            let values: &[&dyn Value] = &[&username.as_str(), &signed_in_at.as_millisecond(), &hash.expose_secret()];
            tx.execute(sql, values).await.map(drop)
        })
    }

    fn remove_hash(&self, username: &UserName) -> StoreFuture<()> {
        self.change_member(username, "UPDATE plone_members SET password_hash = NULL WHERE username = $1")
    }

    fn remove_token(&self, username: &UserName) -> StoreFuture<()> {
        self.change_member(username, "UPDATE plone_members SET token = NULL WHERE username = $1")
    }

    fn replace_tokens(&self, replace: ReplaceToken) -> StoreFuture<()> {
        self.write(async move |tx| replace_tokens(tx, &replace).await)
    }

    fn change_rights(&self, username: &UserName, rights: Rights, ended: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| {
            let sql = "UPDATE plone_members SET role = $2, subjects = $3 WHERE username = $1";
            let values: &[&dyn Value] = &[&username.as_str(), &rights.role().as_str(), &subjects_text(&rights)?];
            tx.execute(sql, values).await?;
            end_sign_ins(tx, &username, ended).await
        })
    }

    fn remove_member(&self, username: &UserName, ended: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| {
            tx.execute("DELETE FROM plone_members WHERE username = $1", &[&username.as_str()]).await?;
            remove_links_of(tx, &username).await?;
            end_sign_ins(tx, &username, ended).await
        })
    }

    fn ended_sign_ins(&self) -> StoreFuture<Vec<(UserName, Timestamp)>> {
        self.read(async |tx| {
            let rows = tx.query("SELECT username, at FROM plone_sign_ins_ended", &[]).await?;
            rows.iter().map(|row| Ok((user_at(row, 0)?, time_at(row, 1)?))).collect()
        })
    }
}
