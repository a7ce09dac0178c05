//! Messages of the Common Alerting Protocol that are posted to the built program.

use serde_json::{Value, json};

use crate::support::http::{Client, Response};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::xml::cap_message;

const ALERTS: &str = "/api/v1/alerts";

/// Returns a message of a weather service, with `rest` after its scope.
fn message(identifier: &str, kind: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">
  <identifier>{identifier}</identifier><sender>weather.example</sender><sent>2026-07-01T08:00:00-04:00</sent>
  <status>Actual</status><msgType>{kind}</msgType><scope>Public</scope>{rest}
</alert>"
    )
}

fn info(headline: &str) -> String {
    format!(
        "<info><language>en-US</language><category>Met</category><event>Tornado</event>
           <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Observed</certainty>
           <expires>2099-07-01T09:00:00-04:00</expires><headline>{headline}</headline>
           <description>A tornado &lt;EF2&gt; is near.</description><instruction>Take shelter.</instruction>
           <area><areaDesc>County</areaDesc></area></info>"
    )
}

fn references(identifiers: &[&str]) -> String {
    let triples = identifiers.iter().map(|id| format!("weather.example,{id},2026-07-01T12:00:00-00:00"));
    format!("<references>{}</references>", triples.collect::<Vec<_>>().join("\n"))
}

fn post_to(client: &mut Client, path: &str, body: &str) -> Response {
    client.call("POST", path, &[("Content-Type", "application/cap+xml; charset=utf-8")], body.as_bytes()).unwrap()
}

fn post(client: &mut Client, body: &str) -> Response {
    post_to(client, ALERTS, body)
}

fn staff(home: &Home, server: &Server) -> Client {
    server.client().signed_in(&home.token("desk", "staff"))
}

fn listed(server: &Server) -> Vec<Value> {
    server.client().get("/api/v1/alerts?active=true").expect(200).json()["items"].as_array().unwrap().clone()
}

#[test]
fn a_message_is_sent_corrected_and_cancelled_like_an_alert() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let mut visitor = Socket::live(server.address(), "/alerts/ws", None);
    let first = message("A-1", "Alert", &info("Tornado warning"));
    let sent = post(&mut staff, &first).expect(201).json();
    for (field, expected) in [
        ("title", json!("Tornado warning")),
        ("message", json!("A tornado <EF2> is near.\n\nTake shelter.")),
        ("priority", json!("critical")),
        ("category", json!("emergency")),
        ("audience", json!({"all": true})),
        ("expires_at", json!("2099-07-01T13:00:00Z")),
        ("cap", json!({"urgency": "Immediate", "certainty": "Observed"})),
        ("seq", json!(1)),
        ("sender", json!("desk")),
        ("recipients_online", json!(1)),
    ] {
        assert_eq!(sent[field], expected, "{field}");
    }
    visitor.wait_for("the alert", |frame| frame["type"] == "alert" && frame["alert"]["id"] == sent["id"]);
    let path = format!("/alerts/{}.cap.xml", sent["id"].as_str().unwrap());
    let published = cap_message(&server.client().get(&path).expect(200).text());
    assert_eq!(published.text_at("info/urgency"), "Immediate");
    assert_eq!(published.text_at("info/certainty"), "Observed");

    // Posting it again changes nothing.
    let again = post(&mut staff, &first).expect(200).json();
    assert_eq!((&again["id"], &again["seq"], listed(&server).len()), (&sent["id"], &json!(1), 1));
    let update = message("A-2", "Update", &format!("{}{}", references(&["A-1"]), info("Tornado watch")));
    let corrected = post(&mut staff, &update).expect(200).json();
    assert_eq!((&corrected["id"], &corrected["seq"]), (&sent["id"], &json!(2)));
    assert_eq!(post(&mut staff, &update).expect(200).json()["seq"], 2, "a correction is made once");
    visitor.wait_for("the correction", |frame| frame["seq"] == 2 && frame["alert"]["title"] == "Tornado watch");

    // A cancellation needs to refer only to the last message.
    let cancel = message("A-3", "Cancel", &references(&["A-2"]));
    for _ in 0..2 {
        assert_eq!(post(&mut staff, &cancel).expect(200).json(), json!({"cancelled": [sent["id"]]}));
    }
    assert_eq!(visitor.wait_for("the cancellation", |frame| frame["type"] == "alert_cancelled")["seq"], 3);
    assert_eq!(listed(&server), Vec::<Value>::new());
    let late = message("A-4", "Update", &format!("{}{}", references(&["A-3"]), info("Too late")));
    assert_eq!(post(&mut staff, &late).expect(422).json()["field"], "references");
    assert_eq!(server.client().get(ALERTS).expect(200).json()["seq"], 3);
}

#[test]
fn a_cancellation_ends_all_alerts_to_which_it_refers() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    for identifier in ["A-1", "A-2"] {
        post(&mut staff, &message(identifier, "Alert", &info(identifier))).expect(201);
    }
    let both = format!("{}{}", references(&["A-1", "A-2"]), info("Which one?"));
    assert_eq!(post(&mut staff, &message("A-3", "Update", &both)).expect(422).json()["field"], "references");
    assert_eq!(listed(&server).len(), 2);
    let cancel = message("A-4", "Cancel", &references(&["A-1", "A-2", "unknown"]));
    assert_eq!(post(&mut staff, &cancel).expect(200).json()["cancelled"].as_array().unwrap().len(), 2);
    assert_eq!(listed(&server), Vec::<Value>::new());
    let unknown = message("A-5", "Cancel", &references(&["unknown"]));
    assert_eq!(post(&mut staff, &unknown).expect(422).json()["field"], "references");
}

#[test]
fn another_system_cancels_a_message_that_the_hub_published() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let alert = json!({"title": "Flood", "message": "Room 12.", "audience": {"all": true}});
    let sent = staff.post_json(ALERTS, &alert).expect(201).json();
    let path = format!("/alerts/{}.cap.xml", sent["id"].as_str().unwrap());
    let published = cap_message(&server.client().get(&path).expect(200).text());
    let reference = ["sender", "identifier", "sent"].map(|name| published.text_at(name).to_owned()).join(",");
    let cancel = message("B-1", "Cancel", &format!("<references>{reference}</references>"));
    assert_eq!(post(&mut staff, &cancel).expect(200).json(), json!({"cancelled": [sent["id"]]}));
    assert_eq!(cap_message(&server.client().get(&path).expect(200).text()).text_at("msgType"), "Cancel");
}

#[test]
fn messages_other_than_public_alerts_are_refused_with_a_reason() {
    let home = Home::new();
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let whole = message("A-1", "Alert", &info("Tornado warning"));
    for (old, new, field, reason) in [
        ("Actual", "Exercise", "status", "Exercise"),
        ("Actual", "Test", "status", "Test"),
        ("Actual", "Draft", "status", "Draft"),
        ("Actual", "System", "status", "System"),
        ("Public", "Private", "scope", "Private"),
        ("Public", "Restricted", "scope", "Restricted"),
        (">Alert<", ">Ack<", "references", "Ack"),
        ("Tornado warning", &"x".repeat(201), "info.headline", "200"),
        ("Take shelter.", &"x".repeat(2_000), "info.description", "2000"),
        ("Extreme", "Huge", "info.severity", "Severe"),
        ("2099", "2001", "info.expires", "after"),
        ("weather.example", "weather, example", "sender", "commas"),
    ] {
        let problem = post(&mut staff, &whole.replacen(old, new, 1)).expect(422).json();
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{problem}");
    }
    let laughs = "?><!DOCTYPE alert [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]>";
    let external = "?><!DOCTYPE alert [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>";
    for body in [&whole.replacen("?>", laughs, 1), &whole.replacen("?>", external, 1), "", "{}", "<alert/>"] {
        assert_eq!(post(&mut staff, body).expect(400).code(), "bad_request", "{body}");
    }
    // The hub closes the connection of a body that it does not read.
    let mut other = self::staff(&home, &server);
    let padded = format!("{whole}<!--{}-->", " ".repeat(256 * 1024));
    assert_eq!(post(&mut other, &padded).expect(413).code(), "too_large");
    let other = staff.call("POST", ALERTS, &[("Content-Type", "text/xml")], whole.as_bytes()).unwrap();
    assert_eq!(other.expect(415).code(), "unsupported_media_type");
    assert_eq!(server.client().get(ALERTS).expect(200).json(), json!({"items": [], "seq": 0}), "nothing was sent");
}

#[test]
fn only_staff_post_messages_and_a_dry_run_sends_nothing() {
    let home = Home::new();
    let server = home.serve();
    let whole = message("A-1", "Alert", &info("Tornado warning"));
    assert_eq!(post(&mut server.client(), &whole).expect(401).code(), "unauthenticated");
    let mut student = server.client().signed_in(&home.token("ann", "student"));
    assert_eq!(post(&mut student, &whole).expect(403).code(), "forbidden");
    let mut staff = staff(&home, &server);
    let counted = post_to(&mut staff, "/api/v1/alerts?dry_run=true", &whole).expect(200).json();
    assert!(counted["recipients"].is_u64() && counted["recipients_online"].is_u64(), "{counted}");
    let test = whole.replacen("Actual", "Test", 1);
    post_to(&mut staff, "/api/v1/alerts?dry_run=true", &test).expect(422);
    assert_eq!(listed(&server), Vec::<Value>::new());
    post(&mut staff, &whole).expect(201);
}

#[test]
fn the_block_in_the_colleges_language_is_sent_or_scheduled() {
    let home = Home::new().setting("college.language", "es");
    let server = home.serve();
    let mut staff = staff(&home, &server);
    let spanish = info("Aviso de tornado").replace("en-US", "es-MX");
    let both = message("A-1", "Alert", &format!("{}{spanish}", info("Tornado warning")));
    assert_eq!(post(&mut staff, &both).expect(201).json()["title"], "Aviso de tornado");
    let effective = "<effective>2099-07-01T08:00:00-04:00</effective><expires>";
    let later = message("A-2", "Alert", &info("Later").replacen("<expires>", effective, 1));
    let scheduled = post(&mut staff, &later).expect(201).json();
    assert_eq!((&scheduled["seq"], &scheduled["starts_at"]), (&Value::Null, &json!("2099-07-01T12:00:00Z")));
    assert_eq!(post(&mut staff, &later).expect(200).json()["seq"], Value::Null);
    post(&mut staff, &message("A-3", "Cancel", &references(&["A-2"]))).expect(200);
    assert_eq!(staff.get("/api/v1/alerts?state=scheduled").expect(200).json()["items"], json!([]));
}
