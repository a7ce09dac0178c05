//! The clock.

use jiff::Timestamp;

/// A source of the current time. The domain takes times as arguments instead.
pub trait Clock: Send + Sync {
    /// Returns the current time, truncated to milliseconds, the precision of the store.
    fn now(&self) -> Timestamp;
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
