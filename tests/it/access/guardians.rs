//! A parent or guardian reads one student's schedule through the student's link, and nothing else.

use eduhub::domain::role::Role;
use serde_json::{Value, json};

use super::credentials::{instructor, minted, student};
use super::hub::Hub;
use crate::support::http::Response;
use crate::support::schedule::{Row, Schedule};

const TERM: &str = "2104";
const LINKS: &str = "/api/v1/me/guardian-links";

fn open(hub: &Hub, secret: &str) -> Response {
    let authorization = format!("Guardian {secret}");
    hub.client().call("GET", "/api/v1/shared-schedule", &[("Authorization", authorization.as_str())], b"").unwrap()
}

/// Starts a hub in which ann is enrolled in MATH 1, and bob in ART 2.
fn college() -> Hub {
    let hub = Hub::start();
    let rows = vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")];
    Schedule { term: TERM.to_owned(), rows }.load(&mut hub.staff());
    for (name, crn) in [("ann", "1"), ("bob", "2")] {
        hub.signed_in_as(&student(name)).put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
    }
    hub
}

#[test]
fn a_link_opens_one_schedule_until_the_student_ends_it() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    let made = ann.post_json(LINKS, &json!({"label": " Mom ", "days": 30})).expect(201).json();
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/shared#", hub.origin())), "{url}");
    let secret = url.split_once('#').unwrap().1;

    let response = open(&hub, secret).expect(200);
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    let text = response.text();
    for name in ["ann", "Teacher", "ART", "bob"] {
        assert!(!text.contains(name), "the schedule does not contain {name}: {text}");
    }
    let schedule = response.json();
    assert_eq!((&schedule["label"], &schedule["expires_at"]), (&json!("Mom"), &made["expires_at"]));
    let courses: Vec<&Value> = schedule["items"].as_array().unwrap().iter().map(|item| &item["course"]).collect();
    assert_eq!(courses, [&json!("MATH 1")]);

    // The student sees the visit, and the hub never shows the secret again.
    let disclosures = ann.get("/api/v1/me/disclosures").expect(200).json();
    let read = &disclosures["items"][0];
    assert_eq!((&read["action"], &read["name"]), (&json!("schedule.shared"), &Value::Null), "{disclosures:#}");
    let data = ann.get("/api/v1/me/data").expect(200);
    assert_eq!(data.json()["guardian_links"][0]["label"], "Mom");
    let links = ann.get(LINKS).expect(200);
    let audit = hub.signed_in_as(&minted(Role::Admin)).get("/api/v1/admin/audit").expect(200).text();
    for text in [data.text(), links.text(), audit] {
        assert!(!text.contains(secret), "{text}");
    }

    // Bob can neither list nor remove it.
    let path = format!("{LINKS}/{}", links.json()["items"][0]["id"].as_str().unwrap());
    let mut bob = hub.signed_in_as(&student("bob"));
    assert_eq!(bob.get(LINKS).expect(200).json()["items"], json!([]));
    bob.delete(&path).expect(404);
    open(&hub, secret).expect(200);
    ann.delete(&path).expect(204);
    let refused = open(&hub, secret);
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthenticated"));
    ann.delete(&path).expect(404);
}

#[test]
fn the_links_of_a_student_are_bounded() {
    let hub = Hub::start();
    let mut ann = hub.signed_in_as(&student("ann"));
    for _ in 0..5 {
        ann.post_json(LINKS, &json!({"label": "Dad"})).expect(201);
    }
    assert_eq!(ann.post_json(LINKS, &json!({"label": "Dad"})).status, 422);
    let links = ann.get(LINKS).expect(200).json();
    ann.delete(&format!("{LINKS}/{}", links["items"][0]["id"].as_str().unwrap())).expect(204);
    ann.post_json(LINKS, &json!({"label": "Dad"})).expect(201);
    for body in [json!({"label": " "}), json!({"label": "x", "days": 0}), json!({"label": "x", "days": 367}), json!({})]
    {
        let refused = ann.post_json(LINKS, &body);
        assert!([400, 422].contains(&refused.status), "{body}: {}", refused.text());
    }
    for wrong in ["", "x", &"0".repeat(64)] {
        assert_eq!(open(&hub, wrong).status, 401, "{wrong}");
    }
}

#[test]
fn a_student_who_became_an_instructor_can_end_the_links() {
    let hub = Hub::start();
    let secret = hub.guardian_link("tess");
    let mut tess = hub.signed_in_as(&instructor("tess", "Tess"));
    assert_eq!(tess.post_json(LINKS, &json!({"label": "Dad"})).status, 403, "only students create links");
    let links = tess.get(LINKS).expect(200).json();
    tess.delete(&format!("{LINKS}/{}", links["items"][0]["id"].as_str().unwrap())).expect(204);
    assert_eq!(open(&hub, &secret).status, 401);
}

#[test]
fn an_erased_student_has_no_links() {
    let hub = Hub::start();
    let secret = hub.guardian_link("zoe");
    open(&hub, &secret).expect(200);
    let mut admin = hub.signed_in_as(&minted(Role::Admin));
    admin.post_json("/api/v1/admin/users/zoe/erase", &json!({})).expect(200);
    assert_eq!(open(&hub, &secret).status, 401);
}
