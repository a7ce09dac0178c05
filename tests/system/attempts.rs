//! Receipts and histories of attempts: for students, for staff, and for an auditor of the exported chain.

use serde_json::{Value, json};

use crate::support::attempts;
use crate::support::http::Client;
use crate::support::openapi::assert_has_schema;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";

fn schedule() -> Schedule {
    let row = |crn: &str, course: &str| Row { capacity: 1, waitlist: 2, ..Row::lecture(crn, course) };
    Schedule { term: TERM.to_owned(), rows: vec![row("1", "MATH 1"), row("2", "ART 2")] }
}

fn section(crn: &str) -> String {
    format!("/api/v1/me/registrations/{TERM}-{crn}")
}

/// Returns the attempts of a page as `[n, user, section, action, result, by]`.
fn rows(page: &Value) -> Vec<Value> {
    assert_has_schema("AttemptList", page);
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|one| json!([one["n"], one["user"], one["section"], one["action"], one["result"], one["by"]]))
        .collect()
}

struct College {
    ann: Client,
    bob: Client,
    staff: Client,
}

impl College {
    fn new(home: &Home, server: &Server) -> Self {
        let mut staff = server.client().signed_in(&home.token("sam", "staff"));
        schedule().load(&mut staff);
        let [ann, bob] = ["annabelle", "bob"].map(|name| server.client().signed_in(&home.token(name, "student")));
        Self { ann, bob, staff }
    }
}

/// Exports the attempts while the hub is running, and audits them.
fn exported(home: &Home, name: &str) -> attempts::Chains {
    let file = home.folder().join(name);
    let output = home.run(&["attempts", "export", file.to_str().unwrap(), "--term", TERM]);
    assert!(output.status.success(), "{output:?}");
    attempts::read(&file)
}

#[test]
fn every_reply_has_a_receipt_that_the_exported_chain_contains() {
    let home = Home::new();
    let server = home.serve();
    let College { mut ann, mut bob, mut staff } = College::new(&home, &server);
    let mut replies: Vec<(Value, &str)> = Vec::new();
    let granted = ann.put(&section("1")).expect(201);
    let request_id = granted.header("x-request-id").unwrap().to_owned();
    replies.push((granted.json(), "enrolled"));
    replies.push((ann.put(&section("1")).expect(200).json(), "enrolled"));
    replies.push((bob.put(&section("1")).expect(409).json(), "section_full"));
    replies.push((bob.put(&format!("{}?waitlist=true", section("1"))).expect(201).json(), "waitlisted"));
    replies.push((bob.delete(&section("2")).expect(404).json(), "not_found"));
    let batch = json!({"add": [format!("{TERM}-2"), format!("{TERM}-9")], "drop": [format!("{TERM}-1")]});
    let results = ann.post_json("/api/v1/me/registrations", &batch).expect(200).json();
    for (at, result) in ["enrolled", "not_found", "dropped"].into_iter().enumerate() {
        let one = &results["results"][at];
        assert!(one["problem"].is_null() || one["problem"]["receipt"] == one["receipt"], "{one}");
        replies.push((one.clone(), result));
    }
    // A request that is refused before a decision is not an attempt.
    assert!(staff.put(&section("2")).expect(403).json()["receipt"].is_null());
    assert!(ann.put(&format!("/api/v1/me/registrations/{TERM}9-1")).expect(404).json()["receipt"].is_null());

    let chains = exported(&home, "attempts.jsonl");
    let chain = &chains[TERM];
    assert_eq!(chain.keys().copied().collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>(), "eight replies and a promotion");
    for (reply, result) in &replies {
        let receipt = &reply["receipt"];
        let found = &chain[&receipt["n"].as_u64().unwrap_or_else(|| panic!("no receipt in {reply}"))];
        assert_eq!((receipt["hash"].as_str(), found.row[8].as_str()), (Some(found.hash.as_str()), *result), "{reply}");
    }
    assert_eq!(chain[&1].row[13], request_id);

    let mine = bob.get("/api/v1/me/attempts").expect(200).json();
    let expected = [
        json!([7, "bob", "203001-1", "promote", "enrolled", "promotion"]),
        json!([5, "bob", "203001-2", "drop", "not_found", "self"]),
        json!([4, "bob", "203001-1", "register", "waitlisted", "self"]),
        json!([3, "bob", "203001-1", "register", "section_full", "self"]),
    ];
    assert_eq!(rows(&mine), expected);
    assert_eq!((&mine["items"][2]["position"], &mine["items"][3]["open"]), (&json!(1), &json!(0)));
    assert_eq!(mine["items"][3]["hash"], replies[2].0["receipt"]["hash"]);
    // The pages together have all attempts, each once.
    let first = bob.get("/api/v1/me/attempts?limit=3").expect(200).json();
    let next = first["next"].as_str().expect("a cursor");
    let second = bob.get(&format!("/api/v1/me/attempts?limit=3&cursor={next}")).expect(200).json();
    assert_eq!([rows(&first), rows(&second)].concat(), expected);
    assert!(second["next"].is_null());
    assert_eq!(rows(&bob.get("/api/v1/me/attempts?term=1999").expect(200).json()), [json!(null); 0]);
    assert_eq!(bob.get("/api/v1/me/attempts?cursor=x").expect(422).json()["field"], "cursor");

    assert_eq!(rows(&staff.get("/api/v1/students/bob/attempts").expect(200).json()), expected);
    let of_section = staff.get(&format!("/api/v1/sections/{TERM}-1/attempts?limit=2")).expect(200).json();
    assert_eq!(rows(&of_section)[0], expected[0]);
    assert_eq!((&of_section["items"][1]["n"], &of_section["next"]), (&json!(6), &json!("6")));
    let rest = staff.get(&format!("/api/v1/sections/{TERM}-1/attempts?cursor=6")).expect(200).json();
    assert_eq!(rows(&rest).iter().map(|row| row[0].clone()).collect::<Vec<_>>(), [4, 3, 2, 1]);
    // Students see who has read their attempts.
    let readers = ann.get("/api/v1/me/disclosures").expect(200).json();
    assert_eq!(
        (&readers["items"][0]["action"], &readers["items"][0]["section"]),
        (&json!("attempts.read"), &json!("203001-1"))
    );
    let data = ann.get("/api/v1/me/data").expect(200).json();
    assert_eq!(data["attempts"].as_array().unwrap().len(), 5);
    home.verify().unwrap();
}

#[test]
fn an_erasure_leaves_a_chain_that_can_be_verified() {
    let home = Home::new();
    let server = home.serve();
    let College { mut ann, mut bob, mut staff } = College::new(&home, &server);
    bob.put(&section("1")).expect(201);
    let receipt = ann.put(&section("1")).expect(409).json()["receipt"].clone();
    assert_eq!(exported(&home, "before.jsonl")[TERM][&2].user.as_deref(), Some("annabelle"));
    let mut root = server.client().signed_in(&home.token("root", "admin"));
    staff.get("/api/v1/students/annabelle/attempts").expect(200);
    staff.put_json("/api/v1/students/annabelle", &json!({"credit_limit": 9})).expect(200);
    let erased = root.post_json("/api/v1/admin/users/annabelle/erase", &json!({})).expect(200).json();
    assert_eq!(erased["terms"], json!([TERM]));
    let pseudonym = erased["pseudonym"].as_str().unwrap();

    let chain = &exported(&home, "after.jsonl")[TERM];
    assert_eq!((Some(chain[&2].hash.as_str()), chain[&2].user.as_deref()), (receipt["hash"].as_str(), Some(pseudonym)));
    let text = std::fs::read_to_string(home.folder().join("after.jsonl")).unwrap();
    assert!(!text.contains("annabelle"), "{text}");
    let of_section = staff.get(&format!("/api/v1/sections/{TERM}-1/attempts")).expect(200).json();
    assert_eq!(rows(&of_section)[0], json!([2, pseudonym, "203001-1", "register", "section_full", "self"]));
    let trail = root.get("/api/v1/admin/audit?limit=1000").expect(200).text();
    assert!(!trail.contains("annabelle"), "{trail}");
    home.verify().unwrap();
    // The chain continues after the erasure.
    assert_eq!(
        server.client().signed_in(&home.token("cid", "student")).put(&section("1")).expect(409).json()["receipt"]["n"],
        3
    );
    drop(server);
    home.verify().unwrap();
}
