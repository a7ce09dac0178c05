//! Time-based one-time codes (TOTP, RFC 6238) as a second factor of local accounts, and recovery codes for users who
//! have lost their device.
//!
//! The shared secret of an account is encrypted in the store; see [`crate::identity::sealing`].

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use dashmap::DashMap;
use jiff::Timestamp;
use secrecy::SecretString;
use totp_rs::{Builder, Secret, Totp};

use crate::domain::ids::UserName;
use crate::identity::sealing::SealingKey;
use crate::identity::sign_in::SignInError;
use crate::store::StoreError;
use crate::store::sign_ins::{RecoveryHash, SecondFactor, SecondFactorStore};

/// Length of a shared secret in bytes: that of the hash (RFC 4226, section 4).
const SECRET_LEN: usize = 20;
/// Number of recovery codes.
pub const RECOVERY_CODES: usize = 10;
/// Length of a recovery code, in letters and digits of 5 bits each: 80 bits, so that a fast hash is enough.
const RECOVERY_CHARS: usize = 16;
/// Letters and digits of recovery codes, without those that are easily confused.
const RECOVERY_ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
/// Time in which a new secret can be confirmed.
const SET_UP_MAX: Duration = Duration::from_secs(15 * 60);
/// Maximum number of secrets that are not confirmed yet. A local account has at most one.
const PENDING_MAX: usize = 1_000;
/// Purpose of the key, so that no other key derived from the secret equals it.
const PURPOSE: &[u8] = b"shared secrets of second factors in the store, version 1";

/// A new second factor, to be entered into an authenticator app and confirmed with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFactor {
    /// The shared secret in base 32, to be typed.
    pub secret: String,
    /// The `otpauth:` URI, to be scanned as a QR code.
    pub uri: String,
}

/// Why a second factor cannot be set up or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactorError {
    /// The account has a second factor.
    #[error("the account has a second factor")]
    Exists,
    /// The account has no second factor, or none waits for a code.
    #[error("there is no second factor")]
    Absent,
    /// The code or the password is wrong.
    #[error("the code or the password is wrong")]
    Wrong,
    /// Too many users are setting up a second factor.
    #[error("too many second factors are being set up")]
    Overloaded,
    /// A secret could not be encrypted or encoded.
    #[error("a secret could not be encrypted or encoded")]
    Failed,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A secret that was not confirmed yet, and when it was created.
struct Pending {
    secret: Vec<u8>,
    created: Timestamp,
}

/// The second factors of local accounts.
pub(super) struct SecondFactors {
    store: Arc<dyn SecondFactorStore>,
    /// The key of the current secret, then that of the previous one.
    keys: Vec<SealingKey>,
    pending: DashMap<UserName, Pending>,
    /// Shown by authenticator apps.
    issuer: String,
}

impl SecondFactors {
    /// Derives the keys.
    pub(super) fn new(
        store: Arc<dyn SecondFactorStore>,
        secret: &SecretString,
        previous: Option<&SecretString>,
        college: &str,
    ) -> Result<Self, StoreError> {
        let keys = [Some(secret), previous].into_iter().flatten();
        let keys = keys.map(|secret| SealingKey::derive(secret, PURPOSE)).collect::<Result<_, _>>();
        let failed = |_| StoreError::Unavailable("the key of second factors could not be derived".to_owned());
        let issuer = if college.is_empty() { "EduHub" } else { college };
        // A colon separates the issuer from the account in the URI.
        let issuer = issuer.replace(':', " ");
        Ok(Self { store, keys: keys.map_err(failed)?, pending: DashMap::new(), issuer })
    }

    /// Encrypts with the current secret what was encrypted with the previous one, so that it stays readable after the
    /// previous one is removed.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let [current, previous] = &self.keys[..] else { return Ok(()) };
        for SecondFactor { username, secret, .. } in self.store.second_factors().await? {
            let Some(opened) = previous.open(username.as_str(), &secret) else { continue };
            let failed = |_| StoreError::Unavailable("a second factor could not be encrypted".to_owned());
            let renewed = current.seal(username.as_str(), &opened).map_err(failed)?;
            self.store.replace_secret(&username, secret, renewed).await?;
        }
        Ok(())
    }

    /// Returns whether an account has a second factor.
    pub(super) async fn exists(&self, user: &UserName) -> Result<bool, StoreError> {
        Ok(self.store.second_factor(user).await?.is_some())
    }

    /// Creates a secret, which [`Self::confirm`] makes the second factor. It replaces one that was not confirmed.
    pub(super) async fn begin(&self, user: &UserName, now: Timestamp) -> Result<NewFactor, FactorError> {
        if self.exists(user).await? {
            return Err(FactorError::Exists);
        }
        self.pending.retain(|_, pending| is_fresh(pending, now));
        if self.pending.len() >= PENDING_MAX {
            return Err(FactorError::Overloaded);
        }
        let secret: [u8; SECRET_LEN] = rand::random();
        let totp = self.totp(user, &secret).ok_or(FactorError::Failed)?;
        let new = NewFactor { secret: totp.secret().to_base32(), uri: totp.to_url().map_err(|_| FactorError::Failed)? };
        self.pending.insert(user.clone(), Pending { secret: secret.to_vec(), created: now });
        Ok(new)
    }

    /// Makes the secret that [`Self::begin`] created last the second factor, after a code has shown that the user's
    /// device has it. Returns the recovery codes.
    pub(super) async fn confirm(
        &self,
        user: &UserName,
        code: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, FactorError> {
        let pending = self.pending.get(user).filter(|pending| is_fresh(pending, now));
        let secret = pending.map(|pending| pending.secret.clone()).ok_or(FactorError::Absent)?;
        let step = self.step_of(user, &secret, &digits(code), now).ok_or(FactorError::Wrong)?;
        let key = self.keys.first().ok_or(FactorError::Failed)?;
        let sealed = key.seal(user.as_str(), &secret).map_err(|_| FactorError::Failed)?;
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
        // The code that confirms the secret cannot be used for a sign-in.
        let factor = SecondFactor { username: user.clone(), secret: sealed, last_step: step, since: now };
        let added = self.store.add_second_factor(factor, hashes).await?;
        self.pending.remove(user);
        if added { Ok(codes) } else { Err(FactorError::Exists) }
    }

    /// Checks the code of a sign-in. An account without a second factor needs none.
    pub(super) async fn check(&self, user: &UserName, code: Option<&str>, now: Timestamp) -> Result<(), SignInError> {
        let Some(factor) = self.store.second_factor(user).await? else { return Ok(()) };
        let Some(code) = code else { return Err(SignInError::CodeRequired) };
        if self.use_code(&factor, code, now).await? { Ok(()) } else { Err(SignInError::WrongCode) }
    }

    /// Uses a code of an account. Returns false if it is wrong or was used.
    pub(super) async fn use_code_of(&self, user: &UserName, code: &str, now: Timestamp) -> Result<bool, StoreError> {
        match self.store.second_factor(user).await? {
            Some(factor) => self.use_code(&factor, code, now).await,
            None => Ok(false),
        }
    }

    /// Removes the second factor of an account. Returns false if there is none.
    pub(super) async fn remove(&self, user: &UserName) -> Result<bool, StoreError> {
        self.store.remove_second_factor(user).await
    }

    async fn use_code(&self, factor: &SecondFactor, code: &str, now: Timestamp) -> Result<bool, StoreError> {
        let user = &factor.username;
        let digits = digits(code);
        if digits.len() == RECOVERY_CHARS {
            return self.store.use_recovery_code(user, recovery_hash(&digits)).await;
        }
        let Some(secret) = self.keys.iter().find_map(|key| key.open(user.as_str(), &factor.secret)) else {
            log::error!(
                "the second factor of {user} cannot be decrypted: [auth] secret has changed; remove it with `eduhub \
                 user reset-totp`"
            );
            return Ok(false);
        };
        match self.step_of(user, &secret, &digits, now) {
            Some(step) if step > factor.last_step => self.store.use_step(user, step).await,
            _ => Ok(false),
        }
    }

    /// Returns the time step of a code: the current one, the one before or the one after. Clocks differ by a few
    /// seconds.
    fn step_of(&self, user: &UserName, secret: &[u8], code: &str, now: Timestamp) -> Option<u64> {
        self.totp(user, secret)?.check(code, u64::try_from(now.as_second()).ok()?)
    }

    /// Returns the generator of the codes of a secret: six digits, 30 seconds, SHA-1 and one step of skew, which every
    /// authenticator app supports.
    fn totp(&self, user: &UserName, secret: &[u8]) -> Option<Totp> {
        let account = user.as_str().replace(':', "_");
        let secret = Secret::new(secret.to_vec().into_boxed_slice());
        Builder::new()
            .with_secret(secret)
            .with_account_name(account)
            .with_issuer(Some(self.issuer.as_str()))
            .build()
            .ok()
    }
}

fn is_fresh(pending: &Pending, now: Timestamp) -> bool {
    let age_s = now.as_second() - pending.created.as_second();
    age_s.unsigned_abs() <= SET_UP_MAX.as_secs()
}

/// Returns a code in lower case, without the spaces and hyphens with which it is shown.
fn digits(code: &str) -> String {
    code.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn recovery_code() -> String {
    let random: [u8; RECOVERY_CHARS] = rand::random();
    let mut code = String::with_capacity(RECOVERY_CHARS + 3);
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(RECOVERY_ALPHABET[usize::from(byte % 32)]));
    }
    code
}

fn recovery_hash(code: &str) -> RecoveryHash {
    let mut hash = RecoveryHash::default();
    hash.copy_from_slice(digest(&SHA256, digits(code).as_bytes()).as_ref());
    hash
}

#[cfg(test)]
#[path = "second_factor_tests.rs"]
mod tests;
