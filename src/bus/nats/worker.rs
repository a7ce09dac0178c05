//! The thread that exchanges messages with NATS: connects, sends, receives, and connects again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use crate::bus::Event;
use crate::bus::link::Dropped;
use crate::bus::nats::connection::{NatsOptions, Signals, connect};
use crate::bus::nats::inbox::{Inbox, Received};
use crate::bus::nats::wire::{Body, Message};
use crate::bus::nats::{Delivery, Outgoing};

/// The interval at which a hub reports that it is running.
const PRESENCE: Duration = Duration::from_secs(1);
/// The connection counts as lost when the hub has received none of its own presence messages for this long: five
/// intervals.
const ECHO_MAX: Duration = Duration::from_secs(5);
/// The pause before the second attempt to connect. Each further pause is twice as long, up to [`PAUSE_MAX`]. All are
/// shortened at random, by up to half.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest time that the last events may take to be sent and to come back when the hub stops. A connection that is
/// silent for longer counts as lost.
const FINISH_MAX: Duration = ECHO_MAX;

/// The state of the thread.
pub(super) struct Worker {
    options: NatsOptions,
    id: Uuid,
    delivery: Arc<Delivery>,
    outgoing: Outgoing,
    inbox: Inbox,
    /// The number of the last message that was sent.
    sent: u64,
    client: Option<Client>,
    /// Whether a connection was made before.
    was_connected: bool,
    pause: Duration,
}

impl Worker {
    pub(super) fn new(options: NatsOptions, id: Uuid, delivery: Arc<Delivery>, outgoing: Outgoing) -> Self {
        let inbox = Inbox::new(id);
        Self { options, id, delivery, outgoing, inbox, sent: 0, client: None, was_connected: false, pause: PAUSE_MIN }
    }

    /// Exchanges events with other hubs until `stop` resolves, which it does when its sender is dropped. Then sends the
    /// queued events, if there is a connection.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            let Err(problem) = self.connection(&mut stop).await else { break };
            self.client = None;
            self.delivery.link().hubs.store(0, Ordering::Relaxed);
            if self.delivery.link().set_problem(Some(problem.clone())) {
                let server = self.options.servers.join(", ");
                log::warn!("not connected to NATS at {server}: {problem}; the hub serves without it and tries again");
            }
            // Hubs that lost one server at the same moment do not all reconnect at the same moment.
            let pause = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            tokio::select! {
                _ = &mut stop => break,
                () = sleep(pause) => {}
            }
        }
    }

    /// Makes a connection and uses it until `stop` resolves.
    ///
    /// # Errors
    /// Why no connection can be made, or why it was lost.
    async fn connection(&mut self, stop: &mut oneshot::Receiver<()>) -> Result<(), String> {
        let (client, mut signals) = tokio::select! {
            _ = &mut *stop => return Ok(()),
            connected = connect(&self.options, &self.delivery) => connected?,
        };
        let subject = format!("{}.*", self.options.subject);
        let messages = client.subscribe(subject).await.map_err(|error| error.to_string())?;
        let exchanged = self.exchange(&client, messages, &mut signals, stop).await;
        exchanged.map_err(|problem| signals.error().map_or(problem, |error| format!("NATS reports: {error}")))
    }

    /// Sends and receives until `stop` resolves. Then sends the queued events.
    ///
    /// # Errors
    /// Why the connection can no longer be used.
    async fn exchange(
        &mut self,
        client: &Client,
        mut messages: Subscriber,
        signals: &mut Signals,
        stop: &mut oneshot::Receiver<()>,
    ) -> Result<(), String> {
        let mut presence = interval(PRESENCE);
        presence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut echoed = Instant::now();
        loop {
            // The hub sends nothing until it has received its own first presence message, which proves that it receives
            // the messages of other hubs from then on.
            let is_proven = self.client.is_some();
            tokio::select! {
                // A message that is being sent when the hub stops is sent first.
                _ = &mut *stop => {
                    self.finish(client, messages).await;
                    return Ok(());
                }
                () = signals.lost() => return Err("the connection was lost".to_owned()),
                message = messages.next() => {
                    let message = message.ok_or("the connection was closed")?;
                    if self.receive(&message.payload).is_some() {
                        echoed = Instant::now();
                        self.connected(client);
                    }
                }
                event = self.outgoing.next(), if is_proven => self.send_or_lose(client, event, signals).await?,
                _ = presence.tick() => {
                    if echoed.elapsed() > ECHO_MAX {
                        return Err("NATS does not deliver messages".to_owned());
                    }
                    let hubs = self.inbox.hubs(Instant::now());
                    self.delivery.link().hubs.store(hubs, Ordering::Relaxed);
                    self.publish(client, Body::Presence).await?;
                }
            }
        }
    }

    /// Sends the queued events, if the hub knows that the connection works.
    async fn finish(&mut self, client: &Client, messages: Subscriber) {
        if self.client.take().is_none() {
            return;
        }
        if !matches!(timeout(FINISH_MAX, self.send_last_events(client, messages)).await, Ok(Ok(()))) {
            log::warn!("the last events could not be sent to other hubs");
        }
    }

    /// Sends the queued events, and waits until the last message comes back. Only then has NATS read them. A connection
    /// that the hub closes while it has unread data is reset, and NATS loses the events that it has not read yet.
    async fn send_last_events(&mut self, client: &Client, mut messages: Subscriber) -> Result<(), String> {
        while let Some(event) = self.outgoing.next_now() {
            self.send(client, event).await?;
        }
        self.publish(client, Body::Presence).await?;
        while let Some(message) = messages.next().await {
            if self.receive(&message.payload) == Some(self.sent) {
                return Ok(());
            }
        }
        Err("the connection was closed".to_owned())
    }

    /// Records that the hub receives messages on this connection.
    fn connected(&mut self, client: &Client) {
        if self.client.is_some() {
            return;
        }
        self.client = Some(client.clone());
        self.pause = PAUSE_MIN;
        let link = self.delivery.link();
        link.set_problem(None);
        if self.was_connected {
            link.reconnects.fetch_add(1, Ordering::Relaxed);
            // Hints may have been lost while there was no connection.
            self.delivery.deliver(Event::AlertsStored { seq: None });
        }
        self.was_connected = true;
        log::info!("connected to NATS at {}", self.options.servers.join(", "));
    }

    /// Delivers a message of another hub. Returns the number of the message if it is this hub's own.
    fn receive(&mut self, payload: &[u8]) -> Option<u64> {
        let now = Instant::now();
        let link = self.delivery.link();
        let (event, are_earlier_missing) = match self.inbox.read(payload, now, link) {
            None => return None,
            Some(Received::Own { n }) => return Some(n),
            Some(Received::Presence { are_earlier_missing }) => (None, are_earlier_missing),
            Some(Received::Event { event, are_earlier_missing }) => (Some(event), are_earlier_missing),
        };
        link.hubs.store(self.inbox.hubs(now), Ordering::Relaxed);
        if are_earlier_missing {
            // One of them may have been about an alert.
            self.delivery.deliver(Event::AlertsStored { seq: None });
        }
        if let Some(event) = event {
            link.received.fetch_add(1, Ordering::Relaxed);
            self.delivery.deliver(event);
        }
        None
    }

    /// Sends an event, unless the connection is lost before NATS accepts it.
    async fn send_or_lose(&mut self, client: &Client, event: Event, signals: &mut Signals) -> Result<(), String> {
        tokio::select! {
            sent = self.send(client, event) => sent,
            () = signals.lost() => Err("the connection was lost".to_owned()),
        }
    }

    async fn send(&mut self, client: &Client, event: Event) -> Result<(), String> {
        if self.publish(client, Body::Event(event)).await? {
            self.delivery.link().sent.fetch_add(1, Ordering::Relaxed);
        } else {
            self.delivery.link().count_dropped(Dropped::TooLarge, 1);
        }
        Ok(())
    }

    /// Sends a message. Returns false if it is too large.
    async fn publish(&mut self, client: &Client, body: Body) -> Result<bool, String> {
        let Some(bytes) = Message::new(self.id, self.sent + 1, body).encode() else { return Ok(false) };
        if bytes.len() > client.max_payload() {
            return Ok(false);
        }
        self.sent += 1;
        let subject = format!("{}.{}", self.options.subject, self.id.simple());
        match timeout(ECHO_MAX, client.publish(subject, bytes.into())).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("NATS does not accept messages".to_owned()),
        }
    }
}
