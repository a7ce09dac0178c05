//! Reads the metrics for the administration page once per second, and publishes them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::time::{MissedTickBehavior, interval};

use crate::bus::metrics_reading::{CircuitState, Connections, PloneState, Queues};
use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::role::Role;
use crate::machine::resident_bytes;
use crate::observe::metrics::Metrics;
use crate::observe::series::{Charts, CurrentValues, INTERVAL, Reading};
use crate::plone::rest::Circuit;

use crate::observe::Observed;

impl Observed {
    /// Reads the metrics immediately and then every second, until the current tokio runtime ends. Publishes each
    /// reading except the first.
    pub fn start_charts(&self, metrics: Arc<Metrics>, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Arc<Charts> {
        let charts = Arc::new(Charts::default());
        charts.add(clock.now(), Instant::now(), self.reading(&metrics));
        let (published, observed) = (charts.clone(), self.clone());
        tokio::spawn(async move {
            let mut ticks = interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is immediate, and the reading for it was taken above.
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let now = Instant::now();
                observed.pool.request_counts().roll_windows(now);
                bus.publish(Event::Metrics(published.add(clock.now(), now, observed.reading(&metrics))));
            }
        });
        charts
    }

    fn reading(&self, metrics: &Metrics) -> Reading {
        let counts = self.pool.request_counts();
        Reading {
            request: metrics.request_took(),
            registration: counts.took(),
            commit: self.writer.commit_took.counts(),
            fanout: self.presence.fanout.counts(),
            registrations: counts.given(),
            refusals: counts.refusals().values().sum(),
            current: self.current_values(),
        }
    }

    fn current_values(&self) -> CurrentValues {
        let mut connections = Connections::default();
        for (role, count) in self.presence.by_role() {
            *match role {
                None => &mut connections.visitor,
                Some(Role::Student) => &mut connections.student,
                Some(Role::Instructor) => &mut connections.instructor,
                Some(Role::SubjectStaff | Role::Staff) => &mut connections.staff,
                Some(Role::Admin) => &mut connections.admin,
            } = count;
        }
        let plone = self.plone.as_ref();
        CurrentValues {
            connections,
            queues: Queues {
                registrar: self.pool.accepted(),
                writer: self.writer.queued.load(Relaxed),
                relay: self.presence.relay_queue.load(Relaxed),
                outbox: plone.map_or(0, |bridge| bridge.outbox_status().depth),
            },
            memory_bytes: resident_bytes(),
            plone: PloneState {
                ok: plone.map(|bridge| bridge.is_healthy()),
                circuit: plone.map(|bridge| circuit_state(bridge.pool().circuit)),
            },
            demonstration: self.model.has_sandbox(),
        }
    }
}

const fn circuit_state(circuit: Circuit) -> CircuitState {
    match circuit {
        Circuit::Closed => CircuitState::Closed,
        Circuit::Open => CircuitState::Open,
        Circuit::HalfOpen => CircuitState::HalfOpen,
    }
}
