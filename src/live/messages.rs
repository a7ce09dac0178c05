//! The messages between broker, relays and sessions.
//!
//! A relay addresses the broker and its sessions, and the broker addresses the relays, only as a `Recipient` of a
//! message in this file, so that a relay serves any transport, and a broker any kind of relay.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use actix::{Message, Recipient};
use bytestring::ByteString;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::{Crn, TaskId, TermId, UserName};
use crate::live::alert_frame::AlertFrame;
use crate::live::close::Close;
use crate::live::live_session::LiveSession;

/// Registers a relay with the broker. The reply is the position in the sequence of alerts after which the relay gets
/// every entry.
#[derive(Message)]
#[rtype(result = "u64")]
pub struct RegisterRelay {
    /// The relay.
    pub relay: Recipient<FanOut>,
    /// Number of messages that were sent to the relay and not handled yet. The broker increments it, and the relay
    /// decrements it.
    pub in_flight: Arc<AtomicUsize>,
}

/// A message of the broker to each relay.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum FanOut {
    /// The next entries of the sequence of alerts, in order, and when they were sent. The relay has every entry before
    /// the first of them.
    Alerts(Arc<[Arc<AlertFrame>]>, Instant),
    /// Seats that changed, and when they were sent.
    Seats(Arc<SeatsTick>, Instant),
    /// A term that was created, or whose title or registration window changed, for every session that watches the seats
    /// of a term.
    Term(ByteString),
    /// Frames for the channel `me` of users.
    Personal(Arc<[(UserName, ByteString)]>),
    /// The progress of an import.
    Import {
        /// The task.
        task: TaskId,
        /// The frame.
        frame: ByteString,
    },
    /// A reading of the metrics, for the channel `admin`. The hub takes one each second.
    Metrics(ByteString),
    /// Close the sessions of a token of a user, or of all tokens.
    SignedOut {
        /// The user.
        user: UserName,
        /// The token's id; `None` for all.
        token: Option<Uuid>,
        /// The latest time of issue; `None` for any.
        issued_until: Option<Timestamp>,
    },
    /// Close the sessions of a user whose tokens are no longer valid.
    TokensEnded {
        /// The user.
        user: UserName,
    },
    /// Close one session.
    Disconnect {
        /// The session's id.
        session: Uuid,
    },
    /// Close all sessions, because the hub is stopping.
    Drain,
}

impl FanOut {
    /// Returns the memory of a message with frames for one user or channel, in bytes.
    pub(super) fn byte_size(&self) -> usize {
        let frames = match self {
            Self::Personal(frames) => {
                size_of_val(&**frames) + frames.iter().map(|(_, frame)| frame.len()).sum::<usize>()
            }
            Self::Import { frame, .. } | Self::Term(frame) | Self::Metrics(frame) => frame.len(),
            Self::Alerts(..)
            | Self::Seats(..)
            | Self::SignedOut { .. }
            | Self::TokensEnded { .. }
            | Self::Disconnect { .. }
            | Self::Drain => 0,
        };
        size_of::<Self>() + frames
    }
}

/// The sections of a term that changed since the previous tick, or a part of them.
#[derive(Debug)]
pub struct SeatsTick {
    /// The term.
    pub term: TermId,
    /// The sequence up to which everything was sent before.
    pub from: u64,
    /// The sequence up to which everything is sent after the last part of this change.
    pub upto: u64,
    /// The sequence that the frame states: `upto` in the last part, `from` in the others.
    pub seq: u64,
    /// The encoded row of each section.
    pub rows: Vec<(Crn, ByteString)>,
    /// All rows as one frame.
    pub frame: ByteString,
    /// The same change with the counts that visitors see, if they do not see small ones.
    pub for_visitors: Option<Box<Self>>,
}

/// Registers a session with the relay of its thread, with the channels `alerts` and, for a signed-in caller, `me`. The
/// reply is the position in the sequence of alerts after which the session gets every entry.
#[derive(Message)]
#[rtype(result = "u64")]
pub struct Join {
    /// The session's bounded queue, to which the relay pushes.
    pub queue: Recipient<Push>,
    /// The session.
    pub session: Arc<LiveSession>,
}

/// Removes a session from its relay.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave(pub Uuid);

/// Subscribes a session to channels. The relay replies with [`Push::Subscribed`], in order with its other pushes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    /// The session's id.
    pub session: Uuid,
    /// Channels that are open to the session's caller.
    pub channels: Vec<Channel>,
    /// The position after which the client wants the alerts to be sent again.
    pub since: Option<u64>,
    /// The term's sequence up to which the client has the seats.
    pub seats_since: Option<u64>,
}

/// Asks a relay for what it has held back from a session. The relay replies with [`Push::CaughtUp`], in order with its
/// other pushes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CatchUp(pub Uuid);

/// Unsubscribes a session from channels.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unsubscribe {
    /// The session's id.
    pub session: Uuid,
    /// The channels.
    pub channels: Vec<Channel>,
}

/// What a relay puts into a session's bounded queue.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Push {
    /// Entries of the sequence of alerts. The session sends those of which its caller is a recipient.
    Alerts(Arc<[Arc<AlertFrame>]>),
    /// An encoded frame.
    Frame(ByteString),
    /// The reply to [`Subscribe`].
    Subscribed(Box<Subscribed>),
    /// The reply to [`CatchUp`].
    CaughtUp(Box<CaughtUp>),
    /// A ping is due.
    Ping,
    /// The session has to close.
    Close(Close),
}

/// The reply to a [`CatchUp`].
#[derive(Debug)]
pub struct CaughtUp {
    /// The newest state of each section that changed while seats were held back.
    pub frames: Vec<ByteString>,
    /// Set when alerts were held back: the position after which the session gets every entry again.
    pub alerts_to: Option<u64>,
}

/// The reply to a [`Subscribe`].
#[derive(Debug)]
pub struct Subscribed {
    /// Frames to send: a confirmation or a snapshot for each channel.
    pub frames: Vec<ByteString>,
    /// The error for all channels that were refused.
    pub error: Option<ByteString>,
    /// Set when the session was not subscribed to `alerts` before: the position after which it gets every entry.
    pub alerts_from: Option<u64>,
    /// The position after which the client wants the alerts to be sent again.
    pub since: Option<u64>,
}
