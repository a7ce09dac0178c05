//! Edits in Plone, in the hub, and in both at once.

use serde_json::json;

use super::{Setup, id_at};
use crate::support::plone::Plone;
use crate::support::schedule::{Row, Schedule};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

#[test]
fn edits_in_plone_and_in_the_hub_are_merged_by_field() {
    let world = Setup::settled();
    let (path, other) = (world.plone.section(10), world.plone.section(11));
    let (id, other_id) = (id_at(&path), id_at(&other));
    world.edit(&path, &json!({"instructor": "Grace Hopper", "meetings": "tr 18:00-19:20\r\n\r\nS 9:00-12:00 Lab 4"}));
    world.sync();
    let section = world.section(id);
    assert_eq!(section["instructor"], "Grace Hopper");
    assert_eq!(section["meetings"][0]["days"], json!(["tue", "thu"]));
    assert_eq!(section["meetings"][1]["location"], "Lab 4");

    // Different fields of one section are edited in both at once: both edits are kept on both sides.
    let before = world.item(&other)["title"].clone();
    assert_ne!(before, "Renamed");
    let patch = json!({"capacity": 61});
    world.edit(&other, &json!({"title": "Renamed"}));
    world.admin().patch_json(&format!("/api/v1/sections/{other_id}"), &patch).expect(200);
    world.sync();
    let section = world.section(other_id);
    assert_eq!((&section["title"], &section["capacity"]), (&json!("Renamed"), &json!(61)));
    eventually("the hub's edit in Plone", || (world.item(&other)["capacity"] == 61).then_some(()));
    assert_eq!(world.item(&other)["title"], "Renamed");
    world.sync();
    assert_eq!(world.section(other_id)["capacity"], 61);
    // Text in Plone's own notation is not rewritten.
    assert!(world.item(&path)["meetings"].as_str().unwrap().starts_with("tr 18:00-19:20"));
}

#[test]
fn an_edit_in_the_hub_survives_an_outage() {
    let world = Setup::settled();
    let path = world.plone.section(20);
    let id = id_at(&path);
    world.plone.stop();
    world.admin().patch_json(&format!("/api/v1/sections/{id}"), &json!({"capacity": 63})).expect(200);
    let answer = world.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (502, "plone_unavailable"), "{}", answer.text());
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    assert_eq!(world.section(id)["capacity"], 63);
    assert!(world.status()["error"].is_string());
    world.plone.start_again();
    eventually("a pull after the outage", || {
        let answer = world.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
        (answer.status == 200).then_some(())
    });
    assert_eq!(world.section(id)["capacity"], 63);
    eventually("the edit in Plone", || (world.item(&path)["capacity"] == 63).then_some(()));
    world.sync();
    assert_eq!(world.section(id)["capacity"], 63);
    assert!(world.status()["error"].is_null());
}

#[test]
fn seat_counts_edited_in_plone_are_overwritten() {
    let world = Setup::settled();
    let path = world.plone.section(30);
    world.open_terms();
    world.student("ann").put(&format!("/api/v1/me/registrations/{}", id_at(&path))).expect(201);
    eventually("the seat in Plone", || (world.item(&path)["seats_taken"] == 1).then_some(()));
    world.wait_for_the_outbox();
    world.sync();
    world.edit(&path, &json!({"seats_taken": 9, "waitlisted": 4}));
    let sync = world.sync();
    assert_eq!(sync["rewritten"], 1, "{sync}");
    eventually("the hub's numbers", || {
        let item = world.item(&path);
        (item["seats_taken"] == 1 && item["waitlisted"] == 0).then_some(())
    });
    assert_eq!(world.section(id_at(&path))["enrolled"], 1);
}

#[test]
fn an_edit_survives_an_unacknowledged_creation_in_plone() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let world = Setup::before(plone, &[("plone.url", &relay.url())], |_, _| {});
    world.settle();
    let shown = world.sync()["sections"].as_u64().unwrap();
    // Plone creates the item, but the response is lost.
    relay.set(Mode::LosePosts);
    let schedule = Schedule { term: "203009".into(), rows: vec![Row::lecture("10001", "MATH 101")] };
    schedule.load(&mut world.admin());
    let (id, path) = ("203009-10001", "/courses/203009-10001");
    let is_made = || world.plone.request("GET", path, Some(&world.token), None).0 == 200;
    eventually("the section in Plone", || is_made().then_some(()));
    world.admin().patch_json(&format!("/api/v1/sections/{id}"), &json!({"capacity": 61})).expect(200);
    world.transition(path, "publish");
    let sync = eventually("a pull that finds it", || {
        let answer = world.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
        let sync = (answer.status == 200).then(|| answer.json())?;
        (sync["sections"] == shown + 1).then_some(sync)
    });
    assert_eq!(world.item(path)["capacity"], 5, "the item is as it was created");
    assert_eq!(world.section(id)["capacity"], 61, "{sync}");
    relay.set(Mode::Pass);
    eventually("the edit in Plone", || (world.item(path)["capacity"] == 61).then_some(()));
}
