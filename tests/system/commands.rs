//! The command line, with and without a running hub.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::json;

use crate::support::http::Response;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};

/// The output and the exit status of a command.
#[derive(Debug)]
struct Finished {
    status: i32,
    out: String,
    err: String,
}

impl Finished {
    /// Checks the exit status.
    fn exited_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
    /// Checks that the command succeeded and returns its standard output.
    fn succeeded(self) -> String {
        self.exited_with(0).out
    }
    /// Checks the exit status, and that standard error contains the reason.
    fn failed_with(self, status: i32, reason: &str) {
        let finished = self.exited_with(status);
        assert!(finished.err.contains(reason), "{reason:?} is in {:?}", finished.err);
        assert!(!finished.err.contains("panicked"), "{}", finished.err);
    }
}

/// Runs a command with `input` on its standard input.
fn run_with_input(home: &Home, arguments: &[&str], input: &str) -> Finished {
    let mut command = home.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input may have exited already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn run(home: &Home, arguments: &[&str]) -> Finished {
    run_with_input(home, arguments, "")
}

fn log_in(server: &Server, user: &str, password: &str) -> Response {
    server.client().post_json("/api/v1/login", &json!({"username": user, "password": password}))
}

fn schedule() -> Schedule {
    Schedule { term: "203001".into(), rows: vec![Row::lecture("10001", "MATH 101"), Row::lecture("10002", "MATH 102")] }
}

#[test]
fn accounts_are_managed_with_passwords_from_standard_input() {
    let home = Home::new();
    run_with_input(&home, &["user", "add", "ann", "--role", "staff"], "correct horse 1\n").succeeded();
    let server = home.serve();
    assert_eq!(log_in(&server, "ann", "correct horse 1").expect(200).json()["user"]["role"], "staff");

    // The running hub holds the store, so the following commands go through the hub.
    run_with_input(&home, &["user", "add", "bob", "--role", "student"], "battery staple 2\n").succeeded();
    let token = log_in(&server, "bob", "battery staple 2").expect(200).json()["token"].as_str().unwrap().to_owned();
    run_with_input(&home, &["user", "add", "bob", "--role", "admin"], "another password 3\n")
        .failed_with(1, "bob already has an account");
    run_with_input(&home, &["user", "add", "eve", "--role", "student"], "short\n")
        .failed_with(2, "A password must have at least 12 characters");
    run_with_input(&home, &["user", "add", "e v e", "--role", "student"], "long enough 4\n").failed_with(2, "e v e");
    run_with_input(&home, &["user", "add", "e\u{200b}ve", "--role", "student"], "long enough 4\n").failed_with(2, "e");
    run_with_input(&home, &["user", "add", "eve", "--role", "student"], "Password2026!\n")
        .failed_with(2, "easy to guess");
    for subject in ["..", "e\u{202e}ve"] {
        run(&home, &["token", "--subject", subject, "--role", "student"]).failed_with(2, "invalid username");
    }
    let list = run(&home, &["user", "list"]).succeeded();
    assert!(["ann", "bob"].iter().all(|name| list.contains(name)) && !list.contains("eve"), "{list}");

    run_with_input(&home, &["user", "passwd", "bob"], "another one 5\n").succeeded();
    log_in(&server, "bob", "battery staple 2").expect(401);
    log_in(&server, "bob", "another one 5").expect(200);
    run(&home, &["user", "remove", "bob"]).succeeded();
    log_in(&server, "bob", "another one 5").expect(401);
    server.client().signed_in(&token).get("/api/v1/me").expect(401);
    run(&home, &["user", "remove", "bob"]).failed_with(1, "bob");
}

#[test]
fn an_invalid_setting_is_refused_by_its_full_name() {
    let home = Home::new();
    fs::write(home.folder().join("config.toml"), run(&home, &["default-config"]).succeeded()).unwrap();
    run(&home, &["check-config"]).succeeded();
    for (text, name) in [
        ("[server]\nbnid = \"127.0.0.1:1\"\n", "server.bnid"),
        ("[registration]\nshards = \"many\"\n", "registration.shards"),
        ("[nonsense]\nx = 1\n", "nonsense"),
    ] {
        let file = home.folder().join("other.toml");
        fs::write(&file, text).unwrap();
        for command in ["check-config", "serve"] {
            run(&home, &[command, "--config", "other.toml"]).failed_with(2, name);
        }
    }
    let home = home.setting("limits.login_per_minute", "often");
    run(&home, &["serve"]).failed_with(2, "limits.login_per_minute");
}

#[test]
fn serve_demo_binds_to_the_loopback_interface_only() {
    let home = Home::new().setting("server.bind", "0.0.0.0:0");
    run(&home, &["serve", "--demo"]).failed_with(2, "loopback");
    let mut home = home.setting("server.bind", "127.0.0.1:0");
    for url in ["https://register.college.edu", "http://localhost.college.edu", "http://10.0.0.1:8000"] {
        home = home.setting("server.public_url", url);
        run(&home, &["serve", "--demo"]).failed_with(2, "loopback");
    }
    assert!(!home.folder().join("eduhub.db").exists(), "a refused command creates no store");
}

#[test]
fn a_college_is_not_served_with_demonstration_accounts() {
    let home = Home::new();
    home.serve_with(&["serve", "--demo"]).stop();
    run(&home, &["serve"]).failed_with(1, "student, student2, staff, admin");
    for name in ["student", "student2", "staff"] {
        run(&home, &["user", "remove", name]).succeeded();
    }
    run(&home, &["user", "remove", "admin"]).failed_with(1, "last local administrator");
    run(&home, &["serve"]).failed_with(1, "admin");
    run_with_input(&home, &["user", "passwd", "admin"], "battery staple 2\n").succeeded();
    home.serve();
}

#[test]
fn the_demonstration_has_a_default_store_of_its_own() {
    let home = Home::new().setting("store.url", "");
    let server = home.serve_with(&["serve", "--demo"]);
    assert!(home.folder().join("var/demo.db").exists() && !home.folder().join("var/eduhub.db").exists());
    let listed = run(&home, &["user", "list"]).succeeded();
    assert!(listed.contains("student2"), "commands use the only store by default: {listed}");
    server.stop();
    home.serve();
    assert!(home.folder().join("var/eduhub.db").exists());
    let listed = run(&home, &["user", "list"]).succeeded();
    assert!(!listed.contains("student2"), "the college's store comes first: {listed}");
}

#[test]
fn a_token_lives_for_at_most_a_year() {
    let home = Home::new();
    let mint = |ttl: &str| run(&home, &["token", "--subject", "robot", "--role", "staff", "--ttl", ttl]);
    mint("31536000").succeeded();
    for ttl in ["0", "31536001"] {
        mint(ttl).failed_with(2, "--ttl");
    }
}

#[test]
fn a_second_hub_is_refused_while_other_commands_work() {
    let home = Home::new();
    let server = home.serve();
    run(&home, &["serve"]).failed_with(1, &server.address().to_string());
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let verified = run(&home, &["verify"]).succeeded();
    assert!(verified.contains("2 sections"), "{verified}");
    run(&home, &["token", "--subject", "ann", "--role", "wizard"]).exited_with(2);
    server.client().signed_in(&home.token("ann", "student")).get("/api/v1/me").expect(200);
}

#[test]
fn a_backup_of_a_running_store_restores_every_seat() {
    let home = Home::new();
    let server = home.serve();
    let staff = home.token("registrar", "staff");
    schedule().load(&mut server.client().signed_in(&staff));
    let ann = home.token("ann", "student");
    let seat = "/api/v1/me/registrations/203001-10001";
    server.client().signed_in(&ann).put(seat).expect(201);
    run(&home, &["backup", "copy.db"]).succeeded();
    server.client().signed_in(&ann).delete(seat).expect(200);
    run(&home, &["restore", "copy.db", "--replace"]).exited_with(1);
    server.stop();

    run(&home, &["restore", "copy.db"]).failed_with(1, "--replace");
    run(&home, &["restore", "copy.db", "--replace"]).succeeded();
    let server = home.serve();
    let registered = server.client().signed_in(&ann).get("/api/v1/me/registrations").expect(200).json();
    assert_eq!(registered["items"][0]["section"], "203001-10001", "{registered}");
}

#[test]
fn verify_finds_a_wrong_seat_count() {
    let home = Home::new();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    server.stop();
    home.verify().unwrap();
    let changed_rows = Connection::open(home.folder().join("eduhub.db"))
        .unwrap()
        .execute(
            "INSERT INTO seats (term, crn, enrolled, waitlisted, seq) VALUES ('203001', '10001', 1, 0, 1)
             ON CONFLICT DO UPDATE SET enrolled = enrolled + 1",
            [],
        )
        .unwrap();
    assert!(changed_rows > 0);
    let finished = run(&home, &["verify"]).exited_with(1);
    assert!(finished.out.contains("203001-10001"), "{finished:?}");
}

#[test]
fn import_reports_invalid_lines_and_supports_dry_runs() {
    let home = Home::new();
    let file = home.folder().join("schedule.csv");
    fs::write(&file, "crn,course,title,cap\n1,A 1,One,10\n2,B 1,Two,ten\n").unwrap();
    let finished = run(&home, &["import", "schedule.csv", "--term", "T1"]).exited_with(1);
    let printed = finished.out + &finished.err;
    assert!(printed.contains("line 3") || printed.contains("3:"), "{printed}");
    fs::write(&file, "crn,course,title,cap\n1,A 1,One,10\n2,B 1,Two,20\n").unwrap();
    run(&home, &["import", "schedule.csv", "--term", "T1", "--dry-run"]).succeeded();
    let server = home.serve();
    let count = || server.client().get("/api/v1/sections").expect(200).json()["total"].clone();
    assert_eq!(count(), 0, "a dry run changes nothing");
    run(&home, &["import", "schedule.csv", "--term", "T1"]).succeeded();
    assert_eq!(count(), 2, "the import goes through the running hub");
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedules/sheets/fall.xls");
    run(&home, &["import", book, "--term", "T2", "--sheet", "fall"]).succeeded();
    run(&home, &["import", book, "--term", "T2", "--sheet", "Winter"]).failed_with(1, "");
    run(&home, &["import", "nothing.csv", "--term", "T1"]).failed_with(1, "nothing.csv");
}

#[test]
fn import_maps_columns_by_a_saved_profile() {
    let home = Home::new();
    let file = "Nr,Kurs,Platz\n30001,AB 101,20\n";
    fs::write(home.folder().join("plan.csv"), file).unwrap();
    let dry_run = |more: &[&str]| run(&home, &[&["import", "plan.csv", "--term", "T1", "--dry-run"], more].concat());
    {
        let server = home.serve();
        let mut staff = server.client().signed_in(&home.token("staff", "staff"));
        let map = json!({"Nr": "crn", "Kurs": "course", "Platz": "capacity"});
        let profile = json!({"title": "Kursplan", "header": ["Nr", "Kurs", "Platz"], "map": map});
        staff.put_json("/api/v1/import-profiles/kursplan", &profile).expect(201);
        // Through the running hub.
        let out = dry_run(&["--profile", "kursplan"]).succeeded();
        assert!(out.contains("profile kursplan") && out.contains("1 new"), "{out}");
        dry_run(&["--profile", "absent"]).failed_with(1, "there is no profile absent");
        server.stop();
    }
    // Without a hub, the command opens the store and finds the profile by the header.
    let out = dry_run(&[]).succeeded();
    assert!(out.contains("profile kursplan"), "{out}");
    dry_run(&["--profile", "none"]).exited_with(1);
    dry_run(&["--profile", "absent"]).failed_with(1, "there is no profile absent");
    dry_run(&["--profile", "a b"]).failed_with(2, "--profile");
}

#[test]
fn import_students_stores_facts_with_and_without_a_hub() {
    let home = Home::new();
    fs::write(home.folder().join("students.csv"), "Who,credit_limit,holds,office\nann,12,A book is missing,Library\n")
        .unwrap();
    let import = |more: &[&str]| run(&home, &[&["import-students", "students.csv"], more].concat());
    import(&[]).exited_with(1);
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("staff", "staff"));
    let mut limit = || staff.get("/api/v1/students/ann").expect(200).json()["credit_limit"].clone();
    let out = import(&["--map", "Who:user", "--dry-run"]).succeeded();
    assert!(out.contains("rows: 1, students: 1 (1 new"), "{out}");
    assert_eq!(limit(), json!(null), "a dry run changes nothing");
    import(&["--map", "Who:user"]).succeeded();
    assert_eq!(limit(), json!(12), "the import goes through the running hub");
    server.stop();
    let out = import(&["--map", "Who:user"]).succeeded();
    assert!(out.contains("0 new, 0 changed, 1 unchanged"), "{out}");
    import(&["--map", "Who:seats"]).failed_with(1, "seats");
}
