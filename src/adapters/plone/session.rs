//! The hub's own sign-in to Plone: a token by `@login`, kept, looked at now and then, and got anew before it ends.
//!
//! Plone reads public content to anybody, whatever token comes along: a token that is not good any more would quietly
//! turn the hub into a visitor. So it is never used for long without asking Plone whether it still stands for the hub.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use crate::ports::plone::PloneError;
use crate::protocol::base64;

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
        let expires_at = Claims::of(token.expose_secret()).and_then(|claims| claims.expires_at);
        let renew_at = expires_at.map(|at| at.checked_sub(RENEWED_BEFORE).unwrap_or(at));
        Self { token: Arc::new(token), renew_at, checked_at: Instant::now() }
    }

    pub(super) fn is_ending(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

/// What a token of Plone (a JWT, RFC 7519) says. Only Plone can tell whether it is true.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The user's id.
    pub(super) subject: String,
    pub(super) expires_at: Option<Timestamp>,
}

impl Claims {
    pub(super) fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&base64::decoded(payload)?).ok()?;
        let subject = claims.get("sub")?.as_str()?.to_owned();
        let expires_at = claims.get("exp").and_then(Value::as_f64).and_then(|seconds| {
            #[expect(clippy::cast_possible_truncation, reason = "a time in seconds is far from the bounds")]
            Timestamp::from_second(seconds as i64).ok()
        });
        Some(Self { subject, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJzdWIiOiJlZHVodWIiLCJleHAiOjE3OTU1MjIxMDUsImZ1bGxuYW1lIjoiRWR1SHViIn0.x";

    #[test]
    fn a_token_says_for_whom_it_is_and_until_when() {
        let claims = Claims::of(TOKEN).unwrap();
        assert_eq!(claims.subject, "eduhub");
        assert_eq!(claims.expires_at, Timestamp::from_second(1_795_522_105).ok());
        for bad in ["", "abc", "a.b.c", "a.!!.c", "a.e30.c"] {
            assert_eq!(Claims::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_replaced_before_it_ends() {
        let signed_in = SignedIn::new(TOKEN.to_owned().into());
        let end = Timestamp::from_second(1_795_522_105).unwrap();
        assert!(!signed_in.is_ending(end - jiff::SignedDuration::from_secs(601)));
        assert!(signed_in.is_ending(end - RENEWED_BEFORE));
    }
}
