//! Privacy: reads of personal data are audited, people see who read their data and export it, and an administrator
//! erases a person.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::openapi::assert_has_schema;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

const TERM: &str = "203001";
const SECTION: &str = "203001-1";
const PASSWORD: &str = "a long password of the tests";

/// A hub with a section in which `annabelle` and `bob` are enrolled, a staff member with a display name, and an admin.
struct College {
    ann: Client,
    staff: Client,
    root: Client,
}

impl College {
    fn new(home: &Home, server: &Server) -> Self {
        let mut root = server.client().signed_in(&home.token("root", "admin"));
        let account = json!({"role": "staff", "name": "Dana Reyes", "password": PASSWORD});
        root.put_json("/api/v1/admin/users/dreyes7", &account).expect(201);
        let login = json!({"username": "dreyes7", "password": PASSWORD});
        let signed_in = server.client().post_json("/api/v1/login", &login).expect(200).json();
        let mut staff = server.client().signed_in(signed_in["token"].as_str().unwrap());
        Schedule { term: TERM.to_owned(), rows: vec![Row::lecture("1", "MATH 1")] }.load(&mut staff);
        let [mut ann, mut bob] =
            ["annabelle", "bob"].map(|name| server.client().signed_in(&home.token(name, "student")));
        for student in [&mut ann, &mut bob] {
            student.put(&format!("/api/v1/me/registrations/{SECTION}")).expect(201);
        }
        Self { ann, staff, root }
    }

    /// Returns the entries of the audit trail with this action.
    fn audited(&mut self, action: &str) -> Vec<Value> {
        let trail = self.root.get(&format!("/api/v1/admin/audit?action={action}")).expect(200).json();
        trail["items"].as_array().unwrap().clone()
    }

    /// Returns who read data about `annabelle`, and what, newest first.
    fn readers(&mut self) -> Vec<Value> {
        let list = self.ann.get("/api/v1/me/disclosures").expect(200).json();
        assert_has_schema("DisclosureList", &list);
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| json!([item["name"], item["role"], item["action"], item["section"]])).collect()
    }
}

#[test]
fn reads_of_personal_data_are_audited_before_the_response() {
    let home = Home::new();
    let server = home.serve();
    let mut college = College::new(&home, &server);
    let alert = json!({"title": "Room change", "message": "Room 4.", "audience": {"sections": [SECTION]}});
    let alert = college.staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let receipts = format!("/api/v1/alerts/{}/receipts", alert["id"].as_str().unwrap());
    let roster = format!("/api/v1/sections/{SECTION}/roster");

    college.staff.get(&roster).expect(200);
    let read = college.audited("roster.read");
    assert_eq!(
        (&read[0]["user"], &read[0]["section"], &read[0]["detail"], read.len()),
        (&json!("dreyes7"), &json!(SECTION), &json!("2 people"), 1)
    );
    college.staff.call("GET", &roster, &[("Accept", "text/csv")], b"").unwrap().expect(200);
    assert_eq!(college.audited("roster.export").len(), 1);
    college.staff.get(&format!("{receipts}?limit=0")).expect(200);
    assert_eq!(college.audited("receipts.read"), [json!(null); 0], "totals name no one");
    college.staff.get(&receipts).expect(200);
    let read = college.audited("receipts.read");
    assert_eq!((&read[0]["subject"], read.len()), (&alert["id"], 1));
    let _socket = {
        let mut socket = Socket::connect(server.address(), Some(&home.token("annabelle", "student")));
        socket.wait_for("live", |frame| frame["type"] == "live");
        socket
    };
    // Users are listed a moment after their first request.
    eventually("the student to be listed", || {
        college.root.get("/api/v1/admin/users").expect(200).text().contains("annabelle").then_some(())
    });
    college.root.get("/api/v1/admin/sessions").expect(200);
    for action in ["users.list", "sessions.list", "audit.read"] {
        assert_eq!(college.audited(action).len(), 1, "{action}");
    }

    let dana = |action: &str| json!(["Dana Reyes", "staff", action, SECTION]);
    let mut readers = college.readers();
    readers.retain(|reader| reader[0] == "Dana Reyes");
    let of_alert = json!(["Dana Reyes", "staff", "receipts.read", null]);
    assert_eq!(readers, [of_alert, dana("roster.export"), dana("roster.read")]);
    let root = |action: &str| json!([null, "admin", action, null]);
    for action in ["users.list", "sessions.list"] {
        assert!(college.readers().contains(&root(action)), "{action}");
    }
    let text = college.ann.get("/api/v1/me/disclosures").text();
    assert!(!text.contains("dreyes7") && !text.contains("127.0.0.1"), "{text}");
    server.client().get("/api/v1/me/disclosures").expect(401);
}

#[test]
fn a_page_that_polls_fills_neither_the_trail_nor_the_store() {
    let home = Home::new();
    let server = home.serve();
    let mut college = College::new(&home, &server);
    let roster = format!("/api/v1/sections/{SECTION}/roster");
    for _ in 0..50 {
        college.staff.get(&roster).expect(200);
        college.root.get("/api/v1/admin/sessions").expect(200);
    }
    assert_eq!((college.audited("roster.read").len(), college.audited("sessions.list").len()), (1, 1));
    // A student who registers later is named by the same entry.
    let mut cid = server.client().signed_in(&home.token("cid", "student"));
    cid.put(&format!("/api/v1/me/registrations/{SECTION}")).expect(201);
    college.staff.get(&roster).expect(200);
    assert_eq!(college.audited("roster.read").len(), 1);
    assert_eq!(cid.get("/api/v1/me/disclosures").json()["items"][0]["action"], "roster.read");
    // The number of later reads is stored at the end of the five minutes, here when the hub stops.
    assert!(server.stop().success());
    let server = home.serve();
    let mut root = server.client().signed_in(&home.token("root", "admin"));
    let trail = root.get("/api/v1/admin/audit?action=roster.read").expect(200).json();
    let detail = trail["items"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("read 50 more times within 5 minutes of"), "{detail}");
}

#[test]
fn a_student_exports_their_own_data_and_nothing_about_others() {
    let home = Home::new();
    let server = home.serve();
    let mut college = College::new(&home, &server);
    college.ann.put_json("/api/v1/me/plan", &json!({"sections": [SECTION]})).expect(200);
    let alert = json!({"title": "Room change", "message": "Room 4.", "audience": {"sections": [SECTION]}});
    let alert = college.staff.post_json("/api/v1/alerts", &alert).expect(201).json();
    let ack = format!("/api/v1/alerts/{}/ack", alert["id"].as_str().unwrap());
    college.ann.post_json(&ack, &json!({})).expect(204);
    college.staff.get(&format!("/api/v1/sections/{SECTION}/roster")).expect(200);
    college.ann.delete(&format!("/api/v1/me/registrations/{SECTION}")).expect(200);

    let response = college.ann.get("/api/v1/me/data").expect(200);
    let header = |name: &str| response.header(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-disposition"), "attachment; filename=\"eduhub-my-data.json\"");
    assert_eq!(
        (header("content-type"), header("cache-control")),
        ("application/json".into(), "private, no-store".into())
    );
    let data = response.json();
    assert_has_schema("PersonalData", &data);
    assert_eq!((&data["username"], &data["plan"]), (&json!("annabelle"), &json!([SECTION])));
    let first = |list: &str| data[list][0].clone();
    assert_eq!(
        (&first("registrations")["section"], &first("registrations")["status"]),
        (&json!(SECTION), &json!("dropped"))
    );
    assert_eq!((&first("alerts")["title"], &first("acknowledgements")["alert"]), (&json!("Room change"), &alert["id"]));
    assert_eq!(
        (&first("disclosures")["name"], &first("disclosures")["action"]),
        (&json!("Dana Reyes"), &json!("roster.read"))
    );
    let text = response.text();
    assert!(!text.contains("bob") && !text.contains("dreyes7") && !text.contains("argon2"), "{text}");
    server.client().get("/api/v1/me/data").expect(401);
    assert_eq!(college.staff.get("/api/v1/me/data").expect(200).json()["user"]["name"], "Dana Reyes");
}

#[test]
fn an_erased_student_leaves_a_pseudonym_and_correct_counts() {
    let home = Home::new();
    let server = home.serve();
    let mut college = College::new(&home, &server);
    let path = "/api/v1/admin/users/annabelle/erase";
    let refused = college.root.post_json(path, &json!({})).expect(409).json();
    assert_eq!(refused["code"], "still_registered");
    assert!(refused["detail"].as_str().unwrap().contains(TERM), "{refused}");
    college.ann.get("/api/v1/me").expect(200);
    college.staff.post_json(path, &json!({})).expect(403);
    college.root.post_json("/api/v1/admin/users/no-such-person/erase", &json!({})).expect(404);
    college.root.post_json("/api/v1/admin/users/root/erase", &json!({})).expect(422);

    college.staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"ends_on": "2020-05-01"})).expect(200);
    let erased = college.root.post_json(path, &json!({})).expect(200).json();
    let pseudonym = erased["pseudonym"].as_str().unwrap().to_owned();
    assert!(pseudonym.starts_with("erased-"), "{erased}");
    assert_eq!(erased["terms"], json!([TERM]));
    college.ann.get("/api/v1/me").expect(401);
    let names = |staff: &mut Client| {
        let roster = staff.get(&format!("/api/v1/sections/{SECTION}/roster")).expect(200).json();
        roster["items"].as_array().unwrap().iter().map(|item| item["user"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut college.staff), [json!(pseudonym), json!("bob")]);
    let entry = &college.audited("user.erase")[0];
    assert_eq!((&entry["user"], &entry["subject"]), (&json!("root"), &json!(pseudonym)));
    let trail = college.root.get("/api/v1/admin/audit?limit=1000").text();
    assert!(!trail.contains("annabelle"), "{trail}");
    let users = college.root.get("/api/v1/admin/users").text();
    assert!(!users.contains("annabelle"), "{users}");
    // Someone who gets the username later has none of the registrations.
    let mut namesake = server.client().signed_in(&home.token("annabelle", "student"));
    assert_eq!(namesake.get("/api/v1/me/registrations").expect(200).json()["items"], json!([]));
    // The registrar of the term has the pseudonym, too: a change to the section keeps it.
    college.staff.patch_json(&format!("/api/v1/sections/{SECTION}"), &json!({"capacity": 9})).expect(200);
    assert_eq!(college.staff.get(&format!("/api/v1/sections/{SECTION}")).json()["enrolled"], 2);
    assert!(server.stop().success());
    home.verify().unwrap();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    assert_eq!(names(&mut staff), [json!(pseudonym), json!("bob")]);
}
