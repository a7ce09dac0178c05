//! The buses of two hubs on a real NATS server; in some tests, a relay is between a hub and the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eduhub::bus::link::{Dropped, Link};
use eduhub::bus::nats::{NatsBus, NatsLogin, NatsOptions};
use eduhub::bus::{Bus, Event, EventStream, RegistrationChange, Subscribe};
use eduhub::domain::ids::{Crn, TaskId, TermId, UserName};
use eduhub::domain::import::{Phase, TaskReport, TaskState};
use eduhub::domain::notice::{Notice, Reason};
use eduhub::domain::registration::RegistrationStatus;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::support::WAIT_MAX;
use crate::support::nats::NatsServer;
use crate::support::ports::free_port;
use crate::support::tcp_relay::{Mode, TcpRelay};
use crate::support::wait::eventually;

const SUBJECT: &str = "college";
/// The event that a bus delivers to its own broker when a hint may have been missed.
pub(crate) const READ_ALERTS: Event = Event::AlertsStored { seq: None };

/// A hub's bus and the events that its broker receives.
pub(crate) struct Hub {
    pub(crate) bus: NatsBus,
    events: EventStream,
    runtime: Runtime,
}

impl Hub {
    /// Starts a bus. It connects in the background.
    fn start(url: &str, login: NatsLogin) -> Self {
        let options = NatsOptions { servers: vec![url.to_owned()], login, subject: SUBJECT.to_owned() };
        let bus = NatsBus::start(options, |_| false);
        let events = bus.subscribe();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        Self { bus, events, runtime }
    }

    /// Starts a bus and waits until it is connected.
    pub(crate) fn connect(url: &str) -> Self {
        let hub = Self::start(url, NatsLogin::Anonymous);
        hub.wait_until_connected();
        hub
    }

    pub(crate) fn link(&self) -> Arc<Link> {
        self.bus.gauge().link.clone().expect("a bus on NATS has a link")
    }

    fn wait_until_connected(&self) {
        eventually("the bus to connect", || self.link().is_connected().then_some(()));
    }

    /// Waits until the bus reports a problem that contains `text`, and returns the problem.
    fn wait_for_problem(&self, text: &str) -> String {
        eventually("the bus to report its problem", || self.link().problem().filter(|problem| problem.contains(text)))
    }

    fn wait_for_dropped(&self, why: Dropped, count: u64) {
        eventually(&format!("{count} × {why:?}"), || (self.link().dropped_for(why) == count).then_some(()));
    }

    pub(crate) fn next(&mut self) -> Event {
        let events = &mut self.events;
        let next = self.runtime.block_on(async { tokio::time::timeout(WAIT_MAX, events.next()).await });
        next.expect("an event arrives in time").expect("the bus is open")
    }

    /// Waits until the bus asks its broker to read the alerts because it may have missed a hint.
    fn wait_for_read(&mut self) {
        assert_eq!(self.next(), READ_ALERTS);
    }

    /// Returns the next event, except requests to read the alerts.
    pub(crate) fn next_event(&mut self) -> Event {
        loop {
            let event = self.next();
            if event != READ_ALERTS {
                return event;
            }
        }
    }

    /// Publishes an event at this hub, and checks that it is the next one of both hubs.
    fn reaches(&mut self, other: &mut Self, event: &Event) {
        self.bus.publish(event.clone());
        assert_eq!(self.next_event(), *event, "this hub receives its own event");
        assert_eq!(other.next_event(), *event, "the other hub receives it");
    }
}

fn ann() -> UserName {
    UserName::parse("ann").unwrap()
}

fn alerts(seq: u64) -> Event {
    Event::AlertsStored { seq: Some(seq) }
}

pub(crate) fn sign_out(token: u128) -> Event {
    Event::SignedOut { user: ann(), token: Some(Uuid::from_u128(token)), issued_until: None }
}

/// Returns a commit with this sequence, in which the student gets this status.
fn registered(seq: u64, status: RegistrationStatus) -> Event {
    let crn = Crn::parse("10001").unwrap();
    let notice = Notice { student: ann(), crn, status, reason: Reason::Requested, at: Timestamp::UNIX_EPOCH };
    let term = TermId::parse("202209").unwrap();
    let registrations = vec![RegistrationChange { notice, position: None }];
    Event::RegistrationsChanged { term, seq, registrations, positions: Vec::new() }
}

/// Returns a commit with this sequence, as other hubs receive it.
pub(crate) fn commit(seq: u64) -> Event {
    registered(seq, RegistrationStatus::Enrolled).for_other_hubs().expect("a hint")
}

fn progress(phase: Phase) -> Event {
    let id = TaskId::parse("a-task").unwrap();
    let mut report = TaskReport::new(id, None, 900, "registrar".to_owned(), Timestamp::UNIX_EPOCH);
    (report.state, report.phase) = (TaskState::Running, phase);
    Event::ImportProgress(Arc::new(report))
}

/// A client of NATS that is not a hub: it reads and repeats messages.
struct Intruder {
    runtime: Runtime,
    client: async_nats::Client,
    /// `None` when it ends.
    messages: Option<async_nats::Subscriber>,
}

impl Intruder {
    fn connect(server: &NatsServer) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = server.url();
        let (client, messages) = runtime.block_on(async {
            let client = async_nats::connect(url).await.unwrap();
            let mut own = client.subscribe("own").await.unwrap();
            let messages = client.subscribe(format!("{SUBJECT}.*")).await.unwrap();
            // A message to itself that arrives proves that the server has processed both subscriptions.
            client.publish("own", "x".into()).await.unwrap();
            own.next().await.unwrap();
            (client, messages)
        });
        Self { runtime, client, messages: Some(messages) }
    }

    /// Returns the subject and the text of the next message with an event.
    fn next_event(&mut self) -> (String, String) {
        let messages = self.messages.as_mut().expect("the subscription is open");
        self.runtime.block_on(async {
            loop {
                let next = tokio::time::timeout(WAIT_MAX, messages.next()).await;
                let message = next.expect("a message arrives in time").expect("the connection is open");
                let text = String::from_utf8(message.payload.to_vec()).unwrap();
                if text.contains(r#""body":{"event""#) {
                    return (message.subject.to_string(), text);
                }
            }
        })
    }

    fn publish(&self, subject: &str, payload: impl Into<Vec<u8>>) {
        let payload: Vec<u8> = payload.into();
        self.runtime.block_on(async {
            self.client.publish(subject.to_owned(), payload.into()).await.unwrap();
            self.client.flush().await.unwrap();
        });
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        // Dropping a subscription starts a task, which needs a runtime.
        let _entered = self.runtime.enter();
        self.messages.take();
    }
}

#[test]
fn events_reach_the_other_hub_and_each_hub_detects_the_other() {
    let server = NatsServer::start();
    let [mut first, mut second] = [Hub::connect(&server.url()), Hub::connect(&server.url())];
    for event in [
        alerts(3),
        sign_out(7),
        Event::TokensEnded { user: ann() },
        Event::Disconnect { session: Uuid::from_u128(5) },
        commit(12),
        progress(Phase::Comparing),
    ] {
        first.reaches(&mut second, &event);
        second.reaches(&mut first, &event);
    }
    eventually("both hubs to receive a presence message", || {
        (first.bus.has_other_hubs() && second.bus.has_other_hubs()).then_some(())
    });
    drop(second);
    eventually("the end of the other hub", || (!first.bus.has_other_hubs()).then_some(()));
    let sent = |hub: &Hub| hub.link().sent.load(Ordering::Relaxed);
    assert_eq!(sent(&first), 6);
}

#[test]
fn hubs_with_another_subject_receive_nothing() {
    let server = NatsServer::start();
    let mut first = Hub::connect(&server.url());
    let options =
        NatsOptions { servers: vec![server.url()], login: NatsLogin::Anonymous, subject: "another-college".to_owned() };
    let other = NatsBus::start(options, |_| false);
    eventually("the other bus to connect", || other.gauge().link.clone()?.is_connected().then_some(()));
    other.publish(sign_out(1));
    let mut second = Hub::connect(&server.url());
    second.reaches(&mut first, &sign_out(2));
}

/// Cuts the connection of the second hub in a mode of the relay, and checks that both hubs converge afterward.
fn lose_events_and_converge(mode: Mode) {
    let server = NatsServer::start();
    let relay = TcpRelay::start(server.address());
    let mut first = Hub::connect(&server.url());
    let mut second = Hub::connect(&format!("nats://{}", relay.address()));
    first.reaches(&mut second, &alerts(1));

    relay.set(mode);
    second.wait_for_problem("");
    for seq in 2..5 {
        first.bus.publish(alerts(seq));
        assert_eq!(first.next_event(), alerts(seq));
    }
    // The hub that is cut off serves its own users, and keeps the events that other hubs must receive.
    for event in [alerts(9), sign_out(1), sign_out(2)] {
        second.bus.publish(event.clone());
        assert_eq!(second.next_event(), event);
    }
    second.wait_for_dropped(Dropped::Disconnected, 1);

    relay.set(Mode::Pass);
    second.wait_until_connected();
    second.wait_for_read();
    assert_eq!([first.next_event(), first.next_event()], [sign_out(1), sign_out(2)]);
    // Again, when the next message of the other hub shows that some are missing.
    second.wait_for_read();
    first.reaches(&mut second, &alerts(6));
    second.reaches(&mut first, &alerts(7));
    assert_eq!(second.link().reconnects.load(Ordering::Relaxed), 1);
    assert!(second.link().dropped_for(Dropped::Missing) >= 3);
}

#[test]
fn hubs_converge_after_a_connection_was_reset() {
    lose_events_and_converge(Mode::Refuse);
}

#[test]
fn hubs_converge_after_a_connection_stalled() {
    lose_events_and_converge(Mode::Hang);
}

#[test]
fn hubs_reconnect_to_a_restarted_server() {
    let port = free_port();
    let server = NatsServer::start_with(port, &[]);
    let [mut first, mut second] = [Hub::connect(&server.url()), Hub::connect(&server.url())];
    drop(server);
    first.wait_for_problem("");
    second.wait_for_problem("");
    let _server = NatsServer::start_with(port, &[]);
    for hub in [&mut first, &mut second] {
        hub.wait_until_connected();
        hub.wait_for_read();
    }
    // An event that one hub sends before the other has reconnected does not arrive, so both are connected first.
    first.reaches(&mut second, &sign_out(1));
    second.reaches(&mut first, &alerts(2));
}

#[test]
fn repeated_and_unreadable_messages_are_not_delivered() {
    let server = NatsServer::start();
    let [mut first, mut second] = [Hub::connect(&server.url()), Hub::connect(&server.url())];
    let mut intruder = Intruder::connect(&server);
    let mut sent = Vec::new();
    for event in [progress(Phase::Reading), progress(Phase::Finished), sign_out(1)] {
        first.reaches(&mut second, &event);
        sent.push(intruder.next_event());
    }
    // Both hubs have already received these messages, and the first hub sent them.
    for (subject, text) in &sent {
        intruder.publish(subject, text.as_bytes());
    }
    second.wait_for_dropped(Dropped::Duplicate, 3);
    // A message of another version, one with an unknown event, one in no known format, and one that is too large.
    let (subject, text) = &sent[2];
    intruder.publish(subject, text.replace("\"v\":1", "\"v\":2"));
    intruder.publish(subject, text.replace("signed_out", "something_new"));
    intruder.publish(subject, b"\x00\xff".as_slice());
    intruder.publish(subject, vec![b' '; 900_000]);
    second.wait_for_dropped(Dropped::OtherVersion, 1);
    second.wait_for_dropped(Dropped::Unreadable, 3);
    // None of these has been delivered.
    first.reaches(&mut second, &alerts(8));
    second.reaches(&mut first, &alerts(9));
}

#[test]
fn an_older_hint_is_not_delivered_after_a_newer_one() {
    let server = NatsServer::start();
    let first = Hub::connect(&server.url());
    let mut intruder = Intruder::connect(&server);
    first.bus.publish(progress(Phase::Reading));
    first.bus.publish(sign_out(1));
    first.bus.publish(progress(Phase::Finished));
    let sent = [(); 3].map(|()| intruder.next_event());
    // This hub has seen none of the messages; they arrive in the opposite order.
    let mut second = Hub::connect(&server.url());
    let renumbered = |text: &str, n: u64| {
        let begin = text.find("\"n\":").unwrap() + 4;
        let end = begin + text[begin..].find(',').unwrap();
        format!("{}{n}{}", &text[..begin], &text[end..])
    };
    // These numbers are above those of the hub's presence messages. The last message marks the end.
    for (position, n) in [(2, 1_000_002), (1, 1_000_001), (0, 1_000_000), (2, 1_000_003)] {
        let (subject, text) = &sent[position];
        intruder.publish(subject, renumbered(text, n));
    }
    let received = [(); 3].map(|()| second.next_event());
    // A sign-out that arrives late has the same effect.
    assert_eq!(received, [progress(Phase::Finished), sign_out(1), progress(Phase::Finished)]);
    assert!(second.link().dropped_for(Dropped::Late) >= 1);
}

#[test]
fn other_hubs_receive_only_the_sequence_of_a_commit() {
    let server = NatsServer::start();
    let [mut first, mut second] = [Hub::connect(&server.url()), Hub::connect(&server.url())];
    let mut intruder = Intruder::connect(&server);
    let committed = registered(20, RegistrationStatus::Enrolled);
    first.bus.publish(committed.clone());
    assert_eq!(first.next_event(), committed, "the hub's own users are notified from the event");
    assert_eq!(Some(second.next_event()), committed.for_other_hubs());
    let (_, text) = intruder.next_event();
    assert!(!text.contains("ann"), "no student is named to other hubs: {text}");
}

#[test]
fn credentials_are_checked_and_reported_without_secrets() {
    let server = NatsServer::start_with(0, &["--user", "hub", "--pass", "right"]);
    let login = |password: &str| NatsLogin::Password { user: "hub".to_owned(), password: password.into() };
    let mut wrong = Hub::start(&server.url(), login("hidden-word"));
    let problem = wrong.wait_for_problem("refuses the credentials");
    assert!(!problem.contains("hidden-word"), "{problem}");
    wrong.bus.publish(alerts(1));
    assert_eq!(wrong.next_event(), alerts(1), "a hub without connection serves its own users");
    let anonymous = Hub::start(&server.url(), NatsLogin::Anonymous);
    anonymous.wait_for_problem("refuses the credentials");
    Hub::start(&server.url(), login("right")).wait_until_connected();
    let missing = Hub::start(&server.url(), NatsLogin::File("/nowhere/hub.creds".into()));
    missing.wait_for_problem("credentials file /nowhere/hub.creds (bus.credentials) cannot be used");
    drop(server);

    let server = NatsServer::start_with(0, &["--auth", "a-token"]);
    Hub::start(&server.url(), NatsLogin::Token("a-token".into())).wait_until_connected();
}

#[test]
fn unusable_servers_are_reported() {
    let server = NatsServer::start();
    let relay = TcpRelay::start(server.address());
    let start = |url: String| Hub::start(&url, NatsLogin::Anonymous);
    start("nats://127.0.0.1:1".to_owned()).wait_for_problem("Connection refused");
    relay.set(Mode::Hang);
    start(format!("nats://{}", relay.address())).wait_for_problem("does not respond");
    // The server has no TLS, which the URL requires.
    start(format!("tls://{}", server.address())).wait_for_problem("IO error");
    let servers = vec!["nats://127.0.0.1:1".to_owned(), server.url()];
    let options = NatsOptions { servers, login: NatsLogin::Anonymous, subject: SUBJECT.to_owned() };
    let bus = NatsBus::start(options, |_| false);
    eventually("a connection to the second server", || bus.gauge().link.clone()?.is_connected().then_some(()));
}

#[test]
fn a_missing_permission_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    let permissions = r#"permissions: { publish: "college.>", subscribe: "other.>" }"#;
    let user = format!("{{ user: hub, password: pw, {permissions} }}");
    std::fs::write(&file, format!("authorization {{ users: [{user}] }}")).unwrap();
    let server = NatsServer::start_with(0, &["-c", file.to_str().unwrap()]);
    let login = NatsLogin::Password { user: "hub".to_owned(), password: "pw".into() };
    Hub::start(&server.url(), login).wait_for_problem("ermissions");
}

#[test]
fn queued_events_are_sent_when_a_hub_stops() {
    let server = NatsServer::start();
    let [first, mut second] = [Hub::connect(&server.url()), Hub::connect(&server.url())];
    // The reports are so large that NATS has not read all of them yet when the hub has written the last one.
    let report = |n: u64| {
        let id = TaskId::parse("a-task").unwrap();
        let report = TaskReport::new(id, None, n, "r".repeat(100_000), Timestamp::UNIX_EPOCH);
        Event::ImportProgress(Arc::new(report))
    };
    for n in 0..100 {
        first.bus.publish(report(n));
    }
    drop(first);
    for n in 0..100 {
        assert!(second.next_event() == report(n), "report {n} is next");
    }
}
