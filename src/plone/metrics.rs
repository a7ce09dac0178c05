//! Metrics of the bridge to Plone. Their values are read from the bridge when Prometheus collects them.

use crate::plone::bridge::Bridge;
use crate::plone::cache::CacheCounts;
use crate::plone::rest::Circuit;

/// The values of one metric by label value. A metric without a label has one value, with an empty label value.
type Values = Vec<(&'static str, f64)>;

/// The definition of one Prometheus metric.
pub struct MetricDef {
    /// Name, beginning with `eduhub_plone_`.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// True for a counter, false for a gauge.
    pub is_counter: bool,
    /// Name of the label; `None` for a metric with a single value.
    pub label: Option<&'static str>,
    /// Reads the current values.
    pub read: fn(&Bridge) -> Values,
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Bridge) -> Values) -> MetricDef {
    MetricDef { name, help, is_counter: false, label: None, read }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Bridge) -> Values) -> MetricDef {
    MetricDef { name, help, is_counter: true, label: None, read }
}

impl MetricDef {
    const fn by(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }
}

fn one(value: f64) -> Values {
    vec![("", value)]
}

/// Converts a count to a Prometheus value. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

fn numbers(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Values {
    counts.into_iter().map(|(name, count)| (name, number(count))).collect()
}

/// All metrics of the bridge.
pub const METRIC_DEFS: [MetricDef; 24] = [
    gauge("eduhub_plone_in_use", "Calls to Plone in flight", |b| one(number(b.pool().in_use as u64))),
    gauge("eduhub_plone_waiting", "Calls in the queue for a connection to Plone", |b| {
        one(number(b.pool().waiting as u64))
    }),
    gauge("eduhub_plone_connections", "Open connections to Plone", |b| one(number(b.pool().connections as u64))),
    gauge("eduhub_plone_leader", "1 while this hub pulls the catalogue of Plone and writes to Plone", |b| {
        one(f64::from(u8::from(b.leadership().is_leader())))
    }),
    counter(
        "eduhub_plone_takeovers_total",
        "Times that this hub began to pull the catalogue and to write to Plone",
        |b| one(number(b.leadership().takeovers())),
    ),
    counter(
        "eduhub_plone_lease_failures_total",
        "Times that the lease of the hub that leads could not be read or renewed",
        |b| one(number(b.leadership().failures())),
    ),
    gauge("eduhub_plone_circuit", "Circuit breaker of Plone: 0 closed, 1 half open, 2 open", |b| {
        one(match b.pool().circuit {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 1.0,
            Circuit::Open => 2.0,
        })
    }),
    counter("eduhub_plone_requests_total", "Calls to Plone, by outcome", |b| numbers(b.pool().by_outcome()))
        .by("outcome"),
    counter("eduhub_plone_answer_microseconds_total", "Total response time of Plone, in microseconds", |b| {
        one(number(u64::try_from(b.pool().answered_in.as_micros()).unwrap_or(u64::MAX)))
    }),
    gauge("eduhub_plone_outbox_depth", "Sections whose newest state is not in Plone yet", |b| {
        one(number(b.outbox_status().depth))
    }),
    gauge("eduhub_plone_outbox_in_flight", "Writes to Plone in flight", |b| {
        one(number(b.outbox_status().in_flight as u64))
    }),
    gauge("eduhub_plone_outbox_refused", "Sections that Plone refused, which are not retried", |b| {
        one(number(b.outbox_status().aside_total))
    }),
    gauge("eduhub_plone_outbox_oldest_seconds", "Age of the oldest change that is not in Plone yet", |b| {
        one(b.seconds_since(b.outbox_status().oldest_at))
    }),
    counter("eduhub_plone_sent_total", "Writes that Plone accepted", |b| one(number(b.outbox_status().sent_total))),
    counter("eduhub_plone_created_total", "Sections created in Plone", |b| {
        one(number(b.outbox_status().created_total))
    }),
    counter("eduhub_plone_send_failures_total", "Writes to Plone that failed", |b| {
        one(number(b.outbox_status().failed_total))
    }),
    counter("eduhub_plone_copies_total", "Requests for cached announcements, by outcome", |b| {
        let counts = b.announcements().counts();
        let sum = |read: fn(&CacheCounts) -> u64| counts.iter().map(read).sum();
        numbers([("hit", sum(|c| c.hits)), ("stale", sum(|c| c.stale)), ("miss", sum(|c| c.misses))])
    })
    .by("outcome"),
    counter("eduhub_plone_copy_reads_total", "Reads of announcements from Plone, by audience", |b| {
        let [visitors, members] = b.announcements().counts();
        numbers([("visitors", visitors.reads), ("members", members.reads)])
    })
    .by("whose"),
    counter(
        "eduhub_plone_user_checks_total",
        "Checks whether a user of single sign-on exists in Plone, by outcome",
        |b| {
            let CacheCounts { hits, stale, misses, .. } = b.sign_in().user_checks();
            numbers([("hit", hits), ("stale", stale), ("miss", misses)])
        },
    )
    .by("outcome"),
    gauge("eduhub_plone_announcements_age_seconds", "Age of the cached announcements for visitors", |b| {
        one(b.announcements().state().0.map_or(0.0, |copy| copy.age.as_secs_f64()))
    }),
    gauge("eduhub_plone_sync_age_seconds", "Time since the last complete pull of the catalogue", |b| {
        one(b.seconds_since(b.pull_status().last_ok_at))
    }),
    counter("eduhub_plone_syncs_total", "Pulls of the catalogue, by outcome", |b| {
        let status = b.pull_status();
        numbers([("good", status.pulls - status.failed), ("failed", status.failed)])
    })
    .by("outcome"),
    counter("eduhub_plone_synced_total", "Items read and changes applied by pulls of the catalogue", |b| {
        numbers(b.pull_status().total.cumulative())
    })
    .by("what"),
    gauge("eduhub_plone_sync_items", "Items in the last pull of the catalogue, by state", |b| {
        numbers(b.pull_status().last.current())
    })
    .by("what"),
];
