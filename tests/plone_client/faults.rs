//! The client behind a relay that fails in each of its ways.

use std::future::Future;
use std::time::Duration;

use eduhub::domain::fields::{FieldValue, SectionField};
use eduhub::plone::port::{Catalogue, ContentKind, PloneError, Viewer, Writer};
use eduhub::plone::rest::{CallOutcome, Circuit, PloneClient, PloneOptions};
use futures_util::future::join_all;

use super::options;
use super::support::PATIENCE;
use super::support::plone::Plone;
use super::support::tcp_relay::{Mode, TcpRelay};

/// Short, since most tests here wait for it.
const DEADLINE: Duration = Duration::from_millis(700);
/// Enough for Plone on a busy machine, where it is to answer.
const GENEROUS: Duration = Duration::from_secs(20);

fn behind(relay: &TcpRelay, timeout: Duration) -> PloneClient {
    PloneClient::new(PloneOptions { timeout, ..options(&relay.url()) }).unwrap()
}

/// Waits for a condition that comes true on its own.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
    };
    actix_rt::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

async fn news(client: &PloneClient) -> Result<u64, PloneError> {
    client.search(Viewer::Visitor, ContentKind::News, None, 0).await.map(|page| page.total)
}

#[actix_rt::test]
async fn each_fault_is_told_within_the_deadline_and_leaves_nothing_behind() {
    let plone = Plone::shared();
    for mode in [Mode::Refuse, Mode::Hang, Mode::Garbage, Mode::Drip, Mode::Cut, Mode::Answer500] {
        let relay = TcpRelay::start(plone.address());
        let client = behind(&relay, DEADLINE);
        relay.set(mode);
        // A drip goes on for an hour: it is the deadline that ends it.
        let error = actix_rt::time::timeout(PATIENCE, news(&client)).await.expect("in time").unwrap_err();
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
async fn the_circuit_opens_leaves_plone_alone_and_a_probe_closes_it() {
    let plone = Plone::shared();
    let relay = TcpRelay::start(plone.address());
    let client = behind(&relay, GENEROUS);
    let total = news(&client).await.unwrap();
    relay.set(Mode::Refuse);
    until("it opens", || async { news(&client).await == Err(PloneError::Open) }).await;
    assert_ne!(client.stats().circuit, Circuit::Closed);

    relay.set(Mode::Pass);
    let before = relay.accepted();
    let failed = client.stats().calls[CallOutcome::Failed as usize];
    until("it is back", || async { news(&client).await == Ok(total) }).await;
    assert_eq!(client.stats().circuit, Circuit::Closed);
    assert_eq!(relay.accepted(), before + 1, "one probe was enough");
    assert_eq!(client.stats().calls[CallOutcome::Failed as usize], failed);
}

#[actix_rt::test]
async fn while_it_is_half_open_only_one_call_goes_through() {
    let plone = Plone::shared();
    let relay = TcpRelay::start(plone.address());
    let client = behind(&relay, DEADLINE);
    relay.set(Mode::Refuse);
    until("it opens", || async { news(&client).await == Err(PloneError::Open) }).await;
    relay.set(Mode::Hang);
    until("it is half open", || async { client.stats().circuit == Circuit::HalfOpen }).await;
    let before = relay.accepted();
    let answers = join_all((0..20).map(|_| news(&client))).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Err(PloneError::Open)).count(), 19, "{answers:?}");
    assert_eq!(relay.accepted(), before + 1);
}

#[actix_rt::test]
async fn a_plone_that_answers_500_is_alive() {
    let relay = TcpRelay::start(Plone::shared().address());
    let client = behind(&relay, GENEROUS);
    relay.set(Mode::Answer500);
    for _ in 0..20 {
        assert!(matches!(news(&client).await, Err(PloneError::Failed(_))));
    }
    assert_eq!(client.stats().circuit, Circuit::Closed);
}

#[actix_rt::test]
async fn while_plone_hangs_calls_are_bounded_and_none_waits_longer_than_its_deadline() {
    let relay = TcpRelay::start(Plone::shared().address());
    let options = PloneOptions { pool_size: 2, queue_max: 3, timeout: DEADLINE, ..options(&relay.url()) };
    let client = PloneClient::new(options).unwrap();
    relay.set(Mode::Hang);
    let answers = join_all((0..20).map(|_| news(&client))).await;
    let busy = answers.iter().filter(|answer| **answer == Err(PloneError::Busy)).count();
    assert!(busy >= 15, "all but two with Plone and three in the queue are told at once: {answers:?}");
    assert!(relay.accepted() <= 5, "{}", relay.accepted());
    let stats = client.stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
    until("no connection is left", || async { relay.open() == 0 }).await;
}

#[actix_rt::test]
async fn what_can_be_asked_twice_is_asked_once_more_and_a_creation_never() {
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
    assert_eq!(plone.request("GET", &made.path, None, None).0, 200, "asked for again, it is found, and published");
}

#[actix_rt::test]
async fn a_connection_that_plone_closed_meanwhile_costs_nothing() {
    let relay = TcpRelay::start(Plone::shared().address());
    let client = behind(&relay, GENEROUS);
    news(&client).await.unwrap();
    // Ends the idle connection; whether the client has seen it already does not matter.
    relay.set(Mode::Refuse);
    relay.set(Mode::Pass);
    assert!(news(&client).await.is_ok());
    assert_eq!(client.stats().calls[CallOutcome::Failed as usize], 0);
}
