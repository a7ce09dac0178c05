//! Local accounts, known users and revoked tokens on PostgreSQL.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::domain::rights::Subjects;
use crate::store::StoreFuture;
use crate::store::accounts::{Account, AccountStore, EndedTokens, Person, User, UserFilter, UserPage, UserSource};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::guardian_links::remove_links_of;
use crate::store::postgres::people::{rights_at, role_at, subjects_at, subjects_text, text, uuid_at};
use crate::store::postgres::revocations::next_position;
use crate::store::postgres::rows::{maybe_time_at, text_at, time_at, user_at};
use crate::store::postgres::sign_ins::remove_second_factor;
use crate::store::postgres::transaction::Tx;

/// Reads `username, name, role, password_hash, subjects`.
fn account_at(row: &Row) -> Result<Account, Failure> {
    Ok(Account {
        username: user_at(row, 0)?,
        name: row.try_get(1)?,
        rights: rights_at(row, 2, 4)?,
        password_hash: row.try_get(3)?,
    })
}

/// Revokes the tokens of a user that were issued up to a time, except `spared`, unless those up to a later time are
/// already revoked.
async fn revoke_tokens(
    tx: &Tx,
    username: &UserName,
    valid_from: Timestamp,
    spared: Option<Uuid>,
) -> Result<(), Failure> {
    let position = next_position(tx).await?;
    let sql = "INSERT INTO tokens_valid_from AS t (username, valid_from, spared, position) VALUES ($1, $2, $3, $4)
         ON CONFLICT (username) DO UPDATE
         SET valid_from = excluded.valid_from, spared = excluded.spared, position = excluded.position
         WHERE t.valid_from <= excluded.valid_from";
    tx.execute(sql, &[&username.as_str(), &valid_from.as_millisecond(), &spared, &position]).await?;
    Ok(())
}

fn ended_tokens_at(row: &Row) -> Result<EndedTokens, Failure> {
    Ok(EndedTokens { user: user_at(row, 0)?, up_to: time_at(row, 1)?, spared: row.try_get(2)? })
}

/// All users who have an account or have used the hub. The name and role of an account take precedence over those in a
/// token, and so do the rights of a member of Plone and of a user of single sign-on.
const USERS: &str = "
    SELECT a.username, a.name, a.role, 'local' AS source, p.last_seen, a.subjects
    FROM accounts AS a LEFT JOIN people AS p ON p.username = a.username
    UNION ALL
    SELECT p.username, p.name, coalesce(m.role, u.role, p.role), p.source, p.last_seen,
           CASE WHEN m.role IS NULL THEN u.subjects ELSE m.subjects END
    FROM people AS p
    LEFT JOIN plone_members AS m ON m.username = p.username AND p.source = 'plone'
    LEFT JOIN provider_users AS u ON u.username = p.username AND p.source NOT IN ('local', 'plone', 'token')
    WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = p.username)";

/// Reads `username, name, role, source, last_seen, subjects`.
pub(super) fn listed_at(row: &Row) -> Result<User, Failure> {
    Ok(User {
        username: user_at(row, 0)?,
        name: row.try_get(1)?,
        role: role_at(row, 2)?,
        source: UserSource::parse(text_at(row, 3)?).ok_or_else(|| Failure::unreadable(3, "not a source"))?,
        last_seen: maybe_time_at(row, 4)?,
        subjects: subjects_at(row, 5)?,
    })
}

/// Names of users with characters beyond visible ASCII, and the names that a path cannot contain.
const UNUSUAL_NAMES: &str = "
    SELECT name FROM (
        SELECT username AS name FROM accounts UNION SELECT username FROM people
        UNION SELECT username FROM plone_members UNION SELECT login FROM plone_members
    ) AS names WHERE name ~ '[^!-~]' OR name IN ('.', '..') ORDER BY name";

/// The users who may be instructors.
const NAMES_ABOVE_STUDENTS: &str = "
    SELECT username, name FROM accounts WHERE role <> 'student'
    UNION SELECT username, name FROM people WHERE role <> 'student'
    UNION SELECT username, name FROM plone_members WHERE role <> 'student'
    UNION SELECT username, name FROM provider_users WHERE role <> 'student'";

/// Number of users that [`users`] reads at once.
const USERS_CHUNK: i64 = 2_000;

/// Reads all users in chunks and holds only the page in memory. The database cannot filter them, because no collation
/// is guaranteed to fold letter case as the hub does.
async fn users(tx: &Tx, filter: &UserFilter) -> Result<UserPage, Failure> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let matches = |user: &User| {
        let contains_text = |name: &str| text.as_ref().is_none_or(|text| name.to_lowercase().contains(text));
        contains_text(user.username.as_str()) || contains_text(&user.name)
    };
    let sql = format!("SELECT * FROM ({USERS}) AS users WHERE username > $1 ORDER BY username LIMIT $2");
    let mut page = UserPage::default();
    let mut last = String::new();
    loop {
        let rows = tx.query(&sql, &[&last.as_str(), &USERS_CHUNK]).await?;
        let Some(row) = rows.last() else { return Ok(page) };
        text_at(row, 0)?.clone_into(&mut last);
        for row in &rows {
            let user = listed_at(row)?;
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
    }
}

async fn put_account(tx: &Tx, account: &Account, valid_from: Option<Timestamp>) -> Result<(), Failure> {
    let sql = "INSERT INTO accounts AS a (username, name, role, password_hash, subjects) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (username) DO UPDATE
         SET name = excluded.name, role = excluded.role, password_hash = excluded.password_hash,
             subjects = excluded.subjects,
             former_subjects = CASE WHEN excluded.role = 'staff' THEN NULL
                                    ELSE coalesce(a.subjects, a.former_subjects) END";
    let Account { username, name, rights, password_hash } = account;
    let (role, subjects) = (rights.role().as_str(), subjects_text(rights)?);
    tx.execute(sql, &[&username.as_str(), &text(name), &role, &password_hash.as_str(), &subjects]).await?;
    if let Some(at) = valid_from {
        revoke_tokens(tx, username, at, None).await?;
    }
    Ok(())
}

async fn remove_account(tx: &Tx, username: &UserName, valid_from: Timestamp) -> Result<bool, Failure> {
    // The account is deleted first: its lock prevents a second factor from being added at the same time.
    let sql = "DELETE FROM accounts WHERE username = $1";
    let removed = tx.execute(sql, &[&username.as_str()]).await? > 0;
    if removed {
        remove_second_factor(tx, username).await?;
        remove_links_of(tx, username).await?;
        revoke_tokens(tx, username, valid_from, None).await?;
    }
    Ok(removed)
}

/// Records people in the order of their names, so that two hubs that record the same people do not deadlock.
async fn record_people(tx: &Tx, people: &[Person]) -> Result<(), Failure> {
    let sql = "INSERT INTO people AS p (username, name, role, source, last_seen)
         SELECT n.username, n.name, n.role,
                CASE WHEN n.source IS NOT NULL THEN n.source
                     WHEN EXISTS (SELECT 1 FROM accounts AS a WHERE a.username = n.username) THEN 'local'
                     ELSE 'token' END, n.last_seen
         FROM unnest($1, $2, $3, $4, $5) AS n (username, name, role, source, last_seen)
         ON CONFLICT (username) DO UPDATE
         SET name = excluded.name, role = excluded.role, source = excluded.source,
             last_seen = greatest(p.last_seen, excluded.last_seen)";
    // A statement cannot change one row twice: the last of several entries for a person counts, with the latest time.
    let mut newest: BTreeMap<&str, (&Person, Timestamp)> = BTreeMap::new();
    for person in people {
        let last_seen = newest.get(person.username.as_str()).map_or(person.last_seen, |n| n.1.max(person.last_seen));
        newest.insert(person.username.as_str(), (person, last_seen));
    }
    let usernames: Vec<&str> = newest.keys().copied().collect();
    let names: Vec<String> = newest.values().map(|(person, _)| text(&person.name)).collect();
    let roles: Vec<&str> = newest.values().map(|(person, _)| person.role.as_str()).collect();
    let sources: Vec<Option<String>> =
        newest.values().map(|(person, _)| person.source.as_ref().map(|source| text(&source.to_string()))).collect();
    let seen: Vec<i64> = newest.values().map(|(_, at)| at.as_millisecond()).collect();
    tx.execute(sql, &[&usernames, &names, &roles, &sources, &seen]).await?;
    Ok(())
}

async fn change_password(tx: &Tx, new: &Account, old: &str, now: Timestamp, spared: Uuid) -> Result<bool, Failure> {
    let sql = "UPDATE accounts SET password_hash = $2 WHERE username = $1 AND password_hash = $3";
    let changed = tx.execute(sql, &[&new.username.as_str(), &new.password_hash.as_str(), &old]).await? > 0;
    if changed {
        revoke_tokens(tx, &new.username, now, Some(spared)).await?;
    }
    Ok(changed)
}

impl AccountStore for PostgresStore {
    fn account(&self, username: &UserName) -> StoreFuture<Option<Account>> {
        let username = username.clone();
        self.read(async move |tx| {
            let sql = "SELECT username, name, role, password_hash, subjects FROM accounts WHERE username = $1";
            tx.query_opt(sql, &[&username.as_str()]).await?.as_ref().map(account_at).transpose()
        })
    }

    fn accounts(&self) -> StoreFuture<Vec<Account>> {
        self.read(async |tx| {
            let sql = "SELECT username, name, role, password_hash, subjects FROM accounts ORDER BY username";
            tx.query(sql, &[]).await?.iter().map(account_at).collect()
        })
    }

    fn put_account(&self, account: Account, valid_from: Option<Timestamp>) -> StoreFuture<()> {
        self.write(async move |tx| put_account(tx, &account, valid_from).await)
    }

    fn former_limit(&self, username: &UserName) -> StoreFuture<Option<Subjects>> {
        let username = username.clone();
        self.read(async move |tx| {
            let sql = "SELECT former_subjects FROM accounts WHERE username = $1";
            let row = tx.query_opt(sql, &[&username.as_str()]).await?;
            Ok(row.map(|row| subjects_at(&row, 0)).transpose()?.flatten())
        })
    }

    fn change_password(&self, new: Account, old: String, now: Timestamp, spared: Uuid) -> StoreFuture<bool> {
        self.write(async move |tx| change_password(tx, &new, &old, now, spared).await)
    }

    fn remove_account(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(async move |tx| remove_account(tx, &username, valid_from).await)
    }

    fn users(&self, filter: UserFilter) -> StoreFuture<UserPage> {
        self.read(async move |tx| users(tx, &filter).await)
    }

    fn names_above_students(&self) -> StoreFuture<Vec<(UserName, String)>> {
        self.read(async |tx| {
            let rows = tx.query(NAMES_ABOVE_STUDENTS, &[]).await?;
            rows.iter().map(|row| Ok((user_at(row, 0)?, row.try_get(1)?))).collect()
        })
    }

    fn unusual_names(&self) -> StoreFuture<Vec<UserName>> {
        self.read(async |tx| tx.query(UNUSUAL_NAMES, &[]).await?.iter().map(|row| user_at(row, 0)).collect())
    }

    fn record_people(&self, people: Vec<Person>) -> StoreFuture<()> {
        self.write(async move |tx| record_people(tx, &people).await)
    }

    fn revoke_token(&self, id: Uuid, expires_at: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            let position = next_position(tx).await?;
            let sql = "INSERT INTO dead_tokens (id, expires_at, position) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            tx.execute(sql, &[&id, &expires_at.as_millisecond(), &position]).await.map(drop)
        })
    }

    fn revoke_tokens(&self, username: &UserName, valid_from: Timestamp) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| revoke_tokens(tx, &username, valid_from, None).await)
    }

    fn revoked_tokens(&self, now: Timestamp) -> StoreFuture<Vec<(Uuid, Timestamp)>> {
        self.read(async move |tx| {
            let sql = "SELECT id, expires_at FROM dead_tokens WHERE expires_at > $1";
            let rows = tx.query(sql, &[&now.as_millisecond()]).await?;
            rows.iter().map(|row| Ok((uuid_at(row, 0)?, time_at(row, 1)?))).collect()
        })
    }

    fn ended_tokens(&self) -> StoreFuture<Vec<EndedTokens>> {
        self.read(async |tx| {
            let sql = "SELECT username, valid_from, spared FROM tokens_valid_from";
            tx.query(sql, &[]).await?.iter().map(ended_tokens_at).collect()
        })
    }

    fn delete_expired_revocations(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "DELETE FROM dead_tokens WHERE expires_at <= $1";
            tx.execute(sql, &[&now.as_millisecond()]).await.map(drop)
        })
    }
}
