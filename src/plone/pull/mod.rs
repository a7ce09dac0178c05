//! The pull: reads Plone's catalogue into the hub, on a timer and on demand. Pulls do not overlap. The hub contains the
//! sections that visitors of Plone can see; a section that they can no longer see is withdrawn.
//!
//! - `listing`: lists the visible items; `reading`: reads single items
//! - `sections`: applies sections; `compare`: three-way comparison of a section; `items`: assignment of items to
//!   sections
//! - `events`: applies one-off events
//! - [`status`]: state for admins and metrics

mod compare;
mod events;
mod items;
mod listing;
mod reading;
mod sections;
pub mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::plone::port::{Plone, PloneError};
use crate::plone::pull_gate::PullGate;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::registrar::SubmitError;
use crate::store::StoreError;
use crate::store::imports::ImportStore;
use crate::store::outbox::OutboxStore;

use events::Events;
use listing::ITEMS_MAX;
use sections::Sections;
use status::{PullCounts, PullFindings, PullStatus, StatusBoard};

/// Dependencies of the pull.
#[derive(Clone)]
pub struct PullDeps {
    /// Plone.
    pub plone: Arc<dyn Plone>,
    /// The known items of Plone.
    pub items: Arc<dyn OutboxStore>,
    /// One-off events.
    pub events: Arc<dyn ImportStore>,
    /// Registrars.
    pub pool: Arc<RegistrarPool>,
    /// Committed terms.
    pub model: Arc<ReadModel>,
    /// Clock used for the times of pulls.
    pub clock: Arc<dyn Clock>,
    /// Set by the first complete pull of sections. Before that, the hub does not know which sections have an item in
    /// Plone.
    pub items_known: Arc<AtomicBool>,
    /// Closed while changes are being applied.
    pub gate: Arc<PullGate>,
}

/// Settings of the pull.
#[derive(Debug, Clone, Copy)]
pub struct PullOptions {
    /// Time between two pulls.
    pub every: Duration,
    /// True if terms that a pull creates are immediately open for registration, for demonstrations. Otherwise they are
    /// closed until staff open them.
    pub open_new_terms: bool,
}

/// Why a pull ended early. Changes that it applied before are not reverted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// A call to Plone failed.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// A list changed repeatedly while it was read.
    #[error("the list of items in Plone changed repeatedly while it was read")]
    ListUnstable,
    /// Plone has more items of one kind than the hub accepts.
    #[error("Plone has more than {ITEMS_MAX} items of one kind")]
    TooMany,
    /// The store could not be read or written.
    #[error("the pulled content could not be stored: {0}")]
    Store(#[from] StoreError),
    /// A registrar did not apply a change.
    #[error("the pulled content could not be applied: {0}")]
    Registrar(#[from] SubmitError),
}

/// State that one pull passes to the next. Without it, a pull lists all items and reads all events again.
struct PullState {
    sections: Sections,
    events: Events,
}

impl PullState {
    fn new(options: PullOptions) -> Self {
        Self { sections: Sections::new(options.every), events: Events::new(options.every) }
    }
}

/// Handle to the pull actor. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    actor: Addr<PullActor>,
    board: Arc<StatusBoard>,
}

impl Puller {
    /// Starts a thread that pulls immediately and then regularly.
    #[must_use]
    pub fn start(deps: PullDeps, options: PullOptions) -> Self {
        let board = Arc::new(StatusBoard::default());
        let actor_board = board.clone();
        let actor = PullActor::start_in_arbiter(&Arbiter::new().handle(), move |_| PullActor {
            deps,
            options,
            board: actor_board,
            state: Some(PullState::new(options)),
            waiting: Vec::new(),
        });
        Self { actor, board }
    }

    /// Pulls the whole catalogue and returns the counts of this pull. Calls during a pull wait for the next one and
    /// share it, because the running pull may have missed changes that were made just before the call.
    ///
    /// # Errors
    /// The reason why the pull ended early.
    pub async fn pull_now(&self) -> Result<PullCounts, PullError> {
        // The actor ends with the hub.
        let ended = || PullError::Registrar(SubmitError::Overloaded);
        let done = self.actor.send(PullNow).await.map_err(|_| ended())?;
        done.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Returns the state.
    #[must_use]
    pub fn status(&self) -> PullStatus {
        self.board.read()
    }
}

/// Reply to a requested pull.
type Reply = Result<PullCounts, PullError>;

/// Actor that runs the pulls, one after the other.
struct PullActor {
    deps: PullDeps,
    options: PullOptions,
    board: Arc<StatusBoard>,
    /// None while a pull runs.
    state: Option<PullState>,
    /// Callers that wait for the next pull.
    waiting: Vec<oneshot::Sender<Reply>>,
}

impl Actor for PullActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.start_pull(ctx);
        ctx.run_interval(self.options.every, |act, ctx| act.start_pull(ctx));
    }
}

#[derive(Message)]
#[rtype(result = "oneshot::Receiver<Reply>")]
struct PullNow;

impl Handler<PullNow> for PullActor {
    type Result = MessageResult<PullNow>;

    fn handle(&mut self, _: PullNow, ctx: &mut Context<Self>) -> MessageResult<PullNow> {
        let (reply, outcome) = oneshot::channel();
        self.waiting.push(reply);
        self.start_pull(ctx);
        MessageResult(outcome)
    }
}

impl PullActor {
    /// Starts a pull, unless one is running.
    fn start_pull(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = self.state.take() else { return };
        self.board.started();
        // A pull on demand always makes full refreshes.
        let full = !self.waiting.is_empty();
        let waiting = std::mem::take(&mut self.waiting);
        let pulling = pull(self.deps.clone(), self.options, state, full);
        ctx.spawn(pulling.into_actor(self).map(move |ended, act, ctx| {
            let reply = ended.outcome.clone().map(|()| ended.found.counts);
            act.ended(ended);
            waiting.into_iter().for_each(|caller| drop(caller.send(reply.clone())));
            if !act.waiting.is_empty() {
                act.start_pull(ctx);
            }
        }));
    }

    fn ended(&mut self, ended: Ended) {
        let (before, error) = (self.board.read().last_error, ended.outcome.err());
        // An outage is logged when it begins and when it ends, not for each failed pull.
        match &error {
            Some(error) if before.as_ref() != Some(error) => log::warn!("could not pull Plone's catalogue: {error}"),
            None if before.is_some() => log::info!("pulled Plone's catalogue again after failures"),
            _ => {}
        }
        self.board.ended(self.deps.clock.now(), ended.took, ended.found, error);
        self.state = Some(ended.state);
    }
}

/// The result of a pull.
struct Ended {
    state: PullState,
    found: PullFindings,
    outcome: Result<(), PullError>,
    took: Duration,
}

async fn pull(deps: PullDeps, options: PullOptions, mut state: PullState, full: bool) -> Ended {
    let began = Instant::now();
    let mut found = PullFindings::default();
    let outcome = async {
        state.sections.pull(&deps, options, full, &mut found).await?;
        // The first pull reads all sections.
        deps.items_known.store(true, Ordering::Release);
        state.events.pull(&deps, full, &mut found).await
    };
    let outcome = outcome.await;
    Ended { state, found, outcome, took: began.elapsed() }
}
