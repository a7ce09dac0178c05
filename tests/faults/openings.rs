//! Registration windows that open while students wait, when the clock is set.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::Home;
use crate::support::socket::Socket;

const TERM: &str = "203001";

/// Waits for the frame about the opened window, and returns it.
fn opened(socket: &mut Socket, opens_at: Timestamp) -> Value {
    let opens_at = opens_at.to_string();
    socket.wait_for("the window", |frame| frame["type"] == "window" && frame["opens_at"] == json!(opens_at))
}

#[test]
fn a_waiting_student_is_notified_that_the_window_opened() {
    let home = Home::new();
    let (server, clock) = Clock::serve(&home);
    let mut staff = server.client().signed_in(&home.token("dreyes", "staff"));
    Schedule { term: TERM.to_owned(), rows: vec![Row::lecture("1", "MATH 1")] }.load(&mut staff);
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
    let [early, late] = [600, 1_200].map(|seconds| now + SignedDuration::from_secs(seconds));
    let honors = json!([{"group": "honors", "opens_at": early.to_string()}]);
    let windows = json!({"opens_at": late.to_string(), "windows": honors});
    staff.put_json(&format!("/api/v1/terms/{TERM}"), &windows).expect(200);
    staff.put_json("/api/v1/students/ann", &json!({"groups": ["honors"]})).expect(200);

    let mut sessions = [Some("ann"), Some("bo"), None].map(|user| {
        let token = user.map(|user| home.token(user, "student"));
        let mut socket = Socket::connect(server.address(), token.as_deref());
        socket.wait_for("live", |frame| frame["type"] == "live");
        socket
    });
    let [ann, bo, visitor] = &mut sessions;
    clock.shift_system(700);
    assert_eq!(opened(ann, early)["term"], TERM);
    clock.shift_system(1_300);
    opened(bo, late);

    // A later frame of each session shows that no other one was sent before.
    for session in [&mut *ann, &mut *bo, &mut *visitor] {
        session.send(&json!({"type": "ping"}));
        session.wait_for("pong", |frame| frame["type"] == "pong");
    }
    let count = |session: &Socket| session.seen().iter().filter(|frame| frame["type"] == "window").count();
    assert_eq!([count(ann), count(bo), count(visitor)], [1, 1, 0]);
}
