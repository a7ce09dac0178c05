//! All clients of a college reconnect at the same moment, while seats change and alerts are sent.
//!
//! `FAULT_CLIENTS=9000` sets the number of clients.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eduhub::domain::alert::{Alert, AlertContent, Category, MESSAGE_LEN_MAX, Priority};
use eduhub::domain::audience::Audience;
use eduhub::store::alerts::AlertStore as _;
use eduhub::store::sqlite::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::task::{JoinError, LocalSet, spawn_local};

use crate::crowd::{Incoming, connect, contains, is_type, number_after, processor_time, upgrade};
use crate::support::WAIT_MAX;
use crate::support::http::Client;
use crate::support::random::length_of_run;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};

const TERM: &str = "203001";
/// Number of sections, whose snapshot takes several frames.
const SECTIONS: u32 = 600;
/// Number of alerts that each client has missed: several pages of the store.
const MISSED: usize = 100;
/// Number of clients that are far behind, and of the alerts that they have missed, each as long as possible: more than
/// the buffers of a connection hold.
const CLIENTS_BEHIND: usize = 4;
const MISSED_BY_FAR: usize = 1_200;
/// Number of alerts that are sent before these clients read on: more than the queue of a session holds.
const SENT_MEANWHILE: usize = 120;
/// Maximum number of rounds until an alert is sent before all clients that are far behind are live.
const ROUNDS_BEHIND: usize = 5;
/// Number of alerts that are stored at once.
const STORED_AT_ONCE: usize = 500;
/// Sections of the student who changes seats: more would exceed the credit limit.
const CHANGED: usize = 4;
/// The smallest number of clients with which the hub has its usual settings and may take minutes.
const CLIENTS_MANY: usize = 1_000;
/// The pause between two rounds of changes and alerts if there are that many clients: faster than at any college.
const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// One client in this many compares all seats that it received with the hub's.
const COMPARED_STEP: usize = 20;

/// A stage that each client reaches.
#[derive(Default)]
struct Stage {
    count: Cell<usize>,
    last: Cell<Option<Instant>>,
}

impl Stage {
    fn reached(&self) {
        self.count.set(self.count.get() + 1);
        self.last.set(Some(Instant::now()));
    }
}

/// The number of alerts that are sent before the clients read more than the first frame.
#[derive(Default)]
struct Pause {
    alerts: usize,
    sent: AtomicUsize,
}

impl Pause {
    fn is_on(&self) -> bool {
        self.sent.load(Ordering::Relaxed) < self.alerts
    }
}

/// State that all clients share.
#[derive(Default)]
struct Crowd {
    pause: Arc<Pause>,
    connected: Stage,
    upgraded: Stage,
    welcomed: Stage,
    live: Stage,
    /// The sequence of the last seat change, once it is known.
    last_seats: Cell<u64>,
    /// How many clients were asked to reconnect later.
    refused: Cell<usize>,
    closed: RefCell<Vec<String>>,
    seats: RefCell<Vec<Value>>,
}

/// The frames that a client has received, as far as a test needs them.
#[derive(Default)]
struct Received {
    alerts: Vec<u64>,
    is_welcomed: bool,
    is_live: bool,
    is_subscribed: bool,
    is_last: bool,
    seats_seq: u64,
    seats: HashMap<String, Value>,
}

impl Received {
    const fn is_ready(&self) -> bool {
        self.is_live && self.is_subscribed
    }

    /// Reads a frame. Most frames are seats, which most clients only have to receive.
    fn read(&mut self, frame: &str, compares: bool) {
        if is_type(frame, "live") {
            self.is_live = true;
        } else if is_type(frame, "welcome") {
            self.is_welcomed = true;
        } else if is_type(frame, "alert") {
            self.alerts.push(number_after(frame, "\"seq\":"));
            self.is_last = contains(frame, "\"title\":\"The last\"");
        } else if is_type(frame, "subscribed") || is_type(frame, "seats") {
            self.is_subscribed |= is_type(frame, "subscribed");
            self.seats_seq = number_after(frame, "\"seq\":");
            if compares {
                let frame: Value = serde_json::from_str(frame).expect("JSON");
                for row in frame["seats"].as_array().into_iter().flatten() {
                    self.seats.insert(row[0].as_str().expect("an id").to_owned(), row.clone());
                }
            }
        }
    }
}

fn schedule() -> Schedule {
    let row = |index: u32| Row {
        crn: (30_001 + index).to_string(),
        course: format!("PHYS {}", 101 + index),
        component: "lecture".into(),
        credits: "1",
        days: Days::Mwf,
        start: 7 * 60 + (index % 12) * 60,
        end: 7 * 60 + (index % 12) * 60 + 50,
        capacity: 20,
        waitlist: 0,
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

fn post_alert(registrar: &mut Client, title: &str) -> u64 {
    let alert = json!({"title": title, "message": "Room 12 is flooded. ".repeat(20), "audience": {"all": true}});
    registrar.post_json("/api/v1/alerts", &alert).expect(201).json()["seq"].as_u64().expect("a position")
}

fn seats(server: &Server) -> Value {
    server.client().get(&format!("/api/v1/seats?term={TERM}")).expect(200).json()
}

/// Sends alerts until `pause` is over. Then registers and drops sections, and sends an alert after each round,
/// until `stop` is set. Waits for `between` after each round: with thousands of clients, the hub would otherwise send
/// alerts as fast as it can.
fn change_seats(server: &Server, home: &Home, pause: &Pause, stop: &AtomicBool, between: Duration) {
    let mut student = server.client().signed_in(&home.token("ada", "student"));
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
    while pause.is_on() {
        post_alert(&mut registrar, "Flood");
        pause.sent.fetch_add(1, Ordering::Relaxed);
    }
    let ids = schedule().ids();
    for first in (0..ids.len() - CHANGED).cycle() {
        let paths: Vec<_> =
            ids[first..first + CHANGED].iter().map(|id| format!("/api/v1/me/registrations/{id}")).collect();
        for path in &paths {
            student.put(path).expect(201);
        }
        for path in &paths {
            student.delete(path).expect(200);
        }
        post_alert(&mut registrar, "Flood");
        if stop.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(between);
    }
}

/// Resumes. If the hub asks the client to reconnect later, waits and resumes again; the hub must not ask a second time.
async fn resume(address: SocketAddr, seats_since: u64, compares: bool, crowd: &Crowd) -> Vec<u64> {
    let mut was_refused = false;
    loop {
        match attempt(address, seats_since, compares, crowd).await {
            Ok(alerts) => return alerts,
            Err(pause) => {
                if std::mem::replace(&mut was_refused, true) {
                    crowd.closed.borrow_mut().push("asked to reconnect later a second time".to_owned());
                    return Vec::new();
                }
                crowd.refused.set(crowd.refused.get() + 1);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Connects, resumes from the first alert, and reads until everything has arrived. Fails with the pause that the hub
/// asks for.
async fn attempt(address: SocketAddr, seats_since: u64, compares: bool, crowd: &Crowd) -> Result<Vec<u64>, Duration> {
    let stream = connect(address, None).await;
    crowd.connected.reached();
    let mut socket = upgrade(stream, "/alerts/ws?since=0").await;
    crowd.upgraded.reached();
    let hello = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats_since});
    let mut received = Received::default();
    loop {
        let (was_ready, was_welcomed) = (received.is_ready(), received.is_welcomed);
        let mut closed = None;
        let is_open = socket.read(|message| match message {
            Incoming::Text(frame) => received.read(frame, compares),
            Incoming::Close(code, reason) => closed = Some((code, reason.to_owned())),
        });
        let is_open = is_open.await;
        if let Some((1012, reason)) = &closed {
            let reason: Value = serde_json::from_str(reason).expect("a reason in JSON");
            return Err(Duration::from_millis(reason["retry_ms"].as_u64().expect("a pause")));
        }
        if closed.is_some() || !is_open {
            crowd.closed.borrow_mut().push(format!("{closed:?} (live: {})", received.is_live));
            return Ok(received.alerts);
        }
        if !was_welcomed && received.is_welcomed {
            crowd.welcomed.reached();
            socket.send(&hello.to_string()).await;
            while crowd.pause.is_on() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if !was_ready && received.is_ready() {
            crowd.live.reached();
        }
        if received.is_last && received.seats_seq >= crowd.last_seats.get() {
            let seats = received.seats.into_values();
            crowd.seats.borrow_mut().push(seats.collect());
            return Ok(received.alerts);
        }
    }
}

/// Loads the sections, calls `store_missed`, which stores the alerts that all clients miss, and restarts the hub.
/// Returns the hub and the sequence up to which the clients have the seats.
fn serve_after_restart(home: &Home, store_missed: impl FnOnce(&mut Client)) -> (Server, u64) {
    let server = home.serve();
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
    schedule().load(&mut registrar);
    let seats_since = seats(&server)["seq"].as_u64().expect("a sequence");
    store_missed(&mut registrar);
    server.stop();
    (home.serve(), seats_since)
}

/// Stores alerts in the store of a stopped hub.
fn store_alerts(home: &Home, count: usize) {
    let path = home.folder().join("eduhub.db");
    let store = SqliteStore::open(SqliteOptions { path, outbox: None }).expect("the store is opened");
    let now = Timestamp::now();
    let alert = |index: usize| Alert {
        id: format!("missed-{index}"),
        seq: None,
        content: AlertContent {
            title: "Flood".into(),
            message: "x".repeat(MESSAGE_LEN_MAX),
            priority: Priority::Medium,
            category: Category::System,
            audience: Audience::everyone(),
            starts_at: None,
            expires_at: None,
            requires_ack: false,
            notice: None,
            cap: None,
        },
        source: "staff".into(),
        sender: "registrar".into(),
        sender_name: None,
        created_at: now,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for first in (0..count).step_by(STORED_AT_ONCE) {
        let alerts = (first..count.min(first + STORED_AT_ONCE)).map(alert);
        let posted = join_all(alerts.map(|alert| store.post(alert, now.to_zoned_datetime(TimeZone::UTC))));
        assert!(runtime.block_on(posted).iter().all(Result::is_ok), "the alerts are stored");
    }
    store.close();
}

/// Waits until all clients are live, and prints when the last one reached each stage.
async fn wait_for_live(crowd: &Crowd, clients: usize, limit: Duration, hub: u32) {
    let started = Instant::now();
    let [hub_before, crowd_before] = [hub, std::process::id()].map(processor_time);
    while crowd.live.count.get() < clients && crowd.closed.borrow().is_empty() && started.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stages = [&crowd.connected, &crowd.upgraded, &crowd.welcomed, &crowd.live];
    let times = stages.map(|stage| (stage.count.get(), stage.last.get().map(|last| last - started)));
    println!("of {clients} clients connected, upgraded, welcomed, live: {times:.1?}");
    let [hub, crowd] = [processor_time(hub) - hub_before, processor_time(std::process::id()) - crowd_before];
    let each = hub / u32::try_from(clients).expect("a number of clients");
    println!(
        "processor time until then: {hub:.1?} of the hub ({each:.0?} for each client), {crowd:.1?} of the clients"
    );
}

/// Resumes with all clients at once, while seats change and alerts are sent. Checks that no client is closed, and that
/// each has every alert and the newest seats. Waits at most twice `limit`.
fn resume_all(
    home: Home,
    server: Arc<Server>,
    seats_since: u64,
    clients: usize,
    paused: usize,
    limit: Duration,
) -> Arc<Server> {
    let pause = Arc::new(Pause { alerts: paused, ..Pause::default() });
    let token = home.token("registrar", "staff");
    let stop = Arc::new(AtomicBool::new(false));
    let changes = {
        let (server, pause, stop) = (server.clone(), pause.clone(), stop.clone());
        let between = if clients < CLIENTS_MANY { Duration::ZERO } else { ROUND_PAUSE };
        thread::spawn(move || change_seats(&server, &home, &pause, &stop, between))
    };
    let crowd = Rc::new(Crowd { pause, last_seats: Cell::new(u64::MAX), ..Crowd::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (shared, address) = (crowd.clone(), server.address());
    let received = LocalSet::new().block_on(&runtime, async move {
        let tasks: Vec<_> = (0..clients)
            .map(|index| {
                let crowd = shared.clone();
                spawn_local(async move { resume(address, seats_since, index % COMPARED_STEP == 0, &crowd).await })
            })
            .collect();
        wait_for_live(&shared, clients, limit, server.pid()).await;
        stop.store(true, Ordering::Relaxed);
        let changed = tokio::task::spawn_blocking(move || {
            changes.join().expect("the changes succeed");
            (seats(&server), server)
        });
        let (final_seats, server) = changed.await.expect("the seats can be read");
        // Clients check the condition when a frame arrives.
        shared.last_seats.set(final_seats["seq"].as_u64().expect("a sequence"));
        let last = tokio::task::spawn_blocking(move || {
            (post_alert(&mut server.client().signed_in(&token), "The last"), server)
        });
        let (last, server) = last.await.expect("the last alert is sent");
        let received = tokio::time::timeout(limit, join_all(tasks)).await;
        assert_eq!(shared.closed.borrow()[..], [] as [String; 0], "no client is closed");
        (received.expect("all clients get everything"), final_seats, last, server)
    });
    let (received, final_seats, last, server) = received;
    let expected: Vec<u64> = (1..=last).collect();
    let is_complete = |alerts: Result<Vec<u64>, JoinError>| alerts.expect("no client panics") == expected;
    assert!(received.into_iter().all(is_complete), "every alert once, in order");
    let is_final = |row: &Value| final_seats["seats"].as_array().is_some_and(|rows| rows.contains(row));
    let compared = crowd.seats.borrow();
    assert!(compared.iter().flat_map(|rows| rows.as_array().unwrap()).all(is_final), "the newest seats");
    assert!(server.metric("eduhub_sessions_evicted_total") < 1.0);
    println!("{} refused, {} frames", crowd.refused.get(), server.metric("eduhub_frames_sent_total"));
    server
}

/// Returns the number of reads of missed alerts from memory and from the store.
fn replay_reads(server: &Server) -> [f64; 2] {
    ["memory", "store"].map(|source| server.metric(&format!("eduhub_replay_reads_total{{source=\"{source}\"}}")))
}

#[test]
fn all_clients_resume_at_once_without_a_read_of_the_store() {
    let clients = length_of_run("FAULT_CLIENTS", 600);
    eduhub::machine::raise_open_files(clients);
    let (mut home, mut limit) = (Home::new(), 5 * WAIT_MAX);
    if clients < CLIENTS_MANY {
        home = home.setting("server.seats_tick_ms", "10").setting("server.workers", "1");
        limit = WAIT_MAX;
    }
    let (server, seats_since) = serve_after_restart(&home, |registrar| {
        for _ in 0..MISSED {
            post_alert(registrar, "Flood");
        }
    });
    let server = resume_all(home, Arc::new(server), seats_since, clients, 0, limit);
    // Each client reads the range and at least one page. Control: without the tail, the store is read as often.
    let [memory, store] = replay_reads(&server);
    assert!(memory >= 2.0 * clients as f64 && store < 1.0, "{memory} reads from memory, {store} from the store");
}

#[test]
fn clients_far_behind_are_not_disconnected_while_they_catch_up() {
    let caught_up = || {
        let home = Home::new().setting("server.seats_tick_ms", "10").setting("server.workers", "1");
        let (server, seats_since) = serve_after_restart(&home, |_| {});
        server.stop();
        store_alerts(&home, MISSED_BY_FAR);
        let server = Arc::new(home.serve());
        let server = resume_all(home, server, seats_since, CLIENTS_BEHIND, SENT_MEANWHILE, WAIT_MAX);
        server.metric("eduhub_sessions_caught_up_total")
    };
    // Control: alerts were held back while clients caught up. On a busy machine, they may be live before one is sent.
    assert!((0..ROUNDS_BEHIND).any(|_| caught_up() > 0.0), "no client was behind");
}
