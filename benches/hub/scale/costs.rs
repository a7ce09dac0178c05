//! Measures the unit costs: one kind of work at a time, at the calm rates of a real morning.

use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::meter::{Meter, Used};
use super::system::{Requests, Student, System, until};
use crate::frames::{Crowd, upgrade};
use crate::load::{Connection, expect_response, request};
use crate::registrations::TERM;
use crate::support::morning::Action;
use crate::support::random::Random;
use crate::support::server::Server;
use crate::support::simulation::{Costs, Load};
use crate::{block_on, machine};

/// Registrations per second in calm phases, about as many as in the tenth of a college that is run. The rate matters,
/// because processes that sleep between two pieces of work need more time for each.
const PACE: f64 = 25.0;
/// Sections for which a student registers.
const CART: usize = 5;
/// Students of the busy phase, and how many of them register at the same time.
const CROWD: usize = 2_000;
const AT_ONCE: usize = 100;
/// Students of the phase in which many sections change in each frame.
const WATCHED: usize = 300;
/// New students per second, while the cost of recording them is measured: so few that each is recorded separately.
const NEWCOMERS_PACE: f64 = 10.0;
/// Repetitions of each read.
const READS: usize = 1_000;
/// Reads per second while seats change, so that each response must be built.
const BUILDS_PACE: f64 = 5.0;
/// WebSockets and idle connections.
const WATCHERS: usize = 300;
const CONNECTIONS: usize = 500;

/// Bytes of memory and disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bytes {
    /// A hub without a term.
    pub hub: f64,
    pub section: f64,
    /// Cached responses with the lists of a term.
    pub lists: f64,
    pub connection: f64,
    pub session: f64,
    /// A registration, with its share of the student and its attempts.
    pub registration: f64,
    /// A registration on the disk of the database, with its indexes and its attempt.
    pub stored: f64,
    /// Not bytes: the number of registrations that remain from the measurement.
    pub earlier: f64,
}

/// Measures all costs. Leaves two hubs running. `seconds` is the length of each paced phase. Also returns what was used
/// while students registered at the first hub and the second one only followed.
pub fn measure(system: &mut System, seconds: f64) -> (Costs, Bytes, Used) {
    let (mut costs, mut bytes) = (Costs::default(), Bytes { hub: system.empty, ..Bytes::default() });
    let alone = idle(system, seconds);
    let (calm, busy) = (calm(system, "calm", seconds), block_on(busy(system, "busy", CROWD)));
    registrations(&mut costs, &mut bytes, alone, [&calm, &busy]);
    system.add_hub();
    let second = machine::resident_bytes(system.hubs[1].pid()) as f64;
    let of_term = second - bytes.hub - (calm.1 + busy.1) * bytes.registration;
    bytes.section = (of_term / system.schedule.rows.len() as f64).max(0.0);
    let both = idle(system, seconds);
    costs.idle = Load { hub: both.hub / 2.0, postgres: both.postgres / 2.0 };
    let followed = follow(system, &mut costs, seconds);
    catch_up(system, &mut costs, seconds);
    let before_lists = machine::resident_bytes(system.hubs[1].pid()) as f64;
    for action in [Action::Terms, Action::Sections, Action::Seats, Action::Own] {
        read(system, &mut costs, action);
    }
    newcomers(system, &mut costs, seconds);
    builds(system, &mut costs, seconds, &followed.0);
    bytes.lists = machine::resident_bytes(system.hubs[1].pid()) as f64 - before_lists;
    wire(system, &mut costs);
    connections(system, &mut bytes);
    watch(system, &mut costs, &mut bytes, seconds, &followed);
    // A registration request outside of its batch costs about as much as a small read.
    let request = costs.requests[Action::Own as usize].hub.min(costs.registration.hub);
    for action in [Action::Register, Action::Refused] {
        costs.requests[action as usize].hub = request;
    }
    costs.registration.hub -= request;
    bytes.earlier = system.cluster.number("SELECT count(*) FROM registrations") as f64;
    (costs, bytes, followed.0)
}

/// Returns the processor time per second without clients: that of all hubs together, and that of PostgreSQL.
fn idle(system: &System, seconds: f64) -> Load {
    let meter = Meter::start(system);
    thread::sleep(Duration::from_secs_f64(seconds));
    let used = meter.stop();
    Load { hub: used.hubs.iter().sum::<f64>() / used.seconds, postgres: used.postgres / used.seconds }
}

/// Lets students register at the first hub one by one, at [`PACE`]. Also returns the number of registrations.
fn calm(system: &System, prefix: &str, seconds: f64) -> (Used, f64) {
    let count = (PACE * seconds) as usize;
    let (tokens, requests) = (system.known_tokens(prefix, count.div_ceil(CART), 0), system.requests());
    block_on(async {
        let meter = Meter::start(system);
        let begun = Instant::now();
        register(system, &tokens, &requests, begun, count).await;
        (meter.stop(), count as f64)
    })
}

async fn register(system: &System, tokens: &[String], requests: &Rc<Requests>, begun: Instant, count: usize) {
    register_at(system, 0, tokens, requests, (begun, 0.0, PACE), count).await;
}

/// Lets students register at a hub one by one, `pace` per second from `offset` seconds after `begun`.
async fn register_at(
    system: &System,
    hub: usize,
    tokens: &[String],
    requests: &Rc<Requests>,
    (begun, offset, pace): (Instant, f64, f64),
    count: usize,
) {
    let mut random = Random::seeded(1);
    let mut student = None;
    for number in 0..count {
        until(begun, offset + number as f64 / pace).await;
        if number % CART == 0 {
            student = Some(Student::connect(system, hub, &tokens[number / CART], requests, &mut random).await);
        }
        student.as_mut().unwrap().act(Action::Register).await;
    }
}

/// Lets students register at the first hub, [`AT_ONCE`] at the same time. Also returns the number of registrations.
async fn busy(system: &System, prefix: &str, students: usize) -> (Used, f64) {
    let (tokens, requests) = (system.known_tokens(prefix, students, 0), system.requests());
    let meter = Meter::start(system);
    let work = async |first: usize| {
        let mut random = Random::seeded(first as u64);
        for token in tokens.iter().skip(first).step_by(AT_ONCE) {
            let mut student = Student::connect(system, 0, token, &requests, &mut random).await;
            for _ in 0..CART {
                student.act(Action::Register).await;
            }
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(work)).await;
    (meter.stop(), (students * CART) as f64)
}

/// Solves for the costs of a batch and of a registration: the first phase has a batch for each registration; the second
/// has few batches.
fn registrations(costs: &mut Costs, bytes: &mut Bytes, idle: Load, [calm, busy]: [&(Used, f64); 2]) {
    let solve = |of: &dyn Fn(&Used) -> f64| {
        let ((b1, w1, c1), (b2, w2, c2)) = ((calm.1, calm.1, of(&calm.0)), (busy.0.commits, busy.1, of(&busy.0)));
        let determinant = b1 * w2 - b2 * w1;
        (((c1 * w2 - c2 * w1) / determinant).max(0.0), ((b1 * c2 - b2 * c1) / determinant).max(0.0))
    };
    let (hub_batch, hub_each) = solve(&|used| used.hubs[0] - idle.hub * used.seconds);
    let (postgres_batch, postgres_each) = solve(&|used| used.postgres - idle.postgres * used.seconds);
    costs.batch = Load { hub: hub_batch, postgres: postgres_batch };
    costs.registration = Load { hub: hub_each, postgres: postgres_each };
    (costs.wal_batch, costs.wal_registration) = solve(&|used| used.wal);
    bytes.registration = busy.0.memory[0] / busy.1;
    bytes.stored = busy.0.disk / busy.1;
}

/// Measures the cost, for the second hub and the database, of each read of the first hub's commits.
fn follow(system: &System, costs: &mut Costs, seconds: f64) -> (Used, f64) {
    let (used, count) = calm(system, "followed", seconds);
    let follows = used.follows[1];
    let (idle, batch, each) = (costs.idle, costs.batch.postgres, costs.registration.postgres);
    let extra = used.postgres - 2.0 * idle.postgres * used.seconds - count * (batch + each);
    costs.follow = Load {
        hub: ((used.hubs[1] - idle.hub * used.seconds) / follows).max(0.0),
        postgres: (extra / follows).max(0.0),
    };
    (used, count)
}

/// Measures the added cost of a batch that first reads the other hub's commits. The hubs take turns registering
/// students, so that each batch reads the one before.
fn catch_up(system: &System, costs: &mut Costs, seconds: f64) {
    let count = (PACE / 2.0 * seconds) as usize;
    let tokens = [0, 1].map(|hub| system.known_tokens(&format!("turns{hub}"), count.div_ceil(CART), hub));
    let requests = system.requests();
    let used = block_on(async {
        let (meter, begun) = (Meter::start(system), Instant::now());
        let [first, second] = &tokens;
        let turns =
            |hub, tokens| register_at(system, hub, tokens, &requests, (begun, hub as f64 / PACE, PACE / 2.0), count);
        futures_util::future::join(turns(0, first), turns(1, second)).await;
        meter.stop()
    });
    let of = |load: fn(&Load) -> f64, all: f64| {
        let known =
            2.0 * (load(&costs.idle) * used.seconds + count as f64 * (load(&costs.batch) + load(&costs.registration)));
        let follows = used.follows.iter().sum::<f64>() * load(&costs.follow);
        ((all - known - follows) / used.catch_ups.iter().sum::<f64>()).max(0.0)
    };
    costs.catch_up =
        Load { hub: of(|load| load.hub, used.hubs.iter().sum()), postgres: of(|load| load.postgres, used.postgres) };
}

/// Returns the processor time of the database for each of `count` operations of one kind, without that of idle hubs.
fn postgres_each(used: &Used, costs: &Costs, count: f64) -> f64 {
    ((used.postgres - used.hubs.len() as f64 * costs.idle.postgres * used.seconds) / count).max(0.0)
}

/// Measures the cost of recording a student at the first request, when each is recorded separately.
fn newcomers(system: &System, costs: &mut Costs, seconds: f64) {
    let count = (NEWCOMERS_PACE * seconds) as usize;
    let (tokens, requests) = (system.tokens("newcomer", count), system.requests());
    let used = block_on(async {
        let meter = Meter::start(system);
        let (begun, mut random) = (Instant::now(), Random::seeded(7));
        for (number, token) in tokens.iter().enumerate() {
            until(begun, number as f64 / NEWCOMERS_PACE).await;
            let mut student = Student::connect(system, 0, token, &requests, &mut random).await;
            student.act(Action::Terms).await;
            student.act(Action::Own).await;
        }
        system.wait_until_known("newcomer", count);
        meter.stop()
    });
    let read = |action: Action| costs.requests[action as usize];
    let reading = |of: fn(&Load) -> f64| count as f64 * (of(&read(Action::Terms)) + of(&read(Action::Own)));
    let hub = used.hubs[0] - costs.idle.hub * used.seconds - reading(|load| load.hub);
    let postgres = postgres_each(&used, costs, used.commits) - reading(|load| load.postgres) / used.commits;
    costs.recording = Load { hub: (hub / used.commits).max(0.0), postgres: postgres.max(0.0) };
    costs.wal_recording = used.wal / used.commits;
}

/// Measures reads of a response that does not change. Each read of the terms opens a connection, as a browser does.
fn read(system: &System, costs: &mut Costs, action: Action) {
    let (tokens, requests) = (system.tokens("reader", 1), system.requests());
    let reads = if action == Action::Sections { READS / 5 } else { READS };
    let used = block_on(async {
        let mut random = Random::seeded(3);
        let mut student = Student::connect(system, 1, &tokens[0], &requests, &mut random).await;
        student.act(action).await;
        requests.bytes.set(0);
        let meter = Meter::start(system);
        for _ in 0..reads {
            if action == Action::Terms {
                student = Student::connect(system, 1, &tokens[0], &requests, &mut random).await;
            }
            student.act(action).await;
        }
        meter.stop()
    });
    let cost = (used.hubs[1] - costs.idle.hub * used.seconds) / reads as f64;
    let postgres = postgres_each(&used, costs, reads as f64);
    costs.requests[action as usize] = Load { hub: cost.max(0.0), postgres };
    costs.wire[action as usize] = requests.bytes.get() as f64 / reads as f64;
}

/// Measures responses that must be built, because seats change. A second call averages its result with the first one,
/// because building needs the most processor time of all, and that depends on what else the machine does.
pub fn builds(system: &System, costs: &mut Costs, seconds: f64, followed: &Used) {
    for action in [Action::Sections, Action::Seats] {
        let measured = build(system, costs, action, seconds, followed);
        let cost = &mut costs.builds[action as usize];
        *cost = if *cost > 0.0 { f64::midpoint(*cost, measured) } else { measured };
    }
}

/// Measures reads of a response that is built for each of them.
fn build(system: &System, costs: &Costs, action: Action, seconds: f64, followed: &Used) -> f64 {
    let reads = (BUILDS_PACE * seconds) as usize;
    let token = system.tokens("reader", 1).remove(0);
    let prefix = format!("build{}{}", action as usize, if costs.builds[action as usize] > 0.0 { "again" } else { "" });
    let count = (PACE * seconds) as usize;
    let (tokens, requests) = (system.known_tokens(&prefix, count.div_ceil(CART), 0), system.requests());
    let used = block_on(async {
        let mut reader = Student::connect(system, 1, &token, &requests, &mut Random::seeded(4)).await;
        let meter = Meter::start(system);
        let begun = Instant::now();
        let reading = async {
            for number in 0..reads {
                until(begun, number as f64 / BUILDS_PACE).await;
                reader.act(action).await;
            }
        };
        futures_util::future::join(register(system, &tokens, &requests, begun, count), reading).await;
        meter.stop()
    });
    let without = followed.hubs[1] / followed.seconds * used.seconds;
    ((used.hubs[1] - without) / reads as f64 - costs.requests[action as usize].hub).max(0.0)
}

/// Counts the bytes of a registration and of a refusal. Fills the full section first.
fn wire(system: &System, costs: &mut Costs) {
    let (tokens, requests) = (system.tokens("refused", 1), system.requests());
    block_on(async {
        fill(system, &requests).await;
        let mut student = Student::connect(system, 0, &tokens[0], &requests, &mut Random::seeded(5)).await;
        for action in [Action::Refused, Action::Register] {
            requests.bytes.set(0);
            student.act(action).await;
            costs.wire[action as usize] = requests.bytes.get() as f64;
        }
    });
}

/// Takes the only seat of the full section.
async fn fill(system: &System, requests: &Rc<Requests>) {
    let token = system.tokens("holder", 1).remove(0);
    let mut connection = expect_response("connecting", Connection::open(system.hubs[0].address())).await;
    let put = request("PUT", &format!("/api/v1/me/registrations/{}", requests.full), &token, "");
    let status = expect_response("the last seat", connection.exchange(&put)).await.status;
    assert_eq!(status, 201, "the last seat");
}

/// Measures the memory of connections that have sent one request.
fn connections(system: &System, bytes: &mut Bytes) {
    let (tokens, requests) = (system.tokens("idle", 1), system.requests());
    let used = block_on(async {
        let meter = Meter::start(system);
        let mut open = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let mut random = Random::seeded(6);
            let mut student = Student::connect(system, 1, &tokens[0], &requests, &mut random).await;
            student.act(Action::Own).await;
            open.push(student);
        }
        meter.stop()
    });
    bytes.connection = (used.memory[1] / CONNECTIONS as f64).max(0.0);
}

/// Opens a WebSocket for each token, subscribed to the seats of the term from now on.
pub async fn watchers(hub: &Server, tokens: &[String]) -> Crowd {
    let mut connection = expect_response("connecting", Connection::open(hub.address())).await;
    let seats = request("GET", &format!("/api/v1/seats?term={TERM}"), &tokens[0], "");
    let seats: Value =
        serde_json::from_slice(expect_response("seats", connection.exchange(&seats)).await.body).unwrap();
    let hello = json!({"type": "subscribe", "channels": [format!("seats:{TERM}")], "seats_since": seats["seq"]});
    let upgrades = tokens.iter().map(|token| upgrade("/alerts/ws", Some(token))).collect();
    Crowd::connect(hub.address(), upgrades, Some(hello.to_string())).await
}

/// Measures live sessions at the second hub: opening them, their memory, and frames while seats change.
fn watch(system: &System, costs: &mut Costs, bytes: &mut Bytes, seconds: f64, followed: &(Used, f64)) {
    let watching = system.known_tokens("watcher", WATCHERS, 1);
    let count = (PACE * seconds) as usize;
    let (tokens, requests) = (system.known_tokens("watched", count.div_ceil(CART), 0), system.requests());
    block_on(async {
        let meter = Meter::start(system);
        let crowd = watchers(&system.hubs[1], &watching).await;
        let joined = meter.stop();
        let received = crowd.counters.bytes.get() as f64;
        let each = (joined.hubs[1] - costs.idle.hub * joined.seconds) / WATCHERS as f64;
        let postgres = postgres_each(&joined, costs, WATCHERS as f64);
        costs.requests[Action::Join as usize] = Load { hub: each.max(0.0), postgres };
        costs.wire[Action::Join as usize] = received / WATCHERS as f64;
        let meter = Meter::start(system);
        let begun = Instant::now();
        register(system, &tokens, &requests, begun, count).await;
        let used = meter.stop();
        bytes.session =
            ((joined.memory[1] + used.memory[1] - count as f64 * bytes.registration) / WATCHERS as f64).max(0.0);
        let without = followed.0.hubs[1] / followed.0.seconds * used.seconds;
        costs.frame = ((used.hubs[1] - without) / used.frames[1]).max(0.0);
        let of_frames = crowd.counters.bytes.get() as f64 - received;
        costs.change_bytes = change_bytes(system);
        let changes = count as f64 * WATCHERS as f64 / used.frames[1];
        costs.frame_bytes = (of_frames / used.frames[1] - changes * costs.change_bytes).max(0.0);
        costs.change = long_frames(system, costs).await;
    });
}

/// Measures the cost of each further changed section in a frame, while [`WATCHERS`] are connected.
async fn long_frames(system: &System, costs: &Costs) -> f64 {
    let (used, count) = busy(system, "watched-more", WATCHED).await;
    let frames = used.frames[1];
    let others = costs.idle.hub * used.seconds + used.follows[1] * costs.follow.hub;
    let further = count * WATCHERS as f64 - frames;
    ((used.hubs[1] - others - frames * costs.frame) / further).max(0.0)
}

/// Returns the bytes of a section in a list of seats.
fn change_bytes(system: &System) -> f64 {
    let seats = system.hubs[1].client().get(&format!("/api/v1/seats?term={TERM}")).expect(200).body;
    seats.len() as f64 / system.schedule.rows.len() as f64
}
