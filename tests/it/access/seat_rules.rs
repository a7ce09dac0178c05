//! Who gets which seat, through the application: fields of sections, refusals, deadlines, and requests by staff.

use serde_json::{Value, json};

use super::credentials::student;
use super::hub::Hub;
use crate::support::http::Client;
use crate::support::schedule::{open_term, start_import, wait_for_import};

const TERM: &str = "2106";

/// Starts a hub with a lecture and its lab, two cross-listed sections, and a section with a condition on its students.
fn college() -> Hub {
    let hub = Hub::start();
    let mut staff = hub.staff();
    let csv = "crn,course,component,credits,cap,wait_cap,linked,cross_listed,cross_listed_capacity,reserved,restrictions\n\
               1,BIOL 1,lecture,3,5,2,2,,,,\n\
               2,BIOL 1,lab,0,1,2,1,,,,\n\
               3,ART 1,lecture,3,5,0,,XL1,1,,\n\
               4,LAW 1,lecture,3,5,0,,xl1,1,,\n\
               5,MATH 1,lecture,3,2,2,,,,honors: 1 until 2100-01-01T00:00:00Z,not campus: North\n";
    let task = start_import(&mut staff, TERM, csv.as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!((&done["state"], &done["warnings"]), (&json!("done"), &json!([])), "{done:#}");
    open_term(&mut staff, TERM);
    hub
}

fn id(crn: &str) -> String {
    format!("{TERM}-{crn}")
}

fn own(crn: &str) -> String {
    format!("/api/v1/me/registrations/{TERM}-{crn}")
}

fn section(client: &mut Client, crn: &str) -> Value {
    client.get(&format!("/api/v1/sections/{TERM}-{crn}")).expect(200).json()
}

#[test]
fn a_lecture_and_its_lab_are_registered_together() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    let refused = ann.put(&own("1")).expect(409).json();
    assert_eq!((&refused["code"], &refused["choices"]), (&json!("linked_section_required"), &json!([id("2")])));
    let both = json!({"add": [id("1"), id("2")]});
    let results = ann.post_json("/api/v1/me/registrations", &both).expect(200).json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!("enrolled"), &json!("enrolled")), "{results}");
    let mut bob = hub.signed_in_as(&student("bob"));
    let results = bob.post_json("/api/v1/me/registrations", &both).expect(200).json()["results"].clone();
    let codes = [&results[0]["problem"]["code"], &results[1]["problem"]["code"]];
    assert_eq!(codes, ["linked_section_required", "section_full"]);
    assert_eq!(results[0]["problem"]["choices"], json!([]));
}

#[test]
fn cross_listed_sections_show_and_share_one_pool() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    let pool = json!({"group": "XL1", "sections": [id("3"), id("4")], "capacity": 1, "open": 1});
    assert_eq!((&section(&mut ann, "3")["cross_listed"], &section(&mut ann, "4")["cross_listed"]), (&pool, &pool));
    assert_eq!(section(&mut ann, "1")["cross_listed"], json!(null));
    ann.put(&own("3")).expect(201);
    let seats = ann.get(&format!("/api/v1/seats?term={TERM}")).expect(200).json()["seats"].clone();
    let row = seats.as_array().unwrap().iter().find(|row| row[0] == json!(id("4"))).unwrap().clone();
    assert_eq!(row, json!([id("4"), 5, 0, 0, 0]));
    let refused = hub.signed_in_as(&student("bob")).put(&own("4")).expect(409).json();
    assert_eq!((&refused["code"], &refused["waitlist_open"]), (&json!("section_full"), &json!(false)));
}

#[test]
fn reserved_seats_and_restrictions_depend_on_the_student() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    staff.put_json("/api/v1/students/ann", &json!({"groups": ["Honors"], "campus": "South"})).expect(200);
    let reserved = json!([{"group": "honors", "seats": 1, "open": 1, "until": "2100-01-01T00:00:00Z"}]);
    let shown = section(&mut ann, "5");
    assert_eq!((&shown["reserved"], &shown["open"], &shown["mine"]), (&reserved, &json!(1), &json!({"open": 2})));
    ann.put_json("/api/v1/me/plan", &json!({"sections": [id("5")]})).expect(200);
    let dashboard = ann.get("/api/v1/dashboard").expect(200).json();
    assert_eq!(dashboard["sections"][0]["mine"], json!({"open": 2}));
    let north = json!([{"by": "campus", "values": ["North"], "exclude": true}]);
    assert_eq!(shown["restrictions"], north);
    staff.put_json("/api/v1/students/bob", &json!({"campus": "north"})).expect(200);
    let mut bob = hub.signed_in_as(&student("bob"));
    let refused = bob.put(&own("5")).expect(409).json();
    assert_eq!((&refused["code"], &refused["restrictions"]), (&json!("restricted"), &north));
    hub.signed_in_as(&student("cyd")).put(&own("5")).expect(201);
    let refused = hub.signed_in_as(&student("dan")).put(&own("5")).expect(409).json();
    assert_eq!((&refused["code"], &refused["reserved"]), (&json!("section_full"), &json!(true)));
    // The release opens the seat to everyone.
    let past = json!({"reserved": [{"group": "honors", "seats": 1, "until": "2020-01-01T00:00:00Z"}]});
    let changed = staff.patch_json(&format!("/api/v1/sections/{TERM}-5"), &past).expect(200).json();
    assert_eq!((&changed["reserved"], &changed["open"]), (&json!([]), &json!(1)));
}

#[test]
fn section_conditions_survive_an_import_without_their_columns() {
    let hub = college();
    let mut staff = hub.staff();
    let path = format!("/api/v1/sections/{TERM}-5");
    let change = json!({"linked": [id("1")], "cross_listed": {"group": "M", "capacity": 7}, "repeat_limit": 2,
        "prerequisites": "ART 1 or LAW 1 with B", "restrictions": [{"by": "group", "values": ["honors"]}]});
    let changed = staff.patch_json(&path, &change).expect(200).json();
    assert_eq!((&changed["linked"], &changed["repeat_limit"]), (&json!([id("1")]), &json!(2)));
    assert_eq!(changed["cross_listed"]["capacity"], 7);
    assert_eq!(changed["prerequisites"]["text"], "ART 1 or LAW 1 with B");
    let file = format!("term,crn,course,component,credits,cap\n{TERM},5,MATH 1,lecture,3,4\n");
    let task = start_import(&mut staff, TERM, file.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    let mut after = section(&mut staff, "5");
    assert_eq!(after["capacity"], 4);
    (after["capacity"], after["open"]) = (changed["capacity"].clone(), changed["open"].clone());
    after["cross_listed"]["open"] = changed["cross_listed"]["open"].clone();
    after["waitlist_capacity"] = changed["waitlist_capacity"].clone();
    assert_eq!(after, changed);
    let own = staff.patch_json(&path, &json!({"linked": [id("5")]})).expect(422).json();
    assert_eq!(own["field"], "linked");
    let cleared = json!({"cross_listed": null, "prerequisites": null, "repeat_limit": null, "linked": []});
    let cleared = staff.patch_json(&path, &cleared).expect(200).json();
    assert_eq!((&cleared["cross_listed"], &cleared["prerequisites"]), (&json!(null), &json!(null)));
    let exported = staff.get(&format!("/api/v1/export/schedule.csv?term={TERM}")).expect(200);
    let task = start_import(&mut staff, TERM, &exported.body);
    let again = wait_for_import(&mut staff, &task);
    assert_eq!(
        (&again["updated"], &again["unchanged"], &again["warnings"]),
        (&json!(0), &json!(5), &json!([])),
        "{again:#}"
    );
}

#[test]
fn requests_after_a_deadline_are_refused_with_the_deadline() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    ann.put(&own("3")).expect(201);
    let past = "2020-01-02T08:00:00Z";
    let term = json!({"add_until": past, "drop_until": past});
    let term = staff.put_json(&format!("/api/v1/terms/{TERM}"), &term).expect(200).json();
    assert_eq!(
        (&term["add_until"], &term["drop_until"], &term["waitlist_until"]),
        (&json!(past), &json!(past), &json!(null))
    );
    for refused in [ann.put(&own("5")).expect(409).json(), ann.delete(&own("3")).expect(409).json()] {
        assert_eq!((&refused["code"], &refused["closes_at"]), (&json!("registration_closed"), &json!(past)));
    }
}

#[test]
fn staff_register_move_and_drop_with_overrides_and_a_reason() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    let path = |crn: &str| format!("/api/v1/students/bob/registrations/{TERM}-{crn}");
    ann.put(&own("3")).expect(201);
    assert_eq!(staff.put_json(&path("4"), &json!({})).expect(409).json()["code"], "section_full");
    let lift = json!({"override": ["section_full"]});
    assert_eq!(staff.put_json(&path("4"), &lift).expect(422).json()["field"], "reason");
    let lift = json!({"override": ["section_full"], "reason": "Graduates in May"});
    let done = staff.put_json(&path("4"), &lift).expect(201).json();
    assert_eq!((&done["section"], &done["status"]), (&json!(id("4")), &json!("enrolled")));
    staff.put_json(&path("4"), &lift).expect(200);
    let moved = json!({"from": id("4"), "to": id("5"), "reason": "The room is smaller"});
    let done = staff.post_json("/api/v1/students/bob/move", &moved).expect(201).json();
    assert_eq!((&done["section"], &done["receipt"]["n"]), (&json!(id("5")), &json!(6)));
    let mut bob = hub.signed_in_as(&student("bob"));
    let items = bob.get("/api/v1/me/registrations").expect(200).json()["items"].clone();
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(staff.delete(&path("5")).expect(200).json()["status"], "dropped");
    staff.delete(&path("1")).expect(404);
    let attempts = staff.get("/api/v1/students/bob/attempts").expect(200).json()["items"].clone();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let words = |one: &Value| format!("{} {} {}", text(one, "action"), text(one, "result"), text(one, "by"));
    let words: Vec<String> = attempts.as_array().unwrap().iter().rev().map(words).collect();
    let expected = ["register section_full", "register enrolled", "register enrolled", "drop dropped"];
    let expected = expected.into_iter().chain(["register enrolled", "drop dropped", "drop not_found"]);
    assert_eq!(words, expected.map(|one| format!("{one} staff")).collect::<Vec<_>>());
    let trail = hub.admin().get("/api/v1/admin/audit?action=student.registration").expect(200).json();
    let details: Vec<&str> =
        trail["items"].as_array().unwrap().iter().filter_map(|one| one["detail"].as_str()).collect();
    assert!(details.contains(&"register; override: section_full; Graduates in May"), "{details:?}");
    assert!(details.contains(&"refused: section_full; register"), "{details:?}");
}

#[test]
fn a_permit_lifts_refusals_until_it_ends() {
    let hub = college();
    let (mut staff, mut ann) = (hub.staff(), hub.signed_in_as(&student("ann")));
    hub.signed_in_as(&student("cyd")).put(&own("3")).expect(201);
    assert_eq!(ann.put(&own("4")).expect(409).json()["code"], "section_full");
    let permits = "/api/v1/students/ann/permits";
    let mut permit = json!({"course": "law 1", "override": ["section_full"], "reason": "Graduates in May"});
    let given = staff.post_json(permits, &permit).expect(201).json();
    assert_eq!((&given["course"], &given["override"]), (&json!("LAW 1"), &json!(["section_full"])));
    staff.put_json("/api/v1/students/ann", &json!({"groups": ["honors"]})).expect(200);
    assert_eq!(staff.get("/api/v1/students/ann").expect(200).json()["permits"][0], given, "a change to facts keeps it");
    ann.put(&own("4")).expect(201);
    ann.delete(&own("4")).expect(200);
    permit["expires_at"] = json!("2020-01-01T00:00:00Z");
    staff.post_json(permits, &permit).expect(201);
    assert_eq!(ann.put(&own("4")).expect(409).json()["code"], "section_full");
    staff.post_json(permits, &json!({"override": ["hold"], "reason": "none"})).expect(422);
}
