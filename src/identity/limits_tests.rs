use super::*;

fn address(text: &str) -> AddressKey {
    text.parse::<IpAddr>().unwrap().into()
}

#[test]
fn a_limit_of_ten_a_minute_recovers_one_every_six_seconds() {
    let limits = Failures::new(10);
    for _ in 0..10 {
        limits.charge(&"ann", 1_000).unwrap();
    }
    assert_eq!(limits.charge(&"ann", 1_000), Err(7));
    assert_eq!(limits.charge(&"ann", 6_999), Err(1));
    assert_eq!(limits.charge(&"ann", 7_000), Ok(()));
    assert!(limits.charge(&"ann", 7_000).is_err());
    assert!(limits.charge(&"bob", 7_000).is_ok());
}

struct Epoch;
impl Clock for Epoch {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic_ms(&self) -> i64 {
        0
    }
}

async fn admit<'a>(limits: &'a SignInLimits, account: &str, from: &str) -> Result<Attempt<'a>, NotAdmitted> {
    limits.admit(account, address(from), &Epoch).await
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
async fn an_address_with_many_failures_is_limited_for_all_accounts() {
    let limits = SignInLimits::new(1);
    for guess in 0..30 {
        drop(admit(&limits, &format!("user{guess}"), HOME).await.unwrap());
        limits.record_failure(address(HOME), 0);
    }
    assert!(admit(&limits, "ann", HOME).await.is_err());
    assert!(admit(&limits, "ann", "192.0.2.2").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn bursts_of_sign_ins_are_throttled_not_rejected() {
    let limits = SignInLimits::new(2);
    let attempts = (0..50).map(|_| async {
        let attempt = admit(&limits, "ann", HOME).await.unwrap();
        assert!(limits.queues.get("ann").unwrap().in_flight.load(Ordering::Relaxed) <= 2);
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
    let waiting = (0..=ACCOUNT_WAITING_MAX).map(|_| admit(&limits, "ann", HOME));
    let outcomes = futures_util::future::join_all(waiting).await;
    assert_eq!(started.elapsed().as_secs(), ADMISSION_WAIT_MAX.as_secs());
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(NotAdmitted::QueueFull))).count();
    let limited = outcomes.iter().filter(|outcome| matches!(outcome, Err(NotAdmitted::RateLimited { .. }))).count();
    assert_eq!((full, limited), (1, ACCOUNT_WAITING_MAX));
    assert!(admit(&limits, "bob", HOME).await.is_ok(), "other accounts do not wait");
}

#[test]
fn zero_disables_the_limit_and_recovered_keys_are_removed() {
    let off = Failures::new(0);
    assert!((0..1_000).all(|_| off.charge(&1, 0).is_ok()));
    let on = Failures::new(10);
    on.charge(&1, 0).unwrap();
    on.remove_recovered(60_001);
    assert!(on.recovered_at_ms.is_empty());
}

#[test]
fn keys_are_bounded_and_those_with_most_failures_stay() {
    let limits = Failures::new(10);
    (0..10).for_each(|_| limits.charge(&u32::MAX, 0).unwrap());
    for key in 0..3 * KEYS_MAX as u32 {
        limits.charge(&key, 0).unwrap();
    }
    let keys = limits.recovered_at_ms.len();
    assert!(keys <= KEYS_MAX, "{keys} keys");
    assert!(limits.charge(&u32::MAX, 0).is_err(), "the attacked account is still limited");
}

#[test]
fn addresses_of_visitors_are_bounded() {
    let limits = RequestLimits::new(500);
    for number in 0..3 * KEYS_MAX as u32 {
        limits.count_visitor(IpAddr::from(number.to_be_bytes()).into()).unwrap();
    }
    let keys = limits.visitors.as_ref().unwrap().len();
    assert!(keys < 2 * KEYS_MAX, "{keys} addresses");
}

#[test]
fn an_ipv6_64_network_is_one_key_and_mapped_ipv4_equals_ipv4() {
    assert_eq!(address("2001:db8::1"), address("2001:db8::2:3"));
    assert_ne!(address("2001:db8:0:1::1"), address("2001:db8::1"));
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
}

#[test]
fn visitors_from_one_address_share_a_higher_limit_than_a_user() {
    let limits = RequestLimits::new(1);
    let (ann, bob) = (UserName::parse("ann").unwrap(), UserName::parse("bob").unwrap());
    assert!(limits.count_user(&ann).is_ok() && limits.count_user(&ann).is_ok());
    assert!(limits.count_user(&ann).is_err());
    assert!(limits.count_user(&bob).is_ok());
    assert!((0..40).all(|_| limits.count_visitor(address("192.0.2.1")).is_ok()));
}
