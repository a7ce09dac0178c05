//! The client behind a relay in each of its failure modes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eduhub::clock::SystemClock;
use eduhub::domain::fields::{FieldValue, SectionField};
use eduhub::plone::port::{Catalogue, ContentKind, PloneError, Viewer, Writer};
use eduhub::plone::rest::{CallOutcome, Circuit, PloneClient, PloneOptions};
use futures_util::future::join_all;

use super::options;
use crate::support::WAIT_MAX;
use crate::support::plone::Plone;
use crate::support::tcp_relay::{Mode, TcpRelay};

/// A short deadline, for tests that wait for it to pass.
const DEADLINE: Duration = Duration::from_millis(700);
/// A deadline that is long enough for Plone to respond on a busy machine.
const GENEROUS: Duration = Duration::from_secs(20);

/// Returns a client that connects to Plone through this relay.
fn behind(relay: &TcpRelay, timeout: Duration) -> PloneClient {
    PloneClient::new(PloneOptions { timeout, ..options(&relay.url()) }, Arc::new(SystemClock)).unwrap()
}

/// Waits until the condition holds.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
    };
    actix_rt::time::timeout(WAIT_MAX, waiting).await.unwrap_or_else(|_| panic!("timed out waiting until {what}"));
}

/// Searches for news items and returns their number.
async fn news(client: &PloneClient) -> Result<u64, PloneError> {
    client.search(Viewer::Visitor, ContentKind::News, None, 0).await.map(|page| page.total)
}

#[actix_rt::test]
async fn each_fault_fails_within_the_deadline_and_leaks_no_connection() {
    let plone = Plone::shared();
    for mode in [Mode::Refuse, Mode::Hang, Mode::Garbage, Mode::Drip, Mode::Cut, Mode::Answer500] {
        let relay = TcpRelay::start(plone.address());
        let client = behind(&relay, DEADLINE);
        relay.set(mode);
        // In mode `Drip`, the response would take an hour, so the deadline ends the call.
        let error = actix_rt::time::timeout(WAIT_MAX, news(&client)).await.expect("an error in time").unwrap_err();
        match mode {
            Mode::Answer500 => assert!(matches!(error, PloneError::Failed(_)), "{mode:?}: {error:?}"),
            _ => assert!(matches!(error, PloneError::Unavailable(_)), "{mode:?}: {error:?}"),
        }
        let words = error.to_string();
        for internal in ["File", "/opt", "://", "127.0.0.1", "Bearer"] {
            assert!(!words.contains(internal), "{mode:?}: {words}");
        }
        let stats = client.stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{mode:?}");
        until("no connection is left", || async { relay.open() == 0 && client.stats().connections == 0 }).await;
    }
}

#[actix_rt::test]
async fn the_circuit_opens_on_failures_and_one_probe_closes_it() {
    let plone = Plone::shared();
    let relay = TcpRelay::start(plone.address());
    let client = behind(&relay, GENEROUS);
    let total = news(&client).await.unwrap();
    relay.set(Mode::Refuse);
    until("the circuit is open", || async { news(&client).await == Err(PloneError::Open) }).await;
    assert_ne!(client.stats().circuit, Circuit::Closed);

    relay.set(Mode::Pass);
    let before = relay.accepted();
    let failed = client.stats().calls[CallOutcome::Failed as usize];
    until("calls succeed again", || async { news(&client).await == Ok(total) }).await;
    assert_eq!(client.stats().circuit, Circuit::Closed);
    assert_eq!(relay.accepted(), before + 1, "one probe is sufficient");
    assert_eq!(client.stats().calls[CallOutcome::Failed as usize], failed);
}

#[actix_rt::test]
async fn a_half_open_circuit_passes_one_call() {
    let plone = Plone::shared();
    let relay = TcpRelay::start(plone.address());
    let client = behind(&relay, DEADLINE);
    relay.set(Mode::Refuse);
    until("the circuit is open", || async { news(&client).await == Err(PloneError::Open) }).await;
    relay.set(Mode::Hang);
    until("the circuit is half-open", || async { client.stats().circuit == Circuit::HalfOpen }).await;
    let before = relay.accepted();
    let responses = join_all((0..20).map(|_| news(&client))).await;
    assert_eq!(responses.iter().filter(|response| **response == Err(PloneError::Open)).count(), 19, "{responses:?}");
    assert_eq!(relay.accepted(), before + 1);
}

#[actix_rt::test]
async fn responses_with_500_keep_the_circuit_closed() {
    let relay = TcpRelay::start(Plone::shared().address());
    let client = behind(&relay, GENEROUS);
    relay.set(Mode::Answer500);
    for _ in 0..20 {
        assert!(matches!(news(&client).await, Err(PloneError::Failed(_))));
    }
    assert_eq!(client.stats().circuit, Circuit::Closed);
}

#[actix_rt::test]
async fn calls_to_a_hanging_plone_are_bounded_in_number_and_time() {
    let relay = TcpRelay::start(Plone::shared().address());
    let options = PloneOptions { pool_size: 2, queue_max: 3, timeout: DEADLINE, ..options(&relay.url()) };
    let client = PloneClient::new(options, Arc::new(SystemClock)).unwrap();
    relay.set(Mode::Hang);
    let responses = join_all((0..20).map(|_| news(&client))).await;
    let busy = responses.iter().filter(|response| **response == Err(PloneError::Busy)).count();
    assert!(busy >= 15, "two calls in flight and three in the queue; the others fail at once: {responses:?}");
    assert!(relay.accepted() <= 5, "{}", relay.accepted());
    let stats = client.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
    until("no connection is left", || async { relay.open() == 0 }).await;
}

#[actix_rt::test]
async fn idempotent_calls_are_retried_once_and_creations_never() {
    let plone = Plone::start();
    let relay = TcpRelay::start(plone.address());
    let client = behind(&relay, GENEROUS);
    client.section("/courses/202701-30001").await.unwrap();
    let count = |words: &str| plone.requests().iter().filter(|line| line.contains(words)).count();
    let reads = count("GET /Plone/courses/202701-30001 ");

    relay.set(Mode::Cut);
    let cut = client.section("/courses/202701-30001").await.unwrap_err();
    assert!(matches!(cut, PloneError::Unavailable(_)), "{cut:?}");
    assert_eq!(count("GET /Plone/courses/202701-30001 "), reads + 2);

    let fields = [("title", "Once"), ("term", "202701"), ("crn", "39997"), ("course", "TEST 1")]
        .map(|(name, text)| (SectionField::parse(name).unwrap(), FieldValue::Text(text.to_owned())));
    let cut = client.create_section("202701-39997", &fields.clone().into()).await.unwrap_err();
    assert!(matches!(cut, PloneError::Unavailable(_)), "{cut:?}");
    assert_eq!(count("POST /Plone/courses "), 1);

    relay.set(Mode::Pass);
    let made = client.create_section("202701-39997", &fields.into()).await.unwrap();
    assert_eq!(plone.request("GET", &made.path, None, None).0, 200, "the second call finds and publishes the section");
}

#[actix_rt::test]
async fn a_connection_closed_while_idle_causes_no_failure() {
    let relay = TcpRelay::start(Plone::shared().address());
    let client = behind(&relay, GENEROUS);
    news(&client).await.unwrap();
    // Closes the idle connection. The client may not notice it before the next call.
    relay.set(Mode::Refuse);
    relay.set(Mode::Pass);
    assert!(news(&client).await.is_ok());
    assert_eq!(client.stats().calls[CallOutcome::Failed as usize], 0);
}
