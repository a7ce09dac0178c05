//! Plone at its own origin (`plone.proxy_url`).

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
fn plones_own_origin_serves_the_whole_site_and_nothing_of_the_hub() {
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

/// `student12:eduhub-plone` for Basic authentication, and in hexadecimal digits for Plone's cookie.
const BASIC: &str = "Basic c3R1ZGVudDEyOmVkdWh1Yi1wbG9uZQ==";
const COOKIE: &str = "__ac=NzM3NDc1NjQ2NTZlNzQzMTMyOjY1NjQ3NTY4NzU2MjJkNzA2YzZmNmU2NQ==";

#[test]
fn passwords_at_plones_own_origin_count_toward_sign_in_limit() {
    let plone = Plone::shared();
    let home = with_plone_at(Home::new(), &plone.url())
        .setting("plone.proxy_url", "http://www.college.test")
        .setting("plone.timeout_ms", "60000")
        .setting("limits.login_per_minute", "1");
    let server = home.serve();
    let json = ("Content-Type", "application/json");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let origin = ("Origin", "http://www.college.test");
    let by_service = |user: &str, password: &str| {
        let body = json!({"login": user, "password": password}).to_string();
        call(&server, OWN, "POST", "/@login", &[JSON, json], &body)
    };
    let by_page = |user: &str, password: &str| {
        let fields = format!("__ac_name={user}&__ac_password={password}&came_from=&buttons.login=Log+in");
        call(&server, OWN, "POST", "/login", &[form, origin], &fields)
    };
    by_service("student10", PASSWORD).expect(200);
    assert_eq!(by_service("student10", "a guess").status, 401);
    assert_eq!(by_service("student10", PASSWORD).status, 429, "the service");
    by_page("student11", "a guess");
    assert_eq!(by_page("student11", PASSWORD).status, 429, "the page");
    for user in ["student10", "student11"] {
        let credentials = json!({"username": user, "password": PASSWORD});
        assert_eq!(server.client().post_json("/api/v1/login", &credentials).status, 429, "{user} at the hub");
    }

    // In other places, passwords are not checked.
    let fields = format!("__ac_name=student12&__ac_password={PASSWORD}");
    let body = json!({"login": "student12", "password": PASSWORD}).to_string();
    let private = "/courses/202701-30038";
    let in_query = format!("{private}?{fields}");
    let table = [
        (call(&server, OWN, "POST", "/news", &[form, origin], &fields), 403, "a form"),
        (call(&server, OWN, "GET", &in_query, &[JSON], ""), 400, "the query"),
        (call(&server, OWN, "PATCH", private, &[JSON, json], &body), 401, "JSON"),
        (call(&server, OWN, "GET", private, &[JSON, ("Cookie", COOKIE)], ""), 401, "a cookie"),
        (call(&server, OWN, "GET", private, &[JSON, ("Authorization", BASIC)], ""), 401, "Basic"),
        (call(&server, OWN, "POST", "/", &[("Content-Type", "text/xml")], "<x/>"), 415, "XML-RPC"),
    ];
    for (response, status, what) in table {
        assert_eq!(response.status, status, "{what}: {}", response.text());
    }

    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    eventually("the audit trail to have the sign-ins", || {
        let trail = admin.get("/api/v1/admin/audit?limit=100").expect(200).json();
        let entries: Vec<_> = trail["items"].as_array().unwrap().iter().rev().cloned().collect();
        let sign_ins = entries.iter().filter(|entry| entry["detail"].as_str().unwrap().ends_with("at its own origin"));
        let sign_ins: Vec<_> = sign_ins.map(|entry| (entry["action"].clone(), entry["subject"].clone())).collect();
        // The hub does not know these users of Plone, and a name that it does not know may be a password.
        let failed = ("login.failed", "unknown user");
        let expected = [("login", "student10"), failed, failed];
        (sign_ins == expected.map(|(action, user)| (json!(action), json!(user)))).then_some(())
    });
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
