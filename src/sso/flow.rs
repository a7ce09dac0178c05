//! A sign-in between its beginning and its end. The browser carries it in an encrypted cookie, so that a flood of
//! sign-ins that are never completed takes no memory of the hub, and no other browser can complete the sign-in.

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use parking_lot::Mutex;
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// Time for a sign-in at the provider, with a second factor and a forgotten password.
pub const FLOW_TTL: Duration = Duration::from_secs(600);
/// Longest path to which a sign-in returns, in bytes.
const NEXT_LEN_MAX: usize = 1_000;
/// Length of the random values, in letters and digits: 256 bits.
const RANDOM_LEN: usize = 43;
/// Ended sign-ins that are remembered, in each of two generations: more than a college has in [`FLOW_TTL`]. Past this,
/// the oldest are forgotten; a provider also accepts each code only once.
const ENDED_MAX: usize = 50_000;
/// Bytes of an AES-256 key.
const KEY_LEN: usize = 32;

/// A sign-in in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Name of the provider.
    pub provider: String,
    /// Random value that the provider returns with the browser.
    pub state: String,
    /// Random value that the ID token must contain.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636).
    pub verifier: String,
    /// Path of the hub to which the browser returns.
    pub next: String,
    /// Origin of the hub that the browser uses.
    pub origin: String,
    /// When the sign-in expires, in seconds since the epoch.
    expires_s: i64,
}

impl Flow {
    /// Begins a sign-in.
    #[must_use]
    pub fn begin(provider: &str, next: Option<&str>, origin: String, now: Timestamp) -> Self {
        let random = || Alphanumeric.sample_string(&mut rand::rng(), RANDOM_LEN);
        Self {
            provider: provider.to_owned(),
            state: random(),
            nonce: random(),
            verifier: random(),
            next: own_path(next.unwrap_or("/")).to_owned(),
            origin,
            expires_s: now.as_second() + FLOW_TTL.as_secs().cast_signed(),
        }
    }
}

/// Returns `next` if it is a path of the hub's pages, and `/` otherwise. Browsers read `//host` and `/\host` as other
/// sites, and ignore tabs and line feeds.
#[must_use]
pub fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.chars().any(char::is_control)
        && next.len() <= NEXT_LEN_MAX
        // A sign-in that leads to a sign-in would never end.
        && !next.starts_with("/auth/");
    if is_own { next } else { "/" }
}

/// The key that encrypts sign-ins, and a record of those that have ended.
pub struct Flows {
    key: Option<RandomizedNonceKey>,
    ended: Mutex<Ended>,
}

/// States of ended sign-ins: those of the current period, and of the previous one.
#[derive(Default)]
struct Ended {
    recent: HashSet<String>,
    earlier: HashSet<String>,
    since_s: i64,
}

impl Ended {
    /// Adds a state. Returns false if it was added before.
    fn add(&mut self, state: &str, now_s: i64) -> bool {
        if self.recent.len() >= ENDED_MAX || now_s - self.since_s > FLOW_TTL.as_secs().cast_signed() {
            self.earlier = std::mem::take(&mut self.recent);
            self.since_s = now_s;
        }
        !self.earlier.contains(state) && self.recent.insert(state.to_owned())
    }
}

struct KeyLen;
impl KeyType for KeyLen {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

/// Derives the key from the hub's secret (HKDF, RFC 5869).
fn key(secret: &SecretString) -> Option<RandomizedNonceKey> {
    let extracted = Salt::new(HKDF_SHA256, b"eduhub").extract(secret.expose_secret().as_bytes());
    let mut bytes = [0; KEY_LEN];
    extracted.expand(&[b"sign-in flow"], KeyLen).ok()?.fill(&mut bytes).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()
}

impl Flows {
    /// Derives the key from the hub's secret, and starts with an empty record.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self { key: key(secret), ended: Mutex::default() }
    }

    /// Encrypts a sign-in for the cookie; `None` if it cannot be encrypted, which valid input never causes.
    #[must_use]
    pub fn seal(&self, flow: &Flow) -> Option<String> {
        let mut bytes = serde_json::to_vec(flow).ok()?;
        let nonce = self.key.as_ref()?.seal_in_place_append_tag(Aad::empty(), &mut bytes).ok()?;
        let sealed: Vec<u8> = nonce.as_ref().iter().copied().chain(bytes).collect();
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Ends a sign-in: decrypts its cookie, which cannot be used again. Returns `None` if the cookie is not that of a
    /// sign-in at `provider` with this `state`, is too old, or was used before.
    #[must_use]
    pub fn end(&self, cookie: &str, provider: &str, state: &str, now: Timestamp) -> Option<Flow> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let plain = self.key.as_ref()?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
        let flow: Flow = serde_json::from_slice(plain).ok()?;
        let is_of_sign_in = flow.provider == provider && flow.state == state && flow.expires_s > now.as_second();
        (is_of_sign_in && self.ended.lock().add(&flow.state, now.as_second())).then_some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn flows(secret: &str) -> Flows {
        Flows::new(&SecretString::from(secret.to_owned()))
    }

    #[test]
    fn a_sign_in_ends_once_in_its_own_browser() {
        let flows = flows("a secret of more than thirty-two bytes");
        let flow = Flow::begin("idp", Some("/staff?x=1#now"), "http://localhost:8000".to_owned(), at(1_000));
        let cookie = flows.seal(&flow).unwrap();
        assert!(cookie.len() < 1_000 && !cookie.contains(&flow.verifier), "{cookie}");
        let mut changed = cookie.clone().into_bytes();
        changed[20] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        let other = self::flows("another secret of more than thirty-two bytes").seal(&flow).unwrap();
        let table = [
            (changed.as_str(), "idp", flow.state.as_str(), 1_000),
            (other.as_str(), "idp", &flow.state, 1_000),
            (&cookie, "other", &flow.state, 1_000),
            (&cookie, "idp", "another state", 1_000),
            (&cookie, "idp", "", 1_000),
            (&cookie, "idp", &flow.state, 1_600),
            ("", "idp", &flow.state, 1_000),
            ("%%", "idp", &flow.state, 1_000),
        ];
        for (cookie, provider, state, now) in table {
            assert_eq!(flows.end(cookie, provider, state, at(now)), None, "{cookie:.12} {provider} {state:.5} {now}");
        }
        assert_eq!(flows.end(&cookie, "idp", &flow.state, at(1_599)), Some(flow.clone()));
        assert_eq!(flows.end(&cookie, "idp", &flow.state, at(1_599)), None, "used");
    }

    #[test]
    fn ended_sign_ins_are_remembered_until_they_expire_in_bounded_memory() {
        let mut ended = Ended::default();
        assert!(ended.add("first", 1_000));
        for n in 0..ENDED_MAX {
            assert!(ended.add(&n.to_string(), 1_001));
        }
        assert!(!ended.add("first", 1_600), "remembered across the change of generation");
        assert!(ended.recent.len() <= ENDED_MAX && ended.earlier.len() <= ENDED_MAX);
    }

    #[test]
    fn sign_ins_return_only_to_pages_of_the_hub() {
        for own in ["/", "/staff", "/?term=202701#alerts", "/admin"] {
            assert_eq!(own_path(own), own);
        }
        let long = format!("/{}", "x".repeat(NEXT_LEN_MAX));
        let foreign = [
            "",
            "staff",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "/\t/evil",
            "/auth/idp/login",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x",
            &long,
        ];
        for foreign in foreign {
            assert_eq!(own_path(foreign), "/", "{foreign:.30}");
        }
    }
}
