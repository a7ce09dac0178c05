//! Rate limits for requests, and counts of failures. [`crate::identity::attempts`] limits sign-ins with them.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::ids::UserName;

/// Allowed burst of requests, as a multiple of the rate: a page sends several requests when it loads.
const BURST_FACTOR: u32 = 2;
/// Limit for all visitors from one address, as a multiple of a user's limit: many people may share an address.
const VISITORS_FACTOR: u32 = 20;
/// Cost of a request whose response must be built, in requests of a user or of visitors: a build keeps a processor busy
/// for milliseconds, a cached response for microseconds. With the default limits, a user may cause 10 builds a second
/// and the visitors at one address 50, half of what the hub builds for visitors.
const USER_BUILD_COST: u32 = 50;
const VISITORS_BUILD_COST: u32 = 200;
/// Maximum number of keys of a limit, so that made-up account names and addresses cannot fill the memory: ten times the
/// users of a large college. With account names of the longest kind, a limit takes 25 MB.
pub(super) const KEYS_MAX: usize = 100_000;

/// The key for limits of an address: an IPv4 address, or the /64 network of an IPv6 address, because one household has
/// a whole /64 network.
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

/// Rate limits for the requests of each user, and for those of all visitors from one address together.
#[derive(Debug)]
pub struct RequestLimits {
    users: Option<DefaultKeyedRateLimiter<UserName>>,
    visitors: Option<DefaultKeyedRateLimiter<AddressKey>>,
    /// Requests from visitors. Each adds at most one key, and after every [`KEYS_MAX`] requests, idle keys are removed.
    visits: AtomicUsize,
    /// Requests for builds that exceeded a limit.
    builds_refused: AtomicU64,
    user_build_cost: NonZeroU32,
    visitors_build_cost: NonZeroU32,
    clock: DefaultClock,
}

impl RequestLimits {
    /// Creates limits of `per_second` requests for each user, with bursts; 0 means no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        // A build must fit into the burst of a low limit together with its request, which also counts.
        let cost = |of: u32, rate: u32| {
            NonZeroU32::new(of.min(rate.saturating_mul(BURST_FACTOR).saturating_sub(1))).unwrap_or(NonZeroU32::MIN)
        };
        let quota = |rate: u32| {
            let rate = NonZeroU32::new(rate)?;
            Some(Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::new(BURST_FACTOR)?)))
        };
        Self {
            users: quota(per_second).map(RateLimiter::dashmap),
            visitors: quota(per_second.saturating_mul(VISITORS_FACTOR)).map(RateLimiter::dashmap),
            visits: AtomicUsize::new(0),
            builds_refused: AtomicU64::new(0),
            user_build_cost: cost(USER_BUILD_COST, per_second),
            visitors_build_cost: cost(VISITORS_BUILD_COST, per_second.saturating_mul(VISITORS_FACTOR)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// The seconds to wait before the next request, when the limit is exceeded.
    pub fn count_user(&self, user: &UserName) -> Result<(), u32> {
        self.users.as_ref().map_or(Ok(()), |limit| self.count(limit, user, NonZeroU32::MIN))
    }

    /// Counts a response that must be built for a user.
    ///
    /// # Errors
    /// The seconds to wait before the next one, when the limit is exceeded.
    pub fn count_user_build(&self, user: &UserName) -> Result<(), u32> {
        let counted = self.users.as_ref().map_or(Ok(()), |limit| self.count(limit, user, self.user_build_cost));
        self.record_build(counted)
    }

    /// Counts a response that must be built for a visitor.
    ///
    /// # Errors
    /// The seconds to wait before the next one, when the limit is exceeded.
    pub fn count_visitor_build(&self, address: AddressKey) -> Result<(), u32> {
        let cost = self.visitors_build_cost;
        let counted = self.visitors.as_ref().map_or(Ok(()), |limit| self.count(limit, &address, cost));
        self.record_build(counted)
    }

    fn record_build(&self, counted: Result<(), u32>) -> Result<(), u32> {
        counted.inspect_err(|_| {
            self.builds_refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Returns the number of requests for builds that exceeded a limit.
    #[must_use]
    pub fn builds_refused(&self) -> u64 {
        self.builds_refused.load(Ordering::Relaxed)
    }

    /// Counts a request of a visitor.
    ///
    /// # Errors
    /// The seconds to wait before the next request, when the limit is exceeded.
    pub fn count_visitor(&self, address: AddressKey) -> Result<(), u32> {
        let Some(limit) = &self.visitors else { return Ok(()) };
        if self.visits.fetch_add(1, Ordering::Relaxed) % KEYS_MAX == KEYS_MAX - 1 {
            limit.retain_recent();
        }
        self.count(limit, &address, NonZeroU32::MIN)
    }

    fn count<K: Hash + Eq + Clone>(
        &self,
        limit: &DefaultKeyedRateLimiter<K>,
        key: &K,
        cost: NonZeroU32,
    ) -> Result<(), u32> {
        // The cost always fits into the burst.
        let counted = limit.check_key_n(key, cost).unwrap_or(Ok(()));
        counted.map_err(|too_soon| {
            let wait = too_soon.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
        })
    }

    /// Returns the number of addresses of visitors with recent requests.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.visitors.as_ref().map_or(0, |limit| limit.len())
    }

    /// Removes keys without recent requests. Must be called regularly.
    pub fn remove_idle(&self) {
        if let Some(users) = &self.users {
            users.retain_recent();
        }
        if let Some(visitors) = &self.visitors {
            visitors.retain_recent();
        }
    }
}

/// A count of the failures of each key, by the generic cell rate algorithm. It stores one number for each key: the
/// monotonic time at which the key has recovered from all its failures. `governor`, which limits requests, has no
/// refunds.
#[derive(Debug)]
pub struct Failures<K: Hash + Eq> {
    /// Milliseconds after which one failure recovers; 0 means no limit.
    interval_ms: i64,
    burst: i64,
    recovered_at_ms: DashMap<K, i64>,
}

impl<K: Hash + Eq + Clone> Failures<K> {
    /// Creates a limit of `per_minute` failures for each key; 0 means no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self::over(per_minute, Duration::from_secs(60))
    }

    /// Creates a limit of `count` failures in `period` for each key; 0 means no limit.
    #[must_use]
    pub fn over(count: u32, period: Duration) -> Self {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
        let interval_ms = if count == 0 { 0 } else { (period_ms / i64::from(count)).max(1) };
        Self { interval_ms, burst: i64::from(count), recovered_at_ms: DashMap::new() }
    }

    /// Checks whether one more failure is allowed now.
    ///
    /// # Errors
    /// The seconds to wait until one is allowed.
    pub fn check(&self, key: &K, now_ms: i64) -> Result<(), u32> {
        let recovered = self.recovered_at_ms.get(key).map_or(now_ms, |at| *at);
        self.check_room(recovered, now_ms)
    }

    /// Counts an attempt as a failure before its outcome is known, so that concurrent attempts cannot exceed the limit.
    ///
    /// # Errors
    /// The seconds to wait until an attempt is allowed.
    pub fn charge(&self, key: &K, now_ms: i64) -> Result<(), u32> {
        if self.interval_ms == 0 {
            return Ok(());
        }
        self.make_room(now_ms);
        let mut recovered = self.recovered_at_ms.entry(key.clone()).or_insert(now_ms);
        self.check_room(*recovered, now_ms)?;
        *recovered = (*recovered).max(now_ms) + self.interval_ms;
        Ok(())
    }

    /// Reverts [`Failures::charge`] after an attempt that did not fail.
    pub fn refund(&self, key: &K) {
        if let Some(mut recovered) = self.recovered_at_ms.get_mut(key) {
            *recovered -= self.interval_ms;
        }
    }

    fn check_room(&self, recovered_at_ms: i64, now_ms: i64) -> Result<(), u32> {
        let after_this_ms = recovered_at_ms.max(now_ms) + self.interval_ms - now_ms;
        let over_ms = after_this_ms - self.burst * self.interval_ms;
        if self.interval_ms == 0 || over_ms <= 0 {
            Ok(())
        } else {
            Err(u32::try_from(over_ms / 1_000 + 1).unwrap_or(60))
        }
    }

    /// Removes recovered keys when there are too many. If that is not enough, removes those that recover first, which
    /// have the fewest failures: made-up keys go before an account that is being attacked.
    fn make_room(&self, now_ms: i64) {
        if self.recovered_at_ms.len() < KEYS_MAX {
            return;
        }
        self.remove_recovered(now_ms);
        let mut soon_ms = self.interval_ms;
        // Room for many keys at once, because each removal looks at all of them.
        while self.recovered_at_ms.len() > KEYS_MAX / 4 * 3 {
            self.remove_recovered(now_ms + soon_ms);
            soon_ms *= 2;
        }
    }

    /// Returns the number of keys with recent failures.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.recovered_at_ms.len()
    }

    /// Removes keys that have recovered. Must be called regularly.
    pub fn remove_recovered(&self, now_ms: i64) {
        self.recovered_at_ms.retain(|_, at| *at > now_ms);
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
