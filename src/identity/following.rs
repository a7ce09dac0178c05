//! Tokens that other hubs on the same store have ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use crate::bus::Event;
use crate::domain::ids::UserName;
use crate::identity::Identity;
use crate::identity::service::Ended;
use crate::identity::sign_in_list::PER_USER_MAX;
use crate::store::StoreError;
use crate::store::shared::{Revocations, SharedStore};

impl Identity {
    /// Sets the store in which other hubs record sign-ins. Only the first call counts.
    pub fn share(&self, store: Arc<dyn SharedStore>) {
        let _ = self.shared.set(store);
    }

    /// Adds the sign-ins of a user at other hubs to the list. Must be called before the list is read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn learn_sign_ins(&self, user: &UserName) -> Result<(), StoreError> {
        if let Some(store) = self.shared.get() {
            self.sign_in_list.learn(user, store.sign_ins_of(user, self.clock.now(), PER_USER_MAX).await?);
        }
        Ok(())
    }

    /// Ends the tokens that other hubs have ended, and notifies the live sessions of their users. Returns the tokens
    /// that were revoked one by one, except those that this hub already knew to be revoked. The caller has to close the
    /// live sessions of the returned tokens, because the store does not name their users.
    #[must_use]
    pub fn follow(&self, revocations: Revocations) -> HashSet<Uuid> {
        let Revocations { position: _, tokens, users, members, has_accounts } = revocations;
        self.has_accounts.store(has_accounts, Ordering::Relaxed);
        let now = self.clock.now();
        let alive = tokens.into_iter().filter(|(_, expires_at)| *expires_at > now);
        let revoked = alive.filter(|(id, expires_at)| self.revoked.insert(*id, *expires_at).is_none());
        let revoked = revoked.map(|(id, _)| id).collect();
        for end in users {
            let up_to_ms = end.up_to.as_millisecond();
            let is_known = self.ended.get(&end.user).is_some_and(|known| known.up_to_ms >= up_to_ms);
            if !is_known {
                self.ended.insert(end.user.clone(), Ended { up_to_ms, spared: end.spared });
                self.bus.publish_here(Event::TokensEnded { user: end.user });
            }
        }
        for (user, up_to) in members {
            for known in &self.members {
                known.follow_end(&user, up_to);
            }
        }
        revoked
    }
}
