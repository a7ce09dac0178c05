//! Tests of the feed: tables of inputs and their outputs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::role::Role;
use crate::identity::{Caller, Source};
use crate::live::alert_frame::{AlertFrame, encode_entry};
use crate::live::close::Close;
use crate::live::feed::{Feed, FeedInput, FeedOutput, FeedOutputs, Joined, READ_PAUSE, READ_RETRIES_MAX};
use crate::live::frames::{self, ErrorCode, SNAPSHOT_FRAME_LEN_MAX};
use crate::live::live_session::{Client, LiveSession, Transport};
use crate::live::messages::{Push, Subscribed};
use crate::live::presence::{ConnectionLimits, Presence};
use crate::live::replay::{REPLAY_PAGE_LEN, ReplayPage, Resume};
use crate::store::StoreError;
use crate::store::alerts::{Entry, LogEntry, Recipients, StoredRange};

pub(super) fn session(user: Option<&str>) -> Arc<LiveSession> {
    let caller = user.map(|user| Caller {
        user: UserName::parse(user).unwrap(),
        name: user.into(),
        subjects: None,
        role: Role::Student,
        source: Source::Hub,
        plone_user: None,
        token_id: Uuid::nil(),
        issued_ms: 0,
        expires_at: Timestamp::MAX,
        realm: Realm::College,
    });
    let presence = Presence::new(ConnectionLimits::default());
    let client = Client { address: IpAddr::from([127, 0, 0, 1]), user_agent: "test", transport: Transport::WebSocket };
    presence.admit(caller, client, Timestamp::UNIX_EPOCH).unwrap()
}

fn joined_at(seq: u64) -> Joined {
    let heartbeat = Duration::from_secs(25);
    Joined { seq, now: Timestamp::UNIX_EPOCH, heartbeat, is_token_valid: true, is_draining: false }
}

pub(super) fn joined(seq: u64) -> FeedInput<'static> {
    FeedInput::Joined(joined_at(seq))
}

fn recipients(users: &[&str]) -> Recipients {
    let users = users.iter().map(|user| UserName::parse(user).unwrap()).collect();
    Recipients { users, ..Recipients::default() }
}

fn entry(seq: u64, recipients: Recipients) -> LogEntry {
    LogEntry { seq, entry: Entry::Cancelled(format!("alert-{seq}")), recipients }
}

fn frame(entry: LogEntry) -> Arc<AlertFrame> {
    Arc::new(AlertFrame::new(entry, "The college".into()))
}

fn everyone() -> Recipients {
    Recipients { everyone: true, ..Recipients::default() }
}

/// Returns a push of entries for everyone, at these positions.
pub(super) fn alerts(seqs: impl IntoIterator<Item = u64>) -> Push {
    Push::Alerts(seqs.into_iter().map(|seq| frame(entry(seq, everyone()))).collect())
}

/// Returns the reply to a read of the stored range.
pub(super) fn range(first: u64, last: u64) -> FeedInput<'static> {
    FeedInput::Range(Ok(StoredRange { first, last }))
}

/// Returns the reply to a read of a page: entries at `seqs`, and the position after which the replay continues.
pub(super) fn page(seqs: impl IntoIterator<Item = u64>, after: u64) -> FeedInput<'static> {
    let frames = seqs.into_iter().map(|seq| (seq, encode_entry(seq, &entry(seq, everyone()).entry)));
    FeedInput::Page(Ok(ReplayPage { frames: frames.collect(), after }))
}

fn subscribed(frames: &[&str], alerts_from: Option<u64>, since: Option<u64>) -> FeedInput<'static> {
    let frames = frames.iter().map(|text| (*text).into()).collect();
    FeedInput::Push(Push::Subscribed(Box::new(Subscribed { frames, error: None, alerts_from, since })))
}

fn store_is_busy() -> StoreError {
    StoreError::Overloaded
}

/// Describes an output in a few words, and checks that the position of a frame equals its `seq`.
fn describe(output: &FeedOutput) -> String {
    match output {
        FeedOutput::Send(frame) => {
            let value: Value = serde_json::from_str(&frame.text).unwrap();
            let kind = value["type"].as_str().unwrap();
            let seq = value["seq"].as_u64();
            match kind {
                "alert_cancelled" | "live" => {
                    assert_eq!(frame.position, seq, "{}", frame.text);
                    format!("{} {}", kind.split('_').next().unwrap(), seq.unwrap())
                }
                _ => {
                    assert_eq!(frame.position, None, "{}", frame.text);
                    match kind {
                        "gap" => format!("gap {}-{}", value["from"], value["to"]),
                        "error" => format!("error {}", value["code"].as_str().unwrap()),
                        _ => kind.to_owned(),
                    }
                }
            }
        }
        FeedOutput::Ping => "ping".to_owned(),
        FeedOutput::Close(why) => format!("close {}", why.code()),
        FeedOutput::Wait(pause) => format!("wait {pause:?}"),
        FeedOutput::Flush => "flush".to_owned(),
        FeedOutput::ReadRange { .. } => "read range".to_owned(),
        FeedOutput::ReadPage { after, until } => format!("read ({after}, {until}]"),
        FeedOutput::Acknowledge { alert, user, role } => format!("acknowledge {alert} {user} {role}"),
        FeedOutput::Subscribe { channels, since, seats_since } => {
            let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
            format!("subscribe {} {since:?} {seats_since:?}", channels.join(","))
        }
        FeedOutput::Unsubscribe(channels) => {
            let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
            format!("unsubscribe {}", channels.join(","))
        }
    }
}

/// Describes the outputs of one input, and checks that only the last one needs a reply.
fn describe_all(outputs: &FeedOutputs) -> Vec<String> {
    let before_last = outputs.split_last().map_or(&[][..], |(_, before)| before);
    assert!(!before_last.iter().any(FeedOutput::needs_reply), "{outputs:?}");
    outputs.iter().map(describe).collect()
}

/// Passes each input of a table to the feed, and compares the outputs.
fn run<'a>(feed: &mut Feed, table: impl IntoIterator<Item = (FeedInput<'a>, &'a [&'a str])>) {
    for (step, (input, expected)) in table.into_iter().enumerate() {
        let what = format!("step {step}: {input:?}");
        assert_eq!(describe_all(&feed.handle(input)), expected, "{what}");
    }
}

#[test]
fn a_new_client_gets_welcome_then_live_then_later_alerts() {
    let mut feed = Feed::new(session(Some("ann")), None);
    run(
        &mut feed,
        [
            (joined(20), &["welcome", "live 20"][..]),
            (FeedInput::Push(alerts([21, 22])), &["alert 21", "alert 22"]),
            (FeedInput::Push(alerts([22, 23])), &["alert 23"]),
            (FeedInput::Push(Push::Ping), &["ping"]),
            (FeedInput::Push(Push::Frame(r#"{"type":"seats","seq":3,"seats":[]}"#.into())), &["seats"]),
            (FeedInput::Alive, &[]),
            (FeedInput::Message(r#"{"type":"ping"}"#), &["pong"]),
            (FeedInput::Push(Push::Close(Close::SignedOut)), &["close 4003"]),
            (FeedInput::Push(alerts([24])), &[]),
            (FeedInput::Message(r#"{"type":"ping"}"#), &[]),
        ],
    );
}

#[test]
fn welcome_states_the_caller() {
    let first_frame = |user| {
        let outputs = Feed::new(session(user), None).handle(joined(3));
        let FeedOutput::Send(frame) = &outputs[0] else { panic!("{outputs:?}") };
        serde_json::from_str::<Value>(&frame.text).unwrap()
    };
    let welcome = first_frame(Some("ann"));
    assert_eq!((&welcome["user"], &welcome["role"]), (&"ann".into(), &"student".into()));
    assert_eq!((&welcome["seq"], &welcome["heartbeat_s"]), (&3.into(), &25.into()));
    let welcome = first_frame(None);
    assert_eq!((&welcome["user"], &welcome["role"]), (&Value::Null, &Value::Null));
}

#[test]
fn alerts_for_other_users_are_skipped() {
    let push = || {
        let entries = [entry(1, recipients(&["ann"])), entry(2, recipients(&["bob"])), entry(3, everyone())];
        FeedInput::Push(Push::Alerts(entries.into_iter().map(frame).collect()))
    };
    for (user, expected) in [
        (Some("ann"), &["alert 1", "alert 3"][..]),
        (Some("bob"), &["alert 2", "alert 3"]),
        (Some("cyd"), &["alert 3"]),
        (None, &["alert 3"]),
    ] {
        let mut feed = Feed::new(session(user), None);
        run(&mut feed, [(joined(0), &["welcome", "live 0"][..]), (push(), expected), (push(), &[])]);
    }
}

#[test]
fn a_client_that_resumes_gets_missed_alerts_before_live() {
    let mut feed = Feed::new(session(None), Some(15));
    run(
        &mut feed,
        [
            (joined(20), &["welcome", "read range"][..]),
            (range(1, 20), &["read (15, 20]"]),
            (page([16, 19], 20), &["alert 16", "alert 19", "live 20"]),
            (FeedInput::Push(alerts([21])), &["alert 21"]),
        ],
    );
}

#[test]
fn a_client_that_missed_nothing_causes_no_read() {
    let mut feed = Feed::new(session(None), Some(20));
    run(&mut feed, [(joined(20), &["welcome", "live 20"][..])]);
}

#[test]
fn a_client_ahead_of_its_relay_gets_no_alert_twice() {
    // Another relay has already sent 19 and 20 to the client. This relay has not received them yet.
    let mut feed = Feed::new(session(None), Some(20));
    run(
        &mut feed,
        [
            (joined(18), &["welcome", "read range"][..]),
            (range(1, 20), &["live 20"]),
            (FeedInput::Push(alerts([19, 20, 21])), &["alert 21"]),
        ],
    );
}

#[test]
fn a_position_before_the_stored_range_gets_a_gap_and_all_alerts() {
    let mut feed = Feed::new(session(None), Some(2));
    run(
        &mut feed,
        [
            (joined(10), &["welcome", "read range"][..]),
            (range(5, 10), &["gap 3-4", "read (4, 10]"]),
            (page(5..=10, 10), &["alert 5", "alert 6", "alert 7", "alert 8", "alert 9", "alert 10", "live 10"]),
        ],
    );
}

#[test]
fn a_position_ahead_of_the_hub_gets_a_gap_and_all_alerts() {
    // The store was restored from a backup.
    let mut feed = Feed::new(session(None), Some(99));
    run(
        &mut feed,
        [
            (joined(10), &["welcome", "read range"][..]),
            (range(9, 10), &["gap 99-10", "read (8, 10]"]),
            (page([9, 10], 10), &["alert 9", "alert 10", "live 10"]),
            (FeedInput::Push(alerts([11])), &["alert 11"]),
        ],
    );
}

#[test]
fn resume_replays_what_is_stored_and_reports_what_is_not() {
    let stored = StoredRange { first: 11, last: 20 };
    let cases = [
        ("the client missed some", 15, 20, (None, 15, 20, 15)),
        ("the client missed all stored ones", 10, 20, (None, 10, 20, 10)),
        ("one missed entry is no longer stored", 9, 20, (Some((10, 10)), 10, 20, 0)),
        ("ten missed entries are no longer stored", 0, 20, (Some((1, 10)), 10, 20, 0)),
        ("the client missed none", 20, 20, (None, 20, 20, 20)),
        ("the relay is behind the client", 20, 18, (None, 18, 18, 20)),
        ("the client is ahead of the store", 25, 20, (Some((25, 20)), 10, 20, 0)),
    ];
    for (what, since, joined, (gap, after, until, skip_to)) in cases {
        assert_eq!(Resume::new(since, stored, joined), Resume { gap, after, until, skip_to }, "{what}");
    }
}

#[test]
fn a_failed_read_is_repeated_a_bounded_number_of_times() {
    let wait = format!("wait {READ_PAUSE:?}");
    for (read, failed) in [
        ("read range", (|| FeedInput::Range(Err(store_is_busy()))) as fn() -> FeedInput<'static>),
        ("read (5, 20]", || FeedInput::Page(Err(store_is_busy()))),
    ] {
        let mut feed = Feed::new(session(None), Some(5));
        feed.handle(joined(20));
        if read != "read range" {
            feed.handle(range(1, 20));
        }
        for _ in 0..READ_RETRIES_MAX {
            run(&mut feed, [(failed(), &[wait.as_str()][..]), (FeedInput::Done, &[read])]);
        }
        run(&mut feed, [(failed(), &["close 4008"][..])]);
    }
}

#[test]
fn a_read_that_succeeds_after_failures_continues_the_replay() {
    let wait = format!("wait {READ_PAUSE:?}");
    let mut feed = Feed::new(session(None), Some(0));
    let full: Vec<u64> = (1..=REPLAY_PAGE_LEN as u64).collect();
    let rest = format!("read ({REPLAY_PAGE_LEN}, 20]");
    feed.handle(joined(20));
    run(&mut feed, [(range(1, 20), &["read (0, 20]"][..])]);
    for _ in 0..READ_RETRIES_MAX {
        run(
            &mut feed,
            [(FeedInput::Page(Err(store_is_busy())), &[wait.as_str()][..]), (FeedInput::Done, &["read (0, 20]"])],
        );
    }
    let outputs = feed.handle(page(full, REPLAY_PAGE_LEN as u64));
    assert_eq!(describe(outputs.last().unwrap()), rest);
    // The retries are counted separately for each page.
    run(
        &mut feed,
        [(FeedInput::Page(Err(store_is_busy())), &[wait.as_str()][..]), (FeedInput::Done, &[rest.as_str()])],
    );
}

#[test]
fn a_session_whose_queue_was_full_closes_at_its_next_input() {
    let inputs: [fn() -> FeedInput<'static>; 4] = [
        || FeedInput::Push(alerts([21])),
        || FeedInput::Message(r#"{"type":"ping"}"#),
        || FeedInput::Alive,
        || FeedInput::Done,
    ];
    for input in inputs {
        let session = session(None);
        let mut feed = Feed::new(session.clone(), None);
        feed.handle(joined(20));
        session.request_close(Close::TooSlow);
        run(&mut feed, [(input(), &["close 4008"][..]), (FeedInput::Push(alerts([22])), &[])]);
    }
}

#[test]
fn a_session_that_is_evicted_during_its_replay_stops_reading() {
    let session = session(None);
    let mut feed = Feed::new(session.clone(), Some(5));
    run(&mut feed, [(joined(20), &["welcome", "read range"][..])]);
    session.request_close(Close::TooSlow);
    run(&mut feed, [(range(1, 20), &["close 4008"][..]), (page([6], 20), &[])]);
}

#[test]
fn a_sign_out_during_the_join_closes_the_session() {
    // The event passed the relay before the session joined, so only the token shows it.
    let mut feed = Feed::new(session(Some("ann")), Some(5));
    let input = FeedInput::Joined(Joined { is_token_valid: false, ..joined_at(20) });
    run(&mut feed, [(input, &["close 4001"][..]), (FeedInput::Push(alerts([21])), &[])]);

    // The event passed the relay after the session joined, and before the session received the relay's reply.
    let session = session(Some("ann"));
    let mut feed = Feed::new(session.clone(), None);
    session.request_close(Close::SignedOut);
    run(&mut feed, [(joined(20), &["close 4003"][..]), (FeedInput::Push(Push::Close(Close::SignedOut)), &[])]);
}

#[test]
fn a_session_that_joins_a_stopping_hub_is_closed() {
    let mut feed = Feed::new(session(None), None);
    let input = FeedInput::Joined(Joined { is_draining: true, ..joined_at(20) });
    run(&mut feed, [(input, &["close 1012"][..])]);

    let mut feed = Feed::new(session(None), None);
    run(&mut feed, [(FeedInput::RelayGone, &["close 1012"][..])]);
}

#[test]
fn a_failure_of_the_transport_ends_the_feed_once() {
    let mut feed = Feed::new(session(None), None);
    feed.handle(joined(20));
    run(&mut feed, [(FeedInput::Ended(Close::Binary), &["close 1003"][..]), (FeedInput::Ended(Close::Normal), &[])]);
    assert!(!feed.end(), "the feed has already ended");
}

#[test]
fn a_subscription_sends_its_snapshot_in_bursts() {
    let large = format!(r#"{{"type":"seats","seq":1,"seats":["{}"]}}"#, "x".repeat(SNAPSHOT_FRAME_LEN_MAX - 50));
    let small = r#"{"type":"subscribed","channel":"me","seq":1}"#;
    let mut feed = Feed::new(session(Some("ann")), None);
    feed.handle(joined(20));
    run(
        &mut feed,
        [
            (subscribed(&[small, small, &large, &large], None, None), &["subscribed", "subscribed", "flush"][..]),
            (FeedInput::Done, &["seats", "flush"]),
            (FeedInput::Done, &["seats"]),
            (FeedInput::Done, &[]),
        ],
    );
}

#[test]
fn a_subscription_with_since_replays_only_missing_alerts() {
    let confirmation = r#"{"type":"subscribed","channel":"alerts","seq":20}"#;
    let mut feed = Feed::new(session(None), Some(10));
    feed.handle(joined(20));
    feed.handle(range(1, 20));
    run(
        &mut feed,
        [
            (page([15], 20), &["alert 15", "live 20"][..]),
            // The session already has everything after 10.
            (subscribed(&[confirmation], None, Some(10)), &["subscribed", "live 20"]),
            (subscribed(&[confirmation], None, Some(12)), &["subscribed", "read range"]),
            (range(1, 20), &["live 20"]),
            (subscribed(&[], None, Some(7)), &["read range"]),
            (range(1, 21), &["read (7, 10]"]),
            (page([8, 9], 10), &["alert 8", "alert 9", "live 20"]),
            (FeedInput::Push(alerts([21])), &["alert 21"]),
        ],
    );
}

#[test]
fn subscribing_to_alerts_again_starts_at_the_relays_position() {
    let confirmation = r#"{"type":"subscribed","channel":"alerts","seq":30}"#;
    let session = session(None);
    let mut feed = Feed::new(session.clone(), None);
    feed.handle(joined(20));
    assert!(session.remove_channel(&Channel::Alerts));
    run(&mut feed, [(subscribed(&[], None, Some(3)), &[][..])]);
    session.add_channel(&Channel::Alerts, 8).unwrap();
    run(
        &mut feed,
        [
            (subscribed(&[confirmation], Some(30), None), &["subscribed", "live 30"][..]),
            (FeedInput::Push(alerts([31])), &["alert 31"]),
        ],
    );
}

#[test]
fn a_message_gets_one_error_at_most() {
    let reply = || {
        let error = Some(r#"{"type":"error","code":"not_found","detail":""}"#.into());
        FeedInput::Push(Push::Subscribed(Box::new(Subscribed {
            frames: vec![],
            error,
            alerts_from: None,
            since: None,
        })))
    };
    let mut feed = Feed::new(session(None), None);
    feed.handle(joined(20));
    let refused = r#"{"type":"subscribe","channels":["admin","seats:190001"]}"#;
    run(&mut feed, [(FeedInput::Message(refused), &["error forbidden", "subscribe seats:190001 None None"][..])]);
    run(&mut feed, [(FeedInput::Done, &[][..]), (reply(), &[])]);
    let unknown = r#"{"type":"subscribe","channels":["seats:190001"]}"#;
    run(&mut feed, [(FeedInput::Message(unknown), &["subscribe seats:190001 None None"][..])]);
    run(&mut feed, [(FeedInput::Done, &[][..]), (reply(), &["error not_found"])]);
}

#[test]
fn only_channels_that_exist_and_are_permitted_are_subscribed() {
    let message =
        r#"{"type":"subscribe","channels":["seats:202209","admin","nonsense","me","section:202209-1"],"since":7}"#;
    let visitor: &[&str] = &["error forbidden", "subscribe seats:202209,section:202209-1 Some(7) None"];
    let student: &[&str] = &["error forbidden", "subscribe seats:202209,me,section:202209-1 Some(7) None"];
    for (user, expected) in [(None, visitor), (Some("ann"), student)] {
        let mut feed = Feed::new(session(user), None);
        feed.handle(joined(20));
        run(&mut feed, [(FeedInput::Message(message), expected), (FeedInput::Done, &[])]);
    }
    let mut feed = Feed::new(session(None), None);
    feed.handle(joined(20));
    let message = r#"{"type":"unsubscribe","channels":["alerts","nonsense"]}"#;
    run(&mut feed, [(FeedInput::Message(message), &["unsubscribe alerts"][..])]);
}

#[test]
fn acknowledging_needs_a_sign_in_and_reports_only_failures() {
    let message = || FeedInput::Message(r#"{"type":"ack","id":"a-1"}"#);
    let mut feed = Feed::new(session(None), None);
    feed.handle(joined(20));
    run(&mut feed, [(message(), &["error unauthenticated"][..])]);

    let mut feed = Feed::new(session(Some("ann")), None);
    feed.handle(joined(20));
    run(
        &mut feed,
        [
            (message(), &["acknowledge a-1 ann student"][..]),
            (FeedInput::Acknowledged(Ok(true)), &[]),
            (message(), &["acknowledge a-1 ann student"]),
            (FeedInput::Acknowledged(Ok(false)), &["error not_found"]),
            (message(), &["acknowledge a-1 ann student"]),
            (FeedInput::Acknowledged(Err(store_is_busy())), &["error overloaded"]),
            (FeedInput::Message("{"), &["error bad_request"]),
        ],
    );
    let text = frames::error(ErrorCode::Overloaded, "later");
    assert_eq!(text, r#"{"type":"error","code":"overloaded","detail":"later"}"#);
}
