//! What Prometheus reads. Requests are counted as they are answered, with a few atomic additions; everything else is
//! asked for when somebody reads: queues, connections and commits are counted where they happen, and only looked at
//! here. [`charts`] has the numbers of the last seconds, for admins.

use parking_lot::Mutex;
use std::time::Duration;

use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use crate::histogram::Counts;

/// Bounds of the histogram of answers, in seconds: from a list out of memory to a client that is about to give up.
const REQUEST_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Classes of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Named values, read from where they are kept.
pub type Reading = Box<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>;
/// Named counts, read from where they are kept.
pub type Counting = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

enum Watched {
    Value(Gauge, Box<dyn Fn() -> f64 + Send + Sync>),
    Values(GaugeVec, Reading),
    Count(IntCounter, Box<dyn Fn() -> u64 + Send + Sync>),
    Counts(IntCounterVec, Counting),
}

/// The registry of everything that is measured.
pub struct Metrics {
    registry: Registry,
    requests: [IntCounter; CLASSES.len()],
    request_seconds: Histogram,
    request_took: crate::histogram::Histogram,
    /// Locked while somebody reads: two readers at once would count the same step twice.
    watched: Mutex<Vec<Watched>>,
}

impl Metrics {
    /// With the counters of requests, and nothing watched yet.
    ///
    /// # Errors
    /// When a name is used twice.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let by_class = IntCounterVec::new(
            Opts::new("eduhub_http_requests_total", "HTTP requests answered, by the class of their status"),
            &["class"],
        )?;
        registry.register(Box::new(by_class.clone()))?;
        let seconds = HistogramOpts::new("eduhub_http_request_seconds", "Seconds from a request to its answer");
        let request_seconds = Histogram::with_opts(seconds.buckets(REQUEST_SECONDS.to_vec()))?;
        registry.register(Box::new(request_seconds.clone()))?;
        let requests = CLASSES.map(|class| by_class.with_label_values(&[class]));
        Ok(Self {
            registry,
            requests,
            request_seconds,
            request_took: Default::default(),
            watched: Mutex::new(Vec::new()),
        })
    }

    /// Counts an answered request.
    pub fn count_request(&self, status: u16, took: Duration) {
        if let Some(counter) = usize::from(status / 100).checked_sub(1).and_then(|class| self.requests.get(class)) {
            counter.inc();
        }
        self.request_seconds.observe(took.as_secs_f64());
        self.request_took.record(took);
    }

    /// How long requests took so far, finer than Prometheus is told.
    #[must_use]
    pub fn request_took(&self) -> Counts {
        self.request_took.counts()
    }

    /// Watches one value.
    ///
    /// # Errors
    /// When the name is used already.
    pub fn watch_value(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> prometheus::Result<()> {
        let gauge = Gauge::new(name, help)?;
        self.registry.register(Box::new(gauge.clone()))?;
        self.watch(Watched::Value(gauge, Box::new(read)));
        Ok(())
    }

    /// Watches values that differ in one label.
    ///
    /// # Errors
    /// When the name is used already.
    pub fn watch_values(&self, name: &str, help: &str, label: &str, read: Reading) -> prometheus::Result<()> {
        let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
        self.registry.register(Box::new(gauges.clone()))?;
        self.watch(Watched::Values(gauges, read));
        Ok(())
    }

    /// Watches a count, which never goes back.
    ///
    /// # Errors
    /// When the name is used already.
    pub fn watch_count(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> prometheus::Result<()> {
        let counter = IntCounter::new(name, help)?;
        self.registry.register(Box::new(counter.clone()))?;
        self.watch(Watched::Count(counter, Box::new(read)));
        Ok(())
    }

    /// Watches counts that differ in one label.
    ///
    /// # Errors
    /// When the name is used already.
    pub fn watch_counts(&self, name: &str, help: &str, label: &str, read: Counting) -> prometheus::Result<()> {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.registry.register(Box::new(counters.clone()))?;
        self.watch(Watched::Counts(counters, read));
        Ok(())
    }

    fn watch(&self, one: Watched) {
        self.watched.lock().push(one);
    }

    /// Everything, in Prometheus' text format (version 0.0.4).
    ///
    /// # Errors
    /// When something cannot be written in that format.
    pub fn text(&self) -> prometheus::Result<String> {
        let watched = self.watched.lock();
        for one in watched.iter() {
            match one {
                Watched::Value(gauge, read) => gauge.set(read()),
                Watched::Values(gauges, read) => {
                    for (label, value) in read() {
                        gauges.with_label_values(&[label]).set(value);
                    }
                }
                Watched::Count(counter, read) => catch_up(counter, read()),
                Watched::Counts(counters, read) => {
                    for (label, count) in read() {
                        catch_up(&counters.with_label_values(&[label]), count);
                    }
                }
            }
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn catch_up(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn what_is_counted_elsewhere_is_read_when_asked_for() {
        let metrics = Metrics::new().unwrap();
        let commits = Arc::new(AtomicU64::new(3));
        let read = commits.clone();
        metrics.watch_count("eduhub_commits_total", "Commits", move || read.load(Ordering::Relaxed)).unwrap();
        metrics.watch_values("eduhub_queue", "Queues", "queue", Box::new(|| vec![("store", 2.0)])).unwrap();
        metrics.count_request(404, Duration::from_millis(3));
        metrics.text().unwrap();
        commits.store(5, Ordering::Relaxed);
        let text = metrics.text().unwrap();
        for line in [
            "eduhub_commits_total 5",
            "eduhub_queue{queue=\"store\"} 2",
            "eduhub_http_requests_total{class=\"4xx\"} 1",
            "eduhub_http_requests_total{class=\"2xx\"} 0",
            "eduhub_http_request_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
        }
    }
}
