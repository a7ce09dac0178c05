//! Fills an empty store, in one transaction.

use jiff::tz::TimeZone;

use crate::store::StoreFuture;
use crate::store::seed::{Seed, SeedAccount, SeedStore};

use crate::store::postgres::failure::Failure;
use crate::store::postgres::transaction::{Tx, Work};
use crate::store::postgres::{PostgresStore, alerts, marks, term_rows, term_writes};

/// The sequence and the generation of the first commit of a term.
const FIRST: i64 = 1;

async fn put_accounts(tx: &Tx, accounts: &[SeedAccount]) -> Result<(), Failure> {
    let texts = |of: fn(&SeedAccount) -> &str| accounts.iter().map(of).collect::<Vec<&str>>();
    let sql = "INSERT INTO accounts (username, name, role, password_hash) SELECT * FROM unnest($1, $2, $3, $4)";
    let names = texts(|account| account.username.as_str());
    let roles = texts(|account| account.role.as_str());
    let hashes = texts(|account| &account.password_hash);
    tx.execute(sql, &[&names, &texts(|account| &account.name), &roles, &hashes]).await.map(drop)
}

async fn seed(tx: &Tx, seed: &Seed, with_outbox: bool) -> Result<Work<bool>, Failure> {
    // Two hubs that start together on an empty store wait here for each other.
    tx.run("LOCK TABLE terms IN SHARE ROW EXCLUSIVE MODE").await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM terms) OR EXISTS (SELECT 1 FROM accounts)";
    if tx.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Work::Nothing(false));
    }
    for (term, sections) in &seed.terms {
        let sections: Vec<_> = sections.iter().collect();
        let mut statements = vec![term_rows::putting_term(term, FIRST, FIRST)?];
        let generation_of = term_writes::GIVEN_GENERATION;
        statements.extend(term_writes::put_sections(&term.id, &sections, FIRST, FIRST, generation_of)?);
        tx.execute_all(&statements).await?;
    }
    put_accounts(tx, &seed.accounts).await?;
    let at = seed.alert.created_at.to_zoned_datetime(TimeZone::UTC);
    alerts::post(tx, std::slice::from_ref(&seed.alert), &at).await?;
    if with_outbox {
        marks::mark_all(tx, seed.alert.created_at).await?;
    }
    Ok(Work::Commit(true))
}

impl SeedStore for PostgresStore {
    fn seed(&self, first: Seed) -> StoreFuture<bool> {
        let with_outbox = self.inner.outbox.is_some();
        self.write_if(async move |tx| seed(tx, &first, with_outbox).await)
    }
}
