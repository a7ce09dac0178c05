//! The order of waitlists through the application: moves by staff, and the priority that a term declares.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};

const TERM: &str = "2109";
const SECTION: &str = "2109-1";

/// Starts a hub with a section of one seat, which `eve` has, and with `ann`, `bob` and `cyd` on its waitlist.
fn college() -> (Hub, Client, [Client; 3]) {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let task = start_import(&mut staff, TERM, b"crn,course,credits,cap,wait_cap\n1,BIO 1,3,1,5\n");
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    open_term(&mut staff, TERM);
    let mut clients = ["eve", "ann", "bob", "cyd"].map(|name| hub.signed_in_as(&student(name)));
    for client in &mut clients {
        client.put(&format!("/api/v1/me/registrations/{SECTION}?waitlist=true")).expect(201);
    }
    let [_, ann, bob, cyd] = clients;
    (hub, staff, [ann, bob, cyd])
}

fn position_path(user: &str) -> String {
    format!("/api/v1/students/{user}/registrations/{SECTION}/position")
}

/// Returns the position of the caller and the group that puts the caller ahead.
fn position_and_group(client: &mut Client) -> [Value; 2] {
    let items = client.get("/api/v1/me/registrations").expect(200).json()["items"].clone();
    let terms = client.get("/api/v1/terms").expect(200).json();
    [items[0]["position"].clone(), terms["items"][0]["mine"]["priority_group"].clone()]
}

/// Returns the waitlist in the roster: user, position and group.
fn waitlist(staff: &mut Client) -> Vec<Value> {
    let roster = staff.get(&format!("/api/v1/sections/{SECTION}/roster")).expect(200).json();
    let waiting = roster["items"].as_array().unwrap().iter().filter(|one| one["status"] == "waitlisted");
    waiting.map(|one| json!([one["user"], one["position"], one["priority_group"]])).collect()
}

#[test]
fn staff_move_a_student_with_a_reason_that_is_audited() {
    let (hub, mut staff, [mut ann, mut bob, mut cyd]) = college();
    let moved =
        staff.put_json(&position_path("cyd"), &json!({"position": 1, "reason": "Hub outage"})).expect(200).json();
    assert_eq!([&moved["status"], &moved["position"]], [&json!("waitlisted"), &json!(1)]);
    let n = &moved["receipt"]["n"];
    assert!(n.is_u64(), "{moved}");
    assert_eq!(
        [&mut cyd, &mut ann, &mut bob].map(|one| position_and_group(one)[0].clone()),
        [json!(1), json!(2), json!(3)]
    );
    let own = cyd.get("/api/v1/me/attempts").expect(200).json()["items"][0].clone();
    assert_eq!(
        [&own["n"], &own["action"], &own["result"], &own["position"], &own["by"]],
        [n, &json!("reorder"), &json!("waitlisted"), &json!(1), &json!("staff")]
    );
    let audit = hub.admin().get("/api/v1/admin/audit?action=waitlist.position").expect(200).json();
    let entry = &audit["items"][0];
    assert_eq!([&entry["subject"], &entry["section"]], [&json!("cyd"), &json!(SECTION)]);
    assert_eq!(entry["detail"], "position 1; Hub outage");
}

#[test]
fn a_move_is_refused_without_a_reason_or_a_waitlist_position() {
    let (_hub, mut staff, [mut ann, ..]) = college();
    for (user, body, status, field) in [
        ("ann", json!({"position": 2}), 422, json!("reason")),
        ("ann", json!({"position": 2, "reason": "  "}), 422, json!("reason")),
        ("ann", json!({"position": 0, "reason": "Error"}), 422, json!("position")),
        ("eve", json!({"position": 1, "reason": "Error"}), 404, Value::Null),
    ] {
        let problem = staff.put_json(&position_path(user), &body).expect(status).json();
        assert_eq!(problem["field"], field, "{problem}");
    }
    ann.put_json(&position_path("ann"), &json!({"position": 1, "reason": "Me"})).expect(403);
    assert_eq!(position_and_group(&mut ann), [json!(1), Value::Null]);
}

#[test]
fn a_declared_priority_is_shown_to_students_and_staff() {
    let (_hub, mut staff, [mut ann, mut bob, mut cyd]) = college();
    staff.put_json("/api/v1/students/cyd", &json!({"groups": ["Graduating"]})).expect(200);
    let priority = json!({"waitlist_priority": ["graduating", "need-based", "GRADUATING"]});
    let term = staff.put_json(&format!("/api/v1/terms/{TERM}"), &priority).expect(200).json();
    assert_eq!(term["waitlist_priority"], json!(["graduating", "need-based"]));
    let terms = ann.get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["items"][0]["waitlist_priority"], json!(["graduating", "need-based"]));
    assert_eq!(position_and_group(&mut cyd), [json!(1), json!("graduating")]);
    assert_eq!(
        [position_and_group(&mut ann), position_and_group(&mut bob)],
        [[json!(2), Value::Null], [json!(3), Value::Null]]
    );
    let expected = [json!(["cyd", 1, "graduating"]), json!(["ann", 2, null]), json!(["bob", 3, null])];
    assert_eq!(waitlist(&mut staff), expected);
    staff.put_json("/api/v1/students/bob", &json!({"groups": ["need-based"]})).expect(200);
    assert_eq!(position_and_group(&mut bob), [json!(2), json!("need-based")]);
    let mut late =
        staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"waitlist_priority": []})).expect(200).json();
    assert_eq!(late["waitlist_priority"].take(), json!([]));
    assert_eq!(waitlist(&mut staff)[0], json!(["ann", 1, null]));
}
