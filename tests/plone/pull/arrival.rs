//! Every item arrives unchanged, and only changed items are read again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Setup, id_at};
use crate::support::bridge::wait_for_sections;
use crate::support::plone::{PRIVATE_SECTIONS, SECTIONS};
use crate::support::wait::eventually;

/// Names of days in the hub's API, and their letters in Plone.
const LETTERS: [(&str, char); 7] =
    [("mon", 'M'), ("tue", 'T'), ("wed", 'W'), ("thu", 'R'), ("fri", 'F'), ("sat", 'S'), ("sun", 'U')];

/// Formats a meeting of the hub's API as a line in Plone.
fn line(meeting: &Value) -> String {
    let days = meeting["days"].as_array().unwrap().iter();
    let days: String = days.map(|day| LETTERS.iter().find(|(name, _)| day == name).unwrap().1).collect();
    let text = |name: &str| meeting[name].as_str().unwrap();
    let (start, end, first, last) = (text("start"), text("end"), text("starts_on"), text("ends_on"));
    format!("{days} {start}-{end} {first}..{last} {}", text("location"))
}

#[test]
fn every_public_section_is_pulled_unchanged() {
    let setup = Setup::with(&[], |_, _| {});
    wait_for_sections(&setup.server);
    let list = setup.server.client().get("/api/v1/sections?limit=5000").expect(200).json();
    let mut hub: BTreeMap<String, Value> = BTreeMap::new();
    for section in list["items"].as_array().unwrap() {
        hub.insert(section["id"].as_str().unwrap().to_owned(), section.clone());
    }
    assert_eq!(hub.len(), SECTIONS - PRIVATE_SECTIONS);
    let (_, found) = setup.plone.request(
        "GET",
        "/courses/@search?portal_type=course_section&b_size=1000&metadata_fields=review_state",
        Some(&setup.token),
        None,
    );
    let items = found["items"].as_array().unwrap();
    assert_eq!(items.len(), SECTIONS);
    for hit in items {
        let path = hit["@id"].as_str().unwrap().trim_start_matches(&setup.plone.url());
        let Some(section) = hub.get(id_at(path)) else {
            assert_eq!(hit["review_state"], "private", "{path}");
            setup.visitor(id_at(path)).expect(404);
            setup.admin().get(&format!("/api/v1/sections/{}", id_at(path))).expect(404);
            continue;
        };
        let item = setup.item(path);
        for field in ["title", "term", "crn", "course", "section", "instructor", "capacity", "waitlist_capacity"] {
            assert_eq!(section[field], item[field], "{field} of {path}");
        }
        assert_eq!(section["credits"].as_f64(), item["credits"].as_f64(), "{path}");
        assert_eq!(section["component"], item["component"].as_str().unwrap().to_lowercase(), "{path}");
        let lines: Vec<String> = section["meetings"].as_array().unwrap().iter().map(line).collect();
        assert_eq!(lines.join("\n"), item["meetings"], "{path}");
    }
    let terms = setup.server.client().get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["items"][0]["opens_at"], Value::Null, "a pulled term is closed until staff open it");
}

#[test]
fn only_changed_items_are_read_again() {
    let setup = Setup::synchronized();
    let read = |sync: &Value| sync["read"].as_u64().unwrap();
    // Plone's times have a resolution of one second, so items that changed in the last second are read twice.
    eventually("a pull that reads nothing", || (read(&setup.sync()) == 0).then_some(()));
    let shown = (SECTIONS - PRIVATE_SECTIONS) as u64;
    let sync = setup.sync();
    assert_eq!((&sync["sections"], &sync["unchanged"]), (&json!(shown), &json!(shown)), "{sync}");
    setup.edit(&setup.plone.section(7), &json!({"title": "Another title"}));
    let sync = setup.sync();
    assert_eq!((read(&sync), &sync["updated"], &sync["created"]), (1, &json!(1), &json!(0)), "{sync}");
    // After a restart, the hub knows what it has pulled before.
    let Setup { server, home, plone, admin, token } = setup;
    assert!(server.stop().success());
    let server = home.serve();
    let setup = Setup { server, home, plone, token, admin };
    let sync = setup.sync();
    assert_eq!((&sync["updated"], &sync["created"]), (&json!(0), &json!(0)), "{sync}");
    assert!(read(&sync) <= 1, "{sync}");
}

#[test]
fn periodic_pulls_find_edits_retractions_and_deletions() {
    let setup = Setup::with(&[("plone.sync_s", "1")], |_, _| {});
    wait_for_sections(&setup.server);
    let [edited, retracted, deleted] = [3, 4, 5].map(|index| setup.plone.section(index));
    let made = setup.create("/courses", &super::new_section("1", "New"));
    eventually("the new section", || setup.is_listed("203001-1").then_some(()));
    setup.edit(&edited, &json!({"capacity": 77}));
    eventually("the edit", || (setup.section(id_at(&edited))["capacity"] == 77).then_some(()));
    setup.transition(&retracted, "retract");
    eventually("the withdrawal", || (!setup.is_listed(id_at(&retracted))).then_some(()));
    // One section appears and another one disappears, so the total stays the same.
    setup.transition(&retracted, "publish");
    setup.transition(&made, "retract");
    eventually("both changes", || (setup.is_listed(id_at(&retracted)) && !setup.is_listed("203001-1")).then_some(()));
    setup.delete(&deleted);
    eventually("the deletion", || (!setup.is_listed(id_at(&deleted))).then_some(()));
}

#[test]
fn serve_demo_opens_plones_term_and_adds_no_demo_college() {
    let mut setup = Setup::with(&[], |_, _| {});
    setup.server.terminate();
    setup.home = super::with_plone_at(super::Home::new(), &setup.plone.url());
    setup.server = setup.home.serve_with(&["serve", "--demo"]);
    setup.admin = setup.home.token("ada", "admin");
    assert!(!setup.server.printed().iter().any(|line| line.contains("Demonstration accounts")));
    let ids = wait_for_sections(&setup.server);
    let terms = setup.server.client().get("/api/v1/terms").expect(200).json();
    assert_eq!(terms["items"].as_array().unwrap().len(), 1, "{terms}");
    setup.student("ann").put(&format!("/api/v1/me/registrations/{}", ids[9])).expect(201);
}
