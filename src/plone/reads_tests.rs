use super::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

const LIMITS: ReadLimits = ReadLimits { fresh: Duration::from_secs(30), keys_max: 3, reads_max: 2 };
const SOON: Duration = Duration::from_secs(5);

/// A Plone of whom each answer is let through one by one.
#[derive(Default)]
struct Source {
    gate: Option<Semaphore>,
    fails: Mutex<Option<PloneError>>,
    seen: AtomicU64,
}

impl Source {
    fn reads(self: &Arc<Self>) -> Reads<&'static str, u64> {
        let source = self.clone();
        Reads::new(LIMITS, move |_, before| {
            let source = source.clone();
            async move {
                if let Some(gate) = &source.gate {
                    gate.acquire().await.unwrap().forget();
                }
                source.seen.fetch_add(1, Ordering::Relaxed);
                match source.fails.lock().clone() {
                    Some(error) => Err(error),
                    None => Ok(before.unwrap_or(0) + 1),
                }
            }
            .boxed()
        })
    }

    fn gated() -> Arc<Self> {
        Arc::new(Self { gate: Some(Semaphore::new(0)), ..Self::default() })
    }

    fn let_through(&self, answers: usize) {
        self.gate.as_ref().unwrap().add_permits(answers);
    }

    fn fail(&self, error: Option<PloneError>) {
        *self.fails.lock() = error;
    }
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_cause_one_read() {
    let source = Source::gated();
    let reads = source.reads();
    let asking = (0..200).map(|_| {
        let reads = reads.clone();
        async move { reads.get(&"news", SOON).await.unwrap().value }
    });
    let all = tokio::spawn(join_all(asking.collect::<Vec<_>>()));
    settle().await;
    source.let_through(200);
    assert_eq!(all.await.unwrap(), vec![1; 200]);
    assert_eq!((source.seen.load(Ordering::Relaxed), reads.counts().misses, reads.counts().reads), (1, 200, 1));
}

#[tokio::test(start_paused = true)]
async fn an_old_copy_is_answered_at_once_and_renewed_by_one() {
    let source = Source::gated();
    let reads = source.reads();
    reads.put(&"news", 7, Duration::from_secs(3_600));
    for _ in 0..50 {
        let kept = reads.get(&"news", Duration::ZERO).await.unwrap();
        assert_eq!((kept.value, kept.age), (7, Duration::from_secs(3_600)));
    }
    source.let_through(50);
    settle().await;
    assert_eq!(reads.get(&"news", Duration::ZERO).await.unwrap(), Kept { value: 8, age: Duration::ZERO, error: None });
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(reads.get(&"news", Duration::ZERO).await.unwrap().age, Duration::from_secs(29));
    let counts = reads.counts();
    assert_eq!((counts.stale, counts.hits, counts.misses, counts.reads), (50, 2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_good_copy_and_says_why() {
    let source = Arc::new(Source::default());
    let reads = source.reads();
    assert_eq!(reads.get(&"news", SOON).await.unwrap().value, 1);
    let down = PloneError::Unavailable("no connection".to_owned());
    source.fail(Some(down.clone()));
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(reads.get(&"news", SOON).await.unwrap().error, None);
    settle().await;
    let kept = reads.get(&"news", SOON).await.unwrap();
    assert_eq!((kept.value, kept.age, kept.error), (1, Duration::from_secs(40), Some(down)));
    assert_eq!(source.seen.load(Ordering::Relaxed), 2, "Plone is left alone for a moment");
    source.fail(None);
    tokio::time::advance(RETRY_AFTER).await;
    reads.get(&"news", SOON).await.unwrap();
    settle().await;
    assert_eq!(reads.get(&"news", SOON).await.unwrap(), Kept { value: 2, age: Duration::ZERO, error: None });
}

#[tokio::test(start_paused = true)]
async fn without_a_copy_one_waits_as_long_as_one_said_and_not_at_all_right_after_a_failure() {
    let source = Source::gated();
    let reads = source.reads();
    assert_eq!(reads.get(&"news", SOON).await, Err(ReadError::Late));
    source.fail(Some(PloneError::Open));
    source.let_through(1);
    settle().await;
    assert_eq!(reads.get(&"news", SOON).await, Err(ReadError::Failed(PloneError::Open)));
    assert_eq!((reads.counts().reads, reads.last_error(&"news")), (1, Some(PloneError::Open)));
}

#[tokio::test(start_paused = true)]
async fn who_renews_gets_what_was_read_after_asking() {
    let source = Source::gated();
    let reads = source.reads();
    let first = tokio::spawn({
        let reads = reads.clone();
        async move { reads.get(&"news", SOON).await }
    });
    settle().await;
    let renewals: Vec<_> = (0..10)
        .map(|_| {
            tokio::spawn({
                let reads = reads.clone();
                async move { reads.renew(&"news").await.unwrap().value }
            })
        })
        .collect();
    settle().await;
    source.let_through(1);
    assert_eq!(first.await.unwrap().unwrap().value, 1);
    settle().await;
    source.let_through(1);
    for renewal in renewals {
        assert_eq!(renewal.await.unwrap(), 2, "one read for all ten, begun after they asked");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_and_reads_at_once_are_bounded() {
    let source = Source::gated();
    let reads = source.reads();
    for key in ["a", "b", "c"] {
        reads.put(&key, 1, Duration::ZERO);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    reads.get(&"a", SOON).await.unwrap();
    reads.put(&"d", 1, Duration::ZERO);
    assert_eq!(["a", "b", "c", "d"].map(|key| reads.peek(&key).is_some()), [true, false, true, true]);
    reads.forget_unused(Duration::ZERO);
    for key in ["e", "f"] {
        assert_eq!(reads.get(&key, Duration::ZERO).await, Err(ReadError::Late));
    }
    assert_eq!(reads.get(&"g", SOON).await, Err(ReadError::Failed(PloneError::Busy)));
}

#[tokio::test(start_paused = true)]
async fn what_is_being_read_is_kept_and_counted_however_many_ask() {
    let source = Source::gated();
    let reads = source.reads();
    for key in ["a", "b"] {
        assert_eq!(reads.get(&key, Duration::ZERO).await, Err(ReadError::Late));
    }
    for key in ["c", "d", "e", "f"] {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(reads.get(&key, SOON).await, Err(ReadError::Failed(PloneError::Busy)), "{key}");
    }
    source.let_through(2);
    settle().await;
    assert_eq!(["a", "b", "f"].map(|key| reads.peek(&key).is_some()), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_while_it_was_read_stays_forgotten() {
    let source = Source::gated();
    let reads = source.reads();
    assert_eq!(reads.get(&"ann", Duration::ZERO).await, Err(ReadError::Late));
    reads.forget_unused(Duration::ZERO);
    source.let_through(1);
    settle().await;
    assert_eq!(reads.peek(&"ann"), None);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_panics_hangs_nobody_and_the_next_one_is_tried() {
    let tried = Arc::new(AtomicU64::new(0));
    let counting = tried.clone();
    let reads: Reads<&str, u64> = Reads::new(LIMITS, move |_, _| {
        assert!(counting.fetch_add(1, Ordering::Relaxed) > 0, "the first read panics");
        async { Ok(5) }.boxed()
    });
    assert!(matches!(reads.get(&"news", SOON).await, Err(ReadError::Failed(PloneError::Unavailable(_)))));
    assert_eq!(reads.get(&"news", SOON).await.unwrap().value, 5);
}

#[tokio::test(start_paused = true)]
async fn an_old_copy_that_cannot_be_renewed_now_says_so_with_its_age() {
    let source = Source::gated();
    let reads = source.reads();
    let old = Duration::from_secs(300);
    reads.put(&"mine", 7, old);
    for others in ["a", "b"] {
        assert_eq!(reads.get(&others, Duration::ZERO).await, Err(ReadError::Late));
    }
    let kept = reads.get(&"mine", SOON).await.unwrap();
    assert_eq!((kept.value, kept.age, kept.error), (7, old, Some(PloneError::Busy)));
    source.let_through(3);
    settle().await;
    // There is room again: this one begins to renew it, and the next has the new copy.
    assert_eq!(reads.get(&"mine", SOON).await.unwrap().error, None);
    settle().await;
    let kept = reads.get(&"mine", SOON).await.unwrap();
    assert_eq!((kept.value, kept.age, kept.error), (8, Duration::ZERO, None));
}
