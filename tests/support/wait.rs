//! Waiting for a condition, with a deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::WAIT_MAX;

/// The time between two checks of a condition.
const INTERVAL: Duration = Duration::from_millis(50);

/// A guard that sets a flag when it is dropped, even by a panic. Threads that work until the flag is set would
/// otherwise keep their scope, and with it the failed test, waiting forever.
#[derive(Debug)]
pub struct SetOnDrop<'f>(pub &'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits until `poll` returns a value and returns it.
///
/// # Panics
/// When that takes longer than [`WAIT_MAX`]. The message names `what`.
pub fn eventually<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    poll_until_deadline(poll).unwrap_or_else(|| panic!("timed out waiting for {what}"))
}

/// Waits until `poll` returns a value and returns it; `None` when that takes longer than [`WAIT_MAX`].
pub fn poll_until_deadline<T>(mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(value) = poll() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}
