//! Plone at an origin of its own (`plone.proxy_url`).

use serde_json::json;

use super::{JSON, hub, written};
use crate::support::bridge::{sign_in, with_plone_at};
use crate::support::http::Response;
use crate::support::plone::{PASSWORD, Plone};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// Sends a request with this `Host` header on a new connection.
fn call(server: &Server, host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    use std::io::Write as _;
    let mut client = server.client();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    client.stream().write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    client.receive().unwrap()
}

const OWN: &str = "www.college.test";

#[test]
fn an_own_origin_serves_the_whole_site_and_nothing_of_the_hub() {
    let plone = written();
    let home = with_plone_at(Home::new(), &plone.url())
        .setting("plone.proxy_url", "http://www.college.test")
        .setting("plone.timeout_ms", "60000");
    let server = home.serve();
    let page = call(&server, OWN, "GET", "/news", &[], "").expect(200);
    assert_ne!(page.header("content-security-policy"), Some("sandbox"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.text().contains("http://www.college.test/news"), "links lead to Plone's own origin");
    assert!(!page.text().contains(&plone.address().to_string()) && !page.text().contains("/plone/news"));

    // The hub's paths do not exist there, and its cookie and tokens grant nothing.
    for path in ["/api/v1/terms", "/healthz", "/metrics", "/static/app.js", "/api/v1/login"] {
        let response = call(&server, OWN, "GET", path, &[JSON], "");
        assert_eq!((response.status, response.code()), (404, String::new()), "{path}: {}", response.text());
    }
    let token = sign_in(&server, "registrar");
    let private = "/courses/202701-30038";
    let cookie = format!("eduhub_session={token}");
    let bearer = format!("Bearer {token}");
    let hidden = call(&server, OWN, "GET", private, &[JSON, ("Cookie", &cookie), ("Authorization", &bearer)], "");
    assert_eq!(hidden.status, 401);

    // Users can sign in to Plone itself there.
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let fields = format!("__ac_name=registrar&__ac_password={PASSWORD}&came_from=&buttons.login=Log+in");
    let origin = ("Origin", "http://www.college.test");
    let login = call(&server, OWN, "POST", "/login", &[form, origin], &fields);
    let set = login.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str());
    let ac = set.clone().find(|cookie| cookie.starts_with("__ac=")).unwrap_or_else(|| panic!("{:?}", login.headers));
    assert!(ac.contains("Path=/") && !ac.contains("/plone"), "{ac}");
    let ac = ac.split(';').next().unwrap();
    let seen = call(&server, OWN, "GET", private, &[JSON, ("Cookie", ac)], "").expect(200);
    assert_eq!(seen.header("cache-control"), Some("private, no-store"));
    let body = json!({"title": "T"}).to_string();
    let write = |origin: &str| {
        let headers = [JSON, ("Cookie", ac), ("Content-Type", "application/json"), ("Origin", origin)];
        call(&server, OWN, "PATCH", private, &headers, &body).status
    };
    assert_eq!(write("https://evil.example"), 403);
    assert_eq!(write("http://www.college.test"), 204);
    let mut admin = server.client().signed_in(&home.token("auditor", "admin"));
    eventually("an audit entry of the write", || {
        let trail = admin.get("/api/v1/admin/audit?action=plone.write").expect(200).json();
        let detail = "PATCH: status 204; Plone's own sign-in of registrar";
        trail["items"]
            .as_array()?
            .iter()
            .any(|entry| entry["detail"] == detail && entry["subject"] == private)
            .then_some(())
    });
    let signed_in = [JSON, ("Cookie", ac), ("Content-Type", "application/json"), origin];
    for path in ["/@users/student1", "/++api++/@groups/registrars", "/@@usergroup-userprefs"] {
        let refused = call(&server, OWN, "PATCH", path, &signed_in, "{}");
        assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{path}");
    }
    let people = "/@@getVocabulary?name=plone.app.vocabularies.Users";
    assert_eq!(call(&server, OWN, "GET", people, &[("Cookie", ac)], "").status, 403);

    // All other hosts lead to the hub.
    assert_eq!(server.client().get("/healthz").status, 200);
    assert_eq!(call(&server, "evil.example", "GET", "/healthz", &[], "").status, 200);
    assert_eq!(call(&server, OWN, "GET", "/../acl_users", &[], "").status, 400);
}

#[test]
fn without_plone_the_proxy_paths_are_404() {
    let home = Home::new();
    let server = home.serve();
    let response = server.client().get("/plone/news");
    assert_eq!((response.status, response.code().as_str()), (404, "not_found"));
    let (with, _home) = hub(Plone::shared());
    assert_eq!(with.client().get("/plone/").status, 200);
}
