//! Seats, a student's registrations and alerts over WebSockets of the built program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::WAIT_MAX;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;

const TERM: &str = "203001";

/// Returns three sections of different courses that do not overlap, with two seats each.
fn schedule() -> Schedule {
    let row = |index: u32| Row {
        crn: (30_001 + index).to_string(),
        course: format!("PHYS {}", 101 + index),
        component: "lecture".into(),
        credits: "3",
        days: Days::Mwf,
        start: 8 * 60 + index * 60,
        end: 8 * 60 + index * 60 + 50,
        capacity: 2,
        waitlist: 5,
    };
    Schedule { term: TERM.into(), rows: (0..3).map(row).collect() }
}

fn hub() -> (Home, Server, String) {
    let home = Home::new();
    let server = home.serve();
    let staff = home.token("registrar", "staff");
    schedule().load(&mut server.client().signed_in(&staff));
    (home, server, staff)
}

/// Returns the row of a section in a frame; `None` without one.
fn row_of<'a>(frame: &'a Value, section: &str) -> Option<&'a Value> {
    frame["seats"].as_array()?.iter().find(|row| row[0] == section)
}

#[test]
fn subscribers_of_a_term_and_a_section_see_a_taken_seat() {
    let (home, server, _) = hub();
    let section = schedule().ids()[0].clone();
    let mut subscribers = [(); 2].map(|()| Socket::connect(server.address(), None));
    let [whole_term, one_section] = &mut subscribers;
    whole_term.subscribe(&[&format!("seats:{TERM}")]);
    one_section.subscribe(&[&format!("section:{section}")]);

    let student = home.token("ada", "student");
    let mut own = Socket::connect(server.address(), Some(&student));
    own.wait_for("welcome", |f| f["type"] == "welcome" && f["user"]["username"] == "ada" || f["user"] == "ada");
    server.client().signed_in(&student).put(&format!("/api/v1/me/registrations/{section}")).expect(201);

    for subscriber in &mut subscribers {
        let frame = subscriber.wait_for("the seat change", |f| {
            f["type"] == "seats" && row_of(f, &section).is_some_and(|row| row[2] == 1)
        });
        assert_eq!(*row_of(&frame, &section).unwrap(), json!([section, 2, 1, 0, 1]));
    }
    let notice = own.wait_for("the registration", |f| f["type"] == "registration");
    assert_eq!(
        (&notice["section"], &notice["status"], &notice["reason"]),
        (&json!(section), &json!("enrolled"), &json!("self"))
    );
}

#[test]
fn a_waitlisted_student_is_notified_of_the_promotion() {
    let (home, server, _) = hub();
    let section = schedule().ids()[1].clone();
    let path = format!("/api/v1/me/registrations/{section}");
    let tokens = home.tokens("waiting", "student", 3);
    for token in &tokens[..2] {
        server.client().signed_in(token).put(&path).expect(201);
    }
    let mut waiting = Socket::connect(server.address(), Some(&tokens[2]));
    waiting.wait_for("welcome", |f| f["type"] == "welcome");
    let mut last = server.client().signed_in(&tokens[2]);
    assert_eq!(last.put(&path).expect(409).code(), "section_full");
    let registration = last.put(&format!("{path}?waitlist=true")).expect(201).json();
    assert_eq!((&registration["status"], &registration["position"]), (&json!("waitlisted"), &json!(1)));
    server.client().signed_in(&tokens[0]).delete(&path).expect(200);
    let notice = waiting.wait_for("the promotion", |f| f["type"] == "registration" && f["reason"] == "promoted");
    assert_eq!((&notice["section"], &notice["status"]), (&json!(section), &json!("enrolled")));
}

#[test]
fn an_alert_is_delivered_once_and_replayed_on_reconnect() {
    let (_home, server, staff) = hub();
    let mut registrar = server.client().signed_in(&staff);
    let mut send = |title: &str| {
        let alert = json!({"title": title, "message": "Room 12 is flooded.", "audience": {"all": true}});
        registrar.post_json("/api/v1/alerts", &alert).expect(201).json()["seq"].as_u64().expect("a seq")
    };
    let mut visitor = Socket::connect(server.address(), None);
    visitor.wait_for("live", |f| f["type"] == "live");
    let first = send("one");
    let frame = visitor.wait_for("the first alert", |f| f["type"] == "alert");
    assert_eq!((frame["seq"].as_u64(), &frame["alert"]["title"]), (Some(first), &json!("one")));
    drop(visitor);

    let missed = [send("two"), send("three")];
    let mut back = Socket::connect_to(server.address(), &format!("/alerts/ws?since={first}"), None, &[]);
    back.wait_for("live", |f| f["type"] == "live");
    let last = send("four");
    back.wait_for("the last alert", |f| f["type"] == "alert" && f["seq"] == last);
    let received: Vec<_> =
        back.seen().iter().filter(|f| f["type"] == "alert").filter_map(|f| f["seq"].as_u64()).collect();
    assert_eq!(received, [missed[0], missed[1], last], "every missed alert once, in order, then the new one");
}

/// Sends a request for a WebSocket with this protocol and version, and returns the head of the response.
fn handshake(server: &Server, protocol: &str, version: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts connections");
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let request = format!(
        "GET /alerts/ws {protocol}\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{version}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        head.push_str(&line.to_lowercase());
        head.push('\n');
    }
    head
}

#[test]
fn handshakes_are_answered_as_rfc_6455_requires() {
    let (_home, server, _) = hub();
    assert!(handshake(&server, "HTTP/1.1", "Sec-WebSocket-Version: 13\r\n").starts_with("http/1.1 101"));
    for version in ["Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 14\r\n", ""] {
        let head = handshake(&server, "HTTP/1.1", version);
        assert!(head.starts_with("http/1.1 426"), "{version}: {head}");
        assert!(head.contains("\nsec-websocket-version: 13\n"), "{version}: {head}");
        assert!(head.contains("\nupgrade: websocket\n"), "{version}: {head}");
    }
    let head = handshake(&server, "HTTP/1.0", "Sec-WebSocket-Version: 13\r\n");
    assert!(head.contains(" 400 "), "HTTP/1.0 has no upgrade: {head}");
}
