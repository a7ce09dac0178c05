//! Work done in a stretch of time, in rates that are comparable between runs: writes and answers per second, and the
//! server's processor time.
//!
//! One HTTP answer may hold no write (a read, a refusal) or several (a batch drop), so that neither rate can be derived
//! from the other.

use std::time::{Duration, Instant};

use crate::machine;
use crate::table::number;

/// Column headings of [`Throughput::cells`].
pub const COLUMNS: [&str; 3] = ["writes/s", "answers/s", "server CPU, ms\nper 1,000 answers"];

/// Work that one load did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Throughput {
    /// Seats taken and seats dropped, each committed before its answer.
    pub writes: usize,
    /// HTTP answers of any status.
    pub answers: usize,
    /// Processor time of the server process, user and system.
    pub server: Duration,
    /// Length of the measurement.
    pub lasted: Duration,
}

impl Throughput {
    /// Returns the rate of `count` in this measurement, per second.
    pub fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.lasted.as_secs_f64()
    }

    /// Returns the cells of [`COLUMNS`].
    pub fn cells(&self) -> [String; 3] {
        [
            number(self.per_second(self.writes)),
            number(self.per_second(self.answers)),
            millis_per_thousand(self.server, self.answers),
        ]
    }
}

/// Prints what [`COLUMNS`] mean.
pub fn print_notes() {
    println!("  writes/s: seats taken and seats dropped, each committed before its answer; answers/s: HTTP answers");
    println!("  server CPU: processor time (user and system) of the server process, from /proc");
}

/// Returns the milliseconds of processor time per 1,000 of `count`; a dash when nothing was counted.
pub fn millis_per_thousand(time: Duration, count: usize) -> String {
    if count == 0 {
        return "-".into();
    }
    format!("{:.1}", time.as_secs_f64() * 1e6 / count as f64)
}

/// Measures the processor time of a process over a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    pid: u32,
    used_before: Duration,
    begun: Instant,
}

impl Stopwatch {
    /// Starts measuring the process `pid`.
    pub fn start(pid: u32) -> Self {
        Self { pid, used_before: machine::processor_time(pid), begun: Instant::now() }
    }

    /// Returns the processor time that the process has used since the start.
    pub fn used(&self) -> Duration {
        machine::processor_time(self.pid).saturating_sub(self.used_before)
    }

    /// Returns the time that has passed since the start.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
