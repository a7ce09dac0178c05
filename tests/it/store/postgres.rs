//! The shared store under test: a database for each test.

use std::sync::OnceLock;

use eduhub::store::postgres::{PostgresOptions, PostgresStore};
use jiff::Timestamp;

use super::fixture::StoreFixture;
use crate::support::postgres::{Database, cluster};

/// A separate database for one test.
pub(crate) struct Shared(Database);

/// Returns the name of an empty, migrated database, which tests copy. Its locale sorts and compares names as people do,
/// so that a statement that depends on the locale fails.
fn template() -> &'static str {
    static MIGRATED: OnceLock<()> = OnceLock::new();
    MIGRATED.get_or_init(|| {
        cluster().run("postgres", "CREATE DATABASE migrated TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
        open(cluster().url("migrated"), false).close();
    });
    "migrated"
}

fn open(url: String, outbox: bool) -> PostgresStore {
    PostgresStore::open(&PostgresOptions { url, shown: String::new(), outbox: outbox.then(Timestamp::now) }).unwrap()
}

impl Shared {
    pub(crate) fn database(&self) -> &Database {
        &self.0
    }
}

/// A separate database for one test, reached through PgBouncer in transaction mode: each transaction may run on another
/// connection of the server.
pub(crate) struct Pooled(Shared);

impl StoreFixture for Pooled {
    type Store = PostgresStore;
    fn create() -> Self {
        Self(Shared::create())
    }
    fn open(&self) -> PostgresStore {
        self.0.0.run("DROP TRIGGER IF EXISTS no_bad ON registrations");
        open(cluster().url_of_bouncer(self.0.database().name()), true)
    }
    fn open_without_outbox(&self) -> PostgresStore {
        open(cluster().url_of_bouncer(self.0.database().name()), false)
    }
    fn refuse_bad(&self, store: &PostgresStore) {
        self.0.refuse_bad(store);
    }
}

impl StoreFixture for Shared {
    type Store = PostgresStore;
    fn create() -> Self {
        Self(cluster().create_database(template()))
    }
    fn open(&self) -> PostgresStore {
        self.0.run("DROP TRIGGER IF EXISTS no_bad ON registrations");
        open(self.0.url(), true)
    }
    fn open_without_outbox(&self) -> PostgresStore {
        open(self.0.url(), false)
    }
    fn refuse_bad(&self, _store: &PostgresStore) {
        self.0.run(
            "CREATE OR REPLACE FUNCTION no_bad() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
             CREATE OR REPLACE TRIGGER no_bad BEFORE INSERT OR UPDATE ON registrations
                 FOR EACH ROW WHEN (NEW.crn = 'BAD') EXECUTE FUNCTION no_bad()",
        );
    }
}
