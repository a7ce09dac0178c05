//! Edits in Plone, in the hub, and in both at the same time.

use serde_json::json;

use super::{Setup, id_at};
use crate::support::plone::Plone;
use crate::support::schedule::{Row, Schedule};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

#[test]
fn edits_in_plone_and_in_the_hub_are_merged_by_field() {
    let setup = Setup::synchronized();
    let (path, other) = (setup.plone.section(10), setup.plone.section(11));
    let (id, other_id) = (id_at(&path), id_at(&other));
    setup.edit(&path, &json!({"instructor": "Grace Hopper", "meetings": "tr 18:00-19:20\r\n\r\nS 9:00-12:00 Lab 4"}));
    setup.sync();
    let section = setup.section(id);
    assert_eq!(section["instructor"], "Grace Hopper");
    assert_eq!(section["meetings"][0]["days"], json!(["tue", "thu"]));
    assert_eq!(section["meetings"][1]["location"], "Lab 4");

    // Both sides edit different fields of one section. Both edits remain on both sides.
    let before = setup.item(&other)["title"].clone();
    assert_ne!(before, "Renamed");
    let patch = json!({"capacity": 61});
    setup.edit(&other, &json!({"title": "Renamed"}));
    setup.admin().patch_json(&format!("/api/v1/sections/{other_id}"), &patch).expect(200);
    setup.sync();
    let section = setup.section(other_id);
    assert_eq!((&section["title"], &section["capacity"]), (&json!("Renamed"), &json!(61)));
    eventually("the hub's edit in Plone", || (setup.item(&other)["capacity"] == 61).then_some(()));
    assert_eq!(setup.item(&other)["title"], "Renamed");
    setup.sync();
    assert_eq!(setup.section(other_id)["capacity"], 61);
    // The hub does not rewrite text that differs only in notation.
    assert!(setup.item(&path)["meetings"].as_str().unwrap().starts_with("tr 18:00-19:20"));
}

/// The pull commits a changed section before it stores the item that the change came from. The outbox is running, and
/// must not write the section back in between.
#[test]
fn other_notations_are_not_written_back_during_a_pull() {
    let setup = Setup::synchronized();
    let paths: Vec<String> = (30..60).map(|number| setup.plone.section(number)).collect();
    for hour in 10..14 {
        let text = format!("mw {hour}:00-{hour}:50 Room {hour}");
        for path in &paths {
            setup.edit(path, &json!({"meetings": text}));
        }
        setup.sync();
        setup.wait_for_empty_outbox();
        for path in &paths {
            assert_eq!(setup.section(id_at(path))["meetings"][0]["location"], format!("Room {hour}"));
            assert_eq!(setup.item(path)["meetings"], text, "{path}");
        }
    }
}

#[test]
fn an_edit_in_the_hub_survives_an_outage() {
    let setup = Setup::synchronized();
    let path = setup.plone.section(20);
    let id = id_at(&path);
    setup.plone.stop();
    setup.admin().patch_json(&format!("/api/v1/sections/{id}"), &json!({"capacity": 63})).expect(200);
    let response = setup.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
    assert_eq!((response.status, response.code().as_str()), (502, "plone_unavailable"), "{}", response.text());
    assert!(!response.text().contains("127.0.0.1"), "{}", response.text());
    assert_eq!(setup.section(id)["capacity"], 63);
    assert!(setup.status()["error"].is_string());
    setup.plone.start_again();
    eventually("a pull after the outage", || {
        let response = setup.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
        (response.status == 200).then_some(())
    });
    assert_eq!(setup.section(id)["capacity"], 63);
    eventually("the edit in Plone", || (setup.item(&path)["capacity"] == 63).then_some(()));
    setup.sync();
    assert_eq!(setup.section(id)["capacity"], 63);
    assert!(setup.status()["error"].is_null());
}

#[test]
fn seat_counts_edited_in_plone_are_overwritten() {
    let setup = Setup::synchronized();
    let path = setup.plone.section(30);
    setup.open_terms();
    setup.student("ann").put(&format!("/api/v1/me/registrations/{}", id_at(&path))).expect(201);
    eventually("the seat in Plone", || (setup.item(&path)["seats_taken"] == 1).then_some(()));
    setup.wait_for_empty_outbox();
    setup.sync();
    setup.edit(&path, &json!({"seats_taken": 9, "waitlisted": 4}));
    let sync = setup.sync();
    assert_eq!(sync["rewritten"], 1, "{sync}");
    eventually("the hub's counts", || {
        let item = setup.item(&path);
        (item["seats_taken"] == 1 && item["waitlisted"] == 0).then_some(())
    });
    assert_eq!(setup.section(id_at(&path))["enrolled"], 1);
}

#[test]
fn an_edit_survives_an_unacknowledged_creation_in_plone() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let setup = Setup::in_front_of(plone, &[("plone.url", &relay.url())], |_, _| {});
    setup.synchronize();
    let shown = setup.sync()["sections"].as_u64().unwrap();
    // Plone creates the item, but the response is lost.
    relay.set(Mode::LosePosts);
    let schedule = Schedule { term: "203009".into(), rows: vec![Row::lecture("10001", "MATH 101")] };
    schedule.load(&mut setup.admin());
    let (id, path) = ("203009-10001", "/courses/203009-10001");
    let exists = || setup.plone.request("GET", path, Some(&setup.token), None).0 == 200;
    eventually("the section in Plone", || exists().then_some(()));
    setup.admin().patch_json(&format!("/api/v1/sections/{id}"), &json!({"capacity": 61})).expect(200);
    setup.transition(path, "publish");
    let sync = eventually("a pull that finds the section", || {
        let response = setup.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
        let sync = (response.status == 200).then(|| response.json())?;
        (sync["sections"] == shown + 1).then_some(sync)
    });
    assert_eq!(setup.item(path)["capacity"], 5, "the item is unchanged since its creation");
    assert_eq!(setup.section(id)["capacity"], 61, "{sync}");
    relay.set(Mode::Pass);
    eventually("the edit in Plone", || (setup.item(path)["capacity"] == 61).then_some(()));
}
