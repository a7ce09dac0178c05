//! Tests of the checksum of the content.

use std::path::PathBuf;

use super::*;
use crate::store::sqlite::open::connect;
use crate::store::sqlite::{SqliteOptions, SqliteStore, verify};

/// Every way to change a row that the store uses, on tables with and without a row id.
const CHANGES: [&str; 11] = [
    "INSERT INTO plone_items VALUES ('t', '1', 'a', '/a', 0, '{}', 0), ('t', '2', 'b', '/b', 0, '{}', 0)",
    "INSERT OR REPLACE INTO plone_items VALUES ('t', '1', 'b', '/c', 5, '{}', 1)",
    "INSERT INTO audit (at, action, detail) VALUES (1, 'a', ''), (2, 'b', 'é')",
    // Both tables use AUTOINCREMENT; the first statement adds no row.
    "INSERT OR IGNORE INTO audit (at, action, detail) VALUES (3, NULL, '')",
    "INSERT INTO alert_log (alert_id, kind, at, broad) VALUES ('a', 'alert', 1, 0)",
    "INSERT INTO dead_tokens VALUES ('x', 1) ON CONFLICT DO UPDATE SET expires_at = 2",
    "INSERT INTO dead_tokens VALUES ('x', 1) ON CONFLICT DO UPDATE SET expires_at = 2",
    "INSERT OR IGNORE INTO dead_tokens VALUES ('x', 9), ('y', 9)",
    "UPDATE audit SET subject = 's' WHERE id = 2",
    "DELETE FROM audit WHERE id = 1",
    "DELETE FROM dead_tokens",
];

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn path(&self) -> PathBuf {
        self.folder.path().join("hub.db")
    }
    fn open(&self) -> SqliteStore {
        SqliteStore::open(SqliteOptions { path: self.path(), outbox: None }).unwrap()
    }
    fn damage(&self) -> Vec<String> {
        verify(&self.path()).unwrap().damage
    }
}

#[actix_web::test]
async fn the_checksum_follows_every_kind_of_change() {
    let place = Place::new();
    let store = place.open();
    for sql in CHANGES {
        store.write(move |tx| tx.execute_batch(sql)).await.unwrap();
        assert_eq!(place.damage(), [""; 0], "{sql}");
    }
    drop(store);
    place.open().write(|tx| tx.execute_batch(CHANGES[0])).await.unwrap_err();
    assert_eq!(place.damage(), [""; 0], "after opening again");
}

#[actix_web::test]
async fn undone_writes_leave_the_checksum() {
    let place = Place::new();
    let store = place.open();
    let insert = "INSERT INTO dead_tokens VALUES ('x', 1)";
    let failed = store.write(move |tx| tx.execute_batch(insert).and_then(|()| tx.execute_batch(insert)));
    let panicked = store.write(move |tx| -> rusqlite::Result<()> {
        tx.execute_batch(insert)?;
        panic!("a job that panics")
    });
    let (failed, panicked) = futures_util::future::join(failed, panicked).await;
    assert!(failed.is_err() && panicked.is_err());
    let written = store.write(move |tx| tx.execute_batch("INSERT INTO dead_tokens VALUES ('z', 3)"));
    written.await.unwrap();
    assert_eq!(place.damage(), [""; 0]);
}

#[test]
fn a_transaction_without_changes_writes_nothing() {
    let place = Place::new();
    drop(place.open());
    let connection = connect(&place.path()).unwrap();
    let before = connection.position();
    connection.transaction(|tx| tx.execute_batch("DELETE FROM audit")).unwrap();
    assert_eq!(connection.position(), before);
    connection.transaction(|tx| tx.execute_batch("INSERT INTO dead_tokens VALUES ('x', 1)")).unwrap();
    assert_eq!(connection.position().commits, before.commits + 1);
}

#[test]
fn changes_by_another_program_are_noticed() {
    for sql in [
        "INSERT INTO dead_tokens VALUES ('x', 1)",
        "INSERT INTO sqlite_sequence VALUES ('audit', 7)",
        "DROP INDEX audit_by_at",
        "UPDATE content SET commits = commits + 1",
    ] {
        let place = Place::new();
        drop(place.open());
        Connection::open(place.path()).unwrap().execute_batch(sql).unwrap();
        assert_ne!(place.damage(), [""; 0], "{sql}");
    }
}
