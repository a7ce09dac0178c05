//! Local accounts, known users and revoked tokens in the embedded store.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::rights::Subjects;
use crate::domain::role::Role;
use crate::store::StoreFuture;
use crate::store::accounts::{Account, AccountStore, EndedTokens, Person, User, UserFilter, UserPage, UserSource};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::guardian_links::remove_links_of;
use crate::store::sqlite::open::{OpenError, open_existing};
use crate::store::sqlite::rights::{rights_at, subjects_at, subjects_text};
use crate::store::sqlite::rows::{maybe_time_at, time_at, unreadable};
use crate::store::sqlite::sign_ins::remove_second_factor;

pub(super) fn user_name_at(row: &Row<'_>, column: usize) -> rusqlite::Result<UserName> {
    UserName::stored(&row.get::<_, String>(column)?).map_err(|e| unreadable(column, e))
}

/// Reads `username, name, role, password_hash, subjects`.
pub(super) fn account_at(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        username: user_name_at(row, 0)?,
        name: row.get(1)?,
        rights: rights_at(row, 2, 4)?,
        password_hash: row.get(3)?,
    })
}

fn revoke_tokens(
    tx: &Connection,
    username: &UserName,
    valid_from: Timestamp,
    spared: Option<Uuid>,
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO tokens_valid_from (username, valid_from, spared) VALUES (?1, ?2, ?3)
         ON CONFLICT (username) DO UPDATE
         SET valid_from = excluded.valid_from, spared = excluded.spared WHERE valid_from <= excluded.valid_from",
    )?;
    statement.execute(params![
        username.as_str(),
        valid_from.as_millisecond(),
        spared.map(|token| token.to_string())
    ])?;
    Ok(())
}

pub(super) fn ended_tokens_at(row: &Row<'_>) -> rusqlite::Result<EndedTokens> {
    let spared: Option<String> = row.get(2)?;
    let spared = spared.map(|id| Uuid::parse_str(&id)).transpose().map_err(|e| unreadable(2, e))?;
    Ok(EndedTokens { user: user_name_at(row, 0)?, up_to: time_at(row, 1)?, spared })
}

/// Returns the accounts of a store, ordered by username. A hub may be using the store.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn accounts_of(store: &Path) -> Result<Vec<Account>, OpenError> {
    let connection = open_existing(store)?;
    all_accounts(&connection).map_err(|error| OpenError::Sqlite { path: store.to_owned(), error })
}

fn all_accounts(conn: &Connection) -> rusqlite::Result<Vec<Account>> {
    conn.prepare_cached("SELECT username, name, role, password_hash, subjects FROM accounts ORDER BY username")?
        .query_map([], account_at)?
        .collect()
}

/// All users who have an account or were seen, ordered by username. The name and role of an account take precedence
/// over those in a token, and so do the rights of a member of Plone and of a user of single sign-on.
const USERS: &str = "
    SELECT a.username, a.name, a.role, 'local', p.last_seen, a.subjects
    FROM accounts AS a LEFT JOIN people AS p ON p.username = a.username
    UNION ALL
    SELECT p.username, p.name, coalesce(m.role, u.role, p.role), p.source, p.last_seen,
           iif(m.role IS NULL, u.subjects, m.subjects)
    FROM people AS p
    LEFT JOIN plone_members AS m ON m.user = p.username AND p.source = 'plone'
    LEFT JOIN provider_users AS u ON u.username = p.username AND p.source NOT IN ('local', 'plone', 'token')
    WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)
    ORDER BY 1";

/// Reads `username, name, role, source, last_seen, subjects`.
pub(super) fn user_at(row: &Row<'_>) -> rusqlite::Result<User> {
    let (role, source): (String, String) = (row.get(2)?, row.get(3)?);
    Ok(User {
        username: user_name_at(row, 0)?,
        name: row.get(1)?,
        role: Role::parse(&role).ok_or_else(|| unreadable(2, "not a role"))?,
        source: UserSource::parse(&source).ok_or_else(|| unreadable(3, "not a source"))?,
        last_seen: maybe_time_at(row, 4)?,
        subjects: subjects_at(row, 5)?,
    })
}

/// Names of users with characters beyond visible ASCII, and the names that a path cannot contain.
const UNUSUAL_NAMES: &str = "
    SELECT name FROM (
        SELECT username AS name FROM accounts UNION SELECT username FROM people
        UNION SELECT user FROM plone_members UNION SELECT login FROM plone_members
    ) WHERE name GLOB '*[^!-~]*' OR name IN ('.', '..') ORDER BY name";

/// The users who may be instructors.
const NAMES_ABOVE_STUDENTS: &str = "
    SELECT username, name FROM accounts WHERE role <> 'student'
    UNION SELECT username, name FROM people WHERE role <> 'student'
    UNION SELECT user, name FROM plone_members WHERE role <> 'student'
    UNION SELECT username, name FROM provider_users WHERE role <> 'student'";

/// Scans all users, because SQLite folds the case of ASCII letters only. A college has tens of thousands of users, not
/// millions, and only the page is held in memory.
fn users(conn: &Connection, filter: &UserFilter) -> rusqlite::Result<UserPage> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let matches = |user: &User| {
        let contains_text = |name: &str| text.as_ref().is_none_or(|text| name.to_lowercase().contains(text));
        contains_text(user.username.as_str()) || contains_text(&user.name)
    };
    let mut page = UserPage::default();
    let mut statement = conn.prepare_cached(USERS)?;
    for user in statement.query_map([], user_at)? {
        let user = user?;
        if !matches(&user) {
            continue;
        }
        page.total += 1;
        if filter.after.as_ref().is_some_and(|after| user.username.as_str() <= after.as_str()) {
            continue;
        }
        if page.items.len() < filter.limit {
            page.items.push(user);
        } else if page.next.is_none() {
            page.next = page.items.last().map(|last| last.username.to_string());
        }
    }
    Ok(page)
}

impl AccountStore for SqliteStore {
    fn account(&self, username: &UserName) -> StoreFuture<Option<Account>> {
        let username = username.clone();
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT username, name, role, password_hash, subjects FROM accounts WHERE username = ?1",
            )?
            .query_row([username.as_str()], account_at)
            .optional()
        })
    }

    fn accounts(&self) -> StoreFuture<Vec<Account>> {
        self.read(all_accounts)
    }

    fn put_account(&self, account: Account, valid_from: Option<Timestamp>) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO accounts (username, name, role, password_hash, subjects) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (username) DO UPDATE
                 SET name = excluded.name, role = excluded.role, password_hash = excluded.password_hash,
                     subjects = excluded.subjects,
                     former_subjects = iif(excluded.role = 'staff', NULL, coalesce(subjects, former_subjects))",
            )?
            .execute(params![
                account.username.as_str(),
                account.name,
                account.rights.role().as_str(),
                account.password_hash,
                subjects_text(&account.rights)?,
            ])?;
            valid_from.map_or(Ok(()), |at| revoke_tokens(tx, &account.username, at, None))
        })
    }

    fn former_limit(&self, username: &UserName) -> StoreFuture<Option<Subjects>> {
        let username = username.clone();
        self.read(move |conn| {
            let limit = conn
                .prepare_cached("SELECT former_subjects FROM accounts WHERE username = ?1")?
                .query_row([username.as_str()], |row| subjects_at(row, 0))
                .optional()?;
            Ok(limit.flatten())
        })
    }

    fn change_password(&self, new: Account, old: String, now: Timestamp, spared: Uuid) -> StoreFuture<bool> {
        self.write(move |tx| {
            let sql = "UPDATE accounts SET password_hash = ?2 WHERE username = ?1 AND password_hash = ?3";
            let changed = tx.execute(sql, params![new.username.as_str(), new.password_hash, old])? > 0;
            if changed {
                revoke_tokens(tx, &new.username, now, Some(spared))?;
            }
            Ok(changed)
        })
    }

    fn remove_account(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(move |tx| {
            let removed = tx.execute("DELETE FROM accounts WHERE username = ?1", [username.as_str()])? > 0;
            if removed {
                remove_second_factor(tx, &username)?;
                remove_links_of(tx, &username)?;
                revoke_tokens(tx, &username, valid_from, None)?;
            }
            Ok(removed)
        })
    }

    fn users(&self, filter: UserFilter) -> StoreFuture<UserPage> {
        self.read(move |conn| users(conn, &filter))
    }

    fn names_above_students(&self) -> StoreFuture<Vec<(UserName, String)>> {
        self.read(|conn| {
            let at = |row: &Row<'_>| Ok((user_name_at(row, 0)?, row.get(1)?));
            conn.prepare_cached(NAMES_ABOVE_STUDENTS)?.query_map([], at)?.collect()
        })
    }

    fn unusual_names(&self) -> StoreFuture<Vec<UserName>> {
        self.read(|conn| conn.prepare(UNUSUAL_NAMES)?.query_map([], |row| user_name_at(row, 0))?.collect())
    }

    fn record_people(&self, people: Vec<Person>) -> StoreFuture<()> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO people (username, name, role, source, last_seen)
                 VALUES (?1, ?2, ?3, CASE WHEN ?5 IS NOT NULL THEN ?5
                                     WHEN EXISTS (SELECT 1 FROM accounts WHERE username = ?1) THEN 'local'
                                     ELSE 'token' END, ?4)
                 ON CONFLICT (username) DO UPDATE
                 SET name = excluded.name, role = excluded.role, source = excluded.source,
                     last_seen = max(last_seen, excluded.last_seen)",
            )?;
            for person in &people {
                let last_seen = person.last_seen.as_millisecond();
                let (name, role) = (person.username.as_str(), person.role.as_str());
                let source = person.source.as_ref().map(ToString::to_string);
                statement.execute(params![name, person.name, role, last_seen, source])?;
            }
            Ok(())
        })
    }

    fn revoke_token(&self, id: Uuid, expires_at: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached("INSERT OR IGNORE INTO dead_tokens (id, expires_at) VALUES (?1, ?2)")?
                .execute(params![id.to_string(), expires_at.as_millisecond()])?;
            Ok(())
        })
    }

    fn revoke_tokens(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| revoke_tokens(tx, &username, valid_from, None))
    }

    fn revoked_tokens(&self, now: Timestamp) -> StoreFuture<Vec<(Uuid, Timestamp)>> {
        self.read(move |conn| {
            conn.prepare_cached("SELECT id, expires_at FROM dead_tokens WHERE expires_at > ?1")?
                .query_map([now.as_millisecond()], |row| {
                    let id = Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?;
                    Ok((id, time_at(row, 1)?))
                })?
                .collect()
        })
    }

    fn ended_tokens(&self) -> StoreFuture<Vec<EndedTokens>> {
        self.read(|conn| {
            conn.prepare_cached("SELECT username, valid_from, spared FROM tokens_valid_from")?
                .query_map([], ended_tokens_at)?
                .collect()
        })
    }

    fn delete_expired_revocations(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM dead_tokens WHERE expires_at <= ?1")?.execute([now.as_millisecond()])?;
            Ok(())
        })
    }
}
