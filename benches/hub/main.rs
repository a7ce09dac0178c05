//! The benchmarks of `make bench`: they measure the release build of the hub, mostly from outside, together with what
//! it is compared to. `cargo bench --bench hub -- PART…` runs only the named parts.
//!
//! - [`start`]: time from start to ready with an empty store, and the size of the program
//! - [`loading`]: time from start to ready with a million registrations and three million attempts
//! - [`registrations`]: durable registrations over HTTP, compared to a request that does nothing and to bare fdatasync
//! - [`cluster`]: three hubs on PostgreSQL, compared to one on the embedded store and to `pgbench`
//! - [`rules`]: decisions, registrations and refusals with every rule in use, compared to the same without rules
//! - [`scale`]: unit costs, a tenth of a college compared to a simulation of it, and the resources that a state needs
//! - [`fanout`]: memory per WebSocket and deliveries of an alert, compared to [`bare`], a textbook broadcast
//! - [`promotions`]: time from a drop to the push that notifies the promoted student
//! - [`mixed`]: 200 users who read and register, with and without a 64 MiB import
//! - [`bridge`]: what the hub adds to the response time of a real Plone, and what it saves
//! - [`outage`]: registrations, alerts and dashboards with Plone healthy and with each kind of failure
//!
//! This process generates the load ([`load`], [`frames`]). It shares the machine with the server, so the numbers are
//! those of both together. All connections are on 127.0.0.1.
//!
//! Tables go to standard output, progress to standard error.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its results, and stops at the first failure"
)]

mod bare;
mod bridge;
mod cluster;
mod fanout;
mod frames;
mod load;
mod loading;
mod machine;
mod mixed;
mod outage;
mod promotions;
mod registrations;
mod rules;
mod scale;
mod start;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod throughput;

use std::future::Future;
use std::process::ExitCode;
use std::time::Instant;

use support::plone::Plone;

/// One part of the benchmark.
struct Part {
    /// The name on the command line.
    name: &'static str,
    /// What the part measures, for the progress line.
    measures: &'static str,
    needs_plone: bool,
    run: fn(),
}

/// The parts, in the order in which they run.
const PARTS: [Part; 11] = [
    Part { name: "start", measures: "start time and program size", needs_plone: false, run: start::run },
    Part { name: "loading", measures: "start with a million registrations", needs_plone: false, run: loading::run },
    Part {
        name: "registrations",
        measures: "durable registrations over HTTP",
        needs_plone: false,
        run: registrations::run,
    },
    Part { name: "cluster", measures: "three hubs on PostgreSQL", needs_plone: false, run: cluster::run },
    Part { name: "rules", measures: "decisions and registrations with all rules", needs_plone: false, run: rules::run },
    Part { name: "scale", measures: "unit costs and a tenth of a college", needs_plone: false, run: scale::run },
    Part { name: "fanout", measures: "one alert to 10,000 WebSockets", needs_plone: false, run: fanout::run },
    Part { name: "promotions", measures: "time from a drop to the push", needs_plone: false, run: promotions::run },
    Part { name: "mixed", measures: "200 users during a 64 MiB import", needs_plone: true, run: mixed::run },
    Part {
        name: "bridge",
        measures: "the hub in front of Plone, compared to bare Plone",
        needs_plone: true,
        run: bridge::run,
    },
    Part { name: "outage", measures: "the hub while Plone fails", needs_plone: true, run: outage::run },
];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|a| a == bare::ARGUMENT) {
        bare::serve();
        return ExitCode::SUCCESS;
    }
    let parts = match chosen_parts(&arguments) {
        Ok(parts) => parts,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let files = machine::raise_file_limit();
    println!("{} for load generator and server, at most {files} open files per process", machine::describe());
    for (index, part) in parts.iter().enumerate() {
        let label = format!("{} ({} of {})", part.name, index + 1, parts.len());
        eprintln!("\n{label}: {} ...", part.measures);
        let begun = Instant::now();
        (part.run)();
        eprintln!("{label}: done in {:.0} s", begun.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

/// Returns the named parts, or all parts if no names are given.
///
/// # Errors
///
/// When a name is unknown, or a part needs Plone and Plone is not installed. This is checked before any part runs,
/// because some take minutes.
fn chosen_parts(names: &[String]) -> Result<Vec<&'static Part>, String> {
    if let Some(unknown) = names.iter().find(|name| PARTS.iter().all(|part| part.name != name.as_str())) {
        let known = list(PARTS.iter());
        return Err(format!("Unknown part `{unknown}`. The parts are: {known}."));
    }
    let parts: Vec<_> = PARTS.iter().filter(|part| names.is_empty() || names.iter().any(|n| n == part.name)).collect();
    if parts.iter().any(|part| part.needs_plone) && !Plone::is_installed() {
        let needing = list(parts.into_iter().filter(|part| part.needs_plone));
        let others = list(PARTS.iter().filter(|part| !part.needs_plone));
        return Err(format!(
            "Plone is not installed, but these parts need it: {needing}.\nRun `make plone-template` to install it, or \
             name only parts that do not need it: {others}."
        ));
    }
    Ok(parts)
}

fn list(parts: impl Iterator<Item = &'static Part>) -> String {
    parts.map(|part| part.name).collect::<Vec<_>>().join(", ")
}

/// Runs a future to completion on this thread.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// Returns a number from an environment variable. Such variables shorten runs that are not measurements.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}
