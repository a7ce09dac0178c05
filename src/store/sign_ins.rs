//! Ports for sign-ins, which their users can see and end, and for second factors of local accounts.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::UserName;

use crate::store::StoreFuture;

/// A sign-in whose token has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSignIn {
    /// The id of its token.
    pub id: Uuid,
    /// The user who signed in.
    pub user: UserName,
    /// The client's `User-Agent`; empty if it sent none.
    pub device: String,
    /// The client's address at the sign-in.
    pub address: String,
    /// When the user signed in.
    pub since: Timestamp,
    /// When the token was last used, accurate to a few minutes.
    pub last_seen: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// A store of sign-ins.
pub trait SignInStore: Send + Sync {
    /// Returns the sign-ins that expire after `now`, the oldest first.
    fn sign_ins(&self, now: Timestamp) -> StoreFuture<Vec<StoredSignIn>>;
    /// Records sign-ins. For one that is known, only `last_seen` changes, and never to an earlier time.
    fn record_sign_ins(&self, sign_ins: Vec<StoredSignIn>) -> StoreFuture<()>;
    /// Deletes a sign-in.
    fn delete_sign_in(&self, id: Uuid) -> StoreFuture<()>;
    /// Deletes the sign-ins that have expired by `now`.
    fn delete_expired_sign_ins(&self, now: Timestamp) -> StoreFuture<()>;
}

/// A second factor of a local account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The account.
    pub username: UserName,
    /// The shared secret of the codes, encrypted.
    pub secret: Vec<u8>,
    /// The time step of the last code that was used.
    pub last_step: u64,
    /// When it was set up.
    pub since: Timestamp,
}

/// The SHA-256 hash of a recovery code.
pub type RecoveryHash = [u8; 32];

/// A store of second factors. The removal of an account removes its second factor.
pub trait SecondFactorStore: Send + Sync {
    /// Returns all second factors.
    fn second_factors(&self) -> StoreFuture<Vec<SecondFactor>>;
    /// Replaces the encrypted secret of a second factor, unless it has changed from `old`.
    fn replace_secret(&self, username: &UserName, old: Vec<u8>, new: Vec<u8>) -> StoreFuture<()>;
    /// Returns the second factor of an account.
    fn second_factor(&self, username: &UserName) -> StoreFuture<Option<SecondFactor>>;
    /// Stores a second factor with its recovery codes, unless the account has one or does not exist. Returns whether it
    /// was stored.
    fn add_second_factor(&self, factor: SecondFactor, recovery: Vec<RecoveryHash>) -> StoreFuture<bool>;
    /// Records that the code of a time step was used. Returns false if that code or a later one was used before.
    fn use_step(&self, username: &UserName, step: u64) -> StoreFuture<bool>;
    /// Deletes a recovery code, which can be used once. Returns false if there is no such code.
    fn use_recovery_code(&self, username: &UserName, hash: RecoveryHash) -> StoreFuture<bool>;
    /// Removes a second factor and its recovery codes. Returns false if there is none.
    fn remove_second_factor(&self, username: &UserName) -> StoreFuture<bool>;
}
