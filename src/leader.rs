//! Decides whether this hub leads a job that runs on one hub at a time: takes and renews the lease of the job.
//!
//! A hub leads from the moment it gets a [`Tenure`] until another hub has taken over, the lease has not been renewed in
//! time, or it resigns. The store refuses the writes of a tenure that has ended; [`Tenure::is_current`] lets a job stop
//! before it writes elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::store::lease::{CANDIDATE_PAUSE, Fence, Job, LEASE, Lease, LeaseStore, RENEWAL_PAUSE};

/// The time during which this hub leads a job under one fence. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenure {
    /// Identifies this tenure in the writes of the job.
    pub fence: Fence,
    /// The lease lasts at least until then. Monotonic time, which continues while the process is stopped.
    until: Arc<Mutex<Instant>>,
}

impl Tenure {
    fn new(fence: Fence, until: Instant) -> Self {
        Self { fence, until: Arc::new(Mutex::new(until)) }
    }

    /// Returns whether no other hub can have taken over yet.
    #[must_use]
    pub fn is_current(&self) -> bool {
        Instant::now() < *self.until.lock()
    }

    /// Returns a tenure that does not end, for tests.
    #[cfg(test)]
    pub(crate) fn endless() -> Self {
        Self::new(Fence { job: Job::Plone, number: 1 }, Instant::now() + LEASE * 10_000)
    }
}

/// The counters of a candidate.
#[derive(Debug, Default)]
struct Counts {
    takeovers: AtomicU64,
    failed: AtomicU64,
}

/// A hub's candidacy for one job. Cheap to clone.
#[derive(Clone)]
pub struct Leadership {
    tenure: watch::Receiver<Option<Tenure>>,
    requests: watch::Receiver<u64>,
    counts: Arc<Counts>,
    resign: Arc<Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>>,
}

impl Leadership {
    /// Starts to take and renew the lease of `job` on the current runtime.
    #[must_use]
    pub fn start(store: Arc<dyn LeaseStore>, job: Job) -> Self {
        let (publish, tenure) = watch::channel(None);
        let (publish_requests, requests) = watch::channel(0);
        let (resign, resigned) = oneshot::channel();
        let counts: Arc<Counts> = Arc::default();
        let candidate = Candidate { store, job, publish, publish_requests, requests: 0, counts: counts.clone() };
        tokio::spawn(candidate.run(resigned));
        Self { tenure, requests, counts, resign: Arc::new(Mutex::new(Some(resign))) }
    }

    /// Returns a receiver of this hub's tenure, which is notified of each change. The value is `None` while the hub
    /// does not lead.
    #[must_use]
    pub fn tenure(&self) -> watch::Receiver<Option<Tenure>> {
        self.tenure.clone()
    }

    /// Returns a receiver that is notified each time other hubs request the job while this hub leads. Requests from
    /// before the tenure do not count.
    #[must_use]
    pub fn requests(&self) -> watch::Receiver<u64> {
        self.requests.clone()
    }

    /// Returns whether this hub leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.tenure.borrow().as_ref().is_some_and(Tenure::is_current)
    }

    /// Returns how many times this hub has taken the job over.
    #[must_use]
    pub fn takeovers(&self) -> u64 {
        self.counts.takeovers.load(Ordering::Relaxed)
    }

    /// Returns how many times the lease could not be read or renewed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }

    /// Ends the candidacy, and the lease if this hub has it, so that another hub takes over at once. Call it only when
    /// nothing more is written under the tenure.
    pub async fn resign(&self) {
        let resign = self.resign.lock().take();
        let (done, ended) = oneshot::channel();
        if resign.is_some_and(|resign| resign.send(done).is_ok()) {
            // Fails if the runtime ends first; then the lease ends by itself.
            let _ = ended.await;
        }
    }
}

/// Takes and renews one lease.
struct Candidate {
    store: Arc<dyn LeaseStore>,
    job: Job,
    publish: watch::Sender<Option<Tenure>>,
    publish_requests: watch::Sender<u64>,
    /// The number of requests from other hubs when this hub last took or renewed the lease.
    requests: u64,
    counts: Arc<Counts>,
}

impl Candidate {
    async fn run(mut self, mut resigned: oneshot::Receiver<oneshot::Sender<()>>) {
        let mut held: Option<Tenure> = None;
        let done = loop {
            tokio::select! {
                done = &mut resigned => break done,
                next = self.hold(held.clone()) => held = next,
            }
            tokio::select! {
                done = &mut resigned => break done,
                () = sleep(if held.is_some() { RENEWAL_PAUSE } else { CANDIDATE_PAUSE }) => {}
            }
        };
        self.publish.send_replace(None);
        if let Some(tenure) = held
            && let Err(error) = self.store.release(tenure.fence).await
        {
            log::debug!("the lease of {:?} ends later: {error}", self.job);
        }
        // The sender is dropped when all handles are; there is no one to notify then.
        let _ = done.map(|done| done.send(()));
    }

    /// Renews the lease or tries to take it. Returns the tenure of this hub.
    async fn hold(&mut self, held: Option<Tenure>) -> Option<Tenure> {
        // The lease begins when the store writes it, which is later.
        let requested_at = Instant::now();
        let fence = held.as_ref().map(|tenure| tenure.fence);
        let reply = timeout(LEASE, self.store.hold(self.job, fence)).await;
        let until = requested_at + LEASE;
        match reply {
            Ok(Ok(Some(Lease { fence, requests }))) => {
                let before = std::mem::replace(&mut self.requests, requests);
                if let Some(tenure) = held.filter(|tenure| tenure.fence == fence) {
                    *tenure.until.lock() = until;
                    if requests != before {
                        self.publish_requests.send_replace(requests);
                    }
                    return Some(tenure);
                }
                let tenure = Tenure::new(fence, until);
                self.counts.takeovers.fetch_add(1, Ordering::Relaxed);
                log::info!("this hub leads the job {:?} from now on (fence {})", self.job.as_str(), fence.number);
                self.publish.send_replace(Some(tenure.clone()));
                Some(tenure)
            }
            Ok(Ok(None)) => {
                if held.is_some() {
                    log::warn!("another hub has taken over the job {:?}", self.job.as_str());
                    self.publish.send_replace(None);
                }
                None
            }
            failed => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let (had_tenure, current) = (held.is_some(), held.filter(Tenure::is_current));
                if had_tenure && current.is_none() {
                    let why = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => "the store did not reply in time".to_owned(),
                    };
                    log::warn!("the lease of the job {:?} could not be renewed: {why}", self.job.as_str());
                    self.publish.send_replace(None);
                }
                current
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::FutureExt as _;
    use futures_util::future::ready;

    use super::*;
    use crate::store::imports::ImportStore;
    use crate::store::outbox::OutboxStore;
    use crate::store::{StoreError, StoreFuture};

    /// A store whose replies the test prepares. The last reply is repeated.
    #[derive(Default)]
    struct Scripted {
        replies: Mutex<VecDeque<Result<Option<u64>, StoreError>>>,
        fences: Mutex<Vec<Option<u64>>>,
        requests: AtomicU64,
        released: Mutex<Vec<u64>>,
    }

    impl LeaseStore for Scripted {
        fn hold(&self, job: Job, held: Option<Fence>) -> StoreFuture<Option<Lease>> {
            self.fences.lock().push(held.map(|fence| fence.number));
            let mut replies = self.replies.lock();
            let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
            let requests = self.requests.load(Ordering::Relaxed);
            let lease = |number| Lease { fence: Fence { job, number }, requests };
            ready(reply.unwrap().map(|number| number.map(lease))).boxed()
        }
        fn request(&self, _: Job) -> StoreFuture<()> {
            self.requests.fetch_add(1, Ordering::Relaxed);
            ready(Ok(())).boxed()
        }
        fn release(&self, held: Fence) -> StoreFuture<()> {
            self.released.lock().push(held.number);
            ready(Ok(())).boxed()
        }
        fn outbox_under(&self, _: Fence) -> Arc<dyn OutboxStore> {
            unreachable!("no job runs here")
        }
        fn events_under(&self, _: Fence) -> Arc<dyn ImportStore> {
            unreachable!("no job runs here")
        }
    }

    fn start(replies: impl IntoIterator<Item = Result<Option<u64>, StoreError>>) -> (Arc<Scripted>, Leadership) {
        let store = Arc::new(Scripted { replies: Mutex::new(replies.into_iter().collect()), ..Scripted::default() });
        (store.clone(), Leadership::start(store, Job::Plone))
    }

    fn down() -> Result<Option<u64>, StoreError> {
        Err(StoreError::Unavailable("down".to_owned()))
    }

    /// Waits for the next tenure or its end, and returns its fence.
    async fn changed(tenure: &mut watch::Receiver<Option<Tenure>>) -> Option<u64> {
        tenure.changed().await.unwrap();
        tenure.borrow_and_update().as_ref().map(|tenure| tenure.fence.number)
    }

    #[tokio::test(start_paused = true)]
    async fn a_candidate_leads_until_another_hub_takes_over() {
        let (store, leadership) = start([Ok(None), Ok(None), Ok(Some(3)), Ok(Some(3)), Ok(None)]);
        let mut tenure = leadership.tenure();
        assert_eq!(changed(&mut tenure).await, Some(3));
        let held = tenure.borrow().clone().unwrap();
        assert!(held.is_current() && leadership.is_leader());
        assert_eq!(changed(&mut tenure).await, None, "another hub took over");
        assert!(!leadership.is_leader());
        assert_eq!(*store.fences.lock(), [None, None, None, Some(3), Some(3)]);
        assert_eq!(leadership.takeovers(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenure_ends_when_the_lease_cannot_be_renewed_in_time() {
        let (store, leadership) = start([Ok(Some(3)), down(), down(), Ok(Some(3)), down()]);
        let mut tenure = leadership.tenure();
        assert_eq!(changed(&mut tenure).await, Some(3));
        let began = Instant::now();
        let held = tenure.borrow().clone().unwrap();
        assert_eq!(changed(&mut tenure).await, None);
        assert!(!held.is_current());
        // Two failures do not end the tenure: the reply after them renews the lease three seconds after its start.
        assert!(began.elapsed() >= RENEWAL_PAUSE * 3 + LEASE - RENEWAL_PAUSE, "{:?}", began.elapsed());
        *store.replies.lock() = [Ok(Some(4))].into();
        assert_eq!(changed(&mut tenure).await, Some(4), "the lease is taken again under a new fence");
        assert!(!held.is_current(), "the old tenure does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenure_ends_if_the_hub_is_stopped_for_the_length_of_a_lease() {
        let (_, leadership) = start([Ok(Some(1))]);
        let mut tenure = leadership.tenure();
        changed(&mut tenure).await;
        let held = tenure.borrow().clone().unwrap();
        tokio::time::advance(LEASE).await;
        assert!(!held.is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_from_other_hubs_are_noticed_while_this_hub_leads() {
        let (store, leadership) = start([Ok(None), Ok(Some(1)), Ok(None), Ok(Some(3))]);
        let mut requests = leadership.requests();
        // The work at the start of a tenure covers the requests from before it.
        store.request(Job::Plone).await.unwrap();
        changed(&mut leadership.tenure()).await;
        assert!(!requests.has_changed().unwrap());
        *store.replies.lock() = [Ok(Some(1))].into();
        store.request(Job::Plone).await.unwrap();
        requests.changed().await.unwrap();
        assert_eq!(*requests.borrow_and_update(), 2);
        tokio::time::sleep(RENEWAL_PAUSE * 3).await;
        assert!(!requests.has_changed().unwrap(), "a request is noticed once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_resigns_releases_its_lease() {
        let (store, leadership) = start([Ok(Some(7))]);
        changed(&mut leadership.tenure()).await;
        leadership.resign().await;
        assert_eq!(*store.released.lock(), [7]);
        assert!(!leadership.is_leader());
        leadership.resign().await;
        let (store, leadership) = start([Ok(None)]);
        leadership.resign().await;
        assert!(store.released.lock().is_empty(), "a hub that does not lead has nothing to release");
    }
}
