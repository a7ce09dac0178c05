//! Plans through the application: names, choices, the check, and registration.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};

const TERM: &str = "2107";
const PLAN: &str = "/api/v1/me/plan";

/// Starts a hub with two sections of ART 1, of which the first is full, and three others. The term is closed.
fn college() -> Hub {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let csv = "crn,course,component,credits,cap,wait_cap,days,time,prerequisites\n\
               1,ART 1,lecture,3,0,2,,,\n\
               2,ART 1,lecture,3,1,2,,,\n\
               3,LAW 1,lecture,3,5,0,M,09:00-11:00,\n\
               4,BIO 1,lecture,3,5,0,M,10:00-12:00,\n\
               5,MATH 2,lecture,3,5,0,,,MATH 1\n";
    let task = start_import(&mut staff, TERM, csv.as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!(done["state"], "done", "{done:#}");
    hub
}

fn id(crn: &str) -> String {
    format!("{TERM}-{crn}")
}

fn put(client: &mut Client, path: &str, sections: &Value) -> Value {
    client.put_json(path, &json!({"sections": sections})).expect(200).json()["sections"].clone()
}

fn post(client: &mut Client, path: &str) -> Value {
    client.call("POST", path, &[], b"").expect("a response").expect(200).json()
}

#[test]
fn plans_have_names_and_entries_have_choices() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    let entry = json!({"section": id("1"), "waitlist": true, "alternates": [id("2"), id("2"), id("1")]});
    let stored = json!([{"section": id("1"), "waitlist": true, "alternates": [id("2")]}, id("3")]);
    assert_eq!(put(&mut ann, PLAN, &json!([entry, id("3"), id("3"), {"section": id("3")}])), stored);
    assert_eq!(ann.get("/api/v1/me/plans/default").expect(200).json(), json!({"name": "default", "sections": stored}));
    let body = json!({"sections": [id("4")]});
    ann.put_json("/api/v1/me/plans/Plan%20B", &body).expect(201);
    ann.put_json("/api/v1/me/plans/Plan%20B", &body).expect(200);
    let all = ann.get("/api/v1/me/plans").expect(200).json();
    let second = json!({"name": "Plan B", "sections": [id("4")]});
    assert_eq!(all["items"], json!([{"name": "default", "sections": stored}, second]));
    let data = ann.get("/api/v1/me/data").expect(200).json();
    assert_eq!((&data["plan"], data["plans"].as_array().unwrap().len()), (&json!([id("1"), id("3")]), 2));
    ann.delete("/api/v1/me/plans/Plan%20B").expect(204);
    ann.delete("/api/v1/me/plans/Plan%20B").expect(404);
    ann.get("/api/v1/me/plans/Plan%20B").expect(404);
    ann.delete("/api/v1/me/plans/default").expect(204);
    assert_eq!(ann.get(PLAN).expect(200).json(), json!({"sections": []}));
}

#[test]
fn invalid_plans_are_refused_with_the_field() {
    let hub = college();
    let mut staff = hub.staff();
    let task = start_import(&mut staff, "2108", b"crn,course,cap\n1,ART 1,5\n");
    wait_for_import(&mut staff, &task);
    let mut ann = hub.signed_in_as(&student("ann"));
    let six = vec![id("2"); 6];
    let table = [
        (json!([{"section": id("9")}]), 422, "sections"),
        (json!([{"section": id("1"), "alternates": ["2108-1"]}]), 422, "sections"),
        (json!([{"section": id("1"), "alternates": [id("9")]}]), 422, "sections"),
        (json!([{"section": id("1"), "alternates": six}]), 422, "sections[0].alternates"),
        (json!([{"section": id("1"), "wait": true}]), 422, "sections[0].wait"),
        (json!([{"section": id("1"), "waitlist": "yes"}]), 400, "sections[0].waitlist"),
        (json!([{}]), 422, "sections[0].section"),
        (json!([7]), 400, "sections[0]"),
        (json!(vec![id("1"); 51]), 422, "sections"),
    ];
    for (sections, status, field) in table {
        let refused = ann.put_json(PLAN, &json!({"sections": sections})).expect(status).json();
        assert_eq!(refused["field"], field, "{sections}");
    }
    let long = format!("/api/v1/me/plans/{}", "a".repeat(61));
    assert_eq!(ann.put_json(&long, &json!({"sections": []})).expect(422).json()["field"], "name");
    for number in 0..10 {
        ann.put_json(&format!("/api/v1/me/plans/p{number}"), &json!({"sections": []})).expect(201);
    }
    let full = ann.put_json("/api/v1/me/plans/more", &json!({"sections": []})).expect(422).json();
    assert_eq!(full["field"], "name");
    for path in ["register", "check"] {
        ann.call("POST", &format!("{PLAN}/{path}?name=more"), &[], b"").expect("a response").expect(404);
    }
}

#[test]
fn a_plan_is_checked_before_registration_opens() {
    let hub = college();
    let mut staff = hub.staff();
    let facts = json!({"credit_min": 12, "completed": []});
    staff.put_json("/api/v1/students/ann", &facts).expect(200);
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"opens_at": "2100-01-01T00:00:00Z"})).expect(200);
    let mut ann = hub.signed_in_as(&student("ann"));
    put(&mut ann, PLAN, &json!([{"section": id("1"), "alternates": [id("2")]}, id("3"), id("4"), id("5")]));
    let check = post(&mut ann, "/api/v1/me/plan/check");
    let first = json!({"section": id("1"), "ok": true, "status": "enrolled", "alternate": id("2")});
    assert_eq!(check["results"][0], first, "{check:#}");
    assert_eq!(check["results"][1], json!({"section": id("3"), "ok": true, "status": "enrolled"}));
    let overlap = &check["results"][2]["problem"];
    assert_eq!((&overlap["code"], &overlap["conflicts_with"]), (&json!("time_conflict"), &json!([id("3")])));
    assert!(overlap["detail"].as_str().unwrap().contains("in the plan"), "{overlap}");
    assert_eq!(check["results"][3]["problem"]["code"], "prerequisite");
    let between = &check["problems"][0];
    assert_eq!((&between["code"], &between["sections"]), (&json!("time_conflict"), &json!([id("3"), id("4")])));
    assert_eq!(check["problems"].as_array().unwrap().len(), 1, "{check:#}");
    put(&mut ann, PLAN, &json!([id("3")]));
    let check = post(&mut ann, "/api/v1/me/plan/check");
    let few = &check["problems"][0];
    assert_eq!(
        (&few["code"], &few["credit_min"], &few["credits_wanted"]),
        (&json!("credit_min"), &json!(12), &json!(3))
    );
    // Nothing was registered or recorded.
    assert_eq!(ann.get("/api/v1/me/registrations").expect(200).json()["items"], json!([]));
    assert_eq!(ann.get("/api/v1/me/attempts").expect(200).json()["items"], json!([]));
    assert_eq!(post(&mut ann, "/api/v1/me/plan/register")["results"][0]["problem"]["code"], "registration_closed");
}

#[test]
fn a_named_plan_is_registered_with_its_alternates_and_waitlists() {
    let hub = college();
    open_term(&mut hub.staff(), TERM);
    let mut ann = hub.signed_in_as(&student("ann"));
    let choices =
        json!({"sections": [{"section": id("1"), "waitlist": true, "alternates": [id("2")]}, id("3"), id("4")]});
    ann.put_json("/api/v1/me/plans/mine", &choices).expect(201);
    let done = post(&mut ann, "/api/v1/me/plan/register?name=mine")["results"].clone();
    let first = (&done[0]["section"], &done[0]["planned"], &done[0]["status"]);
    assert_eq!(first, (&json!(id("2")), &json!(id("1")), &json!("enrolled")), "{done:#}");
    assert_eq!((&done[1]["section"], &done[1]["planned"]), (&json!(id("3")), &Value::Null));
    assert_eq!((&done[2]["section"], &done[2]["problem"]["code"]), (&json!(id("4")), &json!("time_conflict")));
    assert!(done.as_array().unwrap().iter().all(|one| one["receipt"]["n"].is_number()), "{done:#}");
    // The alternate is full now, so the next student waits for the section itself.
    let mut bob = hub.signed_in_as(&student("bob"));
    bob.put_json(PLAN, &json!({"sections": [choices["sections"][0]]})).expect(200);
    let done = post(&mut bob, "/api/v1/me/plan/register")["results"].clone();
    assert_eq!(
        (&done[0]["section"], &done[0]["status"], &done[0]["position"]),
        (&json!(id("1")), &json!("waitlisted"), &json!(1))
    );
    let attempts = bob.get("/api/v1/me/attempts").expect(200).json()["items"].clone();
    let codes: Vec<&str> = attempts.as_array().unwrap().iter().map(|one| one["result"].as_str().unwrap()).collect();
    assert_eq!(codes, ["waitlisted", "section_full", "section_full"]);
}
