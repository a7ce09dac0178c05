//! The commands as an operator types them: the built program, beside a running hub and without one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

mod support;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::json;

use support::http::Answer;
use support::schedule::{Row, Schedule};
use support::server::{Home, Server};

/// What a command came to.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
    /// Done, and said on standard output.
    fn done(self) -> String {
        self.ended(0).out
    }
    /// Not done; the one sentence why.
    fn refused(self, status: i32, because: &str) {
        let said = self.ended(status);
        assert!(said.err.contains(because), "{because:?} is not in {:?}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
}

/// Runs a command with this on its standard input.
fn type_in(home: &Home, arguments: &[&str], input: &str) -> Said {
    let mut command = home.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not read what is typed may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(home: &Home, arguments: &[&str]) -> Said {
    type_in(home, arguments, "")
}

fn log_in(server: &Server, user: &str, password: &str) -> Answer {
    server.client().post_json("/api/v1/login", &json!({"username": user, "password": password}))
}

fn schedule() -> Schedule {
    Schedule { term: "203001".into(), rows: vec![Row::lecture("10001", "MATH 101"), Row::lecture("10002", "MATH 102")] }
}

#[test]
fn accounts_are_made_changed_and_removed_with_passwords_from_standard_input() {
    let home = Home::new();
    type_in(&home, &["user", "add", "ann", "--role", "staff"], "correct horse 1\n").done();
    let server = home.serve();
    assert_eq!(log_in(&server, "ann", "correct horse 1").expect(200).json()["user"]["role"], "staff");

    // From here on through the hub that has the store.
    type_in(&home, &["user", "add", "bob", "--role", "student"], "battery staple 2\n").done();
    let token = log_in(&server, "bob", "battery staple 2").expect(200).json()["token"].as_str().unwrap().to_owned();
    type_in(&home, &["user", "add", "bob", "--role", "admin"], "whatever else 3\n").refused(1, "bob has an account");
    type_in(&home, &["user", "add", "eve", "--role", "student"], "short\n").refused(2, "a password has");
    type_in(&home, &["user", "add", "e v e", "--role", "student"], "long enough 4\n").refused(2, "e v e");
    let list = run(&home, &["user", "list"]).done();
    assert!(["ann", "bob"].iter().all(|name| list.contains(name)) && !list.contains("eve"), "{list}");

    type_in(&home, &["user", "passwd", "bob"], "another one 5\n").done();
    log_in(&server, "bob", "battery staple 2").expect(401);
    log_in(&server, "bob", "another one 5").expect(200);
    run(&home, &["user", "remove", "bob"]).done();
    log_in(&server, "bob", "another one 5").expect(401);
    server.client().signed_in(&token).get("/api/v1/me").expect(401);
    run(&home, &["user", "remove", "bob"]).refused(1, "bob");
}

#[test]
fn settings_are_checked_by_their_full_names_before_anything_starts() {
    let home = Home::new();
    fs::write(home.folder().join("config.toml"), run(&home, &["default-config"]).done()).unwrap();
    run(&home, &["check-config"]).done();
    for (text, named) in [
        ("[server]\nbnid = \"127.0.0.1:1\"\n", "server.bnid"),
        ("[registration]\nshards = \"many\"\n", "registration.shards"),
        ("[nonsense]\nx = 1\n", "nonsense"),
    ] {
        let file = home.folder().join("other.toml");
        fs::write(&file, text).unwrap();
        for command in ["check-config", "serve"] {
            run(&home, &[command, "--config", "other.toml"]).refused(2, named);
        }
    }
    let home = home.setting("limits.login_per_minute", "often");
    run(&home, &["serve"]).refused(2, "limits.login_per_minute");
}

#[test]
fn a_hub_with_the_demonstration_college_is_for_this_machine_only() {
    let home = Home::new().setting("server.bind", "0.0.0.0:0");
    run(&home, &["serve", "--demo"]).refused(2, "loopback");
    assert!(!home.folder().join("eduhub.db").exists(), "no store with accounts that everybody knows");
}

#[test]
fn a_second_hub_on_one_store_is_refused_and_the_other_commands_work_beside_it() {
    let home = Home::new();
    let server = home.serve();
    run(&home, &["serve"]).refused(1, &server.address().to_string());
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let verified = run(&home, &["verify"]).done();
    assert!(verified.contains("2 sections"), "{verified}");
    run(&home, &["token", "--subject", "ann", "--role", "king"]).ended(2);
    server.client().signed_in(&home.token("ann", "student")).get("/api/v1/me").expect(200);
}

#[test]
fn a_copy_of_a_running_store_is_put_back_with_every_seat_in_it() {
    let home = Home::new();
    let server = home.serve();
    let staff = home.token("registrar", "staff");
    schedule().load(&mut server.client().signed_in(&staff));
    let ann = home.token("ann", "student");
    let seat = "/api/v1/me/registrations/203001-10001";
    server.client().signed_in(&ann).put(seat).expect(201);
    run(&home, &["backup", "copy.db"]).done();
    server.client().signed_in(&ann).delete(seat).expect(200);
    run(&home, &["restore", "copy.db", "--replace"]).ended(1);
    server.stop();

    run(&home, &["restore", "copy.db"]).refused(1, "--replace");
    run(&home, &["restore", "copy.db", "--replace"]).done();
    let server = home.serve();
    let held = server.client().signed_in(&ann).get("/api/v1/me/registrations").expect(200).json();
    assert_eq!(held["items"][0]["section"], "203001-10001", "{held}");
}

#[test]
fn a_count_that_is_wrong_is_found() {
    let home = Home::new();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    server.stop();
    home.verify().unwrap();
    let changed = Connection::open(home.folder().join("eduhub.db"))
        .unwrap()
        .execute(
            "INSERT INTO seats VALUES ('203001', '10001', 1, 0, 1) ON CONFLICT DO UPDATE SET enrolled = enrolled + 1",
            [],
        )
        .unwrap();
    assert!(changed > 0);
    let said = run(&home, &["verify"]).ended(1);
    assert!(said.out.contains("203001-10001"), "{said:?}");
}

#[test]
fn a_schedule_is_tried_refused_by_its_lines_and_imported() {
    let home = Home::new();
    let file = home.folder().join("schedule.csv");
    fs::write(&file, "crn,course,title,cap\n1,A 1,One,10\n2,B 1,Two,ten\n").unwrap();
    let said = run(&home, &["import", "schedule.csv", "--term", "T1"]).ended(1);
    let told = said.out + &said.err;
    assert!(told.contains("line 3") || told.contains("3:"), "{told}");
    fs::write(&file, "crn,course,title,cap\n1,A 1,One,10\n2,B 1,Two,20\n").unwrap();
    run(&home, &["import", "schedule.csv", "--term", "T1", "--dry-run"]).done();
    let server = home.serve();
    let count = || server.client().get("/api/v1/sections").expect(200).json()["total"].clone();
    assert_eq!(count(), 0, "a dry run changes nothing");
    run(&home, &["import", "schedule.csv", "--term", "T1"]).done();
    assert_eq!(count(), 2, "through the running hub");
    run(&home, &["import", "nothing.csv", "--term", "T1"]).refused(1, "nothing.csv");
}
