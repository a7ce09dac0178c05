//! A history of requests from many clients, across kills and faults, and a checker that finds one order of them that
//! explains every response.
//!
//! Clients register, drop, swap, join waitlists, register for plans, change sections as staff, and read seats,
//! students' registrations, rosters and plans. They record each request with the moments before it was sent and after
//! its response had arrived, taken from one counter in this process. Writes without a response are recorded, too: the
//! connection was lost, the client closed it, or the commit failed. Such a write was executed once or never, at any
//! time until its server had ended. Some are sent again.
//!
//! The checker searches for an order of all requests in which
//!
//! 1. every response is the one that the rules of docs/SEMANTICS.md give at its place ([`model`], written without the
//!    code of the hub),
//! 2. a request that was answered before another was sent comes first,
//! 3. each read returns the state at its place, so that no read goes backward,
//! 4. a request without a response occurs at most once, and not after its server had ended,
//! 5. what is read after each restart, and at the end, is the state at the end of the order.
//!
//! It follows that no section is oversold and no student holds two seats, because the rules do not allow it.
//!
//! **Why a search.** The hub states no sequence in its responses to writes. Only reads of all seats carry one (`seq`),
//! which is checked separately ([`sequence`]); the rows of such a read are checked one by one. The order of writes
//! therefore has to be found by a search ([`search`]), guided by the time of the decision that most responses state.
//!
//! **Three sources of reads.** Counts of sections, registrations of a student, and rosters are published one after the
//! other in each commit, and a roster is read from the store before its commit is published. Reads of one source are
//! ordered by time among themselves and with all writes. Reads of different sources are ordered with writes only.
//! Waitlist positions in a student's list of registrations, which come from the counts, are checked after restarts
//! only.

mod client;
mod controls;
mod disaster;
mod model;
mod plans;
mod record;
mod repetitions;
mod responses;
mod search;
mod sequence;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use std::{hint, thread};

use rustix::process::Signal;

use self::client::{Recorder, World};
use self::disaster::{Faults, FaultyServer};
use self::model::{Definition, Term};
use self::record::{Call, Moments, Request};
use self::search::{Found, find_order};
use crate::support::random::{Random, length_of_run, seed};
use crate::support::schedule::{Days, Row, Schedule};
use crate::support::server::Home;
use crate::support::wait::{SetOnDrop, eventually};

const TERM: &str = "203001";
const SECTIONS: usize = 16;
const STUDENTS: usize = 40;
const CREDIT_LIMIT: u32 = 9;
/// Number of clients that send requests at the same time, each for any student.
const CLIENTS: usize = 4;
/// Number of kills in one run; `FAULT_HISTORY_ROUNDS` sets another number.
const ROUNDS: usize = 2;
/// Number of responses before a server is killed.
const RESPONSES_PER_ROUND: usize = 1_500;

/// Returns a schedule of eight courses with two sections each, in six slots.
fn schedule() -> Schedule {
    let row = |index: usize| {
        let start = 8 * 60 + u32::try_from(index % 3).unwrap() * 60;
        Row {
            crn: (10_001 + index).to_string(),
            course: format!("MATH {}", 100 + index / 2),
            component: "lecture".into(),
            credits: "3",
            days: if index.is_multiple_of(2) { Days::Mwf } else { Days::Tr },
            start,
            end: start + 50,
            capacity: 4,
            waitlist: 3,
        }
    };
    Schedule { term: TERM.into(), rows: (0..SECTIONS).map(row).collect() }
}

/// Returns the term of a schedule before the first registration.
fn empty_term(schedule: &Schedule) -> Term {
    let others = |row: &Row, is_related: fn(&Row, &Row) -> bool| {
        let rows = schedule.rows.iter().enumerate();
        rows.filter(|(_, other)| other.crn != row.crn && is_related(row, other))
            .fold(0, |set, (index, _)| set | 1 << index)
    };
    let definition = |row: &Row| Definition {
        capacity: row.capacity as usize,
        waitlist_capacity: row.waitlist as usize,
        credits: row.credits.parse().expect("whole credits"),
        same_course: others(row, Row::same_course),
        overlapping: others(row, Row::overlaps),
    };
    Term::new(schedule.rows.iter().map(definition).collect(), CREDIT_LIMIT, STUDENTS)
}

/// A run with its store and its history.
struct Run {
    home: Home,
    world: World,
    schedule: Schedule,
    calls: Vec<Call>,
}

impl Run {
    fn new() -> Self {
        let home = Home::new().setting("registration.credit_limit", &CREDIT_LIMIT.to_string());
        let schedule = schedule();
        let staff = home.token("clerk", "staff");
        let server = home.serve();
        schedule.load(&mut server.client().signed_in(&staff));
        let world = World {
            term: TERM.into(),
            ids: schedule.ids(),
            tokens: home.tokens("student", "student", STUDENTS),
            staff,
            moments: Moments::default(),
            held: (0..STUDENTS).map(|_| AtomicU64::new(0)).collect(),
            answered: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            rejected: AtomicUsize::new(0),
            is_ending: AtomicBool::new(false),
        };
        assert_eq!(server.stop().code(), Some(0));
        Self { home, world, schedule, calls: Vec::new() }
    }

    /// Appends the records of clients whose server has ended.
    fn append(&mut self, records: Vec<Vec<Call>>) {
        let ended = self.world.moments.next();
        for record in records {
            let offset = self.calls.len();
            self.calls.extend(record.into_iter().map(|call| Call {
                ended: call.ended.min(ended),
                after: call.after.map(|before| before + offset),
                ..call
            }));
        }
    }

    /// Reads everything while no other client sends requests.
    fn read_all(&self, address: std::net::SocketAddr) -> Vec<Call> {
        let mut reader = Recorder::new(&self.world, address, CLIENTS);
        let own = (0..STUDENTS).map(|student| Request::ReadOwn { student });
        let plans = (0..STUDENTS).map(|student| Request::ReadPlan { student });
        let rosters = (0..SECTIONS).map(|section| Request::ReadRoster { section });
        let sections = (0..SECTIONS).map(|section| Request::ReadSection { section });
        for request in own.chain(rosters).chain(sections).chain(plans).chain([Request::ReadSeats]) {
            assert!(reader.perform(request, false, true), "a read without other requests is answered");
        }
        reader.calls
    }

    /// Runs one server until it is killed.
    fn round(&mut self, faults: Faults, random: &mut Random) {
        let faulty = FaultyServer::start(&self.home, faults);
        let address = faulty.server.address();
        let mut records = vec![self.read_all(address)];
        let (world, first) = (&self.world, self.world.answered.load(Ordering::SeqCst));
        world.is_ending.store(false, Ordering::SeqCst);
        faulty.arm();
        let reach = |part: usize, parts: usize| {
            let responses = first + RESPONSES_PER_ROUND * part / parts;
            eventually("more responses", || (world.answered.load(Ordering::SeqCst) >= responses).then_some(()));
        };
        let delay = random.below(20_000);
        thread::scope(|scope| {
            let ending = SetOnDrop(&world.is_ending);
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let mut random = Random::seeded(random.next());
                    scope.spawn(move || {
                        let mut client = Recorder::new(world, address, number);
                        client.run(&mut random);
                        client.calls
                    })
                })
                .collect();
            for stop in 1..=faults.stops {
                reach(stop, faults.stops + 1);
                faulty.signal(Signal::STOP);
                eventually("all clients to wait", || (world.waiting.load(Ordering::SeqCst) == CLIENTS).then_some(()));
                faulty.signal(Signal::CONT);
            }
            reach(1, 1);
            (0..delay).for_each(|_| hint::spin_loop());
            faulty.kill(&self.home, random, || drop(ending));
            records.extend(clients.into_iter().map(|client| client.join().expect("the client's thread succeeds")));
        });
        self.append(records);
    }

    /// Starts the hub once more, reads everything, and stops it.
    fn end(&mut self) {
        let server = self.home.serve();
        let record = self.read_all(server.address());
        self.append(vec![record]);
        assert_eq!(server.stop().code(), Some(0));
        self.home.verify().expect("every count is correct");
    }

    /// Checks the history.
    ///
    /// # Errors
    /// A text that names the responses that no order explains.
    fn check(&self) -> Result<Found, String> {
        sequence::check(&self.calls)?;
        find_order(|| empty_term(&self.schedule), &self.calls)
    }

    /// Saves the history, one call per line, and returns the path of the file.
    fn save(&self) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("history-{}.txt", std::process::id()));
        let lines: Vec<String> = self.calls.iter().map(|call| format!("{call:?}\n")).collect();
        fs::write(&path, lines.concat()).expect("a file in the build folder");
        path
    }
}

#[test]
fn one_order_explains_every_response_across_kills_and_faults() {
    let mut random = Random::seeded(seed());
    let rounds = length_of_run("FAULT_HISTORY_ROUNDS", ROUNDS);
    let began = Instant::now();
    let mut run = Run::new();
    for round in 1..=rounds {
        run.round(Faults::of_round(round, &mut random), &mut random);
    }
    run.end();
    let recorded = began.elapsed();
    let found = run
        .check()
        .unwrap_or_else(|contradiction| panic!("{contradiction}\nthe history is in {}", run.save().display()));
    let unanswered = run.calls.iter().filter(|call| call.response.is_none()).count();
    println!(
        "{} operations, {unanswered} without a response ({} executed), {} rejected, {rounds} kills; recorded in \
         {recorded:.1?}, explained in {:.1?} with {} choices undone",
        run.world.answered.load(Ordering::SeqCst) + unanswered,
        found.executed_without_response,
        run.world.rejected.load(Ordering::SeqCst),
        began.elapsed() - recorded,
        found.undone,
    );
    assert!(unanswered > 0, "no request was interrupted");
}

#[test]
fn a_disk_that_only_claims_to_sync_contradicts_every_order() {
    let mut random = Random::seeded(seed());
    let mut run = Run::new();
    run.round(Faults { lies: true, ..Faults::default() }, &mut random);
    run.end();
    let contradiction = run.check().expect_err("acknowledged seats are lost");
    println!("{contradiction}");
}
