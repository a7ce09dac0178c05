//! Metrics in Prometheus' format. Requests are counted here, with a few atomic additions per response. Other values are
//! counted elsewhere and read only when Prometheus collects them. The recent values for the administration page are in
//! [`crate::observe::series`].

use std::collections::HashMap;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use crate::histogram::Counts;

/// Bounds of the histogram of response times, in seconds.
const REQUEST_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Classes of HTTP statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A function that reads values, each with the value of its label.
pub type Reading = Box<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>;
/// A function that reads counts, each with the value of its label.
pub type CountReading = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

/// A metric whose value is stored elsewhere and read when Prometheus collects it.
struct ReadOnCollect {
    desc: Desc,
    kind: MetricType,
    /// The name of the label; `None` for a single value.
    label: Option<String>,
    read: Reading,
}

impl Collector for ReadOnCollect {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(self.kind);
        family.set_metric(
            (self.read)().into_iter().map(|(label_value, value)| self.metric(label_value, value)).collect(),
        );
        vec![family]
    }
}

impl ReadOnCollect {
    fn metric(&self, label_value: &str, value: f64) -> Metric {
        let pair = self.label.as_ref().map(|label| {
            let mut pair = LabelPair::default();
            pair.set_name(label.clone());
            pair.set_value(label_value.to_owned());
            pair
        });
        let mut metric = Metric::from_label(pair.into_iter().collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }
}

/// The registry of all metrics.
pub struct Metrics {
    registry: Registry,
    requests: [IntCounter; CLASSES.len()],
    request_seconds: Histogram,
    request_took: crate::histogram::Histogram,
}

impl Metrics {
    /// Creates a registry with the metrics of HTTP requests.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let by_class = IntCounterVec::new(
            Opts::new("eduhub_http_requests_total", "HTTP responses, by class of status"),
            &["class"],
        )?;
        registry.register(Box::new(by_class.clone()))?;
        let seconds = HistogramOpts::new("eduhub_http_request_seconds", "Seconds from a request to its response");
        let request_seconds = Histogram::with_opts(seconds.buckets(REQUEST_SECONDS.to_vec()))?;
        registry.register(Box::new(request_seconds.clone()))?;
        let requests = CLASSES.map(|class| by_class.with_label_values(&[class]));
        Ok(Self { registry, requests, request_seconds, request_took: Default::default() })
    }

    /// Counts an HTTP request with its response's status and time.
    pub fn count_request(&self, status: u16, took: Duration) {
        if let Some(counter) = usize::from(status / 100).checked_sub(1).and_then(|class| self.requests.get(class)) {
            counter.inc();
        }
        self.request_seconds.observe(took.as_secs_f64());
        self.request_took.record(took);
    }

    /// Returns the response times so far, in finer buckets than those of the Prometheus metric.
    #[must_use]
    pub fn request_took(&self) -> Counts {
        self.request_took.counts()
    }

    /// Adds a gauge.
    ///
    /// # Errors
    /// When the name is already used or invalid.
    pub fn watch_value(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> prometheus::Result<()> {
        self.watch(name, help, MetricType::GAUGE, None, Box::new(move || vec![("", read())]))
    }

    /// Adds a gauge with a label.
    ///
    /// # Errors
    /// When the name is already used or invalid.
    pub fn watch_values(&self, name: &str, help: &str, label: &str, read: Reading) -> prometheus::Result<()> {
        self.watch(name, help, MetricType::GAUGE, Some(label), read)
    }

    /// Adds a counter, which must never decrease.
    ///
    /// # Errors
    /// When the name is already used or invalid.
    pub fn watch_count(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> prometheus::Result<()> {
        self.watch(name, help, MetricType::COUNTER, None, Box::new(move || vec![("", exported(read()))]))
    }

    /// Adds a counter with a label.
    ///
    /// # Errors
    /// When the name is already used or invalid.
    pub fn watch_counts(&self, name: &str, help: &str, label: &str, read: CountReading) -> prometheus::Result<()> {
        let read = move || read().into_iter().map(|(name, count)| (name, exported(count))).collect();
        self.watch(name, help, MetricType::COUNTER, Some(label), Box::new(read))
    }

    /// Adds a metric of the given kind, with a label if `label` is not `None`.
    ///
    /// # Errors
    /// When the name is already used or invalid.
    pub fn watch(
        &self,
        name: &str,
        help: &str,
        kind: MetricType,
        label: Option<&str>,
        read: Reading,
    ) -> prometheus::Result<()> {
        let label = label.map(str::to_owned);
        let labels = label.iter().cloned().collect();
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        self.registry.register(Box::new(ReadOnCollect { desc, kind, label, read }))
    }

    /// Returns every metric in Prometheus' text format (version 0.0.4).
    ///
    /// # Errors
    /// When a metric cannot be written in that format.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Converts a count to Prometheus' number type. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "2^53 is more than any of these counts reaches")]
pub(super) fn exported(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn watched_counts_are_read_when_prometheus_collects() {
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
