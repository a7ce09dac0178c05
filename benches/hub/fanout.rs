//! Ten thousand subscribed WebSocket clients: the server's memory per client, and how fast an alert reaches all of
//! them, compared to a textbook broadcast with as many clients and a text of the same length.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bare::Bare;
use crate::frames::{Crowd, upgrade};
use crate::load::{Connection, expect_response, request};
use crate::registrations::{TERM, schedule};
use crate::support::server::{Home, Server};
use crate::table::{median, number};
use crate::throughput::{Stopwatch, millis_per_thousand};
use crate::{block_on, machine, setting, table};

/// Alerts sent in each round.
const ALERTS: usize = 12;
/// Rounds per server. The servers take turns.
const ROUNDS: usize = 2;

/// The results for one server.
#[derive(Debug, Default)]
struct Measured {
    /// Bytes of memory per client once all are subscribed.
    subscribed: Vec<f64>,
    /// Bytes of memory per client after all alerts.
    afterward: Vec<f64>,
    /// Deliveries per second of each alert.
    rates: Vec<f64>,
    deliveries: usize,
    /// Processor time of the server during the deliveries.
    server: Duration,
}

/// Runs and prints this part.
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
        let memory = [kilobytes(&mut measured.subscribed), kilobytes(&mut measured.afterward)];
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
        &[row("the hub (signed-in clients, stored alerts)", hub), row("bare actix-web-actors", bare)],
    );
    println!(
        "  measured from the request that posts an alert to its receipt by the last client; the hub stores the alert"
    );
    println!("  server CPU: processor time (user and system) of the server process, from /proc");
    println!("  target: at most 16 kB per client, and at least as many deliveries per second as bare actix-web-actors");
}

async fn measure_hub(server: &Server, tokens: &[String], staff: &str, measured: &mut Measured) {
    let (address, pid) = (server.address(), server.pid());
    let mut registrar = expect_response("connecting", Connection::open(address)).await;
    let seats = request("GET", &format!("/api/v1/seats?term={TERM}"), staff, "");
    let seats: Value = serde_json::from_slice(expect_response("seats", registrar.exchange(&seats)).await.body).unwrap();
    let before = machine::resident_bytes(pid);
    let upgrades = tokens.iter().map(|token| upgrade("/alerts/ws", Some(token))).collect();
    // Like a page, a client has read the seats and subscribes to later changes.
    let channels = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats["seq"]});
    let crowd = Crowd::connect(address, upgrades, Some(channels.to_string())).await;
    let alert = json!({"title": title(), "message": message(), "priority": "high", "audience": {"all": true}});
    let post = request("POST", "/api/v1/alerts", staff, &alert.to_string());
    alerts(pid, before, tokens.len(), &crowd, &mut registrar, (&post, 201), measured).await;
}

async fn measure_bare(clients: usize, text: &str, measured: &mut Measured) {
    let bare = Bare::start();
    let (address, pid): (SocketAddr, u32) = (bare.address, bare.pid());
    let mut poster = expect_response("connecting", Connection::open(address)).await;
    let warm_up = request("POST", "/broadcast", "", "before any client is connected");
    expect_response("a broadcast", poster.exchange(&warm_up)).await;
    let before = machine::resident_bytes(pid);
    let upgrades = (0..clients).map(|_| upgrade("/alerts/ws", None)).collect();
    let crowd = Crowd::connect(address, upgrades, Some("hello".into())).await;
    let post = request("POST", "/broadcast", "", text);
    alerts(pid, before, clients, &crowd, &mut poster, (&post, 200), measured).await;
}

/// Sends the alerts one by one, each after the previous one has reached all clients.
async fn alerts(
    pid: u32,
    before: u64,
    clients: usize,
    crowd: &Crowd,
    poster: &mut Connection,
    (post, status): (&[u8], u16),
    measured: &mut Measured,
) {
    let per_client = || machine::resident_bytes(pid).saturating_sub(before) as f64 / clients as f64;
    measured.subscribed.push(per_client());
    let stopwatch = Stopwatch::start(pid);
    for number in 1..=ALERTS {
        crowd.expect_alerts(number * clients);
        let begun = Instant::now();
        let response = expect_response("an alert", poster.exchange(post)).await;
        assert_eq!(response.status, status, "{}", String::from_utf8_lossy(response.body));
        let took = crowd.alerts_arrived().await - begun;
        measured.rates.push(clients as f64 / took.as_secs_f64());
    }
    measured.server += stopwatch.used();
    measured.deliveries += ALERTS * clients;
    assert_eq!(crowd.counters.disconnected.get(), 0, "clients were disconnected");
    measured.afterward.push(per_client());
}

fn title() -> String {
    "The north entrance is closed".into()
}

fn message() -> String {
    "Water has come into the north entrance of the science building. Use the doors beside the library. ".repeat(2)
}

/// Returns a frame of the same length as the hub's.
fn alert_text() -> String {
    let alert = json!({
        "id": "0196f0a2-6a3c-7cc1-8f5e-0c3f7a1b2c3d", "seq": 12345, "title": title(), "message": message(),
        "priority": "high", "category": "system", "audience": {"all": true}, "source": "staff", "sender": "registrar",
        "created_at": "2030-01-07T08:00:00.000Z", "starts_at": null, "expires_at": null, "requires_ack": false,
    });
    format!(r#"{{"type":"alert","seq":12345,"alert":{alert}}}"#)
}
