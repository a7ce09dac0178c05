use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::demo;
use crate::domain::command::Command;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::domain::section::Credits;
use crate::registration::execution::BatchExecutor;
use crate::store::sqlite::{SqliteOptions, SqliteStore, verify};
use crate::store::terms::TermStore;

const MADE_AT: &str = "2026-05-04T12:00:00Z";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn open(&self) -> SqliteStore {
        let options = SqliteOptions { path: self.path("hub.db"), outbox: None };
        SqliteStore::open(options).unwrap()
    }
    /// Returns a store with the demonstration college, in which `students` have registered for one section.
    async fn with_students(students: usize) -> (Self, SqliteStore) {
        let place = Self::new();
        let store = place.open();
        let now: Timestamp = MADE_AT.parse().unwrap();
        demo::load_if_empty(&store, &store, now, &jiff::tz::TimeZone::UTC).await.unwrap();
        register(&store, 0..students).await;
        (place, store)
    }
    fn held(&self, name: &str) -> usize {
        let found = verify(&self.path(name)).unwrap();
        assert_eq!((&found.damage, &found.differences), (&Vec::new(), &Vec::new()), "{name}");
        found.registered
    }
    fn alter(&self, sql: &str) {
        Connection::open(self.path("hub.db")).unwrap().execute_batch(sql).unwrap();
    }
}

async fn register(store: &SqliteStore, students: std::ops::Range<usize>) {
    let term = TermId::parse("202609").unwrap();
    let executor = BatchExecutor::new(Arc::new(store.clone()), Credits(0));
    let (state, loaded) = executor.load(&term).await.unwrap();
    let roomy = loaded.sections.iter().max_by_key(|s| s.state.open_seats()).unwrap();
    let commands = students.map(|n| Command::Register {
        student: UserName::parse(&format!("s{n}")).unwrap(),
        crn: roomy.state.section.id.crn.clone(),
        waitlist: false,
    });
    let commands: Vec<Command> = commands.collect();
    executor.run(state, commands, MADE_AT.parse().unwrap()).await.unwrap();
}

#[actix_web::test]
async fn a_backup_of_a_running_hub_is_consistent_and_overwrites_nothing() {
    let (place, store) = Place::with_students(3).await;
    backup(&place.path("hub.db"), &place.path("copy.db")).unwrap();
    register(&store, 3..5).await;
    assert_eq!((place.held("copy.db"), place.held("hub.db")), (3, 5));
    let again = backup(&place.path("hub.db"), &place.path("copy.db"));
    assert!(matches!(again, Err(CopyError::Exists(_))), "{again:?}");
    assert_eq!(place.held("copy.db"), 3);
}

#[actix_web::test]
async fn a_restore_returns_to_the_backup_and_keeps_the_replaced_store() {
    let (place, store) = Place::with_students(3).await;
    backup(&place.path("hub.db"), &place.path("copy.db")).unwrap();
    register(&store, 3..5).await;
    let running = restore(&place.path("hub.db"), &place.path("copy.db"), true);
    assert!(matches!(running, Err(CopyError::Open(OpenError::Locked { .. }))), "{running:?}");
    drop(store);
    let careful = restore(&place.path("hub.db"), &place.path("copy.db"), false);
    assert!(matches!(careful, Err(CopyError::StoreExists(_))), "{careful:?}");
    assert_eq!(place.held("hub.db"), 5);
    let kept = restore(&place.path("hub.db"), &place.path("copy.db"), true).unwrap().unwrap();
    assert_eq!(place.held("hub.db"), 3);
    assert_eq!(place.held(kept.file_name().unwrap().to_str().unwrap()), 5);
    let store = place.open();
    assert_eq!(store.term_ids().await.unwrap().len(), 2);
}

#[actix_web::test]
async fn only_an_undamaged_store_of_the_hub_is_restored() {
    let place = Place::new();
    std::fs::write(place.path("text"), "not a database at all, whatever its name").unwrap();
    Connection::open(place.path("other.db")).unwrap().execute_batch("CREATE TABLE terms (id)").unwrap();
    for foreign in ["text", "other.db"] {
        let outcome = restore(&place.path("hub.db"), &place.path(foreign), true);
        assert!(matches!(outcome, Err(CopyError::Open(OpenError::Foreign(_)))), "{foreign}: {outcome:?}");
    }
    let outcome = restore(&place.path("hub.db"), &place.path("nothing"), true);
    assert!(matches!(outcome, Err(CopyError::Open(OpenError::Absent(_)))), "{outcome:?}");
    assert!(!place.path("hub.db").exists());
}

#[actix_web::test]
async fn verify_finds_a_wrong_count_a_missing_section_and_an_overlap() {
    let (place, store) = Place::with_students(3).await;
    drop(store);
    assert_eq!(place.held("hub.db"), 3);
    place.alter("UPDATE seats SET enrolled = enrolled + 1, waitlisted = 2");
    let found = verify(&place.path("hub.db")).unwrap();
    assert_eq!(found.differences.len(), 2, "{found:?}");
    assert!(found.differences[0].ends_with(": 4 enrolled by its count, 3 by its registrations"), "{found:?}");

    place.alter(
        "DELETE FROM seats; DELETE FROM registrations; DELETE FROM attempts; DELETE FROM attempt_chains;
         INSERT INTO registrations (term, user, crn, standing, place, at, passed, seq) VALUES ('202609', 'ann', '99999', 'enrolled', 0, 0, NULL, 1);",
    );
    let found = verify(&place.path("hub.db")).unwrap();
    assert_eq!(found.differences, ["202609-99999: registrations in a section that does not exist"]);

    let (one, other) = (Crn::parse("10001").unwrap(), Crn::parse("10002").unwrap());
    place.alter(&format!(
        "DELETE FROM registrations;
         INSERT INTO registrations (term, user, crn, standing, place, at, passed, seq) VALUES ('202609', 'ann', '{one}', 'enrolled', 0, 0, NULL, 1),
                                          ('202609', 'ann', '{other}', 'enrolled', 0, 0, NULL, 1);
         INSERT INTO seats (term, crn, enrolled, waitlisted, seq) VALUES ('202609', '{one}', 1, 0, 1), ('202609', '{other}', 1, 0, 1);"
    ));
    let found = verify(&place.path("hub.db")).unwrap();
    let note = "202609: ann has 10001 and 10002, two sections of one course and component".to_owned();
    assert!(found.differences.is_empty() && found.notes.contains(&note), "{found:?}");

    // ann waits for the second section and then drops the first.
    place.alter(&format!(
        "UPDATE registrations SET standing = 'waitlisted', place = 1, choices = '{{\"drop\":\"{one}\"}}' WHERE crn = '{other}';
         UPDATE seats SET enrolled = 0, waitlisted = 1 WHERE crn = '{other}'"
    ));
    let found = verify(&place.path("hub.db")).unwrap();
    assert!(found.differences.is_empty() && !found.notes.contains(&note), "{found:?}");
}
