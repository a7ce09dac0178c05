//! Connects what the hub counts with whoever looks: `/metrics`, `/readyz`, the charts of admins. For `app`, which knows all the parts.

mod charts;
pub mod metrics;
pub mod readiness;
pub mod series;

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use prometheus::proto::MetricType;

use crate::bus::BusGauge;
use crate::domain::role::Role;
use crate::identity::Identity;
use crate::imports::Imports;
use crate::live::presence::Presence;
use crate::observe::metrics::Metrics;
use crate::observe::readiness::{PloneReadiness, Readiness};
use crate::plone::bridge::Bridge;
use crate::plone::metrics::MEASURES;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::gauge::StoreGauge;

/// The parts that are looked at.
#[derive(Clone)]
pub struct Observed {
    /// The store's writer.
    pub writer: Arc<StoreGauge>,
    /// The registrars.
    pub pool: Arc<RegistrarPool>,
    /// What is published.
    pub model: Arc<ReadModel>,
    /// The list of live connections.
    pub presence: Arc<Presence>,
    /// The bus.
    pub bus: Arc<BusGauge>,
    /// The imports.
    pub imports: Arc<Imports>,
    /// Who signs in.
    pub identity: Arc<Identity>,
    /// Bridge to Plone; none in a hub without Plone.
    pub plone: Option<Arc<Bridge>>,
}

/// Events that wait only when nobody reads them: below what the bus takes at the most, or it could never be seen.
const BUS_STUCK: usize = 2_048;

impl Observed {
    /// What must be well: the store can be written, every term is loaded, the bus is read. How Plone is, is told, too.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let (writer, bus) = (self.writer.clone(), self.bus.clone());
        let (pool, model, plone) = (self.pool.clone(), self.model.clone(), self.plone.clone());
        let plone = move || match &plone {
            None => PloneReadiness::Off,
            Some(bridge) if bridge.is_healthy() => PloneReadiness::Ok,
            Some(_) => PloneReadiness::Unavailable,
        };
        Readiness::new(plone)
            .with("store", move || {
                let recovering = writer.recovering.load(Acquire);
                if recovering { Err("it recovers from a failed commit".to_owned()) } else { Ok(()) }
            })
            .with("terms", move || {
                let unread = pool.terms().saturating_sub(model.terms().len());
                if unread > 0 { Err(format!("{unread} terms are not loaded yet")) } else { Ok(()) }
            })
            .with("bus", move || {
                let queued = bus.queued.load(Relaxed);
                if queued > BUS_STUCK { Err(format!("{queued} events wait")) } else { Ok(()) }
            })
    }

    /// Everything that is measured.
    ///
    /// # Errors
    /// When two of them have one name.
    pub fn metrics(&self) -> prometheus::Result<Metrics> {
        let metrics = Metrics::new()?;
        self.watch_registrations(&metrics)?;
        self.watch_store(&metrics)?;
        self.watch_connections(&metrics)?;
        if let Some(bridge) = &self.plone {
            for measure in &MEASURES {
                let bridge = bridge.clone();
                let kind = if measure.is_counter { MetricType::COUNTER } else { MetricType::GAUGE };
                let read = Box::new(move || (measure.read)(&bridge));
                metrics.watch(measure.name, measure.help, kind, measure.label, read)?;
            }
        }
        let imports = self.imports.clone();
        let read = Box::new(move || imports.finished().to_vec());
        metrics.watch_counts("eduhub_imports_total", "Imports that ended, by how", "state", read)?;
        let identity = self.identity.clone();
        let read = Box::new(move || identity.rechecks().to_vec());
        metrics.watch_counts(
            "eduhub_plone_rechecks_total",
            "Questions whether members are still there, by what Plone said",
            "outcome",
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
                ("imports", number(imports.under_way())),
                ("passwords", number(identity.hashes_waiting())),
            ]
        });
        metrics.watch_values("eduhub_queue_length", "What waits or is under way, by queue", "queue", read)?;
        Ok(metrics)
    }

    fn watch_registrations(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let pool = self.pool.clone();
        let read = Box::new(move || pool.outcomes().counts().collect());
        metrics.watch_counts("eduhub_registrations_total", "Wishes of students, by outcome", "outcome", read)
    }

    fn watch_store(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let count = |name, help, read: fn(&StoreGauge) -> u64| {
            let writer = self.writer.clone();
            metrics.watch_count(name, help, move || read(&writer))
        };
        count("eduhub_commits_total", "Commits of the store", |w| w.commits.load(Relaxed))?;
        count("eduhub_commits_failed_total", "Commits that failed", |w| w.failures.load(Relaxed))?;
        count("eduhub_commit_microseconds_total", "Time spent in commits", |w| w.commit_us_total.load(Relaxed))?;
        let writer = self.writer.clone();
        metrics.watch_value("eduhub_commit_last_seconds", "How long the last commit took", move || {
            std::time::Duration::from_micros(writer.last_commit_us.load(Relaxed)).as_secs_f64()
        })?;
        let writer = self.writer.clone();
        metrics.watch_value("eduhub_store_recovering", "1 while the store recovers from a failed commit", move || {
            f64::from(u8::from(writer.recovering.load(Acquire)))
        })
    }

    fn watch_connections(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let presence = self.presence.clone();
        let read = Box::new(move || {
            let by_role = presence.by_role().into_iter();
            by_role.map(|(role, count)| (role.map_or("visitor", Role::as_str), number(count))).collect()
        });
        metrics.watch_values("eduhub_sessions", "WebSockets that are connected, by role", "role", read)?;
        let count = |name, help, read: fn(&Presence) -> u64| {
            let presence = self.presence.clone();
            metrics.watch_count(name, help, move || read(&presence))
        };
        count("eduhub_frames_sent_total", "Frames sent over WebSockets", Presence::frames_sent)?;
        count("eduhub_sessions_evicted_total", "WebSockets closed because they were too slow", |r| {
            r.evicted.load(Relaxed)
        })?;
        count("eduhub_sessions_reaped_total", "WebSockets closed because they gave no sign of life", |r| {
            r.reaped.load(Relaxed)
        })?;
        let bus = self.bus.clone();
        metrics
            .watch_count("eduhub_events_lost_total", "News that the bus could not take", move || bus.lost.load(Relaxed))
    }
}

/// A length as Prometheus has it. Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no queue is that long")]
fn number(length: usize) -> f64 {
    length as f64
}
