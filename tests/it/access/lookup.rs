//! Staff search for students and see what a student sees.

use serde_json::{Value, json};

use super::credentials::{staff_of, student};
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{Row, Schedule};
use crate::support::wait::eventually;

const TERM: &str = "2106";

/// Starts a hub with a section of MATH (1) and one of ART (2), and with facts about these students.
fn college(students: &[&str]) -> Hub {
    let hub = Hub::start();
    let rows = vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")];
    Schedule { term: TERM.to_owned(), rows }.load(&mut hub.staff());
    for name in students {
        hub.staff().put_json(&format!("/api/v1/students/{name}"), &json!({"groups": ["new"]})).expect(200);
    }
    hub
}

fn account(hub: &Hub, user: &str, name: &str, role: &str) {
    let account = json!({"role": role, "name": name, "password": "a password of the lookup"});
    hub.admin().put_json(&format!("/api/v1/admin/users/{user}"), &account).expect(201);
}

fn register(hub: &Hub, name: &str, crn: &str) {
    hub.signed_in_as(&student(name)).put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
}

/// Returns the usernames that a search finds.
fn found(client: &mut Client, q: &str) -> Vec<String> {
    let page = client.get(&format!("/api/v1/students?q={q}")).expect(200).json();
    assert_eq!(page["next"], Value::Null, "{page}");
    page["items"].as_array().unwrap().iter().map(|one| one["user"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn students_are_found_by_the_beginnings_of_words_of_their_names() {
    let hub = college(&["zoe.miller"]);
    account(&hub, "jn7", "José Núñez", "student");
    account(&hub, "jn8", "Josefa Nunn", "staff");
    let mut staff = hub.staff();
    for (q, expected) in [
        ("nunez", vec!["jn7"]),
        ("N%C3%9A%C3%91", vec!["jn7"]),
        ("nun+JOS", vec!["jn7"]),
        ("jn", vec!["jn7"]),
        ("mill", vec!["zoe.miller"]),
        ("iller", vec![]),
        ("nun+mill", vec![]),
    ] {
        assert_eq!(found(&mut staff, q), expected, "{q}");
    }
    let item = staff.get("/api/v1/students?q=jn7").expect(200).json()["items"][0].clone();
    assert_eq!(item, json!({"user": "jn7", "name": "José Núñez"}));
    let item = staff.get("/api/v1/students?q=zoe").expect(200).json()["items"][0].clone();
    assert_eq!(item, json!({"user": "zoe.miller"}));
}

#[test]
fn searches_that_are_too_short_are_refused() {
    let hub = Hub::start();
    for q in ["", "?q=", "?q=a", "?q=+a+"] {
        let problem = hub.staff().get(&format!("/api/v1/students{q}")).expect(422).json();
        assert_eq!((&problem["code"], &problem["field"]), (&json!("invalid"), &json!("q")), "{q}");
    }
}

#[test]
fn a_search_with_many_results_has_pages() {
    let names: Vec<String> = (0..25).map(|n| format!("many{n:02}")).collect();
    let hub = college(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut staff = hub.staff();
    let first = staff.get("/api/v1/students?q=many").expect(200).json();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (20, &json!("many19")));
    let second = staff.get("/api/v1/students?q=many&cursor=many19").expect(200).json();
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next"]), (5, &Value::Null));
    assert_eq!(second["items"][0]["user"], "many20");
}

#[test]
fn limited_staff_find_students_of_their_sections_only() {
    let hub = college(&["sam"]);
    register(&hub, "sally", "1");
    register(&hub, "sasha", "2");
    // Users are recorded soon after their request.
    let mut staff = hub.staff();
    let all = ["sally", "sam", "sasha"];
    eventually("the students to be known", || (found(&mut staff, "sa") == all).then_some(()));
    let mut limited = hub.signed_in_as(&staff_of("mathew", &["MATH"]));
    assert_eq!(found(&mut limited, "sa"), ["sally"]);
}

#[test]
fn staff_see_a_students_registrations_and_plan() {
    let hub = college(&[]);
    let mut ann = hub.signed_in_as(&student("ann"));
    let plan = json!({"sections": [format!("{TERM}-2")]});
    ann.put_json("/api/v1/me/plan", &plan).expect(200);
    register(&hub, "ann", "1");
    let mut staff = hub.staff();
    // The sections overlap.
    let lift = json!({"override": ["time_conflict"], "reason": "approved"});
    staff.put_json(&format!("/api/v1/students/ann/registrations/{TERM}-2"), &lift).expect(201);
    assert_eq!(staff.get("/api/v1/students/ann/plan").expect(200).json(), plan);
    let path = format!("/api/v1/students/ann/registrations?term={TERM}");
    let seen = ann.get(&format!("/api/v1/me/registrations?term={TERM}")).expect(200).json();
    assert_eq!(staff.get(&path).expect(200).json(), seen);
    let none = staff.get("/api/v1/students/absent/registrations").expect(200).json();
    assert_eq!(none, json!({"items": [], "credits": {}}));
    let problem = staff.get("/api/v1/students/ann/registrations?term=9").expect(422).json();
    assert_eq!(problem["field"], "term");

    let mut limited = hub.signed_in_as(&staff_of("mathew", &["MATH"]));
    let part = limited.get(&path).expect(200).json();
    assert_eq!((&part["items"], &part["credits"]), (&json!([seen["items"][0]]), &json!({})));
    assert!(limited.get("/api/v1/students/ann/plan").expect(403).text().contains("all subjects"));
    register(&hub, "bob", "2");
    assert_eq!(limited.get("/api/v1/students/bob/registrations").expect(200).json(), none);
}

#[test]
fn students_see_who_searched_for_them_and_read_their_registrations() {
    let hub = college(&["ann"]);
    found(&mut hub.staff(), "ann");
    hub.staff().get("/api/v1/students/ann/registrations").expect(200);
    let readers = hub.signed_in_as(&student("ann")).get("/api/v1/me/disclosures").expect(200).json();
    let actions: Vec<&str> =
        readers["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["student.read", "student.search"], "{readers}");
}
