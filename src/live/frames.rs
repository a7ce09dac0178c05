//! The frames of the WebSocket, both ways: JSON text, `type` first. What clients send is read strictly; what the hub
//! sends is written once, and its bytes are shared by all who get it.

use bytestring::ByteString;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::bus::{MovedInLine, RegistrationNews};
use crate::domain::alert::Alert;
use crate::domain::channel::Channel;
use crate::domain::ids::SectionId;
use crate::domain::section::SectionState;

use crate::registration::section_json::push_seat_row;

/// The most channels that one frame may name.
pub const CHANNELS_PER_FRAME_MAX: usize = 256;
/// The longest piece of a snapshot, in bytes: with its WebSocket header it fits into the 8 KiB that a connection's
/// write buffer has anyway, so that no connection keeps a larger one for good.
pub const SNAPSHOT_PIECE_LEN_MAX: usize = 7_900;
/// Room for one more row (an id of at most 49 bytes and four numbers of at most 10 digits) and the end of the frame.
const ROW_LEN_MAX: usize = 110;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// Listen to these channels.
    Subscribe {
        /// Their names, not yet looked at.
        channels: Vec<String>,
        /// Replay alerts after this place in their sequence.
        since: Option<u64>,
        /// Of seats, tell only what changed after this place in the term's sequence.
        seats_since: Option<u64>,
    },
    /// Do not listen to these any more.
    Unsubscribe {
        /// Their names, not yet looked at.
        channels: Vec<String>,
    },
    /// An alert was seen.
    Ack {
        /// Its id.
        id: String,
    },
    /// Asks for a `pong`.
    Ping,
}

/// Why a frame is not understood: a stable code and words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct FrameError {
    /// `bad_request` (unparsable, or a field of the wrong type) or `invalid` (well-formed, but unknown).
    pub code: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

fn bad(detail: impl Into<String>) -> FrameError {
    FrameError { code: "bad_request", detail: detail.into() }
}

fn invalid(detail: impl Into<String>) -> FrameError {
    FrameError { code: "invalid", detail: detail.into() }
}

impl ClientFrame {
    /// Reads a frame; its fields may come in any order, and no other fields with them.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let value: Value = serde_json::from_str(text).map_err(|_| bad("a frame is a JSON object"))?;
        let Value::Object(mut fields) = value else { return Err(bad("a frame is a JSON object")) };
        let kind = match fields.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => return Err(bad("'type' must be text")),
            None => return Err(bad("'type' is missing")),
        };
        let frame = match kind.as_str() {
            "subscribe" => Self::Subscribe {
                channels: channels(&mut fields)?,
                since: position(&mut fields, "since")?,
                seats_since: position(&mut fields, "seats_since")?,
            },
            "unsubscribe" => Self::Unsubscribe { channels: channels(&mut fields)? },
            "ack" => Self::Ack { id: alert_id(&mut fields)? },
            "ping" => Self::Ping,
            _ => return Err(invalid("there is no such type of frame")),
        };
        match fields.keys().next() {
            Some(_) => Err(invalid(format!("'{kind}' has a field that is not known"))),
            None => Ok(frame),
        }
    }
}

fn channels(fields: &mut Map<String, Value>) -> Result<Vec<String>, FrameError> {
    let Some(Value::Array(list)) = fields.remove("channels") else {
        return Err(bad("'channels' must be a list of names"));
    };
    if list.len() > CHANNELS_PER_FRAME_MAX {
        return Err(invalid(format!("'channels' may name {CHANNELS_PER_FRAME_MAX} at once")));
    }
    let name = |value| if let Value::String(name) = value { Ok(name) } else { Err(bad("a channel's name is text")) };
    list.into_iter().map(name).collect()
}

/// An alert's id, which is a UUID; whether there is one of this id is not known here.
fn alert_id(fields: &mut Map<String, Value>) -> Result<String, FrameError> {
    match fields.remove("id") {
        Some(Value::String(id)) => Ok(id),
        _ => Err(bad("'id' must be an alert's id")),
    }
}

fn position(fields: &mut Map<String, Value>, field: &str) -> Result<Option<u64>, FrameError> {
    match fields.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seq) => Ok(Some(seq)),
            None => Err(bad(format!("'{field}' must be a whole number, 0 or more"))),
        },
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerFrame<'a> {
    Welcome {
        session: &'a str,
        user: Option<&'a str>,
        role: Option<&'a str>,
        heartbeat_s: u64,
        now: Timestamp,
        seq: u64,
    },
    Live {
        seq: u64,
    },
    Subscribed {
        channel: &'a str,
        seq: u64,
    },
    Alert {
        seq: u64,
        alert: &'a Alert,
    },
    AlertCancelled {
        seq: u64,
        id: &'a str,
    },
    Registration {
        section: &'a SectionId,
        status: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u32>,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        at: Timestamp,
    },
    Gap {
        from: u64,
        to: u64,
    },
    Error {
        code: &'a str,
        detail: &'a str,
    },
    Pong,
}

fn write(frame: &ServerFrame<'_>) -> ByteString {
    // These types have text keys and no failing parts, so writing them cannot fail.
    serde_json::to_string(frame).unwrap_or_default().into()
}

/// The first frame of every connection.
#[must_use]
pub fn welcome(session: &str, caller: Option<(&str, &str)>, heartbeat_s: u64, now: Timestamp, seq: u64) -> ByteString {
    let (user, role) = caller.unzip();
    write(&ServerFrame::Welcome { session, user, role, heartbeat_s, now, seq })
}

/// Nothing is missing up to here.
#[must_use]
pub fn live(seq: u64) -> ByteString {
    write(&ServerFrame::Live { seq })
}

/// A channel without a snapshot is subscribed.
#[must_use]
pub fn subscribed(channel: &Channel, seq: u64) -> ByteString {
    write(&ServerFrame::Subscribed { channel: &channel.to_string(), seq })
}

/// An alert that went out.
#[must_use]
pub fn alert(seq: u64, alert: &Alert) -> ByteString {
    write(&ServerFrame::Alert { seq, alert })
}

/// An alert to take down.
#[must_use]
pub fn alert_cancelled(seq: u64, id: &str) -> ByteString {
    write(&ServerFrame::AlertCancelled { seq, id })
}

/// A student's registration changed.
#[must_use]
pub fn registration(news: &RegistrationNews) -> ByteString {
    let notice = &news.notice;
    write(&ServerFrame::Registration {
        section: &news.section,
        status: notice.standing.as_str(),
        position: news.position,
        reason: notice.reason.as_str(),
        code: notice.reason.code().map(crate::domain::refusal::RefusalCode::as_str),
        at: notice.at,
    })
}

/// A place in line has moved.
#[must_use]
pub fn moved(news: &MovedInLine) -> ByteString {
    write(&ServerFrame::Registration {
        section: &news.section,
        status: "waitlisted",
        position: Some(news.position),
        reason: "moved",
        code: None,
        at: news.at,
    })
}

/// The hub's numbers, which are a JSON object already.
#[must_use]
pub fn metrics(numbers: &str) -> ByteString {
    format!("{{\"type\":\"metrics\",{}", numbers.strip_prefix('{').unwrap_or("}")).into()
}

/// What the client missed and the hub has no more.
#[must_use]
pub fn gap(from: u64, to: u64) -> ByteString {
    write(&ServerFrame::Gap { from, to })
}

/// What the client asked for cannot be.
#[must_use]
pub fn error(code: &str, detail: &str) -> ByteString {
    write(&ServerFrame::Error { code, detail })
}

/// The answer to `ping`.
#[must_use]
pub fn pong() -> ByteString {
    write(&ServerFrame::Pong)
}

/// A `seats` frame of rows that are written already.
#[must_use]
pub fn seats<'a>(seq: u64, rows: impl Iterator<Item = &'a [u8]>) -> ByteString {
    let mut out = format!("{{\"type\":\"seats\",\"seq\":{seq},\"seats\":[").into_bytes();
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(row);
    }
    finish(out)
}

/// A snapshot of seats: a `subscribed` frame, and as many `seats` frames as it takes to keep each one short.
pub fn snapshot<'a>(channel: &Channel, seq: u64, rows: impl Iterator<Item = &'a SectionState>) -> Vec<ByteString> {
    let mut pieces = Vec::new();
    let mut out = format!("{{\"type\":\"subscribed\",\"channel\":\"{channel}\",\"seq\":{seq},\"seats\":[").into_bytes();
    let mut is_first = true;
    for state in rows {
        if out.len() + ROW_LEN_MAX > SNAPSHOT_PIECE_LEN_MAX {
            pieces.push(finish(out));
            out = format!("{{\"type\":\"seats\",\"seq\":{seq},\"seats\":[").into_bytes();
            is_first = true;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        push_seat_row(&mut out, state);
    }
    pieces.push(finish(out));
    pieces
}

fn finish(mut out: Vec<u8>) -> ByteString {
    out.extend_from_slice(b"]}");
    // Ids are ASCII, the rest is ours: it is always UTF-8.
    ByteString::try_from(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TermId;

    #[test]
    fn a_client_frame_is_read_whatever_the_order_of_its_fields() {
        let frame = ClientFrame::parse(r#"{"since":7,"channels":["alerts","seats:202209"],"type":"subscribe"}"#);
        let channels = vec!["alerts".to_owned(), "seats:202209".to_owned()];
        assert_eq!(frame, Ok(ClientFrame::Subscribe { channels, since: Some(7), seats_since: None }));
        assert_eq!(ClientFrame::parse(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping));
    }

    #[test]
    fn what_is_no_frame_is_refused_with_its_code() {
        let cases = [
            ("", "bad_request"),
            ("[]", "bad_request"),
            ("{}", "bad_request"),
            (r#"{"type":1}"#, "bad_request"),
            (r#"{"type":"subscribe"}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":"me"}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":[1]}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":[],"since":-1}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":[],"since":1.5}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":[],"seats_since":"1"}"#, "bad_request"),
            (r#"{"type":"subscribe","channels":[],"sinse":1}"#, "invalid"),
            (r#"{"type":"ping","x":1}"#, "invalid"),
            (r#"{"type":"shout"}"#, "invalid"),
            (r#"{"type":"ack"}"#, "bad_request"),
        ];
        for (text, code) in cases {
            assert_eq!(ClientFrame::parse(text).map_err(|e| e.code), Err(code), "{text}");
        }
        let many = vec!["\"me\""; CHANNELS_PER_FRAME_MAX + 1].join(",");
        let text = format!(r#"{{"type":"unsubscribe","channels":[{many}]}}"#);
        assert_eq!(ClientFrame::parse(&text).map_err(|e| e.code), Err("invalid"));
    }

    #[test]
    fn server_frames_begin_with_their_type() {
        let now = Timestamp::UNIX_EPOCH;
        let frame = welcome("s1", Some(("ann", "student")), 25, now, 3);
        let rest =
            r#""session":"s1","user":"ann","role":"student","heartbeat_s":25,"now":"1970-01-01T00:00:00Z","seq":3}"#;
        assert_eq!(frame, format!(r#"{{"type":"welcome",{rest}"#));
        assert!(welcome("s1", None, 25, now, 3).contains(r#""user":null"#));
        assert_eq!(live(4), r#"{"type":"live","seq":4}"#);
        assert_eq!(pong(), r#"{"type":"pong"}"#);
        assert_eq!(metrics(r#"{"at":1}"#), r#"{"type":"metrics","at":1}"#);
        assert_eq!(gap(1, 2), r#"{"type":"gap","from":1,"to":2}"#);
        assert_eq!(subscribed(&Channel::Me, 4), r#"{"type":"subscribed","channel":"me","seq":4}"#);
        assert_eq!(alert_cancelled(4, "x"), r#"{"type":"alert_cancelled","seq":4,"id":"x"}"#);
        assert_eq!(seats(9, [&b"[1]"[..], b"[2]"].into_iter()), r#"{"type":"seats","seq":9,"seats":[[1],[2]]}"#);
    }

    #[test]
    fn an_empty_snapshot_is_one_frame_with_no_rows() {
        let channel = Channel::Seats(TermId::parse("202209").unwrap());
        let frames = snapshot(&channel, 5, std::iter::empty());
        assert_eq!(frames, [r#"{"type":"subscribed","channel":"seats:202209","seq":5,"seats":[]}"#]);
    }
}
