//! The pull of a real Plone's catalogue.
//!
//! - [`arrival`]: items are pulled unchanged, and only changed items are read again
//! - [`edits`]: edits in Plone, in the hub, and in both
//! - [`visibility`]: sections that visitors of Plone cannot see
//! - [`oddities`]: invalid and moved items, renamed fields, events, and a site without sections

mod arrival;
mod edits;
mod oddities;
mod visibility;

use serde_json::{Value, json};

use crate::support::bridge::{plone_state, wait_for_sections, with_plone_at};
use crate::support::http::{Client, Response};
use crate::support::plone::{HUB, PASSWORD, Plone};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// A Plone, and a hub in front of it that pulls only on request.
struct Setup {
    server: Server,
    home: Home,
    plone: Plone,
    /// Token of the hub's user in Plone.
    token: String,
    /// Token of an admin of the hub.
    admin: String,
}

impl Setup {
    /// Starts a Plone, prepares it with the token of the hub's user, and starts a hub with these settings.
    fn with(settings: &[(&str, &str)], prepare: impl FnOnce(&Plone, &str)) -> Self {
        Self::in_front_of(Plone::start(), settings, prepare)
    }

    /// Does the same as [`Self::with`] for a running Plone.
    fn in_front_of(plone: Plone, settings: &[(&str, &str)], prepare: impl FnOnce(&Plone, &str)) -> Self {
        let token = plone.login(HUB, PASSWORD);
        prepare(&plone, &token);
        let home = with_plone_at(Home::new(), &plone.url()).setting("plone.sync_s", "86400");
        let home = settings.iter().fold(home, |home, (name, value)| home.setting(name, value));
        let server = home.serve();
        let admin = home.token("ada", "admin");
        Self { server, home, plone, token, admin }
    }

    /// Starts both and waits until they have the same sections.
    fn synchronized() -> Self {
        let setup = Self::with(&[], |_, _| {});
        setup.synchronize();
        setup
    }

    /// Waits until the hub has the catalogue and the outbox is empty.
    fn synchronize(&self) {
        wait_for_sections(&self.server);
        self.wait_for_empty_outbox();
        self.sync();
    }

    fn admin(&self) -> Client {
        self.server.client().signed_in(&self.admin)
    }

    /// Pulls now and returns the counts.
    fn sync(&self) -> Value {
        let answer = self.admin().call("POST", "/api/v1/admin/plone/sync", &[], b"").unwrap();
        answer.expect(200).json()
    }

    /// Returns the state of the pull.
    fn status(&self) -> Value {
        plone_state(&mut self.admin())["sync"].take()
    }

    fn wait_for_empty_outbox(&self) {
        eventually("an empty outbox", || {
            let outbox = plone_state(&mut self.admin())["outbox"].take();
            (outbox["depth"] == 0 && outbox["in_flight"] == 0).then_some(())
        });
    }

    /// Returns a section as the hub shows it to an admin.
    fn section(&self, id: &str) -> Value {
        self.admin().get(&format!("/api/v1/sections/{id}")).expect(200).json()
    }

    /// Requests a section as a visitor of the hub.
    fn visitor(&self, id: &str) -> Response {
        self.server.client().get(&format!("/api/v1/sections/{id}"))
    }

    /// Returns whether a section is in the list of sections and in the seats. Waits until both agree.
    fn is_listed(&self, id: &str) -> bool {
        let mut client = self.server.client();
        let term = id.rsplit_once('-').unwrap().0;
        let mut listed = || {
            let list = client.get("/api/v1/sections?limit=5000").expect(200).json();
            let listed = list["items"].as_array().unwrap().iter().any(|section| section["id"] == id);
            let seats = client.get(&format!("/api/v1/seats?term={term}"));
            // The term may not exist yet.
            let has_seats =
                seats.status == 200 && seats.json()["seats"].as_array().unwrap().iter().any(|row| row[0] == id);
            (listed, has_seats)
        };
        // A pull may end between the two requests.
        eventually("agreement of list and seats", || {
            let (listed, has_seats) = listed();
            (listed == has_seats).then_some(listed)
        })
    }

    /// Opens registration in all terms.
    fn open_terms(&self) {
        crate::support::bridge::open_terms(&self.server, &self.admin);
    }

    fn student(&self, name: &str) -> Client {
        self.server.client().signed_in(&self.home.token(name, "student"))
    }

    /// Returns an item of Plone, as the hub's user sees it.
    fn item(&self, path: &str) -> Value {
        let (status, item) = self.plone.request("GET", path, Some(&self.token), None);
        assert_eq!(status, 200, "{item}");
        item
    }

    /// Edits an item in Plone.
    fn edit(&self, path: &str, fields: &Value) {
        let (status, answer) = self.plone.request("PATCH", path, Some(&self.token), Some(fields));
        assert_eq!(status, 204, "{answer}");
    }

    fn transition(&self, path: &str, transition: &str) {
        let path = format!("{path}/@workflow/{transition}");
        let (status, answer) = self.plone.request("POST", &path, Some(&self.token), None);
        assert_eq!(status, 200, "{answer}");
    }

    /// Creates an item in a folder, publishes it, and returns its path.
    fn create(&self, folder: &str, item: &Value) -> String {
        create(&self.plone, &self.token, folder, item)
    }

    fn delete(&self, path: &str) {
        assert_eq!(self.plone.request("DELETE", path, Some(&self.token), None).0, 204);
    }
}

/// Creates an item in a folder, publishes it, and returns its path.
fn create(plone: &Plone, token: &str, folder: &str, item: &Value) -> String {
    let (status, made) = plone.request("POST", folder, Some(token), Some(item));
    assert_eq!(status, 201, "{made}");
    let path = made["@id"].as_str().unwrap().trim_start_matches(&plone.url()).to_owned();
    let (status, answer) = plone.request("POST", &format!("{path}/@workflow/publish"), Some(token), None);
    assert_eq!(status, 200, "{answer}");
    path
}

/// Returns the id of the section at a path of the test site: the last segment.
fn id_at(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Returns the fields of a section in a term that the test site does not have.
fn new_section(crn: &str, title: &str) -> Value {
    json!({
        "@type": "course_section", "id": format!("s{crn}"), "title": title, "term": "203001", "crn": crn,
        "course": "TEST 1", "component": "Lab", "capacity": 12,
    })
}
