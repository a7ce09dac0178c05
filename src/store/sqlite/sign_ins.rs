//! Sign-ins and second factors in the embedded store.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::sign_ins::{RecoveryHash, SecondFactor, SecondFactorStore, SignInStore, StoredSignIn};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::accounts::user_name_at;
use crate::store::sqlite::rows::{time_at, unreadable};

pub(super) fn sign_in_at(row: &Row<'_>) -> rusqlite::Result<StoredSignIn> {
    Ok(StoredSignIn {
        id: Uuid::parse_str(&row.get::<_, String>(0)?).map_err(|e| unreadable(0, e))?,
        user: user_name_at(row, 1)?,
        device: row.get(2)?,
        address: row.get(3)?,
        since: time_at(row, 4)?,
        last_seen: time_at(row, 5)?,
        expires_at: time_at(row, 6)?,
    })
}

pub(super) fn second_factor_at(row: &Row<'_>) -> rusqlite::Result<SecondFactor> {
    Ok(SecondFactor {
        username: user_name_at(row, 0)?,
        secret: row.get(1)?,
        last_step: row.get(2)?,
        since: time_at(row, 3)?,
    })
}

/// Removes the second factor of an account. Returns false if there is none.
pub(super) fn remove_second_factor(tx: &Connection, username: &UserName) -> rusqlite::Result<bool> {
    tx.execute("DELETE FROM recovery_codes WHERE username = ?1", [username.as_str()])?;
    Ok(tx.execute("DELETE FROM second_factors WHERE username = ?1", [username.as_str()])? > 0)
}

impl SignInStore for SqliteStore {
    fn sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<StoredSignIn>> {
        self.read(move |conn| {
            conn.prepare(
                "SELECT id, user, device, address, since, last_seen, expires_at FROM sign_ins
                 WHERE expires_at > ?1 ORDER BY since, id",
            )?
            .query_map([now.as_millisecond()], sign_in_at)?
            .collect()
        })
    }

    fn record_sign_ins(&self, sign_ins: Vec<StoredSignIn>) -> StoreFuture<()> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(
                "INSERT INTO sign_ins (id, user, device, address, since, last_seen, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
            )?;
            for one in &sign_ins {
                statement.execute(params![
                    one.id.to_string(),
                    one.user.as_str(),
                    one.device,
                    one.address,
                    one.since.as_millisecond(),
                    one.last_seen.as_millisecond(),
                    one.expires_at.as_millisecond()
                ])?;
            }
            Ok(())
        })
    }

    fn delete_sign_in(&self, id: Uuid) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM sign_ins WHERE id = ?1")?.execute([id.to_string()]).map(drop)
        })
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(move |tx| {
            tx.execute("DELETE FROM sign_ins WHERE expires_at <= ?1", [now.as_millisecond()]).map(drop)
        })
    }
}

impl SecondFactorStore for SqliteStore {
    fn second_factors(&self) -> StoreFuture<Vec<SecondFactor>> {
        self.read(move |conn| {
            conn.prepare("SELECT username, secret, last_step, since FROM second_factors ORDER BY username")?
                .query_map([], second_factor_at)?
                .collect()
        })
    }

    fn replace_secret(&self, username: &UserName, old: Vec<u8>, new: Vec<u8>) -> StoreFuture<()> {
        let username = username.clone();
        self.write(move |tx| {
            let sql = "UPDATE second_factors SET secret = ?3 WHERE username = ?1 AND secret = ?2";
            tx.prepare_cached(sql)?.execute(params![username.as_str(), old, new]).map(drop)
        })
    }

    fn second_factor(&self, username: &UserName) -> StoreFuture<Option<SecondFactor>> {
        let username = username.clone();
        self.read(move |conn| {
            conn.prepare_cached("SELECT username, secret, last_step, since FROM second_factors WHERE username = ?1")?
                .query_row([username.as_str()], second_factor_at)
                .optional()
        })
    }

    fn add_second_factor(&self, factor: SecondFactor, recovery: Vec<RecoveryHash>) -> StoreFuture<bool> {
        self.write(move |tx| {
            let name = factor.username.as_str();
            let added = tx.execute(
                "INSERT INTO second_factors (username, secret, last_step, since)
                 SELECT username, ?2, ?3, ?4 FROM accounts WHERE username = ?1
                 ON CONFLICT (username) DO NOTHING",
                params![name, factor.secret, factor.last_step, factor.since.as_millisecond()],
            )? > 0;
            if added {
                tx.execute("DELETE FROM recovery_codes WHERE username = ?1", [name])?;
                let mut statement = tx.prepare_cached("INSERT INTO recovery_codes (username, hash) VALUES (?1, ?2)")?;
                for hash in &recovery {
                    statement.execute(params![name, hash])?;
                }
            }
            Ok(added)
        })
    }

    fn use_step(&self, username: &UserName, step: u64) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(move |tx| {
            let sql = "UPDATE second_factors SET last_step = ?2 WHERE username = ?1 AND last_step < ?2";
            Ok(tx.prepare_cached(sql)?.execute(params![username.as_str(), step])? > 0)
        })
    }

    fn use_recovery_code(&self, username: &UserName, hash: RecoveryHash) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(move |tx| {
            let sql = "DELETE FROM recovery_codes WHERE username = ?1 AND hash = ?2";
            Ok(tx.prepare_cached(sql)?.execute(params![username.as_str(), hash])? > 0)
        })
    }

    fn remove_second_factor(&self, username: &UserName) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(move |tx| remove_second_factor(tx, &username))
    }
}
