//! Follows the other hubs on a shared store: every second, and when the bus gives a hint, reads which terms have new
//! commits and which tokens have ended.
//!
//! The store is authoritative. An event from the bus only makes the next read earlier, so a lost or repeated event
//! changes nothing. Alerts need no follower: the broker reads their sequence from the store in the same way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::core::{Core, SharedTerms};
use crate::bus::{Bus, Event, EventStream};
use crate::domain::ids::TermId;
use crate::identity::Identity;
use crate::imports::Imports;
use crate::live::presence::Presence;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::store::StoreError;
use crate::store::gauge::StoreGauge;
use crate::store::shared::{SharedStore, StoredTerm};

/// Time between two reads without a hint: the longest time until this hub begins to read another hub's change.
const POLL: Duration = Duration::from_secs(1);
/// Minimum time between two reads, however many hints there are.
const POLL_MIN: Duration = Duration::from_millis(20);
/// Time between two searches for imports whose hub has ended.
const RECOVERY: Duration = Duration::from_secs(60);

/// Counters of the follower, for metrics.
#[derive(Debug, Default)]
pub(super) struct FollowCounts {
    /// Reads that succeeded.
    pub(super) read: AtomicU64,
    /// Reads that failed.
    pub(super) failed: AtomicU64,
    /// Terms that another hub had changed, summed over all reads.
    pub(super) terms: AtomicU64,
    /// Events from the bus that caused an immediate read.
    pub(super) hints: AtomicU64,
}

/// The store that the follower reads, and the parts of the hub that it keeps current.
struct FollowerDeps {
    store: Arc<dyn SharedStore>,
    pool: Arc<RegistrarPool>,
    model: Arc<ReadModel>,
    identity: Arc<Identity>,
    imports: Arc<Imports>,
    presence: Arc<Presence>,
    bus: Arc<dyn Bus>,
    /// Its `recovering` states whether the last read failed, for readiness.
    gauge: Arc<StoreGauge>,
}

/// Follows the other hubs.
struct Follower {
    deps: FollowerDeps,
    counts: Arc<FollowCounts>,
    /// [`StoredTerm::rewrites`] of each term when this hub last loaded it.
    rewrites: HashMap<TermId, u64>,
    /// The position up to which ended tokens were read.
    revocations: u64,
    /// The history of the store at the last read: the largest [`StoredTerm::rewrites_when_new`] of its terms.
    history: u64,
}

/// Reads [`StoredTerm::rewrites`] of each term. Must be called before the terms are loaded.
pub(super) async fn rewrites(store: &dyn SharedStore) -> Result<HashMap<TermId, u64>, StoreError> {
    Ok(store.stored_terms().await?.into_iter().map(|term| (term.id, term.rewrites)).collect())
}

/// Starts following the other hubs on `shared`, the store of `core`. `identity` is the service of this hub.
pub(super) fn start(shared: SharedTerms, core: &Core, identity: &Arc<Identity>) -> Arc<FollowCounts> {
    let SharedTerms { store, tasks, hints, rewrites } = shared;
    identity.share(store.clone());
    core.imports.share(tasks);
    let deps = FollowerDeps {
        store,
        pool: core.pool.clone(),
        model: core.model.clone(),
        identity: identity.clone(),
        imports: core.imports.clone(),
        presence: core.presence.clone(),
        bus: core.ports.bus.clone(),
        gauge: core.ports.store_gauge.clone(),
    };
    Follower::start(deps, rewrites, hints)
}

impl Follower {
    /// Starts following on the current runtime, until it ends. `rewrites` is what [`rewrites`] returned before the
    /// terms were loaded.
    fn start(deps: FollowerDeps, rewrites: HashMap<TermId, u64>, hints: EventStream) -> Arc<FollowCounts> {
        let counts: Arc<FollowCounts> = Arc::default();
        let wake = Arc::new(Notify::new());
        tokio::spawn(take_hints(hints, wake.clone(), deps.model.clone(), counts.clone()));
        let follower = Self { deps, counts: counts.clone(), rewrites, revocations: 0, history: 0 };
        tokio::spawn(follower.run(wake));
        counts
    }

    async fn run(mut self, wake: Arc<Notify>) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recovered = Instant::now();
        loop {
            let is_tick = tokio::select! {
                _ = ticks.tick() => true,
                () = wake.notified() => false,
            };
            let outcome = self.read().await;
            let count = if outcome.is_ok() { &self.counts.read } else { &self.counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            let had_failed = self.deps.gauge.recovering.swap(outcome.is_err(), Ordering::AcqRel);
            match outcome {
                Err(error) if !had_failed => log::warn!("the changes by other hubs cannot be read: {error}"),
                Ok(()) if had_failed => log::info!("the changes by other hubs can be read again"),
                _ => {}
            }
            // Hints are about seats and tokens, and may come 50 times a second.
            if is_tick && let Err(error) = self.deps.imports.follow_cancellations().await {
                log::debug!("requested cancellations of imports cannot be read: {error}");
            }
            if recovered.elapsed() >= RECOVERY {
                recovered = Instant::now();
                if let Err(error) = self.deps.imports.end_interrupted().await {
                    log::debug!("interrupted imports cannot be examined: {error}");
                }
            }
            tokio::time::sleep(POLL_MIN).await;
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        self.follow_revocations().await?;
        let terms = self.deps.store.stored_terms().await?;
        let history = terms.iter().map(StoredTerm::rewrites_when_new).max().unwrap_or(self.history);
        if history != self.history {
            // After a failover, the new server may have used the same positions for other tokens that ended.
            (self.history, self.revocations) = (history, 0);
        }
        self.reload_rewritten(&terms).await;
        // The simulated students of a sandbox send their requests to the hub that made it.
        for StoredTerm { id, seq, .. } in terms.iter().filter(|term| !term.id.is_sandbox()) {
            if self.deps.model.term(id).is_none_or(|term| term.snapshot().seq < *seq) {
                self.counts.terms.fetch_add(1, Ordering::Relaxed);
                self.deps.pool.follow(id, *seq);
            }
        }
        Ok(())
    }

    /// Reloads the terms whose rows were rewritten since they were loaded.
    async fn reload_rewritten(&mut self, terms: &[StoredTerm]) {
        self.rewrites.retain(|id, _| terms.iter().any(|term| term.id == *id));
        let mut rewritten = Vec::new();
        for term in terms {
            // A term that is not known yet was new when it was loaded.
            let known = self.rewrites.entry(term.id.clone()).or_insert_with(|| term.rewrites_when_new());
            if term.rewrites > *known {
                *known = term.rewrites;
                rewritten.push(term.id.clone());
            }
        }
        if !rewritten.is_empty() {
            self.deps.pool.reload(&rewritten).await;
        }
    }

    /// Ends the tokens that other hubs have ended, and their live sessions.
    async fn follow_revocations(&mut self) -> Result<(), StoreError> {
        let revocations = self.deps.store.revocations_since(self.revocations).await?;
        let position = revocations.position;
        let tokens = self.deps.identity.follow(revocations);
        self.revocations = position;
        if tokens.is_empty() {
            return Ok(());
        }
        for session in self.deps.presence.sessions() {
            if let Some(caller) = session.caller.as_ref().filter(|caller| tokens.contains(&caller.token_id)) {
                let (user, token) = (caller.user.clone(), Some(caller.token_id));
                self.deps.bus.publish_here(Event::SignedOut { user, token, issued_until: None });
            }
        }
        Ok(())
    }
}

/// Wakes the follower at each event about ended tokens, or about a commit that this hub has not read. Takes all events,
/// so that they do not queue up while the store does not respond.
async fn take_hints(mut hints: EventStream, wake: Arc<Notify>, model: Arc<ReadModel>, counts: Arc<FollowCounts>) {
    while let Some(event) = hints.next().await {
        let is_new = match event {
            Event::RegistrationsChanged { term, seq, .. } => {
                model.term(&term).is_none_or(|term| term.snapshot().seq < seq)
            }
            Event::SignedOut { .. } | Event::TokensEnded { .. } => true,
            Event::AlertsStored { .. }
            | Event::ImportProgress(_)
            | Event::Metrics(_)
            | Event::Disconnect { .. }
            | Event::SessionsWanted { .. }
            | Event::Sessions { .. }
            | Event::HubState(_) => false,
        };
        if is_new {
            counts.hints.fetch_add(1, Ordering::Relaxed);
            wake.notify_one();
        }
    }
}
