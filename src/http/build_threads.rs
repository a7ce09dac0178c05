//! The threads that build and compress long responses. They are few, and stay when they have no work, because the
//! allocator keeps some of the memory that a thread has freed: with the shared pool of blocking threads, the memory of
//! a build was kept once for each of 16 threads, and grew with each peak of concurrent requests.

use std::cell::Cell;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::{available_parallelism, yield_now};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::http::hot::BuildError;

/// Maximum number of threads of each kind; more would take processors from registrations.
const THREADS_MAX: usize = 4;
/// How long a thread without work is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);
/// Nice value of the threads that build for visitors. They get a tenth of a core that request threads keep busy. With
/// the policy `SCHED_IDLE` they got nearly nothing, and visitors' lists timed out while the processors were busy.
const VISITORS_NICENESS: i32 = 10;

/// The number of bytes after which a build for a visitor yields: a few tenths of a millisecond of work. Otherwise a
/// thread that is woken on the processor of a build waits for the next tick of Linux, up to 4 ms, even while another
/// processor is idle. This affects the writer of the store most: it sleeps for microseconds during each sync, and Linux
/// does not move it to another processor. A nice value does not shorten this wait.
const PART_LEN: usize = 16 * 1024;
/// The number of rows after which a build for a visitor yields, for the reason that is given for [`PART_LEN`]: a tenth
/// of a millisecond of searching.
const PART_ROWS: usize = 64;

thread_local! {
    /// Whether this thread builds for visitors.
    static IS_FOR_VISITORS: Cell<bool> = const { Cell::new(false) };
}

/// The threads for cached responses and for users: one for each processor, at most [`THREADS_MAX`]. `None` if they
/// cannot be created.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| threads("eduhub-build", processors(), || {}));
/// The threads for responses that only one visitor requested: one for every two processors, at most [`THREADS_MAX`].
static VISITORS_THREADS: LazyLock<Option<Runtime>> =
    LazyLock::new(|| threads("eduhub-visit", processors().div_ceil(2), lower_priority));

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

fn threads(name: &str, count: usize, begin: fn()) -> Option<Runtime> {
    let mut builder = Builder::new_current_thread();
    let builder = builder.max_blocking_threads(count.min(THREADS_MAX)).thread_keep_alive(KEEP_ALIVE).thread_name(name);
    let builder = builder.on_thread_start(begin);
    builder.build().inspect_err(|error| log::error!("the threads that build responses cannot start: {error}")).ok()
}

/// Lets threads that wait for this processor run first, if this thread builds for visitors.
fn yield_if_for_visitors() {
    if IS_FOR_VISITORS.get() {
        yield_now();
    }
}

/// Writes `bytes`. A thread that builds for visitors yields after each part.
///
/// # Errors
/// Those of `out`.
pub(super) fn write_in_parts(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for part in bytes.chunks(PART_LEN) {
        out.write_all(part)?;
        yield_if_for_visitors();
    }
    Ok(())
}

/// Returns the rows of a list that is being built. A thread that builds for visitors yields after each part.
pub(super) fn in_parts<T>(rows: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    rows.enumerate().map(|(index, row)| {
        if index % PART_ROWS == PART_ROWS - 1 {
            yield_if_for_visitors();
        }
        row
    })
}

/// A buffer in memory. A thread that builds for visitors yields after it has written a part.
#[derive(Debug, Default)]
pub(super) struct PartedVec {
    bytes: Vec<u8>,
    since_yield: usize,
}

impl PartedVec {
    /// Returns the bytes.
    pub(super) fn into_inner(self) -> Vec<u8> {
        self.bytes
    }
}

impl Write for PartedVec {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(part);
        self.since_yield += part.len();
        if self.since_yield >= PART_LEN {
            self.since_yield = 0;
            yield_if_for_visitors();
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lower_priority() {
    IS_FOR_VISITORS.set(true);
    // On Linux a nice value applies to one thread. If it cannot be set, visitors' lists only compete more with
    // requests.
    if let Err(error) = rustix::process::nice(VISITORS_NICENESS) {
        log::debug!("the priority of a thread that builds for visitors could not be lowered: {error}");
    }
}

/// Runs `work` on one of the threads. Callers bound how much work they have at once.
///
/// # Errors
/// When `work` panics, or the threads cannot start.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BuildError> {
    run_on(&THREADS, work).await
}

/// Runs `work` for a visitor on a thread of low priority, so that registrations come first. Callers bound how much work
/// they have at once.
///
/// # Errors
/// When `work` panics, or the threads cannot start.
pub(super) async fn run_for_visitor<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BuildError> {
    run_on(&VISITORS_THREADS, work).await
}

async fn run_on<T: Send + 'static>(
    threads: &Option<Runtime>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BuildError> {
    let threads = threads.as_ref().ok_or(BuildError)?;
    threads.spawn_blocking(work).await.map_err(|_| BuildError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[actix_web::test]
    async fn work_runs_on_a_few_threads() {
        let work = (0..100).map(|_| run(|| std::thread::current().id()));
        let threads: HashSet<_> = futures_util::future::join_all(work).await.into_iter().map(Result::unwrap).collect();
        assert!(threads.len() <= THREADS_MAX, "{} threads", threads.len());
        assert!(run(|| panic!("a build that fails")).await.is_err());
    }

    #[test]
    fn building_in_parts_changes_nothing() {
        let bytes: Vec<u8> = (0..3 * PART_LEN + 7).map(|n| (n % 251) as u8).collect();
        let mut written = PartedVec::default();
        write_in_parts(&mut written, &bytes).unwrap();
        assert_eq!(written.into_inner(), bytes);
        assert!(in_parts(0..3 * PART_ROWS + 7).eq(0..3 * PART_ROWS + 7), "the rows are the same");
    }

    #[actix_web::test]
    async fn work_for_visitors_has_a_lower_priority() {
        // `nice(0)` returns the value of the calling thread.
        let nice = || rustix::process::nice(0).unwrap();
        let usual = nice();
        assert_eq!(run(nice).await, Ok(usual));
        // The highest nice value is 19.
        assert_eq!(run_for_visitor(nice).await, Ok((usual + VISITORS_NICENESS).min(19)));
        let yields = || IS_FOR_VISITORS.get();
        assert_eq!((run(yields).await, run_for_visitor(yields).await), (Ok(false), Ok(true)));
    }
}
