//! A hub in front of a real Plone: its settings, signing in, and waiting for its state.

use serde_json::{Value, json};

use super::http::Client;
use super::plone::{HUB, PASSWORD, PRIVATE_SECTIONS, SECTIONS};
use super::server::{Home, Server};
use super::wait::eventually;

/// Adds the settings of a hub in front of the Plone at this URL.
pub fn with_plone_at(home: Home, url: &str) -> Home {
    home.setting("plone.url", url).setting("plone.username", HUB).setting("plone.password", PASSWORD)
}

/// Signs in a member of Plone at the hub and returns the hub's token.
pub fn sign_in(server: &Server, user: &str) -> String {
    let credentials = json!({"username": user, "password": PASSWORD});
    let response = eventually("a response from Plone", || {
        let response = server.client().post_json("/api/v1/login", &credentials);
        (response.status != 503).then_some(response)
    });
    response.expect(200).json()["token"].as_str().expect("a token").to_owned()
}

/// Waits until the hub has every section that visitors can see in Plone, and returns their ids.
pub fn wait_for_sections(server: &Server) -> Vec<String> {
    let mut client = server.client();
    eventually("the hub to read the catalogue of Plone", || {
        let list = client.get("/api/v1/sections?limit=5000").expect(200).json();
        let items = list["items"].as_array().expect("a list");
        let ids = items.iter().map(|section| section["id"].as_str().expect("an id").to_owned());
        (items.len() == SECTIONS - PRIVATE_SECTIONS).then(|| ids.collect())
    })
}

/// Opens registration in every term.
pub fn open_terms(server: &Server, staff: &str) {
    let mut client = server.client().signed_in(staff);
    let terms = client.get("/api/v1/terms").expect(200).json();
    for term in terms["items"].as_array().expect("a list") {
        let path = format!("/api/v1/terms/{}", term["id"].as_str().expect("an id"));
        client.put_json(&path, &json!({"opens_at": "2020-01-01T00:00:00Z", "closes_at": null})).expect(200);
    }
}

/// Returns the state of Plone and of the outbox, as admins see it.
pub fn plone_state(admin: &mut Client) -> Value {
    admin.get("/api/v1/admin/plone").expect(200).json()
}

/// Waits until the hub's check of who can read rosters in Plone reports this state, and returns the report.
pub fn wait_for_roster_state(admin: &mut Client, state: &str) -> Value {
    eventually(&format!("the roster state `{state}`"), || {
        let roster = plone_state(admin)["roster"].clone();
        (roster["state"] == state).then_some(roster)
    })
}
