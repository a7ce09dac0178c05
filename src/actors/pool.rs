//! Finds the registrar of a term, and bounds what is accepted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::prelude::*;
use dashmap::DashMap;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::command::Command;
use crate::domain::ids::TermId;
use crate::readmodel::TermModel;

use super::outcomes::{Outcomes, Sent};
use super::registrar::{Ask, AskError, COMMAND_WAIT_MAX, Registrar, Reply, Surroundings};

/// The registrars, spread over a few threads of their own.
pub struct RegistrarPool {
    around: Surroundings,
    registrars: DashMap<TermId, Addr<Registrar>>,
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
    pub fn new(around: Surroundings, shards: usize, accepted_max: usize) -> Self {
        Self {
            around,
            registrars: DashMap::new(),
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
        // No guard of the map is held across anything that could come back to it: starting an actor only sends.
        if let Some(known) = self.registrars.get(&term) {
            return (known.clone(), None);
        }
        let mut next = self.next_arbiter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.registrars.get(&term) {
            return (known.clone(), None);
        }
        let arbiter = &self.arbiters[*next % self.arbiters.len()];
        *next += 1;
        let (loaded, waits) = oneshot::channel();
        let registrar = Registrar::new(term.clone(), self.around.clone(), self.wait_max, loaded);
        let address = Registrar::start_in_arbiter(&arbiter.handle(), move |_| registrar);
        self.registrars.insert(term, address.clone());
        (address, Some(waits))
    }

    /// Asks the registrar of a term that exists; `None` when there is no such term.
    pub async fn ask(&self, term: &TermId, command: Command) -> Option<Reply> {
        let registrar = self.registrars.get(term)?.clone();
        Some(self.send(&registrar, term, command).await)
    }

    /// Asks the registrar of a term that this command may make.
    pub async fn ask_or_make(&self, term: TermId, command: Command) -> Reply {
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
