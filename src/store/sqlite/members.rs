//! Members in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::store::StoreFuture;
use crate::store::members::{Member, MemberStore, ReplaceToken};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::guardian_links::remove_links_of;
use crate::store::sqlite::rights::{rights_at, subjects_text};
use crate::store::sqlite::rows::{time_at, unreadable};

fn user_name_at(row: &Row<'_>, column: usize) -> rusqlite::Result<UserName> {
    UserName::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

/// Reads `user, login, name, role, token, password_hash, signed_in_at, subjects`.
pub(super) fn member_at(row: &Row<'_>) -> rusqlite::Result<Member> {
    let hash: String = row.get(5)?;
    Ok(Member {
        username: user_name_at(row, 0)?,
        login: user_name_at(row, 1)?,
        name: row.get(2)?,
        rights: rights_at(row, 3, 7)?,
        token: row.get::<_, Option<String>>(4)?.map(SecretString::from),
        password_hash: (!hash.is_empty()).then(|| SecretString::from(hash)),
        signed_in_at: time_at(row, 6)?,
    })
}

fn end_sign_ins(tx: &Connection, username: &UserName, ended: Timestamp) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO plone_sign_ins_ended (user, at) VALUES (?1, ?2)
         ON CONFLICT (user) DO UPDATE SET at = max(at, excluded.at)",
    )?
    .execute(params![username.as_str(), ended.as_millisecond()])?;
    Ok(())
}

impl SqliteStore {
    /// Updates the member's row, if there is one.
    fn change_member(&self, username: &UserName, sql: &'static str) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            tx.prepare_cached(sql)?.execute([username.as_str()])?;
            Ok(())
        })
    }
}

impl MemberStore for SqliteStore {
    fn member(&self, username: &UserName) -> StoreFuture<Option<Member>> {
        let username = username.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT user, login, name, role, token, password_hash, signed_in_at, subjects
                     FROM plone_members WHERE user = ?1",
                )?
                .query_row([username.as_str()], member_at)
                .optional()
        })
    }

    fn member_by_login(&self, login: &UserName) -> StoreFuture<Option<Member>> {
        let login = login.clone();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT user, login, name, role, token, password_hash, signed_in_at, subjects
                     FROM plone_members WHERE login = ?1 OR user = ?1
                     ORDER BY login = ?1 DESC, signed_in_at DESC LIMIT 1",
                )?
                .query_row([login.as_str()], member_at)
                .optional()
        })
    }

    fn put_member(&self, member: Member) -> StoreFuture<()> {
        self.write(move |tx| {
            let secret = |text: &Option<SecretString>| text.as_ref().map(|text| text.expose_secret().to_owned());
            tx.prepare_cached(
                "INSERT OR REPLACE INTO plone_members (user, login, name, role, token, password_hash, signed_in_at,
                                                       subjects)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                member.username.as_str(),
                member.login.as_str(),
                member.name,
                member.rights.role().as_str(),
                secret(&member.token),
                secret(&member.password_hash).unwrap_or_default(),
                member.signed_in_at.as_millisecond(),
                subjects_text(&member.rights)?,
            ])?;
            Ok(())
        })
    }

    fn put_hash(&self, username: &UserName, signed_in_at: Timestamp, hash: SecretString) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE plone_members SET password_hash = ?3 WHERE user = ?1 AND signed_in_at = ?2")?
                .execute(params![username.as_str(), signed_in_at.as_millisecond(), hash.expose_secret()])?;
            Ok(())
        })
    }

    fn remove_hash(&self, username: &UserName) -> StoreFuture<()> {
        self.change_member(username, "UPDATE plone_members SET password_hash = '' WHERE user = ?1")
    }

    fn remove_token(&self, username: &UserName) -> StoreFuture<()> {
        self.change_member(username, "UPDATE plone_members SET token = NULL WHERE user = ?1")
    }

    fn replace_tokens(&self, replace: ReplaceToken) -> StoreFuture<()> {
        self.write(move |tx| {
            let mut read = tx.prepare("SELECT user, token FROM plone_members WHERE token IS NOT NULL")?;
            let stored = read.query_map([], |row| Ok((user_name_at(row, 0)?, row.get::<_, String>(1)?)))?;
            let mut write = tx.prepare("UPDATE plone_members SET token = ?2 WHERE user = ?1")?;
            for (user, token) in stored.collect::<rusqlite::Result<Vec<_>>>()? {
                let token = SecretString::from(token);
                let new = replace(&user, &token);
                let new = new.as_ref().map(ExposeSecret::expose_secret);
                if new != Some(token.expose_secret()) {
                    write.execute(params![user.as_str(), new])?;
                }
            }
            Ok(())
        })
    }

    fn change_rights(&self, username: &UserName, rights: Rights, ended: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE plone_members SET role = ?2, subjects = ?3 WHERE user = ?1")?
                .execute(params![username.as_str(), rights.role().as_str(), subjects_text(&rights)?])?;
            end_sign_ins(tx, &username, ended)
        })
    }

    fn remove_member(&self, username: &UserName, ended: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM plone_members WHERE user = ?1")?.execute([username.as_str()])?;
            remove_links_of(tx, &username)?;
            end_sign_ins(tx, &username, ended)
        })
    }

    fn ended_sign_ins(&self) -> StoreFuture<Vec<(UserName, Timestamp)>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT user, at FROM plone_sign_ins_ended")?
                .query_map([], |row| Ok((user_name_at(row, 0)?, time_at(row, 1)?)))?
                .collect()
        })
    }
}
