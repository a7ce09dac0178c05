//! Keeps the outbox from reading sections while a pull applies changes to them.
//!
//! A pull commits a change to a section first and stores the item that it came from second (see
//! [`pull`](crate::plone::pull)). The commit marks the section for the outbox. An outbox that read the section between
//! the two would see a new section beside an old item, take the difference for a change that was made in the hub, and
//! overwrite the editor's text in Plone.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter of the beginnings and ends of applications. An odd count means that changes are being applied. There is
/// one pull at a time, and therefore one application.
#[derive(Debug, Default)]
pub struct PullGate(AtomicU64);

/// A guard of one application: changes are being applied until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Applying<'g>(&'g PullGate);

/// A count at which no changes were being applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet(u64);

impl PullGate {
    /// Begins to apply changes.
    pub fn apply(&self) -> Applying<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Applying(self)
    }

    /// Returns the count, or `None` while changes are being applied. What was read between two calls that return the
    /// same count is consistent.
    #[must_use]
    pub fn quiet(&self) -> Option<Quiet> {
        let count = self.0.load(Ordering::SeqCst);
        count.is_multiple_of(2).then_some(Quiet(count))
    }
}

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_consistent_only_without_an_application_during_it() {
        let gate = PullGate::default();
        let before = gate.quiet();
        assert!(before.is_some());
        assert_eq!(gate.quiet(), before, "nothing was applied");
        let applying = gate.apply();
        assert_eq!(gate.quiet(), None, "changes are being applied");
        drop(applying);
        let after = gate.quiet();
        assert!(after.is_some());
        assert_ne!(after, before, "changes were applied during the read");
    }
}
