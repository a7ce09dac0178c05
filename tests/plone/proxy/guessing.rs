//! Passwords cannot be tried on Plone through the hub, in any of the ways in which Plone accepts a password.

use serde_json::json;

use super::{JSON, get, hub, sign_in, written};
use crate::support::http::Response;
use crate::support::plone::{DEAN, PASSWORD};

/// A private section, which only editors in Plone can read.
const PRIVATE: &str = "/courses/202701-30038";
/// `dean:eduhub-plone`: for Basic authentication, and in hexadecimal digits for Plone's cookie.
const BASIC: &str = "Basic ZGVhbjplZHVodWItcGxvbmU=";
const COOKIE: &str = "NjQ2NTYxNmU6NjU2NDc1Njg3NTYyMmQ3MDZjNmY2ZTY1";

struct Attempt {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

fn attempt(what: &'static str, method: &'static str, path: &str, headers: &[(&'static str, &'static str)]) -> Attempt {
    Attempt { what, method, path: path.to_owned(), headers: headers.to_vec(), body: String::new() }
}

/// Returns requests that only staff may make, with a password in each of the ways in which Plone accepts one.
fn attempts() -> Vec<Attempt> {
    let form = format!("__ac_name={DEAN}&__ac_password={PASSWORD}");
    let with = |one: Attempt, body: &str| Attempt { body: body.to_owned(), ..one };
    let posted = |what, headers: &[(&'static str, &'static str)]| {
        let mut all = vec![JSON];
        all.extend(headers);
        with(attempt(what, "PATCH", PRIVATE, &all), &form)
    };
    let json = json!({"login": DEAN, "password": PASSWORD}).to_string();
    let with_json = |one| with(one, &json);
    let is_json = ("Content-Type", "application/json");
    let mut attempts = vec![
        posted("a form without a type", &[]),
        posted("an old form", &[("Content-Type", "application/x-url-encoded")]),
        posted("a form with an empty type", &[("Content-Type", "")]),
        posted("a form whose type is only a parameter", &[("Content-Type", ";a=b")]),
        posted("a form", &[("Content-Type", "application/x-www-form-urlencoded")]),
        with_json(attempt("JSON in a PATCH", "PATCH", PRIVATE, &[JSON, is_json])),
        with_json(attempt("JSON in a DELETE without effect", "DELETE", &format!("{PRIVATE}/@lock"), &[JSON, is_json])),
        attempt("Basic", "GET", PRIVATE, &[JSON, ("Authorization", BASIC)]),
        attempt("Basic in the header of Apache's CGI", "GET", PRIVATE, &[JSON, ("CGI-Authorization", BASIC)]),
        attempt("the query", "GET", &format!("{PRIVATE}?{form}"), &[JSON]),
        attempt("the query, encoded", "GET", &format!("{PRIVATE}?{}", form.replace("_ac", "%5f%61c")), &[JSON]),
        attempt("a cookie in the query", "GET", &format!("{PRIVATE}?__ac={COOKIE}"), &[JSON]),
    ];
    for cookie in [
        "__ac=NjQ2NTYxNmU6NjU2NDc1Njg3NTYyMmQ3MDZjNmY2ZTY1",
        "statusmessages=\"a\",__ac=NjQ2NTYxNmU6NjU2NDc1Njg3NTYyMmQ3MDZjNmY2ZTY1",
    ] {
        attempts.push(attempt("a cookie", "GET", PRIVATE, &[JSON, ("Cookie", cookie)]));
    }
    for path in ["/@login", "/++api++/@login", "/POST_application_json_@login", "/@@POST_application_json_@login"] {
        attempts.push(with_json(attempt("the service", "POST", path, &[JSON, is_json])));
    }
    attempts.push(with_json(attempt("the service without a type", "POST", "/@login", &[JSON])));
    attempts
}

fn contains_a_token(response: &Response) -> bool {
    let has_cookie = response.headers.iter().any(|(name, value)| name == "set-cookie" && value.starts_with("__ac"));
    has_cookie || response.text().contains("\"token\"")
}

#[test]
fn no_password_reaches_plone_through_the_hub() {
    let plone = written();
    let (server, _home) = hub(plone);
    for Attempt { what, method, path, headers, body } in attempts() {
        // After it has accepted the password, Plone may refuse the form with 400, because it is not JSON.
        let bare = plone.call(method, &path, &headers, body.as_bytes()).unwrap();
        assert!(
            (200..300).contains(&bare.status) || bare.status == 400,
            "Plone does not accept {what} {path}: {bare:?}"
        );
        let response = server.client().call(method, &format!("/plone{path}"), &headers, body.as_bytes()).unwrap();
        assert!([401, 403, 415].contains(&response.status), "{what} {path}: {} {}", response.status, response.text());
        assert!(!contains_a_token(&response), "{what} {path}: {response:?}");
    }
}

#[test]
fn zope_method_fields_in_the_query_are_refused() {
    let plone = written();
    let (server, _home) = hub(plone);
    let called = plone.call("GET", "/news?absolute_url:method=", &[JSON], b"").unwrap().expect(200);
    assert_eq!(called.text(), format!("{}/news", plone.url()), "Plone calls the method that the field names");
    let mut client = server.client();
    for query in ["absolute_url:method=", "%3adefault_method=absolute_url", "acl_users/manage_main:action=x"] {
        assert_eq!(get(&mut client, &format!("/plone/news?{query}"), &[JSON]).status, 403, "{query}");
    }
}

#[test]
fn members_cannot_try_passwords_by_changing_them() {
    let plone = written();
    let (server, _home) = hub(plone);
    let body = json!({"old_password": PASSWORD, "new_password": PASSWORD}).to_string();
    let token = format!("Bearer {}", plone.login("student40", PASSWORD));
    let headers = [JSON, ("Content-Type", "application/json"), ("Authorization", token.as_str())];
    let path = "/@users/student40/reset-password";
    let bare = plone.call("POST", path, &headers, body.as_bytes()).unwrap();
    assert!((200..300).contains(&bare.status), "Plone does not accept this: {bare:?}");
    let member = sign_in(&server, "student40");
    for path in [path, "/++api++/@users/student40/reset-password", "/@users/student40/reset%2Dpassword"] {
        let mut client = server.client().signed_in(&member);
        let response = client.call("POST", &format!("/plone{path}"), &headers[..2], body.as_bytes()).unwrap();
        assert_eq!(response.status, 403, "{path}: {}", response.text());
    }
}
