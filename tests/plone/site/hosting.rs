//! Plone behind a path of another origin, and paths that lead out of the site.

use std::io::Write;

use serde_json::json;

use super::shared;
use crate::support::http::{Client, Response};
use crate::support::plone::{HUB, PASSWORD, Plone};

/// The prefix with which a reverse proxy at `http://127.0.0.1:8000/plone` addresses the site (Zope's virtual hosting).
const VIRTUAL_HOST: &str = "/VirtualHostBase/http/127.0.0.1:8000/Plone/VirtualHostRoot/_vh_plone";

fn get(plone: &Plone, target: &str, headers: &[(&str, &str)]) -> Response {
    Client::connect(plone.address()).unwrap().call("GET", target, headers, b"").unwrap()
}

#[test]
fn links_and_redirects_name_the_virtual_host() {
    let plone = shared();
    let inside = plone.address().to_string();
    let rest = get(plone, &format!("{VIRTUAL_HOST}/courses?b_size=1"), &[("Accept", "application/json")]).expect(200);
    assert_eq!(rest.json()["@id"], "http://127.0.0.1:8000/plone/courses");
    let page = get(plone, &format!("{VIRTUAL_HOST}/courses"), &[]).expect(200);
    assert!(page.text().contains("href=\"http://127.0.0.1:8000/plone/news\""));
    assert!(!page.text().contains(&inside) && !rest.text().contains(&inside));

    let edit = get(plone, &format!("{VIRTUAL_HOST}/courses/edit"), &[]).expect(302);
    let location = edit.header("location").unwrap();
    assert!(location.starts_with("http://127.0.0.1:8000/plone/acl_users/"), "{location}");
    assert!(location.ends_with("?came_from=/plone/courses/edit"), "{location}");

    let hub = plone.login(HUB, PASSWORD);
    let headers = [("Accept", "application/json"), ("Content-Type", "application/json")];
    let body = json!({"@type": "Document", "id": "by-virtual-host", "title": "By virtual host"}).to_string();
    let mut client = Client::connect(plone.address()).unwrap().signed_in(&hub);
    let made = client.call("POST", &format!("{VIRTUAL_HOST}/"), &headers, body.as_bytes()).unwrap().expect(201);
    assert_eq!(made.header("location"), Some("http://127.0.0.1:8000/plone/by-virtual-host"));
    assert_eq!(plone.request("DELETE", "/by-virtual-host", Some(&hub), None).0, 204);
}

#[test]
fn a_sign_in_sets_a_cookie_for_the_whole_virtual_host() {
    let plone = shared();
    let body = json!({"login": "student4", "password": PASSWORD}).to_string();
    let headers = [("Accept", "application/json"), ("Content-Type", "application/json")];
    let mut client = Client::connect(plone.address()).unwrap();
    let response =
        client.call("POST", &format!("{VIRTUAL_HOST}/@login"), &headers, body.as_bytes()).unwrap().expect(200);
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__ac=") && cookie.contains("; Path=/;"), "{cookie}");
}

#[test]
fn a_bearer_token_is_accepted_for_pages() {
    let plone = shared();
    let bearer = format!("Bearer {}", plone.login("student4", PASSWORD));
    let page = get(plone, "/Plone/courses", &[("Authorization", &bearer)]).expect(200).text();
    assert!(page.contains("userrole-member"));
    assert!(get(plone, "/Plone/courses", &[]).expect(200).text().contains("userrole-anonymous"));
}

#[test]
fn dots_and_encoded_slashes_lead_out_of_the_site() {
    let plone = shared();
    let json = [("Accept", "application/json")];
    let id = |target: &str| get(plone, target, &json).expect(200).json()["id"].clone();
    for target in ["/courses/../news", "/courses/%2e%2e/news", "/courses%2f..%2Fnews", "/courses/.%2E/./news"] {
        assert_eq!(id(&format!("/Plone{target}")), "news", "{target}");
    }
    // These paths lead to Zope's root, although the virtual host is limited to the site.
    for out in ["/../../../../../..", "/courses/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e"] {
        let root = get(plone, &format!("{VIRTUAL_HOST}{out}"), &[]).expect(200).text();
        assert!(root.contains("<title>Welcome to Plone!</title>"), "{out}: {root}");
    }
    // A segment of Zope's virtual hosting changes links.
    let odd = get(plone, &format!("{VIRTUAL_HOST}/_vh_odd/courses?b_size=1"), &json).expect(200);
    assert_eq!(odd.json()["@id"], "http://127.0.0.1:8000/plone/odd/courses");
}

#[test]
fn the_host_header_of_a_client_is_trusted() {
    let plone = shared();
    let mut client = Client::connect(plone.address()).unwrap();
    let request = "GET /Plone/news HTTP/1.1\r\nHost: evil.example\r\nAccept: application/json\r\n\r\n";
    client.stream().write_all(request.as_bytes()).unwrap();
    assert_eq!(client.receive().unwrap().expect(200).json()["@id"], "http://evil.example/Plone/news");
}

#[test]
fn a_length_with_chunks_allows_request_smuggling() {
    let plone = shared();
    let mut client = Client::connect(plone.address()).unwrap();
    let smuggled = "POST /Plone/@login HTTP/1.1\r\nHost: plone\r\nAccept: application/json\r\nContent-Length: 4\r\n\
        Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /Plone/news HTTP/1.1\r\nHost: plone\r\nAccept: application/json\r\n\r\n";
    client.stream().write_all(smuggled.as_bytes()).unwrap();
    assert_eq!(client.receive().unwrap().status, 400);
    assert_eq!(client.receive().unwrap().expect(200).json()["id"], "news");
}
