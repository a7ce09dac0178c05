//! A server with live sessions only, on an embedded store. The query string of a connection names its user, because
//! these tests do not cover identity.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use actix_web::{App, HttpRequest, HttpServer, web};
use eduhub::alerts::acks::AckQueue;
use eduhub::bus::local::LocalBus;
use eduhub::bus::{Bus, Event, Subscribe};
use eduhub::clock::{Clock, SystemClock};
use eduhub::domain::alert::{Alert, AlertContent, Category, Priority};
use eduhub::domain::channel::Channel;
use eduhub::domain::ids::{Crn, SectionId, TaskId, TermId, UserName};
use eduhub::domain::import::TaskReport;
use eduhub::domain::published::{PublishedSection, PublishedTerm, TermUpdate};
use eduhub::domain::role::Role;
use eduhub::domain::section::{Credits, Section, SectionState, SectionStatus};
use eduhub::domain::term::Term;
use eduhub::identity::{Caller, Source};
use eduhub::live::broker::{Broker, DrainAll};
use eduhub::live::close::Close;
use eduhub::live::context::{Live, LiveOptions};
use eduhub::live::presence::{ConnectionLimits, Presence};
use eduhub::live::relay::Relay;
use eduhub::live::request::LiveRequest;
use eduhub::live::sse;
use eduhub::live::ws;
use eduhub::registration::readmodel::{ReadModel, Row};
use eduhub::registration::section_json::SeatRow;
use eduhub::store::alerts::AlertStore;
use eduhub::store::sqlite::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

use crate::support::WAIT_MAX;
use crate::support::events::EventStream;
use crate::support::socket::Socket;

pub(crate) const TERM: &str = "202209";
/// Number of sections in the term. A snapshot of all of them is split into several frames.
const SECTIONS: u32 = 600;

pub(crate) struct Options {
    pub(crate) connections_max: usize,
    pub(crate) heartbeat: Duration,
}

pub(crate) fn options() -> Options {
    Options { connections_max: 0, heartbeat: Duration::from_secs(600) }
}

pub(crate) struct Hub {
    pub(crate) live: Arc<Live>,
    address: SocketAddr,
    store: SqliteStore,
    bus: LocalBus,
    broker: Addr<Broker>,
    runtime: tokio::runtime::Runtime,
    server: actix_web::dev::ServerHandle,
    _folder: tempfile::TempDir,
}

impl Hub {
    #[expect(clippy::needless_pass_by_value, reason = "callers create the options in place")]
    pub(crate) fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        let store = SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap();
        let model = Arc::new(ReadModel::new());
        model.publish_loaded(term());
        let limits = ConnectionLimits { all: options.connections_max, ..Default::default() };
        let live = Arc::new(Live {
            presence: Arc::new(Presence::new(limits)),
            alerts: Arc::new(store.clone()),
            tail: Arc::default(),
            acks: AckQueue::new(Arc::new(store.clone())),
            model,
            clock: Arc::new(SystemClock),
            is_token_valid: Box::new(|_| true),
            is_withheld: Box::new(|_| Box::pin(std::future::ready(Ok(false)))),
            options: LiveOptions {
                seats_tick: Duration::from_millis(5),
                heartbeat: options.heartbeat,
                ..LiveOptions::default()
            },
        });
        let presence = live.presence.clone();
        let bus = LocalBus::new(move |user| presence.is_connected(user));
        let events = bus.subscribe();
        let (sender, ready) = mpsc::channel();
        let shared = live.clone();
        thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let broker = Broker::new(shared.clone(), events).start();
                let relay_broker = broker.clone();
                let server = HttpServer::new(move || {
                    let relay = Relay::new(shared.clone(), relay_broker.clone()).start();
                    App::new()
                        .app_data(web::Data::new(shared.clone()))
                        .app_data(web::Data::new(relay))
                        .route("/alerts/ws", web::get().to(upgrade))
                        .route("/alerts/stream", web::get().to(stream))
                })
                .workers(2)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((broker, server.handle(), address)).unwrap();
                server.await.unwrap();
            });
        });
        let (broker, server, address) = ready.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { live, address, store, bus, broker, runtime, server, _folder: folder }
    }

    /// Opens a WebSocket. The query string names the user and the sequence from which to resume.
    pub(crate) fn connect(&self, query: &str) -> Socket {
        Socket::connect_to(self.address, &format!("/alerts/ws{query}"), None, &[])
    }

    /// Opens a stream of events, with a query string as in [`Self::connect`]. `last_id` is the id of the last event
    /// that the client received; empty for none.
    pub(crate) fn stream(&self, query: &str, last_id: &str) -> EventStream {
        let headers: &[(&str, &str)] = if last_id.is_empty() { &[] } else { &[("Last-Event-ID", last_id)] };
        EventStream::open(self.address, &format!("/alerts/stream{query}"), headers)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends an alert to everyone and returns its sequence.
    pub(crate) fn post(&self, title: &str) -> u64 {
        self.post_to(&serde_json::json!({"all": true}), title)
    }

    /// Sends an alert to an audience and returns its sequence.
    pub(crate) fn post_to(&self, audience: &Value, text: &str) -> u64 {
        let now = SystemClock.now();
        let content = AlertContent {
            title: text.chars().take(200).collect(),
            message: text.to_owned(),
            priority: Priority::Medium,
            category: Category::System,
            audience: serde_json::from_value(audience.clone()).unwrap(),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
            notice: None,
            cap: None,
        };
        let id = Uuid::now_v7().to_string();
        let (source, sender) = ("staff".to_owned(), "test".to_owned());
        let alert = Alert { id, seq: None, content, source, sender, sender_name: None, created_at: now };
        let alert = self.runtime.block_on(self.store.post(alert, now.to_zoned_datetime(TimeZone::UTC))).unwrap();
        self.bus.publish(Event::AlertsStored { seq: alert.seq });
        alert.seq.unwrap()
    }

    /// Deletes the oldest `count` entries of the alert log, and then removes them from the tail, as the broker does.
    pub(crate) fn delete_oldest_alerts(&self, count: usize) {
        let deletion = self.store.delete_before(Timestamp::MAX, count);
        assert_eq!(self.runtime.block_on(deletion).unwrap(), count);
        let stored = self.runtime.block_on(self.store.stored_range()).unwrap();
        self.live.tail.trim(stored.first);
    }

    /// Publishes the sign-out of a user: the end of one token, or of all.
    pub(crate) fn sign_out(&self, user: &str, token: Option<u128>) {
        let user = UserName::parse(user).unwrap();
        self.bus.publish(Event::SignedOut { user, token: token.map(Uuid::from_u128), issued_until: None });
    }

    /// Publishes the progress of an import that has read `rows` rows.
    pub(crate) fn publish_import(&self, task: &str, rows: u64) {
        let task = TaskId::parse(task).unwrap();
        let mut report = TaskReport::new(task, None, 1, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
        report.rows = rows;
        self.bus.publish(Event::ImportProgress(Arc::new(report)));
    }

    /// Starts the shutdown of all live sessions.
    pub(crate) fn drain(&self) {
        self.broker.do_send(DrainAll);
    }

    /// Publishes a commit in which each of these sections has one more student, and returns its sequence.
    pub(crate) fn take_seats(&self, crns: &[&str]) -> u64 {
        take_seats(&self.live.model, crns)
    }

    /// Publishes commits for 800 ms, on a thread that returns the last sequence.
    pub(crate) fn keep_changing_seats(&self) -> JoinHandle<u64> {
        let model = self.live.model.clone();
        thread::spawn(move || {
            let start = Instant::now();
            let (mut seq, mut n) = (0, 0u32);
            while start.elapsed() < Duration::from_millis(800) {
                n += 1;
                seq = take_seats(&model, &[&format!("{}", 10_000 + n % SECTIONS)]);
            }
            seq
        })
    }

    /// Returns the same rows as `GET /api/v1/seats`, sorted by section.
    pub(crate) fn seats(&self) -> Vec<Value> {
        let snapshot = self.live.model.term(&TermId::parse(TERM).unwrap()).unwrap().snapshot();
        let to_json = |row: &Row| serde_json::to_value(SeatRow::new(&row.state)).unwrap();
        let mut rows: Vec<Value> = snapshot.rows().map(to_json).collect();
        rows.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
        rows
    }

    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out waiting until {what}");
            thread::yield_now();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // This sends the stop command. The future, which would wait for the end, is not needed.
        drop(self.server.stop(false));
    }
}

async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    live: web::Data<Arc<Live>>,
    relay: web::Data<Addr<Relay>>,
) -> actix_web::Result<actix_web::HttpResponse> {
    Ok(ws::open(live_request(&request, &live, &relay), &request, payload)?)
}

async fn stream(
    request: HttpRequest,
    live: web::Data<Arc<Live>>,
    relay: web::Data<Addr<Relay>>,
) -> actix_web::HttpResponse {
    let mut opening = live_request(&request, &live, &relay);
    let id = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    opening.since = id.or(opening.since);
    match sse::open(opening, "test", || false) {
        Ok(body) => actix_web::HttpResponse::Ok().content_type(sse::MEDIA_TYPE).body(body),
        Err(why) => actix_web::HttpResponse::ServiceUnavailable().body(why.name()),
    }
}

/// Reads a request for a live session from the query string.
fn live_request(request: &HttpRequest, live: &Arc<Live>, relay: &Addr<Relay>) -> LiveRequest {
    let url = request.query_string().to_owned();
    let get = |name: &str| url.split('&').filter_map(|pair| pair.split_once('=')).find(|p| p.0 == name).map(|p| p.1);
    let caller = match get("user") {
        Some("bad") => Err(Close::Unauthenticated),
        None => Ok(None),
        Some(user) => Ok(Some(Caller {
            user: UserName::parse(user).unwrap(),
            subjects: None,
            role: get("role").and_then(Role::parse).unwrap_or(Role::Student),
            source: Source::Hub,
            plone_user: None,
            token_id: Uuid::from_u128(get("token").map_or(0, |t| t.parse().unwrap())),
            name: user.into(),
            issued_ms: 0,
            expires_at: get("expires_ms")
                .map_or(Timestamp::MAX, |ms| SystemClock.now() + Duration::from_millis(ms.parse().unwrap())),
            realm: eduhub::domain::realm::Realm::College,
        })),
    };
    LiveRequest {
        live: live.clone(),
        relay: relay.clone(),
        caller,
        address: request.peer_addr().map_or(IpAddr::from([127, 0, 0, 1]), |a| a.ip()),
        since: get("since").map(|s| s.parse().unwrap()),
        channels: get("channel").and_then(Channel::parse).into_iter().collect(),
    }
}

fn term() -> PublishedTerm {
    let id = TermId::parse(TERM).unwrap();
    let section = |n: u32| {
        let section = Section {
            id: SectionId { term: id.clone(), crn: Crn::parse(&(10_000 + n).to_string()).unwrap() },
            course: format!("TEST {n}").into(),
            component: "lecture".into(),
            section: None,
            title: None,
            credits: Credits(3_000),
            instructor: None,
            method: None,
            campus: None,
            meetings: Vec::new(),
            capacity: 9,
            waitlist_capacity: 0,
            status: SectionStatus::Open,
            linked: Vec::new(),
            prerequisites: Vec::new(),
            cross_listed: None,
            reserved: Vec::new(),
            restrictions: Vec::new(),
            repeat_limit: None,
            original_crn: None,
            withdrawn: false,
        };
        PublishedSection { state: SectionState::new(Arc::new(section)), waitlist: Arc::from([]) }
    };
    PublishedTerm {
        term: Term::new(id.clone()),
        seq: 1,
        sections: (0..SECTIONS).map(section).collect(),
        students: Vec::new(),
        facts: Vec::new(),
    }
}

fn take_seats(model: &ReadModel, crns: &[&str]) -> u64 {
    let term = model.term(&TermId::parse(TERM).unwrap()).unwrap();
    let snapshot = term.snapshot();
    let changed = |crn: &&str| {
        let row = snapshot.row(&Crn::parse(crn).unwrap()).unwrap();
        let state = SectionState { enrolled: row.state.enrolled + 1, ..row.state.clone() };
        PublishedSection { state, waitlist: row.waitlist.clone() }
    };
    let seq = snapshot.seq + 1;
    term.publish(&TermUpdate { seq, sections: crns.iter().map(changed).collect(), ..TermUpdate::default() });
    seq
}
