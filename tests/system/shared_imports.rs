//! Imports of one hub as another hub on the same database shows them: progress, cancellation and lists of errors.

use serde_json::Value;

use crate::hubs::Hubs;
use crate::support::http::Client;
use crate::support::postgres::{Database, cluster};
use crate::support::wait::eventually;

/// A file with three rows, the second of which has an error.
const FILE: &[u8] = b"crn,course,cap\n1,A 1,20\n2,B 1,many\n3,C 1,20\n";

/// Makes each import wait before it stages its sections, until [`open_gate`] is called.
fn close_gate(database: &Database) {
    database.run(
        "CREATE TABLE gate (is_open boolean);
         CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             LOOP
                 EXIT WHEN EXISTS (SELECT 1 FROM gate);
                 PERFORM pg_sleep(0.02);
             END LOOP;
             RETURN NEW;
         END $$;
         CREATE TRIGGER wait_at_gate BEFORE INSERT ON term_staging FOR EACH ROW EXECUTE FUNCTION wait_at_gate()",
    );
}

fn open_gate(database: &Database) {
    database.run("INSERT INTO gate VALUES (true)");
}

/// Uploads [`FILE`] and returns the path of the import.
fn upload(staff: &mut Client, query: &str) -> String {
    let headers = [("Content-Type", "text/csv")];
    let response = staff.call("POST", &format!("/api/v1/imports?term=203001&{query}"), &headers, FILE).unwrap();
    format!("/api/v1/imports/{}", response.expect(202).json()["task"].as_str().unwrap())
}

fn wait_for_end(staff: &mut Client, import: &str) -> Value {
    eventually("the end of the import", || {
        let task = staff.get(import).expect(200).json();
        (task["state"] != "running").then_some(task)
    })
}

#[test]
fn another_hub_shows_the_progress_of_an_import_and_cancels_it() {
    let hubs = Hubs::new(cluster());
    let servers = hubs.serve();
    let token = hubs.token("registrar", "staff");
    let [mut first, mut second] = [&servers[0], &servers[1]].map(|hub| hub.client().signed_in(&token));
    close_gate(&hubs.database);
    let running = upload(&mut first, "partial=true");
    let queued = upload(&mut first, "dry_run=true");
    let shown = eventually("the progress at the second hub", || {
        let shown = second.get(&running).expect(200).json();
        (shown["phase"] == "comparing").then_some(shown)
    });
    assert_eq!((&shown["state"], &shown["rows"], &shown["errors_total"]), (&"running".into(), &3.into(), &1.into()));
    assert_eq!(second.get(&format!("{running}/errors.csv")).expect(404).code(), "not_found");
    for import in [&queued, &running] {
        assert_eq!(second.delete(import).expect(200).json()["state"], "cancelled", "{import}");
    }

    open_gate(&hubs.database);
    for import in [&running, &queued] {
        assert_eq!(wait_for_end(&mut first, import)["state"], "cancelled", "{import}");
    }
    eventually("the end of both imports at the first hub", || {
        (servers[0].metric("eduhub_queue_length{queue=\"imports\"}") == 0.0).then_some(())
    });
    for hub in [&mut first, &mut second] {
        assert_eq!(hub.get(&running).expect(200).json()["state"], "cancelled");
        let terms = hub.get("/api/v1/terms").expect(200).json();
        assert_eq!(terms["items"].as_array().map(Vec::len), Some(0), "nothing was imported: {terms}");
    }
}

#[test]
fn another_hub_has_the_list_of_errors_of_an_import() {
    let hubs = Hubs::new(cluster());
    let servers = hubs.serve();
    let token = hubs.token("registrar", "staff");
    let [mut first, mut second] = [&servers[0], &servers[1]].map(|hub| hub.client().signed_in(&token));
    let import = upload(&mut first, "");
    assert_eq!(wait_for_end(&mut first, &import)["state"], "failed");
    for query in ["", "?lang=es"] {
        let path = format!("{import}/errors.csv{query}");
        let (own, other) = (first.get(&path).expect(200).text(), second.get(&path).expect(200).text());
        assert!(own.lines().count() == 2 && own.contains("3,cap,many,"), "{own}");
        assert_eq!(own, other);
    }

    // Deleting a task deletes its list of errors from the database.
    hubs.database.run("DELETE FROM import_tasks");
    hubs.database.run("DO $$ BEGIN ASSERT NOT EXISTS (SELECT 1 FROM import_errors), 'a list'; END $$");
}
