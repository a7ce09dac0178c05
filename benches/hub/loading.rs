//! A large term in the store, with 1,000,000 registrations and 3,000,000 attempts: the time to load it, and the time
//! from the start of the process to its ready message, in which the hub also checks the store for damage.
//!
//! The term is filled by the library itself, in batches of the store, because requests over HTTP would take longer.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eduhub::domain::command::Command;
use eduhub::domain::ids::{Crn, TermId, UserName};
use eduhub::domain::section::Credits;
use eduhub::registration::execution::BatchExecutor;
use eduhub::store::sqlite::{SqliteOptions, SqliteStore};
use jiff::Timestamp;

use crate::registrations::SECTIONS;
use crate::support::schedule::{open_term, start_import, wait_for_import};
use crate::support::server::Home;
use crate::table::{met, millis, number, percentile};
use crate::{block_on, machine, setting, table};

const TERM: &str = "203001";
/// Registrations of each student.
const REGISTERED: usize = 5;
/// Refused attempts before each registration, in a full section.
const REFUSED: usize = 2;
/// The number of registrations.
const REGISTRATIONS: usize = 1_000_000;
/// Seats of a section: more than are taken.
const CAPACITY: usize = 400;
/// The CRN of a section without seats.
const FULL: &str = "FULL";
/// Students in one batch.
const BATCH: usize = 1_000;
/// Measurements of each kind.
const STARTS: usize = 5;
/// The longest time that loading the term may take.
const LOAD_MAX: Duration = Duration::from_secs(3);

/// Runs and prints this part.
pub fn run() {
    let students = setting("EDUHUB_BENCH_REGISTRATIONS", REGISTRATIONS) / REGISTERED;
    let home = Home::new();
    let server = home.serve();
    let mut staff = server.client().signed_in(&home.token("registrar", "staff"));
    let task = start_import(&mut staff, TERM, csv().as_bytes());
    let done = wait_for_import(&mut staff, &task);
    assert_eq!((&done["state"], done["refused"].as_u64()), (&"done".into(), Some(0)), "{done:#}");
    open_term(&mut staff, TERM);
    server.stop();
    let begun = Instant::now();
    let mut loads = fill(&home, students);
    eprintln!("  the store was filled in {:.0} s", begun.elapsed().as_secs_f64());
    let (mut starts, mut memory) = (Vec::new(), 0);
    for _ in 0..STARTS {
        let server = home.serve();
        starts.push(server.ready_after());
        memory = machine::resident_bytes(server.pid());
        server.stop();
    }
    let registrations = students * REGISTERED;
    let title = format!(
        "A term with {} registrations and {} attempts, {STARTS} measurements",
        number(registrations as f64),
        number((registrations * (1 + REFUSED)) as f64)
    );
    let row = |what: &str, times: &mut [Duration]| {
        let times = [0, 50, 100].map(|p| millis(percentile(times, p)));
        [what.to_owned()].into_iter().chain(times).collect()
    };
    let rows = [row("load the term", &mut loads), row("start to ready, with the check for damage", &mut starts)];
    table::print(&title, &["", "fastest ms", "median ms", "slowest ms"], &rows);
    println!("  resident memory after a start: {} MB", number(memory as f64 / 1e6));
    println!("  target: loaded in under {} s: {}", LOAD_MAX.as_secs(), met(percentile(&mut loads, 100) < LOAD_MAX));
    match home.verify() {
        Ok(()) => println!("  `eduhub verify`: all counts and attempts are correct"),
        Err(error) => println!("  {error}"),
    }
}

/// Returns sections without times, so that no two conflict.
fn csv() -> String {
    let mut text = "crn,subject,number,title,credits,component,capacity,waitlist_capacity\n".to_owned();
    for index in 0..SECTIONS {
        writeln!(text, "{},SUBJ,{},Studies,3,lecture,{CAPACITY},10", crn(index), 1_000 + index).expect("text");
    }
    writeln!(text, "{FULL},SUBJ,999,Studies,3,lecture,0,0").expect("text");
    text
}

fn crn(index: usize) -> String {
    (10_000 + index).to_string()
}

/// Registers the students in the stopped hub's store. Returns how long each load of the term takes afterward.
fn fill(home: &Home, students: usize) -> Vec<Duration> {
    let store = SqliteStore::open(SqliteOptions { path: home.folder().join("eduhub.db"), outbox: None });
    let store = store.expect("the store of a stopped hub");
    let executor = BatchExecutor::new(Arc::new(store.clone()), Credits(18_000));
    let loads = block_on(async {
        let term = TermId::parse(TERM).expect("a term");
        let (mut state, _) = executor.load(&term).await.expect("the imported term");
        for first in (0..students).step_by(BATCH) {
            let commands: Vec<Command> = (first..students.min(first + BATCH)).flat_map(commands).collect();
            state = executor.run(state, commands, Timestamp::now()).await.expect("a commit").state;
        }
        drop(state);
        let mut loads = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            let begun = Instant::now();
            let loaded = executor.load(&term).await.expect("the stored term");
            loads.push(begun.elapsed());
            drop(loaded);
        }
        loads
    });
    store.close();
    loads
}

/// Returns the commands of a student.
fn commands(student: usize) -> Vec<Command> {
    let register = |crn: &str| Command::Register {
        student: UserName::parse(&format!("student-{student:06}")).expect("a name"),
        crn: Crn::parse(crn).expect("a CRN"),
        waitlist: false,
    };
    let of_section = |nth: usize| {
        let granted = register(&crn((student * REGISTERED + nth) % SECTIONS));
        std::iter::repeat_n(register(FULL), REFUSED).chain([granted])
    };
    (0..REGISTERED).flat_map(of_section).collect()
}
