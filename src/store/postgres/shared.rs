//! What other hubs change.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;
use crate::store::StoreFuture;
use crate::store::accounts::EndedTokens;
use crate::store::shared::{Revocations, SharedStore, StoredTerm};
use crate::store::sign_ins::StoredSignIn;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::people::uuid_at;
use crate::store::postgres::rows::{integer, number_at, term_id_at, time_at, user_at};
use crate::store::postgres::sign_ins::sign_in_at;
use crate::store::postgres::term_rows::HISTORY;
use crate::store::postgres::transaction::{Tx, Work};

async fn stored_terms(tx: &Tx) -> Result<Vec<StoredTerm>, Failure> {
    let sql = format!("SELECT id, seats_seq, rewrites + {HISTORY} FROM terms ORDER BY id");
    let rows = tx.query(&sql, &[]).await?;
    rows.iter()
        .map(|row| Ok(StoredTerm { id: term_id_at(row, 0)?, seq: number_at(row, 1)?, rewrites: number_at(row, 2)? }))
        .collect()
}

async fn revocations_since(tx: &Tx, position: u64) -> Result<Revocations, Failure> {
    let since = integer(position);
    let sql = "SELECT value, EXISTS (SELECT 1 FROM accounts) FROM counters WHERE name = 'revocations'";
    let state = tx.query_one(sql, &[]).await?;
    let mut found = Revocations { position: number_at(&state, 0)?, ..Revocations::default() };
    found.has_accounts = state.try_get(1)?;
    if found.position <= position {
        return Ok(Revocations { position, ..found });
    }
    let sql = "SELECT id, expires_at FROM dead_tokens WHERE position > $1";
    for row in tx.query(sql, &[&since]).await? {
        found.tokens.push((uuid_at(&row, 0)?, time_at(&row, 1)?));
    }
    let sql = "SELECT username, valid_from, spared FROM tokens_valid_from WHERE position > $1";
    for row in tx.query(sql, &[&since]).await? {
        let (user, up_to): (_, Timestamp) = (user_at(&row, 0)?, time_at(&row, 1)?);
        found.users.push(EndedTokens { user, up_to, spared: row.try_get(2)? });
    }
    let sql = "SELECT username, at FROM plone_sign_ins_ended WHERE position > $1";
    for row in tx.query(sql, &[&since]).await? {
        found.members.push((user_at(&row, 0)?, time_at(&row, 1)?));
    }
    Ok(found)
}

impl SharedStore for PostgresStore {
    fn stored_terms(&self) -> StoreFuture<Vec<StoredTerm>> {
        self.follow(async |tx| stored_terms(tx).await)
    }

    fn revocations_since(&self, position: u64) -> StoreFuture<Revocations> {
        self.follow(async move |tx| revocations_since(tx, position).await)
    }

    fn use_ticket(&self, ticket: Uuid) -> StoreFuture<bool> {
        self.write_if(async move |tx| {
            let sql = "INSERT INTO used_tickets (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
            let is_new = tx.execute(sql, &[&ticket]).await? > 0;
            Ok(if is_new { Work::Commit(true) } else { Work::Nothing(false) })
        })
    }

    fn sign_ins_of(&self, user: &UserName, now: Timestamp, limit: usize) -> StoreFuture<Vec<StoredSignIn>> {
        let user = user.clone();
        self.read(async move |tx| {
            let sql = "SELECT id, username, device, address, since, last_seen, expires_at FROM sign_ins
                 WHERE username = $1 AND expires_at > $2 ORDER BY since DESC, id DESC LIMIT $3";
            let rows = tx.query(sql, &[&user.as_str(), &now.as_millisecond(), &integer(limit)]).await?;
            rows.iter().rev().map(sign_in_at).collect()
        })
    }
}
