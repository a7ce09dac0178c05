//! Two hubs, each the built program, on one PostgreSQL database.
//!
//! A test waits until a hub shows what the other has changed, and never asserts how long that takes.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::attempts;
use crate::support::audit::{Registrations, all_registrations, audit};
use crate::support::http::Client;
use crate::support::postgres::{Cluster, Database, cluster};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

pub(crate) const TERM: &str = "203001";
const PASSWORD: &str = "correct horse 1";
pub(crate) const SEATS: u32 = 20;

/// The homes of two hubs on one database. Each hub has a separate working directory.
pub(crate) struct Hubs {
    pub(crate) homes: [Home; 2],
    pub(crate) database: Database,
}

impl Hubs {
    pub(crate) fn new(cluster: &'static Cluster) -> Self {
        let database = cluster.create_database("template1");
        let homes = [(); 2].map(|()| Home::new().setting("store.url", &database.url()));
        Self { homes, database }
    }

    pub(crate) fn serve(&self) -> [Server; 2] {
        [self.homes[0].serve(), self.homes[1].serve()]
    }

    pub(crate) fn token(&self, user: &str, role: &str) -> String {
        self.homes[0].token(user, role)
    }

    /// Checks every count and the chain of attempts.
    pub(crate) fn verify(&self) {
        self.homes[1].verify().unwrap();
    }
}

/// Runs a test with two hubs.
fn with_hubs(test: impl FnOnce(Hubs)) {
    test(Hubs::new(cluster()));
}

/// Returns three sections that do not overlap: one with 20 seats, and two with five.
pub(crate) fn schedule() -> Schedule {
    let row = |index: u32| Row {
        crn: (40_001 + index).to_string(),
        course: format!("CHEM {}", 101 + index),
        component: "lecture".into(),
        credits: "3",
        days: Days::Tr,
        start: 8 * 60 + index * 60,
        end: 8 * 60 + index * 60 + 50,
        capacity: if index == 0 { SEATS } else { 5 },
        waitlist: 5,
    };
    Schedule { term: TERM.into(), rows: (0..3).map(row).collect() }
}

/// Loads the schedule at the first hub, and waits until the second shows the open term.
pub(crate) fn load(hubs: &Hubs, servers: &[Server; 2]) {
    schedule().load(&mut servers[0].client().signed_in(&hubs.token("registrar", "staff")));
    eventually("the open term at the second hub", || {
        let terms = servers[1].client().get("/api/v1/terms").expect(200).json();
        let is_open = |term: &Value| term["id"] == TERM && term["opens_at"].is_string();
        terms["items"].as_array()?.iter().any(is_open).then_some(())
    });
}

/// Returns the row of a section: id, capacity, enrolled, waitlisted, open.
pub(crate) fn seats(server: &Server, section: &str) -> Option<Value> {
    let seats = server.client().get(&format!("/api/v1/seats?term={TERM}"));
    if seats.status != 200 {
        return None;
    }
    seats.json()["seats"].as_array()?.iter().find(|row| row[0] == section).cloned()
}

pub(crate) fn registration(section: &str) -> String {
    format!("/api/v1/me/registrations/{section}")
}

pub(crate) fn log_in(server: &Server) -> (String, Client) {
    let body = json!({"username": "ann", "password": PASSWORD});
    let response = server.client().post_json("/api/v1/login", &body).expect(200);
    let token = response.json()["token"].as_str().unwrap().to_owned();
    (token.clone(), server.client().signed_in(&token))
}

#[test]
fn both_hubs_show_an_import_and_a_seat_taken_at_either() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        load(&hubs, &servers);
        let schedule = schedule();
        let shown = servers[1].client().get(&format!("/api/v1/sections?term={TERM}")).expect(200).json();
        let ids: Vec<&str> = shown["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()).collect();
        assert_eq!(ids, schedule.ids());

        let (one, other) = (&schedule.ids()[1], &schedule.ids()[2]);
        let ann = hubs.token("ann", "student");
        let mut watcher = Socket::connect(servers[1].address(), None);
        watcher.subscribe(&[&format!("seats:{TERM}")]);
        let mut own = Socket::live(servers[1].address(), "/alerts/ws", Some(&ann));
        let first = servers[0].client().signed_in(&ann).put(&registration(one)).expect(201).json();
        watcher.wait_for("the seat taken at the first hub", |frame| {
            let rows = frame["seats"].as_array();
            rows.is_some_and(|rows| rows.iter().any(|row| *row == json!([one, 5, 1, 0, 4])))
        });
        let notice = own.wait_for("the student's own registration", |frame| frame["type"] == "registration");
        assert_eq!((&notice["section"], &notice["status"]), (&json!(one), &json!("enrolled")));
        // The student continues at the other hub, which knows the registration.
        let mut at_other = servers[1].client().signed_in(&ann);
        assert_eq!(at_other.put(&registration(one)).expect(200).json()["at"], first["at"]);
        at_other.put(&registration(other)).expect(201);
        eventually("the seat taken at the second hub", || {
            (seats(&servers[0], other)? == json!([other, 5, 1, 0, 4])).then_some(())
        });
        let sequence = |server: &Server| {
            server.client().get(&format!("/api/v1/seats?term={TERM}")).expect(200).json()["seq"].clone()
        };
        assert_eq!(sequence(&servers[0]), sequence(&servers[1]), "the sequence is that of the store");
        hubs.verify();
    });
}

#[test]
fn a_client_that_moves_to_the_other_hub_revalidates_its_copies() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        load(&hubs, &servers);
        let ann = hubs.token("ann", "student");
        servers[0].client().signed_in(&ann).put(&registration(&schedule().ids()[0])).expect(201);
        for path in ["seats?term=203001", "sections?term=203001", "sections?term=203001&limit=1", "announcements"] {
            let path = format!("/api/v1/{path}");
            eventually("a copy of the first hub that is current at the second", || {
                let copy = servers[0].client().get(&path).expect(200);
                let headers = [("If-None-Match", copy.header("etag")?)];
                let again = servers[1].client().call("GET", &path, &headers, b"").unwrap();
                (again.status == 304).then_some(())
            });
        }
    });
}

#[test]
fn students_at_both_hubs_share_twenty_seats() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        load(&hubs, &servers);
        let section = &schedule().ids()[0];
        let tokens = hubs.homes[0].tokens("rush", "student", 200);
        let granted: usize = thread::scope(|scope| {
            // Each thread registers every eighth student, at one of the hubs.
            let threads: Vec<_> = (0..8)
                .map(|thread: usize| {
                    let (server, tokens) = (&servers[thread % 2], &tokens);
                    scope.spawn(move || {
                        let own = tokens.iter().skip(thread).step_by(8);
                        let register = |token: &String| {
                            let response = server.client().signed_in(token).put(&registration(section));
                            assert!([201, 409].contains(&response.status), "{}", response.text());
                            response.status == 201
                        };
                        own.filter(|token| register(token)).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, SEATS as usize, "as many students are enrolled as there are seats");
        for server in &servers {
            eventually("all seats taken", || {
                (seats(server, section)? == json!([section, SEATS, SEATS, 0, 0])).then_some(())
            });
            let registered = all_registrations(server, TERM, &tokens);
            assert_eq!(registered.iter().filter(|own| own.contains_key(section)).count(), granted);
            audit(server, &schedule(), &registered);
        }
        hubs.verify();
        let file = hubs.homes[0].folder().join("attempts.jsonl");
        let export = ["attempts", "export", file.to_str().unwrap()];
        let output = hubs.homes[0].run(&export);
        assert!(output.status.success(), "{output:?}");
        let attempts = &attempts::read(&file)[TERM];
        let with_result = |result: &str| attempts.values().filter(|one| one.row.iter().any(|f| f == result)).count();
        assert_eq!((with_result("enrolled"), attempts.len()), (granted, tokens.len()), "every response is an attempt");
        assert!(!hubs.homes[0].run(&export).status.success(), "an existing file is not overwritten");
    });
}

#[test]
fn an_alert_reaches_clients_of_both_hubs_once_and_resumes_at_either() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        let mut staff = servers[0].client().signed_in(&hubs.token("registrar", "staff"));
        let mut send = |title: &str| {
            let alert = json!({"title": title, "message": "Room 12 is flooded.", "audience": {"all": true}});
            staff.post_json("/api/v1/alerts", &alert).expect(201).json()["seq"].as_u64().expect("a seq")
        };
        let mut visitors = servers.each_ref().map(|server| Socket::live(server.address(), "/alerts/ws", None));
        let sent = [send("one"), send("two"), send("three")];
        for visitor in &mut visitors {
            visitor.wait_for("the last alert", |frame| frame["type"] == "alert" && frame["seq"] == sent[2]);
            let received: Vec<u64> =
                visitor.seen().iter().filter(|f| f["type"] == "alert").filter_map(|f| f["seq"].as_u64()).collect();
            assert_eq!(received, sent, "each alert once, in order");
        }
        drop(visitors);
        // A client that has seen the first alert at one hub resumes at the other.
        let mut back = Socket::live(servers[1].address(), &format!("/alerts/ws?since={}", sent[0]), None);
        let last = send("four");
        back.wait_for("the newest alert", |frame| frame["type"] == "alert" && frame["seq"] == last);
        let received: Vec<u64> =
            back.seen().iter().filter(|f| f["type"] == "alert").filter_map(|f| f["seq"].as_u64()).collect();
        assert_eq!(received, [sent[1], sent[2], last]);
    });
}

#[test]
fn a_ticket_of_one_hub_opens_one_socket_at_either() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        let mut ann = servers[0].client().signed_in(&hubs.token("ann", "student"));
        for (at, other) in [(0, 1), (1, 0), (1, 1)] {
            let issued = ann.call("POST", "/api/v1/ws-ticket", &[], b"").unwrap().expect(200).json();
            let path = format!("/alerts/ws?ticket={}", issued["ticket"].as_str().unwrap());
            let socket = Socket::live(servers[at].address(), &path, None);
            assert_eq!(socket.seen()[0]["user"], "ann", "{:?}", socket.seen()[0]);
            for server in [&servers[other], &servers[at]] {
                let mut again = Socket::connect_to(server.address(), &path, None, &[]);
                assert_eq!(again.wait_for_close().0, 4001, "a ticket is valid once");
            }
        }
        // Of many attempts at the same time, one succeeds.
        let issued = ann.call("POST", "/api/v1/ws-ticket", &[], b"").unwrap().expect(200).json();
        let path = format!("/alerts/stream?ticket={}", issued["ticket"].as_str().unwrap());
        let statuses: Vec<u16> = thread::scope(|scope| {
            let open = |at: usize| {
                let (server, path) = (&servers[at % 2], &path);
                scope.spawn(move || server.client().call("HEAD", path, &[], b"").unwrap().status)
            };
            let threads: Vec<_> = (0..8).map(open).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(200), count(401)), (1, 7), "{statuses:?}");
        // A ticket ends with the sign-in.
        let issued = ann.call("POST", "/api/v1/ws-ticket", &[], b"").unwrap().expect(200).json();
        let path = format!("/alerts/ws?ticket={}", issued["ticket"].as_str().unwrap());
        ann.call("POST", "/api/v1/logout", &[], b"").unwrap().expect(204);
        let mut late = Socket::connect_to(servers[0].address(), &path, None, &[]);
        assert_eq!(late.wait_for_close().0, 4001);
    });
}

#[test]
fn a_scheduled_alert_is_sent_by_one_of_two_hubs() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        let mut staff = servers[0].client().signed_in(&hubs.token("registrar", "staff"));
        let mut visitors = servers.each_ref().map(|server| Socket::live(server.address(), "/alerts/ws", None));
        let mut send = |alert: Value| staff.post_json("/api/v1/alerts", &alert).expect(201).json();
        let soon = jiff::Timestamp::now() + Duration::from_secs(2);
        let alert = |title: &str| json!({"title": title, "message": "Fire drill.", "audience": {"all": true}});
        let mut scheduled = alert("drill");
        scheduled["starts_at"] = json!(soon.to_string());
        send(scheduled);
        for visitor in &mut visitors {
            visitor.wait_for("the scheduled alert", |frame| {
                frame["type"] == "alert" && frame["alert"]["title"] == "drill"
            });
        }
        let last = send(alert("over"))["seq"].clone();
        for visitor in &mut visitors {
            visitor.wait_for("the next alert", |frame| frame["type"] == "alert" && frame["seq"] == last);
            let alerts = visitor.seen().iter().filter(|frame| frame["type"] == "alert");
            let titles: Vec<&Value> = alerts.map(|frame| &frame["alert"]["title"]).collect();
            assert_eq!(titles, ["drill", "over"], "each once");
        }
    });
}

#[test]
fn a_killed_hub_loses_nothing_and_the_other_continues() {
    with_hubs(|hubs| {
        let [first, second] = hubs.serve();
        let servers = [first, second];
        load(&hubs, &servers);
        let [first, second] = servers;
        let ids = schedule().ids();
        let tokens = hubs.homes[0].tokens("crash", "student", 10);
        // The first hub confirms the seats of five students, and is killed while the requests of five others are in
        // flight.
        for token in &tokens[..5] {
            first.client().signed_in(token).put(&registration(&ids[1])).expect(201);
        }
        let mut unanswered: Vec<Client> = tokens[5..].iter().map(|token| first.client().signed_in(token)).collect();
        for student in &mut unanswered {
            student.send("PUT", &registration(&ids[0]), &[], b"").unwrap();
        }
        first.kill();
        for token in &tokens[..5] {
            let mut student = second.client().signed_in(token);
            eventually("the seat that the killed hub confirmed", || {
                let shown: Registrations = crate::support::audit::registrations(&mut student, TERM);
                shown.contains_key(&ids[1]).then_some(())
            });
            // A transaction that the killed hub left open blocks the term until PostgreSQL notices.
            eventually("a registration at the other hub", || {
                let response = student.put(&registration(&ids[2]));
                assert!([200, 201, 503].contains(&response.status), "{}", response.text());
                (response.status != 503).then_some(())
            });
        }
        for token in &tokens[5..] {
            let mut student = second.client().signed_in(token);
            // Whether or not the killed hub granted the seat, the student has exactly one after this request.
            let response = student.put(&registration(&ids[0]));
            assert!([200, 201].contains(&response.status), "{}", response.text());
        }
        let expected = [(&ids[0], json!([ids[0], SEATS, 5, 0, 15])), (&ids[2], json!([ids[2], 5, 5, 0, 0]))];
        for (section, row) in &expected {
            assert_eq!(seats(&second, section).as_ref(), Some(row));
        }
        hubs.verify();
        // The hub comes back, in its folder.
        let again = hubs.homes[0].serve();
        for (section, row) in &expected {
            assert_eq!(seats(&again, section).as_ref(), Some(row));
        }
        assert_eq!(again.client().get("/readyz").expect(200).json()["checks"]["store"]["ok"], true);
    });
}

#[test]
fn a_sign_in_is_valid_at_both_hubs_and_ends_at_both() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        // The command goes through the hub that runs in the same folder, which writes to the database.
        hubs.homes[0].run_with_input(&["user", "add", "ann", "--role", "student"], &format!("{PASSWORD}\n"));
        let (token, mut at_first) = log_in(&servers[0]);
        let (other_token, mut other) = log_in(&servers[1]);
        let mut at_second = servers[1].client().signed_in(&token);
        assert_eq!(at_second.get("/api/v1/me").expect(200).json()["username"], "ann");
        let list = |client: &mut Client| {
            client.get("/api/v1/me/sign-ins").expect(200).json()["items"].as_array().unwrap().len()
        };
        eventually("both sign-ins in the list of either hub", || {
            (list(&mut at_first) == 2 && list(&mut at_second) == 2).then_some(())
        });
        let mut socket = Socket::live(servers[1].address(), "/alerts/ws", Some(&token));
        at_first.call("POST", "/api/v1/logout", &[], b"").unwrap().expect(204);
        assert_eq!(socket.wait_for_close().0, 4003, "the live session at the other hub is closed");
        eventually("the end of the sign-in at the other hub", || {
            (servers[1].client().signed_in(&token).get("/api/v1/me").status == 401).then_some(())
        });
        other.get("/api/v1/me").expect(200);

        // A new password ends all sign-ins of a user.
        let mut socket = Socket::live(servers[0].address(), "/alerts/ws", Some(&other_token));
        hubs.homes[1].run_with_input(&["user", "passwd", "ann"], "battery staple 2\n");
        assert_eq!(socket.wait_for_close().0, 4001);
        for server in &servers {
            eventually("the end of all sign-ins", || {
                (server.client().signed_in(&other_token).get("/api/v1/me").status == 401).then_some(())
            });
        }
    });
}

#[test]
fn an_erased_person_is_gone_from_the_memory_of_both_hubs() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        load(&hubs, &servers);
        let section = &schedule().ids()[1];
        let mut bob = servers[0].client().signed_in(&hubs.token("bob", "student"));
        bob.put(&registration(section)).expect(201);
        bob.delete(&registration(section)).expect(200);
        let data = || {
            let token = hubs.token("bob", "student");
            let response = servers[1].client().signed_in(&token).delete(&registration(section));
            response.status
        };
        eventually("the dropped registration at the second hub", || (data() == 200).then_some(()));
        let mut root = servers[0].client().signed_in(&hubs.token("root", "admin"));
        let erased = root.call("POST", "/api/v1/admin/users/bob/erase", &[], b"").unwrap();
        assert!([200, 204].contains(&erased.status), "{}", erased.text());
        // Dropping a dropped registration returns 200; dropping one that never existed returns 404.
        eventually("the second hub to load the term again", || (data() == 404).then_some(()));
        hubs.verify();
    });
}

#[test]
fn errors_with_the_database_are_explained_without_the_password() {
    with_hubs(|hubs| {
        let home = || Home::new().setting("store.url", &hubs.database.url());
        let fails = |home: &Home, arguments: &[&str], expected: &str| {
            let output = home.run(arguments);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && text.contains(expected), "{arguments:?}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        };
        let closed = "postgres://eduhub:s3cret@127.0.0.1:1/hub";
        fails(&home().setting("store.url", closed), &["serve"], "cannot connect to the PostgreSQL database \"hub\"");
        fails(&home().setting("store.url", "postgres://eduhub:s3cret@host"), &["serve"], "store.url");
        let absent = hubs.database.url().replace(hubs.database.name(), "no_such_database");
        fails(&home().setting("store.url", &absent), &["serve"], "there is no PostgreSQL database");
        fails(&home().without("auth.secret"), &["serve"], "auth.secret must be set");
        fails(&home(), &["backup", "copy.db"], "pg_dump");
        fails(&home(), &["restore", "copy.db"], "pg_restore");

        let first = home();
        let server = first.serve();
        fails(&first, &["serve"], "a separate working directory");
        drop(server);
        hubs.database.run("UPDATE schema_version SET version = version + 1");
        fails(&home(), &["serve"], "the database was written by a newer EduHub");
    });
}

/// The changes that a migration of a newer version may make (`docs/OPERATIONS.md`, "Upgrade"): a new column in each
/// table, and a new table. Each is a separate transaction, so that the migration and a hub never wait for each other.
const NEWER_SCHEMA: &str = "DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN added_later bigint NOT NULL DEFAULT 7', name);
        COMMIT;
    END LOOP;
    CREATE TABLE added_later (id bigint PRIMARY KEY);
    UPDATE schema_version SET version = version + 1;
    END $$";

#[test]
fn running_hubs_serve_a_newer_schema_and_do_not_start_on_it() {
    with_hubs(|hubs| {
        let servers = hubs.serve();
        load(&hubs, &servers);
        let ids = schedule().ids();
        let (first, last) = (&ids[0], &ids[2]);
        let ann = hubs.token("ann", "student");
        let mut at_first = servers[0].client().signed_in(&ann);
        at_first.put(&registration(first)).expect(201);
        hubs.homes[0].run_with_input(&["user", "add", "ann", "--role", "student"], &format!("{PASSWORD}\n"));
        hubs.database.run(NEWER_SCHEMA);

        let mut at_other = servers[1].client().signed_in(&ann);
        at_other.put(&registration(last)).expect(201);
        at_first.delete(&registration(first)).expect(200);
        for server in &servers {
            eventually("the changes by both hubs", || {
                let is_left = seats(server, first)? == json!([first, SEATS, 0, 0, SEATS]);
                (is_left && seats(server, last)? == json!([last, 5, 1, 0, 4])).then_some(())
            });
        }
        // Imports, alerts, accounts and sign-ins work, too.
        let mut staff = servers[1].client().signed_in(&hubs.token("registrar", "staff"));
        let alert = json!({"title": "Next", "message": "Open.", "audience": {"all": true}});
        staff.post_json("/api/v1/alerts", &alert).expect(201);
        Schedule { term: "203002".into(), ..schedule() }.load(&mut staff);
        log_in(&servers[0]);
        for server in &servers {
            audit(server, &schedule(), &all_registrations(server, TERM, std::slice::from_ref(&ann)));
        }

        let [one, other] = servers;
        assert_eq!((one.stop().code(), other.stop().code()), (Some(0), Some(0)));
        let refused = hubs.homes[0].run(&["serve"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains("the database was written by a newer EduHub"), "{text}");
    });
}

#[test]
fn the_demonstration_college_loads_into_a_database() {
    with_hubs(|hubs| {
        let server = hubs.homes[0].serve_with(&["serve", "--demo"]);
        let terms = server.client().get("/api/v1/terms").expect(200).json();
        assert!(!terms["items"].as_array().unwrap().is_empty(), "{terms}");
        hubs.verify();
        let refused = hubs.homes[1].run(&["serve"]);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains("demonstration accounts"), "{text}");
    });
}
