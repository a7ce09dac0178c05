//! The owner of one term. Orders the term's commands and commits them in batches: one batch is in flight, and commands
//! that arrive during it form the next one (group commit). After each commit the registrar publishes the new state
//! before it replies, so that a caller who has a reply can read the state that it reports.
//!
//! There is one way to build the term, at the start, after a pause and after a batch that failed: the callers of a
//! failed batch get their reply (`outcome_unknown` if the commit itself failed), the term is loaded from the store, its
//! waitlists are settled, and only then is the next batch decided.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::bus::{Bus, Event, PositionChange, RegistrationChange};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::ids::TermId;
use crate::domain::offer::OfferSettings;
use crate::domain::outcome::Outcome;
use crate::domain::published::TermUpdate;
use crate::domain::section::Credits;
use crate::registration::execution::{BatchExecutor, CommittedBatch, TermState};
use crate::registration::position_changes::position_changes;
use crate::registration::readmodel::{ReadModel, TermModel};
use crate::registration::shedding::Shedder;
use crate::registration::submitted::{Replied, Submitted};
use crate::store::StoreError;
use crate::store::terms::TermStore;

/// Maximum number of commands in one batch. The reply to the first waits for the decisions of all, a few microseconds
/// each.
pub const BATCH_COMMANDS_MAX: usize = 1_024;
/// How long a command may wait before it is decided, including the time while the term is loaded again. After that time
/// its caller has given up. Under overload [`Shedder`] allows less.
pub const COMMAND_WAIT_MAX: Duration = Duration::from_secs(10);
/// The capacity of a registrar's mailbox. The pool bounds how many commands are accepted in total.
const MAILBOX_MAX: usize = 65_536;
/// The longest wait of the timer for deadlines: of reserved seats to release, and of offers. Deadlines are times of the
/// hub's clock, and timers count monotonic time, so this bounds how late a deadline is handled after the clock was set
/// forward. Each decision after a deadline handles it first.
const DEADLINE_WAIT_MAX: Duration = Duration::from_secs(60);
/// The pause before a term that could not be loaded is loaded again.
const LOAD_PAUSE: Duration = Duration::from_millis(250);

/// Why a submitted command has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many commands are waiting, the command waited too long, or the store is unavailable. Nothing was changed.
    #[error("too many commands are waiting")]
    Overloaded,
    /// A commit failed: it is not known whether the command took effect.
    #[error("the outcome is not known")]
    OutcomeUnknown,
    /// The decision failed; nothing was changed.
    #[error("the decision failed")]
    Failed,
}

/// The reply to a submitted command.
pub type Reply = Result<Outcome, SubmitError>;

/// A command on its way to its registrar.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submission {
    pub(super) command: Submitted,
    /// When the pool accepted the command.
    pub(super) accepted: Instant,
    pub(super) caller: Caller,
}

/// The recipient of a reply.
pub(super) struct Caller {
    pub(super) reply: oneshot::Sender<Result<Replied, SubmitError>>,
    /// Counts the command as accepted until the reply.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Caller {
    fn send(self, reply: Result<Replied, SubmitError>) {
        // A caller that has disconnected needs no reply; the decision stands.
        let _ = self.reply.send(reply);
    }
}

/// A request to end the registrar of a term that will be removed. The batch in flight is finished, and waiting
/// commands are rejected.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// Notified after the registrar's last commit.
    pub(super) done: oneshot::Sender<()>,
}

/// A request to stop the commits of a term while its rows are changed outside of a decision. The batch in flight is
/// finished first; commands that arrive during the pause wait.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Pause {
    /// Notified when nothing is being committed.
    pub(super) paused: oneshot::Sender<()>,
    /// When it resolves, or its sender is dropped, the term is loaded again and the registrar continues.
    pub(super) resume: oneshot::Receiver<()>,
    /// Notified when the term is loaded again.
    pub(super) loaded: Loaded,
}

/// The notification that other hubs have committed to the term. A registrar that lacks these commits reads them between
/// two batches.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Follow {
    /// The sequence of the last commit.
    pub(super) seq: u64,
}

/// The sender that is used when the term is loaded and can be read.
pub type Loaded = oneshot::Sender<Arc<TermModel>>;

/// What every registrar depends on.
#[derive(Clone)]
pub struct RegistrarDeps {
    /// The store of terms.
    pub store: Arc<dyn TermStore>,
    /// Maximum number of credits in which a student may enroll per term; 0 for no limit.
    pub credit_limit: Credits,
    /// How many times a student may take a course; 0 means no limit.
    pub repeat_limit: u32,
    /// Whether and how long seats are offered to students on waitlists.
    pub offers: OfferSettings,
    /// The published snapshots, for readers.
    pub model: Arc<ReadModel>,
    /// The bus, for events to connected students.
    pub bus: Arc<dyn Bus>,
    /// Clock used for decisions.
    pub clock: Arc<dyn Clock>,
}

/// The phase of a registrar. Only an idle registrar has the term's state: a batch takes it, and loses it if it fails.
enum Phase {
    /// The term is being loaded.
    Loading,
    /// The term is loaded, and no batch is in flight.
    Idle(Box<TermState>),
    /// A batch is in flight.
    Committing,
}

/// How long commands may wait before they are decided.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// The longest wait in any state.
    pub max: Duration,
    /// The longest expected time from acceptance to reply of a student's command under overload; see [`Shedder`].
    pub overload: Duration,
}

/// The running timer of a registrar.
struct DeadlineTimer {
    /// The deadline for which it was set.
    deadline: Timestamp,
    handle: SpawnHandle,
}

/// The actor that owns a term.
pub struct Registrar {
    term: TermId,
    deps: RegistrarDeps,
    executor: BatchExecutor,
    published: Option<Arc<TermModel>>,
    phase: Phase,
    queue: VecDeque<Submission>,
    shedder: Shedder,
    on_loaded: Vec<Loaded>,
    retiring: Option<oneshot::Sender<()>>,
    pausing: VecDeque<Pause>,
    timer: Option<DeadlineTimer>,
    /// The sequence up to which other hubs have committed.
    follow_to: u64,
}

impl Registrar {
    /// Creates a registrar for `term`, which loads the term when it is started and then notifies `on_loaded`. A command
    /// that has waited longer than `waits` allow is rejected before it is decided.
    #[must_use]
    pub fn new(term: TermId, deps: RegistrarDeps, waits: Waits, on_loaded: Loaded) -> Self {
        Self {
            term,
            executor: BatchExecutor::new(deps.store.clone(), deps.credit_limit)
                .with_repeat_limit(deps.repeat_limit)
                .with_offers(deps.offers),
            deps,
            published: None,
            phase: Phase::Loading,
            queue: VecDeque::new(),
            shedder: Shedder::new(waits.overload, waits.max, BATCH_COMMANDS_MAX),
            on_loaded: vec![on_loaded],
            retiring: None,
            pausing: VecDeque::new(),
            timer: None,
            follow_to: 0,
        }
    }

    fn load(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Loading;
        let loading = self.executor.load(&self.term).into_actor(self);
        ctx.spawn(loading.map(|loaded, act, ctx| match loaded {
            Ok((state, term)) => {
                act.published = Some(act.deps.model.publish_loaded(term));
                // All waitlists are settled, because a setting such as the credit limit may have changed since the
                // last run.
                act.execute(state, vec![Command::Settle.into()], Vec::new(), ctx);
            }
            Err(error) => {
                log::error!("term {} cannot be loaded yet: {error}", act.term);
                act.load_later(ctx);
            }
        }));
    }

    /// Loads the term again after a pause. The waiting commands were not tried: their callers may submit them again.
    fn load_later(&mut self, ctx: &mut Context<Self>) {
        self.phase = Phase::Loading;
        self.reject_queue();
        ctx.run_later(LOAD_PAUSE, Self::load);
    }

    fn reject_queue(&mut self) {
        self.queue.drain(..).for_each(|submission| submission.caller.send(Err(SubmitError::Overloaded)));
    }

    /// Retires or pauses if that is requested; otherwise commits the next batch, or reads what other hubs committed if
    /// no command waits. Does nothing while a batch is in flight or the term is being loaded.
    fn next_batch(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.phase, Phase::Idle(_)) {
            return;
        }
        if let Some(done) = self.retiring.take() {
            self.reject_queue();
            let _ = done.send(());
            ctx.stop();
            return;
        }
        if let Some(Pause { paused, resume, loaded }) = self.pausing.pop_front() {
            // The state is dropped, because its rows will change.
            self.phase = Phase::Loading;
            self.on_loaded.push(loaded);
            let _ = paused.send(());
            ctx.spawn(resume.into_actor(self).map(|_, act, ctx| act.load(ctx)));
            return;
        }
        let (commands, callers) = self.take_batch();
        if commands.is_empty() {
            // A batch itself reads what other hubs committed.
            self.follow(ctx);
            return;
        }
        if let Phase::Idle(state) = std::mem::replace(&mut self.phase, Phase::Committing) {
            self.execute(state, commands, callers, ctx);
        }
    }

    /// Reads and publishes what other hubs committed, if there is anything.
    fn follow(&mut self, ctx: &mut Context<Self>) {
        if !matches!(&self.phase, Phase::Idle(state) if state.seq() < self.follow_to) {
            return;
        }
        let Phase::Idle(state) = std::mem::replace(&mut self.phase, Phase::Committing) else { return };
        // If the read fails, the next message repeats it.
        self.follow_to = 0;
        let reading = self.executor.changes_after(&state).into_actor(self);
        ctx.spawn(reading.map(move |changes, act, ctx| {
            let followed = match changes {
                Ok(changes) => state.caught_up(changes),
                Err(error) => {
                    log::warn!("the commits of other hubs to term {} cannot be read yet: {error}", act.term);
                    Some((state, None))
                }
            };
            let Some((state, update)) = followed else { return act.load_later(ctx) };
            update.iter().for_each(|update| act.publish(update, Origin::OtherHub));
            act.become_idle(state, ctx);
        }));
    }

    /// Takes the state after a commit or a read, sets the timer, and starts the next batch.
    fn become_idle(&mut self, state: Box<TermState>, ctx: &mut Context<Self>) {
        self.time_deadline(state.next_deadline(), ctx);
        self.phase = Phase::Idle(state);
        self.next_batch(ctx);
    }

    /// Sets the timer to the term's next deadline. A registrar without deadlines has no timer, because a timer keeps
    /// an actor without senders alive.
    fn time_deadline(&mut self, next: Option<Timestamp>, ctx: &mut Context<Self>) {
        if self.timer.as_ref().map(|timer| timer.deadline) == next {
            return;
        }
        if let Some(old) = self.timer.take() {
            ctx.cancel_future(old.handle);
        }
        if let Some(deadline) = next {
            let until = deadline.duration_since(self.deps.clock.now());
            let wait = Duration::try_from(until).unwrap_or_default().min(DEADLINE_WAIT_MAX);
            self.timer = Some(DeadlineTimer { deadline, handle: ctx.run_later(wait, Self::handle_deadlines) });
        }
    }

    /// Releases reserved seats, ends offers, and sends reminders of offers that are due by the hub's clock. Every
    /// decision does this, too. While a batch is in flight, its commit does it, or sets the timer again.
    fn handle_deadlines(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        let Phase::Idle(state) = &self.phase else { return };
        let (next, now) = (state.next_deadline(), self.deps.clock.now());
        if next.is_none_or(|at| now < at) {
            self.time_deadline(next, ctx);
        } else if let Phase::Idle(state) = std::mem::replace(&mut self.phase, Phase::Committing) {
            self.execute(state, vec![Command::Settle.into()], Vec::new(), ctx);
        }
    }

    /// Takes the commands of the next batch from the queue. Rejects expired commands and those whose callers have given
    /// up. All commands that it returns are decided.
    fn take_batch(&mut self) -> (Vec<Submitted>, Vec<Caller>) {
        let (mut commands, mut callers) = (Vec::new(), Vec::new());
        let now = Instant::now();
        self.shedder.taking(self.queue.front().map(|oldest| oldest.accepted), now);
        let commands_max = self.shedder.batch_max();
        while commands.len() < commands_max
            && let Some(Submission { command, accepted, caller }) = self.queue.pop_front()
        {
            if caller.reply.is_closed() || self.shedder.is_too_old(command.command.is_from_student(), accepted, now) {
                caller.send(Err(SubmitError::Overloaded));
                continue;
            }
            commands.push(command);
            callers.push(caller);
        }
        self.shedder.taken(commands.len(), now);
        (commands, callers)
    }

    fn execute(
        &mut self,
        state: Box<TermState>,
        commands: Vec<Submitted>,
        callers: Vec<Caller>,
        ctx: &mut Context<Self>,
    ) {
        self.phase = Phase::Committing;
        let (began, count) = (Instant::now(), commands.len());
        let all_from_students = commands.iter().all(|one| one.command.is_from_student());
        let running = self.executor.run(state, commands, self.deps.clock.now()).into_actor(self);
        ctx.spawn(running.map(move |result, act, ctx| match result {
            Ok(batch) => {
                // The time of an import says nothing about the time of registrations.
                if all_from_students {
                    act.shedder.committed(count, began.elapsed());
                }
                act.committed(batch, callers, ctx);
            }
            Err(error) => act.failed(&error, callers, ctx),
        }));
    }

    /// Publishes a committed batch, replies to its callers, and starts the next batch.
    fn committed(&mut self, batch: CommittedBatch, callers: Vec<Caller>, ctx: &mut Context<Self>) {
        batch.updates.iter().for_each(|update| self.publish(update, Origin::Batch));
        // A batch of the registrar itself, such as the one after a load, has no callers.
        let replies = batch.outcomes.into_iter().zip(batch.receipts);
        for (caller, (outcome, receipts)) in callers.into_iter().zip(replies) {
            caller.send(outcome.map(|outcome| Replied { outcome, receipts }).ok_or(SubmitError::Failed));
        }
        if let Some(model) = &self.published {
            self.on_loaded.drain(..).for_each(|loaded| drop(loaded.send(model.clone())));
        }
        self.become_idle(batch.state, ctx);
    }

    /// Replies to the callers of a batch whose commit failed, and rebuilds the term.
    fn failed(&mut self, error: &StoreError, callers: Vec<Caller>, ctx: &mut Context<Self>) {
        log::error!("a batch of term {} failed: {error}", self.term);
        let reply = match error {
            StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::Superseded(_) => SubmitError::Overloaded,
            StoreError::Refused(_) => SubmitError::Failed,
            StoreError::CommitFailed(_) | StoreError::Corrupt(_) => SubmitError::OutcomeUnknown,
        };
        if callers.is_empty() {
            // A batch of the registrar itself failed, such as the one after a load. Loading at once would probably
            // fail, too.
            self.load_later(ctx);
        } else {
            callers.into_iter().for_each(|caller| caller.send(Err(reply)));
            self.load(ctx);
        }
    }

    /// Publishes a commit: the snapshot to readers first, then events to connected students.
    fn publish(&self, update: &TermUpdate, origin: Origin) {
        let Some(model) = &self.published else { return };
        let before = model.snapshot();
        model.publish(update);
        let bus = &self.deps.bus;
        let after = model.snapshot();
        let registrations: Vec<RegistrationChange> = update
            .notices
            .iter()
            .filter(|notice| bus.may_be_connected(&notice.student))
            .map(|notice| RegistrationChange {
                position: after.row(&notice.crn).and_then(|row| {
                    let entry = row.waitlist.iter().find(|entry| entry.student == notice.student)?;
                    Some(row.position(entry.queue_number))
                }),
                notice: notice.clone(),
            })
            .collect();
        let positions: Vec<PositionChange> = update
            .sections
            .iter()
            .flat_map(|section| {
                let before = before.row(&section.state.section.id.crn);
                position_changes(before, section, self.deps.clock.now())
            })
            .filter(|change| bus.may_be_connected(&change.student))
            .collect();
        let is_own = origin == Origin::Batch;
        let publish = |event| if is_own { bus.publish(event) } else { bus.publish_here(event) };
        let concerns_users = !(registrations.is_empty() && positions.is_empty());
        // Other hubs read every commit, even if it concerns no user who is connected here.
        if concerns_users || (is_own && bus.has_other_hubs()) {
            let (term, seq) = (self.term.clone(), after.seq);
            publish(Event::RegistrationsChanged { term, seq, registrations, positions });
        }
        if update.alerts_stored {
            publish(Event::AlertsStored { seq: None });
        }
    }
}

/// Where an update comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A batch of this hub. It may contain commits of other hubs that were read inside its transaction.
    Batch,
    /// Commits of other hubs, which announced them.
    OtherHub,
}

impl Actor for Registrar {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
        self.load(ctx);
    }
}

impl Handler<Submission> for Registrar {
    type Result = ();

    fn handle(&mut self, submission: Submission, ctx: &mut Self::Context) {
        if submission.command.command.is_from_student() && !self.shedder.admits(self.queue.len(), Instant::now()) {
            submission.caller.send(Err(SubmitError::Overloaded));
            return;
        }
        self.queue.push_back(submission);
        self.next_batch(ctx);
    }
}

impl Handler<Follow> for Registrar {
    type Result = ();

    fn handle(&mut self, follow: Follow, ctx: &mut Self::Context) {
        self.follow_to = self.follow_to.max(follow.seq);
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

impl Handler<Pause> for Registrar {
    type Result = ();

    fn handle(&mut self, pause: Pause, ctx: &mut Self::Context) {
        self.pausing.push_back(pause);
        self.next_batch(ctx);
    }
}
