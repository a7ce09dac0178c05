//! Tests of the cache against a fake Plone.

use super::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

const LIMITS: CacheLimits = CacheLimits { fresh: Duration::from_secs(30), keys_max: 3, bytes_max: 1_000, reads_max: 2 };
const SOON: Duration = Duration::from_secs(5);

/// A fake Plone that returns 1, 2, 3, … With a semaphore, each response needs a permit.
#[derive(Default)]
struct Source {
    permits: Option<Semaphore>,
    error: Mutex<Option<PloneError>>,
    reads: AtomicU64,
}

impl Source {
    fn cache(self: &Arc<Self>) -> ReadCache<&'static str, u64> {
        let source = self.clone();
        ReadCache::new(
            LIMITS,
            |_| 1,
            move |_, before| {
                let source = source.clone();
                async move {
                    if let Some(permits) = &source.permits {
                        permits.acquire().await.unwrap().forget();
                    }
                    source.reads.fetch_add(1, Ordering::Relaxed);
                    match source.error.lock().clone() {
                        Some(error) => Err(error),
                        None => Ok(before.unwrap_or(0) + 1),
                    }
                }
                .boxed()
            },
        )
    }

    fn blocked() -> Arc<Self> {
        Arc::new(Self { permits: Some(Semaphore::new(0)), ..Self::default() })
    }

    /// Lets this many responses through.
    fn release(&self, responses: usize) {
        self.permits.as_ref().unwrap().add_permits(responses);
    }

    fn set_error(&self, error: Option<PloneError>) {
        *self.error.lock() = error;
    }
}

/// Runs all tasks until each of them waits.
async fn run_tasks() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_read() {
    let source = Source::blocked();
    let cache = source.cache();
    let requests = (0..200).map(|_| {
        let cache = cache.clone();
        async move { cache.get(&"news", SOON).await.unwrap().value }
    });
    let all = tokio::spawn(join_all(requests.collect::<Vec<_>>()));
    run_tasks().await;
    source.release(200);
    assert_eq!(all.await.unwrap(), vec![1; 200]);
    assert_eq!((source.reads.load(Ordering::Relaxed), cache.counts().misses, cache.counts().reads), (1, 200, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_returned_at_once_and_renewed_once() {
    let source = Source::blocked();
    let cache = source.cache();
    cache.put(&"news", 7, Duration::from_secs(3_600));
    for _ in 0..50 {
        let reply = cache.get(&"news", Duration::ZERO).await.unwrap();
        assert_eq!((reply.value, reply.age), (7, Duration::from_secs(3_600)));
    }
    source.release(50);
    run_tasks().await;
    assert_eq!(
        cache.get(&"news", Duration::ZERO).await.unwrap(),
        CachedReply { value: 8, age: Duration::ZERO, error: None }
    );
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(cache.get(&"news", Duration::ZERO).await.unwrap().age, Duration::from_secs(29));
    let counts = cache.counts();
    assert_eq!((counts.stale, counts.hits, counts.misses, counts.reads), (50, 2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_keeps_the_last_good_value_and_its_error() {
    let source = Arc::new(Source::default());
    let cache = source.cache();
    assert_eq!(cache.get(&"news", SOON).await.unwrap().value, 1);
    let down = PloneError::Unavailable("no connection".to_owned());
    source.set_error(Some(down.clone()));
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(cache.get(&"news", SOON).await.unwrap().error, None);
    run_tasks().await;
    let reply = cache.get(&"news", SOON).await.unwrap();
    assert_eq!((reply.value, reply.age, reply.error), (1, Duration::from_secs(40), Some(down)));
    assert_eq!(source.reads.load(Ordering::Relaxed), 2, "no read within the pause after a failure");
    source.set_error(None);
    tokio::time::advance(RETRY_AFTER).await;
    cache.get(&"news", SOON).await.unwrap();
    run_tasks().await;
    assert_eq!(cache.get(&"news", SOON).await.unwrap(), CachedReply { value: 2, age: Duration::ZERO, error: None });
}

#[tokio::test(start_paused = true)]
async fn an_uncached_request_waits_except_right_after_a_failure() {
    let source = Source::blocked();
    let cache = source.cache();
    assert_eq!(cache.get(&"news", SOON).await, Err(ReadError::Timeout));
    source.set_error(Some(PloneError::Open));
    source.release(1);
    run_tasks().await;
    assert_eq!(cache.get(&"news", SOON).await, Err(ReadError::Failed(PloneError::Open)));
    assert_eq!((cache.counts().reads, cache.last_error(&"news")), (1, Some(PloneError::Open)));
}

#[tokio::test(start_paused = true)]
async fn renew_returns_a_value_whose_read_started_after_the_call() {
    let source = Source::blocked();
    let cache = source.cache();
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get(&"news", SOON).await }
    });
    run_tasks().await;
    let renewals: Vec<_> = (0..10)
        .map(|_| {
            tokio::spawn({
                let cache = cache.clone();
                async move { cache.renew(&"news").await.unwrap().value }
            })
        })
        .collect();
    run_tasks().await;
    source.release(1);
    assert_eq!(first.await.unwrap().unwrap().value, 1);
    run_tasks().await;
    source.release(1);
    for renewal in renewals {
        assert_eq!(renewal.await.unwrap(), 2, "all ten share one read that started after their calls");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_and_reads_in_flight_are_bounded() {
    let source = Source::blocked();
    let cache = source.cache();
    for key in ["a", "b", "c"] {
        cache.put(&key, 1, Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    cache.get(&"a", SOON).await.unwrap();
    cache.put(&"d", 1, Duration::ZERO);
    assert_eq!(["a", "b", "c", "d"].map(|key| cache.peek(&key).is_some()), [true, false, true, true]);
    cache.remove_unused(Duration::ZERO);
    for key in ["e", "f"] {
        assert_eq!(cache.get(&key, Duration::ZERO).await, Err(ReadError::Timeout));
    }
    assert_eq!(cache.get(&"g", SOON).await, Err(ReadError::Failed(PloneError::Busy)));
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_being_read_are_not_evicted() {
    let source = Source::blocked();
    let cache = source.cache();
    for key in ["a", "b"] {
        assert_eq!(cache.get(&key, Duration::ZERO).await, Err(ReadError::Timeout));
    }
    for key in ["c", "d", "e", "f"] {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get(&key, SOON).await, Err(ReadError::Failed(PloneError::Busy)), "{key}");
    }
    source.release(2);
    run_tasks().await;
    assert_eq!(["a", "b", "f"].map(|key| cache.peek(&key).is_some()), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_key_removed_during_its_read_stays_removed() {
    let source = Source::blocked();
    let cache = source.cache();
    assert_eq!(cache.get(&"ann", Duration::ZERO).await, Err(ReadError::Timeout));
    cache.remove_unused(Duration::ZERO);
    source.release(1);
    run_tasks().await;
    assert_eq!(cache.peek(&"ann"), None);
}

#[tokio::test(start_paused = true)]
async fn after_a_panicking_read_the_next_request_reads_again() {
    let tried = Arc::new(AtomicU64::new(0));
    let counting = tried.clone();
    let cache: ReadCache<&str, u64> = ReadCache::new(
        LIMITS,
        |_| 1,
        move |_, _| {
            assert!(counting.fetch_add(1, Ordering::Relaxed) > 0, "the first read panics");
            async { Ok(5) }.boxed()
        },
    );
    assert!(matches!(cache.get(&"news", SOON).await, Err(ReadError::Failed(PloneError::Unavailable(_)))));
    assert_eq!(cache.get(&"news", SOON).await.unwrap().value, 5);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_reports_why_it_cannot_be_renewed() {
    let source = Source::blocked();
    let cache = source.cache();
    let old = Duration::from_secs(300);
    cache.put(&"mine", 7, old);
    for others in ["a", "b"] {
        assert_eq!(cache.get(&others, Duration::ZERO).await, Err(ReadError::Timeout));
    }
    let reply = cache.get(&"mine", SOON).await.unwrap();
    assert_eq!((reply.value, reply.age, reply.error), (7, old, Some(PloneError::Busy)));
    source.release(3);
    run_tasks().await;
    // There is capacity again: this request starts the renewal, and the next one returns the new value.
    assert_eq!(cache.get(&"mine", SOON).await.unwrap().error, None);
    run_tasks().await;
    let reply = cache.get(&"mine", SOON).await.unwrap();
    assert_eq!((reply.value, reply.age, reply.error), (8, Duration::ZERO, None));
}

#[tokio::test(start_paused = true)]
async fn values_beyond_the_byte_limit_are_evicted_least_recently_used_first() {
    let limits = CacheLimits { keys_max: 100, bytes_max: 100, ..LIMITS };
    let load = |key: usize, _| async move { Ok("x".repeat(key)) }.boxed();
    let cache = ReadCache::new(limits, String::len, load);
    for key in [40, 41, 42, 43] {
        assert_eq!(cache.get(&key, SOON).await.unwrap().value.len(), key);
        tokio::time::advance(Duration::from_millis(1)).await;
        cache.get(&40, SOON).await.unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(cache.bytes().0 <= 100, "{} bytes after {key}", cache.bytes().0);
    }
    let cached = [40, 41, 42, 43].map(|key| cache.peek(&key).is_some());
    assert_eq!(cached, [true, false, false, true]);
    assert_eq!(cache.get(&101, SOON).await.unwrap().value.len(), 101, "a larger value is returned");
    assert!(cache.peek(&101).is_none(), "and is not kept");
}
