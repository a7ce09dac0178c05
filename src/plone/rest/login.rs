//! The hub's own login in Plone: a token from `@login` that is cached, verified regularly, and replaced before it
//! expires.
//!
//! Plone serves public content even to requests with an invalid token. With an expired token, the hub would therefore
//! silently become a visitor. So a token that was not verified recently is verified before it is used.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::plone::format::token::PloneClaims;
use crate::plone::port::PloneError;

/// Time for which a verified token is used without another check.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(60);
/// Time before its expiry at which a token is replaced. No call takes this long.
const RENEWED_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_secs(600);
/// Pause after a rejected login, so that a wrong password in the settings does not lock the account.
pub(super) const PAUSE_AFTER_REJECTION: Duration = Duration::from_secs(30);

/// State of the hub's login.
#[derive(Debug, Default)]
pub(super) struct PloneLogin {
    pub(super) token: Option<HubToken>,
    /// Time and error of the last rejected login.
    pub(super) rejected: Option<(Instant, PloneError)>,
}

/// A token of the hub's user.
#[derive(Debug, Clone)]
pub(super) struct HubToken {
    pub(super) secret: Arc<SecretString>,
    /// When the token must be replaced; `None` if it does not expire.
    pub(super) renew_at: Option<Timestamp>,
    /// When Plone last confirmed that the token belongs to the hub's user.
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
    fn tokens_are_replaced_before_they_expire() {
        let token = HubToken::new(TOKEN.to_owned().into());
        let end = Timestamp::from_second(1_795_522_105).unwrap();
        assert!(!token.is_expiring(end - jiff::SignedDuration::from_secs(601)));
        assert!(token.is_expiring(end - RENEWED_BEFORE));
    }
}
