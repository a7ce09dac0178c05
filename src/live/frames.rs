//! The messages of the WebSocket: JSON text, `type` first. The OpenAPI document of `/alerts/ws` lists them.
//!
//! A [`ClientFrame`] is parsed strictly. A [`ServerFrame`] is encoded once, and all recipients share its bytes.

use std::collections::BTreeMap;

use bytestring::ByteString;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::metrics_reading::MetricsReading;
use crate::bus::{PositionChange, RegistrationChange};
use crate::domain::alert::Alert;
use crate::domain::channel::Channel;
use crate::domain::ids::{SectionId, TermId, UserName};
use crate::domain::import::TaskReport;
use crate::domain::notice::Reason;
use crate::domain::refusal::RefusalCode;
use crate::domain::registration::RegistrationStatus;
use crate::domain::role::Role;
use crate::domain::section::SectionState;
use crate::registration::section_json::{SeatRow, push_seat_row};
use crate::registration::shown_counts::ShownCounts;

/// Maximum number of channels that one frame may name.
pub const CHANNELS_PER_FRAME_MAX: usize = 256;
/// The longest frame of a snapshot, in bytes. With its WebSocket header it fits into the 8 KiB that the write buffer of
/// a connection has at the start. A longer frame would enlarge that buffer until the connection ends.
pub const SNAPSHOT_FRAME_LEN_MAX: usize = 7_900;
/// The longest row (an id of at most 49 bytes and four numbers of at most 10 digits) with the end of the frame, in
/// bytes.
const ROW_LEN_MAX: usize = 110;

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// Subscribes to channels.
    Subscribe {
        /// Names of channels, not parsed yet.
        channels: Vec<String>,
        /// The position after which alerts are sent again.
        since: Option<u64>,
        /// The term's sequence after which changed seats are sent; `None` for all seats.
        seats_since: Option<u64>,
    },
    /// Unsubscribes from channels.
    Unsubscribe {
        /// Names of channels, not parsed yet.
        channels: Vec<String>,
    },
    /// Acknowledges an alert.
    Ack {
        /// The alert's id; it may not exist.
        id: String,
    },
    /// Requests a `pong`.
    Ping,
}

/// The code of a [`ServerFrame::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message is not a JSON object, or a member is missing or has the wrong type.
    BadRequest,
    /// The message is well-formed, but contains an unknown name or too many channels.
    Invalid,
    /// The request needs a sign-in.
    Unauthenticated,
    /// The caller's role does not permit the request.
    Forbidden,
    /// There is no such channel or alert.
    NotFound,
    /// The hub cannot handle the request now.
    Overloaded,
}

/// Why a message of a client is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FrameError {
    /// The code.
    pub code: ErrorCode,
    /// The reason, for a developer.
    pub detail: String,
}

/// The unknown members of a message, which make it invalid.
type Unknown = BTreeMap<String, IgnoredAny>;

/// A received message, with its unknown members.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Received {
    Subscribe {
        channels: Vec<String>,
        since: Option<u64>,
        seats_since: Option<u64>,
        #[serde(flatten)]
        unknown: Unknown,
    },
    Unsubscribe {
        channels: Vec<String>,
        #[serde(flatten)]
        unknown: Unknown,
    },
    Ack {
        id: String,
        #[serde(flatten)]
        unknown: Unknown,
    },
    Ping {
        #[serde(flatten)]
        unknown: Unknown,
    },
    #[serde(other)]
    Other,
}

impl ClientFrame {
    /// Parses a message. The order of its members does not matter.
    ///
    /// # Errors
    /// `bad_request` when the text is not a JSON object, or a member is missing or has the wrong type; `invalid` when
    /// the type or a member is unknown, or more than [`CHANNELS_PER_FRAME_MAX`] channels are named.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let received = serde_json::from_str(text)
            .map_err(|error| FrameError { code: ErrorCode::BadRequest, detail: format!("invalid message: {error}") })?;
        let (frame, unknown) = match received {
            Received::Subscribe { channels, since, seats_since, unknown } => {
                (Self::Subscribe { channels: counted(channels)?, since, seats_since }, unknown)
            }
            Received::Unsubscribe { channels, unknown } => {
                (Self::Unsubscribe { channels: counted(channels)? }, unknown)
            }
            Received::Ack { id, unknown } => (Self::Ack { id }, unknown),
            Received::Ping { unknown } => (Self::Ping, unknown),
            Received::Other => return Err(invalid("unknown message type".to_owned())),
        };
        match unknown.keys().next() {
            Some(name) => Err(invalid(format!("unknown member '{name}'"))),
            None => Ok(frame),
        }
    }
}

fn invalid(detail: String) -> FrameError {
    FrameError { code: ErrorCode::Invalid, detail }
}

fn counted(channels: Vec<String>) -> Result<Vec<String>, FrameError> {
    match channels.len() {
        0..=CHANNELS_PER_FRAME_MAX => Ok(channels),
        _ => Err(invalid(format!("a message may name at most {CHANNELS_PER_FRAME_MAX} channels"))),
    }
}

/// A message of the hub.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The first message of every connection.
    Welcome {
        /// The session's id.
        session: Uuid,
        /// The caller; null for a visitor.
        user: Option<&'a UserName>,
        /// The caller's role; null for a visitor.
        role: Option<Role>,
        /// The interval of the hub's pings, in seconds.
        heartbeat_s: u64,
        /// The time.
        now: Timestamp,
        /// The position of the relay in the sequence of alerts.
        seq: u64,
    },
    /// The client has every alert up to this position.
    Live {
        /// The position.
        seq: u64,
    },
    /// A channel is subscribed.
    Subscribed {
        /// The channel.
        channel: &'a Channel,
        /// For seats, the term's sequence; otherwise the position in the sequence of alerts.
        seq: u64,
        /// For seats, the snapshot.
        #[serde(skip_serializing_if = "Option::is_none")]
        seats: Option<&'a [SeatRow<'a>]>,
    },
    /// The registration window of the student opened.
    Window {
        /// The term.
        term: &'a TermId,
        /// When it opened.
        opens_at: Option<Timestamp>,
        /// When it closes; null if it stays open.
        closes_at: Option<Timestamp>,
        /// The time.
        now: Timestamp,
    },
    /// Seats that changed, or the continuation of a snapshot.
    Seats {
        /// The term's sequence.
        seq: u64,
        /// The newest state of each section.
        seats: &'a [SeatRow<'a>],
    },
    /// A term was created, or its title or registration window changed. For each client that is subscribed to the
    /// channel `seats:TERM` of any term.
    Term {
        /// The term's sequence.
        seq: u64,
        /// The term.
        term: TermFrame<'a>,
    },
    /// An alert was sent.
    Alert {
        /// Its position in the sequence.
        seq: u64,
        /// The alert.
        alert: &'a Alert,
    },
    /// An alert was cancelled. Clients remove it.
    AlertCancelled {
        /// The position of the cancellation in the sequence.
        seq: u64,
        /// The alert's id.
        id: &'a str,
    },
    /// The caller's registration changed.
    Registration {
        /// The section.
        section: &'a SectionId,
        /// The status after the change.
        status: RegistrationStatus,
        /// The waitlist position, while waitlisted.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u32>,
        /// When the offer of a seat lapses, while offered.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// Why it changed.
        reason: RegistrationReason,
        /// The code of the refusal for which the caller was passed over.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<RefusalCode>,
        /// When it changed.
        at: Timestamp,
    },
    /// An import has progressed.
    Import(&'a TaskReport),
    /// A reading of the metrics. The hub takes one each second.
    Metrics(&'a MetricsReading),
    /// Alerts that the client missed and that are no longer stored, or a position that the hub has not reached.
    Gap {
        /// The first missing position; or the client's position.
        from: u64,
        /// The last missing position; or the hub's position.
        to: u64,
    },
    /// A request of the client failed.
    Error {
        /// The code.
        code: ErrorCode,
        /// The reason, for a developer.
        detail: &'a str,
    },
    /// The reply to `ping`.
    Pong,
    /// The hub ends the connection. Only for transports without close frames.
    Close {
        /// The close code that a WebSocket would get.
        code: u16,
        /// The reason, for logs.
        reason: &'a str,
        /// When the client should reconnect, in milliseconds; absent if it is not asked to wait.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
}

/// What a client shows of a new or changed term.
#[derive(Debug, Serialize)]
pub struct TermFrame<'a> {
    /// The id.
    pub id: &'a TermId,
    /// The name.
    pub title: &'a str,
    /// When registration opens; null if it is closed.
    pub opens_at: Option<Timestamp>,
    /// When registration closes; null if it stays open.
    pub closes_at: Option<Timestamp>,
}

/// Why a registration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationReason {
    /// The caller requested it.
    #[serde(rename = "self")]
    Requested,
    /// The caller got a seat from the waitlist, or gave this section up for one.
    Promoted,
    /// A seat is offered to the caller, or the caller is reminded of an offer.
    Offer,
    /// The caller did not accept an offer in time.
    Lapsed,
    /// A seat became free, but a rule refuses it to the caller.
    PassedOver,
    /// The section was cancelled.
    Cancelled,
    /// Staff registered or dropped the student, or the section is no longer cancelled.
    Staff,
    /// The waitlist position changed.
    Moved,
}

impl From<Reason> for RegistrationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Requested => Self::Requested,
            Reason::Promoted | Reason::Replaced => Self::Promoted,
            Reason::Offered(_) | Reason::OfferEnds(_) => Self::Offer,
            Reason::Lapsed => Self::Lapsed,
            Reason::PassedOver(_) => Self::PassedOver,
            Reason::Cancelled => Self::Cancelled,
            Reason::Reopened | Reason::ByStaff => Self::Staff,
        }
    }
}

impl ServerFrame<'_> {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> ByteString {
        // These types have text keys and no values whose serialization fails, so encoding cannot fail.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

/// Encodes an error.
#[must_use]
pub fn error(code: ErrorCode, detail: &str) -> ByteString {
    ServerFrame::Error { code, detail }.encode()
}

/// Encodes one error for all channels of a message that are refused; `None` if none are. A message gets one error at
/// most, so that a short message with many names does not yield many frames.
#[must_use]
pub fn first_error(refused: &[FrameError]) -> Option<ByteString> {
    let first = refused.first()?;
    Some(match refused.len() {
        1 => error(first.code, &first.detail),
        all => error(first.code, &format!("{}; {all} channels are refused in all", first.detail)),
    })
}

/// Encodes a change to a registration in `term`.
#[must_use]
pub fn registration(term: &TermId, change: &RegistrationChange) -> ByteString {
    let notice = &change.notice;
    ServerFrame::Registration {
        section: &SectionId { term: term.clone(), crn: notice.crn.clone() },
        status: notice.status,
        position: change.position,
        expires_at: notice.reason.expires_at(),
        reason: notice.reason.into(),
        code: notice.reason.code(),
        at: notice.at,
    }
    .encode()
}

/// Encodes a change to a waitlist position in `term`.
#[must_use]
pub fn position(term: &TermId, change: &PositionChange) -> ByteString {
    ServerFrame::Registration {
        section: &SectionId { term: term.clone(), crn: change.crn.clone() },
        status: RegistrationStatus::Waitlisted,
        position: Some(change.position),
        expires_at: None,
        reason: RegistrationReason::Moved,
        code: None,
        at: change.at,
    }
    .encode()
}

/// Encodes a [`ServerFrame::Seats`] from rows that are encoded already.
///
/// A tick encodes each changed row once, and copies it into the frame of the term and into one frame for each set of
/// watched sections. For each of these frames, copying 100 rows takes 1 µs; serializing them as [`SeatRow`]s would take
/// 20 µs (release build).
#[must_use]
pub fn seats<'a>(seq: u64, rows: impl Iterator<Item = &'a [u8]>) -> ByteString {
    let mut out = seats_start(seq);
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(row);
    }
    seats_end(out)
}

/// Encodes a snapshot of seats: a [`ServerFrame::Subscribed`], and as many [`ServerFrame::Seats`] as are needed to keep
/// each frame within [`SNAPSHOT_FRAME_LEN_MAX`]. Written by hand, because a frame has to end when its bytes reach the
/// limit.
pub fn snapshot<'a>(
    channel: &Channel,
    seq: u64,
    rows: impl Iterator<Item = &'a SectionState>,
    shown: ShownCounts,
) -> Vec<ByteString> {
    let mut frames = Vec::new();
    let mut out = format!("{{\"type\":\"subscribed\",\"channel\":\"{channel}\",\"seq\":{seq},\"seats\":[").into_bytes();
    let mut is_first = true;
    for state in rows {
        if out.len() + ROW_LEN_MAX > SNAPSHOT_FRAME_LEN_MAX {
            frames.push(seats_end(std::mem::replace(&mut out, seats_start(seq))));
            is_first = true;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        push_seat_row(&mut out, state, shown);
    }
    frames.push(seats_end(out));
    frames
}

/// Encodes seat changes from `from` to `seq`, each frame within [`SNAPSHOT_FRAME_LEN_MAX`]. All frames but the last
/// state `from`, so that a client that reconnects between them and resumes gets the rest.
pub fn changes<'a>(
    from: u64,
    seq: u64,
    rows: impl Iterator<Item = &'a SectionState>,
    shown: ShownCounts,
) -> Vec<ByteString> {
    let (mut frames, mut out) = (Vec::new(), Vec::new());
    for state in rows {
        if out.len() + 2 * ROW_LEN_MAX > SNAPSHOT_FRAME_LEN_MAX {
            frames.push(seats(from, std::iter::once(std::mem::take(&mut out).as_slice())));
        }
        if !out.is_empty() {
            out.push(b',');
        }
        push_seat_row(&mut out, state, shown);
    }
    if !out.is_empty() {
        frames.push(seats(seq, std::iter::once(out.as_slice())));
    }
    frames
}

fn seats_start(seq: u64) -> Vec<u8> {
    format!("{{\"type\":\"seats\",\"seq\":{seq},\"seats\":[").into_bytes()
}

fn seats_end(mut out: Vec<u8>) -> ByteString {
    out.extend_from_slice(b"]}");
    // Ids are ASCII, like everything else in the frame.
    ByteString::try_from(out).unwrap_or_default()
}
