//! A student can reach nothing that belongs to another student.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::schedule::{Row, Schedule};

const TERM: &str = "2101";

fn lists_of(hub: &Hub, token: &str) -> (Value, Value) {
    let mut client = hub.signed_in_as(token);
    let registrations = client.get("/api/v1/me/registrations").expect(200).json();
    (registrations["items"].clone(), client.get("/api/v1/me/plan").expect(200).json()["sections"].clone())
}

#[test]
fn a_student_cannot_reach_data_of_another_student() {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let schedule =
        Schedule { term: TERM.to_owned(), rows: vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")] };
    schedule.load(&mut staff);
    let (ann, bob) = (student("ann"), student("bob"));
    let (section, other) = (format!("{TERM}-1"), format!("{TERM}-2"));

    let mut as_ann = hub.signed_in_as(&ann);
    as_ann.put(&format!("/api/v1/me/registrations/{section}")).expect(201);
    as_ann.put_json("/api/v1/me/plan", &json!({"sections": [section]})).expect(200);
    let alert = json!({"title": "For Ann", "message": "Only for Ann.", "audience": {"users": ["ann"]}});
    let alert = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let before = lists_of(&hub, &ann);

    let mut as_bob = hub.signed_in_as(&bob);
    assert_eq!(lists_of(&hub, &bob), (json!([]), json!([])), "Bob has nothing yet");
    // The paths name the caller by `me`, so Bob's requests concern Bob, whatever else they contain.
    as_bob.delete(&format!("/api/v1/me/registrations/{section}")).expect(404);
    for path in ["/api/v1/me/registrations?user=ann", "/api/v1/me/plan?user=ann"] {
        assert!(!as_bob.get(path).text().contains(&section), "{path}");
    }
    as_bob.put_json("/api/v1/me/plan", &json!({"sections": [other]})).expect(200);
    let batch = json!({"drop": [section], "user": "ann"});
    let response = as_bob.post_json("/api/v1/me/registrations", &batch);
    assert!(response.status == 422 || response.status == 400, "an unknown member is refused: {}", response.text());

    let id = alert["id"].as_str().expect("an id");
    for path in ["/api/v1/alerts", "/api/v1/alerts?active=true", "/api/v1/dashboard"] {
        assert!(!as_bob.get(path).expect(200).text().contains("For Ann"), "{path}");
    }
    as_bob.post_json(&format!("/api/v1/alerts/{id}/ack"), &json!({})).expect(404);
    as_ann.post_json(&format!("/api/v1/alerts/{id}/ack"), &json!({})).expect(204);

    assert_eq!(lists_of(&hub, &ann), before, "Ann's data has not changed");
}
