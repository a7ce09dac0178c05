//! What the broker, the relays and the sessions share, and what they send each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Message;
use bytestring::ByteString;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::clock::Clock;
use crate::domain::ids::{Crn, TermId, UserName};
use crate::identity::Caller;
use crate::live::close::Close;
use crate::live::frames;
use crate::registration::readmodel::ReadModel;
use crate::store::alerts::{AlertStore, Entry, LogEntry, Reach};

use crate::alerts::receipts::Acks;
use crate::live::presence::Registry;

/// How the live side runs.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Between two looks at the seats: at most one `seats` frame in this time.
    pub seats_tick: Duration,
    /// Between two pings of a connection; one that is silent for twice as long is given up.
    pub heartbeat: Duration,
    /// How long alerts are kept; none keeps them for good.
    pub alerts_kept: Option<Duration>,
    /// The college's time zone: its date says which terms have ended.
    pub zone: TimeZone,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            seats_tick: Duration::from_millis(50),
            heartbeat: Duration::from_secs(25),
            alerts_kept: None,
            zone: TimeZone::UTC,
        }
    }
}

/// What every session, relay and the broker needs.
pub struct Live {
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// The stored alerts.
    pub alerts: Arc<dyn AlertStore>,
    /// Who has seen them.
    pub acks: Arc<Acks>,
    /// The published seats.
    pub model: Arc<ReadModel>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether a caller from before is still one: neither expired nor signed out. Asked again once a session has
    /// joined, since a sign-out may have passed by while it did.
    pub is_alive: Box<dyn Fn(&Caller) -> bool + Send + Sync>,
    /// How it runs.
    pub options: LiveOptions,
}

impl Live {
    /// A time where the college is.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.options.zone.clone())
    }
}

/// An entry of the alerts, written once for all who get it.
#[derive(Debug)]
pub struct AlertFrame {
    /// Its place in the sequence.
    pub seq: u64,
    /// The frame.
    pub text: ByteString,
    /// Who gets it.
    pub reach: Reach,
}

impl AlertFrame {
    pub(super) fn new(entry: LogEntry) -> Self {
        Self { seq: entry.seq, text: entry_frame(entry.seq, &entry.entry), reach: entry.reach }
    }
}

/// The frame of an entry.
pub(super) fn entry_frame(seq: u64, entry: &Entry) -> ByteString {
    match entry {
        Entry::Alert(alert) => frames::alert(seq, alert),
        Entry::Cancelled(id) => frames::alert_cancelled(seq, id),
    }
}

/// The sections of a term that changed since the tick before.
#[derive(Debug)]
pub struct SeatsTick {
    /// The term.
    pub term: TermId,
    /// Everything up to here had been told before.
    pub from: u64,
    /// Everything up to here has been told when this tick has; a large change takes several ticks of one `upto`.
    pub upto: u64,
    /// The sequence that its frame may claim: `upto` in the last of them, where it was before in the others.
    pub seq: u64,
    /// Each row, written.
    pub rows: Vec<(Crn, ByteString)>,
    /// All rows in one frame.
    pub frame: ByteString,
}

/// What the broker sends to each relay.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Fan {
    /// The next entries of the alerts, in order, told at this time. A relay has had everything before the first of
    /// them.
    Alerts(Arc<[AlertFrame]>, Instant),
    /// Seats, told at this time.
    Seats(Arc<SeatsTick>, Instant),
    /// Frames for the `me` channel of people.
    Personal(Arc<[(UserName, ByteString)]>),
    /// An import's progress.
    Import {
        /// The task.
        task: Arc<str>,
        /// The frame.
        frame: ByteString,
    },
    /// The hub's numbers, for `admin`.
    Metrics(ByteString),
    /// Close what came with this token of this user, or with any of them.
    SignedOut {
        /// Whose.
        user: UserName,
        /// The token's id; none for all.
        token: Option<uuid::Uuid>,
    },
    /// Close what came with tokens of this user that are dead by now: sign in again.
    TokensEnded {
        /// Whose.
        user: UserName,
    },
    /// Close one connection.
    Close {
        /// Its id.
        id: uuid::Uuid,
        /// Why.
        close: Close,
    },
    /// The hub goes: tell everyone to come back later.
    Drain,
}

/// What a relay pushes into a session's bounded queue.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Push {
    /// Entries of the alerts; which of them are for this session, it sees itself.
    Alerts(Arc<[AlertFrame]>),
    /// A frame.
    Text(ByteString),
    /// The answer to a `subscribe`.
    Subscribed(Box<Subscribed>),
    /// Time for a ping.
    Beat,
    /// Hang up.
    Close(Close),
}

/// The answer to a `subscribe`, in the order of everything else that the relay sends.
#[derive(Debug)]
pub struct Subscribed {
    /// Frames to send.
    pub frames: Vec<ByteString>,
    /// Set when `alerts` was among the channels and was not subscribed before: the place after which all alerts come.
    pub alerts_from: Option<u64>,
    /// Replay alerts from here.
    pub since: Option<u64>,
}
