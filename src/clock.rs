//! The time, as the hub reads it: the current time and a monotonic one.

use std::sync::LazyLock;
use std::time::Instant;

use jiff::Timestamp;

/// When this process first read the monotonic clock.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
/// The monotonic time at [`STARTED`], in milliseconds. It is large, so that 0 is long ago.
const STARTED_MS: i64 = 1 << 40;

/// A source of the current time. The domain takes times as arguments instead.
pub trait Clock: Send + Sync {
    /// Returns the current time, truncated to milliseconds, the precision of the store.
    fn now(&self) -> Timestamp;

    /// Returns the monotonic time in milliseconds since an arbitrary point long before the start of the process. Limits
    /// and intervals inside this process use it: they must not jump when the system time is set.
    fn monotonic_ms(&self) -> i64 {
        STARTED_MS.saturating_add(i64::try_from(STARTED.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
