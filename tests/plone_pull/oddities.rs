//! Items that cannot be taken, moved ones, other field names, events, nothing at all.

use serde_json::{Value, json};

use super::support::bridge::eventually;
use super::support::plone::{PRIVATE_SECTIONS, SECTIONS};
use super::{World, id_at, make, new_section};

/// The problems that the admin is told, as `path: reason`.
fn problems(world: &World) -> Vec<String> {
    let problems = world.status()["problems"].take();
    let word = |p: &Value| format!("{}: {}", p["path"].as_str().unwrap(), p["reason"].as_str().unwrap());
    problems.as_array().unwrap().iter().map(word).collect()
}

#[test]
fn an_item_that_cannot_be_read_is_told_and_the_others_are_taken() {
    let world = World::settled();
    let bad = |crn: &str, field: &str, value: Value| {
        let mut item = new_section(crn, "Bad");
        item[field] = value;
        world.make("/courses", &item)
    };
    let meeting = bad("1", "meetings", json!("MWF 25:00-26:00 Room"));
    bad("2", "term", json!("Fall 2030"));
    bad("3", "capacity", json!(-4));
    let good = world.make("/courses", &new_section("4", "Good"));
    let mut twin = new_section("4", "Twin");
    twin["id"] = json!("twin");
    let twin = world.make("/courses", &twin);
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["skipped"]), (&json!(1), &json!(4)), "{sync}");
    let told = problems(&world);
    for part in ["/courses/s1: meetings", "/courses/s2: term", "/courses/s3: capacity"] {
        assert!(told.iter().any(|problem| problem.starts_with(part)), "{part} is not among {told:?}");
    }
    assert!(told.contains(&format!("{twin}: {good} has this term and CRN already")), "{told:?}");
    assert_eq!(world.section("203001-4")["title"], "Good");
    world.visitor("203001-1").expect(404);
    // They are still told when nothing changes, and not any more when they are put right.
    assert_eq!(world.sync()["skipped"], 4);
    world.edit(&meeting, &json!({"meetings": "MWF 15:00-16:00 Room"}));
    world.delete(&twin);
    assert_eq!(world.sync()["skipped"], 2);
    assert_eq!(world.section("203001-1")["meetings"][0]["location"], "Room");
}

#[test]
fn a_moved_item_is_followed_and_another_number_is_another_section() {
    let world = World::settled();
    world.open_terms();
    let folder = json!({"@type": "Folder", "id": "evening", "title": "Evening"});
    let folder = world.make("/courses", &folder);
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
    eventually("nobody in the new one", || (world.item(&moved)["seats_taken"] == 0).then_some(()));
    world.wait_for_the_outbox();
    let sync = world.sync();
    assert_eq!((&sync["created"], &sync["withdrawn"]), (&json!(0), &json!(0)), "{sync}");
}

/// Makes a section type with the field names of another college, and some sections of it.
fn another_college(plone: &super::Plone, token: &str) {
    let post = |path: &str, body: &Value| {
        let (status, answer) = plone.request("POST", path, Some(token), Some(body));
        assert!(status == 201 || status == 200, "{path}: {status} {answer}");
    };
    post("/@controlpanels/dexterity-types", &json!({"title": "Class", "description": ""}));
    let fields = [
        ("Semester", "Text line (String)"),
        ("Number", "Text line (String)"),
        ("Subject", "Text line (String)"),
        ("Room for", "Integer"),
        ("Taken", "Integer"),
        ("When", "Text"),
    ];
    for (title, factory) in fields {
        post("/@types/class", &json!({"title": title, "factory": factory, "description": "", "required": false}));
    }
    make(plone, token, "", &json!({"@type": "Folder", "id": "classes", "title": "Classes"}));
    for number in ["1", "2"] {
        let class = json!({
            "@type": "class", "id": format!("c{number}"), "title": "Knots", "semester": "203009", "number": number,
            "subject": "KNOT 1", "room_for": 3, "when": "F 10:00-11:00",
        });
        make(plone, token, "/classes", &class);
    }
}

#[test]
fn another_colleges_type_has_its_own_field_names_and_lacks_some() {
    let settings = [
        ("plone.sections_path", "/classes"),
        ("plone.type", "class"),
        ("plone.fields.term", "semester"),
        ("plone.fields.crn", "number"),
        ("plone.fields.course", "subject"),
        ("plone.fields.capacity", "room_for"),
        ("plone.fields.seats_taken", "taken"),
        ("plone.fields.meetings", "when"),
    ];
    let world = World::with(&settings, another_college);
    eventually("the classes", || (world.sync()["sections"] == 2).then_some(()));
    let section = world.section("203009-2");
    assert_eq!((&section["course"], &section["capacity"]), (&json!("KNOT 1"), &json!(3)));
    assert_eq!((&section["component"], &section["meetings"][0]["start"]), (&json!("lecture"), &json!("10:00")));
    let missing = world.status()["missing_fields"].take();
    assert_eq!(
        missing,
        json!(["component", "section", "credits", "instructor", "waitlist_capacity", "waitlisted", "roster"])
    );
    world.open_terms();
    world.student("ann").put("/api/v1/me/registrations/203009-2").expect(201);
    eventually("the seat in Plone", || (world.item("/classes/c2")["taken"] == 1).then_some(()));
    world.edit("/classes/c2", &json!({"room_for": 8}));
    world.sync();
    assert_eq!(world.section("203009-2")["capacity"], 8);
}

#[test]
fn a_college_without_sections_has_none_and_its_events_are_followed() {
    let world = World::with(&[("plone.sections_path", "/empty")], |plone, token| {
        make(plone, token, "", &json!({"@type": "Folder", "id": "empty", "title": "Empty"}));
    });
    let sync = world.sync();
    assert_eq!((&sync["sections"], &sync["skipped"]), (&json!(0), &json!(0)), "{sync}");
    let events = || world.server.client().get("/api/v1/events").expect(200).json()["items"].take();
    let ours = || {
        let all = events();
        let ours = all.as_array().unwrap().iter().find(|event| event["location"] == "Dock 4").cloned();
        ours
    };
    let event = json!({
        "@type": "Event", "id": "regatta", "title": "Regatta", "start": "2031-05-01T10:00:00+00:00",
        "end": "2031-05-01T12:00:00+00:00", "location": "Dock 4", "subjects": ["Sailing"], "contact_name": "Ann",
        "description": "Come.",
    });
    let path = world.make("", &event);
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
