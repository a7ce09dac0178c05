//! A number of bytes or items that a cache or a table may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound that several threads share.
#[derive(Debug)]
pub struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    /// Creates an unused budget of `max`.
    #[must_use]
    pub const fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max }
    }

    /// Returns the amount in use, and the bound.
    #[must_use]
    pub fn used(&self) -> (u64, u64) {
        (self.used.load(Ordering::Relaxed), self.max)
    }

    /// Returns an empty share, to be increased later.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), amount: 0 }
    }

    /// Takes `amount`; `None` when less than that is left.
    pub(super) fn take(self: &Arc<Self>, amount: u64) -> Option<Share> {
        let next = |used: u64| used.checked_add(amount).filter(|used| *used <= self.max);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.ok().map(|_| Share { budget: self.clone(), amount })
    }
}

/// A part of a [`Budget`] that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    amount: u64,
}

impl Share {
    /// Takes one more. Returns false when none is left.
    pub(super) fn grow(&mut self) -> bool {
        let Some(mut more) = self.budget.take(1) else { return false };
        self.amount += std::mem::take(&mut more.amount);
        true
    }

    /// Gives one back.
    pub(super) fn shrink(&mut self) {
        if self.amount > 0 {
            self.amount -= 1;
            self.budget.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_are_returned() {
        let budget = Arc::new(Budget::new(3));
        let mut two = budget.take(2).unwrap();
        assert!(budget.take(2).is_none());
        assert!(two.grow() && !two.grow());
        assert_eq!(budget.used(), (3, 3));
        two.shrink();
        assert_eq!(budget.used(), (2, 3));
        drop(two);
        assert_eq!(budget.used(), (0, 3));
    }
}
