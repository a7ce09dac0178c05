use std::net::IpAddr;

use super::*;

struct Epoch;
impl Clock for Epoch {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic_ms(&self) -> i64 {
        0
    }
}

fn address(text: &str) -> AddressKey {
    text.parse::<IpAddr>().unwrap().into()
}

fn network(text: &str) -> Origin {
    Origin::Network(address(text))
}

async fn admit<'a>(limits: &'a SignInLimits, account: &str, from: &str) -> Result<Attempt<'a>, NotAdmitted> {
    limits.admit(account, network(from), &Epoch).await
}

const HOME: &str = "192.0.2.1";

#[tokio::test(start_paused = true)]
async fn correct_passwords_do_not_count_toward_the_limit() {
    let limits = SignInLimits::new(2);
    for _ in 0..50 {
        admit(&limits, "ann", HOME).await.unwrap().refund();
    }
    drop(admit(&limits, "ann", HOME).await.unwrap());
    drop(admit(&limits, "ann", HOME).await.unwrap());
    assert_eq!(admit(&limits, "ann", HOME).await.unwrap_err(), NotAdmitted::RateLimited { retry_after_s: 31 });
    assert!(limits.queues.is_empty(), "queues are removed with their last attempt");
}

#[tokio::test(start_paused = true)]
async fn guesses_from_one_network_do_not_limit_the_account_elsewhere() {
    let limits = SignInLimits::new(2);
    for _ in 0..2 {
        admit(&limits, "ann", HOME).await.unwrap().fail(0);
    }
    assert!(admit(&limits, "ann", HOME).await.is_err());
    assert!(admit(&limits, "ann", "192.0.2.2").await.is_ok(), "another network");
    assert!(admit(&limits, "bob", HOME).await.is_ok(), "another account");
}

#[tokio::test(start_paused = true)]
async fn accounts_are_limited_across_networks_except_for_known_devices() {
    let limits = SignInLimits::new(2);
    for number in 0..2 * ACCOUNT_FAILURES_FACTOR {
        admit(&limits, "ann", &format!("10.0.{number}.1")).await.unwrap().fail(0);
    }
    assert!(admit(&limits, "ann", HOME).await.is_err());
    let device = limits.origin(address(HOME), Some(DeviceId::of(7)), &Epoch);
    assert!(limits.admit("ann", device, &Epoch).await.is_ok());
    assert_eq!(limits.refused()[0], ("rate_limited", 1));
}

#[tokio::test(start_paused = true)]
async fn a_device_has_its_own_limit_and_is_unknown_after_100_failures() {
    let limits = SignInLimits::new(60);
    let of = |number| limits.origin(address(HOME), Some(DeviceId::of(number)), &Epoch);
    for _ in 0..60 {
        limits.admit("ann", of(1), &Epoch).await.unwrap().fail(0);
    }
    assert!(limits.admit("ann", of(1), &Epoch).await.is_err(), "a minute's failures");
    assert!(limits.admit("ann", of(2), &Epoch).await.is_ok(), "another device");
    assert!(admit(&limits, "ann", HOME).await.is_ok(), "the network");
    for number in 60..DEVICE_FAILURES_PER_DAY {
        limits.admit(&format!("account {number}"), of(1), &Epoch).await.unwrap().fail(0);
    }
    assert_eq!(of(1), network(HOME));
    assert_eq!(of(2), Origin::Device(DeviceId::of(2)));
}

#[tokio::test(start_paused = true)]
async fn a_network_with_many_failures_is_crowded_and_never_refused() {
    let limits = SignInLimits::new(1);
    for guess in 0..NETWORK_FAILURES_FACTOR {
        assert!(!limits.is_crowded(network(HOME), &Epoch));
        admit(&limits, &format!("user{guess}"), HOME).await.unwrap().fail(0);
    }
    assert!(limits.is_crowded(network(HOME), &Epoch));
    assert!(!limits.is_crowded(network("192.0.2.2"), &Epoch));
    assert!(!limits.is_crowded(Origin::Device(DeviceId::of(1)), &Epoch));
    assert!(admit(&limits, "ann", HOME).await.is_ok());
}

#[test]
fn few_passwords_for_unknown_names_are_hashed_for_a_network() {
    let limits = SignInLimits::new(1);
    for _ in 0..UNKNOWN_NAMES_FACTOR {
        assert!(limits.may_hash_unknown(network(HOME), &Epoch));
    }
    assert!(!limits.may_hash_unknown(network(HOME), &Epoch));
    assert!(limits.may_hash_unknown(network("192.0.2.2"), &Epoch));
    assert!(limits.may_hash_unknown(Origin::Device(DeviceId::of(1)), &Epoch));
}

#[tokio::test(start_paused = true)]
async fn a_crowded_network_has_few_passwords_checked_by_a_provider() {
    let limits = SignInLimits::new(1);
    let share = |from| limits.provider_share(network(from), &Epoch);
    let mut held = futures_util::future::join_all((0..PROVIDER_SHARE).map(|_| share(HOME))).await;
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(share(HOME).await.unwrap_err(), NotAdmitted::QueueFull);
    assert!(share("192.0.2.2").await.is_ok(), "other networks do not wait");
    held.clear();
    (0..NETWORK_FAILURES_FACTOR).for_each(|_| limits.networks.charge(&address(HOME), 0).unwrap());
    for _ in 0..CROWDED_PROVIDER_SHARE {
        held.push(share(HOME).await);
    }
    assert!(held.iter().all(Result::is_ok));
    assert!(share(HOME).await.is_err());
    assert!(limits.provider_share(Origin::Device(DeviceId::of(1)), &Epoch).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn bursts_of_sign_ins_are_throttled_not_rejected() {
    let limits = SignInLimits::new(2);
    let attempts = (0..50).map(|_| async {
        let attempt = admit(&limits, "ann", HOME).await.unwrap();
        assert!(limits.queues.iter().next().unwrap().in_flight.load(Ordering::Relaxed) <= 2);
        tokio::time::sleep(Duration::from_millis(100)).await;
        attempt.refund();
    });
    let started = Instant::now();
    futures_util::future::join_all(attempts).await;
    assert!(started.elapsed() < Duration::from_millis(2_600), "two attempts run concurrently, without pauses");
    assert!(limits.queues.is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_attempts_are_admitted_in_order_of_arrival() {
    let limits = SignInLimits::new(1);
    let order = parking_lot::Mutex::new(Vec::new());
    let first = admit(&limits, "ann", HOME).await.unwrap();
    let waiting = (0..5).map(|number| {
        let (limits, order) = (&limits, &order);
        async move {
            let attempt = admit(limits, "ann", HOME).await.unwrap();
            order.lock().push(number);
            tokio::task::yield_now().await;
            attempt.refund();
        }
    });
    let ends = async {
        tokio::task::yield_now().await;
        first.refund();
    };
    futures_util::future::join(futures_util::future::join_all(waiting), ends).await;
    assert_eq!(order.into_inner(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn waiting_attempts_are_rejected_when_no_refund_is_possible() {
    let limits = SignInLimits::new(1);
    let failing = admit(&limits, "ann", HOME).await.unwrap();
    let started = Instant::now();
    let waiting = (0..3).map(|_| admit(&limits, "ann", HOME));
    let fails = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(failing);
    };
    let (outcomes, ()) = futures_util::future::join(futures_util::future::join_all(waiting), fails).await;
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert_eq!(started.elapsed().as_secs(), 1, "the attempts are rejected as soon as the one in flight fails");
}

#[tokio::test(start_paused = true)]
async fn waiting_attempts_are_bounded_and_have_a_deadline() {
    let limits = SignInLimits::new(1);
    let _hangs = admit(&limits, "ann", HOME).await.unwrap();
    let started = Instant::now();
    let waiting = (0..=WAITING_MAX).map(|_| admit(&limits, "ann", HOME));
    let outcomes = futures_util::future::join_all(waiting).await;
    assert_eq!(started.elapsed().as_secs(), ADMISSION_WAIT_MAX.as_secs());
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(NotAdmitted::QueueFull))).count();
    let limited = outcomes.iter().filter(|outcome| matches!(outcome, Err(NotAdmitted::RateLimited { .. }))).count();
    assert_eq!((full, limited), (1, WAITING_MAX));
    assert!(admit(&limits, "bob", HOME).await.is_ok(), "other accounts do not wait");
}
