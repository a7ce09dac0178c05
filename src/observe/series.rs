//! The recent metrics for the charts of the administration page, computed once per second.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::bus::metrics_reading::{Connections, Latencies, MetricsReading, Percentiles, PloneState, Queues};
use crate::histogram::Counts;

/// Time between two readings.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// The window of rates and percentiles, in seconds: long enough for a percentile, short enough to show a rush as it
/// starts.
pub const WINDOW_S: usize = 10;
/// The length of the history in seconds. Each second takes about 300 bytes.
pub const HISTORY_S: usize = 600;
/// The length of the coarse history in minutes: a day, which takes less than half a megabyte.
pub const HISTORY_MIN: usize = 24 * 60;
/// The window of the rates and percentiles of the coarse history.
const MINUTE: Duration = Duration::from_secs(60);

/// A reading of the hub's counters. Counts are since the start of the hub.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Durations of requests, from the request to the head of its response.
    pub request: Counts,
    /// Durations of registration commands, from acceptance to the reply after the commit.
    pub registration: Counts,
    /// Durations of commits of the store.
    pub commit: Counts,
    /// Durations of fan-outs, from the broker to the queues of all subscribed sessions of one worker thread.
    pub fanout: Counts,
    /// Seats and waitlist positions taken.
    pub registrations: u64,
    /// Refused registrations.
    pub refusals: u64,
    /// Values at the moment of the reading.
    pub current: CurrentValues,
}

/// Values at the time of a reading.
#[derive(Debug, Clone, Default)]
pub struct CurrentValues {
    /// Live sessions, by role.
    pub connections: Connections,
    /// Lengths of queues.
    pub queues: Queues,
    /// Resident memory of the process in bytes; `None` if the operating system does not report it.
    pub memory_bytes: Option<u64>,
    /// The state of Plone.
    pub plone: PloneState,
    /// Whether a demonstration runs. Requests of its students are counted, but their registrations are not.
    pub demonstration: bool,
}

/// Returns percentiles in milliseconds.
fn percentiles(counts: &Counts) -> Percentiles {
    let ms = |percent| counts.percentile(percent).map(|took| took.as_secs_f64() * 1_000.0);
    Percentiles { p50: ms(50), p95: ms(95), p99: ms(99) }
}

/// The coarse history.
#[derive(Debug, Default)]
struct Minutes {
    items: VecDeque<Arc<MetricsReading>>,
    /// The reading with which the current minute began.
    began: Option<(Instant, Reading)>,
}

/// The last readings, and the metrics that were computed from them.
#[derive(Debug, Default)]
pub struct Charts {
    recent: Mutex<VecDeque<(Instant, Reading)>>,
    history: Mutex<VecDeque<Arc<MetricsReading>>>,
    minutes: Mutex<Minutes>,
    /// The time of the first reading.
    started_at: OnceLock<Timestamp>,
}

impl Charts {
    /// Adds a reading, and returns the metrics of the window that ends with it. `at` and `taken` are its time on the
    /// wall clock and on the monotonic clock.
    pub fn add(&self, at: Timestamp, taken: Instant, reading: Reading) -> Arc<MetricsReading> {
        let mut recent = self.recent.lock();
        if recent.len() > WINDOW_S {
            recent.pop_front();
        }
        let started_at = *self.started_at.get_or_init(|| at);
        self.add_minute(at, taken, &reading);
        let since = recent.front().map_or(taken, |(first_taken, _)| *first_taken);
        let shown =
            metrics(at, taken.duration_since(since), recent.front().map_or(&reading, |(_, first)| first), &reading);
        let shown = MetricsReading { started_at, ..shown };
        recent.push_back((taken, reading));
        let shown = Arc::new(shown);
        let mut history = self.history.lock();
        if history.len() == HISTORY_S {
            history.pop_front();
        }
        history.push_back(shown.clone());
        shown
    }

    /// Adds an item to the coarse history when a minute has passed.
    fn add_minute(&self, at: Timestamp, taken: Instant, reading: &Reading) {
        let mut minutes = self.minutes.lock();
        let Minutes { items, began } = &mut *minutes;
        let Some((since, first)) = began else {
            *began = Some((taken, reading.clone()));
            return;
        };
        let window = taken.duration_since(*since);
        if window < MINUTE {
            return;
        }
        let started_at = *self.started_at.get_or_init(|| at);
        let window_s = usize::try_from(window.as_secs()).unwrap_or(usize::MAX);
        if items.len() == HISTORY_MIN {
            items.pop_front();
        }
        items.push_back(Arc::new(MetricsReading { started_at, window_s, ..metrics(at, window, first, reading) }));
        *began = Some((taken, reading.clone()));
    }

    /// Returns the metrics of the last [`HISTORY_MIN`] minutes, oldest first.
    #[must_use]
    pub fn minutes(&self) -> Vec<Arc<MetricsReading>> {
        self.minutes.lock().items.iter().cloned().collect()
    }

    /// Returns the newest metrics; `None` before the first reading.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<MetricsReading>> {
        self.history.lock().back().cloned()
    }

    /// Returns the metrics of the last [`HISTORY_S`] seconds, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Arc<MetricsReading>> {
        self.history.lock().iter().cloned().collect()
    }
}

/// Computes the metrics of the window between two readings.
fn metrics(at: Timestamp, window: Duration, first: &Reading, last: &Reading) -> MetricsReading {
    let request = last.request.since(&first.request);
    let rate = |count: u64| per_second(count, window);
    let current = &last.current;
    MetricsReading {
        at,
        started_at: at,
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
        connections: current.connections,
        queues: current.queues,
        memory_bytes: current.memory_bytes,
        plone: current.plone,
        demonstration: current.demonstration,
    }
}

/// Returns a rate per second, rounded to two decimals.
#[expect(clippy::cast_precision_loss, reason = "no count of a few seconds is that large")]
fn per_second(count: u64, window: Duration) -> f64 {
    if window.is_zero() { 0.0 } else { (count as f64 / window.as_secs_f64() * 100.0).round() / 100.0 }
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
        assert!((4.0..4.3).contains(&p99), "p99 excludes durations before the window: {p99}");
        let late: Vec<_> = (5..5 + WINDOW_S as u64).map(|second| add(second, 20)).collect();
        assert_eq!(late.last().unwrap().requests_per_s, 0.0, "requests before the window are not counted");
        assert_eq!(charts.recent.lock().len(), WINDOW_S + 1, "readings before the window are removed");
    }

    #[test]
    fn coarse_history_has_one_item_a_minute_with_the_rates_of_that_minute() {
        let (charts, start) = (Charts::default(), Instant::now());
        let minutes = u64::try_from(HISTORY_MIN).unwrap() + 3;
        for second in (0..=minutes * 60).step_by(20) {
            let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            let reading = Reading { registrations: second * 2, ..Reading::default() };
            charts.add(at, start + Duration::from_secs(second), reading);
        }
        let items = charts.minutes();
        assert_eq!(items.len(), HISTORY_MIN);
        assert!(items.iter().all(|item| item.window_s == 60 && (item.registrations_per_s - 2.0).abs() < 0.01));
        assert_eq!(items[0].at.to_string(), "1970-01-01T00:04:00Z");
        assert!(items.iter().all(|item| item.started_at == Timestamp::UNIX_EPOCH), "the time of the first reading");
    }

    #[test]
    fn history_has_a_bounded_length_and_is_in_order() {
        let (charts, start) = (Charts::default(), Instant::now());
        assert_eq!((charts.newest(), charts.history()), (None, Vec::new()));
        let seconds = HISTORY_S as u64 + 5;
        for second in 0..seconds {
            let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            charts.add(at, start + Duration::from_secs(second), Reading::default());
        }
        let history = charts.history();
        assert_eq!((history.len(), history.last()), (HISTORY_S, charts.newest().as_ref()));
        assert_eq!(history[0].at.to_string(), "1970-01-01T00:00:05Z");
    }
}
