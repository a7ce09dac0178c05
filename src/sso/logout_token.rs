//! Logout tokens, with which a provider ends sign-ins (OpenID Connect Back-Channel Logout 1.0, section 2.6).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::CoreJwsSigningAlgorithm;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::discovery::Known;
use super::provider::{ALGORITHMS, CLOCK_SKEW_S, Provider, payload};
use super::{SingleSignOn, SsoError};

/// Longest logout token, in bytes. A typical one has about 800.
pub const LOGOUT_TOKEN_LEN_MAX: usize = 16 * 1024;
/// How old a logout token may be, in seconds. A provider sends it at once, and again if the hub does not respond.
const AGE_MAX_S: i64 = 300;
/// Maximum number of logout tokens that are remembered, each for [`AGE_MAX_S`] and the allowed clock skew: all users of
/// a large college at once. More are refused, and the provider sends them again.
const SEEN_MAX: usize = 50_000;
/// Longest id of a logout token, in bytes.
const ID_LEN_MAX: usize = 255;
/// The event that a logout token must contain.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The person or the session whose sign-ins end: at least one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutOf {
    /// The person.
    pub subject: Option<String>,
    /// The session at the provider.
    pub sid: Option<String>,
}

/// Ids of the logout tokens that were accepted, and when they become too old, in seconds since the epoch.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, i64>>);

impl Seen {
    fn add(&self, id: &str, now_s: i64) -> Result<(), SsoError> {
        let mut seen = self.0.lock();
        if seen.len() >= SEEN_MAX {
            seen.retain(|_, until_s| *until_s >= now_s);
        }
        if seen.len() >= SEEN_MAX {
            return Err(SsoError::Busy);
        }
        match seen.insert(id.to_owned(), now_s + AGE_MAX_S + CLOCK_SKEW_S) {
            None => Ok(()),
            Some(_) => Err(invalid("it was used before")),
        }
    }

    /// Forgets a token whose sign-ins could not be ended, so that the provider can send it again.
    fn remove(&self, id: &str) {
        self.0.lock().remove(id);
    }
}

/// A verified logout token.
#[derive(Debug)]
pub struct Logout {
    /// The person or the session whose sign-ins end.
    pub of: LogoutOf,
    id: String,
}

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

fn invalid(what: &str) -> SsoError {
    SsoError::InvalidToken(what.to_owned())
}

impl SingleSignOn {
    /// Allows a verified logout token to be sent again, because the store failed.
    pub fn retry_logout(&self, provider: &Provider, logout: &Logout) {
        provider.logouts.remove(&logout.id);
    }
}

impl Provider {
    /// Verifies a logout token. A token is accepted once.
    ///
    /// # Errors
    /// When it is not a valid logout token of this provider for the hub, or was used before; when the provider's keys
    /// cannot be read, or too many tokens are remembered.
    pub async fn verify_logout(&self, token: &str) -> Result<Logout, SsoError> {
        if token.len() > LOGOUT_TOKEN_LEN_MAX {
            return Err(invalid("it is too long"));
        }
        let known = self.discovery.get().await?;
        if !is_signed(token, &known)? {
            let newer = self.discovery.with_newer_keys(&known).await?;
            if Arc::ptr_eq(&newer, &known) || !is_signed(token, &newer)? {
                return Err(invalid("its signature is wrong"));
            }
        }
        let claims = payload(token).ok_or_else(|| invalid("its claims are unreadable"))?;
        let now_s = self.clock.now().as_second();
        let logout = self.check_logout(&claims, now_s)?;
        self.logouts.add(&logout.id, now_s)?;
        Ok(logout)
    }

    fn check_logout(&self, claims: &Map<String, Value>, now_s: i64) -> Result<Logout, SsoError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        if text("iss") != Some(self.issuer.as_str()) {
            return Err(invalid("it has another issuer"));
        }
        let is_for_hub = match claims.get("aud") {
            Some(Value::String(one)) => one == self.client_id(),
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(self.client_id())),
            _ => false,
        };
        if !is_for_hub {
            return Err(invalid("it is for another client"));
        }
        let (now, skew) = (now_s as f64, CLOCK_SKEW_S as f64);
        let age = now - time("iat").ok_or_else(|| invalid("it has no time of issue"))?;
        if !(-skew..=AGE_MAX_S as f64).contains(&age) {
            return Err(invalid("it was not issued recently"));
        }
        if claims.contains_key("exp") && time("exp").is_none_or(|expires| expires + skew <= now) {
            return Err(invalid("it has expired"));
        }
        let has_event = claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
        if !has_event {
            return Err(invalid("it has no logout event"));
        }
        // An ID token has a nonce, and must not be usable as a logout token.
        if claims.contains_key("nonce") {
            return Err(invalid("it has a nonce"));
        }
        let id =
            text("jti").filter(|id| id.len() <= ID_LEN_MAX).ok_or_else(|| invalid("its id is missing or too long"))?;
        let of = LogoutOf { subject: text("sub").map(str::to_owned), sid: text("sid").map(str::to_owned) };
        if of.subject.is_none() && of.sid.is_none() {
            return Err(invalid("it names neither a person nor a session"));
        }
        Ok(Logout { of, id: id.to_owned() })
    }
}

/// Returns whether a known key has signed a token. Keys that do not match its header are not tried.
fn is_signed(token: &str, known: &Known) -> Result<bool, SsoError> {
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| invalid("it is not a token"))?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid("it is not a token"));
    let (header, _) = signed.split_once('.').ok_or_else(|| invalid("it is not a token"))?;
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| invalid("its algorithm is not accepted"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(invalid("its algorithm is not accepted"));
    }
    let typ = header.typ.as_deref().unwrap_or("jwt").to_ascii_lowercase();
    let is_logout = ["jwt", "logout+jwt", "application/logout+jwt"].contains(&typ.as_str());
    if !is_logout || header.crit.is_some() {
        return Err(invalid("it is another kind of token"));
    }
    let signature = decode(signature)?;
    let named = |key: &&openidconnect::core::CoreJsonWebKey| {
        header.kid.as_deref().is_none_or(|kid| key.key_id().is_some_and(|id| id.as_str() == kid))
    };
    let mut keys = known.metadata.jwks().keys().iter().filter(named);
    Ok(keys.any(|key| key.verify_signature(&header.alg, signed.as_bytes(), &signature).is_ok()))
}
