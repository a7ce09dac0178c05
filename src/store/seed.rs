//! Port for the first contents of an empty store.

use crate::domain::alert::Alert;
use crate::domain::ids::UserName;
use crate::domain::role::Role;
use crate::domain::section::SectionState;
use crate::domain::term::Term;
use crate::store::StoreFuture;

/// The first contents of an empty store.
#[derive(Debug, Clone)]
pub struct Seed {
    /// Terms with their sections.
    pub terms: Vec<(Term, Vec<SectionState>)>,
    /// Local accounts.
    pub accounts: Vec<SeedAccount>,
    /// The first alert, sent as of its creation.
    pub alert: Alert,
}

/// A local account of a [`Seed`].
#[derive(Debug, Clone)]
pub struct SeedAccount {
    /// The name to sign in with.
    pub username: UserName,
    /// The display name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The password's hash, a PHC string (argon2id).
    pub password_hash: String,
}

/// A store that can be filled while it is empty.
pub trait SeedStore: Send + Sync {
    /// Writes `seed` in one transaction when the store has neither a term nor an account; otherwise changes nothing and
    /// returns false.
    fn seed(&self, seed: Seed) -> StoreFuture<bool>;
}
