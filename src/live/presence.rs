//! Who is connected: what the admin page shows, what limits count, and whom a signed-out token concerns.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::channel::Channel;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::histogram::Histogram;
use crate::identity::Caller;
use crate::live::close::Close;

/// The longest user agent that is kept, in bytes.
const USER_AGENT_LEN_MAX: usize = 160;
/// Different user agents that are kept once for all who have them; a campus has some dozens.
const USER_AGENTS_MAX: usize = 1_024;
/// `rtt_ms` before the first pong.
const RTT_UNKNOWN: u32 = u32::MAX;

/// A connection, as its session, its relay and the admin page see it.
#[derive(Debug)]
pub struct SessionRecord {
    /// Its id.
    pub id: Uuid,
    /// Who is behind it; none for a visitor.
    pub caller: Option<Caller>,
    /// Where it comes from.
    pub address: IpAddr,
    /// With what.
    pub user_agent: Arc<str>,
    /// Since when.
    pub connected_at: Timestamp,
    last_seen_ms: AtomicI64,
    sent: AtomicU64,
    queued: AtomicU32,
    rtt_ms: AtomicU32,
    closing: AtomicU16,
    channels: Mutex<Vec<Channel>>,
}

impl SessionRecord {
    /// The caller's name and role, as audiences ask for them.
    #[must_use]
    pub fn caller(&self) -> Option<(&UserName, Role)> {
        self.caller.as_ref().map(|caller| (&caller.user, caller.role))
    }

    /// A sign of life.
    pub fn seen(&self, now: Timestamp) {
        self.last_seen_ms.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// Milliseconds since the last sign of life.
    #[must_use]
    pub fn silent_ms(&self, now: Timestamp) -> i64 {
        now.as_millisecond().saturating_sub(self.last_seen_ms.load(Ordering::Relaxed))
    }

    /// A pong came back after this time.
    pub fn answered_after(&self, rtt_ms: u32) {
        self.rtt_ms.store(rtt_ms, Ordering::Relaxed);
    }

    /// The time of the last ping and its pong, in milliseconds.
    #[must_use]
    pub fn rtt_ms(&self) -> Option<u32> {
        Some(self.rtt_ms.load(Ordering::Relaxed)).filter(|rtt| *rtt != RTT_UNKNOWN)
    }

    /// Counts a message into its queue (before it is pushed).
    pub(super) fn queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message out of its queue.
    pub(super) fn dequeue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Messages that wait for the session.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn count_sent(&self, frames: u64) {
        self.sent.fetch_add(frames, Ordering::Relaxed);
    }

    /// Frames sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Marks it for closing; the first reason counts.
    pub fn condemn(&self, close: Close) {
        // Whoever comes second finds a reason already, which is as good.
        let _ = self.closing.compare_exchange(0, close.code(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Why it is to be closed, if it is.
    #[must_use]
    pub fn condemned(&self) -> Option<Close> {
        Close::from_code(self.closing.load(Ordering::Relaxed))
    }

    /// What it listens to.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.lock().clone()
    }

    /// Adds a channel; false if it has it already, or has `most` of them.
    pub(super) fn add_channel(&self, channel: &Channel, most: usize) -> Result<bool, ()> {
        let mut channels = self.channels.lock();
        if channels.contains(channel) {
            return Ok(false);
        }
        if channels.len() >= most {
            return Err(());
        }
        channels.push(channel.clone());
        Ok(true)
    }

    /// Takes a channel away; whether it was there.
    pub(super) fn remove_channel(&self, channel: &Channel) -> bool {
        let mut channels = self.channels.lock();
        let before = channels.len();
        channels.retain(|c| c != channel);
        before != channels.len()
    }

    /// Whether it listens to a channel.
    #[must_use]
    pub fn has_channel(&self, channel: &Channel) -> bool {
        self.channels.lock().contains(channel)
    }
}

/// The most connections; 0 is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionLimits {
    /// Altogether.
    pub all: usize,
    /// Of one user.
    pub per_user: usize,
    /// From one address.
    pub per_address: usize,
}

/// Everyone who is connected over a WebSocket.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: DashMap<Uuid, Arc<SessionRecord>>,
    users: DashMap<UserName, u32>,
    addresses: DashMap<IpAddr, u32>,
    count: AtomicUsize,
    by_role: [AtomicUsize; 4],
    user_agents: Mutex<HashSet<Arc<str>>>,
    limits: ConnectionLimits,
    draining: AtomicBool,
    /// Sessions that were closed because their queue was full.
    pub evicted: AtomicU64,
    /// Frames sent to sessions that are gone.
    frames_before: AtomicU64,
    /// Sessions that were closed because they gave no sign of life.
    pub reaped: AtomicU64,
    /// How long news took from the broker into the queues of all sessions of one thread that listen.
    pub fanout: Histogram,
    /// Messages of the broker that relays have not handed on, as of its last tick.
    pub relays_waiting: AtomicUsize,
}

impl Registry {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a connection in, or says why not.
    pub fn admit(
        &self,
        caller: Option<Caller>,
        address: IpAddr,
        user_agent: &str,
        now: Timestamp,
    ) -> Result<Arc<SessionRecord>, Close> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Close::Restarting);
        }
        if !count_up(&self.count, self.limits.all) {
            return Err(Close::TooMany);
        }
        if self.limits.per_address > 0 && !count_key(&self.addresses, address, self.limits.per_address) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Close::TooMany);
        }
        if let Some(caller) = &caller
            && !count_key(&self.users, caller.user.clone(), self.limits.per_user)
        {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.leave_address(&address);
            return Err(Close::TooMany);
        }
        let mut channels = Vec::with_capacity(2);
        if caller.is_some() {
            channels.push(Channel::Me);
        }
        channels.push(Channel::Alerts);
        let record = Arc::new(SessionRecord {
            id: Uuid::now_v7(),
            caller,
            address,
            user_agent: self.intern(user_agent),
            connected_at: now,
            last_seen_ms: AtomicI64::new(now.as_millisecond()),
            sent: AtomicU64::new(0),
            queued: AtomicU32::new(0),
            rtt_ms: AtomicU32::new(RTT_UNKNOWN),
            closing: AtomicU16::new(0),
            channels: Mutex::new(channels),
        });
        self.by_role[slot(&record)].fetch_add(1, Ordering::Relaxed);
        self.sessions.insert(record.id, record.clone());
        Ok(record)
    }

    /// Forgets a connection; a second time it does nothing.
    pub fn forget(&self, id: Uuid) {
        let Some((_, record)) = self.sessions.remove(&id) else { return };
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.by_role[slot(&record)].fetch_sub(1, Ordering::Relaxed);
        self.frames_before.fetch_add(record.sent(), Ordering::Relaxed);
        self.leave_address(&record.address);
        if let Some(caller) = &record.caller {
            uncount_key(&self.users, caller.user.clone());
        }
    }

    fn leave_address(&self, address: &IpAddr) {
        if self.limits.per_address > 0 {
            uncount_key(&self.addresses, *address);
        }
    }

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

    /// How many are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether anybody is connected under this name.
    #[must_use]
    pub fn is_listening(&self, user: &UserName) -> bool {
        self.users.contains_key(user)
    }

    /// One connection.
    #[must_use]
    pub fn session(&self, id: Uuid) -> Option<Arc<SessionRecord>> {
        self.sessions.get(&id).map(|record| record.value().clone())
    }

    /// All connections, longest connected first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<SessionRecord>> {
        let mut all: Vec<_> = self.sessions.iter().map(|record| record.value().clone()).collect();
        all.sort_unstable_by_key(|record| record.id);
        all
    }

    /// How many people (and visitors' connections) for whom `is_meant` holds are connected now.
    pub fn count_people(&self, is_meant: impl Fn(Option<(&UserName, Role)>) -> bool) -> usize {
        let mut people = HashSet::new();
        let mut visitors = 0;
        for record in &self.sessions {
            match record.caller() {
                caller if !is_meant(caller) => {}
                Some((user, _)) => {
                    people.insert(user.clone());
                }
                None => visitors += 1,
            }
        }
        people.len() + visitors
    }

    /// Connections by role; none is visitors.
    #[must_use]
    pub fn by_role(&self) -> [(Option<Role>, usize); 4] {
        let mut counts = BY_ROLE.map(|role| (role, 0));
        for (told, count) in counts.iter_mut().zip(&self.by_role) {
            told.1 = count.load(Ordering::Relaxed);
        }
        counts
    }

    /// Frames sent to everyone so far. Sessions count for themselves: a counter that all share would be fought for.
    #[must_use]
    pub fn frames_sent(&self) -> u64 {
        let now: u64 = self.sessions.iter().map(|record| record.sent()).sum();
        now + self.frames_before.load(Ordering::Relaxed)
    }

    /// From now on nobody is taken in.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether nobody is taken in any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Whose connections are counted together; none is visitors.
const BY_ROLE: [Option<Role>; 4] = [None, Some(Role::Student), Some(Role::Staff), Some(Role::Admin)];

/// The place of a session's role in [`BY_ROLE`].
fn slot(record: &SessionRecord) -> usize {
    let role = record.caller().map(|caller| caller.1);
    BY_ROLE.iter().position(|of| *of == role).unwrap_or(0)
}

fn count_up(count: &AtomicUsize, most: usize) -> bool {
    let room = |n| (most == 0 || n < most).then_some(n + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
}

fn count_key<K: Eq + std::hash::Hash>(counts: &DashMap<K, u32>, key: K, most: usize) -> bool {
    let mut slot = counts.entry(key).or_insert(0);
    if most > 0 && *slot as usize >= most {
        return false;
    }
    *slot += 1;
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
mod tests {
    use super::*;

    fn caller(user: &str) -> Option<Caller> {
        let user = UserName::parse(user).unwrap();
        let (name, token_id) = (user.as_str().into(), Uuid::nil());
        let source = crate::identity::Source::Hub;
        let expires_at = Timestamp::MAX;
        Some(Caller {
            user,
            name,
            role: Role::Student,
            source,
            token_id,
            issued_ms: 0,
            expires_at,
            realm: crate::domain::realm::Realm::College,
        })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn limits_count_users_addresses_and_everyone_and_give_places_back() {
        let registry = Registry::new(ConnectionLimits { all: 4, per_user: 2, per_address: 3 });
        let now = Timestamp::UNIX_EPOCH;
        let first = registry.admit(caller("ann"), address(1), "a", now).unwrap();
        registry.admit(caller("ann"), address(1), "a", now).unwrap();
        assert_eq!(registry.admit(caller("ann"), address(2), "a", now).unwrap_err(), Close::TooMany, "per user");
        registry.admit(None, address(1), "a", now).unwrap();
        assert_eq!(registry.admit(None, address(1), "a", now).unwrap_err(), Close::TooMany, "per address");
        registry.admit(None, address(2), "a", now).unwrap();
        assert_eq!(registry.admit(None, address(3), "a", now).unwrap_err(), Close::TooMany, "altogether");
        registry.forget(first.id);
        registry.forget(first.id);
        assert_eq!(registry.len(), 3);
        registry.admit(caller("ann"), address(1), "a", now).unwrap();
    }

    #[test]
    fn a_user_is_listening_until_the_last_connection_is_gone() {
        let registry = Registry::new(ConnectionLimits::default());
        let ann = UserName::parse("ann").unwrap();
        let one = registry.admit(caller("ann"), address(1), "a", Timestamp::UNIX_EPOCH).unwrap();
        let two = registry.admit(caller("ann"), address(1), "a", Timestamp::UNIX_EPOCH).unwrap();
        assert!(Arc::ptr_eq(&one.user_agent, &two.user_agent));
        assert_eq!(registry.by_role()[1], (Some(Role::Student), 2));
        assert_eq!(registry.count_people(|_| true), 1, "one person with two connections");
        registry.forget(one.id);
        assert!(registry.is_listening(&ann));
        registry.forget(two.id);
        assert!(!registry.is_listening(&ann));
        assert!(registry.is_empty());
        assert_eq!(registry.by_role().map(|(_, count)| count), [0; 4]);
    }

    #[test]
    fn nobody_is_taken_in_while_the_hub_drains() {
        let registry = Registry::new(ConnectionLimits::default());
        registry.drain();
        assert_eq!(registry.admit(None, address(1), "a", Timestamp::UNIX_EPOCH).unwrap_err(), Close::Restarting);
    }
}
