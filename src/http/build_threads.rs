//! The threads that build and compress long responses. They are few, and live as long as the hub, because the allocator
//! keeps some of the memory that a thread has freed: with the shared pool of blocking threads, the memory of a build was
//! kept once for each of 16 threads, and grew with each peak of concurrent requests.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::http::hot::BuildError;

/// Maximum number of threads; more would take processors from registrations.
const THREADS_MAX: usize = 4;
/// How long a thread without work is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);

/// The threads, as many as there are processors. `None` if they cannot be created.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let mut builder = Builder::new_current_thread();
    let builder = builder.max_blocking_threads(threads).thread_keep_alive(KEEP_ALIVE).thread_name("eduhub-build");
    builder.build().inspect_err(|error| log::error!("the threads that build responses cannot start: {error}")).ok()
});

/// Runs `work` on one of the threads. Callers bound how much work they have at once.
///
/// # Errors
/// When `work` panics, or the threads cannot start.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BuildError> {
    let threads = THREADS.as_ref().ok_or(BuildError)?;
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
}
