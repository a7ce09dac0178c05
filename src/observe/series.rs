//! The numbers behind the charts of admins: of the last seconds, worked out once a second however many look.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use jiff::Timestamp;

use crate::bus::metrics::{Connections, Latencies, MetricsReading, Percentiles, PloneState, Queues};
use crate::histogram::Counts;

/// Between two readings.
pub const EVERY: Duration = Duration::from_secs(1);
/// Rates and percentiles are of so many seconds: enough of them for a percentile, few enough to see 8:00 as it comes.
pub const WINDOW_S: usize = 10;
/// How many seconds are kept: whoever looks up once a minute sees since when something is as it is. Each takes some
/// 600 bytes.
pub const KEPT_S: usize = 600;

/// What is read of the hub, once a second. Counts are those since the start.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// How long requests took, from the request to the answer's head.
    pub request: Counts,
    /// How long wishes of students took, from being accepted to their durable answer.
    pub registration: Counts,
    /// How long commits of the store took.
    pub commit: Counts,
    /// How long news took from the broker into the queues of all who listen, on one thread.
    pub fanout: Counts,
    /// Seats and places that were given.
    pub registrations: u64,
    /// Wishes that were refused.
    pub refusals: u64,
    /// What is so at present.
    pub present: Present,
}

/// What is so at one moment, told as it is.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// WebSockets.
    pub connections: Connections,
    /// What waits.
    pub queues: Queues,
    /// Memory that the process occupies; none where the system does not say.
    pub memory_bytes: Option<u64>,
    /// How Plone is.
    pub plone: PloneState,
    /// Whether a demonstration is under way: the requests of its students count, what they do in its sandbox does not.
    pub demonstration: bool,
}

/// Returns the percentiles of the latencies that were counted.
fn percentiles(counts: &Counts) -> Percentiles {
    let ms = |percent| counts.percentile(percent).map(|took| took.as_secs_f64() * 1_000.0);
    Percentiles { p50: ms(50), p95: ms(95), p99: ms(99) }
}

/// The last readings, and what they say.
#[derive(Debug, Default)]
pub struct Charts {
    recent: Mutex<VecDeque<(Instant, Reading)>>,
    told: Mutex<VecDeque<ByteString>>,
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
        // These types have text keys and no failing parts, so writing them cannot fail.
        let text: ByteString = serde_json::to_string(&shown).unwrap_or_default().into();
        let mut kept = self.told.lock();
        if kept.len() == KEPT_S {
            kept.pop_front();
        }
        kept.push_back(text);
        Arc::new(shown)
    }

    /// What is to be shown now: a JSON object, not older than a second while the hub runs.
    #[must_use]
    pub fn newest(&self) -> ByteString {
        self.told.lock().back().cloned().unwrap_or_default()
    }

    /// What was to be shown in the last [`KEPT_S`] seconds, the oldest first: JSON objects.
    #[must_use]
    pub fn history(&self) -> Vec<ByteString> {
        self.told.lock().iter().cloned().collect()
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

/// A rate with two decimals: finer it is noise.
#[expect(clippy::cast_precision_loss, reason = "no count of some seconds is that large")]
fn per_second(count: u64, long: Duration) -> f64 {
    if long.is_zero() { 0.0 } else { (count as f64 / long.as_secs_f64() * 100.0).round() / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;
    use serde_json::Value;

    fn parsed(told: &ByteString) -> Value {
        serde_json::from_str(told).unwrap()
    }

    #[test]
    fn rates_and_percentiles_are_those_of_the_last_seconds_and_of_nothing_before() {
        let (charts, requests, start) = (Charts::default(), Histogram::default(), Instant::now());
        let add = |second: u64, registrations: u64| {
            let reading = Reading { request: requests.counts(), registrations, ..Reading::default() };
            let shown = charts.add(Timestamp::UNIX_EPOCH, start + Duration::from_secs(second), reading);
            assert_eq!(parsed(&charts.newest()), serde_json::to_value(&*shown).unwrap());
            parsed(&charts.newest())
        };
        (0..700).for_each(|_| requests.record(Duration::from_secs(2)));
        let first = add(0, 0);
        assert_eq!((&first["requests_per_s"], &first["latency_ms"]["request"]["p50"]), (&0.0.into(), &Value::Null));
        (0..100).for_each(|_| requests.record(Duration::from_millis(4)));
        let soon = add(4, 20);
        assert_eq!((&soon["requests_per_s"], &soon["registrations_per_s"]), (&25.0.into(), &5.0.into()));
        let p99 = soon["latency_ms"]["request"]["p99"].as_f64().unwrap();
        assert!((4.0..4.3).contains(&p99), "what came before the window counts: {p99}");
        let late: Vec<Value> = (5..5 + WINDOW_S as u64).map(|second| add(second, 20)).collect();
        assert_eq!(late.last().unwrap()["requests_per_s"], 0.0, "what has left the window counts");
        assert_eq!(charts.recent.lock().len(), WINDOW_S + 1, "more is kept than is looked at");
    }

    #[test]
    fn the_last_seconds_are_kept_in_their_order_and_no_more_of_them() {
        let (charts, start) = (Charts::default(), Instant::now());
        assert_eq!((charts.newest(), charts.history()), (ByteString::new(), Vec::new()));
        let seconds = KEPT_S as u64 + 5;
        for second in 0..seconds {
            let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            charts.add(at, start + Duration::from_secs(second), Reading::default());
        }
        let history = charts.history();
        assert_eq!((history.len(), history.last()), (KEPT_S, Some(&charts.newest())));
        assert_eq!(parsed(&history[0])["at"], "1970-01-01T00:00:05Z");
    }
}
