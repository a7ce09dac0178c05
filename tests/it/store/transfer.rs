//! Tests of moving an embedded store to PostgreSQL: rows that the two kinds of store keep differently.

use std::sync::Arc;

use eduhub::domain::section::Credits;
use eduhub::registration::submitted::Submitted;
use eduhub::store::attempts::AttemptStore;
use eduhub::store::outbox::OutboxStore;
use eduhub::store::sqlite::{SqliteStore, transfer_source};
use eduhub::store::transfer::{Progress, TABLES, TransferError, Transferred};
use parking_lot::Mutex;
use uuid::Uuid;

use super::fixture::{Embedded, StoreFixture, StoredTerm, TermOwner, block_on, load};
use super::histories::Image;
use super::postgres::Shared;
use crate::college::{id, minute, register, register_or_wait, section, term_id};
use crate::support::wait::eventually;

/// Moves a closed store. Returns the result, and the tables that were compared.
fn migrate(from: &Embedded, to: &Shared) -> (Result<Transferred, TransferError>, Vec<&'static str>) {
    let compared: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    // Another test may briefly keep a lock that was just released; see `fixture::open_when_unlocked`.
    let (lock, source) = eventually("the lock", || transfer_source(&from.path()).ok());
    let seen = compared.clone();
    let report = move |progress| {
        if let Progress::Compared(table, _) = progress {
            seen.lock().push(table);
        }
    };
    let store = to.open_without_outbox();
    let moved = block_on(store.receive(source, Arc::new(report))).unwrap();
    store.close();
    drop(lock);
    let compared = compared.lock().clone();
    (moved, compared)
}

fn execute(store: &SqliteStore, sql: &'static str) {
    block_on(store.write(move |tx| tx.execute_batch(sql))).unwrap();
}

#[test]
fn rows_that_the_stores_keep_differently_are_converted() {
    let mut term = StoredTerm::<Embedded>::with_sections([section("X").seats(1), section("Y").seats(5)]);
    let request = Uuid::now_v7();
    term.run(vec![Submitted::by_student(register("ana", "X"), Some(request))]).unwrap();
    term.run(vec![register_or_wait("bob", "X"), register("bob", "Y")]).unwrap();
    // A staged import that is never applied; a text with a character that PostgreSQL cannot store; ids; an alert from
    // before the parts of its audience were stored.
    term.stage(vec![(section("Z").seats(3), None)]);
    execute(
        &term.store,
        "INSERT INTO plone_notes (name, value) VALUES ('odd', 'a' || char(0) || 'b');
             INSERT INTO dead_tokens (id, expires_at) VALUES ('0190a5a0-0000-7000-8000-000000000001', 9000000000000);
             INSERT INTO alert_recipients (user, alert_id, parts) VALUES ('ana', 'old', NULL);",
    );
    let before = Image::of(&load(&term.store));
    let history = block_on(term.store.attempts_of_section(&id("X"), None, 10)).unwrap();
    let entry = block_on(term.store.due(minute(500), Vec::new(), 10, true)).unwrap().len();
    let from = term.close();

    let to = Shared::create();
    let (moved, compared) = migrate(&from, &to);
    let moved = moved.unwrap();
    assert_eq!((moved.replaced, moved.attempts), (1, 3));
    assert_eq!(compared, TABLES);
    let store = to.open();
    assert_eq!(Image::of(&load(&store)), before);
    assert_eq!(block_on(store.note("odd")).unwrap().as_deref(), Some("a\u{fffd}b"));
    assert_eq!(block_on(store.attempts_of_section(&id("X"), None, 10)).unwrap(), history);
    assert_eq!(block_on(store.due(minute(500), Vec::new(), 10, true)).unwrap().len(), entry);
    assert!(block_on(store.verify()).unwrap().differences.is_empty());
    // An import continues with the generation after the last one that was applied.
    let mut moved_term = StoredTerm::<Shared>::open(to, store);
    moved_term.import(vec![(section("X").seats(2), None), (section("Y").seats(5), None)]);
    let mut owner = TermOwner::of(&moved_term.store, term_id(), Credits(0));
    owner.run(vec![register("cat", "Y")], minute(2)).unwrap();
    assert!(block_on(moved_term.store.verify()).unwrap().differences.is_empty());

    // A second move is refused.
    moved_term.store.close();
    let (again, _) = migrate(&from, &moved_term.close());
    assert!(matches!(again, Err(TransferError::NotEmpty(_))), "{again:?}");
}
