//! Commands that are interrupted while they change a store: killed, or stopped by a failing disk or a power failure.
//!
//! `eduhub import` without a hub opens the store, imports, and closes it, so one command covers a start, an import and
//! a stop. Begun on a store of an earlier version, it also covers the migrations. Afterward, the store has either the
//! complete old schedule or the complete new one, all seats, and no damage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use eduhub::domain::ids::TermId;
use eduhub::store::sqlite::{SqliteOptions, SqliteStore, verify};
use eduhub::store::terms::TermStore;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::disk::{self, Operation};
use crate::power_loss::DiskFile;
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;

const TERM: &str = "203001";
const STORE: &str = "eduhub.db";
/// The files of a store.
const FILES: [&str; 3] = [STORE, "eduhub.db-wal", "eduhub.db.last-commit"];
/// Sections of the store, and those that the import adds.
const SECTIONS: usize = 5;
const ADDED: usize = 20;
/// Interruptions of each kind; `FAULT_CUTS` sets another number.
const CUTS: usize = 6;
/// Number of migrations in a store of the earlier version, which has none of the current checks.
const EARLIER: usize = 8;
/// The number of failing calls in `DISK_FAIL`: one call, or all calls from a certain one on.
const ONE: usize = 1;
const ALL: usize = 0;
/// `EIO`, `ENOSPC` and `EROFS`.
const INPUT_OUTPUT_ERROR: i32 = 5;
const NO_SPACE: i32 = 28;
const READ_ONLY: i32 = 30;

fn cuts() -> usize {
    length_of_run("FAULT_CUTS", CUTS)
}

fn schedule(sections: usize) -> Schedule {
    let row = |number: usize| Row {
        capacity: 20,
        ..Row::lecture(&(10_001 + number).to_string(), &format!("MATH {}", 101 + number))
    };
    Schedule { term: TERM.into(), rows: (0..sections).map(row).collect() }
}

/// A store with the log of its last commits, and the schedule that is imported into it.
struct Prepared {
    home: Home,
    files: BTreeMap<&'static str, Vec<u8>>,
    before: State,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    sections: BTreeSet<String>,
    seats: BTreeSet<(String, String)>,
}

impl State {
    /// Opens the store as a hub does, reads it and closes it.
    fn of(store: &Path) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let opened = SqliteStore::open(SqliteOptions { path: store.to_owned(), outbox: None });
        let rows = opened.map_err(|error| error.to_string()).and_then(|store| {
            let rows = runtime.block_on(store.load(&TermId::parse(TERM).unwrap()));
            rows.map_err(|error| format!("{error:?}"))
        })?;
        let found = verify(store).map_err(|error| error.to_string())?;
        assert_eq!((found.damage, found.differences), (Vec::new(), Vec::new()), "an opened store is whole");
        Ok(Self {
            sections: rows.sections.iter().map(|state| state.section.id.crn.to_string()).collect(),
            seats: rows.registrations.iter().map(|(user, held)| (user.to_string(), held.crn.to_string())).collect(),
        })
    }
}

impl Prepared {
    /// Creates the store of a hub that was killed.
    fn killed() -> Self {
        let home = Home::new();
        let server = home.serve();
        schedule(SECTIONS).load(&mut server.client().signed_in(&home.token("clerk", "staff")));
        for (number, token) in home.tokens("student", "student", SECTIONS).iter().enumerate() {
            let path = format!("/api/v1/me/registrations/{TERM}-{}", 10_001 + number);
            server.client().signed_in(token).put(&path).expect(201);
        }
        server.kill();
        Self::of(home)
    }

    /// Creates a store of an earlier version, with its last commits in the log.
    fn earlier() -> Self {
        let home = Home::new();
        let store = Connection::open(home.folder().join(STORE)).unwrap();
        store.pragma_update(None, "journal_mode", "WAL").unwrap();
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        let mut files: Vec<_> = fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > EARLIER);
        for file in &files[..EARLIER] {
            store.execute_batch(&fs::read_to_string(file).unwrap()).unwrap();
        }
        store.pragma_update(None, "user_version", EARLIER).unwrap();
        store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let term = "INSERT INTO terms (id, title, opens_at, seats_seq, generation) VALUES (?1, 'Spring', 0, 9, 1)";
        store.execute(term, [TERM]).unwrap();
        for number in 0..SECTIONS {
            let crn = (10_001 + number).to_string();
            let section = "INSERT INTO sections (term, crn, generation, course, component, credits, meetings, capacity,
                    waitlist_capacity, status, linked, prerequisites, outside_enrolled, outside_waitlisted)
                VALUES (?1, ?2, 1, 'MATH ' || ?2, 'lecture', 3000, '[]', 20, 0, 'open', '[]', '[]', 0, 0)";
            store.execute(section, [TERM, &crn]).unwrap();
            store
                .execute("INSERT INTO seats (term, crn, enrolled, waitlisted) VALUES (?1, ?2, 1, 0)", [TERM, &crn])
                .unwrap();
            let seat = "INSERT INTO registrations (term, user, crn, standing, place, at) VALUES (?1, ?2, ?3, 'enrolled', 0, 0)";
            store.execute(seat, [TERM, &format!("student-{:05}", number + 1), &crn]).unwrap();
        }
        store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        store.close().unwrap();
        Self::of(home)
    }

    fn of(home: Home) -> Self {
        fs::write(home.folder().join("schedule.csv"), schedule(SECTIONS + ADDED).csv()).unwrap();
        let read = |name| Some((name, fs::read(home.folder().join(name)).ok()?));
        let files: BTreeMap<_, _> = FILES.into_iter().filter_map(read).collect();
        assert!(!files["eduhub.db-wal"].is_empty(), "the last commits are in the log");
        let before = State::of(&home.folder().join(STORE)).unwrap();
        assert_eq!((before.sections.len(), before.seats.len()), (SECTIONS, SECTIONS));
        Self { home, files, before }
    }

    /// Puts the files of the store back as they were.
    fn reset(&self) {
        for entry in fs::read_dir(self.home.folder()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().is_some_and(|name| name != "schedule.csv") {
                fs::remove_file(path).unwrap();
            }
        }
        for (name, content) in &self.files {
            fs::write(self.home.folder().join(name), content).unwrap();
        }
    }

    fn store(&self) -> PathBuf {
        self.home.folder().join(STORE)
    }

    /// Returns the command, on the store as it was, with its changes watched.
    fn command(&self, arguments: &[&str]) -> Command {
        self.reset();
        let mut command = self.home.command(arguments);
        disk::watch(&mut command, self.home.folder());
        command.stdin(Stdio::null());
        command
    }

    fn import(&self) -> Command {
        self.command(&["import", "schedule.csv"])
    }

    /// Returns whether the store at `path` has the imported schedule. Checks that it has all seats, and one of the two
    /// schedules.
    fn is_imported(&self, path: &Path, context: &str) -> bool {
        let found = State::of(path).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(found.seats, self.before.seats, "{context}");
        let sections = found.sections.len();
        assert!(sections == SECTIONS || sections == SECTIONS + ADDED, "{context}: {sections} sections");
        sections != SECTIONS
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Runs a command that kills itself before its call number `at`, counting only calls of the kind `call` if there is
/// one. Returns false when the command ended before that call.
fn is_killed(mut command: Command, call: Option<&str>, at: usize) -> bool {
    if let Some(call) = call {
        command.env("DISK_KILL_CALL", call);
    }
    let output = command.env("DISK_KILL_AT", at.to_string()).output().unwrap();
    assert!(output.status.success() || output.status.signal() == Some(9), "{}", text(&output));
    !output.status.success()
}

/// Runs a command to its end, and returns its operations on the disk.
fn recorded(mut command: Command) -> Vec<Operation> {
    let record = tempfile::NamedTempFile::new().unwrap();
    let output = command.env("DISK_LOG", record.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let log = fs::read(record.path()).unwrap();
    disk::read_log(&log).into_iter().map(|(_, operation)| operation).collect()
}

/// Returns `count` different numbers from 1 to `last`; all of them if there are fewer.
fn sample(random: &mut Random, last: usize, count: usize) -> BTreeSet<usize> {
    if count >= last {
        return (1..=last).collect();
    }
    let mut numbers = BTreeSet::new();
    while numbers.len() < count {
        numbers.insert(1 + random.below(last));
    }
    numbers
}

/// Returns the number of writes, syncs and changes of names. The library counts at least as many calls: also those that
/// may create a file.
fn changes(operations: &[Operation]) -> usize {
    operations.iter().filter(|operation| !matches!(operation, Operation::Open { .. })).count()
}

fn killed_imports_leave_one_schedule(prepared: &Prepared) {
    let (mut kept_old, mut imported) = (0, 0);
    let mut check = |context: &str| {
        if prepared.is_imported(&prepared.store(), context) { imported += 1 } else { kept_old += 1 }
    };
    let mut at = 1;
    while is_killed(prepared.import(), Some("name"), at) {
        check(&format!("killed before name call {at}"));
        at += 1;
    }
    assert!(at > 1, "an import changes names");
    assert!(prepared.is_imported(&prepared.store(), "an import that is not killed"));
    let calls = changes(&recorded(prepared.import()));
    for at in sample(&mut Random::seeded(seed()), calls, cuts()) {
        if is_killed(prepared.import(), None, at) {
            check(&format!("killed before call {at}"));
        }
    }
    println!("{kept_old} kills left the old schedule, {imported} the new one");
    assert!(kept_old > 0, "some kill came before the import was applied");
}

fn power_loss_leaves_one_schedule(prepared: &Prepared) {
    let mut random = Random::seeded(seed());
    let mut import = prepared.import();
    let files = FILES.map(|name| prepared.home.folder().join(name));
    let mut disk: BTreeMap<u64, DiskFile> = BTreeMap::new();
    let mut names: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for file in files.iter().filter(|file| file.exists()) {
        let inode = file.metadata().unwrap().ino();
        disk.insert(inode, DiskFile::with_content(fs::read(file).unwrap()));
        names.insert(file.clone(), inode);
    }
    import.env("RUST_LOG", "off");
    let operations = recorded(import);
    let points = sample(&mut random, operations.len(), cuts() * 4);
    let (mut kept_old, mut imported) = (0, 0);
    for (index, operation) in operations.iter().enumerate() {
        match operation {
            Operation::Open { inode, path } if files.contains(path) => {
                if names.insert(path.clone(), *inode) != Some(*inode) {
                    disk.insert(*inode, DiskFile::default());
                }
            }
            Operation::Remove { path } => {
                names.remove(path);
            }
            Operation::Write { inode, .. } | Operation::Truncate { inode, .. } | Operation::Sync { inode } => {
                disk.entry(*inode).or_default().follow(operation);
            }
            Operation::Open { .. } | Operation::Name => {}
        }
        if points.contains(&(index + 1)) {
            let image = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            for (path, inode) in &names {
                let content = disk[inode].after_power_loss(&mut random);
                fs::write(image.path().join(path.file_name().unwrap()), content).unwrap();
            }
            let context = format!("power loss after operation {index} of {}", operations.len());
            if prepared.is_imported(&image.path().join(STORE), &context) { imported += 1 } else { kept_old += 1 }
        }
    }
    println!("{kept_old} images have the old schedule, {imported} the new one");
    assert!(kept_old > 0 && imported > 0, "{kept_old} old, {imported} new");
}

fn failing_disks_leave_one_schedule(prepared: &Prepared) {
    let operations = recorded(prepared.import());
    let count = |is: fn(&Operation) -> bool| operations.iter().filter(|operation| is(operation)).count();
    let writes = count(|operation| matches!(operation, Operation::Write { .. } | Operation::Truncate { .. }));
    let syncs = count(|operation| matches!(operation, Operation::Sync { .. }));
    let mut random = Random::seeded(seed());
    let mut failed = 0;
    for (call, error, calls, length) in [
        ("write", NO_SPACE, writes, ALL),
        ("write", INPUT_OUTPUT_ERROR, writes, ONE),
        ("sync", INPUT_OUTPUT_ERROR, syncs, ONE),
    ] {
        for from in sample(&mut random, calls, cuts() / 2) {
            let failure = format!("{call}:{error}:{from}:{length}");
            let output = disk::output(prepared.import().env("DISK_FAIL", &failure));
            let (is_done, text) = (output.status.success(), text(&output));
            let is_imported = prepared.is_imported(&prepared.store(), &failure);
            assert!(is_imported || !is_done, "{failure}: a lost import was reported as done: {text}");
            assert!(!is_imported || !text.contains("othing was changed"), "{failure}: an applied import: {text}");
            assert!(is_done || text.contains("eduhub: "), "{failure}: a failure has a message: {text}");
            failed += usize::from(!is_done);
        }
    }
    println!("{failed} imports failed");
    assert!(failed > 0, "the disk failed");
}

#[test]
fn an_import_killed_at_any_call_leaves_one_schedule() {
    killed_imports_leave_one_schedule(&Prepared::killed());
}

#[test]
fn an_import_that_loses_power_leaves_one_schedule() {
    power_loss_leaves_one_schedule(&Prepared::killed());
}

#[test]
fn an_import_on_a_failing_disk_leaves_one_schedule() {
    failing_disks_leave_one_schedule(&Prepared::killed());
}

#[test]
fn a_migration_killed_at_any_call_is_repeated() {
    killed_imports_leave_one_schedule(&Prepared::earlier());
}

#[test]
fn a_migration_that_loses_power_is_repeated() {
    power_loss_leaves_one_schedule(&Prepared::earlier());
}

#[test]
fn a_migration_on_a_failing_disk_is_repeated() {
    failing_disks_leave_one_schedule(&Prepared::earlier());
}

#[test]
fn a_backup_killed_at_any_call_leaves_no_partial_backup() {
    let prepared = Prepared::killed();
    let backup = || prepared.command(&["backup", "copy.db"]);
    let copy = prepared.home.folder().join("copy.db");
    let calls = changes(&recorded(backup()));
    let (mut absent, mut whole) = (0, 0);
    let mut is_cut = |call: Option<&str>, at: usize| {
        let is_killed = is_killed(backup(), call, at);
        assert!(!prepared.is_imported(&prepared.store(), &format!("killed before call {at}")));
        if is_killed && copy.exists() {
            assert_eq!(State::of(&copy).unwrap(), prepared.before, "killed before call {at}");
            whole += 1;
        } else if is_killed {
            absent += 1;
        }
        is_killed
    };
    for at in sample(&mut Random::seeded(seed()), calls, cuts()) {
        is_cut(None, at);
    }
    assert!((1..).take_while(|at| is_cut(Some("name"), *at)).count() > 0, "a backup changes names");
    // The last calls give the copy its name and sync the folder.
    assert!((calls..).take_while(|at| is_cut(None, *at)).count() > 0, "the last calls");
    println!("{absent} kills left no backup, {whole} a whole one");
    assert!(absent > 0 && whole > 0, "{absent} without a backup, {whole} with one");
}

#[test]
fn a_start_after_a_kill_can_itself_be_killed_at_any_call() {
    let prepared = Prepared::killed();
    for at in sample(&mut Random::seeded(seed()), 12, cuts()) {
        let mut serve = prepared.command(&["serve"]);
        serve.stdout(Stdio::null()).stderr(Stdio::null()).env("DISK_KILL_AT", at.to_string());
        let ended = serve.spawn().unwrap().wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "call {at} of a start");
        assert!(!prepared.is_imported(&prepared.store(), &format!("a start killed before call {at}")));
    }
}

#[test]
fn a_stop_killed_at_any_call_keeps_every_seat() {
    let prepared = Prepared::killed();
    let stop = |at: Option<usize>| {
        let mut serve = prepared.command(&["serve"]);
        let armed = prepared.home.folder().join("armed");
        serve.env("DISK_FAIL_FROM", &armed);
        if let Some(at) = at {
            serve.env("DISK_KILL_AT", at.to_string());
        }
        let server = prepared.home.start(serve);
        fs::write(armed, "").unwrap();
        server.stop()
    };
    let mut killed = 0;
    while stop(Some(killed + 1)).signal() == Some(9) {
        killed += 1;
        assert!(!prepared.is_imported(&prepared.store(), &format!("a stop killed before call {killed}")));
    }
    println!("{killed} kills");
    assert!(killed > 3, "the log is written back and removed, and the store is sealed: {killed}");
}

#[test]
fn a_read_only_store_is_refused_and_stays_as_it_is() {
    let prepared = Prepared::killed();
    for call in ["open", "write"] {
        let output = prepared.command(&["serve"]).env("DISK_FAIL", format!("{call}:{READ_ONLY}:1:0")).output().unwrap();
        let error = text(&output);
        assert!(!output.status.success(), "{call}: {error}");
        assert!(error.contains(STORE), "{call}: the message names the store: {error}");
        for (name, content) in &prepared.files {
            assert!(fs::read(prepared.home.folder().join(name)).unwrap() == *content, "{call}: {name} was changed");
        }
        assert!(!prepared.is_imported(&prepared.store(), "when it can be written again"));
    }
}
