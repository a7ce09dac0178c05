//! Conditions under which the hub is ready to serve.

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

/// A condition that must hold for the hub to be ready.
pub type Check = Box<dyn Fn() -> Result<(), CheckProblem> + Send + Sync>;

/// Why a check fails, or what is degraded, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum CheckProblem {
    /// A commit failed, and the store cannot be written yet.
    #[error("recovering from a failed commit")]
    StoreRecovering,
    /// The registrars of some terms have not published their sections yet.
    #[error("{n} terms are not loaded yet")]
    TermsNotLoaded {
        /// The number of terms.
        n: usize,
    },
    /// The reader of the bus has stopped.
    #[error("{n} events are queued")]
    EventsQueued {
        /// The number of events.
        n: usize,
    },
    /// Events do not reach other hubs.
    #[error("not connected to NATS: {problem}; live updates from other hubs are late")]
    NotConnected {
        /// What the connection reports.
        problem: String,
    },
}

/// The state of the college's Plone, as `/readyz` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PloneReadiness {
    /// Plone responds.
    Ok,
    /// Plone does not respond, or has not responded yet; the hub is ready without it.
    Unavailable,
    /// This hub has no Plone.
    Off,
}

/// The connection of the hub to other hubs, as `/readyz` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BusReadiness {
    /// The bus is within this process; there are no other hubs.
    Local,
    /// Events reach other hubs.
    Connected,
    /// Events do not reach other hubs, which read changes from the store instead; readiness is not affected.
    Degraded,
}

/// All readiness checks, and the states of Plone and of the connection to other hubs.
pub struct Readiness {
    pub(crate) checks: Vec<(&'static str, Check)>,
    pub(crate) plone: Box<dyn Fn() -> PloneReadiness + Send + Sync>,
    /// Returns the state, and why it is degraded.
    pub(crate) bus: Box<dyn Fn() -> (BusReadiness, Option<CheckProblem>) + Send + Sync>,
    /// Returns whether this hub pulls the catalogue of Plone and writes to Plone; `None` without Plone.
    pub(crate) leader: Box<dyn Fn() -> Option<bool> + Send + Sync>,
}

impl Readiness {
    /// Creates a readiness without checks, of a hub without a connection to others. The state of Plone is reported but
    /// does not affect readiness.
    #[must_use]
    pub fn new(plone: impl Fn() -> PloneReadiness + Send + Sync + 'static) -> Self {
        let bus = Box::new(|| (BusReadiness::Local, None));
        Self { checks: Vec::new(), plone: Box::new(plone), bus, leader: Box::new(|| None) }
    }

    /// Sets the state of the connection to other hubs, and why it is degraded. It is reported but does not affect
    /// readiness: if it did, all hubs would be taken out of service together when NATS fails, although they can do
    /// without it.
    #[must_use]
    pub fn with_bus(mut self, bus: impl Fn() -> (BusReadiness, Option<CheckProblem>) + Send + Sync + 'static) -> Self {
        self.bus = Box::new(bus);
        self
    }

    /// Sets whether this hub leads the work with Plone. It is reported but does not affect readiness.
    #[must_use]
    pub fn with_leader(mut self, leader: impl Fn() -> Option<bool> + Send + Sync + 'static) -> Self {
        self.leader = Box::new(leader);
        self
    }

    /// Adds a check under its name.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), CheckProblem> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }
}
