//! Invalid and moved items, other field names, events, and a site without sections.

use serde_json::{Value, json};

use super::{Setup, create, id_at, new_section};
use crate::support::plone::{PRIVATE_SECTIONS, SECTIONS};
use crate::support::wait::eventually;

/// Returns the problems that admins see, as `path: reason`.
fn problems(world: &Setup) -> Vec<String> {
    let problems = world.status()["problems"].take();
    let word = |p: &Value| format!("{}: {}", p["path"].as_str().unwrap(), p["reason"].as_str().unwrap());
    problems.as_array().unwrap().iter().map(word).collect()
}

#[test]
fn invalid_items_are_reported_and_the_others_imported() {
    let world = Setup::settled();
    let bad = |crn: &str, field: &str, value: Value| {
        let mut item = new_section(crn, "Bad");
        item[field] = value;
        world.create("/courses", &item)
    };
    let meeting = bad("1", "meetings", json!("MWF 25:00-26:00 Room"));
    bad("2", "term", json!("Fall 2030"));
    bad("3", "capacity", json!(-4));
    let good = world.create("/courses", &new_section("4", "Good"));
    let mut twin = new_section("4", "Twin");
    twin["id"] = json!("twin");
    let twin = world.create("/courses", &twin);
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["skipped"]), (&json!(1), &json!(4)), "{sync}");
    let reported = problems(&world);
    for part in ["/courses/s1: meetings", "/courses/s2: term", "/courses/s3: capacity"] {
        assert!(reported.iter().any(|problem| problem.starts_with(part)), "{part} is not among {reported:?}");
    }
    assert!(reported.contains(&format!("{twin}: {good} has this term and CRN already")), "{reported:?}");
    assert_eq!(world.section("203001-4")["title"], "Good");
    world.visitor("203001-1").expect(404);
    // They stay reported while nothing changes, and are gone once they are corrected.
    assert_eq!(world.sync()["skipped"], 4);
    world.edit(&meeting, &json!({"meetings": "MWF 15:00-16:00 Room"}));
    world.delete(&twin);
    assert_eq!(world.sync()["skipped"], 2);
    assert_eq!(world.section("203001-1")["meetings"][0]["location"], "Room");
}

#[test]
fn a_moved_item_is_followed_and_a_new_crn_is_a_new_section() {
    let world = Setup::settled();
    world.open_terms();
    let folder = json!({"@type": "Folder", "id": "evening", "title": "Evening"});
    let folder = world.create("/courses", &folder);
    let path = world.plone.section(70);
    let id = id_at(&path);
    let (status, answer) =
        world.plone.request("POST", &format!("{folder}/@move"), Some(&world.token), Some(&json!({"source": path})));
    assert_eq!(status, 200, "{answer}");
    let moved = format!("{folder}/{id}");
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(0), &json!(0)), "{sync}");
    world.student("ann").put(&format!("/api/v1/me/registrations/{id}")).expect(201);
    eventually("the seat at the new place", || (world.item(&moved)["seats_taken"] == 1).then_some(()));

    world.wait_for_the_outbox();
    world.edit(&moved, &json!({"crn": "77777"}));
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(1), &json!(1)), "{sync}");
    let other = format!("{}-77777", id.rsplit_once('-').unwrap().0);
    assert!(world.is_listed(&other) && !world.is_listed(id));
    assert_eq!((&world.section(id)["enrolled"], &world.section(&other)["enrolled"]), (&json!(1), &json!(0)));
    eventually("no seat in the new section", || (world.item(&moved)["seats_taken"] == 0).then_some(()));
    world.wait_for_the_outbox();
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(0), &json!(0)), "{sync}");
}

#[test]
fn custom_and_missing_field_names_are_mapped() {
    // A site whose fields have other names, and which has no field for the instructor.
    let settings = [
        ("plone.sections_path", "/classes"),
        ("plone.fields.capacity", "waitlist_capacity"),
        ("plone.fields.waitlist_capacity", "capacity"),
        ("plone.fields.seats_taken", "waitlisted"),
        ("plone.fields.waitlisted", "seats_taken"),
        ("plone.fields.instructor", "lecturer"),
    ];
    let world = Setup::with(&settings, |plone, token| {
        create(plone, token, "", &json!({"@type": "Folder", "id": "classes", "title": "Classes"}));
        let mut class = new_section("1", "Knots");
        class["instructor"] = json!("Ann");
        class["waitlist_capacity"] = json!(3);
        create(plone, token, "/classes", &class);
    });
    eventually("the class", || (world.sync()["sections"] == 1).then_some(()));
    let section = world.section("203001-1");
    assert_eq!((&section["capacity"], &section["waitlist_capacity"]), (&json!(3), &json!(12)));
    assert_eq!((&section["instructor"], &section["component"]), (&Value::Null, &json!("lab")));
    assert_eq!(world.status()["missing_fields"], json!(["instructor"]));
    world.open_terms();
    world.student("ann").put("/api/v1/me/registrations/203001-1").expect(201);
    eventually("the seat in Plone", || (world.item("/classes/s1")["waitlisted"] == 1).then_some(()));
    assert_eq!(world.item("/classes/s1")["seats_taken"], 0);
    world.edit("/classes/s1", &json!({"waitlist_capacity": 8}));
    world.sync();
    assert_eq!(world.section("203001-1")["capacity"], 8);
}

#[test]
fn a_site_without_sections_still_provides_events() {
    let world = Setup::with(&[("plone.sections_path", "/empty")], |plone, token| {
        create(plone, token, "", &json!({"@type": "Folder", "id": "empty", "title": "Empty"}));
    });
    let sync = world.sync();
    assert_eq!((&sync["sections"], &sync["skipped"]), (&json!(0), &json!(0)), "{sync}");
    let events = || world.server.client().get("/api/v1/events").expect(200).json()["items"].take();
    let ours = || {
        let all = events();
        all.as_array().unwrap().iter().find(|event| event["location"] == "Dock 4").cloned()
    };
    let event = json!({
        "@type": "Event", "id": "regatta", "title": "Regatta", "start": "2031-05-01T10:00:00+00:00",
        "end": "2031-05-01T12:00:00+00:00", "location": "Dock 4", "subjects": ["Sailing"], "contact_name": "Ann",
        "description": "Come.",
    });
    let path = world.create("", &event);
    world.sync();
    let seen = ours().unwrap();
    assert!(seen["id"].as_str().unwrap().starts_with("plone-"), "{seen}");
    assert_eq!((&seen["title"], &seen["program"]), (&json!("Regatta"), &json!("Sailing")));
    assert_eq!((&seen["instructor"], &seen["starts_at"]), (&json!("Ann"), &json!("2031-05-01T10:00:00Z")));
    world.edit(&path, &json!({"title": "Regatta, moved"}));
    assert_eq!(world.sync()["events_changed"], 1);
    assert_eq!(ours().unwrap()["title"], "Regatta, moved");
    world.delete(&path);
    assert_eq!(world.sync()["events_removed"], 1);
    assert!(ours().is_none());
    let shown = (SECTIONS - PRIVATE_SECTIONS) as u64;
    assert_ne!(world.sync()["sections"], shown);
}
