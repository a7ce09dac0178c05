//! Signed access tokens: JSON Web Tokens (RFC 7519) with HMAC-SHA256. Verification needs neither the store nor a lock,
//! so it is fast enough for 20,000 requests a second.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::{TermId, UserName};
use crate::domain::realm::Realm;
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;

use crate::identity::{Caller, SignInOrigin, Source};

/// Longest token that is parsed, in bytes. The longest tokens of the hub have about 800, and 2,300 more with a full
/// list of subjects.
const TOKEN_LEN_MAX: usize = 4_096;
/// Longest lifetime of a token: a hundred years, so that its expiry is a valid timestamp.
const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Claims of a token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    role: Role,
    // The subjects to which staff are limited. Tokens from before there were limits have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subjects: Option<Subjects>,
    iat: i64,
    exp: i64,
    jti: String,
    // With whole seconds, tokens issued just before and just after a password change could not be distinguished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_hub")]
    src: Source,
    // The user of Plone that single sign-on states for the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plone: Option<String>,
    // The sandbox term to which the token is confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sandbox: Option<String>,
}

fn is_hub(source: &Source) -> bool {
    *source == Source::Hub
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is malformed or was not signed by this hub.
    #[error("not a token of this hub")]
    Foreign,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The request has several cookies with a token, so a page of another host of the domain may have set one.
    #[error("several cookies with a token")]
    Ambiguous,
    /// The token has ended, such as by a sign-out, or because the password or the role of its user changed.
    #[error("the token was signed out")]
    SignedOut,
}

/// A newly signed token.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// The identity that the token grants.
    pub caller: Caller,
}

/// A signer of tokens with one secret, and a verifier of those of this secret and of the previous one.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    /// Verifies tokens that were signed before the secret was changed.
    verifying_previous: Option<DecodingKey>,
    validation: Validation,
}

impl Tokens {
    /// Creates a signer with a secret of at least [`crate::identity::secret::SECRET_LEN_MIN`] bytes.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // `verify` compares the expiry with the hub's clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            verifying_previous: None,
            validation,
        }
    }

    /// Also accepts tokens that were signed with the previous secret, until they expire.
    #[must_use]
    pub fn accepting(mut self, previous: Option<&SecretString>) -> Self {
        self.verifying_previous = previous.map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes()));
        self
    }

    /// Signs a token for `user` that is valid for `ttl` from `now` on; `None` if it cannot be signed, which valid input
    /// never causes.
    #[must_use]
    pub fn mint(
        &self,
        user: &UserName,
        name: Option<&str>,
        rights: impl Into<Rights>,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<Minted> {
        self.mint_with_origin(Source::Hub, user, name, rights, ttl, now)
    }

    /// Signs a token that is valid only in `sandbox`; `None` if that term is not a sandbox.
    #[must_use]
    pub fn mint_for_sandbox(
        &self,
        sandbox: &TermId,
        user: &UserName,
        role: Role,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<Minted> {
        self.sign(Claims {
            sandbox: Some(sandbox.to_string()),
            ..claims(Source::Hub.into(), user, None, &role.into(), ttl, now)?
        })
    }

    /// Signs a token like [`Tokens::mint`] for a user whose sign-in comes from `origin`.
    #[must_use]
    pub fn mint_with_origin(
        &self,
        origin: impl Into<SignInOrigin>,
        user: &UserName,
        name: Option<&str>,
        rights: impl Into<Rights>,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<Minted> {
        self.sign(claims(origin.into(), user, name, &rights.into(), ttl, now)?)
    }

    #[expect(clippy::needless_pass_by_value, reason = "the claims are built for one token")]
    fn sign(&self, claims: Claims) -> Option<Minted> {
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()?;
        Some(Minted { token, caller: caller_of(&claims).ok()? })
    }

    /// Verifies the signature and the expiry of a token. [`crate::identity::Identity::verify`] also checks whether it
    /// was revoked.
    ///
    /// # Errors
    /// When it is not a token of this hub or has expired.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Foreign);
        }
        let decode = |key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok();
        let decoded = decode(&self.verifying).or_else(|| decode(self.verifying_previous.as_ref()?));
        let claims = decoded.ok_or(TokenError::Foreign)?.claims;
        if claims.exp <= now.as_second() {
            return Err(TokenError::Expired);
        }
        caller_of(&claims)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

fn claims(
    origin: SignInOrigin,
    user: &UserName,
    name: Option<&str>,
    rights: &Rights,
    ttl: Duration,
    now: Timestamp,
) -> Option<Claims> {
    let ttl_s = i64::try_from(ttl.min(TTL_MAX).as_secs()).ok()?;
    Some(Claims {
        sub: user.as_str().to_owned(),
        name: name.map(str::to_owned),
        role: rights.role(),
        subjects: rights.subjects().cloned(),
        iat: now.as_second(),
        exp: now.as_second() + ttl_s,
        jti: Uuid::now_v7().to_string(),
        iat_ms: Some(now.as_millisecond()),
        src: origin.source,
        plone: origin.plone_user.map(|user| user.to_string()),
        sandbox: None,
    })
}

fn caller_of(claims: &Claims) -> Result<Caller, TokenError> {
    let user = UserName::stored(&claims.sub).map_err(|_| TokenError::Foreign)?;
    let token_id = Uuid::parse_str(&claims.jti).map_err(|_| TokenError::Foreign)?;
    let name = claims.name.as_deref().unwrap_or(&claims.sub).into();
    let expires_at = Timestamp::from_second(claims.exp).map_err(|_| TokenError::Foreign)?;
    let issued_ms = claims.iat_ms.unwrap_or_else(|| claims.iat.saturating_mul(1_000));
    let realm = match claims.sandbox.as_deref().map(TermId::stored).transpose().map_err(|_| TokenError::Foreign)? {
        None => Realm::College,
        Some(term) if term.is_sandbox() => Realm::Sandbox(term),
        Some(_) => return Err(TokenError::Foreign),
    };
    let rights = Rights::new(claims.role, claims.subjects.clone());
    let (role, subjects) = (rights.role(), rights.subjects().cloned());
    let (source, plone_user) = (claims.src.clone(), claims.plone.as_deref().map(UserName::stored));
    let plone_user = plone_user.transpose().map_err(|_| TokenError::Foreign)?;
    Ok(Caller { user, name, role, subjects, source, plone_user, token_id, issued_ms, expires_at, realm })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of more than thirty-two bytes";

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&SecretString::from(secret))
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
    fn minted() -> Minted {
        let user = UserName::parse("josé").unwrap();
        tokens(SECRET).mint(&user, Some("José \"Pepe\""), Role::Staff, Duration::from_secs(60), at(1_000)).unwrap()
    }

    #[test]
    fn a_token_carries_its_user_and_expiry() {
        let minted = minted();
        let caller = tokens(SECRET).verify(&minted.token, at(1_059)).unwrap();
        assert_eq!(caller, minted.caller);
        assert_eq!((caller.user.as_str(), &*caller.name, caller.role), ("josé", "José \"Pepe\"", Role::Staff));
        assert_eq!((caller.issued_ms, caller.expires_at), (1_000_000, at(1_060)));
    }

    #[test]
    fn a_token_carries_the_subjects_of_staff() {
        let user = UserName::parse("sam").unwrap();
        let minute = Duration::from_secs(60);
        let subjects = Subjects::parse(&["MATH", "STAT"]).unwrap();
        let mint = |role| {
            let rights = Rights::new(role, Some(subjects.clone()));
            let minted = tokens(SECRET).mint(&user, None, rights, minute, at(1_000)).unwrap();
            let caller = tokens(SECRET).verify(&minted.token, at(1_000)).unwrap();
            assert_eq!(caller, minted.caller);
            (caller.role, caller.subjects)
        };
        assert_eq!(mint(Role::Staff), (Role::SubjectStaff, Some(subjects.clone())));
        assert_eq!(mint(Role::Admin), (Role::Admin, None));
        // A full list still fits, even in a cookie.
        let names: Vec<String> = (0..crate::domain::rights::SUBJECTS_MAX).map(|n| format!("{n:X>40}")).collect();
        let full = Rights::new(Role::Staff, Some(Subjects::parse(&names).unwrap()));
        let token = tokens(SECRET).mint(&user, Some(&"n".repeat(200)), full, minute, at(1_000)).unwrap().token;
        assert!(token.len() < TOKEN_LEN_MAX - SESSION_COOKIE_ROOM, "{}", token.len());
    }

    /// Bytes of a cookie besides the token: its name and its attributes.
    const SESSION_COOKIE_ROOM: usize = 200;

    #[test]
    fn a_token_from_before_there_were_limits_is_valid() {
        let json = |claims: &Claims| serde_json::to_value(claims).unwrap();
        let user = UserName::parse("sam").unwrap();
        let new =
            claims(Source::Hub.into(), &user, None, &Role::Staff.into(), Duration::from_secs(60), at(1_000)).unwrap();
        assert!(json(&new).get("subjects").is_none(), "an earlier version reads the token, too");
        assert_eq!(caller_of(&serde_json::from_value(json(&new)).unwrap()).unwrap().role, Role::Staff);
    }

    #[test]
    fn a_token_expires_at_its_second() {
        assert_eq!(tokens(SECRET).verify(&minted().token, at(1_060)), Err(TokenError::Expired));
    }

    #[test]
    fn tokens_that_this_hub_did_not_sign_are_foreign() {
        let good = minted().token;
        let (head, signature) = good.rsplit_once('.').unwrap();
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1);
        let table = [
            String::new(),
            "x".to_owned(),
            "a.b.c".to_owned(),
            head.to_owned(),
            format!("{head}.{}", signature.chars().rev().collect::<String>()),
            unsigned,
            "x".repeat(TOKEN_LEN_MAX + 1),
        ];
        for token in table {
            assert_eq!(tokens(SECRET).verify(&token, at(1_000)), Err(TokenError::Foreign), "{token:.40}");
        }
        let other = tokens("another secret of more than thirty-two bytes");
        assert_eq!(other.verify(&good, at(1_000)), Err(TokenError::Foreign));
    }

    #[test]
    fn tokens_of_the_previous_secret_are_accepted_during_a_rotation() {
        let next = || tokens("the next secret of more than thirty-two bytes");
        let old = minted().token;
        assert_eq!(next().verify(&old, at(1_000)), Err(TokenError::Foreign));
        let rotating = next().accepting(Some(&SecretString::from(SECRET)));
        assert_eq!(rotating.verify(&old, at(1_000)).unwrap().user.as_str(), "josé");
        assert_eq!(rotating.verify(&old, at(1_060)), Err(TokenError::Expired));
        let user = UserName::parse("ann").unwrap();
        let new = rotating.mint(&user, None, Role::Student, Duration::from_secs(60), at(1_000)).unwrap();
        assert!(next().verify(&new.token, at(1_000)).is_ok(), "new tokens are signed with the new secret");
    }

    #[test]
    fn a_token_carries_its_source() {
        let user = UserName::parse("ann").unwrap();
        for source in [Source::Hub, Source::Plone, Source::Oidc("keycloak".into()), Source::Proxy] {
            let ttl = Duration::from_secs(60);
            let minted =
                tokens(SECRET).mint_with_origin(source.clone(), &user, None, Role::Student, ttl, at(1_000)).unwrap();
            assert_eq!(minted.caller.source, source);
            assert_eq!(tokens(SECRET).verify(&minted.token, at(1_000)).unwrap().source, source);
        }
    }

    #[test]
    fn a_sandbox_token_is_confined_to_a_sandbox_term() {
        let user = UserName::parse("ann").unwrap();
        let mint = |term: &str| {
            let term = TermId::parse(term).unwrap();
            tokens(SECRET).mint_for_sandbox(&term, &user, Role::Student, Duration::from_secs(60), at(1_000))
        };
        let minted = mint("_sandbox-1").unwrap();
        let caller = tokens(SECRET).verify(&minted.token, at(1_000)).unwrap();
        assert_eq!(caller.realm, Realm::Sandbox(TermId::parse("_sandbox-1").unwrap()));
        assert!(mint("202209").is_none());
    }

    #[test]
    fn the_longest_lifetime_can_be_signed() {
        let user = UserName::parse("robot").unwrap();
        let minted = tokens(SECRET).mint(&user, None, Role::Admin, Duration::MAX, at(1_000)).unwrap();
        assert!(tokens(SECRET).verify(&minted.token, at(1_000_000_000)).is_ok());
        assert_eq!(&*minted.caller.name, "robot");
    }
}
