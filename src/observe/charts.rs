//! Reads, once a second, what admins' charts show, and tells whoever listens to `admin`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::time::{MissedTickBehavior, interval};

use crate::bus::{Bus, Event};
use crate::clock::Clock;
use crate::domain::role::Role;
use crate::live::frames;
use crate::machine::resident_bytes;
use crate::observe::metrics::Metrics;
use crate::observe::series::{Charts, Connections, EVERY, PloneState, Present, Queues, Reading};

use crate::observe::Observed;

impl Observed {
    /// Starts reading, on the current runtime, for as long as that runs. The first reading is there at once.
    pub fn start_charts(&self, metrics: Arc<Metrics>, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Arc<Charts> {
        let charts = Arc::new(Charts::default());
        charts.add(clock.now(), Instant::now(), self.reading(&metrics));
        let (told, observed) = (charts.clone(), self.clone());
        tokio::spawn(async move {
            let mut seconds = interval(EVERY);
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            seconds.tick().await;
            loop {
                seconds.tick().await;
                let now = Instant::now();
                observed.pool.outcomes().turn(now);
                let numbers = told.add(clock.now(), now, observed.reading(&metrics));
                bus.publish(Event::Metrics(frames::metrics(&numbers).into_bytes()));
            }
        });
        charts
    }

    fn reading(&self, metrics: &Metrics) -> Reading {
        let outcomes = self.pool.outcomes();
        Reading {
            request: metrics.request_took(),
            registration: outcomes.took(),
            commit: self.writer.commit_took.counts(),
            fanout: self.registry.fanout.counts(),
            registrations: outcomes.given(),
            refusals: outcomes.refusals().values().sum(),
            present: self.present(),
        }
    }

    fn present(&self) -> Present {
        let mut connections = Connections::default();
        for (role, count) in self.registry.by_role() {
            *match role {
                None => &mut connections.visitor,
                Some(Role::Student) => &mut connections.student,
                Some(Role::Staff) => &mut connections.staff,
                Some(Role::Admin) => &mut connections.admin,
            } = count;
        }
        let plone = self.plone.as_ref();
        Present {
            connections,
            queues: Queues {
                registrar: self.pool.accepted(),
                journal: self.writer.queued.load(Relaxed),
                relay: self.registry.relays_waiting.load(Relaxed),
                outbox: plone.map_or(0, |bridge| bridge.outbox_status().depth),
            },
            memory_bytes: resident_bytes(),
            plone: PloneState {
                ok: plone.map(|bridge| bridge.is_healthy()),
                circuit: plone.map(|bridge| bridge.pool().circuit.as_str()),
            },
            demonstration: self.model.has_sandbox(),
        }
    }
}
