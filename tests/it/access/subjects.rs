//! Staff who are limited to subjects have no access to data of other subjects.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::credentials::{staff_of, student};
use super::hub::Hub;
use crate::support::http::{Client, Response};
use crate::support::schedule::{Row, Schedule, start_import, wait_for_import};
use crate::support::wait::eventually;

const TERM: &str = "2102";
const LIMIT: &str = "your account is limited to MATH and STAT";

/// Starts a hub with a section of MATH (1), in which ann is enrolled, and one of ART (2), in which bob is.
fn college() -> Hub {
    let hub = Hub::start();
    let rows = vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")];
    Schedule { term: TERM.to_owned(), rows }.load(&mut hub.staff());
    for (name, crn) in [("ann", "1"), ("bob", "2")] {
        hub.signed_in_as(&student(name)).put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
    }
    hub
}

fn limited(hub: &Hub) -> Client {
    hub.signed_in_as(&staff_of("mathew", &["MATH", "STAT"]))
}

/// Checks that a request is refused, and that the problem states the reason and the limit.
fn assert_refused(response: &Response, reason: &str) {
    let text = response.text();
    assert_eq!((response.status, response.code().as_str()), (403, "forbidden"), "{text}");
    assert!(text.contains(reason) && text.contains(LIMIT), "{reason}: {text}");
}

fn alert_to(audience: &Value) -> Value {
    json!({"title": "Room change", "message": "Room 4.", "audience": audience})
}

#[test]
fn rosters_and_edits_of_other_subjects_are_refused() {
    let hub = college();
    let mut staff = limited(&hub);
    assert_eq!(staff.get("/api/v1/me").expect(200).json()["subjects"], json!(["MATH", "STAT"]));
    assert!(hub.staff().get("/api/v1/me").expect(200).json().get("subjects").is_none(), "staff without a limit");
    let (own, other) = (format!("/api/v1/sections/{TERM}-1"), format!("/api/v1/sections/{TERM}-2"));

    assert!(staff.get(&format!("{own}/roster")).expect(200).text().contains("ann"));
    assert_refused(&staff.get(&format!("{other}/roster")), "This concerns ART");
    let csv = staff.call("GET", &format!("{other}/roster"), &[("Accept", "text/csv")], b"").unwrap();
    assert_refused(&csv, "This concerns ART");
    let change = json!({"capacity": 9});
    staff.patch_json(&own, &change).expect(200);
    assert_refused(&staff.patch_json(&other, &change), "This concerns ART");
    assert_eq!(staff.get(&other).expect(200).json()["capacity"], 5, "nothing was changed");
    assert_refused(&staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"title": "Spring"})), "all subjects");
    assert_eq!(staff.get(&format!("{own}/attempts")).expect(200).json()["items"][0]["user"], "ann");
    assert_refused(&staff.get(&format!("{other}/attempts")), "This concerns ART");
    assert_refused(&staff.get("/api/v1/students/ann/attempts"), "all subjects");
    // For a section that does not exist, the response is 404, whatever the limit.
    staff.get(&format!("/api/v1/sections/{TERM}-9/roster")).expect(404);
}

#[test]
fn alerts_reach_students_of_own_subjects_only() {
    let hub = college();
    let mut staff = limited(&hub);
    let (own, other) = (format!("{TERM}-1"), format!("{TERM}-2"));
    let refused = [
        (json!({"all": true}), "all subjects"),
        (json!({"roles": ["student"]}), "all subjects"),
        (json!({"sections": [own, other]}), "This concerns ART"),
        (json!({"courses": ["ART 2"]}), "This concerns ART"),
        (json!({"users": ["ann", "bob"]}), "bob is in none of your sections"),
        (json!({"users": ["absent"]}), "absent is in none of your sections"),
    ];
    for (audience, reason) in refused {
        for path in ["/api/v1/alerts", "/api/v1/alerts?dry_run=true"] {
            assert_refused(&staff.post_json(path, &alert_to(&audience)), reason);
        }
    }
    for audience in [json!({"sections": [own]}), json!({"courses": ["MATH 1", "STAT 7"]}), json!({"users": ["ann"]})] {
        let sent = staff.post_json("/api/v1/alerts", &alert_to(&audience)).expect(201).json();
        let path = format!("/api/v1/alerts/{}", sent["id"].as_str().unwrap());
        assert!(
            staff.get(&format!("{path}/receipts")).expect(200).text().contains("ann")
                || audience.get("courses").is_some()
        );
        staff.delete(&path).expect(204);
    }
}

#[test]
fn alerts_of_others_are_hidden_and_cannot_be_cancelled() {
    let hub = college();
    let (mut all, mut staff) = (hub.staff(), limited(&hub));
    let mut send = |audience: Value, scheduled: bool| {
        let mut alert = alert_to(&audience);
        if scheduled {
            alert["starts_at"] = json!("2099-01-01T00:00:00Z");
        }
        all.post_json("/api/v1/alerts", &alert).expect(201).json()["id"].as_str().unwrap().to_owned()
    };
    let math = json!({"sections": [format!("{TERM}-1")]});
    let others = [
        (json!({"sections": [format!("{TERM}-2")]}), "This concerns ART"),
        (json!({"all": true}), "all subjects"),
        (json!({"users": ["ann"]}), "belongs to someone else"),
    ];
    for scheduled in [false, true] {
        let own = send(math.clone(), scheduled);
        let state = if scheduled { "scheduled" } else { "sent" };
        for (audience, reason) in &others {
            let id = send(audience.clone(), scheduled);
            assert_refused(&staff.get(&format!("/api/v1/alerts/{id}/receipts")), reason);
            assert_refused(&staff.delete(&format!("/api/v1/alerts/{id}")), reason);
            assert_refused(&staff.put_json(&format!("/api/v1/alerts/{id}"), &alert_to(&math)), reason);
        }
        let listed = staff.get(&format!("/api/v1/alerts?state={state}")).expect(200).json();
        let ids: Vec<&str> =
            listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [own.as_str()], "{state}");
        let first = staff.get(&format!("/api/v1/alerts?state={state}&limit=1")).expect(200).json();
        assert_eq!(first["items"][0]["id"], own, "alerts that are not shown do not count");
    }
    // An alert to all staff does not disclose its other recipients.
    all.post_json("/api/v1/alerts", &alert_to(&json!({"roles": ["staff"], "users": ["bob"]}))).expect(201);
    let received = staff.get("/api/v1/alerts").expect(200).text();
    assert!(received.contains("staff") && !received.contains("bob"), "{received}");
}

#[test]
fn files_with_sections_of_other_subjects_are_rejected() {
    let hub = college();
    let mut staff = limited(&hub);
    let file = |rows: Vec<Row>| Schedule { term: TERM.to_owned(), rows }.csv();
    let refused = [
        (file(vec![Row::lecture("3", "MATH 3"), Row::lecture("4", "ART 4")]), "This concerns ART"),
        // The section of another subject would become one of MATH.
        (file(vec![Row::lecture("2", "MATH 2")]), "This concerns ART"),
        (
            "program,date,time,instructor,room,duration,description\nTour,2030-01-07,09:00,Kim,Hall,60,A tour\n"
                .to_owned(),
            "This concerns all subjects",
        ),
    ];
    for (csv, reason) in refused {
        for options in ["dry_run=false", "dry_run=true", "dry_run=false&partial=true"] {
            let path = format!("/api/v1/imports?term={TERM}&{options}");
            let started = staff.call("POST", &path, &[("Content-Type", "text/csv")], csv.as_bytes()).unwrap();
            let task = wait_for_import(&mut staff, started.expect(202).json()["task"].as_str().unwrap());
            assert_eq!(task["state"], "failed", "{options}: {task:#}");
            let message = task["errors"][0]["message"].as_str().unwrap_or_default();
            assert!(message.contains(reason) && message.contains(LIMIT), "{options}: {task:#}");
            let errors = format!("/api/v1/imports/{}/errors.csv", task["task"].as_str().unwrap());
            assert!(staff.get(&errors).expect(200).text().contains(reason), "{options}");
        }
    }
    for (crn, course) in [("2", "ART 2"), ("4", "none")] {
        let section = hub.staff().get(&format!("/api/v1/sections/{TERM}-{crn}"));
        assert_eq!(section.status == 200, course != "none", "nothing was imported: {}", section.text());
        assert!(course == "none" || section.json()["course"] == course);
    }
    let own = file(vec![Row::lecture("1", "MATH 1"), Row::lecture("3", "STAT 3")]);
    let new = own.replace(TERM, "2999");
    let task = start_import(&mut staff, "2999", new.as_bytes());
    let task = wait_for_import(&mut staff, &task);
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["errors"][0]["message"].as_str().unwrap().contains("cannot create a term"), "{task:#}");
    let task = start_import(&mut staff, TERM, own.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");

    let other = start_import(&mut hub.staff(), TERM, own.as_bytes());
    wait_for_import(&mut hub.staff(), &other);
    for (method, rest) in [("GET", ""), ("GET", "/errors.csv"), ("DELETE", "")] {
        let response = staff.call(method, &format!("/api/v1/imports/{other}{rest}"), &[], b"").unwrap();
        assert_refused(&response, "belongs to someone else");
    }
}

#[test]
fn a_changed_limit_of_an_account_ends_its_tokens() {
    let hub = Hub::start();
    let mut admin = hub.signed_in_as(&super::credentials::minted(eduhub::domain::role::Role::Admin));
    let password = "a password of the desk";
    let path = "/api/v1/admin/users/desk";
    let mut put = |body: Value| admin.put_json(path, &body);
    let minted = hub.signed_in_as(&super::credentials::staff_of("desk", &["ART"]));
    let made = put(json!({"role": "staff", "password": password, "subjects": ["math"]})).expect(201).json();
    assert_eq!(made["subjects"], json!(["MATH"]));
    let sign_in = || {
        let credentials = json!({"username": "desk", "password": password});
        let signed_in = hub.client().post_json("/api/v1/login", &credentials).expect(200).json();
        (signed_in["token"].as_str().unwrap().to_owned(), signed_in["user"]["subjects"].clone())
    };
    let (first, subjects) = sign_in();
    assert_eq!(subjects, json!(["MATH"]));
    { minted }.get("/api/v1/me").expect(401);
    // A change that does not name the limit keeps it.
    assert_eq!(put(json!({"role": "staff", "name": "The desk"})).expect(200).json()["subjects"], json!(["MATH"]));
    hub.signed_in_as(&first).get("/api/v1/me").expect(200);
    put(json!({"role": "staff", "subjects": ["MATH", "ART"]})).expect(200);
    hub.signed_in_as(&first).get("/api/v1/me").expect(401);
    let (second, subjects) = sign_in();
    assert_eq!(subjects, json!(["ART", "MATH"]));
    // Changing the role and changing it back does not lift the limit.
    for (role, subjects) in [("student", Value::Null), ("instructor", Value::Null), ("staff", json!(["ART", "MATH"]))] {
        assert_eq!(put(json!({"role": role})).expect(200).json()["subjects"], subjects, "{role}");
    }
    hub.signed_in_as(&second).get("/api/v1/me").expect(401);
    let (second, _) = sign_in();
    put(json!({"role": "staff", "subjects": []})).expect(200);
    hub.signed_in_as(&second).get("/api/v1/me").expect(401);
    assert_eq!(sign_in().1, Value::Null, "the limit is removed");
    for (role, subjects) in [("student", json!(["MATH"])), ("admin", json!(["MATH"])), ("staff", json!([" "]))] {
        let response = put(json!({"role": role, "subjects": subjects}));
        assert_eq!(
            (response.status, response.json()["field"].as_str()),
            (422, Some("subjects")),
            "{}",
            response.text()
        );
    }
}

/// Schedules an alert by the desk to everyone and one by the registrar, to be sent `seconds` from now, and then limits
/// the desk to a subject. Returns the ids of the alerts; `None` if the machine was so slow that they were due earlier.
fn schedule_before_a_limit(hub: &Hub, seconds: i64) -> Option<[String; 2]> {
    let due = Timestamp::now() + SignedDuration::from_secs(seconds);
    let schedule = |mut client: Client| {
        let mut alert = alert_to(&json!({"all": true}));
        alert["starts_at"] = json!(due);
        client.post_json("/api/v1/alerts", &alert).expect(201).json()["id"].as_str().unwrap().to_owned()
    };
    let desk = format!("desk{seconds}");
    let ids = [schedule(hub.signed_in_as(&super::credentials::staff_named(&desk))), schedule(hub.staff())];
    let account = json!({"role": "staff", "subjects": ["MATH"], "password": "a password of the desk"});
    hub.admin().put_json(&format!("/api/v1/admin/users/{desk}"), &account).expect(201);
    (Timestamp::now() < due).then_some(ids)
}

#[test]
fn a_scheduled_alert_beyond_a_new_limit_is_not_sent() {
    let hub = Hub::start();
    let [withheld, sent] = [2, 8, 32].into_iter().find_map(|s| schedule_before_a_limit(&hub, s)).expect("two alerts");
    let text = eventually("the other alert", || {
        let text = hub.client().get("/api/v1/alerts").expect(200).text();
        text.contains(&sent).then_some(text)
    });
    assert!(!text.contains(&withheld), "{text}");
    let entry = eventually("an entry about the alert", || {
        let page = hub.admin().get("/api/v1/admin/audit?action=alert.withhold").expect(200).json();
        page["items"].as_array()?.iter().find(|entry| entry["subject"] == withheld.as_str()).cloned()
    });
    assert!(entry["detail"].as_str().is_some_and(|detail| detail.contains("limited to other subjects")), "{entry}");
    assert!(!hub.staff().get("/api/v1/alerts?state=scheduled").expect(200).text().contains(&withheld));
}
