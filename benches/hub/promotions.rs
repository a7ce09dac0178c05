//! The time from the drop of a seat to the push that notifies the next student on the waitlist, while 2,000 other
//! students read and register, each with a WebSocket that follows the seats.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::frames::{Crowd, upgrade};
use crate::mixed::with_users;
use crate::registrations::{TERM, schedule};
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::table::{met, millis, number, percentile};
use crate::throughput::Throughput;
use crate::{block_on, setting, table};

const STUDENTS: usize = 2_000;
/// Time between two requests of one student: 2,000 requests a second in all.
const PACE: Duration = Duration::from_secs(1);
/// Drops that are measured, each by the student whom the previous drop promoted.
const DROPS: usize = 1_000;
/// The section with one seat and a waitlist.
const SCARCE: &str = "SCARCE";
/// The target: the longest time from a drop to the push, at the 99th percentile.
const PUSH_MAX: Duration = Duration::from_millis(100);

/// Runs and prints this part.
pub fn run() {
    let home = Home::new();
    let server = home.serve();
    let scarce = Row { start: 22 * 60, end: 22 * 60 + 10, capacity: 1, waitlist: 5, ..Row::lecture(SCARCE, "ART 999") };
    let plain = schedule();
    let rows = plain.rows.into_iter().chain([scarce]).collect();
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    Schedule { rows, term: plain.term }.load(&mut staff);
    let pair = home.tokens("pair", "student", 2);
    let tokens = home.tokens("busy", "student", setting("EDUHUB_BENCH_BUSY", STUDENTS));
    let drops = setting("EDUHUB_BENCH_DROPS", DROPS);
    let alone = pushes(&server, &pair, drops);
    let seats = staff.get(&format!("/api/v1/seats?term={TERM}")).expect(200).json();
    let channels = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats["seq"]});
    let upgrades = tokens.iter().map(|token| upgrade("/alerts/ws", Some(token))).collect();
    let (busy, count, throughput) = while_connected(&server, upgrades, &channels, || {
        with_users(&server, &tokens, PACE, || pushes(&server, &pair, drops))
    });
    let mut all: Vec<Duration> = count.times.into_values().flatten().collect();
    print(alone, busy, &mut all, &throughput);
    server.stop();
}

/// Runs `work` while WebSockets are open on another thread. Returns its result.
fn while_connected<T>(server: &Server, upgrades: Vec<Vec<u8>>, channels: &Value, work: impl FnOnce() -> T) -> T {
    let (hello, address) = (channels.to_string(), server.address());
    let (connected, are_connected) = mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            block_on(async {
                let crowd = Crowd::connect(address, upgrades, Some(hello)).await;
                connected.send(()).expect("the measuring thread waits");
                // An error also means the end: the sender was dropped.
                let _ = ended.await;
                assert_eq!(crowd.counters.disconnected.get(), 0, "WebSockets were disconnected");
            });
        });
        are_connected.recv().expect("the clients connect");
        let result = work();
        drop(end);
        result
    })
}

/// Lets two students take turns with a seat: one drops it, and the other waits for the push of the promotion.
/// Returns how long each push took, measured from before the drop is sent.
fn pushes(server: &Server, tokens: &[String], drops: usize) -> Vec<Duration> {
    let path = format!("/api/v1/me/registrations/{TERM}-{SCARCE}");
    let mut clients = [0, 1].map(|one: usize| server.client().signed_in(&tokens[one]));
    let mut sockets = [0, 1].map(|one: usize| Socket::live(server.address(), "/alerts/ws", Some(&tokens[one])));
    clients[0].put(&path).expect(201);
    let mut times = Vec::with_capacity(drops);
    for number in 0..drops {
        let (holder, waiting) = (number % 2, (number + 1) % 2);
        clients[waiting].put(&format!("{path}?waitlist=true")).expect(201);
        let begun = Instant::now();
        clients[holder].delete(&path).expect(200);
        let promoted = |frame: &Value| frame["type"] == "registration" && frame["status"] == "enrolled";
        sockets[waiting].wait_for("the push of the promotion", promoted);
        times.push(begun.elapsed());
    }
    clients[drops % 2].delete(&path).expect(200);
    times
}

fn print(mut alone: Vec<Duration>, mut busy: Vec<Duration>, requests: &mut [Duration], throughput: &Throughput) {
    let row = |name: &str, times: &mut [Duration]| {
        let count = number(times.len() as f64);
        let percentiles = [50, 95, 99, 100].map(|p| millis(percentile(times, p)));
        [name.to_owned(), count].into_iter().chain(percentiles).collect()
    };
    let rows = [
        row("drop to push, no other students", &mut alone),
        row("drop to push, busy students", &mut busy),
        row("requests of the busy students", requests),
    ];
    let title = format!("From a drop to the promoted student's push, {} busy students", number(STUDENTS as f64));
    table::print(&title, &["", "count", "p50 ms", "p95 ms", "p99 ms", "slowest ms"], &rows);
    println!(
        "  each busy student sends a request every {PACE:?} and follows the seats; {} requests and {} writes a second",
        number(throughput.per_second(throughput.responses)),
        number(throughput.per_second(throughput.writes))
    );
    let is_met = percentile(&mut busy, 99) < PUSH_MAX;
    println!("  target: under {} ms at p99: {}", PUSH_MAX.as_millis(), met(is_met));
}
