//! Plone's users, rights and settings cannot be changed through the hub, its people cannot be listed, and every write is
//! in the audit trail.

use serde_json::{Value, json};

use super::{JSON, get, hub, sign_in, written};
use crate::support::http::{Client, Response};
use crate::support::plone::{DEAN, PASSWORD};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

const IS_JSON: (&str, &str) = ("Content-Type", "application/json");

fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Response {
    client.call(method, path, &[JSON, IS_JSON], body.to_string().as_bytes()).unwrap()
}

/// Waits for an entry of the audit trail with this action and path, and returns its user and detail.
fn audited(server: &Server, home: &Home, action: &str, path: &str) -> (Value, String) {
    let mut admin = server.client().signed_in(&home.token("auditor", "admin"));
    eventually(&format!("an audit entry of {action} {path}"), || {
        let trail = admin.get(&format!("/api/v1/admin/audit?action={action}")).expect(200).json();
        let entries = trail["items"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["subject"] == path)?;
        Some((entry["user"].clone(), entry["detail"].as_str().unwrap().to_owned()))
    })
}

#[test]
fn an_administrator_cannot_change_rights_in_plone_through_the_hub() {
    let plone = written();
    let (server, home) = hub(plone);
    let grant = json!({"roles": {"Manager": true}});
    // Plone itself accepts this from a Site Administrator.
    let editor = json!({"roles": {"Editor": true}});
    let token = plone.login(DEAN, PASSWORD);
    assert_eq!(plone.request("PATCH", "/@users/student7", Some(&token), Some(&editor)).0, 204);

    let mut dean = server.client().signed_in(&sign_in(&server, DEAN));
    for (method, path) in [
        ("PATCH", "/@users/student7"),
        ("PATCH", "/%40users/student7"),
        ("PATCH", "/++api++/@users/student7"),
        ("PATCH", "/news/@users/student7"),
        ("PATCH", "/@@users/student7"),
        ("POST", "/@@PATCH_application_json_@users/student7"),
        ("POST", "/@users"),
        ("DELETE", "/@users/student7"),
        ("POST", "/@groups"),
        ("PATCH", "/@groups/registrars"),
        ("PATCH", "/@registry"),
        ("PATCH", "/@controlpanels/security"),
        ("POST", "/@addons/plone.session/install"),
        ("POST", "/@principals"),
        ("POST", "/@roles"),
        ("PATCH", "/@transactions"),
        ("POST", "/@@usergroup-userprefs?form.button.Modify=1"),
        ("GET", "/@@usergroup-userprefs?form.button.Modify=1"),
        ("GET", "/news/@@DELETE_application_json_"),
        ("GET", "/portal_groups/addGroup?id=x"),
    ] {
        let response = send(&mut dean, method, &format!("/plone{path}"), &grant);
        assert_eq!((response.status, response.code().as_str()), (403, "forbidden"), "{path}: {}", response.text());
        assert!(response.text().contains("managed in Plone itself"), "{path}: {}", response.text());
        if response.header("connection") == Some("close") {
            dean = server.client().signed_in(&sign_in(&server, DEAN));
        }
    }
    let (_, user) = plone.request("GET", "/@users/student7", Some(&token), None);
    assert!(!user.to_string().contains("Manager"), "{user}");
    assert_eq!(audited(&server, &home, "plone.refused", "/plone/@users/student7").0, DEAN);
    // Plone and the hub could read doubled slashes differently, so they are refused.
    assert_eq!(send(&mut server.client(), "PATCH", "/plone//@users/student7", &grant).status, 400);
    assert_eq!(get(&mut dean, "/plone/@users/student7", &[JSON]).status, 200, "reading is allowed");
}

#[test]
fn only_administrators_list_the_people_of_plone() {
    let plone = written();
    let (server, _home) = hub(plone);
    let member = plone.login("student1", PASSWORD);
    let bearer = format!("Bearer {member}");
    let mut student = server.client().signed_in(&sign_in(&server, "student1"));
    let mut dean = server.client().signed_in(&sign_in(&server, DEAN));
    for (path, accept) in [
        ("/@vocabularies/plone.app.vocabularies.Users?b_size=100", "application/json"),
        ("/++api++/@vocabularies/plone.app.vocabularies.Principals?b_size=100", "application/json"),
        ("/@@getVocabulary?name=plone.app.vocabularies.Users", "*/*"),
        ("/@querystring", "application/json"),
        ("/@@querybuilderjsonconfig", "*/*"),
        ("/portal_membership/searchMembers?search_param=username&search_term=student", "*/*"),
    ] {
        let headers = [("Accept", accept)];
        let bare = plone.call("GET", path, &[("Accept", accept), ("Authorization", &bearer)], b"").unwrap();
        assert!(bare.expect(200).text().contains("student3"), "Plone shows its users to a member: {path}");
        let response = get(&mut student, &format!("/plone{path}"), &headers);
        assert!([200, 403].contains(&response.status), "{path}: {}", response.status);
        assert!(!response.text().contains("student3"), "{path}: {}", response.text());
        if path.contains("ocabular") {
            assert_eq!(response.code(), "forbidden", "{path}");
            get(&mut dean, &format!("/plone{path}"), &headers).expect(200);
        }
    }
    let keywords = "/plone/@vocabularies/plone.app.vocabularies.Keywords";
    assert_ne!(get(&mut student, keywords, &[JSON]).code(), "forbidden", "other vocabularies are not affected");
}

#[test]
fn every_write_through_the_proxy_is_audited() {
    let plone = written();
    let (server, home) = hub(plone);
    let mut dean = server.client().signed_in(&sign_in(&server, DEAN));
    let item = json!({"@type": "Document", "id": "audited", "title": "T"});
    send(&mut dean, "POST", "/plone/news", &item).expect(201);
    assert_eq!(audited(&server, &home, "plone.write", "/plone/news"), (json!(DEAN), "POST: status 201".to_owned()));
    send(&mut dean, "DELETE", "/plone/news/audited", &json!({})).expect(204);
    let entry = audited(&server, &home, "plone.write", "/plone/news/audited");
    assert_eq!(entry, (json!(DEAN), "DELETE: status 204".to_owned()));
    let mut student = server.client().signed_in(&sign_in(&server, "student1"));
    assert_eq!(send(&mut student, "PATCH", "/plone/courses", &json!({"title": "x"})).status, 401);
    let entry = audited(&server, &home, "plone.write", "/plone/courses");
    assert_eq!(entry, (json!("student1"), "PATCH: status 401".to_owned()));

    // A visitor whose write Plone refuses leaves no entry: the next entry is that of the member.
    assert_eq!(send(&mut server.client(), "PATCH", "/plone/news", &json!({"title": "x"})).status, 401);
    send(&mut dean, "PATCH", "/plone/nothing", &json!({})).expect(404);
    audited(&server, &home, "plone.write", "/plone/nothing");
    let mut admin = server.client().signed_in(&home.token("auditor", "admin"));
    let trail = admin.get("/api/v1/admin/audit?action=plone.write").expect(200).json();
    let entries = trail["items"].as_array().unwrap();
    assert!(entries.iter().all(|entry| !entry["user"].is_null()), "{trail:#}");
}
