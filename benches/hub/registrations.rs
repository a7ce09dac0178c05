//! Durable registrations over HTTP, compared to a request to the same server that does nothing and to bare fdatasync.
//!
//! Each student has one connection with one request at a time. The student registers for five sections in five time
//! slots one by one, drops them all in a batch, and starts again with five others. A registration is one response with
//! status 201. A batch is one response and as many writes as it drops seats.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::{Connection, Window, expect_response, request};
use crate::support::random::Random;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::table::{millis, number, percentile};
use crate::throughput::{self, Stopwatch, Throughput, millis_per_thousand};
use crate::{block_on, setting, table};

/// The number of sections in the term, as in a real university's term.
pub const SECTIONS: usize = 3_465;
/// The number of time slots in a week. Slots do not overlap.
pub const SLOTS: usize = 15;
/// The number of sections of a student: 15 credits, below the limit of 18.
const CART: usize = 5;
const WARM_UP: Duration = Duration::from_secs(2);
/// Measurements of each kind, which alternate. The one with the median number of responses is printed.
const TURNS: usize = 3;
pub const TERM: &str = "203001";

/// Returns a term of [`SECTIONS`] in [`SLOTS`] slots, each of a different course, with seats for nearly all students.
pub fn schedule() -> Schedule {
    let row = |index: usize| {
        let slot = u32::try_from(index % SLOTS).unwrap();
        let start = 8 * 60 + (slot / 2) * 60;
        Row {
            crn: (10_001 + index).to_string(),
            course: format!("{} {}", ["MATH", "CHEM", "HIST", "ENGL", "PHYS"][index % 5], 100 + index),
            component: "lecture".into(),
            credits: "3",
            days: if slot.is_multiple_of(2) { Days::Mwf } else { Days::Tr },
            start,
            end: start + 50,
            capacity: 20 + u32::try_from(index % 40).unwrap(),
            waitlist: 10,
        }
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

/// Returns the indexes of [`CART`] sections that do not overlap.
pub fn cart(random: &mut Random, ids: &[String]) -> Vec<usize> {
    let first = random.below(SLOTS);
    (0..CART)
        .map(|n| {
            let slot = (first + n) % SLOTS;
            slot + SLOTS * random.below((ids.len() - slot).div_ceil(SLOTS))
        })
        .collect()
}

/// The results of a measurement.
#[derive(Debug, Default)]
pub struct Count {
    /// Times of the responses that count for latency: 201 for registrations, 409 for refusals, 200 for the no-op.
    pub times: Vec<Duration>,
    pub taken: usize,
    dropped: usize,
    pub refused: usize,
    pub responses: usize,
    /// Processor time of the server and of the load generator.
    used: [Duration; 2],
    pub duration: Duration,
}

impl Count {
    /// Returns the number of seats taken and dropped.
    pub fn writes(&self) -> usize {
        self.taken + self.dropped
    }
}

/// Runs and prints this part.
pub fn run() {
    let home = Home::new();
    let server = home.serve();
    let schedule = schedule();
    schedule.load(&mut server.client().signed_in(&home.token("registrar", "staff")));
    let tokens = Rc::new(home.tokens("bench", "student", 2_000));
    let ids = Rc::new(schedule.ids());
    let seconds = setting("EDUHUB_BENCH_SECONDS", 6);
    let mut rows = Vec::new();
    for students in [200, 2_000] {
        let (mut registering, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            registering.push(measure(&server, students, &tokens, &ids, seconds, Kind::Register));
            idle.push(measure(&server, students, &tokens, &ids, seconds, Kind::Nothing));
        }
        rows.push(row(format!("registrations, {students} students"), registering));
        rows.push(row(format!("no-op POST, {students} students"), idle));
    }
    let [writes, responses, server_time] = throughput::COLUMNS;
    let seats = ["seats\ntaken/s", "seats\ndropped/s", "registrations\nrefused/s"];
    let processor = [server_time, "server CPU, ms\nper 1,000 writes", "load CPU, ms\nper 1,000 responses"];
    let columns = [&["", writes][..], &seats, &[responses, "p50 ms", "p95 ms", "p99 ms"], &processor].concat();
    let title = format!(
        "Registration in {} sections, each committed before the response (median of {TURNS} runs of {seconds} s)",
        number(SECTIONS as f64)
    );
    table::print(&title, &columns, &rows);
    throughput::print_notes();
    println!(
        "  a batch that drops five seats is five writes, one response; load CPU: processor time of the load generator"
    );
    println!("  p50, p95, p99: response times of registrations with status 201, and of all no-ops");
    let fsyncs = fsyncs_per_second(home.folder());
    println!("  bare 4 KiB write and fdatasync in the same folder: {} per second", number(fsyncs));
    println!("  target: 10,000 seats taken per second with 2,000 students, p99 under 50 ms with 200 students");
    server.stop();
    match home.verify() {
        Ok(()) => println!("  `eduhub verify`: all counts are correct"),
        Err(error) => println!("  {error}"),
    }
}

fn row(name: String, mut turns: Vec<Count>) -> Vec<String> {
    turns.sort_unstable_by_key(|count| count.responses);
    let mut count = turns.swap_remove(turns.len() / 2);
    let ([server, load], writes) = (count.used, count.writes());
    let throughput = Throughput { writes, responses: count.responses, server, duration: count.duration };
    let [writes_per_second, responses_per_second, server_time] = throughput.cells();
    let seats = [count.taken, count.dropped, count.refused].map(|n| number(throughput.per_second(n)));
    let times = [50, 95, 99].map(|p| millis(percentile(&mut count.times, p)));
    let processor = [server_time, millis_per_thousand(server, writes), millis_per_thousand(load, throughput.responses)];
    let rates = [name, writes_per_second].into_iter().chain(seats).chain([responses_per_second]);
    rates.chain(times).chain(processor).collect()
}

/// The requests that the students send.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Register,
    /// Registrations for sections that are all full.
    Refused,
    /// Empty batches, which are routed, authenticated and parsed but do not use the store.
    Nothing,
}

/// Lets students send requests for a few seconds.
pub fn measure(
    server: &Server,
    students: usize,
    tokens: &Rc<Vec<String>>,
    ids: &Rc<Vec<String>>,
    seconds: usize,
    kind: Kind,
) -> Count {
    measure_all(&[server], students, tokens, ids, seconds, kind)
}

/// Lets students send requests for a few seconds, spread evenly over the servers. The processor time is that of the
/// first server.
pub fn measure_all(
    servers: &[&Server],
    students: usize,
    tokens: &Rc<Vec<String>>,
    ids: &Rc<Vec<String>>,
    seconds: usize,
    kind: Kind,
) -> Count {
    let duration = Duration::from_secs(seconds as u64);
    let pid = servers[0].pid();
    block_on(async {
        let mut connections = Vec::with_capacity(students);
        for student in 0..students {
            let address = servers[student % servers.len()].address();
            connections.push(expect_response("connecting", Connection::open(address)).await);
        }
        let window = Window::after(WARM_UP, duration);
        let count = Rc::new(RefCell::new(Count { duration, ..Count::default() }));
        let work: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(number, connection)| {
                let student = Student { connection, number, tokens: tokens.clone(), ids: ids.clone(), window };
                tokio::task::spawn_local(student.work(kind, count.clone()))
            })
            .collect();
        tokio::time::sleep_until(window.begins.into()).await;
        let stopwatches = [pid, std::process::id()].map(Stopwatch::start);
        tokio::time::sleep_until(window.ends.into()).await;
        let used = stopwatches.map(|stopwatch| stopwatch.used());
        for student in work {
            student.await.expect("a student failed");
        }
        let mut count = count.take();
        count.used = used;
        count
    })
}

/// A simulated student with one connection.
struct Student {
    connection: Connection,
    number: usize,
    tokens: Rc<Vec<String>>,
    ids: Rc<Vec<String>>,
    window: Window,
}

impl Student {
    async fn work(mut self, kind: Kind, count: Rc<RefCell<Count>>) {
        let token = self.tokens[self.number].clone();
        match kind {
            Kind::Register => {
                let mut random = Random::seeded(self.number as u64);
                while !self.window.is_over() {
                    self.one_cart(&token, &mut random, &count).await;
                }
            }
            Kind::Refused => {
                let mut random = Random::seeded(self.number as u64);
                while !self.window.is_over() {
                    let path = format!("/api/v1/me/registrations/{}", random.pick(&self.ids));
                    let (status, time) = self.send(&request("PUT", &path, &token, "")).await;
                    assert_eq!(status, 409, "a full section");
                    if let Some(time) = time {
                        let mut count = count.borrow_mut();
                        count.responses += 1;
                        count.refused += 1;
                        count.times.push(time);
                    }
                }
            }
            Kind::Nothing => {
                let nothing = request("POST", "/api/v1/me/registrations", &token, r#"{"add":[],"drop":[]}"#);
                while !self.window.is_over() {
                    let (status, time) = self.send(&nothing).await;
                    assert_eq!(status, 200, "the no-op");
                    if let Some(time) = time {
                        let mut count = count.borrow_mut();
                        count.responses += 1;
                        count.times.push(time);
                    }
                }
            }
        }
    }

    /// Registers for the sections of a cart, then drops them.
    async fn one_cart(&mut self, token: &str, random: &mut Random, count: &RefCell<Count>) {
        let sections = cart(random, &self.ids);
        let mut registered = Vec::with_capacity(CART);
        for section in sections {
            let id = self.ids[section].clone();
            let put = request("PUT", &format!("/api/v1/me/registrations/{id}"), token, "");
            let (status, time) = self.send(&put).await;
            match (status, time) {
                (201, Some(time)) => {
                    let mut count = count.borrow_mut();
                    count.taken += 1;
                    count.times.push(time);
                }
                // 503: the hub has more requests than it can decide in time.
                (409 | 503, Some(_)) => count.borrow_mut().refused += 1,
                // 200: the seat is from an earlier run, at whose end a drop was refused.
                (200, _) | (201 | 409 | 503, None) => {}
                _ => panic!("a registration returned {status}"),
            }
            count.borrow_mut().responses += usize::from(time.is_some());
            if matches!(status, 200 | 201) {
                registered.push(id);
            }
        }
        let body = json!({"add": [], "drop": registered}).to_string();
        let drop = request("POST", "/api/v1/me/registrations", token, &body);
        let (status, time) = loop {
            let (status, time) = self.send(&drop).await;
            if status != 503 || self.window.is_over() {
                break (status, time);
            }
        };
        match status {
            200 => {}
            503 => return,
            _ => panic!("a drop returned {status}"),
        }
        if time.is_some() {
            let mut count = count.borrow_mut();
            count.responses += 1;
            count.dropped += registered.len();
        }
    }

    /// Sends a request. Returns the status, and the response time if the request is within the window.
    async fn send(&mut self, request: &[u8]) -> (u16, Option<Duration>) {
        let begun = Instant::now();
        let status = self.connection.exchange(request).await.expect("a response").status;
        let ended = Instant::now();
        (status, self.window.contains(begun, ended).then(|| ended - begun))
    }
}

/// Measures how many durable 4 KiB writes the disk completes per second.
fn fsyncs_per_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("fsync")).expect("a file");
    let (block, begun, mut count) = ([7_u8; 4096], Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(3) {
        file.write_all(&block).expect("space on the disk");
        file.sync_data().expect("fdatasync");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}
