//! Ten thousand subscribed WebSocket clients: the server's memory per client, and how fast one alert reaches all of them,
//! beside the textbook broadcast with the same clients and the same text.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bare::Bare;
use crate::frames::{Crowd, upgrade};
use crate::load::{Connection, patiently, request};
use crate::registrations::{TERM, schedule};
use crate::support::server::{Home, Server};
use crate::table::{median, number};
use crate::throughput::{Stopwatch, millis_per_thousand};
use crate::{block_on, machine, setting, table};

/// Alerts sent in each round.
const ALERTS: usize = 12;
/// Rounds of each server, taken in turns.
const ROUNDS: usize = 2;

/// Measurements of one server.
#[derive(Debug, Default)]
struct Measured {
    /// Bytes of memory per client: once all are subscribed, and after all alerts.
    subscribed: Vec<f64>,
    afterwards: Vec<f64>,
    /// Deliveries per second of each alert.
    rates: Vec<f64>,
    deliveries: usize,
    /// Processor time that the deliveries cost the server.
    server: Duration,
}

/// Prints the part.
pub fn run() {
    let clients = setting("EDUHUB_BENCH_CLIENTS", 10_000);
    let home = Home::new();
    let tokens = home.tokens("watcher", "student", clients);
    let staff = home.token("registrar", "staff");
    let (mut hub, mut bare) = (Measured::default(), Measured::default());
    for round in 0..ROUNDS {
        let server = home.serve();
        if round == 0 {
            schedule().load(&mut server.client().signed_in(&staff));
        }
        block_on(measure_hub(&server, &tokens, &staff, &mut hub));
        server.stop();
        block_on(measure_bare(clients, &alert_text(), &mut bare));
    }
    let row = |name: &str, mut measured: Measured| {
        let best = measured.rates.iter().copied().fold(0.0, f64::max);
        let kilobytes = |bytes: &mut [f64]| format!("{:.1}", median(bytes) / 1000.0);
        let memory = [kilobytes(&mut measured.subscribed), kilobytes(&mut measured.afterwards)];
        let rates = [number(median(&mut measured.rates)), number(best)];
        let server_time = millis_per_thousand(measured.server, measured.deliveries);
        [name.to_owned()].into_iter().chain(memory).chain(rates).chain([server_time]).collect()
    };
    table::print(
        &format!("One alert to {} subscribed WebSocket clients, {} times", number(clients as f64), ALERTS * ROUNDS),
        &[
            "",
            "kB per client,\nsubscribed",
            "kB per client,\nafter the alerts",
            "deliveries/s,\nmedian",
            "deliveries/s,\nbest",
            "server CPU, ms per\n1,000 deliveries",
        ],
        &[row("the hub: signed in, stored, sequenced", hub), row("bare actix-web-actors", bare)],
    );
    println!(
        "  an alert is delivered from the request that posts it, storing included, to its receipt by the last client"
    );
    println!("  server CPU: processor time (user and system) of the server process, from /proc");
    println!("  target: at most 16 kB per client, and at least as many deliveries a second as bare actix-web-actors");
}

async fn measure_hub(server: &Server, tokens: &[String], staff: &str, measured: &mut Measured) {
    let (address, pid) = (server.address(), server.pid());
    let mut registrar = patiently("connecting", Connection::open(address)).await;
    let seats = request("GET", &format!("/api/v1/seats?term={TERM}"), staff, "");
    let seats: Value = serde_json::from_slice(patiently("seats", registrar.exchange(&seats)).await.body).unwrap();
    let before = machine::resident_bytes(pid);
    let upgrades = tokens.iter().map(|token| upgrade("/alerts/ws", Some(token))).collect();
    // As a page does: it has read the seats and subscribes to what changes after that.
    let channels = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats["seq"]});
    let crowd = Crowd::gather(address, upgrades, Some(channels.to_string())).await;
    let alert = json!({"title": title(), "message": message(), "priority": "high", "audience": {"all": true}});
    let post = request("POST", "/api/v1/alerts", staff, &alert.to_string());
    alerts(pid, before, tokens.len(), &crowd, &mut registrar, (&post, 201), measured).await;
}

async fn measure_bare(clients: usize, text: &str, measured: &mut Measured) {
    let bare = Bare::start();
    let (address, pid): (SocketAddr, u32) = (bare.address, bare.pid());
    let mut poster = patiently("connecting", Connection::open(address)).await;
    let warm_up = request("POST", "/broadcast", "", "before any client is connected");
    patiently("a broadcast", poster.exchange(&warm_up)).await;
    let before = machine::resident_bytes(pid);
    let upgrades = (0..clients).map(|_| upgrade("/alerts/ws", None)).collect();
    let crowd = Crowd::gather(address, upgrades, Some("hello".into())).await;
    let post = request("POST", "/broadcast", "", text);
    alerts(pid, before, clients, &crowd, &mut poster, (&post, 200), measured).await;
}

/// Sends the alerts one after the other, each when the one before has reached all clients.
async fn alerts(
    pid: u32,
    before: u64,
    clients: usize,
    crowd: &Crowd,
    poster: &mut Connection,
    (post, status): (&[u8], u16),
    measured: &mut Measured,
) {
    let each = || machine::resident_bytes(pid).saturating_sub(before) as f64 / clients as f64;
    measured.subscribed.push(each());
    let stopwatch = Stopwatch::start(pid);
    for number in 1..=ALERTS {
        crowd.expect_alerts(number * clients);
        let begun = Instant::now();
        let answer = patiently("an alert", poster.exchange(post)).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
        let took = crowd.alerts_arrived().await - begun;
        measured.rates.push(clients as f64 / took.as_secs_f64());
    }
    measured.server += stopwatch.used();
    measured.deliveries += ALERTS * clients;
    assert_eq!(crowd.seen.hung_up.get(), 0, "clients were cut off");
    measured.afterwards.push(each());
}

fn title() -> String {
    "The north entrance is closed".into()
}

fn message() -> String {
    "Water has come into the north entrance of the science building. Use the doors beside the library. ".repeat(2)
}

/// Returns a frame as long as the hub's own.
fn alert_text() -> String {
    let alert = json!({
        "id": "0196f0a2-6a3c-7cc1-8f5e-0c3f7a1b2c3d", "seq": 12345, "title": title(), "message": message(),
        "priority": "high", "category": "system", "audience": {"all": true}, "source": "staff", "sender": "registrar",
        "created_at": "2030-01-07T08:00:00.000Z", "starts_at": null, "expires_at": null, "requires_ack": false,
    });
    format!(r#"{{"type":"alert","seq":12345,"alert":{alert}}}"#)
}
