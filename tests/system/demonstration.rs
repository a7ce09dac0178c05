//! The performance demonstration: its report is correct, its sandbox is hidden, and it leaves no data in the store.

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

use crate::hubs::Hubs;
use crate::support::demonstration::{assert_hub_lost_nothing, result_of, start, wait_for_end};
use crate::support::postgres::cluster;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

const SECRET: &str = "a secret of these tests, at least 32 bytes long";

fn home() -> Home {
    Home::new().setting("auth.secret", SECRET)
}

/// Returns a schedule outside the sandbox, with one section.
fn schedule() -> Schedule {
    Schedule { term: "203001".into(), rows: vec![Row::lecture("10001", "MATH 101")] }
}

/// Opens the store for reading while the server is running.
fn store(home: &Home) -> Connection {
    let path = home.folder().join("eduhub.db");
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store can be read")
}

/// Returns the number of rows of each table, except for the audit trail and the known people, which may grow. Checks
/// that no simulated student is among the people.
fn rows(home: &Home) -> BTreeMap<String, u64> {
    let store = store(home);
    let mut names = store
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('audit', 'audit_people', 'people')",
        )
        .unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for (table, column) in [("people", "username"), ("audit_people", "user")] {
        let simulated = format!("SELECT count(*) FROM {table} WHERE {column} GLOB 'demo-*' OR {column} GLOB 'rush-*'");
        let count = store.query_row(&simulated, [], |row| row.get::<_, u64>(0));
        assert_eq!(count, Ok(0), "no simulated student is in {table}");
    }
    let count =
        |name: &str| store.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0)).unwrap();
    // SQLite's own tables count every row that was ever inserted.
    names.into_iter().filter(|name| !name.starts_with("sqlite_")).map(|name| (name.clone(), count(&name))).collect()
}

/// Returns the id of the open sandbox.
fn sandbox(home: &Home) -> Option<String> {
    let open = store(home).query_row("SELECT id FROM terms WHERE id GLOB '_sandbox-*'", [], |row| row.get(0));
    open.ok()
}

/// Returns a token that is valid in this sandbox only.
fn sandbox_token(sandbox: &str, role: Role) -> String {
    let (term, user) = (TermId::parse(sandbox).unwrap(), UserName::parse("ann").unwrap());
    let tokens = Tokens::new(&SecretString::from(SECRET));
    tokens.mint_for_sandbox(&term, &user, role, Duration::from_secs(600), Timestamp::now()).unwrap().token
}

/// Runs `eduhub rush` with these arguments.
fn rush(home: &Home, arguments: &[&str]) -> Output {
    home.run(&[&["rush"], arguments].concat())
}

/// Returns the standard error of a command.
fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_rush_loses_no_seat_and_leaves_no_data() {
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
    // The upload of the schedule itself is deleted soon after the import, so it is not counted.
    let files_before = files(".errors.csv");

    let output = rush(&home, &["--users", "300", "--seconds", "4", "--json"]);
    assert!(output.status.success(), "{}", error_of(&output));
    let task: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_hub_lost_nothing(&task, 300);
    // Without a Plone, the report has a recorded measurement, marked as such.
    assert!(result_of(&task, "plone")["recorded"].as_str().is_some_and(|text| text.contains("Plone 6.2.2")), "{task}");

    assert_eq!(rows(&home), before, "the demonstration leaves no rows");
    assert_eq!(sandbox(&home), None);
    assert_eq!(files(""), files_before, "the demonstration leaves no files");
    let mut client = server.client().signed_in(&home.token("boss", "admin"));
    let terms = client.get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["items"].as_array().unwrap().len(), 1, "{terms}");
    assert_eq!(client.get("/api/v1/alerts").expect(200).json()["items"], json!([]));
    home.verify().unwrap();

    // Without `--json`, the report is a table.
    let output = rush(&home, &["--users", "50", "--seconds", "2"]);
    assert!(output.status.success(), "{}", error_of(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    println!("{table}");
    for word in ["per s", "p99 ms", "oversold", "lost", "hub", "plone"] {
        assert!(table.contains(word), "the table has {word}:\n{table}");
    }
}

#[test]
fn an_admin_follows_a_demonstration_in_a_hidden_sandbox() {
    let home = home();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let before = rows(&home);
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    assert_eq!(admin.get("/api/v1/admin/demo").expect(200).json(), json!({"task": null}));
    let task = start(&mut admin, &json!({"users": 60, "seconds": 6, "target": "both"}));
    let sandbox = eventually("a sandbox", || sandbox(&home));

    // Only one demonstration runs at a time, however it is started.
    let refused = admin.post_json("/api/v1/admin/demo", &json!({})).expect(429);
    assert!(refused.code() == "rate_limited" && refused.header("retry-after").is_some(), "{}", refused.text());
    let output = rush(&home, &["--users", "10", "--seconds", "1"]);
    assert!(
        output.status.code() == Some(1) && error_of(&output).contains("Another demonstration is running"),
        "{output:?}"
    );

    assert_sandbox_is_hidden(&home, &server, &sandbox);

    let running = eventually("requests of the running demonstration", || {
        let state = admin.get(&format!("/api/v1/admin/demo/{task}")).expect(200).json();
        assert_eq!(state["state"], "running", "the demonstration is still running: {state}");
        let live = state["results"].as_array()?.iter().find(|row| row["target"] == "hub")?.clone();
        live["requests"].as_u64().is_some_and(|requests| requests > 0).then_some(live)
    });
    assert_eq!(running["held"], Value::Null, "stored seats are counted at the end: {running}");
    assert_hub_lost_nothing(&wait_for_end(&mut admin, &task), 60);
    let newest = admin.get("/api/v1/admin/demo").expect(200).json();
    assert_eq!(newest["task"], json!(task));
    assert_eq!(rows(&home), before, "the demonstration leaves no rows");
    // After the end, another demonstration can run.
    let next = start(&mut admin, &json!({"users": 5, "seconds": 1, "target": "hub"}));
    assert_eq!(wait_for_end(&mut admin, &next)["state"], "done");
}

#[test]
fn a_finished_demonstration_is_shared_by_a_link() {
    let home = home();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    let task = start(&mut admin, &json!({"users": 5, "seconds": 1, "target": "hub"}));
    let link = format!("/api/v1/admin/demo/{task}/link");
    let report = format!("/api/v1/demo-reports/{task}");
    assert_eq!(admin.put_json(&link, &json!({})).expect(404).code(), "not_found", "no result while it is running");
    let result = wait_for_end(&mut admin, &task);
    server.client().get(&report).expect(404);

    let url = admin.put_json(&link, &json!({})).expect(200).json()["url"].as_str().unwrap().to_owned();
    assert!(url.ends_with(&format!("/demonstration#{task}")), "{url}");
    assert_eq!(server.client().get(&report).expect(200).json(), result);
    let next = start(&mut admin, &json!({"users": 5, "seconds": 1, "target": "hub"}));
    wait_for_end(&mut admin, &next);
    server.stop();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    assert_eq!(server.client().get(&report).expect(200).json(), result, "the link outlives the run and a restart");
    assert!(admin.put_json(&link, &json!({})).expect(200).json()["url"].as_str().unwrap().ends_with(&task));

    admin.delete(&link).expect(204);
    admin.delete(&link).expect(404);
    server.client().get(&report).expect(404);
    server.client().get("/api/v1/demo-reports/../terms").expect(404);
}

/// Checks that no role can see or use the sandbox through any interface.
fn assert_sandbox_is_hidden(home: &Home, server: &Server, sandbox: &str) {
    let section = format!("{sandbox}-10001");
    for role in ["student", "staff", "admin"] {
        let token = home.token("curious", role);
        let mut client = server.client().signed_in(&token);
        for list in ["/api/v1/terms", "/api/v1/sections?limit=5000", "/api/v1/admin/users", "/api/v1/staff/activity"] {
            let response = client.get(list);
            assert!(
                !response.text().contains("_sandbox-"),
                "{list} does not show the sandbox to {role}: {}",
                response.text()
            );
            assert!(
                !response.text().contains("demo-0"),
                "{list} does not show its students to {role}: {}",
                response.text()
            );
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
fn sandbox_tokens_are_confined_and_a_crash_leaves_no_sandbox() {
    let home = home();
    let server = home.serve();
    schedule().load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let before = rows(&home);
    let (mine, other) = ("_sandbox-mine", "_sandbox-other");
    // A refusal before the body is read closes the connection, so each request has its own connection.
    let admin = || server.client().signed_in(&sandbox_token(mine, Role::Admin));
    let sandbox_path = |term: &str| format!("/api/v1/admin/demo/sandboxes/{term}");
    admin().put_json(&sandbox_path(other), &json!({})).expect(403);
    let boss = home.token("boss", "admin");
    server.client().signed_in(&boss).put_json(&sandbox_path(mine), &json!({})).expect(403);
    let opened = admin().put_json(&sandbox_path(mine), &json!({"users": 10, "seconds": 5})).expect(201).json();
    let section = opened["sections"][0]["id"].as_str().expect("a section").to_owned();
    let mut second = server.client().signed_in(&sandbox_token(other, Role::Admin));
    second.put_json(&sandbox_path(other), &json!({})).expect(429);

    let mut student = server.client().signed_in(&sandbox_token(mine, Role::Student));
    student.put(&format!("/api/v1/me/registrations/{section}")).expect(201);
    let seats = student.get(&format!("/api/v1/seats?term={mine}")).expect(200).json();
    assert_eq!(seats["seats"].as_array().unwrap().iter().filter(|row| row[2] == 1).count(), 1);
    // Tokens of a sandbox do not work outside it, in any role.
    student.put("/api/v1/me/registrations/203001-10001").expect(404);
    student.get("/api/v1/seats?term=203001").expect(422);
    for path in [
        "/api/v1/terms",
        "/api/v1/me",
        "/api/v1/admin/audit",
        "/api/v1/admin/demo",
        "/api/v1/sections",
        "/plone/courses",
    ] {
        admin().get(path).expect(403);
    }
    let csv = [("Content-Type", "text/csv")];
    let file = b"crn,course,capacity\n1,A 1,1\n";
    admin().call("POST", "/api/v1/imports?term=203001", &csv, file).unwrap().expect(403);
    admin().call("POST", "/api/v1/imports", &csv, file).unwrap().expect(403);
    // An import by the college's staff into the sandbox fails.
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let file = format!("term,crn,course,capacity\n{mine},1,A 1,1\n");
    let task = staff.call("POST", "/api/v1/imports", &csv, file.as_bytes()).unwrap().expect(202).json();
    let task = task["task"].as_str().unwrap().to_owned();
    eventually("the failure of that import", || {
        let state = store(&home).query_row("SELECT state FROM import_tasks WHERE id = ?1", [&task], |row| row.get(0));
        (state == Ok("failed".to_owned())).then_some(())
    });

    server.kill();
    assert!(sandbox(&home).is_some(), "the sandbox exists when the server is killed");
    let server = home.serve();
    assert_eq!(rows(&home), before, "the next start removes the sandbox");
    server.client().get("/api/v1/seats?term=203001").expect(200);
}

#[test]
fn a_failed_rush_exits_with_an_error_status() {
    let home = home();
    for (arguments, status, word) in [
        (&["--users", "0"][..], 2, "--users"),
        (&["--users", "10001"], 2, "--users"),
        (&["--url", "https://hub.example"], 1, "TLS"),
        (&["--url", "http://127.0.0.1:9"], 1, "Cannot reach the hub"),
        (&[], 1, "no hub runs"),
    ] {
        let output = rush(&home, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", error_of(&output));
        assert!(error_of(&output).contains(word), "{arguments:?}: {}", error_of(&output));
    }

    // The command fails when the hub is killed, and the next start removes the sandbox.
    let server = home.serve();
    let url = format!("http://{}", server.address());
    let arguments = ["rush", "--users", "20", "--seconds", "3", "--url", &url];
    let mut running = home.command(&arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("a sandbox", || sandbox(&home));
    server.kill();
    assert_eq!(running.wait().unwrap().code(), Some(1));
    let mut printed = String::new();
    running.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(printed.contains("hub"), "{printed}");
    let _server = home.serve();
    assert_eq!(sandbox(&home), None);
}

#[test]
fn an_interrupted_or_orphaned_demonstration_leaves_no_sandbox() {
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
fn hubs_run_one_demonstration_and_remove_that_of_a_killed_hub() {
    let hubs = Hubs::new(cluster());
    let [first, second] = hubs.serve();
    let admin = hubs.token("boss", "admin");
    let path = "/api/v1/admin/demo";
    let start = |server: &Server, seconds: u32| {
        let demonstration = json!({"users": 20, "seconds": seconds, "target": "hub"});
        server.client().signed_in(&admin).post_json(path, &demonstration)
    };
    let newest = |server: &Server| server.client().signed_in(&admin).get(path).expect(200).json();
    start(&first, 60).expect(202);
    assert_eq!(start(&second, 1).expect(429).code(), "rate_limited");
    eventually("students who register at the first hub", || {
        newest(&first)["results"][0]["requests"].as_u64().filter(|n| *n > 0)
    });
    eventually("the same demonstration at the second hub", || {
        let shown = newest(&second);
        let requests = shown["results"][0]["requests"].as_u64().filter(|n| *n > 0);
        (requests.is_some() && shown["task"] == newest(&first)["task"] && shown["state"] == "running").then_some(())
    });

    first.kill();
    let stopped = eventually("the failure at the second hub", || {
        let shown = newest(&second);
        (shown["state"] == "failed").then_some(shown)
    });
    assert_eq!(stopped["reason"]["code"], "stopped", "{stopped}");
    eventually("a demonstration at the other hub", || {
        let response = start(&second, 1);
        assert!([202, 429].contains(&response.status), "{}", response.text());
        (response.status == 202).then_some(())
    });
    eventually("the end of the demonstration", || (newest(&second)["state"] == "done").then_some(()));
    hubs.database.run(
        "DO $$ BEGIN ASSERT NOT EXISTS (SELECT 1 FROM terms WHERE starts_with(id, '_sandbox-')), 'a sandbox'; END $$",
    );
}

#[test]
fn every_hub_shows_the_newest_demonstration_and_can_share_it() {
    let hubs = Hubs::new(cluster());
    let [first, second] = hubs.serve();
    let admin = hubs.token("boss", "admin");
    let [mut at_first, mut at_second] = [&first, &second].map(|hub| hub.client().signed_in(&admin));
    let task = start(&mut at_first, &json!({"users": 5, "seconds": 1, "target": "hub"}));
    let ended = wait_for_end(&mut at_first, &task);
    assert_eq!(ended["state"], "done", "{ended}");
    let shown = eventually("the end of the demonstration at the second hub", || {
        let shown = at_second.get("/api/v1/admin/demo").expect(200).json();
        (shown["state"] == "done").then_some(shown)
    });
    assert_eq!(shown, ended);
    at_second.put(&format!("/api/v1/admin/demo/{task}/link")).expect(200);
    assert_eq!(first.client().get(&format!("/api/v1/demo-reports/{task}")).expect(200).json(), ended);
}
