//! The threads that build and compress long responses. They are few, and live as long as the hub, because the allocator
//! keeps some of the memory that a thread has freed: with the shared pool of blocking threads, the memory of a build was
//! kept once for each of 16 threads, and grew with each peak of concurrent requests.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::http::hot::BuildError;

/// Maximum number of threads of each kind; more would take processors from registrations.
const THREADS_MAX: usize = 4;
/// How long a thread without work is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);
/// Nice value of the threads that build for visitors. They get a tenth of a core that request threads keep busy. With the
/// policy `SCHED_IDLE` they got nearly nothing, and visitors' lists timed out while the processors were busy.
const VISITORS_NICENESS: i32 = 10;

/// The threads for cached responses and for users, as many as there are processors. `None` if they cannot be created.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| threads("eduhub-build", processors(), || {}));
/// The threads for responses that only one visitor requested, half as many.
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

fn lower_priority() {
    // On Linux a nice value applies to one thread. If it cannot be set, visitors' lists only compete more with requests.
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

    #[actix_web::test]
    async fn work_for_visitors_has_a_lower_priority() {
        // `nice(0)` returns the value of the calling thread.
        let nice = || rustix::process::nice(0).unwrap();
        let usual = nice();
        assert_eq!(run(nice).await, Ok(usual));
        // The highest nice value is 19.
        assert_eq!(run_for_visitor(nice).await, Ok((usual + VISITORS_NICENESS).min(19)));
    }
}
