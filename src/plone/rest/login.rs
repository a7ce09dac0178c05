//! The hub's own login in Plone: a token of `@login`, kept, verified regularly and replaced before it expires.
//!
//! Plone serves public content to everybody, whatever token a request carries: with a token that is not valid any more,
//! the hub would quietly become a visitor. So a token is never used for long without asking Plone whether it still
//! stands for the hub's user.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::plone::format::token::PloneClaims;
use crate::plone::port::PloneError;

/// How long a token is used without verifying it.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(60);
/// How long before its expiry a token is replaced: longer than any call takes.
const RENEWED_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_secs(600);
/// Pause after a rejected login: a wrong password in the settings must not lock the account.
pub(super) const PAUSE_AFTER_REJECTION: Duration = Duration::from_secs(30);

/// State of the hub's login.
#[derive(Debug, Default)]
pub(super) struct PloneLogin {
    pub(super) token: Option<HubToken>,
    /// When the last login was rejected, and with which error.
    pub(super) rejected: Option<(Instant, PloneError)>,
}

/// A token of the hub's user.
#[derive(Debug, Clone)]
pub(super) struct HubToken {
    pub(super) secret: Arc<SecretString>,
    /// When it is to be replaced; none when it does not expire.
    pub(super) renew_at: Option<Timestamp>,
    /// When Plone last confirmed that it stands for the hub's user.
    pub(super) verified_at: Instant,
}

impl HubToken {
    pub(super) fn new(secret: SecretString) -> Self {
        let expires_at = PloneClaims::of(secret.expose_secret()).and_then(|claims| claims.expires_at);
        let renew_at = expires_at.map(|at| at.checked_sub(RENEWED_BEFORE).unwrap_or(at));
        Self { secret: Arc::new(secret), renew_at, verified_at: Instant::now() }
    }

    pub(super) fn is_expiring(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJzdWIiOiJlZHVodWIiLCJleHAiOjE3OTU1MjIxMDUsImZ1bGxuYW1lIjoiRWR1SHViIn0.x";

    #[test]
    fn a_token_is_replaced_before_it_expires() {
        let token = HubToken::new(TOKEN.to_owned().into());
        let end = Timestamp::from_second(1_795_522_105).unwrap();
        assert!(!token.is_expiring(end - jiff::SignedDuration::from_secs(601)));
        assert!(token.is_expiring(end - RENEWED_BEFORE));
    }
}
