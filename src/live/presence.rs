//! The list of all live connections, for connection limits, for the administration page, and for finding the sessions
//! of a user.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::{ContextV7, Uuid};

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::histogram::Histogram;
use crate::identity::Caller;
use crate::live::budget::Budget;
use crate::live::close::Close;
use crate::live::ends::EndCounts;
use crate::live::joins::JoinQueue;
use crate::live::live_session::{Client, LiveSession};

/// The longest stored user agent, in bytes. Longer ones are truncated.
const USER_AGENT_LEN_MAX: usize = 160;
/// Maximum number of different user agents that are stored once and shared by all sessions. A campus has a few dozen.
const USER_AGENTS_MAX: usize = 1_024;
/// Maximum number of channels of all sessions together, besides `me` and `alerts`: 20 for each of 25,000 sessions. A
/// channel takes up to 150 bytes in the session and in its relay, 75 MB in all.
const CHANNELS_MAX: u64 = 500_000;
/// Maximum memory of cached snapshots of seats, in bytes: those of 40 large terms, once for each of four threads.
const SEAT_SNAPSHOTS_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// One connection in this many is left to signed-in users, so that students can connect however many connections
/// visitors open.
const SIGNED_IN_SHARE: usize = 4;

/// Maximum numbers of connections; 0 means no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionLimits {
    /// All connections. Visitors may have three quarters of them.
    pub all: usize,
    /// Connections of one user.
    pub per_user: usize,
    /// Connections from one address.
    pub per_address: usize,
}

impl ConnectionLimits {
    /// Returns the maximum number of visitors' connections; 0 means no limit.
    const fn visitors(&self) -> usize {
        self.all - self.all / SIGNED_IN_SHARE
    }
}

/// The connected people of an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Online {
    /// Users; each counts once.
    pub users: usize,
    /// Connections of visitors, who are not signed in.
    pub visitors: usize,
}

impl Online {
    /// Returns the number of users and visitors.
    #[must_use]
    pub const fn total(self) -> usize {
        self.users + self.visitors
    }
}

/// The number of connections that were refused, by limit.
#[derive(Debug, Default)]
struct Refused {
    all: AtomicU64,
    visitors: AtomicU64,
    address: AtomicU64,
    user: AtomicU64,
}

/// The list of all live connections of this process.
#[derive(Debug)]
pub struct Presence {
    sessions: DashMap<Uuid, Arc<LiveSession>>,
    users: DashMap<UserName, u32>,
    addresses: DashMap<IpAddr, u32>,
    count: AtomicUsize,
    by_role: [AtomicUsize; ROLES.len()],
    user_agents: Mutex<HashSet<Arc<str>>>,
    /// Channels of all sessions, besides `me` and `alerts`.
    channels: Arc<Budget>,
    /// Bytes of the cached snapshots of seats of all relays.
    pub(super) seat_snapshots: Arc<Budget>,
    /// Makes ids ascend within a millisecond, and when the clock is set back.
    ids: Mutex<ContextV7>,
    limits: ConnectionLimits,
    refused: Refused,
    draining: AtomicBool,
    /// Number of sessions that were closed because their queue was full.
    pub evicted: AtomicU64,
    /// Number of sessions that were closed because their client was silent.
    pub reaped: AtomicU64,
    /// How sessions ended.
    pub ends: EndCounts,
    /// The sessions that wait to join their relays.
    pub joins: Arc<JoinQueue>,
    /// Number of times that sessions got what their relays had held back.
    pub caught_up: AtomicU64,
    /// Number of frames sent to sessions that have ended.
    frames_of_ended: AtomicU64,
    /// The times that messages took from the broker to the queues of all subscribed sessions of one thread.
    pub fanout: Histogram,
    /// Number of messages of the broker that relays had not handled at its last tick.
    pub relay_queue: AtomicUsize,
}

impl Presence {
    /// Creates an empty list.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            sessions: DashMap::new(),
            users: DashMap::new(),
            addresses: DashMap::new(),
            count: AtomicUsize::new(0),
            by_role: Default::default(),
            user_agents: Mutex::default(),
            channels: Arc::new(Budget::new(CHANNELS_MAX)),
            seat_snapshots: Arc::new(Budget::new(SEAT_SNAPSHOTS_BYTES_MAX)),
            ids: Mutex::new(ContextV7::new()),
            limits,
            refused: Refused::default(),
            draining: AtomicBool::new(false),
            evicted: AtomicU64::new(0),
            reaped: AtomicU64::new(0),
            ends: EndCounts::default(),
            joins: Arc::default(),
            caught_up: AtomicU64::new(0),
            frames_of_ended: AtomicU64::new(0),
            fanout: Histogram::default(),
            relay_queue: AtomicUsize::new(0),
        }
    }

    /// Admits a connection, subscribed to `alerts` and, for a signed-in caller, to `me`.
    ///
    /// # Errors
    /// When a limit is reached, or the hub is stopping.
    pub fn admit(
        &self,
        caller: Option<Caller>,
        client: Client<&str>,
        now: Timestamp,
    ) -> Result<Arc<LiveSession>, Close> {
        let Client { address, user_agent, transport } = client;
        if self.draining.load(Ordering::Relaxed) {
            return Err(Close::Restarting);
        }
        if !count_up(&self.count, self.limits.all) {
            return Err(refuse(&self.refused.all));
        }
        if self.limits.per_address > 0 && !count_key(&self.addresses, address, self.limits.per_address) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(refuse(&self.refused.address));
        }
        if caller.is_none() && !count_up(&self.by_role[VISITORS], self.limits.visitors()) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.uncount_address(&address);
            return Err(refuse(&self.refused.visitors));
        }
        if let Some(caller) = &caller
            && !count_key(&self.users, caller.user.clone(), self.limits.per_user)
        {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.uncount_address(&address);
            return Err(refuse(&self.refused.user));
        }
        let mut channels = Vec::with_capacity(2);
        if caller.is_some() {
            channels.push(Channel::Me);
        }
        channels.push(Channel::Alerts);
        let session = Arc::new(LiveSession::new(
            self.next_id(now),
            caller,
            Client { address, user_agent: self.intern(user_agent), transport },
            now,
            channels,
            self.channels.share(),
        ));
        if session.caller.is_some() {
            self.by_role[role_index(&session)].fetch_add(1, Ordering::Relaxed);
        }
        self.sessions.insert(session.id, session.clone());
        Ok(session)
    }

    /// Removes a connection. Idempotent.
    pub fn remove(&self, id: Uuid) {
        let Some((_, session)) = self.sessions.remove(&id) else { return };
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.by_role[role_index(&session)].fetch_sub(1, Ordering::Relaxed);
        self.frames_of_ended.fetch_add(session.sent(), Ordering::Relaxed);
        self.uncount_address(&session.address);
        if let Some(caller) = &session.caller {
            uncount_key(&self.users, caller.user.clone());
        }
    }

    fn uncount_address(&self, address: &IpAddr) {
        if self.limits.per_address > 0 {
            uncount_key(&self.addresses, *address);
        }
    }

    /// Returns a UUID of version 7 with the hub's time. Ids are ascending within this process.
    fn next_id(&self, now: Timestamp) -> Uuid {
        let context = self.ids.lock();
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanoseconds))
    }

    /// Returns the shared copy of a user agent, shortened.
    fn intern(&self, user_agent: &str) -> Arc<str> {
        let mut end = user_agent.len().min(USER_AGENT_LEN_MAX);
        while !user_agent.is_char_boundary(end) {
            end -= 1;
        }
        let text = &user_agent[..end];
        let mut known = self.user_agents.lock();
        if let Some(shared) = known.get(text) {
            return shared.clone();
        }
        let shared: Arc<str> = text.into();
        if known.len() < USER_AGENTS_MAX {
            known.insert(shared.clone());
        }
        shared
    }

    /// Returns the number of subscribed channels of all sessions, besides `me` and `alerts`.
    #[must_use]
    pub fn channels(&self) -> u64 {
        self.channels.used().0
    }

    /// Returns the memory of the cached snapshots of seats in bytes, and its bound.
    #[must_use]
    pub fn seat_snapshot_bytes(&self) -> (u64, u64) {
        self.seat_snapshots.used()
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a user has a connection.
    #[must_use]
    pub fn is_connected(&self, user: &UserName) -> bool {
        self.users.contains_key(user)
    }

    /// Returns a connection by its id; `None` if there is no such connection.
    #[must_use]
    pub fn session(&self, id: Uuid) -> Option<Arc<LiveSession>> {
        self.sessions.get(&id).map(|session| session.value().clone())
    }

    /// Returns all connections, longest connected first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<LiveSession>> {
        let mut all: Vec<_> = self.sessions.iter().map(|session| session.value().clone()).collect();
        all.sort_unstable_by_key(|session| session.id);
        all
    }

    /// Returns the number of connected users and of visitors' connections that `matches` accepts. A user with several
    /// connections counts once.
    pub fn count_people(&self, matches: impl Fn(Option<(&UserName, Role)>) -> bool) -> Online {
        let mut people = HashSet::new();
        let mut visitors = 0;
        for session in &self.sessions {
            match session.identity() {
                identity if !matches(identity) => {}
                Some((user, _)) => {
                    people.insert(user.clone());
                }
                None => visitors += 1,
            }
        }
        Online { users: people.len(), visitors }
    }

    /// Returns the number of connections that were refused, by limit.
    #[must_use]
    pub fn refused(&self) -> [(&'static str, u64); 4] {
        let Refused { all, visitors, address, user } = &self.refused;
        [("all", all), ("visitors", visitors), ("address", address), ("user", user)]
            .map(|(limit, count)| (limit, count.load(Ordering::Relaxed)))
    }

    /// Returns the number of connections of each role; `None` stands for visitors.
    #[must_use]
    pub fn by_role(&self) -> [(Option<Role>, usize); ROLES.len()] {
        let mut counts = ROLES.map(|role| (role, 0));
        for ((_, count), counter) in counts.iter_mut().zip(&self.by_role) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }

    /// Returns the number of frames sent to all connections so far. Each session has its own counter, because threads
    /// would contend for a shared one.
    #[must_use]
    pub fn frames_sent(&self) -> u64 {
        let now: u64 = self.sessions.iter().map(|session| session.sent()).sum();
        now + self.frames_of_ended.load(Ordering::Relaxed)
    }

    /// Stops admitting connections, because the hub is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.joins.close();
    }

    /// Returns whether the hub is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The roles by which connections are counted; `None` stands for visitors.
const ROLES: [Option<Role>; 5] =
    [None, Some(Role::Student), Some(Role::Instructor), Some(Role::Staff), Some(Role::Admin)];

/// The index of visitors in [`ROLES`].
const VISITORS: usize = 0;

/// Counts a refused connection.
fn refuse(count: &AtomicU64) -> Close {
    count.fetch_add(1, Ordering::Relaxed);
    Close::TooMany
}

/// Returns the index of a session's role in [`ROLES`].
fn role_index(session: &LiveSession) -> usize {
    let role = session.identity().map(|(_, role)| role.named());
    ROLES.iter().position(|of| *of == role).unwrap_or(0)
}

/// Increments a counter, unless it has reached `limit`; 0 means no limit. Returns whether it was incremented.
fn count_up(count: &AtomicUsize, limit: usize) -> bool {
    let next = |n| (limit == 0 || n < limit).then_some(n + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

fn count_key<K: Eq + std::hash::Hash>(counts: &DashMap<K, u32>, key: K, limit: usize) -> bool {
    let mut count = counts.entry(key).or_insert(0);
    if limit > 0 && *count as usize >= limit {
        return false;
    }
    *count += 1;
    true
}

fn uncount_key<K: Eq + std::hash::Hash>(counts: &DashMap<K, u32>, key: K) {
    if let Entry::Occupied(mut slot) = counts.entry(key) {
        if *slot.get() > 1 {
            *slot.get_mut() -= 1;
        } else {
            slot.remove();
        }
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
