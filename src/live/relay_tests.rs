//! Tests of a relay whose sessions do not read: nothing runs between its steps, so their queues fill up.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use jiff::Timestamp;
use uuid::Uuid;

use crate::alerts::receipts::ReceiptWriter;
use crate::clock::SystemClock;
use crate::domain::ids::UserName;
use crate::domain::realm::Realm;
use crate::domain::role::Role;
use crate::identity::{Caller, Source};
use crate::live::close::Close;
use crate::live::context::{Live, LiveOptions};
use crate::live::messages::{FanOut, Join, Push, RegisterRelay};
use crate::live::presence::{ConnectionLimits, LiveSession, Presence};
use crate::live::relay::Relay;
use crate::registration::readmodel::ReadModel;
use crate::store::sqlite::{SqliteOptions, SqliteStore};

/// An actor in the place of a session, and of a broker.
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

/// A relay that is not started, and its context.
struct Stage {
    relay: Relay,
    context: Context<Relay>,
    live: Arc<Live>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        let store = SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap();
        let live = Arc::new(Live {
            presence: Arc::new(Presence::new(ConnectionLimits::default())),
            alerts: Arc::new(store.clone()),
            receipts: ReceiptWriter::new(Arc::new(store)),
            model: Arc::new(ReadModel::new()),
            clock: Arc::new(SystemClock),
            is_alive: Box::new(|_| true),
            options: LiveOptions::default(),
        });
        let relay = Relay::new(live.clone(), Peer.start());
        Self { relay, context: Context::new(), live, _folder: folder }
    }

    /// Joins a session of ann with this token.
    fn join(&mut self, token: u128) -> Arc<LiveSession> {
        let caller = Caller {
            user: UserName::parse("ann").unwrap(),
            name: "Ann".into(),
            role: Role::Student,
            source: Source::Hub,
            token_id: Uuid::from_u128(token),
            issued_ms: 0,
            expires_at: Timestamp::MAX,
            realm: Realm::College,
        };
        let address = IpAddr::from([127, 0, 0, 1]);
        let session = self.live.presence.admit(Some(caller), address, "test", self.live.clock.now()).unwrap();
        let join = Join { queue: Peer.start().recipient(), session: session.clone() };
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
    let mut stage = Stage::new();
    let session = stage.join(1);
    let mut delivered = 0;
    while session.requested_close().is_none() {
        stage.send(personal());
        delivered += 1;
        assert!(delivered < 1_000, "the queue is bounded");
    }
    assert_eq!(session.requested_close(), Some(Close::TooSlow));
    assert_eq!(session.queued(), delivered - 1, "the push that did not fit is not counted");
    assert_eq!(stage.live.presence.evicted.load(Ordering::Relaxed), 1);
    assert!(stage.live.presence.is_empty());

    stage.send(personal());
    assert_eq!(session.queued(), delivered - 1, "an evicted session gets nothing more");
}

#[actix_rt::test]
async fn a_session_that_left_unnoticed_is_removed_by_the_sweep() {
    let mut stage = Stage::new();
    let (left, stays) = (stage.join(1), stage.join(2));
    // What a session does when its `Leave` does not fit into the relay's mailbox.
    left.request_close(Close::Normal);
    stage.relay.sweep();
    stage.send(personal());
    assert_eq!((left.queued(), stays.queued()), (0, 1));
    assert_eq!(stage.live.presence.sessions().iter().map(|s| s.id).collect::<Vec<_>>(), [stays.id]);
}

#[actix_rt::test]
async fn a_sign_out_closes_the_sessions_of_its_token_only() {
    let mut stage = Stage::new();
    let (first, second) = (stage.join(1), stage.join(2));
    let user = UserName::parse("ann").unwrap();
    stage.send(FanOut::SignedOut { user: user.clone(), token: Some(Uuid::from_u128(1)) });
    assert_eq!((first.requested_close(), second.requested_close()), (Some(Close::SignedOut), None));
    stage.send(FanOut::SignedOut { user, token: None });
    assert_eq!(second.requested_close(), Some(Close::SignedOut));
    assert!(stage.live.presence.is_empty());
}
