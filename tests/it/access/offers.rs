//! Offers of seats through the application: settings, acceptance, and their end by the registrar's own timer.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::wait::eventually;

const TERM: &str = "2106";
const SECTION: &str = "2106-1";
const OWN: &str = "/api/v1/me/registrations/2106-1";

/// Starts a hub with a section of one seat that `ann` has, and in which seats are offered for `seconds`. `bob` and
/// `cyd` wait.
fn college(seconds: u32) -> (Hub, [Client; 3]) {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let task = start_import(&mut staff, TERM, b"crn,course,credits,cap,wait_cap\n1,BIOL 1,3,1,5\n");
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    open_term(&mut staff, TERM);
    let settings = json!({"waitlist": "offer", "offer_s": seconds, "offer_first_day_s": 86_400});
    let term = staff.put_json(&format!("/api/v1/terms/{TERM}"), &settings).expect(200).json();
    assert_eq!(
        (&term["waitlist"], &term["offer_s"], &term["offer_first_day_s"]),
        (&json!("offer"), &json!(seconds), &json!(86_400))
    );
    let [mut ann, mut bob, mut cyd] = ["ann", "bob", "cyd"].map(|name| hub.signed_in_as(&student(name)));
    ann.put(OWN).expect(201);
    for waiting in [&mut bob, &mut cyd] {
        waiting.put(&format!("{OWN}?waitlist=true")).expect(201);
    }
    (hub, [ann, bob, cyd])
}

/// Returns the caller's registration in the section; null without one.
fn own(client: &mut Client) -> Value {
    client.get("/api/v1/me/registrations").expect(200).json()["items"][0].clone()
}

#[test]
fn an_offered_seat_is_accepted_by_a_registration_request() {
    let (hub, [mut ann, mut bob, mut cyd]) = college(3_600);
    ann.delete(OWN).expect(200);
    let offered = own(&mut bob);
    assert_eq!((&offered["status"], &offered["position"]), (&json!("offered"), &Value::Null));
    assert!(offered["expires_at"].is_string(), "{offered}");
    assert_eq!((&own(&mut cyd)["status"], &own(&mut cyd)["position"]), (&json!("waitlisted"), &json!(1)));
    // The offer counts as taken.
    let section = hub.client().get(&format!("/api/v1/sections/{SECTION}")).expect(200).json();
    assert_eq!([&section["enrolled"], &section["offered"], &section["open"], &section["waitlisted"]], [1, 1, 0, 1]);
    let seats = hub.client().get(&format!("/api/v1/seats?term={TERM}")).expect(200).json();
    assert_eq!(seats["seats"][0], json!([SECTION, 1, 1, 1, 0]));
    assert_eq!(ann.put(OWN).expect(409).json()["code"], "section_full");
    let roster = hub.staff().get(&format!("/api/v1/sections/{SECTION}/roster")).expect(200).json();
    let statuses: Vec<&Value> = roster["items"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["offered", "waitlisted"]);
    assert_eq!(roster["items"][0]["expires_at"], offered["expires_at"]);
    let alerts = bob.get("/api/v1/alerts?since=0").expect(200).json();
    let notice = &alerts["items"][0]["notice"];
    assert_eq!((&notice["reason"], &notice["expires_at"]), (&json!("offer"), &offered["expires_at"]), "{alerts:#}");
    let accepted = bob.put(OWN).expect(201).json();
    assert_eq!((&accepted["status"], &accepted["expires_at"]), (&json!("enrolled"), &Value::Null));
    assert!(accepted["receipt"]["n"].is_u64(), "{accepted}");
    bob.put(OWN).expect(200);
    let attempts = bob.get("/api/v1/me/attempts").expect(200).json();
    let results: Vec<&Value> = attempts["items"].as_array().unwrap().iter().map(|one| &one["result"]).collect();
    assert_eq!(results, ["enrolled", "enrolled", "offered", "waitlisted"]);
}

#[test]
fn a_declined_offer_goes_to_the_next_student_at_once() {
    let (_hub, [mut ann, mut bob, mut cyd]) = college(3_600);
    ann.delete(OWN).expect(200);
    assert_eq!(bob.delete(OWN).expect(200).json()["status"], "dropped");
    assert_eq!(own(&mut cyd)["status"], "offered");
}

#[test]
fn an_offer_lapses_without_any_request() {
    let (_hub, [mut ann, mut bob, mut cyd]) = college(1);
    ann.delete(OWN).expect(200);
    // `bob` has one second, and then `cyd`.
    for client in [&mut bob, &mut cyd] {
        eventually("the end of the offer", || own(client).is_null().then_some(()));
    }
    let section = ann.get(&format!("/api/v1/sections/{SECTION}")).expect(200).json();
    assert_eq!([&section["enrolled"], &section["open"], &section["waitlisted"]], [0, 1, 0]);
    for client in [&mut bob, &mut cyd] {
        let attempts = client.get("/api/v1/me/attempts").expect(200).json();
        let newest = &attempts["items"][0];
        assert_eq!([&newest["action"], &newest["result"], &newest["by"]], ["lapse", "dropped", "system"]);
        let alerts = client.get("/api/v1/alerts?since=0").expect(200).json();
        let reasons: Vec<&Value> =
            alerts["items"].as_array().unwrap().iter().map(|one| &one["notice"]["reason"]).collect();
        assert_eq!(reasons.last(), Some(&&json!("lapsed")), "{alerts:#}");
    }
}

#[test]
fn invalid_settings_of_a_term_are_rejected_by_name() {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let path = format!("/api/v1/terms/{TERM}");
    for (body, status, field) in [
        (json!({"waitlist": "maybe"}), 422, "waitlist"),
        (json!({"waitlist": 1}), 400, "waitlist"),
        (json!({"offer_s": 0}), 422, "offer_s"),
        (json!({"offer_s": 2_592_001}), 422, "offer_s"),
        (json!({"offer_first_day_s": "1"}), 400, "offer_first_day_s"),
    ] {
        let problem = staff.put_json(&path, &body).expect(status).json();
        assert_eq!(problem["field"], field, "{body}");
    }
    staff.put_json(&path, &json!({"waitlist": "offer", "offer_s": 60})).expect(201);
    let cleared = staff.put_json(&path, &json!({"waitlist": null, "offer_s": null})).expect(200).json();
    assert_eq!((&cleared["waitlist"], &cleared["offer_s"]), (&Value::Null, &Value::Null));
}
