//! Public alerts for other systems: the Atom feed and CAP messages of the built program.

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::server::{Home, Server};
use crate::support::xml::{Element, atom_feed, cap_message};

const FEED: &str = "/alerts/feed.atom";

fn home() -> Home {
    Home::new().setting("college.name", "Riverside & Lake College").setting("college.timezone", "America/New_York")
}

fn staff(home: &Home, server: &Server) -> Client {
    server.client().signed_in(&home.token("desk", "staff"))
}

fn send(staff: &mut Client, alert: &Value) -> Value {
    staff.post_json("/api/v1/alerts", alert).expect(201).json()
}

fn public(title: &str) -> Value {
    json!({"title": title, "message": "Stay inside <now> & wait.", "priority": "critical", "category": "emergency",
           "audience": {"all": true}, "expires_at": "2099-07-01T12:00:00Z"})
}

/// Returns the sender of the hub's messages: its first origin, because no public URL is set.
fn sender(server: &Server) -> String {
    format!("localhost:{}", server.address().port())
}

/// Returns an alert as a CAP message.
fn message(server: &Server, id: &Value) -> Element {
    let response = server.client().get(&format!("/alerts/{}.cap.xml", id.as_str().unwrap())).expect(200);
    assert_eq!(response.header("content-type"), Some("application/cap+xml; charset=utf-8"));
    cap_message(&response.text())
}

fn feed(server: &Server) -> Element {
    let response = server.client().get(FEED).expect(200);
    assert_eq!(response.header("content-type"), Some("application/atom+xml; charset=utf-8"));
    atom_feed(&response.text())
}

#[test]
fn an_alert_is_a_cap_message_then_an_update_then_a_cancellation() {
    let home = home();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let sent = send(&mut staff, &public("Tornado \u{1b}warning"));
    let id = sent["id"].as_str().unwrap();
    let first = message(&server, &sent["id"]);
    for (path, expected) in [
        ("sender", sender(&server).as_str()),
        ("status", "Actual"),
        ("msgType", "Alert"),
        ("scope", "Public"),
        ("info/language", "en"),
        ("info/category", "Safety"),
        ("info/event", "Emergency"),
        ("info/urgency", "Unknown"),
        ("info/severity", "Extreme"),
        ("info/certainty", "Unknown"),
        ("info/expires", "2099-07-01T08:00:00-04:00"),
        ("info/senderName", "Riverside & Lake College"),
        ("info/headline", "Tornado \u{fffd}warning"),
        ("info/description", "Stay inside <now> & wait."),
        ("info/web", format!("http://{}/", sender(&server)).as_str()),
        ("info/parameter/value", "emergency"),
        ("info/area/areaDesc", "Riverside & Lake College"),
    ] {
        assert_eq!(first.text_at(path), expected, "{path}");
    }
    assert_eq!(first.text_at("identifier"), format!("{id}.1"));
    assert_eq!(first.text_at("info/effective"), first.text_at("sent"));
    assert_eq!(first.all("references").count(), 0);

    let path = format!("/api/v1/alerts/{id}");
    staff.put_json(&path, &public("Tornado watch")).expect(200);
    let second = message(&server, &sent["id"]);
    let named =
        |message: &Element| ["sender", "identifier", "sent"].map(|name| message.text_at(name).to_owned()).join(",");
    assert_eq!((second.text_at("msgType"), second.text_at("info/headline")), ("Update", "Tornado watch"));
    assert_eq!(second.text_at("references"), named(&first));

    staff.delete(&path).expect(204);
    let third = message(&server, &sent["id"]);
    assert_eq!(third.text_at("msgType"), "Cancel");
    assert_eq!(third.text_at("references"), format!("{} {}", named(&first), named(&second)));
    let feed = feed(&server);
    let entry = feed.at("entry");
    assert_eq!(entry.text_at("title"), "Cancelled: Tornado watch");
    assert!(entry.all("category").any(|category| category.attribute("term") == "cancelled"));
    assert_eq!(entry.text_at("updated"), third.text_at("sent"));
    assert_eq!(entry.text_at("published"), first.text_at("sent"));
}

#[test]
fn the_feed_lists_public_alerts_newest_first_with_links() {
    let home = home();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let empty = feed(&server);
    assert_eq!((empty.text_at("title"), empty.all("entry").count()), ("Alerts from Riverside & Lake College", 0));
    let one = send(&mut staff, &public("One"));
    let two = send(&mut staff, &json!({"title": "Two", "message": "News.", "audience": {"all": true}}));
    for entry in feed(&server).all("entry") {
        let id = entry.text_at("id").strip_prefix("urn:uuid:").unwrap();
        let link = entry.at("link");
        assert_eq!(link.attribute("href"), format!("http://{}/alerts/{id}.cap.xml", sender(&server)));
        assert_eq!(link.attribute("type"), "application/cap+xml");
        message(&server, &json!(id));
    }
    let listed = feed(&server);
    let titles: Vec<&str> = listed.all("entry").map(|entry| entry.text_at("title")).collect();
    assert_eq!(titles, ["Two", "One"]);
    let terms: Vec<&str> = listed.at("entry").all("category").map(|category| category.attribute("term")).collect();
    assert_eq!(terms, ["system", "medium"]);
    assert_eq!(listed.text_at("entry/content"), "News.");
    // A corrected alert comes first again.
    staff.put_json(&format!("/api/v1/alerts/{}", one["id"].as_str().unwrap()), &public("One again")).expect(200);
    let listed = feed(&server);
    let titles: Vec<&str> = listed.all("entry").map(|entry| entry.text_at("title")).collect();
    assert_eq!(titles, ["One again", "Two"]);
    assert!(two["seq"].is_u64());
}

#[test]
fn only_alerts_to_everyone_that_were_sent_are_public() {
    let home = home();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let hidden = [
        send(&mut staff, &json!({"title": "Students", "message": "For them.", "audience": {"roles": ["student"]}})),
        send(&mut staff, &json!({"title": "Ann", "message": "For her.", "audience": {"users": ["ann"]}})),
        send(
            &mut staff,
            &json!({"title": "Later", "message": "Soon.", "audience": {"all": true},
                                 "starts_at": "2099-01-01T00:00:00Z"}),
        ),
    ];
    for alert in &hidden {
        let path = format!("/alerts/{}.cap.xml", alert["id"].as_str().unwrap());
        assert_eq!(server.client().get(&path).expect(404).code(), "not_found");
        // Also for those who may see it in the hub.
        staff.get(&path).expect(404);
    }
    assert_eq!(feed(&server).all("entry").count(), 0);
    server.client().get("/alerts/none.cap.xml").expect(404);
    server.client().get("/alerts/%FF.cap.xml").expect(400);
}

#[test]
fn the_feed_is_bounded_and_revalidated() {
    let home = home();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    for n in 0..60 {
        send(&mut staff, &public(&format!("Number {n}")));
    }
    let first = server.client().get(FEED).expect(200);
    assert_eq!(atom_feed(&first.text()).all("entry").count(), 50);
    assert_eq!(atom_feed(&first.text()).text_at("entry/title"), "Number 59");
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = |etag: &str| server.client().call("GET", FEED, &[("If-None-Match", etag)], b"").unwrap();
    assert_eq!(again(&etag).status, 304);
    // What visitors may not see changes nothing.
    send(&mut staff, &json!({"title": "Students", "message": "For them.", "audience": {"roles": ["student"]}}));
    assert_eq!(again(&etag).status, 304);
    send(&mut staff, &public("Another"));
    assert_ne!(again(&etag).expect(200).header("etag"), Some(etag.as_str()));
}

#[test]
fn the_feed_has_the_colleges_language_and_a_link_on_the_page() {
    let home = home().setting("college.language", "es-MX");
    let server = home.serve();
    let sent = send(&mut staff(&home, &server), &public("Tornado"));
    let feed = feed(&server);
    assert_eq!((feed.attribute("xml:lang"), feed.text_at("title")), ("es-MX", "Alertas de Riverside & Lake College"));
    let message = message(&server, &sent["id"]);
    assert_eq!((message.text_at("info/language"), message.text_at("info/event")), ("es-MX", "Emergencia"));
    let page = server.client().get("/").expect(200).text();
    assert!(page.contains("rel=\"alternate\" type=\"application/atom+xml\" href=\"/alerts/feed.atom\""));
}
