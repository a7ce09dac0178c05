//! The metrics behind the charts of admins: of the last seconds, computed once a second however many admins look.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::bus::metrics::{Connections, Latencies, MetricsReading, Percentiles, PloneState, Queues};
use crate::histogram::Counts;

/// Time between two readings.
pub const EVERY: Duration = Duration::from_secs(1);
/// The length in seconds of the window that rates and percentiles cover: long enough for a percentile, short enough to show
/// the rush of 8:00 as it comes.
pub const WINDOW_S: usize = 10;
/// The number of seconds that are kept: an admin who looks once a minute sees when a change began. Each takes some 300 bytes.
pub const KEPT_S: usize = 600;

/// A reading of the hub, once a second. Counts are since the start.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Durations of requests, from the request to the head of its response.
    pub request: Counts,
    /// Durations of registration commands, from being accepted to their durable reply.
    pub registration: Counts,
    /// Durations of commits of the store.
    pub commit: Counts,
    /// Durations from the broker to the queues of all subscribed sessions of one worker thread.
    pub fanout: Counts,
    /// Seats and waitlist positions given.
    pub registrations: u64,
    /// Registrations refused.
    pub refusals: u64,
    /// Values at the moment of the reading.
    pub present: Present,
}

/// Values at one moment, shown as they are.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// WebSockets.
    pub connections: Connections,
    /// Lengths of queues.
    pub queues: Queues,
    /// Resident memory of the process; none where the operating system does not report it.
    pub memory_bytes: Option<u64>,
    /// The state of Plone.
    pub plone: PloneState,
    /// Whether a demonstration runs: the requests of its students are counted, their registrations are not.
    pub demonstration: bool,
}

/// Returns the percentiles of the latencies that were counted.
fn percentiles(counts: &Counts) -> Percentiles {
    let ms = |percent| counts.percentile(percent).map(|took| took.as_secs_f64() * 1_000.0);
    Percentiles { p50: ms(50), p95: ms(95), p99: ms(99) }
}

/// The last readings, and the metrics that were computed from them.
#[derive(Debug, Default)]
pub struct Charts {
    recent: Mutex<VecDeque<(Instant, Reading)>>,
    shown: Mutex<VecDeque<Arc<MetricsReading>>>,
}

impl Charts {
    /// Adds a reading that was taken at `at`, and returns what the charts show now.
    pub fn add(&self, at: Timestamp, taken: Instant, reading: Reading) -> Arc<MetricsReading> {
        let mut recent = self.recent.lock();
        if recent.len() > WINDOW_S {
            recent.pop_front();
        }
        let since = recent.front().map_or(taken, |(first_taken, _)| *first_taken);
        let shown =
            shown(at, taken.duration_since(since), recent.front().map_or(&reading, |(_, first)| first), &reading);
        recent.push_back((taken, reading));
        let shown = Arc::new(shown);
        let mut kept = self.shown.lock();
        if kept.len() == KEPT_S {
            kept.pop_front();
        }
        kept.push_back(shown.clone());
        shown
    }

    /// Returns the newest metrics, not older than a second while the hub runs; none before the first reading.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<MetricsReading>> {
        self.shown.lock().back().cloned()
    }

    /// Returns the metrics of the last [`KEPT_S`] seconds, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<MetricsReading>> {
        self.shown.lock().iter().cloned().collect()
    }
}

fn shown(at: Timestamp, window: Duration, first: &Reading, last: &Reading) -> MetricsReading {
    let request = last.request.since(&first.request);
    let rate = |count: u64| per_second(count, window);
    let present = &last.present;
    MetricsReading {
        at,
        window_s: WINDOW_S,
        requests_per_s: rate(request.total()),
        registrations_per_s: rate(last.registrations.saturating_sub(first.registrations)),
        refusals_per_s: rate(last.refusals.saturating_sub(first.refusals)),
        latency_ms: Latencies {
            request: percentiles(&request),
            registration: percentiles(&last.registration.since(&first.registration)),
            commit: percentiles(&last.commit.since(&first.commit)),
            fanout: percentiles(&last.fanout.since(&first.fanout)),
        },
        connections: present.connections,
        queues: present.queues,
        memory_bytes: present.memory_bytes,
        plone: present.plone,
        demonstration: present.demonstration,
    }
}

/// Returns a rate with two decimals; more would be noise.
#[expect(clippy::cast_precision_loss, reason = "no count of some seconds is that large")]
fn per_second(count: u64, long: Duration) -> f64 {
    if long.is_zero() { 0.0 } else { (count as f64 / long.as_secs_f64() * 100.0).round() / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;

    #[test]
    fn rates_and_percentiles_cover_exactly_the_window() {
        let (charts, requests, start) = (Charts::default(), Histogram::default(), Instant::now());
        let add = |second: u64, registrations: u64| {
            let reading = Reading { request: requests.counts(), registrations, ..Reading::default() };
            let shown = charts.add(Timestamp::UNIX_EPOCH, start + Duration::from_secs(second), reading);
            assert_eq!(charts.newest(), Some(shown.clone()));
            shown
        };
        (0..700).for_each(|_| requests.record(Duration::from_secs(2)));
        let first = add(0, 0);
        assert_eq!((first.requests_per_s, first.latency_ms.request.p50), (0.0, None));
        (0..100).for_each(|_| requests.record(Duration::from_millis(4)));
        let soon = add(4, 20);
        assert_eq!((soon.requests_per_s, soon.registrations_per_s), (25.0, 5.0));
        let p99 = soon.latency_ms.request.p99.unwrap();
        assert!((4.0..4.3).contains(&p99), "what came before the window counts: {p99}");
        let late: Vec<_> = (5..5 + WINDOW_S as u64).map(|second| add(second, 20)).collect();
        assert_eq!(late.last().unwrap().requests_per_s, 0.0, "what has left the window counts");
        assert_eq!(charts.recent.lock().len(), WINDOW_S + 1, "more is kept than is looked at");
    }

    #[test]
    fn exactly_the_last_seconds_are_kept_in_order() {
        let (charts, start) = (Charts::default(), Instant::now());
        assert_eq!((charts.newest(), charts.history()), (None, Vec::new()));
        let seconds = KEPT_S as u64 + 5;
        for second in 0..seconds {
            let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            charts.add(at, start + Duration::from_secs(second), Reading::default());
        }
        let history = charts.history();
        assert_eq!((history.len(), history.last()), (KEPT_S, charts.newest().as_ref()));
        assert_eq!(history[0].at.to_string(), "1970-01-01T00:00:05Z");
    }
}
