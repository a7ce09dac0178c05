//! Whether the hub knows which sections have an item in Plone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::lease::Fence;

/// The last tenure in which a pull has read all sections. Before that pull, the hub does not know which sections have
/// an item in Plone, and creates none: another hub may have led since its last tenure.
#[derive(Debug, Default)]
pub struct ItemsKnown(AtomicU64);

impl ItemsKnown {
    /// Records that a pull under this fence has read all sections.
    pub fn note(&self, fence: Fence) {
        self.0.store(fence.number, Ordering::Release);
    }

    /// Returns whether a pull under this fence has read all sections.
    #[must_use]
    pub fn under(&self, fence: Fence) -> bool {
        self.0.load(Ordering::Acquire) == fence.number
    }
}
