//! Instructors can read the rosters of their own sections, and no other data that only staff can read.

use std::thread;
use std::time::Instant;

use eduhub::domain::role::Role;
use serde_json::json;

use super::credentials::{instructor, minted, staff_of, student};
use super::hub::Hub;
use crate::support::WAIT_MAX;
use crate::support::http::Response;
use crate::support::schedule::{Row, Schedule, open_term, start_import, wait_for_import};

const TERM: &str = "2103";

/// Starts a hub with a section of Ann Lee (1), in which ann is enrolled, and one of Bob Ray (2).
fn college() -> Hub {
    let hub = Hub::start();
    let rows = vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")];
    let csv = Schedule { term: TERM.to_owned(), rows }.csv();
    // Imports remove numbers from names.
    let csv = csv.replace("Teacher 0", "Ann Lee").replace("Teacher 1", "\"Ray, Bob\"");
    let mut staff = hub.staff();
    let task = start_import(&mut staff, TERM, csv.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    open_term(&mut staff, TERM);
    hub.signed_in_as(&student("ann")).put(&format!("/api/v1/me/registrations/{TERM}-1")).expect(201);
    hub
}

/// Returns the CRNs of the sections whose rosters a user may read. Checks that the user's list has the same sections.
fn sections_of(hub: &Hub, user: &str, name: &str) -> Vec<&'static str> {
    let mut client = hub.signed_in_as(&instructor(user, name));
    let listed = client.get(&format!("/api/v1/me/teaching?term={TERM}")).expect(200).json();
    let mut readable = Vec::new();
    for crn in ["1", "2"] {
        let roster = client.get(&format!("/api/v1/sections/{TERM}-{crn}/roster"));
        let is_listed = listed["items"].as_array().unwrap().iter().any(|section| section["crn"] == crn);
        if roster.status == 200 {
            readable.push(crn);
        } else {
            assert_eq!((roster.status, roster.code().as_str()), (403, "forbidden"), "{}", roster.text());
            assert!(roster.text().contains("does not name you"), "{}", roster.text());
        }
        assert_eq!(is_listed, roster.status == 200, "{user}: {listed}");
    }
    readable
}

#[test]
fn instructors_read_the_rosters_of_their_own_sections() {
    let hub = college();
    assert_eq!(sections_of(&hub, "zero", " ann  LEE"), ["1"], "by the display name");
    assert_eq!(sections_of(&hub, "other", "Other Teacher"), [""; 0]);
    assert_eq!(sections_of(&hub, "stated", "Someone"), ["2"], "by the name that the settings state");
    assert_eq!(sections_of(&hub, "impostor", "Bob Ray"), [""; 0], "the settings give the name to another user");
    let disclosures = hub.signed_in_as(&student("ann")).get("/api/v1/me/disclosures").expect(200).json();
    let read = &disclosures["items"][0];
    assert_eq!((&read["action"], &read["role"]), (&json!("roster.read"), &json!("instructor")), "{disclosures:#}");
}

#[test]
fn limited_staff_read_the_rosters_of_their_own_sections_too() {
    let hub = college();
    let mut staff = hub.signed_in_as(&staff_of("stated", &["MATH"]));
    let mut status = |crn: &str| staff.get(&format!("/api/v1/sections/{TERM}-{crn}/roster")).status;
    assert_eq!([status("1"), status("2")], [200, 200], "the subject, and the section that names them");
    let refused = hub.signed_in_as(&staff_of("other", &["STAT"])).get(&format!("/api/v1/sections/{TERM}-1/roster"));
    assert!(refused.status == 403 && refused.text().contains("limited to STAT"), "{}", refused.text());
}

#[test]
fn the_list_of_own_sections_has_a_limit_and_no_ended_terms() {
    let hub = college();
    let mut ann = hub.signed_in_as(&instructor("zero", "Ann Lee"));
    let listed = |response: Response| {
        let list = response.expect(200).json();
        (list["items"].as_array().unwrap().len(), list["total"].as_u64().unwrap())
    };
    assert_eq!(listed(ann.get("/api/v1/me/teaching")), (1, 1));
    let mut staff = hub.staff();
    let csv =
        Schedule { term: TERM.to_owned(), rows: vec![Row::lecture("1", "MATH 1"), Row::lecture("2", "ART 2")] }.csv();
    let csv = csv.replace("Teacher 0", "Ann Lee").replace("Teacher 1", "Ann Lee");
    let task = start_import(&mut staff, TERM, csv.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    assert_eq!(listed(ann.get("/api/v1/me/teaching?limit=1")), (1, 2));
    assert_eq!(ann.get("/api/v1/me/teaching?limit=0").status, 422);
    let term = json!({"starts_on": "2001-01-08", "ends_on": "2001-05-18"});
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &term).expect(200);
    assert_eq!(listed(ann.get("/api/v1/me/teaching")), (0, 0));
    assert_eq!(listed(ann.get(&format!("/api/v1/me/teaching?term={TERM}"))), (2, 2));
}

#[test]
fn a_display_name_that_two_users_share_opens_no_roster() {
    let hub = college();
    let mut admin = hub.signed_in_as(&minted(Role::Admin));
    let mut create = |user: &str, role: &str, name: &str| {
        let account = json!({"role": role, "name": name, "password": "a password of a namesake"});
        admin.put_json(&format!("/api/v1/admin/users/{user}"), &account).expect(201);
    };
    create("student-0", "student", "Ann Lee");
    assert_eq!(sections_of(&hub, "zero", "Ann Lee"), ["1"], "a student is not an instructor");
    create("namesake", "instructor", "Lee, Ann");
    // Users who were seen are stored in batches.
    let (mut users, since) = (hub.signed_in_as(&minted(Role::Admin)), Instant::now());
    while !users.get("/api/v1/admin/users").expect(200).text().contains("\"zero\"") {
        assert!(since.elapsed() < WAIT_MAX, "the hub does not list the user");
        thread::yield_now();
    }
    assert_eq!(sections_of(&hub, "zero", "Ann Lee"), [""; 0]);
    assert_eq!(sections_of(&hub, "namesake", "Lee, Ann"), [""; 0]);
    assert_eq!(sections_of(&hub, "stated", "Ann Lee"), ["2"]);
}
