//! Fills an empty embedded store, in one transaction.

use jiff::tz::TimeZone;
use rusqlite::params;

use crate::store::StoreFuture;
use crate::store::seed::{Seed, SeedStore};
use crate::store::sqlite::{SqliteStore, alerts, marks, rows};

impl SeedStore for SqliteStore {
    fn seed(&self, seed: Seed) -> StoreFuture<bool> {
        let with_outbox = self.inner.options.outbox.is_some();
        self.write(move |tx| {
            let is_used: bool =
                tx.query_row("SELECT EXISTS (SELECT 1 FROM terms) OR EXISTS (SELECT 1 FROM accounts)", [], |row| {
                    row.get(0)
                })?;
            if is_used {
                return Ok(false);
            }
            for (term, sections) in &seed.terms {
                rows::put_term(tx, term, 1, 1)?;
                for state in sections {
                    rows::put_section(tx, state, 1, 1)?;
                }
            }
            let mut insert =
                tx.prepare("INSERT INTO accounts (username, name, role, password_hash) VALUES (?1, ?2, ?3, ?4)")?;
            for account in &seed.accounts {
                let (name, role) = (account.username.as_str(), account.role.as_str());
                insert.execute(params![name, account.name, role, account.password_hash])?;
            }
            alerts::put(tx, &seed.alert)?;
            let at = seed.alert.created_at.to_zoned_datetime(TimeZone::UTC);
            alerts::send_out(tx, &seed.alert.id, &seed.alert.content, &at)?;
            if with_outbox {
                marks::mark_all(tx, seed.alert.created_at)?;
            }
            Ok(true)
        })
    }
}
