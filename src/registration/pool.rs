//! Finds the registrar of a term, and bounds how many commands are accepted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::ids::TermId;
use crate::domain::realm::Realm;
use crate::registration::readmodel::TermModel;
use crate::registration::registrar::{
    COMMAND_WAIT_MAX, Caller, Follow, Pause, Registrar, RegistrarDeps, Reply, Retire, Submission, SubmitError, Waits,
};
use crate::registration::request_counts::{RequestCounts, Sent};
use crate::registration::student_view::Limits;
use crate::registration::submitted::{Replied, Submitted};

/// The registrars of all terms, distributed over a few dedicated threads.
pub struct RegistrarPool {
    deps: RegistrarDeps,
    registrars: DashMap<TermId, Addr<Registrar>>,
    /// The registrars of sandboxes, in a separate map, so that only callers of their realm find them.
    sandboxes: DashMap<TermId, Addr<Registrar>>,
    arbiters: Vec<Arbiter>,
    next_arbiter: Mutex<usize>,
    /// One permit for each command between acceptance and reply. A mailbox's capacity is not a bound, because each
    /// clone of its address adds a slot.
    accepted: Arc<Semaphore>,
    accepted_max: usize,
    request_counts: RequestCounts,
    waits: Waits,
}

impl RegistrarPool {
    /// Creates a pool with `shards` threads. At most `accepted_max` commands are between acceptance and reply. Under
    /// overload, a student's command is rejected unless its reply is expected within `overload_wait` (later on a slow
    /// disk).
    #[must_use]
    pub fn new(deps: RegistrarDeps, shards: usize, accepted_max: usize, overload_wait: Duration) -> Self {
        Self {
            deps,
            registrars: DashMap::new(),
            sandboxes: DashMap::new(),
            arbiters: (0..shards.max(1)).map(|_| Arbiter::new()).collect(),
            next_arbiter: Mutex::new(0),
            accepted: Arc::new(Semaphore::new(accepted_max)),
            accepted_max,
            request_counts: RequestCounts::default(),
            waits: Waits { max: COMMAND_WAIT_MAX, overload: overload_wait },
        }
    }

    /// Sets how long a command may wait before it is decided; [`COMMAND_WAIT_MAX`] unless set.
    #[must_use]
    pub const fn with_wait_max(mut self, wait_max: Duration) -> Self {
        self.waits.max = wait_max;
        self
    }

    /// Returns the limits of the college that the registrars decide with.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits { credits: self.deps.credit_limit, repeats: self.deps.repeat_limit }
    }

    /// Returns the number of commands between acceptance and reply.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted_max - self.accepted.available_permits()
    }

    /// Returns the number of terms of the college that have a registrar, loaded or not.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.registrars.len()
    }

    /// Returns the college's terms that have a registrar, loaded or not, in order.
    #[must_use]
    pub fn term_ids(&self) -> BTreeSet<TermId> {
        self.registrars.iter().map(|known| known.key().clone()).collect()
    }

    /// Returns the counters of how commands ended.
    #[must_use]
    pub fn request_counts(&self) -> &RequestCounts {
        &self.request_counts
    }

    /// Starts a registrar for each of these terms, and waits until all of the terms are published.
    pub async fn start(&self, terms: Vec<TermId>) {
        let loading: Vec<_> = terms.into_iter().filter_map(|term| self.ensure(term).1).collect();
        for loaded in loading {
            // The registrar has the sender and repeats the load until it succeeds, so only a shutdown drops the sender.
            let _ = loaded.await;
        }
    }

    /// Returns the registrar of a term, and starts it if necessary. For a new registrar, also returns a receiver that
    /// is notified when the term is loaded.
    fn ensure(&self, term: TermId) -> (Addr<Registrar>, Option<oneshot::Receiver<Arc<TermModel>>>) {
        let registrars = if term.is_sandbox() { &self.sandboxes } else { &self.registrars };
        // The map's guards end before the insertion below, which would deadlock with them.
        if let Some(known) = registrars.get(&term) {
            return (known.clone(), None);
        }
        let mut next = self.next_arbiter.lock();
        if let Some(known) = registrars.get(&term) {
            return (known.clone(), None);
        }
        let arbiter = &self.arbiters[*next % self.arbiters.len()];
        *next += 1;
        let (on_loaded, loaded) = oneshot::channel();
        let registrar = Registrar::new(term.clone(), self.deps.clone(), self.waits, on_loaded);
        let address = Registrar::start_in_arbiter(&arbiter.handle(), move |_| registrar);
        registrars.insert(term, address.clone());
        (address, Some(loaded))
    }

    /// Submits a command to a term of the college; returns `None` when there is no such term.
    pub async fn submit(&self, term: &TermId, command: impl Into<Submitted>) -> Option<Reply> {
        let registrar = self.registrars.get(term)?.clone();
        Some(self.send(&registrar, term, command.into()).await.map(|replied| replied.outcome))
    }

    /// Submits a command to a term of the caller's realm; returns `None` when the realm has no such term. Commands of a
    /// sandbox are not counted in [`RegistrarPool::request_counts`].
    pub async fn submit_in(&self, realm: &Realm, term: &TermId, command: impl Into<Submitted>) -> Option<Reply> {
        Some(self.request_in(realm, term, command).await?.map(|replied| replied.outcome))
    }

    /// Submits a command like [`RegistrarPool::submit_in`], and also returns the receipts of its requests.
    pub async fn request_in(
        &self,
        realm: &Realm,
        term: &TermId,
        command: impl Into<Submitted>,
    ) -> Option<Result<Replied, SubmitError>> {
        match realm {
            Realm::College => {
                let registrar = self.registrars.get(term)?.clone();
                Some(self.send(&registrar, term, command.into()).await)
            }
            Realm::Sandbox(own) if own == term => {
                let registrar = self.sandboxes.get(term)?.clone();
                Some(self.send_uncounted(&registrar, command.into()).await)
            }
            Realm::Sandbox(_) => None,
        }
    }

    /// Submits a command that may create its term. A sandbox is not created this way; see
    /// [`RegistrarPool::open_sandbox`].
    pub async fn submit_or_create(&self, term: TermId, command: impl Into<Submitted>) -> Reply {
        if term.is_sandbox() {
            return self.submit_in(&Realm::of(&term), &term, command).await.unwrap_or(Err(SubmitError::Failed));
        }
        let (registrar, _) = self.ensure(term.clone());
        self.send(&registrar, &term, command.into()).await.map(|replied| replied.outcome)
    }

    /// Starts the registrar of a sandbox, and waits until the term is published.
    pub async fn open_sandbox(&self, term: TermId) {
        if let (true, (_, Some(loaded))) = (term.is_sandbox(), self.ensure(term.clone())) {
            // Only a shutdown drops the sender.
            let _ = loaded.await;
        }
    }

    /// Ends the registrar of a sandbox. After this returns, it neither writes nor publishes anything.
    pub async fn retire_sandbox(&self, term: &TermId) {
        let Some((_, registrar)) = self.sandboxes.remove(term) else { return };
        let (done, ended) = oneshot::channel();
        if registrar.send(Retire { done }).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Notes that other hubs have committed to a term of the college up to `seq`. Its registrar reads what it lacks; a
    /// new term gets a registrar, which loads it.
    pub fn follow(&self, term: &TermId, seq: u64) {
        let (registrar, loading) = self.ensure(term.clone());
        if loading.is_none() {
            // If the mailbox is full, the next poll of the store repeats this.
            let _ = registrar.try_send(Follow { seq });
        }
    }

    /// Reloads terms whose rows were changed outside of a decision.
    pub async fn reload(&self, terms: &[TermId]) {
        self.paused(terms, async {}).await;
    }

    /// Runs `work` while the registrars of `terms` commit nothing, and waits until they have loaded their terms again.
    /// If the returned future is dropped, the pause ends.
    pub async fn paused<T>(&self, terms: &[TermId], work: impl Future<Output = T>) -> T {
        let (mut pauses, mut loading) = (Vec::new(), Vec::new());
        // In order, so that two callers cannot wait for each other.
        let terms: BTreeSet<&TermId> = terms.iter().collect();
        for term in terms {
            let Some(registrar) = self.registrars.get(term).map(|known| known.clone()) else { continue };
            let ((paused, is_paused), (resume, resumed)) = (oneshot::channel(), oneshot::channel());
            let (on_loaded, loaded) = oneshot::channel();
            if registrar.send(Pause { paused, resume: resumed, loaded: on_loaded }).await.is_ok() {
                let _ = is_paused.await;
                pauses.push(resume);
                loading.push(loaded);
            }
        }
        let result = work.await;
        drop(pauses);
        for loaded in loading {
            // Only a shutdown drops the sender.
            let _ = loaded.await;
        }
        result
    }

    async fn send(
        &self,
        registrar: &Addr<Registrar>,
        term: &TermId,
        command: Submitted,
    ) -> Result<Replied, SubmitError> {
        let sent = Sent::new(term, &command.command);
        let reply = self.send_uncounted(registrar, command).await;
        self.request_counts.count(&sent, reply.as_ref().map(|replied| &replied.outcome));
        reply
    }

    async fn send_uncounted(
        &self,
        registrar: &Addr<Registrar>,
        mut command: Submitted,
    ) -> Result<Replied, SubmitError> {
        command.received(self.deps.clock.now());
        let permit = self.accepted.clone().try_acquire_owned().map_err(|_| SubmitError::Overloaded)?;
        let (reply, replied) = oneshot::channel();
        let caller = Caller { reply, _permit: permit };
        registrar
            .try_send(Submission { command, accepted: Instant::now(), caller })
            .map_err(|_| SubmitError::Overloaded)?;
        // A registrar that ended without a reply may have committed the command.
        replied.await.unwrap_or(Err(SubmitError::OutcomeUnknown))
    }
}
