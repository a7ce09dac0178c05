//! The catalogue follows Plone: pulled on a timer and on demand, one pull at a time. What visitors of Plone see is what
//! there is; what they do not see any more is withdrawn.
//!
//! - `listing`: what visitors see; `reading`: the items themselves
//! - `sections`: sections; `compare`: what Plone has, had, and the hub has; `known`: which item is which section's
//! - `events`: one-off events
//! - [`status`]: how it stands

mod compare;
mod events;
mod known;
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
use status::{Board, Found, PullCounts, PullStatus};

/// What a pull works with.
#[derive(Clone)]
pub struct PullDeps {
    /// The college's Plone.
    pub plone: Arc<dyn Plone>,
    /// What is known of Plone's items.
    pub items: Arc<dyn OutboxStore>,
    /// Where one-off events are kept.
    pub events: Arc<dyn ImportStore>,
    /// Who decides.
    pub pool: Arc<RegistrarPool>,
    /// What is committed.
    pub model: Arc<ReadModel>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Set once every section of Plone was pulled: before that nobody knows which are missing there.
    pub items_known: Arc<AtomicBool>,
}

/// How is pulled.
#[derive(Debug, Clone, Copy)]
pub struct PullOptions {
    /// From one pull to the next.
    pub every: Duration,
    /// Whether a term that a pull makes is open for registration at once: for demonstrations. Otherwise it is closed
    /// until staff opens it.
    pub open_new_terms: bool,
}

/// Why a pull ended before its time. What it had applied by then stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// Plone did not do what it was asked.
    #[error(transparent)]
    Plone(#[from] PloneError),
    /// A list kept changing while it was read.
    #[error("Plone's list kept changing while it was read")]
    Restless,
    /// There are more items than the hub takes.
    #[error("Plone has more than {ITEMS_MAX} items of one kind")]
    TooMany,
    /// The store did not keep it.
    #[error("what was pulled cannot be kept: {0}")]
    Store(#[from] StoreError),
    /// The registrar did not apply it.
    #[error("what was pulled cannot be applied: {0}")]
    Registrar(#[from] SubmitError),
}

/// What is known from one pull to the next. It can be lost: then the next pull looks at everything again.
struct Memory {
    sections: Sections,
    events: Events,
}

impl Memory {
    fn new(options: PullOptions) -> Self {
        Self { sections: Sections::new(options.every), events: Events::new(options.every) }
    }
}

/// The catalogue's side of the bridge to Plone.
#[derive(Clone)]
pub struct Puller {
    actor: Addr<PullActor>,
    board: Arc<Board>,
}

impl Puller {
    /// Starts pulling, on a thread of its own, at once and from then on.
    #[must_use]
    pub fn start(deps: PullDeps, options: PullOptions) -> Self {
        let board = Arc::new(Board::default());
        let for_actor = board.clone();
        let actor = PullActor::start_in_arbiter(&Arbiter::new().handle(), move |_| PullActor {
            deps,
            options,
            board: for_actor,
            memory: Some(Memory::new(options)),
            waiting: Vec::new(),
        });
        Self { actor, board }
    }

    /// Pulls, looking at everything, and answers what that came to. Whoever asks while a pull is under way shares the
    /// next one: the present one may have passed by what was changed a moment ago.
    ///
    /// # Errors
    /// Why the pull ended before its time.
    pub async fn pull_now(&self) -> Result<PullCounts, PullError> {
        // An actor that has ended with the hub answers nobody.
        let ended = || PullError::Registrar(SubmitError::Overloaded);
        let done = self.actor.send(PullNow).await.map_err(|_| ended())?;
        done.await.unwrap_or_else(|_| Err(ended()))
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> PullStatus {
        self.board.look()
    }
}

/// What whoever asked for a pull is told.
type Outcome = Result<PullCounts, PullError>;

/// The actor.
struct PullActor {
    deps: PullDeps,
    options: PullOptions,
    board: Arc<Board>,
    /// None while a pull is under way.
    memory: Option<Memory>,
    /// Who waits for a pull that has not begun yet.
    waiting: Vec<oneshot::Sender<Outcome>>,
}

impl Actor for PullActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.begin(ctx);
        ctx.run_interval(self.options.every, |act, ctx| act.begin(ctx));
    }
}

#[derive(Message)]
#[rtype(result = "oneshot::Receiver<Outcome>")]
struct PullNow;

impl Handler<PullNow> for PullActor {
    type Result = MessageResult<PullNow>;

    fn handle(&mut self, _: PullNow, ctx: &mut Context<Self>) -> MessageResult<PullNow> {
        let (done, waits) = oneshot::channel();
        self.waiting.push(done);
        self.begin(ctx);
        MessageResult(waits)
    }
}

impl PullActor {
    /// Begins a pull, unless one is under way.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        let Some(memory) = self.memory.take() else { return };
        self.board.begins();
        // Whoever asks wants to see everything, and not what is likely.
        let whole = !self.waiting.is_empty();
        let waiting = std::mem::take(&mut self.waiting);
        let pulling = pull(self.deps.clone(), self.options, memory, whole);
        ctx.spawn(pulling.into_actor(self).map(move |ended, act, ctx| {
            let outcome = ended.outcome.clone().map(|()| ended.found.counts);
            act.ended(ended);
            waiting.into_iter().for_each(|waits| drop(waits.send(outcome.clone())));
            if !act.waiting.is_empty() {
                act.begin(ctx);
            }
        }));
    }

    fn ended(&mut self, ended: Ended) {
        let (before, error) = (self.board.look().last_error, ended.outcome.err());
        // An outage is told when it begins and when it is over, not each time in between.
        match &error {
            Some(error) if before.as_ref() != Some(error) => log::warn!("Plone's catalogue was not pulled: {error}"),
            None if before.is_some() => log::info!("Plone's catalogue is pulled again"),
            _ => {}
        }
        self.board.ended(self.deps.clock.now(), ended.took, ended.found, error);
        self.memory = Some(ended.memory);
    }
}

/// A pull that has ended.
struct Ended {
    memory: Memory,
    found: Found,
    outcome: Result<(), PullError>,
    took: Duration,
}

async fn pull(deps: PullDeps, options: PullOptions, mut memory: Memory, whole: bool) -> Ended {
    let begun = Instant::now();
    let mut found = Found::default();
    let outcome = async {
        memory.sections.pull(&deps, options, whole, &mut found).await?;
        // The first pull of sections looks at everything.
        deps.items_known.store(true, Ordering::Release);
        memory.events.pull(&deps, whole, &mut found).await
    };
    let outcome = outcome.await;
    Ended { memory, found, outcome, took: begun.elapsed() }
}
