//! A barrier for threads, with a deadline: a thread that failed does not block the others for ever.

use std::sync::{Condvar, Mutex, PoisonError};

use super::PATIENCE;

/// A reusable barrier. Unlike [`std::sync::Barrier`], waiting for a thread that never comes ends in a panic.
#[derive(Debug)]
pub struct Barrier {
    threads: usize,
    /// Threads that wait now, and how often the barrier has opened.
    state: Mutex<(usize, u64)>,
    opens: Condvar,
}

impl Barrier {
    /// Creates a barrier that opens when this many threads wait.
    pub fn new(threads: usize) -> Self {
        Self { threads, state: Mutex::new((0, 0)), opens: Condvar::new() }
    }

    /// Waits until all threads wait.
    ///
    /// # Panics
    /// When that takes longer than [`PATIENCE`].
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.0 == self.threads {
            *state = (0, state.1 + 1);
            drop(state);
            self.opens.notify_all();
            return;
        }
        let this = state.1;
        let waited = self.opens.wait_timeout_while(state, PATIENCE, |(_, opened)| *opened == this);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "a thread never came to the barrier: it has failed");
    }
}
