//! Commands that write to a store while the disk is full and stays full. A command that took no effect exits with a
//! message and a status other than 0. The store stays whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;

use crate::disk;
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;

/// `ENOSPC`.
const NO_SPACE: i32 = 28;
/// Number of runs of each command. In each, the disk is full from a different write on. `FAULT_CUTS` sets another
/// number.
const CUTS: usize = 3;

/// A folder with a store that has the accounts `root`, `ann` and `bob`, and with an older copy of it, `copy.db`, that
/// has no `bob`.
struct Prepared {
    home: Home,
    files: BTreeMap<OsString, Vec<u8>>,
}

/// A command that writes.
struct Case {
    arguments: &'static [&'static str],
    /// Returns whether the command took effect.
    is_done: fn(&Prepared) -> bool,
}

const CASES: [Case; 6] = [
    Case { arguments: &["user", "add", "eve", "--role", "staff"], is_done: |it| it.hash("eve").is_some() },
    Case { arguments: &["user", "passwd", "ann"], is_done: |it| it.hash("ann") != it.hash_before("ann") },
    Case { arguments: &["user", "remove", "bob"], is_done: |it| it.hash("bob").is_none() },
    Case { arguments: &["backup", "new.db"], is_done: |it| it.home.folder().join("new.db").exists() },
    Case { arguments: &["restore", "copy.db", "--replace"], is_done: |it| it.hash("bob").is_none() },
    Case { arguments: &["verify", "--accept"], is_done: |it| it.home.verify().is_ok() },
];

impl Prepared {
    fn new() -> Self {
        let home = Home::new();
        fs::write(home.folder().join("password"), "a long password\n").unwrap();
        let mut prepared = Self { home, files: BTreeMap::new() };
        let run = |arguments: &[&str]| {
            let output = prepared.command(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        };
        run(&["user", "add", "root", "--role", "admin"]);
        run(&["user", "add", "ann", "--role", "student"]);
        run(&["backup", "copy.db"]);
        run(&["user", "add", "bob", "--role", "student"]);
        for entry in fs::read_dir(prepared.home.folder()).unwrap().map(|entry| entry.unwrap()) {
            if entry.path().is_file() {
                prepared.files.insert(entry.file_name(), fs::read(entry.path()).unwrap());
            }
        }
        prepared
    }

    fn store(&self) -> PathBuf {
        self.home.folder().join("eduhub.db")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.stdin(File::open(self.home.folder().join("password")).unwrap());
        command
    }

    /// Puts all files back as they were. For `verify --accept`, another program then changes a row.
    fn reset(&self, case: &Case) {
        for entry in fs::read_dir(self.home.folder()).unwrap().map(|entry| entry.unwrap()) {
            if entry.path().is_file() {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for (name, content) in &self.files {
            fs::write(self.home.folder().join(name), content).unwrap();
        }
        if case.arguments[0] == "verify" {
            let store = Connection::open(self.store()).unwrap();
            store.execute("UPDATE accounts SET name = 'Bob' WHERE username = 'bob'", []).unwrap();
        }
    }

    /// Returns the hash of a user's password in the store.
    fn hash(&self, user: &str) -> Option<String> {
        hash(&self.store(), user)
    }

    fn hash_before(&self, user: &str) -> Option<String> {
        hash(&self.home.folder().join("copy.db"), user)
    }
}

fn hash(store: &PathBuf, user: &str) -> Option<String> {
    let store = Connection::open(store).unwrap();
    store.query_row("SELECT password_hash FROM accounts WHERE username = ?1", [user], |row| row.get(0)).ok()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Returns how many writes a command makes.
fn writes(prepared: &Prepared, case: &Case) -> usize {
    let record = tempfile::NamedTempFile::new().unwrap();
    prepared.reset(case);
    let mut command = prepared.command(case.arguments);
    disk::watch(&mut command, prepared.home.folder());
    let output = command.env("DISK_LOG", record.path()).output().unwrap();
    assert!(output.status.success() && (case.is_done)(prepared), "{:?}: {}", case.arguments, text(&output));
    let log = disk::read_log(&fs::read(record.path()).unwrap());
    let is_write = |operation: &disk::Operation| {
        matches!(operation, disk::Operation::Write { .. } | disk::Operation::Truncate { .. })
    };
    log.iter().filter(|(_, operation)| is_write(operation)).count()
}

#[test]
fn commands_end_with_an_error_when_the_disk_stays_full() {
    let prepared = Prepared::new();
    let mut random = Random::seeded(seed());
    for case in &CASES {
        let writes = writes(&prepared, case);
        let cuts = length_of_run("FAULT_CUTS", CUTS);
        let others = (1..cuts).map(|_| 1 + random.below(writes)).collect::<Vec<_>>();
        let mut failed = 0;
        for from in [1].into_iter().chain(others) {
            prepared.reset(case);
            let mut command = prepared.command(case.arguments);
            disk::watch(&mut command, prepared.home.folder());
            let output = disk::output(command.env("DISK_FAIL", format!("write:{NO_SPACE}:{from}:0")));
            let (context, text) = (format!("{:?}, full from write {from} of {writes}", case.arguments), text(&output));
            if output.status.success() {
                assert!((case.is_done)(&prepared), "{context}: reported as done: {text}");
            } else {
                assert_eq!(output.status.code(), Some(1), "{context}: {text}");
                assert!(text.contains("eduhub: "), "{context}: a message: {text}");
                failed += 1;
            }
            if case.arguments[0] != "verify" {
                prepared.home.verify().unwrap_or_else(|damage| panic!("{context}: {damage}"));
            }
        }
        println!("{:?}: {failed} of {cuts} failed", case.arguments);
        assert!(failed > 0, "{:?}: the disk was full", case.arguments);
    }
}

#[test]
fn a_start_ends_with_an_error_when_the_disk_is_full() {
    let prepared = Prepared::new();
    let mut serve = prepared.command(&["serve"]);
    disk::watch(&mut serve, prepared.home.folder());
    serve.stdin(Stdio::null()).env("DISK_FAIL", format!("write:{NO_SPACE}:1:0"));
    let output = disk::output(&mut serve);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("eduhub.db"), "the message names the store: {}", text(&output));
    prepared.home.verify().expect("the store is whole");
}

#[test]
fn an_upload_to_a_full_disk_gets_507_and_changes_nothing() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let armed = folder.path().join("armed");
    let mut serve = home.command(&["serve"]);
    disk::watch(&mut serve, home.folder());
    serve.env("DISK_FAIL", format!("write:{NO_SPACE}:1:0")).env("DISK_FAIL_FROM", &armed);
    let server = home.start(serve);
    let mut clerk = server.client().signed_in(&home.token("clerk", "staff"));
    clerk.get("/api/v1/me").expect(200);
    fs::write(&armed, "").unwrap();
    let schedule = Schedule { term: "203001".into(), rows: vec![Row::lecture("10001", "MATH 101")] }.csv();
    let path = "/api/v1/imports?term=203001&dry_run=false";
    let refused = clerk.call("POST", path, &[("Content-Type", "text/csv")], schedule.as_bytes()).unwrap().expect(507);
    assert!(refused.json()["detail"].as_str().unwrap().contains("disk is full"), "{}", refused.text());
    server.kill();
    let server = home.serve();
    let mut clerk = server.client().signed_in(&home.token("clerk", "staff"));
    let terms = clerk.get("/api/v1/terms").expect(200).text();
    assert!(!terms.contains("203001"), "{terms}");
}
