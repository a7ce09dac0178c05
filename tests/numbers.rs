//! What staff and admins see of a hub at work: its numbers, what is going on, who uses it, who is in a section, who has
//! seen an alert.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use support::PATIENCE;
use support::http::Client;
use support::schedule::{Days, Row, Schedule};
use support::server::{Home, Server};
use support::socket::Socket;

const METRICS: &str = "/api/v1/admin/metrics";
const HISTORY: &str = "/api/v1/admin/metrics/history";
const ACTIVITY: &str = "/api/v1/staff/activity";
const USERS: &str = "/api/v1/admin/users";

fn row(crn: &str, start: u32, capacity: u32, waitlist: u32) -> Row {
    let (crn, course) = (crn.to_owned(), format!("MATH {crn}"));
    let (component, days) = ("lecture".to_owned(), Days::Mwf);
    Row { crn, course, component, credits: "3", days, start, end: start + 50, capacity, waitlist }
}

/// Section 101 has one seat and two places in line, section 102 has room.
fn hub(home: &Home) -> Server {
    let server = home.serve();
    let rows = vec![row("101", 540, 1, 2), row("102", 660, 30, 0)];
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    Schedule { term: "203001".to_owned(), rows }.load(&mut staff);
    server
}

fn student(home: &Home, server: &Server, name: &str) -> Client {
    server.client().signed_in(&home.token(name, "student"))
}

fn register(client: &mut Client, section: &str) -> u16 {
    client.put(&format!("/api/v1/me/registrations/{section}?waitlist=true")).status
}

/// Asks until the answer is as it should be.
fn eventually(client: &mut Client, path: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).expect(200).json();
        if condition(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}: {answer:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Holds an answer against what the interface's document says of a path.
fn assert_conforms(path: &str, answer: &Value) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/static/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{path} is not described");
    let mut schema = json!({ "allOf": [schema] });
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("the document's schemas are schemas");
    let errors: Vec<String> = validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{path}: {}\n{answer:#}", errors.join("\n"));
}

#[test]
fn an_admin_reads_what_the_last_seconds_were_like_and_is_told_each_second() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let mut ann = student(&home, &server, "ann");
    assert_eq!(register(&mut ann, "203001-101"), 201);
    assert_eq!(ann.put("/api/v1/me/registrations/203001-999").status, 404);
    assert_eq!(student(&home, &server, "bob").put("/api/v1/me/registrations/203001-101").status, 409);
    let seen = |n: &Value| n["registrations_per_s"].as_f64() > Some(0.0) && n["refusals_per_s"].as_f64() > Some(0.0);
    let told = eventually(&mut admin, METRICS, "the registration and the refusal", seen);
    assert_conforms(METRICS, &told);
    for kind in ["request", "registration", "commit"] {
        let of = &told["latency_ms"][kind];
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| of[name].as_f64().unwrap_or(-1.0));
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{kind}: {told:#}");
    }
    assert!(told["requests_per_s"].as_f64() > told["registrations_per_s"].as_f64(), "{told:#}");
    assert!(told["memory_bytes"].as_u64() > Some(1 << 20), "{told:#}");
    assert_eq!(told["plone"], json!({"ok": null, "circuit": null}));
    assert_eq!(told["demonstration"], false);

    let mut socket = Socket::connect(server.address(), Some(&home.token("root", "admin")));
    let _visitor = Socket::connect(server.address(), None);
    socket.subscribe(&["admin", "seats:203001"]);
    let connected = |f: &Value| f["type"] == "metrics" && f["connections"]["visitor"] == 1;
    let mut first = socket.wait_for("the numbers", connected);
    assert_eq!(first["connections"], json!({"visitor": 1, "student": 0, "staff": 0, "admin": 1}));
    // What is handed out is measured, too.
    assert_eq!(register(&mut ann, "203001-102"), 201);
    let fanned = |f: &Value| f["type"] == "metrics" && f["latency_ms"]["fanout"]["p99"].is_f64();
    let later = socket.wait_for("the time of the fan-out", fanned);
    assert!(later["at"].as_str() > first["at"].as_str(), "{later:#}");
    first.as_object_mut().unwrap().remove("type");
    assert_conforms(METRICS, &first);

    // A page that is opened only now has a past, too.
    let history = admin.get(HISTORY).expect(200).json();
    assert_conforms(HISTORY, &history);
    let items = history["items"].as_array().unwrap();
    assert!(items.contains(&first) && items.contains(&told), "{history:#}");
    assert!(items.is_sorted_by_key(|item| item["at"].as_str().unwrap()), "{history:#}");
}

#[test]
fn the_numbers_are_for_admins() {
    let home = Home::new();
    let server = home.serve();
    let staff = home.token("desk", "staff");
    for path in [METRICS, HISTORY, USERS] {
        assert_eq!(server.client().signed_in(&staff).get(path).expect(403).code(), "forbidden");
        assert_eq!(server.client().get(path).expect(401).code(), "unauthenticated");
    }
    let mut socket = Socket::connect(server.address(), Some(&staff));
    socket.send(&json!({"type": "subscribe", "channels": ["admin"]}));
    assert_eq!(socket.wait_for("the refusal", |f| f["type"] == "error")["code"], "forbidden");
    let student = home.token("ann", "student");
    for path in [ACTIVITY, "/api/v1/sections/203001-101/roster"] {
        assert_eq!(server.client().signed_in(&student).get(path).expect(403).code(), "forbidden");
    }
}

#[test]
fn staff_see_what_is_asked_for_and_what_is_refused() {
    let home = Home::new();
    let server = hub(&home);
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let nothing = staff.get(ACTIVITY).expect(200).json();
    assert_eq!((&nothing["hottest"], &nothing["refusals"]), (&json!([]), &json!({})));
    // One seat and two places: of four, the fourth is refused.
    let answers: Vec<u16> = (1..=4)
        .map(|n| {
            let mut client = student(&home, &server, &format!("s{n}"));
            let status = register(&mut client, "203001-101");
            // Once more changes nothing, and is no new wish.
            assert_eq!(register(&mut client, "203001-101"), if status == 201 { 200 } else { status });
            status
        })
        .collect();
    assert_eq!(answers, [201, 201, 201, 409]);
    let mut eve = student(&home, &server, "eve");
    let body = json!({"add": ["203001-102", "203001-101"], "waitlist": false});
    eve.post_json("/api/v1/me/registrations", &body).expect(200);
    eve.delete("/api/v1/me/registrations/203001-102").expect(200);
    let told = staff.get(ACTIVITY).expect(200).json();
    assert_conforms(ACTIVITY, &told);
    let hottest = json!([
        {"section": "203001-101", "asked": 6, "enrolled": 1, "waitlisted": 2, "refused": 3},
        {"section": "203001-102", "asked": 1, "enrolled": 1, "waitlisted": 0, "refused": 0},
    ]);
    let refusals = json!({"section_full": 1, "waitlist_full": 2});
    assert_eq!((&told["hottest"], &told["refusals"]), (&hottest, &refusals));
    assert_eq!(told["hour"], json!({"hottest": hottest, "refusals": refusals}));
}

#[test]
fn a_roster_is_read_by_people_and_by_spreadsheets() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "student", "name": "=Zoë, \"the\" First", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/zoe", &account).expect(201);
    for name in ["zoe", "ann", "bob"] {
        assert_eq!(register(&mut student(&home, &server, name), "203001-101"), 201);
    }
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    staff.patch_json("/api/v1/sections/203001-101", &json!({"outside_waitlisted": 4})).expect(200);
    let path = "/api/v1/sections/203001-101/roster";
    let answer = staff.get(path).expect(200);
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let roster = answer.json();
    assert_conforms("/api/v1/sections/{id}/roster", &roster);
    let lines: Vec<_> =
        roster["items"].as_array().unwrap().iter().map(|i| (&i["user"], &i["status"], &i["position"])).collect();
    let (enrolled, waitlisted) = (json!("enrolled"), json!("waitlisted"));
    assert_eq!(
        lines,
        [
            (&json!("zoe"), &enrolled, &Value::Null),
            (&json!("ann"), &waitlisted, &json!(5)),
            (&json!("bob"), &waitlisted, &json!(6)),
        ]
    );
    assert_eq!(roster["items"][0]["name"], "=Zoë, \"the\" First");
    let sheet = staff.call("GET", path, &[("Accept", "text/csv")], b"").unwrap().expect(200);
    assert_eq!(sheet.header("content-type"), Some("text/csv; charset=utf-8"));
    let since = |at: usize| roster["items"][at]["since"].as_str().unwrap().to_owned();
    let expected = format!(
        "user,name,status,position,since\nzoe,\"'=Zoë, \"\"the\"\" First\",enrolled,,{}\nann,ann,waitlisted,5,{}\n\
         bob,bob,waitlisted,6,{}\n",
        since(0),
        since(1),
        since(2)
    );
    assert_eq!(sheet.text(), expected);
    let empty = staff.get("/api/v1/sections/203001-102/roster").expect(200).json();
    assert_eq!(empty, json!({"items": []}));
    assert_eq!(staff.get("/api/v1/sections/203001-999/roster").expect(404).code(), "not_found");
}

#[test]
fn an_admin_finds_whoever_has_an_account_or_was_ever_here() {
    let home = Home::new();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "staff", "name": "Ángela Díaz", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/adiaz", &account).expect(201);
    student(&home, &server, "zoe").get("/api/v1/me").expect(200);
    let written = |a: &Value| a["total"] == 3;
    let all = eventually(&mut admin, USERS, "everyone who was seen to be written", written);
    assert_conforms(USERS, &all);
    assert_eq!(
        all["items"][0],
        json!({
            "username": "adiaz", "name": "Ángela Díaz", "role": "staff", "source": "local", "last_seen": null
        })
    );
    let told: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (&u["username"], &u["source"], u["last_seen"].is_string()))
        .collect();
    let token = json!("token");
    assert_eq!(told[1..], [(&json!("root"), &token, true), (&json!("zoe"), &token, true)]);
    let found = admin.get(&format!("{USERS}?q=%C3%A1NGELA")).expect(200).json();
    assert_eq!((&found["total"], &found["items"][0]["username"]), (&json!(1), &json!("adiaz")));
    let first = admin.get(&format!("{USERS}?limit=2")).expect(200).json();
    assert_eq!((&first["total"], &first["next"]), (&json!(3), &json!("root")));
    let rest = admin.get(&format!("{USERS}?limit=2&cursor=root")).expect(200).json();
    assert_eq!(
        (&rest["items"][0]["username"], &rest["next"], &rest["total"]),
        (&json!("zoe"), &Value::Null, &json!(3))
    );
    assert_eq!(admin.get(&format!("{USERS}?limit=0")).expect(422).json()["field"], "limit");
}

#[test]
fn staff_see_who_has_seen_an_alert_and_who_has_not() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let alert =
        json!({"title": "Flood", "message": "Room 12 is flooded.", "audience": {"users": ["ann", "bob", "zoe"]}});
    let sent = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let of = |what: &str| format!("/api/v1/alerts/{}/{what}", sent["id"].as_str().unwrap());
    let mut ann = student(&home, &server, "ann");
    ann.post_json(&of("ack"), &json!({})).expect(204);
    let first = staff.get(&of("receipts")).expect(200).json();
    assert_conforms("/api/v1/alerts/{id}/receipts", &first);
    assert_eq!(ann.call("POST", &of("ack"), &[], b"").unwrap().status, 204);
    let again = staff.get(&of("receipts")).expect(200).json();
    assert_eq!(again["seen"], first["seen"], "the first time counts");
    let mut bob = Socket::connect(server.address(), Some(&home.token("bob", "student")));
    bob.send(&json!({"type": "ack", "id": sent["id"]}));
    bob.send(&json!({"type": "ack", "id": "none"}));
    // What a client says is done in its order, so what came before the refusal is kept.
    assert_eq!(bob.wait_for("the refusal", |f| f["type"] == "error")["code"], "not_found");
    let both = staff.get(&of("receipts")).expect(200).json();
    let users =
        |list: &str| -> Vec<Value> { both[list].as_array().unwrap().iter().map(|p| p["user"].clone()).collect() };
    assert_eq!((users("seen"), users("unseen")), (vec![json!("ann"), json!("bob")], vec![json!("zoe")]));
    let counts =
        ["recipients", "recipients_online", "seen_total", "unseen_total"].map(|name| both[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 2, 1]);
    let totals = staff.get(&format!("{}?limit=0", of("receipts"))).expect(200).json();
    assert_eq!((&totals["seen_total"], &totals["seen"], &totals["unseen"]), (&json!(2), &json!([]), &json!([])));
    // It is not eve's, a visitor has no name, and only staff may look.
    let mut eve = student(&home, &server, "eve");
    assert_eq!(eve.post_json(&of("ack"), &json!({})).expect(404).code(), "not_found");
    assert_eq!(server.client().post_json(&of("ack"), &json!({})).expect(401).code(), "unauthenticated");
    assert_eq!(eve.get(&of("receipts")).expect(403).code(), "forbidden");
    assert_eq!(staff.get("/api/v1/alerts/none/receipts").expect(404).code(), "not_found");
}

#[test]
fn whoever_acknowledged_an_alert_is_not_asked_again_on_another_device() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let asks = json!({"title": "Drill", "message": "At noon.", "audience": {"all": true}, "requires_ack": true});
    let sent = staff.post_json("/api/v1/alerts", &asks).expect(201).json();
    let plain = json!({"title": "Library", "message": "Until ten.", "audience": {"all": true}});
    staff.post_json("/api/v1/alerts", &plain).expect(201);
    let mut ann = student(&home, &server, "ann");
    let acked = |client: &mut Client| -> Vec<Value> {
        let list = client.get("/api/v1/alerts?active=true").expect(200).json();
        assert_conforms("/api/v1/alerts", &list);
        list["items"].as_array().unwrap().iter().map(|alert| alert["acked"].clone()).collect()
    };
    assert_eq!(acked(&mut ann), [json!(false), Value::Null]);
    ann.post_json(&format!("/api/v1/alerts/{}/ack", sent["id"].as_str().unwrap()), &json!({})).expect(204);
    let mut phone = server.client().signed_in(&home.token("ann", "student"));
    assert_eq!(acked(&mut phone), [json!(true), Value::Null]);
    assert_eq!(acked(&mut server.client()), [Value::Null, Value::Null], "a visitor is nobody");
}

#[test]
fn staff_find_what_they_sent_to_others_as_long_as_it_is_in_force() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let alert = json!({"title": "Flood", "message": "Room 12.", "audience": {"users": ["ann"]}});
    let sent = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let titles = |client: &mut Client, what: &str| -> Vec<Value> {
        let list = client.get(&format!("/api/v1/alerts?{what}")).expect(200).json();
        assert_conforms("/api/v1/alerts", &list);
        list["items"].as_array().unwrap().iter().map(|alert| alert["title"].clone()).collect()
    };
    assert!(titles(&mut staff, "active=true").is_empty(), "it is not for the one who sent it");
    assert_eq!(titles(&mut staff, "state=sent"), [json!("Flood")]);
    staff.call("DELETE", &format!("/api/v1/alerts/{}", sent["id"].as_str().unwrap()), &[], b"").unwrap();
    assert!(titles(&mut staff, "state=sent").is_empty());
    assert_eq!(student(&home, &server, "ann").get("/api/v1/alerts?state=sent").expect(403).code(), "forbidden");
    assert_eq!(server.client().get("/api/v1/alerts?state=sent").expect(401).code(), "unauthenticated");
}

#[test]
fn an_alert_to_a_role_has_reached_everyone_of_that_role_whom_the_hub_knows() {
    let home = Home::new();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "student", "name": "Zoë First", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/zoe", &account).expect(201);
    let alert = json!({"title": "Exams", "message": "They begin.", "audience": {"roles": ["student"]}});
    let sent = admin.post_json("/api/v1/alerts", &alert).expect(201).json();
    let path = format!("/api/v1/alerts/{}/receipts", sent["id"].as_str().unwrap());
    let told = admin.get(&path).expect(200).json();
    assert_eq!(told["unseen"], json!([{"user": "zoe", "name": "Zoë First"}]));
    assert_eq!((&told["recipients"], &told["recipients_online"]), (&json!(1), &json!(0)));
    let later =
        json!({"title": "Later", "message": "Soon.", "audience": {"all": true}, "starts_at": "2100-01-01T00:00:00Z"});
    let waiting = admin.post_json("/api/v1/alerts", &later).expect(201).json();
    let path = format!("/api/v1/alerts/{}", waiting["id"].as_str().unwrap());
    assert_eq!(admin.get(&format!("{path}/receipts")).expect(200).json()["recipients"], 0);
    assert_eq!(admin.post_json(&format!("{path}/ack"), &json!({})).expect(404).code(), "not_found");
}

#[test]
fn a_session_and_the_newest_demonstration_are_as_documented() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    let (visitor, signed_in) = (server.client().get("/api/v1/session"), admin.get("/api/v1/session"));
    for session in [visitor.expect(200).json(), signed_in.expect(200).json()] {
        assert_conforms("/api/v1/session", &session);
    }
    assert_conforms("/api/v1/admin/demo", &admin.get("/api/v1/admin/demo").expect(200).json());
}
