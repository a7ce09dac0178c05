//! Tests of the messages of the WebSocket.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::bus::{PositionChange, RegistrationChange};
use crate::domain::channel::Channel;
use crate::domain::ids::{Crn, SectionId, TaskId, TermId, UserName};
use crate::domain::import::TaskReport;
use crate::domain::notice::{Notice, Reason};
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::role::Role;
use crate::domain::section::{Credits, Section, SectionState, SectionStatus};
use crate::live::frames::{
    CHANNELS_PER_FRAME_MAX, ClientFrame, ErrorCode, SNAPSHOT_FRAME_LEN_MAX, ServerFrame, error, position, registration,
    seats, snapshot,
};
use crate::registration::section_json::{SeatRow, push_seat_row};
use crate::registration::shown_counts::ShownCounts;

#[test]
fn members_of_a_client_frame_may_come_in_any_order() {
    let frame = ClientFrame::parse(r#"{"since":7,"channels":["alerts","seats:202209"],"type":"subscribe"}"#);
    let channels = vec!["alerts".to_owned(), "seats:202209".to_owned()];
    assert_eq!(frame, Ok(ClientFrame::Subscribe { channels, since: Some(7), seats_since: None }));
    let frame = ClientFrame::parse(r#"{"type":"subscribe","channels":[],"since":null,"seats_since":9}"#);
    assert_eq!(frame, Ok(ClientFrame::Subscribe { channels: Vec::new(), since: None, seats_since: Some(9) }));
    assert_eq!(ClientFrame::parse(r#"{"type":"ack","id":"x"}"#), Ok(ClientFrame::Ack { id: "x".to_owned() }));
    assert_eq!(ClientFrame::parse(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping));
}

#[test]
fn a_malformed_client_frame_is_rejected_with_its_code() {
    use ErrorCode::{BadRequest, Invalid};
    let cases = [
        ("", BadRequest),
        ("{", BadRequest),
        ("[]", BadRequest),
        ("\"ping\"", BadRequest),
        ("{}", BadRequest),
        (r#"{"type":1}"#, BadRequest),
        (r#"{"type":"subscribe"}"#, BadRequest),
        (r#"{"type":"subscribe","channels":null}"#, BadRequest),
        (r#"{"type":"subscribe","channels":"me"}"#, BadRequest),
        (r#"{"type":"subscribe","channels":[1]}"#, BadRequest),
        (r#"{"type":"subscribe","channels":[],"since":-1}"#, BadRequest),
        (r#"{"type":"subscribe","channels":[],"since":1.5}"#, BadRequest),
        (r#"{"type":"subscribe","channels":[],"seats_since":"1"}"#, BadRequest),
        (r#"{"type":"subscribe","channels":[],"sinse":1}"#, Invalid),
        (r#"{"type":"ping","x":1}"#, Invalid),
        (r#"{"type":"ping","since":-1}"#, Invalid),
        (r#"{"type":"shout"}"#, Invalid),
        (r#"{"type":"shout","channels":1}"#, Invalid),
        (r#"{"type":"ack"}"#, BadRequest),
    ];
    for (text, code) in cases {
        assert_eq!(ClientFrame::parse(text).map_err(|e| e.code), Err(code), "{text}");
    }
    let many = vec!["\"me\""; CHANNELS_PER_FRAME_MAX + 1].join(",");
    let text = format!(r#"{{"type":"unsubscribe","channels":[{many}]}}"#);
    assert_eq!(ClientFrame::parse(&text).map_err(|e| e.code), Err(Invalid));
}

#[test]
fn server_frames_start_with_their_type() {
    let (session, ann) = (Uuid::nil(), UserName::parse("ann").unwrap());
    let welcome = |user, role| {
        let now = Timestamp::UNIX_EPOCH;
        ServerFrame::Welcome { session, user, role, heartbeat_s: 25, now, seq: 3 }.encode()
    };
    let rest = r#""role":"student","heartbeat_s":25,"now":"1970-01-01T00:00:00Z","seq":3}"#;
    let expected = format!(r#"{{"type":"welcome","session":"{session}","user":"ann",{rest}"#);
    assert_eq!(welcome(Some(&ann), Some(Role::Student)), expected);
    assert!(welcome(None, None).contains(r#""user":null,"role":null"#));

    assert_eq!(ServerFrame::Live { seq: 4 }.encode(), r#"{"type":"live","seq":4}"#);
    assert_eq!(ServerFrame::Pong.encode(), r#"{"type":"pong"}"#);
    assert_eq!(ServerFrame::Gap { from: 1, to: 2 }.encode(), r#"{"type":"gap","from":1,"to":2}"#);
    let subscribed = ServerFrame::Subscribed { channel: &Channel::Me, seq: 4, seats: None };
    assert_eq!(subscribed.encode(), r#"{"type":"subscribed","channel":"me","seq":4}"#);
    let cancelled = ServerFrame::AlertCancelled { seq: 4, id: "x" };
    assert_eq!(cancelled.encode(), r#"{"type":"alert_cancelled","seq":4,"id":"x"}"#);
    assert_eq!(error(ErrorCode::NotFound, "no"), r#"{"type":"error","code":"not_found","detail":"no"}"#);
    let report = TaskReport::new(TaskId::parse("7").unwrap(), None, 1, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
    assert!(ServerFrame::Import(&report).encode().starts_with(r#"{"type":"import","task":"7","state":"running","#));
}

#[test]
fn registration_frames_state_why_a_registration_changed() {
    let (term, crn) = (TermId::parse("202209").unwrap(), Crn::parse("1").unwrap());
    let (student, at) = (UserName::parse("ann").unwrap(), Timestamp::UNIX_EPOCH);
    let encoded = |status, reason, position| {
        let notice = Notice { student: student.clone(), crn: crn.clone(), status, reason, at };
        registration(&term, &RegistrationChange { notice, position })
    };
    let frame = |rest| format!(r#"{{"type":"registration","section":"202209-1",{rest},"at":"1970-01-01T00:00:00Z"}}"#);
    let own = encoded(RegistrationStatus::Enrolled, Reason::Requested, None);
    assert_eq!(own, frame(r#""status":"enrolled","reason":"self""#));
    let passed = encoded(RegistrationStatus::Waitlisted, Reason::PassedOver(RefusalCode::CreditLimit), Some(1));
    let expected = r#""status":"waitlisted","position":1,"reason":"passed_over","code":"credit_limit""#;
    assert_eq!(passed, frame(expected));
    let moved = position(&term, &PositionChange { student: student.clone(), crn: crn.clone(), position: 2, at });
    assert_eq!(moved, frame(r#""status":"waitlisted","position":2,"reason":"moved""#));
}

fn section(crn: u32, withdrawn: bool) -> SectionState {
    let id = SectionId::parse(&format!("202209-{crn}")).unwrap();
    let mut state = SectionState::new(Arc::new(Section {
        id,
        original_crn: None,
        course: "MATH 101".into(),
        component: "lecture".into(),
        section: None,
        title: None,
        credits: Credits(3_000),
        instructor: None,
        method: None,
        campus: None,
        meetings: Vec::new(),
        capacity: 30,
        waitlist_capacity: 5,
        status: SectionStatus::Open,
        linked: Vec::new(),
        prerequisites: Vec::new(),
        cross_listed: None,
        reserved: Vec::new(),
        restrictions: Vec::new(),
        repeat_limit: None,
        withdrawn,
    }));
    state.enrolled = crn % 31;
    state
}

#[test]
fn hand_written_seats_equal_the_serialized_form() {
    let states: Vec<SectionState> = (0..40).map(|n| section(10_000 + n, n % 7 == 6)).collect();
    let rows: Vec<SeatRow<'_>> = states.iter().map(SeatRow::new).collect();
    let texts = states.iter().map(|state| {
        let mut text = Vec::new();
        push_seat_row(&mut text, state, ShownCounts::EXACT);
        text
    });
    let texts: Vec<Vec<u8>> = texts.collect();
    let hand_written = seats(9, texts.iter().map(Vec::as_slice));
    assert_eq!(hand_written, ServerFrame::Seats { seq: 9, seats: &rows }.encode());

    let channel = Channel::Seats(TermId::parse("202209").unwrap());
    let serialized = ServerFrame::Subscribed { channel: &channel, seq: 9, seats: Some(&rows) }.encode();
    assert_eq!(snapshot(&channel, 9, states.iter(), ShownCounts::EXACT), [serialized]);
}

#[test]
fn a_long_snapshot_continues_in_seats_frames() {
    let states: Vec<SectionState> = (0..600).map(|n| section(10_000 + n, false)).collect();
    let channel = Channel::Seats(TermId::parse("202209").unwrap());
    let frames = snapshot(&channel, 9, states.iter(), ShownCounts::EXACT);
    assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= SNAPSHOT_FRAME_LEN_MAX));
    let values: Vec<serde_json::Value> = frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    assert_eq!(values[0]["type"], "subscribed");
    assert!(values[1..].iter().all(|value| value["type"] == "seats" && value["seq"] == 9));
    let ids = values.iter().flat_map(|value| value["seats"].as_array().unwrap()).map(|row| row[0].clone());
    assert!(ids.eq(states.iter().map(|state| state.section.id.to_string())));
}

#[test]
fn an_empty_snapshot_is_one_frame_without_rows() {
    let channel = Channel::Seats(TermId::parse("202209").unwrap());
    let frames = snapshot(&channel, 5, std::iter::empty(), ShownCounts::EXACT);
    assert_eq!(frames, [r#"{"type":"subscribed","channel":"seats:202209","seq":5,"seats":[]}"#]);
}
