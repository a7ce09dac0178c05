//! Rates that are comparable between runs: writes and responses per second, and the server's processor time.
//!
//! A response may stand for no write (a read, a refusal) or for several (a batch of drops), so neither rate can be
//! derived from the other.

use std::time::{Duration, Instant};

use crate::machine;
use crate::table::number;

/// Column headings of [`Throughput::cells`].
pub const COLUMNS: [&str; 3] = ["writes/s", "responses/s", "server CPU, ms\nper 1,000 responses"];

/// The work done during a measurement.
#[derive(Debug, Default, Clone, Copy)]
pub struct Throughput {
    /// Seats taken and seats dropped, each committed before its response.
    pub writes: usize,
    /// HTTP responses of any status.
    pub responses: usize,
    /// Processor time of the server process, user and system.
    pub server: Duration,
    /// Duration of the measurement.
    pub duration: Duration,
}

impl Throughput {
    /// Returns `count` per second of this measurement.
    pub fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.duration.as_secs_f64()
    }

    /// Returns the cells of [`COLUMNS`].
    pub fn cells(&self) -> [String; 3] {
        [
            number(self.per_second(self.writes)),
            number(self.per_second(self.responses)),
            millis_per_thousand(self.server, self.responses),
        ]
    }
}

/// Prints an explanation of [`COLUMNS`].
pub fn print_notes() {
    println!(
        "  writes/s: seats taken and seats dropped, each committed before its response; responses/s: HTTP responses"
    );
    println!("  server CPU: processor time (user and system) of the server process, from /proc");
}

/// Returns the milliseconds of processor time per 1,000 of `count`; a dash if `count` is 0.
pub fn millis_per_thousand(time: Duration, count: usize) -> String {
    if count == 0 {
        return "-".into();
    }
    format!("{:.1}", time.as_secs_f64() * 1e6 / count as f64)
}

/// A measurement of the processor time that a process uses, and of the time that passes.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    pid: u32,
    used_at_start: Duration,
    begun: Instant,
}

impl Stopwatch {
    /// Starts measuring the process `pid`.
    pub fn start(pid: u32) -> Self {
        Self { pid, used_at_start: machine::processor_time(pid), begun: Instant::now() }
    }

    /// Returns the processor time that the process has used since the start.
    pub fn used(&self) -> Duration {
        machine::processor_time(self.pid).saturating_sub(self.used_at_start)
    }

    /// Returns the time that has passed since the start.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
