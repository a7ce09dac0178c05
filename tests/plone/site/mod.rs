//! How Plone 6.2 behaves where the hub relies on it. A release that behaves differently fails these
//! tests. The appendix of `docs/PLONE.md` describes this behavior.
//!
//! - [`tokens`]: when Plone accepts a token
//! - [`visibility`]: who can read sections, rosters and news
//! - [`responses`]: unexpected statuses, bodies and uses of connections
//! - [`writing`]: lost updates, transitions, deletions and ids
//! - [`hosting`]: Plone behind a path of another origin, and paths that lead out of the site
//! - [`relay`]: the modes of the tests' relay

mod hosting;
mod relay;
mod responses;
mod tokens;
mod visibility;
mod writing;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::plone::{HUB, PASSWORD, PRIVATE_SECTIONS, Plone, SECTIONS, STUDENTS};

/// Returns the Plone that these tests read. Each test writes only items that no other test reads. No hub runs in front
/// of this Plone, because it would overwrite the seats that these tests write.
fn shared() -> &'static Plone {
    static SHARED: OnceLock<Plone> = OnceLock::new();
    SHARED.get_or_init(Plone::start)
}

/// Returns another Plone, for tests that create or delete items or change roles.
fn written() -> &'static Plone {
    static WRITTEN: OnceLock<Plone> = OnceLock::new();
    WRITTEN.get_or_init(Plone::start)
}

/// Returns the fields of a section that does not exist yet.
fn new_section(id: &str) -> Value {
    json!({"@type": "course_section", "id": id, "title": "Test", "term": "202701", "crn": "1", "course": "TEST 1"})
}

/// Returns the number of items that a search finds.
fn found(plone: &Plone, query: &str, token: Option<&str>) -> u64 {
    let (status, response) = plone.request("GET", &format!("/@search?b_size=1&{query}"), token, None);
    assert_eq!(status, 200, "{response}");
    response["items_total"].as_u64().expect("a total")
}

#[test]
fn the_site_has_the_content_that_tests_rely_on() {
    let plone = shared();
    let hub = plone.login(HUB, PASSWORD);
    let all = "portal_type=course_section";
    assert_eq!(found(plone, all, Some(&hub)), SECTIONS as u64);
    assert_eq!(found(plone, all, None), (SECTIONS - PRIVATE_SECTIONS) as u64);
    assert_eq!(found(plone, "portal_type=News%20Item", None), 5);
    assert_eq!(found(plone, "portal_type=News%20Item", Some(&hub)), 6);
    plone.login(&format!("student{STUDENTS}"), PASSWORD);

    let (status, section) = plone.request("GET", &plone.section(0), None, None);
    assert_eq!(status, 200);
    for field in ["term", "crn", "course", "component", "section", "instructor", "meetings", "title"] {
        assert!(section[field].is_string(), "{field}: {section}");
    }
    for field in ["capacity", "waitlist_capacity", "seats_taken", "waitlisted"] {
        assert!(section[field].is_u64(), "{field}: {section}");
    }
    assert!(section["credits"].is_f64(), "{section}");
}

#[test]
fn plone_restarts_on_its_port_with_its_data() {
    let plone = Plone::start();
    let hub = plone.login(HUB, PASSWORD);
    let section = plone.section(3);
    let written = plone.request("PATCH", &section, Some(&hub), Some(&json!({"seats_taken": 7})));
    assert_eq!(written.0, 204, "{}", written.1);
    plone.stop();
    assert!(plone.call("GET", "/", &[], b"").is_err());
    plone.start_again();
    assert_eq!(plone.request("GET", &section, None, None).1["seats_taken"], 7);
}
