//! The outbox: writes committed changes to the college's Plone. No registration waits for it.
//!
//! A commit marks the changed sections in the store. A task on a dedicated thread writes the marked sections: at most
//! [`IN_FLIGHT_MAX`] concurrently, and each section at most once per [`SECTION_PAUSE`]. A write contains absolute
//! values, read from the store immediately before it is sent, so thousands of registrations in one section cause only a
//! few writes. A section stays marked until its write has succeeded, so a crash loses nothing.
//!
//! - [`desired_state`]: the fields that a section's item should have; `sending`: one write and its outcome
//! - [`roster_guard`]: finds out who can read rosters in Plone; [`status`]: state for admins and metrics; [`deps`]:
//!   options and dependencies

pub mod deps;
pub mod desired_state;
pub mod roster_guard;
mod sending;
pub mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Arbiter;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::domain::ids::SectionId;
use crate::leader::Tenure;
use crate::plone::sign_in::PlainMember;
use crate::store::StoreError;
use crate::store::outbox::{OutboxEntry, OutboxStore};

use crate::plone::outbox::deps::{OutboxDeps, OutboxDepsUnder, OutboxOptions, SECTION_PAUSE};
use crate::plone::outbox::desired_state::DefinitionScope;
use crate::plone::outbox::roster_guard::RosterGuard;
use crate::plone::outbox::sending::{SendOutcome, Sender, backoff};
use crate::plone::outbox::status::{OutboxGauge, PloneOutboxStatus, RosterState};

/// Maximum number of concurrent writes: half of the default pool, so that sign-ins and pulls are not blocked.
pub const IN_FLIGHT_MAX: usize = 4;
/// Time between two queries for due sections while no write ends.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Pause before the findings of the roster guard are loaded again after a failure of the store.
const LOAD_RETRY: Duration = Duration::from_secs(1);
/// Time between two counts of the pending entries.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum pause after the first of consecutive failed writes. It doubles with each further failure.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Upper bound of that pause, and therefore of the delay with which the outbox detects a recovery of Plone.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Handle to the outbox. Cheap to clone.
#[derive(Clone)]
pub struct PloneOutbox {
    gauge: Arc<OutboxGauge>,
    stop: watch::Sender<bool>,
    ended: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
}

impl PloneOutbox {
    /// Starts the outbox on its own thread. It writes while this hub has a `tenure`, and counts the entries in `store`
    /// in any case. It uses the token of `plain_member`, the student who signed in most recently, to check what members
    /// can read.
    #[must_use]
    pub fn start(
        store: Arc<dyn OutboxStore>,
        deps: OutboxDepsUnder,
        options: &OutboxOptions,
        plain_member: watch::Receiver<PlainMember>,
        tenure: watch::Receiver<Option<Tenure>>,
    ) -> Self {
        let gauge = Arc::new(OutboxGauge::default());
        let (stop, stopping) = watch::channel(false);
        let (report_end, ended) = oneshot::channel();
        let runner = Runner { store, deps, options: options.clone(), gauge: gauge.clone(), plain_member };
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            runner.run(tenure, stopping).await;
            // Sending fails if all handles were dropped.
            let _ = report_end.send(());
        });
        Self { gauge, stop, ended: Arc::new(tokio::sync::Mutex::new(Some(ended))) }
    }

    /// Returns the state.
    #[must_use]
    pub fn status(&self) -> PloneOutboxStatus {
        self.gauge.status()
    }

    /// Starts no further writes and waits for those in flight. Pending sections are written after the next start.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let ended = self.ended.lock().await.take();
        if let Some(ended) = ended {
            // A receive error means that the task has ended, too.
            let _ = ended.await;
        }
    }
}

/// The runner of the outbox during the tenures of this hub.
struct Runner {
    store: Arc<dyn OutboxStore>,
    deps: OutboxDepsUnder,
    options: OutboxOptions,
    gauge: Arc<OutboxGauge>,
    plain_member: watch::Receiver<PlainMember>,
}

impl Runner {
    /// Runs until `stopping`, or until all of its senders are dropped.
    async fn run(self, mut tenure: watch::Receiver<Option<Tenure>>, mut stopping: watch::Receiver<bool>) {
        loop {
            let current = tenure.borrow_and_update().clone();
            if *stopping.borrow_and_update() || stopping.has_changed().is_err() {
                return;
            }
            let Some(current) = current else {
                count(&*self.store, &self.gauge).await;
                tokio::select! {
                    () = sleep(COUNT_INTERVAL) => {}
                    Ok(()) = tenure.changed() => {}
                    _ = stopping.changed() => {}
                }
                continue;
            };
            let (end, ending) = watch::channel(false);
            let writing = self.write((self.deps)(current), ending);
            tokio::pin!(writing);
            tokio::select! {
                () = &mut writing => continue,
                Ok(()) = tenure.changed() => {}
                _ = stopping.changed() => {}
            }
            end.send_replace(true);
            writing.await;
        }
    }

    /// Writes under one tenure, until `ending`.
    async fn write(&self, deps: OutboxDeps, ending: watch::Receiver<bool>) {
        // What an earlier tenure found out may be outdated.
        self.gauge.put_roster(RosterState::Unchecked);
        if let Some(guard) = load_guard(&deps, &self.options, &self.gauge, ending.clone()).await {
            actix::spawn(guard.clone().run(self.plain_member.clone(), ending.clone()));
            Worker::new(deps, &self.options, self.gauge.clone(), guard).run(ending).await;
        }
    }
}

/// Counts the pending entries.
async fn count(store: &dyn OutboxStore, gauge: &OutboxGauge) {
    match store.summary().await {
        Ok(summary) => gauge.put_summary(summary),
        Err(error) => log::warn!("could not count the entries of the outbox: {error}"),
    }
}

/// Loads the roster guard and retries while the store fails. Returns `None` if the tenure ends or the outbox is stopped
/// first.
async fn load_guard(
    deps: &OutboxDeps,
    options: &OutboxOptions,
    gauge: &Arc<OutboxGauge>,
    mut stopping: watch::Receiver<bool>,
) -> Option<Arc<RosterGuard>> {
    loop {
        match RosterGuard::load(deps, options, gauge).await {
            Ok(guard) => return Some(guard),
            Err(error) => log::warn!("could not load the findings about readers of rosters: {error}"),
        }
        tokio::select! {
            () = sleep(LOAD_RETRY) => {}
            _ = stopping.changed() => return None,
        }
    }
}

/// The task that writes marked sections.
struct Worker {
    sender: Arc<Sender>,
    deps: OutboxDeps,
    gauge: Arc<OutboxGauge>,
    in_flight_max: usize,
    /// Sections that must not be written now: `None` for a section that is being written, otherwise the end of the
    /// pause after its last write.
    busy: HashMap<SectionId, Option<Instant>>,
    /// Consecutive failed writes.
    failures: u32,
    /// Time before which no write starts.
    paused_until: Instant,
    /// Time of the next count of pending entries.
    count_at: Instant,
    /// True if sections without an item are not created in Plone.
    known_only: bool,
    /// True if further sections of an import must be marked.
    more_to_mark: bool,
}

impl Worker {
    fn new(deps: OutboxDeps, options: &OutboxOptions, gauge: Arc<OutboxGauge>, guard: Arc<RosterGuard>) -> Self {
        let scope = if options.write_schedules { DefinitionScope::Whole } else { DefinitionScope::StaffChanges };
        let now = Instant::now();
        let sender = Arc::new(Sender::new(deps.clone(), scope, gauge.clone(), guard));
        let in_flight_max = IN_FLIGHT_MAX.min((options.pool_size / 2).max(1));
        Self {
            sender,
            deps,
            gauge,
            in_flight_max,
            busy: HashMap::new(),
            failures: 0,
            paused_until: now,
            count_at: now,
            known_only: !options.write_schedules,
            more_to_mark: false,
        }
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut in_flight: FuturesUnordered<BoxFuture<'static, (SectionId, SendOutcome)>> = FuturesUnordered::new();
        loop {
            let stop = *stopping.borrow_and_update();
            if stop && in_flight.is_empty() {
                return;
            }
            if !stop {
                self.count().await;
                self.mark_imported().await;
                self.start_writes(&mut in_flight).await;
            }
            let wake = if self.more_to_mark { Instant::now() } else { Instant::now() + POLL_INTERVAL };
            tokio::select! {
                Some((section, outcome)) = in_flight.next(), if !in_flight.is_empty() => self.end(section, outcome),
                () = sleep_until(wake) => {}
                changed = stopping.changed(), if !stop => {
                    // The sender was dropped, so no signal can follow.
                    if changed.is_err() { return; }
                }
            }
            self.gauge.in_flight.store(in_flight.len(), Ordering::Relaxed);
        }
    }

    /// Counts the pending entries, every [`COUNT_INTERVAL`].
    async fn count(&mut self) {
        if Instant::now() < self.count_at {
            return;
        }
        self.count_at = Instant::now() + COUNT_INTERVAL;
        count(&*self.deps.store, &self.gauge).await;
    }

    /// Marks a part of the sections that an import changed. Marking in parts lets registrations commit in between.
    async fn mark_imported(&mut self) {
        let marked = self.deps.store.mark_imported(self.known_only, self.deps.clock.now()).await;
        self.more_to_mark = marked.unwrap_or_else(|error| {
            log::warn!("could not mark the sections of an import for Plone: {error}");
            false
        });
    }

    /// Starts writes of due sections, as many as the bound allows.
    async fn start_writes(&mut self, in_flight: &mut FuturesUnordered<BoxFuture<'static, (SectionId, SendOutcome)>>) {
        let now = Instant::now();
        self.busy.retain(|_, until| until.is_none_or(|until| until > now));
        // After a failure, a single write probes whether writes succeed again.
        let in_flight_max = if self.failures > 0 { 1 } else { self.in_flight_max };
        let Some(room) = in_flight_max.checked_sub(in_flight.len()).filter(|room| *room > 0) else { return };
        if now < self.paused_until || (self.deps.is_import_applying)() {
            return;
        }
        let Some(quiet) = self.deps.pull_gate.quiet() else { return };
        let due = match self.due(room).await {
            Ok(due) => due,
            Err(error) => {
                log::warn!("could not read the due entries of the outbox: {error}");
                self.paused_until = Instant::now() + PAUSE_MAX;
                return;
            }
        };
        if (self.deps.is_import_applying)() || self.deps.pull_gate.quiet() != Some(quiet) {
            // Changes were applied during the read, so the entries may contain only some of them.
            return;
        }
        for entry in due {
            let (sender, section) = (self.sender.clone(), entry.section.clone());
            self.busy.insert(section.clone(), None);
            in_flight.push(Box::pin(async move { (section, sender.send(entry).await) }));
        }
        self.gauge.in_flight.store(in_flight.len(), Ordering::Relaxed);
    }

    async fn due(&self, room: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        let busy: Vec<SectionId> = self.busy.keys().cloned().collect();
        let with_new = self.deps.items_known.under(self.deps.tenure.fence);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        self.deps.store.due(self.deps.clock.now(), busy, room, with_new).await
    }

    fn end(&mut self, section: SectionId, outcome: SendOutcome) {
        if outcome == SendOutcome::Nothing {
            self.busy.remove(&section);
            return;
        }
        self.busy.insert(section, Some(Instant::now() + SECTION_PAUSE));
        match outcome {
            SendOutcome::Nothing => {}
            SendOutcome::Written | SendOutcome::Refused => (self.failures, self.paused_until) = (0, Instant::now()),
            SendOutcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.paused_until = Instant::now() + backoff(PAUSE_MIN, PAUSE_MAX, self.failures);
            }
        }
    }
}
