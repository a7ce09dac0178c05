//! Rate limits for requests, and limits on failed sign-ins.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::domain::ids::UserName;

/// Allowed burst of requests, as a multiple of the rate: a page sends several requests when it loads.
const BURST_FACTOR: u32 = 2;
/// Limit for all visitors from one address, as a multiple of a user's limit: many people may share an address.
const VISITORS_FACTOR: u32 = 20;
/// Limit on failed sign-ins from one address, as a multiple of an account's limit.
const ADDRESS_FAILURES_FACTOR: u32 = 30;
/// Maximum number of keys of a limit, so that made-up account names and addresses cannot fill the memory: ten times the
/// users of a large college. With account names of the longest kind, a limit takes 60 MB.
const KEYS_MAX: usize = 100_000;
/// Longest wait of a sign-in for other attempts of its account.
pub const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Maximum number of waiting attempts of one account.
const ACCOUNT_WAITING_MAX: usize = 1_000;

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
    /// Requests of visitors. Each adds at most one key, and after each [`KEYS_MAX`] of them, idle keys are removed.
    visits: AtomicUsize,
    clock: DefaultClock,
}

impl RequestLimits {
    /// Creates limits of `per_second` requests for each user, with bursts; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let quota = |rate: u32| {
            let rate = NonZeroU32::new(rate)?;
            Some(Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::new(BURST_FACTOR)?)))
        };
        Self {
            users: quota(per_second).map(RateLimiter::dashmap),
            visitors: quota(per_second.saturating_mul(VISITORS_FACTOR)).map(RateLimiter::dashmap),
            visits: AtomicUsize::new(0),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// The seconds to wait before the next request, when the limit is exceeded.
    pub fn count_user(&self, user: &UserName) -> Result<(), u32> {
        self.users.as_ref().map_or(Ok(()), |limit| self.count(limit, user))
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
        self.count(limit, &address)
    }

    fn count<K: Hash + Eq + Clone>(&self, limit: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), u32> {
        limit.check_key(key).map_err(|too_soon| {
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

/// Counts the failures of each key with the generic cell rate algorithm. It stores one number for each key: the
/// monotonic time at which the key has recovered from all its failures. `governor`, which limits requests, has no refunds.
#[derive(Debug)]
pub struct Failures<K: Hash + Eq> {
    /// Milliseconds after which one failure recovers; 0 is no limit.
    interval_ms: i64,
    burst: i64,
    recovered_at_ms: DashMap<K, i64>,
}

impl<K: Hash + Eq + Clone> Failures<K> {
    /// Creates a limit of `per_minute` failures for each key; 0 is no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let interval_ms = if per_minute == 0 { 0 } else { (60_000 / i64::from(per_minute)).max(1) };
        Self { interval_ms, burst: i64::from(per_minute), recovered_at_ms: DashMap::new() }
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

    /// Removes keys that have recovered. Must be called regularly.
    pub fn remove_recovered(&self, now_ms: i64) {
        self.recovered_at_ms.retain(|_, at| *at > now_ms);
    }
}

/// Limits on failed sign-ins of each account and from each address.
///
/// An attempt is counted as a failure before its password is checked, because guesses may be sent in parallel, and is
/// refunded if the password is correct. An attempt that would exceed the limit waits, in order of arrival, while other
/// attempts of its account are in flight, and is rejected only when no refund is possible any more. Bursts of correct
/// sign-ins are therefore throttled, not rejected.
#[derive(Debug)]
pub struct SignInLimits {
    accounts: Failures<String>,
    /// Accounts with waiting or in-flight attempts.
    queues: DashMap<String, Arc<AccountQueue>>,
    addresses: Failures<AddressKey>,
}

/// The attempts of one account.
#[derive(Debug)]
struct AccountQueue {
    /// Held by the next attempt to be admitted. The semaphore is fair, so attempts are admitted in order of arrival.
    head: Semaphore,
    /// Bounds the number of waiting attempts.
    slots: Semaphore,
    in_flight: AtomicU32,
    /// Notified when an attempt in flight ends.
    ended: Notify,
}

/// Why a sign-in is not attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Too many attempts of the account, or from the address, have failed.
    RateLimited {
        /// Seconds to wait before the next attempt.
        retry_after_s: u32,
    },
    /// Too many attempts of the account are waiting.
    QueueFull,
}

/// An admitted sign-in attempt. Dropping it lets waiting attempts of its account check the limit again.
#[derive(Debug)]
pub struct Attempt<'a> {
    queued: Queued<'a>,
}

impl Attempt<'_> {
    /// Ends an attempt that does not count as a failure.
    pub fn refund(self) {
        self.queued.limits.accounts.refund(&self.queued.account);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let queue = &self.queued.queue;
        queue.in_flight.fetch_sub(1, Ordering::AcqRel);
        queue.ended.notify_waiters();
    }
}

/// A handle to the queue of an account. Dropping the last handle removes the queue.
#[derive(Debug)]
struct Queued<'a> {
    limits: &'a SignInLimits,
    account: String,
    queue: Arc<AccountQueue>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        // The last handle sees a count of 2: the map's and its own. `remove_if` locks out new handles. If two handles
        // are dropped at the same time, neither may see 2; `remove_recovered` then removes the queue.
        let is_last = |_: &String, queue: &Arc<AccountQueue>| Arc::strong_count(queue) <= 2;
        self.limits.queues.remove_if(&self.account, is_last);
    }
}

impl SignInLimits {
    /// Creates limits of `per_minute` failures for each account and a higher limit for each address; 0 is no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let addresses = Failures::new(per_minute.saturating_mul(ADDRESS_FAILURES_FACTOR));
        Self { accounts: Failures::new(per_minute), queues: DashMap::new(), addresses }
    }

    /// Admits an attempt before its password is checked. Waits up to [`ADMISSION_WAIT_MAX`] for other attempts of the
    /// account. For an address only actual failures count, because a whole campus may sign in from one address.
    ///
    /// # Errors
    /// When too many attempts have failed or are waiting.
    pub async fn admit(
        &self,
        account: &str,
        address: AddressKey,
        clock: &dyn Clock,
    ) -> Result<Attempt<'_>, NotAdmitted> {
        let queued = self.enqueue(account);
        let queue = &queued.queue;
        let deadline = Instant::now() + ADMISSION_WAIT_MAX;
        let take = || {
            let now_ms = clock.monotonic_ms();
            self.addresses.check(&address, now_ms)?;
            self.accounts.charge(&queued.account, now_ms)
        };
        {
            let _slot = queue.slots.try_acquire().map_err(|_| NotAdmitted::QueueFull)?;
            let head = timeout_at(deadline, queue.head.acquire()).await;
            loop {
                let ended = queue.ended.notified();
                tokio::pin!(ended);
                // Registered before the limit is checked, so that an attempt that ends in between is not missed.
                ended.as_mut().enable();
                let Err(retry_after_s) = take() else { break };
                let may_change = head.is_ok() && queue.in_flight.load(Ordering::Acquire) > 0;
                if !may_change || Instant::now() >= deadline {
                    return Err(NotAdmitted::RateLimited { retry_after_s });
                }
                // Failures also recover over time.
                let recovers = Instant::now() + Duration::from_secs(retry_after_s.into());
                let _ = timeout_at(deadline.min(recovers), ended).await;
            }
            queue.in_flight.fetch_add(1, Ordering::AcqRel);
        }
        Ok(Attempt { queued })
    }

    fn enqueue(&self, account: &str) -> Queued<'_> {
        let queue = self.queues.entry(account.to_owned()).or_insert_with(|| {
            Arc::new(AccountQueue {
                head: Semaphore::new(1),
                slots: Semaphore::new(ACCOUNT_WAITING_MAX),
                in_flight: AtomicU32::new(0),
                ended: Notify::new(),
            })
        });
        let queue = queue.clone();
        Queued { limits: self, account: account.to_owned(), queue }
    }

    /// Returns the number of accounts and of addresses with recent failures.
    #[must_use]
    pub fn keys(&self) -> [usize; 2] {
        [self.accounts.recovered_at_ms.len(), self.addresses.recovered_at_ms.len()]
    }

    /// Counts a failed attempt from an address.
    pub fn record_failure(&self, address: AddressKey, now_ms: i64) {
        // The error means that the address is already at its limit.
        let _ = self.addresses.charge(&address, now_ms);
    }

    /// Removes keys that have recovered. Must be called regularly.
    pub fn remove_recovered(&self, now_ms: i64) {
        self.accounts.remove_recovered(now_ms);
        self.addresses.remove_recovered(now_ms);
        self.queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
