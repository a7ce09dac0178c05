//! A barrier for threads, with a deadline, so that a failed thread does not block the others forever.

use std::sync::{Condvar, Mutex, PoisonError};

use super::WAIT_MAX;

/// A reusable barrier. Unlike [`std::sync::Barrier`], it panics when a thread does not arrive in time.
#[derive(Debug)]
pub struct Barrier {
    threads: usize,
    /// The number of waiting threads, and how many times the barrier has opened.
    state: Mutex<(usize, u64)>,
    opened: Condvar,
}

impl Barrier {
    /// Creates a barrier that opens when `threads` threads wait.
    pub fn new(threads: usize) -> Self {
        Self { threads, state: Mutex::new((0, 0)), opened: Condvar::new() }
    }

    /// Waits until all threads wait.
    ///
    /// # Panics
    /// When that takes longer than [`WAIT_MAX`].
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.0 == self.threads {
            *state = (0, state.1 + 1);
            drop(state);
            self.opened.notify_all();
            return;
        }
        let generation = state.1;
        let waited = self.opened.wait_timeout_while(state, WAIT_MAX, |(_, count)| *count == generation);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "every thread arrives at the barrier");
    }
}
