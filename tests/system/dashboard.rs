//! The dashboard of a hub without Plone.

use serde_json::{Value, json};

use crate::support::openapi::assert_has_schema;
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::Home;

const DASHBOARD: &str = "/api/v1/dashboard";

#[test]
fn a_dashboard_without_plone_lacks_only_announcements() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("desk", "staff"));
    let file = "crn,course,capacity,title\n1,MATH 1,5,Sums\n2,ART 2,5,Lines\n3,BIOL 3,5,Leaves\n";
    let task = start_import(&mut staff, "203001", file.as_bytes());
    assert_eq!(wait_for_import(&mut staff, &task)["state"], "done");
    open_term(&mut staff, "203001");
    let mut ann = server.client().signed_in(&home.token("ann", "student"));
    ann.put("/api/v1/me/registrations/203001-1").expect(201);
    ann.put_json("/api/v1/me/plan", &json!({"sections": ["203001-2"]})).expect(200);
    let flood = json!({"title": "Flood", "message": "Room 1.", "audience": {"sections": ["203001-1"]}});
    staff.post_json("/api/v1/alerts", &flood).expect(201);

    let response = ann.get(DASHBOARD).expect(200);
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    let dashboard = response.json();
    assert_has_schema("Dashboard", &dashboard);
    assert_eq!(dashboard["user"], ann.get("/api/v1/me").json());
    assert_eq!(dashboard["registrations"], ann.get("/api/v1/me/registrations").json()["items"]);
    let sections = ["203001-1", "203001-2"].map(|id| {
        let section = ann.get(&format!("/api/v1/sections/{id}")).expect(200).json();
        assert_eq!(section["mine"]["open"], section["open"], "what this student can take");
        section
    });
    assert_eq!(dashboard["sections"], json!(sections));
    assert_eq!(dashboard["alerts"], ann.get("/api/v1/alerts?active=true").json()["items"]);
    let titles: Vec<&Value> = dashboard["alerts"].as_array().unwrap().iter().map(|alert| &alert["title"]).collect();
    assert_eq!((titles, &dashboard["announcements"]), (vec![&json!("Flood")], &json!([])));
    assert_eq!(dashboard["sources"]["plone"]["ok"], false);
    assert_eq!(staff.get(DASHBOARD).expect(200).json()["registrations"], json!([]));
    assert_eq!(server.client().get(DASHBOARD).expect(401).code(), "unauthenticated");
    let announcements = server.client().get("/api/v1/announcements").expect(200).json();
    assert_eq!(announcements, json!({"items": [], "total": 0}));
}
