//! What time it is.

use jiff::Timestamp;

/// Tells the time. The domain takes time as an argument; this is where it comes from.
pub trait Clock: Send + Sync {
    /// Now, in whole milliseconds, which is what the store keeps.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
