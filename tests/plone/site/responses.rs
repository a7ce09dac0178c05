//! Unexpected statuses, bodies and uses of connections.

use serde_json::json;

use super::shared;
use crate::support::http::Client;
use crate::support::plone::{HUB, PASSWORD};

#[test]
fn missing_permission_is_401_and_not_403() {
    let plone = shared();
    let student = plone.login("student3", PASSWORD);
    let (status, answer) =
        plone.request("PATCH", &plone.section(10), Some(&student), Some(&json!({"seats_taken": 99})));
    assert_eq!((status, answer["type"].as_str()), (401, Some("Unauthorized")), "{answer}");
    assert_eq!(plone.request("GET", "/@users/student3", Some(&student), None).0, 200);
}

#[test]
fn a_key_error_inside_plone_is_503() {
    let plone = shared();
    let hub = plone.login(HUB, PASSWORD);
    let (status, answer) = plone.request("PATCH", "/@types/nope", Some(&hub), Some(&json!({})));
    assert_eq!((status, answer["type"].as_str()), (503, Some("KeyError")), "{answer}");
}

#[test]
fn errors_show_tracebacks_to_managers_and_addresses_to_all() {
    let plone = shared();
    let root = plone.login("admin", PASSWORD);
    let (_, answer) = plone.request("PATCH", "/@types/nope", Some(&root), Some(&json!({})));
    assert!(answer["traceback"].to_string().contains("WSGIPublisher.py"), "{answer}");
    let (status, answer) = plone.request("GET", "/courses/nothing", None, None);
    assert_eq!(status, 404);
    assert!(answer["message"].to_string().contains(&plone.url()), "{answer}");
}

#[test]
fn errors_have_two_shapes() {
    let plone = shared();
    let (status, answer) =
        plone.request("POST", "/@login", None, Some(&json!({"login": "student1", "password": "wrong"})));
    assert_eq!((status, answer["error"]["type"].as_str()), (401, Some("Invalid credentials")), "{answer}");
    let hub = plone.login(HUB, PASSWORD);
    let (status, answer) = plone.request("PATCH", &plone.section(11), Some(&hub), Some(&json!({"seats_taken": "x"})));
    assert_eq!((status, answer["type"].as_str()), (400, Some("BadRequest")), "{answer}");
    // The message is the text of a Python list, not JSON.
    assert!(answer["message"].as_str().is_some_and(|message| message.starts_with("[{'message': ")), "{answer}");
}

#[test]
fn a_patch_without_accept_json_changes_nothing() {
    let plone = shared();
    let bearer = format!("Bearer {}", plone.login(HUB, PASSWORD));
    let section = plone.section(12);
    let before = plone.request("GET", &section, None, None).1;
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let answer = plone.call("PATCH", &section, &headers, br#"{"seats_taken": 31}"#).unwrap().expect(200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{answer:?}");
    assert_eq!(plone.request("GET", &section, None, None).1["seats_taken"], before["seats_taken"]);
}

#[test]
fn unknown_fields_and_preconditions_are_ignored() {
    let plone = shared();
    let bearer = format!("Bearer {}", plone.login(HUB, PASSWORD));
    let section = plone.section(13);
    let headers = [
        ("Accept", "application/json"),
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("If-Match", "\"never\""),
    ];
    plone.call("PATCH", &section, &headers, br#"{"no_such_field": 1}"#).unwrap().expect(204);
    let later = [("Accept", "application/json"), ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")];
    let answer = plone.call("GET", &section, &later, b"").unwrap().expect(200);
    assert_eq!(answer.header("etag"), None);
}

#[test]
fn a_204_closes_the_connection_and_prefer_keeps_it_open() {
    let plone = shared();
    let token = plone.login(HUB, PASSWORD);
    let path = format!("/Plone{}", plone.section(14));
    let json = [("Accept", "application/json"), ("Content-Type", "application/json")];
    let mut client = Client::connect(plone.address()).unwrap().signed_in(&token);
    let prefer = [json[0], json[1], ("Prefer", "return=representation")];
    for seats in [b"{\"waitlisted\": 1}", b"{\"waitlisted\": 2}"] {
        let answer = client.call("PATCH", &path, &prefer, seats).unwrap().expect(200);
        assert_ne!(answer.header("connection"), Some("close"));
    }
    let answer = client.call("PATCH", &path, &json, b"{\"waitlisted\": 0}").unwrap().expect(204);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.call("GET", &path, &json[..1], b"").is_err());
}
