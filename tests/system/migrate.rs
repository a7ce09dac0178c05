//! `eduhub migrate`: an embedded store becomes a PostgreSQL database with the same contents, or nothing changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::hubs::{log_in, registration, schedule};
use crate::support::http::Client;
use crate::support::postgres::{Database, cluster};
use crate::support::random::{Random, seed};
use crate::support::server::{Home, Server};

const PASSWORD: &str = "correct horse 1";
const STUDENTS: usize = 30;

/// An embedded store with registrations, waitlists, attempts, alerts, plans, accounts and an audit trail.
struct Season {
    home: Home,
    tokens: Vec<String>,
}

impl Season {
    fn new() -> Self {
        let home = Home::new();
        home.run_with_input(&["user", "add", "ann", "--role", "student"], &format!("{PASSWORD}\n"));
        let server = home.serve();
        let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
        schedule().load(&mut staff);
        let tokens = home.tokens("moved", "student", STUDENTS);
        let (ids, mut random) = (schedule().ids(), Random::seeded(seed()));
        for _ in 0..200 {
            let mut student = server.client().signed_in(random.pick::<String>(&tokens));
            let path = registration(random.pick::<String>(&ids));
            let response =
                if random.percent(70) { student.put(&format!("{path}?waitlist=true")) } else { student.delete(&path) };
            assert!([200, 201, 404, 409].contains(&response.status), "{}", response.text());
        }
        for token in &tokens[..5] {
            let mut student = server.client().signed_in(token);
            student.put_json("/api/v1/me/plans/Autumn", &json!({"sections": [ids[0], ids[2]]})).expect(201);
        }
        let alert = json!({"title": "Caf\u{e9} \u{1f389}", "message": "A \u{0} in the text.", "requires_ack": true,
            "audience": {"sections": [ids[0]]}});
        let alert = staff.post_json("/api/v1/alerts", &alert);
        assert!([201, 422, 400].contains(&alert.status), "{}", alert.text());
        for number in 0..3 {
            let alert = json!({"title": format!("No. {number}"), "message": "Open.", "audience": {"all": true}});
            staff.post_json("/api/v1/alerts", &alert).expect(201);
        }
        log_in(&server);
        assert_eq!(server.stop().code(), Some(0));
        Self { home, tokens }
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.home.folder().join("eduhub.db").display())
    }

    /// Moves the store to a database. Returns the exit status, and what the command wrote.
    fn migrate(&self, to: &Database) -> (Option<i32>, String) {
        let output = self.home.run(&["migrate", "--from", &self.url(), "--to", &to.url()]);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    }

    /// Returns what students and staff see.
    fn seen(&self, server: &Server) -> BTreeMap<String, Value> {
        let mut seen = BTreeMap::new();
        let mut see = |client: &mut Client, of: &str, path: &str| {
            let mut body = client.get(path).expect(200).json();
            // `now` is the time of the response, so it differs.
            let items = body["items"].as_array_mut().into_iter().flatten();
            items.filter_map(Value::as_object_mut).for_each(|item| _ = item.remove("now"));
            seen.insert(format!("{of} {path}"), body);
        };
        for (number, token) in self.tokens.iter().enumerate() {
            let mut student = server.client().signed_in(token);
            for path in ["/api/v1/me/registrations", "/api/v1/me/attempts", "/api/v1/me/plans", "/api/v1/alerts"] {
                see(&mut student, &number.to_string(), path);
            }
        }
        let mut staff = server.client().signed_in(&self.home.token("registrar", "staff"));
        for path in ["/api/v1/terms", "/api/v1/alerts"] {
            see(&mut staff, "staff", path);
        }
        for id in schedule().ids() {
            see(&mut staff, "staff", &format!("/api/v1/sections/{id}"));
            see(&mut staff, "staff", &format!("/api/v1/sections/{id}/attempts"));
        }
        seen
    }
}

fn count(database: &Database, table: &str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    })
}

#[test]
fn a_moved_store_has_the_same_contents_and_continues() {
    let cluster = cluster();
    let season = Season::new();
    let embedded = season.home.serve();
    let before = season.seen(&embedded);
    let database = cluster.create_database("template1");
    let (status, text) = season.migrate(&database);
    assert!(status == Some(1) && text.contains("is in use by another process"), "a hub runs: {text}");
    embedded.stop();

    let (status, text) = season.migrate(&database);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("registrations: ") && text.contains("all were read back and compared"), "{text}");
    let (status, text) = season.migrate(&database);
    assert!(status == Some(1) && text.contains("the target is not empty"), "{text}");

    let home = Home::new().setting("store.url", &database.url());
    home.verify().unwrap();
    let server = home.serve();
    let after = season.seen(&server);
    for (what, body) in &before {
        assert_eq!(after.get(what), Some(body), "{what}");
    }
    // Accounts, the chain of attempts and the sequence of alerts continue.
    log_in(&server);
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let alert = json!({"title": "Next", "message": "Open.", "audience": {"all": true}});
    let next = staff.post_json("/api/v1/alerts", &alert).expect(201).json()["seq"].as_u64().unwrap();
    let last = |seen: &BTreeMap<String, Value>| {
        seen["staff /api/v1/alerts"]["items"].as_array().unwrap().iter().filter_map(|a| a["seq"].as_u64()).max()
    };
    assert!(Some(next) > last(&before), "{next} follows {:?}", last(&before));
    let mut student = server.client().signed_in(&home.token("late", "student"));
    assert!([201, 409].contains(&student.put(&registration(&schedule().ids()[0])).status));
    home.verify().unwrap();
}

#[test]
fn a_store_that_cannot_be_moved_leaves_the_target_empty() {
    let cluster = cluster();
    let season = Season::new();
    let database = cluster.create_database("template1");
    // Creates the tables.
    Home::new().setting("store.url", &database.url()).verify().unwrap();
    let trigger = |table: &str, body: &str| {
        database.run(&format!(
            "CREATE OR REPLACE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER disturb BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION disturb()"
        ));
    };
    let cases = [
        ("alert_log", "RAISE EXCEPTION 'the disk is full';", "the disk is full"),
        ("plans", "NEW.sections = '[]'; RETURN NEW;", "the rows of plans in the target are not those of the source"),
        (
            "attempts",
            "IF NEW.n = 3 THEN RETURN NULL; END IF; RETURN NEW;",
            "the rows of attempts in the target are not",
        ),
    ];
    for (table, body, expected) in cases {
        trigger(table, body);
        let (status, text) = season.migrate(&database);
        assert!(status == Some(1) && text.contains(expected), "{table}: {text}");
        for table in ["terms", "registrations", "attempts", "plans", "accounts", "audit", "alert_log"] {
            assert_eq!(count(&database, table), 0, "nothing of {table} is left");
        }
        database.run(&format!("DROP TRIGGER disturb ON {table}"));
    }
    let (status, text) = season.migrate(&database);
    assert_eq!(status, Some(0), "{text}");
    assert!(count(&database, "registrations") > 0 && count(&database, "attempts") > 0);
    assert_eq!(season.home.run(&["verify"]).status.code(), Some(0), "the source is as it was");
}

#[test]
fn wrong_arguments_of_a_move_are_refused() {
    let home = Home::new();
    let run = |from: &str, to: &str| {
        let output = home.run(&["migrate", "--from", from, "--to", to]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, text) = run("postgres://eduhub:secret@db/hub", "postgres://eduhub:secret@db/hub");
    assert!(status == Some(2) && text.contains("--from must be the embedded store"), "{text}");
    let (status, text) = run("sqlite:a.db", "sqlite:b.db");
    assert!(status == Some(2) && text.contains("must be a PostgreSQL database"), "{text}");
    let (status, text) = run("sqlite:a.db", "postgres://eduhub:secret@db/hub");
    assert!(status == Some(1) && text.contains("there is no store at a.db") && !text.contains("secret"), "{text}");
}
