//! Streams of Server-Sent Events over real sockets. [`super`] tests WebSockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::support::events::EventStream;

use super::hub::{Hub, Options, TERM, options};

#[test]
fn events_are_the_frames_of_the_websocket_with_positions_as_ids() {
    let hub = Hub::start(options());
    hub.post("before");
    let mut stream = hub.stream("?user=ann&since=0", "");
    let mut socket = hub.connect("?user=ann&since=0");
    let last = hub.post("after");
    stream.wait_for("the alert", |event| event.kind == "alert" && event.data["seq"] == last);
    socket.wait_for("the alert", |frame| frame["type"] == "alert" && frame["seq"] == last);
    let alerts = |frames: Vec<serde_json::Value>| -> Vec<_> {
        frames.into_iter().filter(|frame| frame["type"] == "alert").collect()
    };
    let events = stream.seen().iter().map(|event| event.data.clone()).collect();
    assert_eq!(alerts(events), alerts(socket.seen().to_vec()));
    let [welcome, ..] = stream.seen() else { panic!("no event") };
    assert_eq!((welcome.kind.as_str(), &welcome.data["user"], &welcome.id), ("welcome", &json!("ann"), &None));
    for event in stream.seen().iter().filter(|event| event.kind != "welcome") {
        assert_eq!(event.kind, event.data["type"], "the name of the event is the type of the frame");
        assert_eq!(event.id, event.data["seq"].as_u64().map(|seq| seq.to_string()), "{event:?}");
    }
}

#[test]
fn a_client_resumes_at_its_last_event_with_every_alert_once() {
    let hub = Hub::start(options());
    let mut first = hub.stream("", "");
    first.wait_for("live", |event| event.kind == "live");
    let seen = hub.post("seen");
    first.wait_for("the alert", |event| event.data["seq"] == seen && event.kind == "alert");
    let position = first.last_id();
    drop(first);
    for n in 0..40 {
        hub.post(&format!("missed {n}"));
    }
    // The id is newer than the position in the address, which a browser does not change when it reconnects.
    let mut back = hub.stream("?since=0", &position);
    back.wait_for("live", |event| event.kind == "live");
    for n in 0..40 {
        hub.post(&format!("live {n}"));
    }
    back.wait_for("the last alert", |event| event.kind == "alert" && event.data["seq"] == 81);
    assert_eq!(back.alerts(), (2..=81).collect::<Vec<_>>());
    hub.delete_oldest_alerts(4);
    let mut old = hub.stream("?since=2", "");
    let gap = old.wait_for("the gap", |event| event.kind == "gap");
    assert_eq!(gap.data, json!({"type": "gap", "from": 3, "to": 4}));
    old.wait_for("live", |event| event.kind == "live");
    assert_eq!(old.alerts(), (5..=81).collect::<Vec<_>>());
}

#[test]
fn an_alert_is_streamed_to_its_audience_only() {
    let hub = Hub::start(options());
    let mut streams = ["?user=ann", "?user=bob", ""].map(|query| hub.stream(query, ""));
    for stream in &mut streams {
        stream.wait_for("live", |event| event.kind == "live");
    }
    let secret = hub.post_to(&json!({"users": ["ann"]}), "for ann");
    let students = hub.post_to(&json!({"roles": ["student"]}), "for students");
    let everyone = hub.post("for all");
    let expected = [vec![secret, students, everyone], vec![students, everyone], vec![everyone]];
    for (stream, expected) in streams.iter_mut().zip(expected) {
        stream.wait_for("the last alert", |event| event.kind == "alert" && event.data["seq"] == everyone);
        assert_eq!(stream.alerts(), expected);
    }
    let mut replayed = hub.stream("?user=bob", "0");
    replayed.wait_for("live", |event| event.kind == "live");
    assert_eq!(replayed.alerts(), [students, everyone]);
}

#[test]
fn further_channels_are_subscribed_after_the_missed_alerts() {
    let hub = Hub::start(options());
    let missed = hub.post("missed");
    // An alert that the relay of the stream had not delivered when the stream joined it comes after the snapshot.
    let (mut stream, snapshot) = loop {
        let mut stream = hub.stream(&format!("?since=0&channel=seats:{TERM}"), "");
        let snapshot = stream.wait_for("the snapshot", |event| event.kind == "subscribed");
        if stream.seen().iter().any(|event| event.kind == "live" && event.data["seq"] == missed) {
            break (stream, snapshot);
        }
    };
    assert_eq!((&snapshot.data["channel"], stream.alerts()), (&json!(format!("seats:{TERM}")), vec![missed]));
    let kinds: Vec<&str> = stream.seen().iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.last(), Some(&"subscribed"));
    assert!(kinds.contains(&"live"), "{kinds:?}");
    let seq = hub.take_seats(&["10000"]);
    let seats = stream.wait_for("the seats", |event| event.kind == "seats" && event.data["seq"] == seq);
    assert_eq!(seats.data["seats"], json!([[format!("{TERM}-10000"), 9, 1, 0, 8]]));
    assert_eq!(seats.id, None, "positions of seats are not positions of alerts");
}

#[test]
fn a_slow_stream_is_evicted_and_its_client_resumes() {
    let hub = Hub::start(options());
    let mut slow = hub.stream("", "");
    let mut fast = hub.stream("", "");
    for stream in [&mut slow, &mut fast] {
        stream.wait_for("live", |event| event.kind == "live");
    }
    let message = "x".repeat(2_000);
    let mut last = 0;
    hub.wait_until("the slow client is evicted", || {
        // Only the fast client reads.
        last = hub.post(&message);
        fast.wait_for("the alert", |event| event.kind == "alert" && event.data["seq"] == last);
        hub.live.presence.evicted.load(Ordering::Relaxed) == 1
    });
    assert_eq!(fast.alerts(), (1..=last).collect::<Vec<_>>());
    assert_eq!(slow.wait_for_end(), Some(4008));
    assert_eq!(hub.live.presence.len(), 1);
    let mut back = hub.stream("", &slow.last_id());
    back.wait_for("live", |event| event.kind == "live");
    let all: Vec<u64> = slow.alerts().into_iter().chain(back.alerts()).collect();
    assert_eq!(all, (1..=last).collect::<Vec<_>>(), "nothing is lost and nothing is repeated");
}

#[test]
fn streams_end_with_their_token_and_with_the_hub() {
    let hub = Hub::start(options());
    let mut signed_out = hub.stream("?user=ann&token=1", "");
    let mut other = hub.stream("?user=ann&token=2", "");
    for stream in [&mut signed_out, &mut other] {
        stream.wait_for("live", |event| event.kind == "live");
    }
    hub.sign_out("ann", Some(1));
    assert_eq!(signed_out.wait_for_end(), Some(4003));
    let mut expired = hub.stream("?user=eve&expires_ms=1", "");
    assert_eq!(expired.wait_for_end(), Some(4001));
    hub.drain();
    assert_eq!(other.wait_for_end(), Some(1012));
    let retry = other.retry.expect("browsers get the delay before they reconnect");
    assert_eq!(other.seen().last().map(|event| &event.data["retry_ms"]), Some(&json!(retry)));
    hub.wait_until("all sessions have ended", || hub.live.presence.is_empty());
}

#[test]
fn a_stream_counts_toward_the_limit_until_its_client_leaves() {
    let hub = Hub::start(Options { connections_max: 2, heartbeat: Duration::from_millis(50) });
    let first = hub.stream("?user=ann", "");
    let _second = hub.stream("?user=bob", "");
    assert!(EventStream::try_open(hub.address(), "/alerts/stream?user=eve", &[]).head.starts_with("http/1.1 503"));
    drop(first);
    hub.wait_until("the session of the lost connection has ended", || hub.live.presence.len() == 1);
    hub.stream("?user=eve", "").wait_for("live", |event| event.kind == "live");
}

#[test]
fn heartbeats_keep_the_stream_of_a_silent_client_open() {
    let hub = Hub::start(Options { heartbeat: Duration::from_millis(50), ..options() });
    let mut stream = hub.stream("", "");
    for _ in 0..5 {
        stream.wait_for_comment();
    }
    let last = hub.post("after the silence");
    stream.wait_for("the alert", |event| event.kind == "alert" && event.data["seq"] == last);
    assert_eq!(hub.live.presence.reaped.load(Ordering::Relaxed), 0);
}
