//! The performance demonstration: what it tells is so, nobody else sees its sandbox, and nothing of it stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on ends there, and prints what it measured"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::{Output, Stdio};
use std::time::Duration;

use eduhub::domain::ids::{TermId, UserName};
use eduhub::domain::role::Role;
use eduhub::identity::token::Tokens;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use serde_json::{Value, json};

use support::bridge::{before_plone, eventually, wait_for_sections};
use support::http::Client;
use support::plone::Plone;
use support::schedule::{Row, Schedule};
use support::server::{Home, Server};
use support::socket::Socket;

const SECRET: &str = "a secret of these tests, at least 32 bytes long";

fn home() -> Home {
    Home::new().setting("auth.secret", SECRET)
}

/// A term of the college's own, with one section.
fn schedule() -> Schedule {
    Schedule { term: "203001".into(), rows: vec![Row::lecture("10001", "MATH 101")] }
}

/// The store, read beside whoever has it.
fn store(home: &Home) -> Connection {
    let path = home.folder().join("eduhub.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store can be read")
}

/// How many rows each table has. The audit trail grows, as it should, and so do those who were seen; nobody of these
/// may be made up.
fn rows(home: &Home) -> BTreeMap<String, u64> {
    let store = store(home);
    let mut names = store
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('audit', 'people')")
        .unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let made_up = "SELECT count(*) FROM people WHERE username GLOB 'demo-*' OR username GLOB 'rush-*'";
    assert_eq!(
        store.query_row(made_up, [], |row| row.get::<_, u64>(0)),
        Ok(0),
        "students of a demonstration were seen"
    );
    let count =
        |name: &str| store.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap();
    // SQLite's own, which counts what was ever stored.
    names.into_iter().filter(|name| !name.starts_with("sqlite_")).map(|name| (name.clone(), count(&name))).collect()
}

/// The sandbox that is open.
fn sandbox(home: &Home) -> Option<String> {
    let open = store(home).query_row("SELECT id FROM terms WHERE id GLOB '_sandbox-*'", [], |row| row.get(0));
    open.ok()
}

/// A token that is good in this sandbox only.
fn confined(sandbox: &str, role: Role) -> String {
    let (term, user) = (TermId::parse(sandbox).unwrap(), UserName::parse("somebody").unwrap());
    let tokens = Tokens::new(&SecretString::from(SECRET));
    tokens.mint_for_sandbox(&term, &user, role, Duration::from_secs(600), Timestamp::now()).unwrap().token
}

fn rush(home: &Home, arguments: &[&str]) -> Output {
    home.run(&[&["rush"], arguments].concat())
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn row<'t>(task: &'t Value, target: &str) -> &'t Value {
    let rows = task["results"].as_array().expect("results");
    rows.iter().find(|row| row["target"] == target).unwrap_or_else(|| panic!("no row of {target}: {task}"))
}

/// What must be so of the hub's row whatever the machine.
fn check_hub(task: &Value, users: u64) {
    println!("{}", row(task, "hub"));
    println!("{}", task["background"]);
    let hub = row(task, "hub");
    assert_eq!(task["state"], "done", "{task}");
    assert_eq!((&hub["recorded"], &hub["users"]), (&Value::Null, &json!(users)), "{hub}");
    assert_eq!((&hub["oversold"], &hub["lost"], &hub["errors"]), (&json!(0), &json!(0), &json!(0)), "{hub}");
    assert!(hub["told"].as_u64().unwrap() > 0 && hub["told"] == hub["held"], "{hub}");
    assert!(hub["requests"].as_u64().unwrap() >= users && hub["per_s"].as_f64().unwrap() > 0.0, "{hub}");
    for percentile in ["p50", "p95", "p99"] {
        assert!(hub["latency_ms"][percentile].as_f64().unwrap() > 0.0, "{hub}");
    }
    let background = &task["background"];
    assert_eq!(background["kind"], "import");
    assert!(background["imports"].as_u64().unwrap() > 0, "no import ran beside them: {task}");
    assert!(background["p99_with_ms"].is_number() && background["p99_without_ms"].is_number(), "{task}");
}

#[test]
fn a_rush_of_some_hundred_students_loses_nothing_and_leaves_no_trace() {
    let home = home();
    let server = home.serve();
    let staff = home.token("registrar", "staff");
    schedule().load(&mut server.client().signed_in(&staff));
    let before = rows(&home);
    let files = |end: &str| {
        let entries = std::fs::read_dir(home.folder().join("eduhub.db.imports")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(end)).collect::<BTreeSet<_>>()
    };
    // Not the upload of the term itself, which goes soon after it is read.
    let files_before = files(".errors.csv");

    let output = rush(&home, &["--users", "300", "--seconds", "4", "--json"]);
    assert!(output.status.success(), "{}", error_of(&output));
    let task: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    check_hub(&task, 300);
    // Where no Plone may be pressed, what was measured before is told, and that it was.
    assert!(row(&task, "plone")["recorded"].as_str().is_some_and(|told| told.contains("Plone 6.2.2")), "{task}");

    assert_eq!(rows(&home), before, "something of the demonstration is in the store");
    assert_eq!(sandbox(&home), None);
    assert_eq!(files(""), files_before, "files of the demonstration are left");
    let mut client = server.client().signed_in(&home.token("boss", "admin"));
    let terms = client.get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["items"].as_array().unwrap().len(), 1, "{terms}");
    assert_eq!(client.get("/api/v1/alerts").expect(200).json()["items"], json!([]));
    home.verify().unwrap();

    // The same for people.
    let output = rush(&home, &["--users", "50", "--seconds", "2"]);
    assert!(output.status.success(), "{}", error_of(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    println!("{table}");
    for word in ["per s", "p99 ms", "oversold", "lost", "hub", "plone"] {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
}

/// Starts a demonstration, and answers its id.
fn start(admin: &mut Client, wanted: &Value) -> String {
    let answer = admin.post_json("/api/v1/admin/demo", wanted).expect(202);
    answer.json()["task"].as_str().expect("a task").to_owned()
}

/// Waits for its end.
fn end(admin: &mut Client, task: &str) -> Value {
    eventually("the end of the demonstration", || {
        let told = admin.get(&format!("/api/v1/admin/demo/{task}")).expect(200).json();
        (told["state"] != "running").then_some(told)
    })
}

#[test]
fn an_admin_watches_it_live_and_nobody_else_sees_its_sandbox() {
    let home = home();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let before = rows(&home);
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    assert_eq!(admin.get("/api/v1/admin/demo").expect(200).json(), json!({"task": null}));
    let task = start(&mut admin, &json!({"users": 60, "seconds": 6, "target": "both"}));
    let sandbox = eventually("a sandbox", || sandbox(&home));

    // One at a time, wherever it is asked for.
    let refused = admin.post_json("/api/v1/admin/demo", &json!({})).expect(429);
    assert!(refused.code() == "rate_limited" && refused.header("retry-after").is_some(), "{}", refused.text());
    let output = rush(&home, &["--users", "10", "--seconds", "1"]);
    assert!(output.status.code() == Some(1) && error_of(&output).contains("one runs at a time"), "{output:?}");

    nobody_sees(&home, &server, &sandbox);

    let pressing = eventually("requests while it runs", || {
        let told = admin.get(&format!("/api/v1/admin/demo/{task}")).expect(200).json();
        assert_eq!(told["state"], "running", "it ended before anybody could look: {told}");
        let live = told["results"].as_array()?.iter().find(|row| row["target"] == "hub")?.clone();
        live["requests"].as_u64().is_some_and(|requests| requests > 0).then_some(live)
    });
    assert_eq!(pressing["held"], Value::Null, "nobody knows yet what is held: {pressing}");
    check_hub(&end(&mut admin, &task), 60);
    let newest = admin.get("/api/v1/admin/demo").expect(200).json();
    assert_eq!(newest["task"], json!(task));
    assert_eq!(rows(&home), before, "something of the demonstration is in the store");
    // And then the next may run.
    let next = start(&mut admin, &json!({"users": 5, "seconds": 1, "target": "hub"}));
    assert_eq!(end(&mut admin, &next)["state"], "done");
}

/// Neither students nor staff nor admins, by whatever door.
fn nobody_sees(home: &Home, server: &Server, sandbox: &str) {
    let section = format!("{sandbox}-10001");
    for role in ["student", "staff", "admin"] {
        let token = home.token("curious", role);
        let mut client = server.client().signed_in(&token);
        for list in ["/api/v1/terms", "/api/v1/sections?limit=5000", "/api/v1/admin/users", "/api/v1/staff/activity"] {
            let answer = client.get(list);
            assert!(!answer.text().contains("_sandbox-"), "{list} shows the sandbox to {role}: {}", answer.text());
            assert!(!answer.text().contains("demo-0"), "{list} shows its students to {role}: {}", answer.text());
        }
        client.get(&format!("/api/v1/seats?term={sandbox}")).expect(422);
        client.get(&format!("/api/v1/sections?term={sandbox}")).expect(422);
        client.get(&format!("/api/v1/sections/{section}")).expect(404);
        let mut socket = Socket::connect(server.address(), Some(&token));
        socket.send(&json!({"type": "subscribe", "channels": [format!("seats:{sandbox}")]}));
        socket.wait_for("a refusal", |frame| frame["type"] == "error");
    }
    let mut student = server.client().signed_in(&home.token("curious", "student"));
    student.put(&format!("/api/v1/me/registrations/{section}")).expect(404);
    student.delete(&format!("/api/v1/me/registrations/{section}")).expect(404);
    let batch = student.post_json("/api/v1/me/registrations", &json!({"add": [section]})).expect(200).json();
    assert_eq!(batch["results"][0]["problem"]["code"], "not_found", "{batch}");
    student.put_json("/api/v1/me/plan", &json!({"sections": [section]})).expect(422);
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    staff.patch_json(&format!("/api/v1/sections/{section}"), &json!({"capacity": 900})).expect(404);
    staff.put_json(&format!("/api/v1/terms/{sandbox}"), &json!({"title": "Mine"})).expect(422);
    let csv = [("Content-Type", "text/csv")];
    let path = format!("/api/v1/imports?term={sandbox}");
    staff.call("POST", &path, &csv, b"crn,course,capacity\n1,A 1,1\n").unwrap().expect(422);
    server.client().signed_in(&home.token("curious", "student")).get("/api/v1/admin/demo").expect(403);
}

#[test]
fn whoever_is_of_a_sandbox_is_nowhere_else_and_a_crash_leaves_nothing_of_it() {
    let home = home();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let before = rows(&home);
    let (mine, other) = ("_sandbox-mine", "_sandbox-other");
    // A body that is refused unread ends its connection.
    let admin = || server.client().signed_in(&confined(mine, Role::Admin));
    let path = |term: &str| format!("/api/v1/admin/demo/sandboxes/{term}");
    admin().put_json(&path(other), &json!({})).expect(403);
    let boss = home.token("boss", "admin");
    server.client().signed_in(&boss).put_json(&path(mine), &json!({})).expect(403);
    let opened = admin().put_json(&path(mine), &json!({"users": 10, "seconds": 5})).expect(201).json();
    let section = opened["sections"][0]["id"].as_str().expect("a section").to_owned();
    let mut second = server.client().signed_in(&confined(other, Role::Admin));
    second.put_json(&path(other), &json!({})).expect(429);

    let mut student = server.client().signed_in(&confined(mine, Role::Student));
    student.put(&format!("/api/v1/me/registrations/{section}")).expect(201);
    let seats = student.get(&format!("/api/v1/seats?term={mine}")).expect(200).json();
    assert_eq!(seats["seats"].as_array().unwrap().iter().filter(|row| row[2] == 1).count(), 1);
    // The college is none of theirs, whatever their role.
    student.put("/api/v1/me/registrations/203001-10001").expect(404);
    student.get("/api/v1/seats?term=203001").expect(422);
    for elsewhere in [
        "/api/v1/terms",
        "/api/v1/me",
        "/api/v1/admin/audit",
        "/api/v1/admin/demo",
        "/api/v1/sections",
        "/plone/courses",
    ] {
        admin().get(elsewhere).expect(403);
    }
    let csv = [("Content-Type", "text/csv")];
    let file = b"crn,course,capacity\n1,A 1,1\n";
    admin().call("POST", "/api/v1/imports?term=203001", &csv, file).unwrap().expect(403);
    admin().call("POST", "/api/v1/imports", &csv, file).unwrap().expect(403);
    // Nor does a file get in by naming a sandbox itself.
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let file = format!("term,crn,course,capacity\n{mine},1,A 1,1\n");
    let task = staff.call("POST", "/api/v1/imports", &csv, file.as_bytes()).unwrap().expect(202).json();
    let task = task["task"].as_str().unwrap().to_owned();
    eventually("the refusal of that import", || {
        let how = store(&home).query_row("SELECT state FROM import_tasks WHERE id = ?1", [&task], |row| row.get(0));
        (how == Ok("failed".to_owned())).then_some(())
    });

    server.kill();
    assert!(sandbox(&home).is_some(), "there was nothing to be left");
    let server = home.serve();
    assert_eq!(rows(&home), before, "a crash left something of the sandbox");
    server.client().get("/api/v1/seats?term=203001").expect(200);
}

#[test]
fn what_ends_badly_says_so_by_its_status() {
    let home = home();
    for (arguments, status, word) in [
        (&["--users", "0"][..], 2, "--users"),
        (&["--users", "10001"], 2, "--users"),
        (&["--url", "https://hub.example"], 1, "TLS"),
        (&["--url", "http://127.0.0.1:9"], 1, "does not answer"),
        (&[], 1, "no hub runs"),
    ] {
        let output = rush(&home, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", error_of(&output));
        assert!(error_of(&output).contains(word), "{arguments:?}: {}", error_of(&output));
    }

    // A hub that dies under it is no success, and the next hub knows nothing of it.
    let server = home.serve();
    let url = format!("http://{}", server.address());
    let arguments = ["rush", "--users", "20", "--seconds", "3", "--url", &url];
    let mut running = home.command(&arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("a sandbox", || sandbox(&home));
    server.kill();
    assert_eq!(running.wait().unwrap().code(), Some(1));
    let mut told = String::new();
    running.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("hub"), "{told}");
    let _server = home.serve();
    assert_eq!(sandbox(&home), None);
}

#[test]
fn one_that_is_interrupted_removes_what_it_made_and_one_whose_hub_ends_does_not_outlive_it() {
    let home = home();
    let server = home.serve();
    let mut running = home.command(&["rush", "--users", "20", "--seconds", "60"]).spawn().unwrap();
    eventually("a sandbox", || sandbox(&home));
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(1));
    assert_eq!(sandbox(&home), None);

    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    start(&mut admin, &json!({"users": 20, "seconds": 60, "target": "hub"}));
    eventually("a sandbox", || sandbox(&home));
    assert_eq!(server.stop().code(), Some(0));
    let _server = home.serve();
    assert_eq!(sandbox(&home), None);
}

#[test]
fn a_real_plone_loses_what_the_hub_keeps() {
    let plone = Plone::start();
    let home = before_plone(home(), &plone.url()).setting("plone.demo_target", "true");
    let server = home.serve();
    let sections = wait_for_sections(&server).len();
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    let task = start(&mut admin, &json!({"users": 200, "seconds": 10, "target": "both"}));
    let told = end(&mut admin, &task);
    check_hub(&told, 200);
    let row = row(&told, "plone");
    println!("{row}");
    assert_eq!((&row["recorded"], &row["users"]), (&Value::Null, &json!(200)));
    assert!(row["told"].as_u64().unwrap() > row["held"].as_u64().unwrap(), "Plone kept every update: {row}");
    assert!(row["lost"].as_u64().unwrap() > 0, "{row}");
    // What was pressed for is gone, and no pull took it for a section.
    let token = plone.login(support::plone::HUB, support::plone::PASSWORD);
    assert_eq!(plone.request("GET", "/courses/eduhub-demonstration", Some(&token), None).0, 404);
    admin.post_json("/api/v1/admin/plone/sync", &json!({})).expect(200);
    assert_eq!(wait_for_sections(&server).len(), sections);
    assert!(server.client().get("/api/v1/terms").expect(200).text().find("_sandbox-").is_none());
}
