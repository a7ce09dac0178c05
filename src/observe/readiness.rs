//! Conditions under which the hub is ready to serve.

use serde::Serialize;
use utoipa::ToSchema;

/// A condition that must hold for the hub to be ready. An error is text for an operator.
pub type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

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

/// All readiness checks, and the state of Plone.
pub struct Readiness {
    pub(crate) checks: Vec<(&'static str, Check)>,
    pub(crate) plone: Box<dyn Fn() -> PloneReadiness + Send + Sync>,
}

impl Readiness {
    /// Creates a readiness without checks. The state of Plone is reported but does not affect readiness.
    #[must_use]
    pub fn new(plone: impl Fn() -> PloneReadiness + Send + Sync + 'static) -> Self {
        Self { checks: Vec::new(), plone: Box::new(plone) }
    }

    /// Adds a check under its name.
    #[must_use]
    pub fn with(mut self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.checks.push((name, Box::new(check)));
        self
    }
}
