//! Sign-in: calls the providers in order and issues a token of the hub for the user whom one of them accepts.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::audit_detail::{AuditDetail, Detail};
use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::identity::attempts::{Attempt, NotAdmitted, Origin};
use crate::identity::limits::AddressKey;
use crate::identity::members::Members;
use crate::identity::password::{HashError, with_origin};
use crate::identity::provider::{KnownUser, Profile, ProviderError, SignInProvider, Verified};
use crate::identity::sign_in_list::Device;
use crate::identity::token::Minted;
use crate::identity::{Caller, Identity, SignInOrigin, Source};
use crate::store::StoreError;
use crate::store::members::Member;

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The username or the password is wrong. The error does not disclose which.
    #[error("incorrect username or password")]
    BadCredentials,
    /// Too many sign-ins of this account have failed.
    #[error("too many failed sign-ins")]
    RateLimited {
        /// Seconds to wait before the next attempt.
        retry_after_s: u32,
    },
    /// Too many users are signing in at the same time.
    #[error("too many people are signing in")]
    Overloaded,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider accepts the password, but its user cannot use the hub.
    #[error("accepted by {provider} but not admitted: {reason}")]
    NotAdmitted {
        /// Title of the provider.
        provider: &'static str,
        /// The reason, for the user.
        reason: String,
    },
    /// The provider has locked the account.
    #[error("{provider} has locked the account: {reason}")]
    Locked {
        /// Title of the provider.
        provider: &'static str,
        /// The provider's own message.
        reason: String,
    },
    /// The provider could not check the password, and the hub may not or cannot check it in its place.
    #[error(transparent)]
    Provider(ProviderError),
    /// The password is correct, and the account has a second factor, but the sign-in has no code.
    #[error("a code of the second factor is required")]
    CodeRequired,
    /// The password is correct, but the code is wrong or was used before.
    #[error("the code of the second factor is wrong or was used before")]
    WrongCode,
    /// A token could not be signed or a password could not be hashed.
    #[error("a token could not be signed or a password could not be hashed")]
    Failed,
}

impl From<HashError> for SignInError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded => Self::Overloaded,
            HashError::Failed => Self::Failed,
        }
    }
}

impl From<ProviderError> for SignInError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Store(error) => Self::Store(error),
            error => Self::Provider(error),
        }
    }
}

impl From<NotAdmitted> for SignInError {
    fn from(error: NotAdmitted) -> Self {
        match error {
            NotAdmitted::RateLimited { retry_after_s } => Self::RateLimited { retry_after_s },
            NotAdmitted::QueueFull => Self::Overloaded,
        }
    }
}

/// The sender of a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The client's address.
    pub address: IpAddr,
    /// The value of the device cookie, if the client sent one.
    pub device: Option<&'a str>,
}

/// An attempt that another part of the hub checks, such as a sign-in to Plone's own pages. It counts as a failure until
/// it is ended.
pub struct GuardedAttempt<'a> {
    identity: &'a Identity,
    attempt: Attempt<'a>,
}

impl GuardedAttempt<'_> {
    /// Ends the attempt. `is_wrong` states whether the password was checked and was wrong.
    pub fn end(self, is_wrong: bool) {
        if is_wrong { self.attempt.fail(self.identity.clock.monotonic_ms()) } else { self.attempt.refund() }
    }
}

/// A successful sign-in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The hub's token.
    pub token: String,
    /// The identity that the token grants.
    pub caller: Caller,
    /// How the password was checked.
    pub check: PasswordCheck,
}

/// How a password was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// By the hash of a local account.
    Local,
    /// By the provider of this title.
    Provider(&'static str),
    /// By the hash of the last accepted password, because the provider of this title did not respond.
    LastAccepted(&'static str),
}

impl From<PasswordCheck> for Detail {
    fn from(check: PasswordCheck) -> Self {
        match check {
            PasswordCheck::Local => AuditDetail::LocalAccount.into(),
            PasswordCheck::Provider(title) => title.into(),
            PasswordCheck::LastAccepted(title) => AuditDetail::LastAccepted { provider: title.to_owned() }.into(),
        }
    }
}

impl Identity {
    /// Signs a user in without a second factor, from a client that has no device cookie and does not describe itself.
    ///
    /// # Errors
    /// As for [`Self::sign_in_with`].
    pub async fn sign_in(&self, username: &str, password: SecretString, from: IpAddr) -> Result<SignIn, SignInError> {
        let from = Client { address: from, device: None };
        self.sign_in_with(username, password, None, from, &Device::default()).await
    }

    /// Signs a user in with the first provider that has a user with this name. `code` is that of a second factor, which
    /// local accounts may have; `device` describes the client in the user's list of sign-ins.
    ///
    /// # Errors
    /// When the credentials are rejected, a limit is exceeded, or the provider or the store does not respond.
    pub async fn sign_in_with(
        &self,
        username: &str,
        password: SecretString,
        code: Option<&str>,
        from: Client<'_>,
        device: &Device,
    ) -> Result<SignIn, SignInError> {
        let origin = self.origin_of(username, from);
        let attempt = self.sign_ins.admit(&self.account_of(username), origin, &*self.clock).await?;
        let login = self.resolve(username).ok();
        let outcome = with_origin(origin, self.check_password(login, password, code, origin)).await;
        match &outcome {
            Err(SignInError::BadCredentials | SignInError::Locked { .. } | SignInError::WrongCode) => {
                attempt.fail(self.clock.monotonic_ms());
            }
            _ => attempt.refund(),
        }
        if let Ok(SignIn { caller, .. }) = &outcome {
            self.sign_in_list.add(caller, device, from.address.to_canonical().to_string(), self.clock.now());
        }
        outcome
    }

    /// Returns the name under which the audit trail records a sign-in that failed with `error`; `None` if the hub knows
    /// no such name. Users sometimes type their password as the username, and the trail is append-only.
    pub async fn recorded_name(&self, typed: &str, error: &SignInError) -> Option<String> {
        if matches!(error, SignInError::NotAdmitted { .. } | SignInError::Locked { .. }) {
            // The provider knows the name.
            return Some(typed.to_owned());
        }
        for spelling in [typed.to_owned(), typed.to_lowercase()] {
            let Ok(name) = UserName::parse(&spelling) else { continue };
            let mut is_known = matches!(self.store.account(&name).await, Ok(Some(_)));
            for members in &self.members {
                is_known = is_known || matches!(members.store.member_by_login(&name).await, Ok(Some(_)));
            }
            if is_known {
                return Some(spelling);
            }
        }
        None
    }

    /// Admits an attempt whose password another part of the hub passes on to a provider. It counts together with all
    /// other sign-ins.
    ///
    /// # Errors
    /// When a limit is exceeded.
    pub async fn guard_attempt(&self, username: &str, from: Client<'_>) -> Result<GuardedAttempt<'_>, SignInError> {
        let origin = self.origin_of(username, from);
        let attempt = self.sign_ins.admit(&self.account_of(username), origin, &*self.clock).await?;
        Ok(GuardedAttempt { identity: self, attempt })
    }

    /// Returns the value of a device cookie for a browser that has signed in with this name; `None` if it cannot be
    /// signed, which valid input never causes.
    #[must_use]
    pub fn issue_device(&self, username: &str) -> Option<String> {
        self.devices.issue(&self.account_of(username), self.clock.now())
    }

    /// Returns the name under which attempts count. A provider may accept several spellings of a name. They share one
    /// limit on guessing.
    fn account_of(&self, username: &str) -> String {
        self.resolve(username.trim()).as_ref().map_or(username.trim(), UserName::as_str).to_lowercase()
    }

    pub(super) fn origin_of(&self, username: &str, from: Client<'_>) -> Origin {
        let verify = |value| self.devices.verify(value, &self.account_of(username), self.clock.now());
        self.sign_ins.origin(AddressKey::from(from.address), from.device.and_then(verify), &*self.clock)
    }

    async fn check_password(
        &self,
        login: Option<UserName>,
        password: SecretString,
        code: Option<&str>,
        origin: Origin,
    ) -> Result<SignIn, SignInError> {
        if let Some(login) = login {
            for provider in &self.providers {
                let members = self.members_of(&provider.source());
                let _share = match members {
                    Some(_) => self.sign_ins.provider_share(origin, &*self.clock).await?,
                    None => None,
                };
                match (provider.verify(&login, &password).await, members) {
                    (Ok(None), _) => {}
                    (Ok(Some(verified)), None) => return self.complete_local(&**provider, verified, code).await,
                    (Ok(Some(verified)), Some(members)) => {
                        return self.complete_member(members, login, password, verified).await;
                    }
                    (Err(SignInError::BadCredentials), Some(members)) => {
                        self.delete_rejected_hash(members, &login, password, origin).await?;
                        return Err(SignInError::BadCredentials);
                    }
                    (Err(SignInError::Provider(error)), Some(members)) if error.is_outage() => {
                        return self.sign_in_offline(members, &login, password, error).await;
                    }
                    (Err(error), _) => return Err(error),
                }
            }
        }
        self.check_no_hash(&password, origin).await?;
        Err(SignInError::BadCredentials)
    }

    /// Takes as long as comparing a password with a hash, so that the response time does not reveal which names exist.
    /// For a network that sends many unknown names, this only waits, so that they do not delay the network's users.
    async fn check_no_hash(&self, password: &SecretString, origin: Origin) -> Result<(), HashError> {
        if self.sign_ins.may_hash_unknown(origin, &*self.clock) {
            return self.hasher.matches(password, None).await.map(drop);
        }
        self.hasher.pretend().await
    }

    /// Signs in a user of a provider without members. The profile is read again under the lock under which accounts
    /// change, so that no token issued for an old password outlives the change.
    async fn complete_local(
        &self,
        provider: &dyn SignInProvider,
        verified: Verified,
        code: Option<&str>,
    ) -> Result<SignIn, SignInError> {
        let Verified { user, profile, .. } = verified;
        let profile = profile?;
        let _no_change = self.accounts_lock.read().await;
        if provider.profile(&user).await? != profile {
            // The account changed while the password was checked.
            return Err(SignInError::BadCredentials);
        }
        let Profile::Known(KnownUser { name, rights, .. }) = profile else { return Err(SignInError::BadCredentials) };
        self.second_factors.check(&user, code, self.clock.now()).await?;
        self.mint(provider.source(), &user, &name, rights, PasswordCheck::Local)
    }

    /// Signs in a member whose password the provider has accepted.
    async fn complete_member(
        &self,
        members: &Members,
        login: UserName,
        password: SecretString,
        Verified { user, profile, token }: Verified,
    ) -> Result<SignIn, SignInError> {
        let (store, title) = (&members.store, members.provider.title());
        let known = store.member(&user).await?;
        if known.is_none() && !user.is_normalized() {
            let reason = format!(
                "Your {title} user id cannot be used here because it contains characters that EduHub would change, such \
                 as invisible ones. Contact the college's administrators."
            );
            return Err(SignInError::NotAdmitted { provider: title, reason });
        }
        let is_profile_read = profile.is_ok();
        let (name, rights) = match (profile, &known) {
            (Ok(Profile::Known(KnownUser { name, rights, .. })), _) => (name, rights),
            (Ok(Profile::NoRole | Profile::Unknown), _) => {
                store.remove_hash(&user).await?;
                let reason =
                    format!("Your {title} account has no role in EduHub. Contact the college's administrators.");
                return Err(SignInError::NotAdmitted { provider: title, reason });
            }
            // The password is correct, so the stored rights are used until the provider returns the profile.
            (Err(_), Some(known)) if members.is_fresh(known) => (known.name.clone(), known.rights.clone()),
            (Err(error), _) => return Err(error.into()),
        };

        let _no_change = self.accounts_lock.read().await;
        let _no_other_claim = self.name_locks.claim(&user).await;
        self.check_name_available(members, &user).await?;
        if known.is_some_and(|known| known.rights != rights) {
            members.change_rights(&user, rights.clone()).await?;
        }
        let signed_in_at = self.clock.now();
        let member = Member {
            username: user.clone(),
            login,
            name: name.clone(),
            rights: rights.clone(),
            token: token.as_ref().map(|token| token.secret.as_ref().clone()),
            password_hash: None,
            signed_in_at,
        };
        store.put_member(member).await?;
        members.passwords.push(user.clone(), signed_in_at, password);
        members.record_sign_in(&user, rights.clone(), token, is_profile_read);
        self.mint(members.provider.source(), &user, &name, rights, PasswordCheck::Provider(title))
    }

    /// Signs a member in during an outage of the provider, by comparing the password with the last accepted one.
    async fn sign_in_offline(
        &self,
        members: &Members,
        login: &UserName,
        password: SecretString,
        error: ProviderError,
    ) -> Result<SignIn, SignInError> {
        let member = members.store.member_by_login(login).await?.filter(|member| members.is_fresh(member));
        let Some((member, hash)) = member.and_then(|mut member| member.password_hash.take().map(|hash| (member, hash)))
        else {
            return Err(error.into());
        };
        if !self.hasher.verify(password, Some(hash.expose_secret().to_owned())).await? {
            return Err(SignInError::BadCredentials);
        }
        let _no_change = self.accounts_lock.read().await;
        let _no_other_claim = self.name_locks.claim(&member.username).await;
        self.check_name_available(members, &member.username).await?;
        members.record_sign_in(&member.username, member.rights.clone(), members.stored_token(&member), false);
        let check = PasswordCheck::LastAccepted(members.provider.title());
        self.mint(members.provider.source(), &member.username, &member.name, member.rights, check)
    }

    /// Deletes the stored password hash if the provider rejects the password from which it was made. Other rejected
    /// passwords have no effect: a stranger's guess must not prevent a student from signing in during an outage.
    async fn delete_rejected_hash(
        &self,
        members: &Members,
        login: &UserName,
        password: SecretString,
        origin: Origin,
    ) -> Result<(), SignInError> {
        let member = members.store.member_by_login(login).await?;
        let hash = member.as_ref().and_then(|member| member.password_hash.as_ref());
        let Some(hash) = hash.map(|hash| hash.expose_secret().to_owned()) else {
            // If the hasher is overloaded, it fails at once, as it does when there is a hash.
            let _ = self.check_no_hash(&password, origin).await;
            return Ok(());
        };
        let is_match = self.hasher.verify(password, Some(hash)).await;
        match member {
            // If the hasher is overloaded, the password cannot be compared; deleting the hash is the safe choice.
            Some(member) if is_match.unwrap_or(true) => Ok(members.store.remove_hash(&member.username).await?),
            _ => Ok(()),
        }
    }

    /// Rejects a member whose username belongs to a user of an earlier provider or of single sign-on.
    async fn check_name_available(&self, members: &Members, user: &UserName) -> Result<(), SignInError> {
        let title = members.provider.title();
        if self.external_owner(user).await?.is_some() {
            let reason = format!(
                "This username belongs to a college account that signs in by single sign-on, so you cannot sign in with \
                 your {title} password. Use the college sign-in."
            );
            return Err(SignInError::NotAdmitted { provider: title, reason });
        }
        if !members.is_taken(user).await? {
            return Ok(());
        }
        let reason = format!(
            "A local EduHub account has this username, so you cannot sign in with your {title} account. Contact the \
             college's administrators."
        );
        Err(SignInError::NotAdmitted { provider: title, reason })
    }

    /// Signs a token for a user whose password was checked.
    fn mint(
        &self,
        source: Source,
        user: &UserName,
        name: &str,
        rights: Rights,
        check: PasswordCheck,
    ) -> Result<SignIn, SignInError> {
        let minted = self.mint_token(source, user, name, rights)?;
        Ok(SignIn { token: minted.token, caller: minted.caller, check })
    }

    /// Signs a token whose time of issue is later than the time up to which the user's tokens and sign-ins have ended,
    /// even within the same millisecond.
    pub(super) fn mint_token(
        &self,
        origin: impl Into<SignInOrigin>,
        user: &UserName,
        name: &str,
        rights: Rights,
    ) -> Result<Minted, SignInError> {
        let (now, origin) = (self.clock.now(), origin.into());
        let ended_ms = self.ended.get(user).map(|ended| ended.up_to_ms);
        let ended_ms = ended_ms.max(self.members_of(&origin.source).and_then(|members| members.ended_ms(user)));
        let not_before = ended_ms.map_or(i64::MIN, |ended| ended.saturating_add(1));
        let issued = Timestamp::from_millisecond(now.as_millisecond().max(not_before)).unwrap_or(now);
        let minted = self.tokens.mint_with_origin(origin, user, Some(name), rights, self.settings.session_ttl, issued);
        let minted = minted.ok_or(SignInError::Failed)?;
        self.record_seen(&minted.caller, now);
        Ok(minted)
    }

    /// Returns the members of the provider with this source; `None` if the provider has no members.
    pub(super) fn members_of(&self, source: &Source) -> Option<&Arc<Members>> {
        self.members.iter().find(|members| members.provider.source() == *source)
    }
}
