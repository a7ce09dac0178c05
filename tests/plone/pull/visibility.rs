//! Sections that visitors of Plone cannot see are withdrawn.

use serde_json::{Value, json};

use super::{Setup, id_at};
use crate::support::wait::eventually;

#[test]
fn a_retracted_section_is_withdrawn_until_published_again() {
    let setup = Setup::synchronized();
    let path = setup.plone.section(40);
    let id = id_at(&path);
    let seat = format!("/api/v1/me/registrations/{id}");
    setup.open_terms();
    setup.student("ann").put(&seat).expect(201);
    setup.transition(&path, "retract");
    assert_eq!(setup.sync()["withdrawn"], 1);

    assert!(!setup.is_listed(id));
    setup.visitor(id).expect(404);
    setup.student("bob").get(&format!("/api/v1/sections/{id}")).expect(404);
    let refused = setup.student("bob").put(&seat);
    assert_eq!((refused.status, refused.code().as_str()), (409, "section_closed"));
    let mine = setup.student("ann").get(&format!("/api/v1/sections/{id}")).expect(200).json();
    assert_eq!((&mine["withdrawn"], &mine["enrolled"], &mine["open"]), (&json!(true), &json!(1), &json!(0)));
    let registered = setup.student("ann").get("/api/v1/me/registrations").expect(200).json();
    assert_eq!(registered["items"][0]["section"], id);
    assert_eq!(setup.section(id)["withdrawn"], true, "staff can see it");
    assert_eq!(setup.sync()["withdrawn"], 0, "a section is withdrawn once");

    setup.edit(&path, &json!({"capacity": 44}));
    setup.sync();
    assert_ne!(setup.section(id)["capacity"], 44, "edits to a hidden item are not applied");
    setup.transition(&path, "publish");
    setup.sync();
    assert!(setup.is_listed(id));
    assert_eq!(setup.section(id)["capacity"], 44);
    setup.student("bob").put(&seat).expect(201);
    eventually("both seats in Plone", || (setup.item(&path)["seats_taken"] == 2).then_some(()));
}

#[test]
fn a_deleted_section_keeps_students_and_is_not_recreated() {
    let setup = Setup::synchronized();
    let path = setup.plone.section(50);
    let id = id_at(&path);
    setup.open_terms();
    for student in ["ann", "bob"] {
        setup.student(student).put(&format!("/api/v1/me/registrations/{id}")).expect(201);
    }
    setup.wait_for_empty_outbox();
    setup.delete(&path);
    setup.sync();
    assert!(!setup.is_listed(id));
    assert_eq!(setup.section(id)["enrolled"], 2);
    setup.student("ann").delete(&format!("/api/v1/me/registrations/{id}")).expect(200);
    setup.wait_for_empty_outbox();
    assert_eq!(setup.plone.request("GET", &path, Some(&setup.token), None).0, 404);
    assert_eq!(setup.section(id)["enrolled"], 1);
    // An editor creates another item for the same section. It receives the hub's counts.
    let again = json!({
        "@type": "course_section", "id": "again", "title": "Again", "term": id.rsplit_once('-').unwrap().0,
        "crn": id.rsplit_once('-').unwrap().1, "course": "TEST 2", "capacity": 5,
    });
    let again = setup.create("/courses", &again);
    setup.sync();
    assert!(setup.is_listed(id));
    let section = setup.section(id);
    assert_eq!((&section["title"], &section["enrolled"]), (&json!("Again"), &json!(1)));
    eventually("the seat in the new item", || (setup.item(&again)["seats_taken"] == 1).then_some(()));
}

#[test]
fn an_expired_section_is_withdrawn() {
    let setup = Setup::synchronized();
    let path = setup.plone.section(60);
    setup.edit(&path, &json!({"effective": "2019-01-01T00:00:00", "expires": "2020-01-01T00:00:00"}));
    setup.sync();
    assert!(!setup.is_listed(id_at(&path)));
    setup.edit(&path, &json!({"expires": Value::Null}));
    setup.sync();
    assert!(setup.is_listed(id_at(&path)));
}
