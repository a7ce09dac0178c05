//! What `make bench` runs: the hub as it is shipped, measured from outside on this machine, beside what it is compared
//! to and in one run with it. `cargo bench --bench hub -- PART…` runs some parts only.
//!
//! - [`start`]: an empty store to ready, and the size of the program
//! - [`registrations`]: durable registrations through HTTP, beside a request that does nothing and beside bare fsync
//! - [`fanout`]: memory for each WebSocket and deliveries of an alert, beside [`bare`], the textbook broadcast
//! - [`mixed`]: 200 users who read and register while a 64 MiB import runs
//! - [`bridge`]: what the hub adds to the time of a real Plone, and what it saves
//! - [`outage`]: registrations, alerts and dashboards with that Plone healthy and failing in each way
//!
//! The load is generated in this one process on one thread ([`load`], [`frames`]), which shares the machine with the
//! server: what is printed is what both together can do. Everything stays on 127.0.0.1, and ends by itself.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

mod bare;
mod bridge;
mod fanout;
mod frames;
mod load;
mod machine;
mod mixed;
mod outage;
mod registrations;
mod start;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::future::Future;

/// The parts, in the order in which they run.
const PARTS: [(&str, fn()); 6] = [
    ("start", start::run),
    ("registrations", registrations::run),
    ("fanout", fanout::run),
    ("mixed", mixed::run),
    ("bridge", bridge::run),
    ("outage", outage::run),
];

fn main() {
    // `--bench` is what cargo adds.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|a| a == bare::ARGUMENT) {
        return bare::serve();
    }
    if let Some(unknown) = arguments.iter().find(|a| PARTS.iter().all(|(name, _)| name != a)) {
        eprintln!("no part is called `{unknown}`; there are {}", PARTS.map(|(name, _)| name).join(", "));
        std::process::exit(2);
    }
    let files = machine::raise_file_limit();
    println!("{} (load and server together), {files} open files at most for each process", machine::describe());
    for (name, part) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|a| a == name) {
            part();
        }
    }
}

/// Runs the load on this one thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// A number from the environment, so that a quick look need not take as long as a measurement.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
