//! What users can change in their own accounts: the password, the second factor, the sign-ins.

use secrecy::SecretString;
use uuid::Uuid;

use crate::bus::Event;
use crate::domain::ids::UserName;
use crate::identity::password::with_origin;
use crate::identity::password_rules::WeakPassword;
use crate::identity::second_factor::{FactorError, NewFactor};
use crate::identity::service::Ended;
use crate::identity::sign_in::{Client, SignInError};
use crate::identity::{Caller, Identity, Source};
use crate::store::StoreError;
use crate::store::accounts::Account;
use crate::store::sign_ins::StoredSignIn;

/// Result of a change of one's own password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordChange {
    /// The password was changed, and the other sign-ins of the user have ended.
    Changed,
    /// The current password is wrong; nothing was changed.
    WrongPassword,
    /// The new password is refused; nothing was changed.
    Weak(WeakPassword),
    /// The new password is the current one; nothing was changed.
    Unchanged,
}

/// Why a caller cannot manage a local account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoOwnAccount {
    /// The caller signed in through Plone or by single sign-on.
    #[error("Your account belongs to the college. Change your password and sign-in settings there, not in EduHub.")]
    Plone,
    /// The caller has a token that was minted, or an account that was removed.
    #[error("Only a user who has signed in with the password of a local EduHub account can do this.")]
    Token,
}

/// Proof that the caller is the owner of an account.
#[derive(Debug)]
pub enum Proof {
    /// The password.
    Password(SecretString),
    /// A code of the second factor.
    Code(String),
}

impl Identity {
    /// Returns the local account with which the caller signed in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn own_account(&self, caller: &Caller) -> Result<Result<Account, NoOwnAccount>, StoreError> {
        if caller.source != Source::Hub {
            return Ok(Err(NoOwnAccount::Plone));
        }
        self.learn_sign_ins(&caller.user).await?;
        if !self.sign_in_list.of(&caller.user).iter().any(|one| one.id == caller.token_id) {
            return Ok(Err(NoOwnAccount::Token));
        }
        Ok(self.store.account(&caller.user).await?.ok_or(NoOwnAccount::Token))
    }

    /// Changes the password of the caller's own account, and ends the other sign-ins and tokens of the user. A wrong
    /// current password counts as a failed sign-in.
    ///
    /// # Errors
    /// When too many attempts have failed, or the store cannot be read or written.
    pub async fn change_own_password(
        &self,
        caller: &Caller,
        account: Account,
        current: SecretString,
        new: SecretString,
        from: Client<'_>,
    ) -> Result<PasswordChange, SignInError> {
        let proof = Proof::Password(current);
        if !self.is_owner(&account, &proof, from).await? {
            return Ok(PasswordChange::WrongPassword);
        }
        let new = match self.accept_password(&new, &account.username) {
            Ok(new) => new,
            Err(weak) => return Ok(PasswordChange::Weak(weak)),
        };
        if self.hasher.matches(&new, Some(&account.password_hash)).await? {
            return Ok(PasswordChange::Unchanged);
        }
        let password_hash = self.hasher.hash(new).await?;
        let _exclusive = self.accounts_lock.write().await;
        let (user, old) = (account.username.clone(), account.password_hash.clone());
        let now = self.clock.now();
        if self.check_alive(caller, now).is_err() {
            // The token ended while the passwords were checked. If it were spared below, it would be valid again.
            return Ok(PasswordChange::WrongPassword);
        }
        let changed = Account { password_hash, ..account };
        if !self.store.change_password(changed, old, now, caller.token_id).await? {
            // The account changed during the check, so the password that was checked is no longer its password.
            return Ok(PasswordChange::WrongPassword);
        }
        self.ended.insert(user.clone(), Ended { up_to_ms: now.as_millisecond(), spared: Some(caller.token_id) });
        self.bus.publish(Event::TokensEnded { user });
        Ok(PasswordChange::Changed)
    }

    /// Checks that the caller owns an account. A wrong proof counts as a failed sign-in.
    async fn is_owner(&self, account: &Account, proof: &Proof, from: Client<'_>) -> Result<bool, SignInError> {
        let origin = self.origin_of(account.username.as_str(), from);
        let key = account.username.as_str().to_lowercase();
        let attempt = self.sign_ins.admit(&key, origin, &*self.clock).await?;
        let is_owner = match proof {
            Proof::Password(password) => {
                with_origin(origin, self.hasher.matches(password, Some(&account.password_hash))).await?
            }
            Proof::Code(code) => self.second_factors.use_code_of(&account.username, code, self.clock.now()).await?,
        };
        if is_owner {
            attempt.refund();
        } else {
            attempt.fail(self.clock.monotonic_ms());
        }
        Ok(is_owner)
    }

    /// Creates a second factor for the caller's own account, which [`Self::confirm_factor`] activates. It needs the
    /// password, so that someone who finds a signed-in browser cannot lock the owner out. A wrong password counts as a
    /// failed sign-in.
    ///
    /// # Errors
    /// When the account already has a second factor, the password is wrong or absent, too many attempts have failed, or
    /// the store cannot be read.
    pub async fn begin_own_factor(
        &self,
        account: &Account,
        password: Option<SecretString>,
        from: Client<'_>,
    ) -> Result<Result<NewFactor, FactorError>, SignInError> {
        if self.second_factors.exists(&account.username).await? {
            return Ok(Err(FactorError::Exists));
        }
        let Some(password) = password else { return Ok(Err(FactorError::Wrong)) };
        if !self.is_owner(account, &Proof::Password(password), from).await? {
            return Ok(Err(FactorError::Wrong));
        }
        Ok(self.second_factors.begin(&account.username, self.clock.now()).await)
    }

    /// Activates the second factor that was created last. Returns its recovery codes, which cannot be read again.
    ///
    /// # Errors
    /// When the code is wrong, no second factor waits for a code, or the store cannot be written.
    pub async fn confirm_factor(&self, user: &UserName, code: &str) -> Result<Vec<String>, FactorError> {
        self.second_factors.confirm(user, code, self.clock.now()).await
    }

    /// Removes the second factor of the caller's own account. A wrong proof counts as a failed sign-in.
    ///
    /// # Errors
    /// When the proof is wrong, too many attempts have failed, or the store cannot be written.
    pub async fn remove_own_factor(
        &self,
        account: &Account,
        proof: &Proof,
        from: Client<'_>,
    ) -> Result<Result<(), FactorError>, SignInError> {
        if !self.second_factors.exists(&account.username).await? {
            return Ok(Err(FactorError::Absent));
        }
        if !self.is_owner(account, proof, from).await? {
            return Ok(Err(FactorError::Wrong));
        }
        self.second_factors.remove(&account.username).await?;
        Ok(Ok(()))
    }

    /// Returns whether a local account has a second factor.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_factor(&self, user: &UserName) -> Result<bool, StoreError> {
        self.second_factors.exists(user).await
    }

    /// Removes the second factor of any account, for a user who has lost the device and the recovery codes. Returns
    /// false if it has none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn reset_factor(&self, user: &UserName) -> Result<bool, StoreError> {
        self.second_factors.remove(user).await
    }

    /// Returns the valid sign-ins of the caller's user, most recently used first. Those at other hubs on the same store
    /// are listed after [`Self::learn_sign_ins`].
    #[must_use]
    pub fn own_sign_ins(&self, caller: &Caller) -> Vec<StoredSignIn> {
        let now = self.clock.now();
        let mut own = self.sign_in_list.of(&caller.user);
        own.retain(|one| {
            let token = Caller {
                token_id: one.id,
                issued_ms: one.since.as_millisecond(),
                expires_at: one.expires_at,
                ..caller.clone()
            };
            self.check_alive(&token, now).is_ok()
        });
        own.sort_by_key(|one| std::cmp::Reverse((one.last_seen, one.since)));
        own
    }

    /// Ends one sign-in of the caller's user, in this process immediately and durably when this returns, and closes its
    /// live sessions. Returns false if there is no such sign-in.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_own_sign_in(&self, caller: &Caller, id: Uuid) -> Result<bool, StoreError> {
        self.learn_sign_ins(&caller.user).await?;
        let Some(sign_in) = self.own_sign_ins(caller).into_iter().find(|one| one.id == id) else { return Ok(false) };
        let ended = Caller { token_id: id, expires_at: sign_in.expires_at, ..caller.clone() };
        self.revoke(&ended).await?;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "own_account_tests.rs"]
mod tests;
