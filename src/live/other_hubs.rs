//! The live sessions of all hubs: asks the other hubs for theirs over the bus, and answers them.
//!
//! Messages may be lost. A hub that does not reply within [`REPLY_MAX`] is reported with the counts of its last reply
//! and their age, and after [`KNOWN_MAX`] not at all: it has ended, or is cut off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use uuid::Uuid;

use crate::bus::metrics_reading::Connections;
use crate::bus::session_list::{RoleFilter, SENT_BYTES_MAX, SessionFilter, SessionPage, SessionRow};
use crate::bus::{Bus, Event, EventStream};
use crate::domain::role::Role;
use crate::live::live_session::LiveSession;
use crate::live::presence::Presence;

/// How long a list waits for the other hubs. They compute theirs in milliseconds.
const REPLY_MAX: Duration = Duration::from_secs(1);
/// How long the counts of a hub that does not reply are reported.
const KNOWN_MAX: Duration = Duration::from_secs(10);
/// Maximum number of hubs whose counts are known.
const HUBS_MAX: usize = 64;
/// Maximum number of lists that wait for other hubs at the same time: more admins than a college has. A further list
/// has only the sessions of this hub.
const PENDING_MAX: usize = 64;

/// The replies to a list: the hub and its sessions.
type Replies = mpsc::Sender<(Uuid, Arc<SessionPage>)>;

/// A hub, as the list of sessions reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubCounts {
    /// The id, which is new at each start.
    pub id: Uuid,
    /// Its sessions by role.
    pub connections: Connections,
    /// How old the counts are.
    pub age: Duration,
    /// Whether its sessions are in the list.
    pub is_listed: bool,
}

/// The sessions of all hubs.
#[derive(Debug)]
pub struct AllSessions {
    /// The first sessions that match, longest connected first.
    pub items: Vec<SessionRow>,
    /// The number of sessions that match, on the hubs that are listed.
    pub total: usize,
    /// The hubs, this one first.
    pub hubs: Vec<HubCounts>,
}

/// Reads the sessions of all hubs.
pub struct OtherHubs {
    id: Uuid,
    presence: Arc<Presence>,
    bus: Arc<dyn Bus>,
    pending: Mutex<HashMap<Uuid, Replies>>,
    /// The last counts of each other hub.
    known: Mutex<HashMap<Uuid, (Connections, Instant)>>,
}

impl OtherHubs {
    /// Starts to answer the other hubs on the current runtime. `events` are those of `bus`.
    #[must_use]
    pub fn start(presence: Arc<Presence>, bus: Arc<dyn Bus>, events: EventStream) -> Arc<Self> {
        let (pending, known) = (Mutex::default(), Mutex::default());
        let hubs = Arc::new(Self { id: Uuid::now_v7(), presence, bus, pending, known });
        tokio::spawn(hubs.clone().run(events));
        hubs
    }

    /// Returns the id of this hub, which is new at each start.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    async fn run(self: Arc<Self>, mut events: EventStream) {
        while let Some(event) = events.next().await {
            match event {
                Event::SessionsWanted { request, filter } if !self.pending.lock().contains_key(&request) => {
                    let page = Arc::new(bounded(self.page(&filter)));
                    self.bus.publish(Event::Sessions { request, hub: self.id, page });
                }
                Event::Sessions { request, hub, page } if hub != self.id => {
                    // A reply that is late, repeated or no longer needed is dropped.
                    if let Some(list) = self.pending.lock().get(&request) {
                        let _ = list.try_send((hub, page));
                    }
                }
                Event::SessionsWanted { .. }
                | Event::Sessions { .. }
                | Event::RegistrationsChanged { .. }
                | Event::AlertsStored { .. }
                | Event::ImportProgress(_)
                | Event::Metrics(_)
                | Event::SignedOut { .. }
                | Event::TokensEnded { .. }
                | Event::Disconnect { .. }
                | Event::HubState(_) => {}
            }
        }
    }

    /// Returns the sessions of this hub that match `filter`.
    fn page(&self, filter: &SessionFilter) -> SessionPage {
        let mut found = self.presence.sessions();
        found.retain(|session| {
            let has_role = filter.role.is_none_or(|role| role == role_of(session));
            has_role && filter.q.as_ref().is_none_or(|text| contains(session, text))
        });
        let items = found.iter().take(filter.limit).map(|session| row(session, self.id)).collect();
        SessionPage { items, total: found.len(), connections: self.connections() }
    }

    fn connections(&self) -> Connections {
        let mut connections = Connections::default();
        for (role, count) in self.presence.by_role() {
            match role {
                None => connections.visitor += count,
                Some(Role::Student) => connections.student += count,
                Some(Role::Instructor) => connections.instructor += count,
                Some(Role::SubjectStaff | Role::Staff) => connections.staff += count,
                Some(Role::Admin) => connections.admin += count,
            }
        }
        connections
    }

    /// Returns the sessions of all hubs that match `filter`.
    pub async fn sessions(&self, filter: SessionFilter) -> AllSessions {
        let limit = filter.limit;
        let replies = self.ask(&filter).await;
        let own = self.page(&filter);
        let mut all = AllSessions { items: own.items, total: own.total, hubs: Vec::new() };
        all.hubs.push(HubCounts { id: self.id, connections: own.connections, age: Duration::ZERO, is_listed: true });
        let listed: Vec<Uuid> = replies.iter().map(|(hub, _)| *hub).collect();
        for (_, page) in replies {
            all.total += page.total;
            all.items.extend(page.items.iter().cloned());
        }
        all.items.sort_unstable_by_key(|session| session.id);
        all.items.truncate(limit);
        all.hubs.extend(self.known_hubs(&listed));
        all
    }

    /// Returns the hubs that have replied recently, in the order of their starts.
    fn known_hubs(&self, listed: &[Uuid]) -> Vec<HubCounts> {
        let now = Instant::now();
        let mut known = self.known.lock();
        known.retain(|_, (_, at)| now.saturating_duration_since(*at) <= KNOWN_MAX);
        let mut hubs: Vec<HubCounts> = known
            .iter()
            .map(|(id, (connections, at))| HubCounts {
                id: *id,
                connections: *connections,
                age: now.saturating_duration_since(*at),
                is_listed: listed.contains(id),
            })
            .collect();
        hubs.sort_unstable_by_key(|hub| hub.id);
        hubs
    }

    /// Asks the other hubs for their sessions, and waits until all of them have replied, at most [`REPLY_MAX`].
    async fn ask(&self, filter: &SessionFilter) -> Vec<(Uuid, Arc<SessionPage>)> {
        let expected = self.bus.other_hubs().min(HUBS_MAX);
        let (list, mut replies) = mpsc::channel(HUBS_MAX);
        let request = Uuid::now_v7();
        if expected == 0 || !self.await_replies(request, list) {
            return Vec::new();
        }
        self.bus.publish(Event::SessionsWanted { request, filter: filter.clone() });
        let deadline = tokio::time::Instant::now() + REPLY_MAX;
        let mut received: HashMap<Uuid, Arc<SessionPage>> = HashMap::new();
        while received.len() < expected {
            match timeout_at(deadline, replies.recv()).await {
                Ok(Some((hub, page))) => {
                    received.insert(hub, page);
                }
                Ok(None) | Err(_) => break,
            }
        }
        self.pending.lock().remove(&request);
        let mut known = self.known.lock();
        for (hub, page) in &received {
            if known.len() < HUBS_MAX || known.contains_key(hub) {
                known.insert(*hub, (page.connections, Instant::now()));
            }
        }
        received.into_iter().collect()
    }

    /// Removes the lists whose callers no longer wait, and adds one that waits for replies. Returns false if too many
    /// wait.
    fn await_replies(&self, request: Uuid, list: Replies) -> bool {
        let mut pending = self.pending.lock();
        pending.retain(|_, list| !list.is_closed());
        if pending.len() >= PENDING_MAX {
            return false;
        }
        pending.insert(request, list);
        true
    }
}

/// Leaves out sessions at the end that would make the message to another hub too long.
fn bounded(mut page: SessionPage) -> SessionPage {
    let mut bytes = 0;
    let fits = page.items.iter().take_while(|session| {
        bytes += session.byte_size();
        bytes <= SENT_BYTES_MAX
    });
    let fits = fits.count();
    page.items.truncate(fits);
    page
}

fn role_of(session: &LiveSession) -> RoleFilter {
    match session.identity() {
        None => RoleFilter::Visitor,
        Some((_, Role::Student)) => RoleFilter::Student,
        Some((_, Role::Instructor)) => RoleFilter::Instructor,
        Some((_, Role::SubjectStaff | Role::Staff)) => RoleFilter::Staff,
        Some((_, Role::Admin)) => RoleFilter::Admin,
    }
}

/// Returns whether a session's username, user agent, address or id contains `text`, which is in lower case.
fn contains(session: &LiveSession, text: &str) -> bool {
    let user = session.identity().map_or("", |(user, _)| user.as_str());
    user.to_lowercase().contains(text)
        || session.user_agent.to_lowercase().contains(text)
        || session.address.to_string().contains(text)
        || session.id.to_string().contains(text)
}

fn row(session: &LiveSession, hub: Uuid) -> SessionRow {
    let (user, role) = session.identity().map(|(user, role)| (user.clone(), role)).unzip();
    SessionRow {
        id: session.id,
        hub,
        user,
        role,
        ip: session.address,
        user_agent: session.user_agent.as_ref().to_owned(),
        transport: session.transport,
        connected_at: session.connected_at,
        channels: session.channels().iter().map(ToString::to_string).collect(),
        queued: session.queued(),
        sent: session.sent(),
        rtt_ms: session.rtt_ms(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use jiff::Timestamp;

    use super::*;
    use crate::bus::Subscribe as _;
    use crate::bus::local::LocalBus;
    use crate::domain::ids::UserName;
    use crate::live::live_session::{Client, Transport};
    use crate::live::presence::ConnectionLimits;

    fn presence(visitors: u8) -> Arc<Presence> {
        let presence = Presence::new(ConnectionLimits::default());
        for n in 0..visitors {
            let (address, user_agent) = ([192, 0, 2, n].into(), "Firefox");
            let client = Client { address, user_agent, transport: Transport::WebSocket };
            presence.admit(None, client, Timestamp::UNIX_EPOCH).unwrap();
        }
        Arc::new(presence)
    }

    /// A bus that claims to reach one other hub.
    struct OneOther(LocalBus);

    impl Bus for OneOther {
        fn publish(&self, event: Event) {
            self.0.publish(event);
        }
        fn may_be_connected(&self, user: &UserName) -> bool {
            self.0.may_be_connected(user)
        }
        fn other_hubs(&self) -> usize {
            1
        }
    }

    fn filter(limit: usize) -> SessionFilter {
        SessionFilter { role: None, q: None, limit }
    }

    fn counts(all: &AllSessions) -> Vec<(usize, u64, bool)> {
        all.hubs.iter().map(|hub| (hub.connections.visitor, hub.age.as_secs(), hub.is_listed)).collect()
    }

    #[actix_rt::test]
    async fn a_list_reports_hubs_that_reply_and_counts_of_those_that_stopped() {
        let bus = Arc::new(OneOther(LocalBus::new(|_| true)));
        let hub = |visitors| OtherHubs::start(presence(visitors), bus.clone(), bus.0.subscribe());
        let (one, other) = (hub(2), hub(3));
        let all = one.sessions(filter(4)).await;
        assert_eq!((all.items.len(), all.total), (4, 5));
        assert_eq!(counts(&all), [(2, 0, true), (3, 0, true)]);
        assert!(all.items.iter().any(|session| session.hub == other.id));
        assert!(one.pending.lock().is_empty() && other.pending.lock().is_empty());
        // With another limit, and by address.
        let by_address = SessionFilter { q: Some("192.0.2.2".to_owned()), ..filter(100) };
        assert_eq!(one.sessions(by_address).await.total, 1);

        // The other hub no longer replies, first for less than the time after which it is forgotten, then for longer.
        let alone = OtherHubs::start(presence(2), bus.clone(), futures_util::stream::pending().boxed());
        let long_ago = Instant::now().checked_sub(KNOWN_MAX * 2).unwrap();
        let connections = Connections { visitor: 3, ..Connections::default() };
        alone.known.lock().insert(other.id, (connections, Instant::now()));
        let all = alone.sessions(filter(100)).await;
        assert_eq!((all.total, all.hubs.len(), all.hubs[1].is_listed), (2, 2, false));
        alone.known.lock().insert(other.id, (connections, long_ago));
        assert_eq!(alone.sessions(filter(100)).await.hubs.len(), 1, "a hub that is gone disappears");
    }

    #[test]
    fn a_message_to_another_hub_is_bounded() {
        let hubs_presence = presence(1);
        let session = row(&hubs_presence.sessions()[0], Uuid::nil());
        let size = session.byte_size();
        assert!(serde_json::to_string(&session).unwrap().len() <= size);
        let items = vec![session; SENT_BYTES_MAX / size + 10];
        let total = items.len();
        let page = bounded(SessionPage { items, total, connections: Connections::default() });
        assert_eq!((page.items.len(), page.total), (SENT_BYTES_MAX / size, total));
    }

    #[test]
    fn pending_lists_are_bounded() {
        let bus = Arc::new(LocalBus::new(|_| true));
        let (pending, known) = (Mutex::default(), Mutex::default());
        let hubs = OtherHubs { id: Uuid::nil(), presence: presence(0), bus, pending, known };
        let waiting: Vec<_> = (0..PENDING_MAX).map(|_| mpsc::channel(1)).collect();
        for (list, _) in &waiting {
            assert!(hubs.await_replies(Uuid::now_v7(), list.clone()));
        }
        let (list, _replies) = mpsc::channel(1);
        assert!(!hubs.await_replies(Uuid::now_v7(), list.clone()));
        drop(waiting);
        assert!(hubs.await_replies(Uuid::now_v7(), list), "lists whose callers have gone are removed");
        assert!(hubs.sessions(filter(1)).now_or_never().is_some(), "without other hubs, nothing is waited for");
    }
}
