//! Tests of the embedded store only: clear errors for files that cannot be used, stores of older versions, and recovery
//! from a full disk.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eduhub::domain::audience::Audience;
use eduhub::domain::audit_detail::Detail;
use eduhub::domain::ids::TermId;
use eduhub::domain::plan::{PlanName, PlannedSection};
use eduhub::domain::published::PublishedTerm;
use eduhub::domain::role::Role;
use eduhub::domain::section::Credits;
use eduhub::store::StoreError;
use eduhub::store::accounts::{AccountStore, AuditFilter, AuditStore, Person, UserFilter, UserSource};
use eduhub::store::alerts::{AlertStore, Entry, Reader, Span};
use eduhub::store::members::MemberStore;
use eduhub::store::plans::{Plan, PlanStore};
use eduhub::store::privacy::{Erasure, ErasureOutcome, PrivacyStore};
use eduhub::store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use eduhub::store::terms::TermStore;
use jiff::tz::TimeZone;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::fixture::{Embedded, StoredTerm, TermOwner, block_on, load, open_when_unlocked};
use crate::child_process::{self, RunAs};
use crate::college::{drop_section, minute, register, section, term_id, user, window};

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteOptions { path: path.to_owned(), outbox: None })
}

/// Returns the error of opening a store, which must fail.
fn open_error(path: &Path) -> OpenError {
    open(path).err().unwrap_or_else(|| panic!("{} was opened", path.display()))
}

#[test]
fn a_second_handle_names_the_hub_that_holds_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let first = open(&path).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, OpenError::Locked { address: None, .. }), "{error}");
    first.lock().announce("http://127.0.0.1:8123").unwrap();
    let error = open_error(&path).to_string();
    assert!(error.contains("in use by another process (a hub at http://127.0.0.1:8123)"), "{error}");
    drop(first);
    drop(open_when_unlocked(&path, false));
}

#[test]
fn a_second_process_on_one_store_is_refused() {
    if let Some(path) = child_process::path_from_parent() {
        let error = open_error(&path);
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
    let error = open_error(&path);
    assert!(matches!(error, OpenError::Sqlite { .. }), "{error}");
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[test]
fn opening_a_folder_names_it_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = open_error(folder.path());
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
    let error = open_error(&path);
    assert!(matches!(error, OpenError::TooNew { found: 99, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Creates a store with the first `count` migrations and these rows.
fn older_store(path: &Path, count: usize, rows: &str) {
    let older = rusqlite::Connection::open(path).unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files[..count] {
        older.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    older.execute_batch(&format!("PRAGMA user_version = {count}; {rows}")).unwrap();
}

#[test]
fn an_alert_of_an_older_store_names_only_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let content = r#"{"title":"Flood","message":"Room 1.","priority":"low","category":"system",
        "audience":{"users":["ann","bob"],"sections":["2027-X"]},"starts_at":null,"expires_at":null,"requires_ack":false}"#;
    let rows = format!(
        "INSERT INTO alerts VALUES ('a', '{content}', 'staff', 'desk', 0, NULL, NULL, NULL, 0, 0);
         INSERT INTO alert_log (alert_id, kind, at, broad) VALUES ('a', 'alert', 0, 0);
         INSERT INTO alert_recipients VALUES ('ann', 'a'), ('bob', 'a'), ('cid', 'a');"
    );
    older_store(&path, 8, &rows);
    let store = open(&path).unwrap();
    for name in ["ann", "cid"] {
        let reader = crate::college::user(name);
        let reader = Reader::new(Some((&reader, Role::Student)), "Riverside College".into());
        let span = Span { since: 0, until: None, limit: 10 };
        let page = block_on(store.visible_to(reader, span)).unwrap();
        let [(1, Entry::Alert(alert))] = page.items.as_slice() else { panic!("{page:?}") };
        assert_eq!(alert.content.audience, Audience::for_user(crate::college::user(name)));
        assert_eq!(alert.sender, "Riverside College");
    }
}

#[test]
fn a_person_in_a_term_with_an_older_id_is_exported_and_erased() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    // New terms cannot have this id.
    let rows =
        "INSERT INTO terms (id, title, ends_on, seats_seq, generation) VALUES ('..', 'Fall', '2020-01-01', 1, 1);
         INSERT INTO registrations (term, user, crn, standing, place, at) VALUES ('..', 'ann', 'X', 'dropped', 0, 0);";
    older_store(&path, 8, rows);
    let (store, term) = (open(&path).unwrap(), TermId::stored("..").unwrap());
    let record = block_on(store.record_of(&user("ann"))).unwrap();
    assert_eq!(record.registrations.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&term]);
    let now = minute(5).to_zoned_datetime(TimeZone::UTC);
    let erasure = Erasure { user: user("ann"), login: None, pseudonym: user("erased-1"), now };
    assert_eq!(block_on(store.erase(erasure)).unwrap(), ErasureOutcome::Erased(vec![term]));
}

#[test]
fn an_audit_entry_of_an_older_store_has_no_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    older_store(&path, 8, "INSERT INTO audit (at, action, detail) VALUES (1, 'login', 'local account')");
    let page = block_on(open(&path).unwrap().page(AuditFilter { limit: 9, ..AuditFilter::default() })).unwrap();
    assert_eq!(page.items.iter().map(|entry| &entry.detail).collect::<Vec<_>>(), [&Detail::from("local account")]);
}

#[test]
fn a_plan_without_a_name_becomes_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    older_store(&path, 8, r#"INSERT INTO plans VALUES ('ann', '["2027-X","2027-Y"]')"#);
    let store = open(&path).unwrap();
    let sections = ["X", "Y"].map(|one| PlannedSection::new(crate::college::id(one))).to_vec();
    let expected = vec![Plan { name: PlanName::default(), sections }];
    assert_eq!(block_on(store.plans(&crate::college::user("ann"))).unwrap(), expected);
    drop(store);
    assert_eq!(block_on(open(&path).unwrap().plans(&crate::college::user("ann"))).unwrap(), expected);
}

#[test]
fn a_store_without_commit_sequences_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let rows = "INSERT INTO terms VALUES ('2027', 'Autumn', NULL, NULL, 0, NULL, '[]', 41, 3);
        INSERT INTO sections SELECT '2027', crn, generation, 'COURSE', 'lecture', NULL, NULL, 3000, NULL, NULL, NULL,
            '[]', generation, 0, 'open', '[]', '[]', 0, 0, NULL, NULL, 0
            FROM (SELECT 'X' AS crn UNION SELECT 'Y'), (SELECT 1 AS generation UNION SELECT 3);
        INSERT INTO seats VALUES ('2027', 'X', 1, 0);
        INSERT INTO registrations VALUES ('2027', 'ana', 'X', 'enrolled', 0, 0, NULL);";
    older_store(&path, 7, rows);

    let store = open(&path).unwrap();
    let mut owner = TermOwner::of(&store, term_id(), Credits(0));
    let loaded = owner.load().unwrap();
    assert_eq!((loaded.seq, loaded.sections.len(), loaded.students.len()), (41, 2, 1));
    assert!(loaded.sections.iter().all(|s| s.state.section.capacity == 3), "the newest generation is visible");
    let crns: BTreeSet<&str> = loaded.sections.iter().map(|s| s.state.section.crn_text()).collect();
    assert_eq!(crns, BTreeSet::from(["X", "Y"]), "without an original");
    owner.run(vec![register("bob", "X")], minute(1)).unwrap();
    let changes = block_on(store.changes_since(&term_id(), loaded.seq)).unwrap();
    assert_eq!(changes.seq, 42);
    assert_eq!(changes.changes.sections[0].enrolled, 2);
    assert_eq!((changes.changes.sections.len(), changes.changes.registrations.len()), (1, 1), "only the later commit");
}

/// Returns the migrations before the one of this number, in order.
fn migrations_before(number: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap() < number);
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn the_users_of_a_store_without_single_sign_on_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let older = rusqlite::Connection::open(&path).unwrap();
    // The migrations before the checksum of the content, which only the hub computes.
    let migrations = migrations_before("0009");
    migrations.iter().for_each(|migration| older.execute_batch(migration).unwrap());
    let rows = "INSERT INTO people VALUES ('ann', 'Ann', 'student', 'plone', 5), ('bob', 'Bob', 'staff', 'token', 6);";
    older.execute_batch(rows).unwrap();
    older.pragma_update(None, "user_version", migrations.len()).unwrap();
    drop(older);

    let store = open(&path).unwrap();
    let listed = || {
        let page = block_on(store.users(UserFilter { limit: 9, ..UserFilter::default() })).unwrap();
        page.items.iter().map(|user| format!("{} {}", user.username, user.source)).collect::<Vec<_>>()
    };
    assert_eq!(listed(), ["ann plone", "bob token"]);
    let person = Person {
        username: user("cleo"),
        name: "Cleo".to_owned(),
        role: Role::Student,
        source: Some(UserSource::Oidc("keycloak".to_owned())),
        last_seen: minute(1),
    };
    block_on(store.record_people(vec![person])).unwrap();
    assert_eq!(listed(), ["ann plone", "bob token", "cleo oidc:keycloak"]);
}

#[test]
fn the_users_of_a_store_without_limits_are_kept_without_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let rows = "INSERT INTO accounts VALUES ('sam', 'Sam', 'staff', 'hash');
        INSERT INTO people VALUES ('sam', 'Sam', 'staff', 'token', 6);
        INSERT INTO plone_members VALUES ('kim', 'kim@college.edu', 'Kim', 'staff', NULL, '', 7);";
    older_store(&path, 8, rows);
    let store = open(&path).unwrap();
    assert_eq!(block_on(store.account(&user("sam"))).unwrap().unwrap().rights, Role::Staff.into());
    let member = block_on(store.member_by_login(&user("kim@college.edu"))).unwrap().unwrap();
    assert_eq!(member.rights, Role::Staff.into());
    let page = block_on(store.users(UserFilter { limit: 9, ..UserFilter::default() })).unwrap();
    assert_eq!(page.items.len(), 1);
}

#[test]
fn older_single_sign_on_users_are_kept_until_their_issuer_is_known() {
    let older = rusqlite::Connection::open_in_memory().unwrap();
    migrations_before("0018").iter().for_each(|migration| older.execute_batch(migration).unwrap());
    let rows = "INSERT INTO accounts VALUES ('desk', 'Desk', 'staff', 'hash', '[\"MATH\"]');
        INSERT INTO provider_users VALUES ('ann', 'oidc:a', '1', 'Ann', 'staff', NULL), ('bob', 'proxy', 'bob', 'Bob', 'student', NULL);
        INSERT INTO provider_sign_ins VALUES ('t', 'ann', 'oidc:a', '1', 's', 'an ID token', 9);";
    older.execute_batch(rows).unwrap();
    older.execute_batch(include_str!("../../../migrations/sqlite/0018_provider_issuers.sql")).unwrap();
    let read = |sql: &str| -> Vec<String> {
        let mut query = older.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let users = "SELECT concat_ws(' ', username, source, issuer, subject, role, mapping) FROM provider_users";
    assert_eq!(read(users), ["ann oidc:a oidc:a 1 staff", "bob proxy proxy bob student"]);
    let sign_ins = "SELECT concat_ws(' ', token, username, issuer, subject, sid, id_token) FROM provider_sign_ins";
    assert_eq!(read(sign_ins), ["t ann oidc:a 1 s an ID token"]);
    assert_eq!(read("SELECT subjects FROM accounts WHERE former_subjects IS NULL"), ["[\"MATH\"]"]);
}

#[test]
fn an_unwritable_file_or_folder_is_a_clear_error() {
    const TEST: &str = "an_unwritable_file_or_folder_is_a_clear_error";
    if let Some(path) = child_process::path_from_parent() {
        let error = open_error(&path);
        assert!(matches!(error, OpenError::ReadOnly { .. } | OpenError::Io { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(["is read-only", "Permission denied"].iter().any(|words| text.contains(words)), "{text}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    drop(open(&path).unwrap());
    let set_mode = |of: &Path, bits| std::fs::set_permissions(of, std::fs::Permissions::from_mode(bits)).unwrap();
    for file in [path.clone(), folder.path().join("hub.sqlite.lock")] {
        set_mode(&file, 0o666);
    }
    set_mode(&path, 0o444);
    set_mode(folder.path(), 0o777);
    child_process::run(module_path!(), TEST, &path, RunAs::Unprivileged);
    set_mode(&path, 0o666);
    set_mode(&folder.path().join("hub.sqlite.lock"), 0o444);
    set_mode(folder.path(), 0o555);
    child_process::run(module_path!(), TEST, &path, RunAs::Unprivileged);
    set_mode(folder.path(), 0o755);
}

#[test]
fn a_full_disk_loses_no_confirmed_seat() {
    if child_process::path_from_parent().is_some() {
        recover_from_a_full_disk();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    child_process::run(module_path!(), "a_full_disk_loses_no_confirmed_seat", folder.path(), RunAs::SameUser);
}

/// Limits the size of files, so that writes fail as on a full disk, and lifts the limit again. It runs in a child
/// process, because the limit holds for a whole process.
fn recover_from_a_full_disk() {
    let mut term = StoredTerm::<Embedded>::with_sections([section("X").seats(10_000)]);
    let mut confirmed = Vec::new();
    let mut next = 0;
    let mut register_one = |term: &mut StoredTerm<Embedded>| {
        next += 1;
        let student = format!("s{next}");
        term.run(vec![register(&student, "X")]).map(|_| student)
    };
    for _ in 0..20 {
        confirmed.push(register_one(&mut term).unwrap());
    }

    let before = getrlimit(Resource::Fsize);
    // The limit is below the size of every file of the store, so neither the log nor the database can grow.
    setrlimit(Resource::Fsize, Rlimit { current: Some(4_096), maximum: before.maximum }).unwrap();
    let error = register_one(&mut term).expect_err("nothing can be written");
    assert!(matches!(error, StoreError::CommitFailed(_)), "{error}");
    // Further writes and loads fail at once.
    let error = register_one(&mut term).expect_err("nothing can be written");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(matches!(term.owner.load(), Err(StoreError::Unavailable(_))));
    assert!(term.store.gauge().recovering.load(Ordering::Acquire));

    setrlimit(Resource::Fsize, before).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let loaded = loop {
        match term.owner.load() {
            Ok(loaded) => break loaded,
            Err(error) => assert!(Instant::now() < deadline, "the store recovers: {error}"),
        }
        std::thread::yield_now();
    };
    let has_seat = |loaded: &PublishedTerm, name: &str| {
        loaded.students.iter().any(|(student, registered)| student.as_str() == name && registered[0].is_registered())
    };
    assert!(confirmed.iter().all(|student| has_seat(&loaded, student)), "every confirmed seat is stored");
    assert!(!has_seat(&loaded, "s22"), "the refused command is not applied");
    let enrolled = loaded.students.len();
    assert_eq!(loaded.sections[0].state.enrolled as usize, enrolled, "the count equals the number of registrations");
    assert!(enrolled - confirmed.len() <= 1, "at most one more, whose outcome was unknown");

    // The term continues from the same state.
    for _ in 0..20 {
        confirmed.push(register_one(&mut term).unwrap());
    }
    let term = term.reopen();
    assert!(confirmed.iter().all(|student| has_seat(&term.loaded, student)));
    assert_eq!(term.loaded.sections[0].state.enrolled as usize, term.loaded.students.len());
}

#[test]
fn a_store_copied_without_closing_has_every_commit() {
    let mut term = StoredTerm::<Embedded>::with_sections([section("X").seats(9)]);
    term.run(vec![register("ana", "X"), window(Some(3), None)]).unwrap();
    // Copying the files while the store is open yields what a power failure would leave.
    let copy = tempfile::tempdir().unwrap();
    let folder = term.store.path().parent().unwrap();
    for name in ["hub.sqlite", "hub.sqlite-wal"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let store = open(&copy.path().join("hub.sqlite")).unwrap();
    let loaded = load(&store);
    assert_eq!(loaded.students.len(), 1);
    assert_eq!(loaded.term.opens_at, Some(minute(3)));
}

#[test]
fn a_panicking_decision_fails_only_its_command() {
    let mut term = StoredTerm::<Embedded>::with_sections([section("X"), section("Y")]);
    term.run_one(register("ana", "X"));
    // With a falsified count of 0, the drop of ana panics.
    block_on(term.store.write(|tx| tx.execute_batch("UPDATE seats SET enrolled = 0"))).unwrap();
    // Loaded without closing the store, which would be refused as damaged when it is opened again.
    let mut term = StoredTerm::open(term.fixture, term.store);
    let committed = term.run(vec![register("bob", "Y"), drop_section("ana", "X"), register("cyd", "Y")]).unwrap();
    let outcomes: Vec<_> = committed.outcomes.iter().map(|o| o.as_ref().map(|o| format!("{o:?}"))).collect();
    assert!(outcomes[0].as_ref().is_some_and(|o| o.contains("Enrolled")), "{outcomes:?}");
    assert_eq!(outcomes[1], None);
    assert!(outcomes[2].as_ref().is_some_and(|o| o.contains("SectionFull")), "{outcomes:?}");
    let loaded = StoredTerm::open(term.fixture, term.store).loaded;
    let ana = loaded.students.iter().find(|(student, _)| student.as_str() == "ana").unwrap();
    assert!(ana.1[0].is_registered());
}
