//! Users of single sign-on are served as their own users of Plone, without a password, and as no one else.

use std::sync::OnceLock;

use serde_json::json;

use crate::support::bridge::with_plone_at;
use crate::support::http::Client;
use crate::support::plone::{HUB, PASSWORD, Plone, REGISTRAR};
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

const SECRET: &str = "the secret of the web server, 32 bytes";
const NEWS: &str = "/api/v1/announcements";
/// A news item that members without a staff role cannot see.
const PRIVATE: &str = "/plone/news/budget";
const PRIVATE_TITLE: &str = "Budget, not to be published yet";
const JSON: (&str, &str) = ("Accept", "application/json");

/// Returns a Plone with the hub's key, and the key.
fn plone() -> &'static (Plone, String) {
    static PLONE: OnceLock<(Plone, String)> = OnceLock::new();
    PLONE.get_or_init(Plone::start_with_user_key)
}

/// Returns the settings of a hub whose users sign in through a web server on this machine.
fn home(key: &str) -> Home {
    with_plone_at(Home::new(), &plone().0.url())
        .setting("plone.timeout_ms", "60000")
        .setting("plone.type", "none_of_these")
        .setting("plone.recheck_s", "1")
        .setting("plone.user_key", key)
        .setting("auth.proxy.peers", "127.0.0.1")
        .setting("auth.proxy.secret", SECRET)
        .setting("auth.proxy.plone_user_header", "X-Plone-User")
        .setting("roles.staff", "group:desk")
        .setting("roles.student", "*")
}

/// Signs a user in through the web server, which names this user of Plone, if any, and returns the hub's token.
fn sign_in(server: &Server, user: &str, plone_user: Option<&str>) -> String {
    let mut headers = vec![("X-EduHub-Secret", SECRET), ("X-Remote-User", user)];
    headers.extend(plone_user.map(|user| ("X-Plone-User", user)));
    let response = server.client().call("GET", "/auth/proxy/login", &headers, b"").unwrap().expect(303);
    let cookie = response.header("set-cookie").expect("a cookie");
    let token = cookie.strip_prefix("eduhub_session=").expect("the cookie of a sign-in");
    token.split(';').next().expect("a value").to_owned()
}

fn status(client: &mut Client, path: &str) -> u16 {
    client.call("GET", path, &[JSON], b"").unwrap().status
}

fn sees_private_news(client: &mut Client) -> bool {
    client.get(NEWS).expect(200).text().contains(PRIVATE_TITLE)
}

#[test]
fn a_user_of_single_sign_on_sees_what_their_plone_user_may_see() {
    let (plone, key) = plone();
    let home = home(key);
    let server = home.serve();
    let mut regina = server.client().signed_in(&sign_in(&server, "regina", Some(REGISTRAR)));
    assert_eq!(status(&mut regina, PRIVATE), 200);
    eventually("the editor's own announcements", || sees_private_news(&mut regina).then_some(()));

    let others = [
        ("a visitor", server.client()),
        ("a member of Plone", server.client().signed_in(&sign_in(&server, "sam", Some("student1")))),
        ("no user of Plone", server.client().signed_in(&sign_in(&server, "vera", None))),
        ("the same username", server.client().signed_in(&sign_in(&server, REGISTRAR, None))),
        ("an unknown user", server.client().signed_in(&sign_in(&server, "una", Some("unknown")))),
        ("the hub's user", server.client().signed_in(&sign_in(&server, "harry", Some(HUB)))),
        ("an id that differs when normalized", {
            server.client().signed_in(&sign_in(&server, "noah", Some("\u{ff52}egistrar")))
        }),
        ("a token from the command line", server.client().signed_in(&home.token(REGISTRAR, "staff"))),
    ];
    for (who, mut client) in others {
        assert_eq!(status(&mut client, PRIVATE), 401, "{who}");
        assert!(!sees_private_news(&mut client), "{who}");
    }
    // The member of Plone is served as such: only members see their own record.
    let mut sam = server.client().signed_in(&sign_in(&server, "sam", Some("student1")));
    assert_eq!(status(&mut sam, "/plone/@users/student1"), 200);
    assert_eq!(status(&mut server.client(), "/plone/@users/student1"), 401);

    // Plone's own sign-ins work as before.
    let token = plone.login(REGISTRAR, PASSWORD);
    assert_eq!(plone.request("GET", "/news/budget", Some(&token), None).0, 200);
}

#[test]
fn writes_are_made_as_the_plone_user_and_refusals_still_apply() {
    let (plone, key) = plone();
    let home = home(key);
    let server = home.serve();
    let mut regina = server.client().signed_in(&sign_in(&server, "regina", Some(REGISTRAR)));
    let headers = [JSON, ("Content-Type", "application/json")];
    let path = format!("/plone{}", plone.section(7));
    let change = json!({"title": "By single sign-on"}).to_string();
    assert_eq!(regina.call("PATCH", &path, &headers, change.as_bytes()).unwrap().status, 204);
    let mut sam = server.client().signed_in(&sign_in(&server, "sam", Some("student1")));
    assert_eq!(sam.call("PATCH", &path, &headers, change.as_bytes()).unwrap().status, 401);
    let dean = sign_in(&server, "dina", Some("dean"));
    let user = json!({"username": "new", "password": PASSWORD, "email": "new@example.edu"}).to_string();
    for (method, path) in [("POST", "/plone/@users"), ("POST", "/plone/@login-renew")] {
        // The hub closes the connection, because it does not read the body.
        let refused = server.client().signed_in(&dean).call(method, path, &headers, user.as_bytes()).unwrap();
        assert_eq!(refused.status, 403, "{path}");
    }
    let mut auditor = server.client().signed_in(&home.token("auditor", "admin"));
    let trail = auditor.get("/api/v1/admin/audit?user=regina").expect(200).json();
    let actions: Vec<_> = trail["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert!(actions.contains(&&json!("plone.write")), "{actions:?}");
}

#[test]
fn headers_from_clients_do_not_identify_a_plone_user() {
    let (plone, key) = plone();
    let server = home(key).serve();
    let forged = |key: &str| {
        let claims = json!({"sub": REGISTRAR, "exp": jiff::Timestamp::now().as_second() + 60});
        let key = jsonwebtoken::EncodingKey::from_secret(key.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let (by_key, by_guess) = (forged(key), forged("another key of at least thirty-two bytes"));
    assert_eq!(plone.request("GET", "/news/budget", Some(&by_key), None).0, 200, "the control: the key works");
    assert_eq!(plone.request("GET", "/news/budget", Some(&by_guess), None).0, 401, "another key does not");
    let authorization = format!("Bearer {by_key}");
    let sam = format!("Bearer {}", sign_in(&server, "sam", Some("student1")));
    for headers in [
        vec![("X-Plone-User", REGISTRAR)],
        vec![("X-Plone-User", REGISTRAR), ("X-Remote-User", REGISTRAR), ("X-EduHub-Secret", SECRET)],
        vec![("Authorization", authorization.as_str())],
        vec![("CGI-Authorization", authorization.as_str())],
        vec![("Authorization", sam.as_str()), ("X-Plone-User", REGISTRAR)],
    ] {
        let headers: Vec<_> = headers.into_iter().chain([JSON]).collect();
        let response = server.client().call("GET", PRIVATE, &headers, b"").unwrap();
        assert_eq!(response.status, 401, "{headers:?}");
    }
    let wrong = [("X-EduHub-Secret", "wrong"), ("X-Remote-User", "eve"), ("X-Plone-User", REGISTRAR)];
    let refused = server.client().call("GET", "/auth/proxy/login", &wrong, b"").unwrap();
    assert!(refused.status != 303 && refused.header("set-cookie").is_none(), "{}", refused.status);
}

#[test]
fn a_user_who_was_deleted_in_plone_becomes_a_visitor() {
    let (plone, key) = plone();
    let server = home(key).serve();
    let user = json!({"username": "temp", "email": "temp@example.edu", "password": PASSWORD,
                      "roles": ["Member", "Editor"]});
    plone.change(&plone.login("admin", PASSWORD), "POST", "/@users", Some(&user));
    let mut tess = server.client().signed_in(&sign_in(&server, "tess", Some("temp")));
    assert_eq!(status(&mut tess, PRIVATE), 200);
    plone.change_as_hub("DELETE", "/@users/temp", None);
    eventually("the user to be a visitor", || (status(&mut tess, PRIVATE) == 401).then_some(()));
    tess.get("/api/v1/me").expect(200);
}

#[test]
fn users_are_visitors_in_a_plone_that_does_not_have_the_key() {
    let server = home("a key that was replaced, of at least 32 bytes").serve();
    let mut regina = server.client().signed_in(&sign_in(&server, "regina", Some(REGISTRAR)));
    assert_eq!(status(&mut regina, PRIVATE), 401);
    assert!(!sees_private_news(&mut regina));
}
