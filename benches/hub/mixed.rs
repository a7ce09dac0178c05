//! 200 users who read and register at a fixed rate, with a real Plone: first alone, then while 64 MiB are imported into
//! another term. Measures whether background work slows them down.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::load::{Connection, expect_response, field, request};
use crate::registrations::{TERM, cart, schedule};
use crate::support::bridge::{wait_for_sections, with_plone_at};
use crate::support::plone::Plone;
use crate::support::random::Random;
use crate::support::server::{Home, Server};
use crate::table::{millis, number, percentile};
use crate::throughput::{self, Stopwatch, Throughput};
use crate::{block_on, machine, setting, table};

const USERS: usize = 200;
/// Time between two requests of one user: 2,000 requests a second in all, which leaves room for the import.
const PACE: Duration = Duration::from_millis(100);
/// Time between two reads of an import's state.
const POLL: Duration = Duration::from_millis(100);
/// Maximum duration of an import.
const IMPORT_MAX: Duration = Duration::from_secs(300);
/// Size of the file: the maximum that the hub accepts.
const FILE_BYTES: usize = 64 * 1024 * 1024;
/// The kind of requests that take or drop a seat.
const REGISTRATION: &str = "registration";

/// Response times by kind of request.
pub type Times = BTreeMap<&'static str, Vec<Duration>>;

/// The results of a measurement.
#[derive(Debug, Default)]
pub struct Count {
    pub times: Times,
    /// Seats taken and seats dropped.
    writes: usize,
}

/// Runs and prints this part.
pub fn run() {
    let plone = Plone::start();
    // Writing the imported sections to Plone would take hours.
    let home = with_plone_at(Home::new(), &plone.url()).setting("plone.write_schedules", "false");
    let server = home.serve();
    wait_for_sections(&server);
    let staff = home.token("registrar", "staff");
    schedule().load(&mut server.client().signed_in(&staff));
    let tokens = home.tokens("mixed", "student", USERS);
    let quiet = Duration::from_secs(setting("EDUHUB_BENCH_SECONDS", 6) as u64 * 2);
    let (file, file_rows) = big_file();
    let mut rows = Vec::new();
    let mut imports = Vec::new();
    let ((), count, throughput) = with_users(&server, &tokens, PACE, || thread::sleep(quiet));
    rows.extend(table_rows("no import", count, throughput));
    for (name, dry_run) in [("dry run of 64 MiB", true), ("import of 64 MiB", false)] {
        let (import, count, throughput) =
            with_users(&server, &tokens, PACE, || import(&server, &staff, &file, dry_run));
        rows.extend(table_rows(name, count, throughput));
        imports.push((name, import));
    }
    let [writes, responses, server_time] = throughput::COLUMNS;
    let columns = ["", writes, responses, server_time, "p50 ms", "p95 ms", "p99 ms", "slowest ms"];
    table::print(&format!("{USERS} mixed users, each with a request every {PACE:?}"), &columns, &rows);
    throughput::print_notes();
    println!("  the server's processor time includes that of the import");
    for (name, import) in imports {
        let Import { took, before, peak, after, state } = import;
        let mib = |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20));
        println!(
            "  {name}: {} in {:.1} s ({} rows, {} rows/s); server memory {} MiB before, {} peak, {} after",
            state["state"],
            took.as_secs_f64(),
            number(file_rows as f64),
            number(file_rows as f64 / took.as_secs_f64()),
            mib(before),
            mib(peak),
            mib(after),
        );
        if state["state"] != "done" {
            println!("  {state}");
        }
    }
}

/// Returns a row for all requests and one per kind. Processor time cannot be divided by kind.
fn table_rows(name: &str, count: Count, throughput: Throughput) -> Vec<Vec<String>> {
    let mut all: Vec<Duration> = count.times.values().flatten().copied().collect();
    let row = |name: String, rates: [String; 3], times: &mut Vec<Duration>| {
        let times = [50, 95, 99, 100].map(|p| millis(percentile(times, p)));
        [name].into_iter().chain(rates).chain(times).collect()
    };
    let mut rows = vec![row(name.to_owned(), throughput.cells(), &mut all)];
    rows.extend(count.times.into_iter().map(|(kind, mut times)| {
        let writes = if kind == REGISTRATION { throughput.per_second(count.writes) } else { 0.0 };
        let rates = [number(writes), number(throughput.per_second(times.len())), String::new()];
        row(format!("  {kind}"), rates, &mut times)
    }));
    rows
}

/// The result of an import, and the server's memory in bytes before, at its peak, and after.
struct Import {
    took: Duration,
    before: u64,
    peak: u64,
    after: u64,
    state: Value,
}

/// Uploads the file and waits until the import has ended.
fn import(server: &Server, staff: &str, file: &[u8], dry_run: bool) -> Import {
    let (begun, before) = (Instant::now(), machine::resident_bytes(server.pid()));
    let mut peak = before;
    let mut registrar = server.client().signed_in(staff);
    let path = format!("/api/v1/imports?term=209901&dry_run={dry_run}");
    let response =
        registrar.call("POST", &path, &[("Content-Type", "text/csv")], file).expect("the upload is accepted");
    let task = response.expect(202).json()["task"].as_str().expect("a task").to_owned();
    loop {
        peak = peak.max(machine::resident_bytes(server.pid()));
        let state = registrar.get(&format!("/api/v1/imports/{task}")).expect(200).json();
        if state["state"] != "running" || begun.elapsed() > IMPORT_MAX {
            let after = machine::resident_bytes(server.pid());
            let summary = ["state", "rows", "sections", "created", "refused"].map(|n| (n.to_owned(), state[n].clone()));
            return Import { took: begun.elapsed(), before, peak, after, state: summary.into_iter().collect() };
        }
        thread::sleep(POLL);
    }
}

/// Returns a schedule of 64 MiB, with rows as long as in a real schedule, and the number of rows.
fn big_file() -> (Vec<u8>, usize) {
    let mut text = String::with_capacity(FILE_BYTES);
    text += "crn,subject,number,section,title,credits,component,days,time,date_range,capacity,waitlist_capacity,\
             instructor,location,restrictions\n";
    let prose = "Must be enrolled in one of the following Programs: H&SD: Diploma Program H&SD: Prof Spec Cert \
                 Must be enrolled in one of the following Levels: Undergraduate. Must be enrolled in one of the \
                 following Degrees: Diploma";
    let mut rows = 0;
    while text.len() < FILE_BYTES - 1024 {
        let (hour, days) = (8 + rows % 10, ["MWF", "TR", "MW", "F"][rows % 4]);
        writeln!(
            text,
            "{},{},{},A{:02},Introduction to the Study of Everything,1.5,lecture,{days},{hour:02}:00-{hour:02}:50,\
             \"Jan 11, 2099 - May 07, 2099\",{},10,Instructor {rows},Building {rows},\"{prose}\"",
            10_000_000 + rows,
            ["MATH", "CHEM", "HIST", "ENGL", "PHYS", "BIOL"][rows % 6],
            100 + rows / 6 % 900,
            rows % 100,
            20 + rows % 200,
        )
        .expect("text grows");
        rows += 1;
    }
    (text.into_bytes(), rows)
}

/// Runs the users, each with a request every `pace`, while `meanwhile` runs on its own thread. Returns the result of
/// `meanwhile` and the results of the users.
pub fn with_users<T: Send>(
    server: &Server,
    tokens: &[String],
    pace: Duration,
    meanwhile: impl FnOnce() -> T + Send,
) -> (T, Count, Throughput) {
    let address = server.address();
    thread::scope(|scope| {
        block_on(async {
            let (count, over) = (Rc::new(RefCell::new(Count::default())), Rc::new(Cell::new(false)));
            let ids = Rc::new(schedule().ids());
            let mut users = Vec::with_capacity(tokens.len());
            for (number, token) in tokens.iter().enumerate() {
                let connection = expect_response("connecting", Connection::open(address)).await;
                let user =
                    User { connection, token: token.clone(), ids: ids.clone(), etag: None, registered: Vec::new() };
                let first = Instant::now() + pace.mul_f64(number as f64 / tokens.len() as f64);
                users.push(tokio::task::spawn_local(user.work(number, (first, pace), count.clone(), over.clone())));
            }
            let stopwatch = Stopwatch::start(server.pid());
            let (done, wait) = tokio::sync::oneshot::channel();
            scope.spawn(move || drop(done.send(meanwhile())));
            let result = wait.await.expect("the concurrent work failed");
            over.set(true);
            let (server, duration) = (stopwatch.used(), stopwatch.elapsed());
            for user in users {
                user.await.expect("a user failed");
            }
            let count = count.take();
            let responses = count.times.values().map(Vec::len).sum();
            let throughput = Throughput { writes: count.writes, responses, server, duration };
            (result, count, throughput)
        })
    })
}

/// A simulated user with one connection.
struct User {
    connection: Connection,
    token: String,
    ids: Rc<Vec<String>>,
    etag: Option<String>,
    registered: Vec<String>,
}

impl User {
    /// Sends the first request at `first`, and then one every `pace` until `over` is set.
    async fn work(
        mut self,
        number: usize,
        (first, pace): (Instant, Duration),
        count: Rc<RefCell<Count>>,
        over: Rc<Cell<bool>>,
    ) {
        let (mut random, mut next) = (Random::seeded(number as u64), first);
        while !over.get() {
            tokio::time::sleep_until(next.into()).await;
            // A request that a slow response delays is timed from when it was due, to avoid coordinated omission.
            let late = next.elapsed() > pace;
            let begun = if late { next } else { Instant::now() };
            let (kind, writes) = self.send(&mut random).await;
            let mut count = count.borrow_mut();
            count.times.entry(kind).or_default().push(begun.elapsed());
            count.writes += writes;
            next += pace;
        }
        // The next measurement starts with empty schedules.
        for id in std::mem::take(&mut self.registered) {
            self.call("DELETE", &format!("/api/v1/me/registrations/{id}"), &[200]).await;
        }
    }

    /// Sends a request. Returns its kind, and how many seats it took or dropped.
    async fn send(&mut self, random: &mut Random) -> (&'static str, usize) {
        let kind = match random.below(100) {
            0..15 => {
                self.call("GET", "/api/v1/dashboard", &[200]).await;
                "dashboard"
            }
            15..25 => {
                self.call("GET", "/api/v1/announcements", &[200]).await;
                "announcements"
            }
            25..40 => {
                let subject = random.pick(&["MATH", "CHEM", "HIST", "ENGL", "PHYS"]);
                self.call("GET", &format!("/api/v1/sections?term={TERM}&subject={subject}&limit=50"), &[200]).await;
                "sections list"
            }
            40..50 => {
                self.seats().await;
                "seats"
            }
            50..60 => {
                self.call("GET", "/api/v1/alerts?since=0&limit=50", &[200]).await;
                "alerts"
            }
            _ => return (REGISTRATION, self.register(random).await),
        };
        (kind, 0)
    }

    async fn seats(&mut self) {
        let mut bytes = request("GET", &format!("/api/v1/seats?term={TERM}"), &self.token, "");
        if let Some(etag) = &self.etag {
            bytes.truncate(bytes.len() - 2);
            bytes.extend(format!("If-None-Match: {etag}\r\n\r\n").into_bytes());
        }
        let reply = expect_response("seats", self.connection.exchange(&bytes)).await;
        assert!(matches!(reply.status, 200 | 304), "seats returned {}", reply.status);
        self.etag = field(reply.head, b"etag:").map(|tag| String::from_utf8_lossy(tag).into_owned());
    }

    /// Takes a seat, or drops the oldest one. Returns 1 if a seat was taken or dropped; 0 if the request was refused,
    /// or if the student already has the seat.
    async fn register(&mut self, random: &mut Random) -> usize {
        if self.registered.len() >= 4 {
            let id = self.registered.remove(0);
            self.call("DELETE", &format!("/api/v1/me/registrations/{id}"), &[200]).await;
            return 1;
        }
        let id = self.ids[cart(random, &self.ids)[0]].clone();
        let status = self.call("PUT", &format!("/api/v1/me/registrations/{id}"), &[200, 201, 409]).await;
        if status == 201 {
            self.registered.push(id);
        }
        usize::from(status == 201)
    }

    async fn call(&mut self, method: &str, path: &str, accepted: &[u16]) -> u16 {
        let bytes = request(method, path, &self.token, "");
        let reply = expect_response(path, self.connection.exchange(&bytes)).await;
        let (status, body) = (reply.status, String::from_utf8_lossy(reply.body));
        assert!(accepted.contains(&status), "{method} {path} returned {status}: {body}");
        status
    }
}
