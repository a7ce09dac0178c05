//! Limits on failed sign-ins. Guesses of a password must be slow, and must not keep anyone else out.
//!
//! An attempt counts against its account and its origin together, so that guesses from elsewhere do not lock a user
//! out. The origin is a device that has signed in to this account before ([`crate::identity::device`]), or else the
//! network: an IPv4 address, or the /64 of an IPv6 address. These are what one household or one campus shares. With a
//! /24 of IPv4, a neighbor at the same provider could lock a user out; an attacker with many addresses meets the limit
//! of the account.
//!
//! A network with many failures is not refused, because a whole campus may share it. But passwords for names without an
//! account are no longer hashed, and only a few passwords of a *crowded* network are sent to a provider at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::identity::device::DeviceId;
use crate::identity::limits::{AddressKey, Failures};

/// Limit on the failures of one account from all networks together, as a multiple of the limit for one. Past it, only
/// devices that have signed in before may try: an attacker needs 30 networks to reach it, and can guess at most 300
/// passwords a minute.
const ACCOUNT_FAILURES_FACTOR: u32 = 30;
/// Failures from one network after which it is crowded, as a multiple of an account's limit: five a second, more than
/// the mistakes of a campus that signs in at once.
const NETWORK_FAILURES_FACTOR: u32 = 30;
/// Passwords for unknown names that are hashed for one network, as a multiple of an account's limit. Their only purpose
/// is to hide which names exist, and 30 delay the users of the network by less than a second.
const UNKNOWN_NAMES_FACTOR: u32 = 3;
/// Failures of a device in a day that are allowed, so that a stolen cookie permits few guesses. The limit for a minute
/// is that of an account. Past the limit for a day, the device counts as unknown.
const DEVICE_FAILURES_PER_DAY: u32 = 100;
/// Longest wait of a sign-in for other attempts of its account and origin, and for its network's share of a provider.
pub const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Maximum number of waiting attempts of one account and origin.
const WAITING_MAX: usize = 1_000;
/// Maximum number of passwords of one network that a provider checks or that wait for it: about a quarter of the
/// sign-ins that may wait for Plone.
const PROVIDER_SHARE: usize = 256;
/// The same for a crowded network.
const CROWDED_PROVIDER_SHARE: usize = 4;

/// The origin of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A network.
    Network(AddressKey),
    /// A device that has signed in to the account before.
    Device(DeviceId),
}

/// An account and an origin, whose failures count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AttemptKey {
    account: String,
    origin: Origin,
}

/// Limits on failed sign-ins.
///
/// An attempt is counted as a failure before its password is checked, because guesses may be sent in parallel, and is
/// refunded if the password is correct. An attempt that would exceed the limit waits, in order of arrival, while other
/// attempts of its account and origin are in flight, and is rejected only when a refund is no longer possible. Bursts
/// of correct sign-ins are therefore throttled, not rejected.
#[derive(Debug)]
pub struct SignInLimits {
    attempts: Failures<AttemptKey>,
    /// Failures of each account, from networks only.
    accounts: Failures<String>,
    networks: Failures<AddressKey>,
    unknown_names: Failures<AddressKey>,
    devices: Failures<DeviceId>,
    /// Accounts and origins with waiting or in-flight attempts.
    queues: DashMap<AttemptKey, Arc<AttemptQueue>>,
    /// Shares of networks that use a provider.
    shares: DashMap<AddressKey, Arc<Semaphore>>,
    limited: AtomicU64,
    overloaded: AtomicU64,
}

/// The attempts of one account and origin.
#[derive(Debug)]
struct AttemptQueue {
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
    /// Too many attempts have failed.
    RateLimited {
        /// Seconds to wait before the next attempt.
        retry_after_s: u32,
    },
    /// Too many attempts are waiting.
    QueueFull,
}

/// An admitted sign-in attempt, which counts as a failure of its account and origin unless it is refunded. Dropping it
/// lets waiting attempts check the limit again.
#[derive(Debug)]
pub struct Attempt<'a> {
    queued: Queued<'a>,
}

impl Attempt<'_> {
    /// Ends an attempt that does not count as a failure.
    pub fn refund(self) {
        let (limits, key) = (self.queued.limits, &self.queued.key);
        limits.attempts.refund(key);
        match key.origin {
            Origin::Network(_) => limits.accounts.refund(&key.account),
            Origin::Device(device) => limits.devices.refund(&device),
        }
    }

    /// Ends an attempt whose password or code is wrong. It also counts for its network, unless its origin is a device.
    pub fn fail(self, now_ms: i64) {
        if let Origin::Network(network) = self.queued.key.origin {
            // The error means that the network is already crowded.
            let _ = self.queued.limits.networks.charge(&network, now_ms);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let queue = &self.queued.queue;
        queue.in_flight.fetch_sub(1, Ordering::AcqRel);
        queue.ended.notify_waiters();
    }
}

/// A handle to the queue of an account and origin. Dropping the last handle removes the queue.
#[derive(Debug)]
struct Queued<'a> {
    limits: &'a SignInLimits,
    key: AttemptKey,
    queue: Arc<AttemptQueue>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        // The last handle sees a count of 2: the map's and its own. `remove_if` locks out new handles. If two handles
        // are dropped at the same time, both may see a higher count; `remove_recovered` then removes the queue.
        let is_last = |_: &AttemptKey, queue: &Arc<AttemptQueue>| Arc::strong_count(queue) <= 2;
        self.limits.queues.remove_if(&self.key, is_last);
    }
}

impl SignInLimits {
    /// Creates limits of `per_minute` failures for each account and origin, and higher limits for each account and each
    /// network; 0 means no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let devices = if per_minute == 0 { 0 } else { DEVICE_FAILURES_PER_DAY };
        Self {
            attempts: Failures::new(per_minute),
            accounts: Failures::new(per_minute.saturating_mul(ACCOUNT_FAILURES_FACTOR)),
            networks: Failures::new(per_minute.saturating_mul(NETWORK_FAILURES_FACTOR)),
            unknown_names: Failures::new(per_minute.saturating_mul(UNKNOWN_NAMES_FACTOR)),
            devices: Failures::over(devices, Duration::from_secs(24 * 3_600)),
            queues: DashMap::new(),
            shares: DashMap::new(),
            limited: AtomicU64::new(0),
            overloaded: AtomicU64::new(0),
        }
    }

    /// Returns the origin of an attempt: `device`, which has signed in to the account before, unless it has reached the
    /// limit on its failures in a day; otherwise the network.
    pub fn origin(&self, network: AddressKey, device: Option<DeviceId>, clock: &dyn Clock) -> Origin {
        let usable = device.filter(|device| self.devices.check(device, clock.monotonic_ms()).is_ok());
        usable.map_or(Origin::Network(network), Origin::Device)
    }

    /// Counts a password for a name without an account. Returns whether it may be hashed.
    pub fn may_hash_unknown(&self, origin: Origin, clock: &dyn Clock) -> bool {
        match origin {
            Origin::Network(network) => self.unknown_names.charge(&network, clock.monotonic_ms()).is_ok(),
            Origin::Device(_) => true,
        }
    }

    /// Returns whether an origin is a network with many failures.
    pub fn is_crowded(&self, origin: Origin, clock: &dyn Clock) -> bool {
        match origin {
            Origin::Network(network) => self.networks.check(&network, clock.monotonic_ms()).is_err(),
            Origin::Device(_) => false,
        }
    }

    /// Admits an attempt before its password is checked. Waits up to [`ADMISSION_WAIT_MAX`] for other attempts of the
    /// account and origin.
    ///
    /// # Errors
    /// When too many attempts have failed or are waiting.
    pub async fn admit(&self, account: &str, origin: Origin, clock: &dyn Clock) -> Result<Attempt<'_>, NotAdmitted> {
        let admitted = self.admit_in_order(AttemptKey { account: account.to_owned(), origin }, clock).await;
        match admitted {
            Err(NotAdmitted::RateLimited { .. }) => self.limited.fetch_add(1, Ordering::Relaxed),
            Err(NotAdmitted::QueueFull) => self.overloaded.fetch_add(1, Ordering::Relaxed),
            Ok(_) => 0,
        };
        admitted
    }

    async fn admit_in_order(&self, key: AttemptKey, clock: &dyn Clock) -> Result<Attempt<'_>, NotAdmitted> {
        let queued = self.enqueue(key);
        let queue = &queued.queue;
        let deadline = Instant::now() + ADMISSION_WAIT_MAX;
        {
            let _slot = queue.slots.try_acquire().map_err(|_| NotAdmitted::QueueFull)?;
            let head = timeout_at(deadline, queue.head.acquire()).await;
            loop {
                let ended = queue.ended.notified();
                tokio::pin!(ended);
                // Registered before the limit is checked, so that an attempt that ends in between is not missed.
                ended.as_mut().enable();
                let Err(retry_after_s) = self.charge(&queued.key, clock.monotonic_ms()) else { break };
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

    /// Counts an attempt as a failure of its account and origin, and of the account or the device.
    fn charge(&self, key: &AttemptKey, now_ms: i64) -> Result<(), u32> {
        self.attempts.charge(key, now_ms)?;
        let also = match key.origin {
            Origin::Network(_) => self.accounts.charge(&key.account, now_ms),
            Origin::Device(device) => self.devices.charge(&device, now_ms),
        };
        also.inspect_err(|_| self.attempts.refund(key))
    }

    fn enqueue(&self, key: AttemptKey) -> Queued<'_> {
        let queue = self.queues.entry(key.clone()).or_insert_with(|| {
            Arc::new(AttemptQueue {
                head: Semaphore::new(1),
                slots: Semaphore::new(WAITING_MAX),
                in_flight: AtomicU32::new(0),
                ended: Notify::new(),
            })
        });
        let queue = queue.clone();
        Queued { limits: self, key, queue }
    }

    /// Waits for a network's share of a provider, so that the passwords of one network do not fill the provider's
    /// queue; `None` for a device, whose attempts are few.
    ///
    /// # Errors
    /// When there is no room within [`ADMISSION_WAIT_MAX`].
    pub async fn provider_share(
        &self,
        origin: Origin,
        clock: &dyn Clock,
    ) -> Result<Option<OwnedSemaphorePermit>, NotAdmitted> {
        let Origin::Network(network) = origin else { return Ok(None) };
        let part = if self.is_crowded(origin, clock) { PROVIDER_SHARE / CROWDED_PROVIDER_SHARE } else { 1 };
        let share = self.shares.entry(network).or_insert_with(|| Arc::new(Semaphore::new(PROVIDER_SHARE))).clone();
        let taken = share.acquire_many_owned(u32::try_from(part).unwrap_or(1));
        let taken = timeout_at(Instant::now() + ADMISSION_WAIT_MAX, taken).await;
        taken.ok().and_then(Result::ok).map(Some).ok_or_else(|| {
            self.overloaded.fetch_add(1, Ordering::Relaxed);
            NotAdmitted::QueueFull
        })
    }

    /// Returns the number of keys with recent failures: of accounts with an origin, accounts, networks and devices.
    #[must_use]
    pub fn table_sizes(&self) -> [(&'static str, usize); 4] {
        [
            ("failing_attempts", self.attempts.keys()),
            ("failing_accounts", self.accounts.keys()),
            ("failing_addresses", self.networks.keys()),
            ("failing_devices", self.devices.keys()),
        ]
    }

    /// Returns the number of sign-ins that were not attempted, by reason.
    #[must_use]
    pub fn refused(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("rate_limited", read(&self.limited)), ("overloaded", read(&self.overloaded))]
    }

    /// Removes keys that have recovered, and queues and shares that are not in use. Must be called regularly.
    pub fn remove_recovered(&self, now_ms: i64) {
        self.attempts.remove_recovered(now_ms);
        self.accounts.remove_recovered(now_ms);
        self.networks.remove_recovered(now_ms);
        self.unknown_names.remove_recovered(now_ms);
        self.devices.remove_recovered(now_ms);
        self.queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        self.shares.retain(|_, share| Arc::strong_count(share) > 1);
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
