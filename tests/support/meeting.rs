//! Where threads wait for each other, and not for ever: a barrier that the one who failed does not keep shut.

use std::sync::{Condvar, Mutex, PoisonError};

use super::PATIENCE;

/// A meeting of so many threads, which can be held again and again.
#[derive(Debug)]
pub struct Meeting {
    size: usize,
    /// Who has come to this meeting, and how many meetings there have been.
    state: Mutex<(usize, u64)>,
    begins: Condvar,
}

impl Meeting {
    /// A meeting of `size` threads.
    pub fn of(size: usize) -> Self {
        Self { size, state: Mutex::new((0, 0)), begins: Condvar::new() }
    }

    /// Waits until everybody has come; panics when somebody never does.
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.0 == self.size {
            *state = (0, state.1 + 1);
            drop(state);
            self.begins.notify_all();
            return;
        }
        let this = state.1;
        let waited = self.begins.wait_timeout_while(state, PATIENCE, |(_, held)| *held == this);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "somebody never came: one of the threads has failed");
    }
}
