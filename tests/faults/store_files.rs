//! Restores and first starts that are interrupted, and files of a store that are missing, empty, or reached under a
//! second name.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::disk;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
const SECTION: &str = "203001-10001";
const STORE: &str = "eduhub.db";

/// Starts a hub with one section of 20 seats whose registration is open.
fn college(home: &Home) -> Server {
    let server = home.serve();
    let rows = vec![Row { capacity: 20, ..Row::lecture("10001", "MATH 101") }];
    Schedule { term: TERM.into(), rows }.load(&mut server.client().signed_in(&home.token("clerk", "staff")));
    server
}

fn register(home: &Home, server: &Server, student: &str) {
    let path = format!("/api/v1/me/registrations/{SECTION}");
    server.client().signed_in(&home.token(student, "student")).put(&path).expect(201);
}

/// Returns the students who hold a seat, as a hub that starts now reads them; none if the section does not exist.
fn holders(home: &Home) -> BTreeSet<String> {
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("clerk", "staff"));
    let roster = staff.get(&format!("/api/v1/sections/{SECTION}/roster"));
    if roster.status == 404 {
        return BTreeSet::new();
    }
    let roster = roster.expect(200).json();
    let seats = roster["items"].as_array().expect("items");
    seats.iter().map(|seat| seat["user"].as_str().expect("a username").to_owned()).collect()
}

fn names(students: &[&str]) -> BTreeSet<String> {
    students.iter().map(|&student| student.to_owned()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `eduhub serve`, which must refuse to start, and returns its error.
fn refused_start(home: &Home) -> String {
    let output = home.run(&["serve"]);
    assert!(!output.status.success(), "the hub started: {}", String::from_utf8_lossy(&output.stdout));
    stderr(&output)
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn files_in(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file() && path.file_name().unwrap().to_str().unwrap().contains(part)).collect()
}

/// Restores a backup with the process killed before its call `at` that changes a file. Returns false when it ended
/// before that call.
fn restore_killed_at(home: &Home, at: usize) -> bool {
    let mut command = home.command(&["restore", "--replace", "backup.db"]);
    disk::watch(&mut command, home.folder());
    let output = command.env("DISK_KILL_AT", at.to_string()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() || output.status.signal() == Some(9), "{}", stderr(&output));
    !output.status.success()
}

#[test]
fn a_restore_killed_at_any_call_leaves_the_old_or_the_new_store() {
    let home = Home::new();
    let server = college(&home);
    for student in ["ann", "ben"] {
        register(&home, &server, student);
    }
    assert!(home.run(&["backup", "backup.db"]).status.success());
    for student in ["cat", "dan"] {
        register(&home, &server, student);
    }
    // The seats of cat and dan are only in the log of the store that will be replaced.
    server.kill();
    assert!(home.folder().join("eduhub.db-wal").metadata().unwrap().len() > 0);
    let prepared = tempfile::tempdir().unwrap();
    copy_folder(home.folder(), prepared.path());

    let (old, new) = (names(&["ann", "ben", "cat", "dan"]), names(&["ann", "ben"]));
    let (mut kept_old, mut replaced) = (0, 0);
    let mut at = 1;
    while restore_killed_at(&home, at) {
        let found = holders(&home);
        assert!(found == old || found == new, "killed before call {at}: {found:?}");
        home.verify().unwrap_or_else(|error| panic!("killed before call {at}: {error}"));
        assert_eq!(files_in(home.folder(), ".eduhub-copy-").len(), 0, "killed before call {at}");
        let asides = files_in(home.folder(), ".replaced-").len();
        if found == old {
            assert_eq!(asides, 0, "killed before call {at}: the old store has no second name");
            kept_old += 1;
        } else {
            assert!(asides > 0, "killed before call {at}: the old store is kept");
            replaced += 1;
        }
        copy_folder(prepared.path(), home.folder());
        at += 1;
    }
    println!("{} kills: {kept_old} left the old store, {replaced} the new one", at - 1);
    assert!(kept_old > 5 && replaced > 0, "{kept_old} old, {replaced} new");
    assert_eq!(holders(&home), new, "a restore that is not killed");

    // Control: a store that lost its log is neither the old nor the new one, and is served only without the note of its
    // last commit.
    copy_folder(prepared.path(), home.folder());
    fs::remove_file(home.folder().join("eduhub.db-wal")).unwrap();
    let error = refused_start(&home);
    assert!(error.contains("was acknowledged"), "{error}");
    fs::remove_file(home.folder().join("eduhub.db.last-commit")).unwrap();
    let found = holders(&home);
    assert!(found != old, "the log held seats: {found:?}");
}

#[test]
fn the_replaced_store_is_complete_in_one_file() {
    let home = Home::new();
    let server = college(&home);
    register(&home, &server, "ann");
    assert!(home.run(&["backup", "backup.db"]).status.success());
    register(&home, &server, "ben");
    server.kill();
    let restored = home.run(&["restore", "--replace", "backup.db"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let kept = files_in(home.folder(), ".replaced-");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(holders(&home), names(&["ann"]));
    fs::rename(&kept[0], home.folder().join("kept.db")).unwrap();
    assert!(home.run(&["restore", "--replace", "kept.db"]).status.success());
    assert_eq!(holders(&home), names(&["ann", "ben"]));
}

#[test]
fn a_store_under_a_second_name_is_refused() {
    let home = Home::new();
    let server = college(&home);
    let store = home.folder().join(STORE);
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let second = elsewhere.path().join("second.db");
    let second_home = Home::new().setting("store.url", &format!("sqlite:{}", second.display()));

    std::os::unix::fs::symlink(&store, &second).unwrap();
    let error = refused_start(&second_home);
    assert!(error.contains("is in use by another process"), "{error}");
    fs::remove_file(&second).unwrap();

    fs::hard_link(&store, &second).unwrap();
    let error = refused_start(&second_home);
    assert!(error.contains("has 2 names (hard links)"), "{error}");

    // The last seats are in the log beside the first name: read under another name, the store would lack them.
    register(&home, &server, "ann");
    server.kill();
    for arguments in [&["verify"][..], &["backup", "copy.db"]] {
        let output = second_home.run(arguments);
        assert!(stderr(&output).contains("has 2 names (hard links)"), "{arguments:?}: {output:?}");
    }
    fs::remove_file(&second).unwrap();

    // A store that no hub holds may be served through a symbolic link, with everything in its log.
    std::os::unix::fs::symlink(&store, &second).unwrap();
    assert_eq!(holders(&second_home), names(&["ann"]));
    fs::remove_file(&store).unwrap();
    let error = refused_start(&second_home);
    assert!(error.contains("is a symbolic link to a file that does not exist"), "{error}");
}

#[test]
fn a_backup_is_restored_where_only_the_log_is_left() {
    let home = Home::new();
    let server = college(&home);
    register(&home, &server, "ann");
    assert!(home.run(&["backup", "backup.db"]).status.success());
    server.kill();
    fs::remove_file(home.folder().join(STORE)).unwrap();
    let restored = home.run(&["restore", "--replace", "backup.db"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    assert_eq!(holders(&home), names(&["ann"]));
}

#[test]
fn a_store_that_a_restore_replaced_can_be_put_back() {
    let home = Home::new();
    let server = college(&home);
    register(&home, &server, "ann");
    assert!(home.run(&["backup", "backup.db"]).status.success());
    register(&home, &server, "bob");
    server.kill();
    let restored = home.run(&["restore", "--replace", "backup.db"]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    let server = home.serve();
    // More commits than the replaced store has.
    for user in ["cyd", "dan", "eve"] {
        register(&home, &server, user);
    }
    assert!(server.stop().success());
    let is_replaced = |path: &PathBuf| path.to_string_lossy().contains(".replaced-");
    let files = fs::read_dir(home.folder()).unwrap().map(|file| file.unwrap().path());
    let replaced: Vec<PathBuf> = files.filter(is_replaced).collect();
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    fs::rename(&replaced[0], home.folder().join(STORE)).unwrap();
    assert_eq!(holders(&home), names(&["ann", "bob"]));
}

#[test]
fn a_missing_or_empty_store_is_not_replaced_by_a_new_one() {
    let home = Home::new();
    let server = college(&home);
    register(&home, &server, "ann");
    assert!(home.run(&["backup", "backup.db"]).status.success());
    server.kill();
    let store = home.folder().join(STORE);

    // The log is there, but its store is not.
    fs::rename(&store, home.folder().join("hidden")).unwrap();
    let error = refused_start(&home);
    assert!(error.contains("eduhub.db-wal belongs to one"), "{error}");
    let restored = home.run(&["restore", "backup.db"]);
    assert!(stderr(&restored).contains("--replace"), "a stray log is not replayed into a restored store: {restored:?}");

    // A store that `restore` of an earlier version moved aside.
    fs::rename(home.folder().join("hidden"), home.folder().join("eduhub.db.replaced-1")).unwrap();
    fs::rename(home.folder().join("eduhub.db-wal"), home.folder().join("eduhub.db.replaced-1-wal")).unwrap();
    let error = refused_start(&home);
    assert!(error.contains("eduhub.db.replaced-1 belongs to one"), "{error}");
    assert!(!store.exists(), "no store was created");

    fs::write(&store, "").unwrap();
    let error = refused_start(&home);
    assert!(error.contains("is empty (0 bytes)"), "{error}");
    assert_eq!(fs::metadata(&store).unwrap().len(), 0, "it stays as it is");
    assert!(home.run(&["restore", "--replace", "backup.db"]).status.success());
    assert_eq!(holders(&home), names(&["ann"]));
}

#[test]
fn a_first_start_killed_at_any_call_is_repeated() {
    let home = Home::new();
    let killed = |at: usize| {
        let mut serve = home.command(&["serve"]);
        disk::watch(&mut serve, home.folder());
        let mut child = serve
            .env("DISK_KILL_AT", at.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.wait().unwrap().signal() == Some(9)
    };
    for at in 1..=12 {
        assert!(killed(at), "call {at} of a first start");
        let server = home.serve();
        assert_eq!(files_in(home.folder(), ".eduhub-copy-").len(), 0, "killed before call {at}");
        drop(server);
        for file in files_in(home.folder(), "eduhub") {
            fs::remove_file(file).unwrap();
        }
    }
}
