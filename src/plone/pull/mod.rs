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
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::stream::{self, Stream};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::leader::{Leadership, Tenure};
use crate::plone::items_known::ItemsKnown;
use crate::plone::port::{Plone, PloneError};
use crate::plone::pull_gate::PullGate;
use crate::registration::pool::RegistrarPool;
use crate::registration::readmodel::ReadModel;
use crate::registration::registrar::SubmitError;
use crate::store::StoreError;
use crate::store::imports::ImportStore;
use crate::store::lease::Fence;
use crate::store::outbox::OutboxStore;

use events::Events;
use listing::ITEMS_MAX;
use sections::Sections;
use status::{PullCounts, PullFindings, PullStatus, StatusBoard};

/// Dependencies of the pull, under one tenure.
#[derive(Clone)]
pub struct PullDeps {
    /// Plone.
    pub plone: Arc<dyn Plone>,
    /// The tenure under which the pull applies changes.
    pub tenure: Tenure,
    /// The known items of Plone, written under the tenure.
    pub items: Arc<dyn OutboxStore>,
    /// One-off events, written under the tenure.
    pub events: Arc<dyn ImportStore>,
    /// Registrars.
    pub pool: Arc<RegistrarPool>,
    /// Committed terms.
    pub model: Arc<ReadModel>,
    /// Clock used for the times of pulls.
    pub clock: Arc<dyn Clock>,
    /// Where a pull records that it has read all sections under its tenure.
    pub items_known: Arc<ItemsKnown>,
    /// Closed while changes are being applied.
    pub gate: Arc<PullGate>,
}

/// A function that returns the dependencies of a pull under a tenure.
pub type PullDepsUnder = Box<dyn Fn(Tenure) -> PullDeps + Send>;

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
    /// This hub does not lead.
    #[error("another hub pulls Plone's catalogue")]
    NotLeader,
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

/// State that one pull passes to the next under the same tenure. Without it, a pull lists all items, and reads
/// again those that could not be applied.
struct PullState {
    fence: Fence,
    sections: Sections,
    events: Events,
}

impl PullState {
    fn new(fence: Fence, options: PullOptions) -> Self {
        Self { fence, sections: Sections::new(options.every), events: Events::new(options.every) }
    }
}

/// Handle to the pull actor. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    actor: Addr<PullActor>,
    board: Arc<StatusBoard>,
}

impl Puller {
    /// Starts a thread that pulls at the beginning of each tenure, then regularly, and when another hub requests it.
    #[must_use]
    pub fn start(deps: PullDepsUnder, options: PullOptions, leadership: &Leadership) -> Self {
        let board = Arc::new(StatusBoard::default());
        let actor_board = board.clone();
        let (tenure, requests) = (leadership.tenure(), leadership.requests());
        let actor = PullActor::start_in_arbiter(&Arbiter::new().handle(), move |_| PullActor {
            deps,
            options,
            board: actor_board,
            tenure,
            requests,
            is_pulling: false,
            is_requested: false,
            state: None,
            waiting: Vec::new(),
        });
        Self { actor, board }
    }

    /// Pulls the whole catalogue and returns the counts of this pull. Calls during a pull wait for the next one and
    /// share it, because the running pull may have missed changes that were made just before the call.
    ///
    /// # Errors
    /// The reason why the pull ended early; [`PullError::NotLeader`] if another hub pulls.
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
    deps: PullDepsUnder,
    options: PullOptions,
    board: Arc<StatusBoard>,
    tenure: watch::Receiver<Option<Tenure>>,
    requests: watch::Receiver<u64>,
    is_pulling: bool,
    /// Whether another hub has requested a pull that has not begun.
    is_requested: bool,
    /// `None` while a pull runs, and before the first.
    state: Option<PullState>,
    /// Callers that wait for the next pull.
    waiting: Vec<oneshot::Sender<Reply>>,
}

impl Actor for PullActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.start_pull(ctx);
        let tenures = actix::fut::wrap_stream::<_, Self>(changes(self.tenure.clone()));
        ctx.spawn(tenures.map(|(), act, ctx| act.start_pull(ctx)).finish());
        let requests = actix::fut::wrap_stream::<_, Self>(changes(self.requests.clone()));
        ctx.spawn(requests.map(|(), act, ctx| act.requested(ctx)).finish());
        ctx.run_interval(self.options.every, |act, ctx| act.start_pull(ctx));
    }
}

/// Returns the changes of a value.
fn changes<T>(value: watch::Receiver<T>) -> impl Stream<Item = ()> {
    stream::unfold(value, |mut value| async move {
        value.changed().await.ok()?;
        Some(((), value))
    })
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
    fn requested(&mut self, ctx: &mut Context<Self>) {
        self.is_requested = true;
        self.start_pull(ctx);
    }

    /// Starts a pull, unless one is running or another hub leads.
    fn start_pull(&mut self, ctx: &mut Context<Self>) {
        if self.is_pulling {
            return;
        }
        let is_requested = std::mem::take(&mut self.is_requested);
        let Some(tenure) = self.tenure.borrow().clone() else {
            self.waiting.drain(..).for_each(|caller| drop(caller.send(Err(PullError::NotLeader))));
            return;
        };
        let fence = tenure.fence;
        let state = self.state.take().filter(|state| state.fence == fence);
        let state = state.unwrap_or_else(|| PullState::new(fence, self.options));
        self.is_pulling = true;
        self.board.started();
        // A pull on demand always makes full refreshes.
        let full = is_requested || !self.waiting.is_empty();
        let waiting = std::mem::take(&mut self.waiting);
        let pulling = pull((self.deps)(tenure), self.options, state, full);
        ctx.spawn(pulling.into_actor(self).map(move |ended, act, ctx| {
            let reply = ended.outcome.clone().map(|()| ended.found.counts);
            act.ended(ended);
            waiting.into_iter().for_each(|caller| drop(caller.send(reply.clone())));
            let has_new_tenure = act.tenure.borrow().as_ref().is_some_and(|tenure| tenure.fence != fence);
            if has_new_tenure || act.is_requested || !act.waiting.is_empty() {
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
        self.board.ended(ended.at, ended.took, ended.found, error);
        self.is_pulling = false;
        self.state = Some(ended.state);
    }
}

/// The result of a pull.
struct Ended {
    state: PullState,
    found: PullFindings,
    outcome: Result<(), PullError>,
    at: Timestamp,
    took: Duration,
}

async fn pull(deps: PullDeps, options: PullOptions, mut state: PullState, full: bool) -> Ended {
    let began = Instant::now();
    let mut found = PullFindings::default();
    let outcome = async {
        state.sections.pull(&deps, options, full, &mut found).await?;
        // The first pull under a tenure reads all sections.
        deps.items_known.note(deps.tenure.fence);
        state.events.pull(&deps, full, &mut found).await
    };
    let outcome = outcome.await;
    Ended { state, found, outcome, at: deps.clock.now(), took: began.elapsed() }
}
