//! The states of all hubs: publishes that of this hub every [`PAUSE`], and keeps those that the others publish.
//!
//! A message may be lost; the next one replaces it. A hub that has sent none for [`KNOWN_MAX`] is forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::bus::hub_state::HubState;
use crate::bus::metrics_reading::MetricsReading;
use crate::bus::{Bus, Event, EventStream};
use crate::machine::host_name;
use crate::observe::readiness::{BusReadiness, Readiness};
use crate::observe::series::Charts;

/// Time between two messages about this hub.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a hub is listed after its last message, so that an administrator sees that it is silent.
const KNOWN_MAX: Duration = Duration::from_secs(300);
/// Maximum number of other hubs that are listed.
const HUBS_MAX: usize = 64;
/// Maximum length of the name of a hub, in characters. A longer one is truncated.
const NAME_CHARS_MAX: usize = 100;

/// The states of all hubs.
pub struct HubStates {
    id: Uuid,
    name: String,
    readiness: Arc<Readiness>,
    charts: Arc<Charts>,
    others: Mutex<HashMap<Uuid, (HubState, Instant)>>,
}

impl HubStates {
    /// Starts to publish and to receive states on the current runtime. `events` are those of `bus`; `id` is that of
    /// this hub, which listens on `port`.
    #[must_use]
    pub fn start(
        (id, port): (Uuid, u16),
        readiness: Arc<Readiness>,
        charts: Arc<Charts>,
        bus: Arc<dyn Bus>,
        events: EventStream,
    ) -> Arc<Self> {
        let name = format!("{}:{port}", host_name()).chars().take(NAME_CHARS_MAX).collect();
        let states = Arc::new(Self { id, name, readiness, charts, others: Mutex::default() });
        tokio::spawn(states.clone().receive(events));
        tokio::spawn(states.clone().publish(bus));
        states
    }

    async fn publish(self: Arc<Self>, bus: Arc<dyn Bus>) {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if bus.has_other_hubs()
                && let Some(state) = self.own()
            {
                bus.publish(Event::HubState(Arc::new(state)));
            }
        }
    }

    async fn receive(self: Arc<Self>, mut events: EventStream) {
        while let Some(event) = events.next().await {
            if let Event::HubState(state) = event
                && state.id != self.id
            {
                self.add(&state, Instant::now());
            }
        }
    }

    /// Replaces the state of a hub. A hub that has started again replaces its earlier entry.
    fn add(&self, state: &HubState, now: Instant) {
        let mut others = self.others.lock();
        others.retain(|id, (other, at)| {
            let is_former = other.name == state.name && other.started_at < state.started_at;
            *id != state.id && !is_former && now.saturating_duration_since(*at) <= KNOWN_MAX
        });
        if others.len() >= HUBS_MAX {
            let silent = others.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| *id);
            silent.map(|id| others.remove(&id));
        }
        others.insert(state.id, (state.clone(), now));
    }

    /// Returns the state of this hub; `None` before the first reading of the metrics.
    fn own(&self) -> Option<HubState> {
        let reading = self.charts.newest()?;
        let MetricsReading { started_at, registrations_per_s, latency_ms, connections, .. } = &*reading;
        Some(HubState {
            id: self.id,
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: *started_at,
            ready: self.readiness.checks.iter().all(|(_, check)| check().is_ok()),
            bus: (self.readiness.bus)().0 != BusReadiness::Degraded,
            leader: (self.readiness.leader)(),
            sessions: connections.all(),
            registrations_per_s: *registrations_per_s,
            registration_p99_ms: latency_ms.registration.p99,
        })
    }

    /// Returns the states of all hubs with their ages: first this one, then the others by name.
    #[must_use]
    pub fn all(&self) -> Vec<(HubState, Duration)> {
        let now = Instant::now();
        let mut others: Vec<(HubState, Duration)> = self
            .others
            .lock()
            .values()
            .map(|(state, at)| (state.clone(), now.saturating_duration_since(*at)))
            .filter(|(_, age)| *age <= KNOWN_MAX)
            .collect();
        others.sort_by(|(one, _), (other, _)| (&one.name, one.id).cmp(&(&other.name, other.id)));
        self.own().map(|own| (own, Duration::ZERO)).into_iter().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::readiness::PloneReadiness;
    use jiff::{SignedDuration, Timestamp};

    fn states() -> HubStates {
        let readiness = Arc::new(Readiness::new(|| PloneReadiness::Off));
        let (id, name) = (Uuid::nil(), "own:8000".to_owned());
        HubStates { id, name, readiness, charts: Arc::default(), others: Mutex::default() }
    }

    fn state(id: u128, name: &str, started_s: i64) -> HubState {
        HubState {
            id: Uuid::from_u128(id),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(started_s),
            ready: true,
            bus: true,
            leader: None,
            sessions: 3,
            registrations_per_s: 0.5,
            registration_p99_ms: None,
        }
    }

    fn ids(states: &HubStates) -> Vec<u128> {
        states.all().iter().map(|(state, _)| state.id.as_u128()).collect()
    }

    #[test]
    fn hubs_are_listed_by_name_and_a_restarted_hub_once() {
        let (states, now) = (states(), Instant::now());
        for hub in [state(2, "b:8000", 0), state(1, "a:8000", 0), state(2, "b:8000", 0), state(3, "b:8000", 60)] {
            states.add(&hub, now);
        }
        assert_eq!(ids(&states), [1, 3]);
    }

    #[test]
    fn silent_hubs_are_forgotten_and_the_list_is_bounded() {
        let (states, now) = (states(), Instant::now());
        states.add(&state(1, "a:8000", 0), now.checked_sub(KNOWN_MAX * 2).unwrap());
        assert!(ids(&states).is_empty());
        for id in 0..2 * HUBS_MAX as u128 {
            states.add(&state(id + 1, &format!("{id}:8000"), 0), now);
        }
        assert_eq!(ids(&states).len(), HUBS_MAX);
    }
}
