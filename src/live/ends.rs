//! How live sessions end, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use enum_map::EnumMap;

use crate::live::close::Close;

/// Maximum time that sent bytes may stay unacknowledged, or the client's receive buffer full, before the kernel closes
/// the connection. The hub cannot close it itself, because actix does not poll a connection whose client does not read.
/// Longer than the heartbeat, so that a healthy client is never silent for that long.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// The numbers of ended sessions, by how they ended.
#[derive(Debug, Default)]
pub struct EndCounts {
    /// By the reason in the close frame that the hub sent.
    closed: EnumMap<Close, AtomicU64>,
    lost: AtomicU64,
    timed_out: AtomicU64,
}

impl EndCounts {
    /// Counts a session to which the hub has sent a close frame.
    pub(super) fn count_closed(&self, why: Close) {
        self.closed[why].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session whose connection ended without a close frame, `silent_ms` after the client last sent something.
    ///
    /// A healthy client sends a pong more often than TCP times out. A client that was silent for that long therefore
    /// did not close the connection: TCP did, because sent bytes stayed unacknowledged or unread.
    pub(super) fn count_lost(&self, silent_ms: u64) {
        let timed_out = u128::from(silent_ms) >= UNACKNOWLEDGED_MAX.as_millis();
        if timed_out { &self.timed_out } else { &self.lost }.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers with their names in metrics.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let closed = self.closed.iter().map(|(why, count)| (why.name(), count));
        let all = closed.chain([("lost", &self.lost), ("timed_out", &self.timed_out)]);
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_name() {
        let ends = EndCounts::default();
        for why in Close::VARIANTS {
            ends.count_closed(*why);
        }
        ends.count_closed(Close::Silent);
        ends.count_lost(29_999);
        ends.count_lost(30_000);
        let counts = ends.counts();
        let of = |name| counts.iter().find(|(of, _)| *of == name).map(|(_, count)| *count);
        assert_eq!((of("silent"), of("too_slow"), of("lost"), of("timed_out")), (Some(2), Some(1), Some(1), Some(1)));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), Close::VARIANTS.len() as u64 + 3);
    }
}
