//! Invalid and moved items, renamed fields, events, and a site without sections.

use serde_json::{Value, json};

use super::{Setup, create, id_at, new_section};
use crate::support::plone::{PRIVATE_SECTIONS, SECTIONS};
use crate::support::wait::eventually;

/// Returns the problems that admins see, as `path: reason`.
fn problems(setup: &Setup) -> Vec<String> {
    let problems = setup.status()["problems"].take();
    let text = |p: &Value| format!("{}: {}", p["path"].as_str().unwrap(), p["reason"].as_str().unwrap());
    problems.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn invalid_items_are_reported_and_the_others_imported() {
    let setup = Setup::synchronized();
    let bad = |crn: &str, field: &str, value: Value| {
        let mut item = new_section(crn, "Bad");
        item[field] = value;
        setup.create("/courses", &item)
    };
    let meeting = bad("1", "meetings", json!("MWF 25:00-26:00 Room"));
    bad("2", "term", json!("Fall 2030"));
    bad("3", "capacity", json!(-4));
    let good = setup.create("/courses", &new_section("4", "Good"));
    let mut twin = new_section("4", "Twin");
    twin["id"] = json!("twin");
    let twin = setup.create("/courses", &twin);
    let sync = setup.sync();
    assert_eq!((&sync["created"], &sync["skipped"]), (&json!(1), &json!(4)), "{sync}");
    let reported = problems(&setup);
    for part in ["/courses/s1: meetings", "/courses/s2: term", "/courses/s3: capacity"] {
        assert!(reported.iter().any(|problem| problem.starts_with(part)), "{part} is not among {reported:?}");
    }
    assert!(reported.contains(&format!("{twin}: {good} already has this term and CRN")), "{reported:?}");
    assert_eq!(setup.section("203001-4")["title"], "Good");
    setup.visitor("203001-1").expect(404);
    // Invalid items are reported by each pull until they are corrected.
    assert_eq!(setup.sync()["skipped"], 4);
    setup.edit(&meeting, &json!({"meetings": "MWF 15:00-16:00 Room"}));
    setup.delete(&twin);
    assert_eq!(setup.sync()["skipped"], 2);
    assert_eq!(setup.section("203001-1")["meetings"][0]["location"], "Room");
}

#[test]
fn a_moved_item_is_followed_and_a_new_crn_is_a_new_section() {
    let setup = Setup::synchronized();
    setup.open_terms();
    let folder = json!({"@type": "Folder", "id": "evening", "title": "Evening"});
    let folder = setup.create("/courses", &folder);
    let path = setup.plone.section(70);
    let id = id_at(&path);
    let (status, answer) =
        setup.plone.request("POST", &format!("{folder}/@move"), Some(&setup.token), Some(&json!({"source": path})));
    assert_eq!(status, 200, "{answer}");
    let moved = format!("{folder}/{id}");
    let sync = setup.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(0), &json!(0)), "{sync}");
    setup.student("ann").put(&format!("/api/v1/me/registrations/{id}")).expect(201);
    eventually("the seat at the new path", || (setup.item(&moved)["seats_taken"] == 1).then_some(()));

    setup.wait_for_empty_outbox();
    setup.edit(&moved, &json!({"crn": "77777"}));
    let sync = setup.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(1), &json!(1)), "{sync}");
    let other = format!("{}-77777", id.rsplit_once('-').unwrap().0);
    assert!(setup.is_listed(&other) && !setup.is_listed(id));
    assert_eq!((&setup.section(id)["enrolled"], &setup.section(&other)["enrolled"]), (&json!(1), &json!(0)));
    eventually("no seat in the new section", || (setup.item(&moved)["seats_taken"] == 0).then_some(()));
    setup.wait_for_empty_outbox();
    let sync = setup.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(0), &json!(0)), "{sync}");
}

#[test]
fn custom_and_missing_field_names_are_mapped() {
    // The fields of this site have other names, and there is no field for the instructor.
    let settings = [
        ("plone.sections_path", "/classes"),
        ("plone.fields.capacity", "waitlist_capacity"),
        ("plone.fields.waitlist_capacity", "capacity"),
        ("plone.fields.seats_taken", "waitlisted"),
        ("plone.fields.waitlisted", "seats_taken"),
        ("plone.fields.instructor", "lecturer"),
    ];
    let setup = Setup::with(&settings, |plone, token| {
        create(plone, token, "", &json!({"@type": "Folder", "id": "classes", "title": "Classes"}));
        let mut class = new_section("1", "Knots");
        class["instructor"] = json!("Ann");
        class["waitlist_capacity"] = json!(3);
        create(plone, token, "/classes", &class);
    });
    eventually("the class", || (setup.sync()["sections"] == 1).then_some(()));
    let section = setup.section("203001-1");
    assert_eq!((&section["capacity"], &section["waitlist_capacity"]), (&json!(3), &json!(12)));
    assert_eq!((&section["instructor"], &section["component"]), (&Value::Null, &json!("lab")));
    assert_eq!(setup.status()["missing_fields"], json!(["instructor"]));
    setup.open_terms();
    setup.student("ann").put("/api/v1/me/registrations/203001-1").expect(201);
    eventually("the seat in Plone", || (setup.item("/classes/s1")["waitlisted"] == 1).then_some(()));
    assert_eq!(setup.item("/classes/s1")["seats_taken"], 0);
    setup.edit("/classes/s1", &json!({"waitlist_capacity": 8}));
    setup.sync();
    assert_eq!(setup.section("203001-1")["capacity"], 8);
}

#[test]
fn a_site_without_sections_still_provides_events() {
    let setup = Setup::with(&[("plone.sections_path", "/empty")], |plone, token| {
        create(plone, token, "", &json!({"@type": "Folder", "id": "empty", "title": "Empty"}));
    });
    let sync = setup.sync();
    assert_eq!((&sync["sections"], &sync["skipped"]), (&json!(0), &json!(0)), "{sync}");
    let events = || setup.server.client().get("/api/v1/events").expect(200).json()["items"].take();
    let find = || {
        let all = events();
        all.as_array().unwrap().iter().find(|event| event["location"] == "Dock 4").cloned()
    };
    let event = json!({
        "@type": "Event", "id": "regatta", "title": "Regatta", "start": "2031-05-01T10:00:00+00:00",
        "end": "2031-05-01T12:00:00+00:00", "location": "Dock 4", "subjects": ["Sailing"], "contact_name": "Ann",
        "description": "Come.",
    });
    let path = setup.create("", &event);
    setup.sync();
    let seen = find().unwrap();
    assert!(seen["id"].as_str().unwrap().starts_with("plone-"), "{seen}");
    assert_eq!((&seen["title"], &seen["program"]), (&json!("Regatta"), &json!("Sailing")));
    assert_eq!((&seen["instructor"], &seen["starts_at"]), (&json!("Ann"), &json!("2031-05-01T10:00:00Z")));
    setup.edit(&path, &json!({"title": "Regatta, moved"}));
    assert_eq!(setup.sync()["events_changed"], 1);
    assert_eq!(find().unwrap()["title"], "Regatta, moved");
    setup.delete(&path);
    assert_eq!(setup.sync()["events_removed"], 1);
    assert!(find().is_none());
    let shown = (SECTIONS - PRIVATE_SECTIONS) as u64;
    assert_ne!(setup.sync()["sections"], shown);
}
