//! What the broker, the relays and all sessions share.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::alerts::acks::AckQueue;
use crate::clock::Clock;
use crate::domain::alert::Alert;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::alert_frame::AlertFrame;
use crate::live::presence::Presence;
use crate::live::tail::AlertTail;
use crate::registration::readmodel::ReadModel;
use crate::registration::shown_counts::ShownCounts;
use crate::store::StoreError;
use crate::store::alerts::{AlertStore, LogEntry, Reader};

/// Options of the live connections.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// The interval at which changed seats are sent: in this time, a client gets at most one `seats` frame per term.
    pub seats_tick: Duration,
    /// The interval of pings. A connection that is silent for twice as long is closed.
    pub heartbeat: Duration,
    /// How long alerts are stored; `None` is forever.
    pub alert_retention: Option<Duration>,
    /// The sender that readers below staff see in place of a sender without a display name: the college's name.
    pub office: Arc<str>,
    /// The college's time zone: its date decides which terms have ended.
    pub zone: TimeZone,
    /// The counts of people that visitors see.
    pub shown_to_visitors: ShownCounts,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            seats_tick: Duration::from_millis(50),
            heartbeat: Duration::from_secs(25),
            alert_retention: None,
            office: "The college".into(),
            zone: TimeZone::UTC,
            shown_to_visitors: ShownCounts::EXACT,
        }
    }
}

/// What the broker, the relays and all sessions share.
pub struct Live {
    /// The list of all connections.
    pub presence: Arc<Presence>,
    /// The stored alerts.
    pub alerts: Arc<dyn AlertStore>,
    /// The newest of them in memory.
    pub tail: Arc<AlertTail>,
    /// The queue of acknowledgements.
    pub acks: Arc<AckQueue>,
    /// The published terms.
    pub model: Arc<ReadModel>,
    /// The clock for everything that a client, an admin or the store sees. Timers and latencies inside this process use
    /// the monotonic clock: they are durations, and must not jump with the system time.
    pub clock: Arc<dyn Clock>,
    /// Returns whether a caller's token is still valid. A session checks it again after it has joined its relay,
    /// because the event that ended the token may have passed the relay before.
    pub is_token_valid: Box<dyn Fn(&Caller) -> bool + Send + Sync>,
    /// Returns whether a scheduled alert that is due must not be sent; see [`crate::live::alert_scope::is_withheld`].
    pub is_withheld: Box<dyn Fn(Alert) -> BoxFuture<'static, Result<bool, StoreError>> + Send + Sync>,
    /// The options.
    pub options: LiveOptions,
}

impl Live {
    /// Returns the frame of an entry of the sequence of alerts.
    #[must_use]
    pub fn alert_frame(&self, entry: LogEntry) -> AlertFrame {
        AlertFrame::new(entry, self.options.office.clone())
    }

    /// Returns a caller as a reader of stored alerts; `None` is a visitor.
    #[must_use]
    pub fn reader(&self, caller: Option<(&UserName, Role)>) -> Reader {
        Reader::new(caller, self.options.office.clone())
    }

    /// Returns the college's local time of `at`.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.options.zone.clone())
    }
}
