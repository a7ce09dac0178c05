//! The unit costs of hubs on PostgreSQL, a tenth of a college compared to what these costs predict, and the resources
//! that the colleges of a state need (docs/SCALE.md).
//!
//! Processor time, memory and bytes are compared. Latencies are only predicted, because everything shares this machine.

mod college;
mod costs;
mod meter;
mod state;
mod system;

use crate::support::morning::Action;
use crate::support::simulation::Costs;
use crate::{setting, table};
use costs::Bytes;
use system::System;

/// Seconds that a batch waits without computing: an fsync of a local NVMe disk and three round trips of 0.1 ms within a
/// data center. Assumed, not measured.
const COMMIT_WAIT: f64 = 0.002;

/// Runs and prints this part.
pub fn run() {
    let seconds = setting("EDUHUB_BENCH_SECONDS", 6) as f64;
    let mut system = System::start();
    let (mut costs, bytes, followed) = costs::measure(&mut system, seconds);
    let run = college::run(&system, setting("EDUHUB_BENCH_MORNING", 60) as f64);
    costs::builds(&system, &mut costs, seconds, &followed);
    print(&costs, bytes);
    run.print(&system, &costs, bytes, COMMIT_WAIT);
    state::run(&costs, bytes, COMMIT_WAIT);
}

fn print(costs: &Costs, bytes: Bytes) {
    let micros = |seconds: f64| format!("{:.0}", seconds * 1e6);
    let request = |name: &str, action: Action| {
        let cost = costs.requests[action as usize];
        [name.to_owned(), micros(cost.hub), micros(cost.postgres), table::number(costs.wire[action as usize])].to_vec()
    };
    let load = |name: &str, hub: f64, postgres: f64, wire: f64| {
        vec![
            name.to_owned(),
            micros(hub),
            micros(postgres),
            if wire > 0.0 { table::number(wire) } else { String::new() },
        ]
    };
    let builds = |action: Action| costs.builds[action as usize];
    let rows = [
        load("a hub without clients, per second", costs.idle.hub, costs.idle.postgres, 0.0),
        request("connection and list of terms", Action::Terms),
        request("all sections, unchanged", Action::Sections),
        load("  built and compressed", builds(Action::Sections), 0.0, 0.0),
        request("seats, unchanged", Action::Seats),
        load("  built and compressed", builds(Action::Seats), 0.0, 0.0),
        request("own registrations", Action::Own),
        request("registration or refusal: the request", Action::Register),
        load("  in a batch", costs.registration.hub, costs.registration.postgres, 0.0),
        load("  a batch", costs.batch.hub, costs.batch.postgres, 0.0),
        load("  reading other hubs' commits first", costs.catch_up.hub, costs.catch_up.postgres, 0.0),
        load("students recorded as last seen, a write", costs.recording.hub, costs.recording.postgres, 0.0),
        load("read of another hub's commits", costs.follow.hub, costs.follow.postgres, 0.0),
        request("WebSocket opened and subscribed", Action::Join),
        load("frame with one changed section", costs.frame, 0.0, costs.frame_bytes + costs.change_bytes),
    ];
    let columns = ["", "hub, µs", "PostgreSQL, µs", "bytes to and\nfrom a student"];
    table::print("Unit costs: processor time (user and system) and bytes", &columns, &rows);
    println!(
        "  each further changed section in a frame: {:.2} µs, {:.0} bytes",
        costs.change * 1e6,
        costs.change_bytes
    );
    println!(
        "  write-ahead log: {:.0} bytes a batch, {:.0} a registration, and {:.0} a recording of students",
        costs.wal_batch, costs.wal_registration, costs.wal_recording
    );
    println!("  stored: {:.0} bytes a registration, with indexes and its attempt", bytes.stored);
    println!(
        "  memory: {:.1} MB a hub, {:.1} kB a section, {:.1} MB cached lists, {:.1} kB a connection, {:.1} kB a live session, {:.2} kB a registration",
        bytes.hub / 1e6,
        bytes.section / 1e3,
        bytes.lists / 1e6,
        bytes.connection / 1e3,
        bytes.session / 1e3,
        bytes.registration / 1e3
    );
}
