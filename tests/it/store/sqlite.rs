//! Promises of the embedded store alone: clear errors for files that cannot be used, and recovery from a full disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eduhub::domain::published::PublishedTerm;
use eduhub::domain::section::Credits;
use eduhub::store::StoreError;
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::terms::TermStore;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::house::{Desk, Embedded, TermOwner, load, open_freed, wait};
use crate::child_process::{self, RunAs};
use crate::college::{drop_of, minute, register, section, term_id, window};

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteOptions { path: path.to_owned(), outbox: None })
}

fn refused(path: &Path) -> OpenError {
    open(path).err().unwrap_or_else(|| panic!("{} was opened", path.display()))
}

#[test]
fn a_second_handle_names_the_hub_that_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let first = open(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Locked { address: None, .. }), "{error}");
    first.lock().announce("http://127.0.0.1:8123").unwrap();
    let error = refused(&path).to_string();
    assert!(error.contains("in use by another process (a hub at http://127.0.0.1:8123)"), "{error}");
    drop(first);
    drop(open_freed(&path, false));
}

#[test]
fn a_second_process_on_one_store_is_refused() {
    if let Some(path) = child_process::path_from_parent() {
        let error = refused(&path);
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let _held = open(&path).unwrap();
    child_process::run(module_path!(), "a_second_process_on_one_store_is_refused", &path, RunAs::SameUser);
}

#[test]
fn a_file_that_is_not_a_database_is_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "Registration opens at 8:00.\n".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Sqlite { .. }), "{error}");
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[test]
fn opening_a_folder_names_it_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(folder.path());
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
}

#[test]
fn a_newer_schema_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_without_commit_sequences_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let older = rusqlite::Connection::open(&path).unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files[..7] {
        older.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    let rows = "PRAGMA user_version = 7;
        INSERT INTO terms VALUES ('2027', 'Autumn', NULL, NULL, 0, NULL, '[]', 41, 3);
        INSERT INTO sections SELECT '2027', crn, generation, 'COURSE', 'lecture', NULL, NULL, 3000, NULL, NULL, NULL,
            '[]', generation, 0, 'open', '[]', '[]', 0, 0, NULL, NULL, 0
            FROM (SELECT 'X' AS crn UNION SELECT 'Y'), (SELECT 1 AS generation UNION SELECT 3);
        INSERT INTO seats VALUES ('2027', 'X', 1, 0);
        INSERT INTO registrations VALUES ('2027', 'ana', 'X', 'enrolled', 0, 0, NULL);";
    older.execute_batch(rows).unwrap();
    drop(older);

    let store = open(&path).unwrap();
    let mut owner = TermOwner::of(&store, term_id(), Credits(0));
    let loaded = owner.load().unwrap();
    assert_eq!((loaded.seq, loaded.sections.len(), loaded.students.len()), (41, 2, 1));
    assert!(loaded.sections.iter().all(|s| s.state.section.capacity == 3), "the newest generation is visible");
    owner.run(vec![register("bob", "X")], minute(1)).unwrap();
    let changes = wait(store.changes_since(&term_id(), loaded.seq)).unwrap();
    assert_eq!(changes.seq, 42);
    assert_eq!(changes.changes.sections[0].enrolled, 2);
    assert_eq!((changes.changes.sections.len(), changes.changes.registrations.len()), (1, 1), "only what came later");
}

#[test]
fn an_unwritable_file_or_folder_is_a_clear_error() {
    const TEST: &str = "an_unwritable_file_or_folder_is_a_clear_error";
    if let Some(path) = child_process::path_from_parent() {
        let error = refused(&path);
        assert!(matches!(error, OpenError::ReadOnly { .. } | OpenError::Io { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains(&path.display().to_string()), "{words}");
        assert!(["is read-only", "Permission denied"].iter().any(|w| words.contains(w)), "{words}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    drop(open(&path).unwrap());
    let mode = |of: &Path, bits| std::fs::set_permissions(of, std::fs::Permissions::from_mode(bits)).unwrap();
    for beside in [path.clone(), folder.path().join("hub.sqlite.lock")] {
        mode(&beside, 0o666);
    }
    mode(&path, 0o444);
    mode(folder.path(), 0o777);
    child_process::run(module_path!(), TEST, &path, RunAs::Unprivileged);
    mode(&path, 0o666);
    mode(&folder.path().join("hub.sqlite.lock"), 0o444);
    mode(folder.path(), 0o555);
    child_process::run(module_path!(), TEST, &path, RunAs::Unprivileged);
    mode(folder.path(), 0o755);
}

#[test]
fn a_full_disk_loses_no_acknowledged_seat() {
    if child_process::path_from_parent().is_some() {
        recover_from_a_full_disk();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    child_process::run(module_path!(), "a_full_disk_loses_no_acknowledged_seat", folder.path(), RunAs::SameUser);
}

/// Sets a limit on the size of files and lifts it again, so that writes fail as on a full disk, at a moment that the
/// store does not choose. It runs in a child process, because the limit is the process's.
fn recover_from_a_full_disk() {
    let mut desk = Desk::<Embedded>::with([section("X").seats(10_000)]);
    let mut answered = Vec::new();
    let mut next = 0;
    let mut register_one = |desk: &mut Desk<Embedded>| {
        next += 1;
        let student = format!("s{next}");
        desk.run(vec![register(&student, "X")]).map(|_| student)
    };
    for _ in 0..20 {
        answered.push(register_one(&mut desk).unwrap());
    }

    let before = getrlimit(Resource::Fsize);
    // Below the size of every file of the store: neither the log nor the database can grow.
    setrlimit(Resource::Fsize, Rlimit { current: Some(4_096), maximum: before.maximum }).unwrap();
    let error = register_one(&mut desk).expect_err("nothing can be written");
    assert!(matches!(error, StoreError::CommitFailed(_)), "{error}");
    // From then on it reports at once that it is unavailable, to writes and to loads.
    let error = register_one(&mut desk).expect_err("nothing can be written");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(matches!(desk.owner.load(), Err(StoreError::Unavailable(_))));
    assert!(desk.store.gauge().recovering.load(Ordering::Acquire));

    setrlimit(Resource::Fsize, before).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let loaded = loop {
        match desk.owner.load() {
            Ok(loaded) => break loaded,
            Err(error) => assert!(Instant::now() < deadline, "not usable again: {error}"),
        }
        std::thread::yield_now();
    };
    let holds = |loaded: &PublishedTerm, who: &str| {
        loaded.students.iter().any(|(student, held)| student.as_str() == who && held[0].is_held())
    };
    assert!(answered.iter().all(|who| holds(&loaded, who)), "an acknowledged seat is lost");
    assert!(!holds(&loaded, "s22"), "the refused command was not run");
    let enrolled = loaded.students.len();
    assert_eq!(loaded.sections[0].state.enrolled as usize, enrolled, "the counts are those of the registrations");
    assert!(enrolled - answered.len() <= 1, "at most the one with an unknown outcome");

    // Memory and the store continue from the same state.
    for _ in 0..20 {
        answered.push(register_one(&mut desk).unwrap());
    }
    let desk = desk.reopened();
    assert!(answered.iter().all(|who| holds(&desk.loaded, who)));
    assert_eq!(desk.loaded.sections[0].state.enrolled as usize, desk.loaded.students.len());
}

#[test]
fn a_store_copied_without_closing_has_every_commit() {
    let mut desk = Desk::<Embedded>::with([section("X").seats(9)]);
    desk.run(vec![register("ana", "X"), window(Some(3), None)]).unwrap();
    // The files are copied while the store is open, as a loss of power would leave them.
    let copy = tempfile::tempdir().unwrap();
    let folder = desk.store.path().parent().unwrap();
    for name in ["hub.sqlite", "hub.sqlite-wal"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let store = open(&copy.path().join("hub.sqlite")).unwrap();
    let loaded = load(&store);
    assert_eq!(loaded.students.len(), 1);
    assert_eq!(loaded.term.opens_at, Some(minute(3)));
}

#[test]
fn a_panicking_decision_is_refused_alone() {
    let mut desk = Desk::<Embedded>::with([section("X"), section("Y")]);
    desk.ask(register("ana", "X"));
    // The counts were falsified: more students leave than are counted.
    wait(desk.store.write(|tx| tx.execute_batch("UPDATE seats SET enrolled = 0"))).unwrap();
    let mut desk = desk.reopened();
    let committed = desk.run(vec![register("bob", "Y"), drop_of("ana", "X"), register("cyd", "Y")]).unwrap();
    let words: Vec<_> = committed.outcomes.iter().map(|a| a.as_ref().map(|a| format!("{a:?}"))).collect();
    assert!(words[0].as_ref().is_some_and(|w| w.contains("Enrolled")), "{words:?}");
    assert_eq!(words[1], None);
    assert!(words[2].as_ref().is_some_and(|w| w.contains("SectionFull")), "{words:?}");
    let loaded = desk.reopened().loaded;
    let ana = loaded.students.iter().find(|(who, _)| who.as_str() == "ana").unwrap();
    assert!(ana.1[0].is_held());
}
