//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// The time from one look at a condition to the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until `poll` returns a value and returns it.
///
/// # Panics
/// When that takes longer than [`PATIENCE`]; `what` names what was waited for.
pub fn eventually<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    within_patience(poll).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Waits until `poll` returns a value and returns it; `None` when that takes longer than [`PATIENCE`].
pub fn within_patience<T>(mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
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
