//! The performance demonstration with a real Plone, which loses updates that the hub does not lose.

use serde_json::{Value, json};

use crate::support::bridge::{wait_for_sections, with_plone_at};
use crate::support::demonstration::{assert_hub_lost_nothing, result_of, start, wait_for_end};
use crate::support::plone::{HUB, PASSWORD, Plone};
use crate::support::server::Home;

#[test]
fn plone_loses_updates_and_the_hub_does_not() {
    let plone = Plone::start();
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.demo_target", "true");
    let server = home.serve();
    let sections = wait_for_sections(&server).len();
    let mut admin = server.client().signed_in(&home.token("boss", "admin"));
    let task = start(&mut admin, &json!({"users": 200, "seconds": 10, "target": "both"}));
    let task = wait_for_end(&mut admin, &task);
    assert_hub_lost_nothing(&task, 200);
    let row = result_of(&task, "plone");
    println!("{row}");
    assert_eq!((&row["recorded"], &row["users"]), (&Value::Null, &json!(200)));
    assert!(row["told"].as_u64().unwrap() > row["held"].as_u64().unwrap(), "Plone lost no update: {row}");
    assert!(row["lost"].as_u64().unwrap() > 0, "{row}");
    // The item of the demonstration is deleted, and no pull imported it as a section.
    let token = plone.login(HUB, PASSWORD);
    assert_eq!(plone.request("GET", "/courses/eduhub-demonstration", Some(&token), None).0, 404);
    admin.post_json("/api/v1/admin/plone/sync", &json!({})).expect(200);
    assert_eq!(wait_for_sections(&server).len(), sections);
    assert!(server.client().get("/api/v1/terms").expect(200).text().find("_sandbox-").is_none());
}
