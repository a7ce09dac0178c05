//! Streams of Server-Sent Events of the built program: sign-in, limits, administration, and clients that resume.

use serde_json::{Value, json};

use crate::support::events::{EventStream, StreamEvent};
use crate::support::http::Client;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::eventually;

const PATH: &str = "/alerts/stream";

/// Sends an alert to an audience and returns its sequence number.
fn send(staff: &mut Client, title: &str, audience: &Value) -> u64 {
    let alert = json!({"title": title, "message": "Room 12 is flooded.", "audience": audience});
    staff.post_json("/api/v1/alerts", &alert).expect(201).json()["seq"].as_u64().expect("a seq")
}

fn staff(home: &Home, server: &Server) -> Client {
    server.client().signed_in(&home.token("desk", "staff"))
}

#[test]
fn a_client_that_misses_alerts_resumes_across_a_restart() {
    let home = Home::new();
    let server = home.serve();
    let everyone = json!({"all": true});
    let first = send(&mut staff(&home, &server), "one", &everyone);
    let mut visitor = EventStream::live(server.address(), &format!("{PATH}?since=0"), None);
    let seen = |stream: &EventStream| stream.alerts().contains(&first);
    if !seen(&visitor) {
        visitor.wait_for("the first alert", |event| event.kind == "alert");
    }
    let position = visitor.last_id();
    assert_eq!(position, first.to_string());
    drop(visitor);
    let mut missed = vec![send(&mut staff(&home, &server), "two", &everyone)];
    send(&mut staff(&home, &server), "not for visitors", &json!({"roles": ["student"]}));
    server.stop();

    let server = home.serve();
    missed.push(send(&mut staff(&home, &server), "three", &everyone));
    let mut back = EventStream::open(server.address(), PATH, &[("Last-Event-ID", &position)]);
    back.wait_for("live", |event| event.kind == "live");
    missed.push(send(&mut staff(&home, &server), "four", &everyone));
    back.wait_for("the last alert", |event| event.kind == "alert" && event.data["seq"] == *missed.last().unwrap());
    assert_eq!(back.alerts(), missed, "every public alert once, in order");
    assert_eq!(back.seen().last().map(|event| &event.data["alert"]["title"]), Some(&json!("four")));
}

#[test]
fn the_headers_of_a_stream_forbid_storing_and_buffering() {
    let home = Home::new();
    let server = home.serve();
    let stream = EventStream::live(server.address(), PATH, None);
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(stream.head.lines().any(|other| other == line), "{line} in {}", stream.head);
    }
    let head = server.client().call("HEAD", PATH, &[], b"").unwrap().expect(200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(server.client().post_json(PATH, &json!({})).expect(405).header("allow"), Some("GET, HEAD"));
}

#[test]
fn a_cookie_a_header_or_a_ticket_signs_a_stream_in() {
    let home = Home::new();
    let server = home.serve();
    let token = home.token("ann", "student");
    let user_of = |stream: EventStream| stream.seen()[0].data["user"].clone();
    assert_eq!(user_of(EventStream::live(server.address(), PATH, Some(&token))), "ann");
    let cookie = format!("eduhub_session={token}");
    let mut by_cookie = EventStream::open(server.address(), PATH, &[("Cookie", &cookie)]);
    by_cookie.wait_for("live", |event| event.kind == "live");
    assert_eq!(user_of(by_cookie), "ann");
    let mut ann = server.client().signed_in(&token);
    let ticket = ann.post_json("/api/v1/ws-ticket", &json!({})).expect(200).json()["ticket"].clone();
    let with_ticket = format!("{PATH}?ticket={}", ticket.as_str().unwrap());
    assert_eq!(user_of(EventStream::live(server.address(), &with_ticket, None)), "ann");
    assert_eq!(server.client().get(&with_ticket).expect(401).code(), "unauthenticated", "a ticket is valid once");
    assert_eq!(user_of(EventStream::live(server.address(), PATH, None)), Value::Null);
}

#[test]
fn requests_that_cannot_be_served_get_a_problem() {
    let home = Home::new();
    let server = home.serve();
    let mut visitor = server.client();
    assert_eq!(server.client().signed_in("nonsense").get(PATH).expect(401).code(), "unauthenticated");
    for (query, status, code) in [
        ("?since=soon", 400, "bad_request"),
        ("?since=-1", 422, "invalid"),
        ("?channels=nonsense", 422, "invalid"),
        ("?channels=alerts,me", 401, "unauthenticated"),
    ] {
        assert_eq!(visitor.get(&format!("{PATH}{query}")).expect(status).code(), code, "{query}");
    }
    let mut ann = server.client().signed_in(&home.token("ann", "student"));
    assert_eq!(ann.get(&format!("{PATH}?channels=admin")).expect(403).code(), "forbidden");
    let call = |name, value| server.client().call("GET", PATH, &[(name, value)], b"").unwrap();
    assert_eq!(call("Last-Event-ID", "x").expect(400).json()["field"], "Last-Event-ID");
    assert_eq!(call("Origin", "https://evil.example").expect(403).code(), "forbidden");
    let mut unnamed = EventStream::open(server.address(), PATH, &[("Last-Event-ID", "")]);
    unnamed.wait_for("live", |event| event.kind == "live");
}

#[test]
fn streams_and_websockets_share_one_limit_for_each_user() {
    let home = Home::new().setting("limits.connections_per_user", "2");
    let server = home.serve();
    let token = home.token("ann", "student");
    let _socket = Socket::live(server.address(), "/alerts/ws", Some(&token));
    let stream = EventStream::live(server.address(), PATH, Some(&token));
    let refused = server.client().signed_in(&token).get(PATH).expect(429);
    assert_eq!((refused.code().as_str(), refused.header("retry-after").is_some()), ("rate_limited", true));
    EventStream::live(server.address(), PATH, Some(&home.token("bob", "student")));
    drop(stream);
    eventually("the release of the closed stream's connection", || {
        let authorization = format!("Bearer {token}");
        let again = EventStream::try_open(server.address(), PATH, &[("Authorization", &authorization)]);
        again.head.starts_with("http/1.1 200").then_some(())
    });
}

#[test]
fn signing_out_ends_the_stream() {
    let home = Home::new();
    let server = home.serve();
    let token = home.token("ann", "student");
    let mut stream = EventStream::live(server.address(), PATH, Some(&token));
    server.client().signed_in(&token).post_json("/api/v1/logout", &json!({})).expect(204);
    assert_eq!(stream.wait_for_end(), Some(4003));
    server.client().signed_in(&token).get(PATH).expect(401);
}

#[test]
fn an_admin_lists_streams_and_ends_one() {
    let home = Home::new();
    let server = home.serve();
    let mut stream = EventStream::live(server.address(), PATH, Some(&home.token("ann", "student")));
    let mut admin = server.client().signed_in(&home.token("root", "admin"));
    let all = admin.get("/api/v1/admin/sessions").expect(200).json();
    let session = &all["items"][0];
    assert_eq!(
        (&session["user"], &session["transport"], &session["channels"], &session["rtt_ms"]),
        (&json!("ann"), &json!("sse"), &json!(["me", "alerts"]), &Value::Null)
    );
    assert_eq!(session["id"], stream.seen()[0].data["session"]);
    admin.delete(&format!("/api/v1/admin/sessions/{}", session["id"].as_str().unwrap())).expect(204);
    assert_eq!(stream.wait_for_end(), Some(4003));
    assert_eq!(admin.get("/api/v1/admin/sessions").expect(200).json()["total"], 0);
    assert!(server.metric("eduhub_frames_sent_total") >= 2.0, "the frames of ended streams are counted");
}

#[test]
fn a_stopping_hub_ends_its_streams_and_says_when_to_reconnect() {
    let home = Home::new();
    let server = home.serve();
    let mut stream = EventStream::live(server.address(), PATH, None);
    server.terminate();
    assert_eq!(stream.wait_for_end(), Some(1012));
    assert!(stream.retry.is_some_and(|retry| retry > 0));
    assert!(server.stop().success());
}

#[test]
fn a_student_follows_seats_and_their_registrations_on_a_stream() {
    let home = Home::new();
    let server = home.serve();
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
    let schedule = Schedule { term: "203001".into(), rows: vec![Row::lecture("30001", "PHYS 101")] };
    schedule.load(&mut registrar);
    let section = schedule.ids()[0].clone();
    let token = home.token("ada", "student");
    let path = format!("{PATH}?channels=seats:203001,section:{section}");
    let mut stream = EventStream::live(server.address(), &path, Some(&token));
    for _ in 0..2 {
        stream.wait_for("a snapshot", |event| event.kind == "subscribed");
    }
    server.client().signed_in(&token).put(&format!("/api/v1/me/registrations/{section}")).expect(201);
    let is_taken = |event: &StreamEvent| event.kind == "seats" && event.data["seats"][0][2] == 1;
    let is_notice = |event: &StreamEvent| event.kind == "registration" && event.data["section"] == section.as_str();
    // The order of the two events is not fixed.
    for _ in 0..2 {
        stream.wait_for("the seats and the registration", |event| is_taken(event) || is_notice(event));
    }
    assert!(stream.seen().iter().any(is_taken) && stream.seen().iter().any(is_notice));
}
