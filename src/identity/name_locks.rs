//! Locks under which usernames are claimed. Two sign-ins that claim one name at the same time, such as through Plone
//! and through a provider of single sign-on, would otherwise both find it free.

use std::hash::{BuildHasher as _, RandomState};

use tokio::sync::{Mutex, MutexGuard};

use crate::domain::ids::UserName;

/// The number of locks. Each name uses the lock that its hash selects, so that thousands of users can sign in at the
/// same time and the store writes many sign-ins in one commit.
const LOCKS: usize = 256;

/// The locks of all usernames.
pub(super) struct NameLocks {
    hash: RandomState,
    locks: Vec<Mutex<()>>,
}

impl Default for NameLocks {
    fn default() -> Self {
        Self { hash: RandomState::new(), locks: (0..LOCKS).map(|_| Mutex::default()).collect() }
    }
}

impl NameLocks {
    /// Waits until no other sign-in claims this name. A caller that also needs the lock of accounts takes that one
    /// first.
    pub(super) async fn claim(&self, name: &UserName) -> MutexGuard<'_, ()> {
        let at = self.hash.hash_one(name) % LOCKS as u64;
        // The remainder is below the number of locks.
        self.locks[usize::try_from(at).unwrap_or_default()].lock().await
    }
}
