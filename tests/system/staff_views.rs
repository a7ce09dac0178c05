//! Views for staff and admins: metrics, activity, rosters, users, and receipts of alerts.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::WAIT_MAX;
use crate::support::http::Client;
use crate::support::openapi::assert_is_response_of;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;

const METRICS: &str = "/api/v1/admin/metrics";
const HISTORY: &str = "/api/v1/admin/metrics/history";
const ACTIVITY: &str = "/api/v1/staff/activity";
const USERS: &str = "/api/v1/admin/users";

/// Returns a lecture of 50 minutes that starts at this minute of the day.
fn row(crn: &str, start: u32, capacity: u32, waitlist: u32) -> Row {
    let (crn, course) = (crn.to_owned(), format!("MATH {crn}"));
    let (component, days) = ("lecture".to_owned(), Days::Mwf);
    Row { crn, course, component, credits: "3", days, start, end: start + 50, capacity, waitlist }
}

/// Starts a hub with two sections: 101 has one seat and a waitlist of two, 102 has 30 seats.
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

/// Requests `path` until the response meets the condition, and returns the response.
fn get_until(client: &mut Client, path: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let body = client.get(path).expect(200).json();
        if condition(&body) {
            return body;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}: {body:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn metrics_cover_the_last_seconds_and_are_pushed_each_second() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let mut ann = student(&home, &server, "ann");
    assert_eq!(register(&mut ann, "203001-101"), 201);
    assert_eq!(ann.put("/api/v1/me/registrations/203001-999").status, 404);
    assert_eq!(student(&home, &server, "bob").put("/api/v1/me/registrations/203001-101").status, 409);
    let counted = |n: &Value| n["registrations_per_s"].as_f64() > Some(0.0) && n["refusals_per_s"].as_f64() > Some(0.0);
    let metrics = get_until(&mut admin, METRICS, "the registration and the refusal", counted);
    assert_is_response_of(METRICS, &metrics);
    for kind in ["request", "registration", "commit"] {
        let of = &metrics["latency_ms"][kind];
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| of[name].as_f64().unwrap_or(-1.0));
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{kind}: {metrics:#}");
    }
    assert!(metrics["requests_per_s"].as_f64() > metrics["registrations_per_s"].as_f64(), "{metrics:#}");
    assert!(metrics["memory_bytes"].as_u64() > Some(1 << 20), "{metrics:#}");
    assert_eq!(metrics["plone"], json!({"ok": null, "circuit": null}));
    assert_eq!(metrics["demonstration"], false);

    let mut socket = Socket::connect(server.address(), Some(&home.token("root", "admin")));
    let _visitor = Socket::connect(server.address(), None);
    socket.subscribe(&["admin", "seats:203001"]);
    let connected = |f: &Value| f["type"] == "metrics" && f["connections"]["visitor"] == 1;
    let mut first = socket.wait_for("the number of connections", connected);
    assert_eq!(first["connections"], json!({"visitor": 1, "student": 0, "instructor": 0, "staff": 0, "admin": 1}));
    // The next metrics include the fan-out of a change.
    assert_eq!(register(&mut ann, "203001-102"), 201);
    let has_fanout = |f: &Value| f["type"] == "metrics" && f["latency_ms"]["fanout"]["p99"].is_f64();
    let later = socket.wait_for("the time of the fan-out", has_fanout);
    assert!(later["at"].as_str() > first["at"].as_str(), "{later:#}");
    first.as_object_mut().unwrap().remove("type");
    assert_is_response_of(METRICS, &first);

    // The history has the metrics that were sent before.
    let history = admin.get(HISTORY).expect(200).json();
    assert_is_response_of(HISTORY, &history);
    let items = history["items"].as_array().unwrap();
    assert!(items.contains(&first) && items.contains(&metrics), "{history:#}");
    assert!(items.is_sorted_by_key(|item| item["at"].as_str().unwrap()), "{history:#}");
}

#[test]
fn metrics_and_users_are_for_admins_only() {
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
fn activity_counts_requests_and_refusals_by_section() {
    let home = Home::new();
    let server = hub(&home);
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let nothing = staff.get(ACTIVITY).expect(200).json();
    assert_eq!((&nothing["hottest"], &nothing["refusals"]), (&json!([]), &json!({})));
    // Section 101 has one seat and a waitlist of two, so the fourth student is refused.
    let statuses: Vec<u16> = (1..=4)
        .map(|n| {
            let mut client = student(&home, &server, &format!("s{n}"));
            let status = register(&mut client, "203001-101");
            // A repeated request that changes nothing is not counted.
            assert_eq!(register(&mut client, "203001-101"), if status == 201 { 200 } else { status });
            status
        })
        .collect();
    assert_eq!(statuses, [201, 201, 201, 409]);
    let mut eve = student(&home, &server, "eve");
    let body = json!({"add": ["203001-102", "203001-101"], "waitlist": false});
    eve.post_json("/api/v1/me/registrations", &body).expect(200);
    eve.delete("/api/v1/me/registrations/203001-102").expect(200);
    let activity = staff.get(ACTIVITY).expect(200).json();
    assert_is_response_of(ACTIVITY, &activity);
    let hottest = json!([
        {"section": "203001-101", "asked": 6, "enrolled": 1, "waitlisted": 2, "refused": 3},
        {"section": "203001-102", "asked": 1, "enrolled": 1, "waitlisted": 0, "refused": 0},
    ]);
    let refusals = json!({"section_full": 1, "waitlist_full": 2});
    assert_eq!((&activity["hottest"], &activity["refusals"]), (&hottest, &refusals));
    assert_eq!(activity["hour"], json!({"hottest": hottest, "refusals": refusals}));
}

#[test]
fn a_roster_is_served_as_json_and_as_safe_csv() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "student", "name": "=Zoë, \"the\" First", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/zoe", &account).expect(201);
    for name in ["zoe", "ann", "bob"] {
        assert_eq!(register(&mut student(&home, &server, name), "203001-101"), 201);
    }
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let section = staff.patch_json("/api/v1/sections/203001-101", &json!({"outside_waitlisted": 4})).expect(200).json();
    assert_eq!((&section["outside_waitlisted"], &section["waitlisted"]), (&json!(4), &json!(6)));
    assert!(section.get("outside_enrolled").is_none(), "no student is enrolled outside: {section}");
    let path = "/api/v1/sections/203001-101/roster";
    let response = staff.get(path).expect(200);
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    let roster = response.json();
    assert_is_response_of("/api/v1/sections/{id}/roster", &roster);
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
fn an_admin_finds_accounts_and_users_without_an_account() {
    let home = Home::new();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "staff", "name": "Ángela Díaz", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/adiaz", &account).expect(201);
    student(&home, &server, "zoe").get("/api/v1/me").expect(200);
    let all_written = |a: &Value| a["total"] == 3;
    let all = get_until(&mut admin, USERS, "both new users to be written", all_written);
    assert_is_response_of(USERS, &all);
    assert_eq!(
        all["items"][0],
        json!({
            "username": "adiaz", "name": "Ángela Díaz", "role": "staff", "source": "local", "last_seen": null
        })
    );
    let rows: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| (&u["username"], &u["source"], u["last_seen"].is_string()))
        .collect();
    let token = json!("token");
    assert_eq!(rows[1..], [(&json!("root"), &token, true), (&json!("zoe"), &token, true)]);
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
fn receipts_list_seen_and_unseen_recipients() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let alert =
        json!({"title": "Flood", "message": "Room 12 is flooded.", "audience": {"users": ["ann", "bob", "zoe"]}});
    let sent = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let path = |end: &str| format!("/api/v1/alerts/{}/{end}", sent["id"].as_str().unwrap());
    let mut ann = student(&home, &server, "ann");
    ann.post_json(&path("ack"), &json!({})).expect(204);
    let first = staff.get(&path("receipts")).expect(200).json();
    assert_is_response_of("/api/v1/alerts/{id}/receipts", &first);
    assert_eq!(ann.call("POST", &path("ack"), &[], b"").unwrap().status, 204);
    let again = staff.get(&path("receipts")).expect(200).json();
    assert_eq!(again["seen"], first["seen"], "repeating the acknowledgement keeps its time");
    let mut bob = Socket::connect(server.address(), Some(&home.token("bob", "student")));
    bob.send(&json!({"type": "ack", "id": sent["id"]}));
    bob.send(&json!({"type": "ack", "id": "none"}));
    // The hub handles frames in order, so the first acknowledgement is stored before the second one is refused.
    assert_eq!(bob.wait_for("the refusal", |f| f["type"] == "error")["code"], "not_found");
    let both = staff.get(&path("receipts")).expect(200).json();
    let users =
        |list: &str| -> Vec<Value> { both[list].as_array().unwrap().iter().map(|p| p["user"].clone()).collect() };
    assert_eq!((users("seen"), users("unseen")), (vec![json!("ann"), json!("bob")], vec![json!("zoe")]));
    let counts =
        ["recipients", "recipients_online", "seen_total", "unseen_total"].map(|name| both[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 2, 1]);
    let totals = staff.get(&format!("{}?limit=0", path("receipts"))).expect(200).json();
    assert_eq!((&totals["seen_total"], &totals["seen"], &totals["unseen"]), (&json!(2), &json!([]), &json!([])));
    // Eve is not a recipient, a visitor has no account, and receipts are for staff only.
    let mut eve = student(&home, &server, "eve");
    assert_eq!(eve.post_json(&path("ack"), &json!({})).expect(404).code(), "not_found");
    assert_eq!(server.client().post_json(&path("ack"), &json!({})).expect(401).code(), "unauthenticated");
    assert_eq!(eve.get(&path("receipts")).expect(403).code(), "forbidden");
    assert_eq!(staff.get("/api/v1/alerts/none/receipts").expect(404).code(), "not_found");
}

#[test]
fn an_acknowledgement_is_visible_on_every_device() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let drill = json!({"title": "Drill", "message": "At noon.", "audience": {"all": true}, "requires_ack": true});
    let sent = staff.post_json("/api/v1/alerts", &drill).expect(201).json();
    let library = json!({"title": "Library", "message": "Until ten.", "audience": {"all": true}});
    staff.post_json("/api/v1/alerts", &library).expect(201);
    let mut ann = student(&home, &server, "ann");
    let acked = |client: &mut Client| -> Vec<Value> {
        let list = client.get("/api/v1/alerts?active=true").expect(200).json();
        assert_is_response_of("/api/v1/alerts", &list);
        list["items"].as_array().unwrap().iter().map(|alert| alert["acked"].clone()).collect()
    };
    assert_eq!(acked(&mut ann), [json!(false), Value::Null]);
    ann.post_json(&format!("/api/v1/alerts/{}/ack", sent["id"].as_str().unwrap()), &json!({})).expect(204);
    let mut phone = server.client().signed_in(&home.token("ann", "student"));
    assert_eq!(acked(&mut phone), [json!(true), Value::Null]);
    assert_eq!(acked(&mut server.client()), [Value::Null, Value::Null], "a visitor has no acknowledgements");
}

#[test]
fn staff_list_sent_alerts_while_they_are_active() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let alert = json!({"title": "Flood", "message": "Room 12.", "audience": {"users": ["ann"]}});
    let sent = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let titles = |client: &mut Client, query: &str| -> Vec<Value> {
        let list = client.get(&format!("/api/v1/alerts?{query}")).expect(200).json();
        assert_is_response_of("/api/v1/alerts", &list);
        list["items"].as_array().unwrap().iter().map(|alert| alert["title"].clone()).collect()
    };
    assert!(titles(&mut staff, "active=true").is_empty(), "the sender is not a recipient");
    assert_eq!(titles(&mut staff, "state=sent"), [json!("Flood")]);
    staff.call("DELETE", &format!("/api/v1/alerts/{}", sent["id"].as_str().unwrap()), &[], b"").unwrap();
    assert!(titles(&mut staff, "state=sent").is_empty());
    assert_eq!(student(&home, &server, "ann").get("/api/v1/alerts?state=sent").expect(403).code(), "forbidden");
    assert_eq!(server.client().get("/api/v1/alerts?state=sent").expect(401).code(), "unauthenticated");
}

#[test]
fn receipts_of_an_alert_to_a_role_list_its_known_users() {
    let home = Home::new();
    let server = home.serve();
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let account = json!({"role": "student", "name": "Zoë First", "password": "correct horse battery"});
    admin.put_json("/api/v1/admin/users/zoe", &account).expect(201);
    let alert = json!({"title": "Exams", "message": "They begin.", "audience": {"roles": ["student"]}});
    let sent = admin.post_json("/api/v1/alerts", &alert).expect(201).json();
    let path = format!("/api/v1/alerts/{}/receipts", sent["id"].as_str().unwrap());
    let receipts = admin.get(&path).expect(200).json();
    assert_eq!(receipts["unseen"], json!([{"user": "zoe", "name": "Zoë First"}]));
    assert_eq!((&receipts["recipients"], &receipts["recipients_online"]), (&json!(1), &json!(0)));
    let later =
        json!({"title": "Later", "message": "Soon.", "audience": {"all": true}, "starts_at": "2100-01-01T00:00:00Z"});
    let waiting = admin.post_json("/api/v1/alerts", &later).expect(201).json();
    let path = format!("/api/v1/alerts/{}", waiting["id"].as_str().unwrap());
    assert_eq!(admin.get(&format!("{path}/receipts")).expect(200).json()["recipients"], 0);
    assert_eq!(admin.post_json(&format!("{path}/ack"), &json!({})).expect(404).code(), "not_found");
}

#[test]
fn session_and_demonstration_match_the_openapi_document() {
    let home = Home::new();
    let server = hub(&home);
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    let (visitor, signed_in) = (server.client().get("/api/v1/session"), admin.get("/api/v1/session"));
    for session in [visitor.expect(200).json(), signed_in.expect(200).json()] {
        assert_is_response_of("/api/v1/session", &session);
    }
    assert_is_response_of("/api/v1/admin/demo", &admin.get("/api/v1/admin/demo").expect(200).json());
}
