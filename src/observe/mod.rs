//! Reads the counters of every part of the hub for `/metrics`, `/readyz` and the charts of the administration page.

mod bus;
mod charts;
pub mod hubs;
pub mod metrics;
pub mod readiness;
pub mod series;
mod unsent;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use prometheus::proto::MetricType;

use crate::bus::BusGauge;
use crate::domain::role::Role;
use crate::identity::{Audit, Identity};
use crate::imports::Imports;
use crate::live::presence::Presence;
use crate::observe::metrics::Metrics;
use crate::observe::readiness::{CheckProblem, PloneReadiness, Readiness};
use crate::plone::bridge::Bridge;
use crate::plone::metrics::METRIC_DEFS;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::gauge::StoreGauge;

/// The parts of the hub whose counters are read.
#[derive(Clone)]
pub struct Observed {
    /// The store's writer.
    pub writer: Arc<StoreGauge>,
    /// The registrars.
    pub pool: Arc<RegistrarPool>,
    /// The published terms.
    pub model: Arc<ReadModel>,
    /// The live sessions.
    pub presence: Arc<Presence>,
    /// The bus.
    pub bus: Arc<BusGauge>,
    /// The imports.
    pub imports: Arc<Imports>,
    /// Sign-ins and tokens.
    pub identity: Arc<Identity>,
    /// The audit trail.
    pub audit: Audit,
    /// The bridge to Plone; `None` without Plone.
    pub plone: Option<Arc<Bridge>>,
}

/// Maximum number of queued events of a hub that is ready: with more, their reader has stopped. It is below the
/// capacity of the bus.
const BUS_QUEUE_MAX: usize = 2_048;

impl Observed {
    /// Returns the readiness checks: the store can be written, every term is loaded, the events of the bus are read.
    /// The states of Plone and of the connection to other hubs are included but do not affect readiness.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let (writer, bus, link) = (self.writer.clone(), self.bus.clone(), self.bus.link.clone());
        let (pool, model, plone) = (self.pool.clone(), self.model.clone(), self.plone.clone());
        let plone = move || match &plone {
            None => PloneReadiness::Off,
            Some(bridge) if bridge.is_healthy() => PloneReadiness::Ok,
            Some(_) => PloneReadiness::Unavailable,
        };
        let leader = self.plone.clone();
        Readiness::new(plone)
            .with_leader(move || leader.as_ref().map(|bridge| bridge.leadership().is_leader()))
            .with_bus(move || bus::readiness(link.as_deref()))
            .with("store", move || {
                let recovering = writer.recovering.load(Acquire);
                if recovering { Err(CheckProblem::StoreRecovering) } else { Ok(()) }
            })
            .with("terms", move || {
                let not_loaded = pool.terms().saturating_sub(model.terms().len());
                if not_loaded > 0 { Err(CheckProblem::TermsNotLoaded { n: not_loaded }) } else { Ok(()) }
            })
            .with("bus", move || {
                let queued = bus.queued.load(Relaxed);
                if queued > BUS_QUEUE_MAX { Err(CheckProblem::EventsQueued { n: queued }) } else { Ok(()) }
            })
    }

    /// Creates all metrics of a hub that listens on `port`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When two metrics have the same name.
    pub fn metrics(&self, port: u16) -> prometheus::Result<Metrics> {
        let metrics = Metrics::new()?;
        unsent::watch(&metrics, port)?;
        self.watch_registrations(&metrics)?;
        self.watch_store(&metrics)?;
        self.watch_connections(&metrics)?;
        self.watch_tables(&metrics)?;
        if let Some(link) = &self.bus.link {
            bus::watch(&metrics, link)?;
        }
        if let Some(bridge) = &self.plone {
            for measure in &METRIC_DEFS {
                let bridge = bridge.clone();
                let kind = if measure.is_counter { MetricType::COUNTER } else { MetricType::GAUGE };
                let read = Box::new(move || (measure.read)(&bridge));
                metrics.watch(measure.name, measure.help, kind, measure.label, read)?;
            }
        }
        let imports = self.imports.clone();
        let read = Box::new(move || imports.finished().to_vec());
        metrics.watch_counts("eduhub_imports_total", "Imports that have ended, by state", "state", read)?;
        let identity = self.identity.clone();
        let read = Box::new(move || identity.rechecks().to_vec());
        metrics.watch_counts(
            "eduhub_plone_rechecks_total",
            "Checks that members still exist in Plone, by outcome",
            "outcome",
            read,
        )?;
        let identity = self.identity.clone();
        metrics.watch_count(
            "eduhub_uncached_refused_total",
            "Requests for lists that are not cached, refused because their user or address sent too many",
            move || identity.builds_refused(),
        )?;
        let identity = self.identity.clone();
        let read = Box::new(move || identity.sign_ins_refused().to_vec());
        metrics.watch_counts(
            "eduhub_sign_ins_refused_total",
            "Sign-ins whose password was not checked because of a limit, by reason",
            "reason",
            read,
        )?;
        let (pool, writer, bus, imports) =
            (self.pool.clone(), self.writer.clone(), self.bus.clone(), self.imports.clone());
        let (identity, presence) = (self.identity.clone(), self.presence.clone());
        let read = Box::new(move || {
            vec![
                ("registrars", number(pool.accepted())),
                ("store", number(writer.queued.load(Relaxed))),
                ("bus", number(bus.queued.load(Relaxed))),
                ("relays", number(presence.relay_queue.load(Relaxed))),
                ("joins", number(presence.joins.waiting())),
                ("imports", number(imports.under_way())),
                ("passwords", number(identity.hashes_waiting())),
            ]
        });
        metrics.watch_values("eduhub_queue_length", "Items that are queued or in progress, by queue", "queue", read)?;
        Ok(metrics)
    }

    fn watch_registrations(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let pool = self.pool.clone();
        let read = Box::new(move || pool.request_counts().counts().collect());
        metrics.watch_counts(
            "eduhub_registrations_total",
            "Registration requests from students, by outcome",
            "outcome",
            read,
        )
    }

    fn watch_store(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let count = |name, help, read: fn(&StoreGauge) -> u64| {
            let writer = self.writer.clone();
            metrics.watch_count(name, help, move || read(&writer))
        };
        count("eduhub_commits_total", "Commits of the store", |w| w.commits.load(Relaxed))?;
        count("eduhub_commits_failed_total", "Commits that failed", |w| w.failures.load(Relaxed))?;
        count("eduhub_store_conflicts_total", "Writes that the database rolled back because of another write", |w| {
            w.conflicts.load(Relaxed)
        })?;
        count("eduhub_catch_ups_total", "Batches that read what other hubs had committed before them", |w| {
            w.catch_ups.load(Relaxed)
        })?;
        count("eduhub_commit_microseconds_total", "Microseconds spent in commits", |w| {
            w.commit_us_total.load(Relaxed)
        })?;
        let writer = self.writer.clone();
        metrics.watch_value("eduhub_commit_last_seconds", "Duration of the last commit", move || {
            std::time::Duration::from_micros(writer.last_commit_us.load(Relaxed)).as_secs_f64()
        })?;
        let writer = self.writer.clone();
        metrics.watch_value("eduhub_store_recovering", "1 while the store recovers from a failed commit", move || {
            f64::from(u8::from(writer.recovering.load(Acquire)))
        })
    }

    fn watch_tables(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let (identity, presence, audit) = (self.identity.clone(), self.presence.clone(), self.audit.clone());
        let read = Box::new(move || {
            let own = [("disclosures", audit.open_disclosures())];
            let channels = usize::try_from(presence.channels()).unwrap_or(usize::MAX);
            let tables = identity.table_sizes().into_iter().chain([("channels", channels)]).chain(own);
            tables.map(|(table, entries)| (table, number(entries))).collect()
        });
        metrics.watch_values("eduhub_table_entries", "Entries of tables in memory, by table", "table", read)
    }

    fn watch_connections(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let presence = self.presence.clone();
        let read = Box::new(move || {
            let by_role = presence.by_role().into_iter();
            by_role.map(|(role, count)| (role.map_or("visitor", Role::as_str), number(count))).collect()
        });
        metrics.watch_values("eduhub_sessions", "Live sessions, by role", "role", read)?;
        let count = |name, help, read: fn(&Presence) -> u64| {
            let presence = self.presence.clone();
            metrics.watch_count(name, help, move || read(&presence))
        };
        count("eduhub_frames_sent_total", "Frames sent to live sessions", Presence::frames_sent)?;
        count(
            "eduhub_sessions_evicted_total",
            "Live sessions closed because their clients were too slow",
            |presence| presence.evicted.load(Relaxed),
        )?;
        count(
            "eduhub_sessions_caught_up_total",
            "Times that a slow session received the frames that the hub had held back",
            |presence| presence.caught_up.load(Relaxed),
        )?;
        count(
            "eduhub_sessions_reaped_total",
            "Live sessions closed because their clients stopped responding",
            |presence| presence.reaped.load(Relaxed),
        )?;
        let presence = self.presence.clone();
        metrics.watch_counts(
            "eduhub_sessions_refused_total",
            "Live sessions that were refused because of a limit on connections, by limit",
            "limit",
            Box::new(move || presence.refused().to_vec()),
        )?;
        let presence = self.presence.clone();
        metrics.watch_counts(
            "eduhub_sessions_ended_total",
            "Ended live sessions by reason; lost: no close frame; timed_out: TCP gave up on a client that read nothing",
            "reason",
            Box::new(move || presence.ends.counts()),
        )?;
        let bus = self.bus.clone();
        metrics.watch_count("eduhub_events_lost_total", "Events dropped because the bus was full", move || {
            bus.lost.load(Relaxed)
        })
    }
}

/// Converts a length to Prometheus' number type. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no queue is that long")]
fn number(length: usize) -> f64 {
    length as f64
}
