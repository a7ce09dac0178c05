//! Tests of a relay. No other actor runs between its steps, so the queues of its sessions fill up.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;
use jiff::Timestamp;
use uuid::Uuid;

use crate::alerts::acks::AckQueue;
use crate::clock::SystemClock;
use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::role::Role;
use crate::identity::{Caller, Source};
use crate::live::alert_frame::AlertFrame;
use crate::live::close::Close;
use crate::live::context::{Live, LiveOptions};
use crate::live::driver::QUEUE_LEN;
use crate::live::live_session::{Client, LiveSession, Transport};
use crate::live::messages::{CatchUp, FanOut, Join, Push, RegisterRelay};
use crate::live::presence::{ConnectionLimits, Presence};
use crate::live::relay::Relay;
use crate::registration::readmodel::ReadModel;
use crate::store::alerts::{Entry, LogEntry, Recipients};
use crate::store::sqlite::{SqliteOptions, SqliteStore};

/// An actor that acts as a session and as the broker.
struct Peer;

impl Actor for Peer {
    type Context = Context<Self>;
}

impl Handler<Push> for Peer {
    type Result = ();

    fn handle(&mut self, _: Push, _: &mut Context<Self>) {}
}

impl Handler<RegisterRelay> for Peer {
    type Result = u64;

    fn handle(&mut self, _: RegisterRelay, _: &mut Context<Self>) -> u64 {
        0
    }
}

/// A relay that is not started, with its context.
struct Fixture {
    relay: Relay,
    context: Context<Relay>,
    live: Arc<Live>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        let store = SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap();
        let live = Arc::new(Live {
            presence: Arc::new(Presence::new(ConnectionLimits::default())),
            alerts: Arc::new(store.clone()),
            tail: Arc::default(),
            acks: AckQueue::new(Arc::new(store)),
            model: Arc::new(ReadModel::new()),
            clock: Arc::new(SystemClock),
            is_token_valid: Box::new(|_| true),
            is_withheld: Box::new(|_| Box::pin(std::future::ready(Ok(false)))),
            options: LiveOptions::default(),
        });
        let relay = Relay::new(live.clone(), Peer.start());
        Self { relay, context: Context::new(), live, _folder: folder }
    }

    /// Adds a session of the user `ann` with this token id, which is also the token's time of issue in milliseconds.
    fn join(&mut self, token: u128) -> Arc<LiveSession> {
        let caller = Caller {
            user: UserName::parse("ann").unwrap(),
            name: "Ann".into(),
            subjects: None,
            role: Role::Student,
            source: Source::Hub,
            plone_user: None,
            token_id: Uuid::from_u128(token),
            issued_ms: i64::try_from(token).unwrap(),
            expires_at: Timestamp::MAX,
            realm: Realm::College,
        };
        let address = IpAddr::from([127, 0, 0, 1]);
        let client = Client { address, user_agent: "test", transport: Transport::WebSocket };
        let session = self.live.presence.admit(Some(caller), client, self.live.clock.now()).unwrap();
        let peer = Peer::create(|context| {
            context.set_mailbox_capacity(QUEUE_LEN);
            Peer
        });
        let join = Join { queue: peer.recipient(), session: session.clone() };
        assert_eq!(self.relay.handle(join, &mut self.context), 0);
        session
    }

    fn send(&mut self, message: FanOut) {
        self.relay.in_flight.fetch_add(1, Ordering::Relaxed);
        self.relay.handle(message, &mut self.context);
    }
}

fn personal() -> FanOut {
    FanOut::Personal(Arc::from([(UserName::parse("ann").unwrap(), "{}".into())]))
}

#[actix_rt::test]
async fn a_session_whose_queue_is_full_is_evicted() {
    let mut fixture = Fixture::new();
    let session = fixture.join(1);
    let mut delivered = 0;
    while session.requested_close().is_none() {
        fixture.send(personal());
        delivered += 1;
        assert!(delivered < 1_000, "the queue is bounded");
    }
    assert_eq!(session.requested_close(), Some(Close::TooSlow));
    assert_eq!(session.queued(), delivered - 1, "the push that did not fit is not counted");
    assert_eq!(fixture.live.presence.evicted.load(Ordering::Relaxed), 1);
    assert!(fixture.live.presence.is_empty());

    fixture.send(personal());
    assert_eq!(session.queued(), delivered - 1, "an evicted session gets nothing more");
}

/// Returns an alert to everyone at this position.
fn alert(seq: u64) -> FanOut {
    let recipients = Recipients { everyone: true, ..Recipients::default() };
    let entry = LogEntry { seq, entry: Entry::Cancelled("a".to_owned()), recipients };
    let frame = AlertFrame::new(entry, "The college".into());
    FanOut::Alerts(Arc::from([Arc::new(frame)]), Instant::now())
}

#[actix_rt::test]
async fn alerts_are_held_back_from_a_session_that_waits_for_the_hub() {
    let mut fixture = Fixture::new();
    let session = fixture.join(1);
    session.set_waiting(true);
    for seq in 1..=1_000 {
        fixture.send(alert(seq));
    }
    assert_eq!((session.requested_close(), session.queued()), (None, 16));
    assert!(session.take_behind());
    // The held-back alerts come before later ones, even if the session no longer waits.
    session.set_waiting(false);
    fixture.send(alert(1_001));
    assert_eq!(session.queued(), 16);
    fixture.relay.handle(CatchUp(session.id), &mut fixture.context);
    assert_eq!(session.queued(), 17, "the reply, in order with the other pushes");
    fixture.send(alert(1_002));
    assert_eq!(session.queued(), 18);
}

#[actix_rt::test]
async fn the_sweep_removes_a_session_whose_leave_was_lost() {
    let mut fixture = Fixture::new();
    let (ended, active) = (fixture.join(1), fixture.join(2));
    // A session does this when its `Leave` does not fit into the relay's mailbox.
    ended.request_close(Close::Normal);
    fixture.relay.sweep(Instant::now());
    fixture.send(personal());
    assert_eq!((ended.queued(), active.queued()), (0, 1));
    assert_eq!(fixture.live.presence.sessions().iter().map(|s| s.id).collect::<Vec<_>>(), [active.id]);
}

#[actix_rt::test]
async fn a_client_is_silent_after_two_heartbeats_of_sweeps() {
    let mut fixture = Fixture::new();
    let (silent, alive) = (fixture.join(1), fixture.join(2));
    let mut at = Instant::now();
    let mut sweeps = 0;
    while silent.requested_close().is_none() {
        assert!(sweeps < 100, "the silent client is closed");
        alive.touch();
        at += Duration::from_secs(1);
        fixture.relay.sweep(at);
        sweeps += 1;
    }
    // The first sweep finds that the client has joined. After 51 more, the silence exceeds the limit of 50 seconds. The
    // last one gives the thread time to read.
    assert_eq!(sweeps, 53);
    assert_eq!((silent.requested_close(), alive.requested_close()), (Some(Close::Silent), None));
    assert_eq!(fixture.live.presence.reaped.load(Ordering::Relaxed), 1);
}

#[actix_rt::test]
async fn a_session_that_waits_for_the_hub_is_not_silent() {
    let mut fixture = Fixture::new();
    let session = fixture.join(1);
    session.set_waiting(true);
    let mut at = Instant::now();
    for _ in 0..200 {
        at += Duration::from_secs(1);
        fixture.relay.sweep(at);
    }
    assert_eq!(session.requested_close(), None);
}

#[actix_rt::test]
async fn a_late_sweep_does_not_count_as_silence() {
    let mut fixture = Fixture::new();
    let session = fixture.join(1);
    let mut at = Instant::now();
    for _ in 0..10 {
        at += Duration::from_secs(3_600);
        fixture.relay.sweep(at);
        fixture.relay.sweep(at);
    }
    assert_eq!(session.requested_close(), None);
    assert_eq!(session.queued(), 10, "a ping was due before each late sweep");
}

#[actix_rt::test]
async fn a_client_is_closed_as_silent_only_after_its_data_was_read() {
    let mut fixture = Fixture::new();
    let session = fixture.join(1);
    let mut at = Instant::now();
    for _ in 0..52 {
        at += Duration::from_secs(1);
        fixture.relay.sweep(at);
    }
    session.touch();
    for _ in 0..52 {
        at += Duration::from_secs(1);
        fixture.relay.sweep(at);
    }
    assert_eq!(session.requested_close(), None);
    fixture.relay.sweep(at + Duration::from_secs(1));
    assert_eq!(session.requested_close(), Some(Close::Silent));
}

#[actix_rt::test]
async fn a_sign_out_closes_the_sessions_of_its_token_only() {
    let mut fixture = Fixture::new();
    let (first, second) = (fixture.join(1), fixture.join(2));
    let user = UserName::parse("ann").unwrap();
    fixture.send(FanOut::SignedOut { user: user.clone(), token: Some(Uuid::from_u128(1)), issued_until: None });
    assert_eq!((first.requested_close(), second.requested_close()), (Some(Close::SignedOut), None));
    fixture.send(FanOut::SignedOut { user, token: None, issued_until: None });
    assert_eq!(second.requested_close(), Some(Close::SignedOut));
    assert!(fixture.live.presence.is_empty());
}

#[actix_rt::test]
async fn a_late_sign_out_keeps_sessions_of_a_later_sign_in() {
    let mut fixture = Fixture::new();
    let (before, after) = (fixture.join(1_000), fixture.join(1_001));
    let user = UserName::parse("ann").unwrap();
    let issued_until = Some(Timestamp::from_millisecond(1_000).unwrap());
    fixture.send(FanOut::SignedOut { user, token: None, issued_until });
    assert_eq!((before.requested_close(), after.requested_close()), (Some(Close::SignedOut), None));
}
