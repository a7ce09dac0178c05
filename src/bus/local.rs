//! The bus within one process: from whoever publishes to the one who hands out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::bus::{Bus, BusGauge, Event};
use crate::domain::ids::UserName;

/// Events that may wait. A registration's news is worth nothing once a page has asked again; alerts are in the store.
const EVENTS_MAX: usize = 4_096;

/// Tells whether anybody is connected under a name.
type Presence = dyn Fn(&UserName) -> bool + Send + Sync;

/// The bus.
pub struct LocalBus {
    events: UnboundedSender<Event>,
    gauge: Arc<BusGauge>,
    presence: Box<Presence>,
}

/// The other end of the bus.
pub struct Events {
    events: UnboundedReceiver<Event>,
    gauge: Arc<BusGauge>,
}

impl LocalBus {
    /// A bus and its other end; `presence` tells whether anybody is connected under a name.
    pub fn new(presence: impl Fn(&UserName) -> bool + Send + Sync + 'static) -> (Self, Events) {
        let (sender, receiver) = unbounded_channel();
        let gauge: Arc<BusGauge> = Arc::default();
        let events = Events { events: receiver, gauge: gauge.clone() };
        (Self { events: sender, gauge, presence: Box::new(presence) }, events)
    }

    /// Its numbers.
    #[must_use]
    pub fn gauge(&self) -> Arc<BusGauge> {
        self.gauge.clone()
    }
}

impl Bus for LocalBus {
    fn publish(&self, event: Event) {
        // A sign-out is never lost: there is one for each request that signs out, so they bound themselves.
        let must_arrive = matches!(event, Event::SignedOut { .. } | Event::TokensEnded { .. });
        if self.gauge.queued.fetch_add(1, Ordering::Relaxed) >= EVENTS_MAX && !must_arrive {
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
            if self.gauge.lost.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
                log::warn!("the bus is full: events are lost (alerts are not, they are in the store)");
            }
            return;
        }
        // Nobody listens any more only while the hub ends.
        let _ = self.events.send(event);
    }

    fn is_listening(&self, user: &UserName) -> bool {
        (self.presence)(user)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let polled = self.events.poll_recv(cx);
        if let Poll::Ready(Some(_)) = &polled {
            self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    #[test]
    fn what_does_not_fit_is_counted_and_a_sign_out_always_fits() {
        let (bus, mut events) = LocalBus::new(|_| false);
        for _ in 0..EVENTS_MAX + 5 {
            bus.publish(Event::AlertsStored);
        }
        assert_eq!(bus.gauge().lost.load(Ordering::Relaxed), 5);
        let user = UserName::parse("ann").unwrap();
        bus.publish(Event::SignedOut { user, token: None });
        for _ in 0..EVENTS_MAX {
            assert!(matches!(events.next().now_or_never(), Some(Some(Event::AlertsStored))));
        }
        assert!(matches!(events.next().now_or_never(), Some(Some(Event::SignedOut { .. }))));
        assert_eq!(bus.gauge().queued.load(Ordering::Relaxed), 0);
    }
}
