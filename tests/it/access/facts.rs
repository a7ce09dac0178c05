//! Facts about students: staff state them, every term applies them, and the student sees them.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::credentials::{staff_of, student};
use super::hub::Hub;
use crate::support::WAIT_MAX;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};

/// Two terms, each with MATH 151 (1), which has a prerequisite, and ART 2 (2).
const TERMS: [&str; 2] = ["2104", "2105"];

fn load(staff: &mut Client, term: &str) {
    let csv = "crn,course,cap,credits,days,time,prerequisites\n\
               1,MATH 151,5,4,M,09:00-10:00,(MATH 141 or MATH 140 with C) and PHYS 101 concurrently\n\
               2,ART 2,5,3,T,09:00-10:00,\n";
    let task = start_import(staff, term, csv.as_bytes());
    let done = wait_for_import(staff, &task);
    assert_eq!((&done["state"], &done["warnings"]), (&json!("done"), &json!([])), "{done:#}");
    open_term(staff, term);
}

fn college() -> Hub {
    let hub = Hub::start();
    let mut staff = hub.staff();
    TERMS.iter().for_each(|term| load(&mut staff, term));
    hub
}

fn section(term: &str, crn: &str) -> String {
    format!("/api/v1/me/registrations/{term}-{crn}")
}

/// Returns `mine` of a term for a student.
fn mine(client: &mut Client, term: &str) -> Value {
    let terms = client.get("/api/v1/terms").expect(200).json();
    let found = terms["items"].as_array().unwrap().iter().find(|one| one["id"] == term);
    found.expect("the term")["mine"].clone()
}

fn hold(blocks: &[&str]) -> Value {
    let url = "https://library.example.edu/fines";
    json!({"id": "fine", "text": "A book is missing", "office": "Library", "url": url, "blocks": blocks})
}

#[test]
fn a_hold_refuses_registration_in_every_term() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    ann.put(&section(TERMS[0], "2")).expect(201);
    staff.put_json("/api/v1/students/ann", &json!({"holds": [hold(&["register"])]})).expect(200);
    for term in TERMS {
        let refused = ann.put(&section(term, "1")).expect(409).json();
        assert_eq!((&refused["code"], &refused["holds"]), (&json!("hold"), &json!([hold(&["register"])])), "{term}");
        assert_eq!(mine(&mut ann, term)["holds"], json!([hold(&["register"])]), "{term}");
    }
    ann.delete(&section(TERMS[0], "2")).expect(200);
    staff.put_json("/api/v1/students/ann", &json!({"holds": [hold(&["drop"])]})).expect(200);
    ann.put(&section(TERMS[1], "2")).expect(201);
    assert_eq!(ann.delete(&section(TERMS[1], "2")).expect(409).json()["code"], "hold");
    staff.put_json("/api/v1/students/ann", &json!({})).expect(200);
    ann.delete(&section(TERMS[1], "2")).expect(200);
}

#[test]
fn facts_stated_before_a_term_exists_apply_in_it() {
    let hub = Hub::start();
    let mut staff = hub.staff();
    staff.put_json("/api/v1/students/ann", &json!({"holds": [hold(&["register"])]})).expect(200);
    load(&mut staff, TERMS[0]);
    let mut ann = hub.signed_in_as(&student("ann"));
    assert_eq!(ann.put(&section(TERMS[0], "2")).expect(409).json()["code"], "hold");
}

#[test]
fn a_students_own_window_and_credits_are_in_mine() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    let window = json!({"group": "Honors", "opens_at": "2020-01-01T08:00:00Z", "closes_at": "2020-01-02T08:00:00Z"});
    let term = staff.put_json(&format!("/api/v1/terms/{}", TERMS[0]), &json!({"windows": [window]})).expect(200).json();
    assert_eq!(term["windows"], json!([window]));
    staff.put_json("/api/v1/students/ann", &json!({"groups": ["honors"], "credit_limit": 3})).expect(200);
    let shown = mine(&mut ann, TERMS[0]);
    assert_eq!((&shown["opens_at"], &shown["closes_at"]), (&window["opens_at"], &window["closes_at"]));
    let refused = ann.put(&section(TERMS[0], "2")).expect(409).json();
    assert_eq!((&refused["code"], &refused["closes_at"]), (&json!("registration_closed"), &window["closes_at"]));
    assert_eq!(mine(&mut ann, TERMS[1])["credit_limit"], 3);
    let refused = ann.put(&section(TERMS[1], "1")).expect(409).json();
    assert_eq!((&refused["code"], &refused["credit_limit"]), (&json!("credit_limit"), &json!(3)));
    let later = json!({"opens_at": "2100-01-01T08:00:00Z"});
    staff.put_json("/api/v1/students/ann", &later).expect(200);
    assert_eq!(mine(&mut ann, TERMS[1])["opens_at"], later["opens_at"]);
    assert_eq!(ann.put(&section(TERMS[1], "2")).expect(409).json()["opens_at"], later["opens_at"]);
}

#[test]
fn prerequisites_are_expressions_and_their_unmet_parts_are_named() {
    let hub = college();
    let mut staff = hub.staff();
    let either = json!({"text": "MATH 141 or MATH 140 with C",
                        "any": [{"course": "MATH 141"}, {"course": "MATH 140", "grade": "C"}]});
    let physics = json!({"course": "PHYS 101", "concurrent": true});
    let shown = |client: &mut Client, crn: &str| {
        client.get(&format!("/api/v1/sections/{}-{crn}", TERMS[0])).expect(200).json()["prerequisites"].clone()
    };
    let text = "(MATH 141 or MATH 140 with C) and PHYS 101 concurrently";
    assert_eq!(shown(&mut staff, "1"), json!({"text": text, "all": [either, physics]}));
    assert_eq!(shown(&mut staff, "2"), json!(null));

    let facts = json!({"holds": [], "groups": [], "completed": [{"course": "PHYS 101", "grade": "B", "term": "2103"}]});
    staff.put_json("/api/v1/students/ann", &facts).expect(200);
    let refused = hub.signed_in_as(&student("ann")).put(&section(TERMS[0], "1")).expect(409).json();
    assert_eq!((&refused["code"], &refused["unmet"]), (&json!("prerequisite"), &json!([either])));
    let more = json!([{"course": "PHYS 101"}, {"course": "math 140", "grade": "C"}]);
    staff.put_json("/api/v1/students/ann", &json!({"completed": more})).expect(200);
    hub.signed_in_as(&student("ann")).put(&section(TERMS[0], "1")).expect(201);
    // The college states nothing about Bob, so prerequisites do not refuse him.
    hub.signed_in_as(&student("bob")).put(&section(TERMS[0], "1")).expect(201);
}

#[test]
fn facts_are_read_back_audited_exported_and_erased() {
    let hub = college();
    let (mut staff, mut admin) = (hub.staff(), hub.admin());
    let none = json!({"user": "ann", "holds": [], "groups": [], "completed": [], "completed_known": false});
    assert_eq!(staff.get("/api/v1/students/ann").expect(200).json(), none);
    let facts = json!({
        "user": "ann", "holds": [hold(&["register", "drop"])], "credit_min": 6, "credit_limit": 21.5,
        "groups": ["veterans"], "program": "Nursing", "campus": "North",
        "opens_at": "2100-01-01T08:00:00Z", "closes_at": "2100-02-01T08:00:00Z",
        "completed": [{"course": "MATH 141", "grade": "B+", "term": "2103"}], "completed_known": true,
    });
    assert_eq!(staff.put_json("/api/v1/students/ann", &facts).expect(200).json(), facts);
    assert_eq!(staff.get("/api/v1/students/ann").expect(200).json(), facts);
    let mut limited = hub.signed_in_as(&staff_of("lim", &["MATH"]));
    assert_eq!(limited.get("/api/v1/students/ann").expect(403).json()["code"], "forbidden");

    let mut ann = hub.signed_in_as(&student("ann"));
    assert_eq!(ann.get("/api/v1/me/data").expect(200).json()["student"], facts);
    let readers = ann.get("/api/v1/me/disclosures").expect(200).json();
    assert_eq!(readers["items"][0]["action"], "student.read", "{readers}");
    let trail = admin.get("/api/v1/admin/audit?user=ann&action=student.change").expect(200).json();
    assert_eq!(trail["items"][0]["subject"], "ann", "{trail}");
    let detail = trail["items"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("holds: Library") && !detail.contains("B+") && !detail.contains("missing"), "{detail}");

    admin.post_json("/api/v1/admin/users/ann/erase", &json!({})).expect(200);
    assert_eq!(staff.get("/api/v1/students/ann").expect(200).json(), none);
    // Her earlier tokens are revoked; a later student may have her name.
    let namesake = || hub.signed_in_as(&student("ann"));
    let deadline = Instant::now() + WAIT_MAX;
    while namesake().get("/api/v1/me").status == 401 && Instant::now() < deadline {
        thread::yield_now();
    }
    TERMS.iter().for_each(|term| assert_eq!(mine(&mut namesake(), term)["holds"], json!([]), "{term}"));
}

#[test]
fn invalid_facts_are_refused_with_their_field() {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let of_hold = |name: &str, value: Value| {
        let mut hold = hold(&["register"]);
        hold[name] = value;
        json!({"holds": [hold]})
    };
    let table = [
        (of_hold("url", json!("javascript:alert(1)")), 422, "holds[0].url"),
        (of_hold("blocks", json!(["breathe"])), 422, "holds[0].blocks[0]"),
        (of_hold("office", json!(null)), 400, "holds[0].office"),
        (of_hold("level", json!(1)), 422, "holds[0].level"),
        (json!({"holds": ["fine"]}), 400, "holds[0]"),
        (json!({"credit_limit": -1}), 422, "credit_limit"),
        (json!({"credit_limit": "18"}), 400, "credit_limit"),
        (json!({"completed": [{"grade": "A"}]}), 422, "completed[0].course"),
        (json!({"opens_at": "2100-01-02T08:00:00Z", "closes_at": "2100-01-01T08:00:00Z"}), 422, "closes_at"),
        (json!({"gpa": 4}), 422, "gpa"),
    ];
    for (facts, status, field) in table {
        let problem = staff.put_json("/api/v1/students/ann", &facts).expect(status).json();
        assert_eq!(problem["field"], field, "{facts}");
    }
}

#[test]
fn a_file_of_facts_is_imported_and_audited() {
    let hub = college();
    let mut admin = hub.admin();
    let mut import = |query: &str, csv: &str| {
        let path = format!("/api/v1/students/import{query}");
        admin.call("POST", &path, &[("Content-Type", "text/csv")], csv.as_bytes()).unwrap()
    };
    let file = "user,holds,office,completed\nann,A book is missing,Library,MATH 141\n";
    let refused = import("?map=user:capacity", file).expect(422).json();
    assert_eq!(refused["field"], "map");
    let task = import("?dry_run=false", file).expect(202).json()["task"].as_str().unwrap().to_owned();
    let mut staff = hub.staff();
    let done = wait_for_import(&mut staff, &task);
    assert_eq!(
        (&done["state"], &done["students"], &done["created"]),
        (&json!("done"), &json!(1), &json!(1)),
        "{done:#}"
    );
    let mut ann = hub.signed_in_as(&student("ann"));
    let refused = ann.put(&section(TERMS[1], "2")).expect(409).json();
    assert_eq!((&refused["code"], &refused["holds"][0]["office"]), (&json!("hold"), &json!("Library")));
    let audit = hub.admin().get("/api/v1/admin/audit?action=import.students").expect(200).json();
    let entry = &audit["items"][0];
    assert_eq!((&entry["subject"], &entry["detail"]), (&json!(task), &json!("1 students: 1 new, 0 changed")));
}
