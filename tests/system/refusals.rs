//! Every refusal of the public contract over HTTP, with exactly its members.

use eduhub::domain::refusal::RefusalCode;
use serde_json::{Map, Value, json};
use strum::VariantArray;

use crate::support::attempts;
use crate::support::http::Client;
use crate::support::openapi::assert_has_schema;
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";

/// The refusals of the contract, in their order of precedence, each with the section that refuses the student who
/// is named after the code.
const CODES: [(&str, &str); 13] = [
    ("registration_closed", "1"),
    ("hold", "1"),
    ("section_cancelled", "2"),
    ("section_closed", "3"),
    ("already_in_course", "4"),
    ("repeat_limit", "5"),
    ("prerequisite", "6"),
    ("linked_section_required", "7"),
    ("time_conflict", "9"),
    ("credit_limit", "10"),
    ("restricted", "11"),
    ("section_full", "12"),
    ("waitlist_full", "13"),
];

const SCHEDULE: &str = "crn,course,component,credits,capacity,waitlist_capacity,days,time,linked,prerequisites,\
    restrictions,repeat_limit\n\
    1,MATH 1,lecture,3,5,5,MWF,09:00-09:50,,,,\n\
    2,ART 2,lecture,3,5,5,,,,,,\n\
    3,ART 3,lecture,3,5,5,,,,,,\n\
    4,MATH 1,lecture,3,5,5,MWF,11:00-11:50,,,,\n\
    5,HIST 5,lecture,3,5,5,,,,,,1\n\
    6,PHYS 6,lecture,3,5,5,,,,MATH 150 with C,,\n\
    7,BIOL 7,lecture,3,5,5,,,8,,,\n\
    8,BIOL 7,lab,0,5,5,,,7,,,\n\
    9,CHEM 9,lecture,3,5,5,W,09:30-10:20,,,,\n\
    10,ENGL 10,lecture,17,5,5,,,,,,\n\
    11,LAW 11,lecture,3,5,5,,,,,group: honors,\n\
    12,GEOG 12,lecture,3,1,1,,,,,,\n\
    13,GEOL 13,lecture,3,1,1,,,,,,\n";

fn id(crn: &str) -> String {
    format!("{TERM}-{crn}")
}

fn own(crn: &str) -> String {
    format!("/api/v1/me/registrations/{TERM}-{crn}")
}

fn hold() -> Value {
    json!({"id": "fine", "text": "A book is missing", "office": "Library", "url": "https://library.example.edu",
           "blocks": ["register"]})
}

/// Loads the schedule, and makes each section refuse its student.
fn prepare(home: &Home, server: &Server) {
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let task = start_import(&mut staff, TERM, SCHEDULE.as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!((&done["state"], &done["created"]), (&json!("done"), &json!(13)), "{done:#}");
    open_term(&mut staff, TERM);
    let mut state = |user: &str, facts: Value| {
        staff.put_json(&format!("/api/v1/students/{user}"), &facts).expect(200);
    };
    state("registration_closed", json!({"opens_at": "2100-01-01T08:00:00Z", "closes_at": "2100-02-01T08:00:00Z"}));
    state("hold", json!({"holds": [hold()]}));
    state("repeat_limit", json!({"completed": [{"course": "HIST 5", "grade": "F"}]}));
    state("prerequisite", json!({"completed": [{"course": "MATH 150", "grade": "D"}]}));
    for (crn, status) in [("2", "cancelled"), ("3", "closed")] {
        staff.patch_json(&format!("/api/v1/sections/{}", id(crn)), &json!({"status": status})).expect(200);
    }
    let taken = [("already_in_course", "1"), ("time_conflict", "1"), ("credit_limit", "1")];
    let full = [("first", "12"), ("second", "12?waitlist=true"), ("first", "13"), ("second", "13?waitlist=true")];
    for (user, section) in taken.into_iter().chain(full) {
        server.client().signed_in(&home.token(user, "student")).put(&own(section)).expect(201);
    }
}

/// Returns the members that the contract gives a refusal besides those of every problem. `now` is checked separately.
fn members(code: &str) -> Value {
    match code {
        "registration_closed" => json!({"opens_at": "2100-01-01T08:00:00Z", "closes_at": "2100-02-01T08:00:00Z"}),
        "hold" => json!({"holds": [hold()]}),
        "already_in_course" | "time_conflict" => json!({"conflicts_with": [id("1")]}),
        "repeat_limit" => json!({"taken": 1, "repeat_limit": 1}),
        "prerequisite" => json!({"unmet": [{"course": "MATH 150", "grade": "C"}]}),
        "linked_section_required" => json!({"choices": [id("8")]}),
        "credit_limit" => json!({"credits": 3, "credits_wanted": 20, "credit_limit": 18}),
        "restricted" => json!({"restrictions": [{"by": "group", "values": ["honors"]}]}),
        "section_full" => json!({"waitlist_open": false, "waitlisted": 1}),
        "waitlist_full" => json!({"waitlisted": 1}),
        _ => json!({}),
    }
}

/// Checks a refusal, and returns its receipt.
fn assert_refused(problem: &Value, code: &str) -> Value {
    assert_has_schema("Problem", problem);
    let mut rest: Map<String, Value> = problem.as_object().expect("a problem").clone();
    let mut take = |name: &str| rest.remove(name).unwrap_or_else(|| panic!("{code} has no {name}: {problem:#}"));
    assert_eq!((take("code"), take("status")), (json!(code), json!(409)));
    assert_eq!(take("type"), json!(format!("/docs/problems#{code}")));
    for text in ["title", "detail"] {
        assert!(take(text).as_str().is_some_and(|text| text.len() > 10), "{problem:#}");
    }
    let receipt = take("receipt");
    if code == "registration_closed" {
        assert!(take("now").as_str().is_some_and(|now| now.ends_with('Z')), "{problem:#}");
    }
    assert_eq!(Value::Object(rest), members(code), "{code}");
    receipt
}

/// Requests a section alone, and in a batch; the refusals must be the same. Returns the receipts.
fn request(student: &mut Client, code: &str, crn: &str) -> [Value; 2] {
    let waitlist = code == "waitlist_full";
    let alone = student.put(&format!("{}?waitlist={waitlist}", own(crn))).expect(409);
    assert_eq!(alone.header("content-type"), Some("application/problem+json"));
    let batch = json!({"add": [id(crn)], "waitlist": waitlist});
    let batch = student.post_json("/api/v1/me/registrations", &batch).expect(200).json();
    assert_eq!(batch["results"][0]["section"], id(crn));
    [assert_refused(&alone.json(), code), assert_refused(&batch["results"][0]["problem"], code)]
}

#[test]
fn every_code_of_the_contract_is_returned_with_exactly_its_members() {
    let known: Vec<&str> = RefusalCode::VARIANTS.iter().map(|code| code.as_str()).collect();
    assert_eq!(CODES.map(|(code, _)| code).to_vec(), known, "every code has a section here, in the contract's order");
    let home = Home::new();
    let server = home.serve();
    prepare(&home, &server);
    let mut receipts = Vec::new();
    for (code, crn) in CODES {
        let mut student = server.client().signed_in(&home.token(code, "student"));
        receipts.extend(request(&mut student, code, crn).map(|receipt| (code, receipt)));
    }
    // The refusals are in the chain, under the numbers that the students were given.
    let file = home.folder().join("attempts.jsonl");
    let output = home.run(&["attempts", "export", file.to_str().unwrap(), "--term", TERM]);
    assert!(output.status.success(), "{output:?}");
    let chain = &attempts::read(&file)[TERM];
    for (code, receipt) in receipts {
        let found = &chain[&receipt["n"].as_u64().expect("a number")];
        assert_eq!((found.user.as_deref(), found.row[8].as_str()), (Some(code), code));
        assert_eq!(receipt["hash"], found.hash, "{code}");
    }
    home.verify().unwrap();
}
