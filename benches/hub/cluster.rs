//! Three hubs on PostgreSQL, compared to one hub on the embedded store and to `pgbench` updating one row.
//!
//! PostgreSQL writes each commit to the disk, as it does for a college. Everything shares the machine.

use std::rc::Rc;

use crate::registrations::{Count, Kind, measure_all, schedule};
use crate::setting;
use crate::support::nats::NatsServer;
use crate::support::postgres::start_durable;
use crate::support::server::{Home, Server};
use crate::support::wait::eventually;
use crate::table::{self, met, millis, number, percentile};

/// The number of hubs, and of connections of `pgbench`, each of which waits for the row.
const HUBS: usize = 3;
const STUDENTS: usize = 600;
/// Measurements of each kind, which alternate. The one with the median number of writes is printed.
const TURNS: usize = 3;

/// Runs and prints this part.
pub fn run() {
    let seconds = setting("EDUHUB_BENCH_SECONDS", 6);
    let (nats, cluster) = (NatsServer::start(), start_durable());
    let embedded = Home::new();
    let url = format!("postgres://postgres@{}/postgres", cluster.address());
    let home = || Home::new().setting("store.url", &url).setting("bus.url", &nats.url());
    let homes: [Home; HUBS] = std::array::from_fn(|_| home());
    let one = [embedded.serve()];
    let three = homes.each_ref().map(Home::serve);
    let load = |home: &Home, servers: &[Server]| {
        schedule().load(&mut servers[0].client().signed_in(&home.token("registrar", "staff")));
        servers.iter().for_each(wait_for_term);
    };
    load(&embedded, &one);
    load(&homes[0], &three);
    let tokens = [&embedded, &homes[0]].map(|home| Rc::new(home.tokens("bench", "student", STUDENTS)));
    let ids = Rc::new(schedule().ids());
    let (mut on_one, mut on_three, mut on_row) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        on_one.push(measure_all(&one.each_ref(), STUDENTS, &tokens[0], &ids, seconds, Kind::Register));
        on_three.push(measure_all(&three.each_ref(), STUDENTS, &tokens[1], &ids, seconds, Kind::Register));
        on_row.push(cluster.updates_per_second(HUBS, seconds));
    }
    print(seconds, [on_one, on_three], on_row);
    drop((one, three));
    for home in [&embedded, &homes[0]] {
        home.verify().unwrap();
    }
}

fn wait_for_term(server: &Server) {
    eventually("the open term at each hub", || {
        let terms = server.client().get("/api/v1/terms").expect(200).json();
        terms["items"][0]["opens_at"].is_string().then_some(())
    });
}

/// Returns the writes per second, and the run with the median number of writes.
fn median(mut counts: Vec<Count>) -> (f64, Count) {
    counts.sort_unstable_by_key(Count::writes);
    let count = counts.swap_remove(counts.len() / 2);
    (count.writes() as f64 / count.duration.as_secs_f64(), count)
}

fn print(seconds: usize, [one, three]: [Vec<Count>; 2], mut updates: Vec<f64>) {
    let ((on_one, mut one), (on_three, mut three)) = (median(one), median(three));
    let row = |name: &str, rate: f64, count: &mut Count| {
        let times = [50, 95, 99].map(|p| millis(percentile(&mut count.times, p)));
        [name.to_owned(), number(rate)].into_iter().chain(times).collect::<Vec<_>>()
    };
    let updates = table::median(&mut updates);
    let rows = [
        row("one hub, embedded store", on_one, &mut one),
        row("three hubs, PostgreSQL", on_three, &mut three),
        vec!["pgbench, one row".to_owned(), number(updates), String::new(), String::new(), String::new()],
    ];
    let title = format!("Seats taken and dropped by {STUDENTS} students (median of {TURNS} runs of {seconds} s)");
    table::print(&title, &["", "writes/s", "p50 ms", "p95 ms", "p99 ms"], &rows);
    println!("  target: three hubs at least half of one hub: {}", met(2.0 * on_three >= on_one));
    println!("  target: three hubs at least five times pgbench: {}", met(on_three >= 5.0 * updates));
}
