//! The colleges of a whole state: what each size of college needs on a registration morning, and where one term reaches
//! its limits.

use super::costs::Bytes;
use crate::support::morning::Morning;
use crate::support::simulation::{Costs, Layout, Outcome, simulate};
use crate::table::{self, number};

/// Students at the largest college.
pub const LARGEST: usize = 40_000;
/// Students at a large college.
pub const LARGE: usize = 20_000;
/// Windows of a morning, each with the same number of students.
pub const WINDOWS: usize = 4;
/// The colleges by size: a million students in 200 colleges.
const COLLEGES: [(usize, usize); 4] = [(1, LARGEST), (9, LARGE), (40, 8_000), (150, 3_067)];
/// Sections of a college.
const SECTIONS: usize = 3_465;
/// Sections of a student.
const CART: f64 = 5.0;
/// Simulated seconds of a window. The busiest moment is within the first minute.
const WINDOW: f64 = 180.0;
/// The share of processors that may be busy while one of two hubs is stopped.
const BUSY_MAX: f64 = 0.7;
/// Students in one window of one term, for the limits.
const LIMITS: [usize; 5] = [10_000, 25_000, 50_000, 100_000, 200_000];
/// Reads of other hubs' commits per second and hub: one every 20 ms at most.
const FOLLOWS_MAX: f64 = 50.0;
const SEED: u64 = 1;

/// Prints the tables.
pub fn run(costs: &Costs, bytes: Bytes, commit_wait: f64) {
    colleges(costs, bytes, commit_wait);
    together(costs, bytes);
    limits(costs, commit_wait);
}

/// Prints what changes if all colleges are terms of one installation, in which each hub holds all terms in memory.
fn together(costs: &Costs, bytes: Bytes) {
    let (colleges, students) =
        COLLEGES.iter().fold((0, 0), |(colleges, all), (count, students)| (colleges + count, all + count * students));
    let terms = colleges as f64 * SECTIONS as f64 * bytes.section;
    let registrations = students as f64 * CART * bytes.registration;
    let sessions = students as f64 / WINDOWS as f64;
    let stored = students as f64 * CART * bytes.stored;
    println!(
        "  all colleges as terms of one installation: {:.1} GB of memory on each hub ({:.1} GB for {} registrations), \
         {} live sessions, {:.1} GB on disk for a term",
        (bytes.hub + terms + registrations) / 1e9,
        registrations / 1e9,
        number(students as f64 * CART),
        number(sessions),
        stored / 1e9
    );
    println!(
        "  its reads of other hubs' commits: up to {:.2} PostgreSQL processors for each hub",
        FOLLOWS_MAX * costs.follow.postgres
    );
    let wal = costs.wal_batch + costs.wal_registration;
    println!("  write-ahead log: {:.1} MB for 1,000 registrations that are not batched", wal / 1e3);
}

/// Prints what a college of each size needs.
fn colleges(costs: &Costs, bytes: Bytes, commit_wait: f64) {
    let (mut rows, mut all) = (Vec::new(), [0.0; 6]);
    for (count, students) in COLLEGES {
        let (cores, outcome) = sized(students / WINDOWS, costs, commit_wait);
        let sessions = students as f64 / WINDOWS as f64;
        let memory = bytes.hub
            + SECTIONS as f64 * bytes.section
            + bytes.lists
            + sessions * (bytes.connection + bytes.session)
            + students as f64 * CART * bytes.registration;
        let disk = students as f64 * CART * bytes.stored;
        let peak = outcome.peak;
        let of_one = [peak.hubs, peak.postgres, peak.registrations, peak.wire * 8.0 / 1e6, 2.0 * memory, disk];
        all.iter_mut().zip(of_one).for_each(|(sum, one)| *sum += one * count as f64);
        rows.push(row(&format!("{count} × {}", number(students as f64)), cores, of_one, &outcome));
    }
    rows.push(row("all in the same minute", 0, all, &Outcome::default()));
    let title = "Two hubs for each college, a quarter of its students in the first window (busiest 10 s)";
    let columns = [
        "colleges",
        "processors\nof each hub",
        "hub processors\nbusy",
        "PostgreSQL\nprocessors busy",
        "registrations/s",
        "Mbit/s",
        "memory of\nboth hubs, MB",
        "disk for\na term, MB",
        "row locked, %",
        "registration\np99, ms",
    ];
    table::print(title, &columns, &rows);
}

fn row(
    name: &str,
    cores: usize,
    [hubs, postgres, rate, wire, memory, disk]: [f64; 6],
    outcome: &Outcome,
) -> Vec<String> {
    let cores = if cores == 0 { String::new() } else { cores.to_string() };
    let (row, p99) = if outcome.registering.is_empty() {
        (String::new(), String::new())
    } else {
        (format!("{:.0}", outcome.peak.row * 100.0), millis(&outcome.registering, 99))
    };
    let numbers = [
        cores,
        format!("{hubs:.2}"),
        format!("{postgres:.2}"),
        number(rate),
        number(wire),
        number(memory / 1e6),
        number(disk / 1e6),
        row,
        p99,
    ];
    [name.to_owned()].into_iter().chain(numbers).collect()
}

/// Finds the number of processors with which one of two hubs can serve a window alone.
fn sized(students: usize, costs: &Costs, commit_wait: f64) -> (usize, Outcome) {
    let mut cores = 1;
    loop {
        let layout = Layout { hubs: 2, hub_cores: cores, postgres_cores: 8, commit_wait };
        let outcome = simulate(&Morning::of(students, WINDOW), SECTIONS, costs, layout, SEED);
        if outcome.peak.hubs <= BUSY_MAX * cores as f64 || cores == 64 {
            return (cores, outcome);
        }
        cores *= 2;
    }
}

/// Prints how one term behaves with more and more students.
fn limits(costs: &Costs, commit_wait: f64) {
    let rows = LIMITS.map(|students| {
        let layout = Layout { hubs: 4, hub_cores: 8, postgres_cores: 8, commit_wait };
        let outcome = simulate(&Morning::of(students, 60.0), SECTIONS, costs, layout, SEED);
        let peak = outcome.peak;
        vec![
            number(students as f64),
            number(peak.registrations),
            format!("{:.0}", peak.row * 100.0),
            format!("{:.1}", outcome.registrations as f64 / outcome.batches.max(1) as f64),
            format!("{:.1}", peak.postgres),
            format!("{:.1}", peak.hubs),
            number(peak.frames),
            format!("{:.2}", peak.wire * 8.0 / 1e9),
            number(outcome.sessions as f64 / 4.0),
            millis(&outcome.registering, 99),
            millis(&outcome.reading, 99),
        ]
    });
    let columns = [
        "students in\nthe window",
        "registrations/s",
        "row\nlocked, %",
        "registrations\na batch",
        "PostgreSQL\nprocessors",
        "hub processors\n(of 32)",
        "frames/s",
        "Gbit/s",
        "sessions\na hub",
        "registration\np99, ms",
        "read\np99, ms",
    ];
    table::print("One term, four hubs of eight processors, the first minute (busiest 10 s)", &columns, &rows);
}

fn millis(times: &[f64], percent: usize) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    number(sorted.get(index).copied().unwrap_or_default() * 1e3)
}
