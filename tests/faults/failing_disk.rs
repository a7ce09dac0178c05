//! A disk that reports errors while students register: every acknowledged seat is there after a restart, and the hub
//! continues once the disk works again.

use std::collections::BTreeSet;
use std::fs;

use crate::disk;
use crate::support::audit::registrations;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;
use crate::support::wait::eventually;

const TERM: &str = "203001";
const SECTION: &str = "203001-10001";
const STUDENTS: usize = 60;
/// `EIO`, which a disk that loses sectors reports.
const INPUT_OUTPUT_ERROR: i32 = 5;
/// `ENOSPC`: the disk is full.
const NO_SPACE: i32 = 28;

/// A student's request and its status.
struct Answered {
    student: usize,
    status: u16,
}

/// Registers students one after another while the disk fails as `failure` states (a value of `DISK_FAIL`), and restarts
/// the hub. Returns the statuses, and the students who hold a seat afterward.
fn register_with(failure: &str) -> (Vec<Answered>, BTreeSet<usize>) {
    let home = Home::new();
    let mut serve = home.command(&["serve"]);
    disk::watch(&mut serve, home.folder());
    let folder = tempfile::tempdir().unwrap();
    let armed = folder.path().join("armed");
    serve.env("DISK_FAIL", failure).env("DISK_FAIL_FROM", &armed);
    let server = home.start(serve);
    let rows = vec![Row { capacity: 100, ..Row::lecture("10001", "MATH 101") }];
    Schedule { term: TERM.into(), rows }.load(&mut server.client().signed_in(&home.token("clerk", "staff")));

    let tokens = home.tokens("student", "student", STUDENTS);
    fs::write(&armed, "").unwrap();
    let mut answered = Vec::new();
    for (student, token) in tokens.iter().enumerate() {
        let mut client = server.client().signed_in(token);
        let status = client.put(&format!("/api/v1/me/registrations/{SECTION}")).status;
        answered.push(Answered { student, status });
        if status == 503 {
            // The hub's attempts to recover also use up the calls that fail.
            eventually("a hub that is ready again", || (server.client().get("/readyz").status == 200).then_some(()));
        }
    }
    server.kill();
    home.verify().expect("every count is correct");

    let server = home.serve();
    let holders = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| registrations(&mut server.client().signed_in(token), TERM).contains_key(SECTION));
    (answered, holders.map(|(student, _)| student).collect())
}

/// Returns the students whose seat was acknowledged but is not stored.
fn lost(answered: &[Answered], holders: &BTreeSet<usize>) -> Vec<usize> {
    let acknowledged = answered.iter().filter(|answer| answer.status == 201).map(|answer| answer.student);
    acknowledged.filter(|student| !holders.contains(student)).collect()
}

fn assert_nothing_is_lost(failure: &str) {
    let (answered, holders) = register_with(failure);
    let count = |status| answered.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(201) + count(503), STUDENTS, "{failure}");
    assert!(count(503) > 0, "{failure}: the disk failed, and a student's response says so");
    assert!(count(201) > STUDENTS / 2, "{failure}: the hub continued ({} seats)", count(201));
    assert_eq!(lost(&answered, &holders), [0; 0], "{failure}");

    // Control: a missing seat would be detected.
    let first = *holders.first().expect("a holder");
    let without_first = holders.iter().copied().filter(|student| *student != first).collect();
    assert_eq!(lost(&answered, &without_first), [first]);
}

#[test]
fn no_acknowledged_seat_is_lost_when_syncs_fail() {
    assert_nothing_is_lost(&format!("sync:{INPUT_OUTPUT_ERROR}:10:4"));
}

#[test]
fn no_acknowledged_seat_is_lost_when_writes_fail() {
    assert_nothing_is_lost(&format!("write:{INPUT_OUTPUT_ERROR}:20:6"));
}

#[test]
fn no_acknowledged_seat_is_lost_when_the_disk_is_full_for_a_while() {
    assert_nothing_is_lost(&format!("write:{NO_SPACE}:20:12"));
}
