//! Clients that move between three hubs receive each alert once and in order, while one hub is cut off from NATS.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::trio::{HUBS, Trio, shared_database};
use crate::support::WAIT_MAX;
use crate::support::crowd::{Incoming, connect, contains, is_type, number_after, upgrade};
use crate::support::nats::NatsServer;
use crate::support::random::{Random, length_of_run, seed};
use crate::support::tcp_relay::Mode;

/// Maximum number of alerts that a client receives before it moves to another hub.
const STAY_MAX: usize = 12;
/// The percentage of a client's connections that it leaves as soon as they are live.
const RESTLESS_PERCENT: usize = 20;
/// Time between two checks of the progress of all clients.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// A client that moves between the hubs, and the sequences of the alerts that it has received.
struct MovingClient {
    hubs: [SocketAddr; HUBS],
    random: Random,
    received: Vec<u64>,
    connections: usize,
    /// Number of alerts that all clients together have received.
    all: Rc<Cell<usize>>,
}

impl MovingClient {
    /// Connects to a hub and stays for a while. Returns how long the hub asks the client to wait before it comes back.
    async fn stay(&mut self, alerts: usize) -> Option<Duration> {
        let hub = *self.random.pick(&self.hubs);
        let path = format!("/alerts/ws?since={}", self.received.last().unwrap_or(&0));
        let mut socket = upgrade(connect(hub, None).await, &path).await;
        let until = (self.received.len() + 1 + self.random.below(STAY_MAX)).min(alerts);
        let leaves_when_live = self.random.percent(RESTLESS_PERCENT);
        let (mut is_live, mut asked) = (false, None);
        let (received, all) = (&mut self.received, &self.all);
        while received.len() < until && !(is_live && leaves_when_live) && asked.is_none() {
            let is_open = socket.read(|message| match message {
                Incoming::Text(frame) if is_type(frame, "alert") => {
                    received.push(number_after(frame, "\"seq\":"));
                    all.set(all.get() + 1);
                }
                Incoming::Text(frame) => {
                    assert!(!is_type(frame, "gap") && !is_type(frame, "error"), "{frame}");
                    is_live |= is_type(frame, "live");
                }
                Incoming::Close(1012, reason) if contains(reason, "retry_ms") => {
                    asked = Some(Duration::from_millis(number_after(reason, "\"retry_ms\":")));
                }
                Incoming::Close(code, reason) => panic!("closed: {code} {reason}"),
            });
            assert!(is_open.await || asked.is_some(), "a connection ends without a close frame");
        }
        asked
    }

    /// Moves between the hubs until all alerts have arrived.
    async fn run(mut self, alerts: usize) -> Self {
        while self.received.len() < alerts {
            self.connections += 1;
            if let Some(pause) = self.stay(alerts).await {
                sleep(pause).await;
            }
        }
        self
    }
}

/// Panics if the clients receive nothing for [`WAIT_MAX`]. Returns when they have received `expected` alerts.
async fn watch(all: Rc<Cell<usize>>, expected: usize) {
    let (mut before, mut changed) = (0, Instant::now());
    while all.get() < expected {
        sleep(CHECK_INTERVAL).await;
        if all.get() != before {
            (before, changed) = (all.get(), Instant::now());
        }
        assert!(changed.elapsed() < WAIT_MAX, "clients have {before} of {expected} alerts and receive no more");
    }
}

/// Sends alerts at one hub and returns their sequences.
fn send(trio: &Trio, hub: usize, count: usize) -> Vec<u64> {
    let mut staff = trio.client(hub).signed_in(&trio.home(hub).token("registrar", "staff"));
    let mut send = |n: usize| {
        let alert = json!({"title": format!("{n} of hub {hub}"), "message": "Room 12 is flooded.",
            "audience": {"all": true}});
        let sent: Value = staff.post_json("/api/v1/alerts", &alert).expect(201).json();
        sent["seq"].as_u64().expect("a sequence")
    };
    (0..count).map(&mut send).collect()
}

#[test]
fn clients_that_move_between_hubs_receive_each_alert_once_in_order() {
    let (nats, shared) = (NatsServer::start(), shared_database());
    let clients = length_of_run("CLUSTER_CLIENTS", 150);
    let each = length_of_run("CLUSTER_ALERTS", 45) / HUBS;
    let trio = Trio::start(shared, &nats, 10);
    trio.wait_until_whole(HUBS - 1);
    let hubs = std::array::from_fn(|hub| trio.address(hub).expect("a running hub"));
    let seed = seed();
    let (mut sent, received) = thread::scope(|scope| {
        let senders: Vec<_> = (0..HUBS)
            .map(|hub| {
                let trio = &trio;
                scope.spawn(move || {
                    let mut sent = send(trio, hub, each / 2);
                    if hub == 1 {
                        trio.to_bus(hub).set(Mode::Refuse);
                    }
                    sent.extend(send(trio, hub, each - each / 2));
                    sent
                })
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let received = LocalSet::new().block_on(&runtime, async {
            let all = Rc::new(Cell::new(0));
            let alerts = each * HUBS;
            let client = |index: u64| MovingClient {
                hubs,
                random: Random::seeded(seed.wrapping_add(index)),
                received: Vec::new(),
                connections: 0,
                all: all.clone(),
            };
            let running: Vec<_> = (0..clients).map(|index| spawn_local(client(index).run(alerts))).collect();
            watch(all.clone(), usize::try_from(clients).unwrap() * alerts).await;
            join_all(running).await
        });
        let sent: Vec<u64> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        (sent, received)
    });
    sent.sort_unstable();
    let mut connections = 0;
    for client in received {
        let client = client.unwrap();
        connections += client.connections;
        assert_eq!(client.received, sent, "each alert once and in order");
    }
    println!("{clients} clients received {} alerts each, with {connections} connections", sent.len());
}
