//! Where a client that comes back goes on.

use crate::store::alerts::Kept;

/// How a client's place is met.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// What it missed and the hub has no more; or a place that the hub has not reached, and where it is.
    pub(super) gap: Option<(u64, u64)>,
    /// Replay after this,
    pub(super) after: u64,
    /// up to this.
    pub(super) until: u64,
    /// The client has everything up to here already.
    pub(super) skip_to: u64,
}

impl Resume {
    /// For a client that has everything up to `since`, in a session that gets everything after `joined`.
    pub(super) fn from(since: u64, kept: Kept, joined: u64) -> Self {
        let oldest = kept.first.saturating_sub(1);
        if since > kept.last {
            Self { gap: Some((since, kept.last)), after: oldest.min(joined), until: joined, skip_to: 0 }
        } else if since < oldest {
            Self { gap: Some((since + 1, oldest)), after: oldest.min(joined), until: joined, skip_to: 0 }
        } else {
            Self { gap: None, after: since.min(joined), until: joined, skip_to: since }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_met_with_what_was_missed_and_a_gap_for_what_is_gone() {
        let kept = Kept { first: 11, last: 20 };
        let meet = |since, joined| {
            let Resume { gap, after, until, skip_to } = Resume::from(since, kept, joined);
            (gap, after, until, skip_to)
        };
        assert_eq!(meet(15, 20), (None, 15, 20, 15));
        assert_eq!(meet(10, 20), (None, 10, 20, 10), "just what is kept");
        assert_eq!(meet(9, 20), (Some((10, 10)), 10, 20, 0), "one is gone");
        assert_eq!(meet(0, 20), (Some((1, 10)), 10, 20, 0));
        assert_eq!(meet(20, 20), (None, 20, 20, 20));
        assert_eq!(meet(20, 18), (None, 18, 18, 20), "the client has heard of what this relay has yet to bring");
        assert_eq!(meet(25, 20), (Some((25, 20)), 10, 20, 0), "a store that was put back");
    }
}
