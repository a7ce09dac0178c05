//! The port of a store that several hubs share: what a hub reads about the changes of the others.
//!
//! A hub reads these changes every second. The positions of terms say which terms have newer commits; their registrars
//! read those with [`TermStore::changes_since`](crate::store::terms::TermStore::changes_since). The embedded store,
//! which has one hub, does not implement this port.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::{TermId, UserName};

use crate::store::StoreFuture;
use crate::store::accounts::EndedTokens;
use crate::store::sign_ins::StoredSignIn;

/// By how much [`StoredTerm::rewrites`] rises when the store has another history: a standby has taken over, and may
/// lack commits that this hub has read. No term is rewritten that many times.
pub const REWRITES_PER_HISTORY: u64 = 1 << 32;

/// A term as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTerm {
    /// The term.
    pub id: TermId,
    /// The sequence of its last commit.
    pub seq: u64,
    /// How many times its rows were changed without a commit of a registrar, such as by the erasure of a person, plus
    /// the history of the store times [`REWRITES_PER_HISTORY`]. A hub that has the term in memory must load it again
    /// when this rises.
    pub rewrites: u64,
}

impl StoredTerm {
    /// Returns what `rewrites` was when the term was new.
    #[must_use]
    pub const fn rewrites_when_new(&self) -> u64 {
        self.rewrites - self.rewrites % REWRITES_PER_HISTORY
    }
}

/// The tokens that were revoked after a position in the order of revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// The position of the last of them; the requested position if there is none.
    pub position: u64,
    /// Tokens that were revoked one by one, with the time at which they expire.
    pub tokens: Vec<(Uuid, Timestamp)>,
    /// Users whose tokens were revoked.
    pub users: Vec<EndedTokens>,
    /// Members whose sign-ins through Plone ended, with the time up to which they have ended.
    pub members: Vec<(UserName, Timestamp)>,
    /// Whether there are local accounts.
    pub has_accounts: bool,
}

/// A store that several hubs share.
pub trait SharedStore: Send + Sync {
    /// Returns all terms, in order of id.
    fn stored_terms(&self) -> StoreFuture<Vec<StoredTerm>>;
    /// Returns the tokens that were revoked after `position`; all for 0.
    fn revocations_since(&self, position: u64) -> StoreFuture<Revocations>;
    /// Records that a ticket for a live session was used. Returns false if it was used before.
    fn use_ticket(&self, ticket: Uuid) -> StoreFuture<bool>;
    /// Returns the newest sign-ins of a user that expire after `now`, at most `limit`, the oldest first.
    fn sign_ins_of(&self, user: &UserName, now: Timestamp, limit: usize) -> StoreFuture<Vec<StoredSignIn>>;
}
