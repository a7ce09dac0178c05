//! Sections that visitors of Plone cannot see are withdrawn.

use serde_json::{Value, json};

use super::{Setup, id_at};
use crate::support::wait::eventually;

#[test]
fn a_retracted_section_is_withdrawn_until_published_again() {
    let world = Setup::settled();
    let path = world.plone.section(40);
    let id = id_at(&path);
    let seat = format!("/api/v1/me/registrations/{id}");
    world.open_terms();
    world.student("ann").put(&seat).expect(201);
    world.transition(&path, "retract");
    assert_eq!(world.sync()["withdrawn"], 1);

    assert!(!world.is_listed(id));
    world.visitor(id).expect(404);
    world.student("bob").get(&format!("/api/v1/sections/{id}")).expect(404);
    let refused = world.student("bob").put(&seat);
    assert_eq!((refused.status, refused.code().as_str()), (409, "section_closed"));
    let mine = world.student("ann").get(&format!("/api/v1/sections/{id}")).expect(200).json();
    assert_eq!((&mine["withdrawn"], &mine["enrolled"], &mine["open"]), (&json!(true), &json!(1), &json!(0)));
    let held = world.student("ann").get("/api/v1/me/registrations").expect(200).json();
    assert_eq!(held["items"][0]["section"], id);
    assert_eq!(world.section(id)["withdrawn"], true, "staff can see it");
    assert_eq!(world.sync()["withdrawn"], 0, "it is withdrawn once");

    world.edit(&path, &json!({"capacity": 44}));
    world.sync();
    assert_ne!(world.section(id)["capacity"], 44, "edits of a hidden item are not followed");
    world.transition(&path, "publish");
    world.sync();
    assert!(world.is_listed(id));
    assert_eq!(world.section(id)["capacity"], 44);
    world.student("bob").put(&seat).expect(201);
    eventually("both seats in Plone", || (world.item(&path)["seats_taken"] == 2).then_some(()));
}

#[test]
fn a_deleted_section_keeps_students_and_is_not_recreated() {
    let world = Setup::settled();
    let path = world.plone.section(50);
    let id = id_at(&path);
    world.open_terms();
    for student in ["ann", "bob"] {
        world.student(student).put(&format!("/api/v1/me/registrations/{id}")).expect(201);
    }
    world.wait_for_the_outbox();
    world.delete(&path);
    world.sync();
    assert!(!world.is_listed(id));
    assert_eq!(world.section(id)["enrolled"], 2);
    world.student("ann").delete(&format!("/api/v1/me/registrations/{id}")).expect(200);
    world.wait_for_the_outbox();
    assert_eq!(world.plone.request("GET", &path, Some(&world.token), None).0, 404);
    assert_eq!(world.section(id)["enrolled"], 1);
    // Created again in Plone, it is another item of the same section and gets the hub's counts.
    let again = json!({
        "@type": "course_section", "id": "again", "title": "Again", "term": id.rsplit_once('-').unwrap().0,
        "crn": id.rsplit_once('-').unwrap().1, "course": "TEST 2", "capacity": 5,
    });
    let again = world.create("/courses", &again);
    world.sync();
    assert!(world.is_listed(id));
    let section = world.section(id);
    assert_eq!((&section["title"], &section["enrolled"]), (&json!("Again"), &json!(1)));
    eventually("the seat in the new item", || (world.item(&again)["seats_taken"] == 1).then_some(()));
}

#[test]
fn an_expired_section_is_withdrawn() {
    let world = Setup::settled();
    let path = world.plone.section(60);
    world.edit(&path, &json!({"effective": "2019-01-01T00:00:00", "expires": "2020-01-01T00:00:00"}));
    world.sync();
    assert!(!world.is_listed(id_at(&path)));
    world.edit(&path, &json!({"expires": Value::Null}));
    world.sync();
    assert!(world.is_listed(id_at(&path)));
}
