//! The pull: reads Plone's catalogue into the hub, on a timer and on demand, one pull at a time. The hub shows what
//! visitors of Plone see; a section that they do not see any more is withdrawn.
//!
//! - `listing`: what visitors see; `reading`: reads of single items
//! - `sections`: applies sections; `compare`: three-way comparison of a section; `items`: which item belongs to which
//!   section
//! - `events`: one-off events
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

/// What the pull depends on.
#[derive(Clone)]
pub struct PullDeps {
    /// Plone.
    pub plone: Arc<dyn Plone>,
    /// Items of Plone that are known.
    pub items: Arc<dyn OutboxStore>,
    /// One-off events.
    pub events: Arc<dyn ImportStore>,
    /// Registrars.
    pub pool: Arc<RegistrarPool>,
    /// Committed terms.
    pub model: Arc<ReadModel>,
    /// Clock used for the times of pulls.
    pub clock: Arc<dyn Clock>,
    /// Set once all of Plone's sections were pulled: before that it is not known which are missing there.
    pub items_known: Arc<AtomicBool>,
}

/// Settings of the pull.
#[derive(Debug, Clone, Copy)]
pub struct PullOptions {
    /// Time between two pulls.
    pub every: Duration,
    /// True when a term that a pull creates is open for registration at once, for demonstrations. Otherwise it is
    /// closed until staff open it.
    pub open_new_terms: bool,
}

/// Why a pull ended early. What it applied by then stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// A call to Plone failed.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// A list kept changing while it was read.
    #[error("Plone's list kept changing while it was read")]
    ListUnstable,
    /// There are more items than the hub accepts.
    #[error("Plone has more than {ITEMS_MAX} items of one kind")]
    TooMany,
    /// The store could not be read or written.
    #[error("what was pulled cannot be stored: {0}")]
    Store(#[from] StoreError),
    /// A registrar did not apply a change.
    #[error("what was pulled cannot be applied: {0}")]
    Registrar(#[from] SubmitError),
}

/// State from one pull to the next. Without it a pull reads everything again.
struct PullState {
    sections: Sections,
    events: Events,
}

impl PullState {
    fn new(options: PullOptions) -> Self {
        Self { sections: Sections::new(options.every), events: Events::new(options.every) }
    }
}

/// Handle on the pull. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    actor: Addr<PullActor>,
    board: Arc<StatusBoard>,
}

impl Puller {
    /// Starts pulling on a thread of its own, at once and regularly.
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

    /// Pulls the whole catalogue and returns its counts. Calls during a pull share the next one, since the present one
    /// may have passed what was changed just before the call.
    ///
    /// # Errors
    /// Why the pull ended early.
    pub async fn pull_now(&self) -> Result<PullCounts, PullError> {
        // The actor has ended with the hub.
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

/// Actor that runs one pull at a time.
struct PullActor {
    deps: PullDeps,
    options: PullOptions,
    board: Arc<StatusBoard>,
    /// None while a pull runs.
    state: Option<PullState>,
    /// Callers that wait for a pull that has not started.
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
    /// Starts a pull unless one runs.
    fn start_pull(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = self.state.take() else { return };
        self.board.started();
        // A requested pull reads everything and relies on no shortcut.
        let whole = !self.waiting.is_empty();
        let waiting = std::mem::take(&mut self.waiting);
        let pulling = pull(self.deps.clone(), self.options, state, whole);
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
        // An outage is logged when it begins and when it ends, not at each pull in between.
        match &error {
            Some(error) if before.as_ref() != Some(error) => log::warn!("Plone's catalogue was not pulled: {error}"),
            None if before.is_some() => log::info!("Plone's catalogue is pulled again"),
            _ => {}
        }
        self.board.ended(self.deps.clock.now(), ended.took, ended.found, error);
        self.state = Some(ended.state);
    }
}

/// A pull that has ended.
struct Ended {
    state: PullState,
    found: PullFindings,
    outcome: Result<(), PullError>,
    took: Duration,
}

async fn pull(deps: PullDeps, options: PullOptions, mut state: PullState, whole: bool) -> Ended {
    let began = Instant::now();
    let mut found = PullFindings::default();
    let outcome = async {
        state.sections.pull(&deps, options, whole, &mut found).await?;
        // The first pull reads all sections.
        deps.items_known.store(true, Ordering::Release);
        state.events.pull(&deps, whole, &mut found).await
    };
    let outcome = outcome.await;
    Ended { state, found, outcome, took: began.elapsed() }
}
