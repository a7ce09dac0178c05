//! Three hubs on one database and one bus. A relay between each hub and each server can interrupt their connection.

use std::net::SocketAddr;

use parking_lot::{RwLock, RwLockReadGuard};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::students::DeviceRecord;
use super::{TERM, auditor, schedule};
use crate::support::http::Client;
use crate::support::nats::NatsServer;
use crate::support::postgres::{self, Cluster, Database, cluster};
use crate::support::server::{Home, Server};
use crate::support::standby::Pair;
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::{eventually, poll_until_deadline};

/// The number of hubs.
pub(super) const HUBS: usize = 3;

/// The database of the hubs.
pub(super) enum Shared {
    /// On the server that all tests share.
    Database(Database),
    /// On a server that a test can stop.
    Own(Cluster),
    /// On a server whose standby a test can promote.
    Pair(Box<Pair>),
}

impl Shared {
    pub(super) fn cluster(&self) -> &Cluster {
        match self {
            Self::Database(database) => database.cluster(),
            Self::Own(cluster) => cluster,
            Self::Pair(pair) => pair.current(),
        }
    }

    /// Returns the URL of the database through a relay. That of a pair names the standby, too.
    fn url_through(&self, relay: SocketAddr) -> String {
        match self {
            Self::Database(_) | Self::Own(_) => format!("postgres://postgres@{relay}/{}", self.name()),
            Self::Pair(pair) => {
                let servers = format!("{relay},{}", pair.standby().address());
                format!("postgres://postgres@{servers}/{}?target_session_attrs=read-write", self.name())
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Database(database) => database.name(),
            Self::Own(_) | Self::Pair(_) => "postgres",
        }
    }
}

/// One hub, which may be stopped.
struct Hub {
    home: Home,
    server: RwLock<Option<Server>>,
    to_database: TcpRelay,
    to_bus: TcpRelay,
}

/// Three hubs. The term is loaded and open at each.
pub(super) struct Trio {
    hubs: [Hub; HUBS],
    pub(super) shared: Shared,
    pub(super) students: usize,
}

/// Returns a database on the server that all tests share.
pub(super) fn shared_database() -> Shared {
    Shared::Database(cluster().create_database("template1"))
}

/// Returns a database on a server of its own.
pub(super) fn own_database() -> Shared {
    Shared::Own(postgres::start_own())
}

impl Trio {
    /// Starts the hubs, each on one of the NATS servers, and opens the term for this number of students. `start` starts
    /// one hub.
    pub(super) fn start_with(
        shared: Shared,
        nats: [&NatsServer; HUBS],
        students: usize,
        start: impl Fn(usize, &Home) -> Server,
    ) -> Self {
        let hub = |index: usize| {
            let to_database = TcpRelay::start(shared.cluster().address());
            let to_bus = TcpRelay::start(nats[index].address());
            let home = Home::new()
                .setting("store.url", &shared.url_through(to_database.address()))
                .setting("bus.url", &format!("nats://{}", to_bus.address()))
                .setting("registration.credit_limit", "0");
            let server = RwLock::new(Some(start(index, &home)));
            Hub { home, server, to_database, to_bus }
        };
        let trio = Self { hubs: [hub(0), hub(1), hub(2)], shared, students };
        trio.load();
        trio
    }

    /// Starts the hubs, all on one NATS server.
    pub(super) fn start(shared: Shared, nats: &NatsServer, students: usize) -> Self {
        Self::start_with(shared, [nats; HUBS], students, |_, home| home.serve())
    }

    /// Imports the sections at the first hub, opens the term, and waits until each hub shows it.
    fn load(&self) {
        schedule(self.students).load(&mut self.client(0).signed_in(&self.home(0).token("registrar", "staff")));
        for index in 0..HUBS {
            eventually("the open term at each hub", || {
                let terms = self.client(index).get("/api/v1/terms").expect(200).json();
                let is_open = |term: &Value| term["id"] == TERM && term["opens_at"].is_string();
                terms["items"].as_array()?.iter().any(is_open).then_some(())
            });
        }
    }

    pub(super) fn home(&self, index: usize) -> &Home {
        &self.hubs[index].home
    }

    /// Returns the relay between a hub and PostgreSQL.
    pub(super) fn to_database(&self, index: usize) -> &TcpRelay {
        &self.hubs[index].to_database
    }

    /// Returns the relay between a hub and NATS.
    pub(super) fn to_bus(&self, index: usize) -> &TcpRelay {
        &self.hubs[index].to_bus
    }

    fn server(&self, index: usize) -> RwLockReadGuard<'_, Option<Server>> {
        self.hubs[index].server.read()
    }

    /// Returns the address of a hub; `None` while it is stopped.
    pub(super) fn address(&self, index: usize) -> Option<SocketAddr> {
        self.server(index).as_ref().map(Server::address)
    }

    /// Opens a connection to a hub, which must be running.
    pub(super) fn client(&self, index: usize) -> Client {
        Client::connect(self.address(index).expect("a running hub")).expect("the hub accepts connections")
    }

    /// Returns the first metric whose line starts with `name`.
    pub(super) fn metric(&self, index: usize, name: &str) -> f64 {
        self.server(index).as_ref().expect("a running hub").metric(name)
    }

    /// Waits until `/readyz` of a hub meets the condition.
    pub(super) fn wait_for_readiness(&self, index: usize, what: &str, condition: impl Fn(&Value) -> bool) {
        let ready = || Some(self.client(index).get("/readyz").json()).filter(&condition);
        eventually(&format!("hub {index} to be {what}"), ready);
    }

    /// Waits until each hub is ready, is connected to the bus, and receives messages from at least `others` hubs.
    pub(super) fn wait_until_whole(&self, others: usize) {
        for index in 0..HUBS {
            self.wait_for_readiness(index, "ready and connected", |ready| {
                ready["ready"] == true && ready["bus"] == "connected"
            });
            let connected = || self.metric(index, "eduhub_bus_hubs") >= others as f64;
            eventually("messages of the other hubs", || connected().then_some(()));
        }
    }

    /// Kills a hub.
    pub(super) fn kill(&self, index: usize) {
        self.hubs[index].server.write().take().expect("a running hub").kill();
    }

    /// Restarts a killed hub in its folder.
    pub(super) fn start_again(&self, index: usize) {
        let server = self.home(index).serve();
        *self.hubs[index].server.write() = Some(server);
    }

    pub(super) fn signal(&self, index: usize, signal: Signal) {
        let pid = self.server(index).as_ref().expect("a running hub").pid();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Lets the relays of all hubs pass data again.
    fn heal(&self) {
        for index in 0..HUBS {
            self.to_database(index).set(Mode::Pass);
            self.to_bus(index).set(Mode::Pass);
        }
    }

    /// Waits until all hubs show the newest state, and audits it. Returns the seats that they show.
    pub(super) fn audit(&self, records: &[DeviceRecord]) -> Value {
        self.heal();
        self.wait_until_whole(0);
        // Each hub lists the sections in its own order.
        let shown = |index: usize| {
            let mut seats = self.client(index).get(&format!("/api/v1/seats?term={TERM}")).expect(200).json();
            seats["seats"].as_array_mut().expect("seats").sort_by_key(ToString::to_string);
            seats
        };
        let equal = poll_until_deadline(|| {
            let first = shown(0);
            (1..HUBS).all(|index| shown(index) == first).then_some(first)
        });
        let seats = equal.unwrap_or_else(|| panic!("the hubs show {}, {} and {}", shown(0), shown(1), shown(2)));
        let tables = auditor::Tables::read(&self.shared);
        tables.audit(&schedule(self.students), records, &seats);
        self.home(0).verify().unwrap();
        seats
    }
}
