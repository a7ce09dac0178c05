//! How often somebody may ask, and how often a sign-in may fail.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::ids::UserName;

/// How many times its rate somebody may ask at once: a page that opens asks for several things.
const BURST_FACTOR: u32 = 2;
/// What an address of visitors may ask for beside one who is signed in: many people may share it.
const VISITORS_FACTOR: u32 = 20;
/// What an address may fail beside one account.
const ADDRESS_FAILURES_FACTOR: u32 = 30;
/// Keys that one limit remembers; beyond, those that have recovered are forgotten at once instead of by the minute.
const KEYS_MAX: usize = 100_000;

/// Who an address counts for: all of an IPv4 address, and the network of an IPv6 one (one household or campus has
/// 2^64 of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey([u8; 8]);

impl From<IpAddr> for AddressKey {
    fn from(ip: IpAddr) -> Self {
        let mut key = [0; 8];
        match ip.to_canonical() {
            IpAddr::V4(v4) => key[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => key.copy_from_slice(&v6.octets()[..8]),
        }
        Self(key)
    }
}

/// Requests a second: each user's, and each address's visitors together.
#[derive(Debug)]
pub struct RequestLimits {
    users: Option<DefaultKeyedRateLimiter<UserName>>,
    visitors: Option<DefaultKeyedRateLimiter<AddressKey>>,
    clock: DefaultClock,
}

impl RequestLimits {
    /// At most `per_second` requests of each user, with bursts; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let quota = |rate: u32| {
            let rate = NonZeroU32::new(rate)?;
            Some(Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::new(BURST_FACTOR)?)))
        };
        Self {
            users: quota(per_second).map(RateLimiter::dashmap),
            visitors: quota(per_second.saturating_mul(VISITORS_FACTOR)).map(RateLimiter::dashmap),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of a user, or says after how many seconds to ask again.
    pub fn count_user(&self, user: &UserName) -> Result<(), u32> {
        self.users.as_ref().map_or(Ok(()), |limit| self.count(limit, user))
    }
    /// Counts a visitor's request, or says after how many seconds to ask again.
    pub fn count_visitor(&self, address: AddressKey) -> Result<(), u32> {
        self.visitors.as_ref().map_or(Ok(()), |limit| self.count(limit, &address))
    }

    fn count<K: Hash + Eq + Clone>(&self, limit: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), u32> {
        limit.check_key(key).map_err(|too_soon| {
            let wait = too_soon.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }

    /// Forgets who has not asked for a while; called now and then.
    pub fn forget_idle(&self) {
        if let Some(users) = &self.users {
            users.retain_recent();
        }
        if let Some(visitors) = &self.visitors {
            visitors.retain_recent();
        }
    }
}

/// Counts failures of each key by the generic cell rate algorithm: one number, the time at which the key has recovered
/// from all of them. (governor does the same for requests, but cannot give back what a success took.)
#[derive(Debug)]
pub struct Failures<K: Hash + Eq> {
    // Milliseconds between two failures in the long run; 0 is no limit.
    interval_ms: i64,
    burst: i64,
    recovered_at_ms: DashMap<K, i64>,
}

impl<K: Hash + Eq + Clone> Failures<K> {
    /// At most `per_minute` failures in a minute; 0 is no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let interval_ms = if per_minute == 0 { 0 } else { (60_000 / i64::from(per_minute)).max(1) };
        Self { interval_ms, burst: i64::from(per_minute), recovered_at_ms: DashMap::new() }
    }

    /// Whether one more may fail now; otherwise after how many seconds.
    pub fn check(&self, key: &K, now_ms: i64) -> Result<(), u32> {
        let recovered = self.recovered_at_ms.get(key).map_or(now_ms, |at| *at);
        self.room(recovered, now_ms)
    }

    /// Takes room for an attempt that may fail, so that attempts at the same moment count each other.
    pub fn take(&self, key: &K, now_ms: i64) -> Result<(), u32> {
        self.make_room(now_ms);
        let mut recovered = self.recovered_at_ms.entry(key.clone()).or_insert(now_ms);
        self.room(*recovered, now_ms)?;
        *recovered = (*recovered).max(now_ms) + self.interval_ms;
        Ok(())
    }

    /// Gives back what [`Failures::take`] took: the attempt did not fail.
    pub fn give_back(&self, key: &K) {
        if let Some(mut recovered) = self.recovered_at_ms.get_mut(key) {
            *recovered -= self.interval_ms;
        }
    }

    fn room(&self, recovered_at_ms: i64, now_ms: i64) -> Result<(), u32> {
        let after_this_ms = recovered_at_ms.max(now_ms) + self.interval_ms - now_ms;
        let over_ms = after_this_ms - self.burst * self.interval_ms;
        if self.interval_ms == 0 || over_ms <= 0 {
            Ok(())
        } else {
            Err(u32::try_from(over_ms / 1_000 + 1).unwrap_or(60))
        }
    }

    fn make_room(&self, now_ms: i64) {
        if self.recovered_at_ms.len() >= KEYS_MAX {
            self.forget_recovered(now_ms);
        }
    }

    /// Forgets who has recovered; called now and then.
    pub fn forget_recovered(&self, now_ms: i64) {
        self.recovered_at_ms.retain(|_, at| *at > now_ms);
    }
}

/// Failed sign-ins: of each account, and from each address.
#[derive(Debug)]
pub struct SignInLimits {
    accounts: Failures<String>,
    /// Attempts under way, by account.
    under_way: DashMap<String, u32>,
    addresses: Failures<AddressKey>,
}

impl SignInLimits {
    /// At most `per_minute` failures for each account, and more for each address; 0 is no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let addresses = Failures::new(per_minute.saturating_mul(ADDRESS_FAILURES_FACTOR));
        Self { accounts: Failures::new(per_minute), under_way: DashMap::new(), addresses }
    }

    /// Before a password is looked at. Guesses at one account at the same moment count each other; an address counts
    /// its failures only afterwards, since a whole campus may sign in from one at once.
    pub fn begin(&self, username: &str, address: AddressKey, now_ms: i64) -> Result<(), u32> {
        self.addresses.check(&address, now_ms)?;
        self.accounts.take(&username.to_owned(), now_ms)?;
        *self.under_way.entry(username.to_owned()).or_insert(0) += 1;
        Ok(())
    }
    /// Whether attempts of this account are under way, which may give back what they took.
    pub fn is_under_way(&self, username: &str) -> bool {
        self.under_way.contains_key(username)
    }
    /// The attempt is over, however it ended.
    pub fn end(&self, username: &str) {
        if let Some(mut count) = self.under_way.get_mut(username) {
            *count = count.saturating_sub(1);
        }
        self.under_way.remove_if(username, |_, count| *count == 0);
    }
    /// The password was not wrong.
    pub fn give_back(&self, username: &str) {
        self.accounts.give_back(&username.to_owned());
    }
    /// The password was wrong.
    pub fn failed(&self, address: AddressKey, now_ms: i64) {
        // Past the limit nothing more is added: the address is refused already.
        let _ = self.addresses.take(&address, now_ms);
    }
    /// Forgets who has recovered; called now and then.
    pub fn forget_recovered(&self, now_ms: i64) {
        self.accounts.forget_recovered(now_ms);
        self.addresses.forget_recovered(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> AddressKey {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn ten_failures_a_minute_and_one_more_each_six_seconds() {
        let limits = Failures::new(10);
        for _ in 0..10 {
            limits.take(&"ann", 1_000).unwrap();
        }
        assert_eq!(limits.take(&"ann", 1_000), Err(7));
        assert_eq!(limits.take(&"ann", 6_999), Err(1));
        assert_eq!(limits.take(&"ann", 7_000), Ok(()));
        assert!(limits.take(&"ann", 7_000).is_err());
        assert!(limits.take(&"bob", 7_000).is_ok());
    }

    #[test]
    fn a_success_gives_back_what_it_took() {
        let limits = SignInLimits::new(2);
        let home = address("192.0.2.1");
        for _ in 0..50 {
            limits.begin("ann", home, 0).unwrap();
            limits.give_back("ann");
        }
        limits.begin("ann", home, 0).unwrap();
        limits.begin("ann", home, 0).unwrap();
        assert!(limits.begin("ann", home, 0).is_err());
    }

    #[test]
    fn an_address_that_only_guesses_is_stopped_for_all_accounts() {
        let limits = SignInLimits::new(1);
        for guess in 0..30 {
            limits.begin(&format!("user{guess}"), address("192.0.2.1"), 0).unwrap();
            limits.failed(address("192.0.2.1"), 0);
        }
        assert!(limits.begin("ann", address("192.0.2.1"), 0).is_err());
        assert!(limits.begin("ann", address("192.0.2.2"), 0).is_ok());
    }

    #[test]
    fn zero_is_no_limit_and_recovered_keys_are_forgotten() {
        let off = Failures::new(0);
        assert!((0..1_000).all(|_| off.take(&1, 0).is_ok()));
        let on = Failures::new(10);
        on.take(&1, 0).unwrap();
        on.forget_recovered(60_001);
        assert!(on.recovered_at_ms.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::2:3"));
        assert_ne!(address("2001:db8:0:1::1"), address("2001:db8::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn each_user_has_a_burst_and_visitors_of_one_address_share_a_larger_one() {
        let limits = RequestLimits::new(1);
        let (ann, bob) = (UserName::parse("ann").unwrap(), UserName::parse("bob").unwrap());
        assert!(limits.count_user(&ann).is_ok() && limits.count_user(&ann).is_ok());
        assert!(limits.count_user(&ann).is_err());
        assert!(limits.count_user(&bob).is_ok());
        assert!((0..40).all(|_| limits.count_visitor(address("192.0.2.1")).is_ok()));
    }
}
