//! The metrics and the readiness of the connection to other hubs.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::bus::link::Link;
use crate::observe::metrics::Metrics;
use crate::observe::number;
use crate::observe::readiness::{BusReadiness, CheckProblem};

/// Returns the state of the connection, and why it is degraded.
pub(super) fn readiness(link: Option<&Link>) -> (BusReadiness, Option<CheckProblem>) {
    let Some(link) = link else { return (BusReadiness::Local, None) };
    match link.problem() {
        None => (BusReadiness::Connected, None),
        Some(problem) => (BusReadiness::Degraded, Some(CheckProblem::NotConnected { problem })),
    }
}

/// Adds the counters of the connection to the metrics.
pub(super) fn watch(metrics: &Metrics, link: &Arc<Link>) -> prometheus::Result<()> {
    let counted = link.clone();
    metrics.watch_counts(
        "eduhub_bus_events_total",
        "Events exchanged with other hubs, by direction",
        "direction",
        Box::new(move || vec![("sent", counted.sent.load(Relaxed)), ("received", counted.received.load(Relaxed))]),
    )?;
    let counted = link.clone();
    metrics.watch_counts(
        "eduhub_bus_events_dropped_total",
        "Events that were not sent to or not accepted from other hubs, by reason",
        "reason",
        Box::new(move || counted.dropped()),
    )?;
    let counted = link.clone();
    metrics.watch_count("eduhub_bus_reconnects_total", "Connections to NATS made after one was lost", move || {
        counted.reconnects.load(Relaxed)
    })?;
    let state = link.clone();
    metrics.watch_value("eduhub_bus_connected", "1 while events reach other hubs through NATS", move || {
        f64::from(u8::from(state.is_connected()))
    })?;
    let state = link.clone();
    metrics.watch_value("eduhub_bus_queued", "Events that wait to be sent to other hubs", move || {
        number(state.queued.load(Relaxed))
    })?;
    let state = link.clone();
    metrics.watch_value("eduhub_bus_hubs", "Other hubs whose messages have arrived in the last 5 seconds", move || {
        number(state.hubs.load(Relaxed))
    })
}
