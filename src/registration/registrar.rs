//! The owner of one term. It puts what its mailbox brings into an order, hands batches to the store (one at a time,
//! whatever comes meanwhile is the next), and after each commit publishes first and answers then.
//!
//! There is one way to rebuild, used at start, after a failed commit and after whatever else leaves doubt: what is open
//! is answered `outcome_unknown`, the term is loaded from the store, and only then the next batch goes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::bus::{Bus, Event, PositionChange, RegistrationChange};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::ids::TermId;
use crate::domain::outcome::Outcome;
use crate::domain::section::Place;
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::store::StoreError;
use crate::store::terms::{Committed, PublishedSection, TermBatch, TermStore, TermUpdate};

/// Commands in one batch: the last of them waits for the decisions of all, at a few microseconds each.
pub const BATCH_COMMANDS_MAX: usize = 1_024;
/// How long a command may wait before it is decided; its caller has given up by then.
pub const COMMAND_WAIT_MAX: Duration = Duration::from_secs(10);
/// Messages in a registrar's mailbox. What is accepted in all is bounded by the pool.
const MAILBOX_MAX: usize = 65_536;
/// How often a term that could not be loaded is tried again.
const LOAD_PAUSE: Duration = Duration::from_millis(250);

/// Why a command has no answer of the term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too much is waiting already, or the store is not usable; nothing was tried.
    #[error("too much is waiting")]
    Overloaded,
    /// A commit failed: it is not known whether the command holds.
    #[error("the outcome is not known")]
    OutcomeUnknown,
    /// The decision failed; nothing was changed.
    #[error("the decision failed")]
    Failed,
}

/// What a caller gets.
pub type Reply = Result<Outcome, AskError>;

/// A command on its way to its registrar.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ask {
    pub(super) command: Command,
    pub(super) accepted: Instant,
    pub(super) reply: oneshot::Sender<Reply>,
    /// Its place among the accepted: given back with the answer.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Ends the registrar of a term that is to be removed: what is at the store is waited for, what waits is refused.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// Hears when the registrar has done its last.
    pub(super) done: oneshot::Sender<()>,
}

/// Tells whoever waits that the term is loaded.
pub type Loaded = oneshot::Sender<Arc<TermModel>>;

/// What every registrar works with.
#[derive(Clone)]
pub struct RegistrarDeps {
    /// Where terms are kept.
    pub store: Arc<dyn TermStore>,
    /// Where commits are published.
    pub model: Arc<ReadModel>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

enum State {
    /// Waiting for the store to give the term.
    Loading,
    /// Nothing is at the store.
    Idle,
    /// One batch is at the store.
    Committing,
}

/// The actor that owns a term.
pub struct Registrar {
    term: TermId,
    deps: RegistrarDeps,
    published: Option<Arc<TermModel>>,
    state: State,
    waiting: VecDeque<Ask>,
    wait_max: Duration,
    on_loaded: Vec<Loaded>,
    retiring: Option<oneshot::Sender<()>>,
}

impl Registrar {
    /// A registrar for `term`; `on_loaded` hears when it can be read. A command that has waited longer than `wait_max` is
    /// dropped before it is decided.
    #[must_use]
    pub fn new(term: TermId, deps: RegistrarDeps, wait_max: Duration, on_loaded: Loaded) -> Self {
        Self {
            term,
            deps,
            published: None,
            state: State::Loading,
            waiting: VecDeque::new(),
            wait_max,
            on_loaded: vec![on_loaded],
            retiring: None,
        }
    }

    fn load(&mut self, ctx: &mut Context<Self>) {
        self.state = State::Loading;
        let loading = self.deps.store.load(&self.term).into_actor(self);
        ctx.spawn(loading.map(|loaded, act, ctx| match loaded {
            Ok(loaded) => {
                act.published = Some(act.deps.model.publish_loaded(loaded));
                // A line is put in order whatever happened before.
                let batch =
                    TermBatch { term: act.term.clone(), commands: vec![Command::Settle], now: act.deps.clock.now() };
                act.hand_over(batch, Vec::new(), ctx);
            }
            Err(error) => {
                log::error!("term {} cannot be loaded yet: {error}", act.term);
                act.load_later(ctx);
            }
        }));
    }

    /// Tries again after a pause. Nothing was tried for those who wait: they may ask again.
    fn load_later(&mut self, ctx: &mut Context<Self>) {
        self.state = State::Loading;
        self.waiting.drain(..).for_each(|ask| answer(ask.reply, Err(AskError::Overloaded)));
        ctx.run_later(LOAD_PAUSE, Self::load);
    }

    /// Hands the next batch to the store, unless one is there already.
    fn next_batch(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        if let Some(done) = self.retiring.take() {
            self.waiting.drain(..).for_each(|ask| answer(ask.reply, Err(AskError::Overloaded)));
            let _ = done.send(());
            ctx.stop();
            return;
        }
        if self.waiting.is_empty() {
            return;
        }
        let mut commands = Vec::new();
        let mut asks = Vec::new();
        while commands.len() < BATCH_COMMANDS_MAX
            && let Some(ask) = self.waiting.pop_front()
        {
            // Whoever gave up is dropped before it is decided, never after.
            if ask.reply.is_closed() || ask.accepted.elapsed() > self.wait_max {
                answer(ask.reply, Err(AskError::Overloaded));
                continue;
            }
            commands.push(ask.command);
            asks.push((ask.reply, ask._permit));
        }
        if commands.is_empty() {
            return;
        }
        let batch = TermBatch { term: self.term.clone(), commands, now: self.deps.clock.now() };
        self.hand_over(batch, asks, ctx);
    }

    fn hand_over(&mut self, batch: TermBatch, asks: Asks, ctx: &mut Context<Self>) {
        self.state = State::Committing;
        let running = self.deps.store.run(batch).into_actor(self);
        ctx.spawn(running.map(move |outcome, act, ctx| act.committed(outcome, asks, ctx)));
    }

    fn committed(&mut self, outcome: Result<Committed, StoreError>, asks: Asks, ctx: &mut Context<Self>) {
        match outcome {
            Ok(committed) => {
                if let Some(update) = &committed.update {
                    self.publish(update);
                }
                // The first batch after a load is this actor's own, and has no one to answer.
                for ((reply, _permit), told) in asks.into_iter().zip(committed.answers) {
                    answer(reply, told.ok_or(AskError::Failed));
                }
                if let Some(model) = &self.published {
                    self.on_loaded.drain(..).for_each(|waits| drop(waits.send(model.clone())));
                }
                self.state = State::Idle;
                self.next_batch(ctx);
            }
            Err(error) => {
                log::error!("a batch of term {} was not kept: {error}", self.term);
                let told = match error {
                    StoreError::Overloaded | StoreError::Unavailable(_) => AskError::Overloaded,
                    StoreError::Refused(_) => AskError::Failed,
                    StoreError::CommitFailed(_) | StoreError::Corrupt(_) => AskError::OutcomeUnknown,
                };
                if asks.is_empty() {
                    // The first batch after a load, this actor's own: the term cannot go on as it is loaded.
                    self.load_later(ctx);
                } else {
                    asks.into_iter().for_each(|(reply, _permit)| answer(reply, Err(told)));
                    self.load(ctx);
                }
            }
        }
    }

    /// Publishes a commit: the snapshot to readers first, then events to connected students.
    fn publish(&self, update: &TermUpdate) {
        let Some(model) = &self.published else { return };
        let before = model.snapshot();
        model.publish(update);
        let bus = &self.deps.bus;
        let after = model.snapshot();
        let registrations: Vec<RegistrationChange> = update
            .notices
            .iter()
            .filter(|notice| bus.is_listening(&notice.student))
            .map(|notice| RegistrationChange {
                position: after.row(&notice.crn).and_then(|row| {
                    let place = row.line.iter().find(|(_, who)| *who == notice.student)?;
                    Some(row.position(place.0))
                }),
                notice: notice.clone(),
            })
            .collect();
        let positions: Vec<PositionChange> = update
            .sections
            .iter()
            .flat_map(|section| {
                let old = before.row(&section.state.section.id.crn);
                moved_in_line(old.map(|r| (&r.line, r.state.outside_waitlisted)), section, self.deps.clock.now())
            })
            .filter(|moved| bus.is_listening(&moved.student))
            .collect();
        if !(registrations.is_empty() && positions.is_empty()) {
            let (term, seq) = (self.term.clone(), after.seq);
            bus.publish(Event::RegistrationsChanged { term, seq, registrations, positions });
        }
        if update.alerts_stored {
            bus.publish(Event::AlertsStored { seq: None });
        }
    }
}

/// Who has another position than before, of those who were in line already.
fn moved_in_line(
    before: Option<(&Arc<[Place]>, u32)>,
    after: &PublishedSection,
    at: jiff::Timestamp,
) -> Vec<PositionChange> {
    let Some((old, old_outside)) = before else { return Vec::new() };
    let outside = after.state.outside_waitlisted;
    // Most commits leave a line as it is; that is told without looking anybody up.
    if old_outside == outside && old.iter().map(|p| p.0).eq(after.line.iter().map(|p| p.0)) {
        return Vec::new();
    }
    let position = |outside: u32, index: usize| outside.saturating_add(u32::try_from(index + 1).unwrap_or(u32::MAX));
    let was: HashMap<u64, u32> =
        old.iter().enumerate().map(|(index, (place, _))| (*place, position(old_outside, index))).collect();
    let line = after.line.iter().enumerate().map(|(index, (place, who))| (place, who, position(outside, index)));
    line.filter(|(place, _, now)| was.get(place).is_some_and(|old| old != now))
        .map(|(_, student, position)| PositionChange {
            student: student.clone(),
            crn: after.state.section.id.crn.clone(),
            position,
            at,
        })
        .collect()
}

/// Callers of a batch with their places among the accepted.
type Asks = Vec<(oneshot::Sender<Reply>, OwnedSemaphorePermit)>;

fn answer(to: oneshot::Sender<Reply>, reply: Reply) {
    // A caller that hung up needs no answer; what was decided stands.
    let _ = to.send(reply);
}

impl Actor for Registrar {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        self.load(ctx);
    }
}

impl Handler<Ask> for Registrar {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        self.waiting.push_back(ask);
        self.next_batch(ctx);
    }
}

impl Handler<Retire> for Registrar {
    type Result = ();

    fn handle(&mut self, retire: Retire, ctx: &mut Self::Context) {
        self.retiring = Some(retire.done);
        self.next_batch(ctx);
    }
}
