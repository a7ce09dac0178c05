//! Minutes of mixed load, after which the memory must not have grown: visitors read lists with varied queries, students
//! poll their dashboards and change their registrations, staff publish alerts, edit sections and import files, and
//! WebSockets come and go.
//!
//! `FAULT_SOAK_SECONDS` sets the length; from five minutes on, the allocated memory is compared.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::memory::{allocated, caches, resident};
use crate::support::WAIT_MAX;
use crate::support::http::{Client, Response};
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Row, Schedule, start_import, wait_for_import};
use crate::support::server::{Home, Server};
use crate::support::socket::Socket;
use crate::support::wait::SetOnDrop;

const TERM: &str = "203001";
const SECTIONS: usize = 600;
const STUDENTS: usize = 60;
/// Sections that each student considers. Dropped registrations stay in the term, so their number must be bounded.
const CHOICES: usize = 12;
/// Active alerts. Older ones are cancelled.
const ALERTS: usize = 10;
/// Open WebSockets.
const SOCKETS: usize = 20;
/// Number of kinds of requests that are counted.
const KINDS: usize = 20;
/// Requests on one connection before it is replaced by another.
const REQUESTS_PER_CONNECTION: usize = 200;
/// The length of a run in seconds, unless `FAULT_SOAK_SECONDS` is set.
const SECONDS: u64 = 10;
/// The shortest run whose memory is compared, in seconds.
const COMPARED_FROM_SECONDS: u64 = 300;
/// Maximum growth of the memory from the second quarter to the last, in percent.
const GROWTH_PERCENT_MAX: u64 = 5;
/// Time between two requests of one kind of client: 25, 25, 4 and 4 requests per second.
const PACES: [Duration; 4] =
    [Duration::from_millis(40), Duration::from_millis(40), Duration::from_millis(250), Duration::from_millis(250)];

/// State that the clients share: the hub, and for each kind of request, how many succeeded and how many failed in an
/// expected way.
struct Load<'l> {
    home: &'l Home,
    server: &'l Server,
    schedule: &'l Schedule,
    seed: u64,
    stop: AtomicBool,
    counts: Mutex<BTreeMap<&'static str, (u64, u64)>>,
}

impl Load<'_> {
    /// Calls `step` at a steady pace until the run ends.
    fn run(&self, pace: Duration, mut step: impl FnMut(u64)) {
        let started = Instant::now();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            step(number);
            number += 1;
            let due = started + pace * u32::try_from(number).expect("fewer than 2^32 steps");
            // A client that is behind continues at once.
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// Counts a response. `expected` are its statuses besides 200 to 204, 304 and 503.
    fn count(&self, kind: &'static str, response: &Response, expected: &[u16]) {
        let status = response.status;
        let is_done = matches!(status, 200..=204 | 304);
        assert!(is_done || status == 503 || expected.contains(&status), "{kind}: {status} {}", response.text());
        let mut counts = self.counts.lock().expect("no client has panicked");
        let count = counts.entry(kind).or_default();
        *if is_done { &mut count.0 } else { &mut count.1 } += 1;
    }

    fn random(&self, client: u64) -> Random {
        Random::seeded(self.seed ^ (client << 32))
    }
}

/// A connection that is replaced after some requests.
struct Connection<'s> {
    server: &'s Server,
    client: Client,
    requests: usize,
}

impl<'s> Connection<'s> {
    fn new(server: &'s Server) -> Self {
        Self { server, client: server.client(), requests: 0 }
    }

    /// Sends a request, as the user of `token` if there is one.
    fn call(
        &mut self,
        token: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.requests += 1;
        if self.requests.is_multiple_of(REQUESTS_PER_CONNECTION) {
            self.client = self.server.client();
        }
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers = headers.iter().copied().chain(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let headers: Vec<_> = headers.collect();
        self.client.call(method, path, &headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn json(&mut self, token: &str, method: &str, path: &str, body: &Value) -> Response {
        self.call(Some(token), method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }
}

/// Reads lists, seats and pages, as visitors do.
fn visit(load: &Load) {
    let (mut random, mut hub) = (load.random(1), Connection::new(load.server));
    let ids = load.schedule.ids();
    load.run(PACES[0], |_| {
        let sections = format!("/api/v1/sections?term={TERM}");
        let (kind, path) = match random.below(10) {
            0 => ("whole lists", format!("{sections}&limit=5000")),
            1 => ("pages of lists", format!("{sections}&limit=500&cursor={}", random.pick(&ids))),
            2 | 3 => ("lists of any length", format!("{sections}&limit={}", 1 + random.below(4_999))),
            4 => ("searches", format!("{sections}&q=studies%20{}", random.below(1_000))),
            5 => ("filters", format!("{sections}&subject=MATH&days=mon&open=true&limit={}", 1 + random.below(500))),
            6 => ("seats", format!("/api/v1/seats?term={TERM}")),
            7 => ("sections", format!("/api/v1/sections/{}", random.pick(&ids))),
            8 => ("alerts of visitors", "/api/v1/alerts?active=true".to_owned()),
            _ => ("pages", (*random.pick(&["/", "/static/style.css", "/api/v1/openapi.json"])).to_owned()),
        };
        let coding = *random.pick(&["identity", "gzip", "br", "gzip, deflate, br, zstd"]);
        load.count(kind, &hub.call(None, "GET", &path, &[("Accept-Encoding", coding)], b""), &[]);
    });
}

/// Reads dashboards and changes registrations and plans, as students do.
fn study(load: &Load) {
    let (mut random, mut hub) = (load.random(2), Connection::new(load.server));
    let (ids, tokens) = (load.schedule.ids(), load.home.tokens("student", "student", STUDENTS));
    let me = "/api/v1/me/registrations";
    let mut requested = VecDeque::new();
    load.run(PACES[1], |_| {
        let student = random.below(STUDENTS);
        let token = &tokens[student];
        let mut section = || ids[(student * 7 + random.below(CHOICES)) % SECTIONS].clone();
        let (one, other) = (section(), section());
        match random.below(10) {
            0..=3 => load.count("dashboards", &hub.call(Some(token), "GET", "/api/v1/dashboard", &[], b""), &[]),
            4 | 5 => {
                let path = format!("{me}/{one}?waitlist=true");
                load.count("registrations", &hub.call(Some(token), "PUT", &path, &[], b""), &[409]);
                requested.push_back((student, one));
            }
            6 | 7 => {
                let Some((student, section)) = requested.pop_front() else { return };
                let path = format!("{me}/{section}");
                load.count("drops", &hub.call(Some(&tokens[student]), "DELETE", &path, &[], b""), &[404]);
            }
            8 => {
                let swap = json!({"add": [one], "drop": [other], "swap": true});
                load.count("swaps", &hub.json(token, "POST", me, &swap), &[422]);
            }
            _ => load.count("plans", &hub.json(token, "PUT", "/api/v1/me/plan", &json!({"sections": [one]})), &[]),
        }
    });
}

/// Returns an alert of any length to everyone, to a section or to a student.
fn alert(random: &mut Random, ids: &[String]) -> Value {
    let audience = match random.below(3) {
        0 => json!({"all": true}),
        1 => json!({"sections": [random.pick(ids)]}),
        _ => json!({"users": [format!("student-{:05}", 1 + random.below(STUDENTS))]}),
    };
    json!({"title": "An alert", "message": "x".repeat(1 + random.below(2_000)), "audience": audience})
}

/// Publishes and cancels alerts, edits sections, reads rosters, and imports files, as staff do.
fn administer(load: &Load) {
    let (mut random, mut hub) = (load.random(3), Connection::new(load.server));
    let (ids, token) = (load.schedule.ids(), load.home.token("registrar", "staff"));
    let (mut active, mut importer) = (VecDeque::new(), load.server.client().signed_in(&token));
    load.run(PACES[2], |number| match number % 8 {
        0..=2 => {
            let response = hub.json(&token, "POST", "/api/v1/alerts", &alert(&mut random, &ids));
            load.count("alerts", &response, &[]);
            if response.status == 201 {
                active.push_back(response.json()["id"].as_str().expect("an id").to_owned());
            }
            if active.len() > ALERTS {
                let path = format!("/api/v1/alerts/{}", active.pop_front().expect("the oldest"));
                load.count("cancelled alerts", &hub.call(Some(&token), "DELETE", &path, &[], b""), &[]);
            }
        }
        3 | 4 => {
            let path = format!("/api/v1/sections/{}", random.pick(&ids));
            let patch = json!({"capacity": 1 + random.below(20)});
            load.count("edits", &hub.json(&token, "PATCH", &path, &patch), &[]);
        }
        5 | 6 => {
            let path = format!("/api/v1/sections/{}/roster", random.pick(&ids));
            load.count("rosters", &hub.call(Some(&token), "GET", &path, &[], b""), &[]);
        }
        _ => {
            let mut file = load.schedule.clone();
            file.rows.iter_mut().for_each(|row| row.capacity = 1 + u32::try_from(random.below(20)).unwrap());
            let task = start_import(&mut importer, TERM, file.csv().as_bytes());
            let done = wait_for_import(&mut importer, &task);
            assert_eq!(done["state"], "done", "{done:#}");
            load.count("imports", &importer.get(&format!("/api/v1/imports/{task}")), &[]);
        }
    });
}

/// Opens WebSockets as visitors and students, subscribes, and closes the oldest ones, with or without a close frame.
fn watch(load: &Load) {
    let (mut random, mut open) = (load.random(4), VecDeque::new());
    let (ids, tokens) = (load.schedule.ids(), load.home.tokens("student", "student", STUDENTS));
    load.run(PACES[3], |_| {
        let token = random.percent(70).then(|| random.pick(&tokens).as_str());
        let path = if random.percent(30) { "/alerts/ws?since=1" } else { "/alerts/ws" };
        let mut socket = Socket::connect_to(load.server.address(), path, token, &[]);
        socket.wait_for("live", |frame| frame["type"] == "live");
        let channels = [format!("seats:{TERM}"), format!("section:{}", random.pick(&ids))];
        socket.send(&json!({"type": "subscribe", "channels": channels}));
        socket.wait_for("both channels", |frame| frame["channel"] == channels[1]);
        let mut counts = load.counts.lock().expect("no client has panicked");
        counts.entry("live sessions").or_default().0 += 1;
        drop(counts);
        open.push_back(socket);
        if open.len() > SOCKETS {
            let mut oldest = open.pop_front().expect("the oldest");
            if random.percent(50) {
                oldest.close();
            }
        }
    });
}

/// Posts and cancels alerts like those of the load until the tail of alerts that the hub has in memory is full. At the
/// rate of the load, it would grow toward its bound during the whole run, and hide unbounded growth elsewhere. Alerts
/// of another length would be replaced during the run by those of the load, which take another amount of memory.
fn fill_alert_tail(home: &Home, server: &Server, ids: &[String]) {
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let (mut random, mut bytes) = (Random::seeded(seed()), 0);
    loop {
        for _ in 0..100 {
            let posted = staff.post_json("/api/v1/alerts", &alert(&mut random, ids)).expect(201).json();
            let cancelled = staff.delete(&format!("/api/v1/alerts/{}", posted["id"].as_str().expect("an id")));
            assert!(matches!(cancelled.status, 200..=204), "{}", cancelled.text());
        }
        let before = std::mem::replace(&mut bytes, caches(server)["alert_tail"].0);
        if bytes < before + before / 100 {
            println!("the tail of alerts is full with {bytes} bytes");
            break;
        }
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Compares the memory of the quarters of a run.
fn assert_flat(samples: &[u64]) {
    let quarters: Vec<u64> =
        samples.chunks(samples.len().div_ceil(4)).map(|quarter| median(quarter.to_vec())).collect();
    println!("allocated memory by quarter: {:?} kB", quarters.iter().map(|bytes| bytes / 1024).collect::<Vec<_>>());
    let (second, last) = (quarters[1], quarters[3]);
    assert!(last <= second + second * GROWTH_PERCENT_MAX / 100, "the memory grew from {second} to {last} bytes");
}

#[test]
fn the_memory_stays_flat_under_mixed_load() {
    let seconds = length_of_run("FAULT_SOAK_SECONDS", SECONDS);
    let home = Home::new();
    let server = home.serve();
    let row = |index: usize| Row {
        start: 8 * 60 + u32::try_from(index % 600).unwrap(),
        end: 8 * 60 + u32::try_from(index % 600).unwrap() + 1,
        ..Row::lecture(&(10_000 + index).to_string(), &format!("MATH {}", 100 + index))
    };
    let schedule = Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() };
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    if seconds >= COMPARED_FROM_SECONDS {
        fill_alert_tail(&home, &server, &schedule.ids());
    }
    let load = Load {
        home: &home,
        server: &server,
        schedule: &schedule,
        seed: seed(),
        stop: AtomicBool::new(false),
        counts: Mutex::default(),
    };
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let clients: [fn(&Load); 4] = [visit, study, administer, watch];
        let load = &load;
        let stop = SetOnDrop(&load.stop);
        let clients = clients.map(|client| scope.spawn(move || client(load)));
        let has_all_kinds = || {
            load.counts.lock().expect("no client has panicked").values().filter(|(done, _)| *done > 0).count() >= KINDS
        };
        // A short run on a busy machine may need longer for the rarest kind.
        for second in 1..=seconds + WAIT_MAX.as_secs() {
            if second > seconds && has_all_kinds() {
                break;
            }
            thread::sleep(Duration::from_secs(1));
            samples.push(allocated(&server));
            if second % 60 == 0 {
                let [own, all] = [samples[samples.len() - 1], resident(&server)].map(|bytes| bytes / 1024);
                println!("{second} s: {own} kB allocated of {all} kB resident, {:?}", caches(&server));
            }
            if clients.iter().any(|client| client.is_finished()) {
                break;
            }
        }
        drop(stop);
        for client in clients {
            client.join().expect("a client failed");
        }
    });
    let counts = load.counts.into_inner().expect("no client has panicked");
    println!("(succeeded, refused) by kind: {counts:?}; caches: {:?}", caches(&server));
    assert!(counts.len() >= KINDS && counts.values().all(|(succeeded, _)| *succeeded > 0), "{counts:?}");
    if seconds >= COMPARED_FROM_SECONDS {
        assert_flat(&samples);
    }
    assert!(server.stop().success(), "the server exits");
    home.verify().expect("the store is consistent");
}
