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

#[test]
fn a_response_that_must_be_built_costs_as_much_as_many_requests() {
    let limits = RequestLimits::new(500);
    let (home, campus) = (address("192.0.2.1"), address("192.0.2.2"));
    let builds = |from| (0..1_000).take_while(|_| limits.count_visitor_build(from).is_ok()).count();
    let built = builds(home);
    assert!((100..200).contains(&built), "{built} builds at once");
    assert!(limits.count_visitor_build(campus).is_ok(), "another address");
    let ann = UserName::parse("ann").unwrap();
    let built = (0..1_000).take_while(|_| limits.count_user_build(&ann).is_ok()).count();
    assert!((20..100).contains(&built), "{built} builds at once for one user");
    assert_eq!(limits.builds_refused(), 2);
}

#[test]
fn a_low_request_limit_allows_a_build() {
    let (limits, ann, home) = (RequestLimits::new(1), UserName::parse("ann").unwrap(), address("192.0.2.1"));
    assert!(limits.count_user(&ann).is_ok() && limits.count_user_build(&ann).is_ok());
    assert!(limits.count_visitor(home).is_ok() && limits.count_visitor_build(home).is_ok());
    let off = RequestLimits::new(0);
    assert!((0..1_000).all(|_| off.count_visitor_build(address("192.0.2.1")).is_ok()));
}
