//! One or two hubs on a PostgreSQL server that writes each commit to the disk, and the requests of a student's page.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::load::{Connection, Reply, expect_response, field, request};
use crate::registrations::{SLOTS, TERM, cart, schedule};
use crate::support::morning::{ACTIONS, Action};
use crate::support::nats::NatsServer;
use crate::support::postgres::{Cluster, start_durable};
use crate::support::random::Random;
use crate::support::schedule::Schedule;
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;

/// Sections in one page of the list, as in the student's page after its first request.
const PAGE: usize = 500;
/// Maximum number of hubs.
pub const HUBS: usize = 2;

/// The hubs and the database under measurement.
pub struct System {
    pub cluster: Cluster,
    /// Declared before `homes`, so that the servers end before their folders are removed.
    pub hubs: Vec<Server>,
    homes: Vec<Home>,
    nats: NatsServer,
    /// The paths of the pages of the list.
    pub pages: Vec<String>,
    pub schedule: Schedule,
    /// Resident memory of a hub without a term, in bytes.
    pub empty: f64,
}

/// The requests of a term, shared by the students of a thread.
pub struct Requests {
    pub ids: Vec<String>,
    /// The section that is full.
    pub full: String,
    pub pages: Vec<String>,
    /// Bytes of requests and responses.
    pub bytes: Cell<usize>,
    /// How often each hub served each action.
    pub acted: RefCell<[[usize; ACTIONS]; HUBS]>,
    /// The different responses that the hubs built.
    pub built: RefCell<HashSet<Built>>,
}

/// A response that a hub builds once for many requests.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Built {
    pub hub: usize,
    /// The [`Action`] to which it belongs.
    pub action: usize,
    path: String,
    etag: Vec<u8>,
}

impl System {
    /// Starts one hub and loads the term.
    pub fn start() -> Self {
        let mut schedule = schedule();
        (schedule.rows[0].capacity, schedule.rows[0].waitlist) = (1, 0);
        let (cluster, nats) = (start_durable(), NatsServer::start());
        let mut system =
            Self { cluster, hubs: Vec::new(), homes: Vec::new(), nats, pages: Vec::new(), schedule, empty: 0.0 };
        system.add_hub();
        system.empty = crate::machine::resident_bytes(system.hubs[0].pid()) as f64;
        let staff = system.homes[0].token("registrar", "staff");
        system.schedule.load(&mut system.hubs[0].client().signed_in(&staff));
        system.pages = system.find_pages();
        system
    }

    /// Starts another hub and waits until it has the term.
    pub fn add_hub(&mut self) {
        let url = format!("postgres://postgres@{}/postgres", self.cluster.address());
        let home = Home::new().setting("store.url", &url).setting("bus.url", &self.nats.url());
        let hub = home.serve();
        if !self.hubs.is_empty() {
            eventually("the open term at each hub", || {
                let terms = hub.client().get("/api/v1/terms").expect(200).json();
                terms["items"][0]["opens_at"].is_string().then_some(())
            });
        }
        self.homes.push(home);
        self.hubs.push(hub);
    }

    /// Mints tokens for students that the hubs do not know yet.
    pub fn tokens(&self, prefix: &str, count: usize) -> Vec<String> {
        self.homes[0].tokens(prefix, "student", count)
    }

    /// Mints tokens for students, and lets each send a request to a hub, so that they are not recorded as new later.
    pub fn known_tokens(&self, prefix: &str, count: usize, hub: usize) -> Vec<String> {
        let tokens = self.tokens(prefix, count);
        for token in &tokens {
            let mut client = self.hubs[hub].client().signed_in(token);
            client.get(&format!("/api/v1/me/registrations?term={TERM}")).expect(200);
        }
        self.wait_until_known(prefix, count);
        tokens
    }

    /// Waits until this many students whose names begin with `prefix` are recorded.
    pub fn wait_until_known(&self, prefix: &str, count: usize) {
        let sql = format!("SELECT count(*) FROM people WHERE username LIKE '{prefix}-%'");
        eventually("the recording of students", || (self.number(&sql) >= count as i64).then_some(()));
    }

    /// Returns the number that a query returns. The query runs on another thread, because it needs its own runtime.
    pub fn number(&self, sql: &str) -> i64 {
        std::thread::scope(|scope| scope.spawn(|| self.cluster.number(sql)).join().unwrap())
    }

    /// Returns the requests of the term.
    pub fn requests(&self) -> Rc<Requests> {
        let ids = self.schedule.ids();
        let full = ids[0].clone();
        let pages = self.pages.clone();
        Rc::new(Requests {
            ids,
            full,
            pages,
            bytes: Cell::default(),
            acted: RefCell::default(),
            built: RefCell::default(),
        })
    }

    fn find_pages(&self) -> Vec<String> {
        let (mut client, mut pages) = (self.hubs[0].client(), Vec::new());
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/sections?term={TERM}&limit={PAGE}{cursor}");
            let page = client.get(&path).expect(200).json();
            pages.push(path);
            match &page["next"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => return pages,
            }
        }
    }
}

/// One student with a connection and a cart.
pub struct Student {
    pub connection: Connection,
    hub: usize,
    token: String,
    requests: Rc<Requests>,
    cart: Vec<String>,
}

impl Student {
    pub async fn connect(
        system: &System,
        hub: usize,
        token: &str,
        requests: &Rc<Requests>,
        random: &mut Random,
    ) -> Self {
        let connection = expect_response("connecting", Connection::open(system.hubs[hub].address())).await;
        // The first section is the full one, so another section in the same slot replaces it.
        let section = |index: usize| requests.ids[if index == 0 { SLOTS } else { index }].clone();
        let cart = cart(random, &requests.ids).into_iter().map(section).collect();
        Self { connection, hub, token: token.to_owned(), requests: requests.clone(), cart }
    }

    /// Sends the requests of an action. Joining is not a request of this connection.
    pub async fn act(&mut self, action: Action) {
        self.requests.acted.borrow_mut()[self.hub][action as usize] += 1;
        match action {
            Action::Terms => self.read(action, "/api/v1/terms").await,
            Action::Seats => self.read(action, &format!("/api/v1/seats?term={TERM}")).await,
            Action::Own => self.read(action, &format!("/api/v1/me/registrations?term={TERM}")).await,
            Action::Sections => {
                for page in &self.requests.clone().pages {
                    self.read(action, page).await;
                }
            }
            Action::Register => {
                let section = self.cart.pop().expect("a section for each registration");
                self.put(&section, 201).await;
            }
            Action::Refused => {
                let full = self.requests.full.clone();
                self.put(&full, 409).await;
            }
            Action::Join => {}
        }
    }

    async fn put(&mut self, section: &str, status: u16) {
        let put = request("PUT", &format!("/api/v1/me/registrations/{section}"), &self.token, "");
        self.exchange(&put, status).await;
    }

    async fn read(&mut self, action: Action, path: &str) {
        let mut get = request("GET", path, &self.token, "");
        get.splice(get.len() - 2.., b"Accept-Encoding: br\r\n\r\n".iter().copied());
        if let Some(etag) = self.exchange(&get, 200).await {
            let built = Built { hub: self.hub, action: action as usize, path: path.to_owned(), etag };
            self.requests.built.borrow_mut().insert(built);
        }
    }

    /// Sends a request. Returns the ETag of the response, if there is one.
    async fn exchange(&mut self, bytes: &[u8], status: u16) -> Option<Vec<u8>> {
        let Reply { status: got, head, body } = expect_response("a response", self.connection.exchange(bytes)).await;
        let text = || String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
        assert_eq!(got, status, "{}: {}", text(), String::from_utf8_lossy(body));
        let count = &self.requests.bytes;
        count.set(count.get() + bytes.len() + head.len() + body.len());
        field(head, b"etag:").map(<[u8]>::to_vec)
    }
}

/// Waits until `seconds` after `begun`.
pub async fn until(begun: Instant, seconds: f64) {
    tokio::time::sleep_until((begun + Duration::from_secs_f64(seconds)).into()).await;
}
