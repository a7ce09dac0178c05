//! Sign-ins and second factors on PostgreSQL.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::sign_ins::{RecoveryHash, SecondFactor, SecondFactorStore, SignInStore, StoredSignIn};

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::{text, uuid_at};
use crate::store::postgres::rows::{integer, number_at, time_at, user_at};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::Value;

/// Reads `id, username, device, address, since, last_seen, expires_at`.
pub(super) fn sign_in_at(row: &Row) -> Result<StoredSignIn, Failure> {
    Ok(StoredSignIn {
        id: uuid_at(row, 0)?,
        user: user_at(row, 1)?,
        device: row.try_get(2)?,
        address: row.try_get(3)?,
        since: time_at(row, 4)?,
        last_seen: time_at(row, 5)?,
        expires_at: time_at(row, 6)?,
    })
}

/// Reads `username, secret, last_step, since`.
fn second_factor_at(row: &Row) -> Result<SecondFactor, Failure> {
    Ok(SecondFactor {
        username: user_at(row, 0)?,
        secret: row.try_get(1)?,
        last_step: number_at(row, 2)?,
        since: time_at(row, 3)?,
    })
}

/// Removes the second factor of an account. Returns false if there is none.
pub(super) async fn remove_second_factor(tx: &Tx, username: &UserName) -> Result<bool, Failure> {
    let sql = "DELETE FROM second_factors WHERE username = $1";
    let removed = tx.execute(sql, &[&username.as_str()]).await? > 0;
    let sql = "DELETE FROM recovery_codes WHERE username = $1";
    tx.execute(sql, &[&username.as_str()]).await?;
    Ok(removed)
}

/// Records sign-ins in the order of their ids, so that two hubs that record the same ones do not deadlock.
async fn record_sign_ins(tx: &Tx, sign_ins: &[StoredSignIn]) -> Result<(), Failure> {
    let sql = "INSERT INTO sign_ins AS s (id, username, device, address, since, last_seen, expires_at)
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET last_seen = greatest(s.last_seen, excluded.last_seen)";
    // A statement cannot change one row twice.
    let mut known: BTreeMap<Uuid, StoredSignIn> = BTreeMap::new();
    for one in sign_ins {
        let stored = known.entry(one.id).or_insert_with(|| one.clone());
        stored.last_seen = stored.last_seen.max(one.last_seen);
    }
    let ids: Vec<Uuid> = known.keys().copied().collect();
    let users: Vec<&str> = known.values().map(|one| one.user.as_str()).collect();
    let devices: Vec<String> = known.values().map(|one| text(&one.device)).collect();
    let addresses: Vec<String> = known.values().map(|one| text(&one.address)).collect();
    let times = |of: fn(&StoredSignIn) -> Timestamp| -> Vec<i64> {
        known.values().map(|one| of(one).as_millisecond()).collect()
    };
    let (since, seen, expires) = (times(|one| one.since), times(|one| one.last_seen), times(|one| one.expires_at));
    tx.execute(sql, &[&ids, &users, &devices, &addresses, &since, &seen, &expires]).await?;
    Ok(())
}

async fn add_second_factor(tx: &Tx, factor: &SecondFactor, recovery: &[RecoveryHash]) -> Result<bool, Failure> {
    let name = factor.username.as_str();
    // The lock keeps the account until the commit, so that its removal also removes this factor.
    let sql = "INSERT INTO second_factors (username, secret, last_step, since)
         SELECT username, $2, $3, $4 FROM accounts WHERE username = $1 FOR KEY SHARE
         ON CONFLICT (username) DO NOTHING";
    let values: &[&dyn Value] =
        &[&name, &&factor.secret[..], &integer(factor.last_step), &factor.since.as_millisecond()];
    let added = tx.execute(sql, values).await? > 0;
    if added {
        tx.execute("DELETE FROM recovery_codes WHERE username = $1", &[&name]).await?;
        let codes: Vec<&[u8]> = recovery.iter().map(|hash| &hash[..]).collect();
        let sql = "INSERT INTO recovery_codes (username, hash) SELECT $1, unnest($2)";
        tx.execute(sql, &[&name, &codes]).await?;
    }
    Ok(added)
}

impl SignInStore for PostgresStore {
    fn sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<StoredSignIn>> {
        self.read(async move |tx| {
            let sql = "SELECT id, username, device, address, since, last_seen, expires_at FROM sign_ins
                 WHERE expires_at > $1 ORDER BY since, id";
            tx.query(sql, &[&now.as_millisecond()]).await?.iter().map(sign_in_at).collect()
        })
    }

    fn record_sign_ins(&self, sign_ins: Vec<StoredSignIn>) -> StoreFuture<()> {
        self.write(async move |tx| record_sign_ins(tx, &sign_ins).await)
    }

    fn delete_sign_in(&self, id: Uuid) -> StoreFuture<()> {
        self.write(async move |tx| tx.execute("DELETE FROM sign_ins WHERE id = $1", &[&id]).await.map(drop))
    }

    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()> {
        self.write(async move |tx| {
            let sql = "DELETE FROM sign_ins WHERE expires_at <= $1";
            tx.execute(sql, &[&now.as_millisecond()]).await.map(drop)
        })
    }
}

impl SecondFactorStore for PostgresStore {
    fn second_factors(&self) -> StoreFuture<Vec<SecondFactor>> {
        self.read(async |tx| {
            let sql = "SELECT username, secret, last_step, since FROM second_factors ORDER BY username";
            tx.query(sql, &[]).await?.iter().map(second_factor_at).collect()
        })
    }

    fn replace_secret(&self, username: &UserName, old: Vec<u8>, new: Vec<u8>) -> StoreFuture<()> {
        let username = username.clone();
        self.write(async move |tx| {
            let sql = "UPDATE second_factors SET secret = $3 WHERE username = $1 AND secret = $2";
            tx.execute(sql, &[&username.as_str(), &&old[..], &&new[..]]).await.map(drop)
        })
    }

    fn second_factor(&self, username: &UserName) -> StoreFuture<Option<SecondFactor>> {
        let username = username.clone();
        self.read(async move |tx| {
            let sql = "SELECT username, secret, last_step, since FROM second_factors WHERE username = $1";
            tx.query_opt(sql, &[&username.as_str()]).await?.as_ref().map(second_factor_at).transpose()
        })
    }

    fn add_second_factor(&self, factor: SecondFactor, recovery: Vec<RecoveryHash>) -> StoreFuture<bool> {
        self.write(async move |tx| add_second_factor(tx, &factor, &recovery).await)
    }

    fn use_step(&self, username: &UserName, step: u64) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(async move |tx| {
            let sql = "UPDATE second_factors SET last_step = $2 WHERE username = $1 AND last_step < $2";
            Ok(tx.execute(sql, &[&username.as_str(), &integer(step)]).await? > 0)
        })
    }

    fn use_recovery_code(&self, username: &UserName, hash: RecoveryHash) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(async move |tx| {
            let sql = "DELETE FROM recovery_codes WHERE username = $1 AND hash = $2";
            Ok(tx.execute(sql, &[&username.as_str(), &&hash[..]]).await? > 0)
        })
    }

    fn remove_second_factor(&self, username: &UserName) -> StoreFuture<bool> {
        let username = username.clone();
        self.write(async move |tx| remove_second_factor(tx, &username).await)
    }
}
