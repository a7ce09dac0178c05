//! What is measured of Plone and of the way to it.

use std::sync::Arc;

use crate::http::plone_desk::PloneDesk;
use crate::observe::metrics::Metrics;
use crate::plone::outbox::status::PloneOutboxStatus;
use crate::plone::reads::ReadCounts;
use crate::plone::rest::{Circuit, PoolStats};

/// Watches all of it.
pub(super) fn watch(metrics: &Metrics, desk: &Arc<PloneDesk>) -> prometheus::Result<()> {
    watch_pool(metrics, desk)?;
    watch_outbox(metrics, desk)?;
    watch_copies(metrics, desk)
}

fn watch_pool(metrics: &Metrics, desk: &Arc<PloneDesk>) -> prometheus::Result<()> {
    let value = |name, help, read: fn(&PoolStats) -> f64| {
        let desk = desk.clone();
        metrics.watch_value(name, help, move || read(&desk.client.stats()))
    };
    value("eduhub_plone_in_use", "Calls that are with Plone", |pool| number(pool.in_use as u64))?;
    value("eduhub_plone_waiting", "Calls that wait for a connection to Plone", |pool| number(pool.waiting as u64))?;
    value("eduhub_plone_connections", "Open connections to Plone", |pool| number(pool.connections as u64))?;
    value("eduhub_plone_circuit", "0 when Plone is asked, 1 while it is tried, 2 while it is left alone", |pool| {
        match pool.circuit {
            Circuit::Closed => 0.0,
            Circuit::HalfOpen => 1.0,
            Circuit::Open => 2.0,
        }
    })?;
    let pool = desk.clone();
    let read = Box::new(move || pool.client.stats().by_outcome());
    metrics.watch_counts("eduhub_plone_requests_total", "Calls of Plone, by how they ended", "outcome", read)?;
    let pool = desk.clone();
    let help = "Time in which Plone answered, of all calls that it did";
    metrics.watch_count("eduhub_plone_answer_microseconds_total", help, move || {
        u64::try_from(pool.client.stats().answered_in.as_micros()).unwrap_or(u64::MAX)
    })
}

fn watch_outbox(metrics: &Metrics, desk: &Arc<PloneDesk>) -> prometheus::Result<()> {
    let value = |name, help, read: fn(&PloneOutboxStatus) -> u64| {
        let desk = desk.clone();
        metrics.watch_value(name, help, move || number(read(&desk.outbox.status())))
    };
    value("eduhub_plone_outbox_depth", "Sections whose newest state is not in Plone yet", |outbox| outbox.depth)?;
    value("eduhub_plone_outbox_in_flight", "Writes to Plone under way", |outbox| outbox.in_flight as u64)?;
    value("eduhub_plone_outbox_refused", "Sections that Plone refused for good", |outbox| outbox.aside_total)?;
    let oldest = desk.clone();
    let help = "Age of the oldest change that is not in Plone";
    metrics.watch_value("eduhub_plone_outbox_oldest_seconds", help, move || {
        let since = oldest.outbox.status().oldest_at.map(|at| oldest.clock.now().duration_since(at));
        since.map_or(0.0, |since| since.as_secs_f64().max(0.0))
    })?;
    let count = |name, help, read: fn(&PloneOutboxStatus) -> u64| {
        let desk = desk.clone();
        metrics.watch_count(name, help, move || read(&desk.outbox.status()))
    };
    count("eduhub_plone_sent_total", "Writes that Plone took", |outbox| outbox.sent_total)?;
    count("eduhub_plone_created_total", "Sections that were made in Plone", |outbox| outbox.created_total)?;
    count("eduhub_plone_send_failures_total", "Writes that did not work", |outbox| outbox.failed_total)
}

fn watch_copies(metrics: &Metrics, desk: &Arc<PloneDesk>) -> prometheus::Result<()> {
    let copies = desk.clone();
    let read = Box::new(move || {
        let counts = copies.announcements.counts();
        let sum = |read: fn(&ReadCounts) -> u64| counts.iter().map(read).sum();
        vec![("hit", sum(|c| c.hits)), ("stale", sum(|c| c.stale)), ("miss", sum(|c| c.misses))]
    });
    metrics.watch_counts("eduhub_plone_copies_total", "Copies asked for, by what there was", "outcome", read)?;
    let copies = desk.clone();
    let read = Box::new(move || {
        let [visitors, members] = copies.announcements.counts();
        vec![("visitors", visitors.reads), ("members", members.reads)]
    });
    metrics.watch_counts("eduhub_plone_copy_reads_total", "Announcements read of Plone, by for whom", "whose", read)?;
    let copies = desk.clone();
    let help = "Age of the visitors' announcements";
    metrics.watch_value("eduhub_plone_announcements_age_seconds", help, move || {
        copies.announcements.state().0.map_or(0.0, |kept| kept.age.as_secs_f64())
    })?;
    watch_pull(metrics, desk)
}

fn watch_pull(metrics: &Metrics, desk: &Arc<PloneDesk>) -> prometheus::Result<()> {
    let pull = desk.clone();
    metrics.watch_value("eduhub_plone_sync_age_seconds", "Time since the catalogue was last pulled", move || {
        let since = pull.puller.status().last_ok_at.map(|at| pull.clock.now().duration_since(at));
        since.map_or(0.0, |since| since.as_secs_f64().max(0.0))
    })?;
    let pull = desk.clone();
    let read = Box::new(move || {
        let status = pull.puller.status();
        vec![("good", status.pulls - status.failed), ("failed", status.failed)]
    });
    metrics.watch_counts("eduhub_plone_syncs_total", "Pulls of the catalogue, by how they ended", "outcome", read)?;
    let pull = desk.clone();
    let read = Box::new(move || pull.puller.status().total.happened().to_vec());
    metrics.watch_counts("eduhub_plone_synced_total", "What pulls of the catalogue brought", "what", read)?;
    let pull = desk.clone();
    let read = Box::new(move || {
        let states = pull.puller.status().last.states();
        states.into_iter().map(|(name, count)| (name, number(count))).collect()
    });
    metrics.watch_values("eduhub_plone_sync_items", "Items at the last pull of the catalogue", "what", read)
}

/// A number as Prometheus has it. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "nothing of this is that many")]
fn number(count: u64) -> f64 {
    count as f64
}
