//! A live session: the state of one connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::identity::Caller;
use crate::live::budget::Share;
use crate::live::close::Close;

pub use crate::bus::session_list::SessionTransport as Transport;

/// The stored round-trip time before the first pong.
const RTT_UNKNOWN: u32 = u32::MAX;

/// The client of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Client<Text> {
    /// Its address.
    pub address: IpAddr,
    /// Its user agent.
    pub user_agent: Text,
    /// How frames reach it.
    pub transport: Transport,
}

/// The state of a live connection that its feed, its relay and the administration page share.
#[derive(Debug)]
pub struct LiveSession {
    /// The id. Ids of later connections are greater.
    pub id: Uuid,
    /// The caller; `None` for a visitor.
    pub caller: Option<Caller>,
    /// The client's address.
    pub address: IpAddr,
    /// The client's user agent.
    pub user_agent: Arc<str>,
    /// How frames reach the client.
    pub transport: Transport,
    /// When it connected.
    pub connected_at: Timestamp,
    /// The monotonic time at which it connected. Pings carry the time since then.
    opened: Instant,
    /// Whether the client has sent something since the relay's last sweep.
    is_heard: AtomicBool,
    /// The session's age when the client last sent something, in milliseconds.
    heard_ms: AtomicU64,
    sent: AtomicU64,
    queued: AtomicU32,
    rtt_ms: AtomicU32,
    /// The reason for closing (see [`Close::index`]); 0 for none.
    closing: AtomicU8,
    channels: Mutex<Channels>,
    /// Whether it has joined its relay.
    is_joined: AtomicBool,
    /// Whether it waits for a reply of the hub. While it waits, it handles no pushes.
    is_waiting: AtomicBool,
    /// Whether its relay has pushes that it holds back.
    is_behind: AtomicBool,
}

/// The subscribed channels of a session.
#[derive(Debug)]
struct Channels {
    list: Vec<Channel>,
    /// Those of the list that count toward the bound of all sessions.
    counted: Share,
}

impl LiveSession {
    /// Creates the session of a connection that was admitted at `now`. `counted` is its share of the channels of all
    /// sessions.
    pub(super) fn new(
        id: Uuid,
        caller: Option<Caller>,
        client: Client<Arc<str>>,
        now: Timestamp,
        channels: Vec<Channel>,
        counted: Share,
    ) -> Self {
        let Client { address, user_agent, transport } = client;
        Self {
            id,
            caller,
            address,
            user_agent,
            transport,
            connected_at: now,
            opened: Instant::now(),
            is_heard: AtomicBool::new(true),
            heard_ms: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            queued: AtomicU32::new(0),
            rtt_ms: AtomicU32::new(RTT_UNKNOWN),
            closing: AtomicU8::new(0),
            channels: Mutex::new(Channels { list: channels, counted }),
            is_joined: AtomicBool::new(false),
            is_waiting: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
        }
    }

    /// Returns the caller's name and role; `None` for a visitor.
    #[must_use]
    pub fn identity(&self) -> Option<(&UserName, Role)> {
        self.caller.as_ref().map(|caller| (&caller.user, caller.role))
    }

    /// Records that the client has sent something.
    pub fn touch(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
        self.heard_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// Returns whether the client has sent something since the previous call.
    pub(super) fn take_heard(&self) -> bool {
        self.is_heard.swap(false, Ordering::Relaxed)
    }

    /// Returns the milliseconds since the client last sent something, by the monotonic clock.
    #[must_use]
    pub fn silent_ms(&self) -> u64 {
        self.age_ms().saturating_sub(self.heard_ms.load(Ordering::Relaxed))
    }

    /// Returns the milliseconds since the session was opened, by the monotonic clock.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Records the round-trip time of a ping.
    pub fn set_rtt_ms(&self, rtt_ms: u32) {
        self.rtt_ms.store(rtt_ms, Ordering::Relaxed);
    }

    /// Returns the round-trip time of the last ping, in milliseconds; `None` before the first pong.
    #[must_use]
    pub fn rtt_ms(&self) -> Option<u32> {
        Some(self.rtt_ms.load(Ordering::Relaxed)).filter(|rtt| *rtt != RTT_UNKNOWN)
    }

    /// Counts a push that is about to enter the session's queue.
    pub(super) fn enqueue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a push that has left the session's queue.
    pub(super) fn dequeue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the length of the session's queue.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Records that the session has joined its relay.
    pub(super) fn set_joined(&self) {
        self.is_joined.store(true, Ordering::Relaxed);
    }

    /// Returns whether the session has joined its relay.
    pub(super) fn is_joined(&self) -> bool {
        self.is_joined.load(Ordering::Relaxed)
    }

    /// Records whether the session waits for a reply of the hub.
    pub(super) fn set_waiting(&self, is_waiting: bool) {
        self.is_waiting.store(is_waiting, Ordering::Relaxed);
    }

    /// Returns whether the session waits for a reply of the hub.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Records that the relay holds pushes back.
    pub(super) fn set_behind(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
    }

    /// Returns whether the relay has held pushes back since the previous call.
    pub(super) fn take_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::Relaxed)
    }

    /// Counts frames that were sent to the client.
    pub(super) fn count_sent(&self, frames: u64) {
        self.sent.fetch_add(frames, Ordering::Relaxed);
    }

    /// Returns the number of frames that were sent to the client.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Marks the session for closing. A later reason does not replace the first one.
    pub fn request_close(&self, why: Close) {
        let _ = self.closing.compare_exchange(0, why.index(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns why the session is marked for closing; `None` when it is not.
    #[must_use]
    pub fn requested_close(&self) -> Option<Close> {
        Close::from_index(self.closing.load(Ordering::Relaxed))
    }

    /// Returns the subscribed channels.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.lock().list.clone()
    }

    /// Adds a channel. Returns false if it was already subscribed.
    ///
    /// # Errors
    /// When `limit` channels of the session, or too many of all sessions, are subscribed.
    pub(super) fn add_channel(&self, channel: &Channel, limit: usize) -> Result<bool, TooManyChannels> {
        let mut channels = self.channels.lock();
        if channels.list.contains(channel) {
            return Ok(false);
        }
        if channels.list.len() >= limit {
            return Err(TooManyChannels::OfSession);
        }
        if is_counted(channel) && !channels.counted.grow() {
            return Err(TooManyChannels::OfAllSessions);
        }
        channels.list.push(channel.clone());
        Ok(true)
    }

    /// Removes a channel. Returns whether it was subscribed.
    pub(super) fn remove_channel(&self, channel: &Channel) -> bool {
        let mut channels = self.channels.lock();
        let before = channels.list.len();
        channels.list.retain(|c| c != channel);
        let is_removed = channels.list.len() < before;
        if is_removed && is_counted(channel) {
            channels.counted.shrink();
        }
        is_removed
    }

    /// Returns whether a channel is subscribed.
    #[must_use]
    pub fn has_channel(&self, channel: &Channel) -> bool {
        self.channels.lock().list.contains(channel)
    }
}

/// Returns whether a channel takes memory that counts toward the bound of all sessions.
fn is_counted(channel: &Channel) -> bool {
    !matches!(channel, Channel::Me | Channel::Alerts)
}

/// The error when a limit on channels is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooManyChannels {
    /// The limit of the session.
    OfSession,
    /// The bound of all sessions.
    OfAllSessions,
}
