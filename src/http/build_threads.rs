//! The threads that build and compress long responses. They are few, and live as long as the hub, because the allocator
//! keeps some of the memory that a thread has freed: with the shared pool of blocking threads, the memory of a build was
//! kept once for each of 16 threads, and grew with each peak of concurrent requests.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Runtime};

use crate::http::hot::BuildError;

/// Maximum number of threads of each kind; more would take processors from registrations.
const THREADS_MAX: usize = 4;
/// How long a thread without work is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);
/// The threads for cached responses and for users, as many as there are processors. `None` if they cannot be created.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| threads("eduhub-build", processors(), || {}));
/// The threads for responses that only one visitor requested, half as many.
static VISITORS_THREADS: LazyLock<Option<Runtime>> =
    LazyLock::new(|| threads("eduhub-visit", processors().div_ceil(2), run_when_idle));

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

fn threads(name: &str, count: usize, begin: fn()) -> Option<Runtime> {
    let mut builder = Builder::new_current_thread();
    let builder = builder.max_blocking_threads(count.min(THREADS_MAX)).thread_keep_alive(KEEP_ALIVE).thread_name(name);
    let builder = builder.on_thread_start(begin);
    builder.build().inspect_err(|error| log::error!("the threads that build responses cannot start: {error}")).ok()
}

/// Gives the current thread only the time that no other thread wants. A thread that only has a higher nice value keeps a
/// processor for up to 3 ms while a request waits for it (Linux 6.18), which doubled the 99th percentile of registrations.
fn run_when_idle() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // If it cannot be set, visitors' lists only compete more with requests.
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
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

/// Runs `work` for a visitor on a thread of the lowest priority, so that registrations come first. Callers bound how much work
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
    async fn work_for_visitors_gets_only_idle_time() {
        let policy = || thread_priority::unix::thread_schedule_policy().unwrap();
        let usual = policy();
        assert_ne!(usual, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        assert_eq!(run(policy).await, Ok(usual));
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(run_for_visitor(policy).await, Ok(idle));
    }
}
