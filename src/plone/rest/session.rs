//! The hub's own sign-in to Plone: a token by `@login`, kept, looked at now and then, and got anew before it ends.
//!
//! Plone reads public content to anybody, whatever token comes along: a token that is not good any more would quietly
//! turn the hub into a visitor. So it is never used for long without asking Plone whether it still stands for the hub.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::plone::format::token::PloneClaims;
use crate::plone::port::PloneError;

/// For how long a token is believed in.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(60);
/// How long before its end a token is replaced: longer than any call takes.
const RENEWED_BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_secs(600);
/// How long after a refused sign-in no other is tried: a wrong password in the settings must not lock the account.
pub(super) const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// What is known of the hub's sign-in.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) signed_in: Option<SignedIn>,
    /// When the last sign-in was refused, and why.
    pub(super) refused: Option<(Instant, PloneError)>,
}

/// A token, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    pub(super) token: Arc<SecretString>,
    /// When it is to be replaced.
    pub(super) renew_at: Option<Timestamp>,
    /// When Plone last said that it stands for the hub.
    pub(super) checked_at: Instant,
}

impl SignedIn {
    pub(super) fn new(token: SecretString) -> Self {
        use secrecy::ExposeSecret as _;
        let expires_at = PloneClaims::of(token.expose_secret()).and_then(|claims| claims.expires_at);
        let renew_at = expires_at.map(|at| at.checked_sub(RENEWED_BEFORE).unwrap_or(at));
        Self { token: Arc::new(token), renew_at, checked_at: Instant::now() }
    }

    pub(super) fn is_ending(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJzdWIiOiJlZHVodWIiLCJleHAiOjE3OTU1MjIxMDUsImZ1bGxuYW1lIjoiRWR1SHViIn0.x";

    #[test]
    fn a_token_is_replaced_before_it_ends() {
        let signed_in = SignedIn::new(TOKEN.to_owned().into());
        let end = Timestamp::from_second(1_795_522_105).unwrap();
        assert!(!signed_in.is_ending(end - jiff::SignedDuration::from_secs(601)));
        assert!(signed_in.is_ending(end - RENEWED_BEFORE));
    }
}
