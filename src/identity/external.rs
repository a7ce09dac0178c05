//! Sign-ins by single sign-on: another party has identified the user, so the hub checks no password. This module
//! decides to whom the username belongs, issues the hub's token, and ends sign-ins when the provider requests it.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, TryStreamExt as _};
use secrecy::SecretString;
use uuid::Uuid;

use crate::bus::Event;
use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::domain::rights::Rights;
use crate::domain::role::{Role, RoleMap};
use crate::identity::sign_in_list::Device;
use crate::identity::{Caller, Identity, SignInOrigin, Source};
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::provider_sign_ins::{OpenSignIn, ProviderSignIn, ProviderUser, SelectedSignIn, SignInSelector};

/// Maximum number of tokens that are revoked at the same time: as many as the store writes in one commit without
/// delaying a registration.
const REVOKED_AT_ONCE: usize = 64;

/// A user whom a provider has identified.
#[derive(Debug, Clone)]
pub struct ExternalIdentity {
    /// The provider.
    pub source: Source,
    /// The provider's permanent id of the person.
    pub subject: String,
    /// The session at the provider, if it names one.
    pub sid: Option<String>,
    /// Username that the provider states. A person who is already known keeps the first one.
    pub username: UserName,
    /// Display name.
    pub name: String,
    /// Rights in the hub.
    pub rights: Rights,
    /// The person's user of Plone, if the provider states one.
    pub plone_user: Option<UserName>,
    /// The ID token, if there is one.
    pub id_token: Option<SecretString>,
    /// Sources whose users this provider takes over.
    pub takes_over: Arc<[String]>,
}

/// A completed sign-in by a provider.
#[derive(Debug, Clone)]
pub struct ExternalSignIn {
    /// The hub's token.
    pub token: String,
    /// The identity that the token grants.
    pub caller: Caller,
}

/// Why a user whom a provider has identified is not signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The username belongs to someone else.
    #[error("the username {username} belongs to {owner}")]
    NameTaken {
        /// The username.
        username: UserName,
        /// Its owner.
        owner: NameOwner,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token could not be signed, or the settings have no such provider.
    #[error("a token could not be signed")]
    Failed,
}

/// The owner of a username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOwner {
    /// A local account.
    LocalAccount,
    /// A user of another provider or of Plone.
    OtherSource(String),
    /// Another person at the same provider.
    OtherPerson,
}

impl From<&NameOwner> for AuditDetail {
    fn from(owner: &NameOwner) -> Self {
        match owner {
            NameOwner::LocalAccount => Self::LocalOwner,
            NameOwner::OtherSource(source) => Self::OtherOwner { provider: source.clone() },
            NameOwner::OtherPerson => Self::OtherPerson,
        }
    }
}

impl std::fmt::Display for NameOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LocalAccount => f.write_str("a local account"),
            Self::OtherSource(source) => write!(f, "a user of {source}"),
            Self::OtherPerson => f.write_str("another person at this provider"),
        }
    }
}

/// A provider of single sign-on in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalProvider {
    /// The source of its sign-ins.
    pub source: Source,
    /// The name that the provider gives itself, which identifies its users together with their subjects.
    pub issuer: String,
    /// Identifies the settings that determine the rights of its users. It changes with these settings.
    pub mapping: String,
    /// Whether the provider states which users of Plone its users are. Otherwise they are visitors there.
    pub states_plone_users: bool,
}

impl ExternalProvider {
    /// Creates a provider. `claims` are the settings, besides `roles`, on which the rights of its users depend.
    #[must_use]
    pub fn new(source: Source, issuer: String, roles: &RoleMap, claims: &str) -> Self {
        // If a later version writes the text of a mapping differently, staff have to sign in once more.
        let text = format!("{roles:?} {claims}");
        let mapping = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        Self { source, issuer, mapping, states_plone_users: false }
    }

    /// Sets whether the provider states which users of Plone its users are.
    #[must_use]
    pub const fn stating_plone_users(mut self, states: bool) -> Self {
        self.states_plone_users = states;
        self
    }
}

/// The reason for which sign-ins by a provider end. It decides what their live sessions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignInEnd {
    /// The user has signed out, or an administrator has signed the user out: clients do not reconnect (4003).
    SignedOut,
    /// The rights or the owner of the name have changed: clients sign in again (4001).
    Changed,
}

fn selector(provider: &ExternalProvider, subject: Option<String>, sid: Option<String>) -> SignInSelector {
    SignInSelector { issuer: provider.issuer.clone(), subject, sid }
}

impl Identity {
    /// Signs in a user whom a provider has identified.
    ///
    /// # Errors
    /// When the username belongs to someone else, the settings have no such provider, the token cannot be signed, or
    /// the store cannot be read or written.
    pub async fn sign_in_external(&self, identity: ExternalIdentity) -> Result<ExternalSignIn, ExternalError> {
        let provider = self.provider_of(&identity.source).ok_or(ExternalError::Failed)?;
        let known = self.provider_sign_ins.provider_user_by_subject(&provider.issuer, &identity.subject).await?;
        let username = known.map_or_else(|| identity.username.clone(), |known| known.username);
        let _no_change = self.accounts_lock.read().await;
        let _no_other_claim = self.name_locks.claim(&username).await;
        let before = self.claim_name(&username, provider, &identity).await?;
        if before.is_some_and(|before| before.rights != identity.rights) {
            // Otherwise an open sign-in would keep the former rights.
            let selector = selector(provider, Some(identity.subject.clone()), None);
            self.end_selected(selector, SignInEnd::Changed).await?;
        }
        let ExternalIdentity { source, subject, sid, name, rights, plone_user, id_token, .. } = identity;
        let minted = self
            .mint_token(SignInOrigin { source, plone_user }, &username, &name, rights.clone())
            .map_err(|_| ExternalError::Failed)?;
        let user = ProviderUser {
            username: username.clone(),
            source: provider.source.to_string(),
            issuer: provider.issuer.clone(),
            subject,
            name,
            rights,
            mapping: Some(provider.mapping.clone()),
        };
        let (token, expires_at) = (minted.caller.token_id, minted.caller.expires_at);
        if !self.provider_sign_ins.put_sign_in(user, ProviderSignIn { token, sid, id_token, expires_at }).await? {
            return Err(ExternalError::NameTaken { username, owner: NameOwner::OtherPerson });
        }
        Ok(ExternalSignIn { token: minted.token, caller: minted.caller })
    }

    /// Returns a token of Plone for the caller's user there, without a password; `None` if the caller is a visitor
    /// there.
    pub(super) async fn plone_token_of(&self, caller: &Caller) -> Option<Arc<SecretString>> {
        // Sign-ins from before the setting was removed still name a user.
        self.provider_of(&caller.source).filter(|provider| provider.states_plone_users)?;
        let user = caller.plone_user.as_ref()?;
        self.members_of(&Source::Plone)?.provider.token_for(user).await
    }

    /// Returns the provider of single sign-on with this source; `None` if the settings have none.
    fn provider_of(&self, source: &Source) -> Option<&ExternalProvider> {
        self.settings.external.iter().find(|provider| provider.source == *source)
    }

    /// Ends, before the hub serves, the sign-ins that the current settings would not allow: those of an issuer that
    /// another one has replaced under the same name, and those with a role above student whose rights follow from
    /// settings that have changed, because a group may now be limited to subjects.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(super) async fn end_outdated_sign_ins(&self) -> Result<(), StoreError> {
        for ExternalProvider { source, issuer, .. } in &self.settings.external {
            self.provider_sign_ins.adopt_issuer(&source.to_string(), issuer).await?;
        }
        let is_outdated = |open: &OpenSignIn| {
            let provider = self.settings.external.iter().find(|provider| provider.source.to_string() == open.source);
            let Some(provider) = provider else { return false };
            let is_same_mapping = open.mapping.as_ref() == Some(&provider.mapping);
            open.issuer != provider.issuer || (open.rights.role() > Role::Student && !is_same_mapping)
        };
        let open = self.provider_sign_ins.open_sign_ins(self.clock.now()).await?;
        let outdated: Vec<_> = open.into_iter().filter(is_outdated).map(|open| open.sign_in).collect();
        if outdated.is_empty() {
            return Ok(());
        }
        log::info!("{} sign-ins by single sign-on end, because its settings have changed", outdated.len());
        self.end_sign_ins(&outdated, SignInEnd::Changed).await
    }

    /// Adds a sign-in by a provider to the list of the user's sign-ins.
    pub fn list_sign_in(&self, caller: &Caller, device: &Device, from: IpAddr) {
        self.sign_in_list.add(caller, device, from.to_canonical().to_string(), self.clock.now());
    }

    /// Checks that a username is free for this person, and takes it over where the settings say so. Returns the stored
    /// person if the name already belongs to this person.
    async fn claim_name(
        &self,
        username: &UserName,
        provider: &ExternalProvider,
        by: &ExternalIdentity,
    ) -> Result<Option<ProviderUser>, ExternalError> {
        let taken = |owner| Err(ExternalError::NameTaken { username: username.clone(), owner });
        if self.store.account(username).await?.is_some() {
            return taken(NameOwner::LocalAccount);
        }
        let takes_over = |other: &str| by.takes_over.iter().any(|one| one == other);
        for members in &self.members {
            if members.store.member(username).await?.is_some() {
                let other = members.provider.source().to_string();
                if !takes_over(&other) {
                    return taken(NameOwner::OtherSource(other));
                }
                let provider = provider.source.to_string();
                members.remove(username, &AuditDetail::NameTakenOver { provider }).await?;
            }
        }
        let Some(owner) = self.provider_sign_ins.provider_user(username).await? else { return Ok(None) };
        match (owner.issuer == provider.issuer, owner.subject == by.subject) {
            (true, true) => Ok(Some(owner)),
            (true, false) => taken(NameOwner::OtherPerson),
            // Another issuer may give the same subject to another person.
            (false, _) if takes_over(&owner.source) => {
                self.release(username, SignInEnd::Changed).await?;
                Ok(None)
            }
            (false, _) if owner.source == provider.source.to_string() => {
                taken(NameOwner::OtherSource(format!("{} with the issuer {}", owner.source, owner.issuer)))
            }
            (false, _) => taken(NameOwner::OtherSource(owner.source)),
        }
    }

    /// Returns the provider of single sign-on to which a username belongs.
    pub(super) async fn external_owner(&self, username: &UserName) -> Result<Option<String>, StoreError> {
        Ok(self.provider_sign_ins.provider_user(username).await?.map(|owner| owner.source))
    }

    /// Ends the sign-ins of the person at a provider to whom a username belongs, and releases the username. Returns
    /// false if it belongs to none.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn release_name(&self, username: &UserName) -> Result<bool, StoreError> {
        // Otherwise the person could sign in between the end of the sign-ins and the release.
        let _exclusive = self.accounts_lock.write().await;
        self.release(username, SignInEnd::SignedOut).await
    }

    /// Releases a username as [`Self::release_name`] does, under a lock that the caller holds.
    pub(super) async fn release(&self, username: &UserName, end: SignInEnd) -> Result<bool, StoreError> {
        let Some(owner) = self.provider_sign_ins.provider_user(username).await? else { return Ok(false) };
        let selector = SignInSelector { issuer: owner.issuer, subject: Some(owner.subject), sid: None };
        self.end_selected(selector, end).await?;
        self.provider_sign_ins.remove_provider_user(username).await?;
        Ok(true)
    }

    /// Ends sign-ins at the request of their provider, and closes their live sessions. Returns their number.
    ///
    /// # Errors
    /// When the store cannot be read or written. The provider then repeats its request.
    pub async fn end_external(&self, source: &Source, ended: ExternalLogout) -> Result<usize, StoreError> {
        let Some(provider) = self.provider_of(source) else { return Ok(0) };
        let ended = self.end_selected(selector(provider, ended.subject, ended.sid), SignInEnd::SignedOut).await?;
        if let Some(first) = ended.first() {
            let entry = AuditEntry {
                at: self.clock.now(),
                user: None,
                role: None,
                ip: None,
                action: "login.ended".to_owned(),
                subject: Some(first.username.as_str().to_owned()),
                section: None,
                detail: AuditDetail::SignedOutAt { provider: source.to_string(), n: ended.len() as u64 }.into(),
                request_id: None,
            };
            self.audit.append_stored(entry).await;
        }
        Ok(ended.len())
    }

    async fn end_selected(&self, selector: SignInSelector, end: SignInEnd) -> Result<Vec<SelectedSignIn>, StoreError> {
        let found = self.provider_sign_ins.sign_ins(selector, self.clock.now()).await?;
        self.end_sign_ins(&found, end).await?;
        Ok(found)
    }

    /// Revokes the tokens of sign-ins, in this process immediately and durably when this returns, closes their live
    /// sessions, and forgets them.
    async fn end_sign_ins(&self, ended: &[SelectedSignIn], end: SignInEnd) -> Result<(), StoreError> {
        for sign_in in ended {
            self.revoked.insert(sign_in.token, sign_in.expires_at);
        }
        for SelectedSignIn { username, token, .. } in ended {
            let user = username.clone();
            self.bus.publish(match end {
                SignInEnd::SignedOut => Event::SignedOut { user, token: Some(*token), issued_until: None },
                SignInEnd::Changed => Event::TokensEnded { user },
            });
        }
        // Several at a time, which the store writes in one commit.
        let revoke = |sign_in: &SelectedSignIn| self.store.revoke_token(sign_in.token, sign_in.expires_at);
        futures_util::stream::iter(ended.iter().map(revoke))
            .buffer_unordered(REVOKED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.provider_sign_ins.remove_sign_ins(ended.iter().map(|sign_in| sign_in.token).collect()).await?;
        Ok(())
    }

    /// Forgets the sign-in of a token that is about to be revoked, and returns its ID token.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget_external(&self, token: Uuid) -> Result<Option<SecretString>, StoreError> {
        self.provider_sign_ins.remove_sign_ins(vec![token]).await
    }
}

/// The sign-ins that a provider ends: those of a person, those in a session at the provider, or those of a person in a
/// session. If neither is given, it ends none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalLogout {
    /// The person.
    pub subject: Option<String>,
    /// The session at the provider.
    pub sid: Option<String>,
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
