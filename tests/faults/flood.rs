//! Registrations while a visitor requests lists that are not cached, and a WebSocket client that never stops sending.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::memory::resident;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::{Socket, frame};
use crate::support::wait::eventually;

const MIB: u64 = 1024 * 1024;
/// The most that the flood may add to the resident memory.
const GROWTH_MAX: u64 = 64 * MIB;
const TERM: &str = "203001";
/// Sections of the term; a list of them has more than a megabyte.
const SECTIONS: usize = 2_000;
/// Students who register before the flood, and as many during it.
const STUDENTS: usize = 100;
/// Connections of the flood.
const FLOODERS: usize = 4;

/// Registers each student for a section of its own. Returns the 99th percentile of the response times.
fn register(server: &Server, schedule: &Schedule, tokens: &[String]) -> Duration {
    let mut times: Vec<_> = tokens
        .iter()
        .enumerate()
        .map(|(number, token)| {
            let id = schedule.id(&schedule.rows[number]);
            let mut student = server.client().signed_in(token);
            let started = Instant::now();
            student.put(&format!("/api/v1/me/registrations/{id}")).expect(201);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Requests lists of lengths that are not cached, until `is_over`: long ones, or short ones, which are built faster than
/// the limit allows on every machine.
fn flood(server: &Server, number: usize, is_over: &AtomicBool, [served, limited]: &[AtomicUsize; 2]) {
    let mut visitor = server.client();
    for query in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let length = if number.is_multiple_of(2) { 1_000 + query % 900 } else { 1 + query % 50 };
        let path = format!("/api/v1/sections?term={TERM}&limit={length}");
        let response = visitor.call("GET", &path, &[("Accept-Encoding", "br")], b"").expect("a response");
        match response.status {
            200 => served.fetch_add(1, Ordering::Relaxed),
            429 => {
                let retry: u64 = response.header("retry-after").expect("Retry-After").parse().expect("seconds");
                assert!(retry >= 1);
                limited.fetch_add(1, Ordering::Relaxed)
            }
            503 => 0,
            status => panic!("{path}: {status} {}", response.text()),
        };
    }
}

#[test]
fn a_visitors_flood_of_uncached_lists_is_limited_and_registrations_continue() {
    let home = Home::new();
    let server = home.serve();
    let row = |index: usize| Row::lecture(&format!("{}", 10_000 + index), &format!("MATH {}", 100 + index));
    let schedule = Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    assert!(server.stop().success());
    // Lower than the default limit, so that slow machines reach it, too.
    let home = home.setting("limits.requests_per_second", "20");
    let server = home.serve();
    let (before, during) = (home.tokens("early", "student", STUDENTS), home.tokens("late", "student", STUDENTS));
    let mut user = server.client().signed_in(&home.token("eve", "student"));
    user.get(&format!("/api/v1/sections?term={TERM}&limit=1999")).expect(200);
    let alone = register(&server, &schedule, &before);
    let (memory, is_over) = (resident(&server), AtomicBool::new(false));
    let counts = <[AtomicUsize; 2]>::default();
    let flooded = thread::scope(|scope| {
        for number in 0..FLOODERS {
            let (server, is_over, counts) = (&server, &is_over, &counts);
            scope.spawn(move || flood(server, number, is_over, counts));
        }
        let flooded = register(&server, &schedule, &during);
        eventually("the visitor to be limited", || (counts[1].load(Ordering::Relaxed) > 0).then_some(()));
        is_over.store(true, Ordering::Relaxed);
        flooded
    });
    let growth = resident(&server).saturating_sub(memory);
    let [served, limited] = counts.map(AtomicUsize::into_inner);
    println!("{served} lists served and {limited} limited added {} MiB", growth / MIB);
    println!("registrations, p99: {alone:?} alone, {flooded:?} during the flood");
    assert!(growth < GROWTH_MAX, "{} MiB were added", growth / MIB);
    assert!(served > 0 && limited > 0, "negative control: {served} lists were served, {limited} limited");
    assert!(server.metric("eduhub_uncached_refused_total") > 0.0);
    // A user has a limit of its own.
    let mut other = server.client().signed_in(&home.token("sue", "student"));
    other.get(&format!("/api/v1/sections?term={TERM}&limit=1998")).expect(200);
}

#[test]
fn a_client_that_sends_frames_without_end_is_closed() {
    let home = Home::new();
    let server = home.serve();
    let mut client = Socket::connect(server.address(), None);
    client.wait_for("live", |frame| frame["type"] == "live");
    let pings = frame(0x89, b"x").repeat(10_000);
    // The hub may close the connection before it has taken all of them.
    let _ = client.stream().write_all(&pings);
    assert_eq!(client.wait_for_close().0, 1008);
    let mut steady = Socket::connect(server.address(), None);
    steady.wait_for("live", |frame| frame["type"] == "live");
    for _ in 0..100 {
        steady.send(&json!({"type": "ping"}));
    }
    steady.wait_for("pong", |frame| frame["type"] == "pong");
    assert_eq!(server.metric("eduhub_sessions_ended_total{reason=\"too_many_frames\"}") as u64, 1);
}
