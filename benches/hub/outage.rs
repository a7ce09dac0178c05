//! Students register, staff send alerts and members read their dashboard, with Plone healthy and with each kind of
//! failure. Expected: the same response times, and no growth in memory, threads or open files.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::{Connection, expect_response, request};
use crate::support::bridge::{open_terms, sign_in, wait_for_sections, with_plone_at};
use crate::support::plone::{Plone, STUDENTS};
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::table::{met, millis, number, percentile};
use crate::throughput::{self, Stopwatch, Throughput};
use crate::{block_on, machine, setting, table};

/// The number of students who register.
const REGISTERING: usize = 100;
/// Time between two requests of one student or member.
const PACE: Duration = Duration::from_millis(100);
/// Time between two alerts.
const ALERT_PACE: Duration = Duration::from_millis(50);
/// Duration of each state of Plone, in seconds.
const SECONDS: usize = 10;

/// Response times by kind of request.
type Times = BTreeMap<&'static str, Vec<Duration>>;

/// The results of a measurement.
#[derive(Debug, Default)]
struct Count {
    times: Times,
    /// Seats taken and seats dropped.
    writes: usize,
}

/// Runs and prints this part.
pub fn run() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let home =
        with_plone_at(Home::new(), &relay.url()).setting("plone.timeout_ms", "1000").setting("plone.sync_s", "2");
    let server = home.serve();
    let ids = wait_for_sections(&server);
    open_terms(&server, &home.token("opener", "staff"));
    let crowd = Crowd {
        students: home.tokens("outage", "student", REGISTERING),
        members: (1..=STUDENTS / 2).map(|n| sign_in(&server, &format!("student{n}"))).collect(),
        staff: home.token("sender", "staff"),
        ids: Rc::new(ids),
    };
    let duration = Duration::from_secs(setting("EDUHUB_BENCH_OUTAGE_SECONDS", SECONDS) as u64);
    measure(&server, &crowd, Duration::from_secs(3));
    let states = [
        ("healthy", Mode::Pass),
        ("refuses connections", Mode::Refuse),
        ("does not respond", Mode::Hang),
        ("responds with 500", Mode::Answer500),
        ("responds with garbage", Mode::Garbage),
        ("sends 1 byte/s", Mode::Drip),
        ("truncates bodies", Mode::Cut),
        ("healthy again", Mode::Pass),
    ];
    let states = states.map(|(name, mode)| {
        relay.set(mode);
        let (times, throughput) = measure(&server, &crowd, duration);
        let size = [
            machine::resident_bytes(server.pid()) as f64 / f64::from(1 << 20),
            machine::threads(server.pid()) as f64,
            machine::open_files(server.pid()) as f64,
        ];
        State { name, is_healthy: mode == Mode::Pass, times, throughput, size }
    });
    print_times(&states);
    print_sizes(&states);
}

/// A state of Plone, and the results measured in it.
struct State {
    name: &'static str,
    is_healthy: bool,
    times: Times,
    throughput: Throughput,
    /// The server's memory in MiB, its threads and its open files.
    size: [f64; 3],
}

/// Prints the response times, and whether they meet the targets.
fn print_times(states: &[State]) {
    let of = |state: &State, kind: &str, p| {
        state.times.get(kind).map(|times| percentile(&mut times.clone(), p)).unwrap_or_default()
    };
    // The healthy states at the start and at the end are combined, to compensate for changes in the machine's speed.
    let healthy = |kind: &str| {
        let healthy = states.iter().filter(|state| state.is_healthy);
        percentile(&mut healthy.flat_map(|state| state.times[kind].iter().copied()).collect::<Vec<_>>(), 99)
    };
    let bases = ["registration", "alert"].map(healthy);
    let mut worst = [0.0_f64; 2];
    let mut slowest = Duration::ZERO;
    let mut rows = Vec::new();
    for state in states {
        let p99s = ["registration", "alert"].map(|kind| of(state, kind, 99));
        let ratios = [0, 1].map(|i| p99s[i].as_secs_f64() / bases[i].as_secs_f64());
        if !state.is_healthy {
            worst = [0, 1].map(|i| worst[i].max(ratios[i]));
            slowest = slowest.max(of(state, "dashboard", 99));
        }
        let times = [millis(of(state, "registration", 50)), millis(p99s[0]), format!("{:.2}", ratios[0])];
        let more = [millis(p99s[1]), format!("{:.2}", ratios[1]), millis(of(state, "dashboard", 99))];
        rows.push([state.name.to_owned()].into_iter().chain(times).chain(more).collect());
    }
    let columns = [
        "Plone",
        "registration\np50 ms",
        "registration\np99 ms",
        "ratio to\nhealthy",
        "alert\np99 ms",
        "ratio to\nhealthy",
        "dashboard\np99 ms",
    ];
    let title = format!(
        "Response times: {REGISTERING} students register, {} members read their dashboard, staff send alerts",
        STUDENTS / 2
    );
    table::print(&title, &columns, &rows);
    println!("  target: registrations at most 1.2 times healthy: {} (worst {:.2})", met(worst[0] <= 1.2), worst[0]);
    println!("  target: alerts at most 1.2 times healthy: {} (worst {:.2})", met(worst[1] <= 1.2), worst[1]);
    let dashboards = met(slowest < Duration::from_millis(50));
    println!("  target: dashboards under 50 ms: {dashboards} (worst p99 {} ms)", millis(slowest));
}

/// Prints the rates and the resources of the server, and how much the resources have grown.
fn print_sizes(states: &[State]) {
    let row = |state: &State| {
        let name = [state.name.to_owned()];
        name.into_iter().chain(state.throughput.cells()).chain(state.size.map(number)).collect()
    };
    let rows: Vec<Vec<String>> = states.iter().map(row).collect();
    let columns = [&["Plone"][..], &throughput::COLUMNS, &["memory\nMiB", "threads", "open files"]].concat();
    table::print("Rates and resources of the server in the same states", &columns, &rows);
    throughput::print_notes();
    let [first, last] = [states.first(), states.last()].map(|state| state.map_or([0.0; 3], |state| state.size));
    let grown = [0, 1, 2].map(|i| last[i] - first[i]);
    println!(
        "  change from the first row to the last: {:+.1} MiB, {:+} threads, {:+} files",
        grown[0], grown[1], grown[2]
    );
}

/// Tokens of the simulated users, and the sections for which they register.
struct Crowd {
    students: Vec<String>,
    members: Vec<String>,
    staff: String,
    ids: Rc<Vec<String>>,
}

fn measure(server: &Server, crowd: &Crowd, duration: Duration) -> (Times, Throughput) {
    let address = server.address();
    block_on(async {
        let (count, over) = (Rc::new(RefCell::new(Count::default())), Rc::new(Cell::new(false)));
        let mut work = Vec::new();
        let people = crowd.students.iter().map(|token| (token, "registration", PACE));
        let people = people.chain(crowd.members.iter().map(|token| (token, "dashboard", PACE)));
        for (number, (token, kind, pace)) in people.chain([(&crowd.staff, "alert", ALERT_PACE)]).enumerate() {
            let connection = expect_response("connecting", Connection::open(address)).await;
            let person =
                Person { connection, token: token.clone(), kind, pace, ids: crowd.ids.clone(), registered: None };
            work.push(tokio::task::spawn_local(person.work(number, count.clone(), over.clone())));
        }
        let stopwatch = Stopwatch::start(server.pid());
        tokio::time::sleep(duration).await;
        over.set(true);
        let (used, elapsed) = (stopwatch.used(), stopwatch.elapsed());
        for person in work {
            person.await.expect("a simulated user failed");
        }
        let Count { times, writes } = count.take();
        let responses = times.values().map(Vec::len).sum();
        (times, Throughput { writes, responses, server: used, duration: elapsed })
    })
}

/// A simulated user with one connection.
struct Person {
    connection: Connection,
    token: String,
    kind: &'static str,
    pace: Duration,
    ids: Rc<Vec<String>>,
    /// The section that the user is registered for.
    registered: Option<String>,
}

impl Person {
    /// Sends requests until `over` is set.
    async fn work(mut self, number: usize, count: Rc<RefCell<Count>>, over: Rc<Cell<bool>>) {
        let mut random = Random::seeded(number as u64);
        let mut next = Instant::now() + self.pace.mul_f64((number % 20) as f64 / 20.0);
        while !over.get() {
            tokio::time::sleep_until(next.into()).await;
            let begun = if next.elapsed() > self.pace { next } else { Instant::now() };
            let writes = self.send(&mut random).await;
            let mut count = count.borrow_mut();
            count.times.entry(self.kind).or_default().push(begun.elapsed());
            count.writes += writes;
            next += self.pace;
        }
        if let Some(id) = self.registered.take() {
            self.call("DELETE", &format!("/api/v1/me/registrations/{id}"), "", &[200]).await;
        }
    }

    /// Sends a request. Returns how many seats it took or dropped.
    async fn send(&mut self, random: &mut Random) -> usize {
        match (self.kind, self.registered.take()) {
            ("registration", Some(id)) => {
                self.call("DELETE", &format!("/api/v1/me/registrations/{id}"), "", &[200]).await;
                return 1;
            }
            ("registration", None) => {
                let id = self.ids[random.below(self.ids.len())].clone();
                let path = format!("/api/v1/me/registrations/{id}");
                if self.call("PUT", &path, "", &[200, 201, 409]).await == 201 {
                    self.registered = Some(id);
                    return 1;
                }
            }
            ("dashboard", _) => drop(self.call("GET", "/api/v1/dashboard", "", &[200]).await),
            _ => {
                // Alerts expire soon, so that only a few are active at a time.
                let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
                let (title, message) = ("Bench", "Nothing has happened.");
                let alert = json!({"title": title, "message": message, "audience": {"all": true}, "expires_at": soon.to_string()});
                self.call("POST", "/api/v1/alerts", &alert.to_string(), &[201]).await;
            }
        }
        0
    }

    async fn call(&mut self, method: &str, path: &str, body: &str, accepted: &[u16]) -> u16 {
        let bytes = request(method, path, &self.token, body);
        let reply = expect_response(path, self.connection.exchange(&bytes)).await;
        let (status, text) = (reply.status, String::from_utf8_lossy(reply.body));
        assert!(accepted.contains(&status), "{method} {path} returned {status}: {text}");
        status
    }
}
