//! Management of local accounts.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::bus::Event;
use crate::domain::audit_detail::Detail;
use crate::domain::ids::UserName;
use crate::domain::rights::{Rights, Subjects};
use crate::domain::role::Role;
use crate::identity::Identity;
use crate::identity::external::SignInEnd;
use crate::identity::password_rules::{self, WeakPassword};
use crate::identity::service::Ended;
use crate::identity::sign_in::SignInError;
use crate::store::StoreError;
use crate::store::accounts::{Account, AuditEntry};

/// A new or changed local account.
#[derive(Debug)]
pub struct AccountChange {
    /// Username.
    pub username: UserName,
    /// Role.
    pub role: Role,
    /// The subjects to which staff are limited. A role other than staff has no limit.
    pub limit: LimitChange,
    /// Display name. `None` does not change it; a new account then gets the username.
    pub name: Option<String>,
    /// New password; required for a new account. `None` does not change it.
    pub password: Option<SecretString>,
}

/// A change to the subjects to which a local account is limited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LimitChange {
    /// The limit does not change; an account that becomes staff again gets its earlier limit, and a new account has
    /// none.
    #[default]
    Keep,
    /// The limit is removed.
    Remove,
    /// The account is limited to these subjects.
    Set(Subjects),
}

/// Result of an [`AccountChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountOutcome {
    /// The account was created.
    Created(Account),
    /// The account existed and was changed.
    Changed(Account),
    /// The new password is refused; nothing was changed.
    WeakPassword(WeakPassword),
    /// A new account needs a password; nothing was changed.
    PasswordNeeded,
    /// The account belongs to the last local admin, who must keep the role; nothing was changed.
    LastAdmin,
}

/// Result of the removal of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The account was removed.
    Removed,
    /// There is no such account.
    Absent,
    /// The account belongs to the last local admin; nothing was changed.
    LastAdmin,
}

/// Returns whether `username` is the only local account with the role admin. Without one, no one could administer the
/// hub while the college's sign-in is unavailable.
#[must_use]
pub fn is_last_admin(accounts: &[Account], username: &UserName) -> bool {
    let mut admins = accounts.iter().filter(|account| account.rights.role() == Role::Admin);
    admins.next().is_some_and(|admin| admin.username == *username) && admins.next().is_none()
}

impl Identity {
    /// Creates or changes a local account. A new password, different rights, or a new account with a limit end the
    /// user's tokens. A member or a user of single sign-on with the same name is removed, and their sign-ins end.
    ///
    /// # Errors
    /// When the password cannot be hashed or the store cannot be written.
    pub async fn put_account(&self, change: AccountChange) -> Result<AccountOutcome, SignInError> {
        let hash = match change.password {
            Some(password) => match self.accept_password(&password, &change.username) {
                Ok(password) => Some(self.hasher.hash(password).await?),
                Err(weak) => return Ok(AccountOutcome::WeakPassword(weak)),
            },
            None => None,
        };
        let _exclusive = self.accounts_lock.write().await;
        let current = self.store.account(&change.username).await?;
        let Some(password_hash) = hash.clone().or_else(|| current.as_ref().map(|a| a.password_hash.clone())) else {
            return Ok(AccountOutcome::PasswordNeeded);
        };
        if change.role != Role::Admin && is_last_admin(&self.store.accounts().await?, &change.username) {
            return Ok(AccountOutcome::LastAdmin);
        }
        let name = change.name.or_else(|| current.as_ref().map(|a| a.name.clone()));
        let name = name.unwrap_or_else(|| change.username.as_str().to_owned());
        let limit = match change.limit {
            LimitChange::Keep => match current.as_ref().and_then(|account| account.rights.subjects().cloned()) {
                None => self.store.former_limit(&change.username).await?,
                limit => limit,
            },
            LimitChange::Remove => None,
            LimitChange::Set(subjects) => Some(subjects),
        };
        let rights = Rights::new(change.role, limit);
        let account = Account { username: change.username, name, rights, password_hash };
        // A token that was minted for this name before the account existed would not have the limit.
        let is_new_and_limited = current.is_none() && account.rights.subjects().is_some();
        let ends_tokens =
            is_new_and_limited || current.as_ref().is_some_and(|old| hash.is_some() || old.rights != account.rights);
        let now = self.clock.now();
        self.store.put_account(account.clone(), ends_tokens.then_some(now)).await?;
        self.has_accounts.store(true, Ordering::Relaxed);
        if ends_tokens {
            self.end_tokens(&account.username, now);
        }
        // Also for an existing account, in case this failed when the account was created.
        for members in &self.members {
            members.remove_if_member(&account.username).await?;
        }
        self.release(&account.username, SignInEnd::Changed).await?;
        if current.is_some() { Ok(AccountOutcome::Changed(account)) } else { Ok(AccountOutcome::Created(account)) }
    }

    /// Checks a new password of a user and returns its normal form.
    pub(super) fn accept_password(
        &self,
        password: &SecretString,
        user: &UserName,
    ) -> Result<SecretString, WeakPassword> {
        password_rules::accept(password, &[user.as_str(), &self.settings.college])
    }

    /// Removes a local account and ends its tokens.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn remove_account(&self, username: &UserName) -> Result<Removal, StoreError> {
        let _exclusive = self.accounts_lock.write().await;
        if is_last_admin(&self.store.accounts().await?, username) {
            return Ok(Removal::LastAdmin);
        }
        let now = self.clock.now();
        if !self.store.remove_account(username, now).await? {
            return Ok(Removal::Absent);
        }
        self.has_accounts.store(!self.store.accounts().await?.is_empty(), Ordering::Relaxed);
        self.end_tokens(username, now);
        Ok(Removal::Removed)
    }

    /// Removes everything with which a user signs in: the local account, the stored sign-ins through other
    /// providers, and the tokens. Returns [`Removal::Absent`] if there was no local account.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn remove_sign_in(&self, username: &UserName) -> Result<Removal, StoreError> {
        let removal = self.remove_account(username).await?;
        if removal != Removal::LastAdmin {
            for members in &self.members {
                members.remove_if_member(username).await?;
            }
            self.release_name(username).await?;
            self.sign_out_everywhere(username).await?;
            self.sign_in_list.forget(username);
            self.people.forget(username);
        }
        Ok(removal)
    }

    /// Returns the subjects to which a user is limited now, by the local account or by the last sign-in through a
    /// provider; `None` without a limit.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn limit_of(&self, user: &UserName) -> Result<Option<Subjects>, StoreError> {
        if let Some(account) = self.store.account(user).await? {
            return Ok(account.rights.subjects().cloned());
        }
        if let Some(known) = self.provider_sign_ins.provider_user(user).await? {
            return Ok(known.rights.subjects().cloned());
        }
        for members in &self.members {
            if let Some(member) = members.store.member(user).await? {
                return Ok(member.rights.subjects().cloned());
            }
        }
        Ok(None)
    }

    /// Queues an entry of the audit trail about what the hub itself has done.
    pub fn note(&self, action: &str, subject: &str, detail: impl Into<Detail>) {
        self.audit.append(AuditEntry {
            at: self.clock.now(),
            user: None,
            role: None,
            ip: None,
            action: action.to_owned(),
            subject: Some(subject.to_owned()),
            section: None,
            detail: detail.into(),
            request_id: None,
        });
    }

    fn end_tokens(&self, user: &UserName, up_to: Timestamp) {
        self.ended.insert(user.clone(), Ended { up_to_ms: up_to.as_millisecond(), spared: None });
        self.bus.publish(Event::TokensEnded { user: user.clone() });
    }
}
