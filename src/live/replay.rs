//! How a client that reconnects gets what it missed: where its replay starts, and the pages of which it consists.

use bytestring::ByteString;

use crate::live::alert_frame::encode_entry;
use crate::store::alerts::{Page, StoredRange};

/// Number of alerts that are read from the store at once. The next page is read after these were sent.
pub const REPLAY_PAGE_LEN: usize = 16;
/// Maximum number of bytes of pending frames in one burst. With their WebSocket headers and a `welcome` before them
/// they fit into the 8 KiB that the write buffer of a connection has at the start; more would enlarge that buffer until
/// the connection ends.
pub(super) const BURST_LEN_MAX: usize = 7_600;

/// A part of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPage {
    /// The encoded entries that the client may see, each with its position, oldest first.
    pub frames: Vec<(u64, ByteString)>,
    /// The replay continues after this position.
    pub after: u64,
}

impl ReplayPage {
    /// Encodes a page of at most [`REPLAY_PAGE_LEN`] entries that was read from the store up to the position `until`.
    #[must_use]
    pub fn from_store(page: &Page, until: u64) -> Self {
        // The store contains everything that a relay has pushed. A page that is not full is the last one, regardless of
        // its position, so that every replay ends.
        let after = if page.items.len() < REPLAY_PAGE_LEN { until } else { page.seq };
        let frames = page.items.iter().map(|(seq, entry)| (*seq, encode_entry(*seq, entry))).collect();
        Self { frames, after }
    }
}

/// How a client resumes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// The first and last position that the client missed and that are no longer stored; or the client's position and
    /// the hub's, if the client is ahead.
    pub(super) gap: Option<(u64, u64)>,
    /// The replay starts after this position.
    pub(super) after: u64,
    /// The replay ends at this position.
    pub(super) until: u64,
    /// The client has every entry up to this position.
    pub(super) skip_to: u64,
}

impl Resume {
    /// Decides how a client resumes. The client has every entry up to `since`, and its session gets every entry after
    /// `joined`.
    pub(super) fn new(since: u64, stored: StoredRange, joined: u64) -> Self {
        let before_first = stored.first.saturating_sub(1);
        if since > stored.last {
            // The store was restored from a backup, so the client's position means nothing here.
            Self { gap: Some((since, stored.last)), after: before_first.min(joined), until: joined, skip_to: 0 }
        } else if since < before_first {
            Self { gap: Some((since + 1, before_first)), after: before_first.min(joined), until: joined, skip_to: 0 }
        } else {
            Self { gap: None, after: since.min(joined), until: joined, skip_to: since }
        }
    }
}
