//! Staff move everyone in a section to another one, and merge sections.

use serde_json::{Value, json};

use super::credentials::{staff_of, student};
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{Days, Row, Schedule};

const TERM: &str = "2106";

fn section(crn: &str) -> String {
    format!("/api/v1/sections/{TERM}-{crn}")
}

fn register(hub: &Hub, name: &str, crn: &str) {
    hub.signed_in_as(&student(name)).put(&format!("/api/v1/me/registrations/{TERM}-{crn}?waitlist=true")).expect(201);
}

/// Starts a hub in which ann, bob and cid are enrolled in MATH 1 on Mondays, dan waits, and cid has a class at the time
/// of the other section.
fn college() -> Hub {
    let hub = Hub::start();
    let rows = vec![
        Row { capacity: 3, ..Row::lecture("1", "MATH 1") },
        Row { days: Days::Tr, capacity: 2, ..Row::lecture("2", "MATH 1") },
        Row { days: Days::Tr, ..Row::lecture("3", "ART 2") },
        Row { days: Days::W, start: 18 * 60, end: 19 * 60, ..Row::lecture("4", "MATH 1") },
    ];
    Schedule { term: TERM.to_owned(), rows }.load(&mut hub.staff());
    for (name, crn) in [("bob", "1"), ("ann", "1"), ("cid", "3"), ("cid", "1"), ("dan", "1")] {
        register(&hub, name, crn);
    }
    hub
}

fn roster(staff: &mut Client, crn: &str) -> Vec<(String, String)> {
    let roster = staff.get(&format!("{}/roster", section(crn))).expect(200).json();
    let items = roster["items"].as_array().unwrap().clone();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    items.iter().map(|item| (text(item, "user"), text(item, "status"))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(user, status)| ((*user).to_owned(), (*status).to_owned())).collect()
}

/// Returns each student with the status or the code of the refusal.
fn results(response: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let result = |item: &Value| {
        let status = text(&item["status"]);
        (text(&item["user"]), if status.is_empty() { text(&item["problem"]["code"]) } else { status })
    };
    response["results"].as_array().unwrap().iter().map(result).collect()
}

#[test]
fn a_move_keeps_the_order_and_leaves_refused_students() {
    let hub = college();
    let mut staff = hub.staff();
    let body = json!({"to": format!("{TERM}-2"), "reason": "The room is closed."});
    let moved = staff.post_json(&format!("{}/move-all", section("1")), &body).expect(200).json();
    let expected = [("bob", "enrolled"), ("ann", "enrolled"), ("cid", "time_conflict"), ("dan", "waitlisted")];
    assert_eq!((results(&moved), &moved["moved"]), (pairs(&expected), &json!(3)), "{moved:#}");
    assert!(moved.get("cancelled").is_none());
    assert_eq!(roster(&mut staff, "1"), pairs(&[("cid", "enrolled")]));
    let there = pairs(&[("bob", "enrolled"), ("ann", "enrolled"), ("dan", "waitlisted")]);
    assert_eq!(roster(&mut staff, "2"), there);
    // Each move is an attempt by staff with an entry of the audit trail, and the student is notified.
    let attempts = staff.get("/api/v1/students/cid/attempts").expect(200).json();
    let last = &attempts["items"][0];
    assert_eq!((&last["by"], &last["result"]), (&json!("staff"), &json!("time_conflict")), "{attempts:#}");
    let alerts = hub.signed_in_as(&student("ann")).get("/api/v1/alerts").expect(200).text();
    assert!(alerts.contains("The college enrolled you in MATH 1"), "{alerts}");
    let audit = hub.admin().get("/api/v1/admin/audit?user=ann").expect(200).text();
    assert!(audit.contains("move everyone from 2106-1; The room is closed."), "{audit}");
}

#[test]
fn a_merge_cancels_the_section_when_no_student_is_left() {
    let hub = college();
    let mut staff = hub.staff();
    let to_full = json!({"to": format!("{TERM}-2"), "reason": "Too few students."});
    let merged = staff.post_json(&format!("{}/merge", section("1")), &to_full).expect(200).json();
    assert_eq!((&merged["cancelled"], &merged["moved"]), (&json!(false), &json!(3)), "{merged:#}");
    assert_eq!(staff.get(&section("1")).expect(200).json()["status"], "closed");
    // The student who was left can be moved with an override.
    let lifted = json!({"to": format!("{TERM}-2"), "reason": "Agreed.", "override": ["time_conflict", "section_full"]});
    let merged = staff.post_json(&format!("{}/merge", section("1")), &lifted).expect(200).json();
    assert_eq!((&merged["cancelled"], results(&merged)), (&json!(true), pairs(&[("cid", "enrolled")])), "{merged:#}");
    assert_eq!(staff.get(&section("1")).expect(200).json()["status"], "cancelled");
}

#[test]
fn moves_to_other_terms_or_subjects_are_refused() {
    let hub = college();
    let path = format!("{}/move-all", section("1"));
    let mut staff = hub.staff();
    for to in [format!("{TERM}-1"), format!("{TERM}-99"), "2107-2".to_owned(), "x".to_owned()] {
        assert_eq!(staff.post_json(&path, &json!({"to": to, "reason": "x"})).status, 422, "{to}");
    }
    let to = format!("{TERM}-3");
    assert_eq!(staff.post_json(&path, &json!({"to": to, "reason": " "})).status, 422);
    let mut math = hub.signed_in_as(&staff_of("max", &["MATH"]));
    assert_eq!(math.post_json(&path, &json!({"to": to, "reason": "x"})).status, 403);
    assert_eq!(staff.post_json(&format!("{}/merge", section("99")), &json!({"to": to, "reason": "x"})).status, 404);
    assert_eq!(roster(&mut staff, "1").len(), 4, "nothing has changed");
}

#[test]
fn the_notice_of_a_cancellation_names_sections_with_seats() {
    let hub = college();
    let mut staff = hub.staff();
    staff.patch_json(&section("1"), &json!({"status": "cancelled"})).expect(200);
    let notice_to = |name: &str| {
        let alerts = hub.signed_in_as(&student(name)).get("/api/v1/alerts").expect(200).json();
        let items = alerts["items"].as_array().unwrap().clone();
        let found = items.iter().find(|alert| alert["notice"]["reason"] == "cancelled").expect("a notice").clone();
        (found["notice"]["alternatives"].clone(), found["message"].as_str().unwrap().to_owned())
    };
    let (ann, message) = notice_to("ann");
    assert_eq!(ann, json!(["2", "4"]));
    assert!(message.ends_with("Sections with seats: CRN 2, 4."), "{message}");
    assert_eq!(notice_to("cid").0, json!(["4", "2"]), "sections that overlap another one of the student come last");
}
