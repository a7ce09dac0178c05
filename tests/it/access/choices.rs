//! Waitlist choices through the application: requests, responses, alerts, and what is refused.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};

const TERM: &str = "2108";

/// Starts a hub with two lectures and a lab of BIO 1 and a section of LAW 1, each with one seat. `ann` has the first
/// lecture and the lab, `eve` the second lecture, and `bob` the section of LAW 1.
fn college() -> (Hub, [Client; 3]) {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let csv = "crn,course,component,credits,cap,wait_cap\n\
               1,BIO 1,lecture,3,1,5\n2,BIO 1,lab,0,1,5\n3,BIO 1,lecture,3,1,5\n4,LAW 1,lecture,3,1,5\n";
    let task = start_import(&mut staff, TERM, csv.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    open_term(&mut staff, TERM);
    let [mut ann, mut bob, mut eve] = ["ann", "bob", "eve"].map(|name| hub.signed_in_as(&student(name)));
    ann.put(&own("1")).expect(201);
    ann.put(&own("2")).expect(201);
    eve.put(&own("3")).expect(201);
    bob.put(&own("4")).expect(201);
    (hub, [ann, bob, eve])
}

fn id(crn: &str) -> String {
    format!("{TERM}-{crn}")
}

fn own(crn: &str) -> String {
    format!("/api/v1/me/registrations/{TERM}-{crn}")
}

fn waiting(crn: &str) -> String {
    format!("{}?waitlist=true", own(crn))
}

/// Returns the caller's registrations: section, status, and the choices.
fn registrations(client: &mut Client) -> Vec<Value> {
    let items = client.get("/api/v1/me/registrations").expect(200).json()["items"].clone();
    let part = |one: &Value| json!([one["section"], one["status"], one["with"], one["any_of"], one["drop"]]);
    items.as_array().unwrap().iter().map(part).collect()
}

#[test]
fn alternatives_and_a_swap_are_shown_and_carried_out_together() {
    let (_hub, [mut ann, mut bob, mut eve]) = college();
    let choices = json!({"any_of": [id("3")], "drop": id("4")});
    let joined = bob.put_json(&waiting("1"), &choices).expect(201).json();
    assert_eq!(
        [&joined["status"], &joined["any_of"], &joined["drop"]],
        [&json!("waitlisted"), &json!([id("3")]), &json!(id("4"))]
    );
    assert!(joined["receipt"]["n"].is_u64(), "{joined}");
    let expected = [
        json!([id("4"), "enrolled", null, null, null]),
        json!([id("1"), "waitlisted", null, [id("3")], id("4")]),
        json!([id("3"), "waitlisted", null, [id("1")], id("4")]),
    ];
    assert_eq!(registrations(&mut bob), expected);
    // A repeated request with other choices returns the current state, with the first choices.
    let again = bob.put_json(&waiting("1"), &json!({"with": [id("2")]})).expect(200).json();
    assert_eq!((&again["any_of"], &again["with"]), (&json!([id("3")]), &Value::Null));
    eve.delete(&own("3")).expect(200);
    assert_eq!(registrations(&mut bob), [json!([id("3"), "enrolled", null, null, null])]);
    let section = ann.get(&format!("/api/v1/sections/{}", id("4"))).expect(200).json();
    assert_eq!(section["open"], 1, "the seat that was given up is free");
    let attempts = bob.get("/api/v1/me/attempts").expect(200).json();
    let newest: Vec<Value> = attempts["items"].as_array().unwrap()[..3]
        .iter()
        .map(|one| json!([one["section"], one["action"], one["result"], one["by"]]))
        .collect();
    let of_promotion = |crn: &str, result: &str| json!([id(crn), "promote", result, "promotion"]);
    assert_eq!(newest, [of_promotion("4", "dropped"), of_promotion("1", "dropped"), of_promotion("3", "enrolled")]);
    let alerts = bob.get("/api/v1/alerts?since=0").expect(200).json();
    let notices: Vec<Value> = alerts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["notice"]["crn"], one["notice"]["reason"], one["notice"]["status"]]))
        .collect();
    let expected =
        [json!(["3", "promoted", null]), json!(["1", "promoted", "dropped"]), json!(["4", "promoted", "dropped"])];
    assert_eq!(notices, expected, "{alerts:#}");
}

#[test]
fn a_bundle_waits_and_becomes_seats_together() {
    let (hub, [mut ann, mut bob, _eve]) = college();
    let body = json!({"add": [{"section": id("1"), "with": [id("2")]}], "waitlist": true});
    let results = bob.post_json("/api/v1/me/registrations", &body).expect(200).json()["results"].clone();
    assert_eq!((results.as_array().unwrap().len(), &results[0]["with"]), (1, &json!([id("2")])), "{results:#}");
    ann.delete(&own("1")).expect(200);
    let expected = json!([id("1"), "waitlisted", [id("2")], null, null]);
    assert_eq!(registrations(&mut bob)[1], expected, "half of a bundle is not given");
    let alerts = bob.get("/api/v1/alerts?since=0").expect(200).json();
    assert_eq!(alerts["items"][0]["notice"]["code"], "section_full", "{alerts:#}");
    let open = |hub: &Hub, crn: &str| {
        hub.client().get(&format!("/api/v1/sections/{}", id(crn))).expect(200).json()["open"].clone()
    };
    assert_eq!(open(&hub, "1"), 1, "the free seat can be taken by others");
    ann.delete(&own("2")).expect(200);
    let statuses: Vec<Value> = registrations(&mut bob).iter().map(|one| json!([one[0], one[1]])).collect();
    assert_eq!(statuses[1..], [json!([id("1"), "enrolled"]), json!([id("2"), "enrolled"])]);
    assert_eq!([open(&hub, "1"), open(&hub, "2")], [0, 0]);
}

#[test]
fn a_free_seat_in_an_alternative_is_taken_at_once() {
    let (_hub, [_ann, mut bob, mut eve]) = college();
    eve.delete(&own("3")).expect(200);
    let taken = bob.put_json(&waiting("1"), &json!({"any_of": [id("3")]})).expect(201).json();
    assert_eq!(
        [&taken["section"], &taken["planned"], &taken["status"]],
        [&json!(id("3")), &json!(id("1")), &json!("enrolled")]
    );
    bob.delete(&own("3")).expect(200);
    let body = json!({"add": [{"section": id("1"), "any_of": [id("3")]}], "waitlist": true});
    let results = bob.post_json("/api/v1/me/registrations", &body).expect(200).json()["results"].clone();
    assert_eq!([&results[0]["section"], &results[0]["planned"]], [&json!(id("3")), &json!(id("1"))], "{results:#}");
    assert!(results[0]["receipt"]["n"].is_u64(), "{results:#}");
}

#[test]
fn impossible_choices_are_refused_by_name() {
    let (_hub, [_ann, mut bob, _eve]) = college();
    for (path, body, status, field) in [
        (own("1"), json!({"with": [id("2")]}), 422, "with"),
        (waiting("1"), json!({"with": "2"}), 400, "with"),
        (waiting("1"), json!({"with": ["2"]}), 422, "with"),
        (waiting("1"), json!({"with": ["2107-2"]}), 422, "with"),
        (waiting("1"), json!({"with": [id("404")]}), 422, "with"),
        (waiting("1"), json!({"any_of": [id("1")]}), 422, "any_of"),
        (waiting("1"), json!({"with": [id("2")], "any_of": [id("3")]}), 422, "any_of"),
        (waiting("1"), json!({"drop": id("2")}), 422, "drop"),
        (waiting("1"), json!({"with": [id("2")], "drop": id("2")}), 422, "drop"),
        (waiting("1"), json!({"unknown": 1}), 422, "unknown"),
        (waiting("1"), json!({"with": vec![id("2"); 9]}), 422, "with"),
    ] {
        let problem = bob.put_json(&path, &body).expect(status).json();
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    let adds = |add: Value, drop: Value| json!({"add": add, "drop": drop, "waitlist": true});
    let chosen = json!({"section": id("1"), "drop": id("4")});
    for (body, field) in [
        (adds(json!([chosen, chosen]), json!([])), "add"),
        (adds(json!([chosen]), json!([id("4")])), "add[0].drop"),
        (adds(json!([{"section": id("1"), "with": [id("2")]}, id("2")]), json!([])), "add[0].with"),
        (json!({"add": [chosen]}), "add[0].drop"),
    ] {
        let problem = bob.post_json("/api/v1/me/registrations", &body).expect(422).json();
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    // The problem names the section that is refused, even if it is one of the choices.
    bob.put(&waiting("3")).expect(201);
    let problem = bob.put_json(&waiting("2"), &json!({"with": [id("1")]})).expect(409).json();
    assert_eq!([&problem["code"], &problem["section"]], [&json!("already_in_course"), &json!(id("1"))], "{problem}");
    // Empty choices need no waitlist.
    bob.put_json(&own("2"), &json!({})).expect(409);
    assert_eq!(registrations(&mut bob).len(), 2);
}
