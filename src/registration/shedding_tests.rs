//! Tests of load shedding, some of them with a simulated disk.

use super::*;
use std::collections::VecDeque;

const OVERLOAD_WAIT: Duration = Duration::from_millis(900);
const WAIT_MAX: Duration = Duration::from_secs(10);
const BATCH_MAX: usize = 1_024;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Returns the state of a queue whose waits became long at `start`. A batch holds 200 commands and takes 585 ms.
fn waiting_long_since(start: Instant) -> Shedder {
    let mut shedder = Shedder::new(OVERLOAD_WAIT, WAIT_MAX, BATCH_MAX);
    shedder.limit = 200.0;
    shedder.taking(Some(start - ms(150)), start);
    shedder.taken(0, start);
    shedder
}

#[test]
fn only_a_wait_that_stays_long_sheds_commands() {
    let start = Instant::now();
    // Milliseconds since the wait became long, commands in the queue, wait of the command; the expected decisions.
    let table = [
        (0, 10_000, 9_000, true, false),
        (500, 10_000, 9_000, true, false),
        (501, 199, 1_170, true, false),
        (501, 200, 1_171, false, true),
        (60_000, 0, 0, true, false),
    ];
    for (long, waiting, waited, admits, is_too_old) in table {
        let (shedder, now) = (waiting_long_since(start), start + ms(long));
        let decided = (shedder.admits(waiting, now), shedder.is_too_old(true, now - ms(waited), now));
        assert_eq!(decided, (admits, is_too_old), "long for {long} ms, {waiting} wait, waited {waited} ms");
    }
}

#[test]
fn commands_of_staff_and_of_the_hub_are_not_shed() {
    let start = Instant::now();
    let (shedder, now) = (waiting_long_since(start), start + ms(30_000));
    assert!(!shedder.is_too_old(false, now - WAIT_MAX, now));
    assert!(shedder.is_too_old(false, now - WAIT_MAX - ms(1), now));
}

#[test]
fn an_overload_ends_when_waits_stay_short() {
    let start = Instant::now();
    let mut shedder = waiting_long_since(start);
    // Milliseconds since the wait became long, the wait of the oldest command, and whether commands are then rejected.
    let table = [
        (1_000, 300, true),
        (1_500, 146, true),
        (2_000, 147, true),
        (2_500, 10, true),
        (4_500, 10, true),
        (4_501, 10, false),
        (4_900, 300, false),
        (5_500, 300, true),
    ];
    for (at, waited, rejects) in table {
        let now = start + ms(at);
        shedder.taking(Some(now - ms(waited)), now);
        assert_eq!(shedder.admits(10_000, now), !rejects, "at {at} ms");
        assert_eq!(shedder.is_too_old(true, now - ms(5_000), now), rejects, "at {at} ms");
    }
}

#[test]
fn one_long_batch_sheds_nothing() {
    let start = Instant::now();
    let mut shedder = Shedder::new(OVERLOAD_WAIT, WAIT_MAX, BATCH_MAX);
    shedder.taking(Some(start), start);
    // An import, for example, held the queue for five seconds.
    let later = start + ms(5_000);
    shedder.taking(Some(start + ms(1)), later);
    assert!(shedder.admits(2_000, later) && !shedder.is_too_old(true, start + ms(1), later));
}

#[test]
fn no_command_waits_longer_than_the_maximum() {
    let now = Instant::now();
    for wait_max in [ms(0), ms(100), WAIT_MAX] {
        let shedder = Shedder::new(OVERLOAD_WAIT, wait_max, BATCH_MAX);
        let too_old = |waited| shedder.is_too_old(true, now - waited, now);
        assert_eq!((too_old(wait_max), too_old(wait_max + ms(1))), (false, true), "{wait_max:?}");
    }
}

#[test]
fn commands_that_would_first_wait_for_a_whole_batch_are_rejected() {
    let start = Instant::now();
    let (mut shedder, now) = (waiting_long_since(start), start + ms(1_000));
    shedder.taken(200, now);
    // The batch in flight takes 585 ms, and the next one must be committed within 900 ms.
    let admitted = [0, 269, 270, 585, 2_000].map(|later| shedder.admits(0, now + ms(later)));
    assert_eq!(admitted, [false, false, true, true, true]);
    shedder.taken(20, now);
    assert!(shedder.admits(0, now), "a small batch is committed soon");
}

/// A registrar and its disk.
#[derive(Debug, Clone, Copy)]
struct Disk {
    /// Time that a batch takes apart from its commands, in microseconds.
    fixed: u64,
    per_command: u64,
    /// Time to write all pages of the tables, in microseconds. Small batches write some of them, large ones most.
    pages: u64,
    /// Whether the time of a batch varies, as on a machine that does other work.
    varies: bool,
    /// Every three seconds, a batch takes this much longer, in microseconds.
    stall: u64,
}

impl Disk {
    const fn steady(fixed: u64, per_command: u64) -> Self {
        Self { fixed, per_command, pages: 0, varies: false, stall: 0 }
    }

    /// Returns the mean time of a batch in microseconds, without stalls.
    fn batch(&self, commands: usize) -> f64 {
        let written = 1.0 - (-(commands as f64) / PAGES).exp();
        self.fixed as f64 + self.per_command as f64 * commands as f64 + self.pages as f64 * written
    }

    /// Returns the maximum number of commands per second that the disk can commit in batches of at most `longest`
    /// microseconds.
    fn capacity(&self, longest: f64) -> f64 {
        let fitting = (1..=BATCH_MAX).filter(|commands| self.batch(*commands) <= longest);
        let rate = fitting.map(|commands| commands as f64 / self.batch(commands)).fold(0.0, f64::max);
        rate * 1e6 * (1.0 - self.stall as f64 / STALL_INTERVAL as f64)
    }
}

/// Factors by which the time of batches varies. The mean is 1.
const FACTORS: [f64; 11] = [0.6, 1.3, 0.9, 1.7, 0.7, 1.0, 0.5, 1.5, 1.1, 0.8, 0.9];
/// The number of pages of the tables of a [`Disk`].
const PAGES: f64 = 90.0;
/// The time between two stalls, in microseconds.
const STALL_INTERVAL: u64 = 3_000_000;

/// The result of a simulation.
#[derive(Debug)]
struct Simulated {
    /// Replies to clients that had not given up, per second.
    goodput: f64,
    /// The 99th percentile of the time to the reply of a decided command.
    p99: Duration,
}

/// Simulates twenty seconds with `load` commands a second. The first four seconds are not measured. Clients give up
/// after three seconds.
fn simulate(disk: Disk, load: u64, overload_wait: Duration) -> Simulated {
    let start = Instant::now();
    let at = |micros: u64| start + Duration::from_micros(micros);
    let (mut shedder, mut queue) = (Shedder::new(overload_wait, WAIT_MAX, BATCH_MAX), VecDeque::new());
    let mut in_flight: Option<(u64, u64, Vec<u64>)> = None;
    let (mut latencies, mut factors, mut stalled_at) = (Vec::new(), FACTORS.iter().cycle(), 0);
    let gap = 1_000_000 / load;
    for arrival in (0..20_000_000).step_by(usize::try_from(gap).unwrap()) {
        while in_flight.as_ref().is_none_or(|(_, ends, _)| *ends <= arrival) {
            let now = in_flight.as_ref().map_or(arrival, |(_, ends, _)| *ends);
            if let Some((began, ends, batch)) = in_flight.take() {
                shedder.committed(batch.len(), Duration::from_micros(ends - began));
                if ends > 4_000_000 {
                    latencies.extend(batch.iter().map(|sent| ends - sent));
                }
            }
            shedder.taking(queue.front().map(|sent| at(*sent)), at(now));
            let mut batch = Vec::new();
            while batch.len() < shedder.batch_max()
                && let Some(sent) = queue.pop_front()
            {
                if !shedder.is_too_old(true, at(sent), at(now)) {
                    batch.push(sent);
                }
            }
            if batch.is_empty() {
                break;
            }
            shedder.taken(batch.len(), at(now));
            let factor = if disk.varies { *factors.next().unwrap() } else { 1.0 };
            let mut took = (disk.batch(batch.len()) * factor) as u64;
            if now >= stalled_at + STALL_INTERVAL {
                (took, stalled_at) = (took + disk.stall, now);
            }
            in_flight = Some((now, now + took, batch));
        }
        if shedder.admits(queue.len(), at(arrival)) {
            queue.push_back(arrival);
        }
    }
    latencies.sort_unstable();
    let in_time = latencies.iter().filter(|latency| **latency < 3_000_000).count();
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    Simulated { goodput: in_time as f64 / 16.0, p99: Duration::from_micros(p99) }
}

#[test]
fn overload_keeps_the_goodput_and_bounds_the_wait() {
    let low_throughput = Disk::steady(10_000, 4_000);
    let disks = [
        ("a fast machine", Disk::steady(2_000, 100), 0.9, ms(1_000)),
        ("a slow machine", Disk::steady(5_000, 500), 0.9, ms(1_000)),
        ("a disk of low throughput", low_throughput, 0.9, ms(1_000)),
        ("a disk that writes pages slowly", Disk { pages: 470_000, ..Disk::steady(10_000, 200) }, 0.9, ms(1_000)),
        ("a machine that does other work", Disk { varies: true, ..low_throughput }, 0.9, ms(2_500)),
        ("a disk that stalls", Disk { varies: true, stall: 700_000, ..low_throughput }, 0.9, ms(2_500)),
        ("a disk that syncs slowly", Disk::steady(300_000, 300), 0.75, ms(1_500)),
        ("a disk that syncs very slowly", Disk::steady(600_000, 300), 0.4, ms(2_000)),
    ];
    for (what, disk, share, p99) in disks {
        let capacity = disk.capacity(500_000.0_f64.max(2.0 * disk.fixed as f64));
        for times in [3, 10] {
            let simulated = simulate(disk, capacity as u64 * times, OVERLOAD_WAIT);
            assert!(simulated.goodput >= share * capacity, "{what}, {times} times: {simulated:?} of {capacity}");
            assert!(simulated.p99 < p99, "{what}, {times} times: {simulated:?}");
        }
    }
}

#[test]
fn without_shedding_the_goodput_collapses() {
    let disk = Disk::steady(20_000, 2_500);
    let simulated = simulate(disk, disk.capacity(3e6) as u64 * 3, WAIT_MAX * 100);
    assert!(simulated.goodput < 0.5 * disk.capacity(3e6), "{simulated:?}");
}
