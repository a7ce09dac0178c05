//! Registrations while a visitor requests lists that are not cached, and a WebSocket client that never stops sending.
//!
//! `FLOOD_LIMIT=default` measures with the hub's default limits, `FLOOD_STUDENTS` sets how many students register in
//! each measurement, and `FLOOD_ROUNDS` how many times the measurements are repeated in turns: `make flood`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::memory::resident;
use crate::support::http::Client;
use crate::support::random::length_of_run;
use crate::support::schedule::{Row, Schedule};
use crate::support::server::{Home, Server};
use crate::support::socket::{Socket, frame};
use crate::support::wait::{SetOnDrop, eventually};

const MIB: u64 = 1024 * 1024;
/// Maximum growth of the resident memory during the flood.
const GROWTH_MAX: u64 = 64 * MIB;
const TERM: &str = "203001";
/// Sections of the term; a list of them is larger than a megabyte.
const SECTIONS: usize = 2_000;
/// Students who register in each measurement of a run in `make test`.
const STUDENTS: usize = 200;
/// Rounds of a run in `make test`.
const ROUNDS: usize = 1;
/// Maximum number of rounds, in each of which three seats of a section are taken.
const ROUNDS_MAX: usize = 20;
/// The value of `FLOOD_LIMIT` for the hub's default limits.
const DEFAULT: &str = "default";
/// Connections of the flood.
const FLOODERS: usize = 4;
/// The minimum time that a refusal takes, somewhat less than the hub's delay.
const DELAY_MIN: Duration = Duration::from_millis(400);

/// Registers each student for a different section. Returns the response times.
fn register(server: &Server, schedule: &Schedule, tokens: &[String]) -> Vec<Duration> {
    let time = |(number, token): (usize, &String)| {
        let id = schedule.id(&schedule.rows[number]);
        let mut student = server.client().signed_in(token);
        let started = Instant::now();
        student.put(&format!("/api/v1/me/registrations/{id}")).expect(201);
        started.elapsed()
    };
    tokens.iter().enumerate().map(time).collect()
}

/// Returns the 99th percentile.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// The responses to a flood.
#[derive(Debug, Default)]
struct Responses {
    served: AtomicUsize,
    limited: AtomicUsize,
    /// Bytes of the bodies.
    bytes: AtomicUsize,
}

impl Responses {
    fn sent(&self) -> usize {
        self.served.load(Ordering::Relaxed) + self.limited.load(Ordering::Relaxed)
    }

    fn add(&self, other: &Self) {
        self.served.fetch_add(other.served.load(Ordering::Relaxed), Ordering::Relaxed);
        self.limited.fetch_add(other.limited.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Requests lists with lengths that are not cached, until `is_over`, each as soon as the previous response has arrived.
/// If `number` is even, the lists are long. Otherwise they are short: every machine builds them faster than the limit
/// allows.
fn flood(server: &Server, number: usize, is_over: &AtomicBool, responses: &Responses) {
    let mut visitor = server.client();
    for query in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let length = if number.is_multiple_of(2) { 1_000 + query % 900 } else { 1 + query % 50 };
        let path = format!("/api/v1/sections?term={TERM}&limit={length}");
        let response = visitor.call("GET", &path, &[("Accept-Encoding", "br")], b"").expect("a response");
        responses.bytes.fetch_add(response.body.len(), Ordering::Relaxed);
        match response.status {
            200 => responses.served.fetch_add(1, Ordering::Relaxed),
            429 => {
                let retry: u64 = response.header("retry-after").expect("Retry-After").parse().expect("seconds");
                assert!(retry >= 1);
                responses.limited.fetch_add(1, Ordering::Relaxed)
            }
            503 => 0,
            status => panic!("{path}: {status} {}", response.text()),
        };
    }
}

/// Answers the requests of one connection with bodies of `length` bytes, until the client closes it.
fn answer(stream: TcpStream, length: usize) {
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let mut writer = stream.try_clone().expect("a second handle");
    let mut ends = BufReader::new(stream).lines().map_while(Result::ok).filter(|line| line.is_empty());
    while ends.next().is_some() && writer.write_all(response.as_bytes()).is_ok() {}
}

/// Sends requests to a thread of this test until `is_over`, at the rate at which the flood sent them to the hub. The
/// measurement then includes the work of the flood's clients, but none of the hub's work for them.
fn control(to: SocketAddr, interval: Duration, is_over: &AtomicBool) {
    let mut client = Client::connect(to).expect("the thread accepts connections");
    let started = Instant::now();
    for number in 0.. {
        thread::sleep((interval * number).saturating_sub(started.elapsed()));
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        client.call("GET", "/", &[("Accept-Encoding", "br")], b"").expect("a response");
    }
}

/// Runs `flooding` on as many threads as the flood has, while `work` runs.
fn beside<T>(flooding: impl Fn(usize, &AtomicBool) + Sync, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = SetOnDrop(&is_over);
        let (flooding, is_over) = (&flooding, &is_over);
        for number in 0..FLOODERS {
            scope.spawn(move || flooding(number, is_over));
        }
        work()
    })
}

/// Answers requests with bodies as long as those of the hub's responses to a flood that lasted `took`. Returns the
/// address, and the interval at which each client of the flood sent requests.
fn answer_like(responses: &Responses, took: Duration) -> (SocketAddr, Duration) {
    let (sent, limited) = (responses.sent().max(1), responses.limited.load(Ordering::Relaxed));
    let refusals_max = FLOODERS * (1 + (took.as_millis() / DELAY_MIN.as_millis()) as usize);
    assert!(limited <= refusals_max, "refusals are delayed: {limited} in {took:?}, more than {refusals_max}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = listener.local_addr().expect("an address");
    let length = responses.bytes.load(Ordering::Relaxed) / sent;
    thread::spawn(move || {
        for stream in listener.incoming().take(FLOODERS).map_while(Result::ok) {
            thread::spawn(move || answer(stream, length));
        }
    });
    (to, took / u32::try_from(sent.div_ceil(FLOODERS)).expect("fewer than 2^32 requests"))
}

#[test]
fn floods_of_uncached_lists_are_limited_while_students_register() {
    let home = Home::new();
    let server = home.serve();
    let row = |index: usize| Row {
        capacity: 1 + 3 * ROUNDS_MAX as u32,
        ..Row::lecture(&format!("{}", 10_000 + index), &format!("MATH {}", 100 + index))
    };
    let schedule = Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    assert!(server.stop().success());
    // Lower than the default limit, so that slow machines reach it, too.
    let limit = std::env::var("FLOOD_LIMIT").unwrap_or_else(|_| "20".into());
    let home = match limit.as_str() {
        DEFAULT => home.without("limits.requests_per_second"),
        limit => home.setting("limits.requests_per_second", limit),
    };
    let server = home.serve();
    let students = length_of_run("FLOOD_STUDENTS", STUDENTS).min(SECTIONS);
    let rounds = length_of_run("FLOOD_ROUNDS", ROUNDS).min(ROUNDS_MAX);
    let tokens = |name: &str, round: usize| home.tokens(&format!("{name}{round}"), "student", students);
    let register = |tokens: &[String]| register(&server, &schedule, tokens);
    let mut user = server.client().signed_in(&home.token("eve", "student"));
    user.get(&format!("/api/v1/sections?term={TERM}&limit=1999")).expect(200);
    // The first registrations after a start take longer.
    register(&tokens("first", 0));
    let [mut alone, mut flooded, mut controlled] = [const { Vec::new() }; 3];
    let (mut growth, all) = (0, Responses::default());
    for round in 0..rounds {
        let [early, late, last] = ["early", "late", "last"].map(|name| tokens(name, round));
        alone.extend(register(&early));
        let (memory, responses, started) = (resident(&server), Responses::default(), Instant::now());
        let during_flood = || {
            let times = register(&late);
            let is_limited = || (responses.limited.load(Ordering::Relaxed) > 0).then_some(());
            if limit != DEFAULT {
                eventually("the visitor to be limited", is_limited);
            }
            times
        };
        flooded.extend(beside(|number, is_over| flood(&server, number, is_over, &responses), during_flood));
        growth = growth.max(resident(&server).saturating_sub(memory));
        let (to, interval) = answer_like(&responses, started.elapsed());
        controlled.extend(beside(|_, is_over| control(to, interval, is_over), || register(&last)));
        all.add(&responses);
    }
    let (served, limited) = (all.served.into_inner(), all.limited.into_inner());
    println!("{served} lists served and {limited} limited in {rounds} rounds added up to {} MiB", growth / MIB);
    let [alone, flooded, controlled] = [alone, flooded, controlled].map(p99);
    let ratio = |time: Duration| time.as_secs_f64() / alone.as_secs_f64();
    let [by_flood, by_control] = [flooded, controlled].map(ratio);
    println!(
        "registrations, p99: {alone:?} alone, {flooded:?} ({by_flood:.2} times) during the flood, {controlled:?} \
         ({by_control:.2} times) with its clients alone, answered by this test"
    );
    assert!(growth < GROWTH_MAX, "{} MiB were added", growth / MIB);
    let is_limited = limit == DEFAULT || limited > 0;
    assert!(served > 0 && is_limited, "negative control: {served} lists were served, {limited} limited");
    assert!(limited == 0 || server.metric("eduhub_uncached_refused_total") > 0.0);
    // Each user has a separate limit.
    let mut other = server.client().signed_in(&home.token("sue", "student"));
    other.get(&format!("/api/v1/sections?term={TERM}&limit=1998")).expect(200);
}

#[test]
fn a_client_that_never_stops_sending_frames_is_disconnected() {
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
