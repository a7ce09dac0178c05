//! Plone behind the hub: which requests the proxy forwards, as which user, which it refuses, and how it reports
//! failures.
//!
//! - [`faults`]: a failing Plone, and large or stalled bodies
//! - [`guessing`]: passwords cannot be tried on Plone through the hub
//! - [`management`]: Plone's users and rights cannot be changed through the hub, and every write is audited
//! - [`own_origin`]: Plone at its own origin
//! - [`smuggling`]: ambiguous framing and paths out of the site

mod faults;
mod guessing;
mod management;
mod own_origin;
mod smuggling;

use std::sync::OnceLock;

use serde_json::json;

use crate::support::bridge::{sign_in, with_plone_at};
use crate::support::http::{Client, Response};
use crate::support::plone::{DEAN, PASSWORD, Plone, REGISTRAR};
use crate::support::server::{Home, Server};

/// Returns the Plone that these tests write to. It is shared, so each test writes only items that no other test reads.
fn written() -> &'static Plone {
    static WRITTEN: OnceLock<Plone> = OnceLock::new();
    WRITTEN.get_or_init(Plone::start)
}

/// Returns whether a response has the headers that all responses from Plone have at the hub's origin.
fn is_sandboxed(response: &Response) -> bool {
    let has = |name: &str, value: &str| {
        let values: Vec<&str> = response.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        values == [value]
    };
    has("content-security-policy", "sandbox") && has("x-content-type-options", "nosniff")
}

/// Starts a hub in front of this Plone. The store must outlive the server.
fn hub(plone: &Plone) -> (Server, Home) {
    // The timeout is long enough for pages that Plone renders for the first time on a busy machine. There are no items
    // of this type, so the hub pulls none during a test.
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.timeout_ms", "60000");
    let home = home.setting("plone.type", "none_of_these");
    (home.serve(), home)
}

fn get(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Response {
    client.call("GET", path, headers, b"").unwrap()
}

const JSON: (&str, &str) = ("Accept", "application/json");

#[test]
fn visitors_read_public_content_with_links_through_the_hub() {
    let plone = Plone::shared();
    let (server, _home) = hub(plone);
    let mut client = server.client();
    let path = plone.section(0);
    let origin = format!("http://{}", server.address());

    let section = get(&mut client, &format!("/plone{path}"), &[JSON]).expect(200);
    assert!(is_sandboxed(&section), "{:?}", section.headers);
    assert_eq!(section.json()["@id"], format!("{origin}/plone{path}"));
    assert!(section.json().get("roster").is_none());
    assert!(!section.text().contains(&plone.address().to_string()), "Plone's address is not disclosed");
    for header in ["server", "x-powered-by"] {
        assert_eq!(section.header(header), None);
    }
    assert_eq!(section.header("via"), Some("1.1 eduhub"));

    let page = get(&mut client, &format!("/plone{path}"), &[]).expect(200);
    assert!(is_sandboxed(&page));
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains(&format!("{origin}/plone/")) && !page.text().contains(&plone.address().to_string()));

    // A forged host does not change links.
    let mut raw = Client::connect(server.address()).unwrap();
    let forged = raw.call("GET", &format!("/plone{path}"), &[JSON, ("X-Forwarded-Host", "evil.example")], b"").unwrap();
    assert_eq!(forged.json()["@id"], format!("{origin}/plone{path}"));

    let head = client.call("HEAD", &format!("/plone{path}"), &[], b"").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let nothing = get(&mut client, "/plone/courses/nothing", &[JSON]);
    assert_eq!(nothing.status, 404);
    assert!(is_sandboxed(&nothing));
    assert!(!nothing.text().contains(&plone.address().to_string()), "{}", nothing.text());
    let private = get(&mut client, "/plone/courses/202701-30038", &[]);
    assert_eq!(private.status, 302);
    assert!(private.header("location").unwrap().starts_with(&format!("{origin}/plone/")), "{:?}", private.headers);
}

#[test]
fn members_write_as_themselves_and_visitors_cannot_write() {
    let plone = written();
    let (server, _home) = hub(plone);
    let dean = sign_in(&server, DEAN);
    let item = json!({"@type": "Document", "id": "by-the-dean", "title": "Written through the hub"});
    let headers = [JSON, ("Content-Type", "application/json")];
    let post = |client: &mut Client| client.call("POST", "/plone/news", &headers, item.to_string().as_bytes()).unwrap();

    let visitor = post(&mut server.client());
    assert_eq!(visitor.status, 401, "{}", visitor.text());
    let student = sign_in(&server, "student1");
    assert_eq!(post(&mut server.client().signed_in(&student)).status, 401);
    let made = post(&mut server.client().signed_in(&dean)).expect(201);
    assert_eq!(made.json()["creators"], json!([DEAN]), "the creator is the member, not the hub");
    assert_eq!(made.header("location"), Some(format!("http://{}/plone/news/by-the-dean", server.address()).as_str()));
    assert_eq!(made.header("cache-control"), Some("private, no-store"));
    assert!(is_sandboxed(&made));

    let path = "/plone/news/by-the-dean";
    let mut client = server.client().signed_in(&dean);
    let change = json!({"title": "Changed"}).to_string();
    assert_eq!(client.call("PATCH", path, &headers, change.as_bytes()).unwrap().status, 204);
    assert_eq!(get(&mut client, path, &[JSON]).json()["title"], "Changed");
    assert_eq!(get(&mut server.client(), path, &[JSON]).status, 401, "hidden from visitors");
    assert_eq!(client.call("DELETE", path, &[JSON], b"").unwrap().status, 204);
    assert_eq!(get(&mut client, path, &[JSON]).status, 404);

    // An Editor may change existing items.
    let mut registrar = server.client().signed_in(&sign_in(&server, REGISTRAR));
    let section = format!("/plone{}", plone.section(4));
    assert_eq!(registrar.call("PATCH", &section, &headers, change.as_bytes()).unwrap().status, 204);
    assert_eq!(get(&mut registrar, &section, &[JSON]).json()["title"], "Changed");
}

#[test]
fn the_hubs_cookie_is_accepted_only_from_its_own_pages() {
    let plone = written();
    let (server, home) = hub(plone);
    let token = sign_in(&server, DEAN);
    let cookie = format!("eduhub_session={token}");
    let origin = format!("http://{}", server.address());
    let item = json!({"@type": "Document", "id": "by-cookie", "title": "T"}).to_string();
    let post = |origin: Option<&str>| {
        let mut headers = vec![JSON, ("Content-Type", "application/json"), ("Cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        server.client().call("POST", "/plone/news", &headers, item.as_bytes()).unwrap()
    };
    for foreign in [None, Some("https://evil.example"), Some("null")] {
        let refused = post(foreign);
        assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{foreign:?}");
        assert!(is_sandboxed(&refused));
    }
    assert_eq!(post(Some(&origin)).status, 201);
    // In Plone, a user without a sign-in through Plone is a visitor, even with the role admin in the hub.
    let minted = home.token("ada", "admin");
    let hidden = get(&mut server.client().signed_in(&minted), "/plone/news/by-cookie", &[JSON]);
    assert_eq!(hidden.status, 401);
    assert_eq!(get(&mut server.client().signed_in("forged"), "/plone/news", &[JSON]).code(), "unauthenticated");
}

#[test]
fn sign_ins_to_plone_itself_are_refused() {
    let (server, _home) = hub(Plone::shared());
    let body = json!({"login": "student1", "password": PASSWORD}).to_string();
    let headers = [JSON, ("Content-Type", "application/json")];
    for path in ["/plone/@login", "/plone/%40login", "/plone/courses/@login-renew", "/plone/login?__ac_name=x"] {
        let refused = server.client().call("POST", path, &headers, body.as_bytes()).unwrap();
        assert_eq!(refused.status, 403, "{path}");
        assert_eq!(refused.header("connection"), Some("close"), "the body was not read");
        assert!(refused.header("set-cookie").is_none());
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let fields = format!("__ac_name=student1&__ac_password={PASSWORD}");
    let mut client = server.client();
    assert_eq!(get(&mut client, "/plone/++resource++x.js", &[("Sec-Fetch-Dest", "script")]).status, 403);
    assert_eq!(client.call("POST", "/plone/news", &form, fields.as_bytes()).unwrap().status, 415);
    assert_eq!(
        server
            .client()
            .call("GET", "/plone/", &[("Upgrade", "websocket"), ("Connection", "upgrade")], b"")
            .unwrap()
            .status,
        400
    );
    let traced = server.client().call("TRACE", "/plone/", &[], b"").unwrap().expect(405);
    assert_eq!(traced.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
}

#[test]
fn rate_limited_responses_are_sandboxed() {
    let home = with_plone_at(Home::new(), &Plone::shared().url()).setting("limits.requests_per_second", "1");
    let server = home.serve();
    let mut client = server.client();
    let refused = (0..500).map(|_| get(&mut client, "/plone/..", &[])).find(|response| response.status == 429);
    assert!(is_sandboxed(&refused.expect("a request over the limit")));
}

#[test]
fn a_fault_of_plone_is_502_without_internal_details() {
    let plone = written();
    let (server, _home) = hub(plone);
    let token = sign_in(&server, "dean");
    let mut client = server.client().signed_in(&token);
    // Plone responds with 503 to an internal KeyError, and with 500 to a query that it cannot parse.
    let headers = [JSON, ("Content-Type", "application/json")];
    let fault = client.call("PATCH", "/plone/@types/nope", &headers, b"{}").unwrap();
    assert_eq!((fault.status, fault.code().as_str()), (502, "plone_unavailable"), "{}", fault.text());
    let fault = get(&mut client, "/plone/@search?path.depth=x", &[JSON]);
    assert_eq!((fault.status, fault.code().as_str()), (502, "plone_unavailable"), "{}", fault.text());
    for internal in ["Error", "Traceback", "0x", "127.0.0.1:"] {
        assert!(!fault.text().contains(internal), "{}", fault.text());
    }
    // A refusal by Plone is passed on unchanged.
    let path = format!("/plone{}", plone.section(2));
    let refused = client.call("PATCH", &path, &headers, br#"{"capacity": "many"}"#).unwrap();
    assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("BadRequest")));
}
