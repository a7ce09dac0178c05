//! Durable registrations through HTTP, beside a request of the same server that does nothing and beside bare fsync.
//!
//! Each student has a connection of their own and one request under way: five sections of five slots one by one, then
//! all of them dropped in one call, and again with five others. Only a fresh 201 counts as a registration.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::{Connection, Window, patiently, request};
use crate::support::random::Random;
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::{Home, Server};
use crate::table::{millis, number, percentile};
use crate::{block_on, machine, setting, table};

/// A university's term.
pub const SECTIONS: usize = 3_465;
/// Slots of the week that do not meet.
const SLOTS: usize = 15;
/// What a student takes; 18 credits are the limit.
const CART: usize = 5;
const WARM_UP: Duration = Duration::from_secs(2);
/// Measurements of each kind, taken in turns; the middle one is printed.
const TURNS: usize = 3;
pub const TERM: &str = "203001";

/// A term of [`SECTIONS`] in [`SLOTS`] slots, each of a course of its own and with seats for nearly everyone.
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

/// Five sections that a student can take together.
pub fn cart(random: &mut Random, ids: &[String]) -> Vec<usize> {
    let first = random.below(SLOTS);
    (0..CART)
        .map(|n| {
            let slot = (first + n) % SLOTS;
            slot + SLOTS * random.below((ids.len() - slot).div_ceil(SLOTS))
        })
        .collect()
}

/// What was counted in one window.
#[derive(Debug, Default)]
struct Count {
    times: Vec<Duration>,
    drops: usize,
    refused: usize,
    answers: usize,
    server: Duration,
    load: Duration,
    seconds: f64,
}

impl Count {
    fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.seconds
    }
}

/// Prints the part.
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
    table::print(
        &format!("Registration over {SECTIONS} sections, each durable before it is answered (middle of {TURNS} runs)"),
        &["", "per s", "p50 ms", "p95 ms", "p99 ms", "drops/s", "refused/s", "answers/s", "server µs", "load µs"],
        &rows,
    );
    println!("  `per s` counts 201 only; µs: processor time for each answer, of the server and of the load beside it");
    let fsyncs = fsyncs_per_second(home.folder());
    println!("  bare 4 KiB write + fdatasync in the same folder: {} a second", number(fsyncs));
    println!("  wanted: 10,000 a second at 2,000 students, p99 under 50 ms at 200");
    server.stop();
    match home.verify() {
        Ok(()) => println!("  `eduhub verify` finds every count right"),
        Err(error) => println!("  {error}"),
    }
}

fn row(name: String, mut turns: Vec<Count>) -> Vec<String> {
    turns.sort_unstable_by_key(|count| count.times.len());
    let mut count = turns.swap_remove(turns.len() / 2);
    let each = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6 / count.answers.max(1) as f64);
    let (server, load) = (each(count.server), each(count.load));
    let [p50, p95, p99] = [50, 95, 99].map(|p| millis(percentile(&mut count.times, p)));
    let rates = [count.drops, count.refused, count.answers].map(|n| number(count.per_second(n)));
    let per_second = number(count.per_second(count.times.len()));
    [name, per_second, p50, p95, p99].into_iter().chain(rates).chain([server, load]).collect()
}

/// What students ask for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Register,
    /// The batch call with nothing in it: routed, authenticated, parsed and answered without touching the store.
    Nothing,
}

fn measure(
    server: &Server,
    students: usize,
    tokens: &Rc<Vec<String>>,
    ids: &Rc<Vec<String>>,
    seconds: usize,
    kind: Kind,
) -> Count {
    let lasts = Duration::from_secs(seconds as u64);
    let (address, pid) = (server.address(), server.pid());
    block_on(async {
        let mut connections = Vec::with_capacity(students);
        for _ in 0..students {
            connections.push(patiently("connecting", Connection::open(address)).await);
        }
        let window = Window::after(WARM_UP, lasts);
        let count = Rc::new(RefCell::new(Count { seconds: lasts.as_secs_f64(), ..Count::default() }));
        let work: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(number, connection)| {
                let student = Student { connection, number, tokens: tokens.clone(), ids: ids.clone(), window };
                tokio::task::spawn_local(student.work(kind, count.clone()))
            })
            .collect();
        tokio::time::sleep_until(window.begins.into()).await;
        let before = [machine::processor_time(pid), machine::processor_time(std::process::id())];
        tokio::time::sleep_until(window.ends.into()).await;
        let after = [machine::processor_time(pid), machine::processor_time(std::process::id())];
        for student in work {
            student.await.expect("a student failed");
        }
        let mut count = count.take();
        (count.server, count.load) = (after[0] - before[0], after[1] - before[1]);
        count
    })
}

/// One student on one connection.
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
            Kind::Nothing => {
                let nothing = request("POST", "/api/v1/me/registrations", &token, r#"{"add":[],"drop":[]}"#);
                while !self.window.is_over() {
                    let (status, time) = self.ask(&nothing).await;
                    assert_eq!(status, 200, "the no-op");
                    if let Some(time) = time {
                        let mut count = count.borrow_mut();
                        count.answers += 1;
                        count.times.push(time);
                    }
                }
            }
        }
    }

    async fn one_cart(&mut self, token: &str, random: &mut Random, count: &RefCell<Count>) {
        let sections = cart(random, &self.ids);
        let mut held = Vec::with_capacity(CART);
        for section in sections {
            let id = self.ids[section].clone();
            let put = request("PUT", &format!("/api/v1/me/registrations/{id}"), token, "");
            let (status, time) = self.ask(&put).await;
            match (status, time) {
                (201, Some(time)) => count.borrow_mut().times.push(time),
                (409, Some(_)) => count.borrow_mut().refused += 1,
                (201 | 409, None) => {}
                _ => panic!("a registration was answered {status}"),
            }
            count.borrow_mut().answers += usize::from(time.is_some());
            if status == 201 {
                held.push(id);
            }
        }
        let body = json!({"add": [], "drop": held}).to_string();
        let (status, time) = self.ask(&request("POST", "/api/v1/me/registrations", token, &body)).await;
        assert_eq!(status, 200, "a drop");
        if time.is_some() {
            let mut count = count.borrow_mut();
            count.answers += 1;
            count.drops += held.len();
        }
    }

    /// The status, and the time when it counts.
    async fn ask(&mut self, request: &[u8]) -> (u16, Option<Duration>) {
        let begun = Instant::now();
        let status = self.connection.exchange(request).await.expect("an answer").status;
        let ended = Instant::now();
        (status, self.window.holds(begun, ended).then(|| ended - begun))
    }
}

/// How often a second the disk takes 4 KiB for good.
fn fsyncs_per_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("fsync")).expect("a file");
    let (block, begun, mut count) = ([7_u8; 4096], Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(3) {
        file.write_all(&block).expect("room on the disk");
        file.sync_data().expect("fdatasync");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}
