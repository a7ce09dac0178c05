//! The rate at which a WebSocket client may send frames.

use std::time::{Duration, Instant};

/// Frames a second that a client may send on a connection, in the long run. A page sends a few when it opens, and then
/// one pong for each heartbeat.
pub const FRAMES_PER_SECOND: u32 = 100;
/// Frames that a client may send at once: a message of 64 KiB in fragments of 17 bytes, or the requests that
/// accumulated while its network was down for minutes. Answering that many takes a few milliseconds.
const BURST: u32 = 4_000;
/// The time after which one more frame may be sent.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / FRAMES_PER_SECOND as u64);

/// Counts the frames of a connection with the generic cell rate algorithm.
#[derive(Debug, Default)]
pub(super) struct FrameRate {
    /// The time by which the frames so far would have arrived at the steady rate; `None` before the first.
    even_at: Option<Instant>,
}

impl FrameRate {
    /// Counts a frame. Returns whether it is allowed.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let even_at = self.even_at.map_or(now, |even_at| even_at.max(now)) + INTERVAL;
        self.even_at = Some(even_at);
        even_at.saturating_duration_since(now) <= INTERVAL * BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_steady_rate_are_allowed() {
        let (mut rate, start) = (FrameRate::default(), Instant::now());
        assert!((0..BURST).all(|_| rate.allows(start)));
        assert!(!rate.allows(start));
        let later = start + 2 * INTERVAL;
        assert!(rate.allows(later));
        assert!(!rate.allows(later));
        let mut steady = FrameRate::default();
        assert!((0..10 * BURST).all(|frame| steady.allows(start + INTERVAL * frame)));
    }
}
