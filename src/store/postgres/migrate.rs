//! Creates and migrates the schema.

use std::sync::atomic::AtomicU64;

use deadpool_postgres::Pool;

use crate::store::StoreError;
use crate::store::postgres::OpenError;
use crate::store::postgres::rows::number_at;
use crate::store::postgres::transaction::{self, Work};

/// The migrations, in order. `schema_version` has the number of those that were applied.
const MIGRATIONS: [&str; 14] = [
    include_str!("../../../migrations/postgres/0001_registration.sql"),
    include_str!("../../../migrations/postgres/0002_people.sql"),
    include_str!("../../../migrations/postgres/0003_hubs.sql"),
    include_str!("../../../migrations/postgres/0004_offers.sql"),
    include_str!("../../../migrations/postgres/0005_cap_messages.sql"),
    include_str!("../../../migrations/postgres/0006_demo_reports.sql"),
    include_str!("../../../migrations/postgres/0007_waitlist_choices.sql"),
    include_str!("../../../migrations/postgres/0008_leaders.sql"),
    include_str!("../../../migrations/postgres/0009_moved_stores.sql"),
    include_str!("../../../migrations/postgres/0010_used_tickets.sql"),
    include_str!("../../../migrations/postgres/0011_requested_jobs.sql"),
    include_str!("../../../migrations/postgres/0012_demonstrations.sql"),
    include_str!("../../../migrations/postgres/0013_audit_codes.sql"),
    include_str!("../../../migrations/postgres/0014_shared_tasks.sql"),
];
/// The oldest supported version of PostgreSQL, as `server_version_num` states it: 15.
const VERSION_NUM_MIN: u32 = 150_000;
/// The key of the advisory lock that orders hubs that start together: `eduhub` in ASCII.
const LOCK_KEY: i64 = 0x6564_7568_7562;

/// Applies the missing migrations, all in one transaction and under a lock. A migration that PostgreSQL undoes because
/// of a deadlock with another hub is repeated; `conflicts` counts the deadlocks.
pub(super) async fn migrate(pool: &Pool, conflicts: &AtomicU64) -> Result<(), OpenError> {
    let newest = MIGRATIONS.len() as u64;
    let migrated = transaction::write_retrying(pool, conflicts, async |tx| {
        tx.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK_KEY]).await?;
        tx.run("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)").await?;
        let row = tx.query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[]).await?;
        let version: u64 = number_at(&row, 0)?;
        let missing = MIGRATIONS.get(usize::try_from(version).unwrap_or(usize::MAX)..).unwrap_or_default();
        if missing.is_empty() {
            return Ok(Work::Nothing(version));
        }
        for migration in missing {
            tx.run(migration).await?;
        }
        tx.run("DELETE FROM schema_version").await?;
        tx.run(&format!("INSERT INTO schema_version (version) VALUES ({newest})")).await?;
        Ok(Work::Commit(newest))
    });
    match migrated.await {
        Ok(found) if found > newest => Err(OpenError::Newer { found, newest }),
        Ok(_) => Ok(()),
        Err(StoreError::Refused(error) | StoreError::Corrupt(error)) => Err(OpenError::Schema { error }),
        Err(error) => Err(OpenError::Unavailable { error: error.to_string() }),
    }
}

/// Refuses a version that is too old, and a database that may lose commits that it has confirmed.
pub(super) async fn require_usable(pool: &Pool) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num'), current_setting('server_version'),
         current_setting('synchronous_commit')";
    let settings = transaction::read(pool, async |tx| {
        let row = tx.query_one(sql, &[]).await?;
        Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?, row.try_get::<_, String>(2)?))
    });
    let (number, version, commits) =
        settings.await.map_err(|error| OpenError::Unavailable { error: error.to_string() })?;
    // A version in an unknown form is newer.
    if number.parse().is_ok_and(|number: u32| number < VERSION_NUM_MIN) {
        return Err(OpenError::TooOld { version });
    }
    if commits == "off" { Err(OpenError::NotDurable) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many migrations are older than the guarantee that migrations only add.
    const BEFORE_GUARANTEE: usize = 10;

    /// A hub of the previous version runs while a newer one migrates, and must not notice it (docs/OPERATIONS.md,
    /// "Upgrade").
    #[test]
    fn migrations_only_add() {
        for migration in &MIGRATIONS[BEFORE_GUARANTEE..] {
            let lines = migration.lines().map(|line| line.split("--").next().unwrap_or_default());
            let text = lines.collect::<Vec<_>>().join(" ").to_uppercase();
            for statement in text.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                let is_new = ["CREATE TABLE", "CREATE INDEX", "INSERT INTO COUNTERS", "INSERT INTO LEADERS"];
                let adds_column = statement.starts_with("ALTER TABLE")
                    && statement.matches("ADD COLUMN").count() == 1
                    && (statement.contains(" DEFAULT ") || !statement.contains("NOT NULL"))
                    && !["DROP", "RENAME", "ALTER COLUMN", "CONSTRAINT", "UNIQUE", "REFERENCES", "CHECK"]
                        .iter()
                        .any(|word| statement.contains(word));
                assert!(
                    adds_column || is_new.iter().any(|new| statement.starts_with(new)),
                    "it must only add: {statement}"
                );
            }
        }
    }
}
