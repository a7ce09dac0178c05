//! A student's schedule in calendar programs: as a file, and through a private feed.

use eduhub::domain::role::Role;
use serde_json::{Value, json};

use super::credentials::{instructor, minted, student};
use super::hub::Hub;
use crate::support::http::{Client, Response};
use crate::support::schedule::{Days, Row, Schedule};

const TERM: &str = "2104";
const FEED: &str = "/api/v1/me/schedule-feed";
const FILE: &str = "/api/v1/me/schedule.ics";

/// Starts a hub with two sections of one seat each. Bob has the seat in ART 2, and ann waits for it.
fn college() -> Hub {
    let hub = Hub::start();
    let rows = vec![
        Row::lecture("1", "MATH 1"),
        Row { days: Days::Tr, capacity: 1, waitlist: 5, ..Row::lecture("2", "ART 2") },
    ];
    let mut staff = hub.staff();
    Schedule { term: TERM.to_owned(), rows }.load(&mut staff);
    let term = json!({"starts_on": "2099-01-01", "ends_on": "2099-05-01"});
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &term).expect(200);
    for (name, crn) in [("ann", "1"), ("bob", "2"), ("ann", "2?waitlist=true")] {
        hub.signed_in_as(&student(name)).put(&format!("/api/v1/me/registrations/{TERM}-{crn}")).expect(201);
    }
    hub
}

/// Makes a feed and returns its path.
fn make(hub: &Hub, client: &mut Client) -> String {
    let url = client.post_json(FEED, &json!({})).expect(201).json()["url"].as_str().unwrap().to_owned();
    url.strip_prefix(&hub.origin()).expect("the hub's own address").to_owned()
}

fn summaries(calendar: &Response) -> Vec<String> {
    let text = calendar.text();
    text.lines().filter_map(|line| line.strip_prefix("SUMMARY:")).map(str::to_owned).collect()
}

#[test]
fn the_file_and_the_feed_contain_the_enrolled_sections() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    let file = ann.get(FILE).expect(200);
    assert_eq!(file.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert_eq!(file.header("cache-control"), Some("private, no-store"));
    assert_eq!(summaries(&file).len(), 1, "without the waitlist position: {}", file.text());
    assert!(summaries(&file)[0].starts_with("MATH 1 lecture"));
    assert!(summaries(&ann.get(&format!("{FILE}?lang=es")).expect(200))[0].starts_with("MATH 1 teoría"));
    assert_eq!(ann.get(&format!("{FILE}?lang=fr")).expect(422).json()["field"], "lang");
    let path = make(&hub, &mut ann);
    assert!(summaries(&hub.client().get(&format!("{path}?lang=es")).expect(200))[0].starts_with("MATH 1 teoría"));
    let feed = hub.client().get(&path).expect(200);
    assert_eq!(feed.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert_eq!(summaries(&feed), summaries(&file));
    let text = feed.text();
    assert!(!text.contains("ann") && !text.contains("bob"), "{text}");
    hub.signed_in_as(&student("bob")).delete(&format!("/api/v1/me/registrations/{TERM}-2")).expect(200);
    assert_eq!(summaries(&hub.client().get(&path).expect(200)).len(), 2, "the student was promoted");
    let mut staff = hub.staff();
    staff.patch_json(&format!("/api/v1/sections/{TERM}-2"), &json!({"status": "cancelled"})).expect(200);
    assert_eq!(summaries(&hub.client().get(&path).expect(200)).len(), 1, "the section is cancelled");
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &json!({"starts_on": null, "ends_on": "2020-05-01"})).expect(200);
    assert_eq!(summaries(&ann.get(FILE).expect(200)), Vec::<String>::new(), "the term has ended");
}

#[test]
fn a_feed_is_unchanged_until_the_schedule_changes() {
    let hub = college();
    let path = make(&hub, &mut hub.signed_in_as(&student("ann")));
    let mut client = hub.client();
    let tag = client.get(&path).expect(200).header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let again = |client: &mut Client| client.call("GET", &path, &[("If-None-Match", tag.as_str())], b"").unwrap();
    assert_eq!(again(&mut client).status, 304);
    let drop = format!("/api/v1/me/registrations/{TERM}-1");
    hub.signed_in_as(&student("ann")).delete(&drop).expect(200);
    assert_eq!(again(&mut client).status, 200);
}

#[test]
fn a_feed_ends_when_the_student_ends_or_replaces_it() {
    let hub = college();
    let mut ann = hub.signed_in_as(&student("ann"));
    assert_eq!(ann.get(FEED).expect(200).json()["created_at"], Value::Null);
    let first = make(&hub, &mut ann);
    let second = make(&hub, &mut ann);
    assert_ne!(first, second);
    assert_eq!(hub.client().get(&first).status, 404);
    hub.client().get(&second).expect(200);
    hub.signed_in_as(&student("bob")).delete(FEED).expect(204);
    hub.client().get(&second).expect(200);
    let secret = second.rsplit('/').next().unwrap().strip_suffix(".ics").unwrap();
    let data = ann.get("/api/v1/me/data").expect(200);
    assert!(data.json()["schedule_feed_since"].is_string(), "{}", data.text());
    let audit = hub.signed_in_as(&minted(Role::Admin)).get("/api/v1/admin/audit").expect(200).text();
    assert!(audit.contains("schedule_feed.make"), "{audit}");
    for text in [data.text(), ann.get(FEED).expect(200).text(), audit] {
        assert!(!text.contains(secret), "{text}");
    }
    // A student who became an instructor can still end it.
    hub.signed_in_as(&instructor("ann", "Ann")).delete(FEED).expect(204);
    assert_eq!(hub.client().get(&second).status, 404);
    for wrong in ["x", "x.ics", &"0".repeat(64), &format!("{}.ics", "0".repeat(64))] {
        assert_eq!(hub.client().get(&format!("/api/v1/schedule-feeds/{wrong}")).status, 404, "{wrong}");
    }
}

#[test]
fn only_the_feed_that_is_read_too_often_is_limited() {
    let hub = college();
    let (path, other) = {
        let paths = ["ann", "bob"].map(|name| make(&hub, &mut hub.signed_in_as(&student(name))));
        let [ann, bob] = paths;
        (ann, bob)
    };
    let mut client = hub.client();
    // The limit is twelve in a row. A slow machine may be granted a few more.
    let refused = (0..1_000).map(|_| client.get(&path)).find(|response| response.status != 200).expect("a refusal");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.header("retry-after").is_some());
    client.get(&other).expect(200);
}

#[test]
fn an_erased_student_has_no_feed() {
    let hub = Hub::start();
    let path = make(&hub, &mut hub.signed_in_as(&student("zoe")));
    hub.client().get(&path).expect(200);
    hub.signed_in_as(&minted(Role::Admin)).post_json("/api/v1/admin/users/zoe/erase", &json!({})).expect(200);
    assert_eq!(hub.client().get(&path).status, 404);
}
