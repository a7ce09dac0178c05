//! Tests of writes that PostgreSQL undoes because of a deadlock with another transaction: the store repeats them.

use std::sync::atomic::Ordering;
use std::thread;

use eduhub::store::StoreError;
use eduhub::store::outbox::OutboxStore;
use eduhub::store::postgres::PostgresStore;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::fixture::{StoreFixture as _, StoredTerm, block_on, load};
use super::outbox::item;
use super::postgres::Shared;
use crate::college::{id, register, section};
use crate::support::wait::eventually;

/// Connections of the test, in which PostgreSQL does not look for deadlocks, so that it always undoes the store's
/// transaction.
struct Rivals {
    runtime: Runtime,
    url: String,
}

impl Rivals {
    fn new(url: String) -> Self {
        Self { runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), url }
    }

    fn connect(&self) -> Client {
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute("SET deadlock_timeout = '1h'").await.unwrap();
            client
        })
    }

    /// Begins a transaction that locks a row.
    fn lock(&self, table: &str, crn: &str) -> Client {
        let client = self.connect();
        let sql = format!("BEGIN; SELECT 1 FROM {table} WHERE crn = '{crn}' FOR UPDATE");
        self.runtime.block_on(client.batch_execute(&sql)).unwrap();
        client
    }

    /// Waits until this many transactions wait for locks.
    fn wait_for_waiting(&self, observer: &Client, count: i64) {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("transactions that wait for locks", || {
            let row = self.runtime.block_on(observer.query_one(sql, &[])).unwrap();
            (row.get::<_, i64>(0) == count).then_some(())
        });
    }

    /// Runs an operation that writes the rows `A`, `B` and `C` of `table` in this order, and causes a deadlock with it:
    /// another transaction has locked `C` and waits for `A`. Returns the result of the operation.
    fn deadlock<T: Send>(&self, table: &'static str, operation: impl FnOnce() -> T + Send) -> T {
        let (observer, gate, rival) = (self.connect(), self.lock(table, "B"), self.lock(table, "C"));
        thread::scope(|scope| {
            let operation = scope.spawn(operation);
            self.wait_for_waiting(&observer, 1);
            let sql = format!("SELECT 1 FROM {table} WHERE crn = 'A' FOR UPDATE");
            let rival = self.runtime.spawn(async move {
                rival.batch_execute(&sql).await.unwrap();
                rival.batch_execute("COMMIT").await.unwrap();
            });
            self.wait_for_waiting(&observer, 2);
            // From now on the operation, which has A, waits for C.
            self.runtime.block_on(gate.batch_execute("ROLLBACK")).unwrap();
            self.runtime.block_on(rival).unwrap();
            operation.join().unwrap()
        })
    }
}

/// The key of the lock that migrations hold.
const MIGRATION_LOCK: i64 = 0x6564_7568_7562;

#[test]
fn a_migration_that_a_deadlock_undid_is_repeated() {
    let shared = Shared::create();
    let rivals = Rivals::new(shared.database().url());
    let (observer, rival) = (rivals.connect(), rivals.connect());
    // The schema before the newest migration, which changes a table that running hubs write.
    let before = "DROP TABLE import_errors, newest_demonstration;
         ALTER TABLE import_tasks DROP COLUMN cancel_requested; UPDATE schema_version SET version = 13";
    rivals.runtime.block_on(observer.batch_execute(before)).unwrap();
    let write = "BEGIN; UPDATE import_tasks SET hub = hub";
    rivals.runtime.block_on(rival.batch_execute(write)).unwrap();
    let store = thread::scope(|scope| {
        let opening = scope.spawn(|| shared.open());
        rivals.wait_for_waiting(&observer, 1);
        // The migration has its lock and waits for the table; this transaction has the table and waits for the lock.
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        rivals.runtime.block_on(rival.batch_execute(&lock)).unwrap();
        rivals.runtime.block_on(rival.batch_execute("COMMIT")).unwrap();
        opening.join().unwrap()
    });
    assert_eq!(conflicts(&store), 1);
    let version = "SELECT version FROM schema_version";
    let version: i64 = rivals.runtime.block_on(observer.query_one(version, &[])).unwrap().get(0);
    let column = "SELECT count(*) FROM information_schema.columns
         WHERE table_name = 'import_tasks' AND column_name = 'cancel_requested'";
    let columns: i64 = rivals.runtime.block_on(observer.query_one(column, &[])).unwrap().get(0);
    assert_eq!((version, columns), (14, 1));
}

/// Returns a term with the sections A, B and C, which are marked for Plone and have items.
fn marked() -> (StoredTerm<Shared>, Rivals) {
    let mut term = StoredTerm::<Shared>::with_sections(["A", "B", "C"].map(|crn| section(crn).seats(5)));
    term.run(vec![register("bob", "A"), register("bob", "B"), register("bob", "C")]).unwrap();
    block_on(term.store.put_items(["A", "B", "C"].map(|crn| item(&id(crn))).into())).unwrap();
    let rivals = Rivals::new(term.fixture.database().url());
    (term, rivals)
}

fn conflicts(store: &PostgresStore) -> u64 {
    store.gauge().conflicts.load(Ordering::Relaxed)
}

#[test]
fn a_write_that_a_deadlock_undid_is_repeated() {
    let (term, rivals) = marked();
    let mut items = ["A", "B", "C"].map(|crn| item(&id(crn))).to_vec();
    items.iter_mut().for_each(|item| item.path.push_str("-moved"));
    let written: Result<(), StoreError> =
        rivals.deadlock("plone_items", || block_on(term.store.put_items(items.clone())));
    assert_eq!(written, Ok(()));
    assert_eq!(conflicts(&term.store), 1);
    assert_eq!(block_on(term.store.items()).unwrap(), items);
}

#[test]
fn a_batch_that_a_deadlock_undid_is_written_as_it_was_decided() {
    let (mut term, rivals) = marked();
    let requests = || vec![register("ana", "A"), register("ana", "B"), register("ana", "C")];
    let committed = rivals.deadlock("plone_outbox", || term.run(requests()).unwrap());
    assert_eq!(conflicts(&term.store), 1);
    assert_eq!(committed.outcomes.iter().flatten().count(), 3);
    let stored = load(&term.store);
    assert!(stored.sections.iter().all(|section| section.state.enrolled == 2), "{stored:?}");
    assert_eq!(block_on(term.store.verify()).unwrap().differences, Vec::<String>::new());
    // The term in memory is the stored one.
    term.run(vec![register("cat", "A")]).unwrap();
}
