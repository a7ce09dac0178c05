//! The outbox: what is committed in the hub is written to the college's Plone, and nobody waits for it.
//!
//! A task on a thread of its own looks for sections that are due, at most [`FLIGHT_MAX`] of them under way, one write at
//! a time and at most one in [`SECTION_PAUSE`] for each. What is written are absolute values, read when they are sent:
//! thousands of registrations in one section are a handful of writes. The marks are in the store; all that is lost with
//! the process is what was being sent, and that is still marked.

pub mod deps;
pub mod roster_guard;
mod sending;
pub mod status;
pub mod wanted;

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
use crate::plone::sign_in::PlainMember;
use crate::store::StoreError;
use crate::store::outbox::OutboxEntry;

use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions, SECTION_PAUSE};
use crate::plone::outbox::roster_guard::RosterGuard;
use crate::plone::outbox::sending::{Ended, Sender, backoff};
use crate::plone::outbox::status::{OutboxGauge, PloneOutboxStatus};
use crate::plone::outbox::wanted::Definition;

/// Writes under way at once: half of the usual pool, so that sign-ins and pulls pass. Plone itself does two at a time.
pub const FLIGHT_MAX: usize = 4;
/// How often is looked for what is due, while nothing else happens.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// How soon a store that did not answer at the start is asked again.
const RECALL_PAUSE: Duration = Duration::from_secs(1);
/// How often is counted what waits.
const COUNT_PAUSE: Duration = Duration::from_secs(1);
/// The first and the longest pause after writes that did not work at all, whatever they wrote: so long does it take at
/// most to see that Plone is back.
const REST_MIN: Duration = Duration::from_millis(250);
const REST_MAX: Duration = Duration::from_secs(5);

/// The outbox's handle. Cheap to clone.
#[derive(Clone)]
pub struct PloneOutbox {
    gauge: Arc<OutboxGauge>,
    stop: watch::Sender<bool>,
    ended: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
}

impl PloneOutbox {
    /// Starts the outbox on a thread of its own. `members` tells which plain member signed in last: as that one Plone is
    /// asked what members can read.
    #[must_use]
    pub fn start(deps: OutboxDeps, options: &OutboxOptions, members: watch::Receiver<PlainMember>) -> Self {
        let gauge = Arc::new(OutboxGauge::default());
        let (stop, stopping) = watch::channel(false);
        let (say_ended, ended) = oneshot::channel();
        let (options, shown) = (options.clone(), gauge.clone());
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            if let Some(guard) = guard(&deps, &options, &shown, stopping.clone()).await {
                actix::spawn(guard.clone().run(members, stopping.clone()));
                Worker::new(deps, &options, shown, guard).run(stopping).await;
            }
            // Nobody may wait for it any more.
            let _ = say_ended.send(());
        });
        Self { gauge, stop, ended: Arc::new(tokio::sync::Mutex::new(Some(ended))) }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> PloneOutboxStatus {
        self.gauge.status()
    }

    /// Begins nothing any more, and waits for what is under way. What is not sent by then is sent after the next start.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let ended = self.ended.lock().await.take();
        if let Some(ended) = ended {
            // An end without a word is an end.
            let _ = ended.await;
        }
    }
}

/// The guard, as soon as the store tells what it knew; none when the hub ends before.
async fn guard(
    deps: &OutboxDeps,
    options: &OutboxOptions,
    gauge: &Arc<OutboxGauge>,
    mut stopping: watch::Receiver<bool>,
) -> Option<Arc<RosterGuard>> {
    loop {
        match RosterGuard::recalled(deps, options, gauge).await {
            Ok(guard) => return Some(guard),
            Err(error) => log::warn!("what is known of who can read rosters in Plone cannot be read: {error}"),
        }
        tokio::select! {
            () = sleep(RECALL_PAUSE) => {}
            _ = stopping.changed() => return None,
        }
    }
}

/// The task.
struct Worker {
    sender: Arc<Sender>,
    deps: OutboxDeps,
    gauge: Arc<OutboxGauge>,
    flight_max: usize,
    /// Sections that are being written, and those that were a moment ago, with the time at which they may be again.
    busy: HashMap<SectionId, Option<Instant>>,
    /// Writes in a row that did not work.
    failures: u32,
    /// Nothing is begun before.
    rest_until: Instant,
    count_at: Instant,
    /// Whether only sections that have an item are written at all.
    known_only: bool,
    /// Whether an import's sections are still to be marked.
    more_to_mark: bool,
}

impl Worker {
    fn new(deps: OutboxDeps, options: &OutboxOptions, gauge: Arc<OutboxGauge>, guard: Arc<RosterGuard>) -> Self {
        let definition = if options.write_schedules { Definition::Whole } else { Definition::StaffsOnly };
        let now = Instant::now();
        let sender = Arc::new(Sender::new(deps.clone(), definition, gauge.clone(), guard));
        let flight_max = FLIGHT_MAX.min((options.pool_size / 2).max(1));
        Self {
            sender,
            deps,
            gauge,
            flight_max,
            busy: HashMap::new(),
            failures: 0,
            rest_until: now,
            count_at: now,
            known_only: !options.write_schedules,
            more_to_mark: false,
        }
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut under_way: FuturesUnordered<BoxFuture<'static, (SectionId, Ended)>> = FuturesUnordered::new();
        loop {
            let stop = *stopping.borrow_and_update();
            if stop && under_way.is_empty() {
                return;
            }
            if !stop {
                self.count().await;
                self.mark_imported().await;
                self.begin(&mut under_way).await;
            }
            let wake = if self.more_to_mark { Instant::now() } else { Instant::now() + LOOK_PAUSE };
            tokio::select! {
                Some((section, ended)) = under_way.next(), if !under_way.is_empty() => self.end(section, &ended),
                () = sleep_until(wake) => {}
                changed = stopping.changed(), if !stop => {
                    // The handle is gone: nobody can stop it any more, so it ends by itself.
                    if changed.is_err() { return; }
                }
            }
            self.gauge.in_flight.store(under_way.len(), Ordering::Relaxed);
        }
    }

    /// Counts what waits, now and then.
    async fn count(&mut self) {
        if Instant::now() < self.count_at {
            return;
        }
        self.count_at = Instant::now() + COUNT_PAUSE;
        match self.deps.store.summary().await {
            Ok(summary) => self.gauge.put_summary(summary),
            Err(error) => log::warn!("what waits for Plone cannot be counted: {error}"),
        }
    }

    /// Marks some of what an import changed, if any is left. Registrations pass between one time and the next.
    async fn mark_imported(&mut self) {
        let marked = self.deps.store.mark_imported(self.known_only, self.deps.clock.now()).await;
        self.more_to_mark = marked.unwrap_or_else(|error| {
            log::warn!("what an import changed cannot be marked for Plone: {error}");
            false
        });
    }

    /// Begins writes, as many as there is room for.
    async fn begin(&mut self, under_way: &mut FuturesUnordered<BoxFuture<'static, (SectionId, Ended)>>) {
        let now = Instant::now();
        self.busy.retain(|_, until| until.is_none_or(|until| until > now));
        // After failures one write at a time tries whether it works again.
        let flight_max = if self.failures > 0 { 1 } else { self.flight_max };
        let Some(room) = flight_max.checked_sub(under_way.len()).filter(|room| *room > 0) else { return };
        if now < self.rest_until || (self.deps.held)() {
            return;
        }
        let due = match self.due(room).await {
            Ok(due) => due,
            Err(error) => {
                log::warn!("what is to be written to Plone cannot be read: {error}");
                self.rest_until = Instant::now() + REST_MAX;
                return;
            }
        };
        if (self.deps.held)() {
            // What an import changed may be among it.
            return;
        }
        for entry in due {
            let (sender, section) = (self.sender.clone(), entry.section.clone());
            self.busy.insert(section.clone(), None);
            under_way.push(Box::pin(async move { (section, sender.send(entry).await) }));
        }
        self.gauge.in_flight.store(under_way.len(), Ordering::Relaxed);
    }

    async fn due(&self, room: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        let busy: Vec<SectionId> = self.busy.keys().cloned().collect();
        let new_ones = self.deps.items_known.load(Ordering::Acquire);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        self.deps.store.due(self.deps.clock.now(), busy, room, new_ones).await
    }

    fn end(&mut self, section: SectionId, ended: &Ended) {
        if *ended == Ended::Nothing {
            self.busy.remove(&section);
            return;
        }
        self.busy.insert(section, Some(Instant::now() + SECTION_PAUSE));
        match ended {
            Ended::Nothing => {}
            Ended::Written | Ended::Refused => (self.failures, self.rest_until) = (0, Instant::now()),
            Ended::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.rest_until = Instant::now() + backoff(REST_MIN, REST_MAX, self.failures);
            }
        }
    }
}
