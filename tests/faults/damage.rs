//! Damage to a store's files: bits that a disk or another program changed, and a log that lost its end.
//!
//! Each damaged copy of a store must be refused by `verify`, `backup`, `restore` and `serve`, or hold exactly the rows
//! of the store: in a store that no hub has closed, SQLite does not use all bytes of its pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use eduhub::store::sqlite::{SqliteOptions, SqliteStore, backup, restore, verify};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
const SECTIONS: u32 = 12;
const STUDENTS: usize = 60;
const STORE: &str = "eduhub.db";
const LOG: &str = "eduhub.db-wal";
const NOTE: &str = "eduhub.db.last-commit";
/// Damaged copies of each kind; `FAULT_DAMAGES` sets another number.
const DAMAGES: usize = 20;
/// Length of a sector of a disk, in bytes.
const SECTOR: usize = 512;
/// Length of the seal after the last page, in bytes.
const SEAL_LEN: usize = 32;
/// Lengths in bytes: the header of a log, the header of a frame, and a page.
const LOG_HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;
const PAGE_LEN: usize = 4096;

/// The files of a store.
struct Files {
    /// After a hub was killed, with most commits in the log.
    killed: tempfile::TempDir,
    /// After a hub was stopped.
    stopped: tempfile::TempDir,
    /// A backup, under the name of a store.
    backup: tempfile::TempDir,
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let home = Home::new();
    let server = college(&home);
    assert!(home.run(&["backup", "backup.db"]).status.success());
    server.kill();
    let killed = copy_of(home.folder());
    assert!(home.serve().stop().success());
    let stopped = copy_of(home.folder());
    let backup = new_folder();
    fs::copy(home.folder().join("backup.db"), backup.path().join(STORE)).unwrap();
    Files { killed, stopped, backup }
});

/// Starts a hub whose students have registered, each in a separate commit.
fn college(home: &Home) -> Server {
    let server = home.serve();
    let row = |number: u32| Row {
        capacity: 40,
        ..Row::lecture(&(10_001 + number).to_string(), &format!("MATH {}", 101 + number))
    };
    let schedule = Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("clerk", "staff")));
    for (number, token) in home.tokens("student", "student", STUDENTS).iter().enumerate() {
        let crn = 10_001 + number % SECTIONS as usize;
        server.client().signed_in(token).put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
    }
    server
}

fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Returns a copy of a store's files in a new folder.
fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = new_folder();
    for name in [STORE, LOG, NOTE] {
        if folder.join(name).exists() {
            fs::copy(folder.join(name), copy.path().join(name)).unwrap();
        }
    }
    copy
}

/// Returns all rows of a store, ordered.
fn rows(store: &Path) -> Vec<String> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let tables: Vec<String> =
        connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut found = Vec::new();
    for table in tables {
        let mut query = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<Value> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            found.push(format!("{table}: {values:?}"));
        }
    }
    found.sort();
    found
}

/// Returns which of the four commands accept the store in `folder`. Each command gets its own copy.
fn accepted_by(folder: &Path) -> BTreeSet<&'static str> {
    let mut accepted = BTreeSet::new();
    let copy = copy_of(folder);
    if verify(&copy.path().join(STORE)).is_ok_and(|found| found.damage.is_empty()) {
        accepted.insert("verify");
    }
    let copy = copy_of(folder);
    if backup(&copy.path().join(STORE), &copy.path().join("copy.db")).is_ok() {
        accepted.insert("backup");
    }
    let (copy, target) = (copy_of(folder), new_folder());
    if restore(&target.path().join(STORE), &copy.path().join(STORE), false).is_ok() {
        accepted.insert("restore");
    }
    let copy = copy_of(folder);
    if SqliteStore::open(SqliteOptions { path: copy.path().join(STORE), outbox: None }).is_ok() {
        accepted.insert("serve");
    }
    accepted
}

const ALL: [&str; 4] = ["backup", "restore", "serve", "verify"];

fn damages() -> usize {
    length_of_run("FAULT_DAMAGES", DAMAGES)
}

/// Damages a file at a random place before `until`, in one of the ways in which disks and programs damage files.
/// Returns what it did.
fn damage(file: &Path, until: usize, random: &mut Random) -> String {
    let before = fs::read(file).unwrap();
    let mut content = before.clone();
    let at = random.below(until);
    let sector = at / SECTOR * SECTOR..(at / SECTOR * SECTOR + SECTOR).min(until);
    let what = match random.below(4) {
        0 | 1 => {
            content[at] ^= 1 << random.below(8);
            "a bit flipped"
        }
        2 => {
            content[sector].fill_with(|| u8::try_from(random.below(256)).unwrap());
            "a sector of other bytes"
        }
        _ => {
            let from = random.below(until / SECTOR) * SECTOR;
            let other = before[from..from + sector.len()].to_vec();
            content[sector].copy_from_slice(&other);
            "a sector that another one replaced"
        }
    };
    // A seal of zeros is not damage: a power failure leaves one while a store is closed.
    if content == before || content.ends_with(&[0; SEAL_LEN]) {
        content[at] = before[at] ^ 1;
    }
    fs::write(file, content).unwrap();
    format!("{what} at byte {at}")
}

/// Flips a bit of a file.
fn flip(file: &Path, byte: usize, bit: usize) {
    let mut content = fs::read(file).unwrap();
    content[byte] ^= 1 << bit;
    fs::write(file, content).unwrap();
}

fn len(file: &Path) -> usize {
    usize::try_from(fs::metadata(file).unwrap().len()).unwrap()
}

/// Returns the number of bytes of the log up to the end of each commit.
fn commit_ends(log: &Path) -> Vec<usize> {
    let content = fs::read(log).unwrap();
    let frames = content[LOG_HEADER_LEN..].chunks_exact(FRAME_HEADER_LEN + PAGE_LEN).enumerate();
    let of_this_log = frames.filter(|(_, frame)| frame[8..16] == content[16..24]);
    of_this_log
        .filter(|(_, frame)| frame[4..8] != [0; 4])
        .map(|(index, _)| LOG_HEADER_LEN + (index + 1) * (FRAME_HEADER_LEN + PAGE_LEN))
        .collect()
}

#[test]
fn undamaged_stores_are_accepted() {
    for folder in [&FILES.killed, &FILES.stopped, &FILES.backup] {
        assert_eq!(accepted_by(folder.path()), BTreeSet::from(ALL), "{}", folder.path().display());
    }
    assert!(commit_ends(&FILES.killed.path().join(LOG)).len() > STUDENTS, "the log of the killed hub has commits");
}

#[test]
fn any_damage_to_a_closed_store_or_backup_is_detected() {
    let mut random = Random::seeded(seed());
    for folder in [&FILES.stopped, &FILES.backup] {
        for _ in 0..damages() {
            let copy = copy_of(folder.path());
            let store = copy.path().join(STORE);
            let what = damage(&store, len(&store), &mut random);
            assert_eq!(accepted_by(copy.path()), BTreeSet::new(), "{what}");
        }
    }
}

#[test]
fn any_damage_to_a_log_is_detected() {
    let mut random = Random::seeded(seed());
    let ends = commit_ends(&FILES.killed.path().join(LOG));
    for round in 0..damages() {
        let copy = copy_of(FILES.killed.path());
        let is_noted = round % 2 == 0;
        // Without the note of the last commit, damage in that commit looks like a power failure during it.
        let until = if is_noted { ends[ends.len() - 1] } else { ends[ends.len() - 2] };
        if !is_noted {
            fs::remove_file(copy.path().join(NOTE)).unwrap();
        }
        let what = damage(&copy.path().join(LOG), until, &mut random);
        assert_eq!(accepted_by(copy.path()), BTreeSet::new(), "{what}; with the note of the last commit: {is_noted}");
    }
}

#[test]
fn damage_to_an_open_store_is_detected_or_changes_no_row() {
    let mut random = Random::seeded(seed());
    // Without a seal, as after a hub was killed right after it wrote its log back.
    let unsealed = copy_of(FILES.stopped.path());
    let store = unsealed.path().join(STORE);
    let content = fs::read(&store).unwrap();
    fs::write(&store, &content[..content.len() / PAGE_LEN * PAGE_LEN]).unwrap();
    let before = rows(&store);
    let (mut detected, mut unused) = (0, 0);
    for _ in 0..damages() {
        let copy = copy_of(unsealed.path());
        let store = copy.path().join(STORE);
        let what = damage(&store, len(&store), &mut random);
        let accepted = accepted_by(copy.path());
        if accepted.is_empty() {
            detected += 1;
        } else {
            assert_eq!(accepted, BTreeSet::from(ALL), "{what}");
            assert!(rows(&store) == before, "{what} changed a row");
            unused += 1;
        }
    }
    println!("{detected} damaged copies detected, {unused} damaged in bytes that SQLite does not use");
    assert!(detected > 0);
}

#[test]
fn an_older_intact_copy_is_accepted_in_place_of_a_store() {
    // As if an operator had put back a copy of the file of a stopped hub, or a backup, by hand.
    for folder in [&FILES.stopped, &FILES.backup] {
        let (home, _) = killed_home();
        register_more(&home);
        assert!(home.serve().stop().success());
        assert!(home.folder().join(NOTE).exists());
        fs::copy(folder.path().join(STORE), home.folder().join(STORE)).unwrap();
        home.verify().unwrap();
        assert_eq!(seats(&home), STUDENTS);

        // Control: without its seal, an older store counts as one that lost commits.
        register_more(&home);
        assert!(home.serve().stop().success());
        let content = fs::read(folder.path().join(STORE)).unwrap();
        fs::write(home.folder().join(STORE), &content[..content.len() / PAGE_LEN * PAGE_LEN]).unwrap();
        let error = refused(&home, &["serve"]);
        assert!(error.contains("or it is an older copy"), "{error}");
    }
}

#[test]
fn a_closed_store_is_accepted_after_other_programs_have_read_it() {
    let copy = copy_of(FILES.stopped.path());
    let before = rows(&copy.path().join(STORE));
    let reader = Connection::open(copy.path().join(STORE)).unwrap();
    let found: i64 = reader.query_row("SELECT count(*) FROM registrations", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(found).unwrap(), STUDENTS);
    drop(reader);
    assert_eq!(accepted_by(copy.path()), BTreeSet::from(ALL));
    // A program that rewrites the file without changing a row.
    Connection::open(copy.path().join(STORE)).unwrap().execute_batch("VACUUM").unwrap();
    assert!(rows(&copy.path().join(STORE)) == before);
    assert_eq!(accepted_by(copy.path()), BTreeSet::from(ALL));
}

/// Registers another student, so that the store has one more commit.
fn register_more(home: &Home) {
    let server = home.serve();
    let mut student = server.client().signed_in(&home.token("late", "student"));
    let path = format!("/api/v1/me/registrations/{TERM}-10001");
    student.put(&path).expect(201);
    server.kill();
}

/// Runs a command that must fail, and returns its output.
fn refused(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {text}");
    text
}

/// Returns a home with the store of a killed hub, and the path of the store's log.
fn killed_home() -> (Home, PathBuf) {
    let home = Home::new();
    for name in [STORE, LOG, NOTE] {
        fs::copy(FILES.killed.path().join(name), home.folder().join(name)).unwrap();
    }
    let log = home.folder().join(LOG);
    (home, log)
}

fn seats(home: &Home) -> usize {
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("clerk", "staff"));
    let count = |number: u32| {
        let roster = staff.get(&format!("/api/v1/sections/{TERM}-{}/roster", 10_001 + number)).expect(200).json();
        roster["items"].as_array().expect("items").len()
    };
    (0..SECTIONS).map(count).sum()
}

#[test]
fn one_changed_bit_in_the_middle_of_a_log_stops_every_command() {
    let (home, log) = killed_home();
    fs::remove_file(home.folder().join(NOTE)).unwrap();
    assert!(home.run(&["backup", "before.db"]).status.success());
    let ends = commit_ends(&log);
    let middle = ends[ends.len() / 2] + FRAME_HEADER_LEN + 100;
    flip(&log, middle, 3);
    for arguments in [&["serve"][..], &["verify"], &["backup", "after.db"]] {
        let error = refused(&home, arguments);
        assert!(error.contains("eduhub.db-wal is damaged from byte"), "{arguments:?}: {error}");
    }
    let error = refused(&home, &["serve"]);
    assert!(error.contains("restore a backup with `eduhub restore --replace FILE`"), "{error}");

    // No command changed the files: the commits are still there when the bit is corrected.
    flip(&log, middle, 3);
    assert_eq!(seats(&home), STUDENTS);
    flip(&log, len(&log) - 1, 0);
    assert!(home.run(&["restore", "--replace", "before.db"]).status.success());
    assert_eq!(seats(&home), STUDENTS);
}

#[test]
fn a_log_that_lost_its_end_is_detected_by_the_last_commit() {
    let (home, log) = killed_home();
    let whole = fs::read(&log).unwrap();
    let ends = commit_ends(&log);
    for kept in [ends[ends.len() / 2], ends[ends.len() - 2], 0] {
        fs::write(&log, &whole[..kept]).unwrap();
        for arguments in [&["serve"][..], &["verify"], &["backup", "after.db"]] {
            let error = refused(&home, arguments);
            assert!(error.contains("was acknowledged"), "{arguments:?}, {kept} bytes: {error}");
        }
    }
    fs::write(&log, &whole).unwrap();
    assert_eq!(seats(&home), STUDENTS);
}

#[test]
fn a_damaged_store_without_a_backup_can_be_accepted() {
    let (home, _) = killed_home();
    let store = home.folder().join(STORE);
    let edit = |sql: &str| Connection::open(&store).unwrap().execute_batch(sql).unwrap();
    edit("UPDATE registrations SET at = at + 1 WHERE user = 'student-00001'");
    let error = refused(&home, &["serve"]);
    assert!(error.contains("its rows are not those of its last commit"), "{error}");
    let accepted = home.run(&["verify", "--accept"]);
    assert!(accepted.status.success(), "{accepted:?}");
    assert_eq!(seats(&home), STUDENTS);

    edit("UPDATE registrations SET user = 'a' || char(10) WHERE user = 'student-00001'");
    let error = refused(&home, &["verify", "--accept"]);
    assert!(error.contains("a row of the table registrations cannot be read"), "{error}");
}
