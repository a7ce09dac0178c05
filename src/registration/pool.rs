//! Finds the registrar of a term, and bounds what is accepted.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use dashmap::DashMap;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::command::Command;
use crate::domain::ids::TermId;
use crate::domain::realm::Realm;
use crate::registration::readmodel::TermModel;

use crate::registration::outcomes::{Outcomes, Sent};
use crate::registration::registrar::{Ask, AskError, COMMAND_WAIT_MAX, Registrar, RegistrarDeps, Reply, Retire};

/// The registrars, spread over a few threads of their own.
pub struct RegistrarPool {
    deps: RegistrarDeps,
    registrars: DashMap<TermId, Addr<Registrar>>,
    /// Those of sandboxes, apart: a command reaches one only by [`RegistrarPool::ask_in`].
    sandboxes: DashMap<TermId, Addr<Registrar>>,
    arbiters: Vec<Arbiter>,
    next_arbiter: Mutex<usize>,
    /// One for each command between acceptance and answer. (A mailbox alone bounds nothing: each clone of an address
    /// has a slot of its own.)
    accepted: Arc<Semaphore>,
    accepted_max: usize,
    outcomes: Outcomes,
    wait_max: Duration,
}

impl RegistrarPool {
    /// A pool on `shards` threads that accepts at most `accepted_max` commands at a time.
    #[must_use]
    pub fn new(deps: RegistrarDeps, shards: usize, accepted_max: usize) -> Self {
        Self {
            deps,
            registrars: DashMap::new(),
            sandboxes: DashMap::new(),
            arbiters: (0..shards.max(1)).map(|_| Arbiter::new()).collect(),
            next_arbiter: Mutex::new(0),
            accepted: Arc::new(Semaphore::new(accepted_max)),
            accepted_max,
            outcomes: Outcomes::default(),
            wait_max: COMMAND_WAIT_MAX,
        }
    }

    /// The same pool with another bound on how long a command may wait before it is decided.
    #[must_use]
    pub const fn with_wait_max(mut self, wait_max: Duration) -> Self {
        self.wait_max = wait_max;
        self
    }

    /// Commands between acceptance and answer.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted_max - self.accepted.available_permits()
    }

    /// Terms that have a registrar, loaded or not.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.registrars.len()
    }

    /// How what was asked has ended so far.
    #[must_use]
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Starts a registrar for each term of the store, and waits until all can be read.
    pub async fn start(&self, terms: Vec<TermId>) {
        let loading: Vec<_> = terms.into_iter().filter_map(|term| self.ensure(term).1).collect();
        for term in loading {
            // The sender lives in the registrar, which tries until it has loaded: only a shutdown drops it.
            let _ = term.await;
        }
    }

    /// The registrar of a term, started when there is none; and, for a new one, what hears that it is loaded.
    fn ensure(&self, term: TermId) -> (Addr<Registrar>, Option<oneshot::Receiver<Arc<TermModel>>>) {
        let registrars = if term.is_sandbox() { &self.sandboxes } else { &self.registrars };
        // No guard of the map is held across anything that could come back to it: starting an actor only sends.
        if let Some(known) = registrars.get(&term) {
            return (known.clone(), None);
        }
        let mut next = self.next_arbiter.lock();
        if let Some(known) = registrars.get(&term) {
            return (known.clone(), None);
        }
        let arbiter = &self.arbiters[*next % self.arbiters.len()];
        *next += 1;
        let (loaded, waits) = oneshot::channel();
        let registrar = Registrar::new(term.clone(), self.deps.clone(), self.wait_max, loaded);
        let address = Registrar::start_in_arbiter(&arbiter.handle(), move |_| registrar);
        registrars.insert(term, address.clone());
        (address, Some(waits))
    }

    /// Asks the registrar of a term that exists; `None` when there is no such term.
    pub async fn ask(&self, term: &TermId, command: Command) -> Option<Reply> {
        let registrar = self.registrars.get(term)?.clone();
        Some(self.send(&registrar, term, command).await)
    }

    /// Sends a command to a term of the caller's realm; `None` when the realm has no such term. Commands of a sandbox
    /// enter no statistics.
    pub async fn ask_in(&self, realm: &Realm, term: &TermId, command: Command) -> Option<Reply> {
        match realm {
            Realm::College => self.ask(term, command).await,
            Realm::Sandbox(own) if own == term => {
                let registrar = self.sandboxes.get(term)?.clone();
                Some(self.send_uncounted(&registrar, command).await)
            }
            Realm::Sandbox(_) => None,
        }
    }

    /// Starts the registrar of a sandbox, and waits until it can be asked.
    pub async fn open_sandbox(&self, term: TermId) {
        if let (true, (_, Some(loaded))) = (term.is_sandbox(), self.ensure(term.clone())) {
            // Only a shutdown drops the sender.
            let _ = loaded.await;
        }
    }

    /// Ends the registrar of a sandbox; once this returns it writes and publishes nothing any more.
    pub async fn retire_sandbox(&self, term: &TermId) {
        let Some((_, registrar)) = self.sandboxes.remove(term) else { return };
        let (done, ended) = oneshot::channel();
        if registrar.send(Retire { done }).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Asks the registrar of a term that this command may make. A sandbox is made in no such way.
    pub async fn ask_or_make(&self, term: TermId, command: Command) -> Reply {
        if term.is_sandbox() {
            return self.ask_in(&Realm::of(&term), &term, command).await.unwrap_or(Err(AskError::Failed));
        }
        let (registrar, _) = self.ensure(term.clone());
        self.send(&registrar, &term, command).await
    }

    async fn send(&self, registrar: &Addr<Registrar>, term: &TermId, command: Command) -> Reply {
        let sent = Sent::new(term, &command);
        let reply = self.send_uncounted(registrar, command).await;
        self.outcomes.count(&sent, &reply);
        reply
    }

    async fn send_uncounted(&self, registrar: &Addr<Registrar>, command: Command) -> Reply {
        let permit = self.accepted.clone().try_acquire_owned().map_err(|_| AskError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        registrar
            .try_send(Ask { command, accepted: Instant::now(), reply, _permit: permit })
            .map_err(|_| AskError::Overloaded)?;
        // A registrar that ended without an answer may have committed.
        answer.await.unwrap_or(Err(AskError::OutcomeUnknown))
    }
}
