//! All clients of a college reconnect at the same moment, while seats change and alerts are sent.
//!
//! `FAULT_CLIENTS=9000` sets the number of clients.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

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
/// Sections of the student who changes seats: more would exceed the credits.
const CHANGED: usize = 4;
/// Length of the read buffer of a client. It is small, because there are thousands of clients.
const READ_BUFFER_LEN: usize = 4_096;
/// One client in so many compares all seats that it received with the hub's.
const COMPARED_STEP: usize = 20;

/// What all clients share.
struct Crowd {
    live: Cell<usize>,
    /// The sequence of the last change of seats, once it is known.
    last_seats: Cell<u64>,
    /// How many clients were asked to reconnect later.
    refused: Cell<usize>,
    closed: RefCell<Vec<String>>,
    seats: RefCell<Vec<Value>>,
}

/// What a client has received.
#[derive(Default)]
struct Received {
    alerts: Vec<u64>,
    is_live: bool,
    is_subscribed: bool,
    is_last: bool,
    seats_seq: u64,
    seats: HashMap<String, Value>,
}

impl Received {
    fn read(&mut self, frame: &Value, compares: bool) {
        match frame["type"].as_str() {
            Some("live") => self.is_live = true,
            Some("alert") => {
                self.alerts.push(frame["seq"].as_u64().expect("a position"));
                self.is_last = frame["alert"]["title"] == "The last";
            }
            Some(kind @ ("subscribed" | "seats")) => {
                self.is_subscribed |= kind == "subscribed";
                self.seats_seq = frame["seq"].as_u64().expect("a sequence");
                for row in frame["seats"].as_array().into_iter().flatten().filter(|_| compares) {
                    self.seats.insert(row[0].as_str().expect("an id").to_owned(), row.clone());
                }
            }
            _ => {}
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

/// Registers and drops sections, and sends an alert after each round, until `stop` is set.
fn change_seats(server: &Server, home: &Home, stop: &AtomicBool) {
    let mut student = server.client().signed_in(&home.token("ada", "student"));
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
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
    }
}

/// Resumes, again after a pause if the hub asks for it.
async fn resume(address: SocketAddr, seats_since: u64, compares: bool, crowd: &Crowd) -> Vec<u64> {
    loop {
        match attempt(address, seats_since, compares, crowd).await {
            Ok(alerts) => return alerts,
            Err(pause) => {
                crowd.refused.set(crowd.refused.get() + 1);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Connects, resumes from the first alert, and reads until everything has arrived. Fails with the pause that the hub
/// asks for.
async fn attempt(address: SocketAddr, seats_since: u64, compares: bool, crowd: &Crowd) -> Result<Vec<u64>, Duration> {
    let stream = TcpStream::connect(address).await.expect("the server accepts connections");
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_LEN);
    let url = format!("ws://{address}/alerts/ws?since=0");
    let (mut socket, _) = client_async_with_config(url, stream, Some(config)).await.expect("an upgrade");
    let hello = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats_since});
    let mut received = Received::default();
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let was_ready = received.is_live && received.is_subscribed;
                // Most frames are seats, which most clients only have to receive.
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                if frame["type"] == "welcome" {
                    socket.send(Message::text(hello.to_string())).await.expect("an open connection");
                }
                received.read(&frame, compares);
                if !was_ready && received.is_live && received.is_subscribed {
                    crowd.live.set(crowd.live.get() + 1);
                }
            }
            Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1012 => {
                let reason: Value = serde_json::from_str(&frame.reason).expect("a reason in JSON");
                return Err(Duration::from_millis(reason["retry_ms"].as_u64().expect("a pause")));
            }
            Some(Ok(Message::Close(frame))) => {
                crowd.closed.borrow_mut().push(format!("{frame:?} (live: {})", received.is_live));
                return Ok(received.alerts);
            }
            Some(Ok(_)) => {}
            other => {
                crowd.closed.borrow_mut().push(format!("{other:?}"));
                return Ok(received.alerts);
            }
        }
        if received.is_last && received.seats_seq >= crowd.last_seats.get() {
            let seats = received.seats.into_values();
            crowd.seats.borrow_mut().push(seats.collect());
            return Ok(received.alerts);
        }
    }
}

#[test]
fn all_clients_resume_at_once_and_none_is_too_slow() {
    let clients = length_of_run("FAULT_CLIENTS", 600);
    let mut home = Home::new().setting("server.seats_tick_ms", "10");
    if clients < 1_000 {
        home = home.setting("server.workers", "1");
    }
    let server = Arc::new(home.serve());
    let mut registrar = server.client().signed_in(&home.token("registrar", "staff"));
    schedule().load(&mut registrar);
    let seats_since = seats(&server)["seq"].as_u64().expect("a sequence");
    for _ in 0..MISSED {
        post_alert(&mut registrar, "Flood");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let changes = {
        let (server, stop) = (server.clone(), stop.clone());
        thread::spawn(move || change_seats(&server, &home, &stop))
    };
    let crowd = Rc::new(Crowd {
        live: Cell::new(0),
        last_seats: Cell::new(u64::MAX),
        refused: Cell::new(0),
        closed: RefCell::default(),
        seats: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let started = Instant::now();
    let (shared, address) = (crowd.clone(), server.address());
    let received = LocalSet::new().block_on(&runtime, async move {
        let tasks: Vec<_> = (0..clients)
            .map(|index| {
                let crowd = shared.clone();
                spawn_local(async move { resume(address, seats_since, index % COMPARED_STEP == 0, &crowd).await })
            })
            .collect();
        while shared.live.get() < clients && shared.closed.borrow().is_empty() && started.elapsed() < WAIT_MAX {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{} of {clients} clients were live after {:.1?}", shared.live.get(), started.elapsed());
        stop.store(true, Ordering::Relaxed);
        let changed = tokio::task::spawn_blocking(move || {
            changes.join().expect("the changes succeed");
            (seats(&server), server)
        });
        let (final_seats, server) = changed.await.expect("the seats can be read");
        // Clients check the condition when a frame arrives.
        shared.last_seats.set(final_seats["seq"].as_u64().expect("a sequence"));
        let last = tokio::task::spawn_blocking(move || post_alert(&mut registrar, "The last"));
        let last = last.await.expect("the last alert is sent");
        let finish = async {
            let mut received = Vec::new();
            for task in tasks {
                received.push(task.await.expect("no client panics"));
            }
            received
        };
        let received = tokio::time::timeout(WAIT_MAX, finish).await;
        assert_eq!(shared.closed.borrow()[..], [] as [String; 0], "no client is closed");
        (received.expect("all clients get everything"), final_seats, last, server)
    });
    let (received, final_seats, last, server) = received;
    let expected: Vec<u64> = (1..=last).collect();
    assert!(received.iter().all(|alerts| *alerts == expected), "every alert once, in order");
    let is_final = |row: &Value| final_seats["seats"].as_array().is_some_and(|rows| rows.contains(row));
    let compared = crowd.seats.borrow();
    assert!(compared.iter().flat_map(|rows| rows.as_array().unwrap()).all(is_final), "the newest seats");
    assert!(server.metric("eduhub_sessions_evicted_total") < 1.0);
    println!("{} refused", crowd.refused.get());
    println!("{} catch-ups", server.metric("eduhub_sessions_caught_up_total"));
}
