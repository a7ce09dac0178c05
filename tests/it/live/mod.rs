//! Broker, relays and live sessions over real sockets, on an embedded store and a read model to which the test
//! publishes: the frames for slow, invalid and resuming clients, and for the other clients at the same time.

mod hub;
mod stream;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::WAIT_MAX;
use crate::support::socket::{Socket, frame};
use crate::support::wait::eventually;
use hub::{Hub, TERM, options};

/// Returns the sequences of the alerts and cancellations among these frames.
fn alerts(frames: &[Value]) -> Vec<u64> {
    let is_alert = |f: &&Value| f["type"] == "alert" || f["type"] == "alert_cancelled";
    frames.iter().filter(is_alert).filter_map(|f| f["seq"].as_u64()).collect()
}

#[test]
fn welcome_comes_first_and_live_carries_the_sequence() {
    let hub = Hub::start(options());
    hub.post("before");
    let mut ann = hub.connect("?user=ann");
    ann.wait_for("live", |f| f["type"] == "live");
    let [welcome, live] = ann.seen() else { panic!("{:?}", ann.seen()) };
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("ann")));
    assert!(welcome["session"].is_string() && welcome["heartbeat_s"].is_u64() && welcome["now"].is_string());
    // The sequence is the relay's position: alerts after it are delivered, alerts before it are not.
    let position = live["seq"].as_u64().expect("a position");
    let last = hub.post("after");
    ann.wait_for("the last alert", |f| f["seq"] == last && f["type"] == "alert");
    assert_eq!(alerts(ann.seen()), (position + 1..=last).collect::<Vec<_>>());
    let mut visitor = hub.connect("");
    assert!(visitor.wait_for("welcome", |f| f["type"] == "welcome")["user"].is_null());
}

#[test]
fn a_resuming_client_gets_missed_alerts_once_and_in_order() {
    let hub = Hub::start(options());
    for n in 0..40 {
        hub.post(&format!("missed {n}"));
    }
    let mut back = hub.connect("?since=5");
    // The relay's position decides where replay ends and live delivery begins. The received alerts are the same.
    back.wait_for("live", |f| f["type"] == "live");
    assert_eq!(back.seen()[0]["type"], "welcome");
    for n in 0..40 {
        hub.post(&format!("live {n}"));
    }
    back.wait_for("the last alert", |f| f["seq"] == 80);
    assert_eq!(alerts(back.seen()), (6..=80).collect::<Vec<_>>());
    // Resuming from the same sequence sends no alert again; resuming from an earlier one sends only those in between.
    back.send(&json!({"type": "subscribe", "channels": ["alerts"], "since": 5}));
    back.wait_for("live again", |f| f["type"] == "live" && f["seq"] == 80);
    back.send(&json!({"type": "subscribe", "channels": [], "since": 2}));
    back.wait_for("live again", |f| f["type"] == "live" && f["seq"] == 80);
    assert_eq!(alerts(back.seen()), (6..=80).chain(3..=5).collect::<Vec<_>>());
}

#[test]
fn missed_alerts_are_read_from_memory_and_older_ones_from_the_store() {
    let hub = Hub::start(options());
    for n in 0..80 {
        hub.post(&n.to_string());
    }
    let mut watching = hub.connect("?since=0");
    if alerts(watching.seen()).last() != Some(&80) {
        watching.wait_for("the last alert", |f| f["type"] == "alert" && f["seq"] == 80);
    }
    let resume = || {
        let reads = |source| hub.live.tail.reads().into_iter().find(|(name, _)| *name == source).unwrap().1;
        let before = [reads("memory"), reads("store")];
        let mut back = hub.connect("?since=5");
        back.wait_for("live", |f| f["type"] == "live" && f["seq"] == 80);
        assert_eq!(alerts(back.seen()), (6..=80).collect::<Vec<_>>());
        [reads("memory") - before[0], reads("store") - before[1]]
    };
    let [memory, store] = resume();
    assert!(memory > 0 && store == 0, "{memory} reads from memory, {store} from the store");
    // The tail starts at 61. The range, and the pages that begin before 61, are read from the store; the last page is
    // read from memory.
    hub.live.tail.trim(61);
    let [memory, store] = resume();
    assert!(memory > 0 && store > 1, "{memory} reads from memory, {store} from the store");
}

#[test]
fn clients_resuming_during_a_broadcast_get_each_alert_once() {
    let hub = Hub::start(options());
    let mut clients = Vec::new();
    for n in 0..60u64 {
        hub.post(&n.to_string());
        if n % 6 == 5 {
            clients.push((n / 2, hub.connect(&format!("?since={}", n / 2))));
        }
    }
    for (since, client) in &mut clients {
        client.wait_for("the last alert", |f| f["type"] == "alert" && f["seq"] == 60);
        assert_eq!(alerts(client.seen()), (*since + 1..=60).collect::<Vec<_>>(), "since {since}");
    }
}

#[test]
fn an_unavailable_resume_point_is_announced_as_a_gap() {
    let hub = Hub::start(options());
    for n in 0..10 {
        hub.post(&n.to_string());
    }
    hub.delete_oldest_alerts(4);
    let mut old = hub.connect("?since=2");
    assert_eq!(old.wait_for("a gap", |f| f["type"] == "gap"), json!({"type": "gap", "from": 3, "to": 4}));
    let mut ahead = hub.connect("?since=99");
    assert_eq!(ahead.wait_for("a gap", |f| f["type"] == "gap"), json!({"type": "gap", "from": 99, "to": 10}));
    for client in [&mut old, &mut ahead] {
        client.wait_for("live", |f| f["type"] == "live");
        // Alerts that the relay had not delivered when the client joined come after `live`.
        if alerts(client.seen()).last() != Some(&10) {
            client.wait_for("the last alert", |f| f["type"] == "alert" && f["seq"] == 10);
        }
        assert_eq!(alerts(client.seen()), (5..=10).collect::<Vec<_>>());
        assert_eq!(client.seen()[1]["type"], "gap", "the gap comes before the alerts");
    }
}

#[test]
fn an_alert_reaches_its_audience_only() {
    let hub = Hub::start(options());
    let (mut ann, mut bob, mut visitor) = (hub.connect("?user=ann"), hub.connect("?user=bob"), hub.connect(""));
    for client in [&mut ann, &mut bob, &mut visitor] {
        client.wait_for("live", |f| f["type"] == "live");
    }
    let secret = hub.post_to(&json!({"users": ["ann"]}), "for ann");
    let students = hub.post_to(&json!({"roles": ["student"]}), "for students");
    let everyone = hub.post("for all");
    for (client, expected) in [
        (&mut ann, vec![secret, students, everyone]),
        (&mut bob, vec![students, everyone]),
        (&mut visitor, vec![everyone]),
    ] {
        client.wait_for("the last alert", |f| f["seq"] == everyone);
        assert_eq!(alerts(client.seen()), expected);
    }
    let mut replayed = hub.connect("?since=0&user=bob");
    replayed.wait_for("live", |f| f["type"] == "live");
    assert_eq!(alerts(replayed.seen()), [students, everyone]);
}

#[test]
fn no_change_is_lost_between_a_snapshot_and_the_next_tick() {
    let hub = Hub::start(options());
    let writer = hub.keep_changing_seats();
    let mut clients: Vec<Socket> = (0..8).map(|_| hub.connect("")).collect();
    for client in &mut clients {
        client.send(&json!({"type": "subscribe", "channels": [format!("seats:{TERM}")]}));
    }
    let last = writer.join().unwrap();
    for client in &mut clients {
        client.wait_for("the last seats", |f| f["type"] == "seats" && f["seq"] == last);
        let mut seats: std::collections::BTreeMap<String, Value> = Default::default();
        let mut seq = 0;
        for frame in client.seen().iter().filter(|f| f["seats"].is_array()) {
            assert!(frame["seq"].as_u64().unwrap() >= seq, "the sequence never decreases");
            seq = frame["seq"].as_u64().unwrap();
            for row in frame["seats"].as_array().unwrap() {
                seats.insert(row[0].as_str().unwrap().to_owned(), row.clone());
            }
        }
        assert_eq!(seats.into_values().collect::<Vec<_>>(), hub.seats(), "the client has the current seats");
    }
}

#[test]
fn changes_to_subscribed_sections_arrive_in_one_frame() {
    let hub = Hub::start(options());
    let mut client = hub.connect("");
    client.subscribe(&[&format!("section:{TERM}-10000"), &format!("section:{TERM}-10001")]);
    hub.take_seats(&["10000", "10001", "10002"]);
    let frame = client.wait_for("seats", |f| f["type"] == "seats");
    assert_eq!(frame["seats"], json!([[format!("{TERM}-10000"), 9, 1, 0, 8], [format!("{TERM}-10001"), 9, 1, 0, 8]]));
    client.send(&json!({"type": "unsubscribe", "channels": [format!("section:{TERM}-10000")]}));
    client.send(&json!({"type": "ping"}));
    client.wait_for("pong", |f| f["type"] == "pong");
    hub.take_seats(&["10000", "10001"]);
    let frame = client.wait_for("seats", |f| f["type"] == "seats");
    assert_eq!(frame["seats"], json!([[format!("{TERM}-10001"), 9, 2, 0, 7]]));
}

#[test]
fn seats_since_sends_changes_and_long_snapshots_are_split() {
    let hub = Hub::start(options());
    let seq = hub.take_seats(&["10003"]);
    let channel = format!("seats:{TERM}");
    let mut client = hub.connect("");
    client.send(&json!({"type": "subscribe", "channels": [channel], "seats_since": seq - 1}));
    let frame = client.wait_for("subscribed", |f| f["type"] == "subscribed");
    assert_eq!((&frame["seq"], frame["seats"].as_array().unwrap().len()), (&json!(seq), 1));
    let mut new = hub.connect("");
    new.send(&json!({"type": "subscribe", "channels": [channel]}));
    let mut rows = 0;
    while rows < hub.seats().len() {
        let frame = new.wait_for("more seats", |f| f["seats"].is_array());
        assert!(frame.to_string().len() <= 8_192);
        rows += frame["seats"].as_array().unwrap().len();
    }
    assert!(new.seen().iter().filter(|f| f["seats"].is_array()).count() > 1, "the snapshot is split");
}

#[test]
fn invalid_subscriptions_are_errors_and_keep_the_connection() {
    let hub = Hub::start(options());
    let mut visitor = hub.connect("");
    let cases = [
        (json!({"type": "subscribe", "channels": ["import:1"]}), "forbidden"),
        (json!({"type": "subscribe", "channels": ["me"]}), "forbidden"),
        (json!({"type": "subscribe", "channels": ["nonsense"]}), "invalid"),
        (json!({"type": "subscribe", "channels": ["seats:190001"]}), "not_found"),
        (json!({"type": "subscribe", "channels": [format!("section:{TERM}-1")]}), "not_found"),
        (json!({"type": "dance"}), "invalid"),
        (json!([]), "bad_request"),
    ];
    for (frame, code) in cases {
        visitor.send(&frame);
        assert_eq!(visitor.wait_for("an error", |f| f["type"] == "error")["code"], code, "{frame}");
    }
    visitor.send_raw(Message::text("{"));
    assert_eq!(visitor.wait_for("an error", |f| f["type"] == "error")["code"], "bad_request");
    visitor.send(&json!({"type": "ping"}));
    visitor.wait_for("pong", |f| f["type"] == "pong");
    let mut staff = hub.connect("?user=eve&role=staff");
    staff.subscribe(&["import:1"]);
    hub.publish_import("1", 7);
    assert_eq!(staff.wait_for("progress", |f| f["type"] == "import")["rows"], 7);
}

#[test]
fn protocol_violations_close_the_connection_with_their_code() {
    let hub = Hub::start(options());
    let mut huge = vec![0x81, 0xff];
    huge.extend((1u64 << 32).to_be_bytes());
    huge.extend([0; 4]);
    let half = vec![b' '; 40_000];
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("a header that announces 4 GiB", huge, 1009),
        ("a frame of 65 KiB", frame(0x81, &[b' '; 65 * 1024]), 1009),
        ("fragments of 80,000 bytes together", [frame(0x01, &half), frame(0x80, &half)].concat(), 1009),
        ("binary", frame(0x82, b"x"), 1003),
        ("bad UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("bad UTF-8 in fragments", [frame(0x01, b"\xff"), frame(0x80, b"x")].concat(), 1007),
        ("an unmasked frame", vec![0x81, 0x02, b'{', b'}'], 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
    ];
    for (what, bytes, code) in cases {
        let mut client = hub.connect("");
        client.wait_for("live", |f| f["type"] == "live");
        client.stream().write_all(&bytes).unwrap();
        assert_eq!(client.wait_for_close().0, code, "{what}");
    }
    hub.wait_until("all sessions have ended", || hub.live.presence.is_empty());
}

#[test]
fn a_ping_between_fragments_does_not_split_a_message() {
    let hub = Hub::start(options());
    let mut client = hub.connect("");
    let bytes =
        [frame(0x01, br#"{"type":"#), frame(0x89, b"hello"), frame(0x00, br#""pi"#), frame(0x80, br#"ng"}"#)].concat();
    client.stream().write_all(&bytes).unwrap();
    client.wait_for("pong", |f| f["type"] == "pong");
    let padded = format!("{}{}", " ".repeat(64 * 1024 - 15), r#"{"type":"ping"}"#);
    client.send_raw(Message::text(padded));
    client.wait_for("pong", |f| f["type"] == "pong");
}

#[test]
fn many_small_frames_at_once_are_all_answered() {
    let hub = Hub::start(options());
    let mut client = hub.connect("");
    client.stream().write_all(&frame(0x81, br#"{"type":"ping"}"#).repeat(3_000)).unwrap();
    for _ in 0..3_000 {
        client.wait_for("pong", |f| f["type"] == "pong");
    }
}

#[test]
fn a_slow_reader_is_evicted_while_others_get_everything() {
    let hub = Hub::start(options());
    let mut slow = hub.connect("");
    let mut fast = hub.connect("");
    for client in [&mut slow, &mut fast] {
        client.wait_for("live", |f| f["type"] == "live");
    }
    let mut sent = 0;
    let message = "x".repeat(2_000);
    hub.wait_until("the slow client is evicted", || {
        // Only the fast client reads.
        let seq = hub.post(&message);
        fast.wait_for("the alert", |f| f["seq"] == seq);
        sent += 1;
        hub.live.presence.evicted.load(Ordering::Relaxed) == 1
    });
    assert_eq!(alerts(fast.seen()), (1..=sent).collect::<Vec<_>>());
    let (code, _) = slow.wait_for_close();
    assert_eq!(code, 4008);
    assert_eq!(hub.live.presence.len(), 1);
}

#[test]
fn an_evicted_client_resumes_with_every_alert_once() {
    let hub = Hub::start(options());
    let mut slow = hub.connect("");
    slow.wait_for("live", |f| f["type"] == "live");
    let message = "x".repeat(2_000);
    let mut last = 0;
    hub.wait_until("the client is evicted", || {
        last = hub.post(&message);
        hub.live.presence.evicted.load(Ordering::Relaxed) == 1
    });
    assert_eq!(slow.wait_for_close().0, 4008);
    let received = slow.seen();
    let position = alerts(received).last().copied().unwrap_or(0);
    let mut back = hub.connect(&format!("?since={position}"));
    back.wait_for("live", |f| f["type"] == "live");
    let all: Vec<u64> = alerts(received).into_iter().chain(alerts(back.seen())).collect();
    assert_eq!(all, (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_sign_out_closes_the_connections_of_its_token_only() {
    let hub = Hub::start(options());
    let mut first = hub.connect("?user=ann&token=1");
    let mut second = hub.connect("?user=ann&token=2");
    for client in [&mut first, &mut second] {
        client.wait_for("live", |f| f["type"] == "live");
    }
    hub.sign_out("ann", Some(1));
    assert_eq!(first.wait_for_close().0, 4003);
    second.send(&json!({"type": "ping"}));
    second.wait_for("pong", |f| f["type"] == "pong");
    hub.sign_out("ann", None);
    assert_eq!(second.wait_for_close().0, 4003);
}

#[test]
fn an_expired_or_invalid_token_closes_with_4001() {
    let hub = Hub::start(options());
    let mut expiring = hub.connect("?user=ann&expires_ms=1500");
    expiring.wait_for("live", |f| f["type"] == "live");
    assert_eq!(expiring.wait_for_close().0, 4001);
    assert_eq!(hub.connect("?user=bad").wait_for_close().0, 4001);
}

#[test]
fn a_connection_over_the_limit_is_closed_with_4009() {
    let hub = Hub::start(hub::Options { connections_max: 2, ..options() });
    let mut first = hub.connect("");
    first.wait_for("live", |f| f["type"] == "live");
    let mut second = hub.connect("");
    second.wait_for("live", |f| f["type"] == "live");
    assert_eq!(hub.connect("").wait_for_close().0, 4009);
    drop(first);
    hub.wait_until("a connection has ended", || hub.live.presence.len() == 1);
    hub.connect("").wait_for("live", |f| f["type"] == "live");
}

#[test]
fn a_silent_client_is_reaped() {
    let hub = Hub::start(hub::Options { heartbeat: Duration::from_millis(700), ..options() });
    // This client stops reading after `live`, so it answers no ping.
    let mut silent = hub.connect("");
    silent.wait_for("live", |f| f["type"] == "live");
    let mut alive = hub.connect("");
    // The pause between two polls keeps the other client below the limit on frames.
    eventually("the silent client to be reaped", || {
        alive.send(&json!({"type": "ping"}));
        alive.wait_for("pong", |f| f["type"] == "pong");
        (hub.live.presence.len() == 1).then_some(())
    });
    assert_eq!(hub.live.presence.reaped.load(Ordering::Relaxed), 1);
    let (code, reason) = silent.wait_for_close();
    assert_eq!((code, reason.contains("too slow")), (4008, false), "{reason}");
    assert!(hub.live.presence.ends.counts().contains(&("silent", 1)));
    assert!(hub.live.presence.sessions()[0].rtt_ms().is_some(), "the other client answers pings");
}

#[test]
fn a_shutdown_closes_every_session_with_a_retry_delay() {
    let hub = Hub::start(options());
    let mut clients: Vec<Socket> = (0..5).map(|_| hub.connect("")).collect();
    for client in &mut clients {
        client.wait_for("live", |f| f["type"] == "live");
    }
    hub.drain();
    for client in &mut clients {
        let (code, reason) = client.wait_for_close();
        let retry_ms = serde_json::from_str::<Value>(&reason).unwrap()["retry_ms"].as_u64().unwrap();
        assert_eq!((code, (500..=20_000).contains(&retry_ms)), (1012, true));
    }
    assert_eq!(hub.connect("").wait_for_close().0, 1012, "a new connection is closed, too");
    assert!(hub.live.presence.is_empty());
}

#[test]
fn the_hub_answers_a_close_frame_and_disconnects() {
    let hub = Hub::start(options());
    let mut client = hub.connect("");
    client.wait_for("live", |f| f["type"] == "live");
    client.stream().write_all(&frame(0x88, &1000u16.to_be_bytes())).unwrap();
    assert_eq!(client.wait_for_close().0, 1000);
    client.stream().set_read_timeout(Some(WAIT_MAX)).unwrap();
    let mut rest = Vec::new();
    client.stream().read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}
